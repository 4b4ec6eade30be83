//! Connecting to the server: DNS, TCP, TLS or unix socket, and the client side of the WebSocket handshake.
//!
//! All I/O is non-blocking. Every wait also watches the doorbell, so that a stop interrupts a handshake.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::cluster::{self, Membership};
use orosync_protocol::link_frame::MAX_FRAME_BYTES;
use orosync_protocol::subprotocol;
use orosync_protocol::ticket::CHALLENGE;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, sockopt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tungstenite::protocol::WebSocketConfig;

use crate::doorbell::Doorbell;
use crate::endpoint::Endpoint;
use crate::error::{Answer, LinkError};
use crate::options::Options;
use crate::process::between_forks;
use crate::transport::Transport;
use crate::trust;
use crate::wire::{Socket, Stream, Wire};

/// Maximum size of a message from the server: a Refused frame with its reason.
const MAX_SERVER_MESSAGE_BYTES: usize = 64 << 10;

/// tungstenite's read buffer, allocated per connection. It receives acknowledgements of 9 bytes.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Conditions that end an attempt early. Checked whenever the doorbell rings.
pub(crate) trait Interruption {
    /// Whether the publisher is shutting down.
    fn is_stopped(&self) -> bool;

    /// When to give up an attempt started at `begun`, so that a waiting requester has time for another endpoint.
    fn failover_deadline(&self, begun: Instant, now: Instant) -> Option<Instant>;
}

/// A successful attempt.
pub(crate) struct Connected {
    /// Start of the attempt's timeout, after the name was resolved.
    pub(crate) begun: Instant,
    pub(crate) transport: Transport,
    /// What the node reported about its cluster.
    pub(crate) membership: Option<Membership>,
}

/// Opens connections.
pub(crate) struct Connector {
    ca_file: Option<PathBuf>,
    timeout: Duration,
    /// Created at the first `wss://` attempt: reading the system's certificates takes milliseconds. Not shared by the process:
    /// a fork while it is created would leave the child waiting for ever.
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Self {
        Self { ca_file: options.ca_file.clone(), timeout: options.connect_timeout, tls: None }
    }

    /// Connects to this endpoint and performs the handshake, with `ticket` as the bearer token. `None` if it was stopped.
    pub(crate) fn connect(
        &mut self,
        endpoint: &Endpoint,
        ticket: &str,
        doorbell: &Doorbell,
        interruption: &dyn Interruption,
    ) -> Result<Option<Connected>, LinkError> {
        self.connect_by(resolve, endpoint, ticket, doorbell, interruption)
    }

    /// [`Connector::connect`] with the given resolver. Name resolution cannot be interrupted, and a dead nameserver takes 5 s,
    /// so the timeout starts only after it.
    fn connect_by(
        &mut self,
        resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
        endpoint: &Endpoint,
        ticket: &str,
        doorbell: &Doorbell,
        interruption: &dyn Interruption,
    ) -> Result<Option<Connected>, LinkError> {
        let target = Target::of(endpoint, resolve)?;
        let begun = Instant::now();
        let (deadline, timeout) = (begun + self.timeout, self.timeout);
        let attempt = Waiter { doorbell, interruption, begun, deadline, timeout };
        let Some(socket) = open_socket(&target, &attempt)? else { return Ok(None) };
        let stream = match endpoint {
            Endpoint::Web { tls: true, host, .. } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    LinkError::Tls(format!("\"{host}\" is no name that a certificate could have"))
                })?;
                let session = ClientConnection::new(self.tls_config()?, name)
                    .map_err(|error| LinkError::Tls(error.to_string()))?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
            Endpoint::Web { tls: false, .. } | Endpoint::Unix { .. } => Stream::Plain(socket),
        };
        shake_hands(Wire::new(stream), request(endpoint, ticket)?, &attempt)
    }

    fn tls_config(&mut self) -> Result<Arc<ClientConfig>, LinkError> {
        if let Some(config) = &self.tls {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(trust::client_config(self.ca_file.as_deref())?);
        self.tls = Some(Arc::clone(&config));
        Ok(config)
    }
}

