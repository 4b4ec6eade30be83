//! Faults of the connections between nodes and a running Redis.

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

/// Injects a fault into a Redis under load, `times` times, and waits each time until delivery resumes. `fault` returns the time at
/// which the fault ended.
fn under_load(times: usize, fault: impl Fn(&Redis) -> Instant) -> Nodes {
    let redis = Redis::start();
    let nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    for _ in 0..times {
        let available = fault(&redis);
        load.await_resumption(available);
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
        assert_eq!(connected, 1, "the nodes do not reconnect for this: {log:#?}");
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
        wait::let_pass(PAUSE, "Redis does not answer");
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
        .expect("Redis disconnects the node");
    assert_eq!(cut, 1);
    nodes.node(0).thaw();
    load.await_resumption(Instant::now());
    load.assert_complete();
    assert!(nodes.node(0).metric("orosync_broker_gaps_total") > 0.0, "gaps are counted");
}

/// One node behind a proxy, and one without.
fn one_behind_a_proxy(redis: &Redis) -> (RedisProxy, Nodes) {
    let proxy = RedisProxy::to(redis.address());
    let nodes =
        Nodes::start_each([proxy.url(), redis.url()].map(|url| format!("{LONG_HISTORY}\n{}", broker(&url))));
    (proxy, nodes)
}

#[test]
fn publishers_switch_from_a_node_without_redis_to_one_with_it() {
    /// The 8 s after which a publisher leaves a node without acknowledgements, and a margin to connect and deliver.
    const SWITCH_LIMIT: Duration = Duration::from_secs(12);
    let redis = Redis::start();
    let (redis_proxy, nodes) = one_behind_a_proxy(&redis);
    // While this proxy is closed, all publishers connect to the node that will lose Redis.
    let other = Proxy::closed();
    let load = Load::through(&format!("{} {}", nodes.node(0).endpoint(), other.endpoint()), &nodes);
    other.open(nodes.node(1).address());
    redis_proxy.refuse();
    redis_proxy.cut();
    let lost = Instant::now();
    load.await_events_at(1);
    let took = lost.elapsed();
    println!("delivery resumed after {took:?}");
    assert!(took < SWITCH_LIMIT, "it took {took:?}");
    assert!(!super::is_ready(nodes.node(0)));
    assert_alive(nodes.node(0));
    assert_short_scripts_deliver(&nodes);
    redis_proxy.restore();
    load.await_resumption(Instant::now());
    nodes.await_ready(0);
    assert_eq!(load.moves(), 0, "sessions stay open");
    for ended in load.assert_complete() {
        assert_eq!(ended.reconnects, 1, "a publisher switches once: {ended:?}");
        assert!(ended.last_error.contains("has acknowledged nothing for 8s"), "{ended:?}");
        assert_eq!(ended.log, "", "a switch is not logged as an outage");
    }
}

/// Asserts that scripts that publish and end deliver within their shutdown timeout, whichever node they connect to first.
fn assert_short_scripts_deliver(nodes: &Nodes) {
    let endpoints = [0, 1].map(|number| nodes.node(number).endpoint()).join(" ");
    let mut page = Client::user(nodes.node(1), OROSYNC, 7);
    page.recover("acme/scripts", &json!({}));
    for number in 0..6 {
        let script = format!("orosync_publish('acme/scripts', {number});");
        let ended = php::command(&endpoints)
            .args(["-d", "orosync.shutdown_timeout=4", "-r", &script])
            .output()
            .expect("php starts");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "all messages were delivered");
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
    let (redis_proxy, nodes) = one_behind_a_proxy(&redis);
    let mut page = Client::user(nodes.node(1), OROSYNC, 7);
    page.recover("acme/workers", &json!({}));
    // While this proxy is closed, the worker connects to the node that will lose Redis.
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
    // The end of its standard input makes the worker continue.
    let ended = worker.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "all messages were delivered");
    assert_eq!(page.event("acme/workers").payload, 2);
}

#[test]
fn a_node_that_receives_no_pushes_becomes_unready_and_catches_up() {
    let redis = Redis::start();
    let (proxy, nodes) = one_behind_a_proxy(&redis);
    let load = Load::on(&nodes);
    proxy.drop_pushes();
    let reason = nodes.await_not_ready(0);
    assert!(reason.ends_with("\r\n\r\nbroker\n"), "{reason}");
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
    let (proxy, nodes) = one_behind_a_proxy(&redis);
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
