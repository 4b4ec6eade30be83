//! The bounded queue between publisher and link thread, and its counters.
//!
//! Owns messages accepted but not yet sent. Bound: [`Bounds`], which include sent but unacknowledged messages: a message takes
//! its budget when it enters and returns it when it is acknowledged. The bound is checked before anything is taken. The queue
//! is a ring with one writer and one reader, whose memory is touched only as far as it is used. With the feature `threads` it
//! has many writers: see `many.rs`, which owns their side.
//!
//! Each counter has one writer and only grows, so neither side needs a lock or a read-modify-write. Sizes are differences:
//! accepted - taken are queued, taken - acknowledged are unacknowledged. With many writers, only the writers' counters need
//! read-modify-write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orosync_protocol::link_frame::EncodedMessage;
#[cfg(not(feature = "threads"))]
use orosync_protocol::link_frame::MessageRef;
#[cfg(not(feature = "threads"))]
use rtrb::{Consumer, Producer, RingBuffer};

#[cfg(not(feature = "threads"))]
use crate::arena::Arena;
#[cfg(not(feature = "threads"))]
use crate::error::QueueFull;
#[cfg(feature = "threads")]
pub(crate) use crate::many::Entrance;
#[cfg(feature = "threads")]
use crate::many::{self, Consumer};
use crate::options::Bounds;

/// Creates the two ends of a queue.
pub(crate) fn queue(bounds: Bounds) -> (Entrance, Exit) {
    let counts = Arc::new(Counts::default());
    let (entrance, ring) = Entrance::new(Arc::clone(&counts), bounds);
    (entrance, Exit { ring, counts })
}

/// The publisher's end of the queue.
#[cfg(not(feature = "threads"))]
#[derive(Debug)]
pub(crate) struct Entrance {
    arena: Arena,
    ring: Producer<EncodedMessage>,
    counts: Arc<Counts>,
    bounds: Bounds,
    accepted: Budget,
    /// The last known value. It is read again only if it leaves too little room, because each read takes a cache line from the
    /// link thread.
    acknowledged: Budget,
}

#[cfg(not(feature = "threads"))]
impl Entrance {
    fn new(counts: Arc<Counts>, bounds: Bounds) -> (Self, Consumer<EncodedMessage>) {
        let (producer, consumer) = RingBuffer::new(bounds.messages());
        let entrance = Self {
            arena: Arena::new(),
            ring: producer,
            counts,
            bounds,
            accepted: Budget::default(),
            acknowledged: Budget::default(),
        };
        (entrance, consumer)
    }

    /// Accepts a message, or refuses and counts it. Never blocks.
    pub(crate) fn try_push(&mut self, message: MessageRef<'_>) -> Result<(), QueueFull> {
        let accepted = Budget {
            messages: self.accepted.messages + 1,
            bytes: self.accepted.bytes + message.encoded_len() as u64,
        };
        if !self.has_room(accepted) {
            self.acknowledged = self.counts.given_back();
            if !self.has_room(accepted) {
                self.counts.count_refused();
                return Err(QueueFull);
            }
        }
        self.accepted = accepted;
        // Before the push: the link thread may take the message at once, and nobody may see more messages taken than accepted.
        self.counts.publisher.accepted.store(accepted.messages, Ordering::Release);
        self.ring.push(self.arena.encode(message)).expect("the budget is no larger than the ring");
        Ok(())
    }

    /// Whether this total is within the bounds.
    fn has_room(&self, accepted: Budget) -> bool {
        accepted.messages - self.acknowledged.messages <= self.bounds.messages() as u64
            && accepted.bytes - self.acknowledged.bytes <= self.bounds.bytes()
    }

    /// Number of messages accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.messages
    }

    /// The counters of both ends.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// The link thread's end of the queue.
#[derive(Debug)]
pub(crate) struct Exit {
    #[cfg(not(feature = "threads"))]
    ring: Consumer<EncodedMessage>,
    #[cfg(feature = "threads")]
    ring: Consumer,
    counts: Arc<Counts>,
}

