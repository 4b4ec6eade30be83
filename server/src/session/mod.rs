//! One session: a connection from its first byte to its last, without I/O. Bytes, time and deliveries come in as
//! arguments; what must leave waits in [`Outbound`]; what concerns others leaves as [`SessionEvent`]s.
//!
//! ```text
//!            upgrade             101 + WELCOME written       end, with a Close frame
//! Handshake ---------> Greeting ----------------------> Open ---------------------------> Closing
//!     |  |                  ^                            |                                   |
//!     |  '---> Waiting -----' first use of its ticket    |                                   |
//!     |           |                                      |                                   |
//!     | refused   |             peer's Close, or bytes that are                peer's Close, or bytes that
//!     v           v     no frames, answered; end without a Close frame         are no frames, or time is up
//!  Ending <----------------------------------------------+-----------------------------------'
//!     |
//!     | everything written, FIN sent; then the peer's end, or time is up
//!     v
//!   gone
//! ```
//!
//! A publisher's session goes from Open to Ending with a Close frame: the link thread sleeps until the FIN.

pub mod admission;
pub mod boundary;
pub mod browser;
pub mod budget;
pub mod calls;
#[cfg(feature = "echo")]
mod echo;
pub mod lines;
mod opening;
pub mod outbound;
pub mod publisher;
pub mod websocket;

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::close::ComeBack;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Identity, SessionPlace};
use orosync_protocol::{CloseReason, Payload, PublisherId, Seq, SessionId, Subprotocol, Topic};
use slotmap::new_key_type;
use tracing::{debug, info, warn};

use crate::auth::Resumes;
use crate::auth::replay::FirstUse;
use crate::auth::resume::{Admitted, ResumeTicket};
use crate::auth::used::Question;
use crate::config::settings::Limits;
use crate::connection::{Caller, Peer};
use crate::frame::ping_frame;
use crate::handshake::answers::Refusal;
use crate::handshake::{Candidate, Door, Handshake};
use crate::log::clip;
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::publication::Content;

use admission::{Admission, Refused};
use browser::{Browser, Conversation};
use calls::Request;
use lines::ClientLines;
use outbound::{Outbound, SharedFrame, TooSlow};
use publisher::{Answer, Batch, Publisher};
use websocket::{Incoming, WebSocket};

/// Product and version, as WELCOME names them.
pub const SERVER_IDENT: &str = concat!("Orosync/", env!("CARGO_PKG_VERSION"));

/// How long an ended session's peer may take to read what is left for it, and then for its own Close frame and FIN.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// How a session ended whose peer went without a word, as a metric's label.
const GONE: &str = "gone";

/// What a handshake gets, beyond its time, that has come and was not read yet.
const UNREAD: Duration = Duration::from_secs(1);

new_key_type! {
    /// Names a session within its shard: its place there, and how often that was given away before.
    pub struct SessionKey;
}

/// What all sessions of a node share. A clone shares what counts and remembers, and may have other rules.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Who gets in.
    pub door: Door,
    /// Who may what.
    pub policies: Policies,
    /// All bounds.
    pub limits: Limits,
    /// All counters.
    pub metrics: Arc<Metrics>,
    /// Bounds the log lines that clients cause.
    pub lines: Arc<ClientLines>,
    /// Whether what is published comes back: if not, another node may do what this one cannot.
    pub has_broker: Arc<AtomicBool>,
}

/// The time, both ways.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what lasts.
    pub instant: Instant,
    /// For tickets: seconds since 1970.
    pub unix: u64,
}

/// What a session wants from others. The shard passes it on.
#[derive(Debug)]
pub enum SessionEvent {
    /// It may receive this topic, and wants to.
    Subscribe(Topic),
    /// It no longer wants to.
    Unsubscribe(Topic),
    /// Its handshake waits for the answer to this: [`Session::handle_ticket_used`].
    Asks(Question),
    /// It resumes this one, which ends.
    Resumes(Resumes),
    /// The answer to a call, as a frame, for one who waits for others.
    Answer(Bytes),
    /// It has called for something that others know.
    Call(Payload, Request),
    /// Somebody who speaks WAMP publishes, and may.
    Publish(Content),
    /// A publisher asks what was accepted of it.
    Hello(PublisherId),
    /// A publisher publishes, and hears of it by [`Session::acknowledge`].
    PublishAll(PublisherId, Batch),
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    state: State,
    outbound: Outbound,
    caller: Caller,
    last_heard: Instant,
}

