//! A shard: one thread of a node, with its own event loop and its own sessions. This half decides, without I/O; [`run`]
//! waits, reads and lends its sockets to be written to ([`write`]).
//!
//! Sessions are named by their [`SessionKey`], which is never given to another: what comes late for a session that is gone
//! finds nobody.

pub mod farewells;
mod names;
mod publishing;
pub mod recovery;
pub mod replies;
pub mod ring;
pub mod run;
mod send;
pub mod subscribers;
pub mod trial;
mod turn;
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
use crate::connection::{Accepted, Caller};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::node::disconnection::Disconnection;
use crate::node::handle::{Awaited, ShardMessage, ShardWaiter};
use crate::publication::delivery::Delivery;
use crate::publication::receipt::{Receipt, Settled};
use crate::publication::tags::Tag;
use crate::session::calls::{self, Request};
use crate::session::outbound::SharedFrame;
use crate::session::{FAREWELL, Now, Session, SessionEvent, SessionKey, Shared};

use farewells::{Farewells, last_of_drain, spread};
use publishing::Unpublished;
use replies::{Recovery, Replies, Reply};
use subscribers::{Subscribed, Subscribers};

/// Recoveries that may be on their way from the broker, and so the most that a turn answers: each may hold thousands of events,
/// which take their time to look through.
const RECOVERIES: usize = 16;

/// How long it takes at most until those sessions are ended that are to ask what they missed. Each comes back by its resume ticket.
const INCOMPLETE_END: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    node: Arc<Node>,
    shared: Arc<Shared>,
    sessions: SlotMap<SessionKey, Entry>,
    subscribers: Subscribers,
    /// What is to be done about writing, in order. Each session stands here once.
    dirty: VecDeque<Due>,
    /// What to let go of when the sessions that were polled are written.
    written_next: Vec<Due>,
    /// Sessions that wait for credit.
    waiting: Vec<SessionKey>,
    /// The number of the last reply that a session waited for.
    last_reply: u64,
    /// How many replies to publishers wait, of all sessions.
    replies: usize,
    /// What sessions have asked for and the broker was not asked yet, in order. Bound: the replies of each session.
    recoveries: VecDeque<Awaited>,
    /// How many recoveries the broker was asked for and has not handed over: at most [`RECOVERIES`].
    recovering: usize,
    /// New connections, which wait to be accepted. Bound: the limits of the listener.
    arrived: VecDeque<Accepted>,
    /// No more publishing: the node drains.
    draining: bool,
    /// Hears, by its end, that no reply waits any more.
    stopped: Option<mpsc::Sender<()>>,
    /// It was told to stop, by then at the latest.
    stop_until: Option<Instant>,
    /// Sessions that are still to be ended, one after the other.
    farewells: Farewells,
    /// Kept from call to call for their memory.
    events: Vec<SessionEvent>,
    tagged: Vec<SessionKey>,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Entry {
    session: Session,
    /// What it wants to publish and there is no credit for. Bound: what came in one read, because its socket is not read
    /// meanwhile.
    unpublished: VecDeque<Unpublished>,
    /// What it is told when what it has published is written.
    replies: Replies,
    is_dirty: bool,
    /// Its outlet takes no more for now.
    is_blocked: bool,
    fin_sent: bool,
    /// The metrics count it among the open sessions.
    is_counted: bool,
    /// It has published as a WAMP client.
    publishes: bool,
    /// It is to be ended, and told this.
    farewell: Option<CloseReason>,
}

/// Something to write, or to let go of once everything before it is written.
#[derive(Debug)]
enum Due {
    /// This session's outbound queue or state has changed since it was last written.
    Session(SessionKey),
    /// This event stands in the queues of all sessions before it.
    Event(Arc<Delivery>),
    /// The sessions that it ends are before it.
    Disconnection(Arc<Disconnection>),
    /// A session waits for all events before it.
    Barrier(Arc<Receipt>),
}

impl Shard {
    /// A shard without sessions.
    pub fn new(number: usize, node: Arc<Node>, shared: Arc<Shared>) -> Self {
        Self {
            number,
            farewells: Farewells::new(node.shards().len()),
            node,
            shared,
            sessions: SlotMap::with_key(),
            subscribers: Subscribers::default(),
            dirty: VecDeque::new(),
            written_next: Vec::new(),
            waiting: Vec::new(),
            last_reply: 0,
            replies: 0,
            recoveries: VecDeque::new(),
            recovering: 0,
            arrived: VecDeque::new(),
            draining: false,
            stopped: None,
            stop_until: None,
            events: Vec::new(),
            tagged: Vec::new(),
        }
    }

