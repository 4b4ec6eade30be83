//! What is on its way to Redis: of each publisher and partition a chain of calls, each of which names the number before its first
//! message. Pure: it says which call is to be made, and hears how it ended.
//!
//! The script accepts a call only behind the one before it, so several may be under way at once: if one fails, or nobody knows what
//! became of it, those behind it write nothing. Then nothing more of this chain is sent until all have ended, and all that was not
//! acknowledged is sent again, in order. What Redis had accepted after all is dropped there.
//!
//! A publisher that comes back sends again what it has not heard of. Of that, a failover may have lost what was accepted: where there
//! is one partition, Redis is asked before ([`Outbox::welcome`]); in a Cluster, which would have to be asked for each, all of it is
//! sent to Redis again ([`Outbox::come_back`]).
//!
//! Bounds: a call has at most [`MAX_MESSAGES`] and [`MAX_BYTES`], a chain [`MAX_UNDER_WAY`] calls that were sent and are not settled;
//! messages wait in the calls behind them, held by the credit of whoever published them. Chains without a call are forgotten beyond
//! `limits.remembered_publishers`; each knows [`MAX_SETTLED`] calls that were settled.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::{PublisherId, Seq, Topic};

use super::keys::Partition;
use crate::publication::credit::Credit;
use crate::publication::receipt::Receipt;

/// The most messages of a call.
pub(super) const MAX_MESSAGES: usize = 64;

/// The most bytes of a call, unless a single message is larger.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// Calls of a chain that may be sent and not settled: one more than what keeps Redis busy while an answer is on its way back.
const MAX_UNDER_WAY: usize = 4;

/// Settled calls that a chain knows, to count what a failover loses. Beyond that two of them are one.
const MAX_SETTLED: usize = 16;

/// How long Redis keeps the number of a publisher. After half of it, a chain that nothing was sent of asks for none.
pub(super) const NUMBER_KEPT: Duration = Duration::from_hours(24);

/// A publisher's messages of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChainKey {
    pub(super) publisher: PublisherId,
    pub(super) partition: Partition,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) seq: Seq,
    pub(super) topic: Topic,
    /// Its event's tag. It keeps it when it is sent again.
    pub(super) tag: u64,
    /// See [`super::record`].
    pub(super) body: Vec<u8>,
    pub(super) _credit: Credit,
}

/// A call of the script.
#[derive(Debug)]
struct Call {
    state: CallState,
    bytes: usize,
    messages: Vec<Outgoing>,
    /// How many of them were settled before already.
    again: u64,
    /// Of the publications that these messages are of.
    receipts: Vec<Arc<Receipt>>,
}

/// Messages that were settled.
#[derive(Clone, Copy, Debug)]
struct SettledCall {
    /// The highest number.
    last: Seq,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    Waiting,
    /// Its answer is told by this number.
    UnderWay(u64),
    Accepted,
    Failed,
}

/// A call to be made.
#[derive(Debug)]
pub(super) struct Due<'a> {
    pub(super) chain: ChainKey,
    /// What its answer is told by.
    pub(super) number: u64,
    /// The number that must have been accepted before. None: any.
    pub(super) before: Option<Seq>,
    pub(super) messages: &'a [Outgoing],
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// All of it is accepted.
    Accepted,
    /// Something before it is missing: this is the highest number that was accepted, or 0.
    Missing {
        /// That number.
        highest: u64,
    },
    /// It was refused, or nobody knows.
    Unknown,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxCounts {
    /// Messages that came again.
    pub(super) duplicates: u64,
    /// Calls that were made again.
    pub(super) again: u64,
    /// Messages that were acknowledged, and that Redis no longer knows of: a failover lost them. Where those calls are not all known any
    /// more, at most as many as their numbers allow.
    pub(super) lost: u64,
}

/// The chains of all publishers, and which of them have a call to be made.
#[derive(Debug)]
pub(super) struct Outbox {
    chains: HashMap<ChainKey, Chain>,
    /// Chains that may have a call to be made, by partition; none is empty. Each chain stands here once.
    ready: BTreeMap<Partition, VecDeque<ChainKey>>,
    /// The partition that had its turn last.
    turn: Partition,
    /// Chains of which something failed. They wait for [`Outbox::resume`].
    paused: HashSet<ChainKey>,
    max_chains: usize,
    /// How many there may be until it is worth looking for some to forget.
    forget_beyond: usize,
    last_call: u64,
    counts: OutboxCounts,
}

#[derive(Debug)]
struct Chain {
    calls: VecDeque<Call>,
    /// How many of them, the first, were sent and are not settled: at most [`MAX_UNDER_WAY`].
    sent: usize,
    /// A call has not ended well: nothing is sent until none is under way.
    is_stalled: bool,
    /// What the script said where something was missing.
    missing_behind: Option<u64>,
    /// It stands in [`Outbox::paused`].
    is_paused: bool,
    /// It stands in [`Outbox::ready`].
    is_ready: bool,
    /// The highest number that is known to be accepted. None: the next call is accepted behind any.
    known: Option<Seq>,
    /// The last calls up to that, and what was accepted of the publisher elsewhere.
    settled: VecDeque<SettledCall>,
    /// The highest number that was taken since the publisher came back.
    taken: Option<Seq>,
    /// The highest number that was settled before it did.
    settled_before: Option<Seq>,
    used: Instant,
}

