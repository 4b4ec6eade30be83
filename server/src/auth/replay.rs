//! Replay protection: the one-time tickets that were used.
//!
//! Bound: `limits.remembered_tickets`. Expired tickets are forgotten first, since no verifier accepts them. If all remembered
//! tickets could still be replayed, a new ticket is rejected; none is forgotten early.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Used tickets that have not expired.
#[derive(Debug)]
pub struct Replay {
    used: HashSet<Box<str>>,
    by_expiry: BinaryHeap<Reverse<(u64, Box<str>)>>,
    max: usize,
    /// The latest time of any call. Time must not go backwards here, although clocks of shards differ and may be set back.
    latest: u64,
}

/// The answer whether a ticket is used for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// The ticket is used for the first time. It is now marked as used.
    Yes,
    /// The ticket was used before.
    No,
    /// There is no room to remember the ticket.
    NoRoom,
    /// The broker is unavailable, so the answer is not known. The ticket may have been marked as used.
    Unavailable,
}

impl Replay {
    /// An empty memory for up to `max` tickets.
    pub fn new(max: usize) -> Self {
        Self { used: HashSet::new(), by_expiry: BinaryHeap::new(), max, latest: 0 }
    }

    /// Checks that `jti` is used for the first time and remembers it. `expires` and `now` are Unix times in seconds.
    pub fn first_use(&mut self, jti: &str, expires: u64, now: u64) -> FirstUse {
        self.latest = self.latest.max(now);
        self.forget_expired();
        // An expired ticket may have been forgotten already, and would appear new if `now` went backwards.
        if expires <= self.latest || self.used.contains(jti) {
            return FirstUse::No;
        }
        if self.used.len() >= self.max {
            return FirstUse::NoRoom;
        }
        self.used.insert(jti.into());
        self.by_expiry.push(Reverse((expires, jti.into())));
        FirstUse::Yes
    }

    fn forget_expired(&mut self) {
        while let Some(Reverse((expires, _))) = self.by_expiry.peek()
            && *expires <= self.latest
        {
            if let Some(Reverse((_, jti))) = self.by_expiry.pop() {
                self.used.remove(&jti);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_accepted_once() {
        let mut replay = Replay::new(10);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("a", 100, 99), FirstUse::No);
        assert_eq!(replay.first_use("b", 100, 99), FirstUse::Yes);
    }

    #[test]
    fn a_clock_set_back_does_not_make_used_tickets_new() {
        let mut replay = Replay::new(10);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("b", 200, 100), FirstUse::Yes);
        assert_eq!(replay.first_use("a", 100, 99), FirstUse::No);
    }

    #[test]
    fn replayable_tickets_are_never_forgotten_for_lack_of_room() {
        let mut replay = Replay::new(2);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("b", 200, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("c", 300, 0), FirstUse::NoRoom);
        assert_eq!(replay.first_use("a", 100, 50), FirstUse::No);
        assert_eq!(replay.first_use("c", 300, 100), FirstUse::Yes, "a has expired");
        assert_eq!(replay.used.len(), replay.by_expiry.len());
    }
}
