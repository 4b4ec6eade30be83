//! How far the confirmations of the subscriptions have come that were asked for on one connection. Pure.
//!
//! Redis answers in order: while confirmations come, a subscription without one waits for its turn, however long that takes. It is late
//! if one that was asked for after it is confirmed, or if none comes any more.

use std::time::{Duration, Instant};

/// How long a subscription waits at least, and for how long no confirmation may come.
const CONFIRM: Duration = Duration::from_secs(2);

/// When the subscriptions on one connection were last confirmed.
#[derive(Debug)]
pub(super) struct Confirmations {
    /// When the latest was asked for that is confirmed.
    asked: Option<Instant>,
    /// When the last one came.
    came: Option<Instant>,
}

impl Confirmations {
    /// Of a connection on which nothing was asked for.
    pub(super) fn new() -> Self {
        Self { asked: None, came: None }
    }

    /// A subscription is confirmed that was asked for then.
    pub(super) fn come(&mut self, asked: Instant, now: Instant) {
        self.asked = self.asked.max(Some(asked));
        self.came = Some(now);
    }

    /// Whether a subscription is to be asked for again that was asked for then, and is not confirmed.
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
    fn while_confirmations_come_none_is_late_and_when_they_stay_away_all_are() {
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
    fn one_that_others_have_overtaken_is_late_however_many_come() {
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
