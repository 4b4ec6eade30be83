//! The contract's tests for a broker that connects several nodes.

use std::sync::Arc;
use std::thread;

use super::stage::{Names, Said, Stage, numbers, said_by, settled};
use super::{Highest, assert_no_hole};
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
    what_is_published_at_either_is_an_event_of_both_once_and_in_one_order(&nodes());
    what_is_sent_again_to_another_is_accepted_once(&nodes(), highest);
    what_is_sent_again_to_another_before_it_was_accepted_is_accepted_once(&nodes(), highest);
    a_position_of_one_is_one_of_the_other(&nodes());
}

fn what_is_published_at_either_is_an_event_of_both_once_and_in_one_order(nodes: &[Stage; 2]) {
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
    let [one, other] = nodes.each_ref().map(|node| node.came(ALL));
    assert_eq!(one, other);
    assert_no_hole(&one);
    for publisher in 0..2 {
        let first = publisher * EACH + 1;
        let of_it = first..first + EACH;
        let said = one.iter().map(|said| said.what.parse().unwrap());
        assert!(said.filter(|n| of_it.contains(n)).eq(of_it.clone()), "in its order, each once");
    }
    nodes.iter().for_each(Stage::assert_nothing_more);
}

fn what_is_sent_again_to_another_is_accepted_once(nodes: &[Stage; 2], known: Highest) {
    let [one, other] = nodes;
    settled([one, other], &one.publish(1, 1, 3));
    assert_eq!(settled([one, other], &other.highest(1)), known.expect(3));
    settled([one, other], &other.publish(1, 2, 5));
    assert_eq!(settled([one, other], &one.highest(1)), known.expect(5));
    settled([one, other], &one.publish(1, 4, 6));
    assert_came_once(nodes, 6);
}

fn what_is_sent_again_to_another_before_it_was_accepted_is_accepted_once(nodes: &[Stage; 2], known: Highest) {
    let [one, other] = nodes;
    let answers = [one.publish(1, 1, 3), other.publish(1, 1, 5)];
    for answer in &answers {
        settled([one, other], answer);
    }
    assert_eq!(settled([one, other], &one.highest(1)), known.expect(5));
    assert_came_once(nodes, 5);
}

/// Checks that both nodes received the numbers up to `last` once.
fn assert_came_once(nodes: &[Stage; 2], last: u64) {
    let expected = numbers(1..=last);
    for node in nodes {
        assert_eq!(node.written(expected.len()), expected);
    }
    nodes.iter().for_each(Stage::assert_nothing_more);
}

fn a_position_of_one_is_one_of_the_other([one, other]: &[Stage; 2]) {
    let topic = one.names.topic("t");
    one.publish(1, 1, 3);
    let mut came = one.came(3);
    let since = Since::Position(came[1].position);
    other.publish(2, 1, 2);
    came.extend(one.came(2));
    let recovered = other.recover(&topic, Some(since));
    let events = recovered.events.iter();
    let events: Vec<_> =
        events.map(|(at, body)| Said { what: said_by(body), position: Some(*at) }).collect();
    assert!(recovered.complete && Some(recovered.position) == came[4].position, "{recovered:?}");
    assert_eq!(events, came[2..]);
}
