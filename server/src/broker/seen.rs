//! Deduplication: the highest accepted sequence number of each publisher, so that messages resent after a reconnect are not
//! delivered twice.
//!
//! Bound: `limits.remembered_publishers`. At the bound, the least recently used eighth is forgotten, except for publishers that
//! are publishing at the moment. The next message of a forgotten publisher counts as new; it is delivered twice only if it is a
//! resend.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use orosync_protocol::{PublisherId, Seq};

/// The highest sequence number of each publisher.
#[derive(Debug)]
pub struct Seen {
    publishers: Mutex<HashMap<PublisherId, Entry>>,
    max_publishers: usize,
}

#[derive(Debug)]
struct Entry {
    highest: Arc<Mutex<Option<Seq>>>,
    last_used: Instant,
}

/// The highest accepted number of a publisher, locked so that no other connection publishes for it.
#[derive(Debug)]
pub struct Numbers<'a>(MutexGuard<'a, Option<Seq>>);

impl Seen {
    /// An empty memory for up to `max_publishers`.
    pub fn new(max_publishers: usize) -> Self {
        Self { publishers: Mutex::default(), max_publishers: max_publishers.max(1) }
    }

    /// The highest number accepted from this publisher.
    pub fn highest(&self, publisher: PublisherId, now: Instant) -> Option<Seq> {
        *locked(&self.entry(publisher, now))
    }

    /// Runs `publish` while no other connection publishes for this publisher.
    pub fn with_publisher<R>(
        &self,
        publisher: PublisherId,
        now: Instant,
        publish: impl FnOnce(Numbers<'_>) -> R,
    ) -> R {
        let entry = self.entry(publisher, now);
        let guard = locked(&entry);
        publish(Numbers(guard))
    }

    fn entry(&self, publisher: PublisherId, now: Instant) -> Arc<Mutex<Option<Seq>>> {
        let mut publishers = locked(&self.publishers);
        if publishers.len() >= self.max_publishers && !publishers.contains_key(&publisher) {
            forget_oldest(&mut publishers);
        }
        let entry =
            publishers.entry(publisher).or_insert_with(|| Entry { highest: Arc::default(), last_used: now });
        entry.last_used = now;
        Arc::clone(&entry.highest)
    }
}

impl Numbers<'_> {
    /// Whether this number is new. If so, it counts as accepted.
    pub fn first_time(&mut self, seq: Seq) -> bool {
        let new = self.0.is_none_or(|highest| seq > highest);
        if new {
            *self.0 = Some(seq);
        }
        new
    }
}

fn forget_oldest(publishers: &mut HashMap<PublisherId, Entry>) {
    let mut ages: Vec<Instant> = publishers.values().map(|entry| entry.last_used).collect();
    let mut to_forget = ages.len() / 8 + 1;
    let (_, &mut limit, _) = ages.select_nth_unstable(to_forget - 1);
    publishers.retain(|_, entry| {
        let is_old = entry.last_used <= limit && Arc::strong_count(&entry.highest) == 1;
        let is_retained = to_forget == 0 || !is_old;
        to_forget -= usize::from(!is_retained);
        is_retained
    });
}

/// Locks, ignoring poison: a panic leaves a consistent number.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seq(value: u64) -> Seq {
        Seq::new(value).unwrap()
    }

    #[test]
    fn a_number_is_accepted_once_per_publisher() {
        let seen = Seen::new(10);
        let now = Instant::now();
        let (a, b) = (PublisherId(1), PublisherId(2));
        assert_eq!(seen.highest(a, now), None);
        let results =
            seen.with_publisher(a, now, |mut numbers| [1, 2, 2, 1, 3].map(|n| numbers.first_time(seq(n))));
        assert_eq!(results, [true, true, false, false, true]);
        assert_eq!(seen.highest(a, now), Some(seq(3)));
        assert!(seen.with_publisher(b, now, |mut numbers| numbers.first_time(seq(1))));
    }

    #[test]
    fn an_unknown_publisher_may_begin_with_any_number() {
        let seen = Seen::new(10);
        assert!(
            seen.with_publisher(PublisherId(1), Instant::now(), |mut numbers| numbers.first_time(seq(500)))
        );
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_least_recent() {
        let seen = Seen::new(16);
        let start = Instant::now();
        for n in 0..100_u32 {
            let now = start + Duration::from_secs(n.into());
            seen.with_publisher(PublisherId(n.into()), now, |mut numbers| numbers.first_time(seq(1)));
            assert!(locked(&seen.publishers).len() <= 16);
        }
        let now = start + Duration::from_secs(100);
        assert_eq!(seen.highest(PublisherId(99), now), Some(seq(1)));
    }

    #[test]
    fn among_equally_recent_publishers_an_eighth_is_forgotten() {
        let seen = Seen::new(16);
        let now = Instant::now();
        for n in 0..17_u32 {
            seen.highest(PublisherId(n.into()), now);
        }
        assert_eq!(locked(&seen.publishers).len(), 14);
    }
}