impl Exit {
    /// Takes the oldest message. From here on it counts as unacknowledged.
    pub(crate) fn take(&mut self) -> Option<EncodedMessage> {
        let message = self.ring.pop().ok()?;
        let taken = &self.counts.link.taken;
        taken.store(taken.load(Ordering::Relaxed) + 1, Ordering::Release);
        Some(message)
    }

    /// Number of messages taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.counts.link.taken.load(Ordering::Relaxed)
    }

    /// Number of messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.counts.acknowledged()
    }

    /// The size of the next message, if there is one.
    #[cfg_attr(
        not(feature = "threads"),
        expect(clippy::needless_pass_by_ref_mut, reason = "many writers' end is changed")
    )]
    pub(crate) fn next_bytes(&mut self) -> Option<usize> {
        self.ring.peek().ok().map(EncodedMessage::len)
    }

    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Returns the budget of acknowledged messages.
    pub(crate) fn give_back(&self, freed: Budget) {
        let counts = &self.counts.link;
        let bytes = counts.acknowledged_bytes.load(Ordering::Relaxed) + freed.bytes;
        counts.acknowledged_bytes.store(bytes, Ordering::Release);
        let messages = counts.acknowledged.load(Ordering::Relaxed) + freed.messages;
        counts.acknowledged.store(messages, Ordering::Release);
    }
}

/// A number of messages, and their size in a Publish frame in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Budget {
    /// Adds one message.
    pub(crate) fn add(&mut self, message: &EncodedMessage) {
        self.messages += 1;
        self.bytes += message.len() as u64;
    }
}

/// The counters of a queue. Each has one writer and only grows. Each writing thread has its own cache lines.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    publisher: PublisherCounts,
    link: LinkCounts,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct PublisherCounts {
    accepted: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct LinkCounts {
    taken: AtomicU64,
    acknowledged: AtomicU64,
    acknowledged_bytes: AtomicU64,
}

/// A consistent snapshot of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) acknowledged: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) queued: u64,
    pub(crate) refused: u64,
}

impl Counts {
    /// accepted = acknowledged + unacknowledged + queued for every reader at any time: the counters are read in the reverse
    /// order of a message's way, so that no difference is negative.
    pub(crate) fn tally(&self) -> Tally {
        let acknowledged = self.acknowledged();
        let taken = self.link.taken.load(Ordering::Acquire);
        let accepted = self.publisher.accepted.load(Ordering::Acquire);
        #[cfg(feature = "threads")]
        let accepted = many::messages(accepted);
        Tally {
            accepted,
            acknowledged,
            unacknowledged: taken - acknowledged,
            queued: accepted - taken,
            refused: self.publisher.refused.load(Ordering::Relaxed),
        }
    }

