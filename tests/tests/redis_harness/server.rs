//! One server.

use std::time::Duration;

use orosync_tests::certificate::Certificate;
use orosync_tests::redis::Redis;
use orosync_tests::wait;
use redis::{Client, ErrorKind, RedisResult, ServerErrorKind};

#[test]
fn data_survives_a_stop_and_if_durable_a_kill() {
    for (configuration, is_killed) in [("", false), (Redis::DURABLE, true)] {
        let mut server = Redis::start_with(configuration);
        let address = server.address();
        server.run(&["SET", "key", "value"]);
        if is_killed {
            server.kill();
        } else {
            server.stop();
        }
        assert!(!server.is_running());
        server.start_again();
        assert_eq!(server.address(), address);
        assert_eq!(server.ask::<String>(&["GET", "key"]), "value");
    }
}

#[test]
fn a_user_has_exactly_the_configured_rules() {
    let rules = "resetkeys ~oro:* &oro:* -@all +get +set";
    let server = Redis::start_with(&Redis::user("app", "secret", rules));
    let client = Client::open(format!("redis://app:secret@{}", server.address())).unwrap();
    let mut app = client.get_connection().unwrap();
    let mut run =
        |name: &str, key: &str| -> RedisResult<Option<String>> { redis::cmd(name).arg(key).query(&mut app) };
    assert_eq!(run("GET", "oro:key").unwrap(), None);
    for (name, key) in [("GET", "other"), ("INCR", "oro:key")] {
        assert_eq!(
            run(name, key).unwrap_err().kind(),
            ErrorKind::Server(ServerErrorKind::NoPerm),
            "{name} {key}"
        );
    }
}

#[test]
fn a_server_with_tls_requires_its_password_and_the_harness_still_connects() {
    let certificate = Certificate::new();
    let server = Redis::start_with_tls(&certificate, "requirepass secret\nport 0");
    let (host, port) =
        server.tls_url().strip_prefix("rediss://").unwrap().split_once(':').map(owned).unwrap();
    let mut answers = Vec::new();
    for password in [&[][..], &["--no-auth-warning", "-a", "secret"]] {
        let output = std::process::Command::new("redis-cli")
            .args(["-h", &host, "-p", &port, "--tls", "--cacert"])
            .arg(server.directory().join("certificate.pem"))
            .args(password)
            .arg("PING")
            .output()
            .expect("redis-cli starts");
        answers.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    assert_eq!(answers, ["NOAUTH Authentication required.", "PONG"]);
    assert_eq!(server.ask::<String>(&["PING"]), "PONG");
}

#[test]
fn writes_beyond_the_memory_limit_are_refused() {
    let server = Redis::start();
    server.limit_memory(1 << 20);
    let value = "x".repeat(64 << 10);
    let set = |number: u8| server.try_ask::<()>(&["SET", &number.to_string(), &value]);
    let refused = (0..20).find_map(|number| set(number).err()).expect("the values exceed the limit");
    assert_eq!(refused.code(), Some("OOM"));
    server.set("maxmemory", "0");
    set(20).unwrap();
}

#[test]
fn a_frozen_server_keeps_its_connections_and_answers_later() {
    let server = Redis::start();
    let mut connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    server.freeze();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(redis::cmd("PING").query::<String>(&mut connection).unwrap_err().is_timeout());
    server.thaw();
    assert_eq!(server.ask::<String>(&["PING"]), "PONG");
}

#[test]
fn subscribers_can_be_disconnected_scripts_flushed_and_clients_paused() {
    let server = Redis::start();
    let sha: String = server.ask(&["SCRIPT", "LOAD", "return 1"]);
    server.flush_scripts();
    let error = server.try_ask::<u8>(&["EVALSHA", &sha, "0"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::NoScript));

    let mut connection = Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut subscriber = connection.as_pubsub();
    subscriber.subscribe("channel").unwrap();
    assert_eq!(server.info("pubsub_channels"), "1");
    assert_eq!(server.kill_subscribers(), 1);
    assert!(subscriber.get_message().is_err());

    server.pause_clients(Duration::from_millis(200));
    wait::until_true("the pause is over", || server.try_ask::<String>(&["PING"]).is_ok());
}

fn owned((host, port): (&str, &str)) -> (String, String) {
    (host.to_owned(), port.to_owned())
}
