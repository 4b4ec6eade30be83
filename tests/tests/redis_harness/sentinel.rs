//! A primary, its replicas, and their Sentinels.

use orosync_tests::redis::{LIMIT, ReplicaSet};
use orosync_tests::wait;

#[test]
fn a_killed_primary_is_replaced_and_rejoins_as_a_replica() {
    let mut replica_set = ReplicaSet::start();
    assert_eq!(replica_set.primary(), 0);
    assert_eq!(replica_set.kill_primary(), 0);
    let promoted = replica_set.await_failover(0);
    assert_ne!(promoted, 0);
    replica_set.server_mut(0).start_again();
    replica_set.wait_until_settled();
    assert_eq!(replica_set.primary(), promoted);
    assert_eq!(replica_set.server(0).info("role"), "slave");
}

#[test]
fn a_promoted_replica_lacks_the_writes_made_after_it_was_detached() {
    let mut replica_set = ReplicaSet::start();
    let add = |replica_set: &ReplicaSet, server: usize, more: u64| {
        replica_set.server(server).ask::<u64>(&["INCRBY", "counter", &more.to_string()])
    };
    replica_set.server(0).run_replicated(&["SET", "counter", "95"], 2);
    replica_set.detach_replicas();
    assert_eq!(add(&replica_set, 0, 5), 100);
    replica_set.kill_primary();
    let promoted = replica_set.await_failover(0);
    assert_eq!(add(&replica_set, promoted, 10), 105);
    replica_set.server_mut(0).start_again();
    replica_set.attach_replicas();
    replica_set.wait_until_settled();
    assert_eq!(replica_set.server(0).ask::<u64>(&["GET", "counter"]), 105);
}

#[test]
fn a_frozen_primary_is_demoted() {
    let replica_set = ReplicaSet::start();
    replica_set.freeze_primary();
    replica_set.await_failover(0);
    replica_set.server(0).thaw();
    wait::until_within(LIMIT, "the old primary is demoted", || {
        (replica_set.server(0).try_info("role").ok()? == "slave").then_some(())
    });
    replica_set.wait_until_settled();
}

// In its own replica set: after the failover of another test, a Sentinel that does not know the new primary yet would demote the
// next one.
#[test]
fn a_live_primary_can_be_demoted() {
    let replica_set = ReplicaSet::start();
    assert_eq!(replica_set.demote_primary(), 0);
    assert_ne!(replica_set.await_failover(0), 0);
    assert_eq!(replica_set.server(0).ask::<String>(&["PING"]), "PONG");
    replica_set.wait_until_settled();
}
