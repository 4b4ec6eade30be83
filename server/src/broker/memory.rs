//! The broker of a single node: everything in memory.
//!
//! Owns what each publisher has had accepted, and the locks that keep each topic's order.

use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use orosync_protocol::link_frame::Message;
use orosync_protocol::{PublisherId, Seq, Topic};

use super::seen::Seen;

/// How many locks the topics share. A topic's lock is held until its event is in the last shard's inbox.
const LOCKS: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct MemoryBroker {
    seen: Seen,
    hasher: std::hash::RandomState,
    locks: [Mutex<()>; LOCKS],
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
    /// An empty broker that remembers so many publishers.
    pub fn new(max_publishers: usize) -> Self {
        Self {
            seen: Seen::new(max_publishers),
            hasher: std::hash::RandomState::new(),
            locks: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// The highest number accepted from this publisher.
    pub fn highest(&self, publisher: PublisherId, now: Instant) -> Option<Seq> {
        self.seen.highest(publisher, now)
    }

    /// Accepts a publisher's messages, in order; hands each new one to `publish`.
    pub fn accept(
        &self,
        publisher: PublisherId,
        messages: Vec<(Seq, Message)>,
        now: Instant,
        mut publish: impl FnMut(Message),
    ) -> Outcome {
        self.seen.with_turn(publisher, now, |mut turn| {
            let mut outcome = Outcome::default();
            for (seq, message) in messages {
                if turn.first_time(seq) {
                    outcome.accepted += 1;
                    publish(message);
                } else {
                    outcome.duplicates += 1;
                }
            }
            outcome
        })
    }

    /// Runs `hand_over` while nobody else hands over an event of this topic.
    pub fn in_order(&self, topic: &Topic, hand_over: impl FnOnce()) {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.hasher.hash_one(topic) as usize;
        // There is nothing under the lock that a panic could have left half done.
        let _order = self.locks[hash % LOCKS].lock().unwrap_or_else(PoisonError::into_inner);
        hand_over();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;
    use std::thread;

    use bytes::Bytes;
    use orosync_protocol::{Audience, Payload};

    use super::*;

    fn batch(from: u64, to: u64) -> Vec<(Seq, Message)> {
        let message = |n: u64| Message {
            topic: Topic::parse("t").unwrap(),
            payload: Payload::from_encoder(Bytes::from(n.to_string())).unwrap(),
            audience: Audience::default(),
        };
        (from..=to).map(|n| (Seq::new(n).unwrap(), message(n))).collect()
    }

    #[test]
    fn what_is_sent_again_is_published_once_and_in_order() {
        let broker = MemoryBroker::new(10);
        let (publisher, now) = (PublisherId(1), Instant::now());
        let mut payloads = Vec::new();
        let first = broker.accept(publisher, batch(1, 3), now, |message| payloads.push(message.payload));
        assert_eq!(first, Outcome { accepted: 3, duplicates: 0 });
        let again = broker.accept(publisher, batch(2, 5), now, |message| payloads.push(message.payload));
        assert_eq!(again, Outcome { accepted: 2, duplicates: 2 });
        let numbers: Vec<&[u8]> = payloads.iter().map(|payload| &payload.as_bytes()[..]).collect();
        assert_eq!(numbers, [b"1", b"2", b"3", b"4", b"5"]);
        assert_eq!(broker.highest(publisher, now), Seq::new(5));
    }

    #[test]
    fn two_receivers_see_the_events_of_a_topic_in_the_same_order() {
        let broker = MemoryBroker::new(10);
        let topic = Topic::parse("t").unwrap();
        let (first, one) = channel();
        let (second, other) = channel();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for source in 0..4 {
                let (broker, topic, start) = (&broker, &topic, &start);
                let (first, second) = (first.clone(), second.clone());
                scope.spawn(move || {
                    start.wait();
                    for n in 0..10_000 {
                        broker.in_order(topic, || {
                            first.send((source, n)).unwrap();
                            second.send((source, n)).unwrap();
                        });
                    }
                });
            }
        });
        drop((first, second));
        assert_eq!(one.iter().collect::<Vec<_>>(), other.iter().collect::<Vec<_>>());
    }
}
