//! The schedule for ending many sessions, when the node drains or events were lost.
//!
//! The ends are spread over the available time, because each browser that reconnects may request a ticket from PHP: ten
//! thousand requests in one second would be a storm. A few sessions are ended quickly.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SessionKey;

/// Maximum pause between the ends of two sessions of a shard: at this rate, 50 per second, all shards together cause no storm.
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// Maximum number of sessions of a node that end per second without a deadline. For each, PHP issues a ticket, which takes some
/// milliseconds of a core.
const MAX_PER_SECOND: u32 = 500;

/// Minimum duration without a deadline, except for a few sessions: there is no need to load PHP to its limit.
const MIN_SPREAD: Duration = Duration::from_secs(10);

/// Maximum duration without a deadline: until then, sessions may be open that were meant to be disconnected.
const MAX_SPREAD: Duration = Duration::from_mins(1);

/// The share of a drain's time that is reserved for writing after the last session has ended: a fifth.
const WRITE_SHARE: f64 = 0.2;

/// The time over which a shard without a deadline ends its sessions, if every shard does the same.
pub fn spread(sessions: usize, shards: usize) -> Duration {
    let sessions_of_node = u32::try_from(sessions.saturating_mul(shards)).unwrap_or(u32::MAX);
    (Duration::from_secs(1) / MAX_PER_SECOND).saturating_mul(sessions_of_node).clamp(MIN_SPREAD, MAX_SPREAD)
}

/// When the last session ends in a drain with the deadline `until`.
pub fn last_of_drain(now: Instant, until: Instant) -> Instant {
    now + until.saturating_duration_since(now).mul_f64(1.0 - WRITE_SHARE)
}

/// The sessions of a shard that are scheduled to end.
#[derive(Debug)]
pub struct EndSchedule {
    sessions: VecDeque<SessionKey>,
    timing: Option<Timing>,
    max_pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Timing {
    next: Instant,
    pause: Duration,
    last: Instant,
}

impl EndSchedule {
    /// An empty schedule, for one of `shards` shards.
    pub fn new(shards: usize) -> Self {
        let shards = u32::try_from(shards).unwrap_or(u32::MAX);
        let max_pause = MAX_PAUSE.max(Duration::from_secs(1).saturating_mul(shards) / MAX_PER_SECOND);
        Self { sessions: VecDeque::new(), timing: None, max_pause }
    }

    /// Schedules further sessions between `now` and `last`. They must not be scheduled already. Sessions with a later time keep
    /// it.
    pub fn add(&mut self, sessions: impl IntoIterator<Item = SessionKey>, now: Instant, mut last: Instant) {
        let mut next = now;
        if let Some(timing) = self.timing.filter(|_| !self.sessions.is_empty()) {
            (next, last) = (timing.next, last.max(timing.last));
        }
        self.sessions.extend(sessions);
        let window = last.saturating_duration_since(now);
        let count = u32::try_from(self.sessions.len().max(1)).unwrap_or(u32::MAX);
        self.timing = Some(Timing { next, pause: (window / count).min(self.max_pause), last });
    }

    /// The next session that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<SessionKey> {
        let timing = self.timing.as_mut()?;
        if now < timing.next {
            return None;
        }
        timing.next += timing.pause;
        self.sessions.pop_front()
    }

    /// The time of the next session.
    pub fn next(&self) -> Option<Instant> {
        let timing = self.timing?;
        (!self.sessions.is_empty()).then_some(timing.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(count: usize, seconds: u64) -> Vec<Duration> {
        ends_in(count, 1, Duration::from_secs(seconds))
    }

    fn ends_in(count: usize, shards: usize, time: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let mut schedule = EndSchedule::new(shards);
        schedule.add([SessionKey::default()].repeat(count), start, start + time);
        ends_of(schedule, start)
    }

    fn ends_of(mut schedule: EndSchedule, start: Instant) -> Vec<Duration> {
        let mut ends = Vec::new();
        while let Some(next) = schedule.next() {
            while schedule.pop_due(next).is_some() {
                ends.push(next - start);
            }
        }
        ends
    }

    fn most_in_a_second(ends: &[Duration]) -> usize {
        let in_second = |second: u64| ends.iter().filter(|end| end.as_secs() == second).count();
        (0..=60).map(in_second).max().unwrap()
    }

    #[test]
    fn many_ends_are_spread_evenly_over_the_time() {
        let ends = ends(10_000, 10);
        assert_eq!(ends.len(), 10_000);
        assert!(*ends.last().unwrap() <= Duration::from_secs(10));
        assert_eq!(most_in_a_second(&ends), 1_000);
    }

    #[test]
    fn a_fifth_of_a_drain_is_reserved_for_writing() {
        let now = Instant::now();
        assert_eq!(last_of_drain(now, now + Duration::from_secs(10)), now + Duration::from_secs(8));
        assert_eq!(last_of_drain(now + MIN_SPREAD, now), now + MIN_SPREAD);
    }

    #[test]
    fn without_a_deadline_500_sessions_end_per_second_for_ten_seconds_to_a_minute() {
        // Sessions of a node, its shards, seconds that it takes, and the most in one of them, but for one of each shard.
        for (sessions, shards, seconds, most) in [
            (100, 1, 2, 50),
            (1_000, 1, 10, 100),
            (5_000, 2, 10, 500),
            (6_000, 1, 12, 500),
            (24_000, 4, 48, 500),
            (3_200, 32, 7, 512),
            (50_000, 8, 60, 840),
            (100_000, 1, 60, 1_667),
        ] {
            let of_shard = sessions / shards;
            let ends = ends_in(of_shard, shards, spread(of_shard, shards));
            let (last, in_a_second) = (*ends.last().unwrap(), most_in_a_second(&ends) * shards);
            assert!(
                last.abs_diff(Duration::from_secs(seconds)) < Duration::from_secs(1),
                "{sessions} on {shards}"
            );
            assert!(
                in_a_second <= most && in_a_second + shards > most,
                "{sessions} on {shards}: {in_a_second}"
            );
        }
    }

    #[test]
    fn a_few_sessions_end_quickly_and_without_time_all_end_at_once() {
        assert_eq!(*ends(11, 3600).last().unwrap(), Duration::from_millis(200));
        assert_eq!(ends(1000, 0), [Duration::ZERO; 1000]);
    }

    #[test]
    fn later_additions_neither_advance_nor_postpone_scheduled_ends() {
        let start = Instant::now();
        let mut schedule = EndSchedule::new(1);
        schedule.add([SessionKey::default()].repeat(1000), start, start + Duration::from_secs(10));
        for tenth in 1..=10 {
            let now = start + Duration::from_millis(tenth);
            schedule.add([SessionKey::default()], now, now + Duration::from_secs(2));
        }
        let ends = ends_of(schedule, start);
        assert_eq!((ends.len(), ends[0]), (1010, Duration::ZERO));
        let in_four_seconds = ends.iter().filter(|end| **end < Duration::from_secs(4)).count();
        assert!((390..=420).contains(&in_four_seconds), "{in_four_seconds}");
    }
}
