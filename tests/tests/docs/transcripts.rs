//! Replays the protocol transcripts of the documents: lines with `>` are sent, those with `<` are expected, and those with `$` are
//! shell commands.

use std::net::TcpStream;

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::server::{Server, ticket};
use orosync_tests::wait;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::{Message, WebSocket};

use crate::markdown::{Block, matches};
use crate::sandbox::Sandbox;

/// Replays a session of WAMP v1, as user 7.
pub(crate) fn replay_wamp(block: &Block, sandbox: &Sandbox) {
    let mut client = Client::connect(sandbox.server());
    client.handshake(&format!("/?ticket={}", ticket(Role::User, Some(7))), OROSYNC);
    for (side, words) in lines(block) {
        match side {
            '>' => client.send_text(words),
            '<' => expect(block, words, &client.text()),
            _ => drop(
                sandbox.run_shell(words).unwrap_or_else(|problem| panic!("{}: {problem}", block.location)),
            ),
        }
    }
    client.send_text(r#"[2,"end","orosync/session"]"#);
    let next = client.text();
    assert!(next.starts_with(r#"[3,"end","#), "{}: the server sends more: {next}", block.location);
}

/// Replays a backend link, whose bytes are hexadecimal digits.
pub(crate) fn replay_link(block: &Block, sandbox: &Sandbox) {
    let mut link = open_link(sandbox.server());
    for (side, words) in lines(block) {
        let digits = words.replace(' ', "");
        if side == '>' {
            link.send(Message::Binary(bytes(&digits).into())).expect("the server reads");
        } else {
            expect(block, &digits, &next_frame(&mut link));
        }
    }
    // Further frames would arrive before the answer to the Close frame.
    link.close(None).expect("the server reads");
    assert!(matches!(link.read(), Ok(Message::Close(_))), "{}: the server sends more", block.location);
}

fn lines(block: &Block) -> impl Iterator<Item = (char, &str)> {
    block.text.lines().map(|line| {
        let (side, words) = line.split_once(' ').unwrap_or_default();
        assert!(matches!(side, ">" | "<" | "$"), "{}: {line}", block.location);
        (side.chars().next().unwrap_or_default(), words)
    })
}

fn expect(block: &Block, pattern: &str, text: &str) {
    assert!(matches(pattern, text), "{}:\nexpected {pattern}\nreceived {text}", block.location);
}

fn open_link(server: &Server) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.set_read_timeout(Some(wait::LIMIT)).expect("a socket option");
    let mut request = server.endpoint().into_client_request().expect("a URL");
    for (name, value) in [
        ("authorization", format!("Bearer {}", ticket(Role::Publisher, None))),
        ("sec-websocket-protocol", "orosync.link.1".to_owned()),
    ] {
        let value = HeaderValue::try_from(value).expect("a header's value");
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    tungstenite::client(request, stream).expect("the server accepts publishers").0
}

fn next_frame(link: &mut WebSocket<TcpStream>) -> String {
    match link.read().expect("the server answers") {
        Message::Binary(frame) => {
            frame.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<String>>().concat()
        }
        other => panic!("a link frame is a binary message, not {other}"),
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
