//! The history of one topic: its latest events, by offset and by time of acceptance. No I/O and no clock.

use std::collections::VecDeque;
use std::time::Duration;

use orosync_protocol::{Position, Topic};

use crate::publication::event_body::EventBody;

/// A time on a monotonic clock, as the duration since the history began.
pub type Moment = Duration;

/// Overhead of an event in addition to [`EventBody::cost`]: its place in the queue, and the headers of its allocations.
pub const EVENT_COST: usize = 128;

/// Overhead of a topic in addition to its events and its name.
pub const TOPIC_COST: usize = 256;

/// The latest events of one topic.
#[derive(Debug)]
pub struct TopicHistory {
    /// The topic.
    pub topic: Topic,
    max_events: usize,
    max_age: Duration,
    events: VecDeque<Entry>,
    /// The offset of the last event, stored or not.
    last: u64,
    /// The memory of the events in bytes.
    cost: usize,
    /// When the latest dropped event was accepted.
    dropped: Option<Moment>,
}

#[derive(Debug)]
struct Entry {
    /// The time in nanoseconds, which takes half the memory of a [`Moment`] and lasts for centuries.
    accepted: u64,
    body: EventBody,
}

impl Entry {
    fn new(accepted: Moment, body: EventBody) -> Self {
        Self { accepted: u64::try_from(accepted.as_nanos()).unwrap_or(u64::MAX), body }
    }

    fn accepted(&self) -> Moment {
        Moment::from_nanos(self.accepted)
    }
}

/// The start of the requested events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Events after this offset.
    Offset(u64),
    /// Events accepted from this time on.
    Moment(Moment),
}

/// The requested part of a topic's history.
#[derive(Debug)]
pub struct Latest {
    /// Whether the requested events are complete.
    pub complete: bool,
    /// The events with their positions, the oldest first.
    pub events: Vec<(Position, EventBody)>,
}

impl TopicHistory {
    /// An empty history. Offsets up to `last` may have been assigned to events that are lost, the latest of which was accepted
    /// at `dropped`.
    pub fn new(
        topic: Topic,
        max_events: usize,
        max_age: Duration,
        last: u64,
        dropped: Option<Moment>,
    ) -> Self {
        Self { topic, max_events, max_age, events: VecDeque::new(), last, cost: 0, dropped }
    }

    /// Replaces the bounds.
    pub fn set_limits(&mut self, max_events: usize, max_age: Duration, now: Moment) {
        (self.max_events, self.max_age) = (max_events, max_age);
        while self.events.len() > max_events {
            self.drop_oldest();
        }
        self.drop_expired(now);
    }

    /// The offset of the last event.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// When the latest dropped event was accepted.
    pub fn dropped(&self) -> Option<Moment> {
        self.dropped
    }

    /// The memory of the events in bytes.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Number of events.
    pub fn count(&self) -> usize {
        self.events.len()
    }

    /// When the oldest event was accepted. Without events: when the latest dropped one was.
    pub fn oldest(&self) -> Option<Moment> {
        self.events.front().map(Entry::accepted).or(self.dropped)
    }

    /// Appends an event accepted at `now` and drops events beyond the bounds, including `max_cost`. Returns its offset.
    pub fn append(&mut self, body: EventBody, now: Moment, max_cost: usize) -> u64 {
        self.last += 1;
        if self.max_events == 0 {
            self.dropped = Some(now);
            return self.last;
        }
        self.cost += cost_of(&body);
        self.events.push_back(Entry::new(now, body));
        while self.events.len() > self.max_events || self.cost > max_cost {
            self.drop_oldest();
        }
        self.drop_expired(now);
        self.last
    }

    /// Drops expired events.
    pub fn drop_expired(&mut self, now: Moment) {
        while self.events.front().is_some_and(|oldest| now.saturating_sub(oldest.accepted()) > self.max_age) {
            self.drop_oldest();
        }
        if self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(2 * self.events.len());
        }
    }

    /// Drops the oldest event. Returns whether there was one.
    pub fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.events.pop_front() else { return false };
        self.cost -= cost_of(&oldest.body);
        self.dropped = Some(oldest.accepted());
        true
    }

    /// The requested events, at most the latest `limit`, with positions of this tag.
    pub fn latest(&self, from: Start, limit: usize, tag: u64) -> Latest {
        let length = self.events.len();
        let before_first = self.last - length as u64;
        let (start, mut complete) = match from {
            Start::Offset(offset) if offset > self.last => (0, false),
            Start::Offset(offset) => {
                let start = usize::try_from(offset.saturating_sub(before_first)).unwrap_or(length);
                (start, offset >= before_first)
            }
            Start::Moment(moment) => (
                self.events.partition_point(|entry| entry.accepted() < moment),
                self.dropped.is_none_or(|dropped| dropped < moment),
            ),
        };
        let cut = (length - start).saturating_sub(limit);
        complete &= cut == 0;
        let start = start + cut;
        let positions = (before_first + 1 + start as u64..).map(|offset| Position { offset, tag });
        let events = positions.zip(self.events.range(start..).map(|entry| entry.body.clone())).collect();
        Latest { complete, events }
    }
}

