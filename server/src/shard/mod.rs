//! A shard: one thread of a node, with its own event loop and its own sessions. This module has the logic without I/O; [`run`]
//! has the event loop with all reads, and lends sockets for writing ([`mod@write`]).
//!
//! Sessions are identified by a [`SessionKey`], which is never reused, so late messages for an ended session have no effect.

pub mod end_schedule;
mod iteration;
mod publishing;
pub mod recovery;
pub mod replies;
pub mod ring;
pub mod run;
mod send;
pub mod subscribers;
mod topic_index;
pub mod trial;
pub mod write;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::ticket::SessionPlace;
use orosync_protocol::{CloseReason, Payload, Topic};
use slotmap::{Key as _, KeyData, SlotMap};
use tokio::sync::mpsc;

use crate::auth::Resumes;
use crate::auth::replay::FirstUse;
use crate::broker::{Recovered, Unavailable};
use crate::connection::{Accepted, Client};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::node::disconnection::Disconnection;
use crate::node::handle::{Awaited, ShardMessage, ShardWaiter};
use crate::publication::delivery::Delivery;
use crate::publication::receipt::{Receipt, Settled};
use crate::publication::tags::Tag;
use crate::session::calls::{self, Request};
use crate::session::outbound::SharedFrame;
use crate::session::{CLOSE_TIMEOUT, Now, Session, SessionEvent, SessionKey, Shared};

use end_schedule::{EndSchedule, last_of_drain, spread};
use publishing::Unpublished;
use replies::{Recovery, Replies, Reply};
use subscribers::{Subscribed, Subscribers};

/// Maximum number of recoveries in flight from the broker, and thus answered per iteration: each may contain thousands of
/// events, which take time to filter.
const MAX_RECOVERIES_IN_FLIGHT: usize = 16;

/// Time over which sessions are ended that must ask for lost events. Each reconnects with its resume ticket.
const INCOMPLETE_END: Duration = Duration::from_secs(2);

/// The state of a shard: its sessions, their subscriptions and pending work.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    node: Arc<Node>,
    shared: Arc<Shared>,
    sessions: SlotMap<SessionKey, Entry>,
    subscribers: Subscribers,
    /// Pending writes, in order. Each session occurs once.
    dirty: VecDeque<PendingWrite>,
    /// Events to release when the sessions taken from `dirty` are written.
    release_after_write: Vec<PendingWrite>,
    /// Sessions that wait for credit.
    awaiting_credit: Vec<SessionKey>,
    /// The number of the last reply that a session waited for.
    last_reply: u64,
    /// Number of pending replies to publishers, of all sessions.
    replies: usize,
    /// Recoveries not yet requested from the broker, in order. Bound: the pending replies of each session.
    recoveries: VecDeque<Awaited>,
    /// Number of recoveries requested from the broker and not answered: at most [`MAX_RECOVERIES_IN_FLIGHT`].
    recovering: usize,
    /// New connections, which wait to be accepted. Bound: the limits of the listener.
    arrived: VecDeque<Accepted>,
    /// Whether the node drains, so that nothing more is published.
    draining: bool,
    /// Dropped when no reply is pending any more, which notifies the drain.
    replies_sent: Option<mpsc::Sender<()>>,
    /// The deadline for stopping, once requested.
    stop_until: Option<Instant>,
    /// Sessions that are scheduled to end.
    end_schedule: EndSchedule,
    /// Reused between calls to save allocations.
    events: Vec<SessionEvent>,
    tagged: Vec<SessionKey>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Entry {
    session: Session,
    /// Messages that wait for credit. Bound: the input of one read, because the socket is not read meanwhile.
    unpublished: VecDeque<Unpublished>,
    /// Replies that wait until published messages are written.
    replies: Replies,
    is_dirty: bool,
    /// Whether its outlet accepts no more data at the moment.
    is_blocked: bool,
    fin_sent: bool,
    /// Whether the metrics count it as an open session.
    is_counted: bool,
    /// Whether it has published as a WAMP client.
    publishes: bool,
    /// The reason with which it will be ended, if it is scheduled to.
    scheduled_end: Option<CloseReason>,
}

/// A session to write, or something to release once everything before it is written.
#[derive(Debug)]
enum PendingWrite {
    /// This session's outbound queue or state has changed since it was last written.
    Session(SessionKey),
    /// This event is in the queues of all sessions before it.
    Event(Arc<Delivery>),
    /// The sessions that this disconnect ends are before it.
    Disconnection(Arc<Disconnection>),
    /// A session waits for all events before it.
    Barrier(Arc<Receipt>),
}