/// Where a session stands, and what belongs to that alone. Its tag is a byte of its own: each delivery looks at it several
/// times, and one that hides in a field's unused values takes arithmetic to read.
#[derive(Debug)]
#[repr(u8)]
enum State {
    Handshake {
        handshake: Box<Handshake>,
        deadline: Instant,
    },
    /// Others are asked whether the ticket was used before.
    Waiting {
        candidate: Box<Candidate>,
        /// That of the handshake, or some seconds more.
        deadline: Instant,
    },
    Greeting {
        open: Box<Open>,
        /// What came behind the handshake.
        rest: Bytes,
        /// By then it is written.
        deadline: Instant,
    },
    Open {
        open: Box<Open>,
        /// By then a ping is answered that was sent.
        pong_deadline: Option<Instant>,
        /// What a publisher is told when it has read what it was told before: so its answers need room for one, however
        /// many it causes.
        owed: Option<Box<Answer>>,
    },
    Closing {
        open: Box<Open>,
        end: End,
    },
    Ending {
        protocol: Option<Subprotocol>,
        end: End,
        /// The peer has sent its FIN.
        input_ended: bool,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
struct End {
    /// As a metric's label.
    label: &'static str,
    /// Everything is written, and the peer's own end is awaited.
    awaits_peer: bool,
    /// By then everything is written; and once it is, by then the peer has ended as well.
    deadline: Instant,
}

/// What a session is after its handshake.
#[derive(Debug)]
struct Open {
    id: SessionId,
    /// When its 101 was ready to leave: the client has it later.
    since: Instant,
    protocol: Subprotocol,
    identity: Identity,
    /// None: it is not resumed. Boxed: sessions without it are no larger for it.
    admitted: Option<Box<Admitted>>,
    socket: WebSocket,
    party: Party,
}

#[derive(Debug)]
enum Party {
    Browser(Browser),
    Publisher(Publisher),
    #[cfg(feature = "echo")]
    Echo,
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(caller: Caller, shared: &Shared, now: Instant) -> Self {
        Self {
            state: State::Handshake {
                handshake: Box::default(),
                deadline: now + shared.limits.handshake_timeout,
            },
            outbound: Outbound::new(shared.limits.outbound_bytes),
            caller,
            last_heard: now,
        }
    }

    /// What must leave.
    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// What must leave next, for one write.
    pub fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.outbound.slices()
    }

    /// Its id, once it has one.
    pub fn id(&self) -> Option<SessionId> {
        self.open().map(|open| open.id)
    }

    /// What it speaks, once that is known.
    pub fn protocol(&self) -> Option<Subprotocol> {
        match &self.state {
            State::Handshake { .. } | State::Waiting { .. } => None,
            State::Greeting { open, .. } | State::Open { open, .. } | State::Closing { open, .. } => {
                Some(open.protocol)
            }
            State::Ending { protocol, .. } => *protocol,
        }
    }

    /// How it ended, for the metrics.
    pub fn ended_as(&self) -> &'static str {
        match &self.state {
            State::Closing { end, .. } | State::Ending { end, .. } => end.label,
            State::Handshake { .. } | State::Waiting { .. } | State::Greeting { .. } | State::Open { .. } => {
                GONE
            }
        }
    }

    /// Is its greeting still to be written?
    pub fn is_greeting(&self) -> bool {
        matches!(self.state, State::Greeting { .. })
    }

