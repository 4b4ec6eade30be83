//! Waiting for a condition with a limit, instead of sleeping.

use std::thread;
use std::time::{Duration, Instant};

/// Maximum wait of a test for anything. Far longer than needed: it bounds failures, not successes.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` returns a value.
///
/// # Panics
///
/// After [`LIMIT`], naming what it waited for.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, condition)
}

/// The same with another limit, for slow programs.
pub fn until_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Lets time pass in a test of something that must not happen; `why` says what.
pub fn let_pass(time: Duration, why: &str) {
    println!("{time:?} pass: {why}");
    thread::sleep(time);
}

/// Waits until `condition` holds.
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
