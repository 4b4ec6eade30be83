//! WAMP v1 on the server's side: what a browser (or another WAMP client) asks for.
//!
//! What a policy refuses is answered with `[4, topic, topic, reason, details]` and never closes the session: OroPlatform's
//! JavaScript ignores it in silence, a person sees it in the developer tools. What is no message closes the session.

use std::time::Instant;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Identity;
use orosync_protocol::wamp::{self, ClientMessage, PrefixTable, ServerMessage};
use orosync_protocol::{CloseReason, SessionId, Topic};
use tracing::warn;

use super::budget::Budget;
use super::calls::{self, Details, json};
use super::outbound::{Outbound, TooSlow};
use super::{SessionEvent, Shared};
use crate::connection::Peer;
use crate::frame::text_frame;
use crate::log::clip;
use crate::policy::Decision;

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
    pub(super) identity: &'a Identity,
    pub(super) peer: Peer,
    pub(super) shared: &'a Shared,
    pub(super) outbound: &'a mut Outbound,
    pub(super) events: &'a mut Vec<SessionEvent>,
    pub(super) now: Instant,
}

impl Browser {
    /// A session that has said nothing yet.
    pub fn new(shared: &Shared, now: Instant) -> Self {
        Self { prefixes: PrefixTable::default(), budget: Budget::new(shared.limits.message_burst, now) }
    }

    /// Pays for a message or ping.
    pub fn spend(&mut self, shared: &Shared, now: Instant) -> Result<(), CloseReason> {
        let limits = &shared.limits;
        if self.budget.try_spend(limits.message_burst, limits.messages_per_second, now) {
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
                    turn.refuse(&prefix, &error.to_string(), 400)?;
                }
            }
            ClientMessage::Call { call_id, procedure, .. } => {
                let procedure = self.prefixes.expand(procedure);
                turn.send(&calls::call(call_id, procedure, turn.session, turn.identity))?;
            }
            ClientMessage::Subscribe { topic } => {
                let name = self.prefixes.expand(topic);
                match turn.shared.policies.may_subscribe(turn.identity, &name) {
                    Decision::Allowed => {
                        if let Some(topic) = turn.checked(&name)? {
                            turn.events.push(SessionEvent::Subscribe(topic));
                        }
                    }
                    Decision::Refused(refusal) => {
                        turn.shared.metrics.subscriptions_refused.count(refusal.label());
                        turn.log_refusal("subscription refused", &name, refusal.label());
                        turn.refuse(&name, &refusal.sentence(&name), 401)?;
                    }
                }
            }
            ClientMessage::Unsubscribe { topic } => {
                if let Ok(topic) = Topic::parse(&self.prefixes.expand(topic)) {
                    turn.events.push(SessionEvent::Unsubscribe(topic));
                }
            }
            ClientMessage::Publish { topic, payload, exclude_me, mut audience } => {
                let name = self.prefixes.expand(topic);
                match turn.shared.policies.may_publish(turn.identity, &name) {
                    Decision::Allowed => {
                        if exclude_me {
                            audience.exclude.push(turn.session);
                        }
                        if let Some(topic) = turn.checked(&name)? {
                            turn.events.push(SessionEvent::Publish(Message { topic, payload, audience }));
                        }
                    }
                    Decision::Refused(refusal) => {
                        turn.shared.metrics.messages_refused.count(refusal.label());
                        turn.log_refusal("publication refused", &name, refusal.label());
                        turn.refuse(&name, &refusal.sentence(&name), 401)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Turn<'_> {
    /// Tells that a subscription was not taken because the session has too many.
    pub fn refuse_subscription(&mut self, topic: &Topic) -> Result<(), CloseReason> {
        const LABEL: &str = "too_many";
        self.shared.metrics.subscriptions_refused.count(LABEL);
        self.log_refusal("subscription refused", topic.as_str(), LABEL);
        let sentence =
            format!("a session may have {} subscriptions at most", self.shared.limits.subscriptions);
        self.refuse(topic.as_str(), &sentence, 429)
    }

    fn checked(&mut self, name: &str) -> Result<Option<Topic>, CloseReason> {
        match Topic::parse(name) {
            Ok(topic) => Ok(Some(topic)),
            Err(error) => self.refuse(name, &format!("the topic {error}"), 400).map(|()| None),
        }
    }

    fn refuse(&mut self, topic: &str, description: &str, code: u16) -> Result<(), CloseReason> {
        self.send(&ServerMessage::CallError {
            call_id: json(topic),
            error_uri: topic.to_owned(),
            description: description.to_owned(),
            details: Some(json(&Details { code })),
        })
    }

    fn send(&mut self, message: &ServerMessage) -> Result<(), CloseReason> {
        self.outbound.push(text_frame(wamp::encode_server(message))).map_err(|TooSlow| CloseReason::TooSlow)
    }

    fn log_refusal(&self, what: &'static str, topic: &str, reason: &'static str) {
        if let Some(left_out) = self.shared.refusals_logged.admit(self.now) {
            let user = self.identity.user.as_deref().unwrap_or("nobody");
            warn!(
                peer = %self.peer, role = %self.identity.role, user = %clip(user), topic = %clip(topic), reason, left_out,
                "{what}"
            );
        }
    }
}
