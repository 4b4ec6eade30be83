//! What `flush()`, `check()` and `shutdown()` wait for: the link thread says when something has changed.
//!
//! Owns a lock that only those who wait take. While nobody waits, the link thread pays one atomic load.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Progress {
    waiting: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Progress {
    /// Says that somebody is about to wait, until the guard is dropped.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Does somebody wait?
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// The link thread, after a change: whoever waits looks again.
    pub(crate) fn notify(&self) {
        // Orders the change before the look; `begin` has the other half.
        fence(Ordering::SeqCst);
        if self.is_awaited() {
            // Held for a moment, so that nobody is between its own look and its wait.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Progress);

impl Waiting<'_> {
    /// Waits until `done`, at most until `deadline`. Returns whether it is done.
    pub(crate) fn until(&self, deadline: Instant, mut done: impl FnMut() -> bool) -> bool {
        let mut guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if done() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = self.0.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_change_is_missed_by_who_waits() {
        const CHANGES: u64 = 20_000;
        let progress = Arc::new(Progress::default());
        let (asked, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let worker = {
            let (progress, asked, done) = (Arc::clone(&progress), Arc::clone(&asked), Arc::clone(&done));
            thread::spawn(move || {
                for change in 1..=CHANGES {
                    while asked.load(Ordering::Acquire) < change {
                        thread::yield_now();
                    }
                    done.store(change, Ordering::Release);
                    progress.notify();
                }
            })
        };
        // A missed change would cost the whole limit, and fail.
        let deadline = Instant::now() + Duration::from_mins(1);
        for change in 1..=CHANGES {
            let waiting = progress.begin();
            asked.store(change, Ordering::Release);
            assert!(waiting.until(deadline, || done.load(Ordering::Acquire) == change));
        }
        worker.join().unwrap();
        assert!(!progress.is_awaited());
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        let progress = Progress::default();
        assert!(!progress.begin().until(Instant::now(), || false));
    }
}
