//! The address of a server, and the errors of an invalid one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tungstenite::http::Uri;

/// Maximum path length of a unix socket in bytes: `sun_path` has 108, including the final zero (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Maximum number of endpoints of a publisher.
pub(crate) const MAX_ENDPOINTS: usize = 16;

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

/// An invalid endpoint. Each message follows the name of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// An unknown scheme, or none.
    #[error("\"{endpoint}\" is not an endpoint. Write ws://host:port/, wss://host/ or unix:/path/to/socket")]
    Scheme {
        /// As written.
        endpoint: String,
    },
    /// A URL that cannot be parsed.
    #[error("\"{endpoint}\" is not a valid URL: {problem}. Write it like ws://127.0.0.1:8080/")]
    Url {
        /// As written.
        endpoint: String,
        /// The parser's message.
        problem: String,
    },
    /// `ws://user:password@host/`.
    #[error(
        "the endpoint has a user name or password. Remove it: the shared secret authenticates publishers"
    )]
    Credentials,
    /// `unix:socket`, a relative path: PHP's working directory changes.
    #[error("\"{endpoint}\" is not an absolute path. Write unix:/path/to/socket")]
    RelativePath {
        /// As written.
        endpoint: String,
    },
    /// An empty list.
    #[error("no endpoint is set. Write ws://host:port/, wss://host/ or unix:/path/to/socket")]
    None,
    /// A list longer than [`Endpoints::MAX`](crate::Endpoints::MAX).
    #[error("{count} endpoints are listed, at most {max} are allowed. List only some nodes of the cluster", max = MAX_ENDPOINTS)]
    TooMany {
        /// Number of endpoints in the list.
        count: usize,
    },
    /// The same endpoint twice.
    #[error("\"{endpoint}\" is listed twice. List each node once")]
    Twice {
        /// As displayed, with port and path.
        endpoint: String,
    },
    /// A socket path longer than the kernel allows.
    #[error("the path of \"{endpoint}\" has {bytes} bytes, at most {max} are allowed", max = MAX_SOCKET_PATH_BYTES)]
    LongPath {
        /// As written.
        endpoint: String,
        /// Length of the path.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Endpoint>().unwrap().to_string()
    }

    #[test]
    fn endpoints_are_parsed_with_their_default_port_and_path() {
        assert_eq!(shown("ws://127.0.0.1:8080/"), "ws://127.0.0.1:8080/");
        assert_eq!(shown("WSS://sync.example.com"), "wss://sync.example.com:443/");
        assert_eq!(shown("ws://[::1]:8080/ws?a=b"), "ws://[::1]:8080/ws?a=b");
        assert_eq!(shown("ws://localhost"), "ws://localhost:80/");
        assert_eq!(shown("unix:/run/orosync/orosync.sock"), "unix:/run/orosync/orosync.sock");
    }

    #[test]
    fn each_kind_of_invalid_endpoint_has_its_own_error() {
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
}
