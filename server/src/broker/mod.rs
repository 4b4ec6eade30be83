//! The broker: what carries a published message to every node.
//!
//! The contract, which holds for whatever carries the messages:
//!
//! - **Accepted means accepted.** A publisher's message is acknowledged when the broker has accepted it and this node has
//!   written it to its sessions ([`crate::node::receipt`]), not before: what dies with the node is sent again.
//! - **Once.** Of one publisher a sequence number is accepted once; what it sends again after a reconnect is acknowledged
//!   and dropped ([`seen`]). A broker that was started anew has forgotten what it had.
//! - **In order.** The messages of one publisher are accepted in the order of their numbers. All shards of all nodes see
//!   the events of one topic in the same order.
//! - **No waiting.** Neither the broker nor the node is a thread: the publisher's shard calls them.
//!
//! [`memory`] is the broker of a single node, and needs nothing installed.

pub mod memory;
pub mod seen;
