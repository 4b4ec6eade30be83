//! Waking the link thread, only if it sleeps.
//!
//! Waking a thread costs the publisher 2 to 9 microseconds, pushing to one that is awake 30 to 160 nanoseconds. So the
//! thread says when it sleeps (a flag), and the publisher rings (an eventfd) only then. Between the two nothing is lost: the
//! publisher pushes, then reads the flag; the thread raises the flag, then looks into the queue once more.
//!
//! Owns the eventfd. It is made before the thread starts; until then nobody sleeps and nothing is rung.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use once_cell::sync::OnceCell;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::process::ClosedInChild;

#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    asleep: AtomicBool,
    bell: OnceCell<Bell>,
}

#[derive(Debug)]
struct Bell {
    _in_child: ClosedInChild,
    event: OwnedFd,
}

impl Doorbell {
    /// Makes the eventfd, if there is none yet.
    pub(crate) fn install(&self) -> io::Result<()> {
        self.bell.get_or_try_init(|| {
            let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            io::Result::Ok(Bell { _in_child: ClosedInChild::enter(&event), event })
        })?;
        Ok(())
    }

    /// The publisher, after a push: wakes the thread if it sleeps.
    pub(crate) fn ring_if_asleep(&self) {
        // Orders the push before the look at the flag; `lie_down` has the other half.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Wakes the thread, whatever it does: for requests that are not in the queue.
    pub(crate) fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            // It fails only when the counter is full (2^64 - 2 rings), and then the bell rings already.
            let _ = rustix::io::write(&bell.event, &1_u64.to_ne_bytes());
        }
    }

    /// The thread, before it sleeps. It looks into the queue once more after this.
    pub(crate) fn lie_down(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The thread, awake again.
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Waits until it rings, `socket` is ready for what is asked, or the time is over. Silences the bell. Returns whether the
    /// socket is ready, or may be.
    pub(crate) fn wait(
        &self,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> bool {
        let Some(bell) = self.bell.get() else { return true };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let bell = PollFd::from_borrowed_fd(bell.event.as_fd(), PollFlags::IN);
        // A failed poll (EINTR cannot happen: the thread has no signals; ENOMEM might) is a short rest: the loop asks again.
        let (rang, ready) = if let Some((socket, interest)) = socket {
            let mut both = [bell, PollFd::from_borrowed_fd(socket, interest)];
            match poll(&mut both, timeout.as_ref()) {
                Ok(_) => (!both[0].revents().is_empty(), !both[1].revents().is_empty()),
                Err(_) => (false, true),
            }
        } else {
            let mut alone = [bell];
            (poll(&mut alone, timeout.as_ref()).is_ok() && !alone[0].revents().is_empty(), false)
        };
        if rang {
            self.silence();
        }
        ready
    }

    fn silence(&self) {
        if let Some(bell) = self.bell.get() {
            // Empty already: nothing to silence.
            let _ = rustix::io::read(&bell.event, &mut [0_u8; 8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    fn rings(doorbell: &Doorbell) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(doorbell.bell.get().unwrap().event.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn nobody_is_woken_who_does_not_sleep() {
        let doorbell = Doorbell::default();
        doorbell.install().unwrap();
        doorbell.ring_if_asleep();
        assert!(!rings(&doorbell));
        doorbell.lie_down();
        doorbell.ring_if_asleep();
        assert!(rings(&doorbell));
        doorbell.wait(None, None);
        assert!(!rings(&doorbell), "a bell that was heard is silent");
        doorbell.ring_if_asleep();
        assert!(!rings(&doorbell), "one ring wakes, a second is not needed");
    }

    #[test]
    fn a_bell_that_was_never_installed_rings_for_nobody() {
        let doorbell = Doorbell::default();
        doorbell.ring();
        doorbell.wait(None, None);
    }

    /// The protocol of both sides on a counter: if a push could slip between the look and the sleep, this hangs.
    #[test]
    fn no_push_is_slept_through() {
        const PUSHES: u64 = 50_000;
        let doorbell = Arc::new(Doorbell::default());
        doorbell.install().unwrap();
        let pushed = Arc::new(AtomicU64::new(0));
        let sleeper = {
            let (doorbell, pushed) = (Arc::clone(&doorbell), Arc::clone(&pushed));
            thread::spawn(move || {
                let mut seen = 0;
                while seen < PUSHES {
                    doorbell.lie_down();
                    let now = pushed.load(Ordering::Acquire);
                    if now == seen {
                        doorbell.wait(None, None);
                    }
                    doorbell.get_up();
                    seen = now;
                }
            })
        };
        for push in 1..=PUSHES {
            pushed.store(push, Ordering::Release);
            doorbell.ring_if_asleep();
        }
        sleeper.join().unwrap();
    }
}
