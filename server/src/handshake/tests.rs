use std::time::Duration;

use orosync_protocol::ClusterId;
use orosync_protocol::ticket::{Signer, Terms, Verifier};

use super::*;
use crate::auth::used::UsedTickets;
use crate::connection::limits::{Capacity, ConnectionLimits, Full};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_000_000;
const HEAD: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn context(anonymous: Anonymous) -> HandshakeContext {
    HandshakeContext {
        authenticator: Arc::new(Authenticator::new(
            vec![Verifier::from_secret(SECRET).unwrap()],
            UsedTickets::of_this_node(100),
            None,
        )),
        anonymous,
        allowed_origins: vec![OriginPattern::parse("example.com").unwrap()],
        trusted_proxies: TrustedProxies::parse(["192.0.2.1", "10.0.0.0/8"]).unwrap(),
        max_head_bytes: 4096,
        cluster: Arc::new(Cluster::new(ClusterId(0xabc), NOW - 42)),
    }
}

fn ticket(role: Role) -> String {
    let identity = Identity {
        role,
        user: Some("anna".into()),
        uid: Some(7.into()),
        org: Some(1),
        ..Identity::anonymous()
    };
    Signer::from_secret(SECRET).unwrap().issue(&identity, NOW, 300, 9).unwrap()
}

/// One of two from any address.
fn client(peer: &str) -> Client {
    let peer = Peer::Tcp(peer.parse().unwrap());
    let limits = ConnectionLimits::new(Capacity { browsers: 2, for_publishers: 1 }, 1);
    Client::new(peer, limits.admit(peer).unwrap())
}

fn shake(request: &str) -> Outcome {
    shake_as(&mut client("192.0.2.1:1"), request)
}

fn shake_as(client: &mut Client, request: &str) -> Outcome {
    Handshake::default().handle_bytes(request.as_bytes(), &context(Anonymous::Accept), client, NOW)
}

fn refusal(request: &str) -> Refusal {
    match shake(request) {
        Outcome::Refused { refusal, .. } => refusal,
        other => panic!("{request:?}: {other:?}"),
    }
}

fn upgrade(request: &str) -> Upgrade {
    match shake(request) {
        Outcome::Upgrade(upgrade) => *upgrade,
        other => panic!("{request:?}: {other:?}"),
    }
}

fn request(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HEAD}{more}\r\n")
}

#[test]
fn the_101_matches_the_rfc_and_repeats_the_subprotocol() {
    let response =
        String::from_utf8(upgrade(&request("/", "Sec-WebSocket-Protocol: wamp\r\n")).response).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Protocol: wamp\r\n"));
    assert!(!response.contains(['[', ']']));
}

#[test]
fn the_offered_subprotocols_select_the_protocol() {
    let protocol = |offer: &str| {
        let upgrade = upgrade(&request("/", offer));
        (upgrade.protocol, String::from_utf8(upgrade.response).unwrap().contains("Protocol:"))
    };
    assert_eq!(protocol(""), (Subprotocol::Wamp, false));
    assert_eq!(protocol("Sec-WebSocket-Protocol: mqtt\r\n"), (Subprotocol::Wamp, false));
    assert_eq!(protocol("Sec-WebSocket-Protocol: orosync.1, wamp\r\n"), (Subprotocol::Orosync, true));
    assert_eq!(
        protocol("Sec-WebSocket-Protocol: wamp\r\nSec-WebSocket-Protocol: orosync.1\r\n"),
        (Subprotocol::Orosync, true)
    );
}

#[test]
fn tickets_are_found_in_origin_form_and_absolute_form() {
    for target in ["/ws?ticket=", "/?a=b&ticket=", "ws://host:8080/path?ticket="] {
        let identity =
            upgrade(&request(&format!("{target}{}", ticket(Role::User)), "")).authenticated.identity;
        assert_eq!((identity.role, identity.uid, identity.org), (Role::User, Some(7.into()), Some(1)));
    }
    assert_eq!(upgrade(&request("/ws?ticket=", "")).authenticated.identity, Identity::anonymous());
    assert_eq!(upgrade(&request("ws://host:8080/", "")).authenticated.identity, Identity::anonymous());
}

#[test]
fn bytes_after_the_head_are_kept() {
    let upgrade = upgrade(&(request("/", "") + "\u{1}frames"));
    assert_eq!(*upgrade.rest, *b"\x01frames");
}

