//! The topics that this node subscribes to, with its position in each. No I/O: it decides what to request from Redis, and
//! handles answers and pushes.
//!
//! ```text
//! first subscriber --> Subscribe --> confirmed --> Read --> stands: pushes that continue the chain of tags are delivered
//! last subscriber, 10 s ago --> Unsubscribe                 a push that does not: Read
//! ```
//!
//! Each entry contains the tag of the previous one, and a node delivers only entries that continue this chain. Any other entry
//! (a push was lost, or a promoted replica has begun another line of events) is kept as early, and the topic is read. A read is
//! authoritative: its entries that continue the chain are delivered as if they had been pushed. If none does, the topic is
//! broken: sessions that can recover are told to, and the node continues along the new line. A read that began before the node
//! changed its line is ignored.
//!
//! If a node has missed more than one read returns, it reads page by page, each from its current position, until a read says
//! that nothing follows. Recoveries that cannot be answered before wait until then.
//!
//! A recovery has its own read. It is answered at the point in the event order where the node has reached the end of that read.
//! Events delivered since the read began are kept until then, and are part of the answer.
//!
//! The topic of disconnects is read completely at the start, without a subscriber. Its known positions ([`Topics::knows`])
//! decide whether a ticket may be used on this node. If it is broken, the node continues along a new line and ends its
//! sessions, since the missed disconnects may affect any of them.
//!
//! Bounds:
//!
//! - early entries and events kept for recoveries: [`meanwhile::MAX_KEPT_BYTES`] per topic, and [`MAX_KEPT_BYTES_IN_ALL`];
//!   beyond these the topic is read again;
//! - reads: [`MAX_CATCH_UPS`], and those of recoveries, which the shards bound, each for at most [`PATIENCE`].
//!
//! Requests in flight and failures are accounted per partition, so that an unavailable primary does not hold up others. Work
//! over all topics is done in small parts; the cost of timers and pushes does not grow with the number of topics.

mod clock;
mod meanwhile;
mod partition;
mod recovery;
mod state;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::{Position, Topic};

use super::control;
use super::keys::{Keys, Partition};
use super::record::Entry;
use crate::broker::{EventHandler, HandOver, Recovered, Since, Unavailable};
use crate::process::unix_time;
use crate::publication::credit::CreditPool;
use clock::RedisClock;
use meanwhile::Meanwhile;
use partition::{InPartition, Rest, Ring, SWEEP};
use recovery::{Asked, recovered};
use state::{At, Sink, Standing, State, continues};

/// Time limit of a recovery, after which it is answered with [`Unavailable`].
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a topic without subscribers stays subscribed, because pages are often reloaded.
const LINGER: Duration = Duration::from_secs(10);

/// Maximum size of early and kept events of all topics together, in bytes.
const MAX_KEPT_BYTES_IN_ALL: usize = 16 << 20;

/// Maximum number of concurrent reads apart from recoveries. Each partition has its share, and at least one.
///
/// An answer may have up to 4 MiB: 64 MiB for all, and 256 MiB with the 64 partitions of a Cluster. Most answers are nearly
/// empty. With a round trip of 100 us, 16 concurrent reads are 160,000 per second, more than Redis handles; with 1 ms, 100,000
/// topics are read in 6 s.
const MAX_CATCH_UPS: usize = 16;

/// How long a partition's topics are not read after a failed read, except for recoveries.
const REST: Duration = Duration::from_millis(500);

/// Maximum number of entries per read that closes a gap.
const MOST: usize = 10_000;

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
        most: usize,
        excerpt: Excerpt,
    },
    /// Compare the tags of these topics with those in Redis.
    Sweep {
        number: u64,
        topics: Arc<[(Topic, u64)]>,
    },
}

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
    pub(super) certain_from: u64,
    /// The entries, the oldest first.
    pub(super) entries: Vec<Entry>,
}

