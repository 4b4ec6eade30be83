//! One connection to the server: TCP, TLS or unix socket, and the client's half of the WebSocket handshake. The only sockets
//! of this crate.
//!
//! Everything is non-blocking; whoever waits, waits on the doorbell as well, so that a stop is heard during a handshake. At
//! most one message of ours is on its way to the kernel at a time: `is_drained` says when the next may follow, so that a
//! frozen server costs one batch and no more.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::link_frame::MAX_FRAME_BYTES;
use orosync_protocol::subprotocol;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::http::{HeaderName, HeaderValue, StatusCode, header};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::doorbell::Doorbell;
use crate::error::{Answer, LinkError};
use crate::options::{Endpoint, Options};
use crate::process::ClosedInChild;

/// The largest message that a server has for us: a Refused with its reason.
const MAX_SERVER_MESSAGE_BYTES: usize = 64 << 10;

/// tungstenite's read buffer, allocated for the life of a connection. What we read are acknowledgements of 9 bytes.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// An open connection.
pub(crate) struct Transport {
    websocket: WebSocket<Wire>,
    drained: bool,
    /// There may be something to read.
    readable: bool,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    Frame(Bytes),
    Pong(Bytes),
    Ping,
    Other,
}

impl Transport {
    /// What came next, if anything did. Asks the kernel only after [`Transport::handle_readable`].
    pub(crate) fn read(&mut self) -> Result<Option<Incoming>, LinkError> {
        let Some(message) = self.receive()? else { return Ok(None) };
        match message {
            Message::Binary(frame) => Ok(Some(Incoming::Frame(frame))),
            Message::Pong(payload) => Ok(Some(Incoming::Pong(payload))),
            Message::Ping(_) => Ok(Some(Incoming::Ping)),
            Message::Close(frame) => Err(closed(frame)),
            Message::Text(_) => Err(LinkError::Handshake("a text message on the backend link".to_owned())),
            Message::Frame(_) => Ok(Some(Incoming::Other)),
        }
    }

    /// The same for any message.
    pub(crate) fn receive(&mut self) -> Result<Option<Message>, LinkError> {
        if !self.readable {
            return Ok(None);
        }
        match self.websocket.read() {
            Ok(message) => {
                match message {
                    // tungstenite answers with the next write: let that be now.
                    Message::Ping(_) => self.drained = false,
                    // The same, as far as the kernel takes it now: nobody waits for a connection that ends.
                    Message::Close(_) => {
                        let _ = self.websocket.flush();
                    }
                    _ => {}
                }
                Ok(Some(message))
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(LinkError::Broken(error.to_string())),
        }
    }

    /// The socket is readable, or nobody has looked.
    pub(crate) fn handle_readable(&mut self) {
        self.readable = true;
    }

    /// Hands a link frame over. Only when drained.
    pub(crate) fn send_frame(&mut self, frame: Bytes) -> Result<(), LinkError> {
        self.send(Message::Binary(frame))
    }

    /// Hands a ping over. Only when drained.
    pub(crate) fn send_ping(&mut self, payload: Bytes) -> Result<(), LinkError> {
        self.send(Message::Ping(payload))
    }

    /// Has the kernel taken all that was handed over?
    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }

    /// Writes what the kernel takes now. Returns whether it took anything.
    pub(crate) fn flush(&mut self) -> Result<bool, LinkError> {
        let before = self.websocket.get_ref().written();
        self.drained = would_block_is_false(self.websocket.flush())?;
        Ok(self.websocket.get_ref().written() != before)
    }

    /// Says goodbye, as far as the kernel takes it now.
    pub(crate) fn close(&mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // All that matters was acknowledged, or is reported as left: nobody waits for this.
        let _ = self.websocket.close(Some(goodbye));
        let _ = self.websocket.flush();
    }

    /// The socket, and what it waits for.
    pub(crate) fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = if self.drained { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        (self.websocket.get_ref().socket().as_fd(), flags)
    }

    /// Hands a message over. Only when drained.
    pub(crate) fn send(&mut self, message: Message) -> Result<(), LinkError> {
        // Before the write, which may fail half-way.
        self.drained = false;
        would_block_is_false(self.websocket.write(message))?;
        self.flush()?;
        Ok(())
    }
}

fn would_block_is_false(result: tungstenite::Result<()>) -> Result<bool, LinkError> {
    match result {
        Ok(()) => Ok(true),
        Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(LinkError::Broken(error.to_string())),
    }
}

