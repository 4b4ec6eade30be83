//! The grace period after SIGTERM, in which load balancers detect the shutdown: the server is unready but still serves.

use std::time::{Duration, Instant};

use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::php;
use orosync_tests::server::Server;
use rustix::process::Signal;

/// A grace period longer than any test.
const LONG_GRACE: &str = "drain_grace_seconds = 3600\ndrain_seconds = 1\n";

fn assert_status(server: &Server, path: &str, status: &str) {
    let answer = server.admin(path);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
}

#[test]
fn during_the_grace_period_connections_are_accepted_until_a_second_signal() {
    for second in [Signal::TERM, Signal::INT] {
        let mut server = Server::start_with(LONG_GRACE);
        let mut old = Client::user(&server, WAMP, 1);
        old.subscribe("oro/ping");
        assert_status(&server, "/readyz", "200 ");
        server.signal(Signal::TERM);
        server.await_line("still serving");
        assert_status(&server, "/readyz", "503 ");
        assert_status(&server, "/livez", "200 ");
        assert_status(&server, "/healthz", "200 ");

        let mut new = Client::user(&server, WAMP, 2);
        new.subscribe("oro/ping");
        let script = r#"orosync_publish("oro/ping", 7); var_dump(orosync_flush(20));"#;
        assert_eq!(php::output(&server.endpoint(), script), "bool(true)\n");
        for client in [&mut old, &mut new] {
            assert_eq!(client.text(), r#"[8,"oro\/ping",7]"#);
        }

        server.signal(second);
        assert_eq!(new.next_frame(), Received::End);
        assert!(server.wait().success());
        server.await_line("stopped");
    }
}

#[test]
fn sighup_reloads_topics_during_the_grace_period() {
    let mut server = Server::start_with(LONG_GRACE);
    server.signal(Signal::TERM);
    server.await_line("still serving");
    server.rewrite("[[topics]]\npattern = \"acme/new\"\nsubscribe = \"user\"\n");
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    Client::user(&server, WAMP, 1).subscribe("acme/new");
    assert!(server.is_running());
}

#[test]
fn the_drain_starts_when_the_grace_period_ends() {
    let mut server = Server::start_with("drain_grace_seconds = 1\ndrain_seconds = 1\n");
    let mut client = Client::user(&server, OROSYNC, 1);
    client.sync();
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.next_frame(), Received::Close(1001));
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(server.wait().success());
}
