//! Notifications to systemd (`sd_notify(3)`): ready, reloading, stopping and the watchdog. Without systemd they do nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::node::Node;

/// Notifies that the server accepts connections, or that a reload has finished.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Notifies that the server reloads its configuration; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot notify systemd of the reload"),
    }
}

/// Notifies that the server shuts down.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies the watchdog at twice the required rate, each time after every shard has answered. If a shard hangs, the
/// notification is not sent, and systemd restarts the server.
pub async fn watch_shards(node: Arc<Node>) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    let mut tick = interval((timeout / 2).max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (alive, mut answered) = mpsc::channel(1);
        for shard in node.shards() {
            shard.check_alive(alive.clone());
        }
        drop(alive);
        // Each shard drops its sender when it handles the request. Nothing is sent: `recv` returns when the last is dropped.
        answered.recv().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot notify systemd");
    }
}
