//! The echo protocol for conformance suites (feature `echo`): a session without a subprotocol returns each message.
//!
//! Bound: messages of [`MAX_MESSAGE_BYTES`], the suite's largest, regardless of the configuration. No rate limit, no WELCOME.

use orosync_protocol::CloseReason;

use crate::frame::{binary_frame, text_frame};
use crate::session::outbound::{Outbound, OutboundFull};
use crate::session::websocket::{Incoming, Kind, WebSocket};

/// The largest message of the Autobahn test suite (cases 9.1.6 and 9.2.6).
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Whether the handshake response selects no subprotocol.
pub(super) fn is_wanted(response: &[u8]) -> bool {
    !String::from_utf8_lossy(response).contains("Sec-WebSocket-Protocol:")
}

/// The WebSocket of a new session.
pub(super) fn websocket() -> WebSocket {
    WebSocket::new(MAX_MESSAGE_BYTES)
}

/// Sends the received message back.
pub(super) fn answer(incoming: Option<Incoming>, outbound: &mut Outbound) -> Result<(), CloseReason> {
    let frame = match incoming {
        Some(Incoming::Message(text, Kind::Text)) => text_frame(text),
        Some(Incoming::Message(bytes, Kind::Binary)) => binary_frame(bytes),
        Some(Incoming::Control | Incoming::Closed) | None => return Ok(()),
    };
    outbound.push(frame).map_err(|OutboundFull| CloseReason::TooSlow)
}
