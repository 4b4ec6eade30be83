//! A connection as it was accepted: its socket, who is at its other end, and its place within the limits.

pub mod limits;
pub mod socket;

use std::fmt;
use std::net::SocketAddr;

use limits::ConnectionCount;
use socket::Socket;

/// A new connection on its way to a shard.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket.
    pub socket: Socket,
    /// Who it is.
    pub peer: Peer,
    /// Counts against the limits until it is dropped.
    pub count: ConnectionCount,
}

/// The other end of a connection, for logs and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address and port.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}
