//! The events that a topic delivers while it is read for a recovery, so that the answer can be extended to the current position.
//!
//! Bound: [`MAX_BUFFERED_BYTES`], and the shared pool of all topics. Beyond it the oldest events are dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use orosync_protocol::Position;

use crate::broker::redis::record::Entry;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::event_body::EventBody;

/// Maximum size of the entries that are out of order, and of the events delivered during a read, per topic; in bytes each.
pub(super) const MAX_BUFFERED_BYTES: usize = 1 << 20;

/// Overhead of a buffered event in addition to its entry, in bytes.
pub(super) const EVENT_OVERHEAD: usize = 96;

/// The events delivered during a read, for recoveries whose read did not contain them. Offsets have no gaps.
#[derive(Debug, Default)]
pub(super) struct RecentEvents {
    /// The topic's position before the first of these events.
    pub(super) from: Option<Position>,
    pub(super) events: VecDeque<Delivered>,
    pub(super) bytes: usize,
    /// Whether events were dropped.
    pub(super) is_truncated: bool,
}

#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) position: Position,
    pub(super) body: EventBody,
    pub(super) accepted: u64,
    pub(super) bytes: usize,
    _credit: Credit,
}

impl RecentEvents {
    pub(super) fn begin(from: Option<Position>) -> Self {
        Self { from, ..Self::default() }
    }

    pub(super) fn push(&mut self, entry: &Entry, body: EventBody, pool: &Arc<CreditPool>) {
        let bytes = entry.bytes() + EVENT_OVERHEAD;
        let Entry { position, accepted, .. } = *entry;
        self.bytes += bytes;
        self.events.push_back(Delivered { position, body, accepted, bytes, _credit: pool.take(bytes) });
        while (self.bytes > MAX_BUFFERED_BYTES || !pool.is_available())
            && let Some(dropped) = self.events.pop_front()
        {
            self.bytes -= dropped.bytes;
            self.from = Some(dropped.position);
            self.is_truncated = true;
        }
    }

    /// Number of events up to this position. `None`: this was not a position of the topic during the read.
    pub(super) fn index(&self, position: Position) -> Option<usize> {
        let from = self.from?;
        let index = usize::try_from(position.offset.checked_sub(from.offset)?).ok()?;
        let at_index = match index.checked_sub(1) {
            Some(last) => self.events.get(last)?.position,
            None => from,
        };
        (at_index == position).then_some(index)
    }
}
