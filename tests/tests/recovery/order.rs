//! No event is lost between an answer and the events after it, and none is received twice.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use orosync_tests::client::{Client, OROSYNC, frame};
use orosync_tests::recovery::{Event, event, recovery};
use orosync_tests::source::Source;
use orosync_tests::wait;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{TOPIC, server, server_with};

const EVENTS: u64 = 5000;
const PAGES: usize = 8;

/// Maximum number of published events that the slowest page has not received. It is below the limit of an answer, and so small that
/// each page has to reconnect often.
const MAX_AHEAD: u64 = 60;

/// A page that has received the events 1 to `last`.
struct Page {
    address: SocketAddr,
    client: Client,
    last: u64,
    position: String,
}

impl Page {
    fn add(&mut self, event: Event) {
        assert_eq!(event.payload, self.last + 1, "after {}", self.position);
        self.last += 1;
        self.position = event.position;
    }

    /// Recovers from the last position. Asserts that the answer is complete and ends at its last event.
    fn recover(&mut self) {
        let call = json!([2, "r", "orosync/subscribe", TOPIC, {"since": self.position}]);
        self.client.send_text(&call.to_string());
        let answer: Value = serde_json::from_str(&self.client.text()).expect("an answer");
        assert_eq!(answer[1], "r", "{answer}");
        let recovery = recovery(&answer[2]);
        assert!(recovery.complete, "after {}", self.position);
        for event in recovery.events {
            self.add(event);
        }
        assert_eq!(recovery.position, self.position);
    }

    /// Receives `count` more events.
    fn read(&mut self, count: u64) {
        let end = (self.last + count).min(EVENTS);
        while self.last < end {
            let event = event(TOPIC, &self.client.text());
            self.add(event);
        }
    }

    /// Unsubscribes, and receives the events that were written before.
    fn leave(&mut self) {
        self.client.send_text(&json!([6, TOPIC]).to_string());
        self.client.send_text(r#"[2,"left","orosync/ping"]"#);
        loop {
            match self.client.text().as_str() {
                r#"[3,"left",null]"# => return,
                text => self.add(event(TOPIC, text)),
            }
        }
    }

    /// Resets the connection: unread events are lost and must be recovered.
    fn reset(&mut self) {
        let client = std::mem::replace(&mut self.client, Client::anonymous_at(self.address, OROSYNC));
        client.reset();
    }
}

#[test]
fn pages_that_reconnect_under_load_receive_each_event_once_and_in_order() {
    let server = server_with("shards = 4\n[limits]\nmessages_per_second = 100000\nmessage_burst = 100000\n");
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let start = Client::anonymous(&server, OROSYNC).recover(TOPIC, &json!({})).position;
    let received: Vec<AtomicU64> = (0..PAGES).map(|_| AtomicU64::new(0)).collect();
    let mut source = Source::to(&server.endpoint());
    thread::scope(|scope| {
        for (number, received) in received.iter().enumerate() {
            let (address, position) = (server.address(), start.clone());
            let mut random = SmallRng::seed_from_u64(seed.wrapping_add(number as u64));
            scope.spawn(move || {
                let client = Client::anonymous_at(address, OROSYNC);
                let mut page = Page { address, client, last: 0, position };
                let mut recoveries = 0;
                while page.last < EVENTS {
                    page.recover();
                    recoveries += 1;
                    received.store(page.last, Ordering::Release);
                    page.read(random.random_range(0..30));
                    received.store(page.last, Ordering::Release);
                    match random.random_range(0..8) {
                        0 => page.reset(),
                        // Unread events are received again, in the answer of the next subscription.
                        _ => page.leave(),
                    }
                    for _ in 0..random.random_range(0..4) {
                        page.client.assert_no_message();
                    }
                }
                println!("page {number} recovered {recoveries} times");
                assert!(recoveries >= 50);
            });
        }
        scope.spawn(|| {
            for number in 1..=EVENTS {
                let slowest =
                    || received.iter().map(|one| one.load(Ordering::Acquire)).min().unwrap_or_default();
                if slowest() + MAX_AHEAD < number {
                    wait::until_true("the slowest page catches up", || slowest() + MAX_AHEAD >= number);
                }
                source.publish(TOPIC, &json!(number));
            }
            source.flush();
        });
    });
}

#[test]
fn a_subscribed_page_that_recovers_receives_later_events_after_the_answer() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut client = Client::anonymous(&server, OROSYNC);
    let start = client.recover(TOPIC, &json!({})).position;
    source.publish_all(TOPIC, 1..=2);
    // The events of the first subscription are written before the answer of the second.
    let live = [client.event(TOPIC), client.event(TOPIC)];
    let again = client.recover_since(TOPIC, &start);
    assert_eq!(again.events, live);
    source.publish_all(TOPIC, [3]);
    assert_eq!(client.event(TOPIC).payload, 3);
    client.assert_no_message();
}

#[test]
fn an_event_has_the_same_position_on_all_shards() {
    let server = server_with("shards = 4\n");
    let mut pages: Vec<Client> = (0..16).map(|_| Client::anonymous(&server, OROSYNC)).collect();
    let starts: Vec<String> = pages.iter_mut().map(|page| page.recover(TOPIC, &json!({})).position).collect();
    assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
    Source::to(&server.endpoint()).publish_all(TOPIC, 1..=20);
    let of: Vec<Vec<Event>> =
        pages.iter_mut().map(|page| (0..20).map(|_| page.event(TOPIC)).collect()).collect();
    assert!(of.iter().all(|events| *events == of[0]));
}

