//! A connection of the load generator, from `connect` until its session is open.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use super::frames::Frames;
use crate::wire::Step;

/// A socket, and the remaining steps until its session is open.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    opening: Option<Box<Opening>>,
}

#[derive(Debug)]
struct Opening {
    /// Remaining steps in reverse order: the next one is the last.
    steps: Vec<Step>,
    connected: bool,
    received: Vec<u8>,
    /// Offset in `received` where the answer to the current step begins.
    answer: usize,
}

impl Connection {
    /// Starts to connect. The connection will be closed with RST, so that its port is free at once.
    pub(super) fn begin(address: SocketAddr, mut steps: Vec<Step>) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        let socket = SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tcp_nodelay(true)?;
        steps.reverse();
        let opening = Opening { steps, connected: false, received: Vec::new(), answer: 0 };
        Ok(Self { stream, opening: Some(Box::new(opening)) })
    }

    /// Whether all steps are done.
    pub(super) fn is_open(&self) -> bool {
        self.opening.is_none()
    }

    /// Continues after an event of its socket. Data after the head of the upgrade response goes to `frames`.
    pub(super) fn go_on(&mut self, buffer: &mut [u8], frames: &mut Frames) -> io::Result<()> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        if !opening.connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                other => other?,
            };
            opening.connected = true;
            opening.say(&mut self.stream)?;
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(opening.refused()),
                Ok(length) => opening.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(step) = opening.steps.last() {
            if find(&opening.received[opening.answer..], step.until).is_none() {
                return Ok(());
            }
            opening.answer = opening.received.len();
            opening.steps.pop();
            opening.say(&mut self.stream)?;
        }
        if let (true, Some(end)) =
            (opening.received.starts_with(b"HTTP"), find(&opening.received, b"\r\n\r\n"))
        {
            frames.take(&opening.received[end + 4..], |_| ());
        }
        self.opening = None;
        Ok(())
    }
}

impl Opening {
    fn say(&self, stream: &mut TcpStream) -> io::Result<()> {
        let Some(step) = self.steps.last() else { return Ok(()) };
        let written = stream.write(&step.say)?;
        if written < step.say.len() {
            return Err(io::Error::other("the kernel did not take a request as a whole"));
        }
        Ok(())
    }

    fn refused(&self) -> io::Error {
        let said = String::from_utf8_lossy(&self.received);
        io::Error::other(format!("the server ended a connection that was not open yet; it said {said:?}"))
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
