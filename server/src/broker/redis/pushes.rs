//! The queue of pushes from the connections' tasks to the broker's loop. The sockets are always read, because Redis disconnects
//! slow readers.
//!
//! Bound: `inbound`, the credit for pushed entries that are not written to sessions yet. Beyond it payloads are dropped, and
//! their topics are read later.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::publication::credit::{Credit, CreditPool};

/// Maximum number of remembered ended connections, more than are ever opened at the same time.
const MAX_ENDED: usize = 1000;

/// Maximum size of a canary.
const CANARY_BYTES: usize = 20;

/// A push from Redis.
#[derive(Debug)]
pub(super) enum Push {
    Message {
        channel: String,
        payload: Bytes,
        credit: Credit,
    },
    /// A message of this channel was dropped for lack of room.
    Dropped {
        channel: String,
    },
    /// The subscription to this channel is confirmed on the connection with this number.
    Confirmed {
        channel: String,
        connection: u64,
    },
    /// The subscription to this channel has ended on that connection: it was cancelled, or its slot has moved.
    Lost {
        channel: String,
        connection: u64,
    },
    /// The connection has ended.
    Ended {
        connection: u64,
    },
}

/// The sending end of the queue, with its bound. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pushes {
    sender: UnboundedSender<Push>,
    inbound: Arc<CreditPool>,
    last_number: Arc<AtomicU64>,
}

impl Pushes {
    /// A new queue, with its receiving end.
    pub(super) fn new(inbound: Arc<CreditPool>) -> (Self, UnboundedReceiver<Push>) {
        let (sender, receiver) = unbounded_channel();
        (Self { sender, inbound, last_number: Arc::default() }, receiver)
    }

    /// The number for a new connection.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A sender for the pushes on the connection with this number.
    pub(super) fn sender(
        &self,
        connection: u64,
    ) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
        let (sender, inbound) = (self.sender.clone(), Arc::clone(&self.inbound));
        move |info| {
            let push = match parse(info) {
                Parsed::Message { channel, payload }
                    if inbound.is_available() || is_canary(&channel, &payload) =>
                {
                    let credit = inbound.take(payload.len());
                    Push::Message { channel, payload, credit }
                }
                Parsed::Message { channel, .. } => Push::Dropped { channel },
                Parsed::Confirmed { channel } => Push::Confirmed { channel, connection },
                Parsed::Lost { channel } => Push::Lost { channel, connection },
                Parsed::Ended => Push::Ended { connection },
                Parsed::Other => return Ok(()),
            };
            sender.send(push).map_err(drop)
        }
    }
}

/// Connections that ended before they were in use. The push about their end may arrive before the connection itself.
///
/// Bound: [`MAX_ENDED`]. The lowest numbers are the oldest and are dropped first.
#[derive(Debug, Default)]
pub(super) struct EndedConnections(BTreeSet<u64>);

impl EndedConnections {
    /// Notes that the connection with this number has ended.
    pub(super) fn note(&mut self, connection: u64) {
        self.0.insert(connection);
        if self.0.len() > MAX_ENDED {
            self.0.pop_first();
        }
    }

    /// Whether the connection with this number has ended before its use.
    pub(super) fn take(&mut self, connection: u64) -> bool {
        self.0.remove(&connection)
    }
}

/// Whether a push is a canary, which is accepted even without room.
fn is_canary(channel: &str, payload: &[u8]) -> bool {
    payload.len() <= CANARY_BYTES && channel.contains("}:n:")
}

enum Parsed {
    Message { channel: String, payload: Bytes },
    Confirmed { channel: String },
    Lost { channel: String },
    Ended,
    Other,
}

fn parse(info: PushInfo) -> Parsed {
    let PushInfo { kind, data } = info;
    let mut data = data.into_iter();
    let mut channel = || match data.next() {
        Some(Value::BulkString(name)) => String::from_utf8(name).ok(),
        _ => None,
    };
    match kind {
        PushKind::Message | PushKind::SMessage => match (channel(), data.next()) {
            (Some(channel), Some(Value::BulkString(payload))) => {
                Parsed::Message { channel, payload: payload.into() }
            }
            _ => Parsed::Other,
        },
        PushKind::Subscribe | PushKind::SSubscribe => {
            channel().map_or(Parsed::Other, |channel| Parsed::Confirmed { channel })
        }
        PushKind::Unsubscribe | PushKind::SUnsubscribe => {
            channel().map_or(Parsed::Other, |channel| Parsed::Lost { channel })
        }
        PushKind::Disconnection => Parsed::Ended,
        _ => Parsed::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_connection_is_reported_once_and_the_oldest_are_forgotten() {
        let mut ended = EndedConnections::default();
        (1..=MAX_ENDED as u64 + 1).for_each(|number| ended.note(number));
        assert!(!ended.take(1) && ended.take(2) && !ended.take(2));
        assert_eq!(ended.0.len(), MAX_ENDED - 1);
    }

    #[test]
    fn without_room_events_are_dropped_but_canaries_are_not() {
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
