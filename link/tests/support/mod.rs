//! The server's end of the backend link, driven step by step by a test, over real sockets.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use orosync_link::{Endpoint, Endpoints, Options};
use orosync_protocol::Audience;
use orosync_protocol::link_frame::{Message, PublisherFrame, ServerFrame};
use orosync_protocol::ticket::{CHALLENGE, Role, Signer, Verifier};
use orosync_protocol::{CloseReason, Payload, PublisherId, Seq, Topic, subprotocol};
use rustix::net::sockopt;
use tempfile::TempDir;
use tungstenite::WebSocket;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};

/// Time limit for each step of a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const SECRET: &[u8] = b"a secret that only tests know, of more than 32 bytes";

/// Publisher options for this endpoint.
pub(crate) fn options(endpoint: &Endpoint) -> Options {
    Options {
        shutdown_timeout: LIMIT,
        ..Options::new(endpoint.clone().into(), Signer::from_secret(SECRET).unwrap())
    }
}

/// Publisher options for several endpoints.
pub(crate) fn options_of(places: &[&Place]) -> Options {
    let endpoints = Endpoints::new(places.iter().map(|place| place.endpoint()).collect()).unwrap();
    Options { endpoints, ..options(&places[0].endpoint()) }
}

/// A message to the topic `t`.
pub(crate) fn message(json: impl Into<String>) -> Message {
    Message {
        topic: Topic::parse("t").unwrap(),
        payload: Payload::from_encoder(Bytes::from(json.into())).unwrap(),
        audience: Audience::default(),
    }
}

/// A socket path. A server listens on it only while the test says so.
pub(crate) struct Place {
    directory: TempDir,
    listener: Option<UnixListener>,
}

impl Place {
    /// A path without a listener.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), listener: None }
    }

    /// A path with a listener.
    pub(crate) fn listening() -> Self {
        let mut place = Self::empty();
        place.listen();
        place
    }

    pub(crate) fn listen(&mut self) {
        let listener = UnixListener::bind(self.path()).unwrap();
        // The limit of `accept()` as well, by socket(7).
        sockopt::set_socket_timeout(&listener, sockopt::Timeout::Recv, Some(LIMIT)).unwrap();
        self.listener = Some(listener);
    }

    /// Stops listening: connections are refused.
    pub(crate) fn close(&mut self) {
        self.listener = None;
        std::fs::remove_file(self.path()).unwrap();
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix { path: self.path() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Accepts the next connection, without its handshake.
    pub(crate) fn accept_socket(&self) -> UnixStream {
        let (socket, _) = self.listener.as_ref().expect("a listener").accept().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
        socket
    }

    /// Accepts the next connection and answers its handshake with this HTTP response. `headers` are whole lines with CRLF.
    pub(crate) fn answer(&self, status: &str, headers: &str, body: &str) {
        answer(self.accept_socket(), status, headers, body);
    }

    /// Refuses the publisher's ticket at each attempt while `work` runs, for this reason.
    pub(crate) fn refuse_while<T>(&self, reason: &str, work: impl FnOnce() -> T) -> T {
        let challenge = format!("WWW-Authenticate: {CHALLENGE}\r\n");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                loop {
                    let socket = self.accept_socket();
                    if is_over.load(Ordering::Acquire) {
                        break;
                    }
                    answer(socket, "401 Unauthorized", &challenge, reason);
                }
            });
            let result = work();
            is_over.store(true, Ordering::Release);
            // Ends the wait of the thread.
            drop(UnixStream::connect(self.path()).unwrap());
            result
        })
    }

    /// Accepts the next connection, with its handshake, and reads its Hello.
    pub(crate) fn accept(&self) -> Connection {
        let mut bearer = None;
        #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
        let check = |request: &Request, mut response: Response| {
            let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
            assert_eq!(header("sec-websocket-protocol"), subprotocol::LINK);
            bearer = Some(header("authorization"));
            let protocol = HeaderValue::from_static(subprotocol::LINK);
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let config = Some(WebSocketConfig::default().write_buffer_size(0));
        let websocket = tungstenite::accept_hdr_with_config(self.accept_socket(), check, config).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ticket = bearer.unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        let verified = Verifier::from_secret(SECRET).unwrap().verify(&ticket, now).unwrap();
        assert_eq!(verified.identity.role, Role::Publisher);
        let mut connection = Connection { websocket, publisher: PublisherId(0), ticket };
        match connection.read() {
            PublisherFrame::Hello { publisher } => connection.publisher = publisher,
            PublisherFrame::Publish { .. } => panic!("Publish before Hello"),
        }
        connection
    }

    /// Accepts the next connection and sends Welcome. `accepted`: the number of the last accepted message; 0: none.
    pub(crate) fn welcome(&self, accepted: u64) -> Connection {
        let mut connection = self.accept();
        connection.send(&ServerFrame::Welcome { accepted: Seq::new(accepted) });
        connection
    }
}

