//! `{"since": {"milliseconds": n}}`: recovery of events accepted since n milliseconds before this session's 101 response.

use std::time::{Duration, Instant};

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::recovery::Recovery;
use orosync_tests::source::Source;
use orosync_tests::wait;
use serde_json::{Value, json};

use super::{TOPIC, server, server_with};

/// Pause between two events that must be distinguished. Far longer than a handshake takes.
const PAUSE: Duration = Duration::from_millis(400);

/// The times before and after an action.
#[derive(Clone, Copy)]
struct Timing {
    after: Instant,
    before: Instant,
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Timing) {
    let after = Instant::now();
    let result = act();
    (result, Timing { after, before: Instant::now() })
}

fn since(page: &mut Client, milliseconds: f64) -> Recovery {
    page.recover(TOPIC, &json!({"since": {"milliseconds": milliseconds}}))
}

/// Number of milliseconds before `later` of a time that is certainly after `earlier` and before `next`.
fn between(earlier: Timing, next: Timing, later: Timing) -> f64 {
    let least = later.before - next.after;
    let most = later.after - earlier.before;
    assert!(least < most, "the machine paused for longer than {PAUSE:?}");
    (least + most).as_secs_f64() / 2.0 * 1e3
}

#[test]
fn a_recovery_since_a_time_contains_exactly_the_later_events() {
    let (server, start) = timed(server);
    let mut source = Source::to(&server.endpoint());
    wait::let_pass(PAUSE, "the server is older than the first event");
    let ((), first) = timed(|| source.publish_all(TOPIC, [1]));
    wait::let_pass(PAUSE, "the first event is older than the second");
    let ((), second) = timed(|| source.publish_all(TOPIC, [2]));
    wait::let_pass(PAUSE, "the second event is older than the page");
    let (mut page, greeted) = timed(|| Client::anonymous(&server, OROSYNC));

    let both = since(&mut page, between(start, first, greeted));
    assert!(both.complete);
    assert_eq!(both.payloads(), [1, 2].map(Value::from));
    let one = since(&mut page, between(first, second, greeted));
    assert!(one.complete);
    assert_eq!(one.payloads(), [2].map(Value::from));
    let none = since(&mut page, 0.0);
    assert!(none.complete && none.events.is_empty(), "{none:?}");
    assert_eq!(none.position, both.position);
}

#[test]
fn a_negative_number_means_a_time_after_the_101_response() {
    let server = server();
    let mut source = Source::to(&server.endpoint());
    let (mut page, greeted) = timed(|| Client::anonymous(&server, OROSYNC));
    wait::let_pass(PAUSE, "the page is older than the first event");
    let ((), first) = timed(|| source.publish_all(TOPIC, [1]));
    wait::let_pass(PAUSE, "the first event is older than the second");
    let ((), second) = timed(|| source.publish_all(TOPIC, [2]));
    let all = since(&mut page, 0.0);
    assert!(all.complete);
    assert_eq!(all.payloads(), [1, 2].map(Value::from), "all events after the 101 response");
    let middle = (first.before - greeted.before) + (second.after - first.before) / 2;
    let one = since(&mut page, -middle.as_secs_f64() * 1e3);
    assert!(one.complete);
    assert_eq!(one.payloads(), [2].map(Value::from));
    let none = since(&mut page, -1e9);
    assert!(none.events.is_empty(), "no events are from the future: {none:?}");
}

#[test]
fn a_recovery_since_a_time_before_the_servers_start_is_incomplete() {
    let (server, start) = timed(|| {
        let server = server();
        Source::to(&server.endpoint()).publish_all(TOPIC, 1..=2);
        server.restart()
    });
    let mut source = Source::to(&server.endpoint());
    wait::let_pass(PAUSE, "the server is older than the event");
    let ((), event) = timed(|| source.publish_all(TOPIC, [3]));
    let (mut page, greeted) = timed(|| Client::anonymous(&server, OROSYNC));
    let known = since(&mut page, between(start, event, greeted));
    assert!(known.complete);
    assert_eq!(known.payloads(), [3].map(Value::from));
    let before_its_start = (greeted.before - start.after).as_secs_f64() * 1e3;
    for milliseconds in [before_its_start, 1e6, 1e15] {
        let unknown = since(&mut page, milliseconds);
        assert!(!unknown.complete, "{milliseconds}");
        assert_eq!(unknown.payloads(), [3].map(Value::from), "{milliseconds}: the kept events are delivered");
    }
}

#[test]
fn a_recovery_is_incomplete_if_events_since_that_time_were_dropped() {
    let (server, start) = timed(|| server_with("[history]\nevents = 5\n"));
    let mut source = Source::to(&server.endpoint());
    wait::let_pass(PAUSE, "the server is older than the events");
    let ((), dropped) = timed(|| source.publish_all(TOPIC, [1]));
    wait::let_pass(PAUSE, "the first event is older than the others");
    let ((), kept) = timed(|| source.publish_all(TOPIC, 2..=6));
    let (mut page, greeted) = timed(|| Client::anonymous(&server, OROSYNC));
    let incomplete = since(&mut page, between(start, dropped, greeted));
    assert!(!incomplete.complete);
    assert_eq!(incomplete.payloads(), [2, 3, 4, 5, 6].map(Value::from));
    let complete = since(&mut page, between(dropped, kept, greeted));
    assert!(complete.complete, "the dropped event is older");
    assert_eq!(complete.payloads(), [2, 3, 4, 5, 6].map(Value::from));
}

#[test]
fn extreme_numbers_of_milliseconds_end_no_session() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    for number in ["1e308", "-1e308", "1e18", "-1e18", "0.0001", "-0.0", "18446744073709551615", "1e-320"] {
        page.send_text(&format!(
            r#"[2,1,"orosync/subscribe","{TOPIC}",{{"since":{{"milliseconds":{number}}}}}]"#
        ));
        let answer = page.text();
        assert!(answer.starts_with("[3,1,") || answer.contains(r#"{"code":400}"#), "{number}: {answer}");
        page.assert_no_message();
    }
}
