//! The broker: what carries all that is published, by whomever, to every node.
//!
//! The contract, which `contract` tests for whatever carries the messages:
//!
//! - **Accepted means accepted.** A publication's receipt is settled when the broker has accepted all of it, not before:
//!   what dies with the node is sent again. The broker of one node settles it when the events are written as well; one that
//!   carries them between nodes may settle it before they come.
//! - **Once.** Of one publisher a sequence number is accepted once; what it sends again after a reconnect is acknowledged
//!   and dropped. A broker that was started anew has forgotten what it had.
//! - **In order.** The messages of one publisher are accepted, and become events, in the order of their numbers. All
//!   shards of all nodes see the events of one topic in the same order.
//! - **To who has subscribed.** The events of a topic come from the answer to a recovery that was asked for behind
//!   [`Broker::subscribe`] on, and may come before. After the last [`Broker::unsubscribe`] they need not.
//! - **No hole.** Of one topic each event's offset is one more than that of the event before it, also where something was
//!   dropped that the broker had had already. No two events of a topic have the same position.
//! - **Nothing between.** What a recovery finds is handed over before any event of the topic that it does not have, and behind
//!   all that it has. It is complete only if that is certain: never from a position with a tag that the event of that offset does
//!   not have. A broker that cannot find out says so ([`Unavailable`]). The answers of one asker come in the order in which
//!   it asked.
//! - **No waiting.** Whoever calls the broker does not wait for it: publishing is answered by the receipt, a recovery by what
//!   is handed over.
//!
//! [`memory`] is the broker of a single node, and needs nothing installed.

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

use crate::auth::line::Beginning;
use crate::publication::kept::Kept;
use crate::publication::receipt::Receipt;
use crate::publication::{Event, Publication};
use cluster::Cluster;
use history::HistoryRules;

/// Carries all that is published, and keeps the contract of this module.
pub trait Broker: fmt::Debug + Send + Sync {
    /// Takes what somebody publishes.
    fn publish(&self, publication: Publication, now: Instant);

    /// A publisher asks what was accepted of it over earlier connections. The receipt says so once all of that would be
    /// acknowledged, were it sent now. A broker that is spread over several places may say none: then all is sent again.
    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant);

    /// A shard has its first subscriber of this topic. The broker counts: each shard says so for itself.
    fn subscribe(&self, topic: &Topic);

    /// A shard has lost its last one.
    fn unsubscribe(&self, topic: &Topic);

    /// Somebody who was away asks for what came since, at most the latest `most` events. `hand_over` puts the answer where
    /// the topic's events go. Without `since` nothing is asked for but where the topic stands.
    fn recover(&self, topic: &Topic, since: Option<Since>, most: usize, hand_over: HandOver);

    /// From now on these rules hold.
    fn set_rules(&self, rules: HistoryRules);

    /// Looks at the clock, every few seconds.
    fn handle_timeout(&self);

    /// The cluster that it carries messages within: the same on all its nodes. A broker that asks elsewhere knows it later.
    fn cluster(&self) -> Arc<Cluster>;
}

/// Takes what was recovered. It is called in the middle of the topic's events, so it must not take long.
pub type HandOver = Box<dyn FnOnce(Result<Recovered, Unavailable>) + Send>;

/// The broker cannot say at the moment what came. Who asks again later may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came meanwhile cannot be known at the moment: the broker is away. Ask again")]
pub struct Unavailable;

/// From where on somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// What came behind this one; none: something that is no position.
    Position(Option<Position>),
    /// What was accepted from then on.
    Instant(Instant),
}

/// What came of a topic while somebody was away.
#[derive(Debug)]
pub struct Recovered {
    /// Of the topic's last event.
    pub position: Position,
    /// Whether nothing of what was asked for is missing.
    pub complete: bool,
    /// The oldest first.
    pub events: Vec<(Position, Kept)>,
}

/// Where a broker's events go: a node.
pub trait EventHandler: fmt::Debug + Send + Sync {
    /// Whether any session of the node would get a message of this topic now. If not, there is nothing to handle.
    fn is_wanted(&self, topic: &Topic) -> bool;

    /// Takes an event, the next of its topic, to all sessions of the node that are meant. What it holds is let go of when
    /// it is written to them.
    fn handle_event(&self, event: Event);

    /// What came of this topic is not all known: whoever can ask what it missed is to ask, and what follows goes on from here.
    fn handle_break(&self, topic: &Topic);

    /// Where nodes share them, disconnects go on from here, each with its position. Those that are known already mean resume tickets
    /// alone. Those that are not, and were accepted while this node was there ([`Beginning::may_mean_sessions_since`]), may have meant
    /// any of its sessions.
    fn begin_line(&self, beginning: &Beginning);

    /// Lets go of this when all events that were handled before are written.
    fn handle_barrier(&self, receipt: &Arc<Receipt>);
}
