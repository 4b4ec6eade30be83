//! The outbox: messages on their way to Redis. Each publisher and partition has a chain of calls, each of which contains the
//! number before its first message. No I/O: the outbox decides which call to make, and handles its outcome.
//!
//! The script accepts a call only directly after the previous one, so several calls of a chain may be in flight: if one fails,
//! or its outcome is unknown, later ones write nothing. The chain then sends nothing more until all calls in flight have ended,
//! and sends everything unacknowledged again, in order. Redis drops messages that it had accepted after all.
//!
//! A publisher that reconnects sends unacknowledged messages again. A failover may have lost some that were accepted. With a
//! single partition, Redis is asked for the highest number first ([`Outbox::welcome`]). In a Cluster every partition would have
//! to be asked, so everything is sent to Redis again instead ([`Outbox::come_back`]).
//!
//! Bounds: a call has at most [`MAX_MESSAGES`] and [`MAX_BYTES`], and a chain has at most [`MAX_UNDER_WAY`] unsettled calls in
//! flight. Further messages wait in later calls, bounded by the publishers' credit. Chains without calls are forgotten beyond
//! `limits.remembered_publishers`; each remembers [`MAX_SETTLED`] settled calls.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::{PublisherId, Seq, Topic};

use super::keys::Partition;
use crate::publication::credit::Credit;
use crate::publication::receipt::Receipt;

/// Maximum number of messages per call.
pub(super) const MAX_MESSAGES: usize = 64;

/// Maximum size of a call in bytes, unless a single message is larger.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// Maximum number of unsettled calls in flight per chain: one more than keeps Redis busy during a round trip.
const MAX_UNDER_WAY: usize = 4;

/// Maximum number of remembered settled calls per chain, for counting the losses of a failover. Beyond it two are merged.
const MAX_SETTLED: usize = 16;

/// How long Redis keeps a publisher's number. After half of this time, an idle chain no longer relies on it.
pub(super) const NUMBER_KEPT: Duration = Duration::from_hours(24);

/// Identifies a chain: a publisher and a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChainKey {
    pub(super) publisher: PublisherId,
    pub(super) partition: Partition,
}

/// A message on its way to Redis.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) seq: Seq,
    pub(super) topic: Topic,
    /// The tag of its event, the same when it is sent again.
    pub(super) tag: u64,
    /// The body of its entry, encoded as in [`super::record`].
    pub(super) body: Vec<u8>,
    pub(super) _credit: Credit,
}

/// A call of the script.
#[derive(Debug)]
struct Call {
    state: CallState,
    bytes: usize,
    messages: Vec<Outgoing>,
    /// Number of its messages that had been settled before.
    again: u64,
    /// The receipts of the messages' publications.
    receipts: Vec<Arc<Receipt>>,
}

/// A settled call.
#[derive(Clone, Copy, Debug)]
struct SettledCall {
    /// The highest number.
    last: Seq,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    Waiting,
    /// In flight, with the number that identifies its answer.
    UnderWay(u64),
    Accepted,
    Failed,
}

/// A call to be made.
#[derive(Debug)]
pub(super) struct Due<'a> {
    pub(super) chain: ChainKey,
    /// The number that identifies its answer.
    pub(super) number: u64,
    /// The sequence number that must have been accepted before. `None`: any.
    pub(super) before: Option<Seq>,
    pub(super) messages: &'a [Outgoing],
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// All messages are accepted.
    Accepted,
    /// A previous message is missing. Carries the highest accepted number, or 0.
    Missing {
        /// The highest accepted number, or 0.
        highest: u64,
    },
    /// The call was refused, or its outcome is unknown.
    Unknown,
}

/// Counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxCounts {
    /// Duplicate messages.
    pub(super) duplicates: u64,
    /// Retried calls.
    pub(super) again: u64,
    /// Acknowledged messages that a failover lost. If not all of their calls are remembered, an upper bound derived from their
    /// numbers.
    pub(super) lost: u64,
}

/// The chains of all publishers, and which of them have a call to send.
#[derive(Debug)]
pub(super) struct Outbox {
    chains: HashMap<ChainKey, Chain>,
    /// Chains that may have a call to send, by partition. No queue is empty, and each chain occurs once.
    ready: BTreeMap<Partition, VecDeque<ChainKey>>,
    /// The partition that was served last, for round robin.
    turn: Partition,
    /// Chains with a failed call, which wait for [`Outbox::resume`].
    paused: HashSet<ChainKey>,
    max_chains: usize,
    /// Number of chains above which it is worth looking for some to forget.
    forget_beyond: usize,
    last_call: u64,
    counts: OutboxCounts,
}