fn closed(frame: Option<CloseFrame>) -> LinkError {
    match frame {
        Some(frame) => LinkError::Closed {
            code: frame.code.into(),
            reason: Answer::from_body(frame.reason.as_bytes())
                .to_string()
                .trim_start_matches(": ")
                .to_owned(),
        },
        None => LinkError::Broken("the server closed it without a reason".to_owned()),
    }
}

/// Makes connections to one endpoint.
pub(crate) struct Connector {
    endpoint: Endpoint,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    /// Made at the first `wss://` attempt: reading the system's certificates takes milliseconds. Not shared by the process:
    /// a fork in the middle of making it would leave the child waiting for ever.
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            endpoint: options.endpoint.clone(),
            ca_file: options.ca_file.clone(),
            timeout: options.connect_timeout,
            tls: None,
        }
    }

    #[cfg(test)]
    fn with_tls(options: &Options, roots: RootCertStore) -> Self {
        Self { tls: Some(Arc::new(client_config(roots).unwrap())), ..Self::new(options) }
    }

    /// Connects and shakes hands, with `ticket` as the bearer. `stopped` is asked whenever `doorbell` rings; none if it is
    /// true.
    pub(crate) fn connect(
        &mut self,
        ticket: &str,
        doorbell: &Doorbell,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Transport>, LinkError> {
        let attempt =
            Waiter { doorbell, stopped, deadline: Instant::now() + self.timeout, timeout: self.timeout };
        let Some(socket) = self.open_socket(&attempt)? else { return Ok(None) };
        let wire = match &self.endpoint {
            Endpoint::Web { tls: true, host, .. } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    LinkError::Tls(format!("\"{host}\" is no name that a certificate could have"))
                })?;
                let session = ClientConnection::new(self.tls_config()?, name)
                    .map_err(|error| LinkError::Tls(error.to_string()))?;
                Wire::Tls(Box::new(StreamOwned::new(session, socket)))
            }
            Endpoint::Web { tls: false, .. } | Endpoint::Unix { .. } => Wire::Plain(socket),
        };
        shake_hands(wire, request(&self.endpoint, ticket)?, &attempt)
    }

    fn tls_config(&mut self) -> Result<Arc<ClientConfig>, LinkError> {
        if let Some(config) = &self.tls {
            return Ok(Arc::clone(config));
        }
        let roots = match &self.ca_file {
            Some(file) => roots_of(file)?,
            None => roots_of_the_system()?,
        };
        let config = Arc::new(client_config(roots)?);
        self.tls = Some(Arc::clone(&config));
        Ok(config)
    }

    fn open_socket(&self, attempt: &Waiter<'_>) -> Result<Option<Socket>, LinkError> {
        match &self.endpoint {
            Endpoint::Unix { path } => {
                let address = SocketAddrUnix::new(path).map_err(|error| LinkError::Connect(error.into()))?;
                Socket::new(AddressFamily::UNIX)?.connect(|fd| rustix::net::connect(fd, &address), attempt)
            }
            Endpoint::Web { host, port, .. } => {
                let resolve = |problem| LinkError::Resolve { host: host.clone(), problem };
                let addresses: Vec<_> = (host.as_str(), *port).to_socket_addrs().map_err(resolve)?.collect();
                let mut last = None;
                for (index, address) in addresses.iter().enumerate() {
                    match open_tcp(*address, &attempt.share(addresses.len() - index)) {
                        Err(error @ (LinkError::Connect(_) | LinkError::NoAnswer(_))) => last = Some(error),
                        other => return other,
                    }
                }
                Err(last.unwrap_or_else(|| resolve(io::Error::from(io::ErrorKind::NotFound))))
            }
        }
    }
}

fn open_tcp(address: SocketAddr, attempt: &Waiter<'_>) -> Result<Option<Socket>, LinkError> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = Socket::new(family)?;
    // Without it a batch that ends in a small packet waits for the acknowledgement of the packet before.
    sockopt::set_tcp_nodelay(&socket.fd, true).map_err(|error| LinkError::Connect(error.into()))?;
    socket.connect(|fd| rustix::net::connect(fd, &address), attempt)
}

fn roots_of_the_system() -> Result<RootCertStore, LinkError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(LinkError::Tls(
            "this system has no certificate authorities. Install the package ca-certificates".to_owned(),
        ));
    }
    Ok(roots)
}

