//! The topics that this node subscribes to, with its position in each. No I/O: it decides what to request from Redis, and
//! handles answers and pushes.
//!
//! ```text
//! first subscriber --> Subscribe --> confirmed --> Read --> position known: pushes that continue the chain are delivered
//! 10 s after the last subscriber --> Unsubscribe            any other push: Read
//! ```
//!
//! Each entry contains the tag of the previous one, and a node delivers only entries that continue this chain. Any other entry
//! is out of order: a push was lost, or a promoted replica has begun a new timeline. It is buffered, and the topic is read to
//! close the gap. A read is authoritative: its entries that continue the chain are delivered as if they had been pushed. If none
//! does, the topic is broken: sessions that can recover are closed with a code for it, and the node continues on the new
//! timeline. A read that began before the node changed the timeline is ignored.
//!
//! If a gap is larger than one read, it is read page by page, each from the current position, until a read shows that nothing
//! follows. Recoveries that cannot be answered earlier wait until then.
//!
//! A recovery has its own read. It is answered at the point in the event order where the node has reached the end of that read.
//! Events delivered since the read began are buffered until then, and are part of the answer.
//!
//! The topic of disconnects is read completely at the start, without a subscriber. Its known positions ([`Topics::knows`])
//! decide whether a ticket may be used on this node. If it is broken, the node continues on the new timeline and ends its
//! sessions, since the missed disconnects may affect any of them.
//!
//! Bounds:
//!
//! - buffered entries and events: [`recent::MAX_BUFFERED_BYTES`] each per topic, and [`MAX_BUFFERED_BYTES_IN_ALL`]; beyond these
//!   the topic is read again;
//! - reads: [`MAX_READS`], and those of recoveries, which the shards bound, each for at most [`RECOVERY_TIMEOUT`].
//!
//! Requests in flight and failures are counted per partition, so that an unavailable primary does not delay others. Work over
//! all topics is done in small parts; the cost of timers and pushes does not depend on the number of topics.

mod clock;
mod partition;
mod recent;
mod recovery;
mod state;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::{Position, Topic};

use super::control;
use super::keys::{Keys, Partition};
use super::read::{Excerpt, Read, ReadSince};
use super::record::Entry;
use crate::broker::{EventHandler, HandOver, Recovered, Since, Unavailable};
use crate::process::unix_time;
use crate::publication::credit::CreditPool;
use clock::RedisClock;
use partition::{PartitionState, ReadPause, SWEEP, SweepRing};
use recent::RecentEvents;
use recovery::{PendingRecovery, recovered};
use state::{LastDelivered, Sink, State, Subscription, continues};

/// Time limit of a recovery, after which it is answered with [`Unavailable`].
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for which a topic without subscribers stays subscribed, because pages are often reloaded.
const LINGER: Duration = Duration::from_secs(10);

/// Maximum size of the buffered entries and events of all topics together, in bytes.
const MAX_BUFFERED_BYTES_IN_ALL: usize = 16 << 20;

/// Maximum number of concurrent reads, apart from those of recoveries. Each partition has its share, and at least one.
///
/// An answer may have up to 4 MiB: 64 MiB for all, and 256 MiB with the 64 partitions of a Cluster. Most answers are nearly
/// empty. With a round trip of 100 us, 16 concurrent reads are 160,000 per second, more than Redis handles; with 1 ms, 100,000
/// topics are read in 6 s.
const MAX_READS: usize = 16;

/// Time for which a partition's topics are not read after a failed read, except for recoveries.
const READ_PAUSE: Duration = Duration::from_millis(500);

/// Maximum number of entries per read that closes a gap.
const MAX_READ_ENTRIES: usize = 10_000;

/// Maximum number of concurrent sweeps. Each partition has its share, and at least one.
const MAX_SWEEPS: usize = 16;

/// A request to Redis.
#[derive(Debug)]
pub(super) enum Action {
    Subscribe(Topic),
    Unsubscribe(Topic),
    Read {
        number: u64,
        topic: Topic,
        since: ReadSince,
        limit: usize,
        excerpt: Excerpt,
    },
    /// Compare the tags of these topics with those in Redis.
    Sweep {
        number: u64,
        topics: Arc<[(Topic, u64)]>,
    },
}

