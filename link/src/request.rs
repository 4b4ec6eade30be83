//! Requests of publishers to the link thread, and their answers.
//!
//! A requester blocks until its deadline, so a request uses a channel and carries another one for its answer. Each PHP thread
//! has one request at a time, so at most as many are kept as there are such threads. Bound: [`MAX_UNREAD_REQUESTS`] requests that
//! the thread cannot read yet because it is resolving a name; further ones time out. The thread ends on [`Requester::end`], or when
//! all requesters are dropped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

const MAX_UNREAD_REQUESTS: usize = 16;

/// The condition that a requester waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// This number of messages is acknowledged.
    Acknowledged(u64),
    /// The server answers.
    ServerAnswers,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The condition holds.
    Yes,
    /// The server refuses this publisher: waiting longer does not help.
    Refused,
}

/// A request whose sender still waits.
#[derive(Debug)]
struct Request {
    condition: Condition,
    begun: Instant,
    deadline: Instant,
    answer: Sender<Answer>,
    /// The number of its probe, for requests of [`Condition::ServerAnswers`].
    probe: u64,
}

/// Creates the two ends of a channel.
pub(crate) fn requests() -> (Requester, Requests) {
    let (sender, receiver) = bounded(MAX_UNREAD_REQUESTS);
    let over = Arc::new(AtomicBool::new(false));
    let requests = Requests {
        channel: receiver,
        over: Arc::clone(&over),
        received: RefCell::new(VecDeque::new()),
        awaited: Vec::new(),
    };
    (Requester { channel: sender, over }, requests)
}

/// The publisher's end.
#[cfg_attr(feature = "threads", derive(Clone))]
#[derive(Debug)]
pub(crate) struct Requester {
    channel: Sender<Request>,
    over: Arc<AtomicBool>,
}

impl Requester {
    /// Tells the link thread to end, even if there are other requesters. It notices when it is woken next.
    pub(crate) fn end(self) {
        self.over.store(true, Ordering::Release);
    }

    /// Sends a request, wakes the link thread with `wake`, and waits for the answer. `None` on timeout.
    pub(crate) fn request(
        &self,
        condition: Condition,
        deadline: Instant,
        wake: impl FnOnce(),
    ) -> Option<Answer> {
        let (answer, answered) = bounded(1);
        let begun = Instant::now();
        self.channel
            .send_deadline(Request { condition, begun, deadline, answer, probe: 0 }, deadline)
            .ok()?;
        wake();
        answered.recv_deadline(deadline).ok()
    }
}

/// The link thread's end.
#[derive(Debug)]
pub(crate) struct Requests {
    channel: Receiver<Request>,
    over: Arc<AtomicBool>,
    /// Requests that have arrived but were not started.
    received: RefCell<VecDeque<Request>>,
    awaited: Vec<Request>,
}