#[test]
fn a_head_may_arrive_byte_by_byte() {
    let context = context(Anonymous::Accept);
    let request = request("/", "");
    let mut handshake = Handshake::default();
    let (last, before) = request.as_bytes().split_last().unwrap();
    for byte in before {
        assert!(matches!(
            handshake.handle_bytes(&[*byte], &context, &mut client("192.0.2.1:1"), NOW),
            Outcome::Incomplete
        ));
    }
    assert!(matches!(
        handshake.handle_bytes(&[*last], &context, &mut client("192.0.2.1:1"), NOW),
        Outcome::Upgrade(_)
    ));
}

#[test]
fn an_invalid_handshake_gets_the_most_helpful_answer() {
    let plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(refusal(plain), Refusal::NotWebSocket);
    assert_eq!(refusal(&request("/", "").replace("GET", "POST")), Refusal::Method);
    assert_eq!(refusal(&request("/", "").replace("HTTP/1.1", "HTTP/1.0")), Refusal::HttpVersion);
    assert_eq!(refusal(&request("/", "").replace("Version: 13", "Version: 8")), Refusal::WebSocketVersion);
    assert_eq!(refusal(&request("/", "").replace("Host: localhost\r\n", "")), Refusal::BadRequest);
    assert_eq!(refusal(&request("/", "Host: twice\r\n")), Refusal::BadRequest);
    assert_eq!(refusal(&request("/", "").replace("jZQ==", "jZQ=")), Refusal::BadRequest);
    assert_eq!(refusal(&request("/", "Content-Length: 5\r\n")), Refusal::BadRequest);
    assert_eq!(refusal(&request("/", "Transfer-Encoding: chunked\r\n")), Refusal::BadRequest);
    let twice = "Content-Length: 0\r\nContent-Length: 5\r\n";
    assert_eq!(refusal(&request("/", twice)), Refusal::BadRequest, "one of two lengths is one too many");
    assert_eq!(refusal("\x16\x03\x01 TLS hello"), Refusal::BadRequest);
    assert_eq!(refusal(&request("/", &format!("Cookie: {}\r\n", "x".repeat(5000)))), Refusal::HeadTooLarge);
    assert_eq!(refusal(&format!("GET /{}", "x".repeat(5000))), Refusal::HeadTooLarge);
}

#[test]
fn a_page_of_another_site_is_refused_without_using_its_ticket() {
    let target = format!("/?ticket={}", ticket(Role::User));
    let context = context(Anonymous::Accept);
    let foreign = request(&target, "Origin: https://evil.example\r\n");
    let outcome =
        Handshake::default().handle_bytes(foreign.as_bytes(), &context, &mut client("192.0.2.1:1"), NOW);
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::Origin, .. }));
    let both = request(&target, "Origin: https://example.com\r\nOrigin: https://evil.example\r\n");
    let outcome =
        Handshake::default().handle_bytes(both.as_bytes(), &context, &mut client("192.0.2.1:1"), NOW);
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::Origin, .. }));
    let own = request(&target, "Origin: https://example.com\r\n");
    let outcome =
        Handshake::default().handle_bytes(own.as_bytes(), &context, &mut client("192.0.2.1:1"), NOW);
    assert!(matches!(outcome, Outcome::Upgrade(_)));
}

#[test]
fn a_page_that_the_ticket_does_not_allow_is_refused_without_using_the_ticket() {
    let hosts = [OriginPattern::parse("crm.example.com").unwrap()];
    let signer = Signer::from_secret(SECRET).unwrap();
    let ticket = signer
        .issue_with(Terms { origins: &hosts, until: None }, &Identity::anonymous(), NOW, 300, 9)
        .unwrap();
    let context = HandshakeContext {
        allowed_origins: vec![OriginPattern::parse("*.example.com").unwrap()],
        ..context(Anonymous::Accept)
    };
    let shake = |more: &str| {
        let request = request(&format!("/?ticket={ticket}"), more);
        Handshake::default().handle_bytes(request.as_bytes(), &context, &mut client("192.0.2.1:1"), NOW)
    };
    let outcome = shake("Origin: https://shop.example.com\r\n");
    let Outcome::Refused { refusal, cause: Some(Cause::Ticket(error)) } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((refusal, refusal.label(), error.label()), (Refusal::OriginOfTicket, "origin", "origin"));
    assert!(refusal.answer().starts_with(b"HTTP/1.1 403 "));
    // What the server allows holds as well, and is looked at first.
    let outcome = shake("Origin: https://evil.example\r\n");
    let Outcome::Refused { refusal: Refusal::Origin, cause } = outcome else { panic!("{outcome:?}") };
    assert_eq!(cause, Some(Cause::Origin("https://evil.example".to_owned())));
    let two = shake("Origin: https://crm.example.com\r\nOrigin: https://shop.example.com\r\n");
    assert!(matches!(two, Outcome::Refused { refusal: Refusal::OriginOfTicket, .. }), "{two:?}");
    assert!(matches!(shake("Origin: https://crm.example.com\r\n"), Outcome::Upgrade(_)));
}

