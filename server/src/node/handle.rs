//! All that one may say to a shard.

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{SessionId, Topic};
use tokio::sync::mpsc;

use crate::auth::replay::FirstUse;
use crate::broker::{Recovered, Unavailable};
use crate::connection::Accepted;
use crate::node::disconnection::Disconnection;
use crate::publication::delivery::Delivery;
use crate::publication::receipt::{Receipt, Settled, Waiter};
use crate::session::{SessionKey, Shared};

/// Something for a shard to do.
#[derive(Debug)]
pub enum ShardMessage {
    /// Own this new connection.
    Accepted(Accepted),
    /// Write this to those who subscribed, then let go of it.
    Delivery(Arc<Delivery>),
    /// Let go of this when everything before it is written.
    Barrier(Arc<Receipt>),
    /// What a session has asked for: it registers, and is told.
    Recovered {
        /// Who, and which question.
        awaited: Awaited,
        /// What there is, if that can be known.
        recovered: Result<Recovered, Unavailable>,
    },
    /// What a session waits for is true.
    Settled {
        /// Who, and what.
        awaited: Awaited,
        /// What its receipt says.
        settled: Settled,
    },
    /// Whether the ticket of a handshake is used for the first time.
    TicketUsed {
        /// Whose handshake waits for it.
        session: SessionKey,
        /// The answer.
        first_use: FirstUse,
    },
    /// End the sessions that are meant.
    Disconnect(Arc<Disconnection>),
    /// End this session, which another one has resumed.
    EndResumed(SessionKey, SessionId),
    /// End all sessions of browsers, one after the other: any may have been disconnected.
    EndBrowsers,
    /// Events of this topic are missing: end the sessions that can ask for them when they come back, one after the other.
    EndIncomplete(Topic),
    /// Sessions that wait for credit may ask again.
    CreditReturned,
    /// From now on these rules hold.
    Rules(Arc<Shared>),
    /// Say that you live, by dropping this.
    AskForLife(mpsc::Sender<()>),
    /// Take no more from anybody, acknowledge what was taken, end the publishers' sessions; say so when it is done.
    StopPublishing(mpsc::Sender<()>),
    /// Write what is waiting, end all sessions, then yourself.
    Stop {
        /// By then at the latest.
        until: Instant,
    },
}

/// The way into a shard's inbox. The inbox needs no bound of its own: deliveries are bounded by credit, which every session
/// asks for, new connections by the limits of the listener.
#[derive(Clone, Debug)]
pub struct ShardHandle(mpsc::UnboundedSender<ShardMessage>);

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The session, within its shard.
    pub session: SessionKey,
    /// The number of what it waits for.
    pub number: u64,
}

/// Tells a shard that what one of its sessions waits for is true.
#[derive(Debug)]
pub struct ShardWaiter {
    shard: ShardHandle,
    awaited: Awaited,
}

impl Waiter for ShardWaiter {
    fn tell(&self, settled: Settled) {
        self.shard.send(ShardMessage::Settled { awaited: self.awaited, settled });
    }
}

/// The shard's end of it.
pub type Inbox = mpsc::UnboundedReceiver<ShardMessage>;

impl ShardHandle {
    /// A handle and the inbox that it leads to.
    pub fn new() -> (Self, Inbox) {
        let (sender, inbox) = mpsc::unbounded_channel();
        (Self(sender), inbox)
    }

    /// Hands over a new connection.
    pub fn accepted(&self, connection: Accepted) {
        self.send(ShardMessage::Accepted(connection));
    }

    /// Hands over an event.
    pub fn deliver(&self, delivery: Arc<Delivery>) {
        self.send(ShardMessage::Delivery(delivery));
    }

    /// Asks to let go of this when everything before it is written.
    pub fn barrier(&self, receipt: Arc<Receipt>) {
        self.send(ShardMessage::Barrier(receipt));
    }

    /// A receipt's waiter: this shard, for one of its sessions.
    pub fn waiter(&self, awaited: Awaited) -> ShardWaiter {
        ShardWaiter { shard: self.clone(), awaited }
    }

    /// Hands over what one of the sessions has asked for, in the order of the topic's events.
    pub fn recovered(&self, awaited: Awaited, recovered: Result<Recovered, Unavailable>) {
        self.send(ShardMessage::Recovered { awaited, recovered });
    }

    /// Hands over whether the ticket of a handshake is used for the first time.
    pub fn ticket_used(&self, session: SessionKey, first_use: FirstUse) {
        self.send(ShardMessage::TicketUsed { session, first_use });
    }

    /// Has sessions ended.
    pub fn disconnect(&self, disconnection: Arc<Disconnection>) {
        self.send(ShardMessage::Disconnect(disconnection));
    }

    /// Has the session of this key ended if it has this id, because another one has resumed it.
    pub fn end_resumed(&self, key: SessionKey, session: SessionId) {
        self.send(ShardMessage::EndResumed(key, session));
    }

    /// Has all sessions of browsers ended.
    pub fn end_browsers(&self) {
        self.send(ShardMessage::EndBrowsers);
    }

    /// Has the sessions ended that can ask for what they missed of this topic.
    pub fn end_incomplete(&self, topic: Topic) {
        self.send(ShardMessage::EndIncomplete(topic));
    }

    /// Tells that credit has come back.
    pub fn credit_returned(&self) {
        self.send(ShardMessage::CreditReturned);
    }

    /// Hands over other rules.
    pub fn rules(&self, shared: Arc<Shared>) {
        self.send(ShardMessage::Rules(shared));
    }

    /// Asks whether it lives: then it drops `alive`.
    pub fn ask_for_life(&self, alive: mpsc::Sender<()>) {
        self.send(ShardMessage::AskForLife(alive));
    }

    /// First half of a drain: no more publishing; `done` hears of it.
    pub fn stop_publishing(&self, done: mpsc::Sender<()>) {
        self.send(ShardMessage::StopPublishing(done));
    }

    /// Second half of a drain; over by `until`.
    pub fn stop(&self, until: Instant) {
        self.send(ShardMessage::Stop { until });
    }

    fn send(&self, message: ShardMessage) {
        // A shard that has ended has no sessions: what was meant for them has nowhere to go.
        let _ = self.0.send(message);
    }
}