impl Shard {
    /// A shard without sessions.
    pub fn new(number: usize, node: Arc<Node>, shared: Arc<Shared>) -> Self {
        Self {
            number,
            end_schedule: EndSchedule::new(node.shards().len()),
            node,
            shared,
            sessions: SlotMap::with_key(),
            subscribers: Subscribers::default(),
            dirty: VecDeque::new(),
            release_after_write: Vec::new(),
            awaiting_credit: Vec::new(),
            last_reply: 0,
            replies: 0,
            recoveries: VecDeque::new(),
            recovering: 0,
            arrived: VecDeque::new(),
            draining: false,
            replies_sent: None,
            stop_until: None,
            events: Vec::new(),
            tagged: Vec::new(),
        }
    }

    /// Handles a message from the inbox.
    pub fn handle_message(&mut self, message: ShardMessage, now: Instant) {
        match message {
            ShardMessage::Accepted(accepted) => self.arrived.push_back(accepted),
            ShardMessage::Delivery(delivery) => self.handle_delivery(delivery, now),
            ShardMessage::Barrier(receipt) => self.dirty.push_back(PendingWrite::Barrier(receipt)),
            ShardMessage::Recovered { awaited, recovered } => self.handle_recovered(awaited, recovered, now),
            ShardMessage::Settled { awaited, settled } => self.handle_settled(awaited, settled, now),
            ShardMessage::TicketUsed { session, first_use } => {
                self.handle_ticket_used(session, first_use, now);
            }
            ShardMessage::Disconnect(disconnection) => self.handle_disconnect(disconnection, now),
            ShardMessage::EndResumed(key, session) => {
                if let Some(entry) = self.sessions.get_mut(key) {
                    entry.session.end_resumed(session, now + CLOSE_TIMEOUT);
                    entry.mark_dirty(key, &mut self.dirty);
                }
            }
            ShardMessage::EndBrowsers => self.end_browsers(now),
            ShardMessage::EndIncomplete(topic) => self.end_incomplete(&topic, now),
            ShardMessage::CreditReturned => self.handle_credit(now),
            // Existing subscriptions are kept.
            ShardMessage::Rules(shared) => self.shared = shared,
            ShardMessage::CheckAlive(alive) => drop(alive),
            ShardMessage::StopPublishing(done) => self.stop_publishing(now, done),
            ShardMessage::Stop { until } => {
                self.stop_until = Some(until);
                self.schedule_drain(now, until);
            }
        }
    }

    /// The next new connection.
    pub fn next_arrived(&mut self) -> Option<Accepted> {
        self.arrived.pop_front()
    }

    /// Whether a connection waits to be accepted.
    pub fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// The deadline for stopping, once requested.
    pub fn stop_until(&self) -> Option<Instant> {
        self.stop_until
    }

    /// Creates a session for a new connection.
    pub fn accept(&mut self, client: Client, now: Instant) -> SessionKey {
        let session = Session::new(client, &self.shared, now);
        let key = self.sessions.insert(Entry {
            session,
            unpublished: VecDeque::new(),
            replies: Replies::default(),
            is_dirty: false,
            is_blocked: false,
            fin_sent: false,
            is_counted: false,
            publishes: false,
            scheduled_end: None,
        });
        if let Some(until) = self.stop_until {
            self.schedule_drain(now, until);
        }
        key
    }

