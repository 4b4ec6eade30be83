//! WAMP v1 on the server's side: what a browser (or another WAMP client) asks for.
//!
//! What a policy refuses is answered with `[4, topic, topic, reason, details]` and never closes the session: OroPlatform's
//! JavaScript ignores it in silence, a person sees it in the developer tools. What is no message closes the session.

use std::time::Instant;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::wamp::{self, ClientMessage, PrefixTable, ServerMessage};
use orosync_protocol::{CloseReason, SessionId, Topic};

use super::admission::{Admission, Refused};
use super::budget::Budget;
use super::calls::{self, Details, json};
use super::outbound::{Outbound, TooSlow};
use super::{SessionEvent, Shared};
use crate::frame::text_frame;
use crate::refusals::Action;

/// What a browser's session keeps between messages.
#[derive(Debug)]
pub struct Browser {
    prefixes: PrefixTable,
    budget: Budget,
}

/// Whose message it is, and where answers go.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) session: SessionId,
    pub(super) admission: Admission<'a>,
    pub(super) outbound: &'a mut Outbound,
    pub(super) events: &'a mut Vec<SessionEvent>,
}

impl Browser {
    /// A session that has said nothing yet.
    pub fn new(shared: &Shared, now: Instant) -> Self {
        Self { prefixes: PrefixTable::default(), budget: Budget::new(shared.limits.message_burst, now) }
    }

    /// Pays for frames: messages, pings, fragments.
    pub fn spend(&mut self, frames: u32, shared: &Shared, now: Instant) -> Result<(), CloseReason> {
        let limits = &shared.limits;
        if self.budget.try_spend(frames, limits.message_burst, limits.messages_per_second, now) {
            Ok(())
        } else {
            Err(CloseReason::TooManyMessages)
        }
    }

    /// Takes one message.
    pub fn handle_message(&mut self, text: &Bytes, turn: &mut Turn<'_>) -> Result<(), CloseReason> {
        match wamp::decode_client(text).map_err(|_| CloseReason::BadMessage)? {
            ClientMessage::Prefix { prefix, uri } => {
                if let Err(error) = self.prefixes.declare(prefix.clone(), uri) {
                    turn.refuse(&Refused { topic: prefix, sentence: error.to_string(), code: 400 });
                }
            }
            ClientMessage::Call { call_id, procedure, .. } => {
                let procedure = self.prefixes.expand(procedure);
                let identity = turn.admission.identity;
                turn.send(&calls::call(call_id, shortened(&procedure), turn.session, identity))?;
            }
            ClientMessage::Subscribe { topic } => {
                match turn.admission.subscribe(&self.prefixes.expand(topic)) {
                    Ok(topic) => turn.events.push(SessionEvent::Subscribe(topic)),
                    Err(refused) => turn.refuse(&refused),
                }
            }
            ClientMessage::Unsubscribe { topic } => {
                if let Ok(topic) = Topic::parse(&self.prefixes.expand(topic)) {
                    turn.events.push(SessionEvent::Unsubscribe(topic));
                }
            }
            ClientMessage::Publish { topic, payload, exclude_me, mut audience } => {
                if exclude_me {
                    audience.exclude.insert(turn.session);
                }
                let admission = turn.admission;
                let content = admission
                    .topic(Action::BrowserPublish, &self.prefixes.expand(topic))
                    .map(|topic| Message { topic, payload, audience })
                    .and_then(|message| admission.publish(Action::BrowserPublish, message));
                match content {
                    Ok(content) => turn.events.push(SessionEvent::Publish(content)),
                    Err(refused) => turn.refuse(&refused),
                }
            }
        }
        Ok(())
    }
}

/// A name that a client made up, for an answer: not longer than any name of ours.
fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(Topic::MAX_BYTES)).unwrap_or_default()
}

impl Turn<'_> {
    /// Says why something is not done. Nothing depends on it, so a client that does not read is not told of all: what it
    /// causes costs it neither its session nor its events.
    pub fn refuse(&mut self, refused: &Refused) {
        let topic = shortened(&refused.topic);
        let answer = ServerMessage::CallError {
            call_id: json(topic),
            error_uri: topic.to_owned(),
            description: refused.sentence.clone(),
            details: Some(json(&Details { code: refused.code })),
        };
        self.outbound.push_if_spare(text_frame(wamp::encode_server(&answer)));
    }

    fn send(&mut self, message: &ServerMessage) -> Result<(), CloseReason> {
        self.outbound.push(text_frame(wamp::encode_server(message))).map_err(|TooSlow| CloseReason::TooSlow)
    }
}