#[derive(Debug)]
struct Chain {
    calls: VecDeque<Call>,
    /// Number of calls, from the first on, that were sent and are not settled. At most [`MAX_UNDER_WAY`].
    sent: usize,
    /// Whether a call has failed. Nothing is sent until no call is in flight.
    is_stalled: bool,
    /// The number that the script returned when a message was missing.
    missing_behind: Option<u64>,
    /// Whether the chain is in [`Outbox::paused`].
    is_paused: bool,
    /// Whether the chain is in [`Outbox::ready`].
    is_ready: bool,
    /// The highest number known to be accepted. `None`: the next call is accepted after any number.
    known: Option<Seq>,
    /// The last settled calls up to that number, including those accepted over other nodes.
    settled: VecDeque<SettledCall>,
    /// The highest number received since the publisher reconnected.
    taken: Option<Seq>,
    /// The highest number settled before the publisher reconnected.
    settled_before: Option<Seq>,
    used: Instant,
}

impl Outbox {
    /// An empty outbox for `max_chains` chains.
    pub(super) fn new(max_chains: usize) -> Self {
        let max_chains = max_chains.max(1);
        Self {
            chains: HashMap::new(),
            ready: BTreeMap::new(),
            turn: Partition::CONTROL,
            paused: HashSet::new(),
            max_chains,
            forget_beyond: max_chains,
            last_call: 0,
            counts: OutboxCounts::default(),
        }
    }

    /// Takes the counts since the last call.
    pub(super) fn take_counts(&mut self) -> OutboxCounts {
        std::mem::take(&mut self.counts)
    }

    /// Appends messages of a publication, in the order of their numbers.
    pub(super) fn push(
        &mut self,
        key: ChainKey,
        messages: impl IntoIterator<Item = Outgoing>,
        receipt: Option<&Arc<Receipt>>,
        now: Instant,
    ) {
        let chain = self.chains.entry(key).or_insert_with(|| Chain::new(now));
        chain.doubt_what_is_old(now);
        chain.used = now;
        let (mut duplicates, mut dropped) = (0, 0);
        for message in messages {
            if Some(message.seq) <= chain.taken.max(chain.settled_before) {
                duplicates += 1;
            }
            if Some(message.seq) <= chain.taken {
                dropped += 1;
                continue;
            }
            chain.taken = Some(message.seq);
            chain.push(message, receipt);
        }
        if dropped > 0
            && let (Some(receipt), Some(last)) = (receipt, chain.calls.back_mut())
        {
            // The message may not be accepted yet.
            last.hold(receipt);
        }
        self.counts.duplicates += duplicates;
        self.mark_ready(key);
        self.forget_some_beyond_the_bound(key);
    }

    /// Notes that a publisher connected and was sent this highest accepted number. It sends all later messages again.
    pub(super) fn welcome(&mut self, key: ChainKey, highest: Option<Seq>, now: Instant) {
        let chain = self.chains.entry(key).or_insert_with(|| Chain::new(now));
        chain.doubt_what_is_old(now);
        chain.used = now;
        if chain.calls.is_empty() {
            // A failover may have lost messages whose acknowledgement the publisher did not receive. They are accepted again.
            self.counts.lost += chain.lower_known(highest.map_or(0, Seq::get));
            chain.raise_known(highest);
            chain.taken = highest;
        } else {
            chain.taken = chain.taken.max(highest);
        }
        self.forget_some_beyond_the_bound(key);
    }

    /// Notes that a publisher connected and sends all unacknowledged messages again. Chains without calls in flight send all of
    /// them to Redis.
    pub(super) fn come_back(
        &mut self,
        publisher: PublisherId,
        partitions: impl IntoIterator<Item = Partition>,
    ) {
        for partition in partitions {
            if let Some(chain) = self.chains.get_mut(&ChainKey { publisher, partition })
                && chain.calls.is_empty()
            {
                chain.settled_before = chain.settled_before.max(chain.taken);
                chain.taken = None;
            }
        }
    }

    /// The next call to send, in a partition for which `may_send` is true.
    pub(super) fn next(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<Due<'_>> {
        let key = self.next_chain(may_send)?;
        let chain = self.chains.get_mut(&key)?;
        self.last_call += 1;
        let (at, before) = chain.send_next(self.last_call)?;
        if chain.may_send() {
            // Other chains have their turn before the next call of this one.
            chain.is_ready = true;
            self.ready.entry(key.partition).or_default().push_back(key);
        }
        Some(Due { chain: key, number: self.last_call, before, messages: &chain.calls[at].messages })
    }

