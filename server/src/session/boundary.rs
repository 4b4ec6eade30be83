//! Boundaries of WebSocket frames in a byte stream that arrives in arbitrary pieces.
//!
//! tungstenite keeps a buffer as large as the largest input that it was ever given, and consumes all fragments of a message in
//! one call. It is therefore given one frame at a time, which also allows the frames to be counted.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

/// Maximum length of a frame header: RFC 6455, 5.2.
const MAX_HEADER_BYTES: usize = 14;

/// Tracks the frame boundaries of one session's input.
#[derive(Debug, Default)]
pub struct FrameBoundary {
    header: [u8; MAX_HEADER_BYTES],
    /// Number of the header's bytes that have arrived.
    header_bytes: u8,
    payload_left: u64,
    frames: u32,
    /// Whether a fragmented message has begun whose last fragment has not.
    is_fragmented: bool,
}

impl FrameBoundary {
    /// Number of bytes at the start of `input` that belong to the current frame. At least one if `input` is not empty.
    pub fn split(&mut self, input: &[u8]) -> usize {
        if self.payload_left > 0 {
            return self.split_payload(input);
        }
        let before = usize::from(self.header_bytes);
        let added = input.len().min(MAX_HEADER_BYTES - before);
        self.header[before..before + added].copy_from_slice(&input[..added]);
        let mut header = Cursor::new(&self.header[..before + added]);
        match FrameHeader::parse(&mut header) {
            Ok(Some((frame, payload))) => {
                if matches!(frame.opcode, OpCode::Data(_)) {
                    self.is_fragmented = !frame.is_final;
                }
                self.payload_left = payload;
                self.header_bytes = 0;
                self.frames = self.frames.saturating_add(1);
                let header_end = usize::try_from(header.position()).unwrap_or(MAX_HEADER_BYTES) - before;
                header_end + self.split_payload(&input[header_end..])
            }
            Ok(None) => {
                // At most `MAX_HEADER_BYTES`.
                self.header_bytes += u8::try_from(added).unwrap_or(u8::MAX);
                added
            }
            // Not a valid frame: tungstenite reports the error, and nothing after it is read.
            Err(_) => input.len(),
        }
    }

    fn split_payload(&mut self, input: &[u8]) -> usize {
        let taken = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(input.len());
        self.payload_left -= taken as u64;
        taken
    }

    /// Whether neither a frame nor a fragmented message is incomplete.
    pub fn is_between_messages(&self) -> bool {
        self.header_bytes == 0 && self.payload_left == 0 && !self.is_fragmented
    }

    /// Number of frames that have begun since the last call.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: usize) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match payload {
            0..126 => bytes.push(0x80 | u8::try_from(payload).unwrap()),
            126..65_536 => {
                bytes.push(0x80 + 126);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 + 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + payload, b'x');
        bytes
    }

    proptest! {
        #[test]
        fn no_piece_contains_bytes_of_two_frames(
            sizes in proptest::collection::vec(prop_oneof![0_usize..300, 65_530_usize..65_540], 1..6),
            cuts in proptest::collection::vec(1_usize..5000, 1..50),
        ) {
            let frames: Vec<Vec<u8>> = sizes.iter().map(|size| frame(*size)).collect();
            let ends: Vec<usize> =
                frames.iter().scan(0, |end, frame| { *end += frame.len(); Some(*end) }).collect();
            let bytes = frames.concat();
            let mut boundary = FrameBoundary::default();
            let (mut at, mut cuts) = (0, cuts.into_iter().cycle());
            while at < bytes.len() {
                let piece = cuts.next().unwrap_or(1).min(bytes.len() - at);
                let taken = boundary.split(&bytes[at..at + piece]);
                prop_assert!(taken > 0 && taken <= piece);
                let end = ends.iter().find(|end| **end > at).unwrap();
                prop_assert!(at + taken <= *end, "{at} + {taken} crosses {end}");
                at += taken;
            }
            prop_assert_eq!(boundary.take_frames() as usize, sizes.len());
        }
    }
}
