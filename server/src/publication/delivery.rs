//! The delivery of a message to sessions. It has two frames, with and without the position; each is encoded on first use and
//! shared by all sessions.
//!
//! Server frames are not masked, so sessions of `wamp`, `orosync.1` and without a subprotocol share the same bytes. Sessions
//! that subscribed with `orosync/subscribe` get the frame with the position. The link receives no events.

use std::sync::OnceLock;

use bytes::Bytes;
use orosync_protocol::{Position, Topic, wamp};

use super::Held;
use super::event_body::EventBody;
use crate::frame::text_frame_of;

/// A message for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    /// The topic whose subscribers receive the message.
    pub topic: Topic,
    /// The payload, and the recipients among the subscribers.
    pub body: EventBody,
    /// The event's position in the history of its topic.
    pub position: Position,
    plain: OnceLock<Bytes>,
    positioned: OnceLock<Bytes>,
    /// Credit and receipt, released when the last shard has dropped this delivery.
    _held: Held,
}

impl Delivery {
    /// The delivery of an event with this position.
    pub fn new(topic: Topic, body: EventBody, position: Position, held: Held) -> Self {
        Self { topic, body, position, plain: OnceLock::new(), positioned: OnceLock::new(), _held: held }
    }

    /// The EVENT as a complete WebSocket frame.
    pub fn plain(&self) -> &Bytes {
        self.plain.get_or_init(|| self.encode(None))
    }

    /// The EVENT with its position, as a complete WebSocket frame.
    pub fn positioned(&self) -> &Bytes {
        self.positioned.get_or_init(|| self.encode(Some(self.position)))
    }

    fn encode(&self, position: Option<Position>) -> Bytes {
        let (topic, payload) = (&self.topic, self.body.payload());
        // Brackets, type, quotes and some escapes of the topic; the position.
        let length =
            payload.as_bytes().len() + topic.as_str().len() + if position.is_some() { 72 } else { 32 };
        text_frame_of(length, |buffer| wamp::append_event(buffer, topic, payload, position))
    }
}
