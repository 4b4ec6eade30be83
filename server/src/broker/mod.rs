//! The broker: what carries all that is published, by whomever, to every node.
//!
//! The contract, which `contract.rs` tests for whatever carries the messages:
//!
//! - **Accepted means accepted.** A publication's receipt is settled when the broker has accepted all of it, not before:
//!   what dies with the node is sent again. The broker of one node settles it when the events are written as well.
//! - **Once.** Of one publisher a sequence number is accepted once; what it sends again after a reconnect is acknowledged
//!   and dropped. A broker that was started anew has forgotten what it had.
//! - **In order.** The messages of one publisher are accepted, and become events, in the order of their numbers. All
//!   shards of all nodes see the events of one topic in the same order.
//! - **No waiting.** Whoever publishes calls the broker, and is answered by the receipt.
//!
//! [`memory`] is the broker of a single node, and needs nothing installed.

#[cfg(test)]
mod contract;
pub mod memory;
pub mod seen;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::PublisherId;

use crate::publication::receipt::Receipt;
use crate::publication::{Content, Event, Publication};

/// Carries all that is published, and keeps the contract of this module.
pub trait Broker: fmt::Debug + Send + Sync {
    /// Takes what somebody publishes.
    fn publish(&self, publication: Publication, now: Instant);

    /// A publisher asks what was accepted of it over earlier connections. The receipt says so once all of that would be
    /// acknowledged, were it sent now.
    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant);
}

/// Where a broker's events go: a node.
pub trait EventHandler: fmt::Debug + Send + Sync {
    /// Whether any session of the node would get this now. If not, there is nothing to handle.
    fn is_wanted(&self, content: &Content) -> bool;

    /// Takes an event, the next of its topic, to all sessions of the node that are meant. What it holds is let go of when
    /// it is written to them.
    fn handle_event(&self, event: Event);

    /// Lets go of this when all events that were handled before are written.
    fn handle_barrier(&self, receipt: &Arc<Receipt>);
}
