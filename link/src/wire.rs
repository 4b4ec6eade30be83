//! The socket of a connection, with or without TLS. The only sockets of this crate.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use rustls::{ClientConnection, StreamOwned};

use crate::error::LinkError;
use crate::outgoing::Outgoing;
use crate::process::ClosedInChild;

/// A non-blocking stream socket that forked children close. Dropping it ends the connection, even if a child forked at the
/// wrong moment has a copy.
pub(crate) struct Socket {
    _in_child: ClosedInChild,
    /// Shared with the link thread, which may wait for it while a publisher holds the socket.
    fd: Arc<OwnedFd>,
    written: u64,
}

impl Socket {
    pub(crate) fn new(family: AddressFamily) -> Result<Self, LinkError> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(|error| LinkError::Connect(error.into()))?;
        Ok(Self { _in_child: ClosedInChild::enter(&fd), fd: Arc::new(fd), written: 0 })
    }

    /// The descriptor, to wait for without borrowing the socket.
    pub(crate) fn share(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It fails if the socket is not connected, or was closed by the peer.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The publishers' threads handle signals.
        Ok(retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let taken = retry_on_intr(|| rustix::net::send(&self.fd, bytes, flags))?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The byte stream of a connection, with or without TLS.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

/// The stream below tungstenite, which link frames bypass. A write of tungstenite first finishes the link frame in progress, and
/// returns `WouldBlock` if it cannot.
pub(crate) struct Wire {
    stream: Stream,
    outgoing: Outgoing,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, outgoing: Outgoing::new() }
    }

    pub(crate) fn socket(&self) -> &Socket {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.socket().written
    }

    /// Whether the connection has no TLS.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.stream, Stream::Plain(_))
    }

    /// Events that a blocked handshake waits for. A plain socket always has room for a request of some hundred bytes.
    pub(crate) fn interest(&self) -> PollFlags {
        match &self.stream {
            Stream::Tls(stream) if stream.conn.wants_write() => PollFlags::IN | PollFlags::OUT,
            Stream::Tls(_) | Stream::Plain(_) => PollFlags::IN,
        }
    }

    /// Sends a binary message with `length` bytes in these parts, when neither tungstenite nor the last one has unwritten bytes.
    /// Returns `WouldBlock` if the kernel does not take all of it; `flush` continues.
    pub(crate) fn send<'a>(
        &mut self,
        length: usize,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        self.outgoing.fill(length, parts);
        self.flush()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write_to(&mut self.stream)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.outgoing.write_to(&mut self.stream)?;
        self.stream.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            // rustls takes nothing while its buffer is full, and reports the blocked socket only if there was nothing to read.
            Self::Tls(stream) => match stream.write(bytes)? {
                0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
                taken => Ok(taken),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    /// Both ends of a TLS connection after its handshake.
    fn tls_pair() -> (Stream, StreamOwned<ServerConnection, UnixStream>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || {
            let mut server = StreamOwned::new(ServerConnection::new(Arc::new(server)).unwrap(), theirs);
            server.conn.complete_io(&mut server.sock).unwrap();
            server
        });
        let fd = Arc::new(OwnedFd::from(ours));
        let socket = Socket { _in_child: ClosedInChild::enter(&fd), fd, written: 0 };
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = StreamOwned::new(ClientConnection::new(Arc::new(client), name).unwrap(), socket);
        client.conn.complete_io(&mut client.sock).unwrap();
        rustix::io::ioctl_fionbio(&client.sock, true).unwrap();
        (Stream::Tls(Box::new(client)), server.join().unwrap())
    }

    #[test]
    fn a_write_to_a_full_tls_buffer_blocks_even_if_data_is_readable() {
        let (mut client, mut server) = tls_pair();
        let large = vec![0; 1 << 20];
        let mut is_blocked = false;
        for _ in 0..50 {
            while !is_blocked {
                is_blocked =
                    client.write(&large).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            }
            server.write_all(b"x").unwrap();
            server.flush().unwrap();
            match client.write(&large) {
                Ok(taken) => assert!(taken > 0, "tungstenite would end the connection"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            // The message, or nothing: a write may have read it.
            let _ = client.read(&mut [0; 16]);
        }
    }
}
