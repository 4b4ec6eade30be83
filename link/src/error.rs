//! Errors of the publisher's side. Each message says what to do.

use std::any::Any;
use std::io;
use std::time::Duration;

use orosync_protocol::CloseReason;
use orosync_protocol::link_frame::FrameError;

/// The queue is at its bounds. The message was not accepted and was counted as refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full: the server is not reachable, or slower than this publisher")]
pub struct QueueFull;

/// Why a link could not be opened, or was lost. Its message becomes `last_error`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the host \"{host}\" cannot be resolved: {problem}")]
    Resolve { host: String, problem: io::Error },
    #[error("cannot connect: {0}. Is orosync-server running there?")]
    Connect(io::Error),
    #[error("no answer within {0:?} (orosync.connect_timeout)")]
    NoAnswer(Duration),
    #[error("no answer within {0:?}. Another endpoint is tried in the time that is left to the caller")]
    NoAnswerBeforeFailover(Duration),
    #[error("TLS: {0}")]
    Tls(String),
    #[error(
        "the server refuses this publisher (HTTP {status}{answer}). Compare the secret with the server's"
    )]
    Refused { status: u16, answer: Answer },
    #[error("the server accepts no connections now (HTTP {status}{answer})")]
    Unavailable { status: u16, answer: Answer },
    #[error(
        "this is not an orosync-server, or a proxy that cannot reach it (HTTP {status}{answer}). Compare the endpoint with the \
         server's `bind`"
    )]
    NotOurs { status: u16, answer: Answer },
    #[error("the handshake failed: {0}. Is this an orosync-server of the same version?")]
    Handshake(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server closed the connection ({code}: {reason})")]
    Closed { code: u16, reason: String },
    #[error("the server sent an invalid link frame: {0}. Is it of the same version?")]
    Frame(#[from] FrameError),
    #[error("the server acknowledged message {accepted}, but only {sent} were sent")]
    BeyondSent { accepted: u64, sent: u64 },
    #[error("the server sent an unexpected {frame} frame. Is it of the same version?")]
    UnexpectedFrame { frame: &'static str },
    #[error("no acknowledgement for {0:?}: the server is frozen, overloaded or no longer reachable")]
    NotAcknowledged(Duration),
    #[error(
        "the server answers, but has acknowledged nothing for {0:.0?}: it has lost Redis, or is overloaded"
    )]
    Unacknowledged(Duration),
    #[error("no answer to a ping for {0:?}: the server is frozen or no longer reachable")]
    Silent(Duration),
    #[error("the link thread panicked and was restarted: {0}")]
    Panic(String),
    #[error("the link thread cannot be started: {0}")]
    NoThread(io::Error),
    #[error("no ticket could be issued: {0}")]
    Ticket(String),
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text").to_owned()
}

/// When to retry, soonest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retry {
    /// At once, with all other endpoints first: this one was reachable but did not acknowledge. No delay follows, because the
    /// attempt itself has taken longer than any delay.
    Elsewhere,
    /// At once after a good connection, then with backoff.
    Soon,
    /// With the longest delay: retries fail until the configuration changes, or for some time.
    Late,
    /// With the longest delay, because the server, or a proxy's policy, refuses this publisher; requesters stop waiting. Any other error may be
    /// gone with the next attempt: a proxy answers 404 or shows another certificate while its upstream restarts.
    Refused,
}

/// Close code of proxies (RFC 6455, 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// Close code of proxies (IANA's registry of close codes).
const TRY_AGAIN_LATER: u16 = 1013;

impl LinkError {
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Unacknowledged(_) => Retry::Elsewhere,
            Self::Refused { .. } => Retry::Refused,
            Self::Tls(_) | Self::Ticket(_) => Retry::Late,
            Self::Closed { code, .. } => match CloseReason::from_code(*code) {
                Some(reason) if !reason.should_reconnect() => Retry::Refused,
                None if *code == POLICY_VIOLATION => Retry::Refused,
                None if *code == TRY_AGAIN_LATER => Retry::Late,
                // Unknown codes are those of proxies, or of a later version of the server.
                _ => Retry::Soon,
            },
            Self::Resolve { .. }
            | Self::Connect(_)
            | Self::NoAnswer(_)
            | Self::NoAnswerBeforeFailover(_)
            | Self::Unavailable { .. }
            | Self::NotOurs { .. }
            | Self::Handshake(_)
            | Self::Broken(_)
            | Self::Frame(_)
            | Self::BeyondSent { .. }
            | Self::UnexpectedFrame { .. }
            | Self::NotAcknowledged(_)
            | Self::Silent(_)
            | Self::Panic(_)
            | Self::NoThread(_) => Retry::Soon,
        }
    }
}

/// The first line of an HTTP response body, without control characters and truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(String);

impl Answer {
    const MAX_CHARS: usize = 200;

    pub(crate) fn from_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let line = text.trim().lines().next().unwrap_or("");
        Self(line.chars().filter(|c| !c.is_control()).take(Self::MAX_CHARS).collect())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarting_server_is_retried_soon_and_a_refusal_late() {
        let closed = |code| LinkError::Closed { code, reason: String::new() };
        assert_eq!(closed(1001).retry(), Retry::Soon);
        assert_eq!(closed(1006).retry(), Retry::Soon);
        assert_eq!(closed(1008).retry(), Retry::Refused);
        assert_eq!(closed(1013).retry(), Retry::Late);
        assert_eq!(closed(3000).retry(), Retry::Soon);
        assert_eq!(closed(1009).retry(), Retry::Refused);
        let refused = LinkError::Refused { status: 401, answer: Answer::from_body(b"") };
        assert_eq!(refused.retry(), Retry::Refused);
        let of_a_proxy = LinkError::NotOurs { status: 404, answer: Answer::from_body(b"") };
        assert_eq!(of_a_proxy.retry(), Retry::Soon);
        assert_eq!(LinkError::Tls(String::new()).retry(), Retry::Late);
    }

    #[test]
    fn an_http_answer_is_shown_as_one_truncated_line_without_control_characters() {
        let answer = Answer::from_body(b"\n the ticket \x1b[31mexpired\x07\r\nsecond line");
        assert_eq!(answer.to_string(), ": the ticket [31mexpired");
        assert_eq!(Answer::from_body(&[b'x'; 5000]).to_string().len(), 2 + Answer::MAX_CHARS);
        assert_eq!(Answer::from_body(b" \n").to_string(), "");
    }
}
