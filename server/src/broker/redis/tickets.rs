//! One-time use of tickets across all nodes. No I/O: it decides which questions to send, and handles the answers.
//!
//! A question is repeated until it is answered or times out; its nonce distinguishes a repetition from a replay. The answer is
//! `Yes` only once this node knows all disconnects accepted before the use. The cost of handling a change does not depend on
//! the number of unaffected questions.
//!
//! A client that is told `Unavailable` retries with the same ticket. By then the ticket may be marked as used, because the
//! question was in flight or its answer came too late. Such a use is reverted by its nonce, since it admitted nobody. The
//! reversal is sent after the question, on the same connection if possible, and repeated until Redis answers or
//! [`BACK_PATIENCE`] is over. The ticket still counts as used if the reversal fails (the node has ended, Redis was unavailable
//! for longer, or it executes the question of a lost connection later), or if the page reaches another node first. The page
//! then requests another ticket from the application.
//!
//! Bounds: [`MAX_ASKED`], [`PATIENCE`], [`MAX_BACK`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use orosync_protocol::Position;

use crate::auth::replay::FirstUse;
use crate::auth::used::{TicketUse, UseAnswer};

/// Maximum number of pending questions.
const MAX_ASKED: usize = 10_000;

/// Time limit of a question.
const PATIENCE: Duration = Duration::from_secs(3);

/// Maximum number of pending reversals.
const MAX_BACK: usize = 10_000;

/// Time limit of a reversal. By then the client has another ticket.
const BACK_PATIENCE: Duration = Duration::from_mins(5);

/// How long a ticket is remembered after its expiry, because clocks differ.
const SLACK_SECONDS: u64 = 60;

/// The questions whether tickets are used for the first time.
#[derive(Default)]
pub(super) struct Tickets {
    /// Pending questions by number, which is also the order of their times.
    asked: BTreeMap<u64, Asked>,
    /// Questions to be sent.
    due: BTreeSet<u64>,
    /// First uses that wait for disconnects to become known.
    first: HashMap<Behind, BTreeSet<u64>>,
    /// Whether this node has read the disconnects. Before that, a question would use the ticket but could not be answered.
    is_open: bool,
    /// Whether further disconnects may be known since the last check.
    is_line_changed: bool,
    /// Pending reversals by the number of their question, which is also the order of their times.
    back: BTreeMap<u64, Back>,
    /// Reversals to be sent.
    back_due: BTreeSet<u64>,
    last: u64,
}

struct Asked {
    ticket: TicketUse,
    answer: UseAnswer,
    until: Instant,
    /// Whether the question was sent, so that the ticket may be marked as used.
    is_sent: bool,
    /// Set for a first use: the disconnects that must be known before the answer.
    first_behind: Option<Behind>,
}

struct Back {
    ticket: TicketUse,
    until: Instant,
}

/// The disconnects up to this position. `None`: there were none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Behind(Option<Position>);

/// A question to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueTicket {
    /// The number that identifies its answer.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) nonce: String,
    /// How long the use is remembered.
    pub(super) kept: Duration,
}

/// A reversal to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueBack {
    /// The number that identifies its answer.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) nonce: String,
}

impl Tickets {
    /// Asks whether a ticket is used for the first time.
    pub(super) fn ask(&mut self, ticket: TicketUse, answer: UseAnswer, now: Instant) {
        if self.asked.len() >= MAX_ASKED {
            answer(FirstUse::NoRoom);
            return;
        }
        self.last += 1;
        self.asked.insert(
            self.last,
            Asked { ticket, answer, until: now + PATIENCE, is_sent: false, first_behind: None },
        );
        self.due.insert(self.last);
    }

    /// Notes that the disconnects have been read. From now on questions are sent.
    pub(super) fn open(&mut self) {
        self.is_open = true;
    }

    /// Takes the questions to be sent at `unix_now` (Unix time in seconds).
    pub(super) fn take_due(&mut self, unix_now: u64) -> Vec<DueTicket> {
        if !self.is_open {
            return Vec::new();
        }
        let due = std::mem::take(&mut self.due).into_iter();
        due.filter_map(|number| {
            let asked = self.asked.get_mut(&number)?;
            asked.is_sent = true;
            let ticket = &asked.ticket;
            let seconds = ticket.expires.saturating_sub(unix_now).saturating_add(SLACK_SECONDS);
            Some(DueTicket {
                number,
                id: ticket.id.clone(),
                nonce: name(ticket.nonce),
                kept: Duration::from_secs(seconds),
            })
        })
        .collect()
    }

    /// Takes the reversals to be sent. They must be sent before the questions, which may be about the same tickets.
    pub(super) fn take_back_due(&mut self) -> Vec<DueBack> {
        let due = std::mem::take(&mut self.back_due).into_iter();
        due.filter_map(|number| {
            let ticket = &self.back.get(&number)?.ticket;
            Some(DueBack { number, id: ticket.id.clone(), nonce: name(ticket.nonce) })
        })
        .collect()
    }

