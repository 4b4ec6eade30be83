//! The timeline of disconnects: the disconnects that all nodes share, with the positions that the broker assigned, without
//! gaps. A new timeline begins when the broker has lost disconnects.
//!
//! A resume ticket contains the position of the last disconnect before it was issued. A node that has this position on its
//! timeline knows all later disconnects, whichever node issued the ticket. After the broker has lost its data, positions have
//! different tags, so tickets from before are not valid.
//!
//! Bound: the owner drops old positions ([`Timeline::forget`]). A position takes 8 bytes.

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
    /// The position on the timeline.
    pub at: Position,
    /// The time of acceptance, as Unix time in seconds.
    pub unix: u64,
}

/// The start of a timeline, as far as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineStart {
    /// The position before the first known disconnect.
    pub base: Position,
    /// The known disconnects, in order.
    pub disconnected: Vec<Disconnected>,
    /// Disconnects accepted up to this Unix time in seconds may be missing. 0: none is missing.
    pub unknown_until: u64,
}

impl TimelineStart {
    /// Whether an unknown disconnect may affect sessions that were opened at this Unix time in seconds, or later.
    pub fn may_affect_sessions_since(&self, unix: u64) -> bool {
        self.unknown_until > 0 && self.unknown_until.saturating_add(CLOCK_SLACK_SECONDS) >= unix
    }
}

/// The consecutive positions of known disconnects.
#[derive(Clone, Debug)]
pub struct Timeline {
    base: Position,
    /// The tags of the positions after the base.
    tags: VecDeque<u64>,
}

impl Timeline {
    /// A timeline that begins after this position.
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

    /// Whether this position is on the timeline.
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
            let start = TimelineStart { base: at(5, 50), disconnected: Vec::new(), unknown_until };
            assert_eq!(start.may_affect_sessions_since(begun), expected, "{unknown_until} {begun}");
        }
    }

    #[test]
    fn a_timeline_contains_its_base_and_appended_positions() {
        let mut timeline = Timeline::new(at(5, 50));
        assert!(timeline.last() == at(5, 50) && timeline.has(at(5, 50)));
        timeline.push(60);
        timeline.push(70);
        assert_eq!((timeline.last(), timeline.count()), (at(7, 70), 2));
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
            assert_eq!(timeline.has(position), expected, "{position}");
        }
    }

    #[test]
    fn forgotten_positions_are_removed_except_for_the_last() {
        let mut timeline = Timeline::new(at(5, 50));
        for tag in [60, 70, 80] {
            timeline.push(tag);
        }
        timeline.forget(7);
        assert_eq!((timeline.base(), timeline.last(), timeline.count()), (at(7, 70), at(8, 80), 1));
        assert!(!timeline.has(at(6, 60)) && timeline.has(at(7, 70)) && timeline.has(at(8, 80)));
        timeline.forget(100);
        assert_eq!((timeline.base(), timeline.last()), (at(8, 80), at(8, 80)));
    }
}
