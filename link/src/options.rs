//! Options of a publisher: endpoints, secret, bounds and timeouts. They are validated before they get here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use orosync_protocol::link_frame::MAX_FRAME_BYTES;
use orosync_protocol::ticket::Signer;
use tungstenite::http::Uri;

use crate::endpoints::Endpoints;
use crate::error::EndpointError;

/// Maximum path length of a unix socket in bytes: `sun_path` has 108, including the final zero (unix(7)).
pub(crate) const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Options of a [`crate::Publisher`].
#[derive(Debug)]
pub struct Options {
    /// The server, or several nodes of its cluster.
    pub endpoints: Endpoints,
    /// PEM file with the only certificate authorities trusted for a `wss://` server; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Signs the publisher's tickets with the secret shared with the server.
    pub signer: Signer,
    /// Bounds of the queue.
    pub bounds: Bounds,
    /// Time from the first packet to the server's Welcome, for each endpoint.
    pub connect_timeout: Duration,
    /// How long [`crate::Publisher::shutdown`] waits for the last acknowledgement.
    pub shutdown_timeout: Duration,
}

impl Options {
    /// The default of [`Options::connect_timeout`].
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    /// The default of [`Options::shutdown_timeout`].
    pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

    /// Options with default bounds and times.
    pub fn new(endpoints: Endpoints, signer: Signer) -> Self {
        Self {
            endpoints,
            ca_file: None,
            signer,
            bounds: Bounds::default(),
            connect_timeout: Self::CONNECT_TIMEOUT,
            shutdown_timeout: Self::SHUTDOWN_TIMEOUT,
        }
    }
}

/// Maximum size of the queue. Messages count until the server has acknowledged them, sent or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    messages: usize,
    bytes: u64,
}

impl Bounds {
    /// Upper limit of `messages`: a slot of 16 bytes is reserved for each.
    pub const MAX_MESSAGES: usize = 1_000_000;
    /// Lower limit of `bytes`: a message of the maximum size must fit.
    pub const MIN_BYTES: u64 = MAX_FRAME_BYTES as u64;

    /// Creates bounds; `None` if `messages` is not in 1..=[`Bounds::MAX_MESSAGES`] or `bytes` is below [`Bounds::MIN_BYTES`].
    pub fn new(messages: usize, bytes: u64) -> Option<Self> {
        let possible = (1..=Self::MAX_MESSAGES).contains(&messages) && bytes >= Self::MIN_BYTES;
        possible.then_some(Self { messages, bytes })
    }

    /// Maximum number of messages.
    pub fn messages(self) -> usize {
        self.messages
    }

    /// Maximum size of topics, payloads and session ids in bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: 10_000, bytes: 16 << 20 }
    }
}

/// Address of a server: `ws://host:port/path`, `wss://...` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// TCP, with TLS or without.
    Web {
        /// Whether TLS is used (`wss`).
        tls: bool,
        /// Host name or IP address (IPv6 without brackets).
        host: String,
        /// Port; by default 80, or 443 with TLS.
        port: u16,
        /// Path of the HTTP request, starting with `/`.
        path: String,
    },
    /// A unix socket.
    Unix {
        /// An absolute path.
        path: PathBuf,
    },
}

impl Endpoint {
    /// The URL of the WebSocket handshake.
    pub(crate) fn handshake_url(&self) -> String {
        match self {
            Self::Web { .. } => self.to_string(),
            Self::Unix { .. } => "ws://localhost/".to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_endpoint(text, path);
        }
        let tls = match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("ws") => false,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("wss") => true,
            Some(_) | None => return Err(EndpointError::Scheme { endpoint: text.to_owned() }),
        };
        let not_a_url = |problem: String| EndpointError::Url { endpoint: text.to_owned(), problem };
        let url: Uri = text.parse().map_err(|problem| not_a_url(format!("{problem}")))?;
        let authority = url.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let host = url.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| not_a_url("it has no host".to_owned()))?;
        let port = match authority.strip_prefix(host).unwrap_or("").strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0),
            None => Some(if tls { 443 } else { 80 }),
        };
        let port = port.ok_or_else(|| not_a_url("the port is not in 1 to 65535".to_owned()))?;
        Ok(Self::Web {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

fn unix_endpoint(text: &str, path: &str) -> Result<Endpoint, EndpointError> {
    if !Path::new(path).is_absolute() {
        Err(EndpointError::RelativePath { endpoint: text.to_owned() })
    } else if path.len() > MAX_SOCKET_PATH_BYTES {
        Err(EndpointError::LongPath { endpoint: text.to_owned(), bytes: path.len() })
    } else {
        Ok(Endpoint::Unix { path: PathBuf::from(path) })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web { tls, host, port, path } => {
                let scheme = if *tls { "wss" } else { "ws" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}{path}")
                } else {
                    write!(f, "{scheme}://{host}:{port}{path}")
                }
            }
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Endpoint>().unwrap().to_string()
    }

    #[test]
    fn endpoints_are_read_with_their_default_port_and_path() {
        assert_eq!(shown("ws://127.0.0.1:8080/"), "ws://127.0.0.1:8080/");
        assert_eq!(shown("WSS://sync.example.com"), "wss://sync.example.com:443/");
        assert_eq!(shown("ws://[::1]:8080/ws?a=b"), "ws://[::1]:8080/ws?a=b");
        assert_eq!(shown("ws://localhost"), "ws://localhost:80/");
        assert_eq!(shown("unix:/run/orosync/orosync.sock"), "unix:/run/orosync/orosync.sock");
    }

    #[test]
    fn what_is_no_endpoint_says_what_to_write() {
        let error = |text: &str| text.parse::<Endpoint>().unwrap_err();
        for text in ["", "127.0.0.1:8080", "http://localhost/", "tcp://localhost:8080"] {
            assert!(matches!(error(text), EndpointError::Scheme { .. }), "{text}");
        }
        for text in ["ws://", "ws://host:port/", "ws://host:0/", "ws://host:99999/", "ws://a b/"] {
            assert!(matches!(error(text), EndpointError::Url { .. }), "{text}: {:?}", error(text));
        }
        assert_eq!(error("ws://user:password@host/"), EndpointError::Credentials);
        assert!(matches!(error("unix:orosync.sock"), EndpointError::RelativePath { .. }));
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(matches!(error(&long), EndpointError::LongPath { bytes: 108, .. }));
    }

    #[test]
    fn an_error_does_not_show_a_password() {
        let error = "ws://user:hunter2@host/".parse::<Endpoint>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn bounds_that_no_message_could_pass_are_refused() {
        assert!(Bounds::new(0, Bounds::MIN_BYTES).is_none());
        assert!(Bounds::new(1, Bounds::MIN_BYTES - 1).is_none());
        assert!(Bounds::new(1, Bounds::MIN_BYTES).is_some());
        assert!(Bounds::new(Bounds::MAX_MESSAGES + 1, Bounds::MIN_BYTES).is_none());
    }
}
