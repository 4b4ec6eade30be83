//! The topics of one partition, with the order in which they are swept and read.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use orosync_protocol::Topic;

use super::state::State;

/// Number of topics per request of a sweep.
pub(super) const SWEEP: usize = 500;

/// The state of a partition.
#[derive(Debug, Default)]
pub(super) struct PartitionState {
    pub(super) sweep_ring: SweepRing,
    /// Number of sweep requests in flight.
    pub(super) sweeps: usize,
    /// Topics that are behind and can be read. Topics that cannot be read yet are added when they can.
    pub(super) behind: VecDeque<Topic>,
    /// Number of reads in flight, apart from recoveries.
    pub(super) reads_in_flight: usize,
    pub(super) pause: ReadPause,
}

/// The topics of a partition in sweep order. A topic that is no longer subscribed to is dropped when the sweep reaches it.
#[derive(Debug, Default)]
pub(super) struct SweepRing {
    /// Each with the number of its subscription.
    pub(super) topics: VecDeque<(u64, Topic)>,
    /// Number of topics that the sweep has yet to reach.
    pub(super) to_sweep: usize,
    /// Number of topics that are still subscribed to.
    pub(super) count: usize,
}

/// The pause after a failed read, in which topics are read for recoveries only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ReadPause {
    #[default]
    None,
    /// A read has failed. The pause begins at the next timeout.
    Due,
    /// The pause ends at this time.
    Until(Instant),
}

impl PartitionState {
    /// The next topic that is behind and can be read, if fewer than `limit` reads are in flight.
    pub(super) fn next_behind(&mut self, limit: usize, states: &mut HashMap<Topic, State>) -> Option<Topic> {
        if self.pause != ReadPause::None || self.reads_in_flight >= limit {
            return None;
        }
        let can_be_read = |topic: &Topic| {
            let Some(state) = states.get_mut(topic) else { return false };
            state.is_queued = false;
            state.is_behind && state.is_idle()
        };
        std::iter::from_fn(|| self.behind.pop_front()).find(can_be_read)
    }
}

impl SweepRing {
    /// The next topics to compare together, each with the tag of the last event delivered. A topic that is not confirmed yet is
    /// marked as behind instead, so that it is read once it is confirmed.
    pub(super) fn next(&mut self, states: &mut HashMap<Topic, State>) -> Vec<(Topic, u64)> {
        let mut next = Vec::with_capacity(SWEEP.min(self.to_sweep));
        while self.to_sweep > 0
            && next.len() < SWEEP
            && let Some((number, topic)) = self.topics.pop_front()
        {
            self.to_sweep -= 1;
            let Some(state) = states.get_mut(&topic).filter(|state| state.number == number) else { continue };
            if let (true, Some(at)) = (state.is_idle(), state.last) {
                next.push((topic.clone(), at.position.tag));
            }
            state.is_behind |= !state.is_confirmed() && state.last.is_some();
            self.topics.push_back((number, topic));
        }
        next
    }
}
