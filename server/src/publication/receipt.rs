//! Receipts: how a publisher's session learns that what it has handed over has been written.
//!
//! Each event of a publication holds its receipt, and each shard lets go of an event when it has written it to the
//! sessions that subscribed: the kernel has it, or it waits in order behind what a slow reader has not read. When the
//! last one lets go, who waits is told. Costs one allocation per publication and a reference per event, no lock.
//! Bound: receipts exist as long as their events, which credit bounds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use orosync_protocol::Seq;

/// What a receipt says once it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The highest number that the broker has accepted of a publisher, if that was asked and there is one.
    pub highest: Option<Seq>,
}

/// Who waits for a receipt.
pub trait Waiter: fmt::Debug + Send + Sync {
    /// It is settled.
    fn tell(&self, settled: Settled);
}

/// Held by all that must happen before its waiter is told. Dropped: settled.
#[derive(Debug)]
pub struct Receipt<W: Waiter + ?Sized = dyn Waiter> {
    /// 0: none.
    highest: AtomicU64,
    is_told: bool,
    waiter: W,
}

impl<W: Waiter> Receipt<W> {
    /// A receipt that tells this waiter.
    pub fn new(waiter: W) -> Arc<Self> {
        Arc::new(Self { highest: AtomicU64::new(0), is_told: false, waiter })
    }

    /// Lets go of a receipt. If nobody else holds it, it is settled, nobody needs to be told, and here is what there
    /// would have been to tell.
    pub fn settle_now(receipt: Arc<Self>) -> Option<Settled> {
        Arc::into_inner(receipt).map(|mut receipt| {
            receipt.is_told = true;
            receipt.settled()
        })
    }
}

impl<W: Waiter + ?Sized> Receipt<W> {
    /// Answers, with the receipt, what was accepted of a publisher.
    pub fn set_highest(&self, highest: Option<Seq>) {
        self.highest.store(highest.map_or(0, Seq::get), Ordering::Relaxed);
    }

    fn settled(&self) -> Settled {
        Settled { highest: Seq::new(self.highest.load(Ordering::Relaxed)) }
    }
}

impl<W: Waiter + ?Sized> Drop for Receipt<W> {
    fn drop(&mut self) {
        if !self.is_told {
            self.waiter.tell(self.settled());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    impl Waiter for Sender<Settled> {
        fn tell(&self, settled: Settled) {
            self.send(settled).unwrap();
        }
    }

    #[test]
    fn the_last_one_to_let_go_tells_the_waiter() {
        let (waiter, told) = channel();
        let receipt = Receipt::new(waiter);
        let event: Arc<Receipt> = Arc::<Receipt<Sender<_>>>::clone(&receipt);
        event.set_highest(Seq::new(7));
        assert_eq!(Receipt::settle_now(receipt), None);
        assert!(told.try_recv().is_err(), "an event still holds it");
        drop(event);
        assert_eq!(told.try_recv().unwrap(), Settled { highest: Seq::new(7) });
    }

    #[test]
    fn a_receipt_that_nobody_else_holds_is_settled_at_once_and_without_a_word() {
        let (waiter, told) = channel();
        assert_eq!(Receipt::settle_now(Receipt::new(waiter)), Some(Settled { highest: None }));
        assert!(told.try_recv().is_err());
    }
}
