//! An event on its way to the sessions: encoded once, shared by all of them.
//!
//! `wamp`, `orosync.1` and sessions without a subprotocol get the same bytes, because server frames are not masked. The
//! link receives no events.

use std::sync::Arc;

use bytes::Bytes;
use orosync_protocol::link_frame::{Audience, Message};
use orosync_protocol::{Position, Topic, wamp};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

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

/// A whole WebSocket text frame with this text.
pub fn text_frame(text: Bytes) -> Bytes {
    whole_frame(Frame::message(text, OpCode::Data(Data::Text), true))
}

/// A whole WebSocket binary frame with these bytes.
pub fn binary_frame(bytes: Bytes) -> Bytes {
    whole_frame(Frame::message(bytes, OpCode::Data(Data::Binary), true))
}

/// An empty WebSocket ping.
pub fn ping_frame() -> Bytes {
    whole_frame(Frame::ping(Bytes::new()))
}

fn whole_frame(frame: Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.len());
    let written = frame.format(&mut bytes);
    debug_assert!(written.is_ok(), "writing into memory does not fail");
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_not_masked_and_carry_their_length() {
        assert_eq!(text_frame(Bytes::from_static(b"hi")), &b"\x81\x02hi"[..]);
        assert_eq!(binary_frame(Bytes::from_static(b"hi")), &b"\x82\x02hi"[..]);
        assert_eq!(ping_frame(), &b"\x89\x00"[..]);
        assert_eq!(text_frame(vec![b'x'; 300].into())[..4], b"\x81\x7e\x01\x2c"[..]);
    }
}
