//! Addresses to listen on: an IP address and port, or the path of a unix socket.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// Maximum length of a unix socket's path in bytes: `sun_path` of Linux, without its terminating zero.
const MAX_UNIX_PATH_BYTES: usize = 107;

/// An address to listen on, written in the configuration as `0.0.0.0:8080`, `[::]:8080`, `localhost:8080` or
/// `unix:/run/orosync/orosync.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port. With port 0 the kernel chooses one.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => parse_unix(path).map(Self::Unix),
            None => parse_tcp(text).map(Self::Tcp),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Parses an IP address or host name, with a port. A host name is resolved to its first IPv4 address, or else to its first IPv6
/// address, so that clients reach a server on `localhost` at `127.0.0.1`.
pub fn parse_tcp(text: &str) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) =
        text.rsplit_once(':').filter(|(host, _)| !host.contains(':')).ok_or_else(|| no_port(text))?;
    let port: u16 = port.parse().map_err(|_| no_port(text))?;
    if host.is_empty() {
        return Err(AddressError::NoHost { address: text.to_owned(), port });
    }
    let mut found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| AddressError::UnknownHost { host: host.to_owned(), problem: error.to_string() })?
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| AddressError::UnknownHost {
        host: host.to_owned(),
        problem: "the name has no address".to_owned(),
    })
}

fn parse_unix(path: &str) -> Result<PathBuf, AddressError> {
    if !path.starts_with('/') {
        return Err(AddressError::RelativePath { path: path.to_owned() });
    }
    if path.len() > MAX_UNIX_PATH_BYTES {
        return Err(AddressError::LongPath { bytes: path.len() });
    }
    Ok(PathBuf::from(path))
}

fn no_port(text: &str) -> AddressError {
    AddressError::NoPort { address: text.to_owned() }
}

/// Why an address is invalid. The message is written to follow the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The port is missing, or not a number from 0 to 65535.
    #[error("not an address and a port. Write 0.0.0.0:8080, [::]:8080 or unix:/run/orosync/orosync.sock")]
    NoPort {
        /// The address as configured.
        address: String,
    },
    /// There is no host before the port.
    #[error(
        "has no host before the port. Write 0.0.0.0:{port} for all addresses of this machine, or 127.0.0.1:{port} for local connections"
    )]
    NoHost {
        /// The address as configured.
        address: String,
        /// The port.
        port: u16,
    },
    /// The host name cannot be resolved.
    #[error(
        "the host name \"{host}\" cannot be resolved ({problem}). Write an IP address, or 0.0.0.0 for all addresses of this machine"
    )]
    UnknownHost {
        /// The host name.
        host: String,
        /// The resolver's error.
        problem: String,
    },
    /// The path is relative, so it would depend on the working directory.
    #[error("the path of a unix socket must begin with a slash. Write unix:/run/orosync/orosync.sock")]
    RelativePath {
        /// The path as configured.
        path: String,
    },
    /// The path is too long for a socket address.
    #[error(
        "the path has {bytes} bytes, but a unix socket's path has at most {MAX_UNIX_PATH_BYTES}. Choose a shorter path"
    )]
    LongPath {
        /// The length of the path.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print_alike() {
        for text in ["0.0.0.0:8080", "[::]:8080", "[::1]:0", "unix:/run/orosync/orosync.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_host_name_is_resolved() {
        assert_eq!("localhost:8080".parse::<Address>().unwrap().to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn the_error_for_an_invalid_address_says_what_to_write() {
        for text in ["", "8080", "0.0.0.0", "0.0.0.0:", "0.0.0.0:70000", "::1:8080", "ws://0.0.0.0:8080/"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::NoPort { .. })), "{text:?}");
        }
        assert!(matches!(":8080".parse::<Address>(), Err(AddressError::NoHost { port: 8080, .. })));
        assert!(matches!("unix:run/x.sock".parse::<Address>(), Err(AddressError::RelativePath { .. })));
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(matches!(long.parse::<Address>(), Err(AddressError::LongPath { bytes: 108 })));
        // RFC 6761, 6.4: names below .invalid never resolve.
        assert!(matches!("no.invalid:1".parse::<Address>(), Err(AddressError::UnknownHost { .. })));
    }
}
