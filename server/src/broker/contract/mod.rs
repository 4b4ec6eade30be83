//! The tests of the broker's contract. The tests of each broker call [`test`], and also [`test_nodes`] if it connects several
//! nodes.
//!
//! A broker may work within the call or later, settle receipts on acceptance or when everything is written, and keep data of
//! earlier tests, because each test has its own topics and publishers.

mod nodes;
mod remote;
mod stage;

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use orosync_protocol::{Position, Seq};

use super::{Broker, EventHandler, Since};
use crate::publication::{Author, Content, Publication};
use stage::{MAX_STORED, Names, Observed, Stage, numbers, payload_of, settled};

pub(super) use nodes::test_nodes;

/// A broker's answer to a publisher that asks for its highest accepted number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Highest {
    /// The highest number.
    Known,
    /// `None`, so that the publisher resends all unacknowledged messages: in a partitioned broker each partition has its own
    /// number.
    Unknown,
}

impl Highest {
    fn expect(self, highest: u64) -> Option<Seq> {
        match self {
            Self::Known => Seq::new(highest),
            Self::Unknown => None,
        }
    }
}

/// Tests a broker that remembers ten publishers and stores [`MAX_STORED`] events per topic. `open` creates one for each test.
pub(super) fn test(open: impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>, highest: Highest) {
    let stage = || Stage::new(&open, Names::new());
    resent_messages_are_published_once_and_in_order(&stage(), highest);
    resent_messages_are_not_acknowledged_before_they_are_accepted(&stage(), highest);
    all_kinds_of_content_become_events(&stage());
    credit_is_returned_when_events_are_written_and_duplicates_dropped(&stage());
    all_receivers_get_the_events_of_a_topic_in_the_same_order(&stage());
    dropped_duplicates_leave_no_gap_between_offsets(&stage());
    a_recovery_contains_the_events_handed_over_before_it_and_no_others(&stage());
    a_recovery_is_complete_only_from_a_position_of_the_topic(&stage());
}

/// Tests that a broker keeps the order of a publisher's messages across topics, as one without partitions does.
pub(super) fn test_order_over_topics(open: impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>) {
    let stage = Stage::new(&open, Names::new());
    let disconnect = stage.names.target().to_string();
    publish_to_everything(&stage);
    assert_eq!(stage.written(3), ["1", &disconnect, "3"]);
}

fn resent_messages_are_published_once_and_in_order(stage: &Stage, known: Highest) {
    assert_eq!(settled([stage], &stage.highest(1)), None);
    let first = stage.publish(1, 1, 3);
    let mut all = stage.written(3);
    settled([stage], &first);
    let again = stage.publish(1, 2, 5);
    all.extend(stage.written(2));
    settled([stage], &again);
    assert_eq!(all, numbers(1..=5));
    assert_eq!(settled([stage], &stage.highest(1)), known.expect(5));
    assert_eq!(settled([stage], &stage.highest(2)), None, "another publisher");
    stage.assert_nothing_more();
}

fn resent_messages_are_not_acknowledged_before_they_are_accepted(stage: &Stage, known: Highest) {
    let first = stage.publish(1, 1, 1);
    let (again, highest) = (stage.publish(1, 1, 1), stage.highest(1));
    assert_eq!(stage.received(1).len(), 1);
    if again.is_settled() || highest.is_settled() {
        // The broker settles receipts although the events are not written.
        stage.wait_for(|| first.is_settled().then_some(()));
    }
    for answer in [&first, &again] {
        settled([stage], answer);
    }
    assert_eq!(settled([stage], &highest), known.expect(1));
    stage.assert_nothing_more();
}

fn all_kinds_of_content_become_events(stage: &Stage) {
    publish_to_everything(stage);
    let mut all = stage.written(3);
    all.sort_unstable();
    let mut expected = ["1", "3", &stage.names.target().to_string()].map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(all, expected);
    for author in [Author::Browser, Author::Server] {
        publish_one(stage, author, None, stage.message("a", 4));
        assert_eq!(stage.written(1), ["4"], "a message without a number is never a duplicate");
    }
    stage.assert_nothing_more();
}

/// Publishes to two topics, and a disconnect in between, which is resent.
fn publish_to_everything(stage: &Stage) {
    let publisher = Author::Publisher(stage.names.publisher(1));
    let disconnect = || Content::Disconnect(stage.names.target());
    publish_one(stage, publisher, Some(1), stage.message("a", 1));
    publish_one(stage, publisher, Some(2), disconnect());
    publish_one(stage, publisher, Some(3), stage.message("b", 3));
    publish_one(stage, publisher, Some(2), disconnect());
}

