//! The states of the link. No I/O, no clock, no randomness: what happened comes in by `handle_`, what is due leaves by `poll_`.
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
//! Owns the window of unacknowledged messages, whose turn it is among the endpoints, and the delays between attempts.

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
use crate::window::Window;

/// Something was sent, and for so long nothing was acknowledged nor taken by the kernel, and the server did not ask for
/// patience: the link is given up.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of several endpoints, one that asks for patience gets so much of it until something is acknowledged or taken by the kernel, or
/// until its Welcome: then another one may take at once what this one cannot. It is when a node's `/readyz` says that the node has
/// lost Redis, and longer than what all nodes are through in 5 s, as a failover. The only one is kept; that it does not
/// acknowledge is said.
const PATIENCE: Duration = Duration::from_secs(8);

/// Nothing was heard for so long: a ping is sent. With [`PING_TIMEOUT`] it makes the 5 s in which a link that is open on one
/// side only is noticed, and is far below the 60 s after which common proxies close an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// A ping was not answered for so long: the link is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that was open for so long was a good one: the next trouble begins with an immediate retry.
const GOOD_CONNECTION: Duration = Duration::from_secs(1);

/// While somebody waits in `flush()` or `check()`, the next attempt is never further away.
const HURRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Machine {
    publisher: PublisherId,
    connect_timeout: Duration,
    phase: Phase,
    window: Window,
    rotation: Rotation,
    neighbours: Neighbours,
    backoff: Backoff,
    /// How many attempts have failed since one succeeded, links included that were given up because patience had ended.
    failed_attempts: usize,
    doubt: Doubt,
    /// The last probe that somebody asked for.
    probe: u64,
}

/// What was waited for when patience ended last. It ends the doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    None,
    Welcome,
    /// A node of a Cluster welcomes also where it does not acknowledge.
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
    /// The attempt began.
    started: Instant,
    /// The server asked for patience; or the attempt began.
    plea: Instant,
    /// When it must be over, for the sake of whoever waits.
    hurry: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    /// Anything came from the server.
    heard: Instant,
    /// An acknowledgement came, or the kernel took bytes; or the first message since all were acknowledged was sent.
    progress: Instant,
    /// Something was acknowledged; or the first message since all were was sent.
    acknowledged: Instant,
    /// The server asked for patience.
    plea: Instant,
    /// When to go on to another endpoint, for the sake of whoever waits, if the server asks for patience.
    hurry: Option<Instant>,
    /// A ping is to be sent.
    ping_due: bool,
    /// Since when a ping waits for its answer: a newer one, which a probe sends, does not make it younger.
    unanswered: Option<Instant>,
}

/// What must be written, as one WebSocket message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transmit {
    Frame(Bytes),
    Ping(Bytes),
}

/// What must be done besides writing.
#[derive(Debug)]
pub(crate) enum Step {
    /// Open a connection, then `handle_connected` or `handle_lost`.
    Connect,
    /// Drop the connection for this reason, then `handle_lost`.
    GiveUp(LinkError),
    /// Write down what is wrong with a connection that is kept, and whether an outage begins with it.
    Complain { error: LinkError, outage_begins: bool },
    /// Wait for bytes, messages or requests; at most until then.
    Rest(Option<Instant>),
    /// Drop the connection and end.
    End,
}

/// What a frame of the server meant.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Budget for the queue.
    pub(crate) freed: Budget,
    /// The link is open.
    pub(crate) welcomed: bool,
    /// Messages that the server will not deliver.
    pub(crate) undeliverable: Option<Undeliverable>,
}

/// What the loss of a connection means, or of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// An outage begins with it: attempts have failed with all endpoints, after one had succeeded, or none was made.
    pub(crate) outage_begins: bool,
    /// All endpoints have said no to this publisher.
    pub(crate) all_refuse: bool,
}

