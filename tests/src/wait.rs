//! Waits for conditions with a time limit, so that tests do not sleep.

use std::thread;
use std::time::{Duration, Instant};

/// Default time limit of a wait. It is far longer than any success takes, so it only bounds failures.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until `condition` returns a value.
///
/// # Panics
///
/// After [`LIMIT`], with `what` in the message.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(LIMIT, what, condition)
}

/// Like [`until`], with another time limit, for slow programs.
pub fn until_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "timed out after {limit:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Sleeps in a test of something that must not happen. Prints the reason `why`.
pub fn let_pass(time: Duration, why: &str) {
    println!("waiting for {time:?}: {why}");
    thread::sleep(time);
}

/// Waits until `condition` holds.
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
