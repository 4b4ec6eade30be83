//! RFC 6455 by tungstenite, without access to the socket: it reads the bytes that the shard has just received, and its output
//! (pongs, Close frames) is appended to the session's outbound queue, in order with everything else.

use std::io::{self, Read, Write};

use bytes::Bytes;
use orosync_protocol::CloseReason;
use tungstenite::Error;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};

use super::boundary::FrameBoundary;
use super::outbound::Outbound;

/// Bounds of tungstenite's read buffer; within them it is as large as the available input. tungstenite allocates the buffer
/// with its context and clears it at each read, at least once per frame. A smaller buffer would be slow for messages that
/// arrive in pieces; with a much larger one, clearing would cost more than reading in a burst of short frames.
const MIN_BUFFER_BYTES: usize = 512;
const MAX_BUFFER_BYTES: usize = 2 << 10;

/// One session's WebSocket.
///
/// Between messages there is no tungstenite context, because it would hold no state. An idle session needs no memory for it,
/// and the memory of a large message is released with the context.
#[derive(Debug)]
pub struct WebSocket {
    context: Option<Box<WebSocketContext>>,
    boundary: FrameBoundary,
    max_message_bytes: usize,
}

/// Input from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text or binary message. The old PHP server treated both alike.
    Message(Bytes, Kind),
    /// A ping (already answered) or a pong.
    Control,
    /// The closing handshake is complete, and nothing more can be sent.
    Closed,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, validated as UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl WebSocket {
    /// A WebSocket just after its opening handshake.
    pub fn new(max_message_bytes: usize) -> Self {
        Self { context: None, boundary: FrameBoundary::default(), max_message_bytes }
    }

    /// The next item in `input`; `None` when `input` is exhausted. An error is the reason with which to close the session.
    pub fn next(
        &mut self,
        input: &mut &[u8],
        outbound: &mut Outbound,
    ) -> Result<Option<Incoming>, CloseReason> {
        let Self { context, boundary, max_message_bytes } = self;
        let open = context.get_or_insert_with(|| new_context(*max_message_bytes, input.len()));
        match open.read(&mut SessionIo { input, boundary, outbound }) {
            Ok(Message::Text(text)) => Ok(Some(Incoming::Message(text.into(), Kind::Text))),
            Ok(Message::Binary(bytes)) => Ok(Some(Incoming::Message(bytes, Kind::Binary))),
            // The answer to a Close frame is written by the next call, which then returns `ConnectionClosed`.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                Ok(Some(Incoming::Control))
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                // tungstenite holds no byte of the next frame, and its pongs are written.
                if boundary.is_between_messages() && open.can_write() {
                    *context = None;
                }
                Ok(None)
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull => Err(CloseReason::TooSlow),
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => Ok(Some(Incoming::Closed)),
            Err(Error::Capacity(_)) => Err(CloseReason::TooBig),
            Err(Error::Utf8(_)) => Err(CloseReason::BadMessage),
            Err(_) => Err(CloseReason::ProtocolError),
        }
    }

    /// Number of frames (messages, pings, fragments) that have begun since the last call.
    pub fn take_frames(&mut self) -> u32 {
        self.boundary.take_frames()
    }

    /// Begins the closing handshake.
    pub fn close(&mut self, reason: CloseReason, outbound: &mut Outbound) {
        let frame = CloseFrame { code: CloseCode::from(reason.code()), reason: reason.text().into() };
        let open = self.context.get_or_insert_with(|| new_context(self.max_message_bytes, 0));
        // Both fail only if the closing handshake is complete already. The flush writes a pending pong first, because nothing
        // may follow the Close frame.
        let _ = open.flush(&mut UnboundedOutput(outbound));
        let _ = open.close(&mut UnboundedOutput(outbound), Some(frame));
    }
}

