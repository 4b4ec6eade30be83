//! What a lone message costs the machine: how often the link thread wakes up for it, and for what it does at once. In a process of its
//! own, and one test at a time, so that there is one such thread.

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

/// So long after a message the next one is no burst.
const APART: Duration = Duration::from_millis(5);

/// The first byte of a Close frame (RFC 6455, 5.2).
const CLOSE: u8 = 0x88;

/// Whose turn it is to have a link thread.
static TURN: Mutex<()> = Mutex::new(());

/// A publisher, open and asleep, that has published one message.
struct Link {
    publisher: Publisher,
    server: Connection,
    published: u64,
    place: Place,
    _turn: MutexGuard<'static, ()>,
}

impl Link {
    fn open() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::listening();
        let mut publisher = Publisher::new(options(&place.endpoint()));
        publisher.publish(message("1").lend()).unwrap();
        let mut server = place.welcome(0);
        server.messages(1, 1);
        server.acknowledge(1);
        assert!(publisher.flush(LIMIT));
        thread::sleep(APART);
        Self { publisher, server, published: 1, place, _turn: turn }
    }

    /// Publishes the next message, which the server reads.
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

/// How often the link thread has gone to sleep, or waited for anything.
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

/// Now and then the thread waits for something else, a page or a lock.
fn median<T: Ord + Copy>(mut figures: Vec<T>) -> T {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[test]
fn a_lone_message_leaves_without_the_link_thread_and_its_acknowledgement_wakes_it_once() {
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
fn lone_messages_share_the_look_for_their_acknowledgements() {
    let mut link = Link::open();
    let (before, begun) = (waits(), Instant::now());
    for _ in 0..MESSAGES {
        link.publish();
        link.acknowledge();
        thread::sleep(APART);
    }
    let woken = u128::from(waits() - before);
    let looks = begun.elapsed().as_millis() / 50;
    assert!(woken <= looks + u128::from(MESSAGES / 4), "{woken} wakes, {looks} of them to look");
}

#[test]
fn a_waiting_flush_ends_at_once_with_the_acknowledgement() {
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
    // Not when the thread looks by itself, 50 ms later.
    assert!(median(times) < Duration::from_millis(30));
}

#[test]
fn the_end_of_the_connection_wakes_the_link_thread_at_once() {
    for with_a_word in [true, false] {
        let mut link = Link::open();
        let begun = Instant::now();
        if with_a_word {
            link.server.close(CloseReason::GoingAway);
        } else {
            link.server.end();
        }
        let said = link.server.gone();
        // By itself it wakes after three seconds, to ping.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(said.is_empty() || said[0] == CLOSE, "{said:?}");
        link.server = link.place.welcome(1);
        wait_until("open again", || link.publisher.status().state == State::Connected);
        link.publish();
        link.acknowledge();
    }
}

#[test]
fn what_the_kernel_does_not_take_of_lone_messages_is_left_to_the_link_thread() {
    let mut link = Link::open();
    // A server that acknowledges and does not read. What does not leave now shows as queued.
    let payload = |number: u64| format!("1{number:04000}");
    while link.publisher.status().queued == 0 {
        assert!(link.published < 10_000, "a socket takes no more");
        link.published += 1;
        link.publisher.publish(message(payload(link.published)).lend()).unwrap();
        if link.publisher.status().queued == 0 {
            link.acknowledge();
        }
        thread::sleep(APART);
    }
    let read = link.server.messages(2, usize::try_from(link.published - 1).unwrap());
    assert!((2..=link.published).map(payload).eq(read), "in order, and each once");
    link.acknowledge();
    assert!(link.publisher.flush(LIMIT));
}
