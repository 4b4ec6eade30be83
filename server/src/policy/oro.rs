//! The topics of OroPlatform, as its `websocket_routing.yml` files declare them (the same from 3.1 to 7.0), and the
//! names that 1.x and 2.x used for some of them.
//!
//! Two rules are stricter than in OroSyncBundle:
//!
//! - The topics that its `BroadcastTopic` opened to every session (data updates, the consumer's heartbeat, outdated user pages)
//!   require a back office user, because they reveal what the back office does.
//! - Publishing, which any session could do, requires the secret.

use std::time::Duration;

use orosync_protocol::TopicPattern;

use super::{HistoryOverride, Publish, Subscribe, TopicRule};

/// Patterns, and who may subscribe. Only publishers may publish to them.
const TOPICS: [(&str, Subscribe); 15] = [
    ("oro/ping", Subscribe::Anyone),
    ("oro/maintenance", Subscribe::Anyone),
    ("oro/data/update", Subscribe::User),
    ("oro/message_queue_heartbeat", Subscribe::User),
    ("oro/outdated_user_page", Subscribe::User),
    ("oro/email_event/{user_id:int}/{organization_id:int_or_star}", Subscribe::Owner),
    ("oro/attribute_import/{user_id:int}/{config_model_id:int}", Subscribe::Owner),
    ("oro/reminder_remind/{user_id:int}", Subscribe::Owner),
    // System mailboxes. Only the page checks the permission to see them.
    ("oro/imap_sync_fail/*", Subscribe::User),
    ("oro/imap_sync_fail/{user_id:int}", Subscribe::Owner),
    // OroPlatform 1.x and 2.x.
    ("oro/reminder/remind_user_{user_id:int}", Subscribe::Owner),
    ("oro/email_event/user_{user_id:int}_org_{organization_id:int}", Subscribe::Owner),
    ("oro/attribute_import/user_{user_id:int}_configmodel_{config_model_id:int}", Subscribe::Owner),
    ("oro/imap_sync_fail_u_{user_id:int}", Subscribe::Owner),
    ("oro/imap_sync_fail_system", Subscribe::User),
];

/// Each save in the back office is an event on this topic, so a busy office would exceed the default bounds within minutes.
const DATA_UPDATES: HistoryOverride =
    HistoryOverride { events: Some(20_000), age: Some(Duration::from_hours(1)) };

/// Topics with history bounds of their own.
const HISTORIES: [(&str, HistoryOverride); 2] =
    // Missed pings are of no interest.
    [("oro/ping", HistoryOverride::NONE), ("oro/data/update", DATA_UPDATES)];

/// The built-in rules.
pub(super) fn rules() -> impl Iterator<Item = TopicRule> {
    TOPICS.into_iter().map(|(pattern, subscribe)| {
        let history = HISTORIES.into_iter().find(|(topic, _)| *topic == pattern);
        let history = history.map_or_else(HistoryOverride::default, |(_, history)| history);
        let pattern = TopicPattern::parse(pattern).expect("a constant that the tests below parse");
        let rule = TopicRule::new(pattern, subscribe, Publish::Publisher);
        rule.expect("a constant that the tests below check").with_history(history)
    })
}

#[cfg(test)]
mod tests {
    use orosync_protocol::ticket::{Identity, Role};

    use super::*;
    use crate::policy::{Decision, HistoryLimits, Policies};

    /// Expected results for the identities of `browsers`: everybody, back office users, user 7 only.
    const ANYONE: [bool; 4] = [true, true, true, true];
    const USERS: [bool; 4] = [false, false, true, true];
    const USER_7: [bool; 4] = [false, false, false, true];

    const TABLE: [(&str, [bool; 4]); 16] = [
        ("oro/ping", ANYONE),
        ("oro/maintenance", ANYONE),
        ("oro/data/update", USERS),
        ("oro/message_queue_heartbeat", USERS),
        ("oro/outdated_user_page", USERS),
        ("oro/email_event/7/1", USER_7),
        ("oro/email_event/7/*", USER_7),
        ("oro/attribute_import/7/12", USER_7),
        ("oro/reminder_remind/7", USER_7),
        ("oro/imap_sync_fail/*", USERS),
        ("oro/imap_sync_fail/7", USER_7),
        ("oro/reminder/remind_user_7", USER_7),
        ("oro/email_event/user_7_org_1", USER_7),
        ("oro/attribute_import/user_7_configmodel_12", USER_7),
        ("oro/imap_sync_fail_u_7", USER_7),
        ("oro/imap_sync_fail_system", USERS),
    ];

    fn identity(role: Role, uid: u64) -> Identity {
        Identity { role, uid: Some(uid.into()), org: Some(2), ..Identity::anonymous() }
    }

    fn browsers() -> [Identity; 4] {
        // Ids of customers and users overlap.
        [Identity::anonymous(), identity(Role::Customer, 7), identity(Role::User, 8), identity(Role::User, 7)]
    }

    #[test]
    fn each_oro_topic_admits_those_it_is_meant_for() {
        let policies = Policies::new(vec![]);
        for (topic, expected) in TABLE {
            for (browser, expected) in browsers().iter().zip(expected) {
                let allowed = policies.may_subscribe(browser, topic) == Decision::Allowed;
                assert_eq!(allowed, expected, "{topic}: {browser:?}");
            }
        }
    }

    #[test]
    fn publishers_may_publish_and_subscribe_to_all_and_browsers_may_publish_to_none() {
        let policies = Policies::new(vec![]);
        let publisher = Identity { role: Role::Publisher, ..Identity::anonymous() };
        for (topic, _) in TABLE {
            assert_eq!(policies.may_subscribe(&publisher, topic), Decision::Allowed, "{topic}");
            assert_eq!(policies.may_publish(&publisher, topic), Decision::Allowed, "{topic}");
            for browser in browsers() {
                assert_ne!(policies.may_publish(&browser, topic), Decision::Allowed, "{topic}: {browser:?}");
            }
        }
    }

    #[test]
    fn similar_names_match_no_rule() {
        let policies = Policies::new(vec![]);
        let user = identity(Role::User, 7);
        for topic in [
            "oro/email_event/7",
            "oro/email_event/*/1",
            "oro/email_event/7/x",
            "oro/attribute_import/7/*",
            "oro/reminder_remind/*",
            "oro/imap_sync_fail/",
            "oro/imap_sync_fail_u_",
            "oro/email_event/user_7_org_*",
            "oro/data/updates",
        ] {
            assert_ne!(policies.may_subscribe(&user, topic), Decision::Allowed, "{topic}");
        }
    }

    #[test]
    fn data_updates_are_kept_for_an_hour_and_pings_not_at_all() {
        let policies = Policies::new(vec![]);
        let default = HistoryLimits { events: 1000, age: Duration::from_mins(10) };
        for (topic, _) in TABLE {
            let expected = match topic {
                "oro/data/update" => HistoryLimits { events: 20_000, age: Duration::from_hours(1) },
                "oro/ping" => HistoryLimits { events: 0, ..default },
                _ => default,
            };
            assert_eq!(policies.history(topic, default), expected, "{topic}");
        }
    }

    #[test]
    fn each_built_in_rule_decides_about_a_topic_of_the_table() {
        for rule in rules() {
            let used = TABLE.iter().any(|(topic, _)| rule.pattern().captures(topic).is_some());
            assert!(used, "{}", rule.pattern());
        }
    }
}
