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
    // Half of the time is for the sessions: what is not acknowledged by then, because the broker is away, is sent again elsewhere.
    let now = Instant::now();
    let acknowledged_by = now + until.saturating_duration_since(now) / 2;
    // Every shard drops its sender when it has stopped publishing; none ever sends.
    if timeout_at(acknowledged_by.into(), stopped.recv()).await.is_err() {
        warn!("not all that was published could be acknowledged in time: publishers send it to another node");
    }
    for shard in shards {
        shard.stop(until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::node::handle::ShardMessage;

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_acknowledged_leaves_half_of_the_time_to_the_sessions() {
        let (handle, mut inbox) = ShardHandle::new();
        let begin = tokio::time::Instant::now();
        let until = begin + Duration::from_secs(10);
        let draining = drain(std::slice::from_ref(&handle), until.into_std());
        // The shard never comes to say that all is acknowledged.
        let awaits = async {
            let stopping = inbox.recv().await;
            let stop = inbox.recv().await;
            (stopping, stop)
        };
        let ((), (stopping, stop)) = tokio::join!(draining, awaits);
        assert!(matches!(stopping, Some(ShardMessage::StopPublishing(_))));
        assert!(matches!(stop, Some(ShardMessage::Stop { until: told }) if told == until.into_std()));
        let left = until - tokio::time::Instant::now();
        assert!((Duration::from_secs(4)..=Duration::from_secs(5)).contains(&left), "{left:?}");
    }
}
