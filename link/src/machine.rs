//! State machine of the link. No I/O, clock or randomness: events enter by `handle_`, actions leave by `poll_`.
//!
//! ```text
//!      .-> Connecting --connected--> Greeting --Welcome--> Open
//!      |    ^   |                       |                   |
//!      |    |   `---------- lost -------+------- lost ------'
//!      |    |                           |
//!      |    `--- another endpoint ------+
//!      |                                | all have failed
//!      `----------- time ---------- Waiting                     any --stop--> Closing
//! ```
//!
//! Owns the window of unacknowledged messages, the choice of the endpoint, and the delays between attempts.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::cluster::Membership;
use orosync_protocol::link_frame::{EncodedMessage, PublisherFrame, Refusals, ServerFrame};
use orosync_protocol::{PublisherId, Topic};

use crate::backoff::Backoff;
use crate::error::{LinkError, Retry};
use crate::neighbours::Neighbours;
use crate::queue::Budget;
use crate::rotation::Rotation;
use crate::status::{Refusal, State, Undeliverable};
use crate::window::{Publish, Window};

/// The link is given up if it has sent messages and for this time nothing was acknowledged or taken by the kernel, and the
/// server did not ping.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// An endpoint is stalled if it pings, but for this time has sent no Welcome, or acknowledged nothing while the kernel took no
/// bytes. Then another endpoint is tried, which may accept the messages at once. After this time a node's `/readyz` reports that
/// it has lost Redis. It is longer than outages of all nodes that last 5 s, such as a failover. A sole endpoint is kept, and the
/// stall is reported.
const STALL_TIMEOUT: Duration = Duration::from_secs(8);

/// Idle time after which a ping is sent. Together with [`PING_TIMEOUT`], a half-open link is noticed within 5 s. It is far
/// below the 60 s after which common proxies close an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// The link is given up if a ping is not answered within this time.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection open for this time was good: when it is lost, the first retry is immediate.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);

/// Maximum delay of the next attempt while somebody waits in `flush()` or `check()`.
const MAX_AWAITED_DELAY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Machine {
    publisher: PublisherId,
    connect_timeout: Duration,
    phase: Phase,
    window: Window,
    rotation: Rotation,
    neighbours: Neighbours,
    backoff: Backoff,
    /// Failed attempts since the last success, including links given up after [`STALL_TIMEOUT`].
    failed_attempts: usize,
    stall: Stall,
    /// The last requested probe.
    probe: u64,
}

/// What was missing when an endpoint last stalled. Its arrival ends the stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stall {
    None,
    Welcome,
    /// A clustered node sends its Welcome even while it does not acknowledge.
    Acknowledgement,
}

#[derive(Debug)]
enum Phase {
    Connecting,
    Greeting(Greeting),
    Open(Open),
    Waiting { until: Instant, retry: Retry },
    Closing,
}

#[derive(Debug)]
struct Greeting {
    hello_sent: bool,
    /// Start of the attempt.
    started: Instant,
    /// When the server last pinged, or the start of the attempt.
    last_server_ping: Instant,
    /// When to switch to another endpoint, so that a waiting requester has time for it.
    failover_deadline: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    /// When anything was last received.
    last_received: Instant,
    /// When a message was last acknowledged, or the kernel last took bytes, or the first message was sent after a full
    /// acknowledgement.
    progress: Instant,
    /// When a message was last acknowledged, or the first message was sent after a full acknowledgement.
    acknowledged: Instant,
    /// When the server last pinged.
    last_server_ping: Instant,
    /// When to switch to another endpoint, if this one pings, so that a waiting requester has time for it.
    failover_deadline: Option<Instant>,
    /// Whether a ping must be sent.
    ping_due: bool,
    /// When the oldest unanswered ping was sent. A newer ping, sent by a probe, does not reset it.
    unanswered: Option<Instant>,
}

/// A WebSocket message to write.
#[derive(Debug)]
pub(crate) enum Transmit<'a> {
    Hello(Bytes),
    Publish(Publish<'a>),
    Ping(Bytes),
}

