//! The canary: a message that the node publishes to itself each second, to verify that published messages come back. No I/O.

use std::time::{Duration, Instant};

/// The interval between canaries.
const EVERY: Duration = Duration::from_secs(1);

/// How long no canary may come back before the push connection is replaced, and no answer before both connections are.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// How long a node is listed after its last canary, in milliseconds.
pub(super) const NODE_KEPT_MS: u64 = 10_000;

/// The canaries sent to a primary, and those that came back.
#[derive(Debug)]
pub(super) struct Canary {
    sent: u64,
    /// The last canary sent before the current push connection was opened.
    sent_before: u64,
    next: Instant,
    /// When a canary last came back, or when the push connection was opened.
    back: Instant,
    /// When Redis last answered.
    answered: Instant,
}

/// The action to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Well,
    /// Publish this canary.
    Send(String),
    /// Replace the push connection.
    NothingComesBack,
    /// Replace both connections.
    NoAnswer,
}

impl Canary {
    pub(super) fn new(now: Instant) -> Self {
        Self { sent: 0, sent_before: 0, next: now, back: now, answered: now }
    }

    /// Notes that the push connection was replaced.
    pub(super) fn begin(&mut self, now: Instant) {
        self.sent_before = self.sent;
        self.back = now;
        self.next = now;
    }

    /// Decides what to do at `now`.
    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        if now.saturating_duration_since(self.answered) > PATIENCE {
            return Verdict::NoAnswer;
        }
        if now.saturating_duration_since(self.back) > PATIENCE {
            // Gives the next connection its full time.
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

    /// Notes that Redis answered the publication.
    pub(super) fn answer(&mut self, now: Instant) {
        self.answered = now;
    }

    /// Notes that Redis refused the publication: it answers, but no canary can come back.
    pub(super) fn refuse(&mut self, now: Instant) {
        (self.answered, self.back) = (now, now);
    }

    /// Notes that a canary came back.
    pub(super) fn come_back(&mut self, nonce: &[u8], now: Instant) {
        let nonce = std::str::from_utf8(nonce).ok().and_then(|nonce| nonce.parse::<u64>().ok());
        // A canary from before this connection proves nothing about it. One overtaken by later canaries does.
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
    fn a_canary_is_sent_each_second_and_a_silent_connection_is_replaced_after_three() {
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
    fn a_refused_canary_replaces_no_connection() {
        let start = Instant::now();
        let mut canary = Canary::new(start);
        for at in 0..10 {
            assert!(matches!(canary.look(second(start, at)), Verdict::Send(_)), "{at}");
            canary.refuse(second(start, at));
        }
    }

    #[test]
    fn a_slow_canary_counts_and_one_of_an_earlier_connection_does_not() {
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