/// Sends several messages in one write, so that each is sent before the answer to the previous one.
fn send_at_once(page: &mut Client, messages: &[Value]) {
    let frames: Vec<u8> =
        messages.iter().flat_map(|message| frame(1, message.to_string().as_bytes())).collect();
    page.send(&frames);
}

fn subscribe(id: u64, options: &Value) -> Value {
    json!([2, id, "orosync/subscribe", TOPIC, options])
}

fn tags(name: &str) -> Value {
    json!([{"tagname": name}])
}

/// Asserts that the calls 1 to `count` are answered with a result.
fn assert_results(page: &mut Client, count: u64) {
    for id in 1..=count {
        let answer: Value = serde_json::from_str(&page.text()).expect("an answer");
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!(id)), "{answer}");
    }
}

#[test]
fn messages_sent_right_after_a_call_apply_to_its_subscription() {
    let server = server_with("shards = 2\n");
    let mut source = Source::to(&server.endpoint());
    let mut left = Client::anonymous(&server, OROSYNC);
    send_at_once(&mut left, &[subscribe(1, &json!({})), json!([6, TOPIC]), json!([2, 2, "orosync/ping"])]);
    assert_results(&mut left, 2);
    let mut stayed = Client::anonymous(&server, OROSYNC);
    send_at_once(
        &mut stayed,
        &[json!([5, TOPIC]), json!([6, TOPIC]), subscribe(1, &json!({})), json!([5, TOPIC])],
    );
    assert_results(&mut stayed, 1);
    let mut last = Client::anonymous(&server, OROSYNC);
    let again = [
        subscribe(1, &json!({})),
        subscribe(2, &json!({"tags": ["a"]})),
        subscribe(3, &json!({"tags": ["c"]})),
    ];
    send_at_once(&mut last, &again);
    assert_results(&mut last, 3);
    let mut plain = Client::anonymous(&server, OROSYNC);
    send_at_once(&mut plain, &[subscribe(1, &json!({})), json!([6, TOPIC]), json!([5, TOPIC])]);
    assert_results(&mut plain, 1);

    source.publish_all(TOPIC, ["a", "b", "c"].map(tags));
    left.assert_no_message();
    for name in ["a", "b", "c"] {
        assert_eq!(stayed.event(TOPIC).payload, tags(name));
        assert_eq!(plain.text(), format!(r#"[8,"acme\/orders",{}]"#, tags(name)));
    }
    assert_eq!(last.event(TOPIC).payload, tags("c"));
    for page in [&mut stayed, &mut last, &mut plain] {
        page.assert_no_message();
    }
}

#[test]
fn a_session_that_ends_before_the_answer_leaves_no_subscription() {
    let server = server_with("shards = 2\n");
    let mut source = Source::to(&server.endpoint());
    source.publish_all(TOPIC, 1..=100);
    for _ in 0..50 {
        let mut page = Client::anonymous(&server, OROSYNC);
        send_at_once(
            &mut page,
            &[json!([2, 1, "orosync/subscribe", TOPIC, {"since": "0.0", "tags": ["a"]}])],
        );
        page.reset();
    }
    server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 0.0);
    server.await_metric("orosync_subscriptions", 0.0);
    let mut page = Client::anonymous(&server, OROSYNC);
    assert_eq!(page.recover_since(TOPIC, "0.0").events.len(), 100);
}

#[test]
fn tags_sent_right_after_a_call_apply_to_its_subscription() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    // The first call subscribes, the second replaces the subscription.
    for (asked, then) in [("a", "b"), ("c", "a")] {
        let retag = json!([2, 2, "orosync/tags", TOPIC, [then]]);
        send_at_once(&mut page, &[subscribe(1, &json!({"tags": [asked]})), retag]);
        assert_results(&mut page, 2);
        source.publish_all(TOPIC, ["a", "b", "c"].map(tags));
        assert_eq!(page.event(TOPIC).payload, tags(then));
        page.assert_no_message();
    }
}

#[test]
fn a_renewal_returns_the_position_of_the_last_event_before_it() {
    const RENEWALS: u64 = 300;
    let server = server_with("shards = 2\n[limits]\nmessages_per_second = 100000\nmessage_burst = 100000\n");
    let mut page = Client::anonymous(&server, OROSYNC);
    let mut last = page.recover(TOPIC, &json!({})).position;
    let ended = AtomicU64::new(0);
    let mut source = Source::to(&server.endpoint());
    thread::scope(|scope| {
        scope.spawn(|| {
            while ended.load(Ordering::Acquire) == 0 {
                source.publish_all(TOPIC, 0..5);
            }
        });
        for _ in 0..RENEWALS {
            // The renewal's answer waits for the answer to the call before it.
            let other = json!([2, "other", "orosync/subscribe", "acme/others", {"since": "0.0"}]);
            send_at_once(&mut page, &[other, json!([2, "renewal", "orosync/resume"])]);
            loop {
                let message: Value = serde_json::from_str(&page.text()).expect("JSON");
                if message[0] == 8 {
                    message[3].as_str().expect("a position").clone_into(&mut last);
                } else if message[1] == "renewal" {
                    let renewed = &message[2]["positions"][TOPIC];
                    if *renewed != last {
                        ended.store(1, Ordering::Release);
                    }
                    assert_eq!(
                        *renewed, last,
                        "the renewal returned another position than that of the last event"
                    );
                    break;
                }
            }
        }
        ended.store(1, Ordering::Release);
    });
}
