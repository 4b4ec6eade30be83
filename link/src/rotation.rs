//! Which of several endpoints is tried next: they follow each other, from a random one on. A round is over when each of them has
//! failed; only then is there a delay. No I/O, no clock and no randomness of its own. With one endpoint each failure is a round.

use crate::error::Retry;

#[derive(Debug)]
pub(crate) struct Rotation {
    count: usize,
    current: usize,
    /// How many have failed in this round.
    failed: usize,
    /// When to try again, by the most hopeful of these failures.
    retry: Retry,
}

impl Rotation {
    /// So many endpoints, at least one; `random` says with which of them to begin.
    pub(crate) fn new(count: usize, random: u32) -> Self {
        let count = count.max(1);
        Self { count, current: random as usize % count, failed: 0, retry: Retry::Refused }
    }

    /// The number of the one that is tried, or in use.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many have not failed in this round, the current one included.
    pub(crate) fn left(&self) -> usize {
        self.count - self.failed
    }

    /// The connection was good: what comes next is a new trouble.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }

    /// The current one has failed: the next one's turn. If the round is over: when to begin another one.
    pub(crate) fn handle_failed(&mut self, retry: Retry) -> Option<Retry> {
        self.retry = if self.failed == 0 { retry } else { self.retry.min(retry) };
        self.failed += 1;
        self.current = (self.current + 1) % self.count;
        (self.failed == self.count).then(|| {
            self.failed = 0;
            self.retry
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_goes_through_all_from_wherever_it_begins() {
        for begin in 0..3 {
            let mut rotation = Rotation::new(3, begin + 30);
            for _ in 0..2 {
                let mut tried = Vec::new();
                loop {
                    tried.push(rotation.current());
                    assert_eq!(rotation.left(), 4 - tried.len());
                    if rotation.handle_failed(Retry::Soon).is_some() {
                        break;
                    }
                }
                assert_eq!(tried[0], begin as usize);
                tried.sort_unstable();
                assert_eq!(tried, [0, 1, 2]);
            }
        }
    }

    #[test]
    fn a_round_is_as_hopeful_as_its_most_hopeful_failure() {
        let after = |failures: [Retry; 2]| {
            let mut rotation = Rotation::new(2, 0);
            assert_eq!(rotation.handle_failed(failures[0]), None);
            rotation.handle_failed(failures[1])
        };
        assert_eq!(after([Retry::Refused, Retry::Soon]), Some(Retry::Soon));
        assert_eq!(after([Retry::Late, Retry::Refused]), Some(Retry::Late));
        assert_eq!(after([Retry::Refused, Retry::Refused]), Some(Retry::Refused));
    }

    #[test]
    fn a_good_connection_ends_a_round() {
        let mut rotation = Rotation::new(2, 0);
        rotation.handle_failed(Retry::Soon);
        rotation.reset();
        assert_eq!(rotation.handle_failed(Retry::Soon), None);
        assert_eq!(rotation.handle_failed(Retry::Soon), Some(Retry::Soon));
    }
}
