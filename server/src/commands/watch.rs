//! `watch`: subscribes to topics and prints their events. It speaks WAMP like a browser, with the identity of a publisher,
//! which may subscribe to every declared topic.
//!
//! A separate thread reads the socket; the main thread waits for a signal or for the end of that thread. Bound: one message
//! in memory, of at most [`MAX_MESSAGE_BYTES`].

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use orosync_link::{Endpoint, Endpoints};
use orosync_protocol::wamp::{ClientMessage, ServerMessage, decode_server, encode_client};
use orosync_protocol::{Payload, Topic, subprotocol};
use rustls::InvalidMessage;
use tokio::sync::oneshot;
use tungstenite::client::IntoClientRequest;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::Request;
use tungstenite::http::{HeaderName, HeaderValue, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message, Utf8Bytes, WebSocket, client_tls_with_config};

use super::common::{Failure, endpoint, issue, output_failed, publisher, signer};
use crate::cli::WatchArgs;
use crate::config::Settings;
use crate::process::Requests;

/// Time limit for the connection and for each answer of the handshake. Also the idle time after which a ping is sent, and the
/// time limit for its answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Lifetime of the ticket, which is used at once.
const TICKET_SECONDS: u64 = 60;

/// Maximum size of a message: an EVENT with the largest payload and a fully escaped topic, with a margin.
const MAX_MESSAGE_BYTES: usize = Payload::MAX_BYTES + (64 << 10);

/// Maximum number of characters of the server's text in an error.
const MAX_SHOWN_CHARACTERS: usize = 500;

/// Called after the subscriptions: the server answers in order, so its result means that they have been handled.
const PROCEDURE: &str = "orosync/session";

/// Prints the events of the topics until SIGTERM, SIGINT or SIGHUP.
pub(super) fn watch(arguments: WatchArgs, settings: &Settings) -> Result<(), Failure> {
    let endpoints = match arguments.endpoint {
        Some(endpoints) => endpoints,
        None => endpoint(settings)?.into(),
    };
    let topics: BTreeSet<Topic> = arguments.topics.into_iter().collect();
    let ticket = issue(signer(settings)?, &publisher(), TICKET_SECONDS)?;
    let cannot_start = |error: io::Error| Failure::Failed(format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot_start)?;
    runtime.block_on(async {
        let mut requests = Requests::listen().map_err(cannot_start)?;
        let (sender, ended) = oneshot::channel();
        thread::spawn(move || {
            // An error means that a signal came first.
            let _ = sender.send(connect_and_print(&endpoints, &ticket, &topics));
        });
        tokio::select! {
            outcome = ended => outcome.unwrap_or_else(|_| Err(Failure::Failed("the reading thread panicked".to_owned()))),
            _ = requests.next() => Ok(()),
        }
    })
}

fn connect_and_print(endpoints: &Endpoints, ticket: &str, topics: &BTreeSet<Topic>) -> Result<(), Failure> {
    let (endpoint, mut watched) = connect_to_one(endpoints, ticket)?;
    watched.subscribe(topics).map_err(|problem| at(endpoint, &problem))?;
    let mut output = io::stdout();
    let mut refused = Vec::new();
    loop {
        match watched.next_message().map_err(|problem| at(endpoint, &problem))? {
            ServerMessage::Event { topic, payload } => match print(&topic, &payload, &mut output) {
                Ok(()) => {}
                // The reader of the pipe has ended.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(output_failed(&error)),
            },
            ServerMessage::CallError { description, .. } => refused.push(shown(&description)),
            ServerMessage::CallResult { .. } if refused.is_empty() => {
                eprintln!("subscribed to {} topics at {endpoint}", topics.len());
            }
            ServerMessage::CallResult { .. } => return Err(at(endpoint, &refused.join("\n"))),
            ServerMessage::Welcome { .. } | ServerMessage::Prefix { .. } => {}
        }
    }
}

/// Connects to the first endpoint that answers. Each node of a cluster has all events.
fn connect_to_one<'a>(endpoints: &'a Endpoints, ticket: &str) -> Result<(&'a Endpoint, Watched), Failure> {
    let mut problems = Vec::new();
    for endpoint in endpoints.as_slice() {
        match connect(endpoint, ticket) {
            Ok(watched) => return Ok((endpoint, watched)),
            Err(problem) => problems.push(format!("{endpoint}: {problem}")),
        }
    }
    Err(Failure::Failed(problems.join("\n")))
}