    /// Is it over, but for what waits to be written?
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending { .. })
    }

    /// Whether `disconnect` ends this session, by its own id or that of one that it has resumed. A publisher's is never
    /// ended by another publisher.
    pub fn is_meant_by(&self, disconnect: &Disconnect) -> bool {
        self.open().is_some_and(|open| match open.party {
            Party::Publisher(_) => false,
            Party::Browser(_) => open.ids().any(|id| disconnect.means(id, &open.identity)),
            #[cfg(feature = "echo")]
            Party::Echo => false,
        })
    }

    /// A publisher's session?
    pub fn is_publisher(&self) -> bool {
        self.open().is_some_and(|open| matches!(open.party, Party::Publisher(_)))
    }

    /// Is it a browser's, or that of another client of WAMP?
    pub fn is_browser(&self) -> bool {
        self.open().is_some_and(|open| matches!(open.party, Party::Browser(_)))
    }

    /// May its socket be read? Not between the head of its handshake and the greeting's end.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Waiting { .. } | State::Greeting { .. })
    }

    /// Should the FIN be sent now?
    pub fn wants_fin(&self) -> bool {
        self.is_ending() && self.outbound.is_empty()
    }

    /// Is there nothing left to do, so that the connection can be dropped?
    pub fn is_gone(&self) -> bool {
        matches!(self.state, State::Ending { input_ended: true, .. }) && self.outbound.is_empty()
    }

    /// Takes bytes from the client.
    pub fn handle_bytes(&mut self, bytes: &[u8], shared: &Shared, events: &mut Vec<SessionEvent>, now: Now) {
        self.hear(now.instant);
        match &mut self.state {
            State::Handshake { handshake, deadline } => {
                let deadline = *deadline;
                let outcome = handshake.handle_bytes(bytes, &shared.door, &mut self.caller, now.unix);
                events.extend(self.go_on(outcome, deadline, shared, now.instant));
            }
            State::Open { .. } | State::Closing { .. } => {
                self.read_messages(bytes, shared, events, now.instant);
            }
            // Not read while waiting and greeting, and of no interest at the end.
            State::Waiting { .. } | State::Greeting { .. } | State::Ending { .. } => {}
        }
    }

    /// Something came from the client that was not read yet, which is not its fault.
    pub fn handle_unread(&mut self, now: Instant) {
        match &mut self.state {
            State::Handshake { deadline, .. } => *deadline = (*deadline).max(now + UNREAD),
            State::Open { .. } => self.hear(now),
            State::Waiting { .. } | State::Greeting { .. } | State::Closing { .. } | State::Ending { .. } => {
            }
        }
    }

    /// The client will send nothing more.
    pub fn handle_end_of_input(&mut self) {
        if !self.is_ending() {
            // Without a closing handshake nobody is there any more who would read.
            self.outbound.clear();
        }
        self.lose_peer(GONE);
    }

    /// The connection broke.
    pub fn handle_error(&mut self) {
        self.outbound.clear();
        self.lose_peer(GONE);
    }

    /// The connection broke, or what came is no TLS.
    pub fn handle_read_error(&mut self, error: &io::Error, shared: &Shared, now: Instant) {
        if error.kind() == io::ErrorKind::InvalidData && self.protocol().is_none() && !self.is_ending() {
            shared.metrics.handshakes_refused.count("tls");
            if let Some(left_out) = shared.lines.connections.admit(now) {
                let error = error.to_string();
                warn!(peer = %self.caller.peer, reason = "tls", left_out, "connection refused: {}", clip(&error));
            }
        }
        self.handle_error();
    }

    /// Does it matter that everything has been written?
    pub fn awaits_written(&self) -> bool {
        match &self.state {
            State::Handshake { .. } | State::Waiting { .. } => false,
            State::Open { owed, .. } => owed.is_some(),
            State::Greeting { .. } => true,
            State::Closing { end, .. } | State::Ending { end, .. } => !end.awaits_peer,
        }
    }

    /// Everything in the outbound queue has been written.
    pub fn handle_written(&mut self, shared: &Shared, events: &mut Vec<SessionEvent>, now: Now) {
        match &mut self.state {
            State::Handshake { .. } | State::Waiting { .. } => {}
            State::Greeting { .. } => {
                if let State::Greeting { open, rest, .. } = self.finish(GONE, now.instant) {
                    self.state = State::Open { open, pong_deadline: None, owed: None };
                    self.read_messages(&rest, shared, events, now.instant);
                }
            }
            State::Open { owed, .. } => {
                if let Some(owed) = owed.take() {
                    self.outbound.push_last(owed.into_frame());
                }
            }
            State::Closing { end, .. } | State::Ending { end, .. } => {
                if !end.awaits_peer {
                    *end = End { awaits_peer: true, deadline: now.instant + FAREWELL, ..*end };
                }
            }
        }
    }

    /// Looks at the clock, about once a second.
    pub fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        self.outbound.release_memory();
        let silence = now.saturating_duration_since(self.last_heard);
        match &mut self.state {
            State::Handshake { deadline, .. } if now >= *deadline => {
                self.refuse_handshake(Refusal::Timeout, shared, now);
            }
            State::Waiting { deadline, .. } if now >= *deadline => {
                // Refused, so nothing else comes of it.
                let _ = self.handle_ticket_used(FirstUse::Unavailable, shared, now);
            }
            State::Open { pong_deadline: Some(deadline), .. } if now >= *deadline => {
                self.outbound.clear();
                self.lose_peer("unresponsive");
            }
            State::Open { pong_deadline, .. }
                if pong_deadline.is_none() && silence >= shared.limits.ping_interval =>
            {
                *pong_deadline = Some(now + shared.limits.ping_timeout);
                if self.outbound.push(ping_frame()).is_err() {
                    self.end(CloseReason::TooSlow, now + FAREWELL);
                }
            }
            State::Greeting { deadline, .. }
            | State::Closing { end: End { deadline, .. }, .. }
            | State::Ending { end: End { deadline, .. }, .. }
                if now >= *deadline =>
            {
                self.handle_error();
            }
            State::Handshake { .. }
            | State::Waiting { .. }
            | State::Greeting { .. }
            | State::Open { .. }
            | State::Closing { .. }
            | State::Ending { .. } => {}
        }
    }

    /// Appends an event for this session's client. If it does not fit, the session ends.
    pub fn deliver(&mut self, frame: &SharedFrame, now: Instant) -> bool {
        if !self.is_open() {
            return false;
        }
        let taken = self.outbound.push_shared(frame).is_ok();
        if !taken {
            self.end(CloseReason::TooSlow, now + FAREWELL);
        }
        taken
    }

    /// Ends the session; what waits for it has until `write_until` to be written.
    ///
    /// With a Close frame, unless the client would then never come back although it should: after a clean close of any
    /// code OroPlatform's JavaScript does not. A publisher gets the FIN right behind it.
    pub fn end(&mut self, reason: CloseReason, write_until: Instant) {
        let State::Open { open, .. } = &self.state else {
            if matches!(self.state, State::Handshake { .. } | State::Waiting { .. } | State::Greeting { .. })
            {
                self.outbound.clear();
                self.finish(reason.label(), write_until);
            }
            return;
        };
        debug!(peer = %self.caller.peer, session = %open.id, reason = reason.label(), "session ended by the server");
        if reason == CloseReason::TooSlow {
            self.outbound.keep_only_what_has_begun();
        }
        let without_close = open.protocol == Subprotocol::Wamp && reason.come_back() != ComeBack::No;
        let ended = self.finish(reason.label(), write_until);
        if without_close {
            return;
        }
        if let State::Open { mut open, owed, .. } = ended {
            if let Some(owed) = owed {
                self.outbound.push_last(owed.into_frame());
            }
            open.socket.close(reason, &mut self.outbound);
            // A publisher's answer is of no use, and its link thread may sleep until the FIN.
            if open.protocol == Subprotocol::Link {
                return;
            }
            let end = End { label: reason.label(), awaits_peer: false, deadline: write_until };
            self.state = State::Closing { open, end };
        }
    }

    /// Tells a publisher that what it waits for takes its time: it would take a server that is silent for a frozen one.
    pub fn ask_for_patience(&mut self, now: Instant) {
        // One that has not read the last word need not be told to wait for the next.
        if self.is_publisher() && self.is_open() && self.outbound.is_empty() {
            let told = self.outbound.push(ping_frame());
            self.end_if_too_slow(told, now);
        }
    }

    /// Tells a publisher that a batch is accepted and written.
    pub fn acknowledge(&mut self, batch: Batch) {
        // A publisher that is going sends again, to whomever it finds, what it was not told of.
        let State::Open { owed, .. } = &mut self.state else { return };
        let answer = batch.into_answer();
        match owed {
            Some(owed) => owed.append(answer),
            None if self.outbound.is_empty() => self.outbound.push_last(answer.into_frame()),
            None => *owed = Some(Box::new(answer)),
        }
    }

    /// Tells a publisher what was accepted of it so far, and written.
    pub fn welcome_publisher(&mut self, accepted: Option<Seq>, now: Instant) {
        if self.is_open() {
            let told = publisher::welcome(accepted, &mut self.outbound);
            self.end_if_too_slow(told, now);
        }
    }

    /// All ids that it has: its own, and those of the sessions that it has resumed.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.open().into_iter().flat_map(Open::ids)
    }

    /// How many bytes an answer may have: half of what may wait for it still, so that others and events fit behind it.
    pub fn room_for_an_answer(&self) -> usize {
        self.outbound.room() / 2
    }

    /// Pays for events that were looked at for it.
    pub fn charge_for_events(&mut self, events: usize, shared: &Shared) {
        if let State::Open { open, .. } = &mut self.state
            && let Party::Browser(browser) = &mut open.party
        {
            browser.charge_for_events(events, shared);
        }
    }

    /// Answers a call of a browser that had to wait.
    pub fn answer(&mut self, frame: Bytes, now: Instant) {
        let State::Open { open, .. } = &mut self.state else { return };
        if let Party::Browser(browser) = &mut open.party {
            browser.answered();
        }
        let told = self.outbound.push(frame);
        self.end_if_too_slow(told, now);
    }

    /// What a browser is told that has too many subscriptions, in answer to a call.
    pub fn refuse_one_more(&self, topic: &Topic, shared: &Shared, now: Instant) -> Option<Refused> {
        let open = self.open()?;
        let admission = Admission { identity: &open.identity, peer: self.caller.peer, shared, now };
        Some(admission.refuse_one_more(topic))
    }

    /// Tells a browser that it has too many subscriptions.
    pub fn refuse_subscription(&mut self, topic: &Topic, shared: &Shared, now: Instant) {
        if self.is_open()
            && let Some(refused) = self.refuse_one_more(topic, shared, now)
        {
            browser::refuse(&refused, &mut self.outbound);
        }
    }

    /// A ticket for its own next connection, if it is at this place of its node. None: its client is to ask the application.
    pub fn resume_ticket(&self, place: SessionPlace, shared: &Shared, unix_now: u64) -> Option<ResumeTicket> {
        let open = self.open()?;
        let admitted = open.admitted.as_ref()?;
        let minted =
            shared.door.authenticator.mint_resume(&open.identity, admitted, open.id, place, unix_now)?;
        shared.metrics.resume_tickets_minted.inc();
        Some(minted)
    }

    /// Ends this session if it is still open and has this id, because another one has resumed it. Its client has gone on
    /// there, so whoever is still here needs a ticket of its own.
    pub fn end_resumed(&mut self, id: SessionId, write_until: Instant) {
        if self.id() == Some(id) && !matches!(self.state, State::Closing { .. }) {
            info!(peer = %self.caller.peer, session = %id, "session ended: it was still open when it was resumed");
            self.end(CloseReason::NewTicket, write_until);
        }
    }

    fn hear(&mut self, now: Instant) {
        self.last_heard = now;
        if let State::Open { pong_deadline, .. } = &mut self.state {
            // Whatever it was, it answers a ping.
            *pong_deadline = None;
        }
    }

    /// Whether it takes events: its greeting has left, and it has not ended.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Greeting { open, .. } | State::Open { open, .. } | State::Closing { open, .. } => {
                Some(open)
            }
            State::Handshake { .. } | State::Waiting { .. } | State::Ending { .. } => None,
        }
    }

    fn read_messages(&mut self, bytes: &[u8], shared: &Shared, events: &mut Vec<SessionEvent>, now: Instant) {
        let mut input = bytes;
        loop {
            let closing = matches!(self.state, State::Closing { .. });
            let Self {
                state: State::Open { open, .. } | State::Closing { open, .. }, outbound, caller, ..
            } = self
            else {
                return;
            };
            let next = open.socket.next(&mut input, outbound);
            let result = match next {
                Ok(Some(Incoming::Closed)) => {
                    self.finish("client", now + FAREWELL);
                    return;
                }
                // What a client says between our Close frame and its own is of no interest, nor how it says it.
                Ok(Some(_)) if closing => Ok(()),
                Ok(None) if closing => return,
                Err(_) if closing => {
                    self.finish("client", now + FAREWELL);
                    return;
                }
                Ok(incoming) => {
                    let is_last = incoming.is_none();
                    match open.take(incoming, caller.peer, shared, outbound, events, now) {
                        Ok(()) if is_last => return,
                        result => result,
                    }
                }
                // RFC 6455, 7.1.7: a peer that broke the protocol is not read any more, its Close frame neither. Some
                // believe to have sent it: the one that broke the protocol.
                Err(reason) => {
                    self.end(reason, now + FAREWELL);
                    self.finish(reason.label(), now + FAREWELL);
                    return;
                }
            };
            if let Err(reason) = result {
                self.end(reason, now + FAREWELL);
            }
        }
    }

    fn end_if_too_slow(&mut self, told: Result<(), TooSlow>, now: Instant) {
        if let Err(TooSlow) = told {
            self.end(CloseReason::TooSlow, now + FAREWELL);
        }
    }

    /// The peer will not be heard any more.
    fn lose_peer(&mut self, label: &'static str) {
        if !self.is_ending() {
            self.finish(label, self.last_heard);
        }
        if let State::Ending { input_ended, .. } = &mut self.state {
            *input_ended = true;
        }
    }

    /// Ends the session, once what waits for it is written or `write_until` has come; the state that it was in. What ended
    /// it first is what it ended of.
    fn finish(&mut self, label: &'static str, write_until: Instant) -> State {
        let end = match &self.state {
            State::Closing { end, .. } | State::Ending { end, .. } => End { deadline: write_until, ..*end },
            State::Handshake { .. } | State::Waiting { .. } | State::Greeting { .. } | State::Open { .. } => {
                End { label, awaits_peer: false, deadline: write_until }
            }
        };
        let ending = State::Ending { protocol: self.protocol(), end, input_ended: false };
        std::mem::replace(&mut self.state, ending)
    }
}

