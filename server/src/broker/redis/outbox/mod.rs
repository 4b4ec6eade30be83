//! The outbox: messages that are to be published in Redis. Each publisher and partition has a flow of calls to the script. Each
//! call contains the number of the message before its first one. No I/O: the outbox decides which call to send, and handles its
//! outcome.
//!
//! The script accepts a call only directly after the previous one, so several calls of a flow may be in flight: if one fails,
//! or its outcome is unknown, later ones write nothing. The flow then sends nothing more until all calls in flight have ended,
//! and resends all unsettled calls in order. Redis drops messages that it has accepted already.
//!
//! A publisher that reconnects resends its unacknowledged messages. A failover may have lost some that were accepted. With a
//! single partition, Redis is asked for the highest number first ([`Outbox::begin_after`]). In a Cluster every partition would
//! have to be asked, so all messages are sent to Redis again instead ([`Outbox::expect_resends`]).
//!
//! Bounds: a call has at most [`MAX_MESSAGES`] and [`MAX_BYTES`], and a flow has at most [`MAX_IN_FLIGHT`] unsettled calls in
//! flight. Further messages wait in later calls, bounded by the publishers' credit. Flows without calls are forgotten beyond
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

/// Maximum number of unsettled calls in flight per flow: one more than keeps Redis busy during a round trip.
const MAX_IN_FLIGHT: usize = 4;

/// Maximum number of remembered settled calls per flow, for counting the losses of a failover. Beyond it two are merged.
const MAX_SETTLED: usize = 16;

/// How long Redis keeps a publisher's number. After half of this time, an idle flow no longer relies on it.
pub(super) const NUMBER_EXPIRY: Duration = Duration::from_hours(24);

/// Identifies a flow: the messages of a publisher in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    pub(super) publisher: PublisherId,
    pub(super) partition: Partition,
}

/// A message that is to be published in Redis.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) seq: Seq,
    pub(super) topic: Topic,
    /// The tag of its event, which does not change when the message is resent.
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
    /// Number of its messages that were settled over an earlier connection of the publisher.
    retried: u64,
    /// The receipts of the messages' publications.
    receipts: Vec<Arc<Receipt>>,
}

/// A settled call: Redis has accepted it and all earlier ones of its flow.
#[derive(Clone, Copy, Debug)]
struct SettledCall {
    /// The number of its last message.
    last: Seq,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    Waiting,
    /// In flight, with the number that identifies its answer.
    InFlight(u64),
    Accepted,
    Failed,
}

/// A call to send.
#[derive(Debug)]
pub(super) struct DueCall<'a> {
    pub(super) flow: FlowKey,
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
    /// Redis does not have the message before the first one.
    Missing {
        /// The highest accepted number, or 0.
        highest: u64,
    },
    /// The call has failed, or its outcome is unknown.
    Unknown,
}

/// Counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxCounts {
    /// Duplicate messages.
    pub(super) duplicates: u64,
    /// Retried calls.
    pub(super) retried: u64,
    /// Acknowledged messages that a failover has lost. An upper bound, derived from their numbers, if not all of their calls are
    /// remembered.
    pub(super) lost: u64,
}

/// The flows of all publishers, and which of them have a call to send.
#[derive(Debug)]
pub(super) struct Outbox {
    flows: HashMap<FlowKey, Flow>,
    /// Flows that may have a call to send, by partition. No queue is empty, and each flow occurs once.
    ready: BTreeMap<Partition, VecDeque<FlowKey>>,
    /// The partition that was served last, for round robin.
    last_served: Partition,
    /// Flows with a failed call, which wait for [`Outbox::resume`].
    paused: HashSet<FlowKey>,
    max_flows: usize,
    /// Number of flows above which idle ones are forgotten.
    forget_above: usize,
    last_call: u64,
    counts: OutboxCounts,
}

