//! A WAMP v1 client that implements handshake and frames itself, so that tests see every byte. The masking key is zero, which
//! RFC 6455 allows.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use orosync_protocol::ticket::Role;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::certificate::Certificate;
use crate::server::{Server, ticket};
use crate::wait::LIMIT;

/// `Sec-WebSocket-Protocol` of OroPlatform's JavaScript.
pub const WAMP: &str = "Sec-WebSocket-Protocol: wamp\r\n";

/// `Sec-WebSocket-Protocol` of Orosync's browser client.
pub const OROSYNC: &str = "Sec-WebSocket-Protocol: orosync.1, wamp\r\n";

/// A connection to a server, before or after its handshake.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    received: Vec<u8>,
    /// The head of the handshake response.
    pub head: String,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// A received frame, or the end of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text frame.
    Text(String),
    /// A Close frame's code.
    Close(u16),
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// The end of the stream, without a Close frame.
    End,
}

impl Client {
    /// Opens a session of a back-office user, and reads WELCOME.
    pub fn user(server: &Server, offer: &str, uid: u64) -> Self {
        Self::with_ticket(server, offer, &ticket(Role::User, Some(uid)))
    }

    /// Opens a session without a ticket, and reads WELCOME.
    pub fn anonymous(server: &Server, offer: &str) -> Self {
        Self::anonymous_at(server.address(), offer)
    }

    /// Like [`Client::anonymous`], at this address.
    pub fn anonymous_at(address: SocketAddr, offer: &str) -> Self {
        let mut client = Self::connect_to(address);
        client.open_session("/", offer);
        client
    }

    /// Opens a session with this ticket, and reads WELCOME.
    pub fn with_ticket(server: &Server, offer: &str, ticket: &str) -> Self {
        let mut client = Self::connect(server);
        client.open_session(&format!("/ws?ticket={ticket}"), offer);
        client
    }

    /// Opens a connection without sending anything.
    pub fn connect(server: &Server) -> Self {
        Self::connect_to(server.address())
    }

    /// Like [`Client::connect`], to this address.
    pub fn connect_to(address: SocketAddr) -> Self {
        Self::over(Stream::Tcp(tcp_to(address)))
    }

    /// Like [`Client::connect_to`], over TLS, to a server with this certificate.
    pub fn connect_tls(address: SocketAddr, certificate: &Certificate) -> Self {
        Self::over_tls(tcp_to(address), certificate)
    }

    /// Like [`Client::connect_tls`], from this local address.
    pub fn connect_tls_from(source: IpAddr, address: SocketAddr, certificate: &Certificate) -> Self {
        Self::over_tls(tcp_from(source, address), certificate)
    }

    fn over_tls(stream: TcpStream, certificate: &Certificate) -> Self {
        let name = ServerName::try_from(Certificate::NAME).expect("a name");
        let connection = ClientConnection::new(certificate.client_config(), name).expect("a TLS client");
        Self::over(Stream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    fn over(stream: Stream) -> Self {
        Self { stream, received: Vec::new(), head: String::new() }
    }

    /// Like [`Client::connect`], over the server's unix socket.
    pub fn connect_unix(server: &Server) -> Self {
        let stream = UnixStream::connect(server.socket()).expect("the server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket option");
        Self::over(Stream::Unix(stream))
    }

    /// Reduces the kernel's receive buffer of this connection.
    pub fn shrink_receive_buffer(&self) {
        match &self.stream {
            Stream::Tcp(stream) => sockopt::set_socket_recv_buffer_size(stream, 4096),
            Stream::Tls(stream) => sockopt::set_socket_recv_buffer_size(&stream.sock, 4096),
            Stream::Unix(stream) => sockopt::set_socket_recv_buffer_size(stream, 4096),
        }
        .expect("a socket option");
    }

    /// Sends raw bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    /// Sends raw bytes; the server may have closed the connection.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends a text frame.
    pub fn send_text(&mut self, text: &str) {
        self.send(&frame(1, text.as_bytes()));
    }

    /// Subscribes, and waits until the server has processed it.
    pub fn subscribe(&mut self, topic: &str) {
        let topic = serde_json::to_string(topic).expect("a string");
        self.send_text(&format!("[5,{topic}]"));
        self.sync();
    }

    /// Waits until the server has processed everything sent so far.
    pub fn sync(&mut self) {
        self.send_text(r#"[2,"sync","orosync/session"]"#);
        loop {
            let text = self.text();
            if text.starts_with(r#"[3,"sync","#) {
                return;
            }
        }
    }

    /// The next text frame; pings before it are answered.
    pub fn text(&mut self) -> String {
        match self.receive() {
            Received::Text(text) => text,
            other => panic!("a text frame was expected, not {other:?}"),
        }
    }

    /// The next frame that is not a ping, or the end.
    pub fn receive(&mut self) -> Received {
        loop {
            match self.next_frame() {
                Received::Ping => self.send(&frame(10, b"")),
                other => return other,
            }
        }
    }

    /// Like [`Client::receive`], if the server may close the session while this client is writing.
    pub fn receive_or_reset(&mut self) -> Received {
        loop {
            match self.next_frame() {
                Received::Ping => {
                    // If this fails, the next read returns the end.
                    let _ = self.try_send(&frame(10, b""));
                }
                other => return other,
            }
        }
    }

    /// The next frame, or the end.
    pub fn next_frame(&mut self) -> Received {
        loop {
            if let Some((opcode, payload)) = self.take_frame() {
                return match opcode {
                    1 => Received::Text(String::from_utf8(payload).expect("text is UTF-8")),
                    8 => Received::Close(u16::from_be_bytes([payload[0], payload[1]])),
                    9 => Received::Ping,
                    10 => Received::Pong,
                    other => panic!("a WAMP v1 server sends no frames of type {other}"),
                };
            }
            match self.read_more() {
                Ok(0) => return Received::End,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Received::End,
                Err(error) => panic!("nothing was received: {error}"),
            }
        }
    }

    /// Sends an upgrade request and reads the head of the response. Data after the head stays unread.
    pub fn handshake(&mut self, target: &str, more_headers: &str) -> &str {
        self.send(request(target, more_headers).as_bytes());
        self.read_head();
        &self.head
    }

    /// Reads the head of an HTTP response.
    pub fn read_head(&mut self) {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_more().expect("the server answers") > 0, "the server closed the connection");
        };
        self.head = String::from_utf8(self.received.drain(..end).collect()).expect("a head is ASCII");
    }

    /// The bytes of one read, which show what the server sent in one write.
    pub fn read_once(&mut self) -> Vec<u8> {
        self.read_more().expect("the server sends");
        std::mem::take(&mut self.received)
    }

    /// Like [`Client::read_once`], if the server may close the connection.
    pub fn read_once_or_end(&mut self) -> Vec<u8> {
        // An error means that the connection was reset before any byte was read.
        let _ = self.read_more();
        std::mem::take(&mut self.received)
    }

    /// All bytes until the server closes the connection.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more().is_ok_and(|length| length > 0) {}
        std::mem::take(&mut self.received)
    }

