//! Fuzzes sessions of one shard: bytes, publishes, time and write readiness in any order. `orosync_fuzz::stage` and
//! `orosync_fuzz::client` check the invariants: limits, order, no duplicates, nothing after an unsubscribe, no leaks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orosync_fuzz::stage::{Ending, Stage, Step};

fuzz_target!(|input: (Ending, Vec<Step>)| {
    let (ending, steps) = input;
    let mut stage = Stage::new();
    for step in steps {
        stage.step(step);
    }
    stage.finish(ending);
});
