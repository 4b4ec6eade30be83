//! The store of used one-time tickets: the memory of this node, which answers within the call, or a store shared by all nodes,
//! which answers later.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use super::replay::{FirstUse, Replay};

/// The store that knows whether a ticket was used before. Clones share it.
#[derive(Clone, Debug)]
pub enum UsedTickets {
    /// The memory of this node, the only one.
    OfThisNode(Arc<Mutex<Replay>>),
    /// The store of all nodes.
    OfAllNodes(Arc<dyn SharedTickets>),
}

impl UsedTickets {
    /// A store for a single node, with room for `max` tickets.
    pub fn of_this_node(max: usize) -> Self {
        Self::OfThisNode(Arc::new(Mutex::new(Replay::new(max))))
    }
}

/// The store of used tickets that all nodes share. The contract of an implementation:
///
/// - **At most one `Yes`**: among all checks of a [`TicketUse::id`], on all nodes, at most one is answered with
///   [`FirstUse::Yes`]. A check may be repeated until it is answered: [`TicketUse::nonce`] identifies repetitions of the same
///   use. If the outcome stays unknown (timeout, lost connection, replaced primary), the answer is
///   [`FirstUse::Unavailable`]. Only `Yes` admits a client, so a use with another answer may be reverted by its nonce once no
///   question about it is in flight. The client can then retry with the same ticket.
/// - **Memory**: a use is remembered for a minute longer than [`TicketUse::expires`], since another node's clock may be behind.
///   None is forgotten for lack of room: the answer is then [`FirstUse::NoRoom`].
/// - **Disconnects first**: before the answer `Yes`, all disconnects accepted before the use, on any node, are among this
///   node's [`Revocations`](super::revocations::Revocations), which are checked only after the answer. A node that cannot
///   prove that it knows them answers `Unavailable`.
/// - **Non-blocking**: the call is made on a shard's thread and must not delay its sessions. It does no I/O, and holds no lock
///   for longer than it takes to append to a queue.
/// - **`answer` is called** once, from any thread, possibly within the call, and within seconds: if the broker is unavailable,
///   `Unavailable` is answered soon. Clients wait for at least five seconds. If a client has disconnected meanwhile, its ticket
///   is used nevertheless.
/// - **Bounds**: the number of connections does not bound pending questions, because clients may disconnect, and may present a
///   ticket any number of times. An implementation bounds its pending questions and answers `NoRoom` beyond.
pub trait SharedTickets: Debug + Send + Sync {
    /// Marks a ticket as used. `answer` receives later whether it was the first use.
    fn use_up(&self, ticket: TicketUse, answer: UseAnswer);
}

/// The callback for the answer.
pub type UseAnswer = Box<dyn FnOnce(FirstUse) + Send>;

/// A use of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUse {
    /// The id that is marked as used: the `jti` of a ticket, with any characters, or an id shared by all resume tickets of a
    /// session. At most as long as a ticket ([`MAX_TICKET_BYTES`](orosync_protocol::ticket::MAX_TICKET_BYTES)).
    pub id: String,
    /// When the ticket is no longer accepted, as Unix time in seconds.
    pub expires: u64,
    /// Identifies this use. Random, different for each handshake.
    pub nonce: u128,
}

/// A check by the shared store whether a ticket was used before.
#[derive(Debug)]
pub struct TicketCheck {
    ticket: TicketUse,
    to: Arc<dyn SharedTickets>,
}

impl TicketCheck {
    pub(super) fn new(ticket: TicketUse, to: &Arc<dyn SharedTickets>) -> Self {
        Self { ticket, to: Arc::clone(to) }
    }

    /// Starts the check, which marks the ticket as used.
    pub fn start(self, answer: UseAnswer) {
        self.to.use_up(self.ticket, answer);
    }
}
