//! How many messages a browser may send: a bucket of tokens that fills again with time.
//!
//! Bound: `limits.message_burst` at once, `limits.messages_per_second` in the long run. A page of OroPlatform subscribes
//! to about ten topics in its first burst.

use std::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Budget {
    tokens: f32,
    filled: Instant,
}

impl Budget {
    /// A full bucket.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn new(burst: u32, now: Instant) -> Self {
        Self { tokens: burst as f32, filled: now }
    }

    /// Pays for so many messages; false when there is not enough left to pay with.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn try_spend(&mut self, messages: u32, burst: u32, per_second: u32, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f32();
        self.filled = now;
        self.tokens = (self.tokens + elapsed * per_second as f32).min(burst as f32);
        let price = messages as f32;
        let enough = self.tokens >= price;
        if enough {
            self.tokens -= price;
        }
        enough
    }

    /// Pays for what was more than a message, if need be with what comes later: at most a burst of that.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn owe(&mut self, messages: u32, burst: u32) {
        self.tokens = (self.tokens - messages as f32).max(-(burst as f32));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        let spent = (0..30).filter(|_| budget.try_spend(1, 20, 5, start)).count();
        assert_eq!(spent, 20);
        let later = start + Duration::from_secs(2);
        let spent = (0..30).filter(|_| budget.try_spend(1, 20, 5, later)).count();
        assert_eq!(spent, 10);
        let much_later = later + Duration::from_secs(1000);
        let spent = (0..30).filter(|_| budget.try_spend(1, 20, 5, much_later)).count();
        assert_eq!(spent, 20, "it never holds more than a burst");
        assert!(!budget.try_spend(u32::MAX, 20, 5, much_later));
    }

    #[test]
    fn what_is_owed_is_paid_with_what_comes_later() {
        let start = Instant::now();
        let mut budget = Budget::new(20, start);
        budget.owe(30, 20);
        assert!(!budget.try_spend(1, 20, 5, start + Duration::from_secs(2)));
        assert!(budget.try_spend(1, 20, 5, start + Duration::from_secs(3)));
        budget.owe(u32::MAX, 20);
        assert!(budget.try_spend(1, 20, 5, start + Duration::from_secs(8)), "a burst at most");
    }
}
