//! TLS without a reverse proxy, for browsers and publishers, with a certificate that can be replaced at run time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use orosync_protocol::ticket::Role;
use orosync_tests::certificate::Certificate;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP, request};
use orosync_tests::php;
use orosync_tests::server::{Server, ticket};
use rustix::process::Signal;
use tempfile::TempDir;

/// The limit in `docs/deploy.md`.
const MAX_BYTES_PER_SESSION: u64 = 16 << 10;

/// A server with a plain address and a TLS address, its certificate, and the directory of the certificate.
struct TlsServer {
    server: Server,
    certificate: Certificate,
    directory: TempDir,
}

impl TlsServer {
    fn new(more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let certificate = Certificate::new();
        let (chain, key) = certificate.write(directory.path());
        let server = Server::start_with(&format!(
            "bind = [\"127.0.0.1:0\", \"127.0.0.1:0 tls\"]\ntls = {{ certificate_file = \"{}\", key_file = \"{}\" }}\n{more}",
            chain.display(),
            key.display()
        ));
        Self { server, certificate, directory }
    }

    fn connect(&self) -> Client {
        Client::connect_tls(self.server.address_with("tls"), &self.certificate)
    }

    fn user(&self, uid: u64) -> Client {
        let mut client = self.connect();
        let head = client.handshake(&format!("/?ticket={}", ticket(Role::User, Some(uid))), OROSYNC);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(client.text().starts_with("[0,"));
        client
    }

    fn publisher(&self) -> String {
        format!("wss://localhost:{}/", self.server.address_with("tls").port())
    }

    /// The php.ini setting that trusts the certificate.
    fn trust(&self) -> String {
        format!("orosync.ca_file={}", self.directory.path().join("certificate.pem").display())
    }
}

