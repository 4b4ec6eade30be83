//! The hand-over between publishers and the link thread: who sends a message, and who wakes whom.
//!
//! Pushing while the thread is awake costs the publisher 30 to 160 ns. Waking it costs microseconds, plus a context switch for
//! the message and another one for its acknowledgement. So the thread sets a flag while it sleeps. A publisher that finds the
//! flag down does nothing more. If the flag is up, the pump's lock is free: a publisher that gets it sends its message itself
//! and sets an alarm, so that the thread reads the acknowledgement later; otherwise it rings the bell.
//!
//! ```text
//! publisher: push; flag up? -- no ---> done, the thread is awake
//!                           `- yes --> try the lock -- got it, sent ---> set the alarm
//!                                                   `- else -----------> flag down, ring
//! thread:    flag up; queue empty? --> unlock; wait for bell, alarm, socket; flag down; lock
//! ```
//!
//! No wakeup is lost: the publisher pushes, then reads the flag; the thread raises the flag, then checks the queue once more.
//! `tests/hand_over.rs` explores the interleavings of this file.
//!
//! Owns the flag, the bell and the alarm. The latter two are created before the thread starts; until then nobody sleeps.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use once_cell::sync::OnceCell;
use rustix::event::PollFlags;

use crate::bell::Bell;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, PoisonError, fence};

/// Maximum delay before an acknowledgement is read that nobody waits for. Many messages may share one read, and a person who
/// reads the status does not notice.
const LATER: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
    /// Whether the alarm was set and the thread has not handled it yet.
    alarm_is_set: AtomicBool,
    bell: OnceCell<Bell>,
}

impl Doorbell {
    pub(crate) fn new() -> Self {
        Self { asleep: AtomicBool::new(false), alarm_is_set: AtomicBool::new(false), bell: OnceCell::new() }
    }

    /// Creates bell and alarm, if they do not exist yet.
    pub(crate) fn install(&self) -> io::Result<()> {
        self.bell.get_or_try_init(Bell::new)?;
        Ok(())
    }

    /// Whether the link thread sleeps. A publisher calls this after a push: if so, the message must be sent, or the thread
    /// woken.
    pub(crate) fn is_asleep(&self) -> bool {
        // Orders the push before reading the flag; `sleep` has the other half.
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed)
    }

    /// For a publisher that found the thread asleep: sends the message if it can, otherwise wakes the thread. Never blocks.
    pub(crate) fn send_or_wake<T>(&self, pump: &Mutex<T>, send_alone: impl FnOnce(&mut T) -> bool) {
        // The lock may be held by the thread, which is about to sleep or awake again, or by another publisher. It is poisoned
        // if the thread has panicked and not cleaned up yet.
        let has_sent = pump.try_lock().is_ok_and(|mut pump| send_alone(&mut pump));
        if has_sent { self.ring_later() } else { self.ring_if_asleep() }
    }

    /// Wakes the thread, whatever it does: for requests, which are not in the queue.
    pub(crate) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    /// For the thread: releases the pump, and sleeps until the bell rings, the alarm goes off, `socket` is ready or the timeout
    /// expires. Does not sleep if the queue is not empty. Returns whether the socket may be ready.
    pub(crate) fn sleep<'a, T>(
        &self,
        pump: &'a Mutex<T>,
        mut held: MutexGuard<'a, T>,
        is_queue_empty: impl FnOnce(&T) -> bool,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        self.asleep.store(true, Ordering::Relaxed);
        // Orders the flag before checking the queue; `is_asleep` has the other half.
        fence(Ordering::SeqCst);
        let mut is_ready = false;
        if is_queue_empty(&held) {
            drop(held);
            is_ready = self.wait(socket, timeout);
            self.asleep.store(false, Ordering::Relaxed);
            held = hold(pump);
        } else {
            self.asleep.store(false, Ordering::Relaxed);
        }
        (held, is_ready)
    }

    /// [`Doorbell::sleep`] without releasing the pump: publishers do not ring for their messages.
    pub(crate) fn wait(
        &self,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> bool {
        let Some(bell) = self.bell.get() else { return true };
        let woken = bell.wait(socket, timeout);
        if woken.by_alarm {
            // Cleared before the pump is inspected: a publisher that found it still set has sent its message by then.
            self.alarm_is_set.store(false, Ordering::Relaxed);
        }
        woken.by_socket
    }

    fn ring_if_asleep(&self) {
        // No write if somebody else has woken the thread: it may sleep again at any time.
        if self.asleep.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.ring();
        }
    }

    fn ring_later(&self) {
        if !self.alarm_is_set.swap(true, Ordering::Relaxed)
            && let Some(bell) = self.bell.get()
        {
            bell.ring_in(LATER);
        }
    }
}

/// Locks the pump. A pump poisoned by a panic is still usable: its connection is dropped.
pub(crate) fn hold<T>(pump: &Mutex<T>) -> MutexGuard<'_, T> {
    pump.lock().unwrap_or_else(PoisonError::into_inner)
}
