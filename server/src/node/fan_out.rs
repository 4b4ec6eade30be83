//! From the broker's events to the inboxes of the shards: the only way there.

use std::sync::Arc;

use orosync_protocol::Topic;
use tracing::warn;

use super::disconnection::Disconnection;
use super::handle::ShardHandle;
use super::interest::Interest;
use crate::auth::line::Beginning;
use crate::auth::revocations::Revocations;
use crate::broker::EventHandler;
use crate::process::unix_time;
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// Which shards there are, and which have subscribers of what.
#[derive(Debug)]
pub struct FanOut {
    interest: Interest,
    shards: Vec<ShardHandle>,
    /// None: sessions are not resumed.
    revocations: Option<Arc<Revocations>>,
    /// Seconds since 1970.
    begun: u64,
}

impl FanOut {
    /// To these shards, of which none has subscribers yet.
    pub fn new(shards: Vec<ShardHandle>, revocations: Option<Arc<Revocations>>) -> Self {
        Self { interest: Interest::new(), shards, revocations, begun: unix_time() }
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

    fn end_browsers(&self) {
        self.shards.iter().for_each(ShardHandle::end_browsers);
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
            Event::Disconnect(whom, at, held) => {
                let disconnection = Arc::new(Disconnection::new(whom, held));
                // First: a session that is opened by a resume ticket from now on would not hear of it. Who published it is
                // answered when the disk has it as well, which no shard waits for.
                if let Some(revocations) = &self.revocations {
                    let whom = &disconnection.whom;
                    match at {
                        None => revocations.record(whom, Arc::clone(&disconnection), unix_time()),
                        Some(at) => revocations.record_shared(whom, at, unix_time()),
                    }
                }
                self.shards.iter().for_each(|shard| shard.disconnect(Arc::clone(&disconnection)));
            }
        }
    }

    /// To the shards with subscribers.
    fn handle_break(&self, topic: &Topic) {
        let interested = self.interest.shards(topic);
        for handle in interested.iter().filter_map(|shard| self.shards.get(shard)) {
            handle.end_incomplete(topic.clone());
        }
    }

    fn begin_line(&self, beginning: &Beginning) {
        if let Some(revocations) = &self.revocations {
            revocations.begin_line(beginning);
        }
        // First, no ticket from before is good.
        if beginning.may_mean_sessions_since(self.begun) {
            warn!(
                "sessions of browsers end, and come back with a new ticket: a disconnect that is not known may mean them"
            );
            self.end_browsers();
        }
    }

    fn handle_barrier(&self, receipt: &Arc<Receipt>) {
        // A disconnect may be among what came twice.
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
    fn a_disconnect_refuses_resume_tickets_before_any_shard_has_heard_of_it() {
        let (handle, mut inbox) = ShardHandle::new();
        let revocations = Arc::new(Revocations::new(300, 10));
        let fan_out = FanOut::new(vec![handle], Some(Arc::clone(&revocations)));
        let (session, identity) = (SessionId(7), Identity::anonymous());
        let (node, number) = revocations.of_new_ticket([session].into_iter(), &identity, 0).unwrap();
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
        assert!(revocations.of_new_ticket([session].into_iter(), &identity, number).is_none());
        assert!(inbox.try_recv().is_ok(), "it hears of it now");
    }

    #[test]
    fn sessions_that_an_unknown_disconnect_may_mean_end_when_no_ticket_from_before_is_good() {
        let (handle, mut inbox) = ShardHandle::new();
        let revocations = Arc::new(Revocations::new(300, 10));
        let fan_out = FanOut::new(vec![handle], Some(Arc::clone(&revocations)));
        let line = |unknown_until| Beginning {
            base: Position { offset: 5, tag: 50 },
            disconnected: Vec::new(),
            unknown_until,
        };
        for before in [0, unix_time() - 3600] {
            fan_out.begin_line(&line(before));
            assert!(inbox.try_recv().is_err(), "nobody was there");
        }
        let begun = revocations.of_new_session(&Identity::anonymous(), u64::MAX).unwrap();
        fan_out.begin_line(&line(unix_time()));
        assert!(matches!(inbox.try_recv(), Ok(ShardMessage::EndBrowsers)));
        let session = [SessionId(7)].into_iter();
        assert!(revocations.of_new_ticket(session, &Identity::anonymous(), begun).is_none());
    }

    #[test]
    fn a_break_goes_to_those_who_can_ask() {
        let (handles, mut inboxes): (Vec<_>, Vec<_>) = (0..2).map(|_| ShardHandle::new()).unzip();
        let fan_out = FanOut::new(handles, None);
        let topic = Topic::parse("t").unwrap();
        fan_out.add_interest(&topic, 1);
        fan_out.handle_break(&topic);
        assert!(inboxes[0].try_recv().is_err());
        assert!(matches!(inboxes[1].try_recv(), Ok(ShardMessage::EndIncomplete(of)) if of == topic));
    }
}
