//! The proxy between a client and a Redis server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use orosync_tests::redis::{Redis, RedisProxy};
use orosync_tests::wait;
use redis::{Client, Connection, RedisResult};

/// A connection through the proxy, with the default time limit of the tests.
fn connect(proxy: &RedisProxy) -> Connection {
    let connection =
        Client::open(proxy.url()).and_then(|client| client.get_connection()).expect("the proxy forwards");
    connection.set_read_timeout(Some(wait::LIMIT)).expect("a socket option");
    connection
}

fn ping(connection: &mut Connection) -> RedisResult<String> {
    redis::cmd("PING").query(connection)
}

#[test]
fn pushes_are_dropped_and_answers_and_confirmations_are_forwarded() {
    let server = Redis::start();
    let proxy = RedisProxy::to(server.address());
    let mut connection = connect(&proxy);
    let mut subscriber = connection.as_pubsub();
    subscriber.subscribe("first").unwrap();
    proxy.drop_pushes();
    subscriber.subscribe("second").unwrap();
    assert_eq!(server.ask::<usize>(&["PUBLISH", "first", "lost"]), 1);
    assert_eq!(server.ask::<usize>(&["PUBLISH", "second", "lost"]), 1);
    wait::until_true("both pushes are dropped", || proxy.dropped_pushes() == 2);
    assert_eq!(ping(&mut connect(&proxy)).unwrap(), "PONG");
    proxy.restore();
    assert_eq!(server.ask::<usize>(&["PUBLISH", "first", "found"]), 1);
    assert_eq!(subscriber.get_message().unwrap().get_payload::<String>().unwrap(), "found");
}

#[test]
fn resp3_pushes_are_dropped_and_confirmations_are_forwarded() {
    let server = Redis::start();
    let proxy = RedisProxy::to(server.address());
    proxy.drop_pushes();
    let mut connection = TcpStream::connect(proxy.address()).unwrap();
    connection.set_read_timeout(Some(wait::LIMIT)).unwrap();
    let mut received = String::new();
    let mut send = |command: &str, answer: &str| {
        connection.write_all(command.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        while !received.ends_with(answer) {
            let length = connection.read(&mut buffer).unwrap();
            assert!(length > 0, "{received}");
            received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    };
    send("HELLO 3\r\nSSUBSCRIBE channel\r\n", ">3\r\n$10\r\nssubscribe\r\n$7\r\nchannel\r\n:1\r\n");
    assert_eq!(server.ask::<usize>(&["SPUBLISH", "channel", "lost"]), 1);
    send("PING\r\n", "+PONG\r\n");
    assert_eq!(proxy.dropped_pushes(), 1);
    assert!(!received.contains("smessage"), "{received}");
}

#[test]
fn the_proxy_refuses_new_connections_and_resets_open_ones() {
    let server = Redis::start();
    let proxy = RedisProxy::to(server.address());
    let mut open = connect(&proxy);
    proxy.refuse();
    let refused = Client::open(proxy.url()).unwrap().get_connection().err().unwrap();
    assert!(refused.is_connection_refusal(), "{refused}");
    assert_eq!(ping(&mut open).unwrap(), "PONG");
    proxy.cut();
    assert!(ping(&mut open).unwrap_err().is_io_error());
    proxy.restore();
    assert_eq!(ping(&mut connect(&proxy)).unwrap(), "PONG");
}

#[test]
fn silenced_connections_accept_data_and_stay_open_without_an_answer() {
    let server = Redis::start();
    let proxy = RedisProxy::to(server.address());
    let mut open = connect(&proxy);
    proxy.silence();
    open.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(ping(&mut open).unwrap_err().is_timeout());
    proxy.restore();
    assert_eq!(ping(&mut connect(&proxy)).unwrap(), "PONG");
    drop(open);
    let server_connections = || {
        let clients: String = server.ask(&["CLIENT", "LIST", "TYPE", "normal"]);
        let laddr = format!(" laddr={} ", server.address());
        clients.lines().filter(|client| client.contains(&laddr)).count()
    };
    wait::until_true("the server has closed the other connections", || server_connections() <= 1);
    wait::let_pass(Duration::from_millis(200), "the server does not learn that a silent client has closed");
    assert_eq!(server_connections(), 1);
}

#[test]
fn a_delay_applies_in_both_directions() {
    let server = Redis::start();
    let proxy = RedisProxy::to(server.address());
    let mut connection = connect(&proxy);
    proxy.delay(Duration::from_millis(50));
    let begin = Instant::now();
    assert_eq!(ping(&mut connection).unwrap(), "PONG");
    assert!(begin.elapsed() >= Duration::from_millis(100));
}
