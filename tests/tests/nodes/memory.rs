//! Redis without free memory.

use std::time::{Duration, Instant};

use orosync_tests::redis::Redis;
use orosync_tests::wait;

use super::load::Load;
use super::{sum, two_nodes};

#[test]
fn messages_refused_while_redis_is_out_of_memory_are_acknowledged_later() {
    let redis = Redis::start();
    let mut nodes = two_nodes(&redis.url());
    let load = Load::on(&nodes);
    redis.set("maxmemory", "1mb");
    let arrived = wait::until("no message is in flight", || {
        let before = load.arrived();
        wait::let_pass(Duration::from_millis(500), "messages in flight arrive");
        (load.arrived() == before).then_some(before)
    });
    let accepted = sum(&nodes, 2, "orosync_messages_accepted_total{source=\"link\"}");
    nodes.await_not_ready(0);
    assert_eq!(load.arrived(), arrived);
    let accepted_since = sum(&nodes, 2, "orosync_messages_accepted_total{source=\"link\"}") - accepted;
    assert!(accepted_since < 1.0, "{accepted_since} were acknowledged");
    redis.set("maxmemory", "0");
    load.await_resumption(Instant::now());
    nodes.await_ready(0);
    load.assert_complete();
    for number in 0..2 {
        let log = nodes.node_mut(number).log();
        let lines = log.iter().filter(|line| line.contains("maxmemory")).count();
        assert_eq!(lines, 1, "{log:#?}");
        let replaced = log.iter().filter(|line| line.contains("is replaced")).count();
        assert!(replaced <= 1, "{log:#?}");
    }
}
