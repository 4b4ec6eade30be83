//! Waiting for a condition, with a limit, instead of sleeping for a while.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that a test waits for anything. Far beyond what it takes: it bounds a failure, not a success.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
///
/// # Panics
///
/// After [`LIMIT`], with what was waited for.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, condition)
}

/// The same with a limit of its own, for what takes other programs long.
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

/// Lets time pass, for a test of what must not happen meanwhile; `why` says what that is.
pub fn let_pass(time: Duration, why: &str) {
    println!("{time:?} pass: {why}");
    thread::sleep(time);
}

/// Waits until `condition` holds.
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
