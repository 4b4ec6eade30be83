//! What is on its way to Redis: of each publisher and partition a chain of calls, each of which names the number before its first
//! message. Pure: it says which call is to be made, and hears how it ended.
//!
//! The script accepts a call only behind the one before it, so several may be under way at once: if one fails, or nobody knows what
//! became of it, those behind it write nothing. Then nothing more of this chain is sent until all have ended, and all that is not
//! known to be accepted is sent again, in order. What Redis had accepted after all is dropped there.
//!
//! Bounds: a call has at most [`MAX_MESSAGES`] and [`MAX_BYTES`], a chain [`MAX_UNDER_WAY`] calls under way; messages wait in the
//! calls behind them, held by the credit of whoever published them. Chains without a call are forgotten beyond
//! `limits.remembered_publishers`.

use std::collections::{HashMap, HashSet, VecDeque};
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

/// Calls of a chain that may be under way: one more than what keeps Redis busy while an answer is on its way back.
const MAX_UNDER_WAY: usize = 4;

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
pub(super) struct Call {
    number: u64,
    state: CallState,
    bytes: usize,
    pub(super) messages: Vec<Outgoing>,
    /// Of the publications that these messages are of.
    receipts: Vec<Arc<Receipt>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    Waiting,
    UnderWay,
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
    /// Messages that were accepted.
    pub(super) accepted: u64,
    /// Messages that came again.
    pub(super) duplicates: u64,
    /// Calls that were made again.
    pub(super) again: u64,
    /// Messages that were acknowledged, and that Redis no longer knows of: a failover lost them.
    pub(super) lost: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    chains: HashMap<ChainKey, Chain>,
    /// Chains that may have a call to be made. Each stands here once.
    ready: VecDeque<ChainKey>,
    /// Chains of which something failed. They wait for [`Outbox::resume`].
    paused: HashSet<ChainKey>,
    max_chains: usize,
    last_call: u64,
    counts: OutboxCounts,
}

#[derive(Debug)]
struct Chain {
    calls: VecDeque<Call>,
    under_way: usize,
    /// A call has not ended well: nothing is sent until none is under way.
    is_stalled: bool,
    /// What the script said where something was missing.
    missing_behind: Option<u64>,
    /// It stands in [`Outbox::paused`].
    is_paused: bool,
    is_ready: bool,
    /// The highest number that is known to be accepted. None: the next call is accepted behind any.
    known: Option<Seq>,
    /// The highest number that was taken.
    taken: Option<Seq>,
    used: Instant,
}

