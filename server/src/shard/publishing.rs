//! Publishing for the sessions of a shard: in order, as far as credit allows, and not at all once the node drains.

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{PublisherId, Seq};
use tokio::sync::mpsc;

use super::Shard;
use super::replies::Reply;
use crate::node::handle::ShardWaiter;
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Content, Item, Publication};
use crate::session::SessionKey;
use crate::session::publisher::Batch;

/// Messages of a session that wait to be published.
#[derive(Debug)]
pub(super) enum Unpublished {
    /// A publisher's batch, which is acknowledged.
    Batch(PublisherId, Batch),
    /// A message of a WAMP client.
    Content(Content),
}

impl Shard {
    /// Publishes messages of a session, or queues them until there is credit.
    pub(super) fn publish(&mut self, key: SessionKey, unpublished: Unpublished, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.unpublished.push_back(unpublished);
            self.publish_pending(key, now);
        }
    }

    /// Publishes a session's waiting messages, as far as credit allows.
    fn publish_pending(&mut self, key: SessionKey, now: Instant) {
        while let Some(entry) = self.sessions.get_mut(key).filter(|entry| !entry.unpublished.is_empty()) {
            // The publisher gets no acknowledgement and resends the messages to another server.
            if self.draining {
                entry.unpublished.clear();
                return;
            }
            if !self.node.has_credit() {
                self.shared.metrics.credit_waits.inc();
                if !self.awaiting_credit.contains(&key) {
                    self.awaiting_credit.push(key);
                }
                return;
            }
            match entry.unpublished.pop_front() {
                Some(Unpublished::Batch(publisher, mut batch)) => {
                    let contents = std::mem::take(&mut batch.contents).into_iter();
                    let items = contents.map(|(seq, content)| self.item(Some(seq), content)).collect();
                    let (number, receipt) = self.receipt(key);
                    let held: Arc<Receipt> = Arc::<Receipt<ShardWaiter>>::clone(&receipt);
                    let author = Author::Publisher(publisher);
                    self.node.publish(Publication { author, items, receipt: Some(held) }, now);
                    self.reply_when_settled(key, number, Reply::Acknowledged(batch), receipt, now);
                }
                Some(Unpublished::Content(content)) => {
                    let items = vec![self.item(None, content)];
                    self.node.publish(Publication { author: Author::Browser, items, receipt: None }, now);
                }
                None => {}
            }
        }
    }

    fn item(&self, seq: Option<Seq>, content: Content) -> Item {
        Item { seq, credit: self.node.take_credit(&content), content }
    }

    /// Handles returned credit: waiting sessions publish again.
    pub(super) fn handle_credit(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.awaiting_credit) {
            self.publish_pending(key, now);
            self.mark_dirty(key);
        }
    }

    /// First step of a drain: nothing more is published, and each publisher's session ends once its published messages are
    /// acknowledged. `done` is dropped when all are.
    pub(super) fn stop_publishing(&mut self, now: Instant, done: mpsc::Sender<()>) {
        self.draining = true;
        self.replies_sent = (self.replies > 0).then_some(done);
        for (key, entry) in &mut self.sessions {
            entry.unpublished.clear();
            if entry.session.is_publisher() {
                entry.end_publisher(now);
                entry.mark_dirty(key, &mut self.dirty);
            }
        }
    }
}