#[test]
fn a_program_without_an_origin_may_connect() {
    let shake = |more: &str| {
        let context = HandshakeContext { allowed_origins: Vec::new(), ..context(Anonymous::Accept) };
        Handshake::default().handle_bytes(
            request("/", more).as_bytes(),
            &context,
            &mut client("192.0.2.1:1"),
            NOW,
        )
    };
    assert!(matches!(shake(""), Outcome::Upgrade(_)));
    let page = shake("Origin: https://example.com\r\n");
    assert!(matches!(page, Outcome::Refused { refusal: Refusal::Origin, .. }));
}

#[test]
fn a_program_may_use_a_ticket_restricted_to_pages() {
    let hosts = [OriginPattern::parse("crm.example.com").unwrap()];
    let signer = Signer::from_secret(SECRET).unwrap();
    let ticket = signer
        .issue_with(Terms { origins: &hosts, until: None }, &Identity::anonymous(), NOW, 300, 9)
        .unwrap();
    upgrade(&request(&format!("/?ticket={ticket}"), ""));
}

#[test]
fn an_invalid_ticket_is_refused_with_its_cause() {
    let Outcome::Refused { refusal, cause } = shake(&request("/?ticket=x", "")) else { panic!("accepted") };
    assert_eq!(refusal, Refusal::TicketRefused);
    let Some(Cause::Ticket(error)) = cause else { panic!("{cause:?}") };
    assert_eq!(error.label(), "malformed");
    let outcome = Handshake::default().handle_bytes(
        request("/", "").as_bytes(),
        &context(Anonymous::Refuse),
        &mut client("192.0.2.1:1"),
        NOW,
    );
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::TicketMissing, .. }));
}

#[test]
fn a_resume_ticket_is_accepted_only_once_and_with_orosync_1() {
    let cause = |offer: &str| {
        let outcome = shake(&request("/", &format!("Sec-WebSocket-Protocol: {offer}\r\n")));
        match outcome {
            Outcome::NotResumed { response, error } => {
                assert!(response.starts_with(b"HTTP/1.1 101 ") && response.ends_with(b": orosync.1\r\n\r\n"));
                error
            }
            Outcome::Refused { refusal: Refusal::TicketRefused, cause: Some(Cause::Ticket(error)) } => {
                assert!(
                    !offer.contains("orosync.1") || offer.contains("link"),
                    "it understands Close frames"
                );
                error
            }
            outcome => panic!("{offer}: {outcome:?}"),
        }
    };
    // The handshake proceeds to the ticket, which no key of this context has signed.
    assert_eq!(cause("orosync.ticket.x, orosync.1"), AuthError::OtherServer);
    assert_eq!(cause("orosync.1\r\nSec-WebSocket-Protocol: wamp,orosync.ticket.x"), AuthError::OtherServer);
    for offer in [
        "wamp, orosync.ticket.x",
        "orosync.ticket.x",
        "orosync.link.1, orosync.1, orosync.ticket.x",
        "orosync.1, orosync.ticket.x, orosync.ticket.x",
        "orosync.1, orosync.ticket.x\r\nSec-WebSocket-Protocol: orosync.ticket.y",
    ] {
        let error = cause(offer);
        assert!(error.to_string().contains("offered once, together with orosync.1"), "{offer}: {error}");
    }
    assert_eq!(
        upgrade(&request("/", "Sec-WebSocket-Protocol: orosync.tickets\r\n")).protocol,
        Subprotocol::Wamp
    );
}

#[test]
fn the_link_is_for_publishers_only() {
    const LINK: &str = "Sec-WebSocket-Protocol: orosync.link.1\r\n";
    let bearer = |role| format!("{LINK}Authorization: Bearer {}\r\n", ticket(role));
    assert_eq!(upgrade(&request("/", &bearer(Role::Publisher))).protocol, Subprotocol::Link);
    assert_eq!(refusal(&request("/", &bearer(Role::User))), Refusal::NotAPublisher);
    assert_eq!(refusal(&request("/", LINK)), Refusal::NotAPublisher);
    let in_url = request(&format!("/?ticket={}", ticket(Role::Publisher)), LINK);
    assert_eq!(refusal(&in_url), Refusal::TicketRefused);
}