/// Counts for the metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TopicCounts {
    /// Reads to close a gap, which may turn out not to exist.
    pub(super) gaps: u64,
    /// Gaps that a read could not close.
    pub(super) breaks: u64,
    /// Number of broken topics other than that of disconnects, and the first of them.
    pub(super) broken: Option<(u64, Topic)>,
}

/// The topics that this node subscribes to, with its positions and pending requests.
#[derive(Debug)]
pub(super) struct Topics {
    states: HashMap<Topic, State>,
    keys: Keys,
    /// The partitions by number.
    partitions: Vec<PartitionState>,
    /// The partition that may read a topic next, for round robin.
    next_partition: usize,
    sweeps: HashMap<u64, Arc<[(Topic, u64)]>>,
    /// Topics without subscribers, with the time at which to check them again.
    lingering: VecDeque<(Instant, Topic)>,
    reads: HashMap<u64, Reading>,
    /// Pending recoveries, in the order of their requests.
    recoveries: BTreeMap<u64, PendingRecovery>,
    /// The last number assigned to a subscription, recovery, read or sweep.
    last_number: u64,
    events: Arc<dyn EventHandler>,
    /// The credit for events that are handed over and not written yet.
    inbound: Arc<CreditPool>,
    /// The credit for buffered entries and events.
    buffered: Arc<CreditPool>,
    clock: RedisClock,
    actions: Vec<Action>,
    counts: TopicCounts,
    /// The start of this node, as Unix time in seconds.
    started: u64,
}

/// A read in flight.
#[derive(Debug)]
struct Reading {
    topic: Topic,
    since: ReadSince,
    /// The recovery that it serves. `None`: it serves the topic's own position.
    recovery: Option<u64>,
}

impl Topics {
    /// No topics. Events go to `events`, each with credit of `inbound`.
    pub(super) fn new(keys: Keys, events: Arc<dyn EventHandler>, inbound: Arc<CreditPool>) -> Self {
        Self {
            states: HashMap::new(),
            partitions: keys.partitions().map(|_| PartitionState::default()).collect(),
            next_partition: 0,
            keys,
            sweeps: HashMap::new(),
            lingering: VecDeque::new(),
            reads: HashMap::new(),
            recoveries: BTreeMap::new(),
            last_number: 0,
            events,
            inbound,
            buffered: CreditPool::new(usize::MAX, MAX_BUFFERED_BYTES_IN_ALL, || {}),
            clock: RedisClock::default(),
            actions: Vec::new(),
            counts: TopicCounts::default(),
            started: unix_time(),
        }
    }

    /// Takes the pending requests to Redis.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Takes the counts since the last call.
    pub(super) fn take_counts(&mut self) -> TopicCounts {
        std::mem::take(&mut self.counts)
    }

    /// Whether all disconnects up to this position are known. `None`: the state before the first disconnect.
    pub(super) fn knows(&self, control: &Topic, position: Option<Position>) -> bool {
        let timeline = self.states.get(control).and_then(|state| state.timeline.as_deref());
        timeline.is_some_and(|timeline| match position {
            Some(position) => timeline.has(position),
            None => timeline.last().offset == 0,
        })
    }

    /// Reads a topic that is known to have further entries, unless a read is in flight.
    pub(super) fn ensure_read(&mut self, topic: &Topic) {
        if self.states.get(topic).is_some_and(|state| state.last.is_some() && state.reads == 0) {
            self.read_missing(topic);
        }
    }

    /// Sets Redis' clock: its Unix time in milliseconds at the time `at` of this node.
    pub(super) fn set_clock(&mut self, at: Instant, milliseconds: u64) {
        self.clock = RedisClock(Some((at, milliseconds)));
    }

