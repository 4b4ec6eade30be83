//! The server's side of WAMP v1: handles the messages of a browser or another WAMP client.
//!
//! A request that a policy refuses is answered with `[4, topic, topic, reason, details]` and never closes the session:
//! OroPlatform's JavaScript ignores the answer, and developers see it in the browser's tools. An invalid message closes the
//! session.

use std::time::Instant;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::wamp::{self, ClientMessage, PrefixTable};
use orosync_protocol::{CloseReason, Payload, SessionId, Topic};

use super::admission::{Admission, Refused};
use super::calls::{self, CallContext, CallOutcome, json, truncated};
use super::outbound::{Outbound, OutboundFull};
use super::token_bucket::TokenBucket;
use super::{SessionEvent, Shared};
use crate::refusals::Action;

/// Number of events examined for a recovery that count as one message in the rate limit.
const EVENTS_PER_MESSAGE: usize = 1000;

/// The state of a browser's session.
#[derive(Debug)]
pub struct Browser {
    prefixes: PrefixTable,
    token_bucket: TokenBucket,
    /// Number of calls that the shard has yet to answer, or that wait for the answer to an earlier call.
    unanswered: u32,
}

/// The context of a message: its session, and the destination of answers.
#[derive(Debug)]
pub struct Conversation<'a> {
    pub(super) session: SessionId,
    /// The time at which the session's 101 response was ready to be sent.
    pub(super) since: Instant,
    pub(super) admission: Admission<'a>,
    pub(super) outbound: &'a mut Outbound,
    pub(super) events: &'a mut Vec<SessionEvent>,
}

impl Browser {
    /// The state of a new session.
    pub fn new(shared: &Shared, now: Instant) -> Self {
        let token_bucket = TokenBucket::new(shared.limits.message_burst, now);
        Self { prefixes: PrefixTable::default(), token_bucket, unanswered: 0 }
    }

    /// Charges frames (messages, pings, fragments) to the rate limit.
    pub fn charge(&mut self, frames: u32, shared: &Shared, now: Instant) -> Result<(), CloseReason> {
        let limits = &shared.limits;
        if self.token_bucket.try_take(frames, limits.message_burst, limits.messages_per_second, now) {
            Ok(())
        } else {
            Err(CloseReason::TooManyMessages)
        }
    }

    /// Handles a message.
    pub fn handle_message(&mut self, text: &Bytes, with: &mut Conversation<'_>) -> Result<(), CloseReason> {
        match wamp::decode_client(text).map_err(|_| CloseReason::BadMessage)? {
            ClientMessage::Prefix { prefix, uri } => {
                if let Err(error) = self.prefixes.declare(prefix.clone(), uri) {
                    with.refuse(&Refused { topic: prefix, sentence: error.to_string(), code: 400 });
                }
            }
            ClientMessage::Call { call_id, procedure, arguments } => {
                let procedure = self.prefixes.expand(procedure);
                self.call(call_id, truncated(&procedure), &arguments, with)?;
            }
            ClientMessage::Subscribe { topic } => {
                match with.admission.subscribe(&self.prefixes.expand(topic)) {
                    Ok(topic) => with.events.push(SessionEvent::Subscribe(topic)),
                    Err(refused) => with.refuse(&refused),
                }
            }
            ClientMessage::Unsubscribe { topic } => {
                if let Ok(topic) = Topic::parse(&self.prefixes.expand(topic)) {
                    with.events.push(SessionEvent::Unsubscribe(topic));
                }
            }
            ClientMessage::Publish { topic, payload, exclude_me, mut audience } => {
                if exclude_me {
                    audience.exclude.insert(with.session);
                }
                let admission = with.admission;
                let content = admission
                    .topic(Action::BrowserPublish, &self.prefixes.expand(topic))
                    .map(|topic| Message { topic, payload, audience })
                    .and_then(|message| admission.publish(Action::BrowserPublish, message));
                match content {
                    Ok(content) => with.events.push(SessionEvent::Publish(content)),
                    Err(refused) => with.refuse(&refused),
                }
            }
        }
        Ok(())
    }

    /// Charges events that were examined for a recovery to the rate limit, beyond those that a message covers.
    pub fn charge_for_events(&mut self, events: usize, shared: &Shared) {
        let messages = u32::try_from(events / EVENTS_PER_MESSAGE).unwrap_or(u32::MAX);
        self.token_bucket.charge_debt(messages, shared.limits.message_burst);
    }

    /// Notes that a pending call was answered.
    pub fn call_answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    fn call(
        &mut self,
        call_id: Payload,
        procedure: &str,
        arguments: &[Payload],
        with: &mut Conversation<'_>,
    ) -> Result<(), CloseReason> {
        let context = CallContext { session: with.session, since: with.since, admission: with.admission };
        let frame = match calls::call(procedure, arguments, context, |name| self.prefixes.expand(name)) {
            Ok(CallOutcome::Result(result)) => calls::result(call_id, result),
            Ok(CallOutcome::Forwarded(request)) => {
                self.unanswered += 1;
                with.events.push(SessionEvent::Call(call_id, request));
                return Ok(());
            }
            Err(refused) => calls::refusal(call_id, &refused),
        };
        if self.unanswered > 0 {
            self.unanswered += 1;
            with.events.push(SessionEvent::Answer(frame));
            return Ok(());
        }
        with.outbound.push(frame).map_err(|OutboundFull| CloseReason::TooSlow)
    }
}

/// Sends a refusal. It is dropped if less than half of the outbound queue would remain free, since nothing depends on it:
/// refusals must not end the session or displace events.
pub fn refuse(refused: &Refused, outbound: &mut Outbound) {
    outbound.push_optional(calls::refusal(json(truncated(&refused.topic)), refused));
}

impl Conversation<'_> {
    fn refuse(&mut self, refused: &Refused) {
        refuse(refused, self.outbound);
    }
}
