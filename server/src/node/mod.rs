//! A node: one running server. It passes publications to the broker, and the broker's events to the shards with subscribers.
//!
//! It has no thread of its own: shards and the broker call it. It knows shards only by their handles.

pub mod disconnection;
pub mod drain;
pub mod fan_out;
pub mod handle;
pub mod interest;

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

/// The node, shared by all shards.
#[derive(Debug)]
pub struct Node {
    broker: Box<dyn Broker>,
    fan_out: Arc<FanOut>,
    credit: Arc<CreditPool>,
}

impl Node {
    /// A single node with the memory broker and these shards, at most [`interest::ShardSet::MAX_SHARDS`]. Disconnects are
    /// recorded in `revocations` before they reach a shard. `None`: resume tickets are disabled.
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

    /// A node with the broker that `open` returns.
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

    /// The cluster that this node belongs to.
    pub fn cluster(&self) -> Arc<Cluster> {
        self.broker.cluster()
    }

    /// Whether credit is available. If not, the shards are notified when it is returned.
    pub fn has_credit(&self) -> bool {
        self.credit.is_available()
    }

    /// Takes credit for content that is about to be published.
    pub fn take_credit(&self, content: &Content) -> Credit {
        self.credit.take(content.bytes())
    }

    /// Publishes messages for which a session has taken credit.
    pub fn publish(&self, publication: Publication, now: Instant) {
        self.broker.publish(publication, now);
    }

    /// Publishes a message of the server itself, which need not wait for credit. With a number, all nodes of the cluster
    /// together publish it once.
    pub fn publish_own(&self, content: Content, number: Option<Seq>) {
        let credit = self.take_credit(&content);
        let items = vec![Item { seq: number, content, credit }];
        self.publish(Publication { author: Author::Server, items, receipt: None }, Instant::now());
    }

    /// Asks for the highest sequence number accepted from this publisher. `receipt` carries the answer when all is written.
    pub fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant) {
        self.broker.ask_highest(publisher, receipt, now);
    }

    /// Asks for missed events of a topic, for a session of `shard`. The answer reaches its inbox in order with the topic's
    /// other events.
    pub fn recover(&self, topic: &Topic, since: Option<Since>, limit: usize, shard: usize, awaited: Awaited) {
        let handle = self.shards()[shard].clone();
        let hand_over = Box::new(move |recovered| handle.recovered(awaited, recovered));
        self.broker.recover(topic, since, limit, hand_over);
    }

    /// Replaces the bounds of the histories.
    pub fn set_history(&self, rules: HistoryRules) {
        self.broker.set_rules(rules);
    }

    /// Handles timeouts. Called every few seconds.
    pub fn handle_timeout(&self) {
        self.broker.handle_timeout();
    }

    /// Whether this node has subscribers of this topic.
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        self.fan_out.has_subscribers(topic)
    }

    /// Registers `shard` with its first subscriber of `topic`. From then on it receives the topic's events.
    pub fn add_interest(&self, topic: &Topic, shard: usize) {
        self.fan_out.add_interest(topic, shard);
        self.broker.subscribe(topic);
    }

    /// Unregisters `shard` after its last subscriber of `topic`.
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

    /// A broker that records calls, each with whether the fan-out accepted events at that time.
    #[derive(Debug)]
    struct RecordingBroker {
        fan_out: Arc<FanOut>,
        calls: Arc<Mutex<Vec<(&'static str, bool)>>>,
    }

    impl RecordingBroker {
        fn record(&self, call: &'static str, topic: &Topic) {
            self.calls.lock().unwrap().push((call, self.fan_out.is_wanted(topic)));
        }
    }

    impl Broker for RecordingBroker {
        fn publish(&self, _: Publication, _: Instant) {}
        fn ask_highest(&self, _: PublisherId, _: Arc<Receipt>, _: Instant) {}
        fn subscribe(&self, topic: &Topic) {
            self.record("subscribe", topic);
        }
        fn unsubscribe(&self, topic: &Topic) {
            self.record("unsubscribe", topic);
        }
        fn recover(&self, _: &Topic, _: Option<Since>, _: usize, _: HandOver) {}
        fn set_rules(&self, _: HistoryRules) {}
        fn handle_timeout(&self) {}

        fn cluster(&self) -> Arc<Cluster> {
            Arc::default()
        }
    }

    #[test]
    fn a_shard_is_registered_before_the_broker_subscribes() {
        let calls = Arc::new(Mutex::default());
        let fan_out = Arc::new(FanOut::new(Vec::new(), None));
        let broker = Box::new(RecordingBroker { fan_out: Arc::clone(&fan_out), calls: Arc::clone(&calls) });
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
        assert_eq!(*calls.lock().unwrap(), expected);
    }
}
