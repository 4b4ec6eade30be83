//! A shard: one thread of a node, with its own event loop and its own sessions. This half decides, without I/O; [`run`]
//! waits, reads and writes.
//!
//! Sessions are named by their slot. A slot is given away again only after its connection was dropped, so no event of
//! the kernel can reach the wrong session; and one that comes late finds a socket that has nothing to read.

pub mod run;
pub mod subscribers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::CloseReason;
use slab::Slab;

use crate::connection::Peer;
use crate::connection::limits::ConnectionCount;
use crate::delivery::Delivery;
use crate::metrics::Source;
use crate::node::Node;
use crate::session::{Now, Session, SessionEvent, Shared};

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
    /// Slots of publishers that wait for credit.
    waiting: Vec<usize>,
    /// No more publishing: the node drains.
    draining: bool,
    /// Kept from call to call for its memory.
    events: Vec<SessionEvent>,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    is_dirty: bool,
    /// The metrics count it among the open sessions.
    is_counted: bool,
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
            events: Vec::new(),
        }
    }

    /// Takes a new connection; its slot.
    pub fn accept(&mut self, peer: Peer, count: ConnectionCount, now: Instant) -> usize {
        let session = Session::new(peer, count, &self.shared, now);
        self.sessions.insert(Entry { session, is_dirty: false, is_counted: false })
    }

    /// Has it no sessions?
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Is this slot's socket to be read?
    pub fn wants_input(&self, slot: usize) -> bool {
        self.sessions.get(slot).is_some_and(|entry| entry.session.wants_input())
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

    /// A session's connection broke.
    pub fn handle_error(&mut self, slot: usize) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.session.handle_error();
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

    /// Publishers may ask for credit again.
    pub fn handle_credit(&mut self, now: Instant) {
        for slot in std::mem::take(&mut self.waiting) {
            self.publish_batches(slot, now);
            self.mark_dirty(slot);
        }
    }

    /// Looks at the clock, about once a second.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (slot, entry) in &mut self.sessions {
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
        self.end_where(now, Session::is_publisher);
    }

    /// Second half: everybody goes.
    pub fn stop(&mut self, now: Instant) {
        self.end_where(now, |_| true);
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
            SessionEvent::Publish(message) if !self.draining => self.node.publish(message, Source::Browser),
            SessionEvent::Publish(_) => {}
            SessionEvent::Hello(publisher) => {
                let accepted = self.node.highest(publisher, now);
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.session.welcome_publisher(accepted, now);
                }
            }
            SessionEvent::PublishAll => self.publish_batches(slot, now),
        }
    }

    /// Publishes what a publisher's session holds, as far as there is credit.
    fn publish_batches(&mut self, slot: usize, now: Instant) {
        // The publisher gets no acknowledgement and sends it again, to the next server.
        if self.draining {
            return;
        }
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        while entry.session.has_batch() {
            if !self.node.has_credit() {
                self.shared.metrics.credit_waits.inc();
                if !self.waiting.contains(&slot) {
                    self.waiting.push(slot);
                }
                return;
            }
            if let Some((publisher, mut batch)) = entry.session.next_batch() {
                self.node.publish_all(publisher, std::mem::take(&mut batch.messages), now);
                entry.session.acknowledge(batch, now);
            }
        }
    }

    fn end_where(&mut self, now: Instant, which: impl Fn(&Session) -> bool) {
        for (slot, entry) in &mut self.sessions {
            if which(&entry.session) {
                entry.session.end(CloseReason::GoingAway, now);
                if !entry.is_dirty {
                    entry.is_dirty = true;
                    self.dirty.push_back(slot);
                }
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
