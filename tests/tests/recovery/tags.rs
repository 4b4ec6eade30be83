//! Content tags: events about content that a page does not show are skipped, in the answer and later; all others are delivered.

use orosync_tests::client::{Client, OROSYNC, WAMP};
use orosync_tests::php;
use orosync_tests::recovery::CallError;
use orosync_tests::server::command;
use orosync_tests::source::Source;
use serde_json::{Value, json};

use super::{TOPIC, server, server_with};

/// Payloads, and whether each is delivered to a page with the tags "a" and "b/ü".
fn payloads() -> Vec<(Value, bool)> {
    let raw = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let as_string = |value: &Value| Value::String(value.to_string());
    let list = |tags: &[&str]| -> Value {
        tags.iter().map(|tag| json!({"username": "ben", "tagname": tag})).collect()
    };
    let object = |tags: &[&str]| -> Value {
        let of = |(index, tag): (usize, &&str)| {
            (format!("{}", index + 1), json!({"username": null, "tagname": tag}))
        };
        Value::Object(tags.iter().enumerate().map(of).collect())
    };
    vec![
        // Lists of content tags, in all their forms.
        (list(&["a"]), true),
        (list(&["c"]), false),
        (list(&["c", "d", "e"]), false),
        (list(&["c", "d", "a"]), true),
        (list(&["c", "b/ü"]), true),
        (object(&["a"]), true),
        (object(&["c"]), false),
        (object(&["c", "b/ü", "d"]), true),
        (as_string(&list(&["a"])), true),
        (as_string(&list(&["c", "d"])), false),
        (as_string(&list(&["c", "b/ü"])), true),
        (as_string(&object(&["c"])), false),
        (as_string(&object(&["a", "c"])), true),
        (raw(r#"[{"tagname":"c"}]"#), false),
        (raw(r#"[{"tagname":""}]"#), false),
        (raw(r#"[{"tagname":"A"}]"#), false),
        (raw(r#"[{"tagname":"c","username":"a","other":["a"]}]"#), false),
        // All other payloads are delivered to every page.
        (list(&[]), true),
        (object(&[]), true),
        (as_string(&list(&[])), true),
        (as_string(&as_string(&list(&["c"]))), true),
        (json!([{"username": "ben"}]), true),
        (json!([{"username": "ben", "tagname": "c"}, {"username": "ben"}]), true),
        (json!([{"username": "ben"}, {"username": "ben", "tagname": "c"}]), true),
        (json!([{"tagname": 1}]), true),
        (json!([{"tagname": null}]), true),
        (json!([{"tagname": ["c"]}]), true),
        (json!([["tagname", "c"]]), true),
        (json!([[{"tagname": "c"}]]), true),
        (json!(["c"]), true),
        (json!({"tagname": "c"}), true),
        (json!({"list": [{"tagname": "c"}]}), true),
        (json!([{"Tagname": "c"}]), true),
        (json!(null), true),
        (json!(true), true),
        (json!(17), true),
        (json!(""), true),
        (json!("c"), true),
        (json!("[{\"tagname\":\"c\"}"), true),
        (json!("[{\"tagname\":\"c\"}]]"), true),
    ]
}

fn expected() -> Vec<Value> {
    payloads().into_iter().filter_map(|(payload, is_delivered)| is_delivered.then_some(payload)).collect()
}

#[test]
fn only_events_that_name_none_of_a_pages_tags_are_skipped() {
    let server = server_with("shards = 2\n");
    let mut source = Source::to(&server.endpoint());
    let mut live = Client::anonymous(&server, OROSYNC);
    let start = live.recover(TOPIC, &json!({"tags": ["a", "b/ü"]})).position;
    let mut whole = Client::anonymous(&server, OROSYNC);
    whole.recover(TOPIC, &json!({}));
    let mut plain = Client::anonymous(&server, WAMP);
    plain.subscribe(TOPIC);
    source.publish_all(TOPIC, payloads().into_iter().map(|(payload, _)| payload));

    let events: Vec<_> = expected().iter().map(|_| live.event(TOPIC)).collect();
    for (event, payload) in events.iter().zip(expected()) {
        assert_eq!(event.payload, payload, "as an event");
    }
    live.assert_no_message();
    let mut late = Client::anonymous(&server, OROSYNC);
    let recovery = late.recover(TOPIC, &json!({"since": start, "tags": ["a", "b/ü"]}));
    assert!(recovery.complete);
    for (event, payload) in recovery.events.iter().zip(expected()) {
        assert_eq!(event.payload, payload, "in the answer");
    }
    assert_eq!(recovery.events, events);
    for (payload, _) in payloads() {
        let event = whole.event(TOPIC);
        assert_eq!(event.payload, payload, "without tags all events are delivered");
        assert_eq!(plain.text(), format!(r#"[8,"acme\/orders",{payload}]"#));
        if payload == payloads().last().expect("one").0 {
            assert_eq!(event.position, recovery.position, "the position includes skipped events");
        }
    }
}

/// JSON in forms that `serde_json` does not write.
#[test]
fn tags_are_compared_as_a_browser_parses_them() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({"tags": ["a"]})).position;
    let publish = |json: &str| {
        let output = command()
            .args(["publish", "--endpoint", &server.endpoint(), "--secret-file"])
            .arg(server.secret_file())
            .args([TOPIC, json])
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{json}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for json in [
        r#"[{"tagname":"\u0061"}]"#,
        r#"[{"\u0074agname":"a"}]"#,
        r#" [ { "tagname" : "a" } ] "#,
        r#"[{"tagname":"c","tagname":"a"}]"#,
        r#"{"x":{"tagname":"c"},"x":{"tagname":"a"}}"#,
        r#""[{\"tagname\":\"\\u0061\"}]""#,
        r#""\u005b{\"tagname\":\"a\"}]""#,
    ] {
        publish(json);
        let text = page.text();
        assert!(text.starts_with(r#"[8,"acme\/orders","#), "{json}: {text}");
    }
    publish(r#"[{"tagname":"\u0062"}]"#);
    page.assert_no_message();
    let all = page.recover_since(TOPIC, &start);
    assert_eq!(all.events.len(), 8, "the last event was skipped only because of its tag");
    // A lone surrogate: no page has this tag, but the server cannot parse it and delivers the event.
    publish(r#"[{"tagname":"\ud800"}]"#);
    let text = page.text();
    assert!(text.starts_with(r#"[8,"acme\/orders",[{"tagname":"\ud800"}],"#), "{text}");
}

#[test]
fn new_tags_apply_from_the_answer_on() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let tags = |names: &[&str]| -> Value { names.iter().map(|name| json!({"tagname": name})).collect() };
    let mut page = Client::anonymous(&server, OROSYNC);
    page.recover(TOPIC, &json!({"tags": []}));
    source.publish_all(TOPIC, [tags(&["a"]), json!("for all")]);
    assert_eq!(
        page.event(TOPIC).payload,
        "for all",
        "with an empty list of tags all tagged events are skipped"
    );
    assert_eq!(page.call("orosync/tags", &[json!(TOPIC), json!(["a"])]), Ok(Value::Null));
    source.publish_all(TOPIC, [tags(&["b"]), tags(&["a"])]);
    assert_eq!(page.event(TOPIC).payload, tags(&["a"]));
    assert_eq!(page.call("orosync/tags", &[json!(TOPIC), json!(["b", "c", "b"])]), Ok(Value::Null));
    source.publish_all(TOPIC, [tags(&["a"]), tags(&["c"]), tags(&["b", "c"])]);
    assert_eq!(page.event(TOPIC).payload, tags(&["c"]));
    assert_eq!(page.event(TOPIC).payload, tags(&["b", "c"]), "once, although it names two of the tags");
    page.assert_no_message();
    // Without tags, all events are delivered again, after both calls.
    page.recover(TOPIC, &json!({}));
    source.publish_all(TOPIC, [tags(&["y"])]);
    assert_eq!(page.event(TOPIC).payload, tags(&["y"]));
    page.recover(TOPIC, &json!({"tags": ["a"]}));
    assert_eq!(page.call("orosync/tags", &[json!(TOPIC)]), Ok(Value::Null));
    source.publish_all(TOPIC, [tags(&["z"])]);
    assert_eq!(page.event(TOPIC).payload, tags(&["z"]));
}

#[test]
fn tags_belong_to_one_session_and_topic_and_end_with_the_subscription() {
    let server = server_with("shards = 1\n");
    let mut source = Source::to(&server.endpoint());
    let tags = |name: &str| json!([{"tagname": name}]);
    let mut pages = ["a", "b"].map(|name| {
        let mut page = Client::anonymous(&server, OROSYNC);
        page.recover(TOPIC, &json!({"tags": [name]}));
        page.recover("oro/maintenance", &json!({"tags": ["m"]}));
        page
    });
    source.publish_all(TOPIC, [tags("a"), tags("b"), tags("m")]);
    source.publish_all("oro/maintenance", [tags("a"), tags("b"), tags("m")]);
    for (page, name) in pages.iter_mut().zip(["a", "b"]) {
        assert_eq!(page.event(TOPIC).payload, tags(name));
        assert_eq!(page.event("oro/maintenance").payload, tags("m"));
    }
    let [first, second] = &mut pages;
    first.send_text(r#"[6,"acme/orders"]"#);
    first.assert_no_message();
    source.publish_all(TOPIC, [tags("a"), tags("b")]);
    assert_eq!(second.event(TOPIC).payload, tags("b"));
    first.subscribe(TOPIC);
    source.publish_all(TOPIC, [tags("z")]);
    assert_eq!(first.text(), r#"[8,"acme\/orders",[{"tagname":"z"}]]"#, "a plain subscription has no tags");
    second.assert_no_message();
}

#[test]
fn tags_are_refused_for_a_topic_not_subscribed_with_orosync_subscribe() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    let refused = |answer: Result<Value, CallError>| {
        let refused = answer.expect_err("a refusal");
        assert_eq!(refused.code, 404, "{refused:?}");
    };
    refused(page.call("orosync/tags", &[json!(TOPIC), json!(["a"])]));
    page.subscribe(TOPIC);
    refused(page.call("orosync/tags", &[json!(TOPIC), json!(["a"])]));
    page.recover(TOPIC, &json!({}));
    assert_eq!(page.call("orosync/tags", &[json!(TOPIC), json!(["a"])]), Ok(Value::Null));
    page.send_text(r#"[6,"acme/orders"]"#);
    refused(page.call("orosync/tags", &[json!(TOPIC), json!(["a"])]));
    page.assert_no_message();
}

#[test]
fn renewals_keep_the_position_of_a_page_current_while_all_events_are_skipped() {
    let server = server_with("[history]\nevents = 5\n");
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let options = json!({"tags": ["mine"]});
    let start = page.recover(TOPIC, &options).position;
    page.recover("oro/maintenance", &json!({}));
    source.publish_all(TOPIC, (0..20).map(|_| json!([{"tagname": "others"}])));
    let renewal = page.call("orosync/resume", &[]).expect("an answer");
    let positions = renewal["positions"].as_object().expect("positions");
    assert_eq!(positions.keys().collect::<Vec<_>>(), [TOPIC, "oro/maintenance"]);
    let renewed = positions[TOPIC].as_str().expect("a position").to_owned();
    page.reset();

    let mut page = Client::anonymous(&server, OROSYNC);
    let stale = page.recover(TOPIC, &json!({"since": start, "tags": ["mine"]}));
    assert!(!stale.complete, "the dropped events may have had its tag");
    let current = page.recover(TOPIC, &json!({"since": renewed, "tags": ["mine"]}));
    assert!(current.complete && current.events.is_empty(), "{current:?}");
    source.publish_all(TOPIC, [json!([{"tagname": "others"}]), json!([{"tagname": "mine"}])]);
    let mut page = Client::anonymous(&server, OROSYNC);
    let since = page.recover(TOPIC, &json!({"since": renewed, "tags": ["mine"]}));
    assert!(since.complete);
    assert_eq!(since.payloads(), [json!([{"tagname": "mine"}])]);
}

#[test]
fn content_tags_published_by_the_extension_reach_the_pages_that_show_them() {
    let server = server();
    let mut pages: Vec<Client> = (0..4).map(|uid| Client::user(&server, OROSYNC, uid + 1)).collect();
    for (number, page) in pages.iter_mut().enumerate() {
        page.recover(
            "oro/data/update",
            &json!({"tags": [format!("App_Entity_Contact_{number}"), "App_Entity_Contact"]}),
        );
    }
    let script = r#"
        foreach ([2, 3, 0] as $id) {
            orosync_publish("oro/data/update", [["username" => "ben", "tagname" => "App_Entity_Contact_$id"]]);
            orosync_publish("oro/data/update", json_encode([1 => ["username" => null, "tagname" => "App_Entity_Contact_$id"]]));
        }
        orosync_publish("oro/data/update", [["username" => "ben", "tagname" => "App_Entity_Contact"]]);
        var_dump(orosync_flush(10));
    "#;
    assert_eq!(php::output(&server.endpoint(), script), "bool(true)\n");
    for (number, page) in pages.iter_mut().enumerate() {
        if number != 1 {
            let tag = format!("App_Entity_Contact_{number}");
            assert_eq!(page.event("oro/data/update").payload, json!([{"username": "ben", "tagname": tag}]));
            let as_string = page.event("oro/data/update").payload;
            assert_eq!(as_string, format!(r#"{{"1":{{"username":null,"tagname":"{tag}"}}}}"#));
        }
        let common = page.event("oro/data/update").payload;
        assert_eq!(common[0]["tagname"], "App_Entity_Contact");
        page.assert_no_message();
    }
}
