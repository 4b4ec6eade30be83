//! The CURIE prefixes of a session, declared by PREFIX, and their expansion in topics.
//!
//! Bound: [`PrefixTable::MAX`] prefixes; prefix and URI are at most as long as a topic. Anything beyond is refused.

use crate::topic::Topic;

/// The prefixes that one session has declared. A boxed slice, because each session has a table, which is usually empty.
#[derive(Debug, Default)]
pub struct PrefixTable(Box<[(String, String)]>);

impl PrefixTable {
    /// Maximum number of prefixes per session. Oro's clients use none.
    pub const MAX: usize = 16;

    /// Declares `prefix:rest` as an abbreviation of `uri#rest`. Replaces an existing declaration.
    pub fn declare(&mut self, prefix: String, uri: String) -> Result<(), PrefixError> {
        let bytes = prefix.len().max(uri.len());
        if bytes > Topic::MAX_BYTES {
            return Err(PrefixError::TooLong { bytes });
        }
        if let Some(known) = self.0.iter_mut().find(|(known, _)| *known == prefix) {
            known.1 = uri;
            return Ok(());
        }
        if self.0.len() == Self::MAX {
            return Err(PrefixError::TooMany);
        }
        let mut declared = std::mem::take(&mut self.0).into_vec();
        declared.push((prefix, uri));
        self.0 = declared.into_boxed_slice();
        Ok(())
    }

    /// Expands a CURIE: URI and rest are joined with `#`, as in Ratchet (autobahn joins them without; Oro uses neither). A
    /// `http://` or `https://` URI, and a name without a known prefix, are returned unchanged.
    pub fn expand(&self, written: String) -> String {
        if self.0.is_empty() || written.starts_with("http://") || written.starts_with("https://") {
            return written;
        }
        let known = written
            .split_once(':')
            .and_then(|(prefix, rest)| Some((&self.0.iter().find(|(known, _)| known == prefix)?.1, rest)));
        match known {
            Some((uri, rest)) => format!("{uri}#{rest}"),
            None => written,
        }
    }
}

/// Why a prefix is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The session has [`PrefixTable::MAX`] prefixes already.
    #[error("a session may have at most {max} prefixes", max = PrefixTable::MAX)]
    TooMany,
    /// The prefix or the URI is longer than a topic, and so cannot be part of one.
    #[error("a prefix and its URI may have at most {max} bytes each, not {bytes}", max = Topic::MAX_BYTES)]
    TooLong {
        /// The length of the longer of the two.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curie_is_joined_with_a_hash() {
        let mut table = PrefixTable::default();
        table.declare("p".into(), "http://e/x".into()).unwrap();
        assert_eq!(table.expand("p:y".into()), "http://e/x#y");
        assert_eq!(table.expand("q:y".into()), "q:y");
        assert_eq!(table.expand("p".into()), "p");
        table.declare("http".into(), "z".into()).unwrap();
        assert_eq!(table.expand("http://e/".into()), "http://e/", "a URI is not expanded");
        table.declare("p".into(), "u".into()).unwrap();
        assert_eq!(table.expand("p:a:b".into()), "u#a:b");
    }

    #[test]
    fn prefixes_are_bounded() {
        let mut table = PrefixTable::default();
        for number in 0..PrefixTable::MAX {
            table.declare(number.to_string(), String::new()).unwrap();
        }
        assert_eq!(table.declare("x".into(), String::new()), Err(PrefixError::TooMany));
        let long = "x".repeat(256);
        assert_eq!(table.declare("0".into(), long.clone()), Err(PrefixError::TooLong { bytes: 256 }));
        assert_eq!(table.declare(long, String::new()), Err(PrefixError::TooLong { bytes: 256 }));
        assert_eq!(table.declare("0".into(), "u".into()), Ok(()));
    }
}
