//! Rate limits for the log lines that clients cause.

use std::time::Duration;

use crate::log::RateLimited;
use crate::metrics::Metrics;

/// The rate limits of the log lines that clients cause. Each kind has its own, so that a flood of one does not hide others.
#[derive(Debug)]
pub struct LogLimits {
    /// Rejected tickets.
    pub tickets: RateLimited,
    /// Refused connections: no capacity, no TLS.
    pub connections: RateLimited,
    /// Refused subscriptions.
    pub subscriptions: RateLimited,
    /// Refused messages of browsers.
    pub publications: RateLimited,
    /// Refused messages of publishers.
    pub publishers: RateLimited,
    /// Invalid frames of publishers.
    pub invalid_frames: RateLimited,
}

impl LogLimits {
    /// Allows `max` lines of each kind per `interval`. Suppressed lines are counted.
    pub fn new(max: u32, interval: Duration, metrics: &Metrics) -> Self {
        let limited = || RateLimited::new(max, interval, metrics.log_lines_suppressed.clone());
        Self {
            tickets: limited(),
            connections: limited(),
            subscriptions: limited(),
            publications: limited(),
            publishers: limited(),
            invalid_frames: limited(),
        }
    }
}
