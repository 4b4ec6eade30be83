//! A session that reconnects with its last position.

use orosync_tests::client::{Client, OROSYNC, WAMP};
use orosync_tests::proxy::{Fault, Proxy};
use orosync_tests::recovery::Recovery;
use orosync_tests::server::Server;
use orosync_tests::source::Source;
use orosync_tests::wait;
use serde_json::{Value, json};

use super::{TOPIC, offset, server, server_with, with_offset};

/// A history of five events per topic.
const FIVE: &str = "[history]\nevents = 5\n";

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

/// Receives the events 1 to 3, reconnects after `missed` more events, and receives one more. Returns the recovery.
fn recover_after_missing(server: &Server, topic: &str, missed: u64) -> Recovery {
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(server, OROSYNC);
    page.recover(topic, &json!({}));
    source.publish_all(topic, 1..=3);
    let seen: Vec<_> = (1..=3).map(|_| page.event(topic)).collect();
    assert_eq!(seen.iter().map(|event| event.payload.clone()).collect::<Vec<_>>(), numbers(1..=3));
    page.reset();
    source.publish_all(topic, 4..4 + missed);

    let mut page = Client::anonymous(server, OROSYNC);
    let recovery = page.recover_since(topic, &seen[2].position);
    source.publish_all(topic, [4 + missed]);
    let next = page.event(topic);
    assert_eq!(next.payload, 4 + missed, "new events are delivered once, after the answer");
    if recovery.complete {
        let last = recovery.events.last().unwrap_or(&seen[2]);
        assert_eq!(recovery.position, last.position, "the answer ends at its last event");
    }
    page.assert_no_message();
    recovery
}

#[test]
fn a_page_that_missed_nothing_gets_a_complete_empty_answer() {
    let recovery = recover_after_missing(&server_with(FIVE), TOPIC, 0);
    assert!(recovery.complete && recovery.events.is_empty(), "{recovery:?}");
}

#[test]
fn a_page_that_missed_three_events_gets_exactly_those_in_order() {
    let recovery = recover_after_missing(&server_with(FIVE), TOPIC, 3);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(4..=6));
}

#[test]
fn a_page_that_missed_as_many_events_as_are_kept_gets_all_of_them() {
    let recovery = recover_after_missing(&server_with(FIVE), TOPIC, 5);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(4..=8));
}

#[test]
fn a_page_that_missed_more_events_than_are_kept_gets_an_incomplete_answer() {
    for missed in [6, 7] {
        let recovery = recover_after_missing(&server_with(FIVE), TOPIC, missed);
        assert!(!recovery.complete, "{missed}");
        assert_eq!(recovery.payloads(), numbers(missed - 1..=missed + 3));
    }
}

#[test]
fn the_history_of_one_topic_can_be_longer_than_that_of_others_or_off() {
    let configuration = format!(
        "{FIVE}[[topics]]\npattern = \"acme/long\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n\
         history = {{ events = 20, seconds = 3600 }}\n\
         [[topics]]\npattern = \"acme/none\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n\
         history = {{ events = 0 }}\n"
    );
    let server = server_with(&configuration);
    let recovery = recover_after_missing(&server, "acme/long", 20);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(4..=23));
    let recovery = recover_after_missing(&server, "acme/other", 20);
    assert!(!recovery.complete);
    assert_eq!(recovery.payloads(), numbers(19..=23));
    let recovery = recover_after_missing(&server, "acme/none", 2);
    assert!(!recovery.complete && recovery.events.is_empty(), "{recovery:?}");
}

#[test]
fn a_server_without_history_never_returns_a_complete_answer() {
    for off in ["[history]\nevents = 0\n", "[history]\nbytes = 0\n"] {
        let recovery = recover_after_missing(&server_with(off), TOPIC, 1);
        assert!(!recovery.complete && recovery.events.is_empty(), "{off}: {recovery:?}");
    }
}

#[test]
fn expired_events_make_the_answer_incomplete() {
    let server =
        server_with("[history]\nseconds = 1\n[limits]\nmessages_per_second = 10000\nmessage_burst = 10000\n");
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({})).position;
    source.publish_all(TOPIC, 1..=2);
    let first = page.event(TOPIC).position;
    let second = page.event(TOPIC).position;
    wait::until_true("the first event has expired", || !page.recover_since(TOPIC, &start).complete);
    wait::until_true("the second event has expired", || !page.recover_since(TOPIC, &first).complete);
    let last = page.recover_since(TOPIC, &second);
    assert!(last.events.is_empty(), "{last:?}");
    source.publish_all(TOPIC, [3]);
    assert_eq!(page.event(TOPIC).payload, 3);
    let last = page.recover_since(TOPIC, &second);
    assert!(!last.complete || last.payloads() == numbers(3..=3), "{last:?}");
}

