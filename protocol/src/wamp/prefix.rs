//! A session's CURIEs: what PREFIX declared, and topics written with it.
//!
//! Bound: [`PrefixTable::MAX`] prefixes; the next one is refused.

/// The prefixes that one session has declared.
#[derive(Debug, Default)]
pub struct PrefixTable(Vec<(String, String)>);

impl PrefixTable {
    /// The most prefixes of one session. Oro's clients use none.
    pub const MAX: usize = 16;

    /// Lets `prefix:rest` mean `uri#rest`. A prefix that exists gets the new meaning.
    pub fn declare(&mut self, prefix: String, uri: String) -> Result<(), TooManyPrefixes> {
        if let Some(known) = self.0.iter_mut().find(|(known, _)| *known == prefix) {
            known.1 = uri;
            return Ok(());
        }
        if self.0.len() == Self::MAX {
            return Err(TooManyPrefixes);
        }
        self.0.push((prefix, uri));
        Ok(())
    }

    /// The full name of what a client wrote: joined with `#`, as Ratchet does (autobahn joins without; Oro uses
    /// neither). A `http://` or `https://` URI and what has no known prefix stay as they are.
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

/// Over [`PrefixTable::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} prefixes", max = PrefixTable::MAX)]
pub struct TooManyPrefixes;

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
        assert_eq!(table.expand("http://e/".into()), "http://e/", "a URI is left alone");
        table.declare("p".into(), "u".into()).unwrap();
        assert_eq!(table.expand("p:a:b".into()), "u#a:b");
    }

    #[test]
    fn prefixes_are_bounded() {
        let mut table = PrefixTable::default();
        for number in 0..PrefixTable::MAX {
            table.declare(number.to_string(), String::new()).unwrap();
        }
        assert_eq!(table.declare("x".into(), String::new()), Err(TooManyPrefixes));
        assert_eq!(table.declare("0".into(), "u".into()), Ok(()));
    }
}
