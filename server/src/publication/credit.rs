//! Credit: flow control for publishers, a bound on the messages and bytes in flight in this node.
//!
//! A session takes credit before it publishes. Without credit its socket is not read, so the backpressure reaches the queue in
//! the PHP process. The credit of a message is returned when the last shard has written it to its sessions, or has queued it
//! behind earlier output for a slow reader. Bound: `limits.publisher_messages` and `limits.publisher_bytes`. Each shard checks
//! once per batch, so the bounds may be exceeded by one batch per shard.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The callback for the return of awaited credit.
type Notify = Box<dyn Fn() + Send + Sync>;

/// The credit that all publishers of a node share.
pub struct CreditPool {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    max_messages: usize,
    max_bytes: usize,
    /// Whether a session waits for credit. Whoever returns credit then calls `notify`.
    awaited: AtomicBool,
    notify: Notify,
}

impl CreditPool {
    /// A pool with nothing in flight. `notify` is called when awaited credit has been returned.
    pub fn new(
        max_messages: usize,
        max_bytes: usize,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_messages,
            max_bytes,
            awaited: AtomicBool::new(false),
            notify: Box::new(notify),
        })
    }

    /// Whether credit is available. If not, `notify` is called when credit has been returned.
    pub fn is_available(&self) -> bool {
        if self.has_room() {
            return true;
        }
        self.awaited.store(true, Ordering::SeqCst);
        // Credit returned between the two lines above did not call `notify`.
        self.has_room()
    }

    /// Takes the credit of one message.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Credit {
        self.messages.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Credit { pool: Arc::clone(self), bytes }
    }

    fn has_room(&self) -> bool {
        self.messages.load(Ordering::SeqCst) < self.max_messages
            && self.bytes.load(Ordering::SeqCst) < self.max_bytes
    }
}

impl fmt::Debug for CreditPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreditPool({:?} messages, {:?} bytes in flight)", self.messages, self.bytes)
    }
}

/// The credit of one message. Returned on drop.
#[derive(Debug)]
pub struct Credit {
    pool: Arc<CreditPool>,
    bytes: usize,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.pool.messages.fetch_sub(1, Ordering::SeqCst);
        self.pool.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        if self.pool.awaited.load(Ordering::SeqCst)
            && self.pool.has_room()
            && self.pool.awaited.swap(false, Ordering::SeqCst)
        {
            (self.pool.notify)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_limited_by_both_bounds_and_returned() {
        let pool = CreditPool::new(2, 100, || {});
        let first = pool.take(10);
        assert!(pool.is_available());
        let second = pool.take(10);
        assert!(!pool.is_available(), "two messages");
        drop(first);
        assert!(pool.is_available());
        let third = pool.take(90);
        drop(second);
        assert!(pool.is_available());
        let fourth = pool.take(10);
        assert!(!pool.is_available(), "a hundred bytes");
        drop((third, fourth));
        assert!(pool.is_available());
    }

    #[test]
    fn a_waiting_session_is_notified_once() {
        let notified = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&notified);
        let pool = CreditPool::new(1, 100, move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let credit = pool.take(1);
        assert!(!pool.is_available());
        assert_eq!(notified.load(Ordering::SeqCst), 0);
        drop(credit);
        assert_eq!(notified.load(Ordering::SeqCst), 1);
        drop(pool.take(1));
        assert_eq!(notified.load(Ordering::SeqCst), 1, "no session waits any more");
    }
}