    /// Adds a shard with its first subscriber.
    pub(super) fn subscribe(&mut self, topic: &Topic) {
        if let Some(state) = self.states.get_mut(topic) {
            state.shards += 1;
            state.unused_since = None;
            return;
        }
        let number = self.next_number();
        self.actions.push(Action::Subscribe(topic.clone()));
        let partition = self.keys.partition(topic);
        self.states.insert(topic.clone(), State { shards: 1, ..State::new(number, partition) });
        let sweep_ring = &mut self.partitions[partition.0].sweep_ring;
        sweep_ring.count += 1;
        sweep_ring.topics.push_back((number, topic.clone()));
        if sweep_ring.topics.len() > 2 * sweep_ring.count + SWEEP {
            let is_subscribed = |(number, topic): &(u64, Topic)| {
                self.states.get(topic).is_some_and(|state| state.number == *number)
            };
            sweep_ring.topics.retain(is_subscribed);
            sweep_ring.to_sweep = sweep_ring.to_sweep.min(sweep_ring.topics.len());
        }
    }

    /// Removes a shard after its last subscriber.
    pub(super) fn unsubscribe(&mut self, topic: &Topic, now: Instant) {
        if let Some(state) = self.states.get_mut(topic) {
            state.shards = state.shards.saturating_sub(1);
            if state.shards == 0 {
                state.unused_since = Some(now);
                if !state.is_lingering {
                    state.is_lingering = true;
                    self.lingering.push_back((now + LINGER, topic.clone()));
                }
            }
        }
    }

    /// Requests missed events. The answer comes within [`RECOVERY_TIMEOUT`].
    pub(super) fn recover(
        &mut self,
        topic: &Topic,
        since: Option<Since>,
        limit: usize,
        hand_over: HandOver,
        now: Instant,
    ) {
        let number = self.next_number();
        let until = now + RECOVERY_TIMEOUT;
        let recovery = PendingRecovery { topic: topic.clone(), since, limit, hand_over, until };
        self.recoveries.insert(number, recovery);
        match self.states.get_mut(topic) {
            Some(state)
                if !state.is_confirmed() || state.is_paging || !state.waiting_recoveries.is_empty() =>
            {
                state.waiting_recoveries.push_back(number);
            }
            // Without a subscription the session has ended. It is answered nevertheless.
            Some(_) | None => self.begin_recovery(topic, number),
        }
    }

    /// Notes that the subscription to this topic is confirmed.
    pub(super) fn handle_confirmed(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        if !state.is_confirmed() {
            state.subscription = Subscription::Confirmed;
        }
        let recoveries =
            if state.is_paging { VecDeque::new() } else { std::mem::take(&mut state.waiting_recoveries) };
        state.is_behind |= state.last.is_none() && recoveries.is_empty();
        Self::queue_behind(topic, state, &mut self.partitions);
        for number in recoveries {
            self.begin_recovery(topic, number);
        }
        self.read_topics_behind();
    }

    /// Notes that Redis no longer pushes the topics of these partitions. Their recoveries wait.
    pub(super) fn handle_lost(&mut self, lost: &[Partition]) {
        for Partition(index) in lost {
            for (number, topic) in &self.partitions[*index].sweep_ring.topics {
                if let Some(state) = self.states.get_mut(topic).filter(|state| state.number == *number) {
                    state.subscription = Subscription::Requested;
                }
            }
        }
    }

