//! Whole WebSocket frames of a server, header included: not masked, so that the same bytes serve any number of sessions.

use bytes::Bytes;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// A text frame with this text.
pub fn text_frame(text: Bytes) -> Bytes {
    whole_frame(Frame::message(text, OpCode::Data(Data::Text), true))
}

/// A binary frame with these bytes.
pub fn binary_frame(bytes: Bytes) -> Bytes {
    whole_frame(Frame::message(bytes, OpCode::Data(Data::Binary), true))
}

/// An empty ping.
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
