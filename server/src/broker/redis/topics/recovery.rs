//! Recoveries: pending requests and their answers.

use std::time::Instant;

use orosync_protocol::Topic;

use super::clock::RedisClock;
use super::recent::Delivered;
use crate::broker::redis::read::Read;
use crate::broker::{HandOver, Recovered, Since};

/// A pending recovery.
pub(super) struct PendingRecovery {
    pub(super) topic: Topic,
    /// The start. `None`: only the topic's position is requested.
    pub(super) since: Option<Since>,
    /// Maximum number of events to return.
    pub(super) limit: usize,
    pub(super) hand_over: HandOver,
    /// The deadline, at which it is answered with [`Unavailable`](crate::broker::Unavailable).
    pub(super) until: Instant,
}

impl std::fmt::Debug for PendingRecovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingRecovery({:?} of {})", self.since, self.topic.as_str())
    }
}

/// The answer to a recovery: the events of its read, and those delivered after it.
pub(super) fn recovered<'a>(
    read: &Read,
    pending: &PendingRecovery,
    clock: RedisClock,
    later: impl Iterator<Item = &'a Delivered>,
) -> Recovered {
    let later: Vec<_> = later.map(|event| (event.position, event.body.clone(), event.accepted)).collect();
    let position = later.last().map_or(read.position, |(at, ..)| *at);
    let (from, mut complete) = match pending.since {
        None => return Recovered { position, complete: true, events: Vec::new() },
        Some(Since::Position(position)) => (0, read.complete && position.is_some()),
        Some(Since::Instant(instant)) => match clock.milliseconds(instant) {
            Some(from) => {
                // All stored entries were requested; older ones may have been dropped.
                let has_all =
                    read.complete || read.entries.first().is_some_and(|first| first.accepted < from);
                (from, has_all && from > read.complete_since)
            }
            None => (0, false),
        },
    };
    let read = read.entries.iter().map(|entry| (entry.position, entry.event_body(), entry.accepted));
    let events = read.chain(later).filter(|(.., accepted)| *accepted >= from);
    let mut events: Vec<_> = events.map(|(at, body, _)| (at, body)).collect();
    let over = events.len().saturating_sub(pending.limit);
    events.drain(..over);
    complete &= over == 0;
    Recovered { position, complete, events }
}
