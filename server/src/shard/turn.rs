//! How much a shard does in one turn of each thing that it does, so that nothing that comes in large amounts holds up the
//! rest: not what is published for what browsers send, nor their handshakes for what is written.
//!
//! Reading is measured in bytes, and whatever else it costs as so many of them: estimates, of which the order of magnitude
//! matters. `bench/`'s `handshakes` gives the scale: a request of a few hundred bytes takes 15 to 30 us, so a microsecond is
//! about 20 bytes.

use std::time::Duration;

/// Messages of the inbox. New connections among them only queue up.
pub(super) const MESSAGES: usize = 256;

/// New connections that are taken from their queue.
pub(super) const CONNECTIONS: usize = 16;

/// Events of the kernel.
pub(super) const EVENTS: usize = 1024;

/// What is read from publishers, and the most that is read at once.
pub(super) const READING_OF_PUBLISHERS: usize = 64 << 10;

/// What is read from all others where little was to be written: 50 subscriptions, or 6 handshakes.
pub(super) const LEAST_READING_OF_OTHERS: usize = 4 << 10;

/// What is read from all others for each microsecond of writing: for a quarter of its time.
const READING_FOR_A_MICROSECOND: usize = 5;

/// Reading a socket, besides the bytes.
const READ: usize = 64;

/// The same where it may be a step of a TLS handshake, whose arithmetic outweighs its bytes.
const TLS_STEP: usize = 2 << 10;

/// The end of a connection.
pub(super) const END: usize = 256;

/// The end of a subscription, as its beginning.
pub(super) const SUBSCRIPTION: usize = 64;

/// Subscriptions of sessions that have ended and are still to be dropped, beyond which others are not read: they could subscribe
/// faster than that.
const MOST_TO_DROP: usize = 100_000;

/// What is read from all others, after so long a time of writing.
pub(super) fn reading_of_others(writing: Duration) -> usize {
    let fair =
        usize::try_from(writing.as_micros()).unwrap_or(usize::MAX).saturating_mul(READING_FOR_A_MICROSECOND);
    fair.clamp(LEAST_READING_OF_OTHERS, READING_OF_PUBLISHERS)
}

/// What it costs to read a socket, besides the bytes.
pub(super) fn cost_of_read(in_tls_handshake: bool) -> usize {
    if in_tls_handshake { TLS_STEP } else { READ }
}

/// How many of so many subscriptions are dropped, where others are read for this much: half of it is for them.
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
    fn what_is_to_be_dropped_gets_half_of_the_reading_and_too_much_of_it_all() {
        assert_eq!(dropped_subscriptions(10, LEAST_READING_OF_OTHERS), 10);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP, LEAST_READING_OF_OTHERS), 32);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP + 1, LEAST_READING_OF_OTHERS), 64);
        assert_eq!(dropped_subscriptions(MOST_TO_DROP, READING_OF_PUBLISHERS), 512);
    }
}
