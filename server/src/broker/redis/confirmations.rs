//! The progress of subscription confirmations on one connection. No I/O.
//!
//! Redis answers in order: while confirmations arrive, an unconfirmed subscription waits for its turn, however long that takes.
//! It is overdue if a later request was confirmed, or if confirmations have stopped arriving.

use std::time::{Duration, Instant};

/// Minimum time before a subscription is overdue, and the time after which confirmations have stopped.
const CONFIRM: Duration = Duration::from_secs(2);

/// When the subscriptions on one connection were last confirmed.
#[derive(Debug)]
pub(super) struct Confirmations {
    /// Request time of the latest confirmed subscription.
    asked: Option<Instant>,
    /// When the last confirmation arrived.
    came: Option<Instant>,
}

impl Confirmations {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        Self { asked: None, came: None }
    }

    /// Notes the confirmation of a subscription requested at `asked`.
    pub(super) fn come(&mut self, asked: Instant, now: Instant) {
        self.asked = self.asked.max(Some(asked));
        self.came = Some(now);
    }

    /// Whether an unconfirmed subscription requested at `asked` must be requested again.
    pub(super) fn is_late(&self, asked: Instant, now: Instant) -> bool {
        let is_over = |since: Instant| now.saturating_duration_since(since) > CONFIRM;
        is_over(asked) && (self.asked > Some(asked) || self.came.is_none_or(is_over))
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
        assert!(!confirmations.is_late(start, start + CONFIRM));
        assert!(confirmations.is_late(start, start + CONFIRM + SECOND), "not even one came");
        for second in 1..10 {
            let now = start + SECOND * second;
            confirmations.come(start, now);
            assert!(!confirmations.is_late(start, now + CONFIRM));
        }
        assert!(confirmations.is_late(start, start + SECOND * 9 + CONFIRM + SECOND));
    }

    #[test]
    fn a_subscription_overtaken_by_later_ones_is_overdue() {
        let start = Instant::now();
        let mut confirmations = Confirmations::new();
        confirmations.come(start + SECOND, start + SECOND);
        assert!(!confirmations.is_late(start, start + CONFIRM), "the push may wait to be looked at");
        confirmations.come(start + SECOND, start + SECOND * 3);
        confirmations.come(start, start + SECOND * 3);
        assert!(confirmations.is_late(start, start + SECOND * 3));
        assert!(!confirmations.is_late(start + SECOND, start + SECOND * 4));
    }
}
