//! Receipts, which notify a publisher's session when its publication has been written.
//!
//! Each event of a publication holds a reference to its receipt, and each shard drops an event when it has written it to the
//! subscribed sessions: the kernel has accepted it, or it is queued behind earlier output for a slow reader. When the last
//! reference is dropped, the waiter is notified. Costs one allocation per publication and a reference per event, without a
//! lock. Bound: receipts exist as long as their events, which credit bounds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orosync_protocol::Seq;

/// The result of a settled receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The highest sequence number that the broker has accepted from a publisher, if it was requested and exists.
    pub highest: Option<Seq>,
}

/// The waiter of a receipt.
pub trait Waiter: fmt::Debug + Send + Sync {
    /// Called once when the receipt is settled.
    fn notify(&self, settled: Settled);
}

/// Held by everything that must happen before the waiter is notified. Settled on drop.
#[derive(Debug)]
pub struct Receipt<W: Waiter + ?Sized = dyn Waiter> {
    /// The highest accepted sequence number. 0: none.
    highest: AtomicU64,
    is_settled: bool,
    waiter: W,
}

impl<W: Waiter> Receipt<W> {
    /// A receipt that notifies this waiter.
    pub fn new(waiter: W) -> Arc<Self> {
        Arc::new(Self { highest: AtomicU64::new(0), is_settled: false, waiter })
    }

    /// Drops a reference. If it was the last, the receipt is settled: its result is returned, and the waiter is not called.
    pub fn settle_now(receipt: Arc<Self>) -> Option<Settled> {
        Arc::into_inner(receipt).map(|mut receipt| {
            receipt.is_settled = true;
            receipt.settled()
        })
    }
}

impl<W: Waiter + ?Sized> Receipt<W> {
    /// Sets the highest sequence number accepted from a publisher, as part of the result.
    pub fn set_highest(&self, highest: Option<Seq>) {
        self.highest.store(highest.map_or(0, Seq::get), Ordering::Relaxed);
    }

    fn settled(&self) -> Settled {
        Settled { highest: Seq::new(self.highest.load(Ordering::Relaxed)) }
    }
}

impl<W: Waiter + ?Sized> Drop for Receipt<W> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.waiter.notify(self.settled());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    impl Waiter for Sender<Settled> {
        fn notify(&self, settled: Settled) {
            self.send(settled).unwrap();
        }
    }

    #[test]
    fn dropping_the_last_reference_notifies_the_waiter() {
        let (waiter, notified) = channel();
        let receipt = Receipt::new(waiter);
        let event: Arc<Receipt> = Arc::<Receipt<Sender<_>>>::clone(&receipt);
        event.set_highest(Seq::new(7));
        assert_eq!(Receipt::settle_now(receipt), None);
        assert!(notified.try_recv().is_err(), "an event still holds it");
        drop(event);
        assert_eq!(notified.try_recv().unwrap(), Settled { highest: Seq::new(7) });
    }

    #[test]
    fn a_receipt_without_other_holders_is_settled_at_once_without_a_notification() {
        let (waiter, notified) = channel();
        assert_eq!(Receipt::settle_now(Receipt::new(waiter)), Some(Settled { highest: None }));
        assert!(notified.try_recv().is_err());
    }
}