/// Resolved addresses of an endpoint.
enum Target {
    Unix(SocketAddrUnix),
    /// Never empty.
    Tcp(Vec<SocketAddr>),
}

impl Target {
    fn of(
        endpoint: &Endpoint,
        resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
    ) -> Result<Self, LinkError> {
        match endpoint {
            Endpoint::Unix { path } => {
                SocketAddrUnix::new(path).map(Self::Unix).map_err(|error| LinkError::Connect(error.into()))
            }
            Endpoint::Web { host, port, .. } => {
                let failed = |problem| LinkError::Resolve { host: host.clone(), problem };
                let addresses = resolve(host, *port).map_err(failed)?;
                if addresses.is_empty() {
                    return Err(failed(io::Error::from(io::ErrorKind::NotFound)));
                }
                Ok(Self::Tcp(addresses))
            }
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    between_forks(|| (host, port).to_socket_addrs()).map(Iterator::collect)
}

fn open_socket(target: &Target, attempt: &Waiter<'_>) -> Result<Option<Socket>, LinkError> {
    match target {
        Target::Unix(address) => complete(
            Socket::new(AddressFamily::UNIX)?,
            |socket| rustix::net::connect(socket, address),
            attempt,
        ),
        Target::Tcp(addresses) => {
            let mut last = LinkError::NoAnswer(attempt.timeout);
            for (index, address) in addresses.iter().enumerate() {
                match open_tcp(*address, &attempt.share(addresses.len() - index)) {
                    Err(error @ (LinkError::Connect(_) | LinkError::NoAnswer(_))) => last = error,
                    other => return other,
                }
            }
            Err(last)
        }
    }
}

fn open_tcp(address: SocketAddr, attempt: &Waiter<'_>) -> Result<Option<Socket>, LinkError> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = Socket::new(family)?;
    // Without TCP_NODELAY, a batch that ends in a small packet waits for the acknowledgement of the previous packet.
    sockopt::set_tcp_nodelay(&socket, true).map_err(|error| LinkError::Connect(error.into()))?;
    complete(socket, |socket| rustix::net::connect(socket, &address), attempt)
}

fn request(endpoint: &Endpoint, ticket: &str) -> Result<Request, LinkError> {
    let bad = |error: String| LinkError::Handshake(error);
    let mut request =
        endpoint.handshake_url().into_client_request().map_err(|error| bad(error.to_string()))?;
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {ticket}")).map_err(|error| bad(error.to_string()))?;
    bearer.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, bearer);
    headers.insert(
        HeaderName::from_static("sec-websocket-protocol"),
        HeaderValue::from_static(subprotocol::LINK),
    );
    Ok(request)
}

fn shake_hands(wire: Wire, request: Request, attempt: &Waiter<'_>) -> Result<Option<Connected>, LinkError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        // Of control frames: link frames bypass this buffer.
        .max_write_buffer_size(2 * MAX_FRAME_BYTES)
        .max_message_size(Some(MAX_SERVER_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_SERVER_MESSAGE_BYTES));
    let mut handshake = ClientHandshake::start(wire, request, Some(config)).map_err(handshake_error)?;
    loop {
        handshake = match handshake.handshake() {
            Ok((websocket, answer)) => {
                let membership = membership(answer.headers());
                let transport = Transport::new(websocket);
                return Ok(Some(Connected { begun: attempt.begun, transport, membership }));
            }
            Err(HandshakeError::Interrupted(handshake)) => handshake,
            Err(HandshakeError::Failure(error)) => return Err(handshake_error(error)),
        };
        let wire = handshake.get_ref().get_ref();
        if attempt.wait((wire.socket().as_fd(), wire.interest()))?.is_stopped() {
            return Ok(None);
        }
    }
}

/// Parses the cluster header. An invalid value is ignored: it may be a proxy's, or from a later version.
fn membership(headers: &HeaderMap) -> Option<Membership> {
    headers.get(cluster::HEADER)?.to_str().ok()?.parse().ok()
}

fn handshake_error(error: tungstenite::Error) -> LinkError {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            let answer = Answer::from_body(response.body().as_deref().unwrap_or_default());
            // A proxy sends its own responses while it cannot reach the server.
            let is_challenge = |value: &HeaderValue| value == CHALLENGE;
            match status {
                StatusCode::UNAUTHORIZED
                    if response.headers().get_all(header::WWW_AUTHENTICATE).iter().any(is_challenge) =>
                {
                    LinkError::Refused { status: status.as_u16(), answer }
                }
                StatusCode::TOO_MANY_REQUESTS => LinkError::Unavailable { status: status.as_u16(), answer },
                status if status.is_server_error() => {
                    LinkError::Unavailable { status: status.as_u16(), answer }
                }
                status => LinkError::NotOurs { status: status.as_u16(), answer },
            }
        }
        tungstenite::Error::Io(error) => {
            let of_tls = trust::failure(&error);
            of_tls.unwrap_or_else(|| LinkError::Handshake(tungstenite::Error::Io(error).to_string()))
        }
        other => LinkError::Handshake(other.to_string()),
    }
}

