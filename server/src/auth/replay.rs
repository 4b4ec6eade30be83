//! Which one-time tickets were used.
//!
//! Bound: `limits.remembered_tickets`. Expired ones are forgotten first, since no verifier takes them any more; when all
//! that are remembered could still be replayed, a new one is refused rather than an old one forgotten.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Used tickets that have not expired.
#[derive(Debug)]
pub struct Replay {
    used: HashSet<Box<str>>,
    by_expiry: BinaryHeap<Reverse<(u64, Box<str>)>>,
    max: usize,
    /// The latest time that anybody has told. Shards ask with clocks of their own, and clocks are set back.
    latest: u64,
}

/// Is this ticket used for the first time?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// Yes, and from now on it is used.
    Yes,
    /// It was used before.
    No,
    /// It could not be remembered.
    NoRoom,
    /// Nobody knows: what is shared by all nodes is away. It may be used now, or not.
    Unavailable,
}

impl Replay {
    /// Nothing was used yet; room for `max`.
    pub fn new(max: usize) -> Self {
        Self { used: HashSet::new(), by_expiry: BinaryHeap::new(), max, latest: 0 }
    }

    /// Is `jti`, which ends at `expires`, new at `now`? Then it is remembered. Times in seconds since 1970.
    pub fn first_use(&mut self, jti: &str, expires: u64, now: u64) -> FirstUse {
        self.latest = self.latest.max(now);
        self.forget_expired();
        // What has expired may have been forgotten already: at an earlier time it would look new.
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
    fn a_ticket_is_new_once() {
        let mut replay = Replay::new(10);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("a", 100, 99), FirstUse::No);
        assert_eq!(replay.first_use("b", 100, 99), FirstUse::Yes);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_used_ticket_new() {
        let mut replay = Replay::new(10);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("b", 200, 100), FirstUse::Yes);
        assert_eq!(replay.first_use("a", 100, 99), FirstUse::No);
    }

    #[test]
    fn what_could_be_replayed_is_never_forgotten_for_room() {
        let mut replay = Replay::new(2);
        assert_eq!(replay.first_use("a", 100, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("b", 200, 0), FirstUse::Yes);
        assert_eq!(replay.first_use("c", 300, 0), FirstUse::NoRoom);
        assert_eq!(replay.first_use("a", 100, 50), FirstUse::No);
        assert_eq!(replay.first_use("c", 300, 100), FirstUse::Yes, "a has expired");
        assert_eq!(replay.used.len(), replay.by_expiry.len());
    }
}