impl Outbox {
    /// Nothing is on its way; room for so many chains.
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

    /// What was counted since the last time.
    pub(super) fn take_counts(&mut self) -> OutboxCounts {
        std::mem::take(&mut self.counts)
    }

    /// Takes messages of a publication, in the order of their numbers.
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
            // Perhaps not accepted yet.
            last.hold(receipt);
        }
        self.counts.duplicates += duplicates;
        self.mark_ready(key);
        self.forget_some_beyond_the_bound(key);
    }

    /// A publisher has come to this node, and is told that this was accepted of it: what is behind it comes again.
    pub(super) fn welcome(&mut self, key: ChainKey, highest: Option<Seq>, now: Instant) {
        let chain = self.chains.entry(key).or_insert_with(|| Chain::new(now));
        chain.doubt_what_is_old(now);
        chain.used = now;
        if chain.calls.is_empty() {
            // A failover may have lost what was acknowledged, and the publisher may not have heard of it: it is taken again.
            self.counts.lost += chain.lower_known(highest.map_or(0, Seq::get));
            chain.raise_known(highest);
            chain.taken = highest;
        } else {
            chain.taken = chain.taken.max(highest);
        }
        self.forget_some_beyond_the_bound(key);
    }

    /// A publisher has come to this node, and sends all again that it has not heard of: where nothing is on its way, all of it is taken
    /// again.
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

    /// The next call to be made in a partition for which `may_send` is true.
    pub(super) fn next(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<Due<'_>> {
        let key = self.next_chain(may_send)?;
        let chain = self.chains.get_mut(&key)?;
        self.last_call += 1;
        let (at, before) = chain.send_next(self.last_call)?;
        if chain.may_send() {
            // The others have their turn before its next call.
            chain.is_ready = true;
            self.ready.entry(key.partition).or_default().push_back(key);
        }
        Some(Due { chain: key, number: self.last_call, before, messages: &chain.calls[at].messages })
    }

    /// Takes the next chain that may send from those that are ready. All partitions have their turn.
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

    /// Takes how a call ended: how many messages are settled by it.
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

    /// What failed in a partition is worth another try.
    pub(super) fn resume(&mut self, partition: Partition) {
        for key in self.paused.extract_if(|key| key.partition == partition).collect::<Vec<_>>() {
            if let Some(chain) = self.chains.get_mut(&key) {
                chain.is_paused = false;
            }
            self.mark_ready(key);
        }
    }

    /// Whether something of this chain was not sent yet, or has failed.
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
            // Where all are busy, the next look would find as little.
            self.forget_beyond = self.max_chains.max(self.chains.len() + self.chains.len() / 8);
        }
    }

    /// Forgets the chains that published longest ago, as far as nothing of them is under way: an eighth more than there must be.
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

    /// Redis does not keep the number for ever.
    fn doubt_what_is_old(&mut self, now: Instant) {
        if now.saturating_duration_since(self.used) > NUMBER_KEPT / 2 {
            self.known = None;
            self.settled.clear();
        }
    }

    fn push(&mut self, message: Outgoing, receipt: Option<&Arc<Receipt>>) {
        if self.calls.is_empty() && Some(message.seq) <= self.known {
            // It is sent again, and only what is before it must have been accepted.
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

    /// Marks the next call as under way: where it is, and the number before it.
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

    /// Lets go of the first calls that are accepted. How many messages they had.
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

    /// None is under way: all that is not settled will be sent again, also what was accepted behind something that nobody knows of.
    /// A failover may have lost it, and nobody was told. How many calls, and how many messages of those that were acknowledged are
    /// lost.
    fn begin_again(&mut self) -> (u64, u64) {
        for call in self.calls.iter_mut().take(self.sent) {
            call.state = CallState::Waiting;
        }
        let again = std::mem::take(&mut self.sent) as u64;
        self.is_stalled = false;
        let lost = self.missing_behind.take().map_or(0, |highest| self.lower_known(highest));
        (again, lost)
    }

    /// Redis says that this is the highest number that it has accepted. How many it has forgotten: nobody has them any more, and what
    /// follows is not held up.
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

    /// Redis says that this is the highest number that it has accepted, of whatever node. Where there is one partition there are as many
    /// messages.
    fn raise_known(&mut self, highest: Option<Seq>) {
        let number = |seq: Option<Seq>| seq.map_or(0, Seq::get);
        if let Some(last) = highest
            && highest > self.known
        {
            self.remember(SettledCall { last, messages: last.get() - number(self.known) });
        }
        self.known = highest;
    }

    /// Forgets the last settled call, if it goes up to this number or beyond.
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
