//! The types of configuration values, with their names in the documentation and their parsers. A type of numbers is completed
//! with a range: [`Number::within`].
//!
//! A file holds TOML values; environment variables and flags hold text. Each type is parsed from both. An error is a sentence
//! that follows the value and says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use figment::value::{Num, Value};
use orosync_protocol::OriginPattern;
use orosync_protocol::notation::{self, NotationError, Range};
use orosync_protocol::similar::did_you_mean;
use tracing_subscriber::filter::Targets;

use super::literal::toml_list;
use super::redis_url::RedisUrl;
use super::values::{AdminBind, Anonymous, SendTogether};
use crate::connection::proxies::TrustedProxies;
use crate::listen::address::parse_tcp;
use crate::listen::bind::Bind;
use crate::log::LogFormat;

/// A type of values that are parsed into `T`.
#[derive(Clone, Copy, Debug)]
pub struct Kind<T: 'static> {
    label: Label,
    parse: fn(&Value) -> Result<T, String>,
}

#[derive(Clone, Copy, Debug)]
enum Label {
    Name(&'static str),
    /// The valid words.
    Words(fn() -> Vec<&'static str>),
}

impl<T> Kind<T> {
    pub(super) const fn new(name: &'static str, parse: fn(&Value) -> Result<T, String>) -> Self {
        Self { label: Label::Name(name), parse }
    }

    /// One of several words.
    const fn words(words: fn() -> Vec<&'static str>, parse: fn(&Value) -> Result<T, String>) -> Self {
        Self { label: Label::Words(words), parse }
    }

    /// Parses a value. The error says what is wrong with it and what to write instead.
    pub fn read(&self, value: &Value) -> Result<T, String> {
        (self.parse)(value)
    }

    /// The valid values, for the documentation: `path`, or `` `accept` or `refuse` ``.
    pub fn describe(&self) -> String {
        match self.label {
            Label::Name(name) => name.to_owned(),
            Label::Words(words) => {
                let words: Vec<String> = words().iter().map(|word| format!("`{word}`")).collect();
                match &words[..] {
                    [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
                    words => words.concat(),
                }
            }
        }
    }
}

/// A type of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Number<T: 'static> {
    label: &'static str,
    parse: fn(&Value) -> Result<T, String>,
    write: fn(T) -> String,
}

impl<T> Number<T> {
    /// The numbers of a range.
    pub(super) const fn within(self, range: Range<T>) -> Bounded<T>
    where
        T: Copy,
    {
        Bounded { number: self, range }
    }
}

/// A type of numbers, and the range of those that are valid.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<T: 'static> {
    number: Number<T>,
    range: Range<T>,
}

impl<T: Copy + PartialOrd> Bounded<T> {
    /// Parses a number. The error says what is wrong with it and what to write instead.
    pub fn read(&self, value: &Value) -> Result<T, String> {
        let number = (self.number.parse)(value)?;
        self.range.check(number, self.number.write).map_err(|error| error.to_string())
    }

    /// The valid numbers, for the documentation: `size (1K to 1M)`.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.number.label, self.range.describe(self.number.write))
    }
}

/// A whole number.
pub const COUNT: Number<usize> = Number { label: "number", parse: count, write: |number| number.to_string() };
/// A whole number of 32 bits. A larger one is read as 2^32 - 1, which no range of a key contains.
pub const SMALL_COUNT: Number<u32> =
    Number { label: "number", parse: small_count, write: |number| number.to_string() };
/// A number of bytes, with an optional unit: `64K`, `1M`.
pub const SIZE: Number<usize> =
    Number { label: "size", parse: size, write: |bytes| notation::write_size(bytes as u64) };
/// A time of at most a year: seconds, or a number with a unit (`500ms`, `5m`).
pub const TIME: Number<Duration> = Number { label: "seconds", parse: time, write: notation::write_time };

/// Addresses to listen on, at least one.
pub const BINDS: Kind<Vec<Bind>> = Kind::new("list of addresses", binds);
/// An IP address with a port, or `auto`. Empty: none.
pub const ADMIN_BIND: Kind<AdminBind> = Kind::new("address or `auto`", admin_bind);
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
/// Hosts of the pages that may connect.
pub const ORIGINS: Kind<Vec<OriginPattern>> = Kind::new("list of hosts", origins);
/// Reverse proxies whose forwarded client addresses are trusted.
pub const PROXIES: Kind<TrustedProxies> = Kind::new("list of networks", proxies);
/// The answer to a connection without a ticket.
pub const ANONYMOUS: Kind<Anonymous> = Kind::words(
    || labels(&Anonymous::ALL, Anonymous::label),
    |value| word(value, &Anonymous::ALL, Anonymous::label),
);
/// Whether `io_uring` is used.
pub const SEND_TOGETHER: Kind<SendTogether> = Kind::words(
    || labels(&SendTogether::ALL, SendTogether::label),
    |value| word(value, &SendTogether::ALL, SendTogether::label),
);
/// The format of the log.
pub const LOG_FORMAT: Kind<LogFormat> = Kind::words(
    || labels(&LogFormat::ALL, LogFormat::label),
    |value| word(value, &LogFormat::ALL, LogFormat::label),
);
/// The minimum level of log lines, overall and per module.
pub const LOG_LEVEL: Kind<Targets> = Kind::new("level", log_level);

