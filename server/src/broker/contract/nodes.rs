//! The contract's tests for a broker that connects several nodes.

use std::sync::Arc;
use std::thread;

use super::stage::{Names, Observed, Stage, numbers, payload_of, settled};
use super::{Highest, assert_no_gap};
use crate::broker::{Broker, EventHandler, Since};

/// Tests the brokers of two nodes, which carry messages to both. `open` creates two for each test.
pub(in crate::broker) fn test_nodes(
    open: impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>,
    highest: Highest,
) {
    let nodes = || {
        let names = Names::new();
        [Stage::new(&open, names), Stage::new(&open, names)]
    };
    messages_of_either_node_become_events_of_both_once_and_in_the_same_order(&nodes());
    messages_resent_to_another_node_are_accepted_once(&nodes(), highest);
    messages_resent_to_another_node_before_acceptance_are_accepted_once(&nodes(), highest);
    positions_are_valid_on_all_nodes(&nodes());
}

fn messages_of_either_node_become_events_of_both_once_and_in_the_same_order(nodes: &[Stage; 2]) {
    const EACH: u64 = 500;
    const ALL: usize = 1000;
    thread::scope(|scope| {
        for (publisher, node) in (0..).zip(nodes) {
            // All payloads differ.
            scope.spawn(move || {
                (1..=EACH).for_each(|n| drop(node.publish_more(publisher, n..=n, publisher * EACH)));
            });
        }
    });
    let [one, other] = nodes.each_ref().map(|node| node.received(ALL));
    assert_eq!(one, other);
    assert_no_gap(&one);
    for publisher in 0..2 {
        let first = publisher * EACH + 1;
        let of_it = first..first + EACH;
        let numbers = one.iter().map(|event| event.what.parse().unwrap());
        assert!(
            numbers.filter(|n| of_it.contains(n)).eq(of_it.clone()),
            "the messages of a publisher, once and in order"
        );
    }
    nodes.iter().for_each(Stage::assert_nothing_more);
}

fn messages_resent_to_another_node_are_accepted_once(nodes: &[Stage; 2], known: Highest) {
    let [one, other] = nodes;
    settled([one, other], &one.publish(1, 1, 3));
    assert_eq!(settled([one, other], &other.highest(1)), known.expect(3));
    settled([one, other], &other.publish(1, 2, 5));
    assert_eq!(settled([one, other], &one.highest(1)), known.expect(5));
    settled([one, other], &one.publish(1, 4, 6));
    assert_received_once(nodes, 6);
}

fn messages_resent_to_another_node_before_acceptance_are_accepted_once(nodes: &[Stage; 2], known: Highest) {
    let [one, other] = nodes;
    let answers = [one.publish(1, 1, 3), other.publish(1, 1, 5)];
    for answer in &answers {
        settled([one, other], answer);
    }
    assert_eq!(settled([one, other], &one.highest(1)), known.expect(5));
    assert_received_once(nodes, 5);
}

/// Checks that both nodes received the numbers up to `last` once.
fn assert_received_once(nodes: &[Stage; 2], last: u64) {
    let expected = numbers(1..=last);
    for node in nodes {
        assert_eq!(node.written(expected.len()), expected);
    }
    nodes.iter().for_each(Stage::assert_nothing_more);
}

fn positions_are_valid_on_all_nodes([one, other]: &[Stage; 2]) {
    let topic = one.names.topic("t");
    one.publish(1, 1, 3);
    let mut received = one.received(3);
    let since = Since::Position(received[1].position);
    other.publish(2, 1, 2);
    received.extend(one.received(2));
    let recovered = other.recover(&topic, Some(since));
    let events = recovered.events.iter();
    let events: Vec<_> =
        events.map(|(at, body)| Observed { what: payload_of(body), position: Some(*at) }).collect();
    assert!(recovered.complete && Some(recovered.position) == received[4].position, "{recovered:?}");
    assert_eq!(events, received[2..]);
}