#[derive(Debug)]
struct Flow {
    calls: VecDeque<Call>,
    /// Number of calls, from the first on, that were sent and are not settled. At most [`MAX_IN_FLIGHT`].
    sent: usize,
    /// Whether a call has failed. Nothing is sent until no call is in flight.
    is_stalled: bool,
    /// The highest accepted number that the script returned when a message was missing.
    missing_after: Option<u64>,
    /// Whether the flow is in [`Outbox::paused`].
    is_paused: bool,
    /// Whether the flow is in [`Outbox::ready`].
    is_ready: bool,
    /// The highest number that Redis is known to have accepted. `None`: unknown, so the next call does not depend on it.
    accepted_up_to: Option<Seq>,
    /// The last settled calls up to that number, including those of other nodes.
    settled: VecDeque<SettledCall>,
    /// The highest number received since the publisher connected.
    received: Option<Seq>,
    /// The highest number settled before the publisher connected.
    settled_earlier: Option<Seq>,
    used: Instant,
}

impl Outbox {
    /// An empty outbox for `max_flows` flows.
    pub(super) fn new(max_flows: usize) -> Self {
        let max_flows = max_flows.max(1);
        Self {
            flows: HashMap::new(),
            ready: BTreeMap::new(),
            last_served: Partition::CONTROL,
            paused: HashSet::new(),
            max_flows,
            forget_above: max_flows,
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
        key: FlowKey,
        messages: impl IntoIterator<Item = Outgoing>,
        receipt: Option<&Arc<Receipt>>,
        now: Instant,
    ) {
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(now));
        flow.forget_expired_number(now);
        flow.used = now;
        let (mut duplicates, mut dropped) = (0, 0);
        for message in messages {
            if Some(message.seq) <= flow.received.max(flow.settled_earlier) {
                duplicates += 1;
            }
            if Some(message.seq) <= flow.received {
                dropped += 1;
                continue;
            }
            flow.received = Some(message.seq);
            flow.push(message, receipt);
        }
        if dropped > 0
            && let (Some(receipt), Some(last)) = (receipt, flow.calls.back_mut())
        {
            // The message may not be accepted yet.
            last.hold(receipt);
        }
        self.counts.duplicates += duplicates;
        self.mark_ready(key);
        self.enforce_bound(key);
    }

