//! Policies: who may subscribe, who may publish, and how much history is kept, per topic pattern.
//!
//! Owns the list of rules: the reserved ones, those of the configuration, then Oro's ([`oro`]). The first rule whose pattern
//! matches decides; a topic that no rule matches is refused for everybody. Decisions are stateless.

mod history;
mod oro;

use std::borrow::Cow;

use orosync_protocol::TopicPattern;
use orosync_protocol::disconnect;
use orosync_protocol::ticket::{Identity, Role, RoleNames, UserId};

pub use history::{HistoryLimits, HistoryOverride};

use crate::log::clip;

/// The captures that name a topic's owner. The first one that occurs in a pattern counts.
const OWNER_CAPTURES: [&str; 2] = ["uid", "user_id"];

/// The prefix of role names in the configuration.
pub const ROLE_PREFIX: &str = "role:";

/// Who may subscribe. Publishers hold the secret and may subscribe wherever anybody may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribe {
    /// Everybody, including connections without a ticket.
    Anyone,
    /// Customers of the storefront and users of the back office.
    Customer,
    /// Users of the back office.
    User,
    /// The user of the back office whose id is in the topic (`{uid}` or `{user_id}`).
    Owner,
    /// Users whose ticket contains one of these roles of the application.
    Role(RoleNames),
    /// Users whose ticket grants the topic.
    Granted,
    /// Nobody.
    Nobody,
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Publishers, which hold the secret.
    Publisher,
    /// Publishers, and back office users from their browsers.
    User,
    /// Only the server itself.
    Nobody,
}

impl Subscribe {
    /// All values that are a single word, from the widest to the narrowest.
    pub const WORDS: [Self; 6] =
        [Self::Anyone, Self::Customer, Self::User, Self::Owner, Self::Granted, Self::Nobody];

    /// The value in the configuration.
    pub fn label(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Anyone => "anyone",
            Self::Customer => "customer",
            Self::User => "user",
            Self::Owner => "owner",
            Self::Role(names) => return Cow::Owned(format!("{ROLE_PREFIX}{names}")),
            Self::Granted => "granted",
            Self::Nobody => "nobody",
        })
    }
}

impl Publish {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Publisher, Self::User, Self::Nobody];

    /// The value in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::User => "user",
            Self::Nobody => "nobody",
        }
    }
}

/// A rule: a topic pattern, who may subscribe and publish, and bounds of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    pattern: TopicPattern,
    subscribe: Subscribe,
    publish: Publish,
    history: HistoryOverride,
}

impl TopicRule {
    /// A rule without history bounds of its own. Fails for `owner` if the pattern does not name an owner.
    pub fn new(pattern: TopicPattern, subscribe: Subscribe, publish: Publish) -> Result<Self, NoOwner> {
        let rule = Self { pattern, subscribe, publish, history: HistoryOverride::default() };
        if rule.subscribe == Subscribe::Owner && rule.owner_capture().is_none() {
            return Err(NoOwner { pattern: rule.pattern.as_str().to_owned() });
        }
        Ok(rule)
    }

    /// The same rule with these history bounds.
    #[must_use]
    pub fn with_history(self, history: HistoryOverride) -> Self {
        Self { history, ..self }
    }

    /// The pattern of the topics.
    pub fn pattern(&self) -> &TopicPattern {
        &self.pattern
    }

    /// Who may subscribe to the topics.
    pub fn subscribe(&self) -> &Subscribe {
        &self.subscribe
    }

    /// Who may publish to the topics.
    pub fn publish(&self) -> Publish {
        self.publish
    }

    /// The history bounds that the rule sets.
    pub fn history(&self) -> HistoryOverride {
        self.history
    }

