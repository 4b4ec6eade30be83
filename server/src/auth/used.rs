//! Who knows which one-time tickets were used: this node, which answers within the call, or all nodes together, whose answer
//! comes later.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use super::replay::{FirstUse, Replay};

/// Who is asked whether a ticket was used before. A clone asks the same.
#[derive(Clone, Debug)]
pub enum UsedTickets {
    /// This node, which is the only one.
    OfThisNode(Arc<Mutex<Replay>>),
    /// All nodes.
    OfAllNodes(Arc<dyn SharedTickets>),
}

impl UsedTickets {
    /// Those of the only node, which remembers up to `max`.
    pub fn of_this_node(max: usize) -> Self {
        Self::OfThisNode(Arc::new(Mutex::new(Replay::new(max))))
    }
}

/// The used tickets of all nodes, wherever they are remembered. What an implementation keeps:
///
/// - **At most one `Yes`**: of all that ask for one [`TicketUse::id`], on all nodes, one is told [`FirstUse::Yes`], and never
///   two. A question may be sent again, as often as it takes to get an answer: [`TicketUse::nonce`] tells whether what was
///   used before is this very use. Where that stays unknown (time-out, lost connection, a primary that was replaced), the
///   answer is [`FirstUse::Unavailable`]. Nobody is let in by any other answer than `Yes`, so a use that was answered in another
///   way may be taken back, by its nonce and once no question about it is under way: whoever comes back with that ticket then
///   need not ask the application for one.
/// - **Remembered** for a minute longer than [`TicketUse::expires`], since the clock of another node may be behind. None is
///   forgotten for room: then the answer is [`FirstUse::NoRoom`].
/// - **Disconnects first**: before `Yes` is told, all disconnects that were accepted before the use, on any node, are among
///   this node's [`Revocations`](super::revocations::Revocations). The session is looked up there when the answer has come,
///   and not before. A node that cannot prove that it knows them answers `Unavailable`.
/// - **Nothing waits in the call**: it is made on a shard's thread, and all sessions of that shard would wait with it. So no
///   I/O, and no lock that is held for longer than it takes to append to a queue.
/// - **`answer` is called** once, from whatever thread, also within the call, and within seconds: a broker that is away is
///   `Unavailable` at once or soon. Who is gone meanwhile no longer hears it; the ticket is used up all the same. The others
///   wait for five seconds at least.
/// - **Bounded**: who no longer waits leaves his question behind, and one ticket can be presented any number of times, so the
///   connections of a node bound nothing here. An implementation bounds what it has under way, and answers `NoRoom` beyond.
pub trait SharedTickets: Debug + Send + Sync {
    /// Uses a ticket up, and tells later whether it was the first time.
    fn use_up(&self, ticket: TicketUse, answer: UseAnswer);
}

/// Takes the answer.
pub type UseAnswer = Box<dyn FnOnce(FirstUse) + Send>;

/// A ticket that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUse {
    /// What is used up: the `jti` of a ticket, of any characters, or what stands for all resume tickets of one session. At
    /// most as long as a ticket ([`MAX_TICKET_BYTES`](orosync_protocol::ticket::MAX_TICKET_BYTES)).
    pub id: String,
    /// When nobody takes it any more, seconds since 1970.
    pub expires: u64,
    /// This use. Random, of each handshake another.
    pub nonce: u128,
}

/// Whether a ticket was used before: a question to all nodes.
#[derive(Debug)]
pub struct Question {
    ticket: TicketUse,
    to: Arc<dyn SharedTickets>,
}

impl Question {
    pub(super) fn new(ticket: TicketUse, to: &Arc<dyn SharedTickets>) -> Self {
        Self { ticket, to: Arc::clone(to) }
    }

    /// Asks, which uses the ticket up.
    pub fn ask(self, answer: UseAnswer) {
        self.to.use_up(self.ticket, answer);
    }
}
