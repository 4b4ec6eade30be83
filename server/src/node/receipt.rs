//! Receipts: how a publisher's session learns that what it has handed over has been written.
//!
//! Each event of a batch holds the batch's receipt, and each shard lets go of an event when it has written it to the
//! sessions that subscribed: the kernel has it, or it waits in order behind what a slow reader has not read. When the
//! last one lets go, the publisher's shard is told. Costs one allocation per batch and a reference per event, no lock.
//! Bound: receipts exist as long as their events, which credit bounds.

use std::sync::Arc;

use super::handle::ShardHandle;
use crate::shard::SessionKey;

/// Who waits for a receipt, and for which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The session, within its shard.
    pub session: SessionKey,
    /// The number of what it waits for.
    pub number: u64,
}

/// See the module. Dropped: settled.
#[derive(Debug)]
pub struct Receipt {
    shard: ShardHandle,
    waiter: Option<Waiter>,
}

impl Receipt {
    /// A receipt for a session of this shard.
    pub fn new(shard: ShardHandle, waiter: Waiter) -> Arc<Self> {
        Arc::new(Self { shard, waiter: Some(waiter) })
    }

    /// Lets go of a receipt. True if nobody else holds it: it is settled, and nobody needs to be told.
    pub fn is_settled(receipt: Arc<Self>) -> bool {
        Arc::into_inner(receipt).is_some_and(|mut receipt| receipt.waiter.take().is_some())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.shard.settled(waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::handle::ShardMessage;
    use super::*;

    #[test]
    fn the_last_one_to_let_go_tells_the_waiter() {
        let (shard, mut inbox) = ShardHandle::new();
        let waiter = Waiter { session: SessionKey::default(), number: 7 };
        let receipt = Receipt::new(shard, waiter);
        let event = Arc::clone(&receipt);
        assert!(!Receipt::is_settled(receipt));
        assert!(inbox.try_recv().is_err(), "an event still holds it");
        drop(event);
        assert!(matches!(inbox.try_recv(), Ok(ShardMessage::Settled(told)) if told == waiter));
    }

    #[test]
    fn a_receipt_that_nobody_else_holds_is_settled_at_once_and_without_a_word() {
        let (shard, mut inbox) = ShardHandle::new();
        assert!(Receipt::is_settled(Receipt::new(
            shard,
            Waiter { session: SessionKey::default(), number: 1 }
        )));
        assert!(inbox.try_recv().is_err());
    }
}
