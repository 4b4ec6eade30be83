//! A session: the state machine of a connection from its first byte to its last, without I/O. Input, time and deliveries are
//! arguments; output waits in [`Outbound`]; requests to the rest of the server are [`SessionEvent`]s.
//!
//! ```text
//!            upgrade              101 + WELCOME written        end, with a Close frame
//! Handshake -----------> Greeting ----------------------> Open -----------------------> Closing
//!  |     |                  ^                               |                               |
//!  |     '-> CheckingTicket-' first use of its ticket       |                               |
//!  |               |                                        |                               |
//!  | refused       | refused    peer's Close or invalid frame (answered);   peer's Close or invalid frame;
//!  v               v                 end without a Close frame                         timeout
//! Ending <--------------------------------------------------+-------------------------------'
//!  |
//!  | output written and FIN sent, then the peer's FIN; or timeout
//!  v
//! dropped
//! ```
//!
//! A publisher's session goes from Open directly to Ending when the server sends its Close frame, because the link thread may
//! sleep until the FIN arrives.

pub mod admission;
pub mod boundary;
pub mod browser;
pub mod calls;
mod handler;
pub mod log_limits;
mod opening;
pub mod outbound;
pub mod publisher;
pub mod token_bucket;
pub mod websocket;

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Identity, SessionPlace};
use orosync_protocol::{CloseReason, Payload, PublisherId, Seq, SessionId, Subprotocol, Topic};
use slotmap::new_key_type;
use tracing::{debug, info, warn};

use crate::auth::Resumes;
use crate::auth::replay::FirstUse;
use crate::auth::resume::{ResumeState, ResumeTicket};
use crate::auth::used::TicketCheck;
use crate::config::settings::Limits;
use crate::connection::{Client, Peer};
use crate::frame::ping_frame;
use crate::handshake::answers::Refusal;
use crate::handshake::{Handshake, HandshakeContext, PendingUpgrade};
use crate::log::clip;
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::publication::Content;

use admission::{Admission, Refused};
use browser::Conversation;
use calls::Request;
use handler::Handler;
use log_limits::LogLimits;
use outbound::{Outbound, OutboundFull, SharedFrame};
use publisher::{Answer, Batch};
use websocket::{Incoming, WebSocket};

/// Product and version, announced in WELCOME.
pub const SERVER_IDENT: &str = concat!("Orosync/", env!("CARGO_PKG_VERSION"));

/// Time limit for the peer of an ended session to read the remaining output, and again for its Close frame and FIN.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The metrics label of a session whose peer disconnected without a closing handshake.
const GONE: &str = "gone";

/// Extra time for a handshake whose bytes arrived but were not read yet.
const UNREAD_EXTENSION: Duration = Duration::from_secs(1);

new_key_type! {
    /// Key of a session within its shard: a slot, and the slot's generation.
    pub struct SessionKey;
}

/// The state that all sessions of a node share. A clone shares counters and memories, and may have different rules.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Authentication and admission of connections.
    pub handshake: HandshakeContext,
    /// The rules for topics.
    pub policies: Policies,
    /// All bounds.
    pub limits: Limits,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Rate limits for log lines that clients cause.
    pub log_limits: Arc<LogLimits>,
    /// Whether the broker works. If not, clients are sent to another node.
    pub has_broker: Arc<AtomicBool>,
}

/// The current time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The monotonic clock, for durations.
    pub instant: Instant,
    /// Unix time in seconds, for tickets.
    pub unix: u64,
}

/// A request of a session to the rest of the server, which the shard handles.
#[derive(Debug)]
pub enum SessionEvent {
    /// Subscribes to this topic, which the session may receive.
    Subscribe(Topic),
    /// Unsubscribes from this topic.
    Unsubscribe(Topic),
    /// Checks whether the handshake's ticket was used before. The answer goes to [`Session::handle_ticket_used`].
    CheckTicket(TicketCheck),
    /// Ends this session, which the new one resumes.
    EndResumed(Resumes),
    /// The answer to a call as a frame, which must wait for the answers to earlier calls.
    Answer(Bytes),
    /// A call that the shard answers.
    Call(Payload, Request),
    /// Publishes a message of a WAMP client, which may publish it.
    Publish(Content),
    /// A publisher's Hello: asks for the highest accepted sequence number.
    Hello(PublisherId),
    /// Publishes a publisher's batch, which [`Session::acknowledge`] acknowledges later.
    PublishAll(PublisherId, Batch),
}

