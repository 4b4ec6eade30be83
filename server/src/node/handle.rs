//! The messages to a shard, and the handle that sends them.

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

/// A message to a shard.
#[derive(Debug)]
pub enum ShardMessage {
    /// A new connection, which the shard takes over.
    Accepted(Accepted),
    /// A message to write to the subscribers and then drop.
    Delivery(Arc<Delivery>),
    /// A receipt to drop when everything before it is written.
    Barrier(Arc<Receipt>),
    /// The missed events that a session asked for. The shard registers the subscription and answers the session.
    Recovered {
        /// The session, and the number of its request.
        awaited: Awaited,
        /// The events, unless the broker is unavailable.
        recovered: Result<Recovered, Unavailable>,
    },
    /// A receipt that a session waits for is settled.
    Settled {
        /// The session, and the number of its request.
        awaited: Awaited,
        /// The receipt's result.
        settled: Settled,
    },
    /// The answer whether the ticket of a handshake is used for the first time.
    TicketUsed {
        /// The session whose handshake waits for the answer.
        session: SessionKey,
        /// The answer.
        first_use: FirstUse,
    },
    /// Ends the matching sessions.
    Disconnect(Arc<Disconnection>),
    /// Ends this session, which another one has resumed.
    EndResumed(SessionKey, SessionId),
    /// Ends all browser sessions gradually, because any may have been disconnected.
    EndBrowsers,
    /// Events of this topic were lost: ends gradually the sessions that can ask for them after a reconnect.
    EndIncomplete(Topic),
    /// Credit was returned: sessions that wait for it may ask again.
    CreditReturned,
    /// Replaces the rules.
    Rules(Arc<Shared>),
    /// A liveness check, answered by dropping the sender.
    CheckAlive(mpsc::Sender<()>),
    /// Stops accepting messages, acknowledges the accepted ones and ends the publishers' sessions. Confirmed by dropping the
    /// sender.
    StopPublishing(mpsc::Sender<()>),
    /// Writes the remaining output, ends all sessions and then the shard.
    Stop {
        /// The deadline.
        until: Instant,
    },
}

/// The sender to a shard's inbox. The inbox needs no bound of its own: credit bounds the deliveries, and the limits of the
/// listener bound new connections.
#[derive(Clone, Debug)]
pub struct ShardHandle(mpsc::UnboundedSender<ShardMessage>);

/// Identifies a pending request of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The session, within its shard.
    pub session: SessionKey,
    /// The number of the request.
    pub number: u64,
}

/// Notifies a shard that a receipt of one of its sessions is settled.
#[derive(Debug)]
pub struct ShardWaiter {
    shard: ShardHandle,
    awaited: Awaited,
}

impl Waiter for ShardWaiter {
    fn notify(&self, settled: Settled) {
        self.shard.send(ShardMessage::Settled { awaited: self.awaited, settled });
    }
}

/// The receiving end of a shard's messages.
pub type Inbox = mpsc::UnboundedReceiver<ShardMessage>;

impl ShardHandle {
    /// A handle and its inbox.
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

    /// Hands over a receipt, to be dropped when everything before it is written.
    pub fn barrier(&self, receipt: Arc<Receipt>) {
        self.send(ShardMessage::Barrier(receipt));
    }

    /// A waiter for a receipt that notifies this shard for one of its sessions.
    pub fn waiter(&self, awaited: Awaited) -> ShardWaiter {
        ShardWaiter { shard: self.clone(), awaited }
    }

    /// Hands over the missed events that a session asked for, in order with the topic's other events.
    pub fn recovered(&self, awaited: Awaited, recovered: Result<Recovered, Unavailable>) {
        self.send(ShardMessage::Recovered { awaited, recovered });
    }

    /// Hands over the answer whether the ticket of a handshake is used for the first time.
    pub fn ticket_used(&self, session: SessionKey, first_use: FirstUse) {
        self.send(ShardMessage::TicketUsed { session, first_use });
    }

    /// Ends the sessions that match a disconnect.
    pub fn disconnect(&self, disconnection: Arc<Disconnection>) {
        self.send(ShardMessage::Disconnect(disconnection));
    }

    /// Ends the session with this key if it has this id, because another one has resumed it.
    pub fn end_resumed(&self, key: SessionKey, session: SessionId) {
        self.send(ShardMessage::EndResumed(key, session));
    }

    /// Ends all browser sessions.
    pub fn end_browsers(&self) {
        self.send(ShardMessage::EndBrowsers);
    }

    /// Ends the sessions that can ask for the lost events of this topic after a reconnect.
    pub fn end_incomplete(&self, topic: Topic) {
        self.send(ShardMessage::EndIncomplete(topic));
    }

    /// Notifies the shard that credit was returned.
    pub fn credit_returned(&self) {
        self.send(ShardMessage::CreditReturned);
    }

    /// Replaces the rules.
    pub fn rules(&self, shared: Arc<Shared>) {
        self.send(ShardMessage::Rules(shared));
    }

    /// Checks that the shard is alive: it then drops `alive`.
    pub fn check_alive(&self, alive: mpsc::Sender<()>) {
        self.send(ShardMessage::CheckAlive(alive));
    }

    /// Begins the first step of a drain, in which the shard stops publishing. It then drops `done`.
    pub fn stop_publishing(&self, done: mpsc::Sender<()>) {
        self.send(ShardMessage::StopPublishing(done));
    }

    /// Begins the second step of a drain. The deadline is `until`.
    pub fn stop(&self, until: Instant) {
        self.send(ShardMessage::Stop { until });
    }

    fn send(&self, message: ShardMessage) {
        // A shard that has ended has no sessions, so the message can be dropped.
        let _ = self.0.send(message);
    }
}
