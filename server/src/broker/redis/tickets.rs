//! One-time use of tickets across all nodes. No I/O: it decides which calls to send, and handles the answers.
//!
//! A use is a call that marks a ticket as used. It is retried until it is answered or times out; its nonce distinguishes a retry
//! from a replay. The answer is `Yes` only once this node knows all disconnects accepted before the use. The cost of handling a
//! new disconnect does not depend on the number of uses that wait for others.
//!
//! A client that is answered `Unavailable` retries with the same ticket. By then the ticket may be marked as used, because the
//! call was in flight or its answer arrived too late. Such a use is reverted by its nonce, since it opened no session. The
//! revert is sent after the use, on the same connection if possible, and retried until Redis answers or [`REVERT_TIMEOUT`] is
//! over. The ticket remains used if the revert fails (the node has ended, Redis was unavailable for longer, or it executes the
//! use of a lost connection later), or if the page reaches another node first. The page then requests another ticket from the
//! application.
//!
//! Bounds: [`MAX_PENDING_USES`], [`USE_TIMEOUT`], [`MAX_PENDING_REVERTS`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use orosync_protocol::Position;

use crate::auth::replay::FirstUse;
use crate::auth::used::{TicketUse, UseAnswer};

/// Maximum number of pending uses.
const MAX_PENDING_USES: usize = 10_000;

/// Time limit of a use.
const USE_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of pending reverts.
const MAX_PENDING_REVERTS: usize = 10_000;

/// Time limit of a revert. By then the client has another ticket.
const REVERT_TIMEOUT: Duration = Duration::from_mins(5);

/// Time for which Redis stores a used ticket after its expiry, because clocks differ.
const SLACK_SECONDS: u64 = 60;

/// The pending uses and reverts.
#[derive(Default)]
pub(super) struct Tickets {
    /// Pending uses by number, which is also the order of their deadlines.
    uses: BTreeMap<u64, PendingUse>,
    /// Uses to send.
    due_uses: BTreeSet<u64>,
    /// First uses that wait for disconnects, by the disconnects that they require.
    waiting: HashMap<Required, BTreeSet<u64>>,
    /// Whether this node has read the disconnects. Before that, a use would mark the ticket but could not be answered.
    has_disconnects: bool,
    /// Whether further disconnects may have become known since the last check.
    disconnects_changed: bool,
    /// Pending reverts by the number of their use, which is also the order of their deadlines.
    reverts: BTreeMap<u64, PendingRevert>,
    /// Reverts to send.
    due_reverts: BTreeSet<u64>,
    last: u64,
}

struct PendingUse {
    ticket: TicketUse,
    answer: UseAnswer,
    until: Instant,
    /// Whether it was sent, so that the ticket may be marked as used.
    is_sent: bool,
    /// For a first use: the disconnects that must be known before it is answered.
    required: Option<Required>,
}

struct PendingRevert {
    ticket: TicketUse,
    until: Instant,
}

/// The disconnects up to this position. `None`: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Required(Option<Position>);

/// A use to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueUse {
    /// The number that identifies its answer.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) nonce: String,
    /// Time for which Redis stores the use.
    pub(super) expiry: Duration,
}

/// A revert to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueRevert {
    /// The number that identifies its answer.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) nonce: String,
}

impl Tickets {
    /// Uses a ticket. `answer` receives whether this is its first use.
    pub(super) fn use_up(&mut self, ticket: TicketUse, answer: UseAnswer, now: Instant) {
        if self.uses.len() >= MAX_PENDING_USES {
            answer(FirstUse::NoRoom);
            return;
        }
        self.last += 1;
        self.uses.insert(
            self.last,
            PendingUse { ticket, answer, until: now + USE_TIMEOUT, is_sent: false, required: None },
        );
        self.due_uses.insert(self.last);
    }

    /// Notes that the disconnects have been read. From now on uses are sent.
    pub(super) fn handle_disconnects_read(&mut self) {
        self.has_disconnects = true;
    }

    /// Takes the uses to send at `unix_now` (Unix time in seconds).
    pub(super) fn take_due_uses(&mut self, unix_now: u64) -> Vec<DueUse> {
        if !self.has_disconnects {
            return Vec::new();
        }
        let due = std::mem::take(&mut self.due_uses).into_iter();
        due.filter_map(|number| {
            let pending = self.uses.get_mut(&number)?;
            pending.is_sent = true;
            let ticket = &pending.ticket;
            let seconds = ticket.expires.saturating_sub(unix_now).saturating_add(SLACK_SECONDS);
            Some(DueUse {
                number,
                id: ticket.id.clone(),
                nonce: hexadecimal(ticket.nonce),
                expiry: Duration::from_secs(seconds),
            })
        })
        .collect()
    }