/// A connection from its first byte to its last.
#[derive(Debug)]
pub struct Session {
    state: State,
    outbound: Outbound,
    client: Client,
    last_input: Instant,
}

/// The state of a session. `repr(u8)` gives the discriminant a byte of its own: each delivery reads it several times, and a
/// discriminant encoded in the unused values of a field would need arithmetic.
#[derive(Debug)]
#[repr(u8)]
enum State {
    Handshake {
        handshake: Box<Handshake>,
        deadline: Instant,
    },
    /// Waits for the answer whether the ticket was used before.
    CheckingTicket {
        pending: Box<PendingUpgrade>,
        /// The deadline of the handshake, or a few seconds later.
        deadline: Instant,
    },
    Greeting {
        open: Box<Open>,
        /// Bytes received after the handshake.
        rest: Box<[u8]>,
        /// The deadline for writing the greeting.
        deadline: Instant,
    },
    Open {
        open: Box<Open>,
        /// The deadline for the answer to a ping. `None`: no ping is pending.
        pong_deadline: Option<Instant>,
        /// The answer for a publisher that has not read the previous one yet. Further answers are merged into it, so that any
        /// number of answers needs room for one.
        pending_answer: Option<Box<Answer>>,
    },
    Closing {
        open: Box<Open>,
        end: End,
    },
    Ending {
        protocol: Option<Subprotocol>,
        end: End,
        /// Whether the peer has sent its FIN.
        input_ended: bool,
    },
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The reason as a metrics label.
    label: &'static str,
    /// Whether everything is written and only the peer's FIN is awaited.
    awaits_peer: bool,
    /// The deadline for writing everything, and afterwards for the peer's FIN.
    deadline: Instant,
}

/// The data of a session after its handshake.
#[derive(Debug)]
struct Open {
    id: SessionId,
    /// The time at which the 101 response was ready to be sent. The client receives it later.
    since: Instant,
    protocol: Subprotocol,
    identity: Identity,
    /// `None`: the session cannot be resumed.
    resume_state: Option<ResumeState>,
    socket: WebSocket,
    handler: Handler,
}

/// Minimum silence of a publisher before a ping: its idle link reads a ping only when it sends its own, after three seconds.
const MIN_PUBLISHER_SILENCE: Duration = Duration::from_secs(5);

/// The silence after which a session is pinged.
fn ping_interval(configured: Duration, is_publisher: bool) -> Duration {
    if is_publisher { configured.max(MIN_PUBLISHER_SILENCE) } else { configured }
}

impl Session {
    /// A session for a connection that was just accepted.
    pub fn new(client: Client, shared: &Shared, now: Instant) -> Self {
        Self {
            state: State::Handshake {
                handshake: Box::default(),
                deadline: now + shared.limits.handshake_timeout,
            },
            outbound: Outbound::new(shared.limits.outbound_bytes),
            client,
            last_input: now,
        }
    }