    /// Whether the shard has no sessions.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether to read from this session's socket.
    pub fn wants_input(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| entry.is_read() && entry.session.wants_input())
    }

    /// Whether TCP should acknowledge this client's data at once. OroPlatform's PHP client uses Nagle's algorithm, which holds
    /// its second message back until the first is acknowledged. The server sends no data that would carry the acknowledgement,
    /// so each message would be delayed by 40 ms.
    pub fn wants_acknowledgement(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| entry.publishes)
    }

    /// Handles bytes from a session's client.
    pub fn handle_bytes(&mut self, key: SessionKey, bytes: &[u8], now: Now) {
        self.with_events(key, now, |session, shared, events| {
            session.handle_bytes(bytes, shared, events, now);
        });
    }

    /// Handles that bytes of a session's client have arrived but were not read yet.
    pub fn handle_unread(&mut self, key: SessionKey, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_unread(now);
        }
    }

    /// Handles the end of a client's input: it will send nothing more.
    pub fn handle_end_of_input(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_end_of_input();
            self.mark_dirty(key);
        }
    }

    /// Handles a read error: a failed connection, or invalid TLS.
    pub fn handle_read_error(&mut self, key: SessionKey, error: &io::Error, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_read_error(error, &self.shared, now);
            self.mark_dirty(key);
        }
    }

    /// Fan-out: appends an event to the queues of all subscribers, and releases it once these are written.
    fn handle_delivery(&mut self, delivery: Arc<Delivery>, now: Instant) {
        let Self { subscribers, sessions, dirty, shared, tagged, .. } = self;
        let receivers = subscribers.of(&delivery.topic, delivery.position);
        let mut queues = Queues { delivery: &delivery, sessions, dirty, metrics: &shared.metrics, now };
        queues.append(receivers.plain(), Delivery::plain);
        queues.append(receivers.positioned(), Delivery::positioned);
        if receivers.has_tagged() {
            match delivery.body.tags() {
                None => queues.append(receivers.tagged(), Delivery::positioned),
                Some(tags) => {
                    tagged.extend(tags.iter().flat_map(|tag| receivers.tagged_with(*tag)));
                    if tags.len() > 1 {
                        tagged.sort_unstable();
                        tagged.dedup();
                    }
                    queues.append(tagged, Delivery::positioned);
                    tagged.clear();
                }
            }
        }
        self.dirty.push_back(PendingWrite::Event(delivery));
    }

    /// Handles the broker's answer to a recovery.
    fn handle_recovered(
        &mut self,
        awaited: Awaited,
        recovered: Result<Recovered, Unavailable>,
        now: Instant,
    ) {
        self.recovering -= 1;
        match recovered {
            Ok(recovered) => self.answer_recovery(awaited, &recovered),
            Err(Unavailable) => self.refuse_recovery(awaited),
        }
        self.reply(awaited.session, now);
    }

    /// Sends a session its missed events. From now on it receives later ones.
    fn answer_recovery(&mut self, Awaited { session: key, number }: Awaited, recovered: &Recovered) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let Some(recovery) = entry.replies.recovery(number) else { return };
        let room = entry.session.max_answer_bytes();
        let answer = recovery::answer(recovery, recovered, &entry.session.ids().collect::<Vec<_>>(), room);
        entry.session.charge_for_events(recovered.events.len(), &self.shared);
        if recovery.since.is_some() {
            self.shared.metrics.recoveries.inc();
            self.shared.metrics.recoveries_incomplete.inc_by(u64::from(!answer.complete));
        }
        // A session that has unsubscribed meanwhile is answered nevertheless.
        if recovery.is_wanted {
            self.subscribers.settle(key, &recovery.topic, recovery.tags.take(), recovered.position);
        }
        entry.replies.answer(number, answer.frame);
    }

    /// Refuses a recovery, so that the client retries. Its subscription is restored unless another call of it is pending.
    fn refuse_recovery(&mut self, Awaited { session: key, number }: Awaited) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let Some(recovery) = entry.replies.recovery(number) else { return };
        let (topic, call_id) = (recovery.topic.clone(), recovery.call_id.clone());
        self.shared.metrics.recoveries_unavailable.inc();
        entry.replies.answer(number, calls::refusal(call_id, &calls::unavailable()));
        if !entry.replies.recoveries_of(&topic).any(|other| other.is_wanted)
            && let Some(was_last) = self.subscribers.cancel_recovery(key, &topic)
        {
            self.count_unsubscription(was_last, &topic);
        }
    }

    /// Handles a settled receipt of a session.
    fn handle_settled(&mut self, awaited: Awaited, settled: Settled, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(awaited.session) {
            entry.replies.settle(awaited.number, settled);
            self.reply(awaited.session, now);
        }
    }

    /// Handles the answer whether the ticket of a handshake is used for the first time.
    fn handle_ticket_used(&mut self, key: SessionKey, first_use: FirstUse, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let event = entry.session.handle_ticket_used(first_use, &self.shared, now);
        entry.count_once(&self.shared.metrics);
        entry.mark_dirty(key, &mut self.dirty);
        if let Some(SessionEvent::EndResumed(resumes)) = event {
            self.end_resumed(resumes);
        }
    }

    /// Ends the matching sessions. Their clients reconnect if the application gives them a new ticket. Checks every session,
    /// which is acceptable because disconnects are rare.
    fn handle_disconnect(&mut self, disconnection: Arc<Disconnection>, now: Instant) {
        let mut ended = 0;
        for (key, entry) in &mut self.sessions {
            if !entry.session.is_targeted_by(&disconnection.target) {
                continue;
            }
            ended += 1;
            // The session may no longer publish its pending messages.
            entry.unpublished.clear();
            entry.session.end(CloseReason::NewTicket, now + CLOSE_TIMEOUT);
            entry.mark_dirty(key, &mut self.dirty);
        }
        disconnection.add_ended(ended);
        self.dirty.push_back(PendingWrite::Disconnection(disconnection));
    }

    /// Ends all browser sessions, because any may have been disconnected. Their clients need a new ticket.
    fn end_browsers(&mut self, now: Instant) {
        let browsers = self.sessions.iter().filter(|(_, entry)| entry.session.is_browser());
        let keys: Vec<_> = browsers.map(|(key, _)| key).collect();
        let last = now + spread(keys.len(), self.node.shards().len());
        self.schedule_ends(keys, CloseReason::NewTicket, now, last);
    }

    /// Ends the sessions that can ask for missed events of this topic. Until then they receive no more of its events, because
    /// later positions would hide the gap.
    fn end_incomplete(&mut self, topic: &Topic, now: Instant) {
        let keys = self.subscribers.suspend(topic);
        self.schedule_ends(keys, CloseReason::Incomplete, now, now + INCOMPLETE_END);
    }

    /// Schedules sessions to end one after the other, the last of them at `last`. A reason that requires a new ticket takes
    /// precedence over others.
    fn schedule_ends(&mut self, mut keys: Vec<SessionKey>, reason: CloseReason, now: Instant, last: Instant) {
        // A drain ends all sessions anyway.
        if self.stop_until.is_some() {
            return;
        }
        let sessions = &mut self.sessions;
        let mut is_new = false;
        keys.retain(|key| {
            let Some(entry) = sessions.get_mut(*key) else { return false };
            let is_known = entry.scheduled_end.is_some();
            if !is_known || (reason == CloseReason::NewTicket && entry.scheduled_end != Some(reason)) {
                entry.scheduled_end = Some(reason);
                is_new = true;
            }
            !is_known
        });
        // Sessions already scheduled for this reason are not postponed.
        if is_new {
            self.end_schedule.add(keys, now, last);
        }
    }

    /// Handles timeouts. Called about once a second.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Releases memory after a burst to many sessions, except for what is in use.
        self.dirty.shrink_to(2 * self.dirty.len());
        self.release_after_write.shrink_to(2 * self.release_after_write.len());
        for (key, entry) in &mut self.sessions {
            if !entry.unpublished.is_empty() || !entry.replies.is_empty() {
                entry.session.send_keep_alive(now);
            }
            // A session whose socket is not read cannot answer a ping.
            if entry.is_read() {
                entry.session.handle_timeout(&self.shared, now);
            }
            // Timeouts show in the queue or the state of the session. Others need no write.
            if !entry.session.outbound().is_empty() || entry.session.is_ending() {
                entry.mark_dirty(key, &mut self.dirty);
            }
        }
    }

    /// Second step of a drain: ends all sessions one after the other, so that clients do not reconnect at the same time. The
    /// deadline for their output is `until`.
    fn schedule_drain(&mut self, now: Instant, until: Instant) {
        for entry in self.sessions.values_mut() {
            entry.scheduled_end.get_or_insert(CloseReason::GoingAway);
        }
        self.end_schedule = EndSchedule::new(self.node.shards().len());
        self.end_schedule.add(self.sessions.keys(), now, last_of_drain(now, until));
    }

    /// Ends the sessions that are due. Returns the time of the next one.
    pub fn end_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some(key) = self.end_schedule.pop_due(now) {
            if let Some(entry) = self.sessions.get_mut(key)
                && let Some(reason) = entry.scheduled_end
            {
                if reason == CloseReason::NewTicket {
                    // The session may no longer be allowed to publish its pending messages.
                    entry.unpublished.clear();
                }
                entry.session.end(reason, self.stop_until.unwrap_or(now + CLOSE_TIMEOUT));
                self.mark_dirty(key);
            }
        }
        self.end_schedule.next()
    }

    /// The session with this key, if it still exists.
    pub fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key).map(|entry| &mut entry.session)
    }

    /// Removes a session whose connection is dropped.
    fn remove(&mut self, key: SessionKey) {
        self.end_subscriptions(key);
        let Some(entry) = self.sessions.remove(key) else { return };
        self.awaiting_credit.retain(|other| *other != key);
        if entry.is_dirty {
            self.dirty.retain(|due| !matches!(due, PendingWrite::Session(dirty) if *dirty == key));
        }
        self.forget_replies(entry.replies.to_publishers());
        if let (true, Some(protocol)) = (entry.is_counted, entry.session.protocol()) {
            self.shared.metrics.sessions_open.of(protocol).dec();
            self.shared.metrics.sessions_closed.count(entry.session.ended_as());
        }
    }

    fn with_events(
        &mut self,
        key: SessionKey,
        now: Now,
        act: impl FnOnce(&mut Session, &Shared, &mut Vec<SessionEvent>),
    ) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let mut events = std::mem::take(&mut self.events);
        act(&mut entry.session, &self.shared, &mut events);
        entry.count_once(&self.shared.metrics);
        for event in events.drain(..) {
            self.handle_event(key, event, now);
        }
        self.events = events;
        self.mark_dirty(key);
    }

    fn handle_event(&mut self, key: SessionKey, event: SessionEvent, at: Now) {
        let now = at.instant;
        match event {
            SessionEvent::Subscribe(topic) => {
                let max = self.shared.limits.subscriptions;
                let subscribed = self.subscribers.subscribe(key, &topic, max);
                if !self.count_subscription(subscribed, &topic)
                    && let Some(entry) = self.sessions.get_mut(key)
                {
                    entry.session.refuse_subscription(&topic, &self.shared, now);
                }
            }
            SessionEvent::Unsubscribe(topic) => {
                if let Some(entry) = self.sessions.get_mut(key) {
                    entry.replies.recoveries_of(&topic).for_each(|recovery| recovery.is_wanted = false);
                }
                if let Some(was_last) = self.subscribers.unsubscribe(key, &topic) {
                    self.count_unsubscription(was_last, &topic);
                }
            }
            SessionEvent::CheckTicket(check) => {
                let shard = self.node.shards()[self.number].clone();
                check.start(Box::new(move |first_use| shard.ticket_used(key, first_use)));
            }
            SessionEvent::EndResumed(resumes) => self.end_resumed(resumes),
            SessionEvent::Answer(frame) => self.answer(key, frame, now),
            SessionEvent::Call(call_id, request) => self.handle_request(key, call_id, request, at),
            SessionEvent::Publish(content) => {
                if let Some(entry) = self.sessions.get_mut(key) {
                    entry.publishes = true;
                }
                self.publish(key, Unpublished::Content(content), now);
            }
            SessionEvent::PublishAll(publisher, batch) => {
                self.publish(key, Unpublished::Batch(publisher, batch), now);
            }
            SessionEvent::Hello(publisher) => {
                let (number, receipt) = self.receipt(key);
                self.node.ask_highest(publisher, Arc::<Receipt<ShardWaiter>>::clone(&receipt), now);
                self.reply_when_settled(key, number, Reply::Welcome, receipt, now);
            }
        }
    }

    /// Ends the session that another one has resumed.
    fn end_resumed(&self, Resumes { session, place }: Resumes) {
        if let Some(shard) = self.node.shards().get(place.shard) {
            shard.end_resumed(KeyData::from_ffi(place.key).into(), session);
        }
    }

    /// Counts a subscription. Returns whether the session is subscribed now.
    fn count_subscription(&mut self, subscribed: Subscribed, topic: &Topic) -> bool {
        match subscribed {
            Subscribed::First => {
                self.node.add_interest(topic, self.number);
                self.shared.metrics.subscriptions.inc();
            }
            Subscribed::Another => {
                self.shared.metrics.subscriptions.inc();
            }
            Subscribed::Already => {}
            Subscribed::TooMany => return false,
        }
        true
    }

    /// Counts the end of a subscription, possibly the topic's last in this shard.
    fn count_unsubscription(&mut self, was_last: bool, topic: &Topic) {
        self.shared.metrics.subscriptions.dec();
        if was_last {
            self.node.remove_interest(topic, self.number);
        }
    }

    /// Executes a session's call.
    fn handle_request(&mut self, key: SessionKey, call_id: Payload, request: Request, at: Now) {
        let now = at.instant;
        match request {
            Request::Subscribe { topic, since, tags } => {
                let max = self.shared.limits.subscriptions;
                let subscribed = self.subscribers.await_recovery(key, &topic, max);
                if self.count_subscription(subscribed, &topic) {
                    self.recover(key, Recovery { call_id, topic, since, tags, is_wanted: true });
                } else if let Some(entry) = self.sessions.get_mut(key)
                    && let Some(refused) = entry.session.refuse_excess_subscription(&topic, &self.shared, now)
                {
                    self.answer(key, calls::refusal(call_id, &refused), now);
                }
            }
            Request::Resume => self.reply_in_order(key, Reply::Resumption(call_id, at.unix), now),
            Request::Tags { topic, tags } => {
                let answer = if self.set_tags(key, &topic, tags) {
                    calls::result(call_id, Payload::null())
                } else {
                    calls::refusal(call_id, &calls::not_recovering(&topic))
                };
                self.answer(key, answer, now);
            }
        }
    }

    /// Sets the tags of a subscription, or of one that is still pending. Returns whether there is one.
    fn set_tags(&mut self, key: SessionKey, topic: &Topic, tags: Option<Box<[Tag]>>) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        match entry.replies.recoveries_of(topic).next() {
            Some(recovery) if recovery.is_wanted => recovery.tags = tags,
            _ => return self.subscribers.set_tags(key, topic, tags),
        }
        true
    }

    /// Queues a recovery for a session.
    fn recover(&mut self, key: SessionKey, recovery: Recovery) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        self.last_reply += 1;
        entry.replies.push(self.last_reply, Reply::Recovery(Box::new(recovery)));
        self.recoveries.push_back(Awaited { session: key, number: self.last_reply });
    }

    /// Requests queued recoveries from the broker, as many as an iteration allows. The answers arrive in the inbox.
    pub fn request_recoveries(&mut self) {
        while self.recovering < MAX_RECOVERIES_IN_FLIGHT
            && let Some(awaited) = self.recoveries.pop_front()
        {
            let entry = self.sessions.get_mut(awaited.session);
            let Some(recovery) = entry.and_then(|entry| entry.replies.recovery(awaited.number)) else {
                continue;
            };
            self.recovering += 1;
            let most = if recovery.tags.is_some() { usize::MAX } else { recovery::MAX_EVENTS };
            self.node.recover(&recovery.topic, recovery.since, most, self.number, awaited);
        }
    }

    /// Whether a recovery is queued and may be requested.
    pub fn has_recoveries(&self) -> bool {
        self.recovering < MAX_RECOVERIES_IN_FLIGHT && !self.recoveries.is_empty()
    }

    /// Answers a call, after the answers to earlier calls.
    fn answer(&mut self, key: SessionKey, frame: Bytes, now: Instant) {
        self.reply_in_order(key, Reply::Answer(frame), now);
    }

    /// Sends a reply, after those to earlier requests.
    fn reply_in_order(&mut self, key: SessionKey, reply: Reply, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        self.last_reply += 1;
        entry.replies.push(self.last_reply, reply);
        entry.replies.settle(self.last_reply, Settled { highest: None });
        self.reply(key, now);
    }

    /// A receipt that notifies this session, and its number.
    fn receipt(&mut self, key: SessionKey) -> (u64, Arc<Receipt<ShardWaiter>>) {
        self.last_reply += 1;
        let awaited = Awaited { session: key, number: self.last_reply };
        (self.last_reply, Receipt::new(self.node.shards()[self.number].waiter(awaited)))
    }

    fn reply_when_settled(
        &mut self,
        key: SessionKey,
        number: u64,
        reply: Reply,
        receipt: Arc<Receipt<ShardWaiter>>,
        now: Instant,
    ) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        entry.replies.push(number, reply);
        self.replies += 1;
        if let Some(settled) = Receipt::settle_now(receipt) {
            entry.replies.settle(number, settled);
            self.reply(key, now);
        }
    }

    /// Sends a session its settled replies.
    fn reply(&mut self, key: SessionKey, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let (waited, mut to_publishers) = (entry.replies.len(), 0);
        while let Some((reply, settled)) = entry.replies.pop_settled() {
            match reply {
                Reply::Welcome => {
                    to_publishers += 1;
                    entry.session.welcome_publisher(settled.highest, now);
                }
                Reply::Acknowledged(batch) => {
                    to_publishers += 1;
                    entry.session.acknowledge(batch);
                }
                Reply::Answer(frame) => entry.session.answer(frame, now),
                Reply::Resumption(call_id, unix) => {
                    let place = SessionPlace { shard: self.number, key: key.data().as_ffi() };
                    let ticket = entry.session.resume_ticket(place, &self.shared, unix);
                    let max_seconds = self.shared.handshake.authenticator.resume_seconds();
                    let answer = calls::resumption(ticket, max_seconds, self.subscribers.positions(key));
                    entry.session.answer(calls::result(call_id, answer), now);
                }
                // A recovery is replaced by its answer before it is settled.
                Reply::Recovery(_) => {}
            }
        }
        if entry.replies.len() < waited {
            if self.draining && entry.session.is_publisher() {
                entry.end_publisher(now);
            }
            entry.mark_dirty(key, &mut self.dirty);
            self.forget_replies(to_publishers);
        }
    }

    fn forget_replies(&mut self, count: usize) {
        self.replies -= count;
        if self.replies == 0 {
            self.replies_sent = None;
        }
    }

    fn end_subscriptions(&mut self, key: SessionKey) {
        let count = self.subscribers.queue_drops(key);
        self.shared.metrics.subscriptions.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Number of subscriptions of ended sessions that are still to be dropped.
    pub fn subscriptions_to_drop(&self) -> usize {
        self.subscribers.to_drop()
    }

    /// Drops at most `most` subscriptions of ended sessions. Returns the number dropped.
    pub fn drop_subscriptions(&mut self, most: usize) -> usize {
        for dropped in 0..most {
            match self.subscribers.drop_next() {
                Some(Some(topic)) => self.node.remove_interest(&topic, self.number),
                Some(None) => {}
                None => return dropped,
            }
        }
        most
    }

    fn mark_dirty(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.mark_dirty(key, &mut self.dirty);
        }
    }
}