    /// Notes that a reversal was executed.
    pub(super) fn end_back(&mut self, number: u64) {
        self.back.remove(&number);
    }

    /// Notes that the outcome of a reversal is unknown. It is sent again.
    pub(super) fn fail_back(&mut self, number: u64) {
        if self.back.contains_key(&number) {
            self.back_due.insert(number);
        }
    }

    /// Handles an answer: whether it was the first use, and the position of the last disconnect before it, if any.
    pub(super) fn answer(&mut self, number: u64, is_first: bool, control: Option<Position>) {
        if is_first {
            if let Some(asked) = self.asked.get_mut(&number) {
                let behind = Behind(control);
                asked.first_behind = Some(behind);
                self.first.entry(behind).or_default().insert(number);
                self.is_line_changed = true;
            }
        } else if let Some(asked) = self.asked.remove(&number) {
            (asked.answer)(FirstUse::No);
        }
    }

    /// Notes that the outcome of a question is unknown. It is sent again.
    pub(super) fn fail(&mut self, number: u64) {
        if self.asked.contains_key(&number) {
            self.due.insert(number);
        }
    }

    /// Notes that further disconnects may be known.
    pub(super) fn handle_line(&mut self) {
        self.is_line_changed = true;
    }

    /// Answers questions whose disconnects are known by now, and those that have timed out.
    pub(super) fn settle(&mut self, knows: impl Fn(Option<Position>) -> bool, now: Instant) {
        if std::mem::take(&mut self.is_line_changed) {
            let settled = self.first.extract_if(|Behind(control), _| knows(*control));
            for asked in
                settled.flat_map(|(_, numbers)| numbers).filter_map(|number| self.asked.remove(&number))
            {
                (asked.answer)(FirstUse::Yes);
            }
        }
        while let Some(first) = self.asked.first_entry()
            && now >= first.get().until
        {
            let (number, asked) = first.remove_entry();
            self.due.remove(&number);
            self.forget_first(number, asked.first_behind);
            if asked.is_sent && self.back.len() < MAX_BACK {
                self.back.insert(number, Back { ticket: asked.ticket, until: now + BACK_PATIENCE });
                self.back_due.insert(number);
            }
            (asked.answer)(FirstUse::Unavailable);
        }
        while let Some(first) = self.back.first_entry()
            && now >= first.get().until
        {
            self.back_due.remove(&first.remove_entry().0);
        }
    }

    /// Forgets a first use that was not reported.
    fn forget_first(&mut self, number: u64, behind: Option<Behind>) {
        if let Some(behind) = behind
            && let Some(numbers) = self.first.get_mut(&behind)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.first.remove(&behind);
            }
        }
    }

    /// Whether a first use waits for further disconnects to become known.
    pub(super) fn wait_for_line(&self) -> bool {
        !self.first.is_empty()
    }

    /// Whether no question and no reversal is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.back.is_empty()
    }
}

