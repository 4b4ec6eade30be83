//! What a session may do with a topic, and what it is told where it may not: the same for browsers and publishers.
//!
//! What is refused is counted, and told to the operator in the log and by topic ([`crate::refusals`]).

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

/// Who asks, by which rules, and when.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// From where.
    pub peer: Peer,
    /// The rules, and what counts.
    pub shared: &'a Shared,
    /// When.
    pub now: Instant,
}

/// What is told in place of doing what was asked.
#[derive(Debug)]
pub struct Refused {
    /// What was named, as it was sent.
    pub topic: String,
    /// Why not.
    pub sentence: String,
    /// After HTTP's, as the old server gave.
    pub code: u16,
}

impl Admission<'_> {
    /// The topic that is named so, if it may subscribe to that.
    pub fn subscribe(self, name: &str) -> Result<Topic, Refused> {
        let topic = self.topic(Action::Subscribe, name)?;
        self.check(Action::Subscribe, name, self.shared.policies.may_subscribe(self.identity, name))?;
        Ok(topic)
    }

    /// What it is told where it may, and has as many subscriptions as a session may have.
    pub fn refuse_one_more(self, topic: &Topic) -> Refused {
        let sentence =
            format!("a session may have {} subscriptions at most", self.shared.limits.subscriptions);
        self.refuse(Action::Subscribe, topic.as_str(), "too_many", sentence, 429)
    }

    /// The topic that a browser has named so, if that is one.
    pub fn topic(self, action: Action, name: &str) -> Result<Topic, Refused> {
        Topic::parse(name)
            .map_err(|error| self.refuse(action, name, NOT_A_TOPIC, format!("the topic {error}"), 400))
    }

    /// What a message is by its topic, if it may be published.
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
        let Shared { metrics, lines, .. } = shared;
        let (counted, lines, what) = match action {
            Action::Subscribe => {
                (&metrics.subscriptions_refused, &lines.subscriptions, "subscription refused")
            }
            Action::BrowserPublish => (&metrics.messages_refused, &lines.publications, "publication refused"),
            Action::Publish => {
                (&metrics.messages_refused, &lines.publishers, "a publisher's message was refused")
            }
        };
        counted.count(reason);
        // What is no topic may hold control characters, and no rule could speak of it.
        if reason != NOT_A_TOPIC {
            metrics.refused_topics.count(action, topic, reason, now);
        }
        if let Some(left_out) = lines.admit(now) {
            let user = identity.user.as_deref().unwrap_or("nobody");
            warn!(
                %peer, role = %identity.role, user = %clip(user), topic = %clip(topic), reason, left_out,
                "{what}"
            );
        }
        Refused { topic: topic.to_owned(), sentence, code }
    }
}
