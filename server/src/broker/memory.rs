//! The broker of a single node: everything in memory, and done within the call.
//!
//! Owns what each publisher has had accepted, and the locks that keep each topic's order.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use orosync_protocol::{PublisherId, Topic};

use super::seen::Seen;
use super::{Broker, EventHandler};
use crate::metrics::{Metrics, Source};
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Event, Item, Publication};

/// How many locks the topics share. A topic's lock is held until its event is in the last shard's inbox.
const LOCKS: usize = 64;

/// The broker of a single node.
#[derive(Debug)]
pub struct MemoryBroker {
    events: Arc<dyn EventHandler>,
    seen: Seen,
    hasher: std::hash::RandomState,
    locks: [Mutex<()>; LOCKS],
    metrics: Arc<Metrics>,
}

impl MemoryBroker {
    /// An empty broker that remembers so many publishers.
    pub fn new(events: Arc<dyn EventHandler>, max_publishers: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            events,
            seen: Seen::new(max_publishers),
            hasher: std::hash::RandomState::new(),
            locks: std::array::from_fn(|_| Mutex::default()),
            metrics,
        }
    }

    /// Hands an event over, which is encoded before, while nobody else hands over one of its topic.
    fn hand_over(&self, item: Item, receipt: Option<Arc<Receipt>>) {
        if !self.events.is_wanted(&item.content) {
            return;
        }
        let event = item.into_event(receipt);
        // There is nothing under the lock that a panic could have left half done.
        let _order = match &event {
            Event::Message(delivery) => {
                Some(self.lock_of(&delivery.topic).lock().unwrap_or_else(PoisonError::into_inner))
            }
            Event::Disconnect(..) => None,
        };
        self.events.handle_event(event);
    }

    fn lock_of(&self, topic: &Topic) -> &Mutex<()> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.hasher.hash_one(topic) as usize;
        &self.locks[hash % LOCKS]
    }

    /// A publisher may have reconnected to another shard while the last messages of its old connection are still taken. So
    /// it is locked until its events are in the inboxes, which nobody but itself waits for.
    fn publish_numbered(&self, publisher: PublisherId, publication: Publication, now: Instant) {
        let Publication { items, receipt, .. } = publication;
        let (mut accepted, mut duplicates) = (0, 0);
        self.seen.with_publisher(publisher, now, |mut numbers| {
            for item in items {
                if item.seq.is_none_or(|seq| numbers.first_time(seq)) {
                    accepted += 1;
                    self.hand_over(item, receipt.clone());
                } else {
                    duplicates += 1;
                }
            }
        });
        if let (1.., Some(receipt)) = (duplicates, &receipt) {
            // Accepted over an earlier connection, and perhaps not written yet: nobody knows any more where they are.
            self.events.handle_barrier(receipt);
        }
        self.metrics.messages_accepted.of(Source::Link).inc_by(accepted);
        self.metrics.messages_duplicate.inc_by(duplicates);
    }
}

impl Broker for MemoryBroker {
    fn publish(&self, publication: Publication, now: Instant) {
        let source = match publication.author {
            Author::Publisher(publisher) => return self.publish_numbered(publisher, publication, now),
            Author::Browser => Source::Browser,
            Author::Server => Source::Server,
        };
        self.metrics.messages_accepted.of(source).inc_by(publication.items.len() as u64);
        for item in publication.items {
            self.hand_over(item, publication.receipt.clone());
        }
    }

    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant) {
        let highest = self.seen.highest(publisher, now);
        receipt.set_highest(highest);
        if highest.is_some() {
            self.events.handle_barrier(&receipt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;

    #[test]
    fn it_keeps_the_contract() {
        contract::test(|events| Box::new(MemoryBroker::new(events, 10, Arc::new(Metrics::new()))));
    }
}