    fn owner_capture(&self) -> Option<&'static str> {
        OWNER_CAPTURES.into_iter().find(|name| self.pattern.has_capture(name))
    }

    /// Whether this identity owns the topic, which must match the pattern.
    fn owns(&self, identity: &Identity, topic: &str) -> bool {
        let Some(uid) = identity.uid.as_ref().filter(|uid| **uid != UserId::Integer(0)) else { return false };
        let owner = self
            .owner_capture()
            .and_then(|name| self.pattern.captures(topic).and_then(|captures| captures.find(name)));
        identity.role == Role::User && owner.is_some_and(|owner| uid.is_equal_to(owner))
    }
}

/// `subscribe = "owner"` was used with a pattern without a user id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{pattern}\" does not name the owner. Add the user's id, for example acme/inbox/{{uid:int}}")]
pub struct NoOwner {
    /// The pattern.
    pub pattern: String,
}

/// Rules for reserved topics, which the configuration cannot override.
fn reserved() -> impl Iterator<Item = TopicRule> {
    let pattern = TopicPattern::parse(disconnect::TOPIC).expect("a constant that is a topic");
    let rule = TopicRule::new(pattern, Subscribe::Nobody, Publish::Publisher).expect("nobody's");
    std::iter::once(rule.with_history(HistoryOverride::NONE))
}

/// All rules, in order.
#[derive(Clone, Debug)]
pub struct Policies(Vec<TopicRule>);

impl Policies {
    /// The reserved rules, then these, then Oro's.
    pub fn new(rules: Vec<TopicRule>) -> Self {
        Self(reserved().chain(rules).chain(oro::rules()).collect())
    }

    /// The rules in the order of evaluation.
    pub fn rules(&self) -> &[TopicRule] {
        &self.0
    }

    /// Whether this identity may receive the topic's events.
    pub fn may_subscribe(&self, identity: &Identity, topic: &str) -> Decision {
        self.decide(topic, |rule| match (&rule.subscribe, identity.role) {
            (Subscribe::Nobody, _) => false,
            (_, Role::Publisher) | (Subscribe::Anyone, _) => true,
            (Subscribe::Customer, role) => matches!(role, Role::Customer | Role::User),
            (Subscribe::User, role) => role == Role::User,
            (Subscribe::Owner, _) => rule.owns(identity, topic),
            (Subscribe::Role(names), _) => identity.roles.intersects(names),
            (Subscribe::Granted, _) => identity.granted.includes(topic),
        })
    }

    /// Whether this identity may publish to the topic.
    pub fn may_publish(&self, identity: &Identity, topic: &str) -> Decision {
        self.decide(topic, |rule| match rule.publish {
            Publish::Nobody => false,
            Publish::Publisher => identity.role == Role::Publisher,
            Publish::User => matches!(identity.role, Role::Publisher | Role::User),
        })
    }

    /// The bounds of the topic's history, with `default` for those that no rule sets.
    pub fn history(&self, topic: &str, default: HistoryLimits) -> HistoryLimits {
        self.rule_of(topic).map_or(default, |rule| rule.history.over(default))
    }

    /// The first rule that matches the topic.
    fn rule_of(&self, topic: &str) -> Option<&TopicRule> {
        self.0.iter().find(|rule| rule.pattern.captures(topic).is_some())
    }

    fn decide(&self, topic: &str, allows: impl Fn(&TopicRule) -> bool) -> Decision {
        match self.rule_of(topic) {
            Some(rule) if allows(rule) => Decision::Allowed,
            Some(_) => Decision::Refused(Denial::NotAllowed),
            None => Decision::Refused(Denial::Undeclared),
        }
    }
}

/// The decision of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request is allowed.
    Allowed,
    /// The request is refused.
    Refused(Denial),
}

/// Why a policy refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No rule matches the topic.
    Undeclared,
    /// The rule does not allow this identity.
    NotAllowed,
}

