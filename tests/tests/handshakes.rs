//! A table of requests and their exact responses (RFC 6455, 4.2).
//!
//! If a request has several errors, the response names the most helpful one: the kind of the request comes first. A response never
//! contains data that a client sent.

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, Received, frame};
use orosync_tests::server::{Server, ticket, ticket_for_pages};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\n";
const CONNECTION: &str = "Connection: Upgrade\r\n";
const HOST: &str = "Host: localhost\r\n";

/// RFC 6455, 1.3: the accept key of `KEY`.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The expected response.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// 101 without a subprotocol, then WELCOME.
    Session,
    /// 101 with this subprotocol, then WELCOME.
    SessionOf(&'static str),
    /// Status, additional headers, body; then the end.
    Refused(&'static str, &'static str, &'static str),
    /// No response, because the request is incomplete.
    Nothing,
}

use Answer::{Nothing, Refused, Session, SessionOf};

const UPGRADE_HEADERS: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
const BAD: Answer = Refused("400 Bad Request", "", "This is not a WebSocket handshake (RFC 6455, 4.2.1).");
const NO_PAGE: Answer = Refused(
    "426 Upgrade Required",
    UPGRADE_HEADERS,
    "This port serves the WebSocket connections of an application, not web pages.",
);
const OTHER_VERSION: Answer = Refused(
    "426 Upgrade Required",
    UPGRADE_HEADERS,
    "Only version 13 of the WebSocket protocol is supported.",
);
const HTTP_VERSION: Answer =
    Refused("505 HTTP Version Not Supported", "", "A WebSocket handshake requires HTTP/1.1.");
const METHOD: Answer =
    Refused("405 Method Not Allowed", "Allow: GET\r\n", "A WebSocket handshake must be a GET request.");
const TOO_LARGE: Answer = Refused(
    "431 Request Header Fields Too Large",
    "",
    "The request head is too large. If cookies are the reason, raise limits.handshake_bytes.",
);
const TICKET: Answer = Refused(
    "401 Unauthorized",
    "WWW-Authenticate: Bearer realm=\"orosync\"\r\n",
    "The ticket was rejected, for the reason in the server's log. Request a new ticket from the application.",
);
const NOT_A_PUBLISHER: Answer = Refused(
    "401 Unauthorized",
    "WWW-Authenticate: Bearer realm=\"orosync\"\r\n",
    "The backend link requires a publisher's ticket as Authorization: Bearer.",
);
const ORIGIN: Answer = Refused(
    "403 Forbidden",
    "",
    "Pages of this origin may not connect. To allow them, add the host to auth.allowed_origins.",
);

const ORIGIN_OF_TICKET: Answer = Refused(
    "403 Forbidden",
    "",
    "The ticket does not allow pages of this host. To allow them, add the host to the origins of the application's tickets.",
);

/// A valid request with additional headers.
fn with(more: &str) -> String {
    format!("GET / HTTP/1.1\r\n{HOST}{UPGRADE}{CONNECTION}{VERSION}{KEY}{more}\r\n")
}

/// A valid request with this target.
fn to(target: &str) -> String {
    with("").replace("GET / ", &format!("GET {target} "))
}

/// A valid request in which `this` is replaced by `other`.
fn replacing(this: &str, other: &str) -> String {
    let valid = with("");
    assert!(valid.contains(this), "nothing to replace: {this:?}");
    valid.replacen(this, other, 1)
}

/// The requests and their responses: RFC 6455, 4.2.1, and RFC 9112.
#[expect(clippy::too_many_lines, reason = "one table")]
fn requests() -> Vec<(&'static str, String, Answer)> {
    let long = |length| "x".repeat(length);
    vec![
        // The request line.
        ("a valid request", with(""), Session),
        ("a path and a query", to("/some/path?a=b&c"), Session),
        ("an absolute URI", to("ws://localhost/path"), Session),
        ("an absolute URI of HTTP", to("http://localhost:8080/"), Session),
        ("an absolute URI with another host than the header's", to("http://other.example/"), Session),
        ("an asterisk", to("*"), Session),
        ("an escaped path", to("/%00%ff%2e%2e/"), Session),
        ("a path with brackets", to("/[]?[]"), Session),
        ("an empty line before the request", format!("\r\n{}", with("")), Session),
        ("a target with a space", to("/a b"), BAD),
        ("no target", replacing("GET / ", "GET  "), BAD),
        ("no version at all", replacing("GET / HTTP/1.1", "GET /"), BAD),
        ("HTTP/1.0", replacing("HTTP/1.1", "HTTP/1.0"), HTTP_VERSION),
        ("HTTP/0.9", replacing("HTTP/1.1", "HTTP/0.9"), HTTP_VERSION),
        ("HTTP/1.2", replacing("HTTP/1.1", "HTTP/1.2"), HTTP_VERSION),
        ("HTTP/2.0", replacing("HTTP/1.1", "HTTP/2.0"), HTTP_VERSION),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), HTTP_VERSION),
        ("http in lower case", replacing("HTTP/1.1", "http/1.1"), BAD),
        ("POST", replacing("GET", "POST"), METHOD),
        ("HEAD", replacing("GET", "HEAD"), METHOD),
        ("OPTIONS", replacing("GET", "OPTIONS"), METHOD),
        ("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n".to_owned(), METHOD),
        ("get in lower case", replacing("GET", "get"), METHOD),
        ("a method with a colon", replacing("GET", "GE:T"), BAD),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(), BAD),
        ("a plain request", format!("GET / HTTP/1.1\r\n{HOST}\r\n"), NO_PAGE),
        // Host.
        ("no Host", replacing(HOST, ""), BAD),
        ("two Hosts", with("Host: other\r\n"), BAD),
        ("an empty Host", replacing(HOST, "Host:\r\n"), Session),
        // Upgrade and Connection.
        ("no Upgrade", replacing(UPGRADE, ""), NO_PAGE),
        ("no Connection", replacing(CONNECTION, ""), NO_PAGE),
        ("an upgrade to HTTP/2", replacing("websocket", "h2c"), NO_PAGE),
        ("one of several upgrades", replacing("websocket", "h2c, websocket"), Session),
        ("Upgrade in two lines", with("Upgrade: h2c\r\n"), Session),
        ("Upgrade in upper case", replacing("Upgrade: websocket", "UPGRADE: WebSocket"), Session),
        ("a longer word", replacing("Upgrade: websocket", "Upgrade: websockets"), NO_PAGE),
        ("a version of the protocol", replacing("Upgrade: websocket", "Upgrade: websocket/13"), NO_PAGE),
        ("Firefox's Connection", replacing(CONNECTION, "Connection: keep-alive, Upgrade\r\n"), Session),
        (
            "Connection in two lines",
            replacing(CONNECTION, "Connection: keep-alive\r\nConnection: upgrade\r\n"),
            Session,
        ),
        ("Connection: close", replacing(CONNECTION, "Connection: close\r\n"), NO_PAGE),
        ("Connection: Upgraded", replacing(CONNECTION, "Connection: Upgraded\r\n"), NO_PAGE),
        // Sec-WebSocket-Version.
        ("no version", replacing(VERSION, ""), OTHER_VERSION),
        ("version 8", replacing(VERSION, "Sec-WebSocket-Version: 8\r\n"), OTHER_VERSION),
        ("version 013", replacing(VERSION, "Sec-WebSocket-Version: 013\r\n"), OTHER_VERSION),
        ("version +13", replacing(VERSION, "Sec-WebSocket-Version: +13\r\n"), OTHER_VERSION),
        ("two versions in one line", replacing(VERSION, "Sec-WebSocket-Version: 13, 8\r\n"), OTHER_VERSION),
        ("two versions in two lines", with("Sec-WebSocket-Version: 8\r\n"), OTHER_VERSION),
        ("the same version in two lines", with(VERSION), OTHER_VERSION),
        ("white space around the version", replacing(VERSION, "Sec-WebSocket-Version:\t 13 \t\r\n"), Session),
        // Sec-WebSocket-Key.
        ("no key", replacing(KEY, ""), BAD),
        ("an empty key", replacing(KEY, "Sec-WebSocket-Key:\r\n"), BAD),
        ("a key of 15 bytes", replacing(KEY, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n"), BAD),
        ("a key of 17 bytes", replacing(KEY, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n"), BAD),
        ("a key without padding", replacing("jZQ==", "jZQ"), BAD),
        ("a key that is not base64", replacing("dGhl", "d_hl"), BAD),
        ("a key followed by other characters", replacing("jZQ==", "jZQ==; x"), BAD),
        ("two keys in two lines", with(KEY), BAD),
        ("two keys in one line", replacing("jZQ==", "jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), BAD),
        // Header syntax.
        ("header names in mixed case", with("").replace("Sec-WebSocket-", "sEC-wEBsOCKET-"), Session),
        ("no space after a colon", with("").replace(": ", ":"), Session),
        ("a folded header", replacing("Upgrade: websocket\r\n", "Upgrade:\r\n websocket\r\n"), BAD),
        ("a folded header after a value", with("X-A: b\r\n c\r\n"), BAD),
        ("a space before a colon", replacing("Upgrade:", "Upgrade :"), BAD),
        ("a header without a colon", with("nonsense\r\n"), BAD),
        ("a header without a name", with(": x\r\n"), BAD),
        ("a NUL byte in a value", with("X-A: a\0b\r\n"), BAD),
        ("a NUL byte in a name", with("X\0A: b\r\n"), BAD),
        ("a carriage return in a value", with("X-A: a\rb\r\n"), BAD),
        ("a line break in a value", with("X-A: a\r\n\tb\r\n"), BAD),
        ("a non-ASCII character in a value", with("X-A: \u{fc}\r\n"), Session),
        ("a non-ASCII character in a name", with("X-\u{fc}: a\r\n"), BAD),
        ("bare line feeds", with("").replace("\r\n", "\n"), Session),
        ("one bare line feed", replacing("Host: localhost\r\n", "Host: localhost\n"), Session),
        ("bare carriage returns", with("").replace("\r\n", "\r"), BAD),
        ("a hundred headers", with(&"X-A: b\r\n".repeat(95)), Session),
        ("more than a hundred headers", with(&"X-A: b\r\n".repeat(96)), TOO_LARGE),
        ("large cookies", with(&format!("Cookie: {}\r\n", long(8 << 10))), Session),
        ("too large cookies", with(&format!("Cookie: {}\r\n", long(16 << 10))), TOO_LARGE),
        ("a target without an end", format!("GET /{}", long(16 << 10)), TOO_LARGE),
        ("a header without an end", format!("GET / HTTP/1.1\r\nX-A: {}", long(16 << 10)), TOO_LARGE),
        ("a head without its last line", with("").trim_end().to_owned(), Nothing),
        // Bodies and smuggling: a handshake has none.
        ("a body", with("Content-Length: 5\r\n") + "hello", BAD),
        ("a body of length 0", with("Content-Length: 0\r\n"), Session),
        ("a negative body", with("Content-Length: -1\r\n"), BAD),
        ("a body of +0", with("Content-Length: +0\r\n"), BAD),
        ("a body of 0x0", with("Content-Length: 0x0\r\n"), BAD),
        ("two lengths", with("Content-Length: 0\r\nContent-Length: 5\r\n"), BAD),
        ("the same length twice", with("Content-Length: 0\r\nContent-Length: 0\r\n"), Session),
        ("two lengths in one line", with("Content-Length: 0, 5\r\n"), BAD),
        ("chunks", with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", BAD),
        ("chunks in mixed case", with("TRANSFER-ENCODING: Chunked\r\n") + "0\r\n\r\n", BAD),
        ("an unknown transfer encoding", with("Transfer-Encoding: xchunked\r\n"), BAD),
        ("an empty encoding", with("Transfer-Encoding:\r\n"), BAD),
        ("chunks and a length", with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), BAD),
        ("an encoding with a space before its colon", with("Transfer-Encoding : chunked\r\n"), BAD),
        ("a second request after a refused one", replacing(KEY, "") + &with(""), BAD),
        // Subprotocols and extensions.
        ("WAMP v1", with("Sec-WebSocket-Protocol: wamp\r\n"), SessionOf("wamp")),
        ("Orosync's client", with("Sec-WebSocket-Protocol: orosync.1, wamp\r\n"), SessionOf("orosync.1")),
        (
            "Orosync's client, in two lines",
            with("Sec-WebSocket-Protocol: wamp\r\nSec-WebSocket-Protocol: orosync.1\r\n"),
            SessionOf("orosync.1"),
        ),
        ("an unknown protocol", with("Sec-WebSocket-Protocol: mqtt, wamp.2.json\r\n"), Session),
        ("no protocol in the header", with("Sec-WebSocket-Protocol:\r\n"), Session),
        ("a protocol that would split the answer", with("Sec-WebSocket-Protocol: wamp\r\n X: y\r\n"), BAD),
        ("compression", with("Sec-WebSocket-Extensions: permessage-deflate\r\n"), Session),
        (
            "compression as Chromium asks for it",
            with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
            Session,
        ),
        ("invalid extensions", with("Sec-WebSocket-Extensions: ;;,\"\r\n"), Session),
        // Identity.
        ("a page of any site", with("Origin: https://crm.example.com\r\n"), Session),
        ("an empty ticket parameter", to("/?ticket="), Session),
        ("an invalid ticket", to("/?ticket=x"), TICKET),
        ("an invalid bearer token", with("Authorization: Bearer x\r\n"), TICKET),
        ("another kind of authorization", with("Authorization: Basic eDp4\r\n"), Session),
        ("the link without a ticket", with("Sec-WebSocket-Protocol: orosync.link.1\r\n"), NOT_A_PUBLISHER),
    ]
}

/// The expected response as text, without the WELCOME frame after a 101.
fn expected(answer: Answer) -> String {
    match answer {
        Session => switching(""),
        SessionOf(protocol) => switching(&format!("Sec-WebSocket-Protocol: {protocol}\r\n")),
        Refused(status, headers, sentence) => format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n{headers}\r\n{sentence}\n",
            sentence.len() + 1
        ),
        Nothing => String::new(),
    }
}

fn switching(protocol: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{protocol}\r\n"
    )
}

/// The server's response to this request. The client closes its side after the request, so that the server waits for no more data.
fn answer(server: &Server, request: &str) -> String {
    let mut client = Client::connect(server);
    client.send(request.as_bytes());
    client.finish();
    let mut answer = client.read_to_end();
    if answer.starts_with(b"HTTP/1.1 101 ") {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let welcome = answer.split_off(end);
        assert!(
            welcome.starts_with(b"\x81") && welcome[2..].starts_with(b"[0,\""),
            "no WELCOME: {welcome:?}"
        );
    }
    String::from_utf8(answer).expect("answers are ASCII")
}

#[test]
fn each_request_gets_exactly_the_expected_response() {
    let server = Server::start();
    let requests = requests();
    assert!(requests.len() >= 60);
    let mut wrong = Vec::new();
    for (what, request, expectation) in requests {
        let (found, expected) = (answer(&server, &request), expected(expectation));
        if found != expected {
            wrong.push(format!("{what}:\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_request_split_at_any_byte_gets_the_same_response() {
    let server = Server::start();
    let request = with("Sec-WebSocket-Protocol: wamp\r\n");
    for cut in 1..request.len() {
        let mut client = Client::connect(&server);
        client.send(&request.as_bytes()[..cut]);
        client.send(&request.as_bytes()[cut..]);
        client.read_head();
        assert_eq!(client.head, expected(SessionOf("wamp")), "cut at {cut}");
    }
}

#[test]
fn data_after_the_request_is_read_as_frames() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send(&[with("").into_bytes(), frame(1, br#"[2,"early","orosync/session"]"#)].concat());
    client.read_head();
    assert!(client.text().starts_with("[0,"));
    assert!(client.text().starts_with(r#"[3,"early","#));
    // A second request is an invalid frame and gets no second 101.
    let mut client = Client::connect(&server);
    client.send(&[with(""), with("")].concat().into_bytes());
    client.read_head();
    assert!(client.text().starts_with("[0,"));
    assert_eq!(client.receive(), Received::Close(1002));
    assert_eq!(client.receive(), Received::End);
}

#[test]
fn a_page_of_another_origin_is_refused_before_its_ticket_is_used() {
    let mut server =
        Server::start_with("[auth]\nallowed_origins = [\"crm.example.com\", \"*.example.org\"]\n");
    let ticket = ticket(Role::User, Some(1));
    let from = |origin: &str| {
        to(&format!("/?ticket={ticket}")).replace(HOST, &format!("{HOST}Origin: {origin}\r\n"))
    };
    for origin in
        ["https://example.com", "https://crm.example.com.evil.example", "null", "https://example.org", ""]
    {
        assert_eq!(answer(&server, &from(origin)), expected(ORIGIN), "{origin:?}");
    }
    server.await_line(
        "connection refused: pages of https://example.com may not connect. To allow them, add the host to auth.allowed_origins",
    );
    assert_eq!(answer(&server, &from("https://crm.example.com:8443")), expected(Session));
    assert_eq!(
        answer(&server, &from("https://crm.example.com:8443")),
        expected(TICKET),
        "the ticket was used"
    );
    let two = with("Origin: https://crm.example.com\r\nOrigin: https://evil.example\r\n");
    assert_eq!(answer(&server, &two), expected(ORIGIN), "two origins");
    let ticket = ticket_for_pages(&["crm.example.com"]);
    let from = |origin: &str| {
        to(&format!("/?ticket={ticket}")).replace(HOST, &format!("{HOST}Origin: {origin}\r\n"))
    };
    assert_eq!(answer(&server, &from("https://b2b.example.org")), expected(ORIGIN_OF_TICKET));
    assert_eq!(answer(&server, &from("https://crm.example.com")), expected(Session));
}

#[test]
fn a_single_shard_accepts_connections_without_waking_the_main_thread() {
    let server = Server::start_with("shards = 1\n");
    let main_thread = format!("/proc/{0}/task/{0}/status", server.pid().as_raw_nonzero());
    let woken = || {
        let status = std::fs::read_to_string(&main_thread).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("Linux counts them")
    };
    let before = woken();
    for uid in 1..=200 {
        drop(Client::user(&server, orosync_tests::client::OROSYNC, uid));
    }
    let woken = woken() - before;
    assert!(woken < 100, "the main thread was woken {woken} times for 200 connections");
}
