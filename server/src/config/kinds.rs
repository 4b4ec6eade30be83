//! The types of configuration values. A [`Kind`] has a name for the documentation and a function that parses a value.
//!
//! A file holds TOML values; environment variables and flags hold text. Each kind parses both. An error is a sentence that
//! follows the value and says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Num, Value};
use orosync_protocol::ticket::RoleNames;
use orosync_protocol::{OriginPattern, TopicPattern};
use tracing_subscriber::filter::Targets;

use super::near::did_you_mean;
use super::redis_url::RedisUrl;
use super::settings::{AdminBind, Anonymous, SendTogether};
use crate::connection::proxies::TrustedProxies;
use crate::listen::address::parse_tcp;
use crate::listen::bind::Bind;
use crate::log::LogFormat;
use crate::policy::{HistoryOverride, Publish, ROLE_PREFIX, Subscribe, TopicRule};

/// The notation of a value that is parsed into `T`.
#[derive(Clone, Copy, Debug)]
pub struct Kind<T: 'static> {
    /// The name in the documentation.
    pub label: &'static str,
    parse: fn(&Value) -> Result<T, String>,
    bounds: Option<Bounds<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds<T: 'static> {
    hold: fn(&T) -> bool,
    /// The allowed values, as the text after "Write" in an error.
    words: &'static str,
}

impl<T> Kind<T> {
    const fn new(label: &'static str, parse: fn(&Value) -> Result<T, String>) -> Self {
        Self { label, parse, bounds: None }
    }

    /// The same kind, restricted to values for which `hold` returns true. `words` describes them for the error.
    pub(super) const fn within(mut self, hold: fn(&T) -> bool, words: &'static str) -> Self {
        self.bounds = Some(Bounds { hold, words });
        self
    }

    /// Parses a value. The error says what is wrong with it and what to write instead.
    pub fn read(&self, value: &Value) -> Result<T, String> {
        let read = (self.parse)(value)?;
        match &self.bounds {
            Some(bounds) if !(bounds.hold)(&read) => Err(format!("out of bounds. Write {}", bounds.words)),
            _ => Ok(read),
        }
    }
}

/// Addresses to listen on, at least one.
pub const BINDS: Kind<Vec<Bind>> = Kind::new("list of addresses", binds);
/// An IP address with a port, or `auto`. Empty: none.
pub const ADMIN_BIND: Kind<AdminBind> = Kind::new("address or `auto`", admin_bind);
/// A whole number from 0 on.
pub const COUNT: Kind<usize> = Kind::new("number", count);
/// A whole number from 1 to 2^32 - 1.
pub const RATE: Kind<u32> = Kind::new("number", rate);
/// A number of bytes, with an optional unit: `64K`, `1M`.
pub const SIZE: Kind<usize> = Kind::new("size", size);
/// A duration of at most a year: seconds, or a number with a unit (`500ms`, `5m`).
pub const TIME: Kind<Duration> = Kind::new("seconds", time);
/// How long events are kept. Never 0: to keep no events, set their number to 0.
pub const HISTORY_AGE: Kind<Duration> = TIME.within(|age| *age >= Duration::from_millis(1), "0.001 or more");
/// A text that must not be printed. Empty: none.
pub const SECRET: Kind<Option<String>> = Kind::new("text", optional_text);
/// A text. Empty: none.
pub const TEXT: Kind<Option<String>> = Kind::new("text", optional_text);
/// The path of a file or directory. Empty: none.
pub const FILE: Kind<Option<PathBuf>> = Kind::new("path", file);
/// The URL of one or several Redis servers. Empty: none.
pub const REDIS_URL: Kind<Option<RedisUrl>> = Kind::new("URL", redis_url);
/// The prefix of the keys in Redis.
pub const PREFIX: Kind<String> = Kind::new("text", prefix);
/// A number of replicas, 0 to 16.
pub const REPLICAS: Kind<u32> = Kind::new("number", replicas);
/// Hosts of the pages that may connect.
pub const ORIGINS: Kind<Vec<OriginPattern>> = Kind::new("list of hosts", origins);
/// Reverse proxies whose forwarded client addresses are trusted.
pub const PROXIES: Kind<TrustedProxies> = Kind::new("list of networks", proxies);
/// The answer to a connection without a ticket.
pub const ANONYMOUS: Kind<Anonymous> = Kind::new("`accept` or `refuse`", anonymous);
/// Whether `io_uring` is used.
pub const SEND_TOGETHER: Kind<SendTogether> = Kind::new("`auto`, `on` or `off`", send_together);
/// The format of the log.
pub const LOG_FORMAT: Kind<LogFormat> = Kind::new("`auto`, `human` or `json`", log_format);
/// The minimum level of log lines, overall and per module.
pub const LOG_LEVEL: Kind<Targets> = Kind::new("level", log_level);
/// Rules for topics, in order.
pub const TOPICS: Kind<Vec<TopicRule>> = Kind::new("list of tables", topics);

