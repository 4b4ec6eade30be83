//! An entry of `bind`: an address, followed by options as in `listen` of NGINX or `bind` of HAProxy: `0.0.0.0:8443 tls`,
//! `unix:/run/orosync/orosync.sock group=www-data mode=0660`.

use std::fmt;
use std::str::FromStr;

use nix::unistd::{Group, User};

use super::address::{Address, AddressError};

/// Anyone may open the socket, because PHP runs as another user. Tickets decide who gets a session, as on TCP.
const DEFAULT_MODE: u32 = 0o666;

/// An entry of `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where.
    pub address: Address,
    /// Each connection begins with a header of the PROXY protocol, version 1 or 2.
    pub proxy_protocol: bool,
    /// Connections speak TLS.
    pub tls: bool,
    /// Owner and mode of a unix socket.
    pub file: FileAccess,
}

/// Owner and mode of a unix socket's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// Permissions.
    pub mode: u32,
    /// The owner. `None`: the server's user.
    pub user: Option<Named>,
    /// The group. `None`: that of the server's user.
    pub group: Option<Named>,
}

/// A user or a group of this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    name: String,
    /// Its number.
    pub id: u32,
}

impl Bind {
    /// An address without words.
    pub fn plain(address: Address) -> Self {
        let file = FileAccess { mode: DEFAULT_MODE, user: None, group: None };
        Self { address, proxy_protocol: false, tls: false, file }
    }

    fn add(&mut self, word: &str) -> Result<(), BindError> {
        let is_unix = matches!(self.address, Address::Unix(_));
        match (word, word.split_once('=')) {
            ("proxy_protocol", _) => self.proxy_protocol = true,
            ("tls", _) if is_unix => return Err(BindError::TlsOnUnix),
            ("tls", _) => self.tls = true,
            (_, Some(("mode" | "user" | "group", _))) if !is_unix => {
                return Err(BindError::NoFile { word: word.to_owned() });
            }
            (_, Some(("mode", digits))) => self.file.mode = mode(digits)?,
            (_, Some(("user", name))) => self.file.user = Some(user(name)?),
            (_, Some(("group", name))) => self.file.group = Some(group(name)?),
            _ => return Err(BindError::Word { word: word.to_owned() }),
        }
        Ok(())
    }
}

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let mut bind = Self::plain(words.next().unwrap_or_default().parse()?);
        words.try_for_each(|word| bind.add(word))?;
        Ok(bind)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.proxy_protocol {
            f.write_str(" proxy_protocol")?;
        }
        if self.tls {
            f.write_str(" tls")?;
        }
        if let Some(user) = &self.file.user {
            write!(f, " user={}", user.name)?;
        }
        if let Some(group) = &self.file.group {
            write!(f, " group={}", group.name)?;
        }
        if self.file.mode != DEFAULT_MODE {
            write!(f, " mode={:04o}", self.file.mode)?;
        }
        Ok(())
    }
}

fn mode(digits: &str) -> Result<u32, BindError> {
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| BindError::Mode { mode: digits.to_owned() })
}

fn user(name: &str) -> Result<Named, BindError> {
    let found = || User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    named(name, found).ok_or_else(|| BindError::Nobody { what: "user", name: name.to_owned() })
}

fn group(name: &str) -> Result<Named, BindError> {
    let found = || Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    named(name, found).ok_or_else(|| BindError::Nobody { what: "group", name: name.to_owned() })
}

fn named(name: &str, find: impl FnOnce() -> Option<u32>) -> Option<Named> {
    let id = name.parse().ok().or_else(find)?;
    Some(Named { name: name.to_owned(), id })
}

/// Why a text is no entry of `bind`. The texts follow the entry, which whoever reads it puts before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It does not begin with an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Behind the address stands something else than a word of ours.
    #[error(
        "\"{word}\" is no word for behind an address. Write tls, proxy_protocol, or for a unix socket user=, group=, mode="
    )]
    Word {
        /// The word.
        word: String,
    },
    /// A word for files, behind an IP address.
    #[error("\"{word}\" is for unix sockets. Leave it out")]
    NoFile {
        /// The word.
        word: String,
    },
    /// TLS where nobody could listen in.
    #[error("tls is for IP addresses: a unix socket leaves this machine by nobody's wire. Leave it out")]
    TlsOnUnix,
    /// Not three digits of permissions.
    #[error("mode={mode} is no mode of a file. Write 0660, for example")]
    Mode {
        /// As written.
        mode: String,
    },
    /// A name that this system does not know.
    #[error("this system has no {what} \"{name}\". Create it, or write another name or a number")]
    Nobody {
        /// User or group.
        what: &'static str,
        /// The name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for text in [
            "0.0.0.0:8080",
            "[::]:8443 proxy_protocol tls",
            "unix:/run/orosync.sock proxy_protocol",
            "unix:/run/orosync.sock user=root group=0 mode=0660",
        ] {
            assert_eq!(text.parse::<Bind>().unwrap().to_string(), text);
        }
        assert_eq!("unix:/x user=root mode=600".parse::<Bind>().unwrap().file.mode, 0o600);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, expected) in [
            ("0.0.0.0:8080 ssl", "\"ssl\" is no word"),
            ("0.0.0.0:8080 mode=0600", "\"mode=0600\" is for unix sockets"),
            ("unix:/x tls", "tls is for IP addresses"),
            ("unix:/x mode=rw", "mode=rw is no mode"),
            ("unix:/x mode=7777", "mode=7777 is no mode"),
            ("unix:/x user=nobody-has-this-name", "no user \"nobody-has-this-name\""),
            ("unix:/x group=nobody-has-this-name", "no group \"nobody-has-this-name\""),
            ("tls", "not an address"),
            ("", "not an address"),
        ] {
            let error = text.parse::<Bind>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