/// Runs a PHP script with this endpoint and an additional setting. Returns its standard output.
fn run_php(endpoint: &str, setting: &str, script: &str) -> String {
    let output = php::command(endpoint).args(["-d", setting, "-r", script]).output().expect("php starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn browsers_and_publishers_are_served_over_tls() {
    let tls = TlsServer::new("");
    let mut client = tls.user(1);
    client.subscribe("oro/ping");
    let script =
        r#"for ($i = 0; $i < 500; $i++) { orosync_publish("oro/ping", $i); } var_dump(orosync_flush(10));"#;
    assert_eq!(run_php(&tls.publisher(), &tls.trust(), script), "bool(true)\n");
    for n in 0..500 {
        assert_eq!(client.text(), format!(r#"[8,"oro\/ping",{n}]"#));
    }
    tls.server.signal(Signal::TERM);
    assert_eq!(client.receive(), Received::Close(1001), "the Close frame is sent over TLS too");
}

#[test]
fn messages_larger_than_a_tls_record_arrive_complete_and_in_order() {
    let tls = TlsServer::new("");
    let mut client = tls.user(1);
    client.subscribe("oro/ping");
    let script = r#"
        for ($i = 0; $i < 8; $i++) { orosync_publish("oro/ping", [$i, str_repeat("x", 100000)]); }
        var_dump(orosync_flush(10));
    "#;
    assert_eq!(run_php(&tls.publisher(), &tls.trust(), script), "bool(true)\n");
    for n in 0..8 {
        let text = client.text();
        assert!(text.starts_with(&format!(r#"[8,"oro\/ping",[{n},"#)) && text.len() > 100_000, "{text:.40}");
    }
    // In the other direction, nearly the largest message that a browser may send.
    let large = format!(r#"[2,"1","orosync/session","{}"]"#, "x".repeat(60_000));
    client.send_text(&large);
    assert!(client.text().starts_with(r#"[3,"1","#));
}

#[test]
fn a_tls_session_that_never_reads_is_closed_and_the_others_receive_everything() {
    let tls = TlsServer::new("");
    let (mut stalled, mut quick) = (tls.user(1), tls.user(2));
    stalled.subscribe("oro/ping");
    quick.subscribe("oro/ping");
    for round in 0..30 {
        let script = format!(
            r#"for ($i = 0; $i < 5; $i++) {{ orosync_publish("oro/ping", [{round} * 5 + $i, str_repeat("x", 100000)]); }} orosync_flush(10);"#
        );
        run_php(&tls.server.endpoint(), "memory_limit=128M", &script);
        for n in round * 5..round * 5 + 5 {
            assert!(quick.text().starts_with(&format!(r#"[8,"oro\/ping",[{n},"#)));
        }
    }
    tls.server.await_metric(r#"orosync_sessions_closed_total{reason="too_slow"}"#, 1.0);
}

#[test]
fn a_publisher_rejects_an_untrusted_or_mismatched_certificate() {
    let tls = TlsServer::new("");
    let script = "var_dump(orosync_check(5)); echo orosync_status()['last_error'];";
    let printed = run_php(&tls.publisher(), "memory_limit=128M", script);
    assert!(
        printed.starts_with("bool(false)\nTLS: the server's certificate is self-signed. Name its file in"),
        "{printed}"
    );
    let by_address = format!("wss://127.0.0.1:{}/", tls.server.address_with("tls").port());
    let printed = run_php(&by_address, &tls.trust(), script);
    assert!(
        printed.starts_with("bool(false)\nTLS: the server's certificate is for \"localhost\", not for"),
        "{printed}"
    );
    let printed = run_php(&tls.publisher(), &tls.trust(), script);
    assert!(printed.starts_with("bool(true)\n"), "{printed}");
}

#[test]
fn a_new_certificate_is_used_after_sighup_and_no_session_is_closed() {
    let mut tls = TlsServer::new("");
    let mut old = tls.user(1);
    old.subscribe("oro/ping");
    let renewed = Certificate::new();
    renewed.write(tls.directory.path());
    tls.server.signal(Signal::HUP);
    tls.server.await_line("were reloaded");
    tls.certificate = renewed;
    let mut new = tls.user(2);
    new.subscribe("oro/ping");
    let script = r#"orosync_publish("oro/ping", 1); var_dump(orosync_flush(10));"#;
    assert_eq!(run_php(&tls.publisher(), &tls.trust(), script), "bool(true)\n");
    for client in [&mut old, &mut new] {
        assert_eq!(client.text(), r#"[8,"oro\/ping",1]"#);
    }

    fs::write(tls.directory.path().join("key.pem"), "no key").expect("a file is written");
    tls.server.signal(Signal::HUP);
    let line = tls.server.await_line("the previous rules stay");
    assert!(line.contains("tls.key_file"), "{line}");
    tls.user(3);
}

#[test]
fn a_connection_reset_before_its_response_is_written_delays_no_other() {
    let tls = TlsServer::new("shards = 1\n");
    let mut other = tls.user(1);
    let mut broken = tls.connect();
    let request = request("/", WAMP);
    let (beginning, rest) = request.split_at(4);
    broken.send(beginning.as_bytes());
    // The server reads the rest of the request and answers before it can detect the reset.
    tls.server.freeze();
    broken.send(rest.as_bytes());
    broken.reset();
    tls.server.thaw();
    other.sync();
    tls.user(2);
}

#[test]
fn an_incomplete_or_invalid_tls_handshake_is_closed_and_counted() {
    let mut tls = TlsServer::new("[limits]\nhandshake_seconds = 1\n");
    let address = tls.server.address_with("tls");
    let mut plain = Client::connect_to(address);
    plain.send(request("/", WAMP).as_bytes());
    let answer = plain.read_to_end();
    assert_eq!(answer.first(), Some(&0x15), "a TLS alert, not {answer:?}");
    tls.server.await_metric(r#"orosync_handshakes_refused_total{reason="tls"}"#, 1.0);
    let line = tls.server.await_line("connection refused");
    assert!(line.contains(r#""reason":"tls""#), "{line}");

    let mut silent = Client::connect_to(address);
    // Closed when its time is up, possibly after an alert.
    assert!(silent.read_to_end().iter().take(1).all(|byte| *byte == 0x15));
    tls.server.await_metric(r#"orosync_handshakes_refused_total{reason="timeout"}"#, 1.0);
    tls.user(1);
}

#[test]
fn an_idle_tls_session_uses_a_bounded_amount_of_memory() {
    const SESSIONS: u64 = 500;
    let tls = TlsServer::new("");
    // The first sessions allocate memory that is needed once.
    let _first: Vec<Client> = (0..50).map(|uid| tls.user(uid)).collect();
    let before = tls.server.resident_bytes();
    let _clients: Vec<Client> = (0..SESSIONS).map(|uid| tls.user(uid)).collect();
    let each = tls.server.resident_bytes().saturating_sub(before) / SESSIONS;
    assert!(each < MAX_BYTES_PER_SESSION, "{each} bytes per session");
}

#[test]
fn the_unix_socket_has_the_configured_owner_and_mode() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("own.sock");
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // Only root can change the owner of a file. Other users test with their own ids.
    let (user, group) = if own.0 == 0 { (65534, 65533) } else { own };
    let _server = Server::start_with(&format!(
        "bind = [\"127.0.0.1:0\", \"unix:{} user={user} group={group} mode=0620\"]\n",
        socket.display()
    ));
    let file = fs::metadata(&socket).expect("the socket exists");
    assert_eq!((file.permissions().mode() & 0o777, file.uid(), file.gid()), (0o620, user, group));
    let default = Server::start();
    let file = fs::metadata(default.socket()).expect("the socket exists");
    assert_eq!(file.permissions().mode() & 0o777, 0o666);
}