fn binds(value: &Value) -> Result<Vec<Bind>, String> {
    let texts = list(value, "addresses such as 0.0.0.0:8080")?;
    if texts.is_empty() {
        return Err("the list is empty. Write an address, for example 0.0.0.0:8080".to_owned());
    }
    texts.iter().map(|text| text.parse().map_err(|error| in_list(value, text, &error))).collect()
}

fn admin_bind(value: &Value) -> Result<AdminBind, String> {
    match optional_text(value)? {
        None => Ok(AdminBind::Off),
        Some(text) if text == "auto" => Ok(AdminBind::Auto),
        Some(text) if text.starts_with("unix:") => {
            Err("a unix socket is not supported here. Write an address such as 127.0.0.1:8081".to_owned())
        }
        Some(text) => parse_tcp(&text).map(AdminBind::At).map_err(|error| error.to_string()),
    }
}

fn count(value: &Value) -> Result<usize, String> {
    const PROBLEM: &str = "not a whole number. Write digits, for example 1000";
    match value {
        Value::Num(_, number) => whole(number),
        Value::String(_, text) => text.trim().replace('_', "").parse().ok(),
        _ => None,
    }
    .ok_or_else(|| PROBLEM.to_owned())
}

fn rate(value: &Value) -> Result<u32, String> {
    let number = count(value)?;
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        format!("too {}. Write a number from 1 to {}", if number == 0 { "low" } else { "high" }, u32::MAX)
    })
}

fn size(value: &Value) -> Result<usize, String> {
    const PROBLEM: &str = "not a size. Write 64K, 1M or a number of bytes";
    match value {
        Value::Num(_, number) => whole(number),
        Value::String(_, text) => size_of_text(text.trim()),
        _ => None,
    }
    .ok_or_else(|| PROBLEM.to_owned())
}

fn size_of_text(text: &str) -> Option<usize> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (text.get(..text.len() - 1)?, 1 << 10),
        b'M' | b'm' => (text.get(..text.len() - 1)?, 1 << 20),
        b'G' | b'g' => (text.get(..text.len() - 1)?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

fn time(value: &Value) -> Result<Duration, String> {
    const PROBLEM: &str = "not a time. Write seconds (5 or 0.5), 30s, 500ms, 5m or 1h";
    /// A year. Longer durations are mistakes and would overflow some clocks.
    const MAX_SECONDS: f64 = 366.0 * 86_400.0;
    let seconds = match value {
        Value::Num(_, number) => decimal(number),
        Value::String(_, text) => seconds_of_text(text.trim()),
        _ => None,
    }
    .ok_or_else(|| PROBLEM.to_owned())?;
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("not between 0 and a year. Write seconds, for example 30".to_owned())
    }
}

fn seconds_of_text(text: &str) -> Option<f64> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, unit)))
        .unwrap_or((text, 1.0));
    let plain = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    digits.parse::<f64>().ok().filter(|_| plain).map(|number| number * unit)
}

fn optional_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::String(_, text) if text.is_empty() => Ok(None),
        Value::String(_, text) => Ok(Some(text.clone())),
        _ => Err("not a text. Write it in quotes".to_owned()),
    }
}

fn file(value: &Value) -> Result<Option<PathBuf>, String> {
    optional_text(value).map(|text| text.map(PathBuf::from))
}

fn redis_url(value: &Value) -> Result<Option<RedisUrl>, String> {
    optional_text(value)?.map(|text| RedisUrl::parse(&text)).transpose()
}

