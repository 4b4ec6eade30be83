//! What the publisher asks of the link thread besides its messages, and the answers: all is acknowledged, the server answers,
//! the thread has ended.
//!
//! Whoever asks waits, with a time limit: a request takes a channel, and carries one for its answer. A publisher asks one thing
//! at a time, so the thread keeps the last request alone. Bound: [`MAX_UNHEARD`] that the thread could not look at yet, because
//! it resolves a name; the next one waits its time in vain. The thread ends when nobody can ask any more.

use std::cell::RefCell;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

const MAX_UNHEARD: usize = 16;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// That so many messages are acknowledged.
    Acknowledged(u64),
    /// That the server answers.
    Answers,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is so.
    Yes,
    /// The server refuses this publisher: waiting longer does not help.
    Refused,
}

/// A request, while somebody waits for its answer.
#[derive(Debug)]
struct Request {
    asked: Asked,
    begun: Instant,
    deadline: Instant,
    answer: Sender<Answer>,
}

/// The two ends of a new channel.
pub(crate) fn requests() -> (Asker, Requests) {
    let (sender, receiver) = bounded(MAX_UNHEARD);
    (Asker(sender), Requests { channel: receiver, heard: RefCell::new(None), awaited: None })
}

/// The publisher's end.
#[derive(Debug)]
pub(crate) struct Asker(Sender<Request>);

impl Asker {
    /// Asks, has `wake` wake the link thread, and waits for the answer. None if there is none until `deadline`.
    pub(crate) fn ask(&self, asked: Asked, deadline: Instant, wake: impl FnOnce()) -> Option<Answer> {
        let (answer, answered) = bounded(1);
        let begun = Instant::now();
        self.0.send_deadline(Request { asked, begun, deadline, answer }, deadline).ok()?;
        wake();
        answered.recv_deadline(deadline).ok()
    }
}

/// The link thread's end.
#[derive(Debug)]
pub(crate) struct Requests {
    channel: Receiver<Request>,
    /// The last one that came and was not begun with.
    heard: RefCell<Option<Request>>,
    awaited: Option<Request>,
}

impl Requests {
    /// Whether nobody can ask any more. Takes what was asked, and may be called while something else is under way.
    pub(crate) fn are_over(&self) -> bool {
        loop {
            match self.channel.try_recv() {
                Ok(request) => drop(self.heard.replace(Some(request))),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// What to begin with, if anything new was asked.
    pub(crate) fn next(&mut self) -> Option<Asked> {
        let request = self.heard.take()?;
        let asked = request.asked;
        self.awaited = Some(request);
        Some(asked)
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_awaited(&mut self, now: Instant) -> bool {
        self.awaited.take_if(|request| request.deadline <= now);
        self.awaited.is_some()
    }

    /// From when until when somebody waits. Like [`Requests::are_over`] it may be asked while something else is under way.
    pub(crate) fn time(&self, now: Instant) -> Option<(Instant, Instant)> {
        let heard = self.heard.borrow();
        let request = heard.as_ref().or(self.awaited.as_ref()).filter(|request| request.deadline > now)?;
        Some((request.begun, request.deadline))
    }

    /// So many messages are acknowledged.
    pub(crate) fn handle_acknowledged(&mut self, messages: u64) {
        self.answer_if(Answer::Yes, |asked| matches!(asked, Asked::Acknowledged(all) if all <= messages));
    }

    /// The server has answered what was sent after the request.
    pub(crate) fn handle_answered(&mut self) {
        self.answer_if(Answer::Yes, |asked| asked == Asked::Answers);
    }

    /// The server has said no.
    pub(crate) fn handle_refused(&mut self) {
        self.answer_if(Answer::Refused, |_| true);
    }

    fn answer_if(&mut self, answer: Answer, is_answered: impl FnOnce(Asked) -> bool) {
        if let Some(request) = self.awaited.take_if(|request| is_answered(request.asked)) {
            // Whoever has given up does not hear it.
            let _ = request.answer.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    fn soon() -> Instant {
        Instant::now() + LIMIT
    }

    /// Waits until something new was asked.
    fn next(requests: &mut Requests) -> Asked {
        let deadline = soon();
        loop {
            assert!(!requests.are_over() && Instant::now() < deadline);
            if let Some(asked) = requests.next() {
                return asked;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn each_request_gets_its_own_answer() {
        let (asker, mut requests) = requests();
        thread::scope(|scope| {
            scope.spawn(move || {
                assert_eq!(asker.ask(Asked::Acknowledged(3), soon(), || ()), Some(Answer::Yes));
                assert_eq!(asker.ask(Asked::Answers, soon(), || ()), Some(Answer::Yes));
                assert_eq!(asker.ask(Asked::Acknowledged(4), soon(), || ()), Some(Answer::Refused));
            });
            assert_eq!(next(&mut requests), Asked::Acknowledged(3));
            requests.handle_answered();
            requests.handle_acknowledged(2);
            assert!(requests.is_awaited(Instant::now()), "three are asked for");
            requests.handle_acknowledged(3);
            assert!(!requests.is_awaited(Instant::now()));
            assert_eq!(next(&mut requests), Asked::Answers);
            requests.handle_answered();
            assert_eq!(next(&mut requests), Asked::Acknowledged(4));
            requests.handle_refused();
        });
        assert!(requests.are_over(), "nobody can ask any more");
    }

    #[test]
    fn a_request_ends_with_its_time() {
        let (asker, mut requests) = requests();
        let now = Instant::now();
        for _ in 0..2 * MAX_UNHEARD {
            assert_eq!(asker.ask(Asked::Answers, now, || ()), None, "also if nobody looks at it");
        }
        assert_eq!(next(&mut requests), Asked::Answers);
        assert!(!requests.is_awaited(now), "nobody waits any more");
    }

    #[test]
    fn who_waits_is_told_when_there_is_nobody_to_answer() {
        let (asker, requests) = requests();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || asker.ask(Asked::Answers, soon(), || ()));
            drop(requests);
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