/// Creates a tungstenite context. `input_bytes` is the number of bytes available to be read.
fn new_context(max_message_bytes: usize, input_bytes: usize) -> Box<WebSocketContext> {
    let config = WebSocketConfig::default()
        .read_buffer_size(input_bytes.clamp(MIN_BUFFER_BYTES, MAX_BUFFER_BYTES))
        .write_buffer_size(0)
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes));
    Box::new(WebSocketContext::new(Role::Server, Some(config)))
}

/// The session's input and output, lent to tungstenite for one call.
struct SessionIo<'a, 'b> {
    input: &'a mut &'b [u8],
    boundary: &'a mut FrameBoundary,
    outbound: &'a mut Outbound,
}

impl Read for SessionIo<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = self.input.len().min(buffer.len());
        let taken = self.boundary.split(&self.input[..most]);
        let (given, rest) = self.input.split_at(taken);
        buffer[..taken].copy_from_slice(given);
        *self.input = rest;
        Ok(taken)
    }
}

impl Write for SessionIo<'_, '_> {
    /// tungstenite writes only whole frames, because its write buffer has no target size.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.outbound.push(Bytes::copy_from_slice(frame)).map_err(|_| io::ErrorKind::StorageFull)?;
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Output for a Close frame and a preceding pong, which are appended even beyond the bound.
struct UnboundedOutput<'a>(&'a mut Outbound);

impl Read for UnboundedOutput<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for UnboundedOutput<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.0.push_last(Bytes::copy_from_slice(frame));
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    fn all(input: &[u8]) -> (Vec<Result<Incoming, CloseReason>>, Vec<u8>) {
        let mut socket = WebSocket::new(100);
        let mut outbound = Outbound::new(10_000);
        let mut received = Vec::new();
        let mut input = input;
        loop {
            match socket.next(&mut input, &mut outbound) {
                Ok(None) => break,
                Ok(Some(Incoming::Closed)) => {
                    received.push(Ok(Incoming::Closed));
                    break;
                }
                Ok(Some(incoming)) => received.push(Ok(incoming)),
                Err(reason) => {
                    received.push(Err(reason));
                    break;
                }
            }
        }
        (received, outbound.slices().flat_map(|slice| slice.to_vec()).collect())
    }

    #[test]
    fn messages_are_reassembled_and_pings_answered_in_order() {
        let input = [masked(1, b"a"), masked(9, b"p"), masked(2, b"b")].concat();
        let (received, sent) = all(&input);
        let expected = [
            Incoming::Message("a".into(), Kind::Text),
            Incoming::Control,
            Incoming::Message("b".into(), Kind::Binary),
        ];
        assert_eq!(received, expected.map(Ok));
        assert_eq!(sent, b"\x8a\x01p");
    }

    #[test]
    fn a_close_is_answered() {
        let (received, sent) = all(&masked(8, &[0x03, 0xe8]));
        assert_eq!(received, [Ok(Incoming::Control), Ok(Incoming::Closed)]);
        assert_eq!(sent, [0x88, 2, 0x03, 0xe8]);
    }

    #[test]
    fn a_pong_never_follows_a_close_frame() {
        let mut socket = WebSocket::new(100);
        let mut outbound = Outbound::new(10_000);
        let ping = masked(9, b"p");
        assert_eq!(socket.next(&mut &ping[..], &mut outbound), Ok(Some(Incoming::Control)));
        socket.close(CloseReason::GoingAway, &mut outbound);
        let sent: Vec<u8> = outbound.slices().flat_map(|slice| slice.to_vec()).collect();
        assert!(sent.starts_with(b"\x8a\x01p\x88"), "{sent:?}");
    }

    #[test]
    fn each_kind_of_invalid_input_has_its_close_reason() {
        let refused = |input: &[u8]| all(input).0.pop().unwrap().unwrap_err();
        assert_eq!(refused(&masked(1, b"\xff")), CloseReason::BadMessage);
        assert_eq!(refused(&masked(1, &[b'x'; 101])), CloseReason::TooBig);
        assert_eq!(refused(&masked(3, b"")), CloseReason::ProtocolError);
        assert_eq!(refused(b"\x81\x01a"), CloseReason::ProtocolError, "not masked");
    }
}
