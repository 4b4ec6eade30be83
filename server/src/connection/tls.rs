//! TLS on a TCP connection, by rustls. Reads decrypt, writes encrypt, and both advance the TLS handshake.
//!
//! Non-blocking. Owns rustls' state, and encrypted output that the kernel has not accepted. Bounds: rustls' own for input (a
//! record, or a handshake message of 64 KiB), and [`MAX_PENDING_BYTES`] for output. The time limit of the session's handshake
//! includes the TLS handshake.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

use crate::frame::MAX_SLICES;

/// Maximum size of encrypted output that the kernel has not accepted, in bytes.
const MAX_PENDING_BYTES: usize = 64 << 10;

/// Maximum number of reads per call that yield no data (handshake, key updates). Further ones wait for the next iteration.
const READS_WITHOUT_DATA: usize = 8;

/// A TLS connection over TCP.
#[derive(Debug)]
pub struct Tls {
    tcp: TcpStream,
    connection: ServerConnection,
}

impl Tls {
    /// A TLS connection on a TCP connection that was just accepted.
    pub fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut connection = ServerConnection::new(config)?;
        connection.set_buffer_limit(Some(MAX_PENDING_BYTES));
        Ok(Self { tcp, connection })
    }

    /// The underlying TCP connection.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The underlying TCP connection, mutable for its registration.
    pub fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Whether the TLS handshake is in progress.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Reads decrypted bytes. Fails with `InvalidData` if the peer's data is not valid TLS, or the TLS handshake fails.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..READS_WITHOUT_DATA {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The peer sent its FIN without close_notify, which is harmless: WebSocket has its own closing handshake.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if self.connection.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            let processed = self.connection.process_new_packets();
            // Sends the handshake's responses, or the alert with the error. What the kernel does not accept stays pending.
            let flushed = self.flush();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match flushed {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    /// Encrypts and writes. Accepted bytes are either sent or pending. Fails with `WouldBlock` while earlier output is pending.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush()?;
        let mut copy = [IoSlice::new(&[]); MAX_SLICES];
        let filled = slices.len().min(MAX_SLICES);
        copy[..filled].copy_from_slice(&slices[..filled]);
        let mut left = &mut copy[..filled];
        let mut taken = 0;
        while !left.is_empty() {
            // Frames are combined into records of the maximum size.
            let encrypted = self.connection.writer().write_vectored(left)?;
            taken += encrypted;
            IoSlice::advance_slices(&mut left, encrypted);
            match self.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                flushed => flushed?,
            }
        }
        Ok(taken)
    }

    /// Whether encrypted output is pending that the kernel has not accepted.
    pub fn has_pending(&self) -> bool {
        self.connection.wants_write()
    }

    /// Sends `close_notify` and the FIN.
    pub fn finish(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        // On failure the peer only misses `close_notify`. The Close frame has already announced the end.
        let _ = self.flush();
        self.tcp.shutdown(Shutdown::Write)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.tcp)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.tcp.flush()
    }
}