    /// Notes that a publisher has connected and resends all messages after this highest accepted number.
    pub(super) fn begin_after(&mut self, key: FlowKey, highest: Option<Seq>, now: Instant) {
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(now));
        flow.forget_expired_number(now);
        flow.used = now;
        if flow.calls.is_empty() {
            // A failover may have lost messages whose acknowledgement the publisher did not receive. They are accepted again.
            self.counts.lost += flow.lower_accepted(highest.map_or(0, Seq::get));
            flow.raise_accepted(highest);
            flow.received = highest;
        } else {
            flow.received = flow.received.max(highest);
        }
        self.enforce_bound(key);
    }

    /// Notes that a publisher has connected and resends all unacknowledged messages. Flows without calls send all of them to
    /// Redis.
    pub(super) fn expect_resends(
        &mut self,
        publisher: PublisherId,
        partitions: impl IntoIterator<Item = Partition>,
    ) {
        for partition in partitions {
            if let Some(flow) = self.flows.get_mut(&FlowKey { publisher, partition })
                && flow.calls.is_empty()
            {
                flow.settled_earlier = flow.settled_earlier.max(flow.received);
                flow.received = None;
            }
        }
    }

    /// The next call to send, in a partition for which `may_send` is true.
    pub(super) fn next(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<DueCall<'_>> {
        let key = self.next_flow(may_send)?;
        let flow = self.flows.get_mut(&key)?;
        self.last_call += 1;
        let (at, before) = flow.send_next(self.last_call)?;
        if flow.may_send() {
            // Other flows are served before the next call of this one.
            flow.is_ready = true;
            self.ready.entry(key.partition).or_default().push_back(key);
        }
        Some(DueCall { flow: key, number: self.last_call, before, messages: &flow.calls[at].messages })
    }

    /// Takes the next ready flow that may send, with round robin over the partitions.
    fn next_flow(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<FlowKey> {
        loop {
            let behind = self.ready.range((Bound::Excluded(self.last_served), Bound::Unbounded));
            let mut partitions =
                behind.chain(self.ready.range(..=self.last_served)).map(|(partition, _)| *partition);
            let partition = partitions.find(|partition| may_send(*partition))?;
            let queue = self.ready.get_mut(&partition)?;
            let key = queue.pop_front();
            if queue.is_empty() {
                self.ready.remove(&partition);
            }
            if let Some(key) = key
                && let Some(flow) = self.flows.get_mut(&key)
            {
                flow.is_ready = false;
                if flow.may_send() {
                    self.last_served = partition;
                    return Some(key);
                }
            }
        }
    }

    /// Handles the outcome of a call. Returns the number of newly settled messages.
    pub(super) fn end_call(&mut self, key: FlowKey, number: u64, end: CallEnd) -> u64 {
        let mut accepted = 0;
        let Some(flow) = self.flows.get_mut(&key) else { return accepted };
        let Some(call) = flow.calls.iter_mut().find(|call| call.state == CallState::InFlight(number)) else {
            return accepted;
        };
        call.state = match end {
            CallEnd::Accepted => CallState::Accepted,
            CallEnd::Missing { .. } | CallEnd::Unknown => CallState::Failed,
        };
        match end {
            CallEnd::Accepted => accepted = flow.settle(),
            CallEnd::Missing { highest } => {
                flow.is_stalled = true;
                flow.missing_after = Some(highest);
            }
            CallEnd::Unknown => {
                flow.is_stalled = true;
                flow.is_paused = true;
                self.paused.insert(key);
            }
        }
        if flow.is_stalled && !flow.has_in_flight() {
            let (retried, lost) = flow.restart();
            self.counts.retried += retried;
            self.counts.lost += lost;
        }
        self.mark_ready(key);
        accepted
    }

    /// Retries failed calls in a partition.
    pub(super) fn resume(&mut self, partition: Partition) {
        for key in self.paused.extract_if(|key| key.partition == partition).collect::<Vec<_>>() {
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.is_paused = false;
            }
            self.mark_ready(key);
        }
    }

    /// Whether the flow has calls that were not sent, or that failed.
    pub(super) fn has_unsent(&self, key: FlowKey) -> bool {
        self.flows.get(&key).is_some_and(|flow| flow.is_stalled || flow.sent < flow.calls.len())
    }

    fn mark_ready(&mut self, key: FlowKey) {
        if let Some(flow) = self.flows.get_mut(&key)
            && !flow.is_ready
            && flow.may_send()
        {
            flow.is_ready = true;
            self.ready.entry(key.partition).or_default().push_back(key);
        }
    }

    fn enforce_bound(&mut self, except: FlowKey) {
        if self.flows.len() > self.forget_above {
            self.forget_oldest(except);
            // If all flows are busy, searching again soon would find none either.
            self.forget_above = self.max_flows.max(self.flows.len() + self.flows.len() / 8);
        }
    }

    /// Forgets the least recently used idle flows: an eighth more than necessary.
    #[cold]
    fn forget_oldest(&mut self, except: FlowKey) {
        let mut idle: Vec<_> = self
            .flows
            .iter()
            .filter(|(key, flow)| flow.calls.is_empty() && **key != except)
            .map(|(key, flow)| (flow.used, *key))
            .collect();
        let count = (self.flows.len().saturating_sub(self.max_flows) + self.max_flows / 8).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable_by_key(count, |(used, _)| *used);
        }
        for (_, key) in &idle[..count] {
            self.flows.remove(key);
        }
    }
}

impl Flow {
    fn new(now: Instant) -> Self {
        Self {
            calls: VecDeque::new(),
            sent: 0,
            is_stalled: false,
            missing_after: None,
            is_paused: false,
            is_ready: false,
            accepted_up_to: None,
            settled: VecDeque::new(),
            received: None,
            settled_earlier: None,
            used: now,
        }
    }

