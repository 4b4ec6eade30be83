//! An accepted connection: its socket, its peer, and its share of the connection limits.

pub mod limits;
pub mod proxies;
pub mod socket;
pub mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use limits::{ConnectionCount, Full};
use proxies::TrustedProxies;
use socket::Socket;

/// A new connection that is passed to a shard.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub socket: Socket,
    /// The client.
    pub client: Client,
}

/// The client of a connection. Counts towards the connection limits until it is dropped.
#[derive(Debug)]
pub struct Client {
    /// The peer, or the client that a trusted proxy forwards.
    pub peer: Peer,
    count: ConnectionCount,
}

impl Client {
    /// A client with the connection's own peer, which is replaced if a trusted proxy forwards another.
    pub fn new(peer: Peer, count: ConnectionCount) -> Self {
        Self { peer, count }
    }

    /// Whether this peer is a trusted proxy.
    pub fn is_trusted(&self, proxies: &TrustedProxies) -> bool {
        proxies.trusts(self.peer)
    }

    /// Replaces the peer by the client that a trusted proxy forwards.
    pub fn set_peer(&mut self, peer: Peer) -> Result<(), Full> {
        self.peer = peer;
        self.count.move_to(peer)
    }

    /// Counts the client as a browser, which must not occupy the capacity reserved for publishers.
    pub fn admit_browser(&mut self) -> Result<(), Full> {
        self.count.admit_browser()
    }
}

/// The remote end of a connection, for logs and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address and port.
    Tcp(SocketAddr),
    /// An address forwarded by a reverse proxy, without a port.
    Forwarded(IpAddr),
    /// A process of this machine.
    Unix,
}

impl Peer {
    /// Its address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Forwarded(address) => Some(address.to_canonical()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Forwarded(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
