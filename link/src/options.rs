//! Options of a publisher: endpoints, secret, bounds and timeouts. They are validated before they get here.

use std::path::PathBuf;
use std::time::Duration;

use orosync_protocol::link_frame::MAX_FRAME_BYTES;
use orosync_protocol::ticket::Signer;

use crate::endpoints::Endpoints;

/// Options of a [`crate::Publisher`].
#[derive(Debug)]
pub struct Options {
    /// The server, or several nodes of its cluster.
    pub endpoints: Endpoints,
    /// PEM file with the only certificate authorities trusted for a `wss://` server; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Signs the publisher's tickets with the secret shared with the server.
    pub signer: Signer,
    /// Bounds of the queue.
    pub bounds: Bounds,
    /// Time from the first packet to the server's Welcome, for each endpoint.
    pub connect_timeout: Duration,
    /// How long [`crate::Publisher::shutdown`] waits for the last acknowledgement.
    pub shutdown_timeout: Duration,
}

impl Options {
    /// The default of [`Options::connect_timeout`].
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    /// The default of [`Options::shutdown_timeout`].
    pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

    /// Options with default bounds and times.
    pub fn new(endpoints: Endpoints, signer: Signer) -> Self {
        Self {
            endpoints,
            ca_file: None,
            signer,
            bounds: Bounds::default(),
            connect_timeout: Self::CONNECT_TIMEOUT,
            shutdown_timeout: Self::SHUTDOWN_TIMEOUT,
        }
    }
}

/// Maximum size of the queue. Messages count until the server has acknowledged them, sent or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    messages: usize,
    bytes: u64,
}

impl Bounds {
    /// Upper limit of `messages`: a slot of 16 bytes is reserved for each, with threads of 24.
    pub const MAX_MESSAGES: usize = 1_000_000;
    /// Lower limit of `bytes`: a message of the maximum size must fit.
    pub const MIN_BYTES: u64 = MAX_FRAME_BYTES as u64;

    /// Creates bounds; `None` if `messages` is not in 1..=[`Bounds::MAX_MESSAGES`] or `bytes` is below [`Bounds::MIN_BYTES`].
    pub fn new(messages: usize, bytes: u64) -> Option<Self> {
        let possible = (1..=Self::MAX_MESSAGES).contains(&messages) && bytes >= Self::MIN_BYTES;
        possible.then_some(Self { messages, bytes })
    }

    /// Maximum number of messages.
    pub fn messages(self) -> usize {
        self.messages
    }

    /// Maximum size of topics, payloads and session ids in bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: 10_000, bytes: 16 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_too_small_for_a_message_or_too_large_are_rejected() {
        assert!(Bounds::new(0, Bounds::MIN_BYTES).is_none());
        assert!(Bounds::new(1, Bounds::MIN_BYTES - 1).is_none());
        assert!(Bounds::new(1, Bounds::MIN_BYTES).is_some());
        assert!(Bounds::new(Bounds::MAX_MESSAGES + 1, Bounds::MIN_BYTES).is_none());
    }
}