    /// Notes that the push connection of these partitions was replaced: their topics must be subscribed to again. Requests sent
    /// before are retried.
    pub(super) fn handle_reconnected(&mut self, partitions: &[Partition]) {
        let (keys, states) = (&self.keys, &self.states);
        let is_affected = |topic: &Topic| partitions.contains(&keys.partition(topic));
        let mut again = Vec::new();
        self.reads.retain(|number, Reading { topic, recovery, .. }| {
            let is_current = states.get(topic).is_some_and(|state| *number > state.number);
            if !is_affected(topic) || (!is_current && recovery.is_some()) {
                return true;
            }
            again.extend(*recovery);
            false
        });
        self.sweeps.retain(|_, topics| topics.first().is_some_and(|(topic, _)| !is_affected(topic)));
        for Partition(index) in partitions {
            let partition = &mut self.partitions[*index];
            let sweep_ring = SweepRing { to_sweep: 0, ..std::mem::take(&mut partition.sweep_ring) };
            for (number, topic) in &sweep_ring.topics {
                let state = self.states.get_mut(topic).filter(|state| state.number == *number);
                let Some(state) = state else { continue };
                state.subscription = Subscription::Requested;
                state.reads = 0;
                state.is_queued = false;
                state.recent = RecentEvents::default();
                state.is_behind |= !state.take_out_of_order().is_empty() || state.is_paging;
                self.actions.push(Action::Subscribe(topic.clone()));
            }
            *partition = PartitionState { sweep_ring, ..PartitionState::default() };
        }
        // These were requested earlier than those that already wait.
        again.sort_unstable();
        for number in again.into_iter().rev() {
            let state =
                self.recoveries.get(&number).and_then(|recovery| self.states.get_mut(&recovery.topic));
            if let Some(state) = state {
                state.queue_recovery(number);
            }
        }
    }

    /// Whether the subscription to this topic is confirmed.
    pub(super) fn is_confirmed(&self, topic: &Topic) -> bool {
        self.states.get(topic).is_some_and(State::is_confirmed)
    }

    /// Handles pushed entries of a topic, in order.
    pub(super) fn handle_push(&mut self, topic: &Topic, entries: Vec<Entry>) {
        let Some(state) = self.states.get_mut(topic) else { return };
        let sink = Sink::new(topic, state, &*self.events, &self.inbound, &self.buffered);
        let mut is_behind = false;
        for entry in entries {
            match state.last {
                Some(last) if continues(&last, &entry) => state.deliver(&entry, &sink),
                Some(last) if entry.position == last.position => {}
                Some(last) if entry.position.offset <= state.read_to => {
                    // The entry was read already, or belongs to a new timeline that the read in flight may not contain.
                    state.is_behind |= state.suspected_break == Some(last.position);
                }
                _ => {
                    let is_buffered = state.buffer_out_of_order(entry, self.last_number, &self.buffered);
                    // The read in flight may show where the entry belongs.
                    is_behind |= !is_buffered || state.reads == 0;
                }
            }
        }
        if is_behind {
            Self::mark_behind(topic, state, &mut self.partitions);
            self.read_topics_behind();
        }
    }

    /// Notes that a push was dropped for lack of credit.
    pub(super) fn handle_dropped(&mut self, topic: &Topic) {
        if let Some(state) = self.states.get_mut(topic) {
            Self::mark_behind(topic, state, &mut self.partitions);
        }
    }

    fn mark_behind(topic: &Topic, state: &mut State, partitions: &mut [PartitionState]) {
        state.is_behind = true;
        Self::queue_behind(topic, state, partitions);
    }

    /// Queues a topic for reading if it is behind and can be read.
    fn queue_behind(topic: &Topic, state: &mut State, partitions: &mut [PartitionState]) {
        if state.is_behind && state.is_idle() && !std::mem::replace(&mut state.is_queued, true) {
            partitions[state.partition.0].behind.push_back(topic.clone());
        }
    }

    /// Reads topics that are behind, with round robin over the partitions, while there is credit for their events.
    pub(super) fn read_topics_behind(&mut self) {
        let count = self.partitions.len();
        let limit = (MAX_READS / count).max(1);
        let mut idle_partitions = 0;
        while idle_partitions < count && self.inbound.is_available() {
            let index = self.next_partition;
            self.next_partition = (index + 1) % count;
            match self.partitions[index].next_behind(limit, &mut self.states) {
                Some(topic) => {
                    idle_partitions = 0;
                    let is_gap = |state: &State| state.last.is_some() && !state.is_paging;
                    self.counts.gaps += u64::from(self.states.get(&topic).is_some_and(is_gap));
                    self.read_missing(&topic);
                }
                None => idle_partitions += 1,
            }
        }
    }

