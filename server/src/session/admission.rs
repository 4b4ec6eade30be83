//! Authorization of a session's subscriptions and messages, for browsers and publishers alike.
//!
//! Refusals are counted, logged and recorded by topic ([`crate::refusals`]).

use std::time::Instant;

use orosync_protocol::Topic;
use orosync_protocol::disconnect;
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Identity;
use tracing::warn;

use super::Shared;
use crate::connection::Peer;
use crate::log::clip;
use crate::policy::Decision;
use crate::publication::Content;
use crate::refusals::Action;

const NOT_A_TOPIC: &str = "not_a_topic";

/// The context of a request: identity, peer, rules and time.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The session's identity.
    pub identity: &'a Identity,
    /// The session's peer address.
    pub peer: Peer,
    /// The rules and the metrics.
    pub shared: &'a Shared,
    /// The current time.
    pub now: Instant,
}

/// A refused request, with the answer for the client.
#[derive(Debug)]
pub struct Refused {
    /// The topic or procedure as the client sent it.
    pub topic: String,
    /// The reason, a sentence for people.
    pub sentence: String,
    /// The code, modeled on HTTP status codes like those of the old PHP server.
    pub code: u16,
}

impl Admission<'_> {
    /// Parses the topic and checks that the session may subscribe to it.
    pub fn subscribe(self, name: &str) -> Result<Topic, Refused> {
        let topic = self.topic(Action::Subscribe, name)?;
        self.check(Action::Subscribe, name, self.shared.policies.may_subscribe(self.identity, name))?;
        Ok(topic)
    }

    /// The refusal for a session that is allowed to subscribe but has reached its maximum number of subscriptions.
    pub fn refuse_excess_subscription(self, topic: &Topic) -> Refused {
        let sentence =
            format!("a session may have at most {} subscriptions", self.shared.limits.subscriptions);
        self.refuse(Action::Subscribe, topic.as_str(), "too_many", sentence, 429)
    }

    /// Parses the name of a topic sent by a browser.
    pub fn topic(self, action: Action, name: &str) -> Result<Topic, Refused> {
        Topic::parse(name)
            .map_err(|error| self.refuse(action, name, NOT_A_TOPIC, format!("the topic {error}"), 400))
    }

    /// Checks that the session may publish the message, and converts it by its topic.
    pub fn publish(self, action: Action, message: Message) -> Result<Content, Refused> {
        let topic = message.topic.as_str();
        self.check(action, topic, self.shared.policies.may_publish(self.identity, topic))?;
        Content::try_from(message).map_err(|error| {
            self.refuse(action, disconnect::TOPIC, "not_a_disconnect", error.to_string(), 400)
        })
    }

    fn check(self, action: Action, topic: &str, decision: Decision) -> Result<(), Refused> {
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Refused(refusal) => {
                Err(self.refuse(action, topic, refusal.label(), refusal.sentence(topic), 401))
            }
        }
    }

    #[cold]
    fn refuse(
        self,
        action: Action,
        topic: &str,
        reason: &'static str,
        sentence: String,
        code: u16,
    ) -> Refused {
        let Self { identity, peer, shared, now } = self;
        let Shared { metrics, log_limits, .. } = shared;
        let (counted, log_limit, what) = match action {
            Action::Subscribe => {
                (&metrics.subscriptions_refused, &log_limits.subscriptions, "subscription refused")
            }
            Action::BrowserPublish => {
                (&metrics.messages_refused, &log_limits.publications, "publication refused")
            }
            Action::Publish => {
                (&metrics.messages_refused, &log_limits.publishers, "a publisher's message was refused")
            }
        };
        counted.count(reason);
        // An invalid topic may contain control characters, and no rule could match it.
        if reason != NOT_A_TOPIC {
            metrics.refused_topics.count(action, topic, reason, now);
        }
        if let Some(suppressed) = log_limit.admit(now) {
            let user = identity.user.as_deref().unwrap_or("nobody");
            warn!(
                %peer, role = %identity.role, user = %clip(user), topic = %clip(topic), reason, suppressed,
                "{what}"
            );
        }
        Refused { topic: topic.to_owned(), sentence, code }
    }
}
