//! Faults between nodes and a running Redis.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::php;
use orosync_tests::proxy::Proxy;
use orosync_tests::redis::{LIMIT, Redis, RedisProxy};
use orosync_tests::source::Source;
use orosync_tests::wait;
use serde_json::json;

use super::load::Load;
use super::{LONG_HISTORY, assert_alive, sum, two_nodes};

/// Does something to a Redis under load so many times, each of which gives the time from which on it is able to serve, and has
/// delivery go on each time.
fn under_load(times: usize, what: impl Fn(&Redis) -> Instant) -> Nodes {
    let redis = Redis::start();
    let nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    for _ in 0..times {
        let able = what(&redis);
        load.await_resumption(able);
    }
    assert_eq!(load.moves(), 0, "sessions stay open");
    load.assert_complete();
    nodes
}

#[test]
fn delivery_survives_a_flush_of_redis_scripts() {
    let mut nodes = under_load(2, |redis| {
        redis.flush_scripts();
        Instant::now()
    });
    for number in 0..2 {
        let log = nodes.node_mut(number).log();
        let connected = log.iter().filter(|line| line.contains("connected to Redis")).count();
        assert_eq!(connected, 1, "that is no reason to connect again: {log:#?}");
    }
}

#[test]
fn events_missed_while_subscriber_connections_are_closed_are_read_afterwards() {
    under_load(4, |redis| {
        assert_eq!(redis.kill_subscribers(), 2);
        Instant::now()
    });
}

#[test]
fn commands_without_an_answer_are_resent_after_their_connection_is_closed() {
    let nodes = under_load(4, |redis| {
        assert!(redis.ask::<usize>(&["CLIENT", "KILL", "TYPE", "normal"]) >= 1);
        Instant::now()
    });
    assert!(sum(&nodes, 2, "orosync_broker_messages_lost_total") < 1.0);
}

#[test]
fn delivery_resumes_after_redis_pauses_for_five_seconds() {
    const PAUSE: Duration = Duration::from_secs(5);
    under_load(1, |redis| {
        redis.pause_clients(PAUSE);
        wait::let_pass(PAUSE, "Redis answers nobody");
        Instant::now()
    });
}

#[test]
fn a_node_that_redis_disconnects_for_not_reading_pushes_catches_up() {
    let redis = Redis::start_with("client-output-buffer-limit pubsub 64kb 64kb 1");
    let nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    let topics: Vec<String> = (0..16).map(|number| format!("acme/{number}")).collect();
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    for topic in &topics {
        page.subscribe(topic);
    }
    let mut source = Source::to(&nodes.node(1).endpoint());
    let payload = json!("x".repeat(200 << 10));
    nodes.node(0).freeze();
    let cut = topics
        .iter()
        .cycle()
        .take(20 * topics.len())
        .find_map(|topic| {
            source.publish(topic, &payload);
            source.flush();
            let cut = redis.log().matches("overcoming of output buffer limits").count();
            (cut > 0).then_some(cut)
        })
        .expect("Redis cuts it off");
    assert_eq!(cut, 1);
    nodes.node(0).thaw();
    load.await_resumption(Instant::now());
    load.assert_complete();
    assert!(nodes.node(0).metric("orosync_broker_gaps_total") > 0.0, "gaps are counted");
}

/// A node behind a proxy and one without.
fn behind_a_proxy(redis: &Redis) -> (RedisProxy, Nodes) {
    let proxy = RedisProxy::to(redis.address());
    let nodes =
        Nodes::start_each([proxy.url(), redis.url()].map(|url| format!("{LONG_HISTORY}\n{}", broker(&url))));
    (proxy, nodes)
}

