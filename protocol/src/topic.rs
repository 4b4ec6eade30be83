//! A topic: the name to which messages are published and sessions subscribe.
//!
//! Validated once on entry; cheap to clone (a shared string). Bound: [`Topic::MAX_BYTES`].

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A topic name: 1 to [`Topic::MAX_BYTES`] bytes of UTF-8, without control characters. Compared byte by byte, like in
/// OroSyncBundle's router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Maximum length in bytes. Oro's topics have fewer than 60; a Backbone model's URL fits as well.
    pub const MAX_BYTES: usize = 255;

    /// Validates a name.
    pub fn parse(name: &str) -> Result<Self, TopicError> {
        TopicRef::parse(name).map(Self::from)
    }

    /// Validates a name given as bytes, which may not be UTF-8.
    pub fn parse_bytes(name: &[u8]) -> Result<Self, TopicError> {
        TopicRef::parse_bytes(name).map(Self::from)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic as a borrowed string.
    pub fn lend(&self) -> TopicRef<'_> {
        TopicRef(&self.0)
    }
}

/// A borrowed topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicRef<'a>(&'a str);

impl<'a> TopicRef<'a> {
    /// The same as [`Topic::parse`], borrowed.
    pub fn parse(name: &'a str) -> Result<Self, TopicError> {
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name.len() > Topic::MAX_BYTES {
            return Err(TopicError::TooLong { bytes: name.len() });
        }
        // Most names are printable ASCII. The compiler vectorizes this check; the one for control characters is slower.
        let is_plain = name.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'));
        if !is_plain && let Some((at, character)) = name.char_indices().find(|(_, c)| c.is_control()) {
            return Err(TopicError::ControlCharacter { code: character as u32, at });
        }
        Ok(Self(name))
    }

    /// The same as [`Topic::parse_bytes`], borrowed.
    pub fn parse_bytes(name: &'a [u8]) -> Result<Self, TopicError> {
        match std::str::from_utf8(name) {
            Ok(name) => Self::parse(name),
            Err(error) => {
                let at = error.valid_up_to();
                Err(TopicError::NotUtf8 { byte: name.get(at).copied().unwrap_or(0), at })
            }
        }
    }

    /// The name.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl From<TopicRef<'_>> for Topic {
    fn from(topic: TopicRef<'_>) -> Self {
        Self(Arc::from(topic.0))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a name is not a valid topic. The messages lack their subject: the caller puts "the topic" before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The name is empty.
    #[error("is empty. Give it a name such as oro/data/update")]
    Empty,
    /// The name is longer than [`Topic::MAX_BYTES`].
    #[error("is {bytes} bytes long, at most {max} are possible. Shorten it", max = Topic::MAX_BYTES)]
    TooLong {
        /// The length of the name.
        bytes: usize,
    },
    /// The name is not UTF-8.
    #[error(
        "is not UTF-8 (byte 0x{byte:02X} at position {at}). Convert it first, for example with mb_convert_encoding()"
    )]
    NotUtf8 {
        /// The first invalid byte.
        byte: u8,
        /// Its position, from 0.
        at: usize,
    },
    /// The name contains a control character, which logs could not show.
    #[error("has the control character U+{code:04X} at position {at}. Remove it")]
    ControlCharacter {
        /// The character's code point.
        code: u32,
        /// Its position in bytes, from 0.
        at: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oros_names_are_valid_topics() {
        for name in ["oro/data/update", "oro/email_event/5/*", "toString", "ümlaut"] {
            assert_eq!(Topic::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn the_error_for_an_invalid_name_says_why() {
        assert_eq!(Topic::parse(""), Err(TopicError::Empty));
        assert_eq!(Topic::parse(&"x".repeat(256)), Err(TopicError::TooLong { bytes: 256 }));
        for control in ['\n', '\u{7f}', '\u{85}'] {
            let error = Err(TopicError::ControlCharacter { code: control as u32, at: 1 });
            assert_eq!(Topic::parse(&format!("a{control}b")), error);
        }
        let error = Topic::parse_bytes(b"caf\xe9").unwrap_err();
        assert_eq!(
            error.to_string(),
            "is not UTF-8 (byte 0xE9 at position 3). Convert it first, for example with mb_convert_encoding()"
        );
    }
}
