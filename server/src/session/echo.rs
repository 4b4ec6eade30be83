//! For conformance suites, with the feature `echo` alone: a session without a subprotocol answers each message with itself.
//!
//! Bound: messages of [`MAX_MESSAGE_BYTES`], the suite's largest, whatever is configured. No rate limit, no WELCOME.

use orosync_protocol::CloseReason;

use super::Party;
use super::outbound::{Outbound, TooSlow};
use super::websocket::{Incoming, Kind, WebSocket};
use crate::frame::{binary_frame, text_frame};

/// The largest message of the Autobahn test suite (cases 9.1.6 and 9.2.6).
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Was no subprotocol agreed on?
pub(super) fn is_wanted(response: &[u8]) -> bool {
    !String::from_utf8_lossy(response).contains("Sec-WebSocket-Protocol:")
}

/// Instead of a browser.
pub(super) fn open() -> (WebSocket, Party) {
    (WebSocket::new(MAX_MESSAGE_BYTES), Party::Echo)
}

/// The same message again.
pub(super) fn answer(incoming: Option<Incoming>, outbound: &mut Outbound) -> Result<(), CloseReason> {
    let frame = match incoming {
        Some(Incoming::Message(text, Kind::Text)) => text_frame(text),
        Some(Incoming::Message(bytes, Kind::Binary)) => binary_frame(bytes),
        Some(Incoming::Control | Incoming::Closed) | None => return Ok(()),
    };
    outbound.push(frame).map_err(|TooSlow| CloseReason::TooSlow)
}
