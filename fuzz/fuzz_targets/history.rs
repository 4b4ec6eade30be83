//! Histories beside a model that forgets nothing. Of one topic, with a clock: an answer is said to be complete exactly if it
//! has all that was asked for. Of a node: it is never said wrongly, and the bounds hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orosync_fuzz::history::{NodeStep, TopicStep, drive_node, drive_topic};

fuzz_target!(|input: (u8, u16, Vec<TopicStep>, u16, u8, Vec<NodeStep>)| {
    let (max_events, max_age, topic, bytes, events, node) = input;
    drive_topic(max_events, max_age, topic);
    drive_node(bytes, events, node);
});
