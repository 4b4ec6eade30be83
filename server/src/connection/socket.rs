//! A session's socket: TCP, TLS or unix, non-blocking.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::tls::Tls;

/// The socket of a session.
#[derive(Debug)]
pub enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A TCP connection with TLS.
    Tls(Box<Tls>),
    /// A unix stream connection.
    Unix(UnixStream),
}

impl Socket {
    /// Registers the socket for readiness events.
    pub fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.register(registry, token, interest),
            Self::Tls(socket) => socket.tcp_mut().register(registry, token, interest),
            Self::Unix(socket) => socket.register(registry, token, interest),
        }
    }

    /// Reads received data.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }

    /// Writes the slices with one system call. For a single slice `write` is cheaper than `writev`.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(socket), [only]) => socket.write(only),
            (Self::Tcp(socket), many) => socket.write_vectored(many),
            (Self::Tls(socket), slices) => socket.write(slices),
            (Self::Unix(socket), [only]) => socket.write(only),
            (Self::Unix(socket), many) => socket.write_vectored(many),
        }
    }

    /// Makes the kernel acknowledge the received data at once, this time only.
    pub fn acknowledge_now(&self) {
        if let Self::Tcp(socket) = self {
            // On failure the acknowledgement is only delayed.
            let _ = SockRef::from(socket).set_tcp_quickack(true);
        }
    }

    /// The descriptor, if data is written to the kernel unencrypted.
    pub fn plain_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Some(self.as_fd()),
            Self::Tls(_) => None,
        }
    }

    /// Whether more data may be readable after a short read, without another event from the kernel.
    pub fn reads_in_pieces(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether a TLS handshake is in progress, which makes reading expensive.
    pub fn is_in_tls_handshake(&self) -> bool {
        matches!(self, Self::Tls(socket) if socket.is_handshaking())
    }

    /// Whether accepted output is still pending. An empty write continues it.
    pub fn has_pending(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(socket) => socket.has_pending(),
        }
    }

    /// Sends the FIN. Received data can still be read.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Tls(socket) => socket.finish(),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Tls(socket) => socket.tcp().as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
