//! Reads of a topic: what is requested from `read.lua`, and its result.

use orosync_protocol::Position;

use super::record::Entry;

/// The start of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadSince {
    /// Only the topic's current position.
    Now,
    Position(Position),
    /// All stored entries.
    Everything,
}

/// Which entries a read returns if not all fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt {
    /// The latest ones, for a recovery. The read is then incomplete.
    Latest,
    /// The oldest ones, to close a gap. The read is then a page.
    Oldest,
}

/// The result of a read.
#[derive(Debug)]
pub(super) struct Read {
    /// The position of the topic's last entry, or of the last entry of the page.
    pub(super) position: Position,
    /// Whether the entries are complete since the start of the read.
    pub(super) complete: bool,
    /// Whether more entries follow after these. None is missing before them.
    pub(super) is_page: bool,
    /// The time on Redis' clock, in milliseconds, since which the stored entries are complete.
    pub(super) complete_since: u64,
    /// The entries, the oldest first.
    pub(super) entries: Vec<Entry>,
}
