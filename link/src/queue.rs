//! The bounded queue between the publisher's thread and the link thread, and the counters of both.
//!
//! Owns what was accepted and not yet sent. Bound: [`Bounds`], which count what was sent and not acknowledged as well: a
//! message takes its budget when it enters and gives it back when it is acknowledged. The bound is compared before
//! anything is taken.
//!
//! Each counter has one writer and only grows, so neither side needs a lock or a read-modify-write, and what waits is always
//! a difference: accepted - taken are queued, taken - acknowledged are unacknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use orosync_protocol::link_frame::Message;

use crate::error::QueueFull;
use crate::options::Bounds;

/// The two ends of a new queue.
pub(crate) fn queue(bounds: Bounds) -> (Entrance, Exit) {
    // Boxed: a slot is a pointer and a stamp, so that the default bound reserves 160 KB in each PHP process, not a megabyte.
    let (sender, receiver) = bounded(bounds.messages());
    let counts = Arc::new(Counts::default());
    (
        Entrance { sender, counts: Arc::clone(&counts), bounds, accepted: 0, accepted_bytes: 0 },
        Exit { receiver, counts },
    )
}

/// The publisher's end.
#[derive(Debug)]
pub(crate) struct Entrance {
    sender: Sender<Box<Message>>,
    counts: Arc<Counts>,
    bounds: Bounds,
    accepted: u64,
    accepted_bytes: u64,
}

impl Entrance {
    /// Accepts a message, or refuses it and counts that. Never waits.
    pub(crate) fn try_push(&mut self, message: Message) -> Result<(), QueueFull> {
        let counts = &*self.counts;
        let bytes = self.accepted_bytes + cost(&message);
        let waiting = self.accepted - counts.acknowledged.load(Ordering::Acquire);
        let waiting_bytes = bytes - counts.acknowledged_bytes.load(Ordering::Acquire);
        if waiting >= self.bounds.messages() as u64 || waiting_bytes > self.bounds.bytes() {
            counts.refused.store(counts.refused.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return Err(QueueFull);
        }
        self.accepted += 1;
        self.accepted_bytes = bytes;
        // Before the push: the link thread may take the message at once, and nobody may see more taken than accepted.
        counts.accepted.store(self.accepted, Ordering::Release);
        self.sender.try_send(Box::new(message)).expect("the budget is no larger than the channel");
        Ok(())
    }

    /// How many messages were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The counters of both ends.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// The link thread's end.
#[derive(Debug)]
pub(crate) struct Exit {
    receiver: Receiver<Box<Message>>,
    counts: Arc<Counts>,
}

impl Exit {
    /// The oldest message that was not taken yet. It counts as unacknowledged from here on.
    pub(crate) fn take(&self) -> Option<Box<Message>> {
        let message = self.receiver.try_recv().ok()?;
        self.counts.taken.store(self.counts.taken.load(Ordering::Relaxed) + 1, Ordering::Release);
        Some(message)
    }

    /// Is there nothing to take?
    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// The budget of acknowledged messages, for new ones.
    pub(crate) fn give_back(&self, freed: Freed) {
        let counts = &*self.counts;
        let bytes = counts.acknowledged_bytes.load(Ordering::Relaxed) + freed.bytes;
        counts.acknowledged_bytes.store(bytes, Ordering::Release);
        let messages = counts.acknowledged.load(Ordering::Relaxed) + freed.messages;
        counts.acknowledged.store(messages, Ordering::Release);
    }
}

/// What an acknowledgement gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Freed {
    /// Adds one acknowledged message.
    pub(crate) fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += cost(message);
    }
}

/// What a message takes of [`Bounds::bytes`].
fn cost(message: &Message) -> u64 {
    let ids = message.audience.exclude.as_slice().len() + message.audience.eligible.as_slice().len();
    (message.topic.as_str().len() + message.payload.len() + ids * size_of::<u128>()) as u64
}