impl Denial {
    /// The label in logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::NotAllowed => "not_allowed",
        }
    }

    /// The sentence for the client, read in the browser's developer tools.
    pub fn sentence(self, topic: &str) -> String {
        let topic = clip(topic);
        match self {
            Self::Undeclared => {
                format!(
                    "The topic \"{topic}\" is not declared: see [[topics]] in the server's configuration."
                )
            }
            Self::NotAllowed => format!("You may not access the topic \"{topic}\"."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orosync_protocol::Topic;
    use orosync_protocol::ticket::Granted;

    use super::*;

    const REFUSED: Decision = Decision::Refused(Denial::NotAllowed);
    const UNDECLARED: Decision = Decision::Refused(Denial::Undeclared);

    fn identity(role: Role, uid: Option<u64>) -> Identity {
        Identity { role, uid: uid.map(UserId::from), ..Identity::anonymous() }
    }

    fn rule(pattern: &str, subscribe: Subscribe, publish: Publish) -> TopicRule {
        TopicRule::new(TopicPattern::parse(pattern).unwrap(), subscribe, publish).unwrap()
    }

    fn role_names(names: &str) -> Subscribe {
        Subscribe::Role(RoleNames::parse(names).unwrap())
    }

    /// Identities of all kinds that do not own the topics of user 7, then user 7.
    fn parties() -> [(&'static str, Identity); 7] {
        [
            ("anonymous", Identity::anonymous()),
            ("customer 7", identity(Role::Customer, Some(7))),
            ("user without an id", identity(Role::User, None)),
            ("user 0", identity(Role::User, Some(0))),
            ("user 8", identity(Role::User, Some(8))),
            ("user 7", identity(Role::User, Some(7))),
            ("publisher", identity(Role::Publisher, None)),
        ]
    }

    #[test]
    fn each_subscribe_value_admits_exactly_those_it_names() {
        let table = [
            (Subscribe::Anyone, [true, true, true, true, true, true, true]),
            (Subscribe::Customer, [false, true, true, true, true, true, true]),
            (Subscribe::User, [false, false, true, true, true, true, true]),
            (Subscribe::Owner, [false, false, false, false, false, true, true]),
            (role_names("ROLE_SALES"), [false, false, false, false, false, false, true]),
            (Subscribe::Granted, [false, false, false, false, false, false, true]),
            (Subscribe::Nobody, [false, false, false, false, false, false, false]),
        ];
        for (subscribe, expected) in table {
            let policies = Policies::new(vec![rule("acme/{uid:int}", subscribe.clone(), Publish::Nobody)]);
            for ((name, identity), expected) in parties().into_iter().zip(expected) {
                let expected = if expected { Decision::Allowed } else { REFUSED };
                assert_eq!(policies.may_subscribe(&identity, "acme/7"), expected, "{subscribe:?}: {name}");
            }
        }
    }

    #[test]
    fn no_rule_can_open_the_disconnect_topic() {
        let policies = Policies::new(vec![
            rule("orosync/{any}", Subscribe::Anyone, Publish::User),
            rule(disconnect::TOPIC, Subscribe::Anyone, Publish::User),
        ]);
        for (name, identity) in parties() {
            let is_publisher = identity.role == Role::Publisher;
            let published = policies.may_publish(&identity, disconnect::TOPIC);
            assert_eq!(published == Decision::Allowed, is_publisher, "{name}");
            assert_eq!(policies.may_subscribe(&identity, disconnect::TOPIC), REFUSED, "{name}");
        }
    }

    #[test]
    fn a_grant_counts_for_its_topics_and_only_where_the_policy_says_so() {
        let granted = Granted {
            topics: ["acme/{name}", "acme/9"].map(|name| Topic::parse(name).unwrap()).into(),
            patterns: [TopicPattern::parse("acme/{id:int}").unwrap()].into(),
        };
        let customer = Identity { role: Role::Customer, granted, ..Identity::anonymous() };
        let policies = Policies::new(vec![
            rule("acme/9", Subscribe::User, Publish::Nobody),
            rule("acme/{any}", Subscribe::Granted, Publish::Nobody),
        ]);
        assert_eq!(policies.may_subscribe(&customer, "acme/7"), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&customer, "acme/{name}"), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&customer, "acme/x"), REFUSED);
        assert_eq!(policies.may_subscribe(&customer, "acme/9"), REFUSED);
    }

    #[test]
    fn each_publish_value_admits_exactly_those_it_names() {
        let table = [
            (Publish::Publisher, [false, false, false, false, false, false, true]),
            (Publish::User, [false, false, true, true, true, true, true]),
            (Publish::Nobody, [false, false, false, false, false, false, false]),
        ];
        for (publish, expected) in table {
            let policies = Policies::new(vec![rule("acme/chat", Subscribe::Anyone, publish)]);
            for ((name, identity), expected) in parties().into_iter().zip(expected) {
                let expected = if expected { Decision::Allowed } else { REFUSED };
                assert_eq!(policies.may_publish(&identity, "acme/chat"), expected, "{publish:?}: {name}");
            }
        }
    }

    #[test]
    fn an_undeclared_topic_is_refused_for_everybody() {
        let policies = Policies::new(vec![]);
        for topic in ["acme/x", "", "oro", "oro/ping/x", "Oro/ping", "oro/email_event/7", "toString"] {
            for (name, identity) in parties() {
                assert_eq!(policies.may_subscribe(&identity, topic), UNDECLARED, "{topic:?}: {name}");
                assert_eq!(policies.may_publish(&identity, topic), UNDECLARED, "{topic:?}: {name}");
            }
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_the_configured_come_before_oros() {
        let user = identity(Role::User, Some(7));
        let policies = Policies::new(vec![
            rule("acme/news", Subscribe::Nobody, Publish::Nobody),
            rule("acme/{any}", Subscribe::User, Publish::User),
            rule("oro/data/update", Subscribe::Nobody, Publish::User),
        ]);
        assert_eq!(policies.may_subscribe(&user, "acme/news"), REFUSED);
        assert_eq!(policies.may_subscribe(&user, "acme/other"), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&user, "oro/data/update"), REFUSED);
        assert_eq!(policies.may_publish(&user, "oro/data/update"), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&user, "oro/maintenance"), Decision::Allowed);
    }

    #[test]
    fn the_first_rule_that_matches_decides_about_the_history() {
        let hour = Duration::from_hours(1);
        let with = |pattern, events, age| {
            rule(pattern, Subscribe::User, Publish::Publisher).with_history(HistoryOverride { events, age })
        };
        let policies = Policies::new(vec![
            with("acme/both", Some(7), Some(hour)),
            with("acme/events", Some(7), None),
            with("acme/age", None, Some(hour)),
            with("acme/none", Some(0), None),
            rule("acme/{any}", Subscribe::User, Publish::Publisher),
            with("acme/hidden", Some(7), None),
            rule("oro/data/update", Subscribe::User, Publish::Publisher),
        ]);
        let default = HistoryLimits { events: 1000, age: Duration::from_mins(10) };
        for (topic, events, age) in [
            ("acme/both", 7, hour),
            ("acme/events", 7, default.age),
            ("acme/age", 1000, hour),
            ("acme/none", 0, default.age),
            ("acme/other", 1000, default.age),
            ("acme/hidden", 1000, default.age),
            // A rule of the configuration replaces the built-in rule, including its history.
            ("oro/data/update", 1000, default.age),
            ("nobody/declared/this", 1000, default.age),
            (disconnect::TOPIC, 0, default.age),
        ] {
            assert_eq!(policies.history(topic, default), HistoryLimits { events, age }, "{topic}");
        }
    }

    #[test]
    fn without_a_default_only_topics_with_a_rule_have_a_history() {
        let chat = rule("acme/chat", Subscribe::User, Publish::User)
            .with_history(HistoryOverride { events: Some(5), age: None });
        let aged = rule("acme/aged", Subscribe::User, Publish::User)
            .with_history(HistoryOverride { events: None, age: Some(Duration::from_secs(1)) });
        let policies = Policies::new(vec![chat, aged]);
        let off = HistoryLimits { events: 0, age: Duration::from_mins(10) };
        let kept = |topic| policies.history(topic, off).events;
        assert_eq!([kept("acme/chat"), kept("acme/aged"), kept("oro/maintenance")], [5, 0, 0]);
        assert_eq!(kept("oro/data/update"), 20_000);
    }

    #[test]
    fn the_owner_is_compared_as_text() {
        let policies = Policies::new(vec![rule("acme/{uid}", Subscribe::Owner, Publish::Publisher)]);
        let user = identity(Role::User, Some(7));
        assert_eq!(policies.may_subscribe(&user, "acme/7"), Decision::Allowed);
        for topic in ["acme/07", "acme/+7", "acme/7 ", "acme/*", "acme/77"] {
            assert_eq!(policies.may_subscribe(&user, topic), REFUSED, "{topic}");
        }
    }

    #[test]
    fn an_owners_id_may_be_a_string() {
        let policies = Policies::new(vec![
            rule("acme/number/{uid:int}", Subscribe::Owner, Publish::Publisher),
            rule("acme/{any}/{uid}", Subscribe::Owner, Publish::Publisher),
        ]);
        let uuid = "0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a";
        let of = |role| Identity { role, uid: Some(uuid.parse().unwrap()), ..Identity::anonymous() };
        let inbox = format!("acme/inbox/{uuid}");
        assert_eq!(policies.may_subscribe(&of(Role::User), &inbox), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&of(Role::Customer), &inbox), REFUSED);
        for topic in ["acme/inbox/0188fd5c".to_owned(), format!("{inbox}x"), inbox.replace("5c-", "5C-")] {
            assert_eq!(policies.may_subscribe(&of(Role::User), &topic), REFUSED, "{topic}");
        }
        assert_eq!(policies.may_subscribe(&of(Role::User), "acme/number/7"), REFUSED);
    }

    #[test]
    fn a_role_of_the_application_admits_users_who_have_it() {
        let policies = Policies::new(vec![
            rule("acme/sales", role_names("ROLE_SALES"), Publish::Publisher),
            rule("acme/help", role_names("ROLE_SUPPORT,ROLE_SALES"), Publish::Publisher),
        ]);
        let with = |names: &[&str]| Identity {
            roles: RoleNames::new(names.iter().copied()).unwrap(),
            ..identity(Role::Customer, Some(7))
        };
        assert_eq!(
            policies.may_subscribe(&with(&["ROLE_USER", "ROLE_SALES"]), "acme/sales"),
            Decision::Allowed
        );
        assert_eq!(policies.may_subscribe(&with(&["ROLE_SALES"]), "acme/help"), Decision::Allowed);
        assert_eq!(policies.may_subscribe(&with(&["ROLE_SUPPORT"]), "acme/sales"), REFUSED);
        for names in [&[][..], &["ROLE_SALES_LEAD"], &["ROLE_SALE"], &["role_sales"]] {
            assert_eq!(policies.may_subscribe(&with(names), "acme/sales"), REFUSED, "{names:?}");
        }
        assert_eq!(policies.may_publish(&with(&["ROLE_SALES"]), "acme/sales"), REFUSED);
    }

    #[test]
    fn an_owner_needs_a_pattern_that_names_one() {
        let pattern = TopicPattern::parse("acme/{id:int}").unwrap();
        let error = TopicRule::new(pattern, Subscribe::Owner, Publish::Publisher).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"acme/{id:int}\" does not name the owner. Add the user's id, for example acme/inbox/{uid:int}"
        );
    }

    #[test]
    fn a_refusal_gives_the_reason_and_a_truncated_topic() {
        let long = format!("acme/\u{7}{}", "x".repeat(200));
        let sentence = Denial::NotAllowed.sentence(&long);
        assert!(sentence.starts_with("You may not access the topic \"acme/\\u{7}xxx"), "{sentence}");
        assert!(sentence.len() < 200, "{sentence}");
        assert!(Denial::Undeclared.sentence("acme/x").contains("[[topics]]"));
    }
}
