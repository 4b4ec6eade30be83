//! Fuzzes histories against a model that forgets nothing. One topic with a clock: an answer is marked complete exactly if it
//! contains everything asked for. A node: an answer is never marked complete wrongly, and the limits hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orosync_fuzz::history::{NodeStep, TopicStep, drive_node, drive_topic};

fuzz_target!(|input: (u8, u16, Vec<TopicStep>, u16, u8, Vec<NodeStep>)| {
    let (max_events, max_age, topic, bytes, events, node) = input;
    drive_topic(max_events, max_age, topic);
    drive_node(bytes, events, node);
});
