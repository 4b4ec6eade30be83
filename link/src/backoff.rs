//! Backoff between attempts to connect.
//!
//! The first retry after a good connection is immediate. Then the delay is 50 ms, doubled each time up to 5 s, each with
//! jitter, so that hundreds of PHP workers do not reconnect to a lost server all at once. The caller passes in randomness;
//! there is no clock.

use std::time::Duration;

use crate::error::Retry;

/// The delay of the second retry, which doubles with each further one. The first retry is immediate.
const BASE_DELAY: Duration = Duration::from_millis(50);

/// Maximum delay.
const MAX_DELAY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Resets the backoff after a good connection.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the delay before the next attempt. `random` is in 0..1.
    pub(crate) fn next(&mut self, retry: Retry, random: f64) -> Duration {
        let failures = self.failures;
        if retry != Retry::Elsewhere {
            self.failures = failures.saturating_add(1);
        }
        match retry {
            Retry::Late | Retry::Refused => jitter(MAX_DELAY, random),
            Retry::Elsewhere => Duration::ZERO,
            Retry::Soon if failures == 0 => Duration::ZERO,
            Retry::Soon => {
                jitter(BASE_DELAY.saturating_mul(1 << (failures - 1).min(16)).min(MAX_DELAY), random)
            }
        }
    }
}

/// A random delay from half of `delay` to all of it.
fn jitter(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_is_immediate_and_the_others_grow_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> = (0..10).map(|_| backoff.next(Retry::Soon, 1.0).as_millis()).collect();
        assert_eq!(delays, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(Retry::Soon, 1.0), Duration::ZERO);
    }

    #[test]
    fn jitter_shortens_a_delay_by_up_to_half() {
        let mut backoff = Backoff::default();
        backoff.next(Retry::Soon, 0.0);
        assert_eq!(backoff.next(Retry::Soon, 0.0), BASE_DELAY / 2);
        assert_eq!(jitter(MAX_DELAY, 0.5), MAX_DELAY.mul_f64(0.75));
    }

    #[test]
    fn a_late_retry_has_the_maximum_delay_from_the_first_failure_on() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Retry::Late, 1.0), MAX_DELAY);
    }

    #[test]
    fn switching_endpoints_needs_no_delay_and_does_not_count_as_a_failure() {
        let mut backoff = Backoff::default();
        assert_eq!([(); 9].map(|()| backoff.next(Retry::Elsewhere, 1.0)), [Duration::ZERO; 9]);
        assert_eq!(backoff.next(Retry::Soon, 1.0), Duration::ZERO);
        assert_eq!(backoff.next(Retry::Soon, 1.0), BASE_DELAY);
    }

    #[test]
    fn years_of_failures_do_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(Retry::Soon, 1.0), MAX_DELAY);
        assert_eq!(backoff.failures, u32::MAX);
    }
}
