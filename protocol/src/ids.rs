//! Distinct types for ids and numbers: publishers, sequence numbers, sessions, clusters.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Id of a publisher: a process from its start (or its fork) to its end. 128 random bits, chosen by the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublisherId(pub u128);

impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Sequence number of a message among all that its publisher has accepted: 1, 2, 3, ... Never reused, even after a reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(NonZeroU64);

impl Seq {
    /// The number of a publisher's first message.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The sequence number with this value. `None` for 0.
    pub fn new(value: u64) -> Option<Self> {
        NonZeroU64::new(value).map(Self)
    }

    /// The value, at least 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The number `count` messages later. Saturates at `u64::MAX`, which no process reaches.
    #[must_use]
    pub fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Id of a session: 128 random bits, written as 32 hexadecimal digits. WELCOME announces it; `exclude` and `eligible` refer
/// to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// The id that no session has. Ids that no server can have issued are parsed as this one, so that they match no session.
    pub const NOBODY: Self = Self(0);

    /// Parses an id in `exclude` or `eligible`. An invalid id becomes [`SessionId::NOBODY`].
    pub fn parse_or_nobody(text: &str) -> Self {
        text.parse().unwrap_or(Self::NOBODY)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        digits(text).map(Self).ok_or(NotASessionId)
    }
}

/// Not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: 32 lower-case hexadecimal digits")]
pub struct NotASessionId;

/// Id of a cluster, the set of nodes that deliver each other's messages: 128 opaque bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ClusterId {
    type Err = NotAClusterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        digits(text).map(Self).ok_or(NotAClusterId)
    }
}

/// Not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cluster id: 32 lower-case hexadecimal digits")]
pub struct NotAClusterId;

fn digits(text: &str) -> Option<u128> {
    let is_hexadecimal = |c: &u8| c.is_ascii_digit() || (b'a'..=b'f').contains(c);
    let is_id = text.len() == 32 && text.as_bytes().iter().all(is_hexadecimal);
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_parses_back_and_nothing_else_does() {
        let id = SessionId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "",
            "17923349366b06233d3a0be2537970",
            "+0123456789abcdef0123456789abcde",
            "0123456789ABCDEF0123456789ABCDEF",
        ] {
            assert_eq!(SessionId::parse_or_nobody(other), SessionId::NOBODY, "{other:?}");
        }
    }
}