/// Read at each attempt until there is a good one: a file that is corrected meanwhile counts.
fn roots_of(file: &Path) -> Result<RootCertStore, LinkError> {
    let problem =
        |problem: &str| LinkError::Tls(format!("orosync.ca_file = \"{}\": {problem}", file.display()));
    let pem = fs::read(file).map_err(|error| {
        problem(&format!("cannot be read: {error}. Check the path, and that PHP's user may read it"))
    })?;
    let mut roots = RootCertStore::empty();
    // What is no certificate is left out, as in the system's list.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(problem("holds no certificate in PEM. Name the file of the authority's certificate"));
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, LinkError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LinkError::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
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

fn shake_hands(wire: Wire, request: Request, attempt: &Waiter<'_>) -> Result<Option<Transport>, LinkError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_FRAME_BYTES)
        .max_message_size(Some(MAX_SERVER_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_SERVER_MESSAGE_BYTES));
    let mut handshake = ClientHandshake::start(wire, request, Some(config)).map_err(handshake_error)?;
    loop {
        handshake = match handshake.handshake() {
            Ok((websocket, _)) => return Ok(Some(Transport { websocket, drained: true, readable: true })),
            Err(HandshakeError::Interrupted(handshake)) => handshake,
            Err(HandshakeError::Failure(error)) => return Err(handshake_error(error)),
        };
        let wire = handshake.get_ref().get_ref();
        if attempt.wait((wire.socket().as_fd(), wire.interest()))?.is_stopped() {
            return Ok(None);
        }
    }
}

fn handshake_error(error: tungstenite::Error) -> LinkError {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            let answer = Answer::from_body(response.body().as_deref().unwrap_or_default());
            match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    LinkError::Refused { status: status.as_u16(), answer }
                }
                StatusCode::TOO_MANY_REQUESTS => LinkError::Unavailable { status: status.as_u16(), answer },
                status if status.is_server_error() => {
                    LinkError::Unavailable { status: status.as_u16(), answer }
                }
                status => LinkError::NotOurs { status: status.as_u16(), answer },
            }
        }
        tungstenite::Error::Io(error)
            if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) =>
        {
            LinkError::Tls(error.to_string())
        }
        other => LinkError::Handshake(other.to_string()),
    }
}

/// Waits for a socket during an attempt: with its deadline, and with an ear for the doorbell.
struct Waiter<'a> {
    doorbell: &'a Doorbell,
    stopped: &'a dyn Fn() -> bool,
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
    /// The same attempt with only its share of the time: a first address that never answers must not use up all of it.
    fn share(&self, addresses: usize) -> Self {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
        Self { deadline: Instant::now() + share, ..*self }
    }

    /// Returns when the socket is ready, or perhaps is: the caller tries again.
    fn wait(&self, socket: (BorrowedFd<'_>, PollFlags)) -> Result<Woken, LinkError> {
        if (self.stopped)() {
            return Ok(Woken::Stopped);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LinkError::NoAnswer(self.timeout));
        }
        self.doorbell.wait(Some(socket), Some(left));
        Ok(Woken::Ready)
    }
}

/// A non-blocking stream socket. A forked child does not keep it. Dropped, it ends the connection even if a child that was
/// forked at the wrong moment has a copy.
struct Socket {
    _in_child: ClosedInChild,
    fd: OwnedFd,
    written: u64,
}