    /// Takes the reverts to send. They must be sent before the uses, which may be of the same tickets.
    pub(super) fn take_due_reverts(&mut self) -> Vec<DueRevert> {
        let due = std::mem::take(&mut self.due_reverts).into_iter();
        due.filter_map(|number| {
            let ticket = &self.reverts.get(&number)?.ticket;
            Some(DueRevert { number, id: ticket.id.clone(), nonce: hexadecimal(ticket.nonce) })
        })
        .collect()
    }

    /// Notes that Redis has executed a revert.
    pub(super) fn finish_revert(&mut self, number: u64) {
        self.reverts.remove(&number);
    }

    /// Notes that the outcome of a revert is unknown. It is retried.
    pub(super) fn retry_revert(&mut self, number: u64) {
        if self.reverts.contains_key(&number) {
            self.due_reverts.insert(number);
        }
    }

    /// Handles an answer: whether it was the first use, and the position of the last disconnect before it, if any.
    pub(super) fn answer(&mut self, number: u64, is_first: bool, control: Option<Position>) {
        if is_first {
            if let Some(pending) = self.uses.get_mut(&number) {
                let required = Required(control);
                pending.required = Some(required);
                self.waiting.entry(required).or_default().insert(number);
                self.disconnects_changed = true;
            }
        } else if let Some(pending) = self.uses.remove(&number) {
            (pending.answer)(FirstUse::No);
        }
    }

    /// Notes that the outcome of a use is unknown. It is retried.
    pub(super) fn retry(&mut self, number: u64) {
        if self.uses.contains_key(&number) {
            self.due_uses.insert(number);
        }
    }

    /// Notes that further disconnects may have become known.
    pub(super) fn handle_disconnects(&mut self) {
        self.disconnects_changed = true;
    }

    /// Answers uses whose required disconnects are known, and those that have timed out.
    pub(super) fn settle(&mut self, knows: impl Fn(Option<Position>) -> bool, now: Instant) {
        if std::mem::take(&mut self.disconnects_changed) {
            let settled = self.waiting.extract_if(|Required(control), _| knows(*control));
            for pending in
                settled.flat_map(|(_, numbers)| numbers).filter_map(|number| self.uses.remove(&number))
            {
                (pending.answer)(FirstUse::Yes);
            }
        }
        while let Some(first) = self.uses.first_entry()
            && now >= first.get().until
        {
            let (number, pending) = first.remove_entry();
            self.due_uses.remove(&number);
            self.forget_waiting(number, pending.required);
            if pending.is_sent && self.reverts.len() < MAX_PENDING_REVERTS {
                self.reverts
                    .insert(number, PendingRevert { ticket: pending.ticket, until: now + REVERT_TIMEOUT });
                self.due_reverts.insert(number);
            }
            (pending.answer)(FirstUse::Unavailable);
        }
        while let Some(first) = self.reverts.first_entry()
            && now >= first.get().until
        {
            self.due_reverts.remove(&first.remove_entry().0);
        }
    }

    /// Removes a first use that has timed out.
    fn forget_waiting(&mut self, number: u64, required: Option<Required>) {
        if let Some(required) = required
            && let Some(numbers) = self.waiting.get_mut(&required)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.waiting.remove(&required);
            }
        }
    }

    /// Whether a first use waits for disconnects.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether no use and no revert is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.reverts.is_empty()
    }
}

