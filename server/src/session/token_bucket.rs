//! The rate limit for a browser's messages: a token bucket.
//!
//! Bound: a burst of `limits.message_burst`, and a sustained rate of `limits.messages_per_second`. A page of OroPlatform
//! subscribes to about ten topics in its first burst.

use std::time::Instant;

/// The token bucket of one session.
#[derive(Debug)]
pub struct TokenBucket {
    tokens: f32,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn new(burst: u32, now: Instant) -> Self {
        Self { tokens: burst as f32, filled: now }
    }

    /// Takes tokens for messages. Returns false if there are not enough.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn try_take(&mut self, messages: u32, burst: u32, per_second: u32, now: Instant) -> bool {
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

    /// Takes tokens for additional work, if necessary from the future: the debt is at most one burst.
    #[expect(clippy::cast_precision_loss, reason = "a rate limit need not be exact beyond 16 million")]
    pub fn charge_debt(&mut self, messages: u32, burst: u32) {
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
        let mut token_bucket = TokenBucket::new(20, start);
        let spent = (0..30).filter(|_| token_bucket.try_take(1, 20, 5, start)).count();
        assert_eq!(spent, 20);
        let later = start + Duration::from_secs(2);
        let spent = (0..30).filter(|_| token_bucket.try_take(1, 20, 5, later)).count();
        assert_eq!(spent, 10);
        let much_later = later + Duration::from_secs(1000);
        let spent = (0..30).filter(|_| token_bucket.try_take(1, 20, 5, much_later)).count();
        assert_eq!(spent, 20, "the bucket never holds more than a burst");
        assert!(!token_bucket.try_take(u32::MAX, 20, 5, much_later));
    }

    #[test]
    fn a_debt_is_paid_with_later_tokens() {
        let start = Instant::now();
        let mut token_bucket = TokenBucket::new(20, start);
        token_bucket.charge_debt(30, 20);
        assert!(!token_bucket.try_take(1, 20, 5, start + Duration::from_secs(2)));
        assert!(token_bucket.try_take(1, 20, 5, start + Duration::from_secs(3)));
        token_bucket.charge_debt(u32::MAX, 20);
        assert!(token_bucket.try_take(1, 20, 5, start + Duration::from_secs(8)), "a burst at most");
    }
}
