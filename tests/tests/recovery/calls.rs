//! Refused calls with their codes and URIs, and the limits of an answer. A refusal never ends a session.

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::recovery::CallError;
use orosync_tests::source::Source;
use serde_json::{Value, json};

use super::{TOPIC, server, server_with};

const SUBSCRIBE: &str = "orosync/subscribe";
const TAGS: &str = "orosync/tags";

/// The limits of an answer: events, and bytes of their payloads.
const MAX_EVENTS: u64 = 1000;
const MAX_BYTES: usize = 256 << 10;

/// Makes a call and asserts that it is refused with this URI and code.
fn assert_call_refused(page: &mut Client, procedure: &str, arguments: &[Value], uri: &str, code: u64) {
    let Err(refused) = page.call(procedure, arguments) else { panic!("{procedure} accepted {arguments:?}") };
    assert_eq!((refused.uri.as_str(), refused.code), (uri, code), "{refused:?}");
    assert!(refused.sentence.contains(' '), "the reason is a sentence: {refused:?}");
}

#[test]
fn invalid_arguments_are_answered_with_400_and_the_session_stays_open() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    let tag = |count: usize| -> Value { (0..count).map(|number| format!("tag{number}")).collect() };
    for arguments in [
        vec![],
        vec![json!(7)],
        vec![json!(null)],
        vec![json!({"topic": TOPIC})],
        vec![json!(TOPIC), json!("0.0")],
        vec![json!(TOPIC), json!(5)],
        vec![json!(TOPIC), json!(["a"])],
        vec![json!(TOPIC), json!({"since": 5})],
        vec![json!(TOPIC), json!({"since": true})],
        vec![json!(TOPIC), json!({"since": []})],
        vec![json!(TOPIC), json!({"since": {}})],
        vec![json!(TOPIC), json!({"since": {"milliseconds": "5"}})],
        vec![json!(TOPIC), json!({"since": {"milliseconds": null}})],
        vec![json!(TOPIC), json!({"since": {"milliseconds": [5]}})],
        vec![json!(TOPIC), json!({"since": {"seconds": 5}})],
        vec![json!(TOPIC), json!({"tags": "a"})],
        vec![json!(TOPIC), json!({"tags": {"0": "a", "2": "b"}})],
        vec![json!(TOPIC), json!({"tags": ["a", 5]})],
        vec![json!(TOPIC), json!({"tags": [["a"]]})],
        vec![json!(TOPIC), json!({"tags": tag(201)})],
    ] {
        assert_call_refused(&mut page, SUBSCRIBE, &arguments, SUBSCRIBE, 400);
    }
    page.assert_no_message();
    Source::to(&server.endpoint()).publish_all(TOPIC, [1]);
    page.assert_no_message();
    assert!(page.recover(TOPIC, &json!({"tags": tag(200)})).complete, "200 tags are allowed");
    for arguments in [
        vec![],
        vec![json!(5), json!([])],
        vec![json!(TOPIC), json!("a")],
        vec![json!(TOPIC), json!({"tags": ["a"]})],
        vec![json!(TOPIC), json!([5])],
        vec![json!(TOPIC), json!([null])],
        vec![json!(TOPIC), tag(201)],
    ] {
        assert_call_refused(&mut page, TAGS, &arguments, TAGS, 400);
    }
    assert_eq!(page.call(TAGS, &[json!(TOPIC), tag(200)]), Ok(Value::Null));
}

