//! A disconnect on its way to the shards, and how many sessions it has ended so far.
//!
//! Each shard has any number of the sessions that are meant, and no shard knows of the others': the last one to let go
//! writes the line in the log, with the sum.

use std::sync::atomic::{AtomicUsize, Ordering};

use orosync_protocol::disconnect::Disconnect;
use tracing::info;

use crate::log::clip;
use crate::publication::Held;

/// What a publisher has asked for, shared by all shards. Dropped: done, and logged.
#[derive(Debug)]
pub struct Disconnection {
    /// Whose sessions end.
    pub whom: Disconnect,
    ended: AtomicUsize,
    _held: Held,
}

impl Disconnection {
    /// One that has ended no session yet.
    pub fn new(whom: Disconnect, held: Held) -> Self {
        Self { whom, ended: AtomicUsize::new(0), _held: held }
    }

    /// Adds what one shard has ended.
    pub fn add_ended(&self, sessions: usize) {
        self.ended.fetch_add(sessions, Ordering::Relaxed);
    }
}

impl Drop for Disconnection {
    fn drop(&mut self) {
        let (whom, sessions) = (self.whom.to_string(), *self.ended.get_mut());
        info!(whom = %clip(&whom), sessions, "disconnected, as a publisher has asked");
    }
}
