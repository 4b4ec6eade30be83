//! Limits of open descriptors: at the limit, open sessions are still served and publishers can connect.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use orosync_tests::client::{Client, WAMP, request};
use orosync_tests::server::{self, Server};
use orosync_tests::{php, wait};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

const SESSIONS: &str = r#"orosync_sessions_open{protocol="wamp"}"#;

/// Opens a session. Returns `None` if the server refuses it because of a limit.
fn try_session(server: &Server, headers: &str) -> Option<Client> {
    let mut client = Client::connect(server);
    let asked = client.try_send(request("/", &format!("{WAMP}{headers}")).as_bytes());
    match asked {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            return None;
        }
        Err(error) => panic!("{error}"),
    }
    let answer = String::from_utf8_lossy(&client.read_once_or_end()).into_owned();
    if answer.starts_with("HTTP/1.1 101 ") {
        return Some(client);
    }
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/1.1 429 "),
        "{answer}"
    );
    None
}

/// The unit's descriptor limit, or this process's hard limit if that is lower.
fn descriptors_of_the_unit() -> u64 {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/orosync-server.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    let limit = unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")?.parse().ok());
    let own = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    own.min(limit.expect("a number of descriptors"))
}

fn refused(server: &Server, reason: &str) -> f64 {
    ["connections", "handshakes"]
        .map(|what| server.metric(&format!("orosync_{what}_refused_total{{reason=\"{reason}\"}}")))
        .iter()
        .sum()
}

#[test]
fn browsers_beyond_the_descriptor_limit_are_refused_and_publishers_still_connect() {
    let server = Server::start_with_descriptors(256, "");
    let mut sessions: Vec<Client> = (0..400).filter_map(|_| try_session(&server, "")).collect();
    let admitted = sessions.len();
    assert!((100..200).contains(&admitted), "{admitted} sessions with 256 descriptors");
    assert!(refused(&server, "too_many_sessions") >= 200.0);
    assert!(refused(&server, "accept_failed") < 1.0, "the server keeps descriptors in reserve");

    // At the limit for browsers, a publisher can connect, and open sessions receive its message.
    sessions[0].subscribe("oro/ping");
    let publish = r#"orosync_publish("oro/ping", 1); var_dump(orosync_flush(10));"#;
    assert_eq!(php::output(&server.endpoint(), publish), "bool(true)\n");
    assert_eq!(sessions[0].text(), r#"[8,"oro\/ping",1]"#);

    sessions.truncate(admitted / 2);
    wait::until_true("the places of closed sessions are free", || {
        sessions.extend(try_session(&server, ""));
        sessions.len() == admitted
    });
}

#[test]
fn sessions_beyond_the_configured_limit_get_503_with_retry_after() {
    let server = Server::start_with("[limits]\nsessions = 3\n");
    let mut sessions: Vec<Client> = (0..3).filter_map(|_| try_session(&server, "")).collect();
    assert_eq!(sessions.len(), 3);
    let mut fourth = Client::connect(&server);
    let head = fourth.handshake("/", WAMP);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: "), "{head}");
    server.await_metric(r#"orosync_handshakes_refused_total{reason="too_many_sessions"}"#, 1.0);
    sessions.pop();
    wait::until_true("the place of the closed session is free", || try_session(&server, "").is_some());
}

#[test]
fn a_server_without_a_free_descriptor_waits_without_spinning() {
    let mut server = Server::start_with("[limits]\nping_interval_seconds = 1\n");
    let mut session = Client::user(&server, WAMP, 1);
    let open = server.descriptors();
    let limit = Rlimit { current: Some(open as u64), maximum: Some(20_000) };
    let before = prlimit(Some(server.pid()), Resource::Nofile, limit).expect("the limit of a child process");
    let mut waiting = Client::connect(&server);
    waiting.send(request("/", WAMP).as_bytes());
    server.await_line("cannot accept a connection");
    // Open sessions are served meanwhile.
    session.sync();
    assert_eq!(session.read_once(), b"\x89\x00", "a ping");
    prlimit(Some(server.pid()), Resource::Nofile, before).expect("the limit of a child process");
    waiting.read_head();
    assert!(waiting.head.starts_with("HTTP/1.1 101 "), "the waiting connection is served: {}", waiting.head);
    let attempts = server.metric(r#"orosync_connections_refused_total{reason="accept_failed"}"#);
    assert!((1.0..100.0).contains(&attempts), "{attempts} attempts within a few seconds");
}

#[test]
fn five_thousand_browsers_are_served_under_the_limits_of_the_unit() {
    server::need_descriptors(5_100);
    let server = Server::start_with_descriptors(descriptors_of_the_unit(), "");
    let sessions: Vec<Client> = (0..5_000)
        .map(|n| try_session(&server, "").unwrap_or_else(|| panic!("session {n} was refused")))
        .collect();
    server.await_metric(SESSIONS, 5_000.0);
    assert!(refused(&server, "too_many_sessions") < 1.0 && refused(&server, "too_many_from_address") < 1.0);
    drop(sessions);
    server.await_metric(SESSIONS, 0.0);
}

#[test]
fn sessions_of_one_address_are_limited_and_other_addresses_are_served() {
    server::need_descriptors(3_100);
    let server =
        Server::start_with("trusted_proxies = [\"127.0.0.1\"]\n[limits]\nsessions_per_address = 1000\n");
    let one_address = "X-Forwarded-For: 203.0.113.9\r\n";
    let sessions: Vec<Client> = (0..3_000).filter_map(|_| try_session(&server, one_address)).collect();
    assert_eq!(sessions.len(), 1_000);
    assert!((refused(&server, "too_many_from_address") - 2_000.0).abs() < 1.0);
    assert!(try_session(&server, "X-Forwarded-For: 203.0.113.10\r\n").is_some());
}