/// Counts for the metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TopicCounts {
    /// Reads that closed a gap, or found that there was none.
    pub(super) gaps: u64,
    /// Topics that a read could not continue.
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
    partitions: Vec<InPartition>,
    /// The partition that reads a topic next, for round robin.
    turn: usize,
    sweeps: HashMap<u64, Arc<[(Topic, u64)]>>,
    /// Topics without subscribers, with the time at which to check them again.
    leaving: VecDeque<(Instant, Topic)>,
    reads: HashMap<u64, Reading>,
    /// Pending recoveries, in the order of their requests.
    asked: BTreeMap<u64, Asked>,
    /// The last number assigned to a subscription, recovery, read or sweep.
    last_number: u64,
    events: Arc<dyn EventHandler>,
    /// The credit for events that are handed over and not written yet.
    inbound: Arc<CreditPool>,
    /// The credit for events kept while topics are read.
    kept: Arc<CreditPool>,
    clock: RedisClock,
    actions: Vec<Action>,
    counts: TopicCounts,
    /// The start of this node, as Unix time in seconds.
    begun: u64,
}

/// A read in flight.
#[derive(Debug)]
struct Reading {
    topic: Topic,
    since: ReadSince,
    /// The recovery that it serves. `None`: it serves the topic's own position.
    asked: Option<u64>,
}

