//! The canary: each second something is published that only this node hears, so that it knows that what is published comes back.
//! Pure.

use std::time::{Duration, Instant};

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// How long nothing may come back until the connection for it is replaced, and nothing may be answered until both are.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long a node counts as there without a canary, in milliseconds.
pub(super) const NODE_KEPT_MS: u64 = 10_000;

/// What was sent to a primary to see whether it comes back, and what has.
#[derive(Debug)]
pub(super) struct Canary {
    sent: u64,
    /// The last that was sent before this connection for pushes.
    sent_before: u64,
    next: Instant,
    /// When something came back last, or could begin to.
    back: Instant,
    /// When something was answered last.
    answered: Instant,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Well,
    /// Publish this.
    Send(String),
    /// Replace the connection for pushes.
    NothingComesBack,
    /// Replace both.
    NoAnswer,
}

impl Canary {
    pub(super) fn new(now: Instant) -> Self {
        Self { sent: 0, sent_before: 0, next: now, back: now, answered: now }
    }

    /// There is another connection for pushes.
    pub(super) fn begin(&mut self, now: Instant) {
        self.sent_before = self.sent;
        self.back = now;
        self.next = now;
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        if now.saturating_duration_since(self.answered) > PATIENCE {
            return Verdict::NoAnswer;
        }
        if now.saturating_duration_since(self.back) > PATIENCE {
            // Not again before the next one had its time.
            self.back = now;
            return Verdict::NothingComesBack;
        }
        if now < self.next {
            return Verdict::Well;
        }
        self.next = now + EVERY;
        self.sent += 1;
        Verdict::Send(self.sent.to_string())
    }

    /// What was published is answered.
    pub(super) fn answer(&mut self, now: Instant) {
        self.answered = now;
    }

    /// It was refused: something answers, and nothing can come back.
    pub(super) fn refuse(&mut self, now: Instant) {
        (self.answered, self.back) = (now, now);
    }

    /// This has come back.
    pub(super) fn come_back(&mut self, nonce: &[u8], now: Instant) {
        let nonce = std::str::from_utf8(nonce).ok().and_then(|nonce| nonce.parse::<u64>().ok());
        // One of an earlier connection says nothing of this one; one that took longer than to the next does.
        if nonce.is_some_and(|nonce| nonce > self.sent_before) {
            self.back = now;
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
    fn it_is_sent_each_second_and_what_stays_away_for_three_is_replaced() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        assert_eq!(canary.look(start), Verdict::Send("1".to_owned()));
        assert_eq!(canary.look(start), Verdict::Well);
        for at in 1..=3 {
            canary.answer(second(start, at));
            assert_eq!(canary.look(second(start, at)), Verdict::Send((at + 1).to_string()));
        }
        canary.answer(second(start, 4));
        assert_eq!(canary.look(second(start, 4)), Verdict::NothingComesBack);
        canary.begin(second(start, 4));
        assert_eq!(canary.look(second(start, 4)), Verdict::Send("5".to_owned()));
        canary.come_back(b"5", second(start, 5));
        assert_eq!(canary.look(second(start, 7)), Verdict::Send("6".to_owned()));
        canary.come_back(b"6", second(start, 8));
        assert_eq!(canary.look(second(start, 8)), Verdict::NoAnswer);
    }

    #[test]
    fn one_that_is_refused_has_nothing_replaced() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        for at in 0..10 {
            assert!(matches!(canary.look(second(start, at)), Verdict::Send(_)), "{at}");
            canary.refuse(second(start, at));
        }
    }

    #[test]
    fn one_that_is_slow_comes_back_and_one_of_an_earlier_connection_does_not() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        for at in 0..10 {
            assert!(matches!(canary.look(second(start, at)), Verdict::Send(_)), "{at}");
            canary.answer(second(start, at));
            canary.come_back(at.saturating_sub(1).to_string().as_bytes(), second(start, at));
        }
        canary.begin(second(start, 10));
        assert!(matches!(canary.look(second(start, 10)), Verdict::Send(_)));
        canary.answer(second(start, 13));
        canary.come_back(b"10", second(start, 13));
        assert!(matches!(canary.look(second(start, 13)), Verdict::Send(_)));
        canary.answer(second(start, 14));
        assert_eq!(canary.look(second(start, 14)), Verdict::NothingComesBack);
    }
}