/// Rejects braces, because a Redis Cluster assigns a key to a slot by the text in the first pair of them.
fn prefix(value: &Value) -> Result<String, String> {
    const MAX_BYTES: usize = 64;
    let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b':' | b'_' | b'.' | b'-');
    optional_text(value)?
        .filter(|text| text.len() <= MAX_BYTES && text.bytes().all(known))
        .ok_or_else(|| "not 1 to 64 letters, digits and : _ . -. Write orosync, or crm:orosync".to_owned())
}

fn replicas(value: &Value) -> Result<u32, String> {
    const MAX: u32 = 16;
    let number = u32::try_from(count(value)?).ok().filter(|number| *number <= MAX);
    number.ok_or_else(|| format!("out of bounds. Write 0 to {MAX}"))
}

fn origins(value: &Value) -> Result<Vec<OriginPattern>, String> {
    list(value, "hosts such as crm.example.com, or *")?
        .iter()
        .map(|text| OriginPattern::parse(text).map_err(|error| in_list(value, text, &error.to_string())))
        .collect()
}

fn proxies(value: &Value) -> Result<TrustedProxies, String> {
    let texts = list(value, "addresses and networks such as 10.0.0.0/8")?;
    TrustedProxies::parse(texts.iter().map(String::as_str))
        .map_err(|(text, error)| in_list(value, text, &error))
}

fn anonymous(value: &Value) -> Result<Anonymous, String> {
    word(value, &Anonymous::ALL, Anonymous::label)
}

fn send_together(value: &Value) -> Result<SendTogether, String> {
    word(value, &SendTogether::ALL, SendTogether::label)
}

fn log_format(value: &Value) -> Result<LogFormat, String> {
    word(value, &LogFormat::ALL, LogFormat::label)
}

fn log_level(value: &Value) -> Result<Targets, String> {
    const PROBLEM: &str = "not a level. Write error, warn, info, debug or trace; for single modules info,orosync_server::session=debug";
    let text = optional_text(value)?.ok_or_else(|| PROBLEM.to_owned())?;
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    // `Targets` parses a single word that is not a level as the name of a module, and would then log nothing else.
    let is_level =
        |part: &str| part.contains('=') || known.contains(&part.trim().to_ascii_lowercase().as_str());
    if !text.split(',').all(is_level) {
        return Err(PROBLEM.to_owned());
    }
    text.parse().map_err(|_| PROBLEM.to_owned())
}

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
        return Err(format!("\"{key}\" is not a key of a rule{}", did_you_mean(key, KEYS)));
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
        return Err(format!("\"{key}\" is not a key of history{}", did_you_mean(key, KEYS)));
    }
    Ok(HistoryOverride {
        events: history_bound(table, "events", &COUNT)?,
        age: history_bound(table, "seconds", &HISTORY_AGE)?,
    })
}

fn history_bound<T>(table: &Dict, key: &str, kind: &Kind<T>) -> Result<Option<T>, String> {
    let read =
        |value| kind.read(value).map_err(|problem| format!("history.{key} = {}: {problem}", shown(value)));
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

/// Parses one of several words.
fn word<T: Copy>(value: &Value, all: &[T], label: impl Fn(T) -> &'static str) -> Result<T, String> {
    let text = value.as_str().unwrap_or_default();
    all.iter().copied().find(|candidate| label(*candidate) == text).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|candidate| label(*candidate)).collect();
        format!("not one of {}{}", words.join(", "), did_you_mean(text, words))
    })
}

/// A list of texts: a TOML array, a TOML array written as text, or a text with commas.
fn list(value: &Value, of: &str) -> Result<Vec<String>, String> {
    let from_text;
    let items = match value {
        Value::Array(_, items) => items,
        Value::String(_, text) => match toml_list(text) {
            Some(items) => {
                from_text = items;
                &from_text
            }
            None => {
                return Ok(text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect());
            }
        },
        _ => return Err(format!("not a list of {of}. Write [\"..\", \"..\"]")),
    };
    items
        .iter()
        .map(|item| {
            item.as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("not a list of {of}. Write each in quotes"))
        })
        .collect()
}

/// Parses a TOML array from a text.
fn toml_list(text: &str) -> Option<Vec<Value>> {
    let document: Dict = Toml::from_str(&format!("list = {text}")).ok()?;
    document.get("list").and_then(Value::as_array).map(<[Value]>::to_vec)
}

