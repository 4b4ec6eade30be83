//! From the broker's events to the inboxes of the shards: the only way there.

use std::sync::Arc;

use orosync_protocol::Topic;

use super::disconnection::Disconnection;
use super::handle::ShardHandle;
use super::interest::Interest;
use crate::broker::EventHandler;
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// Which shards there are, and which have subscribers of what.
#[derive(Debug)]
pub struct FanOut {
    interest: Interest,
    shards: Vec<ShardHandle>,
}

impl FanOut {
    /// To these shards, of which none has subscribers yet.
    pub fn new(shards: Vec<ShardHandle>) -> Self {
        Self { interest: Interest::new(), shards }
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        &self.shards
    }

    /// Whether any shard has subscribers of this topic.
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
}

impl EventHandler for FanOut {
    fn is_wanted(&self, topic: &Topic) -> bool {
        self.has_subscribers(topic)
    }

    /// A message to each shard that has subscribers now, a disconnect to each, because any may have sessions that are
    /// meant.
    fn handle_event(&self, event: Event) {
        match event {
            Event::Message(delivery) => {
                let delivery = Arc::new(delivery);
                let interested = self.interest.shards(&delivery.topic);
                for handle in interested.iter().filter_map(|shard| self.shards.get(shard)) {
                    handle.deliver(Arc::clone(&delivery));
                }
            }
            Event::Disconnect(whom, held) => {
                let disconnection = Arc::new(Disconnection::new(whom, held));
                self.shards.iter().for_each(|shard| shard.disconnect(Arc::clone(&disconnection)));
            }
        }
    }

    fn handle_barrier(&self, receipt: &Arc<Receipt>) {
        for shard in &self.shards {
            shard.barrier(Arc::clone(receipt));
        }
    }
}