/// The next action besides writing.
#[derive(Debug)]
pub(crate) enum Step {
    /// Open a connection, then `handle_connected` or `handle_lost`.
    Connect,
    /// Drop the connection for this reason, then `handle_lost`.
    GiveUp(LinkError),
    /// Report that the sole endpoint is stalled, keep its connection, and record whether an outage begins.
    ReportStall { error: LinkError, outage_begins: bool },
    /// Wait for bytes, messages or requests, at most until this time.
    Rest(Option<Instant>),
    /// Drop the connection and end.
    End,
}

/// Effect of a frame from the server.
#[derive(Debug, Default)]
pub(crate) struct FrameEffect {
    /// Budget to return to the queue.
    pub(crate) freed: Budget,
    /// The link has become open.
    pub(crate) welcomed: bool,
    /// Messages that the server does not deliver.
    pub(crate) undeliverable: Option<Undeliverable>,
}

/// Effect of a lost connection or a failed attempt.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Whether an outage begins: attempts with all endpoints have failed, after one had succeeded or for the first time.
    pub(crate) outage_begins: bool,
    /// Whether all endpoints refuse this publisher.
    pub(crate) all_refuse: bool,
}

impl Machine {
    /// Creates a link to the endpoints of `rotation` that connects at once.
    pub(crate) fn new(publisher: PublisherId, connect_timeout: Duration, rotation: Rotation) -> Self {
        Self {
            publisher,
            connect_timeout,
            phase: Phase::Connecting,
            window: Window::new(),
            neighbours: Neighbours::new(rotation.count()),
            rotation,
            backoff: Backoff::default(),
            failed_attempts: 0,
            stall: Stall::None,
            probe: 0,
        }
    }