impl Outbox {
    /// Nothing is on its way; room for so many chains.
    pub(super) fn new(max_chains: usize) -> Self {
        Self {
            chains: HashMap::new(),
            ready: VecDeque::new(),
            paused: HashSet::new(),
            max_chains: max_chains.max(1),
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
        let last_call = &mut self.last_call;
        let chain = self.chains.entry(key).or_insert_with(|| Chain::new(now));
        if chain.calls.is_empty() && now.saturating_duration_since(chain.used) > NUMBER_KEPT / 2 {
            chain.known = None;
        }
        chain.used = now;
        let mut duplicates = 0;
        for message in messages {
            if chain.taken.is_some_and(|taken| message.seq <= taken) {
                duplicates += 1;
                continue;
            }
            chain.taken = Some(message.seq);
            chain.push(message, receipt, last_call);
        }
        if duplicates > 0
            && let (Some(receipt), Some(last)) = (receipt, chain.calls.back_mut())
        {
            // Perhaps not accepted yet.
            last.hold(receipt);
        }
        self.counts.duplicates += duplicates;
        self.mark_ready(key);
        if self.chains.len() > self.max_chains {
            self.forget_oldest(key);
        }
    }

    /// A publisher has come to this node, and is told that this was accepted of it.
    pub(super) fn welcome(&mut self, key: ChainKey, highest: Option<Seq>, now: Instant) {
        let chain = self.chains.entry(key).or_insert_with(|| Chain::new(now));
        chain.used = now;
        chain.taken = chain.taken.max(highest);
        if chain.calls.is_empty() {
            chain.known = highest;
        }
    }

    /// The next call to be made in a partition for which `may_send` is true.
    pub(super) fn next(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<Due<'_>> {
        let (chain, at, before) = self.next_due(may_send)?;
        let call = &self.chains.get(&chain)?.calls[at];
        Some(Due { chain, number: call.number, before, messages: &call.messages })
    }

    fn next_due(&mut self, may_send: impl Fn(Partition) -> bool) -> Option<(ChainKey, usize, Option<Seq>)> {
        for _ in 0..self.ready.len() {
            let key = *self.ready.front()?;
            if !may_send(key.partition) {
                self.ready.rotate_left(1);
                continue;
            }
            let chain = self.chains.get_mut(&key);
            let sent = chain.and_then(|chain| {
                let sent = chain.send_next();
                chain.is_ready = sent.is_some();
                sent
            });
            let Some((at, before)) = sent else {
                self.ready.pop_front();
                continue;
            };
            // The others have their turn before its next call.
            self.ready.rotate_left(1);
            return Some((key, at, before));
        }
        None
    }

    /// How a call ended.
    pub(super) fn end_call(&mut self, key: ChainKey, number: u64, end: CallEnd) {
        let Some(chain) = self.chains.get_mut(&key) else { return };
        let Ok(at) = chain.calls.binary_search_by_key(&number, |call| call.number) else { return };
        chain.under_way -= 1;
        chain.calls[at].state = match end {
            CallEnd::Accepted => CallState::Accepted,
            CallEnd::Missing { .. } | CallEnd::Unknown => CallState::Failed,
        };
        match end {
            CallEnd::Accepted => self.counts.accepted += chain.settle(),
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
        if chain.is_stalled && chain.under_way == 0 {
            let (again, lost) = chain.begin_again();
            self.counts.again += again;
            self.counts.lost += lost;
        }
        self.mark_ready(key);
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
        let waits = |call: &Call| matches!(call.state, CallState::Waiting | CallState::Failed);
        self.chains.get(&key).is_some_and(|chain| chain.calls.iter().any(waits))
    }

    fn mark_ready(&mut self, key: ChainKey) {
        if let Some(chain) = self.chains.get_mut(&key)
            && !chain.is_ready
            && chain.may_send()
        {
            chain.is_ready = true;
            self.ready.push_back(key);
        }
    }

    /// Forgets an eighth of the chains, those that published longest ago, as far as nothing of them is under way.
    #[cold]
    fn forget_oldest(&mut self, spared: ChainKey) {
        let mut idle: Vec<_> = self
            .chains
            .iter()
            .filter(|(key, chain)| chain.calls.is_empty() && **key != spared)
            .map(|(key, chain)| (chain.used, *key))
            .collect();
        let count = (self.chains.len() / 8 + 1).min(idle.len());
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
            under_way: 0,
            is_stalled: false,
            missing_behind: None,
            is_paused: false,
            is_ready: false,
            known: None,
            taken: None,
            used: now,
        }
    }

    fn push(&mut self, message: Outgoing, receipt: Option<&Arc<Receipt>>, last_call: &mut u64) {
        let bytes = message.body.len();
        let has_room = self.calls.back().is_some_and(|call| {
            call.state == CallState::Waiting
                && call.messages.len() < MAX_MESSAGES
                && call.bytes + bytes <= MAX_BYTES
        });
        if !has_room {
            *last_call += 1;
            self.calls.push_back(Call::new(*last_call));
        }
        if let Some(call) = self.calls.back_mut() {
            call.bytes += bytes;
            call.messages.push(message);
            if let Some(receipt) = receipt {
                call.hold(receipt);
            }
        }
    }

    fn may_send(&self) -> bool {
        !self.is_stalled
            && !self.is_paused
            && self.under_way < MAX_UNDER_WAY
            && self.calls.iter().any(|call| call.state == CallState::Waiting)
    }

    /// Marks the next call as under way: where it is, and the number before it.
    fn send_next(&mut self) -> Option<(usize, Option<Seq>)> {
        if !self.may_send() {
            return None;
        }
        let at = self.calls.iter().position(|call| call.state == CallState::Waiting)?;
        self.calls[at].state = CallState::UnderWay;
        self.under_way += 1;
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
            accepted += call.messages.len() as u64;
            self.known = call.messages.last().map(|message| message.seq);
        }
        accepted
    }

    /// None is under way: all that is not accepted will be sent again. How many calls, and how many messages of those that were
    /// acknowledged are lost.
    fn begin_again(&mut self) -> (u64, u64) {
        let mut again = 0;
        for call in self.calls.iter_mut().filter(|call| call.state == CallState::Failed) {
            call.state = CallState::Waiting;
            again += 1;
        }
        self.is_stalled = false;
        let lost = match (self.missing_behind.take(), self.known) {
            (Some(highest), Some(known)) if highest < known.get() => {
                // Nobody has it any more. What follows is not held up.
                self.known = None;
                known.get() - highest
            }
            _ => 0,
        };
        (again, lost)
    }
}

impl Call {
    fn new(number: u64) -> Self {
        Self { number, state: CallState::Waiting, bytes: 0, messages: Vec::new(), receipts: Vec::new() }
    }

    fn hold(&mut self, receipt: &Arc<Receipt>) {
        if !self.receipts.last().is_some_and(|last| Arc::ptr_eq(last, receipt)) {
            self.receipts.push(Arc::clone(receipt));
        }
    }
}
