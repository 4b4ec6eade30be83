//! The command `watch` over TLS, and its exit code for each way in which a connection can end.
//!
//! The server is scripted, because the real one cannot be told to break a connection.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use orosync_protocol::wamp::{ClientMessage, ServerMessage, decode_client, encode_server};
use orosync_protocol::{Payload, subprotocol};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, Utf8Bytes, WebSocket};

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// The server's side of one connection.
struct Script(WebSocket<Box<dyn Stream>>);

impl Script {
    fn accept(stream: Box<dyn Stream>) -> Self {
        #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
        let answer = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], subprotocol::OROSYNC);
            assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Bearer ey"));
            let protocol = HeaderValue::from_static(subprotocol::OROSYNC);
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let mut script = Self(tungstenite::accept_hdr(stream, answer).unwrap());
        script.send(&ServerMessage::Welcome { session: "0".repeat(32), ident: "script".to_owned() });
        script
    }

    fn send(&mut self, message: &ServerMessage) {
        let text = Utf8Bytes::try_from(encode_server(message)).unwrap();
        self.0.send(Message::Text(text)).unwrap();
    }

    /// Confirms the subscriptions. Returns their topics.
    fn confirm(&mut self) -> Vec<String> {
        let mut topics = Vec::new();
        loop {
            let Message::Text(text) = self.0.read().unwrap() else { continue };
            match decode_client(&Bytes::from(text)).unwrap() {
                ClientMessage::Subscribe { topic } => topics.push(topic),
                ClientMessage::Call { call_id, .. } => {
                    self.send(&ServerMessage::CallResult { call_id, result: Payload::null() });
                    return topics;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn event(&mut self, topic: &str, json: &'static str) {
        let payload = Payload::from_encoder(Bytes::from_static(json.as_bytes())).unwrap();
        self.send(&ServerMessage::Event { topic: topic.to_owned(), payload });
    }
}

/// A running `watch`.
struct Watch {
    child: Child,
    _folder: TempDir,
}

impl Watch {
    fn start(endpoint: &str, certificate: &str, topics: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (secret, roots) = (folder.path().join("secret"), folder.path().join("roots.pem"));
        std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
        std::fs::write(&roots, certificate).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_orosync-server"))
            .env_clear()
            .env("SSL_CERT_FILE", roots)
            .arg("watch")
            .args(topics)
            .args(["--endpoint", endpoint, "--secret-file"])
            .arg(secret)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, _folder: folder }
    }

    fn wait_for_the_subscription(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.as_mut().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

/// Runs the script on the first connection to the returned endpoint.
fn serve(script: impl FnOnce(Script) + Send + 'static) -> String {
    serve_streams(|stream| Box::new(stream), "ws", "127.0.0.1", script)
}

fn serve_streams(
    wrap: impl FnOnce(TcpStream) -> Box<dyn Stream> + Send + 'static,
    scheme: &str,
    host: &str,
    script: impl FnOnce(Script) + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("{scheme}://{host}:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || script(Script::accept(wrap(listener.accept().unwrap().0))));
    endpoint
}

#[test]
fn each_event_received_over_tls_is_printed_as_one_line() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(),
        )
        .unwrap();
    let encrypt = move |stream| -> Box<dyn Stream> {
        Box::new(StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream))
    };
    let endpoint = serve_streams(encrypt, "wss", "localhost", |mut script| {
        assert_eq!(script.confirm(), ["acme/a", "acme/b"]);
        script.event("acme/a", "{\n \"x\": 1 }");
        script.event("acme/b", "\"y\"");
        let frame = CloseFrame { code: 1001.into(), reason: "going away".into() };
        script.0.close(Some(frame)).unwrap();
        while script.0.read().is_ok() {}
    });
    let mut watch = Watch::start(&endpoint, &cert.pem(), &["acme/b", "acme/a", "acme/b"]);
    assert_eq!(watch.wait_for_the_subscription(), format!("subscribed to 2 topics at {endpoint}\n"));
    let (code, stdout, _) = watch.end();
    assert_eq!(stdout, "acme/a\t{  \"x\": 1 }\nacme/b\t\"y\"\n");
    assert_eq!(code, Some(1));
}

#[test]
fn a_signal_ends_watch_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let endpoint = serve(|mut script| {
            script.confirm();
            while script.0.read().is_ok() {}
        });
        let mut watch = Watch::start(&endpoint, "", &["acme/a"]);
        watch.wait_for_the_subscription();
        kill_process(Pid::from_child(&watch.child), signal).unwrap();
        assert_eq!(watch.end().0, Some(0), "{signal:?}");
    }
}

#[test]
fn a_lost_connection_is_a_failure() {
    let endpoint = serve(|mut script| {
        script.confirm();
    });
    let (code, _, stderr) = Watch::start(&endpoint, "", &["acme/a"]).end();
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&format!("orosync-server: {endpoint}: the server ended the connection\n")),
        "{stderr}"
    );
}

#[test]
fn a_refused_topic_is_a_failure_with_the_reason() {
    let endpoint = serve(|mut script| {
        let refusal = ServerMessage::CallError {
            call_id: Payload::from_encoder(Bytes::from_static(b"\"acme/a\"")).unwrap(),
            error_uri: "acme/a".to_owned(),
            description: "No.\nReally \u{1b}[31mnot.".to_owned(),
            details: None,
        };
        script.send(&refusal);
        script.confirm();
        while script.0.read().is_ok() {}
    });
    let (code, _, stderr) = Watch::start(&endpoint, "", &["acme/a", "acme/b"]).end();
    assert_eq!(code, Some(1));
    assert_eq!(stderr, format!("orosync-server: {endpoint}: No. Really  [31mnot.\n"));
}

#[test]
fn a_closed_standard_output_is_not_a_failure() {
    let endpoint = serve(|mut script| {
        script.confirm();
        // Reads until the client disconnects.
        while script.0.send(Message::Text(Utf8Bytes::from_static("[8,\"acme/a\",1]"))).is_ok() {}
    });
    let mut watch = Watch::start(&endpoint, "", &["acme/a"]);
    let mut line = String::new();
    BufReader::new(watch.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "acme/a\t1\n");
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
}
