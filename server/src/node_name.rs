//! A node's name, which identifies it in the log, in `orosync_node_info` and in the answer to `orosync/session`.
//!
//! It is random and changes with each start. A host name is not suitable: several machines may have the same one, and clients,
//! which can ask for the node's name, must not learn host names.

use std::fmt;
use std::sync::Arc;

/// Twelve hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// A new random name.
    pub fn random() -> Self {
        // 48 bits: in a cluster of 1,000 nodes, the probability of a duplicate is one in half a billion.
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
