//! What is published, by whomever: on its way to the broker a [`Publication`], from it an [`Event`].
//!
//! Whoever publishes has taken [`credit`] before, and may hear by a [`receipt`] that all of it is written.

pub mod credit;
pub mod delivery;
pub mod kept;
pub mod receipt;
pub mod tags;

use std::sync::Arc;

use orosync_protocol::disconnect::{self, Disconnect, NotADisconnect};
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Position, PublisherId, Seq};

use credit::Credit;
use delivery::Delivery;
use receipt::Receipt;

/// What is published.
#[derive(Clone, Debug)]
pub enum Content {
    /// For those who have subscribed to its topic.
    Message(Message),
    /// Ends sessions, whatever they have subscribed to.
    Disconnect(Disconnect),
}

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A publisher, which numbers what it publishes and sends again what was not acknowledged.
    Publisher(PublisherId),
    /// A browser.
    Browser,
    /// The server itself.
    Server,
}

/// What somebody publishes at once.
#[derive(Debug)]
pub struct Publication {
    /// Who.
    pub author: Author,
    /// What, in order.
    pub items: Vec<Item>,
    /// Let go of by the broker when all of it is accepted, and by each event when that is written.
    pub receipt: Option<Arc<Receipt>>,
}

/// One message of a publication.
#[derive(Debug)]
pub struct Item {
    /// The author's number: higher than that of the item before. None of whom sends nothing again.
    pub seq: Option<Seq>,
    /// What it is.
    pub content: Content,
    /// What was taken for it at the door.
    pub credit: Credit,
}

/// What a broker has accepted.
#[derive(Debug)]
pub enum Event {
    /// A message, as its subscribers get it.
    Message(Delivery),
    /// Ends sessions. Its position among all disconnects, where nodes share them.
    Disconnect(Disconnect, Option<Position>, Held),
}

/// What is held while an event is on its way. Dropped: returned, and settled.
#[derive(Debug)]
pub struct Held {
    _credit: Credit,
    _receipt: Option<Arc<Receipt>>,
}

impl Held {
    /// The credit of one message, and the receipt of the publication that it is of.
    pub fn new(credit: Credit, receipt: Option<Arc<Receipt>>) -> Self {
        Self { _credit: credit, _receipt: receipt }
    }
}

impl TryFrom<Message> for Content {
    type Error = NotADisconnect;

    /// What a message is by its topic.
    fn try_from(message: Message) -> Result<Self, NotADisconnect> {
        if message.topic.as_str() != disconnect::TOPIC {
            return Ok(Self::Message(message));
        }
        Disconnect::parse(&message.payload).map(Self::Disconnect)
    }
}

impl Content {
    /// How much credit it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.payload.len(),
            Self::Disconnect(_) => 0,
        }
    }
}
