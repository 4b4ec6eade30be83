//! Status of a publisher's link: a snapshot for the application, and the shared record behind it.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Maximum number of topics whose refusals are remembered; the oldest are dropped.
pub const MAX_REFUSALS: usize = 32;

/// State of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing was published yet: no thread, no connection.
    Idle,
    /// Connecting to an endpoint.
    Connecting,
    /// The server has welcomed this publisher.
    Connected,
    /// All endpoints have failed; the next attempt follows after a delay.
    BackingOff,
    /// The server refuses this publisher, usually because of a different secret. It is retried automatically, but fails until
    /// the configuration is corrected.
    Refused,
    /// Shut down.
    Closed,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Idle, Self::Connecting, Self::Connected, Self::BackingOff, Self::Refused, Self::Closed];

    /// Name of the state in `orosync_status()`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::BackingOff => "backing-off",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// Snapshot of a link. At every moment accepted = acknowledged + unacknowledged + queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// State of the link.
    pub state: State,
    /// Messages not sent yet.
    pub queued: u64,
    /// Messages sent but not acknowledged yet.
    pub unacknowledged: u64,
    /// Messages that this process has accepted.
    pub accepted: u64,
    /// Messages that the server has acknowledged.
    pub acknowledged: u64,
    /// Messages refused because the queue was full.
    pub refused: u64,
    /// Number of reconnects.
    pub reconnects: u64,
    /// Number of outages. One begins when an attempt to connect has failed with every endpoint after an earlier success, or
    /// when an endpoint that answers did not acknowledge in time and no other endpoint was available or acknowledged either.
    pub outages: u64,
    /// Whether an outage of the second kind lasts: no endpoint acknowledges, whatever the state.
    pub is_stalled: bool,
    /// Messages that the server acknowledged but does not deliver.
    pub undeliverable: u64,
    /// Message of the last error. It remains after the link has recovered.
    pub last_error: Option<String>,
}

/// Messages that the server does not deliver, because their topic is not declared or not open to publishers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The topic. The server names only the first topic for each acknowledgement; other messages of the batch count here too.
    pub topic: String,
    /// The server's reason.
    pub reason: String,
    /// Number of messages.
    pub messages: NonZeroU64,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, reason, messages } = self;
        let noun = if messages.get() == 1 { "message" } else { "messages" };
        write!(f, "the server does not deliver {messages} {noun} to the topic \"{topic}\": {reason}")
    }
}

/// Undelivered messages of one acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undeliverable {
    pub(crate) refusal: Refusal,
    /// The refusal as a message for `last_error`.
    pub(crate) sentence: String,
}

impl Status {
    /// Status before the first message.
    pub(crate) fn idle() -> Self {
        Self {
            state: State::Idle,
            queued: 0,
            unacknowledged: 0,
            accepted: 0,
            acknowledged: 0,
            refused: 0,
            reconnects: 0,
            outages: 0,
            is_stalled: false,
            undeliverable: 0,
            last_error: None,
        }
    }
}

/// Shared record of the link. Written by the link thread, or by a publisher that reads an acknowledgement.
#[derive(Debug)]
pub(crate) struct Record {
    state: AtomicU8,
    opened: AtomicU64,
    outages: AtomicU64,
    is_stalled: AtomicBool,
    undeliverable: AtomicU64,
    refusals: Mutex<VecDeque<Refusal>>,
    /// Index of the endpoint in use or being tried.
    endpoint: AtomicUsize,
    cluster_mismatch: OnceLock<String>,
    #[cfg(feature = "threads")]
    reported: Reported,
    last_error: Mutex<Option<String>>,
}

