//! A message on its way to the sessions: encoded once, shared by all of them.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked. The
//! link receives no events.

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Topic, wamp};

use super::Held;
use crate::frame::text_frame_of;

/// One message for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    /// Whose subscribers get it.
    pub topic: Topic,
    /// Who of the subscribers gets it.
    pub audience: Audience,
    /// The EVENT as a whole WebSocket frame, header included.
    pub frame: Bytes,
    /// Let go of when the last shard has let go of this delivery.
    _held: Held,
}

impl Delivery {
    /// Encodes a message. Of the link frame that it came in, which may be much larger, nothing is kept.
    pub fn new(message: Message, held: Held) -> Self {
        let Message { topic, payload, audience } = message;
        // The brackets, the type, the topic's quotes and a few escapes.
        let length = payload.len() + topic.as_str().len() + 32;
        let frame = text_frame_of(length, |buffer| wamp::append_event(buffer, &topic, &payload));
        Self { topic, audience, frame, _held: held }
    }
}
