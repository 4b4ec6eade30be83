//! The publishers' side of the queue in a PHP with threads: many writers, one reader.
//!
//! Each thread has its own entrance with its own arena. Threads share only three atomics: the bytes and the messages taken from
//! the budget, and the position in the channel. The messages of one thread stay in order. Bound: one budget for all threads,
//! checked before anything is taken; the channel's memory is allocated at the start.
//!
//! Also owns the end of accepting: after [`Entrance::close`] no thread's message is accepted, and all accepted before are
//! counted. The closed flag is a bit of the message counter itself, so that closing and accepting cannot interleave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use orosync_protocol::link_frame::{EncodedMessage, MessageRef};

use crate::arena::Arena;
use crate::error::QueueFull;
use crate::options::Bounds;
use crate::queue::{Budget, Counts};

/// Bit in the counter of accepted messages: the queue is closed. No process accepts that many messages.
const CLOSED: u64 = 1 << 63;

/// The number of messages in a counter value.
pub(crate) fn messages(accepted: u64) -> u64 {
    accepted & !CLOSED
}

/// The reading end, used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Consumer {
    channel: Receiver<EncodedMessage>,
    /// A message that was peeked but not taken.
    next: Option<EncodedMessage>,
}

impl Consumer {
    pub(crate) fn pop(&mut self) -> Result<EncodedMessage, TryRecvError> {
        self.next.take().map_or_else(|| self.channel.try_recv(), Ok)
    }

    /// Returns the next message without taking it.
    pub(crate) fn peek(&mut self) -> Result<&EncodedMessage, TryRecvError> {
        match &mut self.next {
            Some(next) => Ok(next),
            next => Ok(next.insert(self.channel.try_recv()?)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_none() && self.channel.is_empty()
    }
}

/// One thread's writing end.
#[derive(Debug)]
pub(crate) struct Entrance {
    arena: Arena,
    channel: Sender<EncodedMessage>,
    pub(crate) counts: Arc<Counts>,
    /// Total bytes ever taken from the budget by all threads.
    bytes: Arc<AtomicU64>,
    bounds: Bounds,
    /// The acknowledged budget when this thread last read it.
    acknowledged: Budget,
}

impl Entrance {
    /// Creates the first entrance and the reading end.
    pub(crate) fn new(counts: Arc<Counts>, bounds: Bounds) -> (Self, Consumer) {
        let (sender, receiver) = bounded(bounds.messages());
        let entrance = Self {
            arena: Arena::new(),
            channel: sender,
            counts,
            bytes: Arc::default(),
            bounds,
            acknowledged: Budget::default(),
        };
        (entrance, Consumer { channel: receiver, next: None })
    }

    /// Creates an entrance for another thread.
    pub(crate) fn another(&self) -> Self {
        Self {
            arena: Arena::new(),
            channel: self.channel.clone(),
            counts: Arc::clone(&self.counts),
            bytes: Arc::clone(&self.bytes),
            bounds: self.bounds,
            acknowledged: self.acknowledged,
        }
    }

    /// Accepts a message, or refuses and counts it. Never blocks.
    pub(crate) fn try_push(&mut self, message: MessageRef<'_>) -> Result<(), QueueFull> {
        let bytes = message.encoded_len() as u64;
        if !self.try_take(bytes) {
            self.acknowledged = self.counts.given_back();
            if !self.try_take(bytes) {
                self.counts.refused().fetch_add(1, Ordering::Relaxed);
                return Err(QueueFull);
            }
        }
        // There is room: the budget is no larger than the channel, and each link keeps the reader.
        let _ = self.channel.try_send(self.arena.encode(message));
        Ok(())
    }

    /// Takes the budget of a message, bytes first. If there is no room for the message, the bytes are given back, and no other
    /// thread has relied on them. A counted message is always pushed.
    fn try_take(&self, bytes: u64) -> bool {
        let within = |taken: u64, more: u64, given_back: u64, bound: u64| {
            let taken = taken.checked_add(more)?;
            (taken - given_back <= bound).then_some(taken)
        };
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            within(taken, bytes, self.acknowledged.bytes, self.bounds.bytes())
        });
        if taken.is_err() {
            return false;
        }
        let accepted = self.counts.accepted().fetch_update(Ordering::AcqRel, Ordering::Relaxed, |accepted| {
            let room = self.bounds.messages() as u64;
            (accepted & CLOSED == 0).then(|| within(accepted, 1, self.acknowledged.messages, room)).flatten()
        });
        if accepted.is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        accepted.is_ok()
    }

