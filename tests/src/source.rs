//! A publisher of the test's own process.

use orosync_link::{Options, Publisher};
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Audience, Payload, Topic};
use serde_json::Value;

use crate::{SECRET, wait};

/// See the module.
#[derive(Debug)]
pub struct Source(Publisher);

impl Source {
    /// One that publishes to this endpoint.
    pub fn to(endpoint: &str) -> Self {
        Self::with_secret(endpoint, SECRET)
    }

    /// The same of a server with another secret.
    pub fn with_secret(endpoint: &str, secret: &str) -> Self {
        let signer = Signer::from_secret(secret.as_bytes()).expect("long enough");
        Self(Publisher::new(Options::new(endpoint.parse().expect("an endpoint"), signer)))
    }

    /// Publishes to everybody.
    pub fn publish(&mut self, topic: &str, payload: &Value) {
        self.publish_to(topic, payload, Audience::default());
    }

    /// Publishes to these sessions. Where the queue is full, what is in it has to be acknowledged first.
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

    /// Publishes each of these to everybody, and waits until they are acknowledged: kept in the history, and written to
    /// every session that has subscribed.
    pub fn publish_all(&mut self, topic: &str, payloads: impl IntoIterator<Item = impl Into<Value>>) {
        for payload in payloads {
            self.publish(topic, &payload.into());
        }
        self.flush();
    }

    /// Waits until everything is acknowledged.
    pub fn flush(&mut self) {
        assert!(self.0.flush(wait::LIMIT), "not everything was acknowledged: {:?}", self.0.status());
    }

    /// How often it has connected again.
    pub fn reconnects(&self) -> u64 {
        self.0.status().reconnects
    }
}