fn count(value: &Value) -> Result<usize, String> {
    let number = whole(value, notation::count, NotationError::NotACount)?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn small_count(value: &Value) -> Result<u32, String> {
    let number = whole(value, notation::count, NotationError::NotACount)?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn size(value: &Value) -> Result<usize, String> {
    let bytes = whole(value, notation::size, NotationError::NotASize)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Parses a whole number: a TOML number, or a text in this notation.
fn whole(
    value: &Value,
    notation: fn(&str) -> Result<u64, NotationError>,
    problem: NotationError,
) -> Result<u64, String> {
    match value {
        Value::Num(_, number) => whole_number(*number).ok_or(problem),
        Value::String(_, text) => notation(text),
        _ => Err(problem),
    }
    .map_err(|error| error.to_string())
}

fn time(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Num(_, number) => {
            decimal_number(*number).ok_or(NotationError::NotATime).and_then(notation::seconds)
        }
        Value::String(_, text) => notation::time(text),
        _ => Err(NotationError::NotATime),
    }
    .map_err(|error| error.to_string())
}

fn whole_number(number: Num) -> Option<u64> {
    let unsigned = || number.to_u128().and_then(|number| u64::try_from(number).ok());
    number.to_i128().and_then(|number| u64::try_from(number).ok()).or_else(unsigned)
}

fn decimal_number(number: Num) -> Option<f64> {
    let whole = || whole_number(number).and_then(|number| u32::try_from(number).ok()).map(f64::from);
    number.to_f64().or_else(whole)
}

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
    optional_text(value)?.filter(|text| text.len() <= MAX_BYTES && text.bytes().all(known)).ok_or_else(|| {
        format!("not 1 to {MAX_BYTES} letters, digits and : _ . -. Write orosync, or crm:orosync")
    })
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

/// Parses one of several words.
pub(super) fn word<T: Copy>(value: &Value, all: &[T], label: fn(T) -> &'static str) -> Result<T, String> {
    let text = value.as_str().unwrap_or_default();
    all.iter().copied().find(|candidate| label(*candidate) == text).ok_or_else(|| {
        let words = labels(all, label);
        format!("not one of {}{}", words.join(", "), did_you_mean(text, words))
    })
}

fn labels<T: Copy>(all: &[T], label: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(label).collect()
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

/// The error for one item of a list. It quotes the item unless the list has only this one.
fn in_list(value: &Value, item: &str, problem: &dyn std::fmt::Display) -> String {
    if value.as_str() == Some(item) { problem.to_string() } else { format!("\"{item}\": {problem}") }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};
    use figment::value::Dict;

    use super::*;

    fn text<T>(kind: &Kind<T>, text: &str) -> Result<T, String> {
        kind.read(&Value::from(text))
    }

    /// Parses a value as it is written in a file.
    fn toml<T>(kind: &Kind<T>, literal: &str) -> Result<T, String> {
        let document: Dict = Toml::from_str(&format!("value = {literal}")).unwrap();
        kind.read(&document["value"])
    }

    /// Parses a number as it is written in a file.
    fn number<T: Copy + PartialOrd>(number: Number<T>, literal: &str) -> Result<T, String> {
        let document: Dict = Toml::from_str(&format!("value = {literal}")).unwrap();
        (number.parse)(&document["value"])
    }

    #[test]
    fn numbers_are_toml_numbers_or_texts() {
        for literal in ["1_000", "\"1_000\"", "\" 1000 \""] {
            assert_eq!(number(COUNT, literal), Ok(1000), "{literal}");
            assert_eq!(number(SMALL_COUNT, literal), Ok(1000), "{literal}");
        }
        for literal in ["65536", "\"64K\""] {
            assert_eq!(number(SIZE, literal), Ok(65536), "{literal}");
        }
        for (literal, milliseconds) in [("5", 5000), ("0.25", 250), ("\"250ms\"", 250)] {
            assert_eq!(number(TIME, literal), Ok(Duration::from_millis(milliseconds)), "{literal}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_number_says_what_to_write() {
        for literal in ["-1", "1.0", "true", "[1]", "\"many\""] {
            assert_eq!(
                number(COUNT, literal).unwrap_err(),
                NotationError::NotACount.to_string(),
                "{literal}"
            );
            assert_eq!(number(SIZE, literal).unwrap_err(), NotationError::NotASize.to_string(), "{literal}");
        }
        for literal in ["-1", "-0.5", "nan", "inf", "true", "\"soon\""] {
            assert!(number(TIME, literal).is_err(), "{literal}");
        }
        let rate = SMALL_COUNT.within(Range::between(1, 1000));
        for number in ["0", "1001", "4294967296"] {
            assert_eq!(rate.read(&Value::from(number)).unwrap_err(), "out of bounds. Write 1 to 1000");
        }
    }

    #[test]
    fn the_documentation_lists_words_and_ranges() {
        assert_eq!(ANONYMOUS.describe(), "`accept` or `refuse`");
        assert_eq!(SEND_TOGETHER.describe(), "`auto`, `on` or `off`");
        assert_eq!(FILE.describe(), "path");
        assert_eq!(SIZE.within(Range::at_least(1 << 20).or(0)).describe(), "size (0, or 1M or more)");
        let age = TIME.within(Range::at_least(Duration::from_millis(1)));
        assert_eq!(age.describe(), "seconds (0.001 or more)");
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
}
