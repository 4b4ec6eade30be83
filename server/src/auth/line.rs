//! A line of disconnects that all nodes share: each has the position that the broker gave it, and none is missing in between.
//!
//! A resume ticket names the last one when it was minted. Who has that position on its line knows all that came behind it, on
//! whichever node the ticket was minted; a line that the broker has lost has other tags, and so no ticket of it is good.
//!
//! Bound: whoever has one drops what is old ([`Line::forget`]). A position takes 8 bytes.

use std::collections::VecDeque;

use orosync_protocol::Position;
use orosync_protocol::disconnect::Disconnect;

/// How long before this node began a disconnect may have been accepted that means one of its sessions: clocks differ.
pub const CLOCK_SLACK_SECONDS: u64 = 5;

/// A disconnect, where it stands, and when it was accepted: seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// Whom it means.
    pub whom: Disconnect,
    /// Its position.
    pub at: Position,
    /// When.
    pub unix: u64,
}

/// Where a line begins, as far as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Of the disconnect before the first that is known.
    pub base: Position,
    /// Those that are known, in order.
    pub disconnected: Vec<Disconnected>,
    /// Of those that were accepted up to then some may be unknown, seconds since 1970. 0: none.
    pub unknown_until: u64,
}

impl Beginning {
    /// Whether a disconnect that is not known may mean a session that is open since then (seconds since 1970), or began later.
    pub fn may_mean_sessions_since(&self, unix: u64) -> bool {
        self.unknown_until > 0 && self.unknown_until.saturating_add(CLOCK_SLACK_SECONDS) >= unix
    }
}

/// The positions of disconnects that are known, one behind the other.
#[derive(Clone, Debug)]
pub struct Line {
    base: Position,
    /// Of those behind it.
    tags: VecDeque<u64>,
}

impl Line {
    /// One that goes on from here.
    pub fn new(base: Position) -> Self {
        Self { base, tags: VecDeque::new() }
    }

    /// Where it stands.
    pub fn last(&self) -> Position {
        let tag = self.tags.back().copied().unwrap_or(self.base.tag);
        Position { offset: self.base.offset.saturating_add(self.tags.len() as u64), tag }
    }

    /// Before the first position that is known, and itself known.
    pub fn base(&self) -> Position {
        self.base
    }

    /// How many positions are known behind the base.
    pub fn count(&self) -> usize {
        self.tags.len()
    }

    /// Goes on to the next position, which has this tag.
    pub fn push(&mut self, tag: u64) {
        self.tags.push_back(tag);
    }

    /// Whether this position is on it.
    pub fn has(&self, at: Position) -> bool {
        let behind = at.offset.checked_sub(self.base.offset);
        let tag = behind.and_then(|behind| match behind.checked_sub(1) {
            None => Some(self.base.tag),
            Some(index) => self.tags.get(usize::try_from(index).ok()?).copied(),
        });
        tag == Some(at.tag)
    }

    /// Forgets the positions before this offset.
    pub fn forget(&mut self, offset: u64) {
        while self.base.offset < offset
            && let Some(tag) = self.tags.pop_front()
        {
            self.base = Position { offset: self.base.offset + 1, tag };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64, tag: u64) -> Position {
        Position { offset, tag }
    }

    #[test]
    fn what_is_not_known_may_mean_whoever_was_there_then() {
        for (unknown_until, begun, expected) in
            [(0, 0, false), (1000, 999, true), (1000, 1005, true), (1000, 1006, false)]
        {
            let beginning = Beginning { base: at(5, 50), disconnected: Vec::new(), unknown_until };
            assert_eq!(beginning.may_mean_sessions_since(begun), expected, "{unknown_until} {begun}");
        }
    }

    #[test]
    fn it_knows_its_base_and_what_came_behind_it_and_nothing_else() {
        let mut line = Line::new(at(5, 50));
        assert!(line.last() == at(5, 50) && line.has(at(5, 50)));
        line.push(60);
        line.push(70);
        assert_eq!((line.last(), line.count()), (at(7, 70), 2));
        for (position, expected) in [
            (at(4, 40), false),
            (at(5, 50), true),
            (at(5, 51), false),
            (at(6, 60), true),
            (at(6, 70), false),
            (at(7, 70), true),
            (at(8, 80), false),
            (at(u64::MAX, 70), false),
        ] {
            assert_eq!(line.has(position), expected, "{position}");
        }
    }

    #[test]
    fn what_it_forgets_is_no_longer_on_it_but_the_last_before() {
        let mut line = Line::new(at(5, 50));
        for tag in [60, 70, 80] {
            line.push(tag);
        }
        line.forget(7);
        assert_eq!((line.base(), line.last(), line.count()), (at(7, 70), at(8, 80), 1));
        assert!(!line.has(at(6, 60)) && line.has(at(7, 70)) && line.has(at(8, 80)));
        line.forget(100);
        assert_eq!((line.base(), line.last()), (at(8, 80), at(8, 80)));
    }
}
