//! Responses to refused handshakes: each refusal has a status and a sentence that says what to do.

use std::fmt::Write as _;

use bytes::Bytes;
use orosync_protocol::ticket::CHALLENGE;

use crate::connection::limits::Full;

/// The reason for refusing a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP.
    BadRequest,
    /// Not HTTP/1.1.
    HttpVersion,
    /// Not GET.
    Method,
    /// A plain HTTP request.
    NotWebSocket,
    /// A WebSocket version other than 13.
    WebSocketVersion,
    /// The request head exceeds the limit.
    HeadTooLarge,
    /// The request head did not arrive in time.
    Timeout,
    /// The page's site may not connect.
    Origin,
    /// The ticket is for pages of other sites.
    OriginOfTicket,
    /// A ticket is required and missing.
    TicketMissing,
    /// The ticket was rejected.
    TicketRefused,
    /// The backend link was requested without a publisher's ticket.
    NotAPublisher,
    /// The maximum number of remembered tickets is reached.
    Busy,
    /// The broker is unavailable, so the first use of the ticket cannot be verified.
    BrokerUnavailable,
    /// The maximum number of connections is reached.
    Full(Full),
}

impl Refusal {
    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HttpVersion => "http_version",
            Self::Method => "method",
            Self::NotWebSocket => "not_websocket",
            Self::WebSocketVersion => "websocket_version",
            Self::HeadTooLarge => "head_too_large",
            Self::Timeout => "timeout",
            Self::Origin | Self::OriginOfTicket => "origin",
            Self::TicketMissing => "ticket_missing",
            Self::TicketRefused => "ticket_rejected",
            Self::NotAPublisher => "not_a_publisher",
            Self::Busy => "busy",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::Full(full) => full.label(),
        }
    }

    /// The complete HTTP response, after which the connection is closed.
    pub fn answer(self) -> Bytes {
        let (status, headers, sentence) = self.parts();
        let mut answer = String::with_capacity(400);
        let challenge = match self {
            Self::TicketMissing | Self::TicketRefused | Self::NotAPublisher => {
                format!("WWW-Authenticate: {CHALLENGE}\r\n")
            }
            _ => String::new(),
        };
        // Writing into a String cannot fail. No header may contain a bracket: OroPlatform's PHP client searches for the first.
        let _ = write!(
            answer,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n{challenge}{headers}\r\n{sentence}\n",
            sentence.len() + 1,
        );
        answer.into()
    }

    fn parts(self) -> (&'static str, &'static str, &'static str) {
        const UPGRADE: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        match self {
            Self::BadRequest => {
                ("400 Bad Request", "", "This is not a WebSocket handshake (RFC 6455, 4.2.1).")
            }
            Self::HttpVersion => {
                ("505 HTTP Version Not Supported", "", "A WebSocket handshake requires HTTP/1.1.")
            }
            Self::Method => {
                ("405 Method Not Allowed", "Allow: GET\r\n", "A WebSocket handshake must be a GET request.")
            }
            Self::NotWebSocket => (
                "426 Upgrade Required",
                UPGRADE,
                "This port serves the WebSocket connections of an application, not web pages.",
            ),
            Self::WebSocketVersion => {
                ("426 Upgrade Required", UPGRADE, "Only version 13 of the WebSocket protocol is supported.")
            }
            Self::HeadTooLarge => (
                "431 Request Header Fields Too Large",
                "",
                "The request head is too large. If cookies are the reason, raise limits.handshake_bytes.",
            ),
            Self::Timeout => ("408 Request Timeout", "", "The request head did not arrive in time."),
            Self::Origin => (
                "403 Forbidden",
                "",
                "Pages of this origin may not connect. To allow them, add the host to auth.allowed_origins.",
            ),
            Self::OriginOfTicket => (
                "403 Forbidden",
                "",
                "The ticket does not allow pages of this host. To allow them, add the host to the origins of the application's \
                 tickets.",
            ),
            Self::TicketMissing => (
                "401 Unauthorized",
                "",
                "A ticket is required: request it from the application, and add it to the URL as ?ticket=...",
            ),
            Self::TicketRefused => (
                "401 Unauthorized",
                "",
                "The ticket was rejected, for the reason in the server's log. Request a new ticket from the application.",
            ),
            Self::NotAPublisher => (
                "401 Unauthorized",
                "",
                "The backend link requires a publisher's ticket as Authorization: Bearer.",
            ),
            Self::Full(Full::PerAddress) => (
                "429 Too Many Requests",
                "Retry-After: 5\r\n",
                "Too many connections from this address. Close some, or raise limits.sessions_per_address.",
            ),
            Self::BrokerUnavailable => (
                "503 Service Unavailable",
                "Retry-After: 5\r\n",
                "Tickets cannot be checked, because the broker is unreachable. Retry later.",
            ),
            Self::Busy | Self::Full(Full::Total) => (
                "503 Service Unavailable",
                "Retry-After: 5\r\n",
                "The server has too many connections. Retry later.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refused_tickets_are_challenged() {
        let challenge = format!("\r\nWWW-Authenticate: {CHALLENGE}\r\n");
        let is_challenged =
            |refusal: Refusal| String::from_utf8(refusal.answer().to_vec()).unwrap().contains(&challenge);
        assert!(
            [Refusal::TicketMissing, Refusal::TicketRefused, Refusal::NotAPublisher]
                .into_iter()
                .all(is_challenged)
        );
        let others =
            [Refusal::BadRequest, Refusal::Origin, Refusal::OriginOfTicket, Refusal::Busy, Refusal::Timeout];
        assert!(!others.into_iter().any(is_challenged));
    }
}
