//! A node: one running server. Takes what is published to the broker, and the broker's events to the shards with
//! subscribers.
//!
//! Not a thread: a shard calls it. It never names a shard, only its handle.

pub mod disconnection;
pub mod drain;
pub mod fan_out;
pub mod handle;
pub mod interest;

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{ClusterId, PublisherId, Topic};

use crate::auth::revocations::Revocations;
use crate::broker::history::HistoryRules;
use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, Since};
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
    /// A node with these shards: at most [`interest::ShardSet::MAX_SHARDS`].
    /// Disconnects are among these revocations before a shard hears of them; none: sessions are not resumed.
    pub fn new(
        shards: Vec<ShardHandle>,
        limits: &Limits,
        history: HistoryRules,
        revocations: Option<Arc<Revocations>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let waiting = shards.clone();
        let credit = CreditPool::new(limits.publisher_messages, limits.publisher_bytes, move || {
            waiting.iter().for_each(ShardHandle::credit_returned);
        });
        let fan_out = Arc::new(FanOut::new(shards, revocations));
        let events = Arc::<FanOut>::clone(&fan_out);
        let broker = Box::new(MemoryBroker::new(events, limits.remembered_publishers, history, metrics));
        Self { broker, fan_out, credit }
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        self.fan_out.shards()
    }

    /// The nodes that deliver what this one accepts.
    pub fn cluster_id(&self) -> ClusterId {
        self.broker.cluster_id()
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

    /// Publishes one message of the server itself, which needs no credit to begin.
    pub fn publish_own(&self, content: Content) {
        let credit = self.take_credit(&content);
        let items = vec![Item { seq: None, content, credit }];
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

    /// `shard` has its first subscriber of `topic`.
    pub fn add_interest(&self, topic: &Topic, shard: usize) {
        self.fan_out.add_interest(topic, shard);
    }

    /// `shard` has lost its last one.
    pub fn remove_interest(&self, topic: &Topic, shard: usize) {
        self.fan_out.remove_interest(topic, shard);
    }
}
