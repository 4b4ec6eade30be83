//! What sessions that were there before notice of what else happens to their server.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::thread::gettid;

use crate::load::Load;
use crate::machine::monotonic_ns;

/// The nanoseconds from a publish to each of these sessions, 99th percentile, while `act` runs. One message in each interval.
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

/// Has this thread run only while no other one wants its processor: where the others' reader would wait for that, it were not
/// the server's doing. A nice value is not enough: the kernel lets whoever runs finish a slice of some milliseconds.
fn let_others_go_first() -> io::Result<()> {
    let thread = gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("chrt: {status}"))) }
}

/// Publishes to the others, and reads, until that is over.
fn read(mut others: Load, interval: Duration, bytes: usize, ended: &AtomicBool) -> io::Result<u64> {
    // Nanoseconds, three digits, up to a minute.
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