    /// Index of the current endpoint, and the number of endpoints that have not failed in this round, including it.
    pub(crate) fn endpoint(&self) -> (usize, usize) {
        (self.rotation.current(), self.rotation.left())
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Connecting | Phase::Greeting(_) => State::Connecting,
            Phase::Open(_) => State::Connected,
            Phase::Waiting { retry: Retry::Refused, .. } => State::Refused,
            Phase::Waiting { .. } => State::BackingOff,
            Phase::Closing => State::Closed,
        }
    }

    /// Whether the link is open, so that a new message would be sent at once.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the link is open and idle in both directions.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Open(Open { ping_due: false, unanswered: None, .. }))
            && self.window.len() == 0
    }

    /// The number of unacknowledged messages after one more is sent; `None` if a ping is due first or the link is not open.
    pub(crate) fn with_one_more(&self) -> Option<usize> {
        matches!(self.phase, Phase::Open(Open { ping_due: false, .. })).then_some(self.window.len() + 1)
    }

    /// Whether all endpoints have failed, some because they do not acknowledge, and nothing was acknowledged since.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stall > Stall::None && self.failed_attempts >= self.rotation.count()
    }

    /// The handshake is complete. `started` is the start of the attempt.
    pub(crate) fn handle_connected(&mut self, started: Instant) {
        if let Phase::Connecting = self.phase {
            self.phase = Phase::Greeting(Greeting {
                hello_sent: false,
                started,
                last_server_ping: started,
                failover_deadline: None,
            });
        }
    }

    /// Handles a node's cluster membership, sent in the handshake. Returns the index of an endpoint in another cluster.
    pub(crate) fn handle_membership(&mut self, now: Instant, membership: Membership) -> Option<usize> {
        self.neighbours.handle_answer(now, self.rotation.current(), membership)
    }

    /// An attempt failed, or the connection was lost: moves on to the next endpoint, at once unless that has failed as well.
    /// `random` is in 0..1.
    pub(crate) fn handle_lost(&mut self, now: Instant, retry: Retry, random: f64) -> Lost {
        let has_failed = retry == Retry::Elsewhere || !self.is_open();
        if retry == Retry::Elsewhere {
            self.record_stall();
        }
        match &self.phase {
            Phase::Connecting | Phase::Greeting(_) => {}
            Phase::Open(open) => {
                self.neighbours.handle_lost(self.rotation.current(), open.last_received);
                if open.is_good(now) {
                    self.backoff.reset();
                    self.rotation.reset();
                }
            }
            Phase::Waiting { .. } | Phase::Closing => return Lost::default(),
        }
        self.failed_attempts = self.failed_attempts.saturating_add(usize::from(has_failed));
        let outage_begins = has_failed && self.failed_attempts == self.rotation.count();
        self.window.rewind();
        let Some(retry) = self.rotation.handle_failed(retry) else {
            self.phase = Phase::Connecting;
            return Lost { outage_begins, all_refuse: false };
        };
        self.phase = Phase::Waiting { until: now + self.backoff.next(retry, random), retry };
        Lost { outage_begins, all_refuse: retry == Retry::Refused }
    }

    /// Records what the current endpoint has not sent in time.
    fn record_stall(&mut self) {
        self.stall = self.stall.max(if self.is_open() { Stall::Acknowledgement } else { Stall::Welcome });
    }

    /// Handles a frame from the server.
    pub(crate) fn handle_frame(
        &mut self,
        now: Instant,
        frame: ServerFrame,
    ) -> Result<FrameEffect, LinkError> {
        match (&mut self.phase, frame) {
            (Phase::Greeting(Greeting { hello_sent: true, .. }), ServerFrame::Welcome { accepted }) => {
                let freed =
                    accepted.map_or(Ok(Budget::default()), |accepted| self.window.acknowledge(accepted))?;
                self.phase = Phase::Open(Open::new(now));
                if self.stall < Stall::Acknowledgement {
                    (self.failed_attempts, self.stall) = (0, Stall::None);
                }
                self.handle_freed(freed);
                Ok(FrameEffect { freed, welcomed: true, undeliverable: None })
            }
            (Phase::Open(open), ServerFrame::Ack { accepted }) => {
                let freed = self.window.acknowledge(accepted)?;
                open.handle_acknowledged(now, freed);
                self.handle_freed(freed);
                Ok(FrameEffect { freed, ..FrameEffect::default() })
            }
            (Phase::Open(open), ServerFrame::Refused { accepted, refusals }) => {
                let topic = self.window.topic(refusals.first);
                let freed = self.window.acknowledge(accepted)?;
                open.handle_acknowledged(now, freed);
                self.handle_freed(freed);
                let topic = topic.as_ref().map_or("?", Topic::as_str);
                let undeliverable = undeliverable(&refusals, topic, freed);
                Ok(FrameEffect { freed, undeliverable, ..FrameEffect::default() })
            }
            (_, ServerFrame::Welcome { .. }) => Err(LinkError::UnexpectedFrame { frame: "Welcome" }),
            (_, ServerFrame::Ack { .. }) => Err(LinkError::UnexpectedFrame { frame: "Ack" }),
            (_, ServerFrame::Refused { .. }) => Err(LinkError::UnexpectedFrame { frame: "Refused" }),
        }
    }

    /// This budget was acknowledged.
    fn handle_freed(&mut self, freed: Budget) {
        if freed.messages > 0 {
            (self.failed_attempts, self.stall) = (0, Stall::None);
            self.rotation.handle_acknowledged();
        }
    }

    /// Handles a pong. Returns the probe that it answers.
    pub(crate) fn handle_pong(&mut self, now: Instant, payload: &[u8]) -> Option<u64> {
        self.handle_sign_of_life(now);
        let probe = u64::from_be_bytes(payload.try_into().ok()?);
        if let Phase::Open(open) = &mut self.phase {
            // The answer to an older ping: a newer one has been sent since.
            let is_last = probe == self.probe || open.ping_due;
            open.unanswered = open.unanswered.filter(|_| !is_last).map(|_| now);
        }
        Some(probe)
    }

    /// Handles a ping, which extends the deadline. The server sends one per second while our messages wait in it, and does not
    /// read further ones meanwhile.
    pub(crate) fn handle_server_ping(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Greeting(greeting) => greeting.last_server_ping = now,
            Phase::Open(open) => {
                open.last_received = now;
                open.last_server_ping = now;
                open.unanswered = open.unanswered.map(|_| now);
            }
            Phase::Connecting | Phase::Waiting { .. } | Phase::Closing => {}
        }
    }

    /// Anything else was received.
    pub(crate) fn handle_sign_of_life(&mut self, now: Instant) {
        if let Phase::Open(open) = &mut self.phase {
            open.last_received = now;
        }
    }

    /// The kernel took bytes of a batch: a slow network is distinct from a frozen server.
    pub(crate) fn handle_written(&mut self, now: Instant) {
        if let Phase::Open(open) = &mut self.phase {
            open.progress = now;
        }
    }

    /// Requests a probe of the server. Numbers increase with each request.
    pub(crate) fn handle_probe(&mut self, probe: u64) {
        if probe > self.probe {
            self.probe = probe;
            if let Phase::Open(open) = &mut self.phase {
                open.ping_due = true;
            }
        }
    }

    /// Somebody waits for the link, at least until the next step. `failover_deadline` returns when to switch to another endpoint,
    /// given the start of the attempt and the number of endpoints that have not failed, including the current one.
    pub(crate) fn handle_awaited(
        &mut self,
        now: Instant,
        failover_deadline: impl Fn(Instant, usize) -> Option<Instant>,
    ) {
        let left = self.rotation.left();
        match &mut self.phase {
            Phase::Waiting { until, .. } => *until = (*until).min(now + MAX_AWAITED_DELAY),
            Phase::Greeting(greeting) => {
                greeting.failover_deadline = failover_deadline(greeting.started, left);
            }
            Phase::Open(open) => {
                // Counts all endpoints, as if the connection were lost now: those that had failed before a good connection may
                // be available again. Not if another endpoint was just left for this one: then this one gets all the time.
                let are_all_left = self.failed_attempts == 0 && open.is_good(now);
                let left = if are_all_left { self.rotation.count() } else { left };
                open.failover_deadline = failover_deadline(open.acknowledged, left);
            }
            Phase::Connecting | Phase::Closing => {}
        }
    }

    /// The publisher shuts down.
    pub(crate) fn handle_stop(&mut self) {
        self.phase = Phase::Closing;
    }

    /// Returns the next message to write, if the last one was written. `next` yields new messages.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        next: &mut dyn FnMut() -> Option<EncodedMessage>,
    ) -> Option<Transmit<'_>> {
        match &mut self.phase {
            Phase::Greeting(greeting) if !greeting.hello_sent => {
                greeting.hello_sent = true;
                Some(Transmit::Hello(PublisherFrame::Hello { publisher: self.publisher }.encode()))
            }
            Phase::Open(open) => {
                if open.ping_due {
                    open.ping_due = false;
                    open.unanswered.get_or_insert(now);
                    return Some(Transmit::Ping(Bytes::copy_from_slice(&self.probe.to_be_bytes())));
                }
                let waited = self.window.awaits_acknowledgement();
                let publish = self.window.batch(next)?;
                if !waited {
                    (open.progress, open.acknowledged) = (now, now);
                }
                Some(Transmit::Publish(publish))
            }
            Phase::Greeting(_) | Phase::Connecting | Phase::Waiting { .. } | Phase::Closing => None,
        }
    }

    /// Returns the next action besides writing.
    pub(crate) fn poll_step(&mut self, now: Instant) -> Step {
        let stall_timeout = self.stall_timeout();
        let step = match &mut self.phase {
            Phase::Connecting => Step::Connect,
            Phase::Waiting { until, .. } if *until <= now => {
                self.phase = Phase::Connecting;
                Step::Connect
            }
            Phase::Waiting { until, .. } => Step::Rest(Some(*until)),
            Phase::Greeting(greeting) => greeting.poll_step(now, self.connect_timeout, stall_timeout),
            Phase::Open(open) => {
                let failover_deadline = open.failover_deadline.take();
                if self.window.awaits_acknowledgement() {
                    open.poll_overdue(now, stall_timeout, failover_deadline)
                } else {
                    open.poll_ping(now)
                }
            }
            Phase::Closing => Step::End,
        };
        match step {
            Step::GiveUp(error @ LinkError::Unacknowledged(_)) if self.is_only() => {
                self.record_stall();
                let outage_begins = self.failed_attempts == 0;
                self.failed_attempts = self.failed_attempts.max(1);
                Step::ReportStall { error, outage_begins }
            }
            step => step,
        }
    }

    /// [`STALL_TIMEOUT`], or no limit for a sole endpoint whose stall was reported.
    fn stall_timeout(&self) -> Option<Duration> {
        (!self.is_only() || !self.is_stalled()).then_some(STALL_TIMEOUT)
    }

    fn is_only(&self) -> bool {
        self.rotation.count() == 1
    }
}