#[test]
fn every_refusal_has_a_content_length_and_no_bracket() {
    for refusal in [
        Refusal::BadRequest,
        Refusal::NotWebSocket,
        Refusal::Origin,
        Refusal::OriginOfTicket,
        Refusal::TicketRefused,
        Refusal::Busy,
        Refusal::BrokerUnavailable,
    ] {
        let answer = String::from_utf8(refusal.answer().to_vec()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains(['[', ']']));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    }
}

#[test]
fn forwarded_addresses_are_accepted_from_trusted_proxies_only() {
    let named = request("/", "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-For: 10.0.0.2\r\n");
    for (peer, expected) in [("192.0.2.1:1", "203.0.113.9"), ("192.0.2.2:1", "192.0.2.2:1")] {
        let mut client = client(peer);
        assert!(matches!(shake_as(&mut client, &named), Outcome::Upgrade(_)));
        assert_eq!(client.peer.to_string(), expected);
    }
    let mut client = client("192.0.2.1:1");
    shake_as(&mut client, &request("/", "X-Real-IP: 203.0.113.9\r\n"));
    assert_eq!(client.peer.to_string(), "203.0.113.9");
}

#[test]
fn too_many_clients_of_one_forwarded_address_are_refused_without_using_their_tickets() {
    let limits = ConnectionLimits::new(Capacity { browsers: 3, for_publishers: 1 }, 1);
    let context = context(Anonymous::Accept);
    let shake = |address: &str, ticket: &str| {
        let peer = Peer::Tcp("192.0.2.1:1".parse().unwrap());
        let mut client = Client::new(peer, limits.admit_proxy().unwrap());
        let request = request(&format!("/?ticket={ticket}"), &format!("X-Forwarded-For: {address}\r\n"));
        (Handshake::default().handle_bytes(request.as_bytes(), &context, &mut client, NOW), client)
    };
    let ticket = ticket(Role::User);
    let (first, client) = shake("203.0.113.9", "");
    assert!(matches!(first, Outcome::Upgrade(_)));
    let (second, _) = shake("203.0.113.9", &ticket);
    let Outcome::Refused { refusal, .. } = second else { panic!("{second:?}") };
    assert_eq!(refusal, Refusal::Full(Full::PerAddress));
    assert!(refusal.answer().starts_with(b"HTTP/1.1 429 "));
    drop(client);
    let (third, _) = shake("203.0.113.9", &ticket);
    assert!(matches!(third, Outcome::Upgrade(_)), "the ticket was not used up: {third:?}");
}

#[test]
fn browsers_cannot_use_the_capacity_reserved_for_publishers() {
    let limits = ConnectionLimits::new(Capacity { browsers: 1, for_publishers: 1 }, 10);
    let context = context(Anonymous::Accept);
    let shake = |request: &str| {
        let mut client = Client::new(Peer::Unix, limits.admit(Peer::Unix).unwrap());
        (Handshake::default().handle_bytes(request.as_bytes(), &context, &mut client, NOW), client)
    };
    let (first, _browser) = shake(&request("/", ""));
    assert!(matches!(first, Outcome::Upgrade(_)));
    let (second, client) = shake(&request("/", ""));
    assert!(matches!(second, Outcome::Refused { refusal: Refusal::Full(Full::Total), .. }), "{second:?}");
    drop(client);
    let bearer = format!(
        "Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {}\r\n",
        ticket(Role::Publisher)
    );
    let (third, _) = shake(&request("/", &bearer));
    assert!(matches!(third, Outcome::Upgrade(_)), "{third:?}");
}

#[test]
fn only_publishers_get_the_cluster_header() {
    let said = |offer: &str| {
        let response = String::from_utf8(upgrade(&request("/", offer)).response).unwrap();
        let line = response.lines().find_map(|line| line.strip_prefix("Orosync-Cluster: "));
        line.map(|said| said.parse::<Membership>().unwrap())
    };
    let link = format!(
        "Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {}\r\n",
        ticket(Role::Publisher)
    );
    let running = Duration::from_secs(42);
    assert_eq!(said(&link), Some(Membership { cluster: ClusterId(0xabc), running }));
    for browser in ["", "Sec-WebSocket-Protocol: wamp\r\n", "Sec-WebSocket-Protocol: orosync.1\r\n"] {
        assert_eq!(said(browser), None, "{browser:?}");
    }
}
