//! Redis' clock.

use std::time::{Duration, Instant};

use crate::process::unix_time;

/// Maps this node's clock to Redis' clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RedisClock(pub(super) Option<(Instant, u64)>);

impl RedisClock {
    /// The time on Redis' clock, as Unix time in milliseconds. `None`: not known yet, or before 1970.
    pub(super) fn milliseconds(self, at: Instant) -> Option<u64> {
        let (then, milliseconds) = self.0?;
        let length = |length: Duration| u64::try_from(length.as_millis()).ok();
        match at.checked_duration_since(then) {
            Some(later) => milliseconds.checked_add(length(later)?),
            None => milliseconds.checked_sub(length(then.saturating_duration_since(at))?),
        }
    }

    /// Converts a time on Redis' clock (Unix time in milliseconds) to this node's clock (in seconds). Until Redis' clock is
    /// known, the clocks are assumed to be equal.
    pub(super) fn unix(self, milliseconds: u64) -> u64 {
        let passed = self.milliseconds(Instant::now()).map(|now| now.saturating_sub(milliseconds) / 1000);
        passed.map_or(milliseconds / 1000, |passed| unix_time().saturating_sub(passed))
    }
}
