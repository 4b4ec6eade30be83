//! The broker of a single node. It keeps everything in memory and completes each operation within the call.
//!
//! Owns the accepted sequence numbers of publishers, and the histories of topics with the locks that preserve each topic's
//! order.

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{ClusterId, PublisherId, Topic};

use super::cluster::Cluster;
use super::history::{History, HistoryRules};
use super::seen::Seen;
use super::{Broker, EventHandler, HandOver, Since};
use crate::metrics::{Metrics, Source};
use crate::process::unix_time;
use crate::publication::delivery::Delivery;
use crate::publication::event_body::EventBody;
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Content, Event, Held, Item, Publication};

/// The broker of a single node.
#[derive(Debug)]
pub struct MemoryBroker {
    events: Arc<dyn EventHandler>,
    seen: Seen,
    history: History,
    metrics: Arc<Metrics>,
    /// A cluster of this node alone, for the lifetime of the process.
    cluster: Arc<Cluster>,
}

impl MemoryBroker {
    /// An empty broker that remembers `max_publishers` publishers and keeps history within `rules`.
    pub fn new(
        events: Arc<dyn EventHandler>,
        max_publishers: usize,
        rules: HistoryRules,
        metrics: Arc<Metrics>,
    ) -> Self {
        let history = History::new(rules, Arc::clone(&metrics));
        let cluster = Arc::new(Cluster::new(ClusterId(rand::random()), unix_time()));
        Self { events, seen: Seen::new(max_publishers), history, metrics, cluster }
    }

    /// Hands over an event while its topic is locked. The payload is copied before.
    fn hand_over(&self, item: Item, receipt: Option<Arc<Receipt>>) {
        let held = Held::new(item.credit, receipt);
        match item.content {
            Content::Disconnect(target) => self.events.handle_event(Event::Disconnect(target, None, held)),
            Content::Message(message) => {
                let topic = message.topic;
                if self.history.is_off() && !self.events.is_wanted(&topic) {
                    return;
                }
                let stored = EventBody::new(&message.payload, message.audience);
                self.history.append(&topic, stored.clone(), |position| {
                    if self.events.is_wanted(&topic) {
                        let delivery = Delivery::new(topic.clone(), stored, position, held);
                        self.events.handle_event(Event::Message(delivery));
                    }
                });
            }
        }
    }

    /// Publishes a publisher's messages, and holds the publisher's lock until their events are in the inboxes: after a reconnect
    /// to another shard, the last messages of the old connection may still be in progress. Only connections of the same
    /// publisher wait for this lock.
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
            // Duplicates may be accepted but not written yet. A barrier waits until all earlier events are written.
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

    /// Does nothing: interest is checked for each event.
    fn subscribe(&self, _: &Topic) {}

    fn unsubscribe(&self, _: &Topic) {}

    fn recover(&self, topic: &Topic, since: Option<Since>, limit: usize, hand_over: HandOver) {
        self.history.recover(topic, since, limit, |recovered| hand_over(Ok(recovered)));
    }

    fn set_rules(&self, rules: HistoryRules) {
        self.history.set_rules(rules);
    }

    fn handle_timeout(&self) {
        self.history.drop_expired();
    }

    fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract;
    use super::*;
    use crate::config::settings::HistorySettings;
    use crate::policy::Policies;

    #[test]
    fn it_keeps_the_contract() {
        let open = |events| -> Box<dyn Broker> {
            let rules =
                HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) };
            Box::new(MemoryBroker::new(events, 10, rules, Arc::new(Metrics::new())))
        };
        contract::test(open, contract::Highest::Known);
        contract::test_order_over_topics(open);
    }
}
