//! The link frame in progress, as a WebSocket frame: one masked binary message (RFC 6455, 5.2).
//!
//! Copies each message once, and masks the copy while it is in the first-level cache. tungstenite, which reads and writes
//! control frames, would need a contiguous frame, copy it, and mask the copy in another pass. Owns the frame's memory, which the
//! next frame reuses. Bound: one frame; the memory of a large one is released when a smaller one follows.

use std::io::{self, Write};

use rand::rngs::StdRng;
use rand::{Rng, make_rng};

/// First byte of a frame that is a whole binary message.
const BINARY: u8 = 0x82;

/// Second byte of a client's frame: the length is added.
const MASKED: u8 = 0x80;

/// Lengths up to this one are in the second byte. The two larger values announce 2 and 8 bytes of length.
const MAX_SHORT: u8 = 125;

/// Size of the longest header of a client's frame.
const MAX_HEADER: usize = 2 + 8 + 4;

/// Memory above this size, which a burst needed, is not kept for smaller frames.
const MAX_KEPT_BYTES: usize = 64 << 10;

pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// Masks must not be predictable (RFC 6455, 5.3).
    masks: StdRng,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), written: 0, masks: make_rng() }
    }

    /// Begins a frame with `length` bytes of payload in these parts. Only when the last one is written.
    pub(crate) fn fill<'a>(&mut self, length: usize, parts: impl Iterator<Item = &'a [u8]>) {
        debug_assert_eq!(self.written, self.bytes.len(), "the last frame is written");
        let mask = self.masks.next_u32();
        self.written = 0;
        self.bytes.clear();
        if self.bytes.capacity() > MAX_KEPT_BYTES && MAX_HEADER + length <= MAX_KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.reserve_exact(MAX_HEADER + length);
        self.bytes.push(BINARY);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=MAX_SHORT), _) => self.bytes.push(MASKED | short),
            (_, Ok(medium)) => {
                self.bytes.push(MASKED | (MAX_SHORT + 1));
                self.bytes.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                self.bytes.push(MASKED | (MAX_SHORT + 2));
                self.bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(&mask.to_le_bytes());
        let header = self.bytes.len();
        for part in parts {
            let begin = self.bytes.len();
            self.bytes.extend_from_slice(part);
            apply(mask, begin - header, &mut self.bytes[begin..]);
        }
        debug_assert_eq!(self.bytes.len(), header + length);
    }

    /// Writes the rest of the frame. Returns `WouldBlock` if something remains.
    pub(crate) fn write_to(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => self.written += taken,
            }
        }
        Ok(())
    }
}

/// Masks the bytes at `offset` in the payload (RFC 6455, 5.3).
fn apply(mask: u32, offset: usize, bytes: &mut [u8]) {
    #[expect(clippy::cast_possible_truncation, reason = "it is below 4")]
    let bytes_before = (offset % 4) as u32;
    // The first byte is the lowest one.
    let mask = mask.rotate_right(8 * bytes_before);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_le_bytes(*word) ^ mask).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::Role;
    use tungstenite::{Message, WebSocket};

    use super::*;

    /// Takes so many bytes at a time, and every other time none.
    struct Sink {
        at_a_time: usize,
        is_full: bool,
        taken: Vec<u8>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_full = !self.is_full;
            if self.is_full {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = self.at_a_time.min(bytes.len());
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The message that a server reads.
    fn received(bytes: Vec<u8>) -> Vec<u8> {
        let mut server = WebSocket::from_raw_socket(io::Cursor::new(bytes), Role::Server, None);
        let Message::Binary(payload) = server.read().unwrap() else { panic!("not binary") };
        assert!(server.read().is_err(), "one frame");
        payload.to_vec()
    }

    #[test]
    fn a_frame_of_any_length_in_parts_of_any_length_is_received_unchanged() {
        let mut outgoing = Outgoing::new();
        for length in (0..300).chain([65_535, 65_536, 100_000]) {
            let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            for part in [1, 2, 3, 7, 13, 4096] {
                outgoing.fill(length, payload.chunks(part));
                let mut bytes = Vec::new();
                outgoing.write_to(&mut bytes).unwrap();
                assert_eq!(received(bytes), payload);
            }
        }
    }

    #[test]
    fn a_partial_write_is_continued_where_it_ended() {
        let mut outgoing = Outgoing::new();
        let mut sink = Sink { at_a_time: 3, is_full: false, taken: Vec::new() };
        outgoing.fill(10, [&b"01234"[..], b"56789"].into_iter());
        while let Err(error) = outgoing.write_to(&mut sink) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        assert_eq!(received(sink.taken), b"0123456789");
    }

    #[test]
    fn no_two_frames_have_the_same_mask() {
        let mut outgoing = Outgoing::new();
        let mut frame = || {
            outgoing.fill(4, [&b"same"[..]].into_iter());
            outgoing.write_to(&mut io::sink()).unwrap();
            outgoing.bytes.clone()
        };
        assert_ne!(frame(), frame());
    }

    #[test]
    fn the_next_frame_reuses_the_memory() {
        let mut outgoing = Outgoing::new();
        outgoing.fill(1000, [&[0; 1000][..]].into_iter());
        outgoing.write_to(&mut io::sink()).unwrap();
        let (place, capacity) = (outgoing.bytes.as_ptr(), outgoing.bytes.capacity());
        assert_eq!(capacity, 1000 + MAX_HEADER);
        outgoing.fill(10, [&[0; 10][..]].into_iter());
        assert_eq!((outgoing.bytes.as_ptr(), outgoing.bytes.capacity()), (place, capacity));
    }

    #[test]
    fn the_memory_of_a_large_frame_is_kept_for_large_frames_only() {
        let mut outgoing = Outgoing::new();
        let large = vec![0; 2 * MAX_KEPT_BYTES];
        outgoing.fill(large.len(), [&large[..]].into_iter());
        outgoing.write_to(&mut io::sink()).unwrap();
        let place = outgoing.bytes.as_ptr();
        outgoing.fill(MAX_KEPT_BYTES, [&large[..MAX_KEPT_BYTES]].into_iter());
        outgoing.write_to(&mut io::sink()).unwrap();
        assert_eq!(outgoing.bytes.as_ptr(), place);
        outgoing.fill(10, [&large[..10]].into_iter());
        assert!(outgoing.bytes.capacity() <= MAX_KEPT_BYTES, "{}", outgoing.bytes.capacity());
    }
}
