//! What Redis pushes, from the connection's task to the broker's loop. The socket is always read, because Redis cuts off whoever
//! does not.
//!
//! Bound: `inbound`, the credit of what is pushed, handed over and not written to the sessions yet. Beyond it a payload is dropped,
//! and its topic is read later.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::publication::credit::{Credit, CreditPool};

/// Connections that have ended and are remembered: more than are opened at a time.
const MAX_ENDED: usize = 1000;

/// More than a canary's number takes.
const CANARY_BYTES: usize = 20;

/// Something that was pushed.
#[derive(Debug)]
pub(super) enum Push {
    Message {
        channel: String,
        payload: Bytes,
        credit: Credit,
    },
    /// There was no room for a message of this channel.
    Dropped {
        channel: String,
    },
    /// This channel is subscribed to on the connection of this number.
    Confirmed {
        channel: String,
        connection: u64,
    },
    /// This channel is not subscribed to any more on that connection: it was given up, or its slot has moved.
    Lost {
        channel: String,
        connection: u64,
    },
    /// The connection has ended.
    Ended {
        connection: u64,
    },
}

/// The way from the connections to the loop, with its bound. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pushes {
    sender: UnboundedSender<Push>,
    inbound: Arc<CreditPool>,
    last_number: Arc<AtomicU64>,
}

impl Pushes {
    /// Without a connection, and where what is pushed arrives.
    pub(super) fn new(inbound: Arc<CreditPool>) -> (Self, UnboundedReceiver<Push>) {
        let (sender, receiver) = unbounded_channel();
        (Self { sender, inbound, last_number: Arc::default() }, receiver)
    }

    /// A number for another connection.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes what is pushed on the connection of this number.
    pub(super) fn sender(
        &self,
        connection: u64,
    ) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
        let (sender, inbound) = (self.sender.clone(), Arc::clone(&self.inbound));
        move |info| {
            let push = match read(info) {
                Read::Message { channel, payload }
                    if inbound.is_available() || is_canary(&channel, &payload) =>
                {
                    let credit = inbound.take(payload.len());
                    Push::Message { channel, payload, credit }
                }
                Read::Message { channel, .. } => Push::Dropped { channel },
                Read::Confirmed { channel } => Push::Confirmed { channel, connection },
                Read::Lost { channel } => Push::Lost { channel, connection },
                Read::Ended => Push::Ended { connection },
                Read::Other => return Ok(()),
            };
            sender.send(push).map_err(drop)
        }
    }
}

/// Connections that have ended before they were in use: what says so may come before the answer that brings the connection.
///
/// Bound: [`MAX_ENDED`]. Those of the lowest numbers are the oldest, and no longer wanted.
#[derive(Debug, Default)]
pub(super) struct Ended(BTreeSet<u64>);

impl Ended {
    /// The connection of this number has ended.
    pub(super) fn note(&mut self, connection: u64) {
        self.0.insert(connection);
        if self.0.len() > MAX_ENDED {
            self.0.pop_first();
        }
    }

    /// Whether the connection of this number, which is to be used, has ended.
    pub(super) fn take(&mut self, connection: u64) -> bool {
        self.0.remove(&connection)
    }
}

/// What says that pushes come is taken in any case.
fn is_canary(channel: &str, payload: &[u8]) -> bool {
    payload.len() <= CANARY_BYTES && channel.contains("}:n:")
}

enum Read {
    Message { channel: String, payload: Bytes },
    Confirmed { channel: String },
    Lost { channel: String },
    Ended,
    Other,
}

fn read(info: PushInfo) -> Read {
    let PushInfo { kind, data } = info;
    let mut data = data.into_iter();
    let mut channel = || match data.next() {
        Some(Value::BulkString(name)) => String::from_utf8(name).ok(),
        _ => None,
    };
    match kind {
        PushKind::Message | PushKind::SMessage => match (channel(), data.next()) {
            (Some(channel), Some(Value::BulkString(payload))) => {
                Read::Message { channel, payload: payload.into() }
            }
            _ => Read::Other,
        },
        PushKind::Subscribe | PushKind::SSubscribe => {
            channel().map_or(Read::Other, |channel| Read::Confirmed { channel })
        }
        PushKind::Unsubscribe | PushKind::SUnsubscribe => {
            channel().map_or(Read::Other, |channel| Read::Lost { channel })
        }
        PushKind::Disconnection => Read::Ended,
        _ => Read::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connections_that_have_ended_are_known_once() {
        let mut ended = Ended::default();
        (1..=MAX_ENDED as u64 + 1).for_each(|number| ended.note(number));
        assert!(!ended.take(1) && ended.take(2) && !ended.take(2));
        assert_eq!(ended.0.len(), MAX_ENDED - 1);
    }

    #[test]
    fn without_room_events_are_dropped_and_the_canary_is_not() {
        let inbound = CreditPool::new(usize::MAX, 10, || {});
        let (pushes, mut arriving) = Pushes::new(Arc::clone(&inbound));
        let push = pushes.sender(1);
        let message = |channel: &str, payload: &str| PushInfo {
            kind: PushKind::Message,
            data: [channel, payload].map(|text| Value::BulkString(text.into())).into(),
        };
        let _taken = inbound.take(10);
        push(message("orosync:{0}:c:t", "an event")).unwrap();
        push(message("orosync:{0}:n:a node", "17")).unwrap();
        assert!(matches!(arriving.try_recv(), Ok(Push::Dropped { channel }) if channel.ends_with(":t")));
        assert!(matches!(arriving.try_recv(), Ok(Push::Message { payload, .. }) if payload == "17"));
    }
}
