//! The interleavings of publishers with the link thread, where they meet: the flag that says that the thread sleeps, the lock of
//! the pump, and the alarm. All of them in which no more than three times a thread is interrupted that could go on.
//!
//! `doorbell.rs` is compiled once more here, with loom's atomics and lock. So it is the code itself that is gone through, in each
//! `cargo test`, and without `--cfg loom`, which some dependencies take for their own. Loom knows no descriptors: bell and alarm
//! are a condition variable, queue and server are counters.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

#[path = "../src/doorbell.rs"]
mod doorbell;

/// As `src/sync.rs`.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

/// As `src/bell.rs`. The alarm goes off at some time after it was set: the scheduler says when.
mod bell {
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};
    use rustix::event::PollFlags;

    #[derive(Debug)]
    pub(crate) struct Bell {
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        rings: bool,
        alarm: bool,
    }

    #[derive(Default)]
    pub(crate) struct Woken {
        pub(crate) by_alarm: bool,
        pub(crate) by_socket: bool,
    }

    impl Bell {
        #[expect(clippy::unnecessary_wraps, reason = "the real one may fail")]
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { state: Mutex::new(State::default()), changed: Condvar::new() })
        }

        pub(crate) fn ring(&self) {
            self.state.lock().unwrap().rings = true;
            self.changed.notify_one();
        }

        pub(crate) fn ring_in(&self, _time: Duration) {
            self.state.lock().unwrap().alarm = true;
            self.changed.notify_one();
        }

        /// Nothing but bell and alarm ends it: who would be left asleep without them is left asleep, and loom reports a deadlock.
        pub(crate) fn wait(
            &self,
            _socket: Option<(BorrowedFd<'_>, PollFlags)>,
            _timeout: Option<Duration>,
        ) -> Woken {
            let mut state = self.state.lock().unwrap();
            while !state.rings && !state.alarm {
                state = self.changed.wait(state).unwrap();
            }
            let State { alarm, .. } = std::mem::take(&mut *state);
            Woken { by_alarm: alarm, by_socket: false }
        }
    }
}

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use doorbell::{Doorbell, hold};
use sync::Mutex;

/// The pump, seen from here: how much it took out of the queue and sent, and what it has read of the server, which
/// acknowledges at once.
#[derive(Default)]
struct Pump {
    sent: usize,
    acknowledged: usize,
}

/// A publisher and the thread that the test began with share it.
struct Link {
    doorbell: Doorbell,
    pump: Mutex<Pump>,
    /// What was pushed, ever: the queue is what was not sent of it.
    pushed: AtomicUsize,
}

impl Link {
    fn new() -> Arc<Self> {
        let link = Self {
            doorbell: Doorbell::new(),
            pump: Mutex::new(Pump::default()),
            pushed: AtomicUsize::new(0),
        };
        link.doorbell.install().unwrap();
        Arc::new(link)
    }

    /// As `Publisher::publish`. `can_send` is whether kernel and connection allow it.
    fn publish(&self, can_send: bool) {
        self.pushed.fetch_add(1, Ordering::Release);
        if self.doorbell.is_asleep() {
            self.doorbell.send_or_wake(&self.pump, |pump| {
                if !can_send {
                    return false;
                }
                // One message, and the acknowledgement of the one before it.
                pump.acknowledged = pump.sent;
                pump.sent += usize::from(!self.is_empty(pump));
                self.is_empty(pump)
            });
        }
    }

    /// As the link thread, until so many messages are acknowledged.
    fn work(&self, messages: usize) {
        let mut held = hold(&self.pump);
        loop {
            // What was sent is acknowledged at once: only what a publisher sends meanwhile is not read yet.
            held.sent = self.pushed.load(Ordering::Acquire);
            held.acknowledged = held.sent;
            if held.acknowledged == messages {
                return;
            }
            (held, _) = self.doorbell.sleep(&self.pump, held, |pump| self.is_empty(pump), None, None);
        }
    }

    fn is_empty(&self, pump: &Pump) -> bool {
        self.pushed.load(Ordering::Acquire) == pump.sent
    }
}

/// Publishers that publish so many messages each, and the link thread.
fn explore(publishers: &'static [&'static [bool]]) {
    let mut builder = Builder::new();
    // Within seconds; every mistake that was tried was found with it.
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let link = Link::new();
        let messages = publishers.iter().map(|messages| messages.len()).sum();
        for messages in publishers {
            let link = Arc::clone(&link);
            thread::spawn(move || messages.iter().for_each(|can_send| link.publish(*can_send)));
        }
        link.work(messages);
        let pump = hold(&link.pump);
        assert_eq!((pump.sent, pump.acknowledged), (messages, messages), "each once");
    });
}

#[test]
fn the_link_thread_never_sleeps_on_a_message_that_nobody_sends_nor_on_its_acknowledgement() {
    explore(&[&[true, true]]);
}

#[test]
fn what_a_publisher_cannot_send_wakes_the_link_thread() {
    explore(&[&[true, false]]);
    explore(&[&[false, true]]);
}

#[test]
fn a_publisher_that_finds_the_pump_taken_by_another_one_is_served_as_well() {
    explore(&[&[true], &[true]]);
    explore(&[&[true], &[false]]);
}
