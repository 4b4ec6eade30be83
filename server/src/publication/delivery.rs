//! A message on its way to the sessions: each of its two frames is encoded once, if anybody wants it, and shared by all who do.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked; who has
//! subscribed by `orosync/subscribe` gets those with the position. The link receives no events.

use std::sync::OnceLock;

use bytes::Bytes;
use orosync_protocol::{Position, Topic, wamp};

use super::Held;
use super::kept::Kept;
use crate::frame::text_frame_of;

/// One message for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    /// Whose subscribers get it.
    pub topic: Topic,
    /// What it says, and to whom of the subscribers.
    pub kept: Kept,
    /// Where it stands in its topic's history.
    pub position: Position,
    plain: OnceLock<Bytes>,
    positioned: OnceLock<Bytes>,
    /// Let go of when the last shard has let go of this delivery.
    _held: Held,
}

impl Delivery {
    /// Of an event that has this position.
    pub fn new(topic: Topic, kept: Kept, position: Position, held: Held) -> Self {
        Self { topic, kept, position, plain: OnceLock::new(), positioned: OnceLock::new(), _held: held }
    }

    /// The EVENT as a whole WebSocket frame, header included.
    pub fn plain(&self) -> &Bytes {
        self.plain.get_or_init(|| self.encode(None))
    }

    /// The same with the position.
    pub fn positioned(&self) -> &Bytes {
        self.positioned.get_or_init(|| self.encode(Some(self.position)))
    }

    fn encode(&self, position: Option<Position>) -> Bytes {
        let (topic, payload) = (&self.topic, self.kept.payload());
        // The brackets, the type, the topic's quotes and a few escapes; the position.
        let length =
            payload.as_bytes().len() + topic.as_str().len() + if position.is_some() { 72 } else { 32 };
        text_frame_of(length, |buffer| wamp::append_event(buffer, topic, payload, position))
    }
}
