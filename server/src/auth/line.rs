//! The line: the sequence of disconnects that all nodes share, with the positions that the broker assigned, without gaps.
//!
//! A resume ticket contains the position of the last disconnect before it was issued. A node that has this position on its line
//! knows all later disconnects, whichever node issued the ticket. After the broker has lost its data, positions have different
//! tags, so tickets from before are not valid.
//!
//! Bound: the owner drops old positions ([`Line::forget`]). A position takes 8 bytes.

use std::collections::VecDeque;

use orosync_protocol::Position;
use orosync_protocol::disconnect::Disconnect;

/// Tolerance for differing clocks: a disconnect accepted up to this time before the node started may affect its sessions.
pub const CLOCK_SLACK_SECONDS: u64 = 5;

/// A disconnect with its position and the time at which it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// The sessions to end.
    pub target: Disconnect,
    /// The position on the line.
    pub at: Position,
    /// The time of acceptance, as Unix time in seconds.
    pub unix: u64,
}

/// The start of a line, as far as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The position before the first known disconnect.
    pub base: Position,
    /// The known disconnects, in order.
    pub disconnected: Vec<Disconnected>,
    /// Disconnects accepted up to this Unix time in seconds may be missing. 0: none is missing.
    pub unknown_until: u64,
}

impl Beginning {
    /// Whether an unknown disconnect may affect sessions that were opened at this Unix time in seconds, or later.
    pub fn may_affect_sessions_since(&self, unix: u64) -> bool {
        self.unknown_until > 0 && self.unknown_until.saturating_add(CLOCK_SLACK_SECONDS) >= unix
    }
}

/// The consecutive positions of known disconnects.
#[derive(Clone, Debug)]
pub struct Line {
    base: Position,
    /// The tags of the positions after the base.
    tags: VecDeque<u64>,
}

impl Line {
    /// A line that begins after this position.
    pub fn new(base: Position) -> Self {
        Self { base, tags: VecDeque::new() }
    }

    /// The last position.
    pub fn last(&self) -> Position {
        let tag = self.tags.back().copied().unwrap_or(self.base.tag);
        Position { offset: self.base.offset.saturating_add(self.tags.len() as u64), tag }
    }

    /// The earliest known position. No disconnect is known for it, only for those after it.
    pub fn base(&self) -> Position {
        self.base
    }

    /// Number of known positions after the base.
    pub fn count(&self) -> usize {
        self.tags.len()
    }

    /// Appends the next position, which has this tag.
    pub fn push(&mut self, tag: u64) {
        self.tags.push_back(tag);
    }

    /// Whether this position is on the line.
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
    fn an_unknown_disconnect_may_affect_sessions_of_its_time() {
        for (unknown_until, begun, expected) in
            [(0, 0, false), (1000, 999, true), (1000, 1005, true), (1000, 1006, false)]
        {
            let beginning = Beginning { base: at(5, 50), disconnected: Vec::new(), unknown_until };
            assert_eq!(beginning.may_affect_sessions_since(begun), expected, "{unknown_until} {begun}");
        }
    }

    #[test]
    fn a_line_contains_its_base_and_what_was_appended() {
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
    fn forgotten_positions_are_removed_except_for_the_last() {
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
