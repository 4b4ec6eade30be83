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
mod tests {
    use std::collections::VecDeque;

    use orosync_protocol::{ClusterId, Seq};

    use super::*;
    use crate::queue::{encoded, message};

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

    /// A machine, its clock and what waits for it.
    struct Link {
        machine: Machine,
        now: Instant,
        queue: VecDeque<EncodedMessage>,
    }

    impl Link {
        fn new() -> Self {
            Self::to(1)
        }

        /// To so many endpoints, beginning with the first.
        fn to(endpoints: usize) -> Self {
            Self {
                machine: Machine::new(PublisherId(7), CONNECT_TIMEOUT, Rotation::new(endpoints, 0)),
                now: Instant::now(),
                queue: VecDeque::new(),
            }
        }

        fn open() -> Self {
            let mut link = Self::new();
            link.reopen(None);
            link
        }

        /// Connects and is welcomed.
        fn reopen(&mut self, accepted: Option<u64>) -> Heard {
            assert!(matches!(self.step(), Step::Connect));
            self.machine.handle_connected(self.now);
            assert!(matches!(self.transmit(), Some(PublisherFrame::Hello { publisher: PublisherId(7) })));
            self.hear(ServerFrame::Welcome { accepted: accepted.and_then(Seq::new) }).unwrap()
        }

        fn pass(&mut self, time: Duration) -> &mut Self {
            self.now += time;
            self
        }

        fn publish(&mut self, count: usize) {
            self.queue.extend((0..count).map(|_| encoded(&message("t", "1"))));
        }

        fn transmit(&mut self) -> Option<PublisherFrame> {
            match self.transmit_any()? {
                Transmit::Frame(frame) => Some(PublisherFrame::decode(frame).unwrap()),
                Transmit::Ping(_) => panic!("a ping"),
            }
        }

        fn transmit_any(&mut self) -> Option<Transmit> {
            self.machine.poll_transmit(self.now, &mut || self.queue.pop_front())
        }

        fn hear(&mut self, frame: ServerFrame) -> Result<Heard, LinkError> {
            self.machine.handle_frame(self.now, frame)
        }

        fn lose(&mut self) -> bool {
            self.machine.handle_lost(self.now, Retry::Soon, 1.0).outage_begins
        }

        /// So much time passes, in which the server asks for patience each second and the link is not given up.
        fn waits_for(&mut self, time: Duration) -> State {
            let until = self.now + time;
            while self.now < until {
                assert!(
                    matches!(self.step(), Step::Rest(Some(due)) if due <= self.now + PATIENCE.max(self.machine.connect_timeout))
                );
                while self.transmit_any().is_some() {}
                self.now += Duration::from_secs(1);
                self.machine.handle_server_ping(self.now);
            }
            self.machine.state()
        }

        /// The server did not acknowledge in time. Returns whether an outage begins.
        fn give_up(&mut self) -> bool {
            match self.step() {
                Step::GiveUp(error @ LinkError::Unacknowledged(_)) => {
                    self.machine.handle_lost(self.now, error.retry(), 1.0).outage_begins
                }
                other => panic!("{other:?}"),
            }
        }

        /// The only endpoint did not acknowledge in time. Returns whether an outage begins.
        fn complains(&mut self) -> bool {
            match self.step() {
                Step::Complain { error: LinkError::Unacknowledged(_), outage_begins } => outage_begins,
                other => panic!("{other:?}"),
            }
        }

        /// The number of the endpoint that must be connected to now.
        fn connects_to(&mut self) -> usize {
            assert!(matches!(self.step(), Step::Connect));
            self.machine.endpoint().0
        }

        fn step(&mut self) -> Step {
            self.machine.poll_step(self.now)
        }

        fn rests_for(&mut self) -> Duration {
            match self.step() {
                Step::Rest(Some(until)) => until - self.now,
                other => panic!("{other:?}"),
            }
        }
    }

    fn ack(seq: u64) -> ServerFrame {
        ServerFrame::Ack { accepted: Seq::new(seq).unwrap() }
    }

