//! Recovery of missed events by reconnecting sessions.

use super::*;

const TOPIC: &str = "oro/data/update";

impl Stage {
    /// Opens a session that can call `orosync/subscribe`.
    fn session(&mut self) -> SessionKey {
        let key = self.browser(OROSYNC, &user(7));
        self.write();
        key
    }

    /// Calls a procedure. Returns the answer, which must be the only output.
    fn called(&mut self, key: SessionKey, procedure: &str, arguments: &str) -> String {
        let comma = if arguments.is_empty() { "" } else { "," };
        self.say(key, &format!(r#"[2,"1","{procedure}"{comma}{arguments}]"#));
        let texts = self.texts(key);
        let [text] = &texts[..] else { panic!("{texts:?}") };
        text.clone()
    }

    /// Calls `orosync/subscribe`. Returns the topic's position and the rest of the answer.
    fn recovered(&mut self, key: SessionKey, options: &str) -> (String, String) {
        let text = self.called(key, "orosync/subscribe", &format!(r#""{TOPIC}",{options}"#));
        let rest = text.strip_prefix(r#"[3,"1",{"position":""#).unwrap_or_else(|| panic!("{text}"));
        let (position, rest) = rest.split_once("\",").unwrap();
        (position.to_owned(), rest.replace(&format!(".{}", tag(position)), ""))
    }

    /// Calls `orosync/subscribe` while the broker is unavailable.
    fn call_without_broker(&mut self, key: SessionKey) {
        self.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}",{{"since":"0.0","tags":["A"]}}]"#));
        self.fail_recoveries();
    }

    /// Answers all requested recoveries with [`Unavailable`].
    fn fail_recoveries(&mut self) {
        self.shard.request_recoveries();
        while let Ok(mut message) = self.inbox.try_recv() {
            if let ShardMessage::Recovered { recovered, .. } = &mut message {
                *recovered = Err(Unavailable);
            }
            self.shard.handle_message(message, self.now);
        }
    }

    fn has_subscribers(&self) -> bool {
        self.node.has_subscribers(&Topic::parse(TOPIC).unwrap())
    }

    fn update(&self, json: &str) {
        self.publish(message(TOPIC, json));
    }
}

/// The tag of a position.
fn tag(position: &str) -> &str {
    position.split_once('.').unwrap().1
}

fn since(position: &str) -> String {
    format!(r#"{{"since":"{position}"}}"#)
}

fn tagged(name: &str) -> String {
    format!(r#"[{{"username":"ben","tagname":"{name}"}}]"#)
}

#[test]
fn a_reconnecting_session_gets_missed_events_and_then_later_ones() {
    let mut stage = Stage::new();
    let first = stage.session();
    let (position, rest) = stage.recovered(first, "{}");
    assert_eq!(rest, r#""complete":true,"events":[]}]"#);
    stage.update("1");
    let tag = tag(&position).to_owned();
    assert_eq!(stage.texts(first), [format!(r#"[8,"oro\/data\/update",1,"1.{tag}"]"#)]);
    (2..=4).for_each(|n: u64| stage.update(&n.to_string()));
    let second = stage.session();
    let (position, rest) = stage.recovered(second, &since(&format!("1.{tag}")));
    assert_eq!(rest, r#""complete":true,"events":[["2",2],["3",3],["4",4]]}]"#);
    assert_eq!(position, format!("4.{tag}"));
    stage.update("5");
    assert_eq!(stage.texts(second), [format!(r#"[8,"oro\/data\/update",5,"5.{tag}"]"#)]);
    let third = stage.session();
    assert_eq!(stage.recovered(third, r#"{"since":"4.77"}"#).1[..16], *r#""complete":false"#);
}

#[test]
fn no_event_is_lost_or_repeated_between_the_answer_and_later_events() {
    let mut stage = Stage::new();
    let (before, key) = (stage.session(), stage.session());
    let (position, _) = stage.recovered(before, "{}");
    stage.update("1");
    // The answer and two events are in the inbox together.
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}",{}]"#, since(&position)));
    stage.shard.request_recoveries();
    stage.update("2");
    let texts = stage.texts(key);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains(r#""complete":true,"events":[["1."#) && texts[1].starts_with("[8,"));
    assert!(!texts[0].contains("\"2."));
}

#[test]
fn milliseconds_are_counted_back_from_the_101_response() {
    let mut stage = Stage::new();
    stage.update("1");
    let asked = |stage: &mut Stage, milliseconds: &str| {
        let key = stage.session();
        stage.recovered(key, &format!(r#"{{"since":{{"milliseconds":{milliseconds}}}}}"#)).1
    };
    stage.now = Instant::now();
    assert_eq!(asked(&mut stage, "0"), r#""complete":true,"events":[]}]"#);
    stage.now += Duration::from_secs(10);
    assert_eq!(asked(&mut stage, "9000.5"), r#""complete":true,"events":[]}]"#);
    assert_eq!(
        asked(&mut stage, "60000"),
        r#""complete":false,"events":[["1",1]]}]"#,
        "a time before the server started"
    );
    stage.update("2");
    assert_eq!(asked(&mut stage, "-1"), r#""complete":true,"events":[]}]"#);
    assert_eq!(asked(&mut stage, "10500"), r#""complete":false,"events":[["1",1],["2",2]]}]"#);
}

#[test]
fn events_with_other_tags_are_filtered_and_positions_advance() {
    let mut stage = Stage::new();
    let (key, everything) = (stage.session(), stage.session());
    let (start, _) = stage.recovered(key, r#"{"tags":["A","B"]}"#);
    stage.recovered(everything, "{}");
    let several = r#"[{"tagname":"A"},{"tagname":"B"},{"tagname":"C"}]"#;
    for json in [&tagged("C"), &tagged("B"), "17", several, "[]"] {
        stage.update(json);
    }
    let got = stage.texts(key);
    assert_eq!(got.len(), 4, "each event once: {got:?}");
    assert!(got[0].contains(r#""tagname":"B""#) && got[2].contains(r#""tagname":"C""#));
    assert_eq!(stage.texts(everything).len(), 5);
    assert_eq!(stage.called(key, "orosync/tags", r#""oro/data/update",["C"]"#), r#"[3,"1",null]"#);
    stage.update(&tagged("A"));
    stage.update(&tagged("C"));
    assert_eq!(stage.texts(key).len(), 1);
    let positions: Vec<_> = stage.shard.subscribers.positions(key).map(|(_, at)| at.offset).collect();
    assert_eq!(positions, [7]);
    let again = stage.session();
    let (_, rest) = stage.recovered(again, &format!(r#"{{"since":"{start}","tags":["A"]}}"#));
    assert_eq!(rest.matches("tagname").count(), 4, "three tags of one event, one of another: {rest}");
    assert_eq!(stage.called(again, "orosync/tags", r#""oro/data/update""#), r#"[3,"1",null]"#);
    stage.update(&tagged("X"));
    assert_eq!(stage.texts(again).len(), 1, "without tags all events are delivered");
}

#[test]
fn plain_subscribers_get_events_without_positions() {
    let mut stage = Stage::new();
    let (plain, other) = (stage.browser(WAMP, &user(1)), stage.session());
    stage.write();
    stage.say(plain, &format!(r#"[5,"{TOPIC}"]"#));
    stage.recovered(other, "{}");
    stage.update("1");
    assert_eq!(stage.texts(plain), [r#"[8,"oro\/data\/update",1]"#]);
}

#[test]
fn a_plain_subscription_becomes_one_with_positions_without_losing_an_event() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.say(key, &format!(r#"[5,"{TOPIC}"]"#));
    stage.update("1");
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    stage.shard.request_recoveries();
    stage.update("2");
    let texts = stage.texts(key);
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!(texts[0], r#"[8,"oro\/data\/update",1]"#);
    assert!(texts[1].starts_with("[3,") && texts[2].starts_with(r#"[8,"oro\/data\/update",2,"2."#));
    assert_eq!(stage.metrics.subscriptions.get(), 1);
}

#[test]
fn a_session_that_unsubscribes_before_the_answer_gets_only_the_answer() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    stage.say(key, &format!(r#"[6,"{TOPIC}"]"#));
    assert_eq!(stage.texts(key).len(), 1);
    stage.update("1");
    assert!(stage.texts(key).is_empty() && !stage.node.has_subscribers(&Topic::parse(TOPIC).unwrap()));
    assert_eq!(stage.metrics.subscriptions.get(), 0);
}

#[test]
fn a_session_that_ends_before_the_answer_leaves_nothing_behind() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}",{{"tags":["A"]}}]"#));
    let asked = stage.session();
    stage.say(asked, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    // The first session ends before its recovery is requested, the second before the broker has answered.
    for (gone, left) in [(key, 1), (asked, 0)] {
        stage.shard.handle_end_of_input(gone);
        stage.write();
        stage.shard.request_recoveries();
        assert_eq!(stage.shard.sessions.len(), left);
    }
    stage.run();
    assert_eq!((stage.shard.replies, stage.shard.recovering), (0, 0));
    assert!(!stage.node.has_subscribers(&Topic::parse(TOPIC).unwrap()));
    assert_eq!(stage.metrics.subscriptions.get(), 0);
}

const UNAVAILABLE_ANSWER: &str = r#"[4,"1","orosync\/subscribe","missed events cannot be determined at the moment because the broker is unavailable. Ask again",{"code":503}]"#;

#[test]
fn a_call_while_the_broker_is_unavailable_subscribes_to_nothing_and_can_be_retried() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.call_without_broker(key);
    assert_eq!(stage.texts(key), [UNAVAILABLE_ANSWER]);
    assert!(!stage.has_subscribers());
    assert_eq!((stage.metrics.subscriptions.get(), stage.shard.recovering), (0, 0));
    let Metrics { recoveries_unavailable, recoveries, .. } = &*stage.metrics;
    assert_eq!((recoveries_unavailable.get(), recoveries.get()), (1, 0));
    stage.update("1");
    assert!(stage.texts(key).is_empty());
    assert!(stage.recovered(key, r#"{"since":"0.0"}"#).1.contains(r#""events":[["1",1]]"#));
    stage.update("2");
    assert_eq!((stage.texts(key).len(), stage.metrics.subscriptions.get()), (1, 1));
}

#[test]
fn a_call_while_the_broker_is_unavailable_keeps_an_existing_subscription() {
    let mut stage = Stage::new();
    let (plain, positioned) = (stage.session(), stage.session());
    stage.say(plain, &format!(r#"[5,"{TOPIC}"]"#));
    stage.recovered(positioned, "{}");
    for key in [plain, positioned] {
        stage.call_without_broker(key);
        assert_eq!(stage.texts(key), [UNAVAILABLE_ANSWER]);
    }
    stage.update(&tagged("X"));
    for key in [plain, positioned] {
        assert_eq!(stage.texts(key).len(), 1, "the requested tags do not apply");
    }
    assert_eq!(stage.metrics.subscriptions.get(), 2);
}

#[test]
fn a_failed_call_does_not_affect_a_later_pending_one() {
    let mut stage = Stage::new();
    let key = stage.session();
    let call = format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#);
    for unsubscribes in [false, true] {
        stage.say(key, &call);
        stage.shard.request_recoveries();
        if unsubscribes {
            stage.say(key, &format!(r#"[6,"{TOPIC}"]"#));
        }
        stage.say(key, &call);
        let Ok(ShardMessage::Recovered { awaited, .. }) = stage.inbox.try_recv() else { panic!() };
        let recovered = Err(Unavailable);
        stage.shard.handle_message(ShardMessage::Recovered { awaited, recovered }, stage.now);
        let texts = stage.texts(key);
        assert!(texts[0] == UNAVAILABLE_ANSWER && texts[1].starts_with("[3,"), "{texts:?}");
        stage.update("1");
        assert_eq!((stage.texts(key).len(), stage.metrics.subscriptions.get()), (1, 1));
        stage.say(key, &format!(r#"[6,"{TOPIC}"]"#));
        assert!(!stage.has_subscribers());
    }
}

#[test]
fn unsubscribing_or_ending_while_the_broker_is_unavailable_leaves_nothing_behind() {
    let mut stage = Stage::new();
    let (stays, goes) = (stage.session(), stage.session());
    for key in [stays, goes] {
        stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    }
    stage.shard.request_recoveries();
    stage.say(stays, &format!(r#"[6,"{TOPIC}"]"#));
    stage.shard.handle_end_of_input(goes);
    stage.write();
    stage.fail_recoveries();
    assert_eq!(stage.texts(stays), [UNAVAILABLE_ANSWER]);
    assert!(!stage.has_subscribers());
    assert_eq!((stage.metrics.subscriptions.get(), stage.shard.recovering), (0, 0));
}

#[test]
fn calls_are_answered_in_order() {
    let mut stage = Stage::new();
    let key = stage.session();
    for call in [
        r#"1,"orosync/ping""#,
        r#"2,"orosync/subscribe","oro/data/update""#,
        r#"3,"orosync/ping""#,
        r#"4,"no""#,
    ] {
        stage.say(key, &format!("[2,{call}]"));
    }
    stage.say(key, r#"[2,5,"orosync/subscribe","oro/maintenance"]"#);
    let texts = stage.texts(key);
    let starts: Vec<&str> = texts.iter().map(|text| &text[..4]).collect();
    assert_eq!(starts, ["[3,1", "[3,2", "[3,3", "[4,4", "[3,5"], "{texts:?}");
    assert_eq!(stage.called(key, "orosync/ping", "0"), r#"[3,"1",null]"#);
}

#[test]
fn invalid_calls_are_answered_with_their_cause() {
    let mut stage = Stage::with(|limits| limits.subscriptions = 1);
    let key = stage.session();
    for (procedure, arguments, answer) in [
        (
            "subscribe",
            "",
            r#"[4,"1","orosync\/subscribe","orosync\/subscribe: a topic is missing",{"code":400}]"#,
        ),
        (
            "subscribe",
            "7",
            r#"[4,"1","orosync\/subscribe","orosync\/subscribe: argument 1 is not a topic",{"code":400}]"#,
        ),
        (
            "subscribe",
            r#""oro/data/update",{"since":7}"#,
            r#"[4,"1","orosync\/subscribe","orosync\/subscribe: argument 2 is not an object with since and tags",{"code":400}]"#,
        ),
        (
            "subscribe",
            r#""oro/data/update",{"since":{"milliseconds":1e300}}"#,
            r#"milliseconds are too many",{"code":400}]"#,
        ),
        ("subscribe", r#""acme/orders""#, r#"{"code":401}]"#),
        ("tags", r#""oro/data/update",["A"]"#, r#"{"code":404}]"#),
        ("tags", r#""oro/data/update",7"#, r#"argument 2 is not a list of content tags",{"code":400}]"#),
    ] {
        let received = stage.called(key, &format!("orosync/{procedure}"), arguments);
        assert!(received.starts_with(r#"[4,"1","#) && received.ends_with(answer), "{received}\n{answer}");
    }
    let tags = vec!["\"A\""; 201].join(",");
    let received = stage.called(key, "orosync/subscribe", &format!(r#""{TOPIC}",{{"tags":[{tags}]}}"#));
    assert!(received.contains("201 tags, at most 200 are possible"), "{received}");
    stage.recovered(key, "{}");
    let received = stage.called(key, "orosync/subscribe", r#""oro/maintenance""#);
    assert!(
        received.contains("may have at most 1 subscriptions") && received.ends_with(r#"{"code":429}]"#),
        "{received}"
    );
}

#[test]
fn events_for_other_sessions_are_not_recovered_either() {
    let mut stage = Stage::new();
    let (key, other) = (stage.session(), stage.session());
    let (position, _) = stage.recovered(key, "{}");
    let mut to_other = message(TOPIC, "1");
    let id = stage.shard.session(other).unwrap().id().unwrap();
    to_other.audience.eligible = SessionIds::new(vec![id]).unwrap();
    stage.publish(to_other);
    stage.update("2");
    assert_eq!(stage.texts(key).len(), 1);
    let again = stage.session();
    assert_eq!(stage.recovered(again, &since(&position)).1, r#""complete":true,"events":[["2",2]]}]"#);
    assert_eq!(
        stage.recovered(other, &since(&position)).1,
        r#""complete":true,"events":[["1",1],["2",2]]}]"#
    );
}

#[test]
fn large_answers_leave_room_for_further_answers_and_events() {
    let mut stage = Stage::with(|limits| limits.outbound_bytes = 64 << 10);
    let large = format!("\"{}\"", "x".repeat(10_000));
    let topics = ["oro/data/update", "oro/maintenance", "oro/ping"];
    for topic in topics {
        (0..40).for_each(|_| stage.publish(message(topic, &large)));
    }
    let key = stage.session();
    for topic in topics {
        stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{topic}",{{"since":"0.0"}}]"#));
    }
    let texts = stage.texts(key);
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|text| text.contains(r#""complete":false"#)));
    assert!(texts[0].len() > 20_000 && !stage.shard.session(key).unwrap().is_ending());
}

#[test]
fn the_number_of_recoveries_in_flight_is_limited() {
    let mut stage = Stage::new();
    let keys: Vec<_> = (0..2 * MAX_RECOVERIES_IN_FLIGHT).map(|_| stage.session()).collect();
    for key in &keys {
        stage.say(*key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}",{{"since":"0.0","tags":[]}}]"#));
    }
    stage.shard.request_recoveries();
    assert_eq!(
        (stage.shard.recovering, stage.shard.recoveries.len()),
        (MAX_RECOVERIES_IN_FLIGHT, MAX_RECOVERIES_IN_FLIGHT)
    );
    assert!(!stage.shard.has_recoveries(), "the limit is reached");
    for key in keys {
        assert_eq!(stage.texts(key).len(), 1);
    }
    assert_eq!((stage.shard.recovering, stage.shard.recoveries.len()), (0, 0));
}

#[test]
fn events_examined_for_a_recovery_are_charged_to_the_rate_limit() {
    let mut stage = Stage::with(|limits| {
        limits.message_burst = 10;
        limits.messages_per_second = 1;
    });
    (0..1000).for_each(|_| stage.update("1"));
    let key = stage.session();
    for _ in 0..3 {
        stage.recovered(key, r#"{"since":"0.0"}"#);
    }
    // Each call costs one token, and another for its thousand events: six of ten tokens.
    for _ in 0..4 {
        assert_eq!(stage.called(key, "orosync/ping", ""), r#"[3,"1",null]"#);
    }
    stage.say(key, r#"[2,"1","orosync/ping"]"#);
    assert_eq!(stage.shard.session(key).unwrap().ended_as(), "too_many_messages");
}

#[test]
fn a_drain_waits_for_replies_to_publishers_only() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    let (done, mut replies_sent) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    assert!(replies_sent.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected));
}

#[test]
fn the_first_step_of_a_drain_does_not_end_a_session_with_a_pending_call() {
    let mut stage = Stage::new();
    let key = stage.session();
    stage.say(key, &format!(r#"[2,"1","orosync/subscribe","{TOPIC}"]"#));
    let (done, mut replies_sent) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    assert_eq!(stage.texts(key).len(), 1);
    assert!(!stage.shard.session(key).unwrap().is_ending());
    assert!(replies_sent.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected));
}

#[test]
fn sessions_that_can_recover_lost_events_get_no_later_ones_and_are_ended() {
    let mut stage = Stage::new();
    let [plain, all, some, other] = [(); 4].map(|()| stage.session());
    stage.say(plain, &format!(r#"[5,"{TOPIC}"]"#));
    stage.recovered(all, "{}");
    stage.recovered(some, r#"{"tags":["A"]}"#);
    let received = stage.called(other, "orosync/subscribe", r#""oro/ping",{}"#);
    assert!(received.contains(r#""complete":true"#), "{received}");
    stage.shard.handle_message(ShardMessage::EndIncomplete(Topic::parse(TOPIC).unwrap()), stage.now);
    // A later event would hide the gap.
    stage.update(&tagged("A"));
    assert_eq!(stage.texts(plain).len(), 1);
    for key in [all, some] {
        assert_eq!(stage.texts(key), [""; 0]);
    }
    let received = stage.called(all, "orosync/resume", "");
    assert!(received.contains(r#""positions":{}"#), "{received}");
    // Further ends join the schedule.
    stage.shard.handle_message(ShardMessage::EndIncomplete(Topic::parse("oro/ping").unwrap()), stage.now);
    let mut closed = Vec::new();
    while let Some(next) = stage.shard.end_due(stage.now) {
        stage.now = next;
    }
    stage.write();
    for key in [plain, all, some, other] {
        closed.push(frames(&stage.written(key)).first().map(|(_, payload)| [payload[0], payload[1]]));
    }
    let incomplete = Some(CloseReason::Incomplete.code().to_be_bytes());
    assert_eq!(closed, [None, incomplete, incomplete, incomplete]);
}

#[test]
fn repeated_requests_to_end_browsers_do_not_postpone_their_end() {
    let mut stage = Stage::new();
    for _ in 0..1000 {
        stage.session();
    }
    let begun = stage.now;
    stage.shard.handle_message(ShardMessage::EndBrowsers, stage.now);
    while let Some(next) = stage.shard.end_due(stage.now) {
        stage.now = next;
        stage.shard.handle_message(ShardMessage::EndBrowsers, stage.now);
    }
    assert!(stage.now - begun <= Duration::from_secs(10), "{:?}", stage.now - begun);
}

#[test]
fn after_a_possibly_missed_disconnect_all_browsers_end_and_need_a_new_ticket() {
    let mut stage = Stage::new();
    let keys: Vec<_> = (0..10).map(|_| stage.session()).collect();
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    stage.recovered(keys[0], "{}");
    stage.shard.handle_message(ShardMessage::EndIncomplete(Topic::parse(TOPIC).unwrap()), stage.now);
    stage.shard.handle_message(ShardMessage::EndBrowsers, stage.now);
    stage.shard.handle_message(ShardMessage::EndIncomplete(Topic::parse(TOPIC).unwrap()), stage.now);
    let (begun, mut ended) = (stage.now, 0);
    while let Some(next) = stage.shard.end_due(stage.now) {
        ended += 1;
        stage.now = next;
    }
    assert!(ended >= 9 && stage.now - begun >= Duration::from_millis(150), "one after the other");
    for key in keys {
        assert_eq!(frames(&stage.written(key))[0].1[..2], 4010_u16.to_be_bytes());
    }
    assert!(stage.written(publisher).is_empty());
    let late = stage.session();
    stage.shard.end_due(stage.now + Duration::from_mins(1));
    assert!(stage.written(late).is_empty(), "a session that began later stays open");
}
