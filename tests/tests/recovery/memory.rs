//! `history.bytes` limits the histories of all topics together.

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::recovery::Recovery;
use orosync_tests::server::Server;
use orosync_tests::source::Source;
use serde_json::{Value, json};

use super::server_with;

const BYTES: u64 = 1 << 20;

fn server_with_small_history() -> Server {
    server_with(&format!("shards = 1\n[history]\nevents = 100000\nbytes = {BYTES}\n"))
}

fn topic(name: &str) -> String {
    format!("acme/{name}")
}

/// The topic's current position, from a session that is closed afterwards.
fn position(server: &Server, topic: &str) -> String {
    Client::anonymous(server, OROSYNC).recover(topic, &json!({})).position
}

fn since(server: &Server, topic: &str, position: &str) -> Recovery {
    Client::anonymous(server, OROSYNC).recover_since(topic, position)
}

/// A payload of ten thousand bytes.
fn large_payload(number: u64) -> Value {
    json!(format!("{number:<9998}"))
}

#[test]
fn a_busy_topic_uses_at_most_a_quarter_and_evicts_no_other_topics_events() {
    let server = server_with_small_history();
    let mut source = Source::to(&server.endpoint());
    let quiet: Vec<(String, String)> = (0..20)
        .map(|number| topic(&format!("quiet{number}")))
        .map(|topic| (position(&server, &topic), topic))
        .map(|(position, topic)| (topic, position))
        .collect();
    for (topic, _) in &quiet {
        source.publish_all(topic, 1..=3);
    }
    let busy = topic("busy");
    let before = position(&server, &busy);
    source.publish_all(&busy, (1..=500).map(large_payload));
    for (topic, position) in &quiet {
        let recovery = since(&server, topic, position);
        assert!(recovery.complete, "{topic}");
        assert_eq!(recovery.payloads(), [1, 2, 3].map(Value::from), "{topic}");
    }
    let recovery = since(&server, &busy, &before);
    assert!(!recovery.complete);
    let kept = recovery.events.len() as u64;
    assert!(kept * 10_000 <= BYTES / 4, "{kept} events are more than a quarter");
    // A payload that may be a list of content tags counts one and a half times.
    assert!(kept * 16_000 >= BYTES / 4, "{kept} events are far less than a quarter");
    assert_eq!(
        recovery.payloads(),
        (501 - kept..=500).map(large_payload).collect::<Vec<_>>(),
        "the latest events"
    );
}

#[test]
fn beyond_history_bytes_the_oldest_event_of_all_topics_is_dropped_first() {
    const TOPICS: u64 = 40;
    const EACH: u64 = 10;
    let server = server_with_small_history();
    let mut source = Source::to(&server.endpoint());
    let topics: Vec<String> = (0..TOPICS).map(|number| topic(&number.to_string())).collect();
    let starts: Vec<String> = topics.iter().map(|topic| position(&server, topic)).collect();
    // Round-robin, so that the oldest event is always of another topic.
    for round in 0..EACH {
        for (number, topic) in topics.iter().enumerate() {
            source.publish(topic, &large_payload(round * TOPICS + number as u64));
        }
    }
    source.flush();
    let mut kept = Vec::new();
    for (number, (topic, start)) in topics.iter().zip(&starts).enumerate() {
        let recovery = since(&server, topic, start);
        assert!(!recovery.complete, "{topic}: four times as much was published as may be kept");
        let expected: Vec<Value> = (EACH - recovery.events.len() as u64..EACH)
            .map(|round| large_payload(round * TOPICS + number as u64))
            .collect();
        assert_eq!(recovery.payloads(), expected, "{topic}: the latest events");
        kept.push(recovery.events.len() as u64);
    }
    let all: u64 = kept.iter().sum();
    assert!(all * 10_000 <= BYTES && all * 10_000 > BYTES / 2, "{all} events");
    assert!(
        kept.iter().max().zip(kept.iter().min()).is_some_and(|(most, least)| most - least <= 1),
        "{kept:?}"
    );
}

#[test]
fn with_any_number_of_topics_memory_is_bounded_and_no_answer_is_wrongly_complete() {
    const TOPICS: u64 = 30_000;
    let server = server_with_small_history();
    let mut source = Source::to(&server.endpoint());
    let first = topic("first");
    let before = position(&server, &first);
    source.publish_all(&first, ["one", "two"]);
    let between = position(&server, &first);
    let many = |round: u64| (0..TOPICS).map(move |number| topic(&format!("{round}-{number}")));
    for name in many(0) {
        source.publish(&name, &json!("x"));
    }
    source.flush();
    let settled = server.resident_bytes();
    for round in 1..4 {
        for name in many(round) {
            source.publish(&name, &json!("x"));
        }
        source.flush();
    }
    let grown = server.resident_bytes().saturating_sub(settled);
    assert!(grown < 2 * BYTES, "{grown} bytes more for {} topics more", 3 * TOPICS);

    let lost = since(&server, &first, &before);
    assert!(!lost.complete, "{lost:?}");
    let current = since(&server, &first, &between);
    assert!(current.events.is_empty(), "{current:?}");
    // If the topic's offsets had restarted, the old position would mean another event.
    source.publish_all(&first, 1..=5);
    let lost = since(&server, &first, &before);
    assert!(!lost.complete, "{lost:?}");
    let all = since(&server, &first, &between);
    let numbers: Vec<Value> = (1..=5).map(Value::from).collect();
    assert_eq!(all.payloads(), numbers, "{all:?}");
    let third = since(&server, &first, &all.events[2].position);
    assert!(third.complete);
    assert_eq!(third.payloads(), numbers[3..]);
}
