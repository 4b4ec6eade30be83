//! The protocol handler of a session, which interprets the messages of its WebSocket. Chosen at the end of the handshake.

#[cfg(feature = "echo")]
mod echo;

use std::time::Instant;

use orosync_protocol::link_frame::MAX_FRAME_BYTES;
use orosync_protocol::wamp::{self, ServerMessage};
use orosync_protocol::{CloseReason, SessionId, Subprotocol};

use super::browser::{Browser, Conversation};
use super::publisher::Publisher;
use super::websocket::{Incoming, WebSocket};
use super::{SERVER_IDENT, Shared};
use crate::frame::text_frame;

/// The protocol handler of a session.
#[derive(Debug)]
pub(super) enum Handler {
    /// WAMP v1, for browsers and other WAMP clients.
    Browser(Browser),
    /// The backend link.
    Publisher(Publisher),
    /// Returns each message, for conformance suites.
    #[cfg(feature = "echo")]
    Echo,
}

impl Handler {
    /// The handler of a new session, and its WebSocket. Appends the handler's greeting to `response`, the 101.
    pub(super) fn open(
        protocol: Subprotocol,
        session: SessionId,
        response: &mut Vec<u8>,
        shared: &Shared,
        now: Instant,
    ) -> (Self, WebSocket) {
        match protocol {
            Subprotocol::Link => (Self::Publisher(Publisher::default()), WebSocket::new(MAX_FRAME_BYTES)),
            #[cfg(feature = "echo")]
            Subprotocol::Wamp if echo::is_wanted(response) => (Self::Echo, echo::websocket()),
            Subprotocol::Wamp | Subprotocol::Orosync => {
                let welcome =
                    ServerMessage::Welcome { session: session.to_string(), ident: SERVER_IDENT.to_owned() };
                response.extend_from_slice(&text_frame(wamp::encode_server(&welcome)));
                (Self::Browser(Browser::new(shared, now)), WebSocket::new(shared.limits.message_bytes))
            }
        }
    }

    /// Handles input of the client, which consists of `frames` frames. Without a complete message, only the frames are charged
    /// to the rate limit.
    pub(super) fn handle_input(
        &mut self,
        incoming: Option<Incoming>,
        frames: u32,
        with: &mut Conversation<'_>,
    ) -> Result<(), CloseReason> {
        match self {
            Self::Browser(browser) => {
                browser.charge(frames, with.admission.shared, with.admission.now)?;
                let Some(Incoming::Message(text, _)) = incoming else { return Ok(()) };
                browser.handle_message(&text, with)
            }
            Self::Publisher(publisher) => {
                let Some(Incoming::Message(frame, _)) = incoming else { return Ok(()) };
                publisher.handle_frame(frame, with.admission, with.events)
            }
            #[cfg(feature = "echo")]
            Self::Echo => echo::answer(incoming, with.outbound),
        }
    }

    /// The state of a browser's session. `None` for other handlers.
    pub(super) fn as_browser(&mut self) -> Option<&mut Browser> {
        if let Self::Browser(browser) = self { Some(browser) } else { None }
    }

    /// Whether the client is a browser or another WAMP client.
    pub(super) fn is_browser(&self) -> bool {
        matches!(self, Self::Browser(_))
    }

    /// Whether the client is a publisher.
    pub(super) fn is_publisher(&self) -> bool {
        matches!(self, Self::Publisher(_))
    }
}