/// The nonce as it is stored in Redis.
fn hexadecimal(nonce: u128) -> String {
    format!("{nonce:032x}")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn ready() -> (Tickets, Instant) {
        let mut tickets = Tickets::default();
        tickets.handle_disconnects_read();
        (tickets, Instant::now())
    }

    fn use_up(tickets: &mut Tickets, now: Instant) -> Arc<Mutex<Option<FirstUse>>> {
        let answer = Arc::new(Mutex::new(None));
        let at = Arc::clone(&answer);
        let ticket = TicketUse { id: "x".to_owned(), expires: 1300, nonce: 7 };
        tickets.use_up(ticket, Box::new(move |first_use| *at.lock().unwrap() = Some(first_use)), now);
        answer
    }

    fn position(offset: u64) -> Position {
        Position { offset, tag: offset * 10 }
    }

    #[test]
    fn a_first_use_is_answered_when_the_disconnects_before_it_are_known() {
        let (mut tickets, now) = ready();
        let answer = use_up(&mut tickets, now);
        let due = tickets.take_due_uses(1000);
        assert_eq!((due.len(), due[0].expiry), (1, Duration::from_mins(6)));
        assert!(tickets.take_due_uses(1000).is_empty());
        tickets.answer(due[0].number, true, Some(position(5)));
        for others in [position(4), Position { tag: 1, ..position(5) }] {
            tickets.handle_disconnects();
            tickets.settle(|at| at.is_none() || at == Some(others), now);
            assert_eq!(*answer.lock().unwrap(), None);
        }
        tickets.handle_disconnects();
        tickets.settle(|at| at == Some(position(5)), now);
        assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Yes));
        assert!(tickets.is_empty() && tickets.waiting.is_empty());
    }

    #[test]
    fn known_disconnects_are_checked_once_per_change_and_position() {
        let (mut tickets, now) = ready();
        let answers: Vec<_> = (0..1000).map(|_| use_up(&mut tickets, now)).collect();
        for due in tickets.take_due_uses(1000) {
            tickets.answer(due.number, true, Some(position(5 + due.number % 2)));
        }
        let looks = Cell::new(0);
        let settle = |tickets: &mut Tickets, known: u64| {
            looks.set(0);
            tickets.settle(|at| (looks.set(looks.get() + 1), at == Some(position(known))).1, now);
            looks.get()
        };
        assert_eq!(settle(&mut tickets, 4), 2);
        assert_eq!(settle(&mut tickets, 5), 0, "no disconnect became known");
        tickets.handle_disconnects();
        assert_eq!(settle(&mut tickets, 5), 2);
        tickets.handle_disconnects();
        assert_eq!(settle(&mut tickets, 4), 1);
        let count = |expected| answers.iter().filter(|answer| *answer.lock().unwrap() == expected).count();
        assert_eq!((count(Some(FirstUse::Yes)), count(None)), (500, 500));
        tickets.settle(|_| false, now + USE_TIMEOUT);
        assert_eq!(count(Some(FirstUse::Unavailable)), 500);
        assert!(tickets.waiting.is_empty());
    }

    #[test]
    fn no_use_is_sent_before_the_disconnects_were_read() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        use_up(&mut tickets, now);
        assert!(tickets.take_due_uses(1000).is_empty());
        tickets.handle_disconnects_read();
        assert_eq!(tickets.take_due_uses(1000).len(), 1);
    }

    #[test]
    fn an_unanswered_use_is_retried_with_the_same_nonce_until_it_times_out() {
        let (mut tickets, now) = ready();
        let answer = use_up(&mut tickets, now);
        let due = tickets.take_due_uses(1000);
        tickets.retry(due[0].number);
        assert_eq!(tickets.take_due_uses(1000), due);
        tickets.settle(|_| false, now + USE_TIMEOUT);
        assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Unavailable));
        tickets.answer(due[0].number, true, None);
        tickets.retry(due[0].number);
        assert!(tickets.uses.is_empty() && tickets.take_due_uses(1000).is_empty());
    }

    #[test]
    fn a_use_that_has_timed_out_is_reverted_until_redis_answers() {
        for is_answered in [false, true] {
            let (mut tickets, now) = ready();
            let answer = use_up(&mut tickets, now);
            let due = tickets.take_due_uses(1000).remove(0);
            if is_answered {
                tickets.answer(due.number, true, Some(position(5)));
            }
            tickets.settle(|_| false, now + USE_TIMEOUT);
            assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Unavailable));
            let back = tickets.take_due_reverts();
            assert_eq!(back, [DueRevert { number: due.number, id: due.id, nonce: due.nonce }]);
            assert!(tickets.take_due_reverts().is_empty() && !tickets.is_empty());
            tickets.retry_revert(due.number);
            assert_eq!(tickets.take_due_reverts(), back);
            tickets.finish_revert(due.number);
            tickets.retry_revert(due.number);
            assert!(tickets.take_due_reverts().is_empty() && tickets.is_empty());
        }
    }

    #[test]
    fn reverts_are_bounded_and_time_out() {
        let (mut tickets, now) = ready();
        for second in 0..2 {
            let now = now + second * USE_TIMEOUT;
            for _ in 0..MAX_PENDING_REVERTS {
                use_up(&mut tickets, now);
            }
            tickets.take_due_uses(1000);
            tickets.settle(|_| true, now + USE_TIMEOUT);
            assert_eq!(
                (tickets.reverts.len(), tickets.due_reverts.len()),
                (MAX_PENDING_REVERTS, MAX_PENDING_REVERTS),
                "bounded"
            );
        }
        tickets.settle(|_| true, now + USE_TIMEOUT + REVERT_TIMEOUT);
        assert!(tickets.is_empty() && tickets.due_reverts.is_empty());
    }

    #[test]
    fn a_use_that_was_never_sent_times_out_without_a_revert() {
        let (mut tickets, now) = ready();
        let answer = use_up(&mut tickets, now);
        tickets.settle(|_| true, now + USE_TIMEOUT);
        assert_eq!(*answer.lock().unwrap(), Some(FirstUse::Unavailable));
        assert!(tickets.due_uses.is_empty() && tickets.is_empty(), "nothing is reverted");
    }

    #[test]
    fn a_replay_is_answered_at_once_and_uses_beyond_the_bound_are_refused() {
        let (mut tickets, now) = ready();
        let answer = use_up(&mut tickets, now);
        let number = tickets.take_due_uses(1000)[0].number;
        tickets.answer(number, false, Some(position(9)));
        assert_eq!(*answer.lock().unwrap(), Some(FirstUse::No));
        for _ in 0..MAX_PENDING_USES {
            use_up(&mut tickets, now);
        }
        assert_eq!(*use_up(&mut tickets, now).lock().unwrap(), Some(FirstUse::NoRoom));
    }
}