fn cost_of(body: &EventBody) -> usize {
    body.cost() + EVENT_COST
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use orosync_protocol::{Audience, Payload};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn history(max_events: usize) -> TopicHistory {
        TopicHistory::new(Topic::parse("t").unwrap(), max_events, HOUR, 0, None)
    }

    fn body(n: u64) -> EventBody {
        EventBody::new(&Payload::from_encoder(Bytes::from(n.to_string())).unwrap(), Audience::default())
    }

    /// Appends the numbers from `from` to `to`, each at the second of the same number.
    fn append(history: &mut TopicHistory, from: u64, to: u64) {
        (from..=to).for_each(|n| assert_eq!(history.append(body(n), at(n), usize::MAX), n));
    }

    /// The offsets, which equal the payloads.
    fn offsets(latest: &Latest) -> Vec<u64> {
        for (at, body) in &latest.events {
            assert_eq!(body.payload().as_bytes(), at.offset.to_string().as_bytes());
        }
        latest.events.iter().map(|(at, _)| at.offset).collect()
    }

    #[test]
    fn events_since_an_offset_are_complete_unless_one_of_them_was_dropped() {
        let mut history = history(5);
        let ask = |history: &TopicHistory, offset| {
            let latest = history.latest(Start::Offset(offset), 100, 7);
            (latest.complete, offsets(&latest))
        };
        assert_eq!(ask(&history, 0), (true, vec![]));
        append(&mut history, 1, 3);
        assert_eq!(ask(&history, 0), (true, vec![1, 2, 3]));
        assert_eq!(ask(&history, 3), (true, vec![]));
        append(&mut history, 4, 10);
        assert_eq!(ask(&history, 3), (false, vec![6, 7, 8, 9, 10]));
        assert_eq!(ask(&history, 4), (false, vec![6, 7, 8, 9, 10]));
        assert_eq!(ask(&history, 5), (true, vec![6, 7, 8, 9, 10]));
        assert_eq!(ask(&history, 8), (true, vec![9, 10]));
        assert_eq!(ask(&history, 11), (false, vec![6, 7, 8, 9, 10]), "never assigned");
    }

    #[test]
    fn events_since_a_time_are_complete_if_dropped_events_are_older() {
        let mut history = history(3);
        append(&mut history, 1, 5);
        let ask = |from| {
            let latest = history.latest(Start::Moment(at(from)), 100, 7);
            (latest.complete, offsets(&latest))
        };
        assert_eq!(ask(1), (false, vec![3, 4, 5]));
        assert_eq!(ask(2), (false, vec![3, 4, 5]), "2 was accepted at 2");
        assert_eq!(ask(3), (true, vec![3, 4, 5]));
        assert_eq!(ask(5), (true, vec![5]));
        assert_eq!(ask(6), (true, vec![]));
    }

    #[test]
    fn a_limited_answer_has_the_latest_events() {
        let mut history = history(100);
        append(&mut history, 1, 10);
        let latest = history.latest(Start::Offset(4), 3, 7);
        assert_eq!((latest.complete, offsets(&latest)), (false, vec![8, 9, 10]));
        let latest = history.latest(Start::Offset(7), 3, 7);
        assert_eq!((latest.complete, offsets(&latest)), (true, vec![8, 9, 10]));
    }

    #[test]
    fn events_are_dropped_by_age_and_cost_and_if_none_may_be_stored() {
        let mut history = history(100);
        append(&mut history, 1, 3);
        history.append(body(3602), at(3602), usize::MAX);
        assert_eq!((history.count(), history.dropped()), (3, Some(at(1))));
        history.append(body(3603), at(3603), 2 * (EVENT_COST + 4));
        assert_eq!((history.count(), history.cost()), (2, 2 * (EVENT_COST + 4)));
        history.set_limits(0, HOUR, at(3603));
        assert_eq!(history.cost(), 0);
        history.append(body(3604), at(3604), usize::MAX);
        assert_eq!((history.count(), history.cost(), history.last()), (0, 0, 6));
        assert!(
            history.latest(Start::Offset(6), 9, 7).complete
                && !history.latest(Start::Offset(5), 9, 7).complete
        );
        assert_eq!(history.oldest(), Some(at(3604)));
    }

    #[test]
    fn offsets_continue_after_forgotten_ones() {
        let mut history = TopicHistory::new(Topic::parse("t").unwrap(), 5, HOUR, 7, Some(at(3)));
        assert!(
            !history.latest(Start::Offset(6), 9, 7).complete
                && history.latest(Start::Offset(7), 9, 7).complete
        );
        assert!(
            !history.latest(Start::Moment(at(3)), 9, 7).complete
                && history.latest(Start::Moment(at(4)), 9, 7).complete
        );
        assert_eq!(history.append(body(8), at(8), usize::MAX), 8);
    }
}
