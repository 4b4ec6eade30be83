//! What goes wrong on the publisher's side, in sentences that say what to do.

use std::any::Any;
use std::io;
use std::time::Duration;

use orosync_protocol::close::{CloseReason, ComeBack};
use orosync_protocol::link_frame::FrameError;

/// The queue holds as much as its bounds allow. The message was not accepted; it was counted as refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full: the server is not reachable, or slower than this publisher")]
pub struct QueueFull;

/// A text that is no endpoint. The texts go behind the name of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Another scheme, or none.
    #[error("\"{endpoint}\" is no endpoint. Write ws://host:port/, wss://host/ or unix:/path/to/socket")]
    Scheme {
        /// As written.
        endpoint: String,
    },
    /// A URL that does not parse.
    #[error("\"{endpoint}\" is no URL: {problem}. Write it like ws://127.0.0.1:8080/")]
    Url {
        /// As written.
        endpoint: String,
        /// What the parser said.
        problem: String,
    },
    /// `ws://user:password@host/`.
    #[error(
        "the endpoint has a user name or password. Remove it: the shared secret authenticates publishers"
    )]
    Credentials,
    /// `unix:socket`: PHP's working directory changes.
    #[error("\"{endpoint}\" is not an absolute path. Write unix:/path/to/socket")]
    RelativePath {
        /// As written.
        endpoint: String,
    },
    /// A list without any.
    #[error("no endpoint is named. Write ws://host:port/, wss://host/ or unix:/path/to/socket")]
    None,
    /// A list that is longer than any cluster needs.
    #[error("{count} endpoints are named, at most {max} are possible. Name some nodes of the cluster", max = crate::endpoints::Endpoints::MAX)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The same twice.
    #[error("\"{endpoint}\" is named twice. Name each node once")]
    Twice {
        /// As it is shown.
        endpoint: String,
    },
    /// The kernel has room for so much and no more.
    #[error("the path of \"{endpoint}\" has {bytes} bytes, at most {max} are possible", max = crate::options::MAX_SOCKET_PATH_BYTES)]
    LongPath {
        /// As written.
        endpoint: String,
        /// The length of its path.
        bytes: usize,
    },
}

/// Why a link could not be opened, or ended. What `last_error` says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the host \"{host}\" cannot be resolved: {problem}")]
    Resolve { host: String, problem: io::Error },
    #[error("cannot connect: {0}. Is orosync-server running there?")]
    Connect(io::Error),
    #[error("no answer within {0:?} (orosync.connect_timeout)")]
    NoAnswer(Duration),
    #[error("no answer within {0:?}, in which another one may answer whoever waits")]
    NotInTime(Duration),
    #[error("TLS: {0}")]
    Tls(String),
    #[error(
        "the server refuses this publisher (HTTP {status}{answer}). Compare the secret with the server's"
    )]
    Refused { status: u16, answer: Answer },
    #[error("the server takes no connection now (HTTP {status}{answer})")]
    Unavailable { status: u16, answer: Answer },
    #[error(
        "this is no orosync-server, or a proxy that does not reach it (HTTP {status}{answer}). Compare the endpoint with the \
         server's `bind`"
    )]
    NotOurs { status: u16, answer: Answer },
    #[error("the handshake failed: {0}. Is this an orosync-server of the same version?")]
    Handshake(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server closed the connection ({code}: {reason})")]
    Closed { code: u16, reason: String },
    #[error("the server sent what is no frame of the backend link: {0}. Is it of the same version?")]
    Frame(#[from] FrameError),
    #[error("the server acknowledged message {accepted}, but only {sent} were sent")]
    BeyondSent { accepted: u64, sent: u64 },
    #[error("a {frame} came when none was due. Is the server of the same version?")]
    OutOfTurn { frame: &'static str },
    #[error("no acknowledgement for {0:?}: the server is frozen, overloaded or no longer reachable")]
    NotAcknowledged(Duration),
    #[error(
        "the server answers, but has acknowledged nothing for {0:.0?}: it has lost Redis, or is overloaded"
    )]
    Unacknowledged(Duration),
    #[error("no sign of life for {0:?}: the server is frozen or no longer reachable")]
    Silent(Duration),
    #[error("the link thread panicked and was started again: {0}")]
    Panic(String),
    #[error("the link thread cannot be started: {0}")]
    NoThread(io::Error),
    #[error("no ticket could be minted: {0}")]
    Ticket(String),
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text").to_owned()
}

/// When to try again, the most hopeful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retry {
    /// At once, for this attempt has waited long enough, and with any other endpoint first: this one was there and did not
    /// acknowledge.
    Elsewhere,
    /// At once if the link had been good, then with backoff.
    Soon,
    /// With the longest delay: trying again does not help until somebody changes something.
    Late,
    /// Likewise, for the server itself has said no to this publisher: waiting longer does not help. All else may be over with
    /// the next attempt: a proxy answers 404 or shows another certificate while its upstream restarts.
    Refused,
}

impl LinkError {
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Unacknowledged(_) => Retry::Elsewhere,
            Self::Refused { .. } => Retry::Refused,
            Self::Tls(_) | Self::Ticket(_) => Retry::Late,
            Self::Closed { code, .. } => {
                match CloseReason::from_code(*code).map_or(ComeBack::Yes, CloseReason::come_back) {
                    ComeBack::Yes => Retry::Soon,
                    ComeBack::Later => Retry::Late,
                    ComeBack::No => Retry::Refused,
                }
            }
            Self::Resolve { .. }
            | Self::Connect(_)
            | Self::NoAnswer(_)
            | Self::NotInTime(_)
            | Self::Unavailable { .. }
            | Self::NotOurs { .. }
            | Self::Handshake(_)
            | Self::Broken(_)
            | Self::Frame(_)
            | Self::BeyondSent { .. }
            | Self::OutOfTurn { .. }
            | Self::NotAcknowledged(_)
            | Self::Silent(_)
            | Self::Panic(_)
            | Self::NoThread(_) => Retry::Soon,
        }
    }
}

/// The body of an HTTP answer, as far as it can be shown: one line, cut.
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
    fn a_restarting_server_is_tried_soon_and_a_refusal_late() {
        let closed = |code| LinkError::Closed { code, reason: String::new() };
        assert_eq!(closed(1001).retry(), Retry::Soon);
        assert_eq!(closed(1006).retry(), Retry::Soon);
        assert_eq!(closed(1013).retry(), Retry::Late);
        assert_eq!(closed(1008).retry(), Retry::Refused);
        let refused = LinkError::Refused { status: 401, answer: Answer::from_body(b"") };
        assert_eq!(refused.retry(), Retry::Refused);
        let of_a_proxy = LinkError::NotOurs { status: 404, answer: Answer::from_body(b"") };
        assert_eq!(of_a_proxy.retry(), Retry::Soon);
        assert_eq!(LinkError::Tls(String::new()).retry(), Retry::Late);
    }

    #[test]
    fn an_answer_is_shown_as_one_cut_line_without_control_characters() {
        let answer = Answer::from_body(b"\n the ticket \x1b[31mexpired\x07\r\nsecond line");
        assert_eq!(answer.to_string(), ": the ticket [31mexpired");
        assert_eq!(Answer::from_body(&[b'x'; 5000]).to_string().len(), 2 + Answer::MAX_CHARS);
        assert_eq!(Answer::from_body(b" \n").to_string(), "");
    }
}