/// The counters of a queue: each with one writer, each only growing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    taken: AtomicU64,
    acknowledged: AtomicU64,
    acknowledged_bytes: AtomicU64,
    refused: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) acknowledged: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) queued: u64,
    pub(crate) refused: u64,
}

impl Counts {
    /// accepted = acknowledged + unacknowledged + queued, whoever reads and whenever: the counters are read in the order
    /// in which a message reaches them last, so that each difference is at least 0.
    pub(crate) fn tally(&self) -> Tally {
        let acknowledged = self.acknowledged();
        let taken = self.taken.load(Ordering::Acquire);
        let accepted = self.accepted.load(Ordering::Acquire);
        Tally {
            accepted,
            acknowledged,
            unacknowledged: taken - acknowledged,
            queued: accepted - taken,
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// How many messages the server has acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }
}

#[cfg(test)]
pub(crate) fn message(topic: &str, json: &'static str) -> Message {
    use orosync_protocol::{Payload, Topic};
    Message {
        topic: Topic::parse(topic).unwrap(),
        payload: Payload::from_encoder(bytes::Bytes::from_static(json.as_bytes())).unwrap(),
        audience: orosync_protocol::Audience::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn large(bytes: usize) -> Message {
        let payload = orosync_protocol::Payload::from_encoder(vec![b'1'; bytes].into()).unwrap();
        Message { payload, ..message("t", "1") }
    }

    #[test]
    fn a_full_queue_refuses_at_once_and_counts_it() {
        let (mut entrance, exit) = queue(Bounds::new(2, Bounds::MIN_BYTES).unwrap());
        assert_eq!(entrance.try_push(message("t", "1")), Ok(()));
        assert_eq!(entrance.try_push(message("t", "2")), Ok(()));
        assert_eq!(entrance.try_push(message("t", "3")), Err(QueueFull));
        let tally = entrance.counts().tally();
        assert_eq!((tally.accepted, tally.queued, tally.refused), (2, 2, 1));
        drop(exit);
    }

    #[test]
    fn what_was_sent_keeps_its_budget_until_it_is_acknowledged() {
        let (mut entrance, exit) = queue(Bounds::new(1, Bounds::MIN_BYTES).unwrap());
        entrance.try_push(message("t", "1")).unwrap();
        let sent = exit.take().unwrap();
        assert_eq!(entrance.try_push(message("t", "2")), Err(QueueFull));
        let mut freed = Freed::default();
        freed.add(&sent);
        exit.give_back(freed);
        assert_eq!(entrance.try_push(message("t", "3")), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_like_messages() {
        let (mut entrance, exit) = queue(Bounds::new(100, Bounds::MIN_BYTES).unwrap());
        let half = usize::try_from(Bounds::MIN_BYTES / 2).unwrap();
        entrance.try_push(large(half - 1)).unwrap();
        entrance.try_push(large(half - 1)).unwrap();
        assert_eq!(entrance.try_push(message("t", "1")), Err(QueueFull));
        let mut freed = Freed::default();
        freed.add(&exit.take().unwrap());
        exit.give_back(freed);
        assert_eq!(entrance.try_push(message("t", "1")), Ok(()));
    }

    #[test]
    fn the_counters_add_up_for_every_reader_at_every_moment() {
        const MESSAGES: u64 = 20_000;
        let (mut entrance, exit) = queue(Bounds::new(64, Bounds::MIN_BYTES).unwrap());
        let counts = Arc::clone(&entrance.counts);
        let link = thread::spawn(move || {
            let mut done = 0;
            while done < MESSAGES {
                if let Some(message) = exit.take() {
                    let mut freed = Freed::default();
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
            if entrance.try_push(message("t", "1")).is_err() {
                thread::yield_now();
            }
        }
        link.join().unwrap();
        let last = reader.join().unwrap();
        assert_eq!((last.accepted, last.queued, last.unacknowledged), (MESSAGES, 0, 0));
    }
}
