//! Hostile clients: the server survives any input, reports it where possible, and continues to serve other clients.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use orosync_tests::client::{Client, OROSYNC, Received, WAMP, frame, request};
use orosync_tests::php;
use orosync_tests::server::{self, Server};

/// Pseudo-random bytes, the same in each run, so that a failure can be reproduced.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        (0..self.next() % max).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn assert_serves(server: &Server) {
    let mut client = Client::user(server, WAMP, 1);
    client.subscribe("oro/ping");
    php::output(&server.endpoint(), r#"orosync_publish("oro/ping", 1); orosync_flush();"#);
    assert_eq!(client.text(), r#"[8,"oro\/ping",1]"#);
}

fn assert_no_session_left(server: &Server) {
    for protocol in ["wamp", "orosync", "link"] {
        server.await_metric(&format!("orosync_sessions_open{{protocol=\"{protocol}\"}}"), 0.0);
    }
    server.await_metric("orosync_subscriptions", 0.0);
}

#[test]
fn random_bytes_before_and_after_a_handshake_do_not_affect_other_sessions() {
    let mut server = Server::start();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..300 {
        let mut client = Client::connect(&server);
        if round % 3 > 0 {
            client.handshake("/", if round % 2 == 0 { WAMP } else { OROSYNC });
        }
        for _ in 0..5 {
            let bytes = match noise.next() % 3 {
                0 => noise.bytes(300),
                1 => frame((noise.next() % 16).to_le_bytes()[0], &noise.bytes(100)),
                _ => frame(1, &noise.bytes(100)),
            };
            if client.try_send(&bytes).is_err() {
                break;
            }
        }
        client.finish();
    }
    assert_serves(&server);
    assert_no_session_left(&server);
    assert!(server.is_running());
}

#[test]
fn an_invalid_message_closes_only_its_own_session_with_the_matching_code() {
    let server = Server::start();
    let deep = format!("[7,\"oro/ping\",{}1{}]", "[".repeat(600), "]".repeat(600));
    let too_big = format!("[5,\"{}\"]", "x".repeat(70_000));
    for (bytes, code) in [
        (frame(1, b"{}"), 1007),
        (frame(1, b"\xff\xfe"), 1007),
        (frame(1, deep.as_bytes()), 1007),
        (frame(1, too_big.as_bytes()), 1009),
        (frame(3, b""), 1002),
        (frame(0, b"continued from nothing"), 1002),
        (b"\x81\x02hi".to_vec(), 1002),
        // The header of a frame of 2^63-1 bytes, without the payload.
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec(), 1009),
    ] {
        let mut client = Client::user(&server, OROSYNC, 1);
        client.send(&bytes);
        assert_eq!(client.receive(), Received::Close(code), "{:?}", bytes.get(..20));
    }
    assert_serves(&server);
    assert_no_session_left(&server);
}

#[test]
fn topics_with_unusual_or_long_names_are_refused_and_the_session_stays_open() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    for topic in [
        "",
        "toString",
        "__proto__",
        "a\u{0}b",
        "oro/email_event/99999999999999999999/1",
        &"x/".repeat(20_000),
    ] {
        client.send_text(&format!("[5,{}]", serde_json::to_string(topic).expect("a string")));
        assert!(client.text().starts_with("[4,"), "{topic:.40}");
    }
    client.sync();
}

