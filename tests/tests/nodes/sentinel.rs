//! A primary with replicas, and Sentinels that promote one of them.

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::{LIMIT, ReplicaSet};
use orosync_tests::server::Server;
use orosync_tests::source::Source;
use orosync_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::load::Load;
use super::{LONG_HISTORY, LOST, sum, two_nodes};

/// A lock for the tests of this file: one test at a time, because its six servers must answer in time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until each node uses the primary and each publisher has published more, because a lost message is detected at the next
/// publish. Then [`Load::assert_complete_except_lost`]. Returns the number of lost messages.
fn assert_complete_except_lost(load: Load, mut nodes: Nodes, replica_set: &ReplicaSet) -> f64 {
    let primary = replica_set.server(replica_set.primary());
    let address = primary.address().to_string();
    for number in 0..2 {
        wait::until_true("the node uses the primary", || {
            let log = nodes.node_mut(number).log();
            let connected = log.iter().rfind(|line| line.contains("connected to Redis"));
            connected.is_some_and(|line| line.contains(&address))
        });
    }
    load.await_events();
    load.await_events();
    load.assert_complete_except_lost(&nodes, primary)
}

#[test]
fn delivery_resumes_after_the_primary_is_killed() {
    let _alone = alone();
    let mut replica_set = ReplicaSet::start();
    let nodes = two_nodes(&replica_set.url());
    let load = Load::on(&nodes);
    let killed = replica_set.kill_primary();
    replica_set.await_failover(killed);
    load.await_resumption(Instant::now());
    assert_eq!(load.moves(), 0, "sessions stay open");
    assert_complete_except_lost(load, nodes, &replica_set);
}

#[test]
fn delivery_resumes_after_a_frozen_primary_is_demoted() {
    let _alone = alone();
    let replica_set = ReplicaSet::start();
    let nodes = two_nodes(&replica_set.url());
    let load = Load::on(&nodes);
    let frozen = replica_set.freeze_primary();
    replica_set.await_failover(frozen);
    let promoted = Instant::now();
    replica_set.server(frozen).thaw();
    load.await_resumption(promoted);
    replica_set.wait_until_settled();
    load.await_events();
    assert_complete_except_lost(load, nodes, &replica_set);
}

#[test]
fn a_live_primary_can_be_demoted() {
    let _alone = alone();
    let replica_set = ReplicaSet::start();
    let nodes = two_nodes(&replica_set.url());
    let load = Load::on(&nodes);
    let demoted = replica_set.demote_primary();
    replica_set.await_failover(demoted);
    load.await_resumption(Instant::now());
    assert_complete_except_lost(load, nodes, &replica_set);
}

#[test]
fn events_that_a_promoted_replica_lacks_are_counted_and_make_recoveries_incomplete() {
    let _alone = alone();
    let mut replica_set = ReplicaSet::start();
    let mut nodes = two_nodes(&replica_set.url());
    let mut page = Client::user(nodes.node(1), OROSYNC, 7);
    let begin = page.recover("acme/orders", &json!({})).position;
    let mut source = Source::to(&nodes.node(0).endpoint());
    let mut publish = |numbers: std::ops::Range<u32>| source.publish_all("acme/orders", numbers);
    publish(0..95);
    replica_set.server(0).run_replicated(&["SET", "marker", "1"], 2);
    replica_set.detach_replicas();
    publish(95..100);
    let seen: Vec<_> = (0..100).map(|_| page.event("acme/orders")).collect();
    replica_set.kill_primary();
    replica_set.await_failover(0);
    let promoted = Instant::now();
    publish(100..110);
    assert!(promoted.elapsed() < super::RESUME_LIMIT, "{:?}", promoted.elapsed());
    nodes.node(0).await_metric(LOST, 5.0);
    nodes.node_mut(0).await_line("Redis has lost accepted messages");
    // An open session must reconnect and recover.
    assert!(matches!(page.receive(), Received::Close(4012)));
    for number in 0..2 {
        let mut other = Client::user(nodes.node(number), OROSYNC, 8);
        let kept: Vec<Value> = (0..95).chain(100..110).map(|number: u32| json!(number)).collect();
        let lost = other.recover_since("acme/orders", &seen[99].position);
        assert!(!lost.complete, "{lost:?}");
        let known = other.recover_since("acme/orders", &seen[94].position);
        assert!(known.complete);
        assert_eq!(known.payloads(), kept[95..]);
        let all = other.recover_since("acme/orders", &begin);
        assert!(all.complete, "a recovery from before the loss is complete");
        assert_eq!(all.payloads(), kept);
    }
}

/// Two nodes with `broker.wait_replicas = 1`.
fn two_nodes_that_wait(replica_set: &ReplicaSet) -> Nodes {
    let configuration = format!("{LONG_HISTORY}\n{}wait_replicas = 1\n", broker(&replica_set.url()));
    Nodes::start_each([configuration.clone(), configuration])
}

/// Number of messages that the nodes have acknowledged.
fn acknowledged(nodes: &Nodes) -> f64 {
    sum(nodes, 2, "orosync_messages_accepted_total{source=\"link\"}")
}

fn await_replica(replica_set: &ReplicaSet) {
    let primary = replica_set.primary();
    wait::until_within(LIMIT, "a replica is attached", || {
        (replica_set.server(primary).info("connected_slaves") != "0").then_some(())
    });
}

