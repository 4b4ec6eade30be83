//! The one table of close reasons: code, text, label, and whether a client should come back.
//!
//! `orosync.1` and the link get the code in a Close frame. A session of `wamp` or without a subprotocol that should
//! come back is ended without a Close frame: after a clean close of any code Oro's JavaScript never reconnects.

/// Why the server ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The server stops or restarts.
    GoingAway,
    /// The client broke the WebSocket protocol (RFC 6455).
    ProtocolError,
    /// Not a message of the subprotocol: not JSON, not UTF-8, an unknown type, a frame of another version.
    BadMessage,
    /// Not allowed to stay.
    Policy,
    /// A message over the limit.
    TooBig,
    /// No room now.
    TryAgainLater,
    /// Did not read as fast as was published.
    TooSlow,
    /// Sent more messages than the limit.
    TooManyMessages,
    /// Its ticket no longer stands for somebody: who logged out gets no other, and who did not does.
    NewTicket,
    /// What all nodes share is away, so its ticket cannot be checked now; it may be good all the same.
    BrokerUnavailable,
    /// Events of a topic are missing that it receives with positions: it is to ask what it missed.
    Incomplete,
}

/// What a client does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComeBack {
    /// At once, then with backoff.
    Yes,
    /// After a while.
    Later,
    /// Never by itself.
    No,
}

impl CloseReason {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::GoingAway,
        Self::ProtocolError,
        Self::BadMessage,
        Self::Policy,
        Self::TooBig,
        Self::TryAgainLater,
        Self::TooSlow,
        Self::TooManyMessages,
        Self::NewTicket,
        Self::BrokerUnavailable,
        Self::Incomplete,
    ];

    /// The code of the Close frame: RFC 6455 7.4.1, and from 4000 on ours.
    pub fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::BadMessage => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::TryAgainLater => 1013,
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
            Self::GoingAway => "the server is going away",
            Self::ProtocolError => "not the WebSocket protocol",
            Self::BadMessage => "not a message of this protocol",
            Self::Policy => "not allowed",
            Self::TooBig => "message too big",
            Self::TryAgainLater => "try again later",
            Self::TooSlow => "too slow a reader",
            Self::TooManyMessages => "too many messages",
            Self::NewTicket => "come back with a new ticket",
            Self::BrokerUnavailable => "tickets cannot be checked now",
            Self::Incomplete => "come back and ask what you missed",
        }
    }

    /// A label for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::BadMessage => "bad_message",
            Self::Policy => "policy",
            Self::TooBig => "too_big",
            Self::TryAgainLater => "try_again_later",
            Self::TooSlow => "too_slow",
            Self::TooManyMessages => "too_many_messages",
            Self::NewTicket => "new_ticket",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::Incomplete => "incomplete",
        }
    }

    /// Should the client come back?
    pub fn come_back(self) -> ComeBack {
        match self {
            Self::GoingAway
            | Self::TooSlow
            | Self::NewTicket
            | Self::BrokerUnavailable
            | Self::Incomplete => ComeBack::Yes,
            Self::TryAgainLater => ComeBack::Later,
            Self::ProtocolError | Self::BadMessage | Self::Policy | Self::TooBig | Self::TooManyMessages => {
                ComeBack::No
            }
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
    fn codes_are_distinct_and_read_back() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(CloseReason::from_code(1000), None);
    }
}
