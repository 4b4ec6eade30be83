//! The topics on which subscriptions or messages were refused. `/refusals` shows them to an operator who looks for a message
//! that does not arrive.
//!
//! Owns a table of topics for each [`Action`]. Bound: [`MAX_TOPICS`] per table; a new topic replaces the one whose last
//! refusal is oldest. A browser can invent topics, but they only enter the tables of browsers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// Maximum number of topics per action.
const MAX_TOPICS: usize = 64;

/// The kind of action that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A publisher's message.
    Publish,
    /// A browser's message.
    BrowserPublish,
    /// A browser's subscription.
    Subscribe,
}

impl Action {
    const ALL: [Self; 3] = [Self::Publish, Self::BrowserPublish, Self::Subscribe];

    /// The name in the answer of `/refusals`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::BrowserPublish => "browser_publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// For each topic: number of refusals, last reason and time of the last one.
#[derive(Debug, Default)]
pub struct RefusedTopics([Mutex<HashMap<String, Refused>>; Action::ALL.len()]);

#[derive(Debug)]
struct Refused {
    reason: &'static str,
    count: u64,
    last: Instant,
}

#[derive(Serialize)]
struct Description {
    refusals: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    topic: String,
    action: &'static str,
    reason: &'static str,
    count: u64,
    seconds_ago: u64,
}

impl RefusedTopics {
    /// Counts a refusal. `reason` is the `reason` label of the metrics.
    pub fn count(&self, action: Action, topic: &str, reason: &'static str, now: Instant) {
        let mut topics = self.0[action as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused) = topics.get_mut(topic) {
            *refused = Refused { reason, count: refused.count.saturating_add(1), last: now };
            return;
        }
        if topics.len() >= MAX_TOPICS
            && let Some(oldest) =
                topics.iter().min_by_key(|(_, refused)| refused.last).map(|(topic, _)| topic.clone())
        {
            topics.remove(&oldest);
        }
        topics.insert(topic.to_owned(), Refused { reason, count: 1, last: now });
    }

    /// All topics as JSON, the latest refusal first: `{"refusals": [{"topic", "action", "reason", "count", "seconds_ago"}]}`.
    pub fn describe(&self, now: Instant) -> String {
        let mut refusals: Vec<Line> = Action::ALL
            .into_iter()
            .flat_map(|action| {
                let topics = self.0[action as usize].lock().unwrap_or_else(PoisonError::into_inner);
                let line = |(topic, refused): (&String, &Refused)| Line {
                    topic: topic.clone(),
                    action: action.label(),
                    reason: refused.reason,
                    count: refused.count,
                    seconds_ago: now.saturating_duration_since(refused.last).as_secs(),
                };
                topics.iter().map(line).collect::<Vec<_>>()
            })
            .collect();
        refusals.sort_by(|a, b| (a.seconds_ago, &a.topic).cmp(&(b.seconds_ago, &b.topic)));
        // A struct of strings and numbers always serializes.
        serde_json::to_string(&Description { refusals }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusals_are_counted_by_topic_and_action_and_the_latest_comes_first() {
        let refused = RefusedTopics::default();
        let start = Instant::now();
        refused.count(Action::Publish, "acme/x", "undeclared", start);
        refused.count(Action::Publish, "acme/x", "undeclared", start + Duration::from_secs(1));
        refused.count(Action::Subscribe, "acme/\"x", "not_allowed", start + Duration::from_secs(2));
        assert_eq!(
            refused.describe(start + Duration::from_secs(3)),
            concat!(
                r#"{"refusals":[{"topic":"acme/\"x","action":"subscribe","reason":"not_allowed","count":1,"seconds_ago":1},"#,
                r#"{"topic":"acme/x","action":"publish","reason":"undeclared","count":2,"seconds_ago":2}]}"#
            )
        );
    }

    #[test]
    fn topics_invented_by_browsers_are_bounded_and_never_displace_those_of_publishers() {
        let refused = RefusedTopics::default();
        let start = Instant::now();
        refused.count(Action::Publish, "acme/x", "undeclared", start);
        for number in 0..10 * MAX_TOPICS {
            let now = start + Duration::from_secs(number as u64);
            refused.count(Action::Subscribe, &number.to_string(), "undeclared", now);
        }
        let described = refused.describe(start);
        assert_eq!(described.matches("\"topic\"").count(), MAX_TOPICS + 1);
        assert!(
            described.contains(r#""topic":"acme/x""#) && !described.contains(r#""topic":"0""#),
            "{described}"
        );
    }
}
