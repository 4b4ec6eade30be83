//! The histories of a node in memory: the latest events of each topic, for sessions that were disconnected.
//!
//! Owns each topic's events, and the lock under which they are handed over, so that all shards see the same order. Bounds:
//!
//! - per topic: the bounds of the configuration ([`HistoryRules`]), and a quarter of the node's bytes, so that a busy topic
//!   does not displace quiet ones;
//! - per node: `history.bytes`, including the overhead of each event and topic ([`topic::EVENT_COST`],
//!   [`topic::TOPIC_COST`]). Beyond it the node's oldest event is dropped first. A topic without events is forgotten when its
//!   last event would be the oldest.
//!
//! A topic that is not stored has the position of the last forgotten topic. A session that returns with this position has missed
//! nothing, unless another topic was forgotten since, which may have been this one.

pub mod topic;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use orosync_protocol::{Position, Topic};
use slotmap::{DefaultKey, SlotMap};

use super::{Recovered, Since};
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::publication::event_body::EventBody;
use topic::{Moment, Start, TOPIC_COST, TopicHistory};

/// Number of locks that the topics share. A lock is held until an event of its topics is in the last shard's inbox.
const STRIPES: usize = 64;

/// Divisor for the maximum share of one topic in the node's bytes.
const SHARE: usize = 4;

/// The bounds of all histories.
#[derive(Clone, Debug)]
pub struct HistoryRules {
    /// The bounds of the node, and of topics without bounds of their own.
    pub settings: HistorySettings,
    /// The policies with the bounds of single topics.
    pub policies: Policies,
}

/// The histories of all topics of a node.
#[derive(Debug)]
pub struct History {
    start: Instant,
    rules: RwLock<HistoryRules>,
    hasher: std::hash::RandomState,
    stripes: [Mutex<Stripe>; STRIPES],
    /// The value of `history.bytes`.
    max_bytes: AtomicUsize,
    /// The memory of all histories.
    bytes: AtomicUsize,
    /// For each topic, a lower bound for the acceptance time of its oldest event. Locked before a stripe.
    ages: Mutex<BinaryHeap<Reverse<(Moment, usize, DefaultKey)>>>,
    metrics: Arc<Metrics>,
}

/// Topics that share a lock.
#[derive(Debug)]
struct Stripe {
    names: HashMap<Topic, DefaultKey>,
    topics: SlotMap<DefaultKey, TopicHistory>,
    /// Combined with the hash of a topic into the tag of its positions, so that they are not valid for other topics.
    tag: u64,
    /// The highest offset of all forgotten topics.
    forgotten: u64,
    /// When the latest of their events was accepted.
    forgotten_at: Option<Moment>,
    /// Whether no events are stored.
    is_off: bool,
}

impl History {
    /// Empty histories.
    pub fn new(rules: HistoryRules, metrics: Arc<Metrics>) -> Self {
        let max_bytes = rules.settings.bytes;
        Self {
            start: Instant::now(),
            rules: RwLock::new(rules),
            hasher: std::hash::RandomState::new(),
            stripes: std::array::from_fn(|_| Mutex::new(Stripe { is_off: max_bytes == 0, ..Stripe::new() })),
            max_bytes: AtomicUsize::new(max_bytes),
            bytes: AtomicUsize::new(0),
            ages: Mutex::default(),
            metrics,
        }
    }

    /// Replaces the rules, which also apply to stored events.
    pub fn set_rules(&self, rules: HistoryRules) {
        let max_bytes = rules.settings.bytes;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        for stripe in &self.stripes {
            let mut stripe = locked(stripe);
            let now = self.start.elapsed();
            if max_bytes == 0 || stripe.is_off {
                // Events that arrive while nothing is stored cannot be recovered later.
                for history in stripe.topics.values() {
                    self.count(Size::of(history), Size::default());
                }
                *stripe = Stripe { is_off: max_bytes == 0, forgotten_at: Some(now), ..Stripe::new() };
                continue;
            }
            for history in stripe.topics.values_mut() {
                let (max_events, max_age) = self.limits_of(&history.topic);
                let before = Size::of(history);
                history.set_limits(max_events, max_age, now);
                self.count(before, Size::of(history));
            }
        }
        self.drop_excess(max_bytes);
    }