impl Machine {
    /// A link that is wanted now, to so many endpoints.
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
            doubt: Doubt::None,
            probe: 0,
        }
    }

    /// The number of the endpoint whose turn it is, and how many have not failed in this round, it included.
    pub(crate) fn endpoint(&self) -> (usize, usize) {
        (self.rotation.current(), self.rotation.left())
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Connecting | Phase::Greeting(_) => State::Connecting,
            Phase::Open(_) => State::Connected,
            Phase::Waiting { retry: Retry::Refused, .. } => State::Refused,
            Phase::Waiting { .. } => State::Waiting,
            Phase::Closing => State::Closed,
        }
    }

    /// Would a new message be sent at once?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the link is open, and nothing is on its way on it in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Open(Open { ping_due: false, unanswered: None, .. }))
            && self.window.len() == 0
    }

    /// How many messages would be on their way with one more, if that is what is sent next.
    pub(crate) fn with_one_more(&self) -> Option<usize> {
        matches!(self.phase, Phase::Open(Open { ping_due: false, .. })).then_some(self.window.len() + 1)
    }

    /// Whether all endpoints have failed, some of them because they do not acknowledge, and nothing was acknowledged since.
    pub(crate) fn nobody_acknowledges(&self) -> bool {
        self.doubt > Doubt::None && self.failed_attempts >= self.rotation.count()
    }

    /// The handshake is done; `started` is when the attempt began.
    pub(crate) fn handle_connected(&mut self, started: Instant) {
        if let Phase::Connecting = self.phase {
            self.phase = Phase::Greeting(Greeting { hello_sent: false, started, plea: started, hurry: None });
        }
    }

    /// What the node has said of itself in the handshake. Returns the number of an endpoint that is in another cluster.
    pub(crate) fn handle_membership(&mut self, now: Instant, said: Membership) -> Option<usize> {
        self.neighbours.handle_answer(now, self.rotation.current(), said)
    }

    /// There is no connection, or none any more: it is the next endpoint's turn, at once if that has not failed as well. `random`
    /// is in 0..1.
    pub(crate) fn handle_lost(&mut self, now: Instant, retry: Retry, random: f64) -> Lost {
        let has_failed = retry == Retry::Elsewhere || !self.is_open();
        if retry == Retry::Elsewhere {
            self.doubt();
        }
        match &self.phase {
            Phase::Connecting | Phase::Greeting(_) => {}
            Phase::Open(open) => {
                self.neighbours.handle_lost(self.rotation.current(), open.heard);
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

    /// Patience has ended.
    fn doubt(&mut self) {
        self.doubt = self.doubt.max(if self.is_open() { Doubt::Acknowledgement } else { Doubt::Welcome });
    }

    /// A frame came.
    pub(crate) fn handle_frame(&mut self, now: Instant, frame: ServerFrame) -> Result<Heard, LinkError> {
        match (&mut self.phase, frame) {
            (Phase::Greeting(Greeting { hello_sent: true, .. }), ServerFrame::Welcome { accepted }) => {
                let freed =
                    accepted.map_or(Ok(Budget::default()), |accepted| self.window.acknowledge(accepted))?;
                self.phase = Phase::Open(Open::new(now));
                if self.doubt < Doubt::Acknowledgement {
                    (self.failed_attempts, self.doubt) = (0, Doubt::None);
                }
                self.handle_freed(freed);
                Ok(Heard { freed, welcomed: true, undeliverable: None })
            }
            (Phase::Open(open), ServerFrame::Ack { accepted }) => {
                let freed = self.window.acknowledge(accepted)?;
                open.handle_acknowledged(now, freed);
                self.handle_freed(freed);
                Ok(Heard { freed, ..Heard::default() })
            }
            (Phase::Open(open), ServerFrame::Refused { accepted, refusals }) => {
                let topic = self.window.topic(refusals.first);
                let freed = self.window.acknowledge(accepted)?;
                open.handle_acknowledged(now, freed);
                self.handle_freed(freed);
                let topic = topic.as_ref().map_or("?", Topic::as_str);
                let undeliverable = undeliverable(&refusals, topic, freed);
                Ok(Heard { freed, undeliverable, ..Heard::default() })
            }
            (_, ServerFrame::Welcome { .. }) => Err(LinkError::OutOfTurn { frame: "Welcome" }),
            (_, ServerFrame::Ack { .. }) => Err(LinkError::OutOfTurn { frame: "Ack" }),
            (_, ServerFrame::Refused { .. }) => Err(LinkError::OutOfTurn { frame: "Refused" }),
        }
    }

    /// So much was acknowledged.
    fn handle_freed(&mut self, freed: Budget) {
        if freed.messages > 0 {
            (self.failed_attempts, self.doubt) = (0, Doubt::None);
            self.rotation.handle_acknowledged();
        }
    }

    /// A pong came. Returns the probe that it answers.
    pub(crate) fn handle_pong(&mut self, now: Instant, payload: &[u8]) -> Option<u64> {
        self.handle_sign_of_life(now);
        let probe = u64::from_be_bytes(payload.try_into().ok()?);
        if let Phase::Open(open) = &mut self.phase {
            // Of an older one: a newer one is on its way since.
            let is_last = probe == self.probe || open.ping_due;
            open.unanswered = open.unanswered.filter(|_| !is_last).map(|_| now);
        }
        Some(probe)
    }

    /// A ping came: the server is there and asks for patience. It sends one a second while messages of ours wait in it, and
    /// does not read ours meanwhile.
    pub(crate) fn handle_server_ping(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Greeting(greeting) => greeting.plea = now,
            Phase::Open(open) => {
                open.heard = now;
                open.plea = now;
                open.unanswered = open.unanswered.map(|_| now);
            }
            Phase::Connecting | Phase::Waiting { .. } | Phase::Closing => {}
        }
    }

    /// Anything else came.
    pub(crate) fn handle_sign_of_life(&mut self, now: Instant) {
        if let Phase::Open(open) = &mut self.phase {
            open.heard = now;
        }
    }

    /// The kernel took bytes of a batch: a slow network is not a frozen server.
    pub(crate) fn handle_written(&mut self, now: Instant) {
        if let Phase::Open(open) = &mut self.phase {
            open.progress = now;
        }
    }

    /// Somebody wants to know whether the server answers. The number grows with each request.
    pub(crate) fn handle_probe(&mut self, probe: u64) {
        if probe > self.probe {
            self.probe = probe;
            if let Phase::Open(open) = &mut self.phase {
                open.ping_due = true;
            }
        }
    }

    /// Somebody waits for the link, until the next step at least. `latest` says when an attempt that began then must be over, if so
    /// many endpoints have not failed, it included.
    pub(crate) fn handle_hurry(&mut self, now: Instant, latest: impl Fn(Instant, usize) -> Option<Instant>) {
        let left = self.rotation.left();
        match &mut self.phase {
            Phase::Waiting { until, .. } => *until = (*until).min(now + HURRY),
            Phase::Greeting(greeting) => greeting.hurry = latest(greeting.started, left),
            Phase::Open(open) => {
                // As if it was lost now: those that had failed before a good connection may be back. Not if one has just been
                // left for this one: then it has all the time there is.
                let are_all_left = self.failed_attempts == 0 && open.is_good(now);
                let left = if are_all_left { self.rotation.count() } else { left };
                open.hurry = latest(open.acknowledged, left);
            }
            Phase::Connecting | Phase::Closing => {}
        }
    }

    /// The publisher ends.
    pub(crate) fn handle_stop(&mut self) {
        self.phase = Phase::Closing;
    }

    /// The next message to write, if the last one has left. `next` gives new messages.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        next: &mut dyn FnMut() -> Option<EncodedMessage>,
    ) -> Option<Transmit> {
        match &mut self.phase {
            Phase::Greeting(greeting) if !greeting.hello_sent => {
                greeting.hello_sent = true;
                Some(Transmit::Frame(PublisherFrame::Hello { publisher: self.publisher }.encode()))
            }
            Phase::Open(open) => {
                if open.ping_due {
                    open.ping_due = false;
                    open.unanswered.get_or_insert(now);
                    return Some(Transmit::Ping(Bytes::copy_from_slice(&self.probe.to_be_bytes())));
                }
                let waited = self.window.awaits_acknowledgement();
                let batch = self.window.batch(next)?;
                if !waited {
                    (open.progress, open.acknowledged) = (now, now);
                }
                Some(Transmit::Frame(batch))
            }
            Phase::Greeting(_) | Phase::Connecting | Phase::Waiting { .. } | Phase::Closing => None,
        }
    }

    /// What is due now, besides writing.
    pub(crate) fn poll_step(&mut self, now: Instant) -> Step {
        let patience = self.patience();
        let step = match &mut self.phase {
            Phase::Connecting => Step::Connect,
            Phase::Waiting { until, .. } if *until <= now => {
                self.phase = Phase::Connecting;
                Step::Connect
            }
            Phase::Waiting { until, .. } => Step::Rest(Some(*until)),
            Phase::Greeting(greeting) => greeting.poll_step(now, self.connect_timeout, patience),
            Phase::Open(open) => {
                let hurry = open.hurry.take();
                if self.window.awaits_acknowledgement() {
                    open.poll_overdue(now, patience, hurry)
                } else {
                    open.poll_ping(now)
                }
            }
            Phase::Closing => Step::End,
        };
        match step {
            Step::GiveUp(error @ LinkError::Unacknowledged(_)) if self.is_only() => {
                self.doubt();
                let outage_begins = self.failed_attempts == 0;
                self.failed_attempts = self.failed_attempts.max(1);
                Step::Complain { error, outage_begins }
            }
            step => step,
        }
    }

    /// How long an endpoint may ask for patience: the only one without end, once that was said.
    fn patience(&self) -> Option<Duration> {
        (!self.is_only() || !self.nobody_acknowledges()).then_some(PATIENCE)
    }

    fn is_only(&self) -> bool {
        self.rotation.count() == 1
    }
}