#[test]
fn repeated_reconnects_deliver_each_event_once() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let mut position = page.recover(TOPIC, &json!({})).position;
    let mut seen = Vec::new();
    for round in 0..4 {
        page.reset();
        source.publish_all(TOPIC, round * 3..round * 3 + 3);
        page = Client::anonymous(&server, OROSYNC);
        let recovery = page.recover_since(TOPIC, &position);
        assert!(recovery.complete);
        seen.extend(recovery.payloads());
        position = recovery.position;
    }
    assert_eq!(seen, numbers(0..=11));
}

#[test]
fn the_position_of_a_topic_without_events_is_valid() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let empty = Client::anonymous(&server, OROSYNC).recover("acme/empty", &json!({}));
    assert!(empty.complete && empty.events.is_empty(), "{empty:?}");
    let still = Client::anonymous(&server, OROSYNC).recover_since("acme/empty", &empty.position);
    assert!(still.complete && still.events.is_empty(), "{still:?}");
    source.publish_all("acme/empty", 1..=2);
    let recovery = Client::anonymous(&server, OROSYNC).recover_since("acme/empty", &empty.position);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(1..=2));
}

#[test]
fn an_invalid_position_gets_all_kept_events_in_an_incomplete_answer() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    source.publish_all(TOPIC, 1..=3);
    let mut page = Client::anonymous(&server, OROSYNC);
    let good = page.recover(TOPIC, &json!({})).position;
    let (number, tag) = good.split_once('.').expect("an offset and a tag");
    let other_tag = if tag.starts_with('1') { "2" } else { "1" };
    for unknown in [
        "0.0".to_owned(),
        String::new(),
        ".".to_owned(),
        number.to_owned(),
        format!("{number}."),
        format!(".{tag}"),
        format!("{number}.{other_tag}{tag}"),
        format!("{number}.{other_tag}{}", &tag[1..]),
        format!("-{good}"),
        format!("18446744073709551615.{tag}"),
        format!("18446744073709551616.{tag}"),
        format!("{number}.{}", "f".repeat(1000)),
        with_offset(&good, |offset| offset + 1),
        "é.é".to_owned(),
    ] {
        let recovery = page.recover_since(TOPIC, &unknown);
        assert!(!recovery.complete, "{unknown:?}");
        assert_eq!(recovery.payloads(), numbers(1..=3), "{unknown:?}");
        assert_eq!(recovery.position, good);
    }
    assert!(page.recover_since(TOPIC, &good).complete);
}

#[test]
fn messages_resent_after_lost_acknowledgements_cause_no_gap_and_no_second_event() {
    const EVENTS: u64 = 200;
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({})).position;
    let proxy = Proxy::to(server.address());
    let mut links = 0;
    proxy.inject(move || {
        links += 1;
        // After the handshake response and Welcome, so acknowledgements are lost.
        if links <= 4 { Fault::LoseAnswer { after: 240 } } else { Fault::None }
    });
    let mut source = Source::to(&proxy.endpoint());
    for number in 1..=EVENTS {
        source.publish_all(TOPIC, [number]);
    }
    assert!(source.reconnects() >= 4, "only {} reconnects", source.reconnects());

    let live: Vec<_> = (1..=EVENTS).map(|_| page.event(TOPIC)).collect();
    let recovery = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &start);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(1..=EVENTS));
    assert_eq!(recovery.events, live, "the same events at the same positions");
    let offsets: Vec<u64> = live.iter().map(|event| offset(&event.position)).collect();
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "{offsets:?}");
}

#[test]
fn a_page_that_missed_the_last_five_of_100000_events_gets_those_five() {
    const EVENTS: u64 = 100_000;
    let server = server_with(
        "[[topics]]\npattern = \"acme/long\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n\
         history = { events = 100000 }\n",
    );
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, WAMP);
    let start = page.recover("acme/long", &json!({})).position;
    page.send_text(r#"[6,"acme/long"]"#);
    page.assert_no_message();
    source.publish_all("acme/long", 1..=EVENTS - 5);
    let five_before_the_last = page.recover("acme/long", &json!({})).position;
    page.send_text(r#"[6,"acme/long"]"#);
    page.assert_no_message();
    source.publish_all("acme/long", EVENTS - 4..=EVENTS);
    let recovery = page.recover_since("acme/long", &five_before_the_last);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), numbers(EVENTS - 4..=EVENTS));
    let all = page.recover_since("acme/long", &start);
    assert!(!all.complete, "more events than the limit of an answer");
    assert_eq!(all.payloads(), numbers(EVENTS - 999..=EVENTS), "the latest events");
}
