//! Outages of Redis.

use std::ops::Range;
use std::time::{Duration, Instant};

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::redis::{Cluster, Redis};
use orosync_tests::server::{Server, ticket};
use orosync_tests::source::Source;
use orosync_tests::traffic::{self, Publishers, Subscriber};
use orosync_tests::wait;
use serde_json::json;

use super::load::Load;
use super::{assert_alive, is_ready, two_nodes};

/// Time after which a node becomes unready: 8 s after the last answer of Redis, with a margin for a slow machine.
const UNREADY_AFTER: Range<Duration> = Duration::from_secs(6)..Duration::from_secs(16);

#[test]
fn delivery_resumes_after_each_of_three_restarts_of_redis() {
    let mut redis = Redis::start_with(Redis::DURABLE);
    let nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    for _ in 0..3 {
        redis.kill();
        redis.start_again();
        load.await_resumption(Instant::now());
    }
    assert_eq!(load.moves(), 0, "sessions stay open");
    load.assert_complete();
}

#[test]
fn delivery_resumes_after_redis_restarts_without_its_data() {
    let mut redis = Redis::start_with("save \"\"");
    let mut nodes = two_nodes(&redis.url());
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    page.recover("acme/orders", &json!({}));
    Source::to(&nodes.node(1).endpoint()).publish_all("acme/orders", 0..3);
    let position = (0..3).map(|_| page.event("acme/orders")).last().unwrap().position;
    let load = Load::on(&nodes);
    redis.kill();
    redis.start_again();
    load.await_resumption(Instant::now());
    // A disconnect may have been lost, so sessions need new tickets.
    assert!(matches!(page.receive(), Received::Close(4010)));
    let recovery = Client::user(nodes.node(1), OROSYNC, 8).recover_since("acme/orders", &position);
    assert!(!recovery.complete, "{recovery:?}");
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    page.recover("acme/orders", &json!({}));
    Source::to(&nodes.node(1).endpoint()).publish_all("acme/orders", 3..4);
    assert_eq!(page.event("acme/orders").payload, 3);
    load.assert_complete_except_lost(&nodes, &redis);
    let mut is_logged = |number| {
        let log = nodes.node_mut(number).log();
        log.iter().any(|line| line.contains("Redis has lost accepted messages"))
    };
    assert!(is_logged(0) || is_logged(1));
}

#[test]
fn a_long_outage_of_redis_loses_nothing_and_reports_nothing_false() {
    let outage =
        std::env::var("NODES_OUTAGE_SECONDS").map_or(20, |seconds| seconds.parse().expect("a number"));
    let mut redis = Redis::start_with(Redis::DURABLE);
    let mut nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    let position = page.recover("acme/orders", &json!({})).position;
    let resume_ticket = page.call("orosync/resume", &[]).unwrap()["ticket"].as_str().unwrap().to_owned();
    redis.kill();
    let killed = Instant::now();
    let reason = nodes.await_not_ready(0);
    assert!(reason.ends_with("\r\n\r\nbroker\n"), "{reason}");
    assert!(UNREADY_AFTER.contains(&killed.elapsed()), "after {:?}", killed.elapsed());
    nodes.await_not_ready(1);
    let arrived = load.arrived();
    assert_alive(nodes.node(0));
    for (topic, options) in [
        ("acme/orders", json!({ "since": position })),
        ("acme/prices", json!({ "since": position })),
        ("acme/prices", json!({})),
    ] {
        let refused = page.call("orosync/subscribe", &[json!(topic), options]).unwrap_err();
        assert_eq!(refused.code, 503, "{refused:?}");
    }
    assert_tickets_are_postponed(nodes.node(0), &resume_ticket);
    wait::let_pass(Duration::from_secs(outage).saturating_sub(killed.elapsed()), "nothing is acknowledged");
    assert_eq!(load.arrived(), arrived);
    for number in 0..2 {
        assert_alive(nodes.node(number));
        assert!(!is_ready(nodes.node(number)));
    }
    redis.start_again();
    let available = Instant::now();
    load.await_resumption(available);
    nodes.await_ready(0);
    nodes.await_ready(1);
    // A new session, because the page has answered no ping meanwhile.
    let mut other = Client::user(nodes.node(0), OROSYNC, 9);
    assert!(other.recover_since("acme/orders", &position).complete);
    assert_eq!(load.moves(), 0, "sessions stay open");
    for ended in load.assert_complete() {
        assert_eq!(ended.log.matches("do not acknowledge, ").count(), 1, "{ended:?}");
        assert_eq!(ended.log.lines().count(), 1, "{ended:?}");
        assert!(ended.log.contains(" messages wait: "), "{ended:?}");
        assert!(ended.log.contains("the server answers, but has acknowledged nothing for 8s"), "{ended:?}");
    }
    let connection_lines = |line: &&String| line.contains("no connection to Redis");
    let lines = nodes.node_mut(0).log().iter().filter(connection_lines).count();
    assert!((1..=2 + usize::try_from(outage / 30).unwrap()).contains(&lines), "{lines} lines");
}

#[test]
fn publishers_log_a_long_pause_of_a_cluster_once() {
    const PAUSE: Duration = Duration::from_secs(20);
    let cluster = Cluster::start();
    let nodes = two_nodes(&cluster.url());
    let load = Load::on(&nodes);
    (0..3).for_each(|number| cluster.server(number).pause_clients(PAUSE));
    wait::let_pass(PAUSE, "nothing is acknowledged");
    load.await_resumption(Instant::now());
    for ended in load.assert_complete() {
        assert_eq!(ended.log.matches("do not acknowledge, ").count(), 1, "{ended:?}");
        assert_eq!(ended.log.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn a_publisher_with_one_endpoint_keeps_it_and_logs_missing_acknowledgements_once() {
    /// Longer than the 8 s after which a publisher reports missing acknowledgements.
    const OUTAGE: Duration = Duration::from_secs(12);
    let mut redis = Redis::start_with(Redis::DURABLE);
    let nodes = two_nodes(&redis.url());
    let subscriber = Subscriber::of(Client::user(nodes.node(1), OROSYNC, 7));
    let publishers = Publishers::start(&nodes.node(0).endpoint(), 1, 10, &[]);
    wait::until_true("a message has arrived", || subscriber.count() > 0);
    redis.kill();
    wait::let_pass(OUTAGE, "nothing is acknowledged");
    redis.start_again();
    let ended = publishers.finish();
    traffic::assert_flushed(&ended);
    let log = &ended[0].log;
    assert!(log.contains(" does not acknowledge, ") && log.contains(" messages wait: "), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(ended[0].last_error.contains("has acknowledged nothing for 8s"), "{ended:?}");
    assert_eq!(ended[0].reconnects, 0, "{ended:?}");
}

/// Asserts that tickets are answered with 503 and `Retry-After`. A resume ticket gets a Close frame, because a browser cannot read
/// the status; once the node is unready it gets 503, for the load balancer.
fn assert_tickets_are_postponed(node: &Server, resume_ticket: &str) {
    for offer in [WAMP, OROSYNC] {
        let mut client = Client::connect(node);
        let head = client.handshake(&format!("/ws?ticket={}", ticket(Role::User, Some(8))), offer);
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("Retry-After: "), "{head}");
    }
    let mut client = Client::connect(node);
    let offer = format!("Sec-WebSocket-Protocol: orosync.1, wamp, orosync.ticket.{resume_ticket}\r\n");
    let head = client.handshake("/", &offer);
    if head.starts_with("HTTP/1.1 101 ") {
        assert_eq!(client.receive(), Received::Close(4011));
    } else {
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    }
}
