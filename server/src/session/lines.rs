//! The log lines that clients cause, and their bounds.

use std::time::Duration;

use crate::log::RateLimited;
use crate::metrics::Metrics;

/// The log lines that clients cause, each kind with a bound of its own: a flood of one hides no other.
#[derive(Debug)]
pub struct ClientLines {
    /// Tickets that were refused.
    pub tickets: RateLimited,
    /// Connections that were refused: no place, no TLS.
    pub connections: RateLimited,
    /// Subscriptions that were refused.
    pub subscriptions: RateLimited,
    /// Publications of browsers that were refused.
    pub publications: RateLimited,
    /// Messages of publishers that were refused.
    pub publishers: RateLimited,
    /// Frames of publishers that cannot be read.
    pub broken_frames: RateLimited,
}

impl ClientLines {
    /// At most `max` lines of each kind per `interval`; what is left out is counted.
    pub fn new(max: u32, interval: Duration, metrics: &Metrics) -> Self {
        let limited = || RateLimited::new(max, interval, metrics.log_lines_left_out.clone());
        Self {
            tickets: limited(),
            connections: limited(),
            subscriptions: limited(),
            publications: limited(),
            publishers: limited(),
            broken_frames: limited(),
        }
    }
}
