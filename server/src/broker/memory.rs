//! The broker of a single node: everything in memory.
//!
//! Owns what each publisher has had accepted, and each topic's position. Bound: `limits.topics` topics; at the bound one
//! of them is forgotten, and begins a new epoch when it is published to again.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use orosync_protocol::link_frame::Message;
use orosync_protocol::{Position, PublisherId, Seq, Topic};

use super::seen::Seen;

/// How many topics share a lock. A topic's lock is held until its event is in the last shard's inbox.
const STRIPES: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct MemoryBroker {
    seen: Seen,
    hasher: std::hash::RandomState,
    stripes: [Mutex<HashMap<Topic, Position>>; STRIPES],
    max_topics_per_stripe: usize,
    next_epoch: AtomicU64,
}

/// What became of a publisher's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Newly accepted.
    pub accepted: u64,
    /// Had before.
    pub duplicates: u64,
}

impl MemoryBroker {
    /// An empty broker. `first_epoch` is different at each start: the time will do.
    pub fn new(max_publishers: usize, max_topics: usize, first_epoch: u64) -> Self {
        Self {
            seen: Seen::new(max_publishers),
            hasher: std::hash::RandomState::new(),
            stripes: std::array::from_fn(|_| Mutex::default()),
            max_topics_per_stripe: max_topics.div_ceil(STRIPES).max(1),
            next_epoch: AtomicU64::new(first_epoch),
        }
    }

    /// The highest number accepted from this publisher.
    pub fn highest(&self, publisher: PublisherId, now: Instant) -> Option<Seq> {
        self.seen.highest(publisher, now)
    }

    /// Accepts a publisher's messages, in order; hands each new one to `deliver` with its position, under its topic's lock.
    pub fn publish_all(
        &self,
        publisher: PublisherId,
        messages: Vec<(Seq, Message)>,
        now: Instant,
        mut deliver: impl FnMut(Message, Position),
    ) -> Outcome {
        self.seen.with_turn(publisher, now, |mut turn| {
            let mut outcome = Outcome::default();
            for (seq, message) in messages {
                if turn.first_time(seq) {
                    outcome.accepted += 1;
                    self.publish(message, &mut deliver);
                } else {
                    outcome.duplicates += 1;
                }
            }
            outcome
        })
    }

    /// Accepts one message of somebody who does not send twice: a browser, or the server itself.
    pub fn publish(&self, message: Message, deliver: impl FnOnce(Message, Position)) {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.hasher.hash_one(&message.topic) as usize;
        let mut stripe = self.stripes[hash % STRIPES].lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.advance(&mut stripe, &message.topic);
        deliver(message, position);
    }

    fn advance(&self, stripe: &mut HashMap<Topic, Position>, topic: &Topic) -> Position {
        if let Some(position) = stripe.get_mut(topic) {
            position.offset += 1;
            return *position;
        }
        if stripe.len() >= self.max_topics_per_stripe
            && let Some(any) = stripe.keys().next().cloned()
        {
            stripe.remove(&any);
        }
        let position = Position { epoch: self.next_epoch.fetch_add(1, Ordering::Relaxed), offset: 1 };
        stripe.insert(topic.clone(), position);
        position
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use orosync_protocol::Payload;
    use orosync_protocol::link_frame::Audience;

    use super::*;

    fn message(topic: &str) -> Message {
        Message {
            topic: Topic::parse(topic).unwrap(),
            payload: Payload::from_encoder(Bytes::from_static(b"1")).unwrap(),
            audience: Audience::default(),
        }
    }

    fn positions(broker: &MemoryBroker, topics: &[&str]) -> Vec<Position> {
        let mut positions = Vec::new();
        for topic in topics {
            broker.publish(message(topic), |_, position| positions.push(position));
        }
        positions
    }

    #[test]
    fn each_topic_counts_its_own_events_without_gaps() {
        let broker = MemoryBroker::new(10, 1000, 7);
        let offsets: Vec<u64> =
            positions(&broker, &["a", "b", "a", "a", "b"]).iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [1, 1, 2, 3, 2]);
    }

    #[test]
    fn a_forgotten_topic_begins_a_new_epoch() {
        let broker = MemoryBroker::new(10, 1, 7);
        let first = positions(&broker, &["a"])[0];
        for n in 0..2000 {
            positions(&broker, &[&format!("other/{n}")]);
        }
        let again = positions(&broker, &["a"])[0];
        assert_eq!(again.offset, 1);
        assert_ne!(again.epoch, first.epoch);
        let topics: usize = broker.stripes.iter().map(|stripe| stripe.lock().unwrap().len()).sum();
        assert!(topics <= STRIPES);
    }

    #[test]
    fn what_is_sent_again_is_delivered_once_and_in_order() {
        let broker = MemoryBroker::new(10, 1000, 7);
        let now = Instant::now();
        let batch = |from: u64, to: u64| (from..=to).map(|n| (Seq::new(n).unwrap(), message("a"))).collect();
        let mut offsets = Vec::new();
        let first = broker.publish_all(PublisherId(1), batch(1, 3), now, |_, p| offsets.push(p.offset));
        assert_eq!(first, Outcome { accepted: 3, duplicates: 0 });
        let again = broker.publish_all(PublisherId(1), batch(2, 5), now, |_, p| offsets.push(p.offset));
        assert_eq!(again, Outcome { accepted: 2, duplicates: 2 });
        assert_eq!(offsets, [1, 2, 3, 4, 5]);
        assert_eq!(broker.highest(PublisherId(1), now), Seq::new(5));
    }
}
