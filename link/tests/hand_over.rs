//! All interleavings of publishers and the link thread with at most three preemptions, explored with loom: the flag that the
//! thread sleeps, the pump's lock, and the alarm.
//!
//! `doorbell.rs` is compiled a second time here, with loom's atomics and lock. So each `cargo test` explores the real code,
//! without `--cfg loom`, which some dependencies would react to. Loom does not model descriptors: bell and alarm are a
//! condition variable, queue and server are counters.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

#[path = "../src/doorbell.rs"]
mod doorbell;

/// Replaces `src/sync.rs`.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

/// Replaces `src/bell.rs`. The scheduler decides when an alarm goes off.
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

        /// Only the bell and the alarm end it. If neither comes, loom reports a deadlock.
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

/// Replaces the pump: numbers of messages sent, and acknowledged by a server that does so at once.
#[derive(Default)]
struct Pump {
    sent: usize,
    acknowledged: usize,
}

/// A link, shared by publishers and the test's first thread, which is the link thread.
struct Link {
    doorbell: Doorbell,
    pump: Mutex<Pump>,
    /// Number of messages pushed. The queue holds those not sent.
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

    /// Like `Publisher::publish`. `can_send`: whether the socket accepts a message.
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

    /// Like the link thread, until this number of messages is acknowledged.
    fn work(&self, messages: usize) {
        let mut held = hold(&self.pump);
        loop {
            // The server acknowledges at once; only messages sent by a publisher meanwhile are still unacknowledged.
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

/// Explores publishers with these messages, and the link thread.
fn explore(publishers: &'static [&'static [bool]]) {
    let mut builder = Builder::new();
    // Takes seconds, and finds every mutation that was tried.
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
        assert_eq!((pump.sent, pump.acknowledged), (messages, messages), "each message once");
    });
}

#[test]
fn every_message_is_sent_and_every_acknowledgement_read_while_the_link_thread_falls_asleep() {
    explore(&[&[true, true]]);
}

#[test]
fn a_message_that_the_publisher_cannot_send_itself_wakes_the_link_thread() {
    explore(&[&[true, false]]);
    explore(&[&[false, true]]);
}

#[test]
fn a_message_is_sent_even_if_another_publisher_holds_the_pump() {
    explore(&[&[true], &[true]]);
    explore(&[&[true], &[false]]);
}
