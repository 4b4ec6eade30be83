//! Memory for queued messages, in chunks that are reused.
//!
//! To allocate each message in the publisher's thread and free it in the link thread would cost lock contention in `malloc()`,
//! page faults, and a heap that grows and shrinks with each burst. Here a message is a slice of a chunk. Once all messages of a
//! chunk are acknowledged, its only writer reuses it, so that the steady state has no allocation.
//!
//! Owns the chunks. Bound: the queue's bound, plus at most [`MAX_KEPT_CHUNKS`] chunks that are kept for the next burst.

use std::collections::VecDeque;
use std::mem;

use bytes::BytesMut;
use orosync_protocol::link_frame::{EncodedMessage, MessageRef};

/// Size of a chunk: about a hundred messages of a usual size.
const CHUNK_BYTES: usize = 32 << 10;

/// A larger message gets its own allocation, which is freed with it.
const LARGE_BYTES: usize = CHUNK_BYTES / 4;

/// Maximum number of chunks kept for reuse: 2 MiB, in a process that has once published that much at a time. In a PHP with
/// threads, 512 KiB per thread that has.
const MAX_KEPT_CHUNKS: usize = if cfg!(feature = "threads") { 16 } else { 64 };

#[derive(Debug)]
pub(crate) struct Arena {
    /// The unused rest of the current chunk.
    open: BytesMut,
    /// Chunks that are full, oldest first. None of them has a free byte before its last message is acknowledged.
    full: VecDeque<BytesMut>,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { open: BytesMut::with_capacity(CHUNK_BYTES), full: VecDeque::new() }
    }

    /// Encodes a message.
    pub(crate) fn encode(&mut self, message: MessageRef<'_>) -> EncodedMessage {
        let bytes = message.encoded_len();
        if bytes > LARGE_BYTES {
            return EncodedMessage::new(message, &mut BytesMut::with_capacity(bytes));
        }
        if self.open.capacity() < bytes {
            self.next_chunk();
        }
        EncodedMessage::new(message, &mut self.open)
    }

    /// Switches to an empty chunk: the one just filled, if all of it is acknowledged; or the oldest; or a new one.
    fn next_chunk(&mut self) {
        if self.open.try_reclaim(CHUNK_BYTES) {
            return;
        }
        let oldest = self.full.front_mut().is_some_and(|oldest| oldest.try_reclaim(CHUNK_BYTES));
        let next = if oldest { self.full.pop_front() } else { None };
        let filled =
            mem::replace(&mut self.open, next.unwrap_or_else(|| BytesMut::with_capacity(CHUNK_BYTES)));
        if self.full.len() == MAX_KEPT_CHUNKS {
            self.full.pop_front();
        }
        self.full.push_back(filled);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::queue::{large_message, message};

    /// Encodes messages that are acknowledged once `behind` newer ones exist. Returns their addresses.
    fn places(arena: &mut Arena, messages: usize, behind: usize) -> HashSet<*const u8> {
        let message = message("t", "\"something\"");
        let mut waiting = VecDeque::new();
        let mut places = HashSet::new();
        for _ in 0..messages {
            let encoded = arena.encode(message.lend());
            places.insert(encoded.as_bytes().as_ptr());
            waiting.push_back(encoded);
            if waiting.len() > behind {
                waiting.pop_front();
            }
        }
        places
    }

    #[test]
    fn the_memory_of_acknowledged_messages_is_reused() {
        let mut arena = Arena::new();
        let in_one_chunk = CHUNK_BYTES / message("t", "\"something\"").lend().encoded_len();
        assert!(places(&mut arena, 20_000, 0).len() <= in_one_chunk);
    }

    #[test]
    fn a_burst_reuses_the_memory_of_the_previous_burst() {
        let mut arena = Arena::new();
        let mut known = HashSet::new();
        for _ in 0..10 {
            known.extend(places(&mut arena, 5_000, 5_000));
        }
        for _ in 0..10 {
            assert!(places(&mut arena, 5_000, 5_000).is_subset(&known));
        }
    }

    #[test]
    fn waiting_messages_are_not_overwritten_and_kept_chunks_are_bounded() {
        let mut arena = Arena::new();
        let encoded: Vec<_> = (0..200_000)
            .map(|number| {
                let message = message("t", Box::leak(format!("{number}").into_boxed_str()));
                (arena.encode(message.lend()), message)
            })
            .collect();
        for (encoded, message) in &encoded {
            assert_eq!(*encoded, EncodedMessage::new(message.lend(), &mut BytesMut::new()));
        }
        assert_eq!(arena.full.len(), MAX_KEPT_CHUNKS);
    }

    #[test]
    fn a_large_message_uses_no_chunk() {
        let mut arena = Arena::new();
        arena.encode(large_message(LARGE_BYTES).lend());
        assert_eq!(arena.open.capacity(), CHUNK_BYTES);
    }
}
