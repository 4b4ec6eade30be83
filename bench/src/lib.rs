//! What the bench programs share: time, machines, figures.
//!
//! One question per program in `src/bin`. Each measures in turn, in one run, this product and the raw limit or a peer
//! beside it; it prints a table for people and one line of JSON. Nothing is asserted: machines are shared and noisy, so
//! compare ratios of one run.

pub mod figures;
pub mod sessions;

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds: the clock of PHP's `hrtime(true)`, so that both ends of a path read the same one.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// The machine, in one line.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}, Linux {}", model.unwrap_or("unknown").trim(), kernel.trim())
}
