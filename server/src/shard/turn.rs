//! Per-iteration limits of a shard, so that no kind of work starves another: published messages must not delay browsers'
//! messages, nor handshakes the writes.
//!
//! The cost of reading is measured in bytes, and other costs are converted to bytes. They are estimates, of which only the
//! order of magnitude matters. `handshakes` in `bench/` gives the scale: a request of a few hundred bytes takes 15 to 30 us, so
//! a microsecond corresponds to about 20 bytes.

use std::time::Duration;

/// Messages from the inbox. New connections among them are only queued.
pub(super) const MESSAGES: usize = 256;

/// New connections that are taken from their queue.
pub(super) const CONNECTIONS: usize = 16;

/// Readiness events from the kernel.
pub(super) const EVENTS: usize = 1024;

/// Bytes read from publishers; also the maximum per read.
pub(super) const READING_OF_PUBLISHERS: usize = 64 << 10;

/// Bytes read from all other sessions when there is little to write: 50 subscriptions, or 6 handshakes.
pub(super) const LEAST_READING_OF_OTHERS: usize = 4 << 10;

/// Bytes read from all other sessions per microsecond of writing, so that reading takes about a quarter of that time.
const READING_FOR_A_MICROSECOND: usize = 5;

/// Fixed cost of reading a socket.
const READ: usize = 64;

/// Fixed cost of a possible step of a TLS handshake, whose cryptography outweighs its bytes.
const TLS_STEP: usize = 2 << 10;

/// Cost of the end of a connection.
pub(super) const END: usize = 256;

/// Cost of the end of a subscription, like that of its beginning.
pub(super) const SUBSCRIPTION: usize = 64;

/// Number of subscriptions of ended sessions, still to be dropped, above which sockets of other sessions are not read. Their
/// clients could otherwise subscribe faster than subscriptions are dropped.
const MOST_TO_DROP: usize = 100_000;

/// Bytes to read from all other sessions after this time of writing.
pub(super) fn reading_of_others(writing: Duration) -> usize {
    let fair =
        usize::try_from(writing.as_micros()).unwrap_or(usize::MAX).saturating_mul(READING_FOR_A_MICROSECOND);
    fair.clamp(LEAST_READING_OF_OTHERS, READING_OF_PUBLISHERS)
}

/// The fixed cost of reading a socket, in bytes.
pub(super) fn cost_of_read(in_tls_handshake: bool) -> usize {
    if in_tls_handshake { TLS_STEP } else { READ }
}

/// Number of subscriptions of ended sessions to drop in this iteration, of the `to_drop` that are left. They may cost half of
/// `reading_of_others`, or all of it above [`MOST_TO_DROP`].
pub(super) fn dropped_subscriptions(to_drop: usize, reading_of_others: usize) -> usize {
    let reading = if to_drop > MOST_TO_DROP { reading_of_others } else { reading_of_others / 2 };
    to_drop.min(reading / SUBSCRIPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_read_for_a_share_of_the_time_of_writing_within_bounds() {
        assert_eq!(reading_of_others(Duration::ZERO), LEAST_READING_OF_OTHERS);
        assert_eq!(reading_of_others(Duration::from_millis(2)), 10_000);
        assert_eq!(reading_of_others(Duration::MAX), READING_OF_PUBLISHERS);
    }

    #[test]
    fn dropping_gets_half_of_the_reading_and_all_of_it_above_the_limit() {
        assert_eq!(dropped_subscriptions(10, LEAST_READING_OF_OTHERS), 10);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP, LEAST_READING_OF_OTHERS), 32);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP + 1, LEAST_READING_OF_OTHERS), 64);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP, READING_OF_PUBLISHERS), 512);
    }
}