#[test]
fn with_wait_replicas_no_acknowledged_message_is_lost() {
    let _alone = alone();
    let mut replica_set = ReplicaSet::start_with("min-replicas-to-write 1\nmin-replicas-max-lag 2");
    let nodes = two_nodes_that_wait(&replica_set);
    let load = Load::on(&nodes);
    replica_set.detach_replicas();
    wait::let_pass(Duration::from_secs(1), "replicated messages are acknowledged");
    let before = acknowledged(&nodes);
    wait::let_pass(Duration::from_secs(1), "no more messages are acknowledged");
    assert!(acknowledged(&nodes) - before < 1.0);
    let killed = replica_set.kill_primary();
    replica_set.await_failover(killed);
    replica_set.attach_replicas();
    await_replica(&replica_set);
    load.await_resumption(Instant::now());
    assert!(assert_complete_except_lost(load, nodes, &replica_set) < 1.0);
}

#[test]
fn a_message_resent_over_another_connection_waits_for_replicas_too() {
    let _alone = alone();
    let replica_set = ReplicaSet::start();
    let nodes = two_nodes_that_wait(&replica_set);
    let primary = replica_set.server(0);
    let mut source = Source::to(&nodes.node(0).endpoint());
    source.publish_all("acme/orders", [1]);
    wait::until_true("the acknowledgement is counted", || acknowledged(&nodes) > 0.0);
    for replica in 1..3 {
        replica_set.server(replica).freeze();
    }
    let publishing = thread::spawn(move || source.publish_all("acme/orders", [2]));
    let kept = || primary.ask::<u8>(&["LLEN", "orosync:{0}:e:acme/orders"]);
    wait::until_true("Redis has it", || kept() == 2);
    assert!(primary.ask::<usize>(&["CLIENT", "KILL", "TYPE", "normal"]) >= 2);
    wait::let_pass(Duration::from_secs(2), "the message is resent but not acknowledged");
    assert!(acknowledged(&nodes) < 2.0);
    for replica in 1..3 {
        replica_set.server(replica).thaw();
    }
    publishing.join().expect("the message is acknowledged");
    assert_eq!(kept(), 2);
}

#[test]
fn without_replicas_nothing_is_acknowledged_and_the_nodes_stay_ready() {
    const WITHOUT: Duration = Duration::from_secs(7);
    let _alone = alone();
    let replica_set = ReplicaSet::start();
    let mut nodes = two_nodes_that_wait(&replica_set);
    let load = Load::on(&nodes);
    let mut page = Client::user(nodes.node(0), OROSYNC, 7);
    replica_set.detach_replicas();
    wait::let_pass(Duration::from_secs(1), "replicated messages are acknowledged");
    let (before, begin) = (acknowledged(&nodes), Instant::now());
    while begin.elapsed() < WITHOUT {
        let asked = Instant::now();
        page.recover("acme/orders", &json!({ "since": "1.1" }));
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "reads do not wait for replicas: {:?}",
            asked.elapsed()
        );
        wait::let_pass(Duration::from_millis(100), "nothing is acknowledged");
    }
    assert!(acknowledged(&nodes) - before < 1.0);
    let mut lines = Vec::new();
    for number in 0..2 {
        assert!(super::is_ready(nodes.node(number)));
        let log = nodes.node_mut(number).log();
        let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("connected to Redis"), 1, "{log:#?}");
        lines.push(count("broker.wait_replicas requires 1"));
    }
    // All publishers may be connected to the same node, so the other node may log nothing.
    assert!(lines.iter().max() == Some(&1), "{lines:?}");
    replica_set.attach_replicas();
    await_replica(&replica_set);
    load.await_resumption(Instant::now());
    load.assert_complete();
}

#[test]
fn nodes_follow_sentinels_that_require_a_password() {
    const PASSWORD: &str = "of-the-sentinels";
    let _alone = alone();
    let mut replica_set = ReplicaSet::start_with_sentinel_password(PASSWORD);
    let password = replica_set.server(0).directory().join("sentinel-password");
    fs::write(&password, PASSWORD).expect("the password is written");
    let without = format!("{LONG_HISTORY}\n{}", broker(&replica_set.url()));
    let with = format!("{without}sentinel_password_file = \"{}\"\n", password.display());
    let mut other = Server::start_with(&without);
    let line = other.await_line(r#""cause":"noauth""#);
    assert!(line.contains("Set broker.sentinel_password_file"), "{line}");
    assert!(!super::is_ready(&other));
    let nodes = Nodes::start_each([with.clone(), with]);
    let load = Load::on(&nodes);
    // The Sentinels' password changes. The nodes read the new one on SIGHUP.
    for number in 0..3 {
        let default = ["ACL", "SETUSER", "default", "resetpass", ">another"];
        replica_set.sentinel(number).run(&default);
    }
    fs::write(&password, "another").expect("the password is written");
    for number in 0..2 {
        nodes.node(number).signal(Signal::HUP);
    }
    let killed = replica_set.kill_primary();
    replica_set.await_failover(killed);
    load.await_resumption(Instant::now());
    assert_complete_except_lost(load, nodes, &replica_set);
}