    /// Refuses all further messages in all threads. Messages whose budget is already taken are still pushed.
    pub(crate) fn close(&self) {
        self.counts.accepted().fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Number of messages accepted so far, in all threads.
    pub(crate) fn accepted(&self) -> u64 {
        messages(self.counts.accepted().load(Ordering::Acquire))
    }

    /// The counters of both ends.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::queue::{Exit, message, queue};

    const THREADS: usize = 4;

    fn give_back(exit: &Exit, message: &EncodedMessage) {
        let mut freed = Budget::default();
        freed.add(message);
        exit.give_back(freed);
    }

    /// A numbered message of a thread.
    fn numbered(thread: usize, number: usize) -> orosync_protocol::link_frame::Message {
        message(&format!("of/{thread}"), Box::leak(number.to_string().into_boxed_str()))
    }

    #[test]
    fn messages_of_each_thread_stay_in_order_and_the_shared_bound_holds() {
        const MESSAGES: usize = 5_000;
        const BOUND: usize = 16;
        let (entrance, mut exit) = queue(Bounds::new(BOUND, Bounds::MIN_BYTES).unwrap());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let mut entrance = entrance.another();
                scope.spawn(move || {
                    for number in 0..MESSAGES {
                        let message = numbered(thread, number);
                        while entrance.try_push(message.lend()).is_err() {
                            thread::yield_now();
                        }
                    }
                });
            }
            let mut next = [0; THREADS];
            while next.iter().sum::<usize>() < THREADS * MESSAGES {
                let tally = entrance.counts().tally();
                assert!(tally.queued + tally.unacknowledged <= BOUND as u64, "{tally:?}");
                let Some(taken) = exit.take() else {
                    thread::yield_now();
                    continue;
                };
                let of = (0..THREADS)
                    .find(|of| taken == crate::queue::encoded(&numbered(*of, next[*of])))
                    .expect("the next message of its thread");
                next[of] += 1;
                give_back(&exit, &taken);
            }
        });
        let tally = entrance.counts().tally();
        assert_eq!((tally.accepted, tally.queued, tally.unacknowledged), ((THREADS * MESSAGES) as u64, 0, 0));
    }

    #[test]
    fn a_closed_queue_yields_exactly_the_accepted_messages() {
        for _ in 0..200 {
            let (entrance, mut exit) = queue(Bounds::new(1_000, Bounds::MIN_BYTES).unwrap());
            let begun = AtomicBool::new(false);
            let accepted: HashMap<usize, usize> = thread::scope(|scope| {
                let pushing: Vec<_> = (0..THREADS)
                    .map(|thread| {
                        let (mut entrance, begun) = (entrance.another(), &begun);
                        scope.spawn(move || {
                            begun.store(true, Ordering::Relaxed);
                            let push = |number| entrance.try_push(numbered(thread, number).lend());
                            (thread, (0..200).map(push).take_while(Result::is_ok).count())
                        })
                    })
                    .collect();
                while !begun.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                entrance.close();
                let at_the_end = entrance.accepted();
                let accepted: HashMap<_, _> =
                    pushing.into_iter().map(|thread| thread.join().unwrap()).collect();
                assert_eq!(accepted.values().sum::<usize>() as u64, at_the_end);
                accepted
            });
            let mut came = 0_u64;
            while exit.take().is_some() {
                came += 1;
            }
            assert_eq!(came, accepted.values().sum::<usize>() as u64);
            assert!(entrance.another().try_push(numbered(0, 0).lend()).is_err());
            assert_eq!(entrance.counts().tally().accepted, came);
        }
    }

    #[test]
    fn a_refused_message_releases_its_bytes() {
        let (mut entrance, mut exit) = queue(Bounds::new(1, Bounds::MIN_BYTES).unwrap());
        entrance.try_push(message("t", "1").lend()).unwrap();
        let large = crate::queue::large_message(usize::try_from(Bounds::MIN_BYTES / 2).unwrap());
        for _ in 0..3 {
            assert_eq!(entrance.another().try_push(large.lend()), Err(QueueFull));
        }
        let taken = exit.take().unwrap();
        give_back(&exit, &taken);
        assert_eq!(entrance.another().try_push(large.lend()), Ok(()));
        assert_eq!(entrance.counts().tally().refused, 3);
    }
}
