//! One entry of `bind`: an address, then words that say how connections are taken there, as on a line `listen` of NGINX or
//! `bind` of HAProxy: `0.0.0.0:8082 proxy_protocol`.

use std::fmt;
use std::str::FromStr;

use super::address::{Address, AddressError};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where.
    pub address: Address,
    /// Each connection begins with a header of the PROXY protocol, version 1 or 2.
    pub proxy_protocol: bool,
}

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let address = words.next().unwrap_or_default().parse()?;
        let mut bind = Self { address, proxy_protocol: false };
        for word in words {
            match word {
                "proxy_protocol" => bind.proxy_protocol = true,
                _ => return Err(BindError::Word { word: word.to_owned() }),
            }
        }
        Ok(bind)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.proxy_protocol {
            f.write_str(" proxy_protocol")?;
        }
        Ok(())
    }
}

/// Why a text is no entry of `bind`. The texts follow the entry, which whoever reads it puts before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It does not begin with an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Behind the address stands something else than a word of ours.
    #[error("\"{word}\" is no word for behind an address. Write proxy_protocol, or nothing")]
    Word {
        /// The word.
        word: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for text in ["0.0.0.0:8080", "[::]:8082 proxy_protocol", "unix:/run/orosync.sock proxy_protocol"] {
            assert_eq!(text.parse::<Bind>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_word_of_ours_is_named() {
        let error = "0.0.0.0:8080 ssl".parse::<Bind>().unwrap_err();
        assert_eq!(error, BindError::Word { word: "ssl".to_owned() });
        assert!(matches!("".parse::<Bind>(), Err(BindError::Address(_))));
        assert!(matches!("proxy_protocol".parse::<Bind>(), Err(BindError::Address(_))));
    }
}