/// Waits for a socket during an attempt, until its deadline or a ring of the doorbell.
struct Waiter<'a> {
    doorbell: &'a Doorbell,
    interruption: &'a dyn Interruption,
    begun: Instant,
    deadline: Instant,
    timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    Ready,
    Stopped,
}

impl Woken {
    fn is_stopped(self) -> bool {
        self == Self::Stopped
    }
}

impl Waiter<'_> {
    /// Limits the attempt to its share of the time: a first address that never answers must not use up all of it.
    fn share(&self, addresses: usize) -> Self {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
        Self { deadline: Instant::now() + share, ..*self }
    }

    /// Returns when the socket may be ready; the caller then retries.
    fn wait(&self, socket: (BorrowedFd<'_>, PollFlags)) -> Result<Woken, LinkError> {
        if self.interruption.is_stopped() {
            return Ok(Woken::Stopped);
        }
        let now = Instant::now();
        let failover = self.interruption.failover_deadline(self.begun, now).filter(|at| *at < self.deadline);
        let left = failover.unwrap_or(self.deadline).saturating_duration_since(now);
        if left.is_zero() {
            return Err(match failover {
                Some(failover) => {
                    LinkError::NoAnswerBeforeFailover(failover.saturating_duration_since(self.begun))
                }
                None => LinkError::NoAnswer(self.timeout),
            });
        }
        self.doorbell.wait(Some(socket), Some(left));
        Ok(Woken::Ready)
    }
}

