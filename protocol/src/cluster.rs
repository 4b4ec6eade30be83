//! The header of the backend link's handshake response in which a node names its cluster. With it, a publisher that is
//! configured with several nodes detects that they do not belong to one cluster.
//!
//! ```text
//! Orosync-Cluster: 0123456789abcdef0123456789abcdef 42
//! ```
//!
//! The value is the cluster's id and the number of seconds for which this node has been a member.
//!
//! It is a header of the 101 response, not a field of Welcome, for compatibility. An older publisher ignores an unknown
//! header, but would close a link whose Welcome is longer than expected, or that sends an unknown frame. A newer publisher
//! that gets no header from an older server skips the check.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ids::ClusterId;

/// The name of the header.
pub const HEADER: &str = "Orosync-Cluster";

/// The cluster membership of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The cluster: the set of nodes that deliver each other's messages.
    pub cluster: ClusterId,
    /// How long the node has been a member, in whole seconds. After a restart of the node, or after its broker lost its data,
    /// the cluster's id may have changed although the nodes belong together.
    pub running: Duration,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cluster, self.running.as_secs())
    }
}

impl FromStr for Membership {
    type Err = NotAMembership;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (cluster, seconds) = text.split_once(' ').ok_or(NotAMembership)?;
        let cluster = cluster.parse().map_err(|_| NotAMembership)?;
        // A u32 covers 136 years.
        let seconds: u32 = seconds.parse().map_err(|_| NotAMembership)?;
        Ok(Self { cluster, running: Duration::from_secs(seconds.into()) })
    }
}

/// The value of the header is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 lower-case hexadecimal digits, a space and a number of seconds")]
pub struct NotAMembership;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_parses_back_and_nothing_else_does() {
        let said = Membership { cluster: ClusterId(0xabc), running: Duration::from_secs(42) };
        assert_eq!(said.to_string(), "00000000000000000000000000000abc 42");
        assert_eq!(said.to_string().parse(), Ok(said));
        for other in [
            "",
            "00000000000000000000000000000abc",
            "00000000000000000000000000000abc ",
            "00000000000000000000000000000abc -1",
            "00000000000000000000000000000abc 4294967296",
            "00000000000000000000000000000ABC 42",
            "abc 42",
        ] {
            assert_eq!(other.parse::<Membership>(), Err(NotAMembership), "{other:?}");
        }
    }
}
