//! An event on its way to the sessions: encoded once, shared by all of them.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked. The
//! link receives no events.

use std::sync::Arc;

use bytes::Bytes;
use orosync_protocol::link_frame::{Audience, Message};
use orosync_protocol::{Position, Topic, wamp};

use crate::frame::text_frame;
use crate::node::credit::Credit;

/// One event for the sessions of this node.
#[derive(Debug)]
pub struct Delivery {
    /// Whose subscribers get it.
    pub topic: Topic,
    /// Where it stands in its topic's history.
    pub position: Position,
    /// Who of the subscribers gets it.
    pub audience: Audience,
    /// The EVENT as a whole WebSocket frame, header included.
    pub frame: Bytes,
    /// Goes back to the publishers when the last shard has let go of this delivery.
    _credit: Credit,
}

impl Delivery {
    /// Encodes an event.
    pub fn new(message: Message, position: Position, credit: Credit) -> Arc<Self> {
        let frame = text_frame(wamp::encode_event(&message.topic, &message.payload));
        Arc::new(Self { topic: message.topic, position, audience: message.audience, frame, _credit: credit })
    }
}