impl Topics {
    /// No topics. Events go to `events`, each with credit of `inbound`.
    pub(super) fn new(keys: Keys, events: Arc<dyn EventHandler>, inbound: Arc<CreditPool>) -> Self {
        Self {
            states: HashMap::new(),
            partitions: keys.partitions().map(|_| InPartition::default()).collect(),
            turn: 0,
            keys,
            sweeps: HashMap::new(),
            leaving: VecDeque::new(),
            reads: HashMap::new(),
            asked: BTreeMap::new(),
            last_number: 0,
            events,
            inbound,
            kept: CreditPool::new(usize::MAX, MAX_KEPT_BYTES_IN_ALL, || {}),
            clock: RedisClock::default(),
            actions: Vec::new(),
            counts: TopicCounts::default(),
            begun: unix_time(),
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
        let line = self.states.get(control).and_then(|state| state.line.as_deref());
        line.is_some_and(|line| match position {
            Some(position) => line.has(position),
            None => line.last().offset == 0,
        })
    }

    /// Reads a topic that is known to have unpushed entries, unless a read is in flight.
    pub(super) fn look(&mut self, topic: &Topic) {
        if self.states.get(topic).is_some_and(|state| state.at.is_some() && state.reads == 0) {
            self.catch_up(topic);
        }
    }

    /// Sets Redis' clock: its Unix time in milliseconds at a time of this node.
    pub(super) fn set_clock(&mut self, at: Instant, milliseconds: u64) {
        self.clock = RedisClock(Some((at, milliseconds)));
    }

    /// Adds a shard with its first subscriber.
    pub(super) fn subscribe(&mut self, topic: &Topic) {
        if let Some(state) = self.states.get_mut(topic) {
            state.shards += 1;
            state.unwanted_since = None;
            return;
        }
        let number = self.next_number();
        self.actions.push(Action::Subscribe(topic.clone()));
        let partition = self.keys.partition(topic);
        self.states.insert(topic.clone(), State { shards: 1, ..State::new(number, partition) });
        let ring = &mut self.partitions[partition.0].ring;
        ring.count += 1;
        ring.topics.push_back((number, topic.clone()));
        if ring.topics.len() > 2 * ring.count + SWEEP {
            let is_there = |(number, topic): &(u64, Topic)| {
                self.states.get(topic).is_some_and(|state| state.number == *number)
            };
            ring.topics.retain(is_there);
            ring.to_sweep = ring.to_sweep.min(ring.topics.len());
        }
    }

    /// Removes a shard after its last subscriber.
    pub(super) fn unsubscribe(&mut self, topic: &Topic, now: Instant) {
        if let Some(state) = self.states.get_mut(topic) {
            state.shards = state.shards.saturating_sub(1);
            if state.shards == 0 {
                state.unwanted_since = Some(now);
                if !state.is_leaving {
                    state.is_leaving = true;
                    self.leaving.push_back((now + LINGER, topic.clone()));
                }
            }
        }
    }

    /// Requests missed events. The answer comes within [`PATIENCE`].
    pub(super) fn recover(
        &mut self,
        topic: &Topic,
        since: Option<Since>,
        most: usize,
        hand_over: HandOver,
        now: Instant,
    ) {
        let number = self.next_number();
        let asked = Asked { topic: topic.clone(), since, most, hand_over, until: now + PATIENCE };
        self.asked.insert(number, asked);
        match self.states.get_mut(topic) {
            Some(state) if !state.is_confirmed() || state.is_paging || !state.asked.is_empty() => {
                state.asked.push_back(number);
            }
            // Without a subscription the session has ended meanwhile. It is answered nevertheless.
            Some(_) | None => self.begin_recovery(topic, number),
        }
    }

    /// Notes that the subscription to this topic is confirmed.
    pub(super) fn handle_confirmed(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        if !state.is_confirmed() {
            state.standing = Standing::Confirmed;
        }
        let asked = if state.is_paging { VecDeque::new() } else { std::mem::take(&mut state.asked) };
        state.is_behind |= state.at.is_none() && asked.is_empty();
        Self::queue_behind(topic, state, &mut self.partitions);
        for asked in asked {
            self.begin_recovery(topic, asked);
        }
        self.catch_up_behind();
    }

    /// Notes that Redis no longer pushes the topics of these partitions. Their recoveries wait.
    pub(super) fn handle_lost(&mut self, lost: &[Partition]) {
        for Partition(place) in lost {
            for (number, topic) in &self.partitions[*place].ring.topics {
                if let Some(state) = self.states.get_mut(topic).filter(|state| state.number == *number) {
                    state.standing = Standing::Awaited;
                }
            }
        }
    }

    /// Notes that the push connection of these partitions was replaced: their topics must be subscribed to again. Requests made
    /// on the old connection are repeated.
    pub(super) fn handle_reconnected(&mut self, anew: &[Partition]) {
        let (keys, states) = (&self.keys, &self.states);
        let is_anew = |topic: &Topic| anew.contains(&keys.partition(topic));
        let mut again = Vec::new();
        self.reads.retain(|number, Reading { topic, asked, .. }| {
            let is_current = states.get(topic).is_some_and(|state| *number > state.number);
            if !is_anew(topic) || (!is_current && asked.is_some()) {
                return true;
            }
            again.extend(*asked);
            false
        });
        self.sweeps.retain(|_, topics| topics.first().is_some_and(|(topic, _)| !is_anew(topic)));
        for Partition(place) in anew {
            let partition = &mut self.partitions[*place];
            let ring = Ring { to_sweep: 0, ..std::mem::take(&mut partition.ring) };
            for (number, topic) in &ring.topics {
                let state = self.states.get_mut(topic).filter(|state| state.number == *number);
                let Some(state) = state else { continue };
                state.standing = Standing::Awaited;
                state.reads = 0;
                state.is_queued = false;
                state.meanwhile = Meanwhile::default();
                state.is_behind |= !state.take_early().is_empty() || state.is_paging;
                self.actions.push(Action::Subscribe(topic.clone()));
            }
            *partition = InPartition { ring, ..InPartition::default() };
        }
        // These were requested before those that already wait.
        again.sort_unstable();
        for number in again.into_iter().rev() {
            let state = self.asked.get(&number).and_then(|asked| self.states.get_mut(&asked.topic));
            if let Some(state) = state {
                state.wait(number);
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
        let sink = Sink::new(topic, state, &*self.events, &self.inbound, &self.kept);
        let mut is_behind = false;
        for entry in entries {
            match state.at {
                Some(at) if continues(&at, &entry) => state.deliver(&entry, &sink),
                Some(at) if entry.position == at.position => {}
                Some(at) if entry.position.offset <= state.read_to => {
                    // The entry repeats what was read, or belongs to a new line that the read in flight may not contain.
                    state.is_behind |= state.doubted == Some(at.position);
                }
                _ => {
                    let is_kept = state.push_early(entry, self.last_number, &self.kept);
                    // The read in flight may show where the entry belongs.
                    is_behind |= !is_kept || state.reads == 0;
                }
            }
        }
        if is_behind {
            Self::mark_behind(topic, state, &mut self.partitions);
            self.catch_up_behind();
        }
    }

    /// Notes that a push was dropped for lack of room.
    pub(super) fn handle_dropped(&mut self, topic: &Topic) {
        if let Some(state) = self.states.get_mut(topic) {
            Self::mark_behind(topic, state, &mut self.partitions);
        }
    }

    fn mark_behind(topic: &Topic, state: &mut State, partitions: &mut [InPartition]) {
        state.is_behind = true;
        Self::queue_behind(topic, state, partitions);
    }

    /// Queues a topic for reading if it is behind and can be read.
    fn queue_behind(topic: &Topic, state: &mut State, partitions: &mut [InPartition]) {
        if state.is_behind && state.is_idle() && !std::mem::replace(&mut state.is_queued, true) {
            partitions[state.partition.0].behind.push_back(topic.clone());
        }
    }

    /// Reads topics that are behind, with round robin over the partitions, while there is room for their events.
    pub(super) fn catch_up_behind(&mut self) {
        let count = self.partitions.len();
        let most = (MAX_CATCH_UPS / count).max(1);
        let mut in_vain = 0;
        while in_vain < count && self.inbound.is_available() {
            let place = self.turn;
            self.turn = (place + 1) % count;
            match self.partitions[place].next_behind(most, &mut self.states) {
                Some(topic) => {
                    in_vain = 0;
                    let is_gap = |state: &State| state.at.is_some() && !state.is_paging;
                    self.counts.gaps += u64::from(self.states.get(&topic).is_some_and(is_gap));
                    self.catch_up(&topic);
                }
                None => in_vain += 1,
            }
        }
    }

    /// Sweeps these partitions: compares this node's position in each topic with Redis.
    pub(super) fn sweep(&mut self, partitions: impl IntoIterator<Item = Partition>) {
        for Partition(place) in partitions {
            let ring = &mut self.partitions[place].ring;
            ring.to_sweep = ring.topics.len();
        }
        self.sweep_on();
    }

    fn sweep_on(&mut self) {
        let most = (MAX_SWEEPS / self.partitions.len()).max(1);
        for place in 0..self.partitions.len() {
            while self.partitions[place].ring.to_sweep > 0 && self.partitions[place].sweeps < most {
                let topics = self.partitions[place].ring.next(&mut self.states);
                if topics.is_empty() {
                    break;
                }
                let (number, topics) = (self.next_number(), Arc::from(topics));
                self.partitions[place].sweeps += 1;
                self.sweeps.insert(number, Arc::clone(&topics));
                self.actions.push(Action::Sweep { number, topics });
            }
        }
    }

    /// Handles the result of a sweep: the indexes (from 0) of topics that differ, in order. `Err`: unknown.
    pub(super) fn handle_sweep(&mut self, number: u64, differ: Result<Vec<usize>, Unavailable>) {
        let Some(topics) = self.sweeps.remove(&number) else { return };
        if let Some((topic, _)) = topics.first() {
            let Partition(place) = self.keys.partition(topic);
            let partition = &mut self.partitions[place];
            partition.sweeps = partition.sweeps.saturating_sub(1);
            if differ.is_err() {
                // The partition is swept again when it answers. Others continue.
                partition.ring.to_sweep = 0;
            }
        }
        let Ok(differ) = differ else {
            self.sweep_on();
            return;
        };
        let mut differ = differ.into_iter().peekable();
        for (at, (topic, tag)) in topics.iter().enumerate() {
            let differs = differ.next_if_eq(&at).is_some();
            let Some(state) = self.states.get_mut(topic) else { continue };
            if !differs {
                state.be_sure();
            } else if state.standing != Standing::Sure || state.at.is_some_and(|at| at.position.tag == *tag) {
                // Otherwise pushes have arrived before the result.
                Self::mark_behind(topic, state, &mut self.partitions);
            }
        }
        self.sweep_on();
        self.catch_up_behind();
    }

    /// Handles the result of a read. `Err`: unknown.
    pub(super) fn handle_read(&mut self, number: u64, read: Result<Read, Unavailable>) {
        let Some(reading) = self.reads.remove(&number) else { return };
        let topic = &reading.topic;
        let Partition(place) = self.keys.partition(topic);
        if reading.asked.is_none() {
            let catch_ups = &mut self.partitions[place].catch_ups;
            *catch_ups = catch_ups.saturating_sub(1);
        }
        let Some(state) = self.states.get_mut(topic).filter(|state| number > state.number) else {
            // The topic has no subscribers any more.
            if let Some(asked) = reading.asked.and_then(|asked| self.asked.remove(&asked)) {
                let answer = read.map(|read| recovered(&read, &asked, self.clock, std::iter::empty()));
                (asked.hand_over)(answer);
            }
            self.catch_up_behind();
            return;
        };
        state.reads -= 1;
        if let Ok(read) = read {
            self.settle_read(number, &reading, read);
        } else {
            state.is_behind |= reading.asked.is_none() || state.at.is_none();
            let rest = &mut self.partitions[place].rest;
            if *rest == Rest::No {
                *rest = Rest::Due;
            }
            if let Some(asked) = reading.asked.and_then(|asked| self.asked.remove(&asked)) {
                (asked.hand_over)(Err(Unavailable));
            }
        }
        if let Some(state) = self.states.get_mut(topic)
            && state.reads == 0
        {
            state.meanwhile = Meanwhile::default();
            state.is_behind |= !state.early.is_empty();
            Self::queue_behind(topic, state, &mut self.partitions);
            if state.is_confirmed() && !state.is_paging {
                let asked = std::mem::take(&mut state.asked);
                for asked in asked {
                    self.begin_recovery(topic, asked);
                }
            }
        }
        self.catch_up_behind();
    }

    /// Handles timeouts.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while self.leaving.front().is_some_and(|(due, _)| now >= *due)
            && let Some((_, topic)) = self.leaving.pop_front()
        {
            self.leave(topic, now);
        }
        while let Some(first) = self.asked.first_entry()
            && now >= first.get().until
        {
            let (number, asked) = first.remove_entry();
            if let Some(state) = self.states.get_mut(&asked.topic)
                && state.asked.front() == Some(&number)
            {
                state.asked.pop_front();
            }
            (asked.hand_over)(Err(Unavailable));
        }
        for InPartition { rest, .. } in &mut self.partitions {
            *rest = match *rest {
                Rest::Due => Rest::Until(now + REST),
                Rest::Until(until) if now < until => Rest::Until(until),
                Rest::Until(_) | Rest::No => Rest::No,
            };
        }
        self.catch_up_behind();
    }

    /// Unsubscribes from a topic that has had no subscribers for long enough.
    fn leave(&mut self, topic: Topic, now: Instant) {
        let Some(state) = self.states.get_mut(&topic) else { return };
        match state.unwanted_since.map(|since| since + LINGER) {
            None => state.is_leaving = false,
            Some(due) if now < due => self.leaving.push_back((due, topic)),
            Some(_) => {
                if let Some(state) = self.states.remove(&topic) {
                    self.partitions[state.partition.0].ring.count -= 1;
                    let asked = state.asked.iter().filter_map(|number| self.asked.remove(number));
                    asked.for_each(|asked| (asked.hand_over)(Err(Unavailable)));
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
    fn catch_up(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        state.is_behind = false;
        self.partitions[state.partition.0].catch_ups += 1;
        let since = state.missing_since(topic);
        self.read(topic, None, since, MOST);
    }

    /// Answers a request for the position alone if it is certain and no earlier recovery is pending. Otherwise reads the topic.
    fn begin_recovery(&mut self, topic: &Topic, number: u64) {
        let stands = self.states.get(topic).filter(|state| state.reads == 0).and_then(|state| state.at);
        if let Some(at) = stands
            && let Some(asked) = self.asked.get(&number)
            && asked.since.is_none()
        {
            self.answer_position(number, at.position);
        } else {
            self.read_for(topic, number, None);
        }
    }

    fn answer_position(&mut self, number: u64, position: Position) {
        if let Some(asked) = self.asked.remove(&number) {
            (asked.hand_over)(Ok(Recovered { position, complete: true, events: Vec::new() }));
        }
    }

    /// Reads a topic again for a recovery whose read could not be placed in the event order. Earlier recoveries are also read
    /// again, to keep their order.
    fn read_again(&mut self, topic: &Topic, number: u64) {
        match self.states.get_mut(topic) {
            Some(state) if state.is_paging => {
                if self.asked.contains_key(&number) {
                    state.wait(number);
                }
            }
            _ => self.read_for(topic, number, Some(MOST)),
        }
    }

    /// Reads a topic for a pending recovery, for as many events as it requests, or at most `most`.
    fn read_for(&mut self, topic: &Topic, number: u64, most: Option<usize>) {
        let Some(asked) = self.asked.get(&number) else { return };
        let most = most.unwrap_or(asked.most).min(MOST);
        let since = match asked.since {
            None => ReadSince::Now,
            Some(Since::Position(Some(position))) => ReadSince::Position(position),
            Some(Since::Position(None) | Since::Instant(_)) => ReadSince::Everything,
        };
        self.read(topic, Some(number), since, most);
    }

    fn read(&mut self, topic: &Topic, asked: Option<u64>, since: ReadSince, most: usize) {
        let number = self.next_number();
        if let Some(state) = self.states.get_mut(topic) {
            if state.reads == 0 {
                state.meanwhile = Meanwhile::begin(state.at.map(|at| at.position));
            }
            state.reads += 1;
        }
        self.reads.insert(number, Reading { topic: topic.clone(), since, asked });
        let excerpt = if asked.is_some() { Excerpt::Latest } else { Excerpt::Oldest };
        self.actions.push(Action::Read { number, topic: topic.clone(), since, most, excerpt });
    }

    fn settle_read(&mut self, number: u64, reading: &Reading, mut read: Read) {
        let topic = &reading.topic;
        let Some(state) = self.states.get_mut(topic) else { return };
        if let Some(asked) = reading.asked
            && let Some(first) = state.asked.front()
            && *first < asked
        {
            if self.asked.contains_key(&asked) {
                state.wait(asked);
            }
            return;
        }
        if number < state.valid_from {
            state.is_behind |= state.is_paging;
            if let Some(asked) = reading.asked {
                self.read_again(topic, asked);
            }
            return;
        }
        let sink = Sink::new(topic, state, &*self.events, &self.inbound, &self.kept);
        state.find_beginning(&read, &sink);
        match state.at {
            None => {
                if !state.add_to_first_pages(reading.since, &mut read) {
                    return;
                }
                let accepted = read.entries.last().map_or(0, |last| last.accepted);
                state.at = Some(At { position: read.position, accepted });
                state.read_to = read.position.offset;
                state.valid_from = number;
                state.meanwhile = Meanwhile::begin(Some(read.position));
                if control::is_control(topic) {
                    state.begin_control(&read, self.clock, self.begun, &sink);
                }
            }
            // Nothing new, or pushes have arrived before the answer.
            Some(_) if state.has_stood_at(read.position) => {}
            Some(at) => {
                if let Some(next) = read.entries.iter().position(|entry| continues(&at, entry)) {
                    read.entries[next..].iter().for_each(|entry| state.deliver(entry, &sink));
                    state.read_to = read.position.offset;
                } else if let Some(asked) = reading.asked {
                    if reading.since == ReadSince::Now {
                        self.answer_position(asked, at.position);
                    } else if state.is_paging {
                        self.read_again(topic, asked);
                    } else {
                        // The read had another start. What this node has missed must be read first.
                        state.valid_from = self.last_number + 1;
                        self.catch_up(topic);
                        self.read_for(topic, asked, Some(MOST));
                    }
                    return;
                } else if state.meanwhile.is_cut || reading.since == ReadSince::Now {
                    // Too many events were delivered meanwhile to decide.
                    state.is_behind = true;
                    return;
                } else if state.doubted != Some(at.position) {
                    state.doubted = Some(at.position);
                    state.is_behind = true;
                    return;
                } else {
                    self.counts.breaks += 1;
                    if !control::is_control(topic) {
                        self.counts.broken.get_or_insert_with(|| (0, topic.clone())).0 += 1;
                    }
                    state.begin_line(number, at, &read, self.clock, &sink);
                }
            }
        }
        // A recovery's read may be older than a page.
        if reading.asked.is_none() {
            state.is_paging = read.is_page;
        }
        if read.is_page {
            state.is_behind = true;
            state.deliver_early(number, &sink);
            return;
        }
        if !state.is_paging {
            state.be_sure();
        }
        if let Some(asked) = reading.asked.and_then(|asked| self.asked.remove(&asked)) {
            let answer = recovered(&read, &asked, self.clock, state.later(read.position));
            (asked.hand_over)(Ok(answer));
        }
        state.deliver_early(number, &sink);
    }
}

#[cfg(test)]
mod tests;