    /// Whether no topic stores events.
    pub fn is_off(&self) -> bool {
        self.max_bytes.load(Ordering::Relaxed) == 0
    }

    /// Appends an event and hands over its position, in order with the topic's other events.
    pub fn append(&self, topic: &Topic, body: EventBody, hand_over: impl FnOnce(Position)) {
        let (hash, number) = self.place_of(topic);
        let mut stripe = locked(&self.stripes[number]);
        if stripe.is_off {
            hand_over(Position::UNKNOWN);
            return;
        }
        let tag = stripe.tag ^ hash;
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        let now = self.start.elapsed();
        let (key, is_new) = stripe.key(topic, || self.limits_of(topic));
        let history = &mut stripe.topics[key];
        let before = if is_new { Size::default() } else { Size::of(history) };
        let offset = history.append(body, now, max_bytes / SHARE);
        self.count(before, Size::of(history));
        hand_over(Position { offset, tag });
        drop(stripe);
        if is_new {
            locked(&self.ages).push(Reverse((now, number, key)));
        }
        if self.is_over(max_bytes) {
            self.drop_excess(max_bytes);
        }
    }

    /// Hands over the requested events of a topic, at most the latest `limit`, before the topic's next event.
    pub fn recover(
        &self,
        topic: &Topic,
        since: Option<Since>,
        limit: usize,
        hand_over: impl FnOnce(Recovered),
    ) {
        let (hash, number) = self.place_of(topic);
        let stripe = locked(&self.stripes[number]);
        if stripe.is_off {
            let position = Position::UNKNOWN;
            hand_over(Recovered { position, complete: since.is_none(), events: Vec::new() });
            return;
        }
        let nothing;
        let history = if let Some(key) = stripe.names.get(topic) {
            &stripe.topics[*key]
        } else {
            nothing = stripe.without_events(topic, 0, Duration::ZERO);
            &nothing
        };
        let tag = stripe.tag ^ hash;
        let from = match since {
            None => Some(Start::Offset(history.last())),
            Some(Since::Position(position)) => {
                position.filter(|position| position.tag == tag).map(|position| Start::Offset(position.offset))
            }
            Some(Since::Instant(instant)) => instant.checked_duration_since(self.start).map(Start::Moment),
        };
        let mut latest = history.latest(from.unwrap_or(Start::Moment(Moment::ZERO)), limit, tag);
        // `None`: a position of another history, or a time before this one began.
        latest.complete &= from.is_some();
        let position = Position { offset: history.last(), tag };
        hand_over(Recovered { position, complete: latest.complete, events: latest.events });
    }

    /// Drops expired events. To be called every few seconds.
    pub fn drop_expired(&self) {
        for stripe in &self.stripes {
            let mut stripe = locked(stripe);
            let now = self.start.elapsed();
            for history in stripe.topics.values_mut() {
                let before = Size::of(history);
                history.drop_expired(now);
                self.count(before, Size::of(history));
            }
        }
    }

    /// Drops the oldest events of all topics until the rest is within the bound.
    #[cold]
    fn drop_excess(&self, max_bytes: usize) {
        let mut ages = locked(&self.ages);
        while self.is_over(max_bytes)
            && let Some(Reverse((age, number, key))) = ages.pop()
        {
            let mut stripe = locked(&self.stripes[number]);
            let Some(history) = stripe.topics.get_mut(key) else { continue };
            let oldest = history.oldest().unwrap_or(age);
            if oldest > age {
                // That event was dropped already, so the topic is moved in the heap.
                ages.push(Reverse((oldest, number, key)));
                continue;
            }
            let before = Size::of(history);
            if history.drop_oldest() {
                self.metrics.history_events_dropped.inc();
                self.count(before, Size::of(history));
                ages.push(Reverse((history.oldest().unwrap_or(age), number, key)));
            } else {
                self.count(before, Size::default());
                stripe.forget(key);
            }
        }
    }

    fn is_over(&self, max_bytes: usize) -> bool {
        self.bytes.load(Ordering::Relaxed) > max_bytes
    }