#[test]
fn a_session_that_never_reads_is_closed_and_the_others_receive_everything() {
    let server = Server::start();
    let mut stalled = Client::user(&server, WAMP, 1);
    let mut quick = Client::user(&server, WAMP, 2);
    for client in [&mut stalled, &mut quick] {
        client.subscribe("oro/ping");
    }
    for round in 0..30 {
        let script = format!(
            r#"for ($i = 0; $i < 5; $i++) {{ orosync_publish("oro/ping", [{round} * 5 + $i, str_repeat("x", 100000)]); }}"#
        );
        php::output(&server.endpoint(), &script);
        for n in round * 5..round * 5 + 5 {
            let text = quick.text();
            assert!(text.starts_with(&format!(r#"[8,"oro\/ping",[{n},"#)), "{text:.40}");
        }
    }
    server.await_metric(r#"orosync_sessions_closed_total{reason="too_slow"}"#, 1.0);
}

#[test]
fn the_memory_of_a_large_message_is_released_after_it_is_processed() {
    const SESSIONS: u64 = 200;
    let server = Server::start();
    let mut clients: Vec<Client> = (1..=SESSIONS).map(|uid| Client::user(&server, WAMP, uid)).collect();
    let before = server.resident_bytes();
    let large = format!(r#"[2,"1","orosync/session","{}"]"#, "x".repeat(60_000));
    for client in &mut clients {
        client.send_text(&large);
        assert!(client.text().starts_with(r#"[3,"1","#));
    }
    let kept = server.resident_bytes().saturating_sub(before) / SESSIONS;
    assert!(kept < 20_000, "{kept} bytes per session are not released");
}

#[test]
fn incomplete_and_oversized_handshakes_are_answered_with_an_error() {
    let server = Server::start_with_environment(&[("OROSYNC_LIMITS__HANDSHAKE_SECONDS", "1")]);
    let mut slow = Client::connect(&server);
    slow.send(b"GET / HTTP/1.1\r\nHost: x\r\n");
    assert!(String::from_utf8_lossy(&slow.read_to_end()).starts_with("HTTP/1.1 408 "));
    let mut large = Client::connect(&server);
    large.send(request("/", &format!("Cookie: {}\r\n", "x".repeat(20_000))).as_bytes());
    assert!(String::from_utf8_lossy(&large.read_to_end()).starts_with("HTTP/1.1 431 "));
    let mut cookies = Client::connect(&server);
    let head = cookies.handshake("/", &format!("Cookie: {}\r\n", "x".repeat(9_000)));
    assert!(head.starts_with("HTTP/1.1 101 "), "cookies of 8 KiB are common: {head}");
}

#[test]
fn a_silent_session_is_pinged_and_closed_if_it_does_not_answer() {
    let server = Server::start_with_environment(&[
        ("OROSYNC_LIMITS__PING_INTERVAL_SECONDS", "1"),
        ("OROSYNC_LIMITS__PING_TIMEOUT_SECONDS", "1"),
    ]);
    let mut silent = Client::user(&server, WAMP, 1);
    assert_eq!(silent.read_once(), b"\x89\x00");
    assert!(silent.read_to_end().is_empty(), "closed without a Close frame");
    server.await_metric(r#"orosync_sessions_closed_total{reason="unresponsive"}"#, 1.0);
}

#[test]
fn a_server_whose_admin_port_is_in_use_starts_without_it_and_logs_the_setting() {
    let other_listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other_listener.local_addr().expect("an address");
    let other = Server::start();
    let mut server = server::command()
        .args(["serve", "--bind", &format!("127.0.0.2:{}", taken.port() - 1), "--secret-file"])
        .arg(other.secret_file())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = Vec::new();
    for line in BufReader::new(server.stderr.take().expect("its log is piped")).lines() {
        log.push(line.expect("its log is text"));
        if log.iter().any(|line| line.contains("orosync-server is ready")) {
            break;
        }
    }
    server.kill().and_then(|()| server.wait()).expect("it ends");
    let log = log.join("\n");
    assert!(log.contains(&format!("admin_bind: cannot listen on {taken}")), "{log}");
    assert!(log.contains("no health checks and no metrics"), "{log}");
    assert!(log.contains("orosync-server is ready"), "{log}");
}

#[test]
fn a_server_whose_address_is_in_use_reports_the_address_and_what_to_do() {
    let server = Server::start();
    let output = server::command()
        .args(["serve", "--admin-bind", "", "--bind", &server.address().to_string(), "--secret-file"])
        .arg(server.secret_file())
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&server.address().to_string())
            && stderr.contains("Another program uses this address"),
        "{stderr}"
    );
    // A unix socket in use is refused too. The restarted server below replaces the socket file that was left behind.
    let output = server::command()
        .args(["serve", "--admin-bind", "", "--bind", &server.unix_endpoint(), "--secret-file"])
        .arg(server.secret_file())
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    Client::connect_unix(&server.restart()).handshake("/", WAMP);
}
