//! `publish` and `disconnect`: both use the backend link, like the PHP extension.

use std::io::{self, BufRead};
use std::time::Duration;

use bytes::Bytes;
use orosync_link::{Endpoints, Options, Publisher};
use orosync_protocol::Audience;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Payload, Topic};

use super::common::{Failure, endpoint, no_signer};
use crate::cli::{DisconnectArgs, PublishArgs};
use crate::config::Settings;

/// Time limit for the server's answers and acknowledgements.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes one payload, or one per line of standard input. Returns when all are acknowledged.
pub(super) fn publish(arguments: PublishArgs, settings: Settings) -> Result<(), Failure> {
    let topic = arguments.topic;
    let mut publication = Publication::open(arguments.endpoint, settings)?;
    let sent = if arguments.payload == "-" {
        publication.publish_lines(&topic, io::stdin().lock())
    } else {
        payload(arguments.payload)
            .map_err(|problem| Failure::Usage(format!("the payload {problem}")))
            .and_then(|payload| publication.publish(&message(&topic, payload)))
    };
    // Messages accepted before an unreadable line are delivered nevertheless.
    let acknowledged = publication.finish();
    sent.and(acknowledged)
}

/// Ends sessions. Returns when the server has acknowledged it.
pub(super) fn disconnect(arguments: DisconnectArgs, settings: Settings) -> Result<(), Failure> {
    let who = arguments
        .who()
        .ok_or_else(|| Failure::Usage("pass --role with --uid or --user, or --session".to_owned()))?;
    let message = who.message().map_err(|error| Failure::Usage(format!("the name {error}")))?;
    let mut publication = Publication::open(arguments.endpoint, settings)?;
    let sent = publication.publish(&message);
    let acknowledged = publication.finish();
    sent.and(acknowledged)
}

fn message(topic: &Topic, payload: Payload) -> Message {
    Message { topic: topic.clone(), payload, audience: Audience::default() }
}

fn payload(json: String) -> Result<Payload, String> {
    Payload::check(&Bytes::from(json)).map_err(|error| error.to_string())
}

struct Publication {
    publisher: Publisher,
}

impl Publication {
    fn open(named: Option<Endpoints>, settings: Settings) -> Result<Self, Failure> {
        let endpoints = match named {
            Some(endpoints) => endpoints,
            None => endpoint(&settings)?.into(),
        };
        let signer = settings.auth.signer.ok_or_else(no_signer)?;
        // `finish` flushes before it closes the link.
        let options = Options { shutdown_timeout: Duration::ZERO, ..Options::new(endpoints, signer) };
        Ok(Self { publisher: Publisher::new(options) })
    }

    fn publish_lines(&mut self, topic: &Topic, lines: impl BufRead) -> Result<(), Failure> {
        for (index, line) in lines.lines().enumerate() {
            let problem = |problem: String| Failure::Failed(format!("line {}: {problem}", index + 1));
            let line = line.map_err(|error| problem(format!("cannot be read: {error}")))?;
            if line.trim().is_empty() {
                continue;
            }
            self.publish(&message(topic, payload(line).map_err(problem)?))?;
        }
        Ok(())
    }

    /// Queues a message. Waits while the queue is full.
    fn publish(&mut self, message: &Message) -> Result<(), Failure> {
        while self.publisher.publish(message.lend()).is_err() {
            if !self.publisher.flush(TIMEOUT) {
                return Err(self.not_acknowledged());
            }
        }
        Ok(())
    }

    /// Waits for all acknowledgements and closes the link.
    fn finish(mut self) -> Result<(), Failure> {
        let acknowledged = self.publisher.flush(TIMEOUT);
        let outcome = match self.publisher.refusals().last() {
            _ if !acknowledged => Err(self.not_acknowledged()),
            Some(refusal) => Err(Failure::Failed(refusal.to_string())),
            None => Ok(()),
        };
        self.publisher.shutdown();
        outcome
    }

    fn not_acknowledged(&self) -> Failure {
        let status = self.publisher.status();
        let (left, endpoints) = (status.queued + status.unacknowledged, &self.publisher.options().endpoints);
        let has = if endpoints.are_several() { "have" } else { "has" };
        let why = status.last_error.unwrap_or_else(|| format!("no answer within {TIMEOUT:?}"));
        Failure::Failed(format!(
            "{endpoints} {has} not acknowledged {left} of {} messages: {why}",
            status.accepted
        ))
    }
}