    /// Does what comes in the inbox.
    pub fn handle_message(&mut self, message: ShardMessage, now: Instant) {
        match message {
            ShardMessage::Accepted(accepted) => self.arrived.push_back(accepted),
            ShardMessage::Delivery(delivery) => self.handle_delivery(delivery, now),
            ShardMessage::Barrier(receipt) => self.dirty.push_back(Due::Barrier(receipt)),
            ShardMessage::Recovered { awaited, recovered } => self.handle_recovered(awaited, recovered, now),
            ShardMessage::Settled { awaited, settled } => self.handle_settled(awaited, settled, now),
            ShardMessage::TicketUsed { session, first_use } => {
                self.handle_ticket_used(session, first_use, now);
            }
            ShardMessage::Disconnect(disconnection) => self.handle_disconnect(disconnection, now),
            ShardMessage::EndResumed(key, session) => {
                if let Some(entry) = self.sessions.get_mut(key) {
                    entry.session.end_resumed(session, now + FAREWELL);
                    entry.mark_dirty(key, &mut self.dirty);
                }
            }
            ShardMessage::EndBrowsers => self.end_browsers(now),
            ShardMessage::EndIncomplete(topic) => self.end_incomplete(&topic, now),
            ShardMessage::CreditReturned => self.handle_credit(now),
            // What sessions have subscribed to already stays.
            ShardMessage::Rules(shared) => self.shared = shared,
            ShardMessage::AskForLife(alive) => drop(alive),
            ShardMessage::StopPublishing(done) => self.stop_publishing(now, done),
            ShardMessage::Stop { until } => {
                self.stop_until = Some(until);
                self.spread_farewells(now, until);
            }
        }
    }

    /// The next connection that came in the inbox and waits to be accepted.
    pub fn next_arrived(&mut self) -> Option<Accepted> {
        self.arrived.pop_front()
    }

    /// Whether a connection waits to be accepted.
    pub fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// By when it has been told to stop.
    pub fn stop_until(&self) -> Option<Instant> {
        self.stop_until
    }

    /// Takes a new connection; its session.
    pub fn accept(&mut self, caller: Caller, now: Instant) -> SessionKey {
        let session = Session::new(caller, &self.shared, now);
        let key = self.sessions.insert(Entry {
            session,
            unpublished: VecDeque::new(),
            replies: Replies::default(),
            is_dirty: false,
            is_blocked: false,
            fin_sent: false,
            is_counted: false,
            publishes: false,
            farewell: None,
        });
        if let Some(until) = self.stop_until {
            self.spread_farewells(now, until);
        }
        key
    }

