//! Wakeups of the link thread: the bell (an eventfd) at once, the alarm (a timerfd) later, and the socket.
//!
//! Owns the two descriptors. [`crate::doorbell`] decides when to ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::process::ClosedInChild;

#[derive(Debug)]
pub(crate) struct Bell {
    _event_in_child: ClosedInChild,
    event: OwnedFd,
    _alarm_in_child: ClosedInChild,
    alarm: OwnedFd,
}

/// Why a wait ended, apart from its timeout.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Woken {
    /// The alarm has gone off.
    pub(crate) by_alarm: bool,
    /// The socket may be ready.
    pub(crate) by_socket: bool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let alarm =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self {
            _event_in_child: ClosedInChild::enter(&event),
            event,
            _alarm_in_child: ClosedInChild::enter(&alarm),
            alarm,
        })
    }

    /// Wakes the waiting thread, or its next wait.
    pub(crate) fn ring(&self) {
        // It fails only if the counter is full (2^64 - 2 rings), and then the bell is ringing already.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Sets the alarm, which wakes the thread after `time`.
    pub(crate) fn ring_in(&self, time: Duration) {
        let once = Timespec::try_from(time)
            .map(|it_value| Itimerspec { it_interval: Timespec::default(), it_value });
        let set =
            once.is_ok_and(|once| timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &once).is_ok());
        if !set {
            self.ring();
        }
    }

    /// Waits until the bell rings, the alarm goes off, `socket` is ready or the timeout expires. Resets bell and alarm.
    pub(crate) fn wait(
        &self,
        socket: Option<(BorrowedFd<'_>, PollFlags)>,
        timeout: Option<Duration>,
    ) -> Woken {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // Without a socket, the bell takes its place in the list.
        let (watched, interest) = socket.unwrap_or((self.event.as_fd(), PollFlags::empty()));
        let mut all = [
            PollFd::from_borrowed_fd(self.event.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.alarm.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(watched, interest),
        ];
        // If poll fails (ENOMEM; EINTR cannot happen, signals are blocked), the wait ends early and the loop calls again.
        if poll(&mut all, timeout.as_ref()).is_err() {
            return Woken { by_alarm: false, by_socket: true };
        }
        let [rang, by_alarm, by_socket] = all.map(|fd| !fd.revents().is_empty());
        for (silence, descriptor) in [(rang, &self.event), (by_alarm, &self.alarm)] {
            if silence {
                // Already empty: nothing to reset.
                let _ = rustix::io::read(descriptor, &mut [0_u8; 8]);
            }
        }
        Woken { by_alarm, by_socket }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;
    use crate::doorbell::{Doorbell, hold};
    use crate::sync::Mutex;

    /// Timeout of each wait in the tests.
    const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

    #[test]
    fn a_ring_ends_one_wait() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        let woken = bell.wait(None, LIMIT);
        assert!(!woken.by_alarm && !woken.by_socket);
        let fds = &mut [PollFd::from_borrowed_fd(bell.event.as_fd(), PollFlags::IN)];
        assert_eq!(poll(fds, Some(&Timespec::default())).unwrap(), 0, "the wait has reset the bell");
    }

    #[test]
    fn an_alarm_fires_once_and_not_early() {
        let bell = Bell::new().unwrap();
        let (begun, time) = (std::time::Instant::now(), Duration::from_millis(20));
        bell.ring_in(time);
        assert!(bell.wait(None, LIMIT).by_alarm);
        assert!(begun.elapsed() >= time);
        assert!(!bell.wait(None, Some(2 * time)).by_alarm);
    }

    #[test]
    fn a_doorbell_without_a_bell_ignores_rings_and_does_not_wait() {
        let doorbell = Doorbell::new();
        doorbell.ring();
        assert!(doorbell.wait(None, None));
    }

    /// The hand-over with real threads: this hangs if a push could slip between the check and the sleep. Every other message
    /// can be sent by the publisher.
    #[test]
    fn no_push_is_missed_while_the_thread_falls_asleep() {
        const PUSHES: u64 = 50_000;
        let doorbell = Arc::new(Doorbell::new());
        doorbell.install().unwrap();
        let pushed = Arc::new(AtomicU64::new(0));
        let sent = Arc::new(Mutex::new(0));
        let sleeper = {
            let (doorbell, pushed, sent) = (Arc::clone(&doorbell), Arc::clone(&pushed), Arc::clone(&sent));
            thread::spawn(move || {
                let mut held = hold(&sent);
                loop {
                    *held = pushed.load(Ordering::Acquire);
                    if *held == PUSHES {
                        return;
                    }
                    let is_empty = |sent: &u64| pushed.load(Ordering::Acquire) == *sent;
                    (held, _) = doorbell.sleep(&sent, held, is_empty, None, None);
                }
            })
        };
        for push in 1..=PUSHES {
            pushed.store(push, Ordering::Release);
            if doorbell.is_asleep() {
                doorbell.send_or_wake(&sent, |sent| {
                    let can_send = push % 2 == 0;
                    *sent = if can_send { push } else { *sent };
                    can_send
                });
            }
        }
        sleeper.join().unwrap();
    }
}
