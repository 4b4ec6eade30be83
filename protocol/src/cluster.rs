//! Which cluster a node belongs to, as it says in its answer to the backend link's handshake: a publisher that knows several
//! nodes notices when they are none of one cluster.
//!
//! ```text
//! Orosync-Cluster: 0123456789abcdef0123456789abcdef 42
//! ```
//!
//! The cluster's id, and for how many seconds this node has been one of it. A header of the 101, and no field of Welcome: an older publisher
//! passes over a header that it does not know, but gives up a link whose Welcome has a byte more than it knows, or that sends a
//! frame of another kind; and a newer one that is answered by an older server finds no header, and judges nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ids::ClusterId;

/// The name of the header.
pub const HEADER: &str = "Orosync-Cluster";

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The same for all nodes that deliver what any of them accepts, and for no others.
    pub cluster: ClusterId,
    /// For how long this node has been one of it, in whole seconds: one that was started anew, or whose broker has lost its data,
    /// may have another id for that reason alone.
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
        // No node runs longer than some hundred years.
        let seconds: u32 = seconds.parse().map_err(|_| NotAMembership)?;
        Ok(Self { cluster, running: Duration::from_secs(seconds.into()) })
    }
}

/// Not an id and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 lower-case hexadecimal digits, a space and a number of seconds")]
pub struct NotAMembership;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_itself_reads_back_and_nothing_else_does() {
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
