//! Sessions of one shard: bytes, publishes, time and write readiness in any order. What must hold is in
//! `orosync_fuzz::stage` and `orosync_fuzz::client`: bounds, order, nothing twice, nothing after an unsubscribe, nothing
//! left behind.

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