/// What PHP's threads have already reported.
#[cfg(feature = "threads")]
#[derive(Debug, Default)]
struct Reported {
    outages: AtomicU64,
    cluster_mismatch: AtomicBool,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(State::Idle as u8),
            opened: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            is_stalled: AtomicBool::new(false),
            undeliverable: AtomicU64::new(0),
            refusals: Mutex::new(VecDeque::new()),
            endpoint: AtomicUsize::new(0),
            cluster_mismatch: OnceLock::new(),
            #[cfg(feature = "threads")]
            reported: Reported::default(),
            last_error: Mutex::new(None),
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn count_opened(&self) {
        self.opened.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Ordering::Release);
    }

    pub(crate) fn count_outage(&self) {
        self.outages.fetch_add(1, Ordering::Release);
    }

    /// Adds undelivered messages, and sets them as the last error.
    pub(crate) fn add_undeliverable(&self, more: Undeliverable) {
        let Undeliverable { mut refusal, sentence } = more;
        self.set_last_error(sentence);
        self.undeliverable.fetch_add(refusal.messages.get(), Ordering::Release);
        let mut all = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = all.iter().position(|before| before.topic == refusal.topic)
            && let Some(before) = all.remove(before)
        {
            refusal.messages = refusal.messages.saturating_add(before.messages.get());
        }
        if all.len() == MAX_REFUSALS {
            all.pop_front();
        }
        all.push_back(refusal);
    }

    pub(crate) fn set_endpoint(&self, index: usize) {
        self.endpoint.store(index, Ordering::Release);
    }

    /// Sets the warning that two endpoints are not nodes of one cluster, also as the last error. Only the first call counts.
    pub(crate) fn set_cluster_mismatch(&self, sentence: &str) {
        if self.cluster_mismatch.set(sentence.to_owned()).is_ok() {
            self.set_last_error(sentence.to_owned());
        }
    }

    pub(crate) fn set_last_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn state(&self) -> State {
        State::ALL.get(usize::from(self.state.load(Ordering::Acquire))).copied().unwrap_or(State::Idle)
    }

    pub(crate) fn endpoint(&self) -> usize {
        self.endpoint.load(Ordering::Acquire)
    }

    pub(crate) fn cluster_mismatch(&self) -> Option<&str> {
        self.cluster_mismatch.get().map(String::as_str)
    }

    #[cfg(feature = "threads")]
    pub(crate) fn is_first_to_report_outages(&self, outages: u64) -> bool {
        self.reported.outages.fetch_max(outages, Ordering::Relaxed) < outages
    }

    #[cfg(feature = "threads")]
    pub(crate) fn is_first_to_report_cluster_mismatch(&self) -> bool {
        !self.reported.cluster_mismatch.swap(true, Ordering::Relaxed)
    }

    /// Number of reconnects.
    pub(crate) fn reconnects(&self) -> u64 {
        self.opened.load(Ordering::Acquire).saturating_sub(1)
    }

    pub(crate) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Acquire)
    }

    pub(crate) fn undeliverable(&self) -> u64 {
        self.undeliverable.load(Ordering::Acquire)
    }

    /// Refusals by topic, latest last.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_stored_and_read_back() {
        let record = Record::new();
        assert_eq!(record.state(), State::Idle);
        for state in State::ALL {
            record.set_state(state);
            assert_eq!(record.state(), state);
        }
    }

    #[test]
    fn refusals_are_kept_per_topic_and_the_oldest_is_dropped_at_the_bound() {
        let record = Record::new();
        let refuse = |topic: String, messages| {
            let refusal =
                Refusal { topic, reason: "no".to_owned(), messages: NonZeroU64::new(messages).unwrap() };
            record.add_undeliverable(Undeliverable { refusal, sentence: "a sentence".to_owned() });
        };
        for topic in 0..MAX_REFUSALS {
            refuse(topic.to_string(), 1);
        }
        refuse("0".to_owned(), 2);
        refuse("one more".to_owned(), 1);
        let topics: Vec<_> = record.refusals().into_iter().map(|refusal| refusal.topic).collect();
        assert_eq!(topics.len(), MAX_REFUSALS);
        assert!(topics.contains(&"0".to_owned()) && !topics.contains(&"1".to_owned()), "{topics:?}");
        assert_eq!(record.refusals()[MAX_REFUSALS - 2].messages.get(), 3);
        assert_eq!(record.undeliverable(), 3 + MAX_REFUSALS as u64);
        assert_eq!(record.last_error().unwrap(), "a sentence");
    }

    #[test]
    fn the_first_connection_does_not_count_as_a_reconnect() {
        let record = Record::new();
        assert_eq!(record.reconnects(), 0);
        record.count_opened();
        assert_eq!(record.reconnects(), 0);
        record.count_opened();
        assert_eq!(record.reconnects(), 1);
    }
}