/// Reads the head of a handshake and answers it with this HTTP response.
fn answer(mut socket: UnixStream, status: &str, headers: &str, body: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let length = body.len();
    // In one write: the publisher closes the connection after reading the head.
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
    socket.write_all(answer.as_bytes()).unwrap();
}

/// A connection of a publisher.
pub(crate) struct Connection {
    websocket: WebSocket<UnixStream>,
    pub(crate) publisher: PublisherId,
    pub(crate) ticket: String,
}

/// The messages of one batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) payloads: Vec<String>,
}

impl Connection {
    /// The next batch.
    pub(crate) fn batch(&mut self) -> Batch {
        match self.read() {
            PublisherFrame::Publish { first, messages } => {
                let text = |message: Message| String::from_utf8(message.payload.as_bytes().to_vec()).unwrap();
                Batch { first: first.get(), payloads: messages.into_iter().map(text).collect() }
            }
            PublisherFrame::Hello { .. } => panic!("a second Hello"),
        }
    }

    /// Reads batches until there are `count` messages with consecutive numbers from `first`. Does not acknowledge them.
    pub(crate) fn messages(&mut self, first: u64, count: usize) -> Vec<String> {
        let mut payloads = Vec::new();
        while payloads.len() < count {
            let batch = self.batch();
            assert_eq!(batch.first, first + payloads.len() as u64, "a gap");
            payloads.extend(batch.payloads);
        }
        payloads
    }

    pub(crate) fn acknowledge(&mut self, accepted: u64) {
        self.send(&ServerFrame::Ack { accepted: Seq::new(accepted).unwrap() });
    }

    pub(crate) fn send(&mut self, frame: &ServerFrame) {
        self.websocket.send(tungstenite::Message::Binary(frame.encode())).unwrap();
    }

    /// Sends a ping, as a server does each second while messages wait in it.
    pub(crate) fn ping(&mut self) {
        self.websocket.send(tungstenite::Message::Ping(Bytes::new())).unwrap();
    }

    /// Closes as a server does: a Close frame, then FIN.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        let frame = CloseFrame { code: reason.code().into(), reason: reason.text().into() };
        self.websocket.close(Some(frame)).unwrap();
        self.websocket.flush().unwrap();
        self.end();
    }

    /// Sends FIN, without a Close frame.
    pub(crate) fn end(&mut self) {
        self.websocket.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Answers pings until the publisher sends a Close frame. Returns its close code.
    pub(crate) fn close_code(&mut self) -> CloseCode {
        loop {
            match self.websocket.read().unwrap() {
                tungstenite::Message::Close(frame) => return frame.unwrap().code,
                tungstenite::Message::Ping(_) => self.websocket.flush().unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the publisher has closed the connection. Returns the bytes read until then.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.websocket.get_mut().read_to_end(&mut rest).unwrap();
        rest
    }

    fn read(&mut self) -> PublisherFrame {
        loop {
            match self.websocket.read().unwrap() {
                tungstenite::Message::Binary(frame) => return PublisherFrame::decode(frame).unwrap(),
                tungstenite::Message::Ping(_) => self.websocket.flush().unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether all items are different.
pub(crate) fn all_different<T: std::hash::Hash + Eq>(items: &[T]) -> bool {
    items.iter().collect::<HashSet<_>>().len() == items.len()
}
