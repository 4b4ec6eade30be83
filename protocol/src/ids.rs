//! Ids and quantities that must not be mixed up: publishers, sequence numbers, sessions, clusters.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A publisher's process, from its start (or its fork) to its end. Random, 128 bits; chosen by the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublisherId(pub u128);

impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Place of a message among all that its publisher has accepted: 1, 2, 3, ... Never reused, also not after a reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(NonZeroU64);

impl Seq {
    /// The first message of a publisher.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The sequence number with this value; none for 0.
    pub fn new(value: u64) -> Option<Self> {
        NonZeroU64::new(value).map(Self)
    }

    /// Its value, from 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The one that is `count` messages later. Saturates at `u64::MAX`, which no process reaches.
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

/// A session, as WELCOME names it: 32 hexadecimal digits. Random, 128 bits. What `exclude` and `eligible` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// Never given to a session: what an id that we cannot have issued is read as, so that it matches nobody.
    pub const NOBODY: Self = Self(0);

    /// Reads what a client names in `exclude` or `eligible`. What is no id of ours is [`SessionId::NOBODY`].
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

/// The nodes that deliver what any of them accepts: 32 hexadecimal digits, 128 bits, opaque.
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
    fn a_session_id_reads_back_and_nothing_else_does() {
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
