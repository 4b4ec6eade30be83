//! Fan-out: hands the broker's events to the inboxes of the shards. Events reach shards in no other way.

use std::sync::Arc;

use orosync_protocol::Topic;
use tracing::warn;

use super::disconnection::Disconnection;
use super::handle::ShardHandle;
use super::interest::Interest;
use crate::auth::revocations::Revocations;
use crate::auth::timeline::TimelineStart;
use crate::broker::EventHandler;
use crate::process::unix_time;
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// The shards, and which of them have subscribers of which topics.
#[derive(Debug)]
pub struct FanOut {
    interest: Interest,
    shards: Vec<ShardHandle>,
    /// The revocations. `None`: resume tickets are disabled.
    revocations: Option<Arc<Revocations>>,
    /// The start of this node, as Unix time in seconds.
    started: u64,
}

impl FanOut {
    /// The fan-out to these shards, which have no subscribers yet.
    pub fn new(shards: Vec<ShardHandle>, revocations: Option<Arc<Revocations>>) -> Self {
        Self { interest: Interest::new(), shards, revocations, started: unix_time() }
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        &self.shards
    }

    /// Whether any shard has subscribers of this topic.
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        !self.interest.shards(topic).is_empty()
    }

    /// Adds `shard` to the shards with subscribers of `topic`.
    pub fn add_interest(&self, topic: &Topic, shard: usize) {
        self.interest.add(topic, shard);
    }

    /// Removes `shard` from the shards with subscribers of `topic`.
    pub fn remove_interest(&self, topic: &Topic, shard: usize) {
        self.interest.remove(topic, shard);
    }

    fn end_browsers(&self) {
        self.shards.iter().for_each(ShardHandle::end_browsers);
    }
}

impl EventHandler for FanOut {
    fn is_wanted(&self, topic: &Topic) -> bool {
        self.has_subscribers(topic)
    }

    /// Hands a message to each shard that has subscribers, and a disconnect to all shards, because any may have matching
    /// sessions.
    fn handle_event(&self, event: Event) {
        match event {
            Event::Message(delivery) => {
                let delivery = Arc::new(delivery);
                let interested = self.interest.shards(&delivery.topic);
                for handle in interested.iter().filter_map(|shard| self.shards.get(shard)) {
                    handle.deliver(Arc::clone(&delivery));
                }
            }
            Event::Disconnect(target, at, held) => {
                let disconnection = Arc::new(Disconnection::new(target, held));
                // Recorded first, because shards may open sessions with resume tickets from now on. The publisher is answered
                // once the revocation is on disk; no shard waits for that.
                if let Some(revocations) = &self.revocations {
                    let target = &disconnection.target;
                    match at {
                        None => revocations.record(target, Arc::clone(&disconnection), unix_time()),
                        Some(at) => revocations.record_shared(target, at, unix_time()),
                    }
                }
                self.shards.iter().for_each(|shard| shard.disconnect(Arc::clone(&disconnection)));
            }
        }
    }

    /// Hands a break to the shards with subscribers.
    fn handle_break(&self, topic: &Topic) {
        let interested = self.interest.shards(topic);
        for handle in interested.iter().filter_map(|shard| self.shards.get(shard)) {
            handle.end_incomplete(topic.clone());
        }
    }

    fn begin_timeline(&self, start: &TimelineStart) {
        if let Some(revocations) = &self.revocations {
            revocations.begin_timeline(start);
        }
        // Old tickets are invalidated first.
        if start.may_affect_sessions_since(self.started) {
            warn!(
                "ending all browser sessions, which reconnect with a new ticket: this node may have missed disconnects"
            );
            self.end_browsers();
        }
    }

    fn handle_barrier(&self, receipt: &Arc<Receipt>) {
        // A disconnect may be among the duplicates.
        if let Some(revocations) = &self.revocations {
            revocations.hold_until_recorded(Arc::clone(receipt));
        }
        for shard in &self.shards {
            shard.barrier(Arc::clone(receipt));
        }
    }
}

#[cfg(test)]
mod tests {
    use orosync_protocol::disconnect::Disconnect;
    use orosync_protocol::ticket::{Identity, KeyId, Resumption, SessionPlace};
    use orosync_protocol::{Position, SessionId};

    use super::*;
    use crate::node::handle::ShardMessage;
    use crate::publication::Held;
    use crate::publication::credit::CreditPool;

    #[test]
    fn a_disconnect_revokes_resume_tickets_before_any_shard_handles_it() {
        let (handle, mut inbox) = ShardHandle::new();
        let revocations = Arc::new(Revocations::new(300, 10));
        let fan_out = FanOut::new(vec![handle], Some(Arc::clone(&revocations)));
        let (session, identity) = (SessionId(7), Identity::anonymous());
        let (node, number) = revocations.last_for_new_ticket([session].into_iter(), &identity, 0).unwrap();
        let place = SessionPlace::default();
        let ticket = Resumption {
            session,
            former: Vec::new(),
            since: 0,
            until: None,
            key: KeyId::default(),
            node,
            revocations: number,
            place,
        };
        assert!(revocations.check(&ticket, &identity).is_ok());
        let credit = CreditPool::new(1, 1, || {}).take(0);
        fan_out.handle_event(Event::Disconnect(Disconnect::Session(session), None, Held::new(credit, None)));
        assert!(revocations.check(&ticket, &identity).is_err());
        assert!(revocations.last_for_new_ticket([session].into_iter(), &identity, number).is_none());
        assert!(inbox.try_recv().is_ok(), "the shard is notified afterwards");
    }

    #[test]
    fn sessions_possibly_affected_by_a_missed_disconnect_end_after_their_tickets_are_invalid() {
        let (handle, mut inbox) = ShardHandle::new();
        let revocations = Arc::new(Revocations::new(300, 10));
        let fan_out = FanOut::new(vec![handle], Some(Arc::clone(&revocations)));
        let timeline = |unknown_until| TimelineStart {
            base: Position { offset: 5, tag: 50 },
            disconnected: Vec::new(),
            unknown_until,
        };
        for before in [0, unix_time() - 3600] {
            fan_out.begin_timeline(&timeline(before));
            assert!(inbox.try_recv().is_err(), "no session can be affected");
        }
        let begun = revocations.last_for_new_session(&Identity::anonymous(), u64::MAX).unwrap();
        fan_out.begin_timeline(&timeline(unix_time()));
        assert!(matches!(inbox.try_recv(), Ok(ShardMessage::EndBrowsers)));
        let session = [SessionId(7)].into_iter();
        assert!(revocations.last_for_new_ticket(session, &Identity::anonymous(), begun).is_none());
    }

    #[test]
    fn a_break_is_handed_to_shards_with_subscribers() {
        let (handles, mut inboxes): (Vec<_>, Vec<_>) = (0..2).map(|_| ShardHandle::new()).unzip();
        let fan_out = FanOut::new(handles, None);
        let topic = Topic::parse("t").unwrap();
        fan_out.add_interest(&topic, 1);
        fan_out.handle_break(&topic);
        assert!(inboxes[0].try_recv().is_err());
        assert!(matches!(inboxes[1].try_recv(), Ok(ShardMessage::EndIncomplete(of)) if of == topic));
    }
}
