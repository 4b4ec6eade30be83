//! The position of an event in the history of its topic. For clients it is an opaque string.

use std::fmt;
use std::str::FromStr;

/// The position of an event, or of the last event that a session has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The number of the event in its topic, one more than that of the previous event.
    pub offset: u64,
    /// A random tag of the topic's history, or of each event, that distinguishes positions with the same offset. A history that
    /// was restarted, or that continues from an earlier event after a loss, has different tags from there on, so that its
    /// offsets are not mistaken for those of the previous history.
    pub tag: u64,
}

/// The text is not a position issued by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a position issued by this server")]
pub struct NotAPosition;

impl Position {
    /// The position in a history that keeps no events, so that later events are not known.
    pub const UNKNOWN: Self = Self { offset: 0, tag: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, tag } = self;
        write!(f, "{offset}.{tag:x}")
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (offset, tag) = text.split_once('.').ok_or(NotAPosition)?;
        let position = Self {
            offset: offset.parse().map_err(|_| NotAPosition)?,
            tag: u64::from_str_radix(tag, 16).map_err(|_| NotAPosition)?,
        };
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_parses_back() {
        for position in [Position::UNKNOWN, Position { offset: u64::MAX, tag: 0x9f3a_c2d1_0000_0001 }] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!(Position { offset: 17, tag: 0xab }.to_string(), "17.ab");
        for bad in ["", "17", "17.", ".ab", "-1.ab", "17.xy", "17.ab.c", "99999999999999999999.a"] {
            assert_eq!(bad.parse::<Position>(), Err(NotAPosition), "{bad:?}");
        }
    }
}
