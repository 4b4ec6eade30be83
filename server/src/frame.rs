//! Encoded WebSocket frames of a server. They are not masked, so any number of sessions can share the same bytes.

use bytes::Bytes;
use orosync_protocol::CloseReason;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

/// The longest header of a server's frame: RFC 6455, 5.2.
const MAX_HEADER_BYTES: usize = 10;

/// Maximum number of frames per write. The kernel allows 1024 (`IOV_MAX`), but beyond a few dozen a longer list saves nothing.
pub const MAX_SLICES: usize = 64;

/// A text frame with this text.
pub fn text_frame(text: Bytes) -> Bytes {
    whole_frame(Frame::message(text, OpCode::Data(Data::Text), true))
}

/// A text frame whose text is appended by `append` to the buffer that it is given. `length` is the expected number of
/// bytes. Saves a copy of large texts.
pub fn text_frame_of(length: usize, append: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Bytes {
    let mut buffer = Vec::with_capacity(MAX_HEADER_BYTES + length);
    buffer.extend([0; MAX_HEADER_BYTES]);
    let mut frame = append(buffer);
    let payload = frame.len() - MAX_HEADER_BYTES;
    let header = FrameHeader { is_final: true, opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    let start = MAX_HEADER_BYTES - header.len(payload as u64);
    let written = header.format(payload as u64, &mut &mut frame[start..MAX_HEADER_BYTES]);
    debug_assert!(written.is_ok(), "there is room for the longest header");
    Bytes::from(frame).slice(start..)
}

/// A binary frame with these bytes.
pub fn binary_frame(bytes: Bytes) -> Bytes {
    whole_frame(Frame::message(bytes, OpCode::Data(Data::Binary), true))
}

/// An empty ping.
pub fn ping_frame() -> Bytes {
    whole_frame(Frame::ping(Bytes::new()))
}

/// A Close frame with the code and text of this reason.
pub fn close_frame(reason: CloseReason) -> Bytes {
    let frame = CloseFrame { code: CloseCode::from(reason.code()), reason: reason.text().into() };
    whole_frame(Frame::close(Some(frame)))
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
        for length in [0, 125, 126, 65_535, 65_536] {
            let text = vec![b'x'; length];
            let appended = text_frame_of(length, |mut buffer| {
                buffer.extend(&text);
                buffer
            });
            assert_eq!(appended, text_frame(text.into()), "{length}");
        }
    }
}
