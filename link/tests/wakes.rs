//! What a lone message costs the machine: how often the link thread wakes up for it. In a process of its own, where there is one
//! such thread.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use orosync_link::Publisher;

use support::{Place, message, options, wait_until};

const MESSAGES: u64 = 50;

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

#[test]
fn a_lone_message_wakes_the_link_thread_for_itself_and_for_its_acknowledgement() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    let mut before = None;
    let mut wakes = Vec::new();
    for number in 1..=MESSAGES + 1 {
        if number > 1 {
            publisher.publish(message(number.to_string()).lend()).unwrap();
        }
        server.messages(number, 1);
        server.acknowledge(number);
        wait_until("acknowledged", || publisher.status().acknowledged == number);
        // Further from the next one than what counts as one after the other.
        thread::sleep(Duration::from_millis(5));
        let now = waits();
        wakes.extend(before.replace(now).map(|before| now - before));
    }
    // Now and then it waits for something else, a page or a lock.
    wakes.sort_unstable();
    assert!(wakes[wakes.len() / 2] <= 2, "{wakes:?}");
}
