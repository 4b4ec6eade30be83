//! The canary: a message that the node publishes to itself each second, to verify that the primary accepts and pushes messages.
//! No I/O.

use std::time::{Duration, Instant};

/// Interval between two canaries.
const INTERVAL: Duration = Duration::from_secs(1);

/// Time without a pushed canary after which the push connection is replaced, and time without a reply after which all
/// connections are.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Time for which a node is listed after its last canary, in milliseconds.
pub(super) const NODE_LISTED_MS: u64 = 10_000;

/// The canaries of one primary.
#[derive(Debug)]
pub(super) struct Canary {
    sent: u64,
    /// The last canary sent before the current push connection was opened.
    sent_before: u64,
    next: Instant,
    /// When a canary was last pushed, or when the push connection was opened.
    last_push: Instant,
    /// When Redis last replied.
    last_reply: Instant,
}

/// What the caller must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CanaryAction {
    /// Nothing.
    Nothing,
    /// Publish this canary.
    Send(String),
    /// Replace the push connection.
    ReplacePushConnection,
    /// Close all connections to the primary.
    Disconnect,
}

impl Canary {
    pub(super) fn new(now: Instant) -> Self {
        Self { sent: 0, sent_before: 0, next: now, last_push: now, last_reply: now }
    }

    /// Notes that the push connection was replaced.
    pub(super) fn handle_new_connection(&mut self, now: Instant) {
        self.sent_before = self.sent;
        self.last_push = now;
        self.next = now;
    }

    /// Returns what to do at `now`.
    pub(super) fn poll(&mut self, now: Instant) -> CanaryAction {
        if now.saturating_duration_since(self.last_reply) > TIMEOUT {
            return CanaryAction::Disconnect;
        }
        if now.saturating_duration_since(self.last_push) > TIMEOUT {
            // The next connection gets the full time.
            self.last_push = now;
            return CanaryAction::ReplacePushConnection;
        }
        if now < self.next {
            return CanaryAction::Nothing;
        }
        self.next = now + INTERVAL;
        self.sent += 1;
        CanaryAction::Send(self.sent.to_string())
    }

    /// Notes that Redis has accepted a canary.
    pub(super) fn handle_reply(&mut self, now: Instant) {
        self.last_reply = now;
    }

    /// Notes that Redis has refused a canary: it replies, but pushes nothing.
    pub(super) fn handle_refusal(&mut self, now: Instant) {
        (self.last_reply, self.last_push) = (now, now);
    }

    /// Notes that a canary was pushed.
    pub(super) fn handle_push(&mut self, nonce: &[u8], now: Instant) {
        let nonce = std::str::from_utf8(nonce).ok().and_then(|nonce| nonce.parse::<u64>().ok());
        // Canaries sent before this connection was opened do not count. Those overtaken by later ones do.
        if nonce.is_some_and(|nonce| nonce > self.sent_before) {
            self.last_push = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_canary_is_sent_each_second_and_a_silent_connection_is_replaced_after_three_seconds() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        assert_eq!(canary.poll(start), CanaryAction::Send("1".to_owned()));
        assert_eq!(canary.poll(start), CanaryAction::Nothing);
        for at in 1..=3 {
            canary.handle_reply(second(start, at));
            assert_eq!(canary.poll(second(start, at)), CanaryAction::Send((at + 1).to_string()));
        }
        canary.handle_reply(second(start, 4));
        assert_eq!(canary.poll(second(start, 4)), CanaryAction::ReplacePushConnection);
        canary.handle_new_connection(second(start, 4));
        assert_eq!(canary.poll(second(start, 4)), CanaryAction::Send("5".to_owned()));
        canary.handle_push(b"5", second(start, 5));
        assert_eq!(canary.poll(second(start, 7)), CanaryAction::Send("6".to_owned()));
        canary.handle_push(b"6", second(start, 8));
        assert_eq!(canary.poll(second(start, 8)), CanaryAction::Disconnect);
    }

    #[test]
    fn a_refused_canary_replaces_no_connection() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        for at in 0..10 {
            assert!(matches!(canary.poll(second(start, at)), CanaryAction::Send(_)), "{at}");
            canary.handle_refusal(second(start, at));
        }
    }

    #[test]
    fn a_late_canary_counts_but_not_one_of_an_earlier_connection() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        for at in 0..10 {
            assert!(matches!(canary.poll(second(start, at)), CanaryAction::Send(_)), "{at}");
            canary.handle_reply(second(start, at));
            canary.handle_push(at.saturating_sub(1).to_string().as_bytes(), second(start, at));
        }
        canary.handle_new_connection(second(start, 10));
        assert!(matches!(canary.poll(second(start, 10)), CanaryAction::Send(_)));
        canary.handle_reply(second(start, 13));
        canary.handle_push(b"10", second(start, 13));
        assert!(matches!(canary.poll(second(start, 13)), CanaryAction::Send(_)));
        canary.handle_reply(second(start, 14));
        assert_eq!(canary.poll(second(start, 14)), CanaryAction::ReplacePushConnection);
    }
}