    /// Updates the totals after a change of a topic's history.
    fn count(&self, before: Size, after: Size) {
        let Metrics { history_topics, history_events, history_bytes, .. } = &*self.metrics;
        for (gauge, before, after) in [
            (history_topics, before.topics, after.topics),
            (history_events, before.events, after.events),
            (history_bytes, before.bytes, after.bytes),
        ] {
            if before != after {
                gauge.inc_by(counted(after) - counted(before));
            }
        }
        // A decrease wraps around, and so does the sum.
        self.bytes.fetch_add(after.bytes.wrapping_sub(before.bytes), Ordering::Relaxed);
    }

    fn limits_of(&self, topic: &Topic) -> (usize, Duration) {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let limits = rules.policies.history(topic.as_str(), rules.settings.limits);
        (limits.events, limits.age)
    }

    /// The hash of a topic, and the stripe that it is in.
    fn place_of(&self, topic: &Topic) -> (u64, usize) {
        let hash = self.hasher.hash_one(topic);
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let number = hash as usize % STRIPES;
        (hash, number)
    }
}

impl Stripe {
    fn new() -> Self {
        Self {
            names: HashMap::new(),
            topics: SlotMap::new(),
            tag: rand::random(),
            forgotten: 0,
            forgotten_at: None,
            is_off: false,
        }
    }

    /// The key of a topic, and whether it was added.
    fn key(&mut self, topic: &Topic, limits: impl FnOnce() -> (usize, Duration)) -> (DefaultKey, bool) {
        if let Some(key) = self.names.get(topic) {
            return (*key, false);
        }
        let (max_events, max_age) = limits();
        let key = self.topics.insert(self.without_events(topic, max_events, max_age));
        self.names.insert(topic.clone(), key);
        (key, true)
    }

    /// The history of a topic that is not stored.
    fn without_events(&self, topic: &Topic, max_events: usize, max_age: Duration) -> TopicHistory {
        TopicHistory::new(topic.clone(), max_events, max_age, self.forgotten, self.forgotten_at)
    }

    fn forget(&mut self, key: DefaultKey) {
        if let Some(history) = self.topics.remove(key) {
            self.names.remove(&history.topic);
            self.forgotten = self.forgotten.max(history.last());
            self.forgotten_at = self.forgotten_at.max(history.dropped());
        }
    }
}

/// The size of a topic's history.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    topics: usize,
    events: usize,
    bytes: usize,
}

impl Size {
    fn of(history: &TopicHistory) -> Self {
        let bytes = TOPIC_COST + history.topic.as_str().len() + history.cost();
        Self { topics: 1, events: history.count(), bytes }
    }
}