    fn first_and_count(frame: Option<PublisherFrame>) -> (u64, usize) {
        match frame {
            Some(PublisherFrame::Publish { first, messages }) => (first.get(), messages.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_sent_before_the_server_says_welcome() {
        let mut link = Link::new();
        link.publish(1);
        assert!(link.transmit().is_none());
        assert!(matches!(link.step(), Step::Connect));
        link.machine.handle_connected(link.now);
        assert!(matches!(link.transmit(), Some(PublisherFrame::Hello { .. })));
        assert!(link.transmit().is_none());
        assert!(link.hear(ServerFrame::Welcome { accepted: None }).unwrap().welcomed);
        assert_eq!(first_and_count(link.transmit()), (1, 1));
    }

    #[test]
    fn a_server_that_connects_and_does_not_welcome_is_given_up() {
        let mut link = Link::new();
        link.machine.handle_connected(link.now);
        link.transmit();
        assert_eq!(link.rests_for(), CONNECT_TIMEOUT);
        link.pass(CONNECT_TIMEOUT);
        assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
    }

    #[test]
    fn after_a_reconnect_exactly_what_the_server_does_not_have_is_sent_again() {
        let mut link = Link::open();
        link.publish(4);
        assert_eq!(first_and_count(link.transmit()), (1, 4));
        assert_eq!(link.hear(ack(1)).unwrap().freed.messages, 1);
        link.pass(GOOD_CONNECTION);
        assert!(!link.lose());
        // Message 2 had arrived: only its acknowledgement was lost.
        assert_eq!(link.reopen(Some(2)).freed.messages, 1);
        assert_eq!(first_and_count(link.transmit()), (3, 2));
    }

    #[test]
    fn a_server_that_lost_its_memory_gets_all_that_is_unacknowledged() {
        let mut link = Link::open();
        link.publish(3);
        link.transmit();
        link.hear(ack(2)).unwrap();
        link.pass(GOOD_CONNECTION).lose();
        assert_eq!(link.reopen(None).freed.messages, 0);
        assert_eq!(first_and_count(link.transmit()), (3, 1));
    }

    #[test]
    fn a_server_that_answers_pings_only_is_given_up_when_an_acknowledgement_is_overdue() {
        let mut link = Link::open();
        link.pass(Duration::from_secs(2));
        link.publish(1);
        link.transmit();
        for _ in 0..4 {
            link.pass(Duration::from_secs(1));
            link.machine.handle_sign_of_life(link.now);
        }
        link.publish(1);
        link.transmit();
        assert_eq!(link.rests_for(), Duration::from_secs(1), "counted from when the first was sent");
        link.pass(Duration::from_secs(1));
        assert!(
            matches!(link.step(), Step::GiveUp(LinkError::NotAcknowledged(_))),
            "a second one is no excuse"
        );
    }

    #[test]
    fn progress_keeps_a_slow_link_alive() {
        let mut link = Link::open();
        link.publish(2);
        link.transmit();
        link.pass(Duration::from_secs(4));
        link.machine.handle_written(link.now);
        link.pass(Duration::from_secs(4)).hear(ack(1)).unwrap();
        link.pass(Duration::from_secs(4));
        assert!(matches!(link.step(), Step::Rest(_)));
        link.hear(ack(2)).unwrap();
        link.pass(Duration::from_secs(8));
        assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
    }

    #[test]
    fn a_silent_link_is_pinged_and_given_up_without_an_answer() {
        let mut link = Link::open();
        assert_eq!(link.rests_for(), KEEP_ALIVE);
        link.pass(KEEP_ALIVE);
        assert!(matches!(link.step(), Step::Rest(_)));
        assert!(matches!(link.transmit_any(), Some(Transmit::Ping(_))));
        assert_eq!(link.rests_for(), PING_TIMEOUT);
        link.pass(PING_TIMEOUT);
        assert!(matches!(link.step(), Step::GiveUp(LinkError::Silent(_))));
    }

    #[test]
    fn a_link_that_is_open_on_one_side_only_is_noticed_within_five_seconds() {
        for published in [0, 1] {
            let mut link = Link::open();
            link.publish(published);
            let begun = link.now;
            loop {
                while link.transmit_any().is_some() {}
                match link.step() {
                    Step::Rest(Some(until)) => link.now = until,
                    Step::GiveUp(_) => break,
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(link.now - begun, Duration::from_secs(5), "{published} messages published");
        }
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let mut link = Link::open();
        link.publish(1);
        link.transmit();
        link.machine.handle_probe(1);
        assert!(matches!(link.transmit_any(), Some(Transmit::Ping(_))));
        link.waits_for(PATIENCE);
        assert!(link.complains());
        link.waits_for(PATIENCE);
        assert_eq!(link.rests_for(), PING_TIMEOUT, "then it is as frozen as any other");
    }

    #[test]
    fn the_only_endpoint_is_kept_though_it_does_not_acknowledge_and_that_is_one_outage() {
        let mut link = Link::open();
        link.publish(1);
        link.transmit();
        for outage in 1..=2 {
            assert_eq!(link.waits_for(PATIENCE), State::Connected);
            assert!(!link.machine.nobody_acknowledges());
            assert!(link.complains());
            assert!(link.machine.nobody_acknowledges());
            assert_eq!(link.waits_for(2 * PATIENCE), State::Connected, "said once");
            // Another connection does not end it.
            assert!(!link.lose());
            link.reopen(None);
            link.transmit();
            link.waits_for(2 * PATIENCE);
            assert!(link.machine.nobody_acknowledges());
            link.hear(ack(outage)).unwrap();
            assert!(!link.machine.nobody_acknowledges());
            link.publish(1);
            link.transmit();
        }
    }

    #[test]
    fn the_only_endpoint_that_does_not_welcome_is_kept_and_that_is_one_outage() {
        for is_refused_first in [false, true] {
            let mut link = Link::new();
            if is_refused_first {
                assert!(link.lose());
            }
            assert!(matches!(link.step(), Step::Connect));
            link.machine.handle_connected(link.now);
            link.transmit();
            assert_eq!(link.waits_for(PATIENCE), State::Connecting);
            assert_eq!(link.complains(), !is_refused_first);
            assert!(link.machine.nobody_acknowledges());
            link.waits_for(2 * PATIENCE);
            link.hear(ServerFrame::Welcome { accepted: None }).unwrap();
            assert!(!link.machine.nobody_acknowledges());
        }
    }

    #[test]
    fn a_welcome_that_takes_its_time_is_waited_for() {
        let mut link = Link::new();
        assert!(matches!(link.step(), Step::Connect));
        link.machine.handle_connected(link.now);
        link.transmit();
        for _ in 0..5 {
            link.pass(Duration::from_secs(1));
            link.machine.handle_server_ping(link.now);
        }
        assert_eq!(link.rests_for(), CONNECT_TIMEOUT);
    }

    #[test]
    fn a_ping_that_is_answered_keeps_the_link() {
        let mut link = Link::open();
        link.pass(KEEP_ALIVE).step();
        let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
        link.pass(Duration::from_secs(1));
        link.machine.handle_pong(link.now, &payload);
        assert_eq!(link.rests_for(), KEEP_ALIVE);
        assert!(link.transmit_any().is_none());
    }

    #[test]
    fn a_probe_is_a_ping_that_carries_its_number() {
        let mut link = Link::open();
        link.machine.handle_probe(3);
        let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
        assert_eq!(link.machine.handle_pong(link.now, &payload), Some(3));
        link.machine.handle_probe(3);
        assert!(link.transmit_any().is_none(), "asked once, pinged once");
    }

    #[test]
    fn a_late_pong_does_not_stand_for_a_newer_probe() {
        let mut link = Link::open();
        link.machine.handle_probe(1);
        let Some(Transmit::Ping(first)) = link.transmit_any() else { panic!("no ping") };
        link.machine.handle_probe(2);
        assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
        let Some(Transmit::Ping(second)) = link.transmit_any() else { panic!("no second ping") };
        assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
        assert_eq!(link.rests_for(), PING_TIMEOUT, "the second is still unanswered");
        assert_eq!(link.machine.handle_pong(link.now, &second), Some(2));
        assert_eq!(link.rests_for(), KEEP_ALIVE);
    }

    #[test]
    fn whoever_asks_again_and_again_does_not_keep_a_link_that_is_open_on_one_side_only() {
        let mut link = Link::open();
        let begun = link.now;
        for probe in 1.. {
            link.machine.handle_probe(probe);
            while link.transmit_any().is_some() {}
            match link.step() {
                Step::Rest(_) => link.pass(Duration::from_secs(1)),
                Step::GiveUp(LinkError::Silent(_)) => break,
                other => panic!("{other:?}"),
            };
            assert!(link.now - begun <= Duration::from_secs(5));
        }
    }

    #[test]
    fn whoever_asks_faster_than_the_server_answers_does_not_lose_the_link() {
        let mut link = Link::open();
        let mut sent = VecDeque::new();
        for probe in 1..20 {
            link.machine.handle_probe(probe);
            let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
            sent.push_back(payload);
            if sent.len() > 3 {
                link.machine.handle_pong(link.now, &sent.pop_front().unwrap());
            }
            assert!(matches!(link.step(), Step::Rest(_)), "probe {probe}");
            link.pass(PING_TIMEOUT / 4);
        }
    }

    #[test]
    fn a_good_connection_that_breaks_is_tried_again_at_once_and_failures_slow_down() {
        let mut link = Link::open();
        link.pass(GOOD_CONNECTION);
        link.lose();
        assert!(matches!(link.step(), Step::Connect));
        link.lose();
        assert_eq!(link.rests_for(), Duration::from_millis(50));
        link.pass(Duration::from_millis(50));
        assert!(matches!(link.step(), Step::Connect));
        link.lose();
        assert_eq!(link.rests_for(), Duration::from_millis(100));
    }

    #[test]
    fn a_server_that_has_said_no_is_told_from_one_that_does_not_answer() {
        let mut link = Link::new();
        link.machine.handle_lost(link.now, Retry::Late, 1.0);
        assert_eq!(link.machine.state(), State::Waiting);
        let mut link = Link::new();
        link.machine.handle_lost(link.now, Retry::Refused, 1.0);
        assert_eq!(link.machine.state(), State::Refused);
    }

    #[test]
    fn a_server_that_welcomes_and_hangs_up_is_not_hammered() {
        let mut link = Link::open();
        link.lose();
        link.reopen(None);
        link.lose();
        assert_eq!(link.rests_for(), Duration::from_millis(50));
    }

    #[test]
    fn an_outage_is_reported_once_until_the_link_is_open_again() {
        let mut link = Link::open();
        link.pass(GOOD_CONNECTION);
        assert!(!link.lose(), "the next attempt may succeed at once");
        assert!(matches!(link.step(), Step::Connect));
        assert!(link.lose());
        link.pass(Duration::from_secs(1)).step();
        assert!(!link.lose());
        link.pass(Duration::from_secs(1));
        link.reopen(None);
        link.pass(GOOD_CONNECTION).lose();
        link.step();
        assert!(link.lose(), "a second outage");
    }

    #[test]
    fn a_lost_endpoint_is_followed_by_the_next_at_once_and_there_it_stays() {
        let mut link = Link::to(3);
        assert_eq!(link.connects_to(), 0);
        assert!(!link.lose());
        assert_eq!(link.connects_to(), 1);
        link.reopen(None);
        for _ in 0..1000 {
            link.pass(Duration::from_secs(1));
            link.machine.handle_sign_of_life(link.now);
            assert!(matches!(link.step(), Step::Rest(_)));
        }
        assert!(!link.lose());
        assert_eq!(link.connects_to(), 2);
        assert!(!link.lose());
        assert_eq!(link.connects_to(), 0, "all others come before the one that was lost");
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_to_the_next_endpoint() {
        let mut link = Link::to(2);
        link.reopen(None);
        link.publish(3);
        assert_eq!(first_and_count(link.transmit()), (1, 3));
        link.hear(ack(1)).unwrap();
        link.lose();
        assert_eq!(link.connects_to(), 1);
        link.reopen(Some(2));
        assert_eq!(first_and_count(link.transmit()), (3, 1));
    }

    #[test]
    fn only_a_round_of_failures_is_followed_by_a_delay() {
        let mut link = Link::to(2);
        for round in [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(100)] {
            let begun = link.now;
            assert_eq!(link.connects_to(), 0);
            link.lose();
            assert_eq!(link.connects_to(), 1);
            link.lose();
            while let Step::Rest(Some(until)) = link.step() {
                link.now = until;
            }
            assert_eq!(link.now - begun, round);
        }
    }

    #[test]
    fn endpoints_that_all_welcome_and_hang_up_are_not_hammered() {
        let mut link = Link::to(2);
        for _ in 0..4 {
            link.reopen(None);
            link.lose();
        }
        assert_eq!(link.rests_for(), Duration::from_millis(50));
    }

    #[test]
    fn of_several_endpoints_one_that_does_not_acknowledge_is_left_however_patient_it_asks_to_be() {
        let mut link = Link::to(2);
        link.reopen(None);
        link.publish(2);
        link.transmit();
        link.waits_for(Duration::from_secs(7));
        link.hear(ack(1)).unwrap();
        assert_eq!(link.waits_for(PATIENCE), State::Connected, "counted from the last acknowledgement");
        assert!(!link.give_up(), "the other one may acknowledge");
        assert_eq!(link.connects_to(), 1);
        link.reopen(Some(1));
        assert_eq!(first_and_count(link.transmit()), (2, 1));
        link.hear(ack(2)).unwrap();
        for _ in 0..1000 {
            link.waits_for(Duration::from_secs(1));
            assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
        }
        assert_eq!(link.machine.endpoint(), (1, 1));
    }

    #[test]
    fn of_several_endpoints_one_that_does_not_welcome_is_left_too() {
        for connect_timeout in [CONNECT_TIMEOUT, PATIENCE + CONNECT_TIMEOUT] {
            let mut link = Link::to(2);
            link.machine.connect_timeout = connect_timeout;
            assert_eq!(link.connects_to(), 0);
            link.machine.handle_connected(link.now);
            link.transmit();
            assert_eq!(link.waits_for(PATIENCE.max(connect_timeout)), State::Connecting);
            assert!(!link.give_up());
            assert_eq!(link.connects_to(), 1);
        }
    }

    #[test]
    fn of_several_endpoints_one_that_falls_silent_before_its_welcome_gets_no_patience() {
        let mut link = Link::to(2);
        link.machine.handle_connected(link.now);
        link.transmit();
        link.waits_for(Duration::from_secs(3));
        link.pass(CONNECT_TIMEOUT);
        assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
    }

    #[test]
    fn where_no_endpoint_acknowledges_all_have_their_turn_slowly_and_for_ever() {
        for welcomes in [false, true] {
            let mut link = Link::to(3);
            link.publish(1);
            let mut outages = 0;
            for turn in 0..1000 {
                assert_eq!(link.connects_to(), turn % 3, "at once, for it has waited already");
                link.machine.handle_connected(link.now);
                link.transmit();
                if welcomes {
                    link.hear(ServerFrame::Welcome { accepted: None }).unwrap();
                    assert_eq!(first_and_count(link.transmit()), (1, 1));
                }
                link.waits_for(PATIENCE);
                outages += usize::from(link.give_up());
                assert_eq!(
                    (outages, link.machine.nobody_acknowledges()),
                    if turn < 2 { (0, false) } else { (1, true) }
                );
            }
            // One of them is back.
            link.reopen(None);
            link.transmit();
            link.hear(ack(1)).unwrap();
            assert!(!link.machine.nobody_acknowledges());
            link.publish(1);
            link.transmit();
            for _ in 0..2 {
                link.waits_for(PATIENCE);
                assert!(!link.give_up());
                link.reopen(None);
                link.transmit();
            }
            link.waits_for(PATIENCE);
            assert!(link.give_up(), "a second outage");
        }
    }

    #[test]
    fn an_endpoint_that_is_not_there_makes_no_haste_with_one_that_does_not_acknowledge() {
        let mut link = Link::to(2);
        let begun = link.now;
        let (mut refused, mut outages) = (0, 0);
        for _ in 0..10 {
            while link.connects_to() == 1 {
                outages += usize::from(link.lose());
                refused += 1;
            }
            link.machine.handle_connected(link.now);
            link.transmit();
            link.waits_for(PATIENCE);
            outages += usize::from(link.give_up());
        }
        assert_eq!(link.now - begun, 10 * PATIENCE);
        assert_eq!(outages, 1);
        assert!(refused <= 20, "{refused}");
    }

    #[test]
    fn a_welcome_ends_an_outage_in_which_nobody_welcomed() {
        let mut link = Link::to(2);
        for _ in 0..2 {
            link.step();
            link.machine.handle_connected(link.now);
            link.transmit();
            link.waits_for(PATIENCE);
            link.give_up();
        }
        assert!(link.machine.nobody_acknowledges());
        link.reopen(None);
        assert!(!link.machine.nobody_acknowledges());
    }

    #[test]
    fn who_waits_has_an_endpoint_without_a_welcome_left_in_time() {
        let share = Duration::from_millis(500);
        let mut link = Link::to(2);
        let begun = link.now;
        link.step();
        link.machine.handle_connected(begun);
        link.transmit();
        link.machine.handle_hurry(link.now, |begun, _| Some(begun + share));
        assert_eq!(link.rests_for(), share);
        assert_eq!(link.rests_for(), CONNECT_TIMEOUT, "nobody waits any more");
        link.pass(share).machine.handle_hurry(begun + share, |begun, _| Some(begun + share));
        assert!(!link.give_up());
        assert_eq!(link.connects_to(), 1);
    }

    /// Somebody has waited since `asked`, and another endpoint gets half of the time, if there is one.
    fn hurry(link: &mut Link, asked: Instant) {
        let latest = |begun: Instant, left| (left > 1).then(|| begun.max(asked) + Duration::from_millis(500));
        link.machine.handle_hurry(link.now, latest);
    }

    #[test]
    fn who_waits_has_an_open_endpoint_that_asks_for_patience_left_in_time() {
        let mut link = Link::to(2);
        // The other one was not there when this one was found.
        link.lose();
        link.reopen(None);
        link.publish(2);
        link.transmit();
        link.waits_for(Duration::from_secs(2));
        link.publish(1);
        link.transmit();
        link.machine.handle_written(link.now);
        let asked = link.now;
        hurry(&mut link, asked);
        assert_eq!(link.rests_for(), Duration::from_millis(500));
        assert_eq!(link.rests_for(), PING_TIMEOUT + Duration::from_secs(1), "nobody waits any more");
        link.pass(Duration::from_millis(500));
        hurry(&mut link, asked);
        assert!(!link.give_up());
        assert_eq!(link.connects_to(), 0);
        link.reopen(None);
        assert_eq!(first_and_count(link.transmit()), (1, 3));
        // Both of them do not acknowledge, as in a failover: nobody runs from the one to the other.
        link.waits_for(Duration::from_secs(2));
        hurry(&mut link, asked);
        assert!(link.rests_for() > Duration::from_millis(500));
    }

    #[test]
    fn who_waits_keeps_an_open_endpoint_that_does_not_ask_for_patience() {
        let mut link = Link::to(2);
        link.reopen(None);
        link.publish(2);
        link.transmit();
        link.waits_for(Duration::from_secs(2));
        link.hear(ack(1)).unwrap();
        let asked = link.now;
        link.pass(Duration::from_secs(1));
        hurry(&mut link, asked);
        assert!(matches!(link.step(), Step::Rest(Some(due)) if due > link.now), "it has acknowledged since");
        link.hear(ack(2)).unwrap();
        hurry(&mut link, asked);
        link.step();
        link.publish(1);
        link.transmit();
        link.waits_for(Duration::from_secs(2));
        assert!(matches!(link.step(), Step::Rest(_)), "nobody waits any more");
    }

    #[test]
    fn a_refusal_of_one_endpoint_is_none_of_all() {
        let mut link = Link::to(2);
        assert!(!link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
        assert_eq!(link.machine.state(), State::Connecting);
        assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).all_refuse);
        assert_eq!(link.machine.state(), State::Waiting);
        assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).outage_begins, "nothing was tried");
        link.step();
        link.machine.handle_lost(link.now, Retry::Refused, 1.0);
        assert!(link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
        assert_eq!((link.machine.state(), link.rests_for()), (State::Refused, Duration::from_secs(5)));
    }

    #[test]
    fn an_outage_begins_when_no_endpoint_answers() {
        let mut link = Link::to(2);
        link.reopen(None);
        link.pass(GOOD_CONNECTION);
        assert!(!link.lose());
        assert!(!link.lose(), "the one that was lost may be back");
        link.step();
        assert!(link.lose());
        assert!(!link.lose(), "once");
    }

    #[test]
    fn endpoints_of_two_clusters_are_noticed() {
        let said = |cluster| Membership { cluster: ClusterId(cluster), running: Duration::from_mins(1) };
        let mut link = Link::to(2);
        link.reopen(None);
        assert_eq!(link.machine.handle_membership(link.now, said(1)), None);
        link.pass(GOOD_CONNECTION).lose();
        link.reopen(None);
        assert_eq!(link.machine.handle_membership(link.now, said(2)), Some(0));
    }

    #[test]
    fn who_waits_shortens_the_delay_and_never_prolongs_it() {
        let mut link = Link::new();
        link.machine.handle_lost(link.now, Retry::Late, 1.0);
        assert!(link.rests_for() > HURRY);
        link.machine.handle_hurry(link.now, |_, _| None);
        assert_eq!(link.rests_for(), HURRY);
        link.pass(HURRY / 2);
        link.machine.handle_hurry(link.now, |_, _| None);
        assert_eq!(link.rests_for(), HURRY / 2);
    }

    #[test]
    fn a_message_that_the_server_refuses_is_named() {
        let mut link = Link::open();
        link.publish(4);
        link.transmit();
        let refused = |accepted, count, first| ServerFrame::Refused {
            accepted: Seq::new(accepted).unwrap(),
            refusals: Refusals { count, first: Seq::new(first).unwrap(), reason: "no".into() },
        };
        let heard = link.hear(refused(1, 1, 1)).unwrap();
        assert_eq!(heard.freed.messages, 1);
        let told = heard.undeliverable.unwrap();
        assert_eq!(told.sentence, "the server does not deliver message 1 to the topic \"t\": no");
        let told = link.hear(refused(4, 2, 3)).unwrap().undeliverable.unwrap();
        assert_eq!((told.refusal.topic.as_str(), told.refusal.reason.as_str()), ("t", "no"));
        assert_eq!(told.refusal.messages.get(), 2);
        assert_eq!(
            told.sentence,
            "the server does not deliver 2 messages; the first is message 3 to the topic \"t\": no"
        );
        assert!(link.hear(refused(4, 2, 3)).unwrap().undeliverable.is_none(), "each counts once");
    }

    #[test]
    fn frames_out_of_turn_are_errors() {
        let mut link = Link::open();
        assert!(matches!(
            link.hear(ServerFrame::Welcome { accepted: None }),
            Err(LinkError::OutOfTurn { frame: "Welcome" })
        ));
        assert!(matches!(link.hear(ack(1)), Err(LinkError::BeyondSent { accepted: 1, sent: 0 })));
        let mut link = Link::new();
        assert!(matches!(link.hear(ack(1)), Err(LinkError::OutOfTurn { frame: "Ack" })));
    }

    #[test]
    fn after_stop_nothing_is_due_but_the_end() {
        let mut link = Link::open();
        link.publish(1);
        link.machine.handle_stop();
        assert!(link.transmit().is_none());
        assert!(matches!(link.step(), Step::End));
        assert!(!link.lose());
        assert_eq!(link.machine.state(), State::Closed);
    }
}
