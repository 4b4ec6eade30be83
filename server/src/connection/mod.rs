//! A connection as it was accepted: its socket, who is at its other end, and its place within the limits.

pub mod limits;
pub mod proxies;
pub mod socket;
pub mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use limits::{ConnectionCount, Full};
use proxies::TrustedProxies;
use socket::Socket;

/// A new connection on its way to a shard.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub socket: Socket,
    /// Who it is.
    pub caller: Caller,
}

/// Who a connection is from, and its place within the limits until it is dropped.
#[derive(Debug)]
pub struct Caller {
    /// Who it is; behind a reverse proxy that is trusted: whom that one names.
    pub peer: Peer,
    count: ConnectionCount,
}

impl Caller {
    /// Who `peer` is as long as nobody names another.
    pub fn new(peer: Peer, count: ConnectionCount) -> Self {
        Self { peer, count }
    }

    /// May it speak for others?
    pub fn is_trusted(&self, proxies: &TrustedProxies) -> bool {
        proxies.trusts(self.peer)
    }

    /// A reverse proxy that is trusted says who is behind it.
    pub fn stands_for(&mut self, peer: Peer) -> Result<(), Full> {
        self.peer = peer;
        self.count.move_to(peer)
    }

    /// It is a browser: the places that are kept for publishers are not for it.
    pub fn admit_browser(&mut self) -> Result<(), Full> {
        self.count.admit_browser()
    }
}

/// The other end of a connection, for logs and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address and port.
    Tcp(SocketAddr),
    /// An address that a reverse proxy names, without a port.
    Behind(IpAddr),
    /// A process of this machine.
    Unix,
}

impl Peer {
    /// Its address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Behind(address) => Some(address.to_canonical()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Behind(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
