//! Failover between endpoints: which one is tried next. No I/O, no clock; the caller passes in randomness.
//!
//! Endpoints are tried in order, starting with a random one. One that did not acknowledge is tried after all others, until it
//! acknowledges or the others have failed as often as there are endpoints. A round ends when each endpoint has failed; only
//! then is there a delay. With one endpoint, each failure ends a round.

use crate::error::Retry;

#[derive(Debug)]
pub(crate) struct Rotation {
    /// Never empty.
    endpoints: Vec<Standing>,
    current: usize,
    /// When to retry: the soonest of this round's failures.
    retry: Retry,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Whether it has failed in this round.
    has_failed: bool,
    /// Positive if the endpoint was reachable but did not acknowledge, until it does. Counts down with failures of others: it
    /// may have recovered meanwhile.
    penalty: usize,
}

impl Rotation {
    /// Creates a rotation over `count` endpoints, at least one. `random` selects the first.
    pub(crate) fn new(count: usize, random: u32) -> Self {
        let count = count.max(1);
        Self {
            endpoints: vec![Standing::default(); count],
            current: random as usize % count,
            retry: Retry::Refused,
        }
    }

    /// Index of the endpoint in use or being tried.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Number of endpoints.
    pub(crate) fn count(&self) -> usize {
        self.endpoints.len()
    }

    /// Number of endpoints that have not failed in this round, including the current one.
    pub(crate) fn left(&self) -> usize {
        self.endpoints.iter().filter(|endpoint| !endpoint.has_failed).count()
    }

    /// Starts a new round after a good connection.
    pub(crate) fn reset(&mut self) {
        for endpoint in &mut self.endpoints {
            endpoint.has_failed = false;
        }
    }

    /// The current endpoint has acknowledged messages.
    pub(crate) fn handle_acknowledged(&mut self) {
        self.endpoints[self.current].penalty = 0;
    }

    /// The current endpoint has failed: moves on to the next. Returns when to start another round if this one is over.
    pub(crate) fn handle_failed(&mut self, retry: Retry) -> Option<Retry> {
        let is_first = self.left() == self.count();
        self.retry = if is_first { retry } else { self.retry.min(retry) };
        let count = self.count();
        for (number, endpoint) in self.endpoints.iter_mut().enumerate() {
            if number != self.current {
                endpoint.penalty = endpoint.penalty.saturating_sub(1);
                continue;
            }
            endpoint.has_failed = true;
            if retry == Retry::Elsewhere {
                endpoint.penalty = count;
            }
        }
        let is_over = self.left() == 0;
        if is_over {
            self.reset();
        }
        self.current = self.next();
        is_over.then_some(self.retry)
    }

    /// The next endpoint that has not failed, preferably one that acknowledges.
    fn next(&self) -> usize {
        let count = self.count();
        let behind = (1..=count).map(|distance| (self.current + distance) % count);
        let left = behind.filter(|number| !self.endpoints[*number].has_failed);
        left.min_by_key(|number| self.endpoints[*number].penalty > 0).unwrap_or(self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_tries_each_endpoint_once_from_any_start() {
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
    fn a_round_is_retried_at_the_soonest_of_its_failures() {
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
    fn a_good_connection_starts_a_new_round() {
        let mut rotation = Rotation::new(2, 0);
        rotation.handle_failed(Retry::Soon);
        rotation.reset();
        assert_eq!(rotation.handle_failed(Retry::Soon), None);
        assert_eq!(rotation.handle_failed(Retry::Soon), Some(Retry::Soon));
    }

    #[test]
    fn an_endpoint_that_did_not_acknowledge_is_tried_last_until_it_does() {
        let mut rotation = Rotation::new(3, 0);
        rotation.handle_failed(Retry::Elsewhere);
        let mut round = || -> Vec<usize> {
            rotation.reset();
            let mut tried = Vec::new();
            for _ in 0..3 {
                tried.push(rotation.current());
                rotation.handle_failed(Retry::Soon);
            }
            tried
        };
        assert_eq!(round(), [1, 2, 0]);
        assert_eq!(round(), [1, 2, 0]);
        rotation.handle_failed(Retry::Soon);
        rotation.handle_failed(Retry::Soon);
        assert_eq!(rotation.current(), 0);
        rotation.handle_acknowledged();
        rotation.reset();
        rotation.handle_failed(Retry::Soon);
        rotation.handle_failed(Retry::Soon);
        assert_eq!(rotation.current(), 2);
        rotation.handle_failed(Retry::Soon);
        assert_eq!(rotation.current(), 0, "its turn is that of any other endpoint");
    }

    #[test]
    fn an_endpoint_that_did_not_acknowledge_is_tried_again_after_several_failures_of_others() {
        let mut rotation = Rotation::new(3, 0);
        rotation.handle_failed(Retry::Elsewhere);
        let mut lost = || {
            let lost = rotation.current();
            rotation.reset();
            rotation.handle_failed(Retry::Soon);
            lost
        };
        assert_eq!([(); 6].map(|()| lost()), [1, 2, 1, 2, 0, 1]);
    }

    #[test]
    fn endpoints_are_tried_in_order_if_none_acknowledges() {
        let mut rotation = Rotation::new(3, 0);
        for turn in 1..10 {
            rotation.handle_failed(Retry::Elsewhere);
            rotation.reset();
            assert_eq!(rotation.current(), turn % 3);
        }
    }
}