    /// Number of messages that the server has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.link.acknowledged.load(Ordering::Acquire)
    }

    /// Budget returned by acknowledgements. The bytes are stored first, so never more is returned than was taken.
    pub(crate) fn given_back(&self) -> Budget {
        let messages = self.acknowledged();
        Budget { messages, bytes: self.link.acknowledged_bytes.load(Ordering::Acquire) }
    }

    #[cfg(not(feature = "threads"))]
    fn count_refused(&self) {
        let refused = &self.publisher.refused;
        refused.store(refused.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    #[cfg(feature = "threads")]
    pub(crate) fn accepted(&self) -> &AtomicU64 {
        &self.publisher.accepted
    }

    #[cfg(feature = "threads")]
    pub(crate) fn refused(&self) -> &AtomicU64 {
        &self.publisher.refused
    }
}

#[cfg(test)]
pub(crate) fn message(topic: &str, json: &'static str) -> orosync_protocol::link_frame::Message {
    use orosync_protocol::{Payload, Topic};
    orosync_protocol::link_frame::Message {
        topic: Topic::parse(topic).unwrap(),
        payload: Payload::from_encoder(bytes::Bytes::from_static(json.as_bytes())).unwrap(),
        audience: orosync_protocol::Audience::default(),
    }
}

#[cfg(test)]
pub(crate) fn encoded(message: &orosync_protocol::link_frame::Message) -> EncodedMessage {
    EncodedMessage::new(message.lend(), &mut bytes::BytesMut::new())
}

#[cfg(test)]
pub(crate) fn large_message(bytes: usize) -> orosync_protocol::link_frame::Message {
    let payload = orosync_protocol::Payload::from_encoder(vec![b'1'; bytes].into()).unwrap();
    orosync_protocol::link_frame::Message { payload, ..message("t", "1") }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::error::QueueFull;

    #[test]
    fn a_full_queue_refuses_at_once_and_counts_it() {
        let (mut entrance, exit) = queue(Bounds::new(2, Bounds::MIN_BYTES).unwrap());
        assert_eq!(entrance.try_push(message("t", "1").lend()), Ok(()));
        assert_eq!(entrance.try_push(message("t", "2").lend()), Ok(()));
        assert_eq!(entrance.try_push(message("t", "3").lend()), Err(QueueFull));
        let tally = entrance.counts().tally();
        assert_eq!((tally.accepted, tally.queued, tally.refused), (2, 2, 1));
        drop(exit);
    }

    #[test]
    fn a_sent_message_keeps_its_budget_until_it_is_acknowledged() {
        let (mut entrance, mut exit) = queue(Bounds::new(1, Bounds::MIN_BYTES).unwrap());
        entrance.try_push(message("t", "1").lend()).unwrap();
        let sent = exit.take().unwrap();
        assert_eq!(entrance.try_push(message("t", "2").lend()), Err(QueueFull));
        let mut freed = Budget::default();
        freed.add(&sent);
        exit.give_back(freed);
        assert_eq!(entrance.try_push(message("t", "3").lend()), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_like_messages() {
        let (mut entrance, mut exit) = queue(Bounds::new(100, Bounds::MIN_BYTES).unwrap());
        let around_it = message("t", "").lend().encoded_len();
        let half = large_message(usize::try_from(Bounds::MIN_BYTES / 2).unwrap() - around_it);
        entrance.try_push(half.lend()).unwrap();
        entrance.try_push(half.lend()).unwrap();
        assert_eq!(entrance.try_push(message("t", "1").lend()), Err(QueueFull));
        let mut freed = Budget::default();
        freed.add(&exit.take().unwrap());
        exit.give_back(freed);
        assert_eq!(entrance.try_push(message("t", "1").lend()), Ok(()));
    }

    #[test]
    fn the_counters_add_up_for_concurrent_readers() {
        const MESSAGES: u64 = 20_000;
        let (mut entrance, mut exit) = queue(Bounds::new(64, Bounds::MIN_BYTES).unwrap());
        let counts = Arc::clone(&entrance.counts);
        let link = thread::spawn(move || {
            let mut done = 0;
            while done < MESSAGES {
                if let Some(message) = exit.take() {
                    let mut freed = Budget::default();
                    freed.add(&message);
                    exit.give_back(freed);
                    done += 1;
                } else {
                    thread::yield_now();
                }
            }
        });
        let reader = thread::spawn(move || {
            loop {
                let tally = counts.tally();
                assert_eq!(tally.accepted, tally.acknowledged + tally.unacknowledged + tally.queued);
                assert!(tally.unacknowledged <= MESSAGES && tally.queued <= MESSAGES, "{tally:?}");
                if tally.acknowledged == MESSAGES {
                    break tally;
                }
            }
        });
        while entrance.accepted() < MESSAGES {
            if entrance.try_push(message("t", "1").lend()).is_err() {
                thread::yield_now();
            }
        }
        link.join().unwrap();
        let last = reader.join().unwrap();
        assert_eq!((last.accepted, last.queued, last.unacknowledged), (MESSAGES, 0, 0));
    }
}