#[test]
fn a_single_argument_that_is_a_list_is_unwrapped_as_in_every_call() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    page.send_text(r#"[2,1,"orosync/subscribe",["acme/orders",{"tags":["a"]}]]"#);
    let answer = page.text();
    assert!(answer.starts_with("[3,1,{"), "{answer}");
    page.send_text(r#"[2,2,"orosync/tags",["acme/orders",["b"]]]"#);
    assert_eq!(page.text(), "[3,2,null]");
    page.send_text(r#"[2,3,"orosync/subscribe",["acme/orders"]]"#);
    let answer = page.text();
    assert!(answer.starts_with("[3,3,{"), "{answer}");
}

#[test]
fn orosync_subscribe_refuses_the_same_topics_as_a_plain_subscription() {
    let server = server_with("[limits]\nsubscriptions = 2\n");
    let mut page = Client::user(&server, OROSYNC, 7);
    let long = "x".repeat(300);
    for (topic, code) in [
        ("oro/email_event/8/1", 401),
        ("nobody/declared", 401),
        ("orosync/disconnect", 401),
        ("", 400),
        ("a\nb", 400),
        (&long, 400),
    ] {
        page.send_text(&json!([5, topic]).to_string());
        let plain: Vec<Value> = serde_json::from_str(&page.text()).expect("a refusal");
        let uri = plain[1].as_str().expect("the topic");
        let answer = page.call(SUBSCRIBE, &[json!(topic), json!({"since": "0.0"})]);
        let expected = CallError {
            uri: uri.to_owned(),
            sentence: plain[3].as_str().expect("a sentence").to_owned(),
            code,
        };
        assert_eq!(answer, Err(expected), "{topic:?}");
        assert_eq!(plain[4]["code"], code);
    }
    page.recover("acme/1", &json!({}));
    page.recover("acme/2", &json!({}));
    assert_call_refused(&mut page, SUBSCRIBE, &[json!("acme/3")], "acme/3", 429);
    page.recover("acme/2", &json!({"since": "0.0"}));
    page.send_text(r#"[6,"acme/1"]"#);
    page.recover("acme/3", &json!({}));
    page.assert_no_message();
}

#[test]
fn the_answer_for_a_refused_topic_reveals_no_events() {
    let server = server();
    Source::to(&server.endpoint()).publish_all("oro/email_event/8/1", ["secret"]);
    let mut page = Client::user(&server, OROSYNC, 7);
    page.send_text(r#"[2,1,"orosync/subscribe","oro/email_event/8/1",{"since":"0.0"}]"#);
    let answer = page.text();
    assert!(
        answer.starts_with(r#"[4,1,"oro\/email_event\/8\/1","#) && !answer.contains("secret"),
        "{answer}"
    );
    page.assert_no_message();
}

#[test]
fn calls_are_answered_in_the_order_in_which_they_were_made() {
    let server = server_with("shards = 2\n");
    Source::to(&server.endpoint()).publish_all(TOPIC, 1..=100);
    let mut page = Client::anonymous(&server, OROSYNC);
    let calls = [
        r#"[2,0,"orosync/subscribe","acme/orders",{"since":"0.0"}]"#,
        r#"[2,1,"orosync/ping"]"#,
        r#"[2,2,"orosync/tags","acme/orders",["a"]]"#,
        r#"[2,3,"orosync/subscribe","no/such/topic"]"#,
        r#"[2,4,"orosync/resume"]"#,
        r#"[2,5,"orosync/subscribe","oro/maintenance"]"#,
        r#"[2,6,"orosync/tags","oro/maintenance",[]]"#,
        r#"[2,7,"orosync/tags","oro/email_event/1/1",[]]"#,
        r#"[2,8,"orosync/session"]"#,
    ];
    for call in calls {
        page.send_text(call);
    }
    for number in 0..calls.len() {
        let answer: Vec<Value> = serde_json::from_str(&page.text()).expect("an answer");
        assert_eq!(answer[1], number, "{answer:?}");
        assert_eq!(answer[0], if [3, 7].contains(&number) { 4 } else { 3 }, "{answer:?}");
    }
}

#[test]
fn an_answer_contains_at_most_the_latest_thousand_events() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::user(&server, OROSYNC, 1);
    // A topic with a longer history than the default.
    let topic = "oro/data/update";
    let start = page.recover(topic, &json!({})).position;
    page.send_text(&json!([6, topic]).to_string());
    page.assert_no_message();
    source.publish_all(topic, 1..=MAX_EVENTS);
    let all = page.recover_since(topic, &start);
    assert!(all.complete);
    assert_eq!(all.payloads(), (1..=MAX_EVENTS).map(Value::from).collect::<Vec<_>>());
    source.publish_all(topic, [MAX_EVENTS + 1]);
    let next = page.event(topic);
    let latest = page.recover_since(topic, &start);
    assert!(!latest.complete);
    assert_eq!(latest.payloads(), (2..=MAX_EVENTS + 1).map(Value::from).collect::<Vec<_>>());
    assert_eq!(latest.position, next.position);
}

#[test]
fn an_answer_contains_the_latest_events_up_to_its_limit_of_bytes() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({})).position;
    page.send_text(r#"[6,"acme/orders"]"#);
    page.assert_no_message();
    // 64 of these payloads, with quotes and positions, reach the limit of bytes.
    let payload = |number: u64| json!(format!("{number:<0$}", MAX_BYTES / 64 - 50));
    source.publish_all(TOPIC, (1..=64).map(payload));
    let all = page.recover_since(TOPIC, &start);
    assert!(all.complete, "{} events", all.events.len());
    assert_eq!(all.payloads(), (1..=64).map(payload).collect::<Vec<_>>());
    page.send_text(r#"[6,"acme/orders"]"#);
    page.assert_no_message();
    source.publish_all(TOPIC, (65..=100).map(payload));
    let latest = page.recover_since(TOPIC, &start);
    assert!(!latest.complete);
    assert_eq!(latest.payloads(), (37..=100).map(payload).collect::<Vec<_>>());
    let after = page.recover_since(TOPIC, &latest.events[10].position);
    assert!(after.complete, "the events after the eleventh fit");
    assert_eq!(after.events, latest.events[11..]);
}

#[test]
fn an_event_larger_than_an_answer_makes_recoveries_from_before_it_incomplete() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({})).position;
    let large = json!("x".repeat(MAX_BYTES));
    source.publish_all(TOPIC, [large.clone()]);
    let event = page.event(TOPIC);
    assert_eq!(event.payload, large);
    source.publish_all(TOPIC, ["small"]);
    page.event(TOPIC);
    let incomplete = page.recover_since(TOPIC, &start);
    assert!(!incomplete.complete);
    assert_eq!(incomplete.payloads(), ["small"].map(Value::from));
    let complete = page.recover_since(TOPIC, &event.position);
    assert!(complete.complete);
    assert_eq!(complete.payloads(), ["small"].map(Value::from));
}

#[test]
fn events_skipped_by_tags_do_not_count_towards_an_answers_limits() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::user(&server, OROSYNC, 1);
    let topic = "oro/data/update";
    let start = page.recover(topic, &json!({"tags": []})).position;
    let skipped = |number: u64| json!([{"tagname": "others", "filling": format!("{number:<300}")}]);
    source.publish_all(topic, std::iter::once(json!([{"tagname": "mine"}])).chain((1..=1500).map(skipped)));
    let recovery = page.recover(topic, &json!({"since": start, "tags": ["mine"]}));
    assert!(recovery.complete);
    assert_eq!(recovery.payloads(), [json!([{"tagname": "mine"}])]);
}