    /// Shuts down the writing half of the connection.
    pub fn finish(&self) {
        // An error means that the server has already closed it.
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => stream.sock.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Closes the connection with RST; the peer may still read data that was sent before.
    pub fn reset(self) {
        match &self.stream {
            Stream::Tcp(stream) => sockopt::set_socket_linger(stream, Some(Duration::ZERO)),
            Stream::Tls(stream) => sockopt::set_socket_linger(&stream.sock, Some(Duration::ZERO)),
            Stream::Unix(stream) => sockopt::set_socket_linger(stream, Some(Duration::ZERO)),
        }
        .expect("a socket option");
    }

    /// The underlying connection. Asserts that all received bytes were read.
    pub fn into_tcp(self) -> TcpStream {
        assert!(self.received.is_empty(), "received bytes were not read");
        match self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(_) | Stream::Unix(_) => panic!("not a plain TCP connection"),
        }
    }

    fn open_session(&mut self, target: &str, offer: &str) {
        let head = self.handshake(target, offer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let welcome = self.text();
        assert!(welcome.starts_with("[0,\""), "{welcome}");
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.received.first()?, *self.received.get(1)?);
        let (length, start) = match second {
            126 => (usize::from(u16::from_be_bytes(self.received.get(2..4)?.try_into().ok()?)), 4),
            127 => {
                (usize::try_from(u64::from_be_bytes(self.received.get(2..10)?.try_into().ok()?)).ok()?, 10)
            }
            short => (usize::from(short), 2),
        };
        let payload = self.received.get(start..start + length)?.to_vec();
        self.received.drain(..start + length);
        Some((first & 0x0f, payload))
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let length = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer)?,
            Stream::Tls(stream) => stream.read(&mut buffer)?,
            Stream::Unix(stream) => stream.read(&mut buffer)?,
        };
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

fn tcp_to(address: SocketAddr) -> TcpStream {
    with_options(TcpStream::connect(address).expect("the server listens"))
}

fn tcp_from(source: IpAddr, address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).expect("an address of this machine");
    rustix::net::connect(&socket, &address).expect("the server listens");
    with_options(TcpStream::from(socket))
}

fn with_options(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket option");
    stream
}

/// An upgrade request.
pub fn request(target: &str, more_headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more_headers}\r\n"
    )
}

/// A client frame.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0b1000_0000;
    const FINAL: u8 = 0b1000_0000;
    let mut frame = vec![FINAL | opcode];
    if let Ok(short @ 0..=125) = u8::try_from(payload.len()) {
        frame.push(MASKED + short);
    } else if let Ok(middle) = u16::try_from(payload.len()) {
        frame.push(MASKED + 126);
        frame.extend(middle.to_be_bytes());
    } else {
        frame.push(MASKED + 127);
        frame.extend((payload.len() as u64).to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
