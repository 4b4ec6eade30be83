//! A disconnect that all shards handle, with the number of sessions that it has ended so far.
//!
//! Each shard ends its own matching sessions without knowledge of the others. The last shard to drop the disconnect logs the
//! total.

use std::sync::atomic::{AtomicUsize, Ordering};

use orosync_protocol::disconnect::Disconnect;
use tracing::info;

use crate::log::clip;
use crate::publication::Held;

/// A disconnect shared by all shards. Logged on drop, when all shards have handled it.
#[derive(Debug)]
pub struct Disconnection {
    /// The sessions to end.
    pub target: Disconnect,
    ended: AtomicUsize,
    _held: Held,
}

impl Disconnection {
    /// A disconnect that has ended no session yet.
    pub fn new(target: Disconnect, held: Held) -> Self {
        Self { target, ended: AtomicUsize::new(0), _held: held }
    }

    /// Adds the number of sessions that a shard has ended.
    pub fn add_ended(&self, sessions: usize) {
        self.ended.fetch_add(sessions, Ordering::Relaxed);
    }
}

impl Drop for Disconnection {
    fn drop(&mut self) {
        let (target, sessions) = (self.target.to_string(), *self.ended.get_mut());
        info!(identity = %clip(&target), sessions, "sessions ended at the request of a publisher");
    }
}
