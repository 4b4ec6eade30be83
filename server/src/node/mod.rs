//! A node: one running server. Takes what publishers hand over, through the broker, to the shards with subscribers.
//!
//! Not a thread: the publisher's shard calls it. It never names a shard, only its handle.

pub mod credit;
pub mod disconnection;
pub mod drain;
pub mod handle;
pub mod interest;
pub mod receipt;

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::disconnect::{self, Disconnect};
use orosync_protocol::link_frame::Message;
use orosync_protocol::{PublisherId, Seq, Topic};

use crate::broker::memory::MemoryBroker;
use crate::config::settings::Limits;
use crate::delivery::Delivery;
use crate::metrics::{Metrics, Source};

use credit::CreditPool;
use disconnection::Disconnection;
use handle::ShardHandle;
use interest::Interest;
use receipt::Receipt;

/// See the module.
#[derive(Debug)]
pub struct Node {
    broker: MemoryBroker,
    interest: Interest,
    shards: Vec<ShardHandle>,
    credit: Arc<CreditPool>,
    metrics: Arc<Metrics>,
}

impl Node {
    /// A node with these shards: at most [`ShardSet::MAX_SHARDS`].
    pub fn new(shards: Vec<ShardHandle>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let waiting = shards.clone();
        let credit = CreditPool::new(limits.publisher_messages, limits.publisher_bytes, move || {
            waiting.iter().for_each(ShardHandle::credit_returned);
        });
        Self {
            broker: MemoryBroker::new(limits.remembered_publishers),
            interest: Interest::new(),
            shards,
            credit,
            metrics,
        }
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        &self.shards
    }

    /// May a publisher's session publish now? If not, its shard hears when it may ask again.
    pub fn has_credit(&self) -> bool {
        self.credit.is_available()
    }

    /// The highest number accepted from this publisher. The receipt is settled when all up to it has been written.
    pub fn highest(&self, publisher: PublisherId, receipt: &Arc<Receipt>, now: Instant) -> Option<Seq> {
        let highest = self.broker.highest(publisher, now);
        if highest.is_some() {
            self.await_all_shards(receipt);
        }
        highest
    }

    /// Publishes a publisher's batch. When it returns, all of it is accepted; when the receipt is settled, all of it has
    /// been written.
    pub fn publish_all(
        &self,
        publisher: PublisherId,
        messages: Vec<(Seq, Message)>,
        receipt: &Arc<Receipt>,
        now: Instant,
    ) {
        let outcome = self
            .broker
            .accept(publisher, messages, now, |message| self.deliver(message, Some(Arc::clone(receipt))));
        if outcome.duplicates > 0 {
            // Accepted over an earlier connection, and perhaps not written yet: nobody knows any more where they are.
            self.await_all_shards(receipt);
        }
        self.metrics.messages_accepted.of(Source::Link).inc_by(outcome.accepted);
        self.metrics.messages_duplicate.inc_by(outcome.duplicates);
    }

    /// Publishes one message of a browser or of the server itself.
    pub fn publish(&self, message: Message, source: Source) {
        self.metrics.messages_accepted.of(source).inc();
        self.deliver(message, None);
    }

    /// Has anybody on this node subscribed to this topic?
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        !self.interest.shards(topic).is_empty()
    }

    /// `shard` has its first subscriber of `topic`.
    pub fn add_interest(&self, topic: &Topic, shard: usize) {
        self.interest.add(topic, shard);
    }

    /// `shard` has lost its last one.
    pub fn remove_interest(&self, topic: &Topic, shard: usize) {
        self.interest.remove(topic, shard);
    }

    /// To each shard, because any may have sessions that are meant.
    fn disconnect(&self, message: &Message) {
        // Whoever took the message has read it already.
        let Ok(disconnect) = Disconnect::parse(&message.payload) else { return };
        let disconnection = Arc::new(Disconnection::new(disconnect));
        self.shards.iter().for_each(|shard| shard.disconnect(Arc::clone(&disconnection)));
    }

    /// To each shard that has subscribers now. What is encoded here is encoded before the topic's lock is taken, which
    /// only keeps the order between events.
    fn deliver(&self, message: Message, receipt: Option<Arc<Receipt>>) {
        if message.topic.as_str() == disconnect::TOPIC {
            self.disconnect(&message);
            return;
        }
        let interested = self.interest.shards(&message.topic);
        if interested.is_empty() {
            return;
        }
        let credit = self.credit.take(message.payload.len());
        let delivery = Arc::new(Delivery::new(message, credit, receipt));
        self.broker.in_order(&delivery.topic, || {
            for shard in interested.iter() {
                if let Some(handle) = self.shards.get(shard) {
                    handle.deliver(Arc::clone(&delivery));
                }
            }
        });
    }

    fn await_all_shards(&self, receipt: &Arc<Receipt>) {
        for shard in &self.shards {
            shard.barrier(Arc::clone(receipt));
        }
    }
}