/// Connects a socket. `begin` starts the connect in the kernel.
fn complete(
    socket: Socket,
    begin: impl FnOnce(&Socket) -> rustix::io::Result<()>,
    attempt: &Waiter<'_>,
) -> Result<Option<Socket>, LinkError> {
    let failed = |error: Errno| LinkError::Connect(error.into());
    match begin(&socket) {
        Ok(()) => return Ok(Some(socket)),
        Err(Errno::INPROGRESS) => {}
        // A unix socket's backlog is full. There is nothing to wait for, so this attempt has failed.
        Err(error) => return Err(failed(error)),
    }
    loop {
        if attempt.wait((socket.as_fd(), PollFlags::OUT))?.is_stopped() {
            return Ok(None);
        }
        sockopt::socket_error(&socket).map_err(failed)?.map_err(failed)?;
        match rustix::net::getpeername(&socket) {
            Ok(_) => return Ok(Some(socket)),
            Err(Errno::NOTCONN) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use bytes::Bytes;
    use orosync_protocol::ticket::Signer;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, generate_simple_self_signed};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use tungstenite::Message;
    use tungstenite::handshake::server::{Request, Response};

    use super::*;
    use crate::transport::Incoming;

    /// A TLS server for one connection to "localhost" that sends one message. Returns its endpoint and its certificate, created
    /// as `openssl req -x509` does.
    fn tls_server() -> (Endpoint, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![cert.der().clone()],
                PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("wss://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
            #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
            let answer = |_: &Request, mut response: Response| {
                let protocol = HeaderValue::from_static(subprotocol::LINK);
                response.headers_mut().insert("sec-websocket-protocol", protocol);
                Ok(response)
            };
            // A client that does not trust the certificate disconnects during the handshake.
            if let Ok(mut websocket) = tungstenite::accept_hdr(stream, answer) {
                websocket.send(Message::Binary(Bytes::from_static(b"hello"))).unwrap();
            }
        });
        (endpoint, cert.pem())
    }

    fn options(endpoint: &Endpoint) -> Options {
        let signer = Signer::from_secret(&[b'x'; 32]).unwrap();
        Options { connect_timeout: Duration::from_secs(20), ..Options::new(endpoint.clone().into(), signer) }
    }

    /// Interrupts with fixed answers: whether stopped, and the time allowed.
    struct Interrupts {
        stopped: bool,
        failover_after: Option<Duration>,
    }

    impl Interruption for Interrupts {
        fn is_stopped(&self) -> bool {
            self.stopped
        }

        fn failover_deadline(&self, begun: Instant, _: Instant) -> Option<Instant> {
            self.failover_after.map(|time| begun + time)
        }
    }

    const NOTHING: Interrupts = Interrupts { stopped: false, failover_after: None };

    fn connect(endpoint: &Endpoint, ca: &str) -> Result<Option<Connected>, LinkError> {
        connect_by(resolve, endpoint, ca)
    }

    fn connect_by(
        resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
        endpoint: &Endpoint,
        ca: &str,
    ) -> Result<Option<Connected>, LinkError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(ca.as_bytes()).unwrap();
        let options = Options { ca_file: Some(file.path().to_owned()), ..options(endpoint) };
        let doorbell = Doorbell::new();
        doorbell.install().unwrap();
        Connector::new(&options).connect_by(resolve, endpoint, "ticket", &doorbell, &NOTHING)
    }

    #[test]
    fn a_server_with_a_trusted_certificate_is_accepted() {
        let (endpoint, certificate) = tls_server();
        let mut transport = connect(&endpoint, &certificate).unwrap().unwrap().transport;
        let doorbell = Doorbell::new();
        doorbell.install().unwrap();
        let incoming = loop {
            if let Some(incoming) = transport.read().unwrap() {
                break incoming;
            }
            assert!(doorbell.wait(Some(transport.watch(false).as_poll()), Some(Duration::from_secs(20))));
            transport.handle_readable();
        };
        assert!(matches!(incoming, Incoming::Frame(frame) if &frame[..] == b"hello"));
    }

    #[test]
    fn the_timeout_of_an_attempt_starts_after_name_resolution() {
        let timeout = Duration::from_millis(50);
        let resolved = Cell::new(None);
        let resolve_slowly = |host: &str, port| {
            thread::sleep(2 * timeout);
            resolved.set(Some(Instant::now()));
            resolve(host, port)
        };
        let (endpoint, certificate) = tls_server();
        let begun = connect_by(resolve_slowly, &endpoint, &certificate).unwrap().unwrap().begun;
        assert!(begun >= resolved.get().unwrap());
        // A server that never answers gets the whole timeout.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let options = Options { connect_timeout: timeout, ..options(&endpoint) };
        let doorbell = Doorbell::new();
        doorbell.install().unwrap();
        let mut connector = Connector::new(&options);
        let attempt = connector.connect_by(resolve_slowly, &endpoint, "ticket", &doorbell, &NOTHING);
        assert!(matches!(attempt, Err(LinkError::NoAnswer(_))));
        assert!(resolved.get().unwrap().elapsed() >= timeout);
    }

    #[test]
    fn an_untrusted_certificate_is_refused() {
        let (endpoint, _) = tls_server();
        let (_, others) = tls_server();
        let error = connect(&endpoint, &others).err().unwrap().to_string();
        assert!(
            error.starts_with("TLS: the server's certificate is self-signed, and orosync.ca_file"),
            "{error}"
        );
    }

    #[test]
    fn only_the_authorities_of_ca_file_are_trusted_if_it_is_set() {
        let attempt = |content: &str| connect(&tls_server().0, content).err().unwrap().to_string();
        let error = attempt("not a certificate");
        assert!(error.contains("orosync.ca_file") && error.contains("holds no certificate"), "{error}");
        let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let error = attempt(&other);
        assert!(error.starts_with("TLS: "), "{error}");
    }

    #[test]
    fn the_debug_output_of_a_request_does_not_contain_the_ticket() {
        let request = request(&"ws://localhost/".parse().unwrap(), "very-secret").unwrap();
        assert!(!format!("{request:?}").contains("very-secret"));
    }

    #[test]
    fn http_responses_of_the_server_and_of_proxies_are_distinguished() {
        let error = |status: u16, challenge: &str| {
            let response = tungstenite::http::Response::builder().status(status);
            let response = response.header(header::WWW_AUTHENTICATE, challenge).body(None).unwrap();
            handshake_error(tungstenite::Error::Http(Box::new(response)))
        };
        assert!(matches!(error(401, CHALLENGE), LinkError::Refused { .. }));
        for of_a_proxy in ["Basic realm=\"orosync\"", "Bearer", "Bearer realm=\"example\""] {
            assert!(matches!(error(401, of_a_proxy), LinkError::NotOurs { .. }), "{of_a_proxy}");
        }
        assert!(matches!(error(503, ""), LinkError::Unavailable { .. }));
        assert!(matches!(error(429, ""), LinkError::Unavailable { .. }));
        assert!(matches!(error(403, ""), LinkError::NotOurs { .. }));
        assert!(matches!(error(404, ""), LinkError::NotOurs { .. }));
        assert!(matches!(error(200, ""), LinkError::NotOurs { .. }));
    }

    #[test]
    fn a_stop_ends_an_attempt() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let doorbell = Doorbell::new();
        doorbell.install().unwrap();
        let stopped = Interrupts { stopped: true, failover_after: None };
        let attempt = Connector::new(&options(&endpoint)).connect(&endpoint, "ticket", &doorbell, &stopped);
        assert!(attempt.unwrap().is_none());
    }

    #[test]
    fn an_attempt_leaves_a_requester_time_for_another_endpoint() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let doorbell = Doorbell::new();
        doorbell.install().unwrap();
        let failover_after = Some(Duration::from_millis(20));
        let awaited = Interrupts { stopped: false, failover_after };
        let attempt = Connector::new(&options(&endpoint)).connect(&endpoint, "ticket", &doorbell, &awaited);
        let error = attempt.err().unwrap();
        assert!(
            matches!(error, LinkError::NoAnswerBeforeFailover(time) if Some(time) == failover_after),
            "{error}"
        );
    }

    #[test]
    fn an_invalid_cluster_header_is_ignored() {
        let parsed = |value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("orosync-cluster"),
                HeaderValue::from_static(value),
            )]);
            membership(&headers)
        };
        let cluster = orosync_protocol::ClusterId(0xabc);
        let running = Duration::from_secs(42);
        assert_eq!(parsed("00000000000000000000000000000abc 42"), Some(Membership { cluster, running }));
        assert_eq!(parsed("something else"), None);
        assert_eq!(membership(&HeaderMap::new()), None);
    }
}
