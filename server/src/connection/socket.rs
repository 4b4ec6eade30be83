//! A session's socket: TCP, TLS or unix, non-blocking.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::tls::Tls;

/// See the module.
#[derive(Debug)]
pub enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// The same with TLS on it.
    Tls(Box<Tls>),
    /// A unix stream connection.
    Unix(UnixStream),
}

impl Socket {
    /// Has the kernel tell about it.
    pub fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.register(registry, token, interest),
            Self::Tls(socket) => socket.tcp_mut().register(registry, token, interest),
            Self::Unix(socket) => socket.register(registry, token, interest),
        }
    }

    /// Takes what has come.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }

    /// Hands over what waits, in one system call. For a single frame `write` is the cheaper one.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(socket), [only]) => socket.write(only),
            (Self::Tcp(socket), many) => socket.write_vectored(many),
            (Self::Tls(socket), slices) => socket.write(slices),
            (Self::Unix(socket), [only]) => socket.write(only),
            (Self::Unix(socket), many) => socket.write_vectored(many),
        }
    }

    /// Has the kernel acknowledge at once what has come, this once.
    pub fn acknowledge_now(&self) {
        if let Self::Tcp(socket) = self {
            // A socket that does not take it only answers later.
            let _ = SockRef::from(socket).set_tcp_quickack(true);
        }
    }

    /// Its descriptor, if what is written goes to the kernel as it is.
    pub fn plain_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Some(self.as_fd()),
            Self::Tls(_) => None,
        }
    }

    /// After a short read: may there be more to read, of which the kernel does not tell again?
    pub fn reads_in_pieces(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Is a handshake of TLS still going on, which is work to read?
    pub fn is_in_tls_handshake(&self) -> bool {
        matches!(self, Self::Tls(socket) if socket.is_handshaking())
    }

    /// Was something taken that the kernel has not taken yet? Then a write of nothing goes on with it.
    pub fn has_pending(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(socket) => socket.has_pending(),
        }
    }

    /// Sends the FIN. What comes can still be read.
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
