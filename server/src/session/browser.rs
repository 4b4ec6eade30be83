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
use super::{NOT_A_DISCONNECT, SessionEvent, Shared};
use crate::connection::Peer;
use crate::frame::text_frame;
use crate::log::clip;
use crate::policy::Decision;
use crate::publication::Content;
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
                    turn.refuse(&prefix, &error.to_string(), 400);
                }
            }
            ClientMessage::Call { call_id, procedure, .. } => {
                let procedure = self.prefixes.expand(procedure);
                turn.send(&calls::call(call_id, shortened(&procedure), turn.session, turn.identity))?;
            }
            ClientMessage::Subscribe { topic } => {
                let name = self.prefixes.expand(topic);
                let may = |topic: &Topic| turn.shared.policies.may_subscribe(turn.identity, topic.as_str());
                match judge(&name, may) {
                    Ok(topic) => turn.events.push(SessionEvent::Subscribe(topic)),
                    Err(refused) => {
                        turn.shared.metrics.subscriptions_refused.count(refused.label);
                        turn.note_refusal(Action::Subscribe, &name, refused.label);
                        turn.refuse(&name, &refused.sentence, refused.code);
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
                let may = |topic: &Topic| turn.shared.policies.may_publish(turn.identity, topic.as_str());
                let content = judge(&name, may).and_then(|topic| {
                    if exclude_me {
                        audience.exclude.insert(turn.session);
                    }
                    Content::try_from(Message { topic, payload, audience }).map_err(|error| Refused {
                        label: NOT_A_DISCONNECT,
                        sentence: error.to_string(),
                        code: 400,
                    })
                });
                match content {
                    Ok(content) => turn.events.push(SessionEvent::Publish(content)),
                    Err(refused) => {
                        turn.shared.metrics.messages_refused.count(refused.label);
                        turn.note_refusal(Action::BrowserPublish, &name, refused.label);
                        turn.refuse(&name, &refused.sentence, refused.code);
                    }
                }
            }
        }
        Ok(())
    }
}

const NOT_A_TOPIC: &str = "not_a_topic";

/// What is told instead of doing what was asked.
struct Refused {
    label: &'static str,
    sentence: String,
    /// After HTTP's, as the old server gave.
    code: u16,
}

/// Is this a topic, and does the policy allow it?
fn judge(name: &str, policy: impl FnOnce(&Topic) -> Decision) -> Result<Topic, Refused> {
    let topic = Topic::parse(name).map_err(|error| Refused {
        label: NOT_A_TOPIC,
        sentence: format!("the topic {error}"),
        code: 400,
    })?;
    match policy(&topic) {
        Decision::Allowed => Ok(topic),
        Decision::Refused(refusal) => {
            Err(Refused { label: refusal.label(), sentence: refusal.sentence(name), code: 401 })
        }
    }
}

/// A name that a client made up, for an answer: not longer than any name of ours.
fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(Topic::MAX_BYTES)).unwrap_or_default()
}

impl Turn<'_> {
    /// Tells that a subscription was not taken because the session has too many.
    pub fn refuse_subscription(&mut self, topic: &Topic) {
        const LABEL: &str = "too_many";
        self.shared.metrics.subscriptions_refused.count(LABEL);
        self.note_refusal(Action::Subscribe, topic.as_str(), LABEL);
        let sentence =
            format!("a session may have {} subscriptions at most", self.shared.limits.subscriptions);
        self.refuse(topic.as_str(), &sentence, 429);
    }

    /// Says why something is not done. Nothing depends on it, so a client that does not read is not told of all: what it
    /// causes costs it neither its session nor its events.
    fn refuse(&mut self, name: &str, description: &str, code: u16) {
        let topic = shortened(name);
        let answer = ServerMessage::CallError {
            call_id: json(topic),
            error_uri: topic.to_owned(),
            description: description.to_owned(),
            details: Some(json(&Details { code })),
        };
        self.outbound.push_if_spare(text_frame(wamp::encode_server(&answer)));
    }

    fn send(&mut self, message: &ServerMessage) -> Result<(), CloseReason> {
        self.outbound.push(text_frame(wamp::encode_server(message))).map_err(|TooSlow| CloseReason::TooSlow)
    }

    /// For the operator: in the log, and by topic.
    fn note_refusal(&self, action: Action, topic: &str, reason: &'static str) {
        // What is no topic may hold control characters, and no rule could speak of it.
        if reason != NOT_A_TOPIC {
            self.shared.metrics.refused_topics.count(action, shortened(topic), reason, self.now);
        }
        let (lines, what) = match action {
            Action::Subscribe => (&self.shared.lines.subscriptions, "subscription refused"),
            Action::Publish | Action::BrowserPublish => {
                (&self.shared.lines.publications, "publication refused")
            }
        };
        if let Some(left_out) = lines.admit(self.now) {
            let user = self.identity.user.as_deref().unwrap_or("nobody");
            warn!(
                peer = %self.peer, role = %self.identity.role, user = %clip(user), topic = %clip(topic), reason, left_out,
                "{what}"
            );
        }
    }
}
