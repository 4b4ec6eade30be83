//! A publisher in the test's own process.

use orosync_link::{Options, Publisher};
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Audience, Payload, Topic};
use serde_json::Value;

use crate::{SECRET, wait};

/// A publisher in the test's own process.
#[derive(Debug)]
pub struct Source(Publisher);

impl Source {
    /// A publisher that connects to this endpoint.
    pub fn to(endpoint: &str) -> Self {
        Self::with_secret(endpoint, SECRET)
    }

    /// A publisher that signs its tickets with this secret.
    pub fn with_secret(endpoint: &str, secret: &str) -> Self {
        let signer = Signer::from_secret(secret.as_bytes()).expect("long enough");
        Self(Publisher::new(Options::new(endpoint.parse().expect("an endpoint"), signer)))
    }

    /// Publishes to all subscribers.
    pub fn publish(&mut self, topic: &str, payload: &Value) {
        self.publish_to(topic, payload, Audience::default());
    }

    /// Publishes to these sessions. Waits for acknowledgements if the queue is full.
    pub fn publish_to(&mut self, topic: &str, payload: &Value, audience: Audience) {
        let message = Message {
            topic: Topic::parse(topic).expect("a topic"),
            payload: Payload::from_encoder(payload.to_string().into()).expect("short enough"),
            audience,
        };
        if self.0.publish(message.lend()).is_err() {
            self.flush();
            self.0.publish(message.lend()).expect("an empty queue has room");
        }
    }

    /// Publishes each payload to all subscribers and waits for the acknowledgements. Afterwards all are in the history and written
    /// to every subscribed session.
    pub fn publish_all(&mut self, topic: &str, payloads: impl IntoIterator<Item = impl Into<Value>>) {
        for payload in payloads {
            self.publish(topic, &payload.into());
        }
        self.flush();
    }

    /// Waits until all messages are acknowledged.
    pub fn flush(&mut self) {
        assert!(self.0.flush(wait::LIMIT), "unacknowledged messages: {:?}", self.0.status());
    }

    /// Number of reconnects.
    pub fn reconnects(&self) -> u64 {
        self.0.status().reconnects
    }
}
