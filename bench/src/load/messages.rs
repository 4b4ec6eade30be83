//! Messages in flight. Deliveries are matched to messages by order, which holds per topic: the k-th delivery on a session is
//! the k-th message of its topic. Messages go to the topics in turn.

use std::collections::VecDeque;

/// The messages in flight, and how many deliveries of each are missing.
#[derive(Debug)]
pub(super) struct Messages {
    /// Number of subscribers by topic.
    subscribers: Vec<usize>,
    /// The number of the next message, from 0.
    next: u64,
    /// The number of the first message since counting started.
    base: u64,
    /// The number of the oldest incomplete message. For it and each later one, `missing` has the number of subscribers that have
    /// not received it.
    oldest: u64,
    missing: VecDeque<usize>,
    incomplete: usize,
    delivered: u64,
}

/// Error: a delivery of a message that was not published. Two messages were counted as one, or the server sent one twice.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "topic {topic} delivered message {number} of this round, which was not published or had arrived everywhere"
)]
pub(super) struct Surplus {
    topic: usize,
    number: u64,
}

impl Messages {
    pub(super) fn new(topics: usize) -> Self {
        Self {
            subscribers: vec![0; topics],
            next: 0,
            base: 0,
            oldest: 0,
            missing: VecDeque::new(),
            incomplete: 0,
            delivered: 0,
        }
    }

    /// Records that one more session subscribes to a topic.
    pub(super) fn subscribe(&mut self, topic: usize) {
        self.subscribers[topic] += 1;
    }

    /// Resets the counters. Nothing may be in flight.
    pub(super) fn begin(&mut self) {
        self.base = self.next;
        self.oldest = self.next;
        self.missing.clear();
        self.incomplete = 0;
    }

    /// Records that `count` more messages are published. Returns the number of the first, and their topics.
    pub(super) fn publish(&mut self, count: usize) -> (u64, impl Iterator<Item = usize> + use<>) {
        let (first, topics) = (self.next, self.subscribers.len());
        #[expect(clippy::cast_possible_truncation, reason = "a remainder by a length")]
        let first_topic = ((first - self.base) % topics as u64) as usize;
        let of = move |index| (first_topic + index) % topics;
        self.missing.extend((0..count).map(|index| self.subscribers[of(index)]));
        self.next += count as u64;
        self.incomplete += count;
        (first, (0..count).map(of))
    }

    /// Records that one more session has received the `number`-th message of a topic.
    pub(super) fn arrived(&mut self, topic: usize, number: u64) -> Result<(), Surplus> {
        let message = self.base + number * self.subscribers.len() as u64 + topic as u64;
        let index = message.checked_sub(self.oldest).and_then(|index| usize::try_from(index).ok());
        let missing = index.and_then(|index| self.missing.get_mut(index)).filter(|missing| **missing > 0);
        let missing = missing.ok_or(Surplus { topic, number })?;
        *missing -= 1;
        self.delivered += 1;
        if *missing == 0 {
            self.incomplete -= 1;
            while self.missing.front() == Some(&0) {
                self.missing.pop_front();
                self.oldest += 1;
            }
        }
        Ok(())
    }

    /// Number of messages that some subscriber has not received.
    pub(super) fn incomplete(&self) -> usize {
        self.incomplete
    }

    /// Number of outstanding deliveries.
    pub(super) fn outstanding(&self) -> usize {
        self.missing.iter().sum()
    }

    /// Number of deliveries so far.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_when_every_subscriber_of_its_topic_has_it() {
        let mut messages = Messages::new(2);
        for topic in [0, 0, 1] {
            messages.subscribe(topic);
        }
        let (first, topics) = messages.publish(3);
        assert_eq!((first, topics.collect::<Vec<_>>()), (0, vec![0, 1, 0]));
        messages.arrived(0, 0).unwrap();
        messages.arrived(1, 0).unwrap();
        assert_eq!((messages.incomplete(), messages.outstanding()), (2, 3));
        messages.arrived(0, 0).unwrap();
        messages.arrived(0, 1).unwrap();
        messages.arrived(0, 1).unwrap();
        assert_eq!((messages.incomplete(), messages.outstanding(), messages.delivered()), (0, 0, 5));
        messages.begin();
        let (first, topics) = messages.publish(1);
        assert_eq!((first, topics.collect::<Vec<_>>()), (3, vec![0]));
        messages.arrived(0, 0).unwrap();
    }

    #[test]
    fn a_delivery_of_nothing_is_noticed() {
        let mut messages = Messages::new(1);
        messages.subscribe(0);
        assert!(messages.arrived(0, 0).is_err());
        drop(messages.publish(1));
        messages.arrived(0, 0).unwrap();
        assert!(messages.arrived(0, 0).is_err());
    }
}
