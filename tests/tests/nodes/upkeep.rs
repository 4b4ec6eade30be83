//! Maintenance of nodes: a new secret, a new configuration, a shutdown.

use std::fs;
use std::time::Duration;

use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::Redis;
use orosync_tests::source::Source;
use orosync_tests::{SECRET, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{LONG_HISTORY, two_nodes};

const NEW_SECRET: &str = "a new secret of the tests, longer than 32 bytes";

/// Makes all nodes reload these secrets. The first one signs.
fn set_secrets(nodes: &mut Nodes, secrets: &str) {
    for number in 0..2 {
        fs::write(nodes.node(number).secret_file(), secrets).expect("the secrets are written");
        let lines = nodes.node_mut(number).log().len();
        nodes.node(number).signal(Signal::HUP);
        wait::until("the secrets are reloaded", || {
            let log = &nodes.node_mut(number).log()[lines..];
            log.iter().any(|line| line.contains("were reloaded")).then_some(())
        });
    }
}

fn secret_in_redis(redis: &Redis) -> String {
    redis.ask(&["GET", "orosync:{0}:secret"])
}

#[test]
fn nodes_reconnect_after_the_documented_change_of_the_secret() {
    let redis = Redis::start();
    let mut nodes = two_nodes(&redis.url());
    let old = secret_in_redis(&redis);
    set_secrets(&mut nodes, &format!("{NEW_SECRET}\n{SECRET}\n"));
    wait::until("the nodes have stored the new secret in Redis", || {
        (secret_in_redis(&redis) != old).then_some(())
    });
    set_secrets(&mut nodes, NEW_SECRET);
    redis.run(&["CLIENT", "KILL", "TYPE", "normal"]);
    redis.kill_subscribers();
    Source::with_secret(&nodes.node(0).endpoint(), NEW_SECRET).publish_all("acme/orders", [1]);
    for number in 0..2 {
        nodes.await_ready(number);
        let log = nodes.node_mut(number).log();
        assert!(!log.iter().any(|line| line.contains("with another secret")), "{log:#?}");
    }
}

#[test]
fn pages_get_a_close_frame_when_their_node_stops_while_redis_is_unreachable() {
    let mut redis = Redis::start();
    let nodes = two_nodes(&redis.url());
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    page.sync();
    let mut source = Source::to(&nodes.node(0).endpoint());
    source.publish_all("acme/orders", [1]);
    redis.kill();
    source.publish("acme/orders", &json!(2));
    wait::let_pass(Duration::from_millis(200), "the message reaches the node, which cannot acknowledge it");
    nodes.node(0).signal(Signal::TERM);
    assert!(matches!(page.receive(), Received::Close(1001)));
}

/// The configuration of a node with this interval of pings.
fn pings_every(seconds: f64, redis: &Redis) -> String {
    format!("oro_ping_seconds = {seconds}\n{LONG_HISTORY}\n{}", broker(&redis.url()))
}

#[test]
fn two_nodes_publish_each_ping_once_and_follow_a_changed_interval() {
    let redis = Redis::start();
    let mut nodes = Nodes::start_each([pings_every(0.2, &redis), pings_every(0.2, &redis)]);
    let mut page = Client::user(nodes.node(0), WAMP, 7);
    page.subscribe("oro/ping");
    let mut elsewhere = Client::user(nodes.node(1), WAMP, 7);
    elsewhere.subscribe("oro/ping");
    let ping = |page: &mut Client| {
        let event: Value = serde_json::from_str(&page.text()).expect("JSON");
        assert_eq!(event[1], "oro/ping");
    };
    ping(&mut page);
    let due = || redis.ask::<u64>(&["GET", "orosync:{0}:p:00000000000000000000000000000000"]);
    let count = || redis.ask::<u64>(&["LLEN", "orosync:{0}:e:oro/ping"]);
    let (due_before, count_before) = (due(), count());
    (0..10).for_each(|_| ping(&mut page));
    let (received, passed) = (count() - count_before, due() - due_before);
    assert!(received >= 9 && received <= passed / 200, "{received} in {passed} ms");
    let counted =
        (0..2).map(|number| nodes.node(number).metric("orosync_messages_accepted_total{source=\"server\"}"));
    assert!(counted.sum::<f64>() >= 9.0);
    for number in 0..2 {
        nodes.node(number).rewrite(&pings_every(0.3, &redis));
        nodes.kill(number);
        nodes.start_again(number);
    }
    let mut page = Client::user(nodes.node(0), WAMP, 7);
    page.subscribe("oro/ping");
    ping(&mut page);
}
