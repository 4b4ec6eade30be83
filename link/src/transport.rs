//! An open connection to the server: non-blocking reads and writes of WebSocket messages.
//!
//! At most one outgoing message is buffered outside the kernel: `is_drained` tells when the next may follow, so that a frozen
//! server holds at most one batch. [`crate::connect`] opens connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::event::PollFlags;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::error::{Answer, LinkError};
use crate::wire::Wire;

/// An open connection.
pub(crate) struct Transport {
    websocket: WebSocket<Wire>,
    drained: bool,
    /// Whether there may be something to read.
    readable: bool,
}

/// A received message.
#[derive(Debug)]
pub(crate) enum Incoming {
    Frame(Bytes),
    Pong(Bytes),
    Ping,
    Other,
}

/// A socket and the events to wait for.
pub(crate) struct Watched {
    socket: Arc<OwnedFd>,
    interest: PollFlags,
}

impl Watched {
    pub(crate) fn as_poll(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.socket.as_fd(), self.interest)
    }
}

impl Transport {
    /// Wraps a WebSocket after its handshake.
    pub(crate) fn new(websocket: WebSocket<Wire>) -> Self {
        Self { websocket, drained: true, readable: true }
    }

    /// Returns the next frame, ping or pong, if available. Reads from the kernel only after [`Transport::handle_readable`].
    pub(crate) fn read(&mut self) -> Result<Option<Incoming>, LinkError> {
        let Some(message) = self.receive()? else { return Ok(None) };
        match message {
            Message::Binary(frame) => Ok(Some(Incoming::Frame(frame))),
            Message::Pong(payload) => Ok(Some(Incoming::Pong(payload))),
            Message::Ping(_) => Ok(Some(Incoming::Ping)),
            Message::Close(frame) => Err(closed(frame)),
            Message::Text(_) => Err(LinkError::Handshake("a text message on the backend link".to_owned())),
            Message::Frame(_) => Ok(Some(Incoming::Other)),
        }
    }

    /// Returns the next message of any kind, if available.
    pub(crate) fn receive(&mut self) -> Result<Option<Message>, LinkError> {
        if !self.readable {
            return Ok(None);
        }
        match self.websocket.read() {
            Ok(message) => {
                match message {
                    // tungstenite sends the pong with the next write: request one now.
                    Message::Ping(_) => self.drained = false,
                    // tungstenite's reply, as far as the kernel takes it now: nobody waits for a connection that ends.
                    Message::Close(_) => {
                        let _ = self.websocket.flush();
                    }
                    _ => {}
                }
                Ok(Some(message))
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(LinkError::Broken(error.to_string())),
        }
    }

    /// The socket is readable, or may be.
    pub(crate) fn handle_readable(&mut self) {
        self.readable = true;
    }

    /// Sends a link frame with `length` bytes in these parts. Only when drained.
    pub(crate) fn send_frame<'a>(
        &mut self,
        length: usize,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), LinkError> {
        // Before the write, which may fail half-way.
        self.drained = false;
        let sent = self.websocket.get_mut().send(length, parts);
        self.drained = would_block_is_false(sent.map_err(tungstenite::Error::Io))?;
        Ok(())
    }

    /// Sends a ping. Only when drained.
    pub(crate) fn send_ping(&mut self, payload: Bytes) -> Result<(), LinkError> {
        self.send(Message::Ping(payload))
    }

    /// Whether the kernel has taken everything sent.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }

    /// Writes what the kernel takes now. Returns whether it took anything.
    pub(crate) fn flush(&mut self) -> Result<bool, LinkError> {
        let before = self.websocket.get_ref().written();
        self.drained = would_block_is_false(self.websocket.flush())?;
        Ok(self.websocket.get_ref().written() != before)
    }

    /// Sends a Close frame, as far as the kernel takes it now.
    pub(crate) fn close(&mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // Every message was acknowledged, or is reported as undelivered: nobody waits for this.
        let _ = self.websocket.close(Some(goodbye));
        let _ = self.websocket.flush();
    }

    /// The socket and the events to wait for. If only the end of the connection is expected, incoming data does not wake.
    pub(crate) fn watch(&self, expects_nothing: bool) -> Watched {
        let interest = match (self.drained, expects_nothing) {
            (true, true) => PollFlags::RDHUP,
            (true, false) => PollFlags::IN,
            (false, _) => PollFlags::IN | PollFlags::OUT,
        };
        Watched { socket: self.websocket.get_ref().socket().share(), interest }
    }

    /// Whether the connection has no TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.websocket.get_ref().is_plain()
    }

    /// Sends a message of any kind by tungstenite. Only when drained.
    pub(crate) fn send(&mut self, message: Message) -> Result<(), LinkError> {
        // Before the write, which may fail half-way.
        self.drained = false;
        would_block_is_false(self.websocket.write(message))?;
        self.flush()?;
        Ok(())
    }
}

fn would_block_is_false(result: tungstenite::Result<()>) -> Result<bool, LinkError> {
    match result {
        Ok(()) => Ok(true),
        Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(LinkError::Broken(error.to_string())),
    }
}

fn closed(frame: Option<CloseFrame>) -> LinkError {
    match frame {
        Some(frame) => LinkError::Closed {
            code: frame.code.into(),
            reason: Answer::from_body(frame.reason.as_bytes())
                .to_string()
                .trim_start_matches(": ")
                .to_owned(),
        },
        None => LinkError::Broken("the server closed it without a reason".to_owned()),
    }
}