/// Counts each refused message once, with its acknowledgement.
fn undeliverable(refusals: &Refusals, topic: &str, freed: Budget) -> Option<Undeliverable> {
    let messages = NonZeroU64::new(refusals.count.min(freed.messages))?;
    let Refusals { first, reason, .. } = refusals;
    let refusal = Refusal { topic: topic.to_owned(), reason: reason.clone(), messages };
    let which = match messages.get() {
        1 => format!("message {first} to the topic \"{topic}\""),
        several => format!("{several} messages; the first is message {first} to the topic \"{topic}\""),
    };
    Some(Undeliverable { refusal, sentence: format!("the server does not deliver {which}: {reason}") })
}

impl Greeting {
    fn poll_step(&mut self, now: Instant, timeout: Duration, stall_timeout: Option<Duration>) -> Step {
        let failover_deadline = self.failover_deadline.take();
        if let Some(failover) = failover_deadline
            && failover <= now
        {
            return Step::GiveUp(LinkError::Unacknowledged(failover - self.started));
        }
        let mut deadline = self.last_server_ping + timeout;
        if self.last_server_ping > self.started
            && let Some(stall_timeout) = stall_timeout.map(|stall_timeout| stall_timeout.max(timeout))
        {
            if self.started + stall_timeout <= now {
                return Step::GiveUp(LinkError::Unacknowledged(stall_timeout));
            }
            deadline = deadline.min(self.started + stall_timeout);
        }
        if deadline <= now {
            return Step::GiveUp(LinkError::NoAnswer(timeout));
        }
        Step::Rest(Some(failover_deadline.map_or(deadline, |failover| failover.min(deadline))))
    }
}