    /// The outbound queue.
    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// The buffers for the next write.
    pub fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.outbound.slices()
    }

    /// The session's id. `None` before the greeting.
    pub fn id(&self) -> Option<SessionId> {
        self.open().map(|open| open.id)
    }

    /// The session's protocol. `None` before the greeting.
    pub fn protocol(&self) -> Option<Subprotocol> {
        match &self.state {
            State::Handshake { .. } | State::CheckingTicket { .. } => None,
            State::Greeting { open, .. } | State::Open { open, .. } | State::Closing { open, .. } => {
                Some(open.protocol)
            }
            State::Ending { protocol, .. } => *protocol,
        }
    }

    /// How the session ended, as a metrics label.
    pub fn ended_as(&self) -> &'static str {
        match &self.state {
            State::Closing { end, .. } | State::Ending { end, .. } => end.label,
            State::Handshake { .. }
            | State::CheckingTicket { .. }
            | State::Greeting { .. }
            | State::Open { .. } => GONE,
        }
    }

    /// Whether the greeting is still being written.
    pub fn is_greeting(&self) -> bool {
        matches!(self.state, State::Greeting { .. })
    }

    /// Whether the session has ended, except for output that is still to be written.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending { .. })
    }

    /// Whether `disconnect` targets this session, by its own id or that of a session that it has resumed. A publisher's session
    /// is never a target.
    pub fn is_targeted_by(&self, disconnect: &Disconnect) -> bool {
        self.open().is_some_and(|open| {
            open.handler.is_browser() && open.ids().any(|id| disconnect.targets(id, &open.identity))
        })
    }

    /// Whether this is a publisher's session.
    pub fn is_publisher(&self) -> bool {
        self.open().is_some_and(|open| open.handler.is_publisher())
    }

    /// Whether this is the session of a browser or another WAMP client.
    pub fn is_browser(&self) -> bool {
        self.open().is_some_and(|open| open.handler.is_browser())
    }

    /// Whether to read from this session's socket. False from the end of the handshake request until the greeting is written.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::CheckingTicket { .. } | State::Greeting { .. })
    }

    /// Whether to send the FIN now.
    pub fn wants_fin(&self) -> bool {
        self.is_ending() && self.outbound.is_empty()
    }

    /// Whether the session is finished and the connection can be dropped.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Ending { input_ended: true, .. }) && self.outbound.is_empty()
    }

    /// Handles bytes from the client.
    pub fn handle_bytes(&mut self, bytes: &[u8], shared: &Shared, events: &mut Vec<SessionEvent>, now: Now) {
        self.record_input(now.instant);
        match &mut self.state {
            State::Handshake { handshake, deadline } => {
                let deadline = *deadline;
                let outcome = handshake.handle_bytes(bytes, &shared.handshake, &mut self.client, now.unix);
                events.extend(self.handle_outcome(outcome, deadline, shared, now.instant));
            }
            State::Open { .. } | State::Closing { .. } => {
                self.read_messages(bytes, shared, events, now.instant);
            }
            // Nothing is read during the ticket check and the greeting, and input is ignored at the end.
            State::CheckingTicket { .. } | State::Greeting { .. } | State::Ending { .. } => {}
        }
    }

    /// Extends the deadline of a handshake whose bytes arrived but were not read yet, since that is not the client's fault.
    pub fn handle_unread(&mut self, now: Instant) {
        match &mut self.state {
            State::Handshake { deadline, .. } => *deadline = (*deadline).max(now + UNREAD_EXTENSION),
            State::Open { .. } => self.record_input(now),
            State::CheckingTicket { .. }
            | State::Greeting { .. }
            | State::Closing { .. }
            | State::Ending { .. } => {}
        }
    }

    /// Handles the end of input: the client will send nothing more.
    pub fn handle_end_of_input(&mut self) {
        if !self.is_ending() {
            // A peer that disconnects without a closing handshake is assumed to read nothing more.
            self.outbound.clear();
        }
        self.lose_peer(GONE);
    }

    /// Handles a failed connection.
    pub fn handle_error(&mut self) {
        self.outbound.clear();
        self.lose_peer(GONE);
    }

    /// Handles a read error: a failed connection, or invalid TLS.
    pub fn handle_read_error(&mut self, error: &io::Error, shared: &Shared, now: Instant) {
        if error.kind() == io::ErrorKind::InvalidData && self.protocol().is_none() && !self.is_ending() {
            shared.metrics.handshakes_refused.count("tls");
            if let Some(suppressed) = shared.log_limits.connections.admit(now) {
                let error = error.to_string();
                warn!(peer = %self.client.peer, reason = "tls", suppressed, "connection refused: {}", clip(&error));
            }
        }
        self.handle_error();
    }

    /// Whether the session needs a call of [`Session::handle_written`].
    pub fn awaits_written(&self) -> bool {
        match &self.state {
            State::Handshake { .. } | State::CheckingTicket { .. } => false,
            State::Open { pending_answer, .. } => pending_answer.is_some(),
            State::Greeting { .. } => true,
            State::Closing { end, .. } | State::Ending { end, .. } => !end.awaits_peer,
        }
    }

    /// Handles that the outbound queue has been written completely.
    pub fn handle_written(&mut self, shared: &Shared, events: &mut Vec<SessionEvent>, now: Now) {
        match &mut self.state {
            State::Handshake { .. } | State::CheckingTicket { .. } => {}
            State::Greeting { .. } => {
                if let State::Greeting { open, rest, .. } = self.finish(GONE, now.instant) {
                    self.state = State::Open { open, pong_deadline: None, pending_answer: None };
                    self.read_messages(&rest, shared, events, now.instant);
                }
            }
            State::Open { pending_answer, .. } => {
                if let Some(pending_answer) = pending_answer.take() {
                    self.outbound.push_last(pending_answer.into_frame());
                }
            }
            State::Closing { end, .. } | State::Ending { end, .. } => {
                if !end.awaits_peer {
                    *end = End { awaits_peer: true, deadline: now.instant + CLOSE_TIMEOUT, ..*end };
                }
            }
        }
    }

    /// Handles timeouts. Called about once a second.
    pub fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        self.outbound.release_memory();
        let silence = now.saturating_duration_since(self.last_input);
        let is_publisher = self.is_publisher();
        match &mut self.state {
            State::Handshake { deadline, .. } if now >= *deadline => {
                self.refuse_handshake(Refusal::Timeout, shared, now);
            }
            State::CheckingTicket { deadline, .. } if now >= *deadline => {
                // A refusal causes no further event.
                let _ = self.handle_ticket_used(FirstUse::Unavailable, shared, now);
            }
            State::Open { pong_deadline: Some(deadline), .. } if now >= *deadline => {
                self.outbound.clear();
                self.lose_peer("unresponsive");
            }
            State::Open { pong_deadline, .. }
                if pong_deadline.is_none()
                    && silence >= ping_interval(shared.limits.ping_interval, is_publisher) =>
            {
                *pong_deadline = Some(now + shared.limits.ping_timeout);
                if self.outbound.push(ping_frame()).is_err() {
                    self.end(CloseReason::TooSlow, now + CLOSE_TIMEOUT);
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
            | State::CheckingTicket { .. }
            | State::Greeting { .. }
            | State::Open { .. }
            | State::Closing { .. }
            | State::Ending { .. } => {}
        }
    }

    /// Queues an event for the client. If it does not fit, the session ends.
    pub fn deliver(&mut self, frame: &SharedFrame, now: Instant) -> bool {
        if !self.is_open() {
            return false;
        }
        let taken = self.outbound.push_shared(frame).is_ok();
        if !taken {
            self.end(CloseReason::TooSlow, now + CLOSE_TIMEOUT);
        }
        taken
    }

    /// Ends the session. `write_until` is the deadline for the remaining output.
    ///
    /// Sends a Close frame, except to clients that should reconnect but would not after one: OroPlatform's JavaScript never
    /// reconnects after a clean close, whatever its code. For a publisher, the FIN follows the Close frame at once.
    pub fn end(&mut self, reason: CloseReason, write_until: Instant) {
        let State::Open { open, .. } = &self.state else {
            if matches!(
                self.state,
                State::Handshake { .. } | State::CheckingTicket { .. } | State::Greeting { .. }
            ) {
                self.outbound.clear();
                self.finish(reason.label(), write_until);
            }
            return;
        };
        debug!(peer = %self.client.peer, session = %open.id, reason = reason.label(), "session ended by the server");
        if reason == CloseReason::TooSlow {
            self.outbound.keep_only_partial_frame();
        }
        let without_close = open.protocol == Subprotocol::Wamp && reason.should_reconnect();
        let ended = self.finish(reason.label(), write_until);
        if without_close {
            return;
        }
        if let State::Open { mut open, pending_answer, .. } = ended {
            if let Some(pending_answer) = pending_answer {
                self.outbound.push_last(pending_answer.into_frame());
            }
            open.socket.close(reason, &mut self.outbound);
            // The answer of a publisher is not needed, and its link thread may sleep until the FIN arrives.
            if open.protocol == Subprotocol::Link {
                return;
            }
            let end = End { label: reason.label(), awaits_peer: false, deadline: write_until };
            self.state = State::Closing { open, end };
        }
    }

    /// Pings a publisher that waits for an acknowledgement, so that it does not consider the server frozen.
    pub fn send_keep_alive(&mut self, now: Instant) {
        // A publisher that has not read the previous output needs no further ping.
        if self.is_publisher() && self.is_open() && self.outbound.is_empty() {
            let pushed = self.outbound.push(ping_frame());
            self.end_if_too_slow(pushed, now);
        }
    }

    /// Acknowledges a batch that has been accepted and written.
    pub fn acknowledge(&mut self, batch: Batch) {
        // The publisher resends unacknowledged messages over its next connection.
        let State::Open { pending_answer, .. } = &mut self.state else { return };
        let answer = batch.into_answer();
        match pending_answer {
            Some(pending_answer) => pending_answer.append(answer),
            None if self.outbound.is_empty() => self.outbound.push_last(answer.into_frame()),
            None => *pending_answer = Some(Box::new(answer)),
        }
    }

    /// Sends Welcome to a publisher, with the highest sequence number that was accepted and written.
    pub fn welcome_publisher(&mut self, accepted: Option<Seq>, now: Instant) {
        if self.is_open() {
            let pushed = publisher::welcome(accepted, &mut self.outbound);
            self.end_if_too_slow(pushed, now);
        }
    }

    /// The session's own id, and those of the sessions that it has resumed.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.open().into_iter().flat_map(Open::ids)
    }

    /// Maximum size of an answer in bytes: half of the free space in the outbound queue, so that events still fit.
    pub fn max_answer_bytes(&self) -> usize {
        self.outbound.room() / 2
    }

    /// Charges events that were examined for this session to its rate limit.
    pub fn charge_for_events(&mut self, events: usize, shared: &Shared) {
        if let State::Open { open, .. } = &mut self.state
            && let Some(browser) = open.handler.as_browser()
        {
            browser.charge_for_events(events, shared);
        }
    }

    /// Answers a browser's pending call.
    pub fn answer(&mut self, frame: Bytes, now: Instant) {
        let State::Open { open, .. } = &mut self.state else { return };
        if let Some(browser) = open.handler.as_browser() {
            browser.call_answered();
        }
        let pushed = self.outbound.push(frame);
        self.end_if_too_slow(pushed, now);
    }

    /// The refusal of a call by a browser that has too many subscriptions.
    pub fn refuse_excess_subscription(
        &self,
        topic: &Topic,
        shared: &Shared,
        now: Instant,
    ) -> Option<Refused> {
        let open = self.open()?;
        let admission = Admission { identity: &open.identity, peer: self.client.peer, shared, now };
        Some(admission.refuse_excess_subscription(topic))
    }

    /// Refuses a subscription of a browser that has too many.
    pub fn refuse_subscription(&mut self, topic: &Topic, shared: &Shared, now: Instant) {
        if self.is_open()
            && let Some(refused) = self.refuse_excess_subscription(topic, shared, now)
        {
            browser::refuse(&refused, &mut self.outbound);
        }
    }

    /// Issues a ticket for the session's next connection. `None`: the client must request one from the application.
    pub fn resume_ticket(&self, place: SessionPlace, shared: &Shared, unix_now: u64) -> Option<ResumeTicket> {
        let open = self.open()?;
        let resume_state = open.resume_state.as_ref()?;
        let issued = shared.handshake.authenticator.issue_resume(
            &open.identity,
            resume_state,
            open.id,
            place,
            unix_now,
        )?;
        shared.metrics.resume_tickets_issued.inc();
        Some(issued)
    }

    /// Ends this session if it is still open and has this id, because another session has resumed it. The client has moved
    /// there, so anyone still on this connection needs a ticket of their own.
    pub fn end_resumed(&mut self, id: SessionId, write_until: Instant) {
        if self.id() == Some(id) && !matches!(self.state, State::Closing { .. }) {
            info!(peer = %self.client.peer, session = %id, "session ended: it was still open when another session resumed it");
            self.end(CloseReason::NewTicket, write_until);
        }
    }

    fn record_input(&mut self, now: Instant) {
        self.last_input = now;
        if let State::Open { pong_deadline, .. } = &mut self.state {
            // Any input counts as the answer to a ping.
            *pong_deadline = None;
        }
    }

    /// Whether the session receives events: its greeting is written and it has not ended.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Greeting { open, .. } | State::Open { open, .. } | State::Closing { open, .. } => {
                Some(open)
            }
            State::Handshake { .. } | State::CheckingTicket { .. } | State::Ending { .. } => None,
        }
    }

    fn read_messages(&mut self, bytes: &[u8], shared: &Shared, events: &mut Vec<SessionEvent>, now: Instant) {
        let mut input = bytes;
        loop {
            let closing = matches!(self.state, State::Closing { .. });
            let Self {
                state: State::Open { open, .. } | State::Closing { open, .. }, outbound, client, ..
            } = self
            else {
                return;
            };
            let next = open.socket.next(&mut input, outbound);
            let result = match next {
                Ok(Some(Incoming::Closed)) => {
                    self.finish("client", now + CLOSE_TIMEOUT);
                    return;
                }
                // Messages between the server's Close frame and the client's are ignored, valid or not.
                Ok(Some(_)) if closing => Ok(()),
                Ok(None) if closing => return,
                Err(_) if closing => {
                    self.finish("client", now + CLOSE_TIMEOUT);
                    return;
                }
                Ok(incoming) => {
                    let is_last = incoming.is_none();
                    match open.handle_input(incoming, client.peer, shared, outbound, events, now) {
                        Ok(()) if is_last => return,
                        result => result,
                    }
                }
                // RFC 6455, 7.1.7: after a protocol violation nothing more is read, not even a Close frame, which the peer
                // may believe to have sent with the invalid data.
                Err(reason) => {
                    self.end(reason, now + CLOSE_TIMEOUT);
                    self.finish(reason.label(), now + CLOSE_TIMEOUT);
                    return;
                }
            };
            if let Err(reason) = result {
                self.end(reason, now + CLOSE_TIMEOUT);
            }
        }
    }

    fn end_if_too_slow(&mut self, pushed: Result<(), OutboundFull>, now: Instant) {
        if let Err(OutboundFull) = pushed {
            self.end(CloseReason::TooSlow, now + CLOSE_TIMEOUT);
        }
    }

    /// Ends the session after the peer has disconnected.
    fn lose_peer(&mut self, label: &'static str) {
        if !self.is_ending() {
            self.finish(label, self.last_input);
        }
        if let State::Ending { input_ended, .. } = &mut self.state {
            *input_ended = true;
        }
    }

    /// Ends the session once the remaining output is written, or at `write_until`. Returns the previous state. If the session
    /// has ended already, its first reason is kept.
    fn finish(&mut self, label: &'static str, write_until: Instant) -> State {
        let end = match &self.state {
            State::Closing { end, .. } | State::Ending { end, .. } => End { deadline: write_until, ..*end },
            State::Handshake { .. }
            | State::CheckingTicket { .. }
            | State::Greeting { .. }
            | State::Open { .. } => End { label, awaits_peer: false, deadline: write_until },
        };
        let ending = State::Ending { protocol: self.protocol(), end, input_ended: false };
        std::mem::replace(&mut self.state, ending)
    }
}

impl Open {
    fn ids(&self) -> impl Iterator<Item = SessionId> {
        let former = self.resume_state.as_ref().map_or(&[][..], |resume_state| resume_state.former());
        former.iter().copied().chain([self.id])
    }

    /// Handles input of the client.
    fn handle_input(
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
        let (session, since) = (self.id, self.since);
        let mut conversation = Conversation { session, since, admission, outbound, events };
        self.handler.handle_input(incoming, frames, &mut conversation)
    }
}
