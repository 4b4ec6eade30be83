use orosync_protocol::ticket::{Signer, Verifier};

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_000_000;
const HEAD: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn door(anonymous: Anonymous) -> Door {
    Door {
        authenticator: Arc::new(Authenticator::new(vec![Verifier::from_secret(SECRET).unwrap()], 100)),
        anonymous,
        allowed_origins: AllowedOrigins::new(vec!["example.com".into()]),
        max_head_bytes: 4096,
    }
}

fn ticket(role: Role) -> String {
    let identity =
        Identity { role, user: Some("anna".into()), uid: Some(7), org: Some(1), ..Identity::anonymous() };
    Signer::from_secret(SECRET).unwrap().mint(&identity, NOW, 300, 9).unwrap()
}

fn shake(request: &str) -> Outcome {
    Handshake::default().handle_bytes(request.as_bytes(), &door(Anonymous::Accept), NOW)
}

fn refusal(request: &str) -> Refusal {
    match shake(request) {
        Outcome::Refused { refusal, .. } => refusal,
        other => panic!("{request:?}: {other:?}"),
    }
}

fn upgrade(request: &str) -> Upgrade {
    match shake(request) {
        Outcome::Upgrade(upgrade) => upgrade,
        other => panic!("{request:?}: {other:?}"),
    }
}

fn request(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HEAD}{more}\r\n")
}

#[test]
fn the_answer_is_that_of_the_rfc_and_repeats_the_subprotocol() {
    let response =
        String::from_utf8(upgrade(&request("/", "Sec-WebSocket-Protocol: wamp\r\n")).response).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Protocol: wamp\r\n"));
    assert!(!response.contains(['[', ']']));
}

#[test]
fn what_is_spoken_follows_the_offer() {
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
fn the_ticket_stands_in_the_origin_form_or_the_absolute_form() {
    for target in ["/ws?ticket=", "/?a=b&ticket=", "ws://host:8080/path?ticket="] {
        let identity = upgrade(&request(&format!("{target}{}", ticket(Role::User)), "")).identity;
        assert_eq!((identity.role, identity.uid, identity.org), (Role::User, Some(7), Some(1)));
    }
    assert_eq!(upgrade(&request("/ws?ticket=", "")).identity, Identity::anonymous());
    assert_eq!(upgrade(&request("ws://host:8080/", "")).identity, Identity::anonymous());
}

#[test]
fn what_comes_behind_the_head_is_kept() {
    let upgrade = upgrade(&(request("/", "") + "\u{1}frames"));
    assert_eq!(upgrade.rest, &b"\x01frames"[..]);
}

#[test]
fn a_head_may_come_one_byte_at_a_time() {
    let door = door(Anonymous::Accept);
    let request = request("/", "");
    let mut handshake = Handshake::default();
    let (last, before) = request.as_bytes().split_last().unwrap();
    for byte in before {
        assert!(matches!(handshake.handle_bytes(&[*byte], &door, NOW), Outcome::More));
    }
    assert!(matches!(handshake.handle_bytes(&[*last], &door, NOW), Outcome::Upgrade(_)));
}

#[test]
fn what_is_no_handshake_gets_the_answer_that_tells_most() {
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
fn a_page_of_another_site_is_refused_before_its_ticket_is_spent() {
    let target = format!("/?ticket={}", ticket(Role::User));
    let door = door(Anonymous::Accept);
    let foreign = request(&target, "Origin: https://evil.example\r\n");
    let outcome = Handshake::default().handle_bytes(foreign.as_bytes(), &door, NOW);
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::Origin, .. }));
    let both = request(&target, "Origin: https://example.com\r\nOrigin: https://evil.example\r\n");
    let outcome = Handshake::default().handle_bytes(both.as_bytes(), &door, NOW);
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::Origin, .. }));
    let own = request(&target, "Origin: https://example.com\r\n");
    let outcome = Handshake::default().handle_bytes(own.as_bytes(), &door, NOW);
    assert!(matches!(outcome, Outcome::Upgrade(_)));
}

#[test]
fn a_bad_ticket_is_refused_and_says_why() {
    let Outcome::Refused { refusal, ticket } = shake(&request("/?ticket=x", "")) else { panic!("accepted") };
    assert_eq!(refusal, Refusal::TicketRefused);
    assert_eq!(ticket.unwrap().label(), "malformed");
    let outcome =
        Handshake::default().handle_bytes(request("/", "").as_bytes(), &door(Anonymous::Refuse), NOW);
    assert!(matches!(outcome, Outcome::Refused { refusal: Refusal::TicketMissing, .. }));
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
fn no_answer_holds_a_bracket_and_each_says_its_length() {
    for refusal in
        [Refusal::BadRequest, Refusal::NotWebSocket, Refusal::Origin, Refusal::TicketRefused, Refusal::Busy]
    {
        let answer = String::from_utf8(refusal.answer().to_vec()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains(['[', ']']));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    }
}
