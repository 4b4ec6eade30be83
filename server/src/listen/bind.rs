//! An entry of `bind`: an address, followed by options as in `listen` of NGINX or `bind` of HAProxy: `0.0.0.0:8443 tls`,
//! `unix:/run/orosync/orosync.sock group=www-data mode=0660`.

use std::fmt;
use std::str::FromStr;

use nix::unistd::{Group, User};

use super::address::{Address, AddressError};

/// The default mode of a unix socket. Everybody may connect, because PHP runs as another user. Tickets authenticate
/// connections, as on TCP.
const DEFAULT_MODE: u32 = 0o666;

/// An entry of `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address.
    pub address: Address,
    /// Whether each connection begins with a PROXY protocol header, version 1 or 2.
    pub proxy_protocol: bool,
    /// Whether connections use TLS.
    pub tls: bool,
    /// Owner and mode of a unix socket.
    pub file: FileAccess,
}

/// Owner and mode of a unix socket's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// The permission bits.
    pub mode: u32,
    /// The owner. `None`: the server's user.
    pub user: Option<Account>,
    /// The group. `None`: that of the server's user.
    pub group: Option<Account>,
}

/// A user or a group of this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    /// The numeric id.
    pub id: u32,
}

impl Bind {
    /// An address without options.
    pub fn plain(address: Address) -> Self {
        let file = FileAccess { mode: DEFAULT_MODE, user: None, group: None };
        Self { address, proxy_protocol: false, tls: false, file }
    }

    fn add_option(&mut self, option: &str) -> Result<(), BindError> {
        let is_unix = matches!(self.address, Address::Unix(_));
        match (option, option.split_once('=')) {
            ("proxy_protocol", _) => self.proxy_protocol = true,
            ("tls", _) if is_unix => return Err(BindError::TlsOnUnix),
            ("tls", _) => self.tls = true,
            (_, Some(("mode" | "user" | "group", _))) if !is_unix => {
                return Err(BindError::NotAUnixSocket { option: option.to_owned() });
            }
            (_, Some(("mode", digits))) => self.file.mode = mode(digits)?,
            (_, Some(("user", name))) => self.file.user = Some(user(name)?),
            (_, Some(("group", name))) => self.file.group = Some(group(name)?),
            _ => return Err(BindError::UnknownOption { option: option.to_owned() }),
        }
        Ok(())
    }
}

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split_whitespace();
        let mut bind = Self::plain(parts.next().unwrap_or_default().parse()?);
        parts.try_for_each(|option| bind.add_option(option))?;
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

fn user(name: &str) -> Result<Account, BindError> {
    let found = || User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    account(name, found).ok_or_else(|| BindError::UnknownAccount { what: "user", name: name.to_owned() })
}

fn group(name: &str) -> Result<Account, BindError> {
    let found = || Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    account(name, found).ok_or_else(|| BindError::UnknownAccount { what: "group", name: name.to_owned() })
}

fn account(name: &str, find: impl FnOnce() -> Option<u32>) -> Option<Account> {
    let id = name.parse().ok().or_else(find)?;
    Some(Account { name: name.to_owned(), id })
}

/// Why an entry of `bind` is invalid. The message is written to follow the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The option is not known.
    #[error(
        "unknown option \"{option}\". Possible options are tls and proxy_protocol, and for unix sockets user=, group= and mode="
    )]
    UnknownOption {
        /// The option.
        option: String,
    },
    /// An option for unix sockets follows an IP address.
    #[error("the option \"{option}\" is for unix sockets only. Remove it")]
    NotAUnixSocket {
        /// The option.
        option: String,
    },
    /// TLS was requested for a unix socket.
    #[error("tls is for IP addresses only, since data on a unix socket never leaves the machine. Remove it")]
    TlsOnUnix,
    /// The mode is not an octal number up to 0777.
    #[error("mode={mode} is not a file mode. Write an octal number, for example 0660")]
    Mode {
        /// The mode as configured.
        mode: String,
    },
    /// The user or group does not exist.
    #[error(
        "the {what} \"{name}\" does not exist on this system. Create it, or write another name or a numeric id"
    )]
    UnknownAccount {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_parse_and_print_alike() {
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
    fn the_error_for_an_invalid_entry_names_its_cause() {
        for (text, expected) in [
            ("0.0.0.0:8080 ssl", "unknown option \"ssl\""),
            ("0.0.0.0:8080 mode=0600", "\"mode=0600\" is for unix sockets"),
            ("unix:/x tls", "tls is for IP addresses"),
            ("unix:/x mode=rw", "mode=rw is not a file mode"),
            ("unix:/x mode=7777", "mode=7777 is not a file mode"),
            ("unix:/x user=nobody-has-this-name", "the user \"nobody-has-this-name\" does not exist"),
            ("unix:/x group=nobody-has-this-name", "the group \"nobody-has-this-name\" does not exist"),
            ("tls", "not an address"),
            ("", "not an address"),
        ] {
            let error = text.parse::<Bind>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
