//! What the server tells systemd (`sd_notify(3)`): ready, reloading, stopping, and that it lives. Without systemd: nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::node::Node;

/// It takes connections, or again: a reload is over.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its configuration again; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd cannot be told of the reload"),
    }
}

/// It drains.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the server lives as long as every shard answers, twice as often as systemd wants to hear it. A shard that hangs
/// lets the time pass: systemd then starts the server anew.
pub async fn watch_shards(node: Arc<Node>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut tick = interval((patience / 2).max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (alive, mut answered) = mpsc::channel(1);
        for shard in node.shards() {
            shard.ask_for_life(alive.clone());
        }
        drop(alive);
        // Every shard drops its sender when it comes to it; none ever sends.
        answered.recv().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be told");
    }
}