impl Open {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            last_received: now,
            progress: now,
            acknowledged: now,
            last_server_ping: now,
            failover_deadline: None,
            ping_due: false,
            unanswered: None,
        }
    }

    fn is_good(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= GOOD_CONNECTION
    }

    fn handle_acknowledged(&mut self, now: Instant, freed: Budget) {
        self.last_received = now;
        if freed.messages > 0 {
            (self.progress, self.acknowledged) = (now, now);
        }
    }

    /// The next action while messages are unacknowledged. An endpoint that pings is given up after `stall_timeout`, or at
    /// `failover_deadline`, if that is earlier.
    fn poll_overdue(
        &mut self,
        now: Instant,
        stall_timeout: Option<Duration>,
        failover_deadline: Option<Instant>,
    ) -> Step {
        let failover_deadline = failover_deadline.filter(|_| self.last_server_ping > self.acknowledged);
        if let Some(failover) = failover_deadline
            && failover <= now
        {
            return Step::GiveUp(LinkError::Unacknowledged(failover - self.acknowledged));
        }
        let timeout = self.progress.max(self.last_server_ping) + ACKNOWLEDGEMENT_TIMEOUT;
        if timeout <= now {
            return Step::GiveUp(LinkError::NotAcknowledged(ACKNOWLEDGEMENT_TIMEOUT));
        }
        let deadline = match stall_timeout {
            Some(stall_timeout) if self.progress + stall_timeout <= now => {
                return Step::GiveUp(LinkError::Unacknowledged(stall_timeout));
            }
            Some(stall_timeout) => timeout.min(self.progress + stall_timeout),
            None => timeout,
        };
        let deadline = failover_deadline.map_or(deadline, |failover| failover.min(deadline));
        match self.poll_ping(now) {
            Step::Rest(ping) => Step::Rest(Some(ping.map_or(deadline, |ping| ping.min(deadline)))),
            other => other,
        }
    }

    fn poll_ping(&mut self, now: Instant) -> Step {
        if let Some(since) = self.unanswered {
            let deadline = since + PING_TIMEOUT;
            return if deadline <= now {
                Step::GiveUp(LinkError::Silent(PING_TIMEOUT))
            } else {
                Step::Rest(Some(deadline))
            };
        }
        // The ping waits behind a batch, whose acknowledgement is awaited instead.
        if self.ping_due {
            return Step::Rest(Some(now + PING_TIMEOUT));
        }
        let due = self.last_received + KEEP_ALIVE;
        self.ping_due = due <= now;
        Step::Rest(Some(due.max(now)))
    }
}

#[cfg(test)]
mod tests;
