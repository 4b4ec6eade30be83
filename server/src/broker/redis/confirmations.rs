//! The progress of subscription confirmations on one connection. No I/O.
//!
//! Redis answers in order: while confirmations arrive, an unconfirmed subscription waits for its turn, however long that takes.
//! It is overdue if a later request was confirmed, or if confirmations have stopped arriving.

use std::time::{Duration, Instant};

/// Minimum age of an overdue subscription, and the time without a confirmation after which confirmations have stopped.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(2);

/// When the subscriptions on one connection were last confirmed.
#[derive(Debug)]
pub(super) struct Confirmations {
    /// Request time of the latest confirmed subscription.
    last_requested: Option<Instant>,
    /// When the last confirmation arrived.
    last_confirmed: Option<Instant>,
}

impl Confirmations {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        Self { last_requested: None, last_confirmed: None }
    }

    /// Notes the confirmation of a subscription requested at `requested`.
    pub(super) fn note(&mut self, requested: Instant, now: Instant) {
        self.last_requested = self.last_requested.max(Some(requested));
        self.last_confirmed = Some(now);
    }

    /// Whether an unconfirmed subscription requested at `requested` must be requested again.
    pub(super) fn is_overdue(&self, requested: Instant, now: Instant) -> bool {
        let has_elapsed = |since: Instant| now.saturating_duration_since(since) > CONFIRMATION_TIMEOUT;
        has_elapsed(requested)
            && (self.last_requested > Some(requested) || self.last_confirmed.is_none_or(has_elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn subscriptions_are_overdue_only_after_confirmations_have_stopped() {
        let start = Instant::now();
        let mut confirmations = Confirmations::new();
        assert!(!confirmations.is_overdue(start, start + CONFIRMATION_TIMEOUT));
        assert!(confirmations.is_overdue(start, start + CONFIRMATION_TIMEOUT + SECOND), "none has arrived");
        for second in 1..10 {
            let now = start + SECOND * second;
            confirmations.note(start, now);
            assert!(!confirmations.is_overdue(start, now + CONFIRMATION_TIMEOUT));
        }
        assert!(confirmations.is_overdue(start, start + SECOND * 9 + CONFIRMATION_TIMEOUT + SECOND));
    }

    #[test]
    fn a_subscription_overtaken_by_later_ones_is_overdue() {
        let start = Instant::now();
        let mut confirmations = Confirmations::new();
        confirmations.note(start + SECOND, start + SECOND);
        assert!(!confirmations.is_overdue(start, start + CONFIRMATION_TIMEOUT), "its own push may be queued");
        confirmations.note(start + SECOND, start + SECOND * 3);
        confirmations.note(start, start + SECOND * 3);
        assert!(confirmations.is_overdue(start, start + SECOND * 3));
        assert!(!confirmations.is_overdue(start + SECOND, start + SECOND * 4));
    }
}