/// The queues of all sessions, for one event.
struct Queues<'a> {
    delivery: &'a Delivery,
    sessions: &'a mut SlotMap<SessionKey, Entry>,
    dirty: &'a mut VecDeque<PendingWrite>,
    metrics: &'a Metrics,
    now: Instant,
}

impl Queues<'_> {
    /// Appends one of the event's frames to these sessions' queues. It is encoded only if there are any.
    fn append(&mut self, keys: &[SessionKey], frame: fn(&Delivery) -> &Bytes) {
        if keys.is_empty() {
            return;
        }
        // Local variables, because this is the hottest loop of the server.
        let (sessions, dirty, now) = (&mut *self.sessions, &mut *self.dirty, self.now);
        let frame = SharedFrame::new(frame(self.delivery).clone());
        let body = &self.delivery.body;
        let everybody = body.is_for_everybody();
        let mut delivered = 0;
        for &key in keys {
            let Some(entry) = sessions.get_mut(key) else { continue };
            if !everybody && !body.is_for(entry.session.ids()) {
                continue;
            }
            delivered += u64::from(entry.session.deliver(&frame, now));
            entry.mark_dirty(key, dirty);
        }
        self.metrics.deliveries.inc_by(delivered);
        self.metrics.delivered_bytes.inc_by(delivered * frame.len() as u64);
    }
}

impl Entry {
    /// Whether to read from its socket. False while its messages wait for credit, or too many replies are pending.
    fn is_read(&self) -> bool {
        self.unpublished.is_empty() && !self.replies.is_full()
    }

    /// Counts it as an open session once its handshake is complete.
    fn count_once(&mut self, metrics: &Metrics) {
        if let (false, Some(protocol)) = (self.is_counted, self.session.protocol()) {
            self.is_counted = true;
            metrics.sessions_open.of(protocol).inc();
            metrics.sessions_opened.of(protocol).inc();
        }
    }

    /// Ends a publisher's session for a drain, unless replies are pending.
    fn end_publisher(&mut self, now: Instant) {
        if self.replies.is_empty() {
            self.session.end(CloseReason::GoingAway, now + CLOSE_TIMEOUT);
        }
    }

    fn mark_dirty(&mut self, key: SessionKey, dirty: &mut VecDeque<PendingWrite>) {
        if !self.is_dirty {
            self.is_dirty = true;
            dirty.push_back(PendingWrite::Session(key));
        }
    }
}

#[cfg(test)]
mod tests;
