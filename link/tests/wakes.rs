//! Wakeups of the link thread caused by a lone message. A process of its own and one test at a time, so that there is only one
//! link thread.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orosync_link::{Publisher, State};
use orosync_protocol::CloseReason;

use support::{Connection, LIMIT, Place, message, options, wait_until};

const MESSAGES: u64 = 20;

/// Interval at which messages do not count as a burst.
const APART: Duration = Duration::from_millis(5);

/// The first byte of a Close frame (RFC 6455, 5.2).
const CLOSE: u8 = 0x88;

/// Held by the test that has a link thread.
static ONLY_LINK: Mutex<()> = Mutex::new(());

/// A connected publisher with one acknowledged message, whose link thread sleeps.
struct Link {
    publisher: Publisher,
    server: Connection,
    published: u64,
    place: Place,
    _only: MutexGuard<'static, ()>,
}

impl Link {
    fn open() -> Self {
        let only = ONLY_LINK.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::listening();
        let mut publisher = Publisher::new(options(&place.endpoint()));
        publisher.publish(message("1").lend()).unwrap();
        let mut server = place.welcome(0);
        server.messages(1, 1);
        server.acknowledge(1);
        assert!(publisher.flush(LIMIT));
        thread::sleep(APART);
        Self { publisher, server, published: 1, place, _only: only }
    }

    /// Publishes the next message and reads it at the server.
    fn publish(&mut self) {
        self.published += 1;
        self.publisher.publish(message(self.published.to_string()).lend()).unwrap();
        assert_eq!(self.server.messages(self.published, 1), [self.published.to_string()]);
    }

    fn acknowledge(&mut self) {
        self.server.acknowledge(self.published);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.publisher.shutdown();
        }
    }
}

/// Number of times that the link thread has slept or waited.
fn waits() -> u64 {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
        .find(|status| status.starts_with("Name:\torosync-link\n"))
        .and_then(|status| {
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
        })
        .unwrap()
}

/// The median, because the thread sometimes waits for something else, such as a page or a lock.
fn median<T: Ord + Copy>(mut figures: Vec<T>) -> T {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[test]
fn a_lone_message_is_sent_without_the_link_thread_and_its_acknowledgement_wakes_it_once() {
    let mut link = Link::open();
    let (mut to_send, mut to_acknowledge) = (Vec::new(), Vec::new());
    for _ in 0..MESSAGES {
        let before = waits();
        link.publish();
        let sent = waits();
        link.acknowledge();
        wait_until("acknowledged", || link.publisher.status().acknowledged == link.published);
        thread::sleep(APART);
        to_send.push(sent - before);
        to_acknowledge.push(waits() - sent);
    }
    assert_eq!(median(to_send), 0);
    assert!(median(to_acknowledge) <= 1);
}

#[test]
fn the_acknowledgements_of_several_lone_messages_share_one_wakeup() {
    let mut link = Link::open();
    let (before, begun) = (waits(), Instant::now());
    for _ in 0..MESSAGES {
        link.publish();
        link.acknowledge();
        thread::sleep(APART);
    }
    let woken = u128::from(waits() - before);
    let polls = begun.elapsed().as_millis() / 50;
    assert!(
        woken <= polls + u128::from(MESSAGES / 4),
        "{woken} wakeups, {polls} of them to poll for acknowledgements"
    );
}

#[test]
fn a_flush_returns_as_soon_as_the_acknowledgement_arrives() {
    let mut link = Link::open();
    let mut times = Vec::new();
    for _ in 0..MESSAGES {
        link.publish();
        link.acknowledge();
        let begun = Instant::now();
        assert!(link.publisher.flush(LIMIT));
        times.push(begun.elapsed());
        thread::sleep(APART);
    }
    // Earlier than the thread's own poll, after 50 ms.
    assert!(median(times) < Duration::from_millis(30));
}

#[test]
fn the_link_thread_reconnects_at_once_after_the_connection_was_closed() {
    for with_close_frame in [true, false] {
        let mut link = Link::open();
        let begun = Instant::now();
        if with_close_frame {
            link.server.close(CloseReason::GoingAway);
        } else {
            link.server.end();
        }
        let rest = link.server.read_to_end();
        // Earlier than the thread's next ping, after three seconds.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(rest.is_empty() || rest[0] == CLOSE, "{rest:?}");
        link.server = link.place.welcome(1);
        wait_until("open again", || link.publisher.status().state == State::Connected);
        link.publish();
        link.acknowledge();
    }
}

#[test]
fn the_link_thread_sends_the_rest_of_a_message_that_the_socket_did_not_accept() {
    let mut link = Link::open();
    // A server that acknowledges but does not read. Messages that the socket does not accept count as queued.
    let payload = |number: u64| format!("1{number:04000}");
    while link.publisher.status().queued == 0 {
        assert!(link.published < 10_000, "the socket accepts everything");
        link.published += 1;
        link.publisher.publish(message(payload(link.published)).lend()).unwrap();
        if link.publisher.status().queued == 0 {
            link.acknowledge();
        }
        thread::sleep(APART);
    }
    let read = link.server.messages(2, usize::try_from(link.published - 1).unwrap());
    assert!((2..=link.published).map(payload).eq(read), "in order, each message once");
    link.acknowledge();
    assert!(link.publisher.flush(LIMIT));
}