fn publish_one(stage: &Stage, author: Author, seq: Option<u64>, content: Content) {
    let items = vec![stage.item(seq, content)];
    stage.broker.publish(Publication { author, items, receipt: None }, Instant::now());
}

fn credit_is_returned_when_events_are_written_and_duplicates_dropped(stage: &Stage) {
    let answers = [stage.publish(1, 1, 5), stage.publish(1, 1, 5)];
    assert_eq!(stage.written(5), numbers(1..=5));
    for answer in &answers {
        settled([stage], answer);
    }
    stage.wait_for(|| {
        let _most: Vec<_> = (1..stage::CREDIT).map(|_| stage.credit.take(1)).collect();
        stage.credit.is_available().then_some(())
    });
}

fn all_receivers_get_the_events_of_a_topic_in_the_same_order(stage: &Stage) {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 2000;
    const ALL: usize = 8000;
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for n in 1..=EACH {
                    // All payloads differ.
                    drop(stage.publish_more(publisher, n..=n, publisher * EACH));
                    stage.keep_pace(n * PUBLISHERS);
                }
            });
        }
    });
    let all = stage.received(ALL);
    assert_eq!(all.len(), ALL);
    let [one, other] = [0, 1].map(|receiver| stage.node.observed(receiver));
    assert!(one == other, "both receivers get the same order");
    assert_no_gap(&all);
}

fn dropped_duplicates_leave_no_gap_between_offsets(stage: &Stage) {
    stage.publish(1, 1, 3);
    stage.publish(1, 2, 3);
    stage.publish(1, 3, 5);
    stage.publish(2, 1, 1);
    let all = stage.received(6);
    assert_eq!(all.len(), 6);
    assert_no_gap(&all);
    stage.assert_nothing_more();
}

/// Checks the offsets of one topic, which also shows that no two positions are the same.
fn assert_no_gap(events: &[Observed]) {
    let offsets: Vec<_> = events.iter().map(|event| event.position.unwrap().offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "{offsets:?}");
}

/// While messages are published, a recovery contains all events handed over before it, and none handed over later.
fn a_recovery_contains_the_events_handed_over_before_it_and_no_others(stage: &Stage) {
    const ALL: u64 = 2000;
    let topic = stage.names.topic("t");
    let start = stage.recover(&topic, None);
    assert!(start.complete && start.events.is_empty());
    let since = Since::Position(Some(start.position));
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=ALL {
                drop(stage.publish(1, n, n));
                stage.keep_pace(n);
            }
        });
        for _ in 0..50 {
            let (recovered, before) = stage.wait_for(|| {
                let (recovered, before) = stage.ask(&topic, Some(since), usize::MAX);
                // On a busy machine Redis may not answer in time.
                Some((recovered.ok()?, before))
            });
            // The recovery also contains events that arrive during its read, in addition to the stored ones.
            let events = recovered.events.len();
            assert!((before.min(MAX_STORED)..=before).contains(&events), "{events} of {before}");
            assert_eq!(recovered.complete, events == before);
            assert_eq!(recovered.events.last().map_or(start.position, |(at, _)| *at), recovered.position);
        }
    });
    let written = stage.written(2000);
    assert_eq!(written, numbers(1..=ALL));
    let all = stage.recover(&topic, Some(since));
    let stored: Vec<_> = all.events.iter().map(|(_, body)| payload_of(body)).collect();
    assert!(!all.complete, "{MAX_STORED} are stored");
    assert_eq!(stored, written[written.len() - MAX_STORED..]);
    let few = stage.ask(&topic, Some(since), 10).0.unwrap();
    assert_eq!((few.complete, few.events.len(), few.position), (false, 10, all.position));
}

fn a_recovery_is_complete_only_from_a_position_of_the_topic(stage: &Stage) {
    let topic = stage.names.topic("t");
    stage.publish(1, 1, 3);
    let at: Vec<_> = stage.received(3).iter().map(|event| event.position.unwrap()).collect();
    let since = |position| stage.recover(&topic, Some(Since::Position(position)));
    for (index, position) in at.iter().enumerate() {
        let recovered = since(Some(*position));
        assert!(recovered.complete && recovered.position == at[2], "{recovered:?}");
        assert_eq!(recovered.events.iter().map(|(at, _)| *at).collect::<Vec<_>>(), at[index + 1..]);
        assert!(!since(Some(Position { tag: position.tag ^ 1, ..*position })).complete);
    }
    assert!(
        !since(Some(Position { offset: at[2].offset + 1, ..at[2] })).complete,
        "the position of a future event"
    );
    assert!(!since(None).complete);
    let nothing = stage.recover(&topic, None);
    assert!(nothing.complete && nothing.events.is_empty() && nothing.position == at[2]);
}
