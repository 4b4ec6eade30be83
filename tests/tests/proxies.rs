//! Client addresses behind a reverse proxy: only addresses forwarded by a trusted proxy are used.

use orosync_tests::client::{Client, WAMP, request};
use orosync_tests::server::Server;
use orosync_tests::wait;

const TWO_PER_ADDRESS: &str = "[limits]\nsessions_per_address = 2\n";
const LOOPBACK: &str = "trusted_proxies = [\"127.0.0.0/8\"]\n";

/// A header of version 2 of the PROXY protocol, for TCP over IPv4.
fn version_2(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([10, 0, 0, 1, 0x12, 0x67, 0x1f, 0x90]);
    header
}

fn version_1(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 10.0.0.1 4711 8080\r\n").into_bytes()
}

/// The status line of the response to a handshake with these headers.
fn status(client: &mut Client, headers: &str) -> String {
    client.handshake("/?ticket=wrong", headers).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn sessions_behind_a_trusted_proxy_are_counted_by_the_forwarded_address() {
    let mut server = Server::start_with(&format!("{LOOPBACK}{TWO_PER_ADDRESS}"));
    let session = |header: &str| {
        let mut client = Client::connect(&server);
        client.handshake("/", &format!("{WAMP}{header}\r\n"));
        client
    };
    // The client's own address comes before the one that the proxy adds.
    let forged = "X-Forwarded-For: 198.51.100.77, 203.0.113.9";
    let first = session(forged);
    let second = session("X-Real-IP: 203.0.113.9");
    assert!(first.head.starts_with("HTTP/1.1 101 ") && second.head.starts_with("HTTP/1.1 101 "));
    let third = session(forged);
    assert!(third.head.starts_with("HTTP/1.1 429 "), "{}", third.head);
    let other = session("X-Forwarded-For: 203.0.113.10");
    assert!(other.head.starts_with("HTTP/1.1 101 "), "another address has its own limit");
    server.await_metric(r#"orosync_handshakes_refused_total{reason="too_many_from_address"}"#, 1.0);
    let line = server.await_line("connection refused");
    assert!(line.contains(r#""peer":"203.0.113.9""#), "{line}");
    drop(first);
    let server = &server;
    wait::until_true("the place of the closed session is free", || {
        let mut client = Client::connect(server);
        client.handshake("/", &format!("{WAMP}{forged}\r\n")).starts_with("HTTP/1.1 101 ")
    });
}

#[test]
fn a_forwarding_header_from_an_untrusted_peer_is_ignored() {
    let mut server = Server::start_with("trusted_proxies = [\"192.0.2.1\"]\n");
    let mut client = Client::connect(&server);
    assert!(
        status(&mut client, "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n").contains(" 401 ")
    );
    let line = server.await_line("ticket rejected");
    assert!(line.contains(r#""peer":"127.0.0.1:"#) && !line.contains("203.0.113.9"), "{line}");
}

#[test]
fn a_forwarding_header_from_a_trusted_unix_socket_is_used() {
    let mut server = Server::start_with("trusted_proxies = [\"unix:\"]\n");
    assert!(status(&mut Client::connect_unix(&server), "X-Forwarded-For: 203.0.113.9\r\n").contains(" 401 "));
    let line = server.await_line("ticket rejected");
    assert!(line.contains(r#""peer":"203.0.113.9""#), "{line}");
}

#[test]
fn both_versions_of_the_proxy_protocol_set_the_client_address() {
    let mut server =
        Server::start_with(&format!("bind = [\"127.0.0.1:0 proxy_protocol\"]\n{LOOPBACK}{TWO_PER_ADDRESS}"));
    let mut sessions = Vec::new();
    for header in [version_1("203.0.113.9"), version_2([203, 0, 113, 9])] {
        let mut client = Client::connect(&server);
        // In one write with the handshake, like a proxy that waits for its client's first bytes.
        client.send(&[header, request("/", WAMP).into_bytes()].concat());
        client.read_head();
        assert!(client.head.starts_with("HTTP/1.1 101 "), "{}", client.head);
        sessions.push(client);
    }
    let mut third = Client::connect(&server);
    for byte in version_1("203.0.113.9") {
        // Byte by byte. The connection may be closed before the last byte.
        if third.try_send(&[byte]).is_err() {
            break;
        }
    }
    assert!(third.read_to_end().is_empty());
    server.await_metric(r#"orosync_connections_refused_total{reason="too_many_from_address"}"#, 1.0);
    let line = server.await_line("connection refused");
    assert!(line.contains(r#""peer":"203.0.113.9:4711""#), "{line}");
    let mut healthy = Client::connect(&server);
    healthy.send(b"PROXY UNKNOWN\r\n");
    assert!(status(&mut healthy, "").contains(" 401 "), "a proxy may connect itself, as for a health check");
}

#[test]
fn a_connection_without_the_required_proxy_header_is_closed_without_a_response() {
    let server = Server::start_with(&format!(
        "bind = [\"127.0.0.1:0 proxy_protocol\"]\n{LOOPBACK}[limits]\nhandshake_seconds = 1\n"
    ));
    let refused = r#"orosync_connections_refused_total{reason="proxy_protocol"}"#;
    let mut plain = Client::connect(&server);
    plain.send(request("/", WAMP).as_bytes());
    assert!(plain.read_to_end().is_empty());
    server.await_metric(refused, 1.0);
    let mut slow = Client::connect(&server);
    slow.send(b"PROXY TCP4 203.0");
    assert!(slow.read_to_end().is_empty(), "closed when its time is up");
    server.await_metric(refused, 2.0);
    let mut endless = Client::connect(&server);
    let long = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 5000]].concat();
    // The server may close the connection before everything is sent.
    let _ = endless.try_send(&long);
    assert!(endless.read_to_end().is_empty());
    server.await_metric(refused, 3.0);
}

#[test]
fn a_proxy_header_is_refused_from_an_untrusted_peer_and_on_a_plain_port() {
    let server = Server::start_with(
        "bind = [\"127.0.0.1:0\", \"127.0.0.1:0 proxy_protocol\"]\ntrusted_proxies = [\"192.0.2.1\"]\n",
    );
    let mut untrusted = Client::connect_to(server.address_with("proxy_protocol"));
    // The server may have closed the connection already.
    let _ = untrusted.try_send(&version_1("203.0.113.9"));
    assert!(untrusted.read_to_end().is_empty());
    server.await_metric(r#"orosync_connections_refused_total{reason="untrusted_proxy"}"#, 1.0);
    let mut plain = Client::connect(&server);
    plain.send(&[version_1("203.0.113.9"), request("/", WAMP).into_bytes()].concat());
    plain.read_head();
    assert!(plain.head.starts_with("HTTP/1.1 400 "), "a plain port expects no header: {}", plain.head);
}
