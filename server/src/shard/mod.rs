//! A shard: one thread of a node, with its own event loop and its own sessions. This half decides, without I/O; [`run`]
//! waits, reads and writes.
//!
//! Sessions are named by their slot. A slot is given away again only after its connection was dropped, so no event of
//! the kernel can reach the wrong session; and one that comes late finds a socket that has nothing to read.

pub mod farewells;
pub mod run;
pub mod subscribers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{CloseReason, PublisherId};
use slab::Slab;
use tracing::info;

use crate::connection::Caller;
use crate::delivery::Delivery;
use crate::log::clip;
use crate::metrics::Source;
use crate::node::Node;
use crate::session::publisher::Batch;
use crate::session::{FAREWELL, Now, Session, SessionEvent, Shared};

use farewells::Farewells;
use subscribers::{Subscribed, Subscribers};

/// See the module.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    node: Arc<Node>,
    shared: Arc<Shared>,
    sessions: Slab<Entry>,
    subscribers: Subscribers,
    /// Slots whose outbound queue or state has changed since they were last written. Each stands here once.
    dirty: VecDeque<usize>,
    /// Slots of sessions that wait for credit.
    waiting: Vec<usize>,
    /// No more publishing: the node drains.
    draining: bool,
    /// Sessions that are still to be ended, once the node drains.
    farewells: Farewells,
    /// Kept from call to call for its memory.
    events: Vec<SessionEvent>,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    /// What it wants to publish and there is no credit for. Bound: what came in one read, because its socket is not read
    /// meanwhile.
    unpublished: VecDeque<Publication>,
    is_dirty: bool,
    /// The metrics count it among the open sessions.
    is_counted: bool,
}

/// What a session wants to publish.
#[derive(Debug)]
enum Publication {
    /// A publisher's, which is acknowledged.
    Batch(PublisherId, Batch),
    /// A browser's.
    Message(Message),
}

impl Shard {
    /// A shard without sessions.
    pub fn new(number: usize, node: Arc<Node>, shared: Arc<Shared>) -> Self {
        Self {
            number,
            node,
            shared,
            sessions: Slab::new(),
            subscribers: Subscribers::default(),
            dirty: VecDeque::new(),
            waiting: Vec::new(),
            draining: false,
            farewells: Farewells::default(),
            events: Vec::new(),
        }
    }

    /// Takes a new connection; its slot.
    pub fn accept(&mut self, caller: Caller, now: Instant) -> usize {
        let session = Session::new(caller, &self.shared, now);
        self.sessions.insert(Entry {
            session,
            unpublished: VecDeque::new(),
            is_dirty: false,
            is_counted: false,
        })
    }

    /// Has it no sessions?
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Is this slot's socket to be read?
    pub fn wants_input(&self, slot: usize) -> bool {
        self.sessions
            .get(slot)
            .is_some_and(|entry| entry.unpublished.is_empty() && entry.session.wants_input())
    }

    /// Is there nothing left to do for this slot, so that its connection can be dropped?
    pub fn is_gone(&self, slot: usize) -> bool {
        self.sessions.get(slot).is_none_or(|entry| entry.unpublished.is_empty() && entry.session.is_gone())
    }

    /// Takes bytes from a session's client.
    pub fn handle_bytes(&mut self, slot: usize, bytes: &[u8], now: Now) {
        self.with_events(slot, now, |session, shared, events| {
            session.handle_bytes(bytes, shared, events, now);
        });
    }

    /// Everything that waited for a session's socket has been written.
    pub fn handle_written(&mut self, slot: usize, now: Now) {
        self.with_events(slot, now, |session, shared, events| session.handle_written(shared, events, now));
    }

