//! Going away without losing what was accepted.
//!
//! Two steps, because an event may still be on its way from the shard of its publisher to the shard of its subscribers:
//! first every shard stops publishing and says so; then, behind the last delivery in each inbox, every shard writes what
//! waits, ends its sessions and itself.

use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tracing::warn;

use super::handle::ShardHandle;

/// Tells all shards to end, by `until` at the latest. Returns when the second step has begun.
pub async fn drain(shards: &[ShardHandle], until: Instant) {
    let (done, mut stopped) = mpsc::channel(1);
    for shard in shards {
        shard.stop_publishing(done.clone());
    }
    drop(done);
    // Every shard drops its sender when it has stopped publishing; none ever sends.
    if timeout_at(until.into(), stopped.recv()).await.is_err() {
        warn!("a shard was too busy to stop publishing in time");
    }
    for shard in shards {
        shard.stop(until);
    }
}
