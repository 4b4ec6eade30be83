//! An event on its way to the sessions: encoded once, shared by all of them.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked. The
//! link receives no events.

use std::sync::OnceLock;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Topic, wamp};

use crate::frame::text_frame_of;
use crate::publication::Held;

/// One event for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    message: Message,
    /// See [`Delivery::frame`].
    frame: OnceLock<Bytes>,
    /// Let go of when the last shard has let go of this delivery.
    _held: Held,
}

impl Delivery {
    /// An event that is not encoded yet.
    pub fn new(message: Message, held: Held) -> Self {
        Self { message, frame: OnceLock::new(), _held: held }
    }

    /// Whose subscribers get it.
    pub fn topic(&self) -> &Topic {
        &self.message.topic
    }

    /// Who of the subscribers gets it.
    pub fn audience(&self) -> &Audience {
        &self.message.audience
    }

    /// The EVENT as a whole WebSocket frame, header included. The first shard that asks encodes it: not under the lock that
    /// keeps the topic's order, and not if nobody asks.
    pub fn frame(&self) -> &Bytes {
        self.frame.get_or_init(|| {
            let Message { topic, payload, .. } = &self.message;
            // The brackets, the type, the topic's quotes and a few escapes.
            let length = payload.len() + topic.as_str().len() + 32;
            text_frame_of(length, |buffer| wamp::append_event(buffer, topic, payload))
        })
    }
}