    /// Has it no sessions?
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether this session's socket is to be read.
    pub fn wants_input(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| entry.is_read() && entry.session.wants_input())
    }

    /// Should TCP acknowledge at once what came from this session's client? OroPlatform's PHP client leaves Nagle's algorithm on,
    /// which holds its second message back until the first is acknowledged, and we say nothing that would carry
    /// that: each message would be 40 ms late.
    pub fn wants_acknowledgement(&self, key: SessionKey) -> bool {
        self.sessions.get(key).is_some_and(|entry| entry.publishes)
    }

    /// Takes bytes from a session's client.
    pub fn handle_bytes(&mut self, key: SessionKey, bytes: &[u8], now: Now) {
        self.with_events(key, now, |session, shared, events| {
            session.handle_bytes(bytes, shared, events, now);
        });
    }

    /// Something came from a session's client that was not read yet.
    pub fn handle_unread(&mut self, key: SessionKey, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_unread(now);
        }
    }

    /// A session's client will send nothing more.
    pub fn handle_end_of_input(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_end_of_input();
            self.mark_dirty(key);
        }
    }

    /// A session's connection broke, or what came is no TLS.
    pub fn handle_read_error(&mut self, key: SessionKey, error: &io::Error, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.session.handle_read_error(error, &self.shared, now);
            self.mark_dirty(key);
        }
    }

    /// Fan-out: appends an event to the queues of all who subscribed, and lets go of it once those are written.
    fn handle_delivery(&mut self, delivery: Arc<Delivery>, now: Instant) {
        let Self { subscribers, sessions, dirty, shared, tagged, .. } = self;
        let receivers = subscribers.of(&delivery.topic, delivery.position);
        let mut queues = Queues { delivery: &delivery, sessions, dirty, metrics: &shared.metrics, now };
        queues.append(receivers.plain(), Delivery::plain);
        queues.append(receivers.positioned(), Delivery::positioned);
        if receivers.has_tagged() {
            match delivery.kept.tags() {
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
        self.dirty.push_back(Due::Event(delivery));
    }

    /// What a session has missed is here, or cannot be known.
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

    /// A session receives what follows, and is told what it has missed.
    fn answer_recovery(&mut self, Awaited { session: key, number }: Awaited, recovered: &Recovered) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let Some(recovery) = entry.replies.recovery(number) else { return };
        let room = entry.session.room_for_an_answer();
        let answer = recovery::answer(recovery, recovered, &entry.session.ids().collect::<Vec<_>>(), room);
        entry.session.charge_for_events(recovered.events.len(), &self.shared);
        if recovery.since.is_some() {
            self.shared.metrics.recoveries.inc();
            self.shared.metrics.recoveries_incomplete.inc_by(u64::from(!answer.complete));
        }
        // One that has unsubscribed meanwhile is told all the same.
        if recovery.is_wanted {
            self.subscribers.settle(key, &recovery.topic, recovery.tags.take(), recovered.position);
        }
        entry.replies.answer(number, answer.frame);
    }

    /// A session is told to ask again. It is subscribed as it was before it asked, unless another call of it waits.
    fn refuse_recovery(&mut self, Awaited { session: key, number }: Awaited) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let Some(recovery) = entry.replies.recovery(number) else { return };
        let (topic, call_id) = (recovery.topic.clone(), recovery.call_id.clone());
        self.shared.metrics.recoveries_unavailable.inc();
        entry.replies.answer(number, calls::refusal(call_id, &calls::unavailable()));
        if !entry.replies.recoveries_of(&topic).any(|other| other.is_wanted)
            && let Some(was_last) = self.subscribers.give_up(key, &topic)
        {
            self.count_unsubscription(was_last, &topic);
        }
    }

    /// What a session waits for is true: tells it what that means.
    fn handle_settled(&mut self, awaited: Awaited, settled: Settled, now: Instant) {
        if let Some(entry) = self.sessions.get_mut(awaited.session) {
            entry.replies.settle(awaited.number, settled);
            self.reply(awaited.session, now);
        }
    }

    /// Others have told whether the ticket of a handshake is used for the first time.
    fn handle_ticket_used(&mut self, key: SessionKey, first_use: FirstUse, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let event = entry.session.handle_ticket_used(first_use, &self.shared, now);
        entry.count_once(&self.shared.metrics);
        entry.mark_dirty(key, &mut self.dirty);
        if let Some(SessionEvent::Resumes(resumes)) = event {
            self.end_resumed(resumes);
        }
    }

    /// Ends the sessions that are meant: their clients come back if the application gives them a new ticket. Costs a look at
    /// each session: a disconnect is rare.
    fn handle_disconnect(&mut self, disconnection: Arc<Disconnection>, now: Instant) {
        let mut ended = 0;
        for (key, entry) in &mut self.sessions {
            if !entry.session.is_meant_by(&disconnection.whom) {
                continue;
            }
            ended += 1;
            // What it wanted to publish meanwhile is no longer its to publish.
            entry.unpublished.clear();
            entry.session.end(CloseReason::NewTicket, now + FAREWELL);
            entry.mark_dirty(key, &mut self.dirty);
        }
        disconnection.add_ended(ended);
        self.dirty.push_back(Due::Disconnection(disconnection));
    }

    /// Ends the sessions of all browsers, of which any may have been disconnected: who comes back needs a new ticket.
    fn end_browsers(&mut self, now: Instant) {
        let browsers = self.sessions.iter().filter(|(_, entry)| entry.session.is_browser());
        let keys: Vec<_> = browsers.map(|(key, _)| key).collect();
        let last = now + spread(keys.len(), self.node.shards().len());
        self.add_farewells(keys, CloseReason::NewTicket, now, last);
    }

    /// Ends the sessions that can ask what they missed of this topic. Until then they hear no more of it: what follows would hide
    /// that there is something to ask for.
    fn end_incomplete(&mut self, topic: &Topic, now: Instant) {
        let keys = self.subscribers.hold_back(topic);
        self.add_farewells(keys, CloseReason::Incomplete, now, now + INCOMPLETE_END);
    }

    /// Sessions are to end one after the other, the last of them by then. Who is to come with a new ticket is told so, whatever else
    /// is a reason.
    fn add_farewells(&mut self, mut keys: Vec<SessionKey>, reason: CloseReason, now: Instant, last: Instant) {
        // One that drains ends all of them.
        if self.stop_until.is_some() {
            return;
        }
        let sessions = &mut self.sessions;
        let mut is_new = false;
        keys.retain(|key| {
            let Some(entry) = sessions.get_mut(*key) else { return false };
            let is_known = entry.farewell.is_some();
            if !is_known || (reason == CloseReason::NewTicket && entry.farewell != Some(reason)) {
                entry.farewell = Some(reason);
                is_new = true;
            }
            !is_known
        });
        // Those that are to end for this reason already are not put off.
        if is_new {
            self.farewells.add(keys, now, last);
        }
    }

    /// Looks at the clock, about once a second.
    pub fn handle_timeout(&mut self, now: Instant) {
        // A burst to many sessions made them long. What this second needs is kept.
        self.dirty.shrink_to(2 * self.dirty.len());
        self.written_next.shrink_to(2 * self.written_next.len());
        for (key, entry) in &mut self.sessions {
            if !entry.unpublished.is_empty() || !entry.replies.is_empty() {
                entry.session.ask_for_patience(now);
            }
            // One whose socket is not read cannot be heard.
            if entry.is_read() {
                entry.session.handle_timeout(&self.shared, now);
            }
            // What it did shows in its queue or its state; what it did not do costs one look.
            if !entry.session.outbound().is_empty() || entry.session.is_ending() {
                entry.mark_dirty(key, &mut self.dirty);
            }
        }
    }

    /// Second half: everybody goes, one after the other, so that they do not come back in one second; what waits for them
    /// has until then to be written.
    fn spread_farewells(&mut self, now: Instant, until: Instant) {
        for entry in self.sessions.values_mut() {
            entry.farewell.get_or_insert(CloseReason::GoingAway);
        }
        self.farewells = Farewells::new(self.node.shards().len());
        self.farewells.add(self.sessions.keys(), now, last_of_drain(now, until));
    }

    /// Ends the sessions whose turn it is. When the next one's is.
    pub fn end_due(&mut self, now: Instant) -> Option<Instant> {
        while let Some(key) = self.farewells.pop_due(now) {
            if let Some(entry) = self.sessions.get_mut(key)
                && let Some(reason) = entry.farewell
            {
                if reason == CloseReason::NewTicket {
                    // What it wanted to publish meanwhile is perhaps no longer its to publish.
                    entry.unpublished.clear();
                }
                entry.session.end(reason, self.stop_until.unwrap_or(now + FAREWELL));
                self.mark_dirty(key);
            }
        }
        self.farewells.next()
    }

    /// The session that is named so, if it is still there.
    pub fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key).map(|entry| &mut entry.session)
    }

    /// Forgets a session whose connection is dropped.
    fn remove(&mut self, key: SessionKey) {
        self.end_subscriptions(key);
        let Some(entry) = self.sessions.remove(key) else { return };
        self.waiting.retain(|waiting| *waiting != key);
        if entry.is_dirty {
            self.dirty.retain(|due| !matches!(due, Due::Session(dirty) if *dirty == key));
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
            SessionEvent::Asks(question) => {
                let shard = self.node.shards()[self.number].clone();
                question.ask(Box::new(move |first_use| shard.ticket_used(key, first_use)));
            }
            SessionEvent::Resumes(resumes) => self.end_resumed(resumes),
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

    /// Has the session ended that another one has resumed.
    fn end_resumed(&self, Resumes { session, place }: Resumes) {
        if let Some(shard) = self.node.shards().get(place.shard) {
            shard.end_resumed(KeyData::from_ffi(place.key).into(), session);
        }
    }

    /// Whether there is such a subscription now.
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

    /// One subscription less, perhaps the topic's last in this shard.
    fn count_unsubscription(&mut self, was_last: bool, topic: &Topic) {
        self.shared.metrics.subscriptions.dec();
        if was_last {
            self.node.remove_interest(topic, self.number);
        }
    }

    /// Does what a session has called for.
    fn handle_request(&mut self, key: SessionKey, call_id: Payload, request: Request, at: Now) {
        let now = at.instant;
        match request {
            Request::Subscribe { topic, since, tags } => {
                let max = self.shared.limits.subscriptions;
                let subscribed = self.subscribers.await_recovery(key, &topic, max);
                if self.count_subscription(subscribed, &topic) {
                    self.recover(key, Recovery { call_id, topic, since, tags, is_wanted: true });
                } else if let Some(entry) = self.sessions.get_mut(key)
                    && let Some(refused) = entry.session.refuse_one_more(&topic, &self.shared, now)
                {
                    self.answer(key, calls::refusal(call_id, &refused), now);
                }
            }
            Request::Resume => self.reply_in_turn(key, Reply::Resumption(call_id, at.unix), now),
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

    /// Has a subscription, or one that a session has just called for, hold for these tags. Whether there is one.
    fn set_tags(&mut self, key: SessionKey, topic: &Topic, tags: Option<Box<[Tag]>>) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        match entry.replies.recoveries_of(topic).next() {
            Some(recovery) if recovery.is_wanted => recovery.tags = tags,
            _ => return self.subscribers.set_tags(key, topic, tags),
        }
        true
    }

    /// Has the broker asked what a session has missed.
    fn recover(&mut self, key: SessionKey, recovery: Recovery) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        self.last_reply += 1;
        entry.replies.push(self.last_reply, Reply::Recovery(Box::new(recovery)));
        self.recoveries.push_back(Awaited { session: key, number: self.last_reply });
    }

    /// Asks the broker what sessions have missed, as far as a turn has time for it. The answers come in the inbox.
    pub fn ask_recoveries(&mut self) {
        while self.recovering < RECOVERIES
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

    /// Whether the broker can be asked for more.
    pub fn has_recoveries(&self) -> bool {
        self.recovering < RECOVERIES && !self.recoveries.is_empty()
    }

    /// Answers a call, behind those that were made before.
    fn answer(&mut self, key: SessionKey, frame: Bytes, now: Instant) {
        self.reply_in_turn(key, Reply::Answer(frame), now);
    }

    /// Replies, behind what the session has asked before.
    fn reply_in_turn(&mut self, key: SessionKey, reply: Reply, now: Instant) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        self.last_reply += 1;
        entry.replies.push(self.last_reply, reply);
        entry.replies.settle(self.last_reply, Settled { highest: None });
        self.reply(key, now);
    }

    /// A receipt that tells this session, and its number.
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

    /// Tells a session what is true now.
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
                    let max_seconds = self.shared.door.authenticator.resume_seconds();
                    let answer = calls::resumption(ticket, max_seconds, self.subscribers.positions(key));
                    entry.session.answer(calls::result(call_id, answer), now);
                }
                // It becomes an answer before it is settled.
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
            self.stopped = None;
        }
    }

    fn end_subscriptions(&mut self, key: SessionKey) {
        let count = self.subscribers.leave_to_drop(key);
        self.shared.metrics.subscriptions.dec_by(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many subscriptions of sessions that have ended are still to be dropped.
    pub fn subscriptions_to_drop(&self) -> usize {
        self.subscribers.to_drop()
    }

    /// Drops subscriptions of sessions that have ended, at most so many. How many.
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
    dirty: &'a mut VecDeque<Due>,
    metrics: &'a Metrics,
    now: Instant,
}

impl Queues<'_> {
    /// Appends one of the event's frames, which is encoded if there is anybody who gets it.
    fn append(&mut self, keys: &[SessionKey], frame: fn(&Delivery) -> &Bytes) {
        if keys.is_empty() {
            return;
        }
        // Local, because the loop is the hottest there is.
        let (sessions, dirty, now) = (&mut *self.sessions, &mut *self.dirty, self.now);
        let frame = SharedFrame::new(frame(self.delivery).clone());
        let kept = &self.delivery.kept;
        let everybody = kept.is_for_everybody();
        let mut delivered = 0;
        for &key in keys {
            let Some(entry) = sessions.get_mut(key) else { continue };
            if !everybody && !kept.is_for(entry.session.ids()) {
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
    /// Is its socket read? Not while what it wants to publish waits for credit, nor while too much of it is unanswered.
    fn is_read(&self) -> bool {
        self.unpublished.is_empty() && !self.replies.is_full()
    }

    /// Has the metrics count it once its handshake is over.
    fn count_once(&mut self, metrics: &Metrics) {
        if let (false, Some(protocol)) = (self.is_counted, self.session.protocol()) {
            self.is_counted = true;
            metrics.sessions_open.of(protocol).inc();
            metrics.sessions_opened.of(protocol).inc();
        }
    }

    /// Ends a publisher's session for a drain, unless it is still to be told something.
    fn end_publisher(&mut self, now: Instant) {
        if self.replies.is_empty() {
            self.session.end(CloseReason::GoingAway, now + FAREWELL);
        }
    }

    fn mark_dirty(&mut self, key: SessionKey, dirty: &mut VecDeque<Due>) {
        if !self.is_dirty {
            self.is_dirty = true;
            dirty.push_back(Due::Session(key));
        }
    }
}

#[cfg(test)]
mod tests;
