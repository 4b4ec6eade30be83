//! Latency of connected sessions while something else happens on their server.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::thread::gettid;

use crate::load::Load;
use crate::machine::monotonic_ns;

/// Nanoseconds from a publish to each of these sessions, 99th percentile, while `act` runs. One message per interval.
pub fn p99_during(
    others: Load,
    interval: Duration,
    bytes: usize,
    act: impl FnOnce() -> io::Result<()> + Send,
) -> io::Result<u64> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(others, interval, bytes, &ended));
        let acted = scope.spawn(move || {
            let_others_go_first()?;
            act()
        });
        let acted = acted.join();
        ended.store(true, Ordering::Release);
        acted.map_err(|_| io::Error::other("what happens panicked"))??;
        reader.join().map_err(|_| io::Error::other("the reader panicked"))?
    })
}

/// Switches this thread to the idle scheduling class, so that it never delays the thread that reads the other sessions; such a
/// delay would be counted as the server's. A nice value is not enough: the kernel lets a running thread finish its slice of
/// some milliseconds.
fn let_others_go_first() -> io::Result<()> {
    let thread = gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("chrt: {status}"))) }
}

/// Publishes to the other sessions and reads them until the action has ended.
fn read(mut others: Load, interval: Duration, bytes: usize, ended: &AtomicBool) -> io::Result<u64> {
    // Nanoseconds with three significant digits, up to one minute.
    let mut waited = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
    let mut next = Instant::now();
    while !ended.load(Ordering::Acquire) {
        let published = monotonic_ns();
        others.publish_one(bytes, || waited.saturating_record(monotonic_ns() - published))?;
        next += interval;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(waited.value_at_quantile(0.99))
}