#[test]
fn publishers_switch_from_a_node_without_redis_to_one_with_it() {
    /// 8 s of patience, and what it takes to connect and deliver.
    const LEAVES: Duration = Duration::from_secs(12);
    let redis = Redis::start();
    let (redis_proxy, nodes) = behind_a_proxy(&redis);
    // While it is closed all publishers come to the node that will be cut off.
    let other = Proxy::closed();
    let load = Load::through(&format!("{} {}", nodes.node(0).endpoint(), other.endpoint()), &nodes);
    other.open(nodes.node(1).address());
    redis_proxy.refuse();
    redis_proxy.cut();
    let cut = Instant::now();
    load.await_events_at(1);
    let took = cut.elapsed();
    println!("delivery goes on after {took:?}");
    assert!(took < LEAVES, "it took {took:?}");
    assert!(!super::is_ready(nodes.node(0)));
    assert_alive(nodes.node(0));
    assert_scripts_publish_through(&nodes);
    redis_proxy.restore();
    load.await_resumption(Instant::now());
    nodes.await_ready(0);
    assert_eq!(load.moves(), 0, "sessions stay open");
    for ended in load.assert_complete() {
        assert_eq!(ended.reconnects, 1, "it has left once, and stays: {ended:?}");
        assert!(ended.last_error.contains("has acknowledged nothing for 8s"), "{ended:?}");
        assert_eq!(ended.log, "", "no outage");
    }
}

/// Scripts that publish and end have their last flush go on in time, whichever node they begin with.
fn assert_scripts_publish_through(nodes: &Nodes) {
    let endpoints = [0, 1].map(|number| nodes.node(number).endpoint()).join(" ");
    let mut page = Client::user(nodes.node(1), OROSYNC, 7);
    page.recover("acme/scripts", &json!({}));
    for number in 0..6 {
        let script = format!("orosync_publish('acme/scripts', {number});");
        let ended = php::command(&endpoints)
            .args(["-d", "orosync.shutdown_timeout=4", "-r", &script])
            .output()
            .expect("php starts");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "nothing is left");
        assert_eq!(page.event("acme/scripts").payload, number);
    }
}

#[test]
fn a_worker_that_ends_after_its_node_lost_redis_delivers_its_messages_through_another_node() {
    let script = r#"
        orosync_publish("acme/workers", 1);
        orosync_flush(10);
        echo "ready\n";
        fgets(STDIN);
        orosync_publish("acme/workers", 2);
        sleep(2);
    "#;
    let redis = Redis::start();
    let (redis_proxy, nodes) = behind_a_proxy(&redis);
    let mut page = Client::user(nodes.node(1), OROSYNC, 7);
    page.recover("acme/workers", &json!({}));
    // While it is closed the worker comes to the node that will be cut off.
    let other = Proxy::closed();
    let mut worker = php::command(&format!("{} {}", nodes.node(0).endpoint(), other.endpoint()))
        .args(["-d", "orosync.shutdown_timeout=4", "-r", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("php starts");
    let mut ready = [0; 6];
    worker.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it is ready");
    assert_eq!(page.event("acme/workers").payload, 1);
    other.open(nodes.node(1).address());
    redis_proxy.refuse();
    redis_proxy.cut();
    // With its standard input's end it goes on.
    let ended = worker.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "nothing is left");
    assert_eq!(page.event("acme/workers").payload, 2);
}

#[test]
fn a_node_that_receives_no_pushes_becomes_unready_and_catches_up() {
    let redis = Redis::start();
    let (proxy, nodes) = behind_a_proxy(&redis);
    let load = Load::on(&nodes);
    proxy.drop_pushes();
    let said = nodes.await_not_ready(0);
    assert!(said.ends_with("\r\n\r\nbroker\n"), "{said}");
    assert_alive(nodes.node(0));
    assert!(super::is_ready(nodes.node(1)));
    load.await_events();
    proxy.restore();
    load.await_resumption(Instant::now());
    nodes.await_ready(0);
    load.assert_complete();
    assert!(nodes.node(0).metric("orosync_broker_gaps_total") > 0.0, "gaps are counted");
}

#[test]
fn delivery_resumes_after_the_connection_to_redis_was_half_open() {
    let redis = Redis::start();
    let (proxy, nodes) = behind_a_proxy(&redis);
    let load = Load::on(&nodes);
    for is_long in [false, true] {
        proxy.silence();
        if is_long {
            nodes.await_not_ready(0);
        }
        proxy.restore();
        load.await_resumption(Instant::now());
        wait::until_within(LIMIT, "the node is ready", || super::is_ready(nodes.node(0)).then_some(()));
    }
    load.assert_complete();
}