    /// Sweeps these partitions: compares this node's position in each topic with Redis.
    pub(super) fn sweep(&mut self, partitions: impl IntoIterator<Item = Partition>) {
        for Partition(index) in partitions {
            let sweep_ring = &mut self.partitions[index].sweep_ring;
            sweep_ring.to_sweep = sweep_ring.topics.len();
        }
        self.continue_sweep();
    }

    fn continue_sweep(&mut self) {
        let limit = (MAX_SWEEPS / self.partitions.len()).max(1);
        for index in 0..self.partitions.len() {
            while self.partitions[index].sweep_ring.to_sweep > 0 && self.partitions[index].sweeps < limit {
                let topics = self.partitions[index].sweep_ring.next(&mut self.states);
                if topics.is_empty() {
                    break;
                }
                let (number, topics) = (self.next_number(), Arc::from(topics));
                self.partitions[index].sweeps += 1;
                self.sweeps.insert(number, Arc::clone(&topics));
                self.actions.push(Action::Sweep { number, topics });
            }
        }
    }

    /// Handles the result of a sweep: the indexes (from 0) of the topics that differ, in order. `Err`: the sweep has failed.
    pub(super) fn handle_sweep(&mut self, number: u64, differ: Result<Vec<usize>, Unavailable>) {
        let Some(topics) = self.sweeps.remove(&number) else { return };
        if let Some((topic, _)) = topics.first() {
            let Partition(index) = self.keys.partition(topic);
            let partition = &mut self.partitions[index];
            partition.sweeps = partition.sweeps.saturating_sub(1);
            if differ.is_err() {
                // The partition is swept again when it answers. Others continue.
                partition.sweep_ring.to_sweep = 0;
            }
        }
        let Ok(differ) = differ else {
            self.continue_sweep();
            return;
        };
        let mut differ = differ.into_iter().peekable();
        for (at, (topic, tag)) in topics.iter().enumerate() {
            let differs = differ.next_if_eq(&at).is_some();
            let Some(state) = self.states.get_mut(topic) else { continue };
            if !differs {
                state.mark_in_sync();
            } else if state.subscription != Subscription::InSync
                || state.last.is_some_and(|last| last.position.tag == *tag)
            {
                // Otherwise pushes have arrived before the result.
                Self::mark_behind(topic, state, &mut self.partitions);
            }
        }
        self.continue_sweep();
        self.read_topics_behind();
    }

    /// Handles the result of a read. `Err`: the read has failed.
    pub(super) fn handle_read(&mut self, number: u64, read: Result<Read, Unavailable>) {
        let Some(reading) = self.reads.remove(&number) else { return };
        let topic = &reading.topic;
        let Partition(index) = self.keys.partition(topic);
        if reading.recovery.is_none() {
            let reads_in_flight = &mut self.partitions[index].reads_in_flight;
            *reads_in_flight = reads_in_flight.saturating_sub(1);
        }
        let Some(state) = self.states.get_mut(topic).filter(|state| number > state.number) else {
            // The topic has no subscribers left.
            if let Some(recovery) = reading.recovery.and_then(|recovery| self.recoveries.remove(&recovery)) {
                let answer = read.map(|read| recovered(&read, &recovery, self.clock, std::iter::empty()));
                (recovery.hand_over)(answer);
            }
            self.read_topics_behind();
            return;
        };
        state.reads -= 1;
        if let Ok(read) = read {
            self.settle_read(number, &reading, read);
        } else {
            state.is_behind |= reading.recovery.is_none() || state.last.is_none();
            let pause = &mut self.partitions[index].pause;
            if *pause == ReadPause::None {
                *pause = ReadPause::Due;
            }
            if let Some(recovery) = reading.recovery.and_then(|recovery| self.recoveries.remove(&recovery)) {
                (recovery.hand_over)(Err(Unavailable));
            }
        }
        if let Some(state) = self.states.get_mut(topic)
            && state.reads == 0
        {
            state.recent = RecentEvents::default();
            state.is_behind |= !state.out_of_order.is_empty();
            Self::queue_behind(topic, state, &mut self.partitions);
            if state.is_confirmed() && !state.is_paging {
                let recoveries = std::mem::take(&mut state.waiting_recoveries);
                for number in recoveries {
                    self.begin_recovery(topic, number);
                }
            }
        }
        self.read_topics_behind();
    }