    /// Takes the next ready chain that may send, with round robin over the partitions.
    fn next_chain(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<ChainKey> {
        loop {
            let behind = self.ready.range((Bound::Excluded(self.turn), Bound::Unbounded));
            let mut partitions =
                behind.chain(self.ready.range(..=self.turn)).map(|(partition, _)| *partition);
            let partition = partitions.find(|partition| may_send(*partition))?;
            let queue = self.ready.get_mut(&partition)?;
            let key = queue.pop_front();
            if queue.is_empty() {
                self.ready.remove(&partition);
            }
            if let Some(key) = key
                && let Some(chain) = self.chains.get_mut(&key)
            {
                chain.is_ready = false;
                if chain.may_send() {
                    self.turn = partition;
                    return Some(key);
                }
            }
        }
    }

    /// Handles the outcome of a call. Returns the number of newly settled messages.
    pub(super) fn end_call(&mut self, key: ChainKey, number: u64, end: CallEnd) -> u64 {
        let mut accepted = 0;
        let Some(chain) = self.chains.get_mut(&key) else { return accepted };
        let Some(call) = chain.calls.iter_mut().find(|call| call.state == CallState::UnderWay(number)) else {
            return accepted;
        };
        call.state = match end {
            CallEnd::Accepted => CallState::Accepted,
            CallEnd::Missing { .. } | CallEnd::Unknown => CallState::Failed,
        };
        match end {
            CallEnd::Accepted => accepted = chain.settle(),
            CallEnd::Missing { highest } => {
                chain.is_stalled = true;
                chain.missing_behind = Some(highest);
            }
            CallEnd::Unknown => {
                chain.is_stalled = true;
                chain.is_paused = true;
                self.paused.insert(key);
            }
        }
        if chain.is_stalled && !chain.is_under_way() {
            let (again, lost) = chain.begin_again();
            self.counts.again += again;
            self.counts.lost += lost;
        }
        self.mark_ready(key);
        accepted
    }

    /// Retries failed calls in a partition.
    pub(super) fn resume(&mut self, partition: Partition) {
        for key in self.paused.extract_if(|key| key.partition == partition).collect::<Vec<_>>() {
            if let Some(chain) = self.chains.get_mut(&key) {
                chain.is_paused = false;
            }
            self.mark_ready(key);
        }
    }

    /// Whether the chain has calls that were not sent, or that failed.
    pub(super) fn has_waiting(&self, key: ChainKey) -> bool {
        self.chains.get(&key).is_some_and(|chain| chain.is_stalled || chain.sent < chain.calls.len())
    }

    fn mark_ready(&mut self, key: ChainKey) {
        if let Some(chain) = self.chains.get_mut(&key)
            && !chain.is_ready
            && chain.may_send()
        {
            chain.is_ready = true;
            self.ready.entry(key.partition).or_default().push_back(key);
        }
    }

    fn forget_some_beyond_the_bound(&mut self, spared: ChainKey) {
        if self.chains.len() > self.forget_beyond {
            self.forget_oldest(spared);
            // If all chains are busy, looking again soon would find nothing either.
            self.forget_beyond = self.max_chains.max(self.chains.len() + self.chains.len() / 8);
        }
    }

    /// Forgets the least recently used idle chains: an eighth more than necessary.
    #[cold]
    fn forget_oldest(&mut self, spared: ChainKey) {
        let mut idle: Vec<_> = self
            .chains
            .iter()
            .filter(|(key, chain)| chain.calls.is_empty() && **key != spared)
            .map(|(key, chain)| (chain.used, *key))
            .collect();
        let count = (self.chains.len().saturating_sub(self.max_chains) + self.max_chains / 8).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable_by_key(count, |(used, _)| *used);
        }
        for (_, key) in &idle[..count] {
            self.chains.remove(key);
        }
    }
}

impl Chain {
    fn new(now: Instant) -> Self {
        Self {
            calls: VecDeque::new(),
            sent: 0,
            is_stalled: false,
            missing_behind: None,
            is_paused: false,
            is_ready: false,
            known: None,
            settled: VecDeque::new(),
            taken: None,
            settled_before: None,
            used: now,
        }
    }

    /// Stops relying on the known number if Redis may have expired it.
    fn doubt_what_is_old(&mut self, now: Instant) {
        if now.saturating_duration_since(self.used) > NUMBER_KEPT / 2 {
            self.known = None;
            self.settled.clear();
        }
    }