impl Requests {
    /// Whether the link must end. Receives pending requests; may be called in the middle of other work.
    pub(crate) fn are_over(&self) -> bool {
        loop {
            match self.channel.try_recv() {
                Ok(request) => self.keep(request),
                Err(TryRecvError::Empty) => return self.over.load(Ordering::Acquire),
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// Keeps a request, unless its deadline has already passed.
    fn keep(&self, request: Request) {
        let mut received = self.received.borrow_mut();
        received.retain(|before| before.deadline > request.begun);
        received.push_back(request);
    }

    /// The condition to start working on, if there is a new request.
    pub(crate) fn next(&mut self) -> Option<Condition> {
        let request = self.received.borrow_mut().pop_front()?;
        let condition = request.condition;
        self.awaited.push(request);
        Some(condition)
    }

    /// Assigns a probe number to the request started last. Numbers increase.
    pub(crate) fn handle_probe(&mut self, probe: u64) {
        if let Some(request) = self.awaited.last_mut() {
            request.probe = probe;
        }
    }

    /// Whether anyone waits for an answer.
    pub(crate) fn is_awaited(&mut self, now: Instant) -> bool {
        self.awaited.retain(|request| request.deadline > now);
        !self.awaited.is_empty()
    }

    /// Start and deadline of the waiting request with the earliest deadline. Like [`Requests::are_over`], it may be called in
    /// the middle of other work.
    pub(crate) fn time(&self, now: Instant) -> Option<(Instant, Instant)> {
        let received = self.received.borrow();
        let waiting = received.iter().chain(&self.awaited).filter(|request| request.deadline > now);
        let first = waiting.min_by_key(|request| request.deadline)?;
        Some((first.begun, first.deadline))
    }

    /// This number of messages is acknowledged.
    pub(crate) fn handle_acknowledged(&mut self, messages: u64) {
        self.answer_if(
            Answer::Yes,
            |request| matches!(request.condition, Condition::Acknowledged(all) if all <= messages),
        );
    }

    /// The server has answered this probe, and thereby all earlier ones.
    pub(crate) fn handle_answered(&mut self, probe: u64) {
        self.answer_if(Answer::Yes, |request| {
            request.condition == Condition::ServerAnswers && request.probe <= probe
        });
    }

    /// The server refuses this publisher.
    pub(crate) fn handle_refused(&mut self) {
        self.answer_if(Answer::Refused, |_| true);
    }

    fn answer_if(&mut self, answer: Answer, is_answered: impl Fn(&Request) -> bool) {
        for request in self.awaited.extract_if(.., |request| is_answered(request)) {
            // A requester that has timed out does not receive it.
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

    /// Waits for a new request.
    fn next(requests: &mut Requests) -> Condition {
        let deadline = soon();
        loop {
            assert!(!requests.are_over() && Instant::now() < deadline);
            if let Some(condition) = requests.next() {
                return condition;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn each_request_gets_its_own_answer() {
        let (requester, mut requests) = requests();
        thread::scope(|scope| {
            scope.spawn(move || {
                assert_eq!(requester.request(Condition::Acknowledged(3), soon(), || ()), Some(Answer::Yes));
                assert_eq!(requester.request(Condition::ServerAnswers, soon(), || ()), Some(Answer::Yes));
                assert_eq!(
                    requester.request(Condition::Acknowledged(4), soon(), || ()),
                    Some(Answer::Refused)
                );
            });
            assert_eq!(next(&mut requests), Condition::Acknowledged(3));
            requests.handle_answered(1);
            requests.handle_acknowledged(2);
            assert!(requests.is_awaited(Instant::now()), "the request is for three messages");
            requests.handle_acknowledged(3);
            assert!(!requests.is_awaited(Instant::now()));
            assert_eq!(next(&mut requests), Condition::ServerAnswers);
            requests.handle_answered(1);
            assert_eq!(next(&mut requests), Condition::Acknowledged(4));
            requests.handle_refused();
        });
        assert!(requests.are_over(), "all requesters are dropped");
    }

    #[test]
    fn a_request_ends_at_its_deadline() {
        let (requester, mut requests) = requests();
        let now = Instant::now();
        for _ in 0..2 * MAX_UNREAD_REQUESTS {
            assert_eq!(requester.request(Condition::ServerAnswers, now, || ()), None, "it times out unread");
        }
        assert_eq!(next(&mut requests), Condition::ServerAnswers);
        assert!(!requests.is_awaited(now), "all requests have timed out");
    }

    #[test]
    fn concurrent_requests_get_the_answer_to_their_own_condition() {
        let (requester, mut requests) = requests();
        let later = Instant::now() + 2 * LIMIT;
        thread::scope(|scope| {
            let requester = &requester;
            let request =
                |condition, deadline| scope.spawn(move || requester.request(condition, deadline, || ()));
            let few = request(Condition::Acknowledged(3), later);
            assert_eq!(next(&mut requests), Condition::Acknowledged(3));
            let many = request(Condition::Acknowledged(4), soon());
            assert_eq!(next(&mut requests), Condition::Acknowledged(4));
            let answers = request(Condition::ServerAnswers, later);
            assert_eq!(next(&mut requests), Condition::ServerAnswers);
            requests.handle_probe(7);
            let answers_too = request(Condition::ServerAnswers, later);
            assert_eq!(next(&mut requests), Condition::ServerAnswers);
            requests.handle_probe(8);
            assert!(requests.time(Instant::now()).unwrap().1 < later, "the earliest deadline counts");
            requests.handle_acknowledged(3);
            assert_eq!(few.join().unwrap(), Some(Answer::Yes));
            requests.handle_answered(7);
            assert_eq!(answers.join().unwrap(), Some(Answer::Yes));
            assert!(!answers_too.is_finished());
            requests.handle_answered(8);
            assert_eq!(answers_too.join().unwrap(), Some(Answer::Yes));
            assert!(requests.is_awaited(Instant::now()), "one request is still pending");
            requests.handle_refused();
            assert_eq!(many.join().unwrap(), Some(Answer::Refused));
        });
    }

    #[test]
    fn the_link_ends_when_one_requester_ends_it() {
        let (requester, requests) = requests();
        #[cfg(feature = "threads")]
        let _another = requester.clone();
        assert!(!requests.are_over());
        requester.end();
        assert!(requests.are_over());
    }

    #[test]
    fn a_request_ends_at_once_if_the_link_thread_is_gone() {
        let (requester, requests) = requests();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || requester.request(Condition::ServerAnswers, soon(), || ()));
            drop(requests);
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
