//! How a publisher's link is doing: a snapshot for the application, and the record behind it that the link thread keeps.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Nothing was published yet: no thread, no connection.
    Idle,
    /// An attempt to connect is under way.
    Connecting,
    /// The server has welcomed this publisher.
    Connected,
    /// An attempt has failed; the next one follows by itself.
    Waiting,
    /// Shut down.
    Closed,
}

impl State {
    const ALL: [Self; 5] = [Self::Idle, Self::Connecting, Self::Connected, Self::Waiting, Self::Closed];

    /// As `orosync_status()` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
        }
    }
}

/// A snapshot. At every moment accepted = acknowledged + unacknowledged + queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the link is doing.
    pub state: State,
    /// Messages that were not sent yet.
    pub queued: u64,
    /// Messages that were sent, and not acknowledged yet.
    pub unacknowledged: u64,
    /// Messages that this process has accepted.
    pub accepted: u64,
    /// Messages that the server has acknowledged.
    pub acknowledged: u64,
    /// Messages that were not accepted, because the queue was full.
    pub refused: u64,
    /// How often the link was opened again.
    pub reconnects: u64,
    /// How many outages have begun: an attempt to connect failed, after none had.
    pub outages: u64,
    /// Messages that were acknowledged, and that the server delivers to nobody.
    pub undeliverable: Option<Undeliverable>,
    /// The last thing that went wrong, as a sentence. It stays after the link has recovered.
    pub last_error: Option<String>,
}

/// Messages that the server delivers to nobody: their topics are not declared, or not for publishers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeliverable {
    /// How many.
    pub messages: NonZeroU64,
    /// What the server said last, as a sentence.
    pub reason: String,
}

impl Status {
    /// Before the first message.
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
            undeliverable: None,
            last_error: None,
        }
    }
}

/// What the link thread writes down and others read.
#[derive(Debug)]
pub(crate) struct Record {
    state: AtomicU8,
    opened: AtomicU64,
    outages: AtomicU64,
    undeliverable: Mutex<Option<Undeliverable>>,
    last_error: Mutex<Option<String>>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(State::Idle as u8),
            opened: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            undeliverable: Mutex::new(None),
            last_error: Mutex::new(None),
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn count_opened(&self) {
        self.opened.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count_outage(&self) {
        self.outages.fetch_add(1, Ordering::Release);
    }

    /// Adds messages that the server does not deliver, which is also the last thing that went wrong.
    pub(crate) fn add_undeliverable(&self, more: Undeliverable) {
        self.set_last_error(more.reason.clone());
        let mut all = self.undeliverable.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.as_ref().map_or(0, |all| all.messages.get());
        *all = Some(Undeliverable { messages: more.messages.saturating_add(before), ..more });
    }

    pub(crate) fn set_last_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn state(&self) -> State {
        State::ALL.get(usize::from(self.state.load(Ordering::Acquire))).copied().unwrap_or(State::Idle)
    }

    /// How often the link was opened again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.opened.load(Ordering::Acquire).saturating_sub(1)
    }

    pub(crate) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    pub(crate) fn undeliverable(&self) -> Option<Undeliverable> {
        self.undeliverable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back() {
        let record = Record::new();
        assert_eq!(record.state(), State::Idle);
        for state in State::ALL {
            record.set_state(state);
            assert_eq!(record.state(), state);
        }
    }

    #[test]
    fn the_first_connection_is_no_reconnect() {
        let record = Record::new();
        assert_eq!(record.reconnects(), 0);
        record.count_opened();
        assert_eq!(record.reconnects(), 0);
        record.count_opened();
        assert_eq!(record.reconnects(), 1);
    }
}
