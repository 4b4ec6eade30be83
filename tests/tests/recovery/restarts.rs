//! A restarted server does not know the positions of its predecessor.

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::php;
use orosync_tests::server::Server;
use orosync_tests::source::Source;
use orosync_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{TOPIC, server};

const MAINTENANCE: &str = "oro/maintenance";

fn switch_maintenance(server: &Server, is_on: bool) {
    let script = format!(
        r#"var_dump(orosync_publish("{MAINTENANCE}", ["isOn" => {is_on}, "userId" => 1]), orosync_flush(10));"#
    );
    assert_eq!(php::output(&server.endpoint(), &script), "bool(true)\nbool(true)\n");
}

#[test]
fn after_a_kill_one_recovery_is_incomplete_and_the_next_is_complete() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    page.recover(TOPIC, &json!({}));
    Source::to(&server.endpoint()).publish_all(TOPIC, 1..=3);
    let seen: Vec<_> = (1..=3).map(|_| page.event(TOPIC)).collect();

    let server = server.restart();
    let mut page = Client::anonymous(&server, OROSYNC);
    let first = page.recover_since(TOPIC, &seen[2].position);
    assert!(!first.complete && first.events.is_empty(), "{first:?}");
    page.reset();
    let mut page = Client::anonymous(&server, OROSYNC);
    let second = page.recover_since(TOPIC, &first.position);
    assert!(second.complete && second.events.is_empty(), "{second:?}");
}

#[test]
fn a_restarted_server_rejects_old_positions_even_with_as_many_events() {
    let server = server();
    let mut page = Client::anonymous(&server, OROSYNC);
    page.recover(TOPIC, &json!({}));
    Source::to(&server.endpoint()).publish_all(TOPIC, 1..=3);
    let old: Vec<_> = (1..=3).map(|_| page.event(TOPIC)).collect();

    let server = server.restart();
    Source::to(&server.endpoint()).publish_all(TOPIC, 11..=14);
    for event in old {
        let recovery = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &event.position);
        assert!(!recovery.complete);
        assert_eq!(recovery.payloads(), [11, 12, 13, 14].map(Value::from), "the kept events are delivered");
    }
}

#[test]
fn pages_that_lose_their_server_during_maintenance_receive_its_end() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut server = server();
        let mut pages = [Client::anonymous(&server, OROSYNC), Client::anonymous(&server, OROSYNC)];
        for page in &mut pages {
            page.recover(MAINTENANCE, &json!({}));
        }
        switch_maintenance(&server, true);
        let on = pages.each_mut().map(|page| page.event(MAINTENANCE));
        assert!(on.iter().all(|event| event.payload["isOn"] == true), "{on:?}");
        server.signal(signal);
        let expected = if signal == Signal::TERM { Received::Close(1001) } else { Received::End };
        assert!(pages.iter_mut().all(|page| page.receive() == expected));
        server.wait();

        let server = server.start_again();
        let mut early = Client::anonymous(&server, OROSYNC);
        let nothing = early.recover_since(MAINTENANCE, &on[0].position);
        assert!(!nothing.complete && nothing.events.is_empty(), "{nothing:?}");
        switch_maintenance(&server, false);
        assert_eq!(early.event(MAINTENANCE).payload["isOn"], false, "as an event");
        let late = Client::anonymous(&server, OROSYNC).recover_since(MAINTENANCE, &on[1].position);
        assert!(!late.complete);
        assert_eq!(late.payloads(), [json!({"isOn": false, "userId": 1})], "in the answer");
    }
}

#[test]
fn a_reload_keeps_the_history_unless_its_limits_change() {
    let configuration = |more: &str| {
        format!(
            "{more}[[topics]]\npattern = \"{TOPIC}\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n\
             [[topics]]\npattern = \"acme/{{x}}\"\nsubscribe = \"anyone\"\n"
        )
    };
    let mut server = Server::start_with(&configuration(""));
    let mut source = Source::to(&server.endpoint());
    let mut page = Client::anonymous(&server, OROSYNC);
    let start = page.recover(TOPIC, &json!({})).position;
    source.publish_all(TOPIC, 1..=3);
    let live: Vec<_> = (1..=3).map(|_| page.event(TOPIC)).collect();
    server.rewrite(&configuration("[limits]\nsubscriptions = 50\n"));
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    let kept = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &start);
    assert!(kept.complete);
    assert_eq!(kept.events, live);

    server.rewrite(&configuration("[history]\nevents = 2\n"));
    server.signal(Signal::HUP);
    wait::until_true("the new limit applies", || {
        let recovery = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &start);
        assert!(!recovery.complete || recovery.events == live, "{recovery:?}");
        !recovery.complete
    });
    source.publish_all(TOPIC, 4..=6);
    let numbers: Vec<_> = (4..=6).map(|_| page.event(TOPIC)).collect();
    assert_eq!(
        numbers.iter().map(|event| event.payload.clone()).collect::<Vec<_>>(),
        [4, 5, 6].map(Value::from)
    );
    let since = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &live[2].position);
    assert!(!since.complete, "4 is not kept");
    assert_eq!(since.events, numbers[1..]);
    let since = Client::anonymous(&server, OROSYNC).recover_since(TOPIC, &numbers[0].position);
    assert!(since.complete);
    assert_eq!(since.events, numbers[1..]);
}
