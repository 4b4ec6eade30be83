//! Graceful shutdown without losing accepted messages.
//!
//! It has two steps, because an event may be in flight between its publisher's shard and its subscribers' shards. First every
//! shard stops publishing and confirms this. Then, after the last delivery in its inbox, every shard writes the remaining
//! output, ends its sessions and stops.

use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tracing::warn;

use super::handle::ShardHandle;

/// Shuts down all shards; the deadline is `until`. Returns when the second step has begun.
pub async fn drain(shards: &[ShardHandle], until: Instant) {
    let (done, mut stopped) = mpsc::channel(1);
    for shard in shards {
        shard.stop_publishing(done.clone());
    }
    drop(done);
    // Half of the time is reserved for the sessions. Publishers send messages not acknowledged by then to another node.
    let now = Instant::now();
    let acknowledged_by = now + until.saturating_duration_since(now) / 2;
    // Each shard drops its sender when it has stopped publishing. Nothing is sent.
    if timeout_at(acknowledged_by.into(), stopped.recv()).await.is_err() {
        warn!(
            "some published messages could not be acknowledged in time; publishers send them to another node"
        );
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
    async fn unacknowledged_messages_leave_half_of_the_time_to_the_sessions() {
        let (handle, mut inbox) = ShardHandle::new();
        let begin = tokio::time::Instant::now();
        let until = begin + Duration::from_secs(10);
        let draining = drain(std::slice::from_ref(&handle), until.into_std());
        // The shard never confirms that everything is acknowledged.
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