    /// Forgets the highest accepted number if it may have expired in Redis.
    fn forget_expired_number(&mut self, now: Instant) {
        if now.saturating_duration_since(self.used) > NUMBER_EXPIRY / 2 {
            self.accepted_up_to = None;
            self.settled.clear();
        }
    }

    fn push(&mut self, message: Outgoing, receipt: Option<&Arc<Receipt>>) {
        if self.calls.is_empty() && Some(message.seq) <= self.accepted_up_to {
            // The message is resent, so the call must depend on earlier messages only.
            while self.forget_settled(message.seq.get()).is_some() {}
            self.accepted_up_to = self.settled.back().map(|settled| settled.last);
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
            call.retried += u64::from(Some(message.seq) <= self.settled_earlier);
            call.messages.push(message);
            if let Some(receipt) = receipt {
                call.hold(receipt);
            }
        }
    }

    fn may_send(&self) -> bool {
        !self.is_stalled && !self.is_paused && self.sent < self.calls.len().min(MAX_IN_FLIGHT)
    }

    fn has_in_flight(&self) -> bool {
        self.calls.iter().take(self.sent).any(|call| matches!(call.state, CallState::InFlight(_)))
    }

    /// Marks the next call as in flight. Returns its index and the number before it.
    fn send_next(&mut self, number: u64) -> Option<(usize, Option<Seq>)> {
        let at = self.sent;
        self.calls.get_mut(at)?.state = CallState::InFlight(number);
        self.sent += 1;
        let before = match at.checked_sub(1) {
            Some(before) => self.calls[before].messages.last().map(|message| message.seq),
            None => self.accepted_up_to,
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
            accepted += messages - call.retried;
            if let Some(last) = call.messages.last() {
                self.accepted_up_to = Some(last.seq);
                self.remember(SettledCall { last: last.seq, messages });
            }
        }
        accepted
    }

    /// Prepares to send all unsettled calls again when none is in flight, including those accepted after a call of unknown
    /// outcome, which a failover may have lost. Returns the number of these calls, and the number of acknowledged messages that
    /// are lost.
    fn restart(&mut self) -> (u64, u64) {
        for call in self.calls.iter_mut().take(self.sent) {
            call.state = CallState::Waiting;
        }
        let retried = std::mem::take(&mut self.sent) as u64;
        self.is_stalled = false;
        let lost = self.missing_after.take().map_or(0, |highest| self.lower_accepted(highest));
        (retried, lost)
    }

    /// Lowers the highest accepted number to the one that Redis reports, so that later messages are accepted. Returns the number
    /// of messages that Redis has lost.
    fn lower_accepted(&mut self, highest: u64) -> u64 {
        match self.accepted_up_to {
            Some(accepted_up_to) if highest < accepted_up_to.get() => {
                self.accepted_up_to = Seq::new(highest);
                let (mut lost, mut left) = (0, 0);
                while let Some(settled) = self.forget_settled(highest + 1) {
                    let gone = settled.messages.min(settled.last.get() - highest);
                    lost += gone;
                    left += settled.messages - gone;
                }
                if let Some(last) = self.accepted_up_to.filter(|_| left > 0) {
                    self.settled.push_back(SettledCall { last, messages: left });
                }
                lost
            }
            _ => 0,
        }
    }

    /// Raises the highest accepted number to the one that Redis reports, which includes messages accepted from other nodes. With
    /// a single partition, the difference is the number of messages.
    fn raise_accepted(&mut self, highest: Option<Seq>) {
        let number = |seq: Option<Seq>| seq.map_or(0, Seq::get);
        if let Some(last) = highest
            && highest > self.accepted_up_to
        {
            self.remember(SettledCall { last, messages: last.get() - number(self.accepted_up_to) });
        }
        self.accepted_up_to = highest;
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
        Self { state: CallState::Waiting, bytes: 0, messages: Vec::new(), retried: 0, receipts: Vec::new() }
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
