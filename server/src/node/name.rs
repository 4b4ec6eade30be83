//! A node's name: what tells it from the others in the log, in `orosync_node_info` and in the answer to `orosync/session`.
//!
//! Random, and another one after each start: machines may share a host name and their ports, and whoever connects may ask for
//! it, whom the names of machines do not concern.

use std::fmt;
use std::sync::Arc;

/// Twelve hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// One that no other node has.
    pub fn random() -> Self {
        // 48 bits: among 1,000 nodes two are the same once in half a billion clusters.
        Self(format!("{:012x}", rand::random::<u64>() >> 16).into())
    }

    /// Twelve hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_twelve_hexadecimal_digits_and_all_differ() {
        let (one, other) = (NodeName::random(), NodeName::random());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 12);
        assert!(one.as_str().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{one}");
    }
}
