//! The rules of `[[topics]]`: who may subscribe and publish, and how much history is kept.

use std::time::Duration;

use figment::value::{Dict, Value};
use orosync_protocol::TopicPattern;
use orosync_protocol::notation::Range;
use orosync_protocol::similar::{did_you_mean, did_you_mean_or_all};
use orosync_protocol::ticket::RoleNames;

use super::kinds::{Bounded, COUNT, Kind, TIME, word};
use super::literal::{shown, toml_list};
use crate::policy::{HistoryOverride, Publish, ROLE_PREFIX, Subscribe, TopicRule};

/// The number of a topic's events that are kept. 0: none.
pub const HISTORY_EVENTS: Bounded<usize> = COUNT.within(Range::at_least(0));
/// How long a topic's events are kept. Never 0: to keep no events, set their number to 0.
pub const HISTORY_AGE: Bounded<Duration> = TIME.within(Range::at_least(Duration::from_millis(1)));
/// Rules for topics, in order.
pub const TOPICS: Kind<Vec<TopicRule>> = Kind::new("list of tables", topics);

fn topics(value: &Value) -> Result<Vec<TopicRule>, String> {
    let from_text;
    let rules = match value {
        Value::Array(_, rules) => rules,
        Value::String(_, text) if text.trim().is_empty() => return Ok(vec![]),
        Value::String(_, text) => {
            from_text = toml_list(text)
                .ok_or("not a list of tables. Write [{pattern = \"..\", subscribe = \"user\"}]")?;
            &from_text
        }
        _ => return Err("not a list of tables. Write each rule below its own [[topics]]".to_owned()),
    };
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| topic_rule(rule).map_err(|problem| format!("rule {}: {problem}", index + 1)))
        .collect()
}

fn topic_rule(value: &Value) -> Result<TopicRule, String> {
    const KEYS: [&str; 4] = ["pattern", "subscribe", "publish", "history"];
    let rule = value.as_dict().ok_or("not a table. Write each rule below its own [[topics]]")?;
    if let Some(key) = rule.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("\"{key}\" is not a key of a rule{}", did_you_mean_or_all(key, &KEYS)));
    }
    let about = |key: &'static str| move |problem: String| format!("{key} = {problem}");
    let pattern = match rule.get("pattern") {
        Some(Value::String(_, text)) => TopicPattern::parse(text).map_err(|error| error.to_string())?,
        Some(other) => {
            return Err(about("pattern")(format!("{}: not a text. Write it in quotes", shown(other))));
        }
        None => {
            return Err("has no pattern. Name its topics, for example acme/orders/{id:int}".to_owned());
        }
    };
    let subscribe = match rule.get("subscribe") {
        Some(value) => {
            subscribe(value).map_err(|problem| about("subscribe")(format!("{}: {problem}", shown(value))))?
        }
        None => {
            return Err(format!(
                "\"{pattern}\" does not say who may subscribe. Write subscribe = \"user\", for example"
            ));
        }
    };
    let publish = match rule.get("publish") {
        Some(value) => word(value, &Publish::ALL, Publish::label)
            .map_err(|problem| about("publish")(format!("{}: {problem}", shown(value))))?,
        None => Publish::Publisher,
    };
    let history = rule.get("history").map_or_else(|| Ok(HistoryOverride::default()), history)?;
    let rule = TopicRule::new(pattern, subscribe, publish);
    rule.map(|rule| rule.with_history(history)).map_err(|error| format!("subscribe = \"owner\": {error}"))
}

fn history(value: &Value) -> Result<HistoryOverride, String> {
    const KEYS: [&str; 2] = ["events", "seconds"];
    let table = value.as_dict().ok_or_else(|| {
        format!("history = {}: not a table. Write history = {{ events = 1000, seconds = 600 }}", shown(value))
    })?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("\"{key}\" is not a key of history{}", did_you_mean_or_all(key, &KEYS)));
    }
    Ok(HistoryOverride {
        events: history_bound(table, "events", |value| HISTORY_EVENTS.read(value))?,
        age: history_bound(table, "seconds", |value| HISTORY_AGE.read(value))?,
    })
}

fn history_bound<T>(
    table: &Dict,
    key: &str,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let read = |value| read(value).map_err(|problem| format!("history.{key} = {}: {problem}", shown(value)));
    table.get(key).map(read).transpose()
}