    /// Handles timeouts.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while self.lingering.front().is_some_and(|(due, _)| now >= *due)
            && let Some((_, topic)) = self.lingering.pop_front()
        {
            self.end_linger(topic, now);
        }
        while let Some(first) = self.recoveries.first_entry()
            && now >= first.get().until
        {
            let (number, recovery) = first.remove_entry();
            if let Some(state) = self.states.get_mut(&recovery.topic)
                && state.waiting_recoveries.front() == Some(&number)
            {
                state.waiting_recoveries.pop_front();
            }
            (recovery.hand_over)(Err(Unavailable));
        }
        for PartitionState { pause, .. } in &mut self.partitions {
            *pause = match *pause {
                ReadPause::Due => ReadPause::Until(now + READ_PAUSE),
                ReadPause::Until(until) if now < until => ReadPause::Until(until),
                ReadPause::Until(_) | ReadPause::None => ReadPause::None,
            };
        }
        self.read_topics_behind();
    }

    /// Unsubscribes from a topic that has had no subscribers for [`LINGER`].
    fn end_linger(&mut self, topic: Topic, now: Instant) {
        let Some(state) = self.states.get_mut(&topic) else { return };
        match state.unused_since.map(|since| since + LINGER) {
            None => state.is_lingering = false,
            Some(due) if now < due => self.lingering.push_back((due, topic)),
            Some(_) => {
                if let Some(state) = self.states.remove(&topic) {
                    self.partitions[state.partition.0].sweep_ring.count -= 1;
                    let waiting = state.waiting_recoveries.iter();
                    let recoveries = waiting.filter_map(|number| self.recoveries.remove(number));
                    recoveries.for_each(|recovery| (recovery.hand_over)(Err(Unavailable)));
                }
                self.actions.push(Action::Unsubscribe(topic));
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Reads a topic from the last delivered event on.
    fn read_missing(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        state.is_behind = false;
        self.partitions[state.partition.0].reads_in_flight += 1;
        let since = state.missing_since(topic);
        self.read(topic, None, since, MAX_READ_ENTRIES);
    }

    /// Answers a request for the position alone if the position is known and no read is in flight. Otherwise reads the topic.
    fn begin_recovery(&mut self, topic: &Topic, number: u64) {
        let last = self.states.get(topic).filter(|state| state.reads == 0).and_then(|state| state.last);
        if let Some(last) = last
            && let Some(recovery) = self.recoveries.get(&number)
            && recovery.since.is_none()
        {
            self.answer_position(number, last.position);
        } else {
            self.read_for(topic, number, None);
        }
    }

    fn answer_position(&mut self, number: u64, position: Position) {
        if let Some(recovery) = self.recoveries.remove(&number) {
            (recovery.hand_over)(Ok(Recovered { position, complete: true, events: Vec::new() }));
        }
    }

    /// Reads a topic again for a recovery whose read has no place in the event order.
    fn retry_read(&mut self, topic: &Topic, number: u64) {
        match self.states.get_mut(topic) {
            Some(state) if state.is_paging => {
                if self.recoveries.contains_key(&number) {
                    state.queue_recovery(number);
                }
            }
            _ => self.read_for(topic, number, Some(MAX_READ_ENTRIES)),
        }
    }

    /// Reads a topic for a pending recovery, for as many events as it requests, or at most `limit`.
    fn read_for(&mut self, topic: &Topic, number: u64, limit: Option<usize>) {
        let Some(recovery) = self.recoveries.get(&number) else { return };
        let limit = limit.unwrap_or(recovery.limit).min(MAX_READ_ENTRIES);
        let since = match recovery.since {
            None => ReadSince::Now,
            Some(Since::Position(Some(position))) => ReadSince::Position(position),
            Some(Since::Position(None) | Since::Instant(_)) => ReadSince::Everything,
        };
        self.read(topic, Some(number), since, limit);
    }

    fn read(&mut self, topic: &Topic, recovery: Option<u64>, since: ReadSince, limit: usize) {
        let number = self.next_number();
        if let Some(state) = self.states.get_mut(topic) {
            if state.reads == 0 {
                state.recent = RecentEvents::begin(state.last.map(|last| last.position));
            }
            state.reads += 1;
        }
        self.reads.insert(number, Reading { topic: topic.clone(), since, recovery });
        let excerpt = if recovery.is_some() { Excerpt::Latest } else { Excerpt::Oldest };
        self.actions.push(Action::Read { number, topic: topic.clone(), since, limit, excerpt });
    }

    fn settle_read(&mut self, number: u64, reading: &Reading, mut read: Read) {
        let topic = &reading.topic;
        let Some(state) = self.states.get_mut(topic) else { return };
        if let Some(recovery) = reading.recovery
            && let Some(first) = state.waiting_recoveries.front()
            && *first < recovery
        {
            if self.recoveries.contains_key(&recovery) {
                state.queue_recovery(recovery);
            }
            return;
        }
        if number < state.reads_valid_from {
            state.is_behind |= state.is_paging;
            if let Some(recovery) = reading.recovery {
                self.retry_read(topic, recovery);
            }
            return;
        }
        let sink = Sink::new(topic, state, &*self.events, &self.inbound, &self.buffered);
        state.adopt_initial_tag(&read, &sink);
        match state.last {
            None => {
                if !state.add_to_initial_pages(reading.since, &mut read) {
                    return;
                }
                let accepted = read.entries.last().map_or(0, |last| last.accepted);
                state.last = Some(LastDelivered { position: read.position, accepted });
                state.read_to = read.position.offset;
                state.reads_valid_from = number;
                state.recent = RecentEvents::begin(Some(read.position));
                if control::is_control(topic) {
                    state.begin_disconnects(&read, self.clock, self.started, &sink);
                }
            }
            // Nothing new, or pushes have arrived before the answer.
            Some(_) if state.was_at(read.position) => {}
            Some(last) => {
                if let Some(next) = read.entries.iter().position(|entry| continues(&last, entry)) {
                    read.entries[next..].iter().for_each(|entry| state.deliver(entry, &sink));
                    state.read_to = read.position.offset;
                } else if let Some(recovery) = reading.recovery {
                    if reading.since == ReadSince::Now {
                        self.answer_position(recovery, last.position);
                    } else if state.is_paging {
                        self.retry_read(topic, recovery);
                    } else {
                        // The read had another start. The gap must be closed first.
                        state.reads_valid_from = self.last_number + 1;
                        self.read_missing(topic);
                        self.read_for(topic, recovery, Some(MAX_READ_ENTRIES));
                    }
                    return;
                } else if state.recent.is_truncated || reading.since == ReadSince::Now {
                    // Too many events were delivered during the read to decide.
                    state.is_behind = true;
                    return;
                } else if state.suspected_break != Some(last.position) {
                    state.suspected_break = Some(last.position);
                    state.is_behind = true;
                    return;
                } else {
                    self.counts.breaks += 1;
                    if !control::is_control(topic) {
                        self.counts.broken.get_or_insert_with(|| (0, topic.clone())).0 += 1;
                    }
                    state.begin_timeline(number, last, &read, self.clock, &sink);
                }
            }
        }
        // A recovery's read may be older than a page.
        if reading.recovery.is_none() {
            state.is_paging = read.is_page;
        }
        if read.is_page {
            state.is_behind = true;
            state.deliver_out_of_order(number, &sink);
            return;
        }
        if !state.is_paging {
            state.mark_in_sync();
        }
        if let Some(recovery) = reading.recovery.and_then(|recovery| self.recoveries.remove(&recovery)) {
            let answer = recovered(&read, &recovery, self.clock, state.later(read.position));
            (recovery.hand_over)(Ok(answer));
        }
        state.deliver_out_of_order(number, &sink);
    }
}

#[cfg(test)]
mod tests;