/// The name of a use in Redis.
fn name(nonce: u128) -> String {
    format!("{nonce:032x}")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn open() -> (Tickets, Instant) {
        let mut tickets = Tickets::default();
        tickets.open();
        (tickets, Instant::now())
    }

    fn ask(tickets: &mut Tickets, now: Instant) -> Arc<Mutex<Option<FirstUse>>> {
        let told = Arc::new(Mutex::new(None));
        let at = Arc::clone(&told);
        let ticket = TicketUse { id: "x".to_owned(), expires: 1300, nonce: 7 };
        tickets.ask(ticket, Box::new(move |first_use| *at.lock().unwrap() = Some(first_use)), now);
        told
    }

    fn position(offset: u64) -> Position {
        Position { offset, tag: offset * 10 }
    }

    #[test]
    fn a_use_is_good_when_the_disconnects_before_it_are_known() {
        let (mut tickets, now) = open();
        let told = ask(&mut tickets, now);
        let due = tickets.take_due(1000);
        assert_eq!((due.len(), due[0].kept), (1, Duration::from_mins(6)));
        assert!(tickets.take_due(1000).is_empty());
        tickets.answer(due[0].number, true, Some(position(5)));
        for others in [position(4), Position { tag: 1, ..position(5) }] {
            tickets.handle_line();
            tickets.settle(|at| at.is_none() || at == Some(others), now);
            assert_eq!(*told.lock().unwrap(), None);
        }
        tickets.handle_line();
        tickets.settle(|at| at == Some(position(5)), now);
        assert_eq!(*told.lock().unwrap(), Some(FirstUse::Yes));
        assert!(tickets.is_empty() && tickets.first.is_empty());
    }

    #[test]
    fn only_where_a_line_has_changed_is_it_asked_and_once_for_all_that_wait_for_the_same() {
        let (mut tickets, now) = open();
        let told: Vec<_> = (0..1000).map(|_| ask(&mut tickets, now)).collect();
        for due in tickets.take_due(1000) {
            tickets.answer(due.number, true, Some(position(5 + due.number % 2)));
        }
        let looks = Cell::new(0);
        let settle = |tickets: &mut Tickets, known: u64| {
            looks.set(0);
            tickets.settle(|at| (looks.set(looks.get() + 1), at == Some(position(known))).1, now);
            looks.get()
        };
        assert_eq!(settle(&mut tickets, 4), 2);
        assert_eq!(settle(&mut tickets, 5), 0, "nothing has changed");
        tickets.handle_line();
        assert_eq!(settle(&mut tickets, 5), 2);
        tickets.handle_line();
        assert_eq!(settle(&mut tickets, 4), 1);
        let count = |answer| told.iter().filter(|told| *told.lock().unwrap() == answer).count();
        assert_eq!((count(Some(FirstUse::Yes)), count(None)), (500, 500));
        tickets.settle(|_| false, now + PATIENCE);
        assert_eq!(count(Some(FirstUse::Unavailable)), 500);
        assert!(tickets.first.is_empty());
    }

    #[test]
    fn nothing_is_asked_before_the_disconnects_were_read() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        ask(&mut tickets, now);
        assert!(tickets.take_due(1000).is_empty());
        tickets.open();
        assert_eq!(tickets.take_due(1000).len(), 1);
    }

    #[test]
    fn what_nobody_answers_is_asked_again_by_the_same_nonce_and_ends() {
        let (mut tickets, now) = open();
        let told = ask(&mut tickets, now);
        let due = tickets.take_due(1000);
        tickets.fail(due[0].number);
        assert_eq!(tickets.take_due(1000), due);
        tickets.settle(|_| false, now + PATIENCE);
        assert_eq!(*told.lock().unwrap(), Some(FirstUse::Unavailable));
        tickets.answer(due[0].number, true, None);
        tickets.fail(due[0].number);
        assert!(tickets.asked.is_empty() && tickets.take_due(1000).is_empty());
    }

    #[test]
    fn a_use_that_is_told_nobody_is_taken_back_until_that_is_answered() {
        for is_answered in [false, true] {
            let (mut tickets, now) = open();
            let told = ask(&mut tickets, now);
            let due = tickets.take_due(1000).remove(0);
            if is_answered {
                tickets.answer(due.number, true, Some(position(5)));
            }
            tickets.settle(|_| false, now + PATIENCE);
            assert_eq!(*told.lock().unwrap(), Some(FirstUse::Unavailable));
            let back = tickets.take_back_due();
            assert_eq!(back, [DueBack { number: due.number, id: due.id, nonce: due.nonce }]);
            assert!(tickets.take_back_due().is_empty() && !tickets.is_empty());
            tickets.fail_back(due.number);
            assert_eq!(tickets.take_back_due(), back);
            tickets.end_back(due.number);
            tickets.fail_back(due.number);
            assert!(tickets.take_back_due().is_empty() && tickets.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_taken_back_is_given_up() {
        let (mut tickets, now) = open();
        for second in 0..2 {
            let now = now + second * PATIENCE;
            for _ in 0..MAX_BACK {
                ask(&mut tickets, now);
            }
            tickets.take_due(1000);
            tickets.settle(|_| true, now + PATIENCE);
            assert_eq!((tickets.back.len(), tickets.back_due.len()), (MAX_BACK, MAX_BACK), "no more");
        }
        tickets.settle(|_| true, now + PATIENCE + BACK_PATIENCE);
        assert!(tickets.is_empty() && tickets.back_due.is_empty());
    }

    #[test]
    fn what_nobody_can_be_asked_is_forgotten_with_its_time() {
        let (mut tickets, now) = open();
        let told = ask(&mut tickets, now);
        tickets.settle(|_| true, now + PATIENCE);
        assert_eq!(*told.lock().unwrap(), Some(FirstUse::Unavailable));
        assert!(tickets.due.is_empty() && tickets.is_empty(), "nor is it taken back");
    }

    #[test]
    fn a_replay_is_told_at_once_and_a_flood_is_refused() {
        let (mut tickets, now) = open();
        let told = ask(&mut tickets, now);
        let number = tickets.take_due(1000)[0].number;
        tickets.answer(number, false, Some(position(9)));
        assert_eq!(*told.lock().unwrap(), Some(FirstUse::No));
        for _ in 0..MAX_ASKED {
            ask(&mut tickets, now);
        }
        assert_eq!(*ask(&mut tickets, now).lock().unwrap(), Some(FirstUse::NoRoom));
    }
}
