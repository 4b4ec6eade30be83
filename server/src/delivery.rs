//! An event on its way to the sessions: encoded once, shared by all of them.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked. The
//! link receives no events.

use std::sync::Arc;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Topic, wamp};

use crate::frame::text_frame_of;
use crate::node::credit::Credit;
use crate::node::receipt::Receipt;

/// One event for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    /// Whose subscribers get it.
    pub topic: Topic,
    /// Who of the subscribers gets it.
    pub audience: Audience,
    /// The EVENT as a whole WebSocket frame, header included.
    pub frame: Bytes,
    /// Goes back to the publishers when the last shard has let go of this delivery.
    _credit: Credit,
    /// Goes back to the publisher's session in the same moment, if it waits for it.
    _receipt: Option<Arc<Receipt>>,
}

impl Delivery {
    /// Encodes an event.
    pub fn new(message: Message, credit: Credit, receipt: Option<Arc<Receipt>>) -> Self {
        let Message { topic, payload, audience } = message;
        // The brackets, the type, the topic's quotes and a few escapes.
        let length = payload.len() + topic.as_str().len() + 32;
        let frame = text_frame_of(length, |buffer| wamp::append_event(buffer, &topic, &payload));
        Self { topic, audience, frame, _credit: credit, _receipt: receipt }
    }
}