    /// A session's client will send nothing more.
    pub fn handle_end_of_input(&mut self, slot: usize) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.session.handle_end_of_input();
            self.mark_dirty(slot);
        }
    }

    /// A session's connection broke, or what came is no TLS.
    pub fn handle_read_error(&mut self, slot: usize, error: &io::Error, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.session.handle_read_error(error, &self.shared, now);
            self.mark_dirty(slot);
        }
    }

    /// Fan-out: appends an event to the queues of all who subscribed.
    pub fn handle_delivery(&mut self, delivery: &Delivery, now: Instant) {
        let everybody = delivery.audience.is_everybody();
        let mut delivered = 0;
        for slot in self.subscribers.of(&delivery.topic) {
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            if !everybody && !entry.session.id().is_some_and(|id| delivery.audience.includes(id)) {
                continue;
            }
            delivered += u64::from(entry.session.deliver(&delivery.frame, now));
            if !entry.is_dirty {
                entry.is_dirty = true;
                self.dirty.push_back(slot);
            }
        }
        let metrics = &self.shared.metrics;
        metrics.deliveries.inc_by(delivered);
        metrics.delivered_bytes.inc_by(delivered * delivery.frame.len() as u64);
    }

    /// Ends the sessions that are meant. Costs a look at each session: a disconnect is rare.
    pub fn handle_disconnect(&mut self, disconnect: &Disconnect, now: Instant) {
        let mut ended = 0;
        for (slot, entry) in &mut self.sessions {
            if !entry.session.is_meant_by(disconnect) {
                continue;
            }
            ended += 1;
            // What it wanted to publish meanwhile is no longer its to publish.
            entry.unpublished.clear();
            entry.session.end(CloseReason::Policy, now + FAREWELL);
            if !entry.is_dirty {
                entry.is_dirty = true;
                self.dirty.push_back(slot);
            }
        }
        if ended > 0 {
            let who = match disconnect {
                Disconnect::User(name) => name.clone(),
                Disconnect::Session(id) => id.to_string(),
            };
            info!(who = %clip(&who), sessions = ended, "disconnected, as a publisher has asked");
        }
    }

    /// From now on these rules hold. What sessions have subscribed to already stays.
    pub fn handle_rules(&mut self, shared: Arc<Shared>) {
        self.shared = shared;
    }

    /// Publishers may ask for credit again.
    pub fn handle_credit(&mut self, now: Instant) {
        for slot in std::mem::take(&mut self.waiting) {
            self.publish_what_waits(slot, now);
            self.mark_dirty(slot);
        }
    }

    /// Looks at the clock, about once a second.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (slot, entry) in &mut self.sessions {
            // Its socket is not read: it cannot be heard.
            if !entry.unpublished.is_empty() {
                continue;
            }
            entry.session.handle_timeout(&self.shared, now);
            // What it did shows in its queue or its state; what it did not do costs one look.
            let changed = !entry.session.outbound().is_empty() || entry.session.is_ending();
            if changed && !entry.is_dirty {
                entry.is_dirty = true;
                self.dirty.push_back(slot);
            }
        }
    }

    /// First half of a drain: publishers go, and nothing is published any more.
    pub fn stop_publishing(&mut self, now: Instant) {
        self.draining = true;
        for (slot, entry) in &mut self.sessions {
            entry.unpublished.clear();
            if entry.session.is_publisher() {
                entry.session.end(CloseReason::GoingAway, now + FAREWELL);
                if !entry.is_dirty {
                    entry.is_dirty = true;
                    self.dirty.push_back(slot);
                }
            }
        }
    }

    /// Second half: everybody goes, one after the other, so that they do not come back in one second; what waits for them
    /// has until then to be written.
    pub fn stop(&mut self, now: Instant, until: Instant) {
        let slots = self.sessions.iter().map(|(slot, _)| slot).collect();
        self.farewells = Farewells::spread(slots, now, until);
    }

    /// Ends the sessions whose turn it is. When the next one's is.
    pub fn end_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some((slot, until)) = self.farewells.pop_due(now) {
            if let Some(entry) = self.sessions.get_mut(slot) {
                entry.session.end(CloseReason::GoingAway, until);
                self.mark_dirty(slot);
            }
        }
        self.farewells.next()
    }

    /// The next slot that has something to write, or has ended.
    pub fn poll_dirty(&mut self) -> Option<usize> {
        let slot = self.dirty.pop_front()?;
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.is_dirty = false;
        }
        Some(slot)
    }

    /// Is there anything that [`Self::poll_dirty`] would give?
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The session of a slot.
    pub fn session(&mut self, slot: usize) -> Option<&mut Session> {
        self.sessions.get_mut(slot).map(|entry| &mut entry.session)
    }

    /// Forgets a session whose connection is dropped.
    pub fn remove(&mut self, slot: usize) {
        self.end_subscriptions(slot);
        let Some(entry) = self.sessions.try_remove(slot) else { return };
        self.waiting.retain(|waiting| *waiting != slot);
        if entry.is_dirty {
            self.dirty.retain(|dirty| *dirty != slot);
        }
        if let (true, Some(protocol)) = (entry.is_counted, entry.session.protocol()) {
            self.shared.metrics.sessions_open.of(protocol).dec();
            self.shared.metrics.sessions_closed.count(entry.session.ended_as());
        }
    }

    fn with_events(
        &mut self,
        slot: usize,
        now: Now,
        act: impl FnOnce(&mut Session, &Shared, &mut Vec<SessionEvent>),
    ) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let mut events = std::mem::take(&mut self.events);
        act(&mut entry.session, &self.shared, &mut events);
        if let (false, Some(protocol)) = (entry.is_counted, entry.session.protocol()) {
            entry.is_counted = true;
            self.shared.metrics.sessions_open.of(protocol).inc();
            self.shared.metrics.sessions_opened.of(protocol).inc();
        }
        for event in events.drain(..) {
            self.handle_event(slot, event, now.instant);
        }
        self.events = events;
        self.mark_dirty(slot);
    }

    fn handle_event(&mut self, slot: usize, event: SessionEvent, now: Instant) {
        match event {
            SessionEvent::Subscribe(topic) => {
                match self.subscribers.subscribe(slot, &topic, self.shared.limits.subscriptions) {
                    Subscribed::First => {
                        self.node.add_interest(&topic, self.number);
                        self.shared.metrics.subscriptions.inc();
                    }
                    Subscribed::Another => {
                        self.shared.metrics.subscriptions.inc();
                    }
                    Subscribed::Already => {}
                    Subscribed::TooMany => {
                        if let Some(entry) = self.sessions.get_mut(slot) {
                            entry.session.refuse_subscription(&topic, &self.shared, now);
                        }
                    }
                }
            }
            SessionEvent::Unsubscribe(topic) => {
                if let Some(was_last) = self.subscribers.unsubscribe(slot, &topic) {
                    self.shared.metrics.subscriptions.dec();
                    if was_last {
                        self.node.remove_interest(&topic, self.number);
                    }
                }
            }
            SessionEvent::Publish(message) => self.publish(slot, Publication::Message(message), now),
            SessionEvent::PublishAll(publisher, batch) => {
                self.publish(slot, Publication::Batch(publisher, batch), now);
            }
            SessionEvent::Hello(publisher) => {
                let accepted = self.node.highest(publisher, now);
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.session.welcome_publisher(accepted, now);
                }
            }
        }
    }

    fn publish(&mut self, slot: usize, publication: Publication, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.unpublished.push_back(publication);
            self.publish_what_waits(slot, now);
        }
    }

    /// Publishes what a session wants to publish, as far as there is credit.
    fn publish_what_waits(&mut self, slot: usize, now: Instant) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        // A publisher gets no acknowledgement and sends it again, to the next server.
        if self.draining {
            entry.unpublished.clear();
        }
        while !entry.unpublished.is_empty() {
            if !self.node.has_credit() {
                self.shared.metrics.credit_waits.inc();
                if !self.waiting.contains(&slot) {
                    self.waiting.push(slot);
                }
                return;
            }
            match entry.unpublished.pop_front() {
                Some(Publication::Batch(publisher, mut batch)) => {
                    self.node.publish_all(publisher, std::mem::take(&mut batch.messages), now);
                    entry.session.acknowledge(batch, now);
                }
                Some(Publication::Message(message)) => self.node.publish(message, Source::Browser),
                None => {}
            }
        }
    }

    fn end_subscriptions(&mut self, slot: usize) {
        let (count, without_subscribers) = self.subscribers.remove_session(slot);
        self.shared.metrics.subscriptions.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
        for topic in without_subscribers {
            self.node.remove_interest(&topic, self.number);
        }
    }

    fn mark_dirty(&mut self, slot: usize) {
        if let Some(entry) = self.sessions.get_mut(slot)
            && !entry.is_dirty
        {
            entry.is_dirty = true;
            self.dirty.push_back(slot);
        }
    }
}

#[cfg(test)]
mod tests;
