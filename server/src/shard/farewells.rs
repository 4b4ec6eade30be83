//! When each session ends, of many that are to end: because the node drains, or because something was missed.
//!
//! Spread over the time that there is, because each browser that comes back may ask PHP for a ticket: ten thousand of them in
//! one second would be the storm that a restart must not be. A few sessions are ended quickly: nobody waits for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SessionKey;

/// The longest pause between two sessions of a shard: 50 a second are no storm.
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Default)]
pub struct Farewells {
    sessions: VecDeque<SessionKey>,
    schedule: Option<Schedule>,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    next: Instant,
    pause: Duration,
    until: Instant,
}

impl Farewells {
    /// These as well, none of which is here, one after the other from `now` on, so that the last has a fifth of the time until
    /// `until` left to be written. Those that had more time keep it.
    pub fn add(&mut self, sessions: impl IntoIterator<Item = SessionKey>, now: Instant, mut until: Instant) {
        let mut next = now;
        if let Some(schedule) = self.schedule.filter(|_| !self.sessions.is_empty()) {
            (next, until) = (schedule.next, until.max(schedule.until));
        }
        self.sessions.extend(sessions);
        let window = until.saturating_duration_since(now).mul_f64(0.8);
        let count = u32::try_from(self.sessions.len().max(1)).unwrap_or(u32::MAX);
        self.schedule = Some(Schedule { next, pause: (window / count).min(MAX_PAUSE), until });
    }

    /// The next session whose turn has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<SessionKey> {
        let schedule = self.schedule.as_mut()?;
        if now < schedule.next {
            return None;
        }
        schedule.next += schedule.pause;
        self.sessions.pop_front()
    }

    /// When the next one's turn comes.
    pub fn next(&self) -> Option<Instant> {
        let schedule = self.schedule?;
        (!self.sessions.is_empty()).then_some(schedule.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(count: usize, seconds: u64) -> Vec<Duration> {
        let start = Instant::now();
        let mut farewells = Farewells::default();
        farewells.add([SessionKey::default()].repeat(count), start, start + Duration::from_secs(seconds));
        ends_of(farewells, start)
    }

    fn ends_of(mut farewells: Farewells, start: Instant) -> Vec<Duration> {
        let mut ends = Vec::new();
        while let Some(next) = farewells.next() {
            while farewells.pop_due(next).is_some() {
                ends.push(next - start);
            }
        }
        ends
    }

    #[test]
    fn many_are_spread_evenly_over_most_of_the_time() {
        let ends = ends(10_000, 10);
        assert_eq!(ends.len(), 10_000);
        assert!(*ends.last().unwrap() <= Duration::from_secs(8));
        let in_one_second = ends.iter().filter(|end| **end < Duration::from_secs(1)).count();
        assert!((1_200..=1_300).contains(&in_one_second), "{in_one_second}");
    }

    #[test]
    fn a_few_are_ended_quickly_and_without_time_all_at_once() {
        assert_eq!(*ends(11, 3600).last().unwrap(), Duration::from_millis(200));
        assert_eq!(ends(1000, 0), [Duration::ZERO; 1000]);
    }

    #[test]
    fn what_is_added_later_hurries_nobody_and_puts_nobody_off() {
        let start = Instant::now();
        let mut farewells = Farewells::default();
        farewells.add([SessionKey::default()].repeat(1000), start, start + Duration::from_secs(10));
        for tenth in 1..=10 {
            let now = start + Duration::from_millis(tenth);
            farewells.add([SessionKey::default()], now, now + Duration::from_secs(2));
        }
        let ends = ends_of(farewells, start);
        assert_eq!((ends.len(), ends[0]), (1010, Duration::ZERO));
        let in_four_seconds = ends.iter().filter(|end| **end < Duration::from_secs(4)).count();
        assert!((480..=520).contains(&in_four_seconds), "{in_four_seconds}");
    }
}