/// Converts a count for a gauge.
fn counted(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Locks, ignoring poison: the state is consistent between calls, and the calls do not panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use orosync_protocol::{Audience, Payload, TopicPattern};
    use proptest::prelude::*;

    use super::topic::EVENT_COST;
    use super::*;
    use crate::policy::{HistoryLimits, HistoryOverride, Publish, Subscribe, TopicRule};

    const MINUTE: Duration = Duration::from_mins(1);

    fn rules(events: usize, bytes: usize) -> HistoryRules {
        let short =
            TopicRule::new(TopicPattern::parse("short/{x}").unwrap(), Subscribe::User, Publish::Publisher)
                .unwrap()
                .with_history(HistoryOverride { events: Some(2), age: None });
        let settings = HistorySettings { limits: HistoryLimits { events, age: MINUTE }, bytes };
        HistoryRules { settings, policies: Policies::new(vec![short]) }
    }

    fn history(events: usize, bytes: usize) -> History {
        History::new(rules(events, bytes), Arc::new(Metrics::new()))
    }

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    fn publish(history: &History, name: &str, payload: &str) -> Position {
        let payload = Payload::from_encoder(Bytes::from(payload.to_owned())).unwrap();
        let mut position = None;
        history.append(&topic(name), EventBody::new(&payload, Audience::default()), |at| {
            position = Some(at);
        });
        position.unwrap()
    }

    fn recover(history: &History, name: &str, since: impl Into<Option<Since>>) -> (bool, Vec<String>) {
        let mut recovered = None;
        history.recover(&topic(name), since.into(), 1000, |found| recovered = Some(found));
        let Recovered { complete, events, position } = recovered.unwrap();
        assert!(events.last().is_none_or(|(at, _)| *at == position));
        let payload_of = |(_, body): &(Position, EventBody)| {
            String::from_utf8(body.payload().as_bytes().to_vec()).unwrap()
        };
        (complete, events.iter().map(payload_of).collect())
    }

    fn position(history: &History, name: &str) -> Position {
        let mut position = None;
        history.recover(&topic(name), None, 0, |found| position = Some(found.position));
        position.unwrap()
    }

    fn since(position: Position) -> Since {
        Since::Position(Some(position))
    }

    #[test]
    fn positions_have_no_gaps_and_are_valid_for_this_history_only() {
        let history = history(3, 1 << 20);
        let first = publish(&history, "a", "1");
        assert_eq!(publish(&history, "a", "2"), Position { offset: first.offset + 1, ..first });
        assert_eq!(recover(&history, "a", since(first)), (true, vec!["2".into()]));
        assert_eq!(recover(&history, "a", None), (true, vec![]));
        let foreign = Position { tag: first.tag ^ 1, ..first };
        assert_eq!(recover(&history, "a", since(foreign)), (false, vec!["1".into(), "2".into()]));
        assert!(!recover(&history, "a", Since::Position(None)).0);
        for n in 3..=5 {
            publish(&history, "a", &n.to_string());
        }
        assert_eq!(recover(&history, "a", since(first)), (false, ["3", "4", "5"].map(String::from).into()));
    }

    #[test]
    fn a_topic_without_events_is_known_to_have_had_none() {
        let history = history(3, 1 << 20);
        let before = position(&history, "quiet");
        assert_eq!(recover(&history, "quiet", since(before)), (true, vec![]));
        publish(&history, "quiet", "1");
        assert_eq!(recover(&history, "quiet", since(before)), (true, vec!["1".into()]));
    }

    #[test]
    fn recoveries_since_a_time_before_the_history_are_incomplete() {
        let history = history(3, 1 << 20);
        publish(&history, "a", "1");
        let start = history.start;
        let before = start.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(recover(&history, "a", Since::Instant(before)), (false, vec!["1".into()]));
        assert_eq!(recover(&history, "a", Since::Instant(start)), (true, vec!["1".into()]));
        assert_eq!(recover(&history, "a", Since::Instant(start + MINUTE)), (true, vec![]));
    }

    #[test]
    fn a_rule_sets_the_bounds_of_its_topics() {
        let history = history(0, 1 << 20);
        let first = publish(&history, "a", "1");
        assert_eq!(recover(&history, "a", since(first)), (true, vec![]));
        publish(&history, "a", "2");
        assert_eq!(recover(&history, "a", since(first)), (false, vec![]));
        let first = publish(&history, "short/a", "1");
        for payload in ["2", "3"] {
            publish(&history, "short/a", payload);
        }
        assert_eq!(recover(&history, "short/a", since(first)), (true, ["2", "3"].map(String::from).into()));
    }

    #[test]
    fn without_bytes_nothing_is_stored_and_no_recovery_is_complete() {
        let history = history(3, 0);
        assert_eq!(publish(&history, "a", "1"), Position::UNKNOWN);
        assert_eq!(recover(&history, "a", None), (true, vec![]));
        assert_eq!(recover(&history, "a", since(Position::UNKNOWN)), (false, vec![]));
        assert_eq!(history.metrics.history_bytes.get(), 0);
    }

    #[test]
    fn beyond_the_nodes_bytes_the_oldest_event_is_dropped_and_one_topic_has_at_most_a_quarter() {
        let large = "1".repeat(10_000 - EVENT_COST);
        let history = history(1000, 100_000);
        let quiet = position(&history, "quiet");
        publish(&history, "quiet", "1");
        for _ in 0..50 {
            publish(&history, "noisy", &large);
        }
        assert_eq!(recover(&history, "quiet", since(quiet)), (true, vec!["1".into()]));
        assert_eq!(history.metrics.history_events.get(), 3, "one of the quiet topic, two of the noisy one");
        assert_eq!(
            history.metrics.history_events_dropped.get(),
            0,
            "the noisy topic is bounded by its share"
        );
        for n in 0..10 {
            publish(&history, &format!("other/{n}"), &large);
            assert!(!history.is_over(100_000));
        }
        assert_eq!(recover(&history, "quiet", since(quiet)), (false, vec![]), "its event was the oldest");
        assert!(history.metrics.history_events_dropped.get() > 0);
    }

    #[test]
    fn any_number_of_topics_takes_bounded_memory_and_never_claims_completeness_wrongly() {
        let history = history(1000, 100_000);
        let first = publish(&history, "t/0", "0");
        for n in 1..5000 {
            publish(&history, &format!("t/{n}"), "1");
            assert!(!history.is_over(100_000));
        }
        assert!(history.metrics.history_topics.get() < 400);
        assert!(
            !recover(&history, "t/0", since(first)).0,
            "the topic was forgotten and may have had further events"
        );
        assert!(publish(&history, "t/0", "2").offset > first.offset);
        assert_eq!(recover(&history, "t/0", since(first)), (false, vec!["2".into()]));
    }

    #[test]
    fn expired_events_are_dropped() {
        let history = history(1000, 100_000);
        publish(&history, "a", "1");
        history.stripes.iter().for_each(|stripe| {
            let mut stripe = locked(stripe);
            stripe
                .topics
                .values_mut()
                .for_each(|history| history.set_limits(9, Duration::ZERO, Moment::ZERO));
        });
        history.drop_expired();
        assert_eq!(history.metrics.history_events.get(), 0);
    }

    #[test]
    fn new_rules_apply_to_stored_events() {
        let history = history(1000, 100_000);
        let first = publish(&history, "a", "1");
        (2..=4).for_each(|n| assert_eq!(publish(&history, "a", &n.to_string()).offset, n));
        history.set_rules(rules(1000, 50_000));
        assert_eq!(recover(&history, "a", since(first)), (true, ["2", "3", "4"].map(String::from).into()));
        history.set_rules(rules(2, 50_000));
        assert_eq!(recover(&history, "a", since(first)), (false, ["3", "4"].map(String::from).into()));
        let large = "1".repeat(10_000);
        (0..4).for_each(|n| assert_eq!(publish(&history, &format!("b/{n}"), &large).offset, 1));
        history.set_rules(rules(2, 20_000));
        assert!(!history.is_over(20_000));
        history.set_rules(rules(2, 0));
        assert_eq!(history.metrics.history_bytes.get(), 0);
        assert_eq!(publish(&history, "a", "5"), Position::UNKNOWN);
        history.set_rules(rules(2, 20_000));
        assert_eq!(
            recover(&history, "a", since(first)),
            (false, vec![]),
            "5 was published while nothing was stored"
        );
        assert!(!recover(&history, "a", Since::Instant(history.start)).0, "since the start of the history");
        assert!(recover(&history, "a", Since::Instant(Instant::now())).0);
    }

    #[test]
    fn a_position_is_valid_for_one_topic_only() {
        let history = history(1000, 1 << 20);
        let first = publish(&history, "t/0", "1");
        for n in 1..500 {
            let name = format!("t/{n}");
            publish(&history, &name, "1");
            assert!(!recover(&history, &name, since(first)).0, "{name}");
        }
    }

    proptest! {
        /// A complete answer contains all events published since the position, whichever were dropped and forgotten.
        #[test]
        fn completeness_is_never_claimed_wrongly(
            steps in proptest::collection::vec((0_usize..8, 0_usize..1500), 1..120),
            bytes in 1_000_usize..20_000,
            events in 0_usize..6,
        ) {
            let history = history(events, bytes);
            let mut published: Vec<Vec<(Position, String)>> = vec![Vec::new(); 8];
            let mut asked: Vec<Vec<(Position, usize)>> = vec![Vec::new(); 8];
            for (step, (number, size)) in steps.into_iter().enumerate() {
                let name = format!("t/{number}");
                let payload = format!("{step}{}", "0".repeat(size));
                asked[number].push((position(&history, &name), published[number].len()));
                let at = publish(&history, &name, &payload);
                published[number].push((at, payload));
                prop_assert!(!history.is_over(bytes));
                // Checks one topic after each step.
                let number = step % 8;
                for (position, had) in &asked[number] {
                    let (complete, found) = recover(&history, &format!("t/{number}"), since(*position));
                    let missed: Vec<_> =
                        published[number][*had..].iter().map(|(_, payload)| payload.clone()).collect();
                    prop_assert!(missed.ends_with(&found), "only missed events, in order");
                    prop_assert!(!complete || found == missed);
                }
            }
        }
    }
}