fn subscribe(value: &Value) -> Result<Subscribe, String> {
    let text = value.as_str().unwrap_or_default();
    if let Some(names) = text.strip_prefix(ROLE_PREFIX) {
        return RoleNames::parse(names).map(Subscribe::Role).map_err(|error| error.to_string());
    }
    if let Some(word) = Subscribe::WORDS.into_iter().find(|candidate| candidate.label() == text) {
        return Ok(word);
    }
    let words = Subscribe::WORDS.map(|word| word.label());
    let meant = if text.starts_with("ROLE_") {
        format!(". Did you mean \"{ROLE_PREFIX}{text}\"?")
    } else {
        did_you_mean(text, words.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    };
    Err(format!("not one of {}, {ROLE_PREFIX}NAME{meant}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    fn text(text: &str) -> Result<Vec<TopicRule>, String> {
        TOPICS.read(&Value::from(text))
    }

    /// Parses a value as it is written in a file.
    fn toml(literal: &str) -> Result<Vec<TopicRule>, String> {
        let document: Dict = Toml::from_str(&format!("topics = {literal}")).unwrap();
        TOPICS.read(&document["topics"])
    }

    #[test]
    fn rules_are_read_from_a_file_and_from_a_text() {
        let literal = "[{pattern = \"acme/{uid:int}\", subscribe = \"owner\"}, {pattern = \"acme/chat\", subscribe = \"user\", publish = \"user\"}]";
        for rules in [toml(literal).unwrap(), text(literal).unwrap()] {
            assert_eq!(rules.len(), 2);
            assert_eq!(*rules[0].subscribe(), Subscribe::Owner);
            assert_eq!(rules[0].publish(), Publish::Publisher);
            assert_eq!(rules[1].pattern().as_str(), "acme/chat");
            assert_eq!(rules[1].publish(), Publish::User);
        }
        assert_eq!(text(""), Ok(vec![]));
    }

    #[test]
    fn a_rule_may_set_each_bound_of_its_history() {
        let hour = Some(Duration::from_hours(1));
        for (written, events, age) in [
            ("", None, None),
            (", history = {}", None, None),
            (", history = { events = 20_000, seconds = 3600 }", Some(20_000), hour),
            (", history = { events = \"20000\", seconds = \"1h\" }", Some(20_000), hour),
            (", history = { seconds = 0.001 }", None, Some(Duration::from_millis(1))),
            (", history = { events = 0 }", Some(0), None),
        ] {
            let literal = format!("[{{pattern = \"acme/chat\", subscribe = \"user\"{written}}}]");
            for rules in [toml(&literal).unwrap(), text(&literal).unwrap()] {
                assert_eq!(rules[0].history(), HistoryOverride { events, age }, "{literal}");
            }
        }
    }

    #[test]
    fn the_error_for_an_invalid_rule_names_its_position() {
        let chat = "{pattern = \"acme/chat\", subscribe = \"user\"}";
        for (rule, problem) in [
            ("{subscribe = \"user\"}", "has no pattern. Name its"),
            ("{pattern = \"acme/{x\", subscribe = \"user\"}", "\"acme/{x\": a brace is not closed"),
            ("{pattern = 5, subscribe = \"user\"}", "pattern = 5: not a text"),
            ("{pattern = \"acme/x\"}", "\"acme/x\" does not say who may subscribe"),
            (
                "{pattern = \"acme/x\", subscribe = \"users\"}",
                "subscribe = \"users\": not one of anyone, customer, user, owner, granted, nobody, role:NAME. Did you mean \"user\"?",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"ROLE_SALES\"}",
                "subscribe = \"ROLE_SALES\": not one of anyone, customer, user, owner, granted, nobody, role:NAME. Did you mean \"role:ROLE_SALES\"?",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"role:\"}",
                "subscribe = \"role:\": \"\" is not a valid role name. Write letters, digits, _, - and ., at most 100, for example ROLE_SALES",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"role:ROLE_SALES ROLE_USER\"}",
                "subscribe = \"role:ROLE_SALES ROLE_USER\": \"ROLE_SALES ROLE_USER\" is not a valid role name",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"owner\"}",
                "subscribe = \"owner\": \"acme/x\" does not name the owner",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", publish = 1}",
                "publish = 1: not one of publisher, user, nobody",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", publsh = \"user\"}",
                "\"publsh\" is not a key of a rule. Did you mean \"publish\"?",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", history = 5}",
                "history = 5: not a table. Write history = { events = 1000, seconds = 600 }",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", history = {event = 5}}",
                "\"event\" is not a key of history. Did you mean \"events\"?",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", history = {bytes = 5}}",
                "\"bytes\" is not a key of history",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", history = {events = -1}}",
                "history.events = -1: not a whole number. Write digits, for example 1000",
            ),
            (
                "{pattern = \"acme/x\", subscribe = \"user\", history = {seconds = 0}}",
                "history.seconds = 0: out of bounds. Write 0.001 or more",
            ),
            ("\"acme/x\"", "not a table"),
        ] {
            let error = toml(&format!("[{chat}, {rule}]")).unwrap_err();
            assert!(error.starts_with(&format!("rule 2: {problem}")), "{error}");
        }
        assert!(text("acme/x").unwrap_err().starts_with("not a list of tables"));
    }
}