/// The error for one item of a list. It quotes the item unless the list has only this one.
fn in_list(value: &Value, item: &str, problem: &dyn std::fmt::Display) -> String {
    if value.as_str() == Some(item) { problem.to_string() } else { format!("\"{item}\": {problem}") }
}

fn whole(number: &Num) -> Option<usize> {
    number
        .to_i128()
        .or_else(|| number.to_u128()?.try_into().ok())
        .and_then(|number| usize::try_from(number).ok())
}

fn decimal(number: &Num) -> Option<f64> {
    number.to_f64().or_else(|| whole(number).and_then(|number| u32::try_from(number).ok()).map(f64::from))
}

/// A value in the notation of the configuration file, on one line.
pub fn shown(value: &Value) -> String {
    match value {
        // A JSON string is a valid TOML string except for one control character, which JSON does not escape.
        Value::String(_, text) => {
            serde_json::Value::from(text.as_str()).to_string().replace('\u{7f}', "\\u007f")
        }
        Value::Char(_, character) => shown(&Value::from(character.to_string())),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), _, _) => number.to_string(),
            (_, Some(number), _) => number.to_string(),
            (_, _, Some(number)) => format!("{number:?}"),
            (None, None, None) => "nan".to_owned(),
        },
        Value::Empty(..) => "\"\"".to_owned(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, table) => {
            let pairs = table.iter().map(|(key, value)| format!("{} = {}", shown_key(key), shown(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn shown_key(key: &str) -> String {
    let bare = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { shown(&Value::from(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T>(kind: &Kind<T>, text: &str) -> Result<T, String> {
        kind.read(&Value::from(text))
    }

    /// Parses a value as it is written in a file.
    fn toml<T>(kind: &Kind<T>, literal: &str) -> Result<T, String> {
        let document: Dict = Toml::from_str(&format!("value = {literal}")).unwrap();
        kind.read(&document["value"])
    }

    #[test]
    fn sizes_have_units() {
        for (written, bytes) in
            [("65536", 65536), ("64K", 65536), ("64k", 65536), ("1M", 1 << 20), ("2G", 2 << 30)]
        {
            assert_eq!(text(&SIZE, written), Ok(bytes), "{written}");
        }
        assert_eq!(toml(&SIZE, "65536"), Ok(65536));
        for written in ["", "K", "64 kb", "-1", "1.5M", "64KB", "99999999999999999999G", "ü"] {
            assert_eq!(
                text(&SIZE, written),
                Err("not a size. Write 64K, 1M or a number of bytes".to_owned())
            );
        }
        assert!(toml(&SIZE, "-1").is_err());
        assert!(toml(&SIZE, "1.5").is_err());
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        for (written, milliseconds) in [
            ("5", 5000),
            ("0.5", 500),
            ("30s", 30_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(text(&TIME, written), Ok(Duration::from_millis(milliseconds)), "{written}");
        }
        assert_eq!(toml(&TIME, "5"), Ok(Duration::from_secs(5)));
        assert_eq!(toml(&TIME, "0.25"), Ok(Duration::from_millis(250)));
        for written in ["", "s", "-1", "5 minutes", "nan", "inf", "1e3", "1d", "400000h"] {
            assert!(text(&TIME, written).is_err(), "{written}");
        }
        for literal in ["-1", "-0.5", "nan", "inf", "true"] {
            assert!(toml(&TIME, literal).is_err(), "{literal}");
        }
    }

    #[test]
    fn numbers_are_whole() {
        assert_eq!(text(&COUNT, "1_000"), Ok(1000));
        assert_eq!(toml(&COUNT, "1_000"), Ok(1000));
        for written in ["", "-1", "1.0", "many", "1K"] {
            assert!(text(&COUNT, written).is_err(), "{written}");
        }
        assert_eq!(text(&RATE, "0").unwrap_err(), "too low. Write a number from 1 to 4294967295");
        assert_eq!(text(&RATE, "4294967296").unwrap_err(), "too high. Write a number from 1 to 4294967295");
    }

    #[test]
    fn lists_are_toml_or_separated_by_commas() {
        let two = vec!["[::]:8080".parse().unwrap(), "unix:/run/x.sock".parse().unwrap()];
        assert_eq!(text(&BINDS, "[::]:8080, unix:/run/x.sock"), Ok(two.clone()));
        assert_eq!(text(&BINDS, "[\"[::]:8080\", \"unix:/run/x.sock\"]"), Ok(two.clone()));
        assert_eq!(toml(&BINDS, "[\"[::]:8080\", \"unix:/run/x.sock\"]"), Ok(two));
        assert_eq!(toml(&BINDS, "\"[::]:8080\""), Ok(vec!["[::]:8080".parse().unwrap()]));
        assert!(text(&BINDS, "").unwrap_err().starts_with("the list is empty"));
        assert!(toml(&BINDS, "[8080]").is_err());
        assert!(toml(&BINDS, "8080").is_err());
        let error = text(&BINDS, "0.0.0.0:8080,localhost").unwrap_err();
        assert!(error.starts_with("\"localhost\": not an address and a port"), "{error}");
    }

    #[test]
    fn origins_are_hosts() {
        let read = text(&ORIGINS, "*, CRM.example.com,same host").unwrap();
        assert_eq!(
            read.iter().map(OriginPattern::as_str).collect::<Vec<_>>(),
            ["*", "crm.example.com", "same host"]
        );
        let error = text(&ORIGINS, "https://crm.example.com").unwrap_err();
        assert_eq!(error, "only the host of an origin is compared. Write crm.example.com");
    }

    #[test]
    fn the_error_for_an_unknown_word_suggests_a_similar_one() {
        assert_eq!(text(&ANONYMOUS, "refuse"), Ok(Anonymous::Refuse));
        assert_eq!(text(&ANONYMOUS, "reject").unwrap_err(), "not one of accept, refuse");
        assert_eq!(
            text(&LOG_FORMAT, "jsn").unwrap_err(),
            "not one of auto, human, json. Did you mean \"json\"?"
        );
        assert!(toml(&ANONYMOUS, "true").is_err());
        assert_eq!(text(&SEND_TOGETHER, "off"), Ok(SendTogether::Off));
        assert_eq!(text(&SEND_TOGETHER, "on"), Ok(SendTogether::On));
    }

    #[test]
    fn a_lone_word_that_is_no_level_is_refused() {
        for written in ["info", "WARN", "info,orosync_server::session=debug", "off"] {
            assert!(text(&LOG_LEVEL, written).is_ok(), "{written}");
        }
        for written in ["", "verbose", "info,tokio", "info,x=loud"] {
            assert!(text(&LOG_LEVEL, written).is_err(), "{written}");
        }
    }

    #[test]
    fn rules_are_read_from_a_file_and_from_a_text() {
        let literal = "[{pattern = \"acme/{uid:int}\", subscribe = \"owner\"}, {pattern = \"acme/chat\", subscribe = \"user\", publish = \"user\"}]";
        for rules in [toml(&TOPICS, literal).unwrap(), text(&TOPICS, literal).unwrap()] {
            assert_eq!(rules.len(), 2);
            assert_eq!(*rules[0].subscribe(), Subscribe::Owner);
            assert_eq!(rules[0].publish(), Publish::Publisher);
            assert_eq!(rules[1].pattern().as_str(), "acme/chat");
            assert_eq!(rules[1].publish(), Publish::User);
        }
        assert_eq!(text(&TOPICS, ""), Ok(vec![]));
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
            for rules in [toml(&TOPICS, &literal).unwrap(), text(&TOPICS, &literal).unwrap()] {
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
            let error = toml(&TOPICS, &format!("[{chat}, {rule}]")).unwrap_err();
            assert!(error.starts_with(&format!("rule 2: {problem}")), "{error}");
        }
        assert!(text(&TOPICS, "acme/x").unwrap_err().starts_with("not a list of tables"));
    }

    #[test]
    fn a_value_is_shown_in_the_notation_of_the_file() {
        for literal in [
            "\"a \\\"b\\\" \\n\"",
            "5",
            "0.5",
            "true",
            "[\"a\", \"b\"]",
            "{ a = 1, \"b c\" = \"x\" }",
            "[{ a = [] }]",
        ] {
            let document: Dict = Toml::from_str(&format!("value = {literal}")).unwrap();
            assert_eq!(shown(&document["value"]), literal);
        }
    }
}