impl Socket {
    fn new(family: AddressFamily) -> Result<Self, LinkError> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(|error| LinkError::Connect(error.into()))?;
        Ok(Self { _in_child: ClosedInChild::enter(&fd), fd, written: 0 })
    }

    fn connect(
        self,
        begin: impl FnOnce(&OwnedFd) -> rustix::io::Result<()>,
        attempt: &Waiter<'_>,
    ) -> Result<Option<Self>, LinkError> {
        let failed = |error: Errno| LinkError::Connect(error.into());
        match begin(&self.fd) {
            Ok(()) => return Ok(Some(self)),
            Err(Errno::INPROGRESS) => {}
            // A unix socket's backlog is full: there is nothing to wait on, so this attempt has failed.
            Err(error) => return Err(failed(error)),
        }
        loop {
            if attempt.wait((self.fd.as_fd(), PollFlags::OUT))?.is_stopped() {
                return Ok(None);
            }
            sockopt::socket_error(&self.fd).map_err(failed)?.map_err(failed)?;
            match rustix::net::getpeername(&self.fd) {
                Ok(_) => return Ok(Some(self)),
                Err(Errno::NOTCONN) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Not connected, or ended by the other side: just as well.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buffer)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = rustix::net::send(&self.fd, bytes, rustix::net::SendFlags::NOSIGNAL)?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes to and from the server, encrypted or not.
enum Wire {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Wire {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn written(&self) -> u64 {
        self.socket().written
    }

    /// What a handshake that would block waits for. A plain socket has room for a request of some hundred bytes.
    fn interest(&self) -> PollFlags {
        match self {
            Self::Tls(stream) if stream.conn.wants_write() => PollFlags::IN | PollFlags::OUT,
            Self::Tls(_) | Self::Plain(_) => PollFlags::IN,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use orosync_protocol::ticket::Signer;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use tungstenite::handshake::server::{Request, Response};

    use super::*;

    /// A server for one `wss://` connection to "localhost": it sends one message. Returns its endpoint and its certificate.
    fn tls_server() -> (Endpoint, RootCertStore) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
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
            // A client that does not trust us hangs up during the handshake.
            if let Ok(mut websocket) = tungstenite::accept_hdr(stream, answer) {
                websocket.send(Message::Binary(Bytes::from_static(b"hello"))).unwrap();
            }
        });
        (endpoint, roots)
    }

    fn options(endpoint: Endpoint) -> Options {
        let signer = Signer::from_secret(&[b'x'; 32]).unwrap();
        Options { connect_timeout: Duration::from_secs(20), ..Options::new(endpoint, signer) }
    }

    fn connect(endpoint: Endpoint, roots: RootCertStore) -> Result<Option<Transport>, LinkError> {
        let doorbell = Doorbell::default();
        doorbell.install().unwrap();
        Connector::with_tls(&options(endpoint), roots).connect("ticket", &doorbell, &|| false)
    }

    #[test]
    fn a_server_with_a_trusted_certificate_is_spoken_to() {
        let (endpoint, roots) = tls_server();
        let mut transport = connect(endpoint, roots).unwrap().unwrap();
        let doorbell = Doorbell::default();
        doorbell.install().unwrap();
        let incoming = loop {
            if let Some(incoming) = transport.read().unwrap() {
                break incoming;
            }
            assert!(doorbell.wait(Some(transport.interest()), Some(Duration::from_secs(20))));
            transport.handle_readable();
        };
        assert!(matches!(incoming, Incoming::Frame(frame) if &frame[..] == b"hello"));
    }

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_refused() {
        let (endpoint, _) = tls_server();
        let (_, others) = tls_server();
        let error = connect(endpoint, others).err().unwrap();
        assert!(matches!(error, LinkError::Tls(_)), "{error}");
    }

    #[test]
    fn an_authority_of_ones_own_vouches_alone() {
        let attempt = |content: &str| {
            let (endpoint, _) = tls_server();
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let options = Options { ca_file: Some(file.path().to_owned()), ..options(endpoint) };
            let doorbell = Doorbell::default();
            doorbell.install().unwrap();
            Connector::new(&options).connect("ticket", &doorbell, &|| false).err().unwrap().to_string()
        };
        let error = attempt("not a certificate");
        assert!(error.contains("orosync.ca_file") && error.contains("holds no certificate"), "{error}");
        let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let error = attempt(&other);
        assert!(error.starts_with("TLS: "), "{error}");
    }

    #[test]
    fn a_ticket_is_not_shown_by_the_request() {
        let request = request(&"ws://localhost/".parse().unwrap(), "very-secret").unwrap();
        assert!(!format!("{request:?}").contains("very-secret"));
    }

    #[test]
    fn http_answers_are_told_apart() {
        let error = |status: u16| {
            let response = tungstenite::http::Response::builder().status(status).body(None).unwrap();
            handshake_error(tungstenite::Error::Http(Box::new(response)))
        };
        assert!(matches!(error(401), LinkError::Refused { .. }));
        assert!(matches!(error(503), LinkError::Unavailable { .. }));
        assert!(matches!(error(429), LinkError::Unavailable { .. }));
        assert!(matches!(error(404), LinkError::NotOurs { .. }));
        assert!(matches!(error(200), LinkError::NotOurs { .. }));
    }

    #[test]
    fn an_attempt_is_over_when_it_is_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let doorbell = Doorbell::default();
        doorbell.install().unwrap();
        let attempt = Connector::new(&options(endpoint)).connect("ticket", &doorbell, &|| true);
        assert!(attempt.unwrap().is_none());
    }
}
