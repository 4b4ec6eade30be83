//! The broker, which carries published messages to all nodes.
//!
//! Every implementation keeps this contract, which `contract` tests:
//!
//! - **Acceptance.** A publication's receipt is settled only after the broker has accepted all of its messages, so that
//!   publishers resend messages that were lost with a node. The broker of a single node waits until the events are written as
//!   well; a broker between nodes may settle it before the events arrive.
//! - **Deduplication.** A sequence number of a publisher is accepted once. Messages resent after a reconnect are acknowledged
//!   and dropped. A restarted broker may have lost the numbers.
//! - **Order.** The messages of a publisher are accepted, and become events, in the order of their numbers. All shards of all
//!   nodes see the events of a topic in the same order.
//! - **Subscriptions.** The events of a topic arrive at the latest from the answer to a recovery that was requested after
//!   [`Broker::subscribe`]. They may arrive earlier, and may stop after the last [`Broker::unsubscribe`].
//! - **No gaps.** The offset of each event is one more than that of the topic's previous event, even if duplicates were
//!   dropped in between. No two events of a topic have the same position.
//! - **Consistent recovery.** The answer to a recovery is handed over after all events that it contains and before all later
//!   ones of the topic. It is `complete` only if that is certain, and never for a position whose tag differs from that of the
//!   event at its offset. A broker that cannot answer returns [`Unavailable`]. The answers to one caller keep the order of
//!   its requests.
//! - **No blocking.** No call waits: a publication is answered by its receipt, a recovery by a callback.
//!
//! [`memory`] is the broker of a single node and has no external dependencies.

pub mod cluster;
#[cfg(test)]
mod contract;
pub mod history;
pub mod memory;
pub mod redis;
pub mod seen;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{Position, PublisherId, Topic};

use crate::auth::timeline::TimelineStart;
use crate::publication::event_body::EventBody;
use crate::publication::receipt::Receipt;
use crate::publication::{Event, Publication};
use cluster::Cluster;
use history::HistoryRules;

/// A broker. Implementations keep the contract of this module.
pub trait Broker: fmt::Debug + Send + Sync {
    /// Publishes messages.
    fn publish(&self, publication: Publication, now: Instant);

    /// Asks for the highest sequence number accepted from a publisher over earlier connections. The receipt carries the answer
    /// once all messages up to that number can be acknowledged. A partitioned broker may answer `None`; the publisher then
    /// resends all unacknowledged messages.
    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant);

    /// Subscribes to a topic. Called by each shard for its first subscriber; the broker counts the calls.
    fn subscribe(&self, topic: &Topic);

    /// Unsubscribes from a topic. Called by each shard after its last subscriber.
    fn unsubscribe(&self, topic: &Topic);

    /// Requests missed events, at most the latest `limit`. `hand_over` delivers the answer in order with the topic's events.
    /// Without `since`, only the topic's current position is requested.
    fn recover(&self, topic: &Topic, since: Option<Since>, limit: usize, hand_over: HandOver);

    /// Replaces the history rules.
    fn set_rules(&self, rules: HistoryRules);

    /// Handles timeouts. Called every few seconds.
    fn handle_timeout(&self);

    /// The cluster that the broker connects, the same on all its nodes. A broker with a remote store learns it later.
    fn cluster(&self) -> Arc<Cluster>;
}

/// Receives the answer to a recovery. It is called between the topic's events and must return quickly.
pub type HandOver = Box<dyn FnOnce(Result<Recovered, Unavailable>) + Send>;

/// The broker cannot answer a recovery at the moment. A later retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missed events cannot be determined at the moment because the broker is unavailable. Ask again")]
pub struct Unavailable;

/// The start of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Events after this position. `None`: the client sent something that is not a position.
    Position(Option<Position>),
    /// Events accepted from this time on.
    Instant(Instant),
}

/// The answer to a recovery.
#[derive(Debug)]
pub struct Recovered {
    /// The position of the topic's last event.
    pub position: Position,
    /// Whether the requested events are complete.
    pub complete: bool,
    /// The events with their positions, the oldest first.
    pub events: Vec<(Position, EventBody)>,
}

/// The recipient of a broker's events: a node.
pub trait EventHandler: fmt::Debug + Send + Sync {
    /// Whether the node has subscribers of this topic. If not, the topic's events need not be handed over.
    fn is_wanted(&self, topic: &Topic) -> bool;

    /// Delivers the topic's next event to the node's sessions. Credit and receipt of the event are released when it is written.
    fn handle_event(&self, event: Event);

    /// Handles a break: events of this topic were lost. Sessions that can recover are closed with a code for it; later events
    /// follow.
    fn handle_break(&self, topic: &Topic);

    /// Begins a timeline of shared disconnects, each with its position. Known disconnects only affect resume tickets. Unknown
    /// ones that were accepted while this node was running may affect any of its sessions
    /// ([`TimelineStart::may_affect_sessions_since`]).
    fn begin_timeline(&self, start: &TimelineStart);

    /// Releases the receipt when all events handled before are written.
    fn handle_barrier(&self, receipt: &Arc<Receipt>);
}
