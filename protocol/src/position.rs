//! A position: where an event stands in the history of its topic. To clients it is an opaque string.

use std::fmt;
use std::str::FromStr;

/// Of an event, or of the last one that a session has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The event's number in its topic: one more than that of the event before it.
    pub offset: u64,
    /// Tells apart what has the same offset: of a topic's history, or of each event. A history that was begun anew, or went on
    /// from an earlier event, has other tags behind it, so that nobody takes its offsets for those of the former one.
    pub tag: u64,
}

/// Not a position that a server has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no position that this server has given")]
pub struct NotAPosition;

impl Position {
    /// Of a history that keeps nothing: nobody knows what came since.
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
    fn a_position_is_read_as_it_was_written() {
        for position in [Position::UNKNOWN, Position { offset: u64::MAX, tag: 0x9f3a_c2d1_0000_0001 }] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!(Position { offset: 17, tag: 0xab }.to_string(), "17.ab");
        for bad in ["", "17", "17.", ".ab", "-1.ab", "17.xy", "17.ab.c", "99999999999999999999.a"] {
            assert_eq!(bad.parse::<Position>(), Err(NotAPosition), "{bad:?}");
        }
    }
}
