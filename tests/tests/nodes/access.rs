//! Access of nodes to Redis: TLS, unix sockets, users and passwords.

use std::fs;
use std::time::Instant;

use orosync_tests::certificate::Certificate;
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::Redis;
use orosync_tests::server::Server;
use rustix::process::Signal;

use super::LONG_HISTORY;
use super::load::Load;

/// The minimal ACL rules of an application's user.
const RULES: &str = "resetchannels ~orosync:* &orosync:* -@all +info +script|load +evalsha +subscribe +unsubscribe +publish +time +get \
    +getex +mget +set +pttl +pexpire +del +rpush +lpop +ltrim +llen +lindex +lrange +hset +hgetall +hdel";

fn configuration(url: &str, broker_lines: &str) -> String {
    format!("{LONG_HISTORY}\n{}{broker_lines}\n", broker(url))
}

#[test]
fn nodes_connect_to_redis_over_tls_and_over_a_unix_socket() {
    let certificate = Certificate::new();
    let redis = Redis::start_with_tls(&certificate, "");
    let ca_file = format!("ca_file = \"{}\"", redis.directory().join("certificate.pem").display());
    let nodes =
        Nodes::start_each([configuration(&redis.tls_url(), &ca_file), configuration(&redis.unix_url(), "")]);
    let load = Load::on(&nodes);
    assert_eq!(redis.kill_subscribers(), 2);
    load.await_resumption(Instant::now());
    load.assert_complete();
}

#[test]
fn a_certificate_of_redis_that_is_not_trusted_is_logged() {
    let redis = Redis::start_with_tls(&Certificate::new(), "");
    let mut node = Server::start_with(&configuration(&redis.tls_url(), ""));
    let line = node.await_line("broker: ");
    assert!(line.contains("certificate"), "{line}");
    assert!(!super::is_ready(&node));
}

#[test]
fn a_new_password_of_redis_is_used_after_sighup_under_load() {
    let redis = Redis::start_with(&Redis::user("app", "first", RULES));
    let password = redis.directory().join("password");
    fs::write(&password, "first\n").unwrap();
    let more = format!("username = \"app\"\npassword_file = \"{}\"", password.display());
    let nodes = Nodes::start_each([configuration(&redis.url(), &more), configuration(&redis.url(), &more)]);
    let load = Load::on(&nodes);
    redis.run(&["ACL", "SETUSER", "app", ">second"]);
    fs::write(&password, "second\n").unwrap();
    for number in 0..2 {
        nodes.node(number).signal(Signal::HUP);
    }
    load.await_events();
    redis.run(&["ACL", "SETUSER", "app", "<first"]);
    let cut: usize = redis.ask(&["CLIENT", "KILL", "USER", "app"]);
    assert!(cut >= 4, "{cut}");
    load.await_resumption(Instant::now());
    load.assert_complete();
}

#[test]
fn a_wrong_password_of_redis_is_logged() {
    let redis = Redis::start_with(&Redis::user("app", "first", RULES));
    let password = redis.directory().join("password");
    fs::write(&password, "wrong\n").unwrap();
    let more = format!("username = \"app\"\npassword_file = \"{}\"", password.display());
    let mut node = Server::start_with(&configuration(&redis.url(), &more));
    node.await_line("broker.password_file");
    assert!(!super::is_ready(&node));
    fs::write(&password, "first\n").unwrap();
    node.signal(Signal::HUP);
    node.await_line("the node is ready");
}
