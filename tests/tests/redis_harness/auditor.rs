//! The auditor and its record, at one node without Redis.

use std::panic::catch_unwind;

use orosync_tests::auditor::{Auditor, Record};
use orosync_tests::nodes::Nodes;
use orosync_tests::recovery::Event;
use orosync_tests::source::Source;
use orosync_tests::wait;
use serde_json::{Value, json};

const TOPIC: &str = "acme/orders";
const OTHER: &str = "acme/prices";

fn nodes() -> Nodes {
    let open = "[[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n";
    Nodes::start_each([open.to_owned()])
}

fn numbers(from: usize, to: usize) -> impl Iterator<Item = Value> {
    (from..to).map(|number| json!([0, number]))
}

#[test]
fn an_auditor_recovers_the_events_that_it_missed() {
    let nodes = nodes();
    let mut source = Source::to(&nodes.node(0).endpoint());
    let auditor = Auditor::start(nodes.addresses(), &[TOPIC, OTHER]);
    for round in 0..5 {
        let first = 20 * round;
        source.publish_all(TOPIC, numbers(first, first + 5));
        auditor.leave();
        source.publish_all(TOPIC, numbers(first + 5, first + 15));
        source.publish_all(OTHER, numbers(first + 15, first + 20));
    }
    auditor.await_count(100);
    let record = auditor.finish();
    record.assert_accepted([100]);
    assert_eq!((record.moves.len(), record.events(OTHER).len()), (5, 25));
}

#[test]
fn an_auditor_records_an_incomplete_recovery_and_continues() {
    let mut nodes = nodes();
    let auditor = Auditor::start(nodes.addresses(), &[TOPIC]);
    Source::to(&nodes.node(0).endpoint()).publish_all(TOPIC, numbers(0, 3));
    auditor.await_count(3);
    nodes.kill(0);
    wait::until_true("the auditor has lost its node", || auditor.moves() > 0);
    nodes.start_again(0);
    auditor.await_subscribed();
    Source::to(&nodes.node(0).endpoint()).publish_all(TOPIC, numbers(3, 6));
    auditor.await_count(6);
    let record = auditor.finish();
    assert!(!record.moves.is_empty());
    let [(topic, _)] = &*record.incomplete else { panic!("{:?}", record.incomplete) };
    assert_eq!(topic, TOPIC);
}

#[test]
fn a_record_with_missing_duplicate_or_reordered_events_is_rejected() {
    let record = |numbers: &[usize]| {
        let event = |number: &usize| Event { position: number.to_string(), payload: json!([0, number]) };
        let events = numbers.iter().map(event).collect();
        Record { topics: [(TOPIC.to_owned(), events)].into(), ..Record::default() }
    };
    record(&[0, 1, 2]).assert_accepted([3]);
    for wrong in [&[0, 2][..], &[0, 1, 1, 2], &[0, 2, 1], &[0, 1]] {
        assert!(catch_unwind(|| record(wrong).assert_accepted([3])).is_err(), "{wrong:?}");
    }
    let mut incomplete = record(&[0, 1, 2]);
    incomplete.incomplete.push((TOPIC.to_owned(), "0".to_owned()));
    assert!(catch_unwind(|| incomplete.assert_accepted([3])).is_err());
}
