//! The id of a user: an integer, or a string such as a UUID.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a user. A string that is a canonical decimal number becomes an integer, so each id has one representation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserId {
    /// An integer from 0 on.
    Integer(u64),
    /// A string of 1 to [`UserId::MAX_BYTES`] bytes that is valid as a segment of a topic.
    String(Box<str>),
}

/// JavaScript rounds larger integers. They are serialized as strings, which parse back to the same id.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

impl UserId {
    /// Maximum length of a string in bytes. A UUID has 36.
    pub const MAX_BYTES: usize = 100;

    /// Whether `text`, a segment of a topic, is this id. "+7" and "007" are different from 7.
    pub fn is_equal_to(&self, text: &str) -> bool {
        match self {
            Self::Integer(id) => plain_number(text) == Some(*id),
            Self::String(id) => **id == *text,
        }
    }
}

impl From<u64> for UserId {
    fn from(id: u64) -> Self {
        Self::Integer(id)
    }
}

impl FromStr for UserId {
    type Err = NotAUserId;

    fn from_str(text: &str) -> Result<Self, NotAUserId> {
        if let Some(number) = plain_number(text) {
            return Ok(Self::Integer(number));
        }
        let is_segment = !text.contains(|c: char| c.is_control() || c == '/' || c == '*');
        if text.is_empty() || text.len() > Self::MAX_BYTES || !is_segment {
            return Err(NotAUserId { bytes: text.len() });
        }
        Ok(Self::String(text.into()))
    }
}

/// The number whose canonical decimal form `text` is.
fn plain_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => id.fmt(f),
            Self::String(id) => id.fmt(f),
        }
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(id) if *id <= MAX_SAFE_INTEGER => serializer.serialize_u64(*id),
            Self::Integer(id) => serializer.collect_str(id),
            Self::String(id) => serializer.serialize_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserIdVisitor)
    }
}

struct UserIdVisitor;

impl Visitor<'_> for UserIdVisitor {
    type Value = UserId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer from 0 on, or a string")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<UserId, E> {
        Ok(UserId::Integer(id))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<UserId, E> {
        text.parse().map_err(E::custom)
    }
}

/// The string is not a valid user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user's id is an integer from 0 on, or a string of 1 to {max} bytes without /, * and control characters; {bytes} bytes given",
    max = UserId::MAX_BYTES
)]
pub struct NotAUserId {
    /// The length of the text.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_number_is_an_integer_however_it_is_written() {
        for (text, id) in [("0", 0), ("9007199254740991", (1 << 53) - 1), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(text.parse(), Ok(UserId::Integer(id)));
            assert_eq!(serde_json::from_str::<UserId>(text).unwrap(), UserId::Integer(id));
            assert_eq!(serde_json::from_str::<UserId>(&format!("\"{text}\"")).unwrap(), UserId::Integer(id));
            let written = serde_json::to_string(&UserId::Integer(id)).unwrap();
            assert_eq!(written, if id == u64::MAX { format!("\"{text}\"") } else { text.to_owned() });
        }
        for text in ["007", "+7", "-7", "7.0", "18446744073709551616"] {
            assert_eq!(text.parse(), Ok(UserId::String(text.into())));
            assert!(!UserId::Integer(7).is_equal_to(text), "{text}");
        }
    }

    #[test]
    fn a_string_id_is_one_segment_of_a_topic_and_bounded() {
        let uuid = "0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a";
        let id: UserId = uuid.parse().unwrap();
        assert!(id.is_equal_to(uuid) && !id.is_equal_to(&uuid.to_uppercase()));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{uuid}\""));
        assert!("x".repeat(UserId::MAX_BYTES).parse::<UserId>().is_ok());
        for text in ["", "a/b", "*", "a\n", "a\u{85}", &"x".repeat(UserId::MAX_BYTES + 1)] {
            assert_eq!(text.parse::<UserId>(), Err(NotAUserId { bytes: text.len() }));
        }
        for json in ["-1", "7.0", "null", "[]", "true", "18446744073709551616"] {
            assert!(serde_json::from_str::<UserId>(json).is_err(), "{json}");
        }
    }
}
