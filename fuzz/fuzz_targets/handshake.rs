//! Fuzzes the opening handshake. The first byte determines how the rest is split; the outcome must not depend on it. The
//! response is well-formed and contains nothing that the client sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orosync_fuzz::{UNIX_NOW, context};
use orosync_protocol::Subprotocol;
use orosync_server::connection::limits::{Capacity, ConnectionLimits};
use orosync_server::connection::{Client, Peer};
use orosync_server::handshake::{Handshake, Outcome};

const HEAD: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";

/// Behind it, for how long the node runs.
const LINK: &str =
    "Sec-WebSocket-Protocol: orosync.link.1\r\nOrosync-Cluster: 00000000000000000000000000000001 ";

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Upgrade { response: Vec<u8>, protocol: Subprotocol, rest: usize },
    Refused(&'static str),
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, request)) = input.split_first() else { return };
    let whole = answer(request, request.len().max(1));
    let max_head_bytes = context().max_head_bytes;
    // Beyond its bound a head is refused when it is that long, whatever would still come.
    if request.len() <= max_head_bytes {
        assert_eq!(whole, answer(request, usize::from(*pieces).max(1)));
    }
    match whole {
        Some(Answer::Upgrade { response, protocol, rest }) => {
            let head = request.len() - rest;
            assert!(head <= max_head_bytes);
            assert!(request.starts_with(b"GET ") || request.starts_with(b"\r") || request.starts_with(b"\n"));
            let response = String::from_utf8(response).expect("a 101 is ASCII");
            let (accept, offer) = response
                .strip_prefix(HEAD)
                .and_then(|rest| rest.strip_suffix("\r\n\r\n"))
                .map(|rest| rest.split_once("\r\n").unwrap_or((rest, "")))
                .expect("the 101 of RFC 6455");
            assert!(
                accept.len() == 28
                    && accept.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=".contains(&c))
            );
            match (offer, protocol) {
                ("", Subprotocol::Wamp)
                | ("Sec-WebSocket-Protocol: wamp", Subprotocol::Wamp)
                | ("Sec-WebSocket-Protocol: orosync.1", Subprotocol::Orosync) => {}
                (offer, Subprotocol::Link) if offer.starts_with(LINK) => {}
                other => panic!("{other:?}"),
            }
        }
        Some(Answer::Refused(_)) => {}
        None => assert!(request.len() < max_head_bytes, "it waits for more than it will take"),
    }
});

/// The response to these bytes in pieces of this length; `None` if more is awaited.
fn answer(request: &[u8], piece: usize) -> Option<Answer> {
    let context = context();
    let limits = ConnectionLimits::new(Capacity { browsers: 1, for_publishers: 1 }, 1);
    let count = limits.admit(Peer::Unix).expect("the first one");
    let mut client = Client::new(Peer::Unix, count);
    let mut handshake = Handshake::default();
    let mut read = 0;
    for bytes in request.chunks(piece) {
        read += bytes.len();
        match handshake.handle_bytes(bytes, &context, &mut client, UNIX_NOW) {
            Outcome::Incomplete => {}
            Outcome::CheckTicket { .. } => panic!("this node knows itself which tickets were used"),
            Outcome::Upgrade(upgrade) => {
                let unread = request.len() - read;
                assert!(request[..read].ends_with(&upgrade.rest));
                return Some(Answer::Upgrade {
                    response: upgrade.response,
                    protocol: upgrade.protocol,
                    rest: upgrade.rest.len() + unread,
                });
            }
            Outcome::Refused { refusal, .. } => return Some(Answer::Refused(refusal.label())),
            Outcome::NotResumed { response, .. } => {
                assert!(response.starts_with(b"HTTP/1.1 101 "));
                return Some(Answer::Refused("not_resumed"));
            }
        }
    }
    None
}