impl Open {
    fn ids(&self) -> impl Iterator<Item = SessionId> {
        let former = self.admitted.as_ref().map_or(&[][..], |admitted| admitted.former());
        former.iter().copied().chain([self.id])
    }

    /// Takes what a client sent; with nothing, only what it cost to find out: fragments are paid for as well.
    fn take(
        &mut self,
        incoming: Option<Incoming>,
        peer: Peer,
        shared: &Shared,
        outbound: &mut Outbound,
        events: &mut Vec<SessionEvent>,
        now: Instant,
    ) -> Result<(), CloseReason> {
        let frames = self.socket.take_frames();
        let admission = Admission { identity: &self.identity, peer, shared, now };
        match &mut self.party {
            Party::Browser(browser) => {
                browser.spend(frames, shared, now)?;
                let Some(Incoming::Message(text, _)) = incoming else { return Ok(()) };
                let (session, since) = (self.id, self.since);
                browser
                    .handle_message(&text, &mut Conversation { session, since, admission, outbound, events })
            }
            Party::Publisher(publisher) => {
                let Some(Incoming::Message(frame, _)) = incoming else { return Ok(()) };
                publisher.handle_frame(frame, admission, events)
            }
            #[cfg(feature = "echo")]
            Party::Echo => echo::answer(incoming, outbound),
        }
    }
}