/// Each message counts once, with its acknowledgement.
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
    fn poll_step(&mut self, now: Instant, timeout: Duration, patience: Option<Duration>) -> Step {
        let hurry = self.hurry.take();
        if let Some(latest) = hurry
            && latest <= now
        {
            return Step::GiveUp(LinkError::Unacknowledged(latest - self.started));
        }
        let mut deadline = self.plea + timeout;
        if self.plea > self.started
            && let Some(patience) = patience.map(|patience| patience.max(timeout))
        {
            if self.started + patience <= now {
                return Step::GiveUp(LinkError::Unacknowledged(patience));
            }
            deadline = deadline.min(self.started + patience);
        }
        if deadline <= now {
            return Step::GiveUp(LinkError::NoAnswer(timeout));
        }
        Step::Rest(Some(hurry.map_or(deadline, |latest| latest.min(deadline))))
    }
}

impl Open {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            heard: now,
            progress: now,
            acknowledged: now,
            plea: now,
            hurry: None,
            ping_due: false,
            unanswered: None,
        }
    }

    fn is_good(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= GOOD_CONNECTION
    }

    fn handle_acknowledged(&mut self, now: Instant, freed: Budget) {
        self.heard = now;
        if freed.messages > 0 {
            (self.progress, self.acknowledged) = (now, now);
        }
    }

    /// What is due while something is not acknowledged. An endpoint that asks for patience gets so much of it, and less while
    /// somebody waits.
    fn poll_overdue(&mut self, now: Instant, patience: Option<Duration>, hurry: Option<Instant>) -> Step {
        let hurry = hurry.filter(|_| self.plea > self.acknowledged);
        if let Some(latest) = hurry
            && latest <= now
        {
            return Step::GiveUp(LinkError::Unacknowledged(latest - self.acknowledged));
        }
        let timeout = self.progress.max(self.plea) + ACKNOWLEDGEMENT_TIMEOUT;
        if timeout <= now {
            return Step::GiveUp(LinkError::NotAcknowledged(ACKNOWLEDGEMENT_TIMEOUT));
        }
        let deadline = match patience {
            Some(patience) if self.progress + patience <= now => {
                return Step::GiveUp(LinkError::Unacknowledged(patience));
            }
            Some(patience) => timeout.min(self.progress + patience),
            None => timeout,
        };
        let deadline = hurry.map_or(deadline, |latest| latest.min(deadline));
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
        // Not written yet because a batch is on its way: that one's acknowledgement is waited for instead.
        if self.ping_due {
            return Step::Rest(Some(now + PING_TIMEOUT));
        }
        let due = self.heard + KEEP_ALIVE;
        self.ping_due = due <= now;
        Step::Rest(Some(due.max(now)))
    }
}

#[cfg(test)]
mod tests;
