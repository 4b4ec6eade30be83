//! What is delivered of a topic while it is read, so that an answer can be given where the topic stands by then.
//!
//! Bound: [`MAX_KEPT_BYTES`], and what the pool of all topics has. Beyond it the oldest are dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use orosync_protocol::Position;

use crate::broker::redis::record::Entry;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::kept::Kept;

/// What may be kept of a topic while it is read: of what came early, and of what was delivered meanwhile.
pub(super) const MAX_KEPT_BYTES: usize = 1 << 20;

/// What is counted of an event that is kept beside its entry.
pub(super) const KEPT_COST: usize = 96;

/// What was delivered while something is read, for those whose read did not have it. The offsets have no hole.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// Where the topic stood before the first of these.
    pub(super) from: Option<Position>,
    pub(super) events: VecDeque<Delivered>,
    pub(super) bytes: usize,
    /// Some had to be dropped.
    pub(super) is_cut: bool,
}

#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) position: Position,
    pub(super) kept: Kept,
    pub(super) accepted: u64,
    pub(super) bytes: usize,
    _credit: Credit,
}

impl Meanwhile {
    pub(super) fn begin(from: Option<Position>) -> Self {
        Self { from, ..Self::default() }
    }

    pub(super) fn push(&mut self, entry: &Entry, kept: Kept, pool: &Arc<CreditPool>) {
        let bytes = entry.bytes() + KEPT_COST;
        let Entry { position, accepted, .. } = *entry;
        self.bytes += bytes;
        self.events.push_back(Delivered { position, kept, accepted, bytes, _credit: pool.take(bytes) });
        while (self.bytes > MAX_KEPT_BYTES || !pool.is_available())
            && let Some(dropped) = self.events.pop_front()
        {
            self.bytes -= dropped.bytes;
            self.from = Some(dropped.position);
            self.is_cut = true;
        }
    }

    /// How many of these came up to this position. None: the topic has not stood there.
    pub(super) fn index(&self, position: Position) -> Option<usize> {
        let from = self.from?;
        let index = usize::try_from(position.offset.checked_sub(from.offset)?).ok()?;
        let stood = match index.checked_sub(1) {
            Some(last) => self.events.get(last)?.position,
            None => from,
        };
        (stood == position).then_some(index)
    }
}