    fn push(&mut self, message: Outgoing, receipt: Option<&Arc<Receipt>>) {
        if self.calls.is_empty() && Some(message.seq) <= self.known {
            // The message is sent again, and only earlier messages must have been accepted.
            while self.forget_settled(message.seq.get()).is_some() {}
            self.known = self.settled.back().map(|settled| settled.last);
        }
        let bytes = message.body.len();
        let has_room = self.sent < self.calls.len()
            && self
                .calls
                .back()
                .is_some_and(|call| call.messages.len() < MAX_MESSAGES && call.bytes + bytes <= MAX_BYTES);
        if !has_room {
            self.calls.push_back(Call::default());
        }
        if let Some(call) = self.calls.back_mut() {
            call.bytes += bytes;
            call.again += u64::from(Some(message.seq) <= self.settled_before);
            call.messages.push(message);
            if let Some(receipt) = receipt {
                call.hold(receipt);
            }
        }
    }

    fn may_send(&self) -> bool {
        !self.is_stalled && !self.is_paused && self.sent < self.calls.len().min(MAX_UNDER_WAY)
    }

    fn is_under_way(&self) -> bool {
        self.calls.iter().take(self.sent).any(|call| matches!(call.state, CallState::UnderWay(_)))
    }

    /// Marks the next call as in flight. Returns its index and the number before it.
    fn send_next(&mut self, number: u64) -> Option<(usize, Option<Seq>)> {
        let at = self.sent;
        self.calls.get_mut(at)?.state = CallState::UnderWay(number);
        self.sent += 1;
        let before = match at.checked_sub(1) {
            Some(before) => self.calls[before].messages.last().map(|message| message.seq),
            None => self.known,
        };
        Some((at, before))
    }

    /// Removes accepted calls from the front. Returns their number of messages.
    fn settle(&mut self) -> u64 {
        let mut accepted = 0;
        while self.calls.front().is_some_and(|call| call.state == CallState::Accepted)
            && let Some(call) = self.calls.pop_front()
        {
            self.sent -= 1;
            let messages = call.messages.len() as u64;
            accepted += messages - call.again;
            if let Some(last) = call.messages.last() {
                self.known = Some(last.seq);
                self.remember(SettledCall { last: last.seq, messages });
            }
        }
        accepted
    }

    /// Prepares to send all unsettled calls again when none is in flight, including those accepted after a call of unknown
    /// outcome, which a failover may have lost. Returns the number of these calls, and of acknowledged messages that are lost.
    fn begin_again(&mut self) -> (u64, u64) {
        for call in self.calls.iter_mut().take(self.sent) {
            call.state = CallState::Waiting;
        }
        let again = std::mem::take(&mut self.sent) as u64;
        self.is_stalled = false;
        let lost = self.missing_behind.take().map_or(0, |highest| self.lower_known(highest));
        (again, lost)
    }

    /// Lowers the known number to the highest one that Redis reports. Returns the number of messages that it has lost. Later
    /// messages are not held up.
    fn lower_known(&mut self, highest: u64) -> u64 {
        match self.known {
            Some(known) if highest < known.get() => {
                self.known = Seq::new(highest);
                let (mut lost, mut left) = (0, 0);
                while let Some(settled) = self.forget_settled(highest + 1) {
                    let gone = settled.messages.min(settled.last.get() - highest);
                    lost += gone;
                    left += settled.messages - gone;
                }
                if let Some(last) = self.known.filter(|_| left > 0) {
                    self.settled.push_back(SettledCall { last, messages: left });
                }
                lost
            }
            _ => 0,
        }
    }

    /// Raises the known number to the highest one that Redis reports, including messages accepted over other nodes. With a
    /// single partition, the difference is the number of messages.
    fn raise_known(&mut self, highest: Option<Seq>) {
        let number = |seq: Option<Seq>| seq.map_or(0, Seq::get);
        if let Some(last) = highest
            && highest > self.known
        {
            self.remember(SettledCall { last, messages: last.get() - number(self.known) });
        }
        self.known = highest;
    }

    /// Removes the last settled call if it reaches this number.
    fn forget_settled(&mut self, number: u64) -> Option<SettledCall> {
        self.settled.back().filter(|settled| settled.last.get() >= number)?;
        self.settled.pop_back()
    }

    fn remember(&mut self, settled: SettledCall) {
        self.settled.push_back(settled);
        if self.settled.len() > MAX_SETTLED
            && let Some(oldest) = self.settled.pop_front()
            && let Some(next) = self.settled.front_mut()
        {
            next.messages += oldest.messages;
        }
    }
}

impl Default for Call {
    fn default() -> Self {
        Self { state: CallState::Waiting, bytes: 0, messages: Vec::new(), again: 0, receipts: Vec::new() }
    }
}

impl Call {
    fn hold(&mut self, receipt: &Arc<Receipt>) {
        if !self.receipts.last().is_some_and(|last| Arc::ptr_eq(last, receipt)) {
            self.receipts.push(Arc::clone(receipt));
        }
    }
}

#[cfg(test)]
mod tests;
