//! Sessions without recovery receive the same bytes, whether or not other sessions recover.

use orosync_tests::client::{Client, OROSYNC, WAMP};
use orosync_tests::recovery::event;
use orosync_tests::source::Source;
use serde_json::json;

use super::{TOPIC, server, server_with};

/// All bytes that a plain session receives, with a masked session id: it subscribes, receives events, unsubscribes and subscribes
/// again.
fn transcript(configuration: &str, offer: &str, with_others: bool) -> Vec<u8> {
    let server = server_with(configuration);
    let mut source = Source::to(&server.endpoint());
    source.publish_all(TOPIC, ["before"]);
    let mut others: Vec<Client> = (0..4).map(|_| Client::anonymous(&server, OROSYNC)).collect();
    if with_others {
        for (number, other) in others.iter_mut().enumerate() {
            let tags = if number % 2 == 0 { json!({}) } else { json!({"tags": ["c"]}) };
            other.recover(TOPIC, &tags);
        }
    }
    let mut page = Client::connect(&server);
    page.handshake("/", offer);
    let mut bytes = page.head.clone().into_bytes();
    page.send_text(r#"[5,"acme/orders"]"#);
    page.send_text(r#"[5,"acme/orders"]"#);
    page.send_text(r#"[2,"a","orosync/ping"]"#);
    bytes.extend(read_until(&mut page, r#"[3,"a",null]"#));
    let forty_two = 42_000.5;
    let payloads =
        [json!(1), json!([{"username": "ben", "tagname": "c"}]), json!({"é": "/"}), json!(forty_two)];
    source.publish_all(TOPIC, payloads.clone());
    bytes.extend(read_until(&mut page, r#"[8,"acme\/orders",42000.5]"#));
    page.send_text(r#"[6,"acme/orders"]"#);
    page.send_text(r#"[2,"b","orosync/ping"]"#);
    bytes.extend(read_until(&mut page, r#"[3,"b",null]"#));
    source.publish_all(TOPIC, ["missed"]);
    page.send_text(r#"[5,"acme/orders"]"#);
    page.send_text(r#"[2,"none","no/such"]"#);
    page.send_text(r#"[2,"c","orosync/ping"]"#);
    bytes.extend(read_until(&mut page, r#"[3,"c",null]"#));
    source.publish_all(TOPIC, ["last"]);
    bytes.extend(read_until(&mut page, r#"[8,"acme\/orders","last"]"#));
    page.finish();
    bytes.extend(page.read_to_end());
    without_id(bytes)
}

fn read_until(page: &mut Client, end: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let more = page.read_once();
        assert!(!more.is_empty(), "the server ended the session");
        bytes.extend(more);
    }
    bytes
}

/// Masks the session id, the 32 hexadecimal digits after `[0,"`.
fn without_id(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.windows(4).position(|window| window == br#"[0,""#).expect("a WELCOME") + 4;
    bytes[at..at + 32].fill(b'0');
    bytes
}

#[test]
fn a_plain_session_receives_the_same_bytes_whether_or_not_others_recover() {
    for offer in ["", WAMP, OROSYNC] {
        let without_history = transcript("[history]\nevents = 0\n", offer, false);
        let text = String::from_utf8_lossy(&without_history).into_owned();
        let events: Vec<&str> = text.split(r#"[8,"acme\/orders","#).skip(1).collect();
        assert_eq!(events.len(), 5, "{text}");
        for (configuration, with_others) in [("", false), ("", true), ("[history]\nevents = 2\n", true)] {
            let other = transcript(configuration, offer, with_others);
            assert_eq!(String::from_utf8_lossy(&other), text, "{offer:?} {configuration:?} {with_others}");
        }
    }
}

#[test]
fn a_plain_subscription_can_become_one_with_positions_but_not_the_reverse() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, WAMP);
    page.subscribe(TOPIC);
    source.publish_all(TOPIC, [1]);
    assert_eq!(page.text(), r#"[8,"acme\/orders",1]"#);
    let answer = page.recover(TOPIC, &json!({}));
    assert!(answer.complete && answer.events.is_empty(), "no events were requested: {answer:?}");
    source.publish_all(TOPIC, [2]);
    assert_eq!(event(TOPIC, &page.text()).payload, 2);
    page.subscribe(TOPIC);
    source.publish_all(TOPIC, [3]);
    let third = event(TOPIC, &page.text());
    assert_eq!(third.payload, 3, "the subscription keeps its positions");
    page.send_text(r#"[6,"acme/orders"]"#);
    page.assert_no_message();
    source.publish_all(TOPIC, [4]);
    page.assert_no_message();
    page.subscribe(TOPIC);
    source.publish_all(TOPIC, [5]);
    assert_eq!(page.text(), r#"[8,"acme\/orders",5]"#);
    let recovery = page.recover_since(TOPIC, &third.position);
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), [4, 5].map(serde_json::Value::from));
}

#[test]
fn positions_and_events_use_the_full_name_of_a_prefixed_topic() {
    let server = server_with(
        "[[topics]]\npattern = \"acme#orders\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n",
    );
    let mut page = Client::anonymous(&server, WAMP);
    page.send_text(r#"[1,"a","acme"]"#);
    page.recover("a:orders", &json!({"tags": ["x"]}));
    Source::to(&server.endpoint()).publish_all("acme#orders", [1]);
    page.event("acme#orders");
    assert!(page.call("orosync/tags", &[json!("a:orders"), json!([])]).is_ok());
    let renewal = page.call("orosync/resume", &[]).expect("an answer");
    assert_eq!(
        renewal["positions"].as_object().map(|of| of.keys().cloned().collect()),
        Some(vec!["acme#orders".to_owned()])
    );
}
