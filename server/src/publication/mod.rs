//! Published messages: a [`Publication`] is sent to the broker, and an [`Event`] is received from it.
//!
//! A publisher takes [`credit`] first, and a [`receipt`] can notify it when everything has been written.

pub mod credit;
pub mod delivery;
pub mod event_body;
pub mod receipt;
pub mod tags;

use std::sync::Arc;

use orosync_protocol::disconnect::{self, Disconnect, NotADisconnect};
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Position, PublisherId, Seq};

use credit::Credit;
use delivery::Delivery;
use receipt::Receipt;

/// The content of a published message.
#[derive(Clone, Debug)]
pub enum Content {
    /// A message for the subscribers of its topic.
    Message(Message),
    /// A request to end sessions.
    Disconnect(Disconnect),
}

/// The author of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A publisher, which numbers its messages and resends unacknowledged ones.
    Publisher(PublisherId),
    /// A browser.
    Browser,
    /// The server itself.
    Server,
}

/// Messages that an author publishes together.
#[derive(Debug)]
pub struct Publication {
    /// The author.
    pub author: Author,
    /// The messages, in order.
    pub items: Vec<Item>,
    /// The receipt, released by the broker when all messages are accepted, and by each event when it is written.
    pub receipt: Option<Arc<Receipt>>,
}

/// One message of a publication.
#[derive(Debug)]
pub struct Item {
    /// The author's sequence number, higher than that of the previous item. `None` if the author resends nothing.
    pub seq: Option<Seq>,
    /// The content.
    pub content: Content,
    /// The credit that was taken for the message.
    pub credit: Credit,
}

/// A message that the broker has accepted.
#[derive(Debug)]
pub enum Event {
    /// A message for its subscribers.
    Message(Delivery),
    /// A request to end sessions, with its position among all disconnects if nodes share them.
    Disconnect(Disconnect, Option<Position>, Held),
}

/// Credit and receipt of an event in flight. On drop the credit is returned and the receipt released.
#[derive(Debug)]
pub struct Held {
    _credit: Credit,
    _receipt: Option<Arc<Receipt>>,
}

impl Held {
    /// The credit of a message, and the receipt of its publication.
    pub fn new(credit: Credit, receipt: Option<Arc<Receipt>>) -> Self {
        Self { _credit: credit, _receipt: receipt }
    }
}

impl TryFrom<Message> for Content {
    type Error = NotADisconnect;

    /// Converts a message by its topic.
    fn try_from(message: Message) -> Result<Self, NotADisconnect> {
        if message.topic.as_str() != disconnect::TOPIC {
            return Ok(Self::Message(message));
        }
        Disconnect::parse(&message.payload).map(Self::Disconnect)
    }
}

impl Content {
    /// The credit that the content takes, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.payload.len(),
            Self::Disconnect(_) => 0,
        }
    }
}
