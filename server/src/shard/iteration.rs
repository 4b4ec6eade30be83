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
pub(super) const PUBLISHER_READ_BYTES: usize = 64 << 10;

/// Bytes read from all other sessions when there is little to write: 50 subscriptions, or 6 handshakes.
pub(super) const MIN_OTHER_READ_BYTES: usize = 4 << 10;

/// Bytes read from all other sessions per microsecond of writing, so that reading takes about a quarter of that time.
const READ_BYTES_PER_MICROSECOND: usize = 5;

/// Fixed cost of reading a socket.
const READ_COST: usize = 64;

/// Fixed cost of a possible step of a TLS handshake, whose cryptography outweighs its bytes.
const TLS_STEP_COST: usize = 2 << 10;

/// Cost of the end of a connection.
pub(super) const END_COST: usize = 256;

/// Cost of the end of a subscription, like that of its beginning.
pub(super) const DROP_COST: usize = 64;

/// Number of subscriptions of ended sessions, still to be dropped, above which sockets of other sessions are not read. Their
/// clients could otherwise subscribe faster than subscriptions are dropped.
const MAX_PENDING_DROPS: usize = 100_000;

/// Bytes to read from all other sessions after this time of writing.
pub(super) fn other_read_budget(writing: Duration) -> usize {
    let fair =
        usize::try_from(writing.as_micros()).unwrap_or(usize::MAX).saturating_mul(READ_BYTES_PER_MICROSECOND);
    fair.clamp(MIN_OTHER_READ_BYTES, PUBLISHER_READ_BYTES)
}

/// The fixed cost of reading a socket, in bytes.
pub(super) fn read_cost(in_tls_handshake: bool) -> usize {
    if in_tls_handshake { TLS_STEP_COST } else { READ_COST }
}

/// Number of subscriptions of ended sessions to drop in this iteration, of the `to_drop` that are left. They may cost half of
/// `other_read_budget`, or all of it above [`MAX_PENDING_DROPS`].
pub(super) fn drops_per_iteration(to_drop: usize, other_read_budget: usize) -> usize {
    let reading = if to_drop > MAX_PENDING_DROPS { other_read_budget } else { other_read_budget / 2 };
    to_drop.min(reading / DROP_COST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_budget_grows_with_the_time_of_writing_within_bounds() {
        assert_eq!(other_read_budget(Duration::ZERO), MIN_OTHER_READ_BYTES);
        assert_eq!(other_read_budget(Duration::from_millis(2)), 10_000);
        assert_eq!(other_read_budget(Duration::MAX), PUBLISHER_READ_BYTES);
    }

    #[test]
    fn drops_get_half_of_the_read_budget_and_all_of_it_above_the_limit() {
        assert_eq!(drops_per_iteration(10, MIN_OTHER_READ_BYTES), 10);
        assert_eq!(drops_per_iteration(MAX_PENDING_DROPS, MIN_OTHER_READ_BYTES), 32);
        assert_eq!(drops_per_iteration(MAX_PENDING_DROPS + 1, MIN_OTHER_READ_BYTES), 64);
        assert_eq!(drops_per_iteration(MAX_PENDING_DROPS, PUBLISHER_READ_BYTES), 512);
    }
}
