//! A node: one running server. Takes what is published to the broker, and the broker's events to the shards with
//! subscribers.
//!
//! Not a thread: a shard calls it. It never names a shard, only its handle.

pub mod disconnection;
pub mod drain;
pub mod fan_out;
pub mod handle;
pub mod interest;
pub mod name;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{PublisherId, Seq, Topic};

use crate::auth::revocations::Revocations;
use crate::broker::cluster::Cluster;
use crate::broker::history::HistoryRules;
use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, EventHandler, Since};
use crate::config::settings::Limits;
use crate::metrics::Metrics;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Content, Item, Publication};

use fan_out::FanOut;
use handle::{Awaited, ShardHandle};

/// See the module.
#[derive(Debug)]
pub struct Node {
    broker: Box<dyn Broker>,
    fan_out: Arc<FanOut>,
    credit: Arc<CreditPool>,
}

impl Node {
    /// A node of its own with these shards: at most [`interest::ShardSet::MAX_SHARDS`].
    /// Disconnects are among these revocations before a shard hears of them; none: sessions are not resumed.
    pub fn new(
        shards: Vec<ShardHandle>,
        limits: &Limits,
        history: HistoryRules,
        revocations: Option<Arc<Revocations>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let open = |events| {
            let broker = MemoryBroker::new(events, limits.remembered_publishers, history, metrics);
            Ok::<_, Infallible>(Box::new(broker) as Box<dyn Broker>)
        };
        match Self::with_broker(shards, limits, revocations, open) {
            Ok(node) => node,
            Err(impossible) => match impossible {},
        }
    }

    /// A node whose events come from this broker.
    pub fn with_broker<E>(
        shards: Vec<ShardHandle>,
        limits: &Limits,
        revocations: Option<Arc<Revocations>>,
        open: impl FnOnce(Arc<dyn EventHandler>) -> Result<Box<dyn Broker>, E>,
    ) -> Result<Self, E> {
        let waiting = shards.clone();
        let credit = CreditPool::new(limits.publisher_messages, limits.publisher_bytes, move || {
            waiting.iter().for_each(ShardHandle::credit_returned);
        });
        let fan_out = Arc::new(FanOut::new(shards, revocations));
        let broker = open(Arc::<FanOut>::clone(&fan_out))?;
        Ok(Self { broker, fan_out, credit })
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        self.fan_out.shards()
    }

    /// The nodes that deliver what this one accepts.
    pub fn cluster(&self) -> Arc<Cluster> {
        self.broker.cluster()
    }

    /// May somebody publish now? If not, the shards hear when it is worth asking again.
    pub fn has_credit(&self) -> bool {
        self.credit.is_available()
    }

    /// Takes the credit of what is about to be published.
    pub fn take_credit(&self, content: &Content) -> Credit {
        self.credit.take(content.bytes())
    }

    /// Publishes what a session has taken credit for.
    pub fn publish(&self, publication: Publication, now: Instant) {
        self.broker.publish(publication, now);
    }

    /// Publishes one message of the server itself, which needs no credit to begin. With a number it is published once by all
    /// nodes of the cluster together.
    pub fn publish_own(&self, content: Content, number: Option<Seq>) {
        let credit = self.take_credit(&content);
        let items = vec![Item { seq: number, content, credit }];
        self.publish(Publication { author: Author::Server, items, receipt: None }, Instant::now());
    }

    /// Asks what was accepted of this publisher: the receipt says so when all of that has been written.
    pub fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant) {
        self.broker.ask_highest(publisher, receipt, now);
    }

    /// Asks for what came of a topic, for a session of this shard, which gets it in its inbox in the order of the topic's events.
    pub fn recover(&self, topic: &Topic, since: Option<Since>, most: usize, shard: usize, awaited: Awaited) {
        let handle = self.shards()[shard].clone();
        let hand_over = Box::new(move |recovered| handle.recovered(awaited, recovered));
        self.broker.recover(topic, since, most, hand_over);
    }

    /// From now on this much history is kept.
    pub fn set_history(&self, rules: HistoryRules) {
        self.broker.set_rules(rules);
    }

    /// Looks at the clock, every few seconds.
    pub fn handle_timeout(&self) {
        self.broker.handle_timeout();
    }

    /// Has anybody on this node subscribed to this topic?
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        self.fan_out.has_subscribers(topic)
    }

    /// `shard` has its first subscriber of `topic`. It is told of what the broker sends from then on.
    pub fn add_interest(&self, topic: &Topic, shard: usize) {
        self.fan_out.add_interest(topic, shard);
        self.broker.subscribe(topic);
    }

    /// `shard` has lost its last one.
    pub fn remove_interest(&self, topic: &Topic, shard: usize) {
        self.fan_out.remove_interest(topic, shard);
        self.broker.unsubscribe(topic);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::broker::HandOver;

    /// What a broker is told of subscriptions, and whether events were wanted by then.
    #[derive(Debug)]
    struct Told {
        fan_out: Arc<FanOut>,
        told: Arc<Mutex<Vec<(&'static str, bool)>>>,
    }

    impl Told {
        fn tell(&self, what: &'static str, topic: &Topic) {
            self.told.lock().unwrap().push((what, self.fan_out.is_wanted(topic)));
        }
    }

    impl Broker for Told {
        fn publish(&self, _: Publication, _: Instant) {}
        fn ask_highest(&self, _: PublisherId, _: Arc<Receipt>, _: Instant) {}
        fn subscribe(&self, topic: &Topic) {
            self.tell("subscribe", topic);
        }
        fn unsubscribe(&self, topic: &Topic) {
            self.tell("unsubscribe", topic);
        }
        fn recover(&self, _: &Topic, _: Option<Since>, _: usize, _: HandOver) {}
        fn set_rules(&self, _: HistoryRules) {}
        fn handle_timeout(&self) {}

        fn cluster(&self) -> Arc<Cluster> {
            Arc::default()
        }
    }

    #[test]
    fn the_broker_hears_of_each_shard_when_its_events_have_where_to_go() {
        let told = Arc::new(Mutex::default());
        let fan_out = Arc::new(FanOut::new(Vec::new(), None));
        let broker = Box::new(Told { fan_out: Arc::clone(&fan_out), told: Arc::clone(&told) });
        let node = Node { broker, fan_out, credit: CreditPool::new(1, 1, || {}) };
        let topic = Topic::parse("t").unwrap();
        for shard in [0, 1] {
            node.add_interest(&topic, shard);
        }
        for shard in [0, 1] {
            node.remove_interest(&topic, shard);
        }
        let expected =
            [("subscribe", true), ("subscribe", true), ("unsubscribe", true), ("unsubscribe", false)];
        assert_eq!(*told.lock().unwrap(), expected);
    }
}
