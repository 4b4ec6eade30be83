//! The table of close reasons: code, text, label, and whether the client should reconnect.
//!
//! Sessions of `orosync.1` and of the link receive the code in a Close frame. A session of `wamp`, or without a subprotocol,
//! that should reconnect is ended without a Close frame: Oro's JavaScript never reconnects after a clean close, whatever
//! its code.

/// Why the server ends a session. Each reason is sent by the server; clients also receive close codes of reverse proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The server stops or restarts.
    GoingAway,
    /// The client broke the WebSocket protocol (RFC 6455).
    ProtocolError,
    /// The client sent an invalid message of the subprotocol: not JSON, not UTF-8, of an unknown type, or of another version.
    BadMessage,
    /// A message exceeded the size limit.
    TooBig,
    /// The client read more slowly than messages were published.
    TooSlow,
    /// The client sent more messages than the rate limit allows.
    TooManyMessages,
    /// The ticket was revoked. A client that is still logged in can get a new one.
    NewTicket,
    /// The broker is unavailable, so the ticket cannot be checked. It may still be valid.
    BrokerUnavailable,
    /// Events of a topic that the session receives with positions were lost. The client should request the missed events.
    Incomplete,
}

impl CloseReason {
    /// All reasons, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::GoingAway,
        Self::ProtocolError,
        Self::BadMessage,
        Self::TooBig,
        Self::TooSlow,
        Self::TooManyMessages,
        Self::NewTicket,
        Self::BrokerUnavailable,
        Self::Incomplete,
    ];

    /// The code of the Close frame: RFC 6455, 7.4.1; codes from 4000 on are specific to Orosync.
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::BadMessage => 1007,
            Self::TooBig => 1009,
            Self::TooSlow => 4008,
            Self::TooManyMessages => 4009,
            Self::NewTicket => 4010,
            Self::BrokerUnavailable => 4011,
            Self::Incomplete => 4012,
        }
    }

    /// The text of the Close frame.
    pub fn text(self) -> &'static str {
        match self {
            Self::GoingAway => "server is shutting down",
            Self::ProtocolError => "WebSocket protocol error",
            Self::BadMessage => "invalid message",
            Self::TooBig => "message too big",
            Self::TooSlow => "client reads too slowly",
            Self::TooManyMessages => "too many messages",
            Self::NewTicket => "reconnect with a new ticket",
            Self::BrokerUnavailable => "tickets cannot be checked at the moment",
            Self::Incomplete => "reconnect and request the missed events",
        }
    }

    /// The label in logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::BadMessage => "bad_message",
            Self::TooBig => "too_big",
            Self::TooSlow => "too_slow",
            Self::TooManyMessages => "too_many_messages",
            Self::NewTicket => "new_ticket",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::Incomplete => "incomplete",
        }
    }

    /// Whether the client should reconnect: at once, then with backoff. Otherwise its next connection would end in the same
    /// way.
    pub fn should_reconnect(self) -> bool {
        match self {
            Self::GoingAway
            | Self::TooSlow
            | Self::NewTicket
            | Self::BrokerUnavailable
            | Self::Incomplete => true,
            Self::ProtocolError | Self::BadMessage | Self::TooBig | Self::TooManyMessages => false,
        }
    }

    /// The reason with this code.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_parse_back() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(CloseReason::from_code(1000), None);
    }
}
