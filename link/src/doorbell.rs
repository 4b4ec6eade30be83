//! The hand-over between a publisher and the link thread: who sends a message, and who wakes whom.
//!
//! Pushing to a thread that is awake costs the publisher 30 to 160 nanoseconds, waking one some microseconds, and the message a
//! context switch on its way, and its acknowledgement another one. So the thread says when it sleeps (a flag). To one that is
//! awake a publisher says nothing. While it sleeps, the pump's lock is free: a publisher that finds the flag up takes it if
//! nobody else has, sends its message itself, and has the thread look for the acknowledgement later; or else it rings.
//!
//! ```text
//! publisher: push; flag up? -- no ---> done, the thread is awake
//!                           `- yes --> try the lock -- got it, sent ---> set the alarm
//!                                                   `- else -----------> flag down, ring
//! thread:    flag up; queue empty? --> unlock; wait for bell, alarm, socket; flag down; lock
//! ```
//!
//! Nothing is lost in between: the publisher pushes, then reads the flag; the thread raises the flag, then looks into the
//! queue once more. `tests/hand_over.rs` goes through the interleavings of this file.
//!
//! Owns the flag, and bell and alarm. Those are made before the thread starts; until then nobody sleeps and nothing is rung.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use once_cell::sync::OnceCell;
use rustix::event::PollFlags;

use crate::bell::Bell;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, PoisonError, fence};

/// How long an acknowledgement may lie there that nobody waits for. Many messages may share one look, and a person who reads
/// the status does not notice.
const LATER: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
    /// It was set, and the thread has not heard it yet.
    alarm_is_set: AtomicBool,
    bell: OnceCell<Bell>,
}

impl Doorbell {
    pub(crate) fn new() -> Self {
        Self { asleep: AtomicBool::new(false), alarm_is_set: AtomicBool::new(false), bell: OnceCell::new() }
    }

    /// Makes bell and alarm, if there are none yet.
    pub(crate) fn install(&self) -> io::Result<()> {
        self.bell.get_or_try_init(Bell::new)?;
        Ok(())
    }

    /// A publisher, after a push: must somebody send it, or wake the thread?
    pub(crate) fn is_asleep(&self) -> bool {
        // Orders the push before the look at the flag; `sleep` has the other half.
        fence(Ordering::SeqCst);
        self.asleep.load(Ordering::Relaxed)
    }

    /// A publisher that found the thread asleep: sends by itself if it can, or wakes the thread. Never waits.
    pub(crate) fn send_or_wake<T>(&self, pump: &Mutex<T>, send_alone: impl FnOnce(&mut T) -> bool) {
        // The lock is held: by the thread, which is on its way to sleep or awake again; by another publisher. Poisoned: the thread
        // has panicked, and has not cleaned up yet.
        let has_sent = pump.try_lock().is_ok_and(|mut pump| send_alone(&mut pump));
        if has_sent { self.ring_later() } else { self.ring_if_asleep() }
    }

    /// Wakes the thread, whatever it does: for requests that are not in the queue.
    pub(crate) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    /// The thread: gives the pump away, and sleeps until the bell rings, the alarm goes off, `socket` is ready for what is asked,
    /// or the time is over; not at all if there is something in the queue. Returns whether the socket is ready, or may be.
    pub(crate) fn sleep<'a, T>(
        &self,
        pump: &'a Mutex<T>,
        mut held: MutexGuard<'a, T>,
        is_queue_empty: impl FnOnce(&T) -> bool,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        self.asleep.store(true, Ordering::Relaxed);
        // Orders the flag before the look into the queue; `is_asleep` has the other half.
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

    /// The same without giving anything away: no publisher rings for its message.
    pub(crate) fn wait(
        &self,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> bool {
        let Some(bell) = self.bell.get() else { return true };
        let woken = bell.wait(socket, timeout);
        if woken.by_alarm {
            // Before the pump is looked at: whoever has sent, and found it set still, has sent by then.
            self.alarm_is_set.store(false, Ordering::Relaxed);
        }
        woken.by_socket
    }

    fn ring_if_asleep(&self) {
        // Writes nothing where somebody else has woken it: it may lie down again at any time.
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

/// Waits for the pump. One that a panic has left behind is as good as any other: its connection is given up.
pub(crate) fn hold<T>(pump: &Mutex<T>) -> MutexGuard<'_, T> {
    pump.lock().unwrap_or_else(PoisonError::into_inner)
}