/// Prints an event as one line. Line breaks between the JSON tokens are replaced by spaces.
fn print(topic: &str, payload: &Payload, output: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::with_capacity(topic.len() + payload.len() + 2);
    line.extend_from_slice(topic.as_bytes());
    line.push(b'\t');
    // JSON strings contain no raw line breaks, so every line break is between tokens.
    line.extend(
        payload.as_bytes().iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
    );
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

trait Stream: Read + Write {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// The connection of `watch`.
struct Watched {
    websocket: WebSocket<MaybeTlsStream<Box<dyn Stream>>>,
    ping_sent: bool,
}

fn connect(endpoint: &Endpoint, ticket: &str) -> Result<Watched, String> {
    let stream = open(endpoint)
        .map_err(|error| format!("cannot connect: {error}. Is orosync-server running there?"))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let request = request(endpoint, ticket).map_err(|error| error.to_string())?;
    match client_tls_with_config(request, stream, Some(config), None) {
        Ok((websocket, _)) => Ok(Watched { websocket, ping_sent: false }),
        Err(HandshakeError::Interrupted(_)) => Err(format!("no answer within {TIMEOUT:?}")),
        Err(HandshakeError::Failure(Error::Http(response))) => {
            let answer = response.body().as_deref().unwrap_or_default();
            Err(format!(
                "the server answers {}: {}",
                response.status(),
                shown(&String::from_utf8_lossy(answer))
            ))
        }
        Err(HandshakeError::Failure(error)) if is_no_tls(&error) => Err(
            "TLS: the server at this address does not speak TLS. Write ws:// in --endpoint (orosync.backend in Symfony), or the \
             port that does"
                .to_owned(),
        ),
        Err(HandshakeError::Failure(error)) => Err(format!("the handshake failed: {error}")),
    }
}

/// Whether the other end answered with something other than TLS.
fn is_no_tls(error: &Error) -> bool {
    let Error::Io(error) = error else { return false };
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

fn open(endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
    match endpoint {
        Endpoint::Unix { path } => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }
        Endpoint::Web { host, port, .. } => {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, TIMEOUT) {
                    Ok(stream) => {
                        stream.set_read_timeout(Some(TIMEOUT))?;
                        return Ok(Box::new(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

fn request(endpoint: &Endpoint, ticket: &str) -> tungstenite::Result<Request> {
    let url = match endpoint {
        Endpoint::Web { .. } => endpoint.to_string(),
        Endpoint::Unix { .. } => "ws://localhost/".to_owned(),
    };
    let mut request = url.into_client_request()?;
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {ticket}")).map_err(tungstenite::http::Error::from)?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    request.headers_mut().insert(
        HeaderName::from_static("sec-websocket-protocol"),
        HeaderValue::from_static(subprotocol::OROSYNC),
    );
    Ok(request)
}

impl Watched {
    fn subscribe(&mut self, topics: &BTreeSet<Topic>) -> Result<(), String> {
        for topic in topics {
            self.send(&ClientMessage::Subscribe { topic: topic.as_str().to_owned() })?;
        }
        let call_id = Payload::from_encoder(Bytes::from_static(b"\"subscribed\""))
            .map_err(|error| error.to_string())?;
        self.send(&ClientMessage::Call { call_id, procedure: PROCEDURE.to_owned(), arguments: vec![] })
    }

    fn send(&mut self, message: &ClientMessage) -> Result<(), String> {
        let text = Utf8Bytes::try_from(encode_client(message)).map_err(|error| error.to_string())?;
        self.websocket.send(Message::Text(text)).map_err(lost)
    }

    fn next_message(&mut self) -> Result<ServerMessage, String> {
        loop {
            let message = self.websocket.read();
            let silent = matches!(&message, Err(Error::Io(error)) if is_timeout(error));
            match message {
                Ok(Message::Text(text)) => {
                    self.ping_sent = false;
                    return decode_server(&Bytes::from(text))
                        .map_err(|error| format!("the server sent an invalid WAMP v1 message: {error}"));
                }
                Ok(Message::Close(Some(frame))) => {
                    let code = u16::from(frame.code);
                    return Err(format!("the server closed the connection: {code} {}", shown(&frame.reason)));
                }
                Ok(_) => self.ping_sent = false,
                Err(_) if silent && !self.ping_sent => {
                    self.ping_sent = true;
                    self.websocket.send(Message::Ping(Bytes::new())).map_err(lost)?;
                }
                Err(_) if silent => return Err(format!("no answer for {:?}", 2 * TIMEOUT)),
                Err(error) => return Err(lost(error)),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn lost(error: Error) -> String {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the server ended the connection".to_owned()
        }
        other => format!("the connection was lost: {other}"),
    }
}

fn at(endpoint: &Endpoint, problem: &str) -> Failure {
    Failure::Failed(format!("{endpoint}: {problem}"))
}

/// Text from the server on one line, truncated to [`MAX_SHOWN_CHARACTERS`].
fn shown(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SHOWN_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_its_white_space() {
        let payload = Payload::from_encoder(Bytes::from_static(b"{\r\n  \"a\": \"x\\ny\"\n}")).unwrap();
        let mut output = Vec::new();
        print("oro/ping", &payload, &mut output).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "oro/ping\t{    \"a\": \"x\\ny\" }\n");
    }

    #[test]
    fn the_error_for_a_port_without_tls_says_so() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("wss://{}/", listener.local_addr().unwrap()).parse().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Reads until the other end closes the connection.
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let Err(error) = connect(&endpoint, "a ticket") else { panic!("connected") };
        assert!(
            error.starts_with("TLS: the server at this address does not speak TLS. Write ws://"),
            "{error}"
        );
    }

    #[test]
    fn the_debug_output_of_a_request_does_not_contain_the_ticket() {
        let request = request(&"ws://localhost/".parse().unwrap(), "very-secret").unwrap();
        assert!(!format!("{request:?}").contains("very-secret"));
    }

    #[test]
    fn text_from_the_server_is_truncated_to_one_line() {
        assert_eq!(shown("\n no \u{1b}[31m such\r\ntopic \n"), "no  [31m such  topic");
        assert_eq!(shown(&"x".repeat(5000)).len(), MAX_SHOWN_CHARACTERS);
    }
}
