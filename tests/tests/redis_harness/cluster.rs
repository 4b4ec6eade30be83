//! A Redis Cluster.

use orosync_tests::redis::{Cluster, SLOTS};

#[test]
fn a_slot_moves_with_its_keys_and_redirects_commands_meanwhile() {
    let cluster = Cluster::start();
    for slot in [0, SLOTS / 2, SLOTS - 1] {
        assert!(cluster.owner(slot) < 3);
    }
    let slot = cluster.slot("{tag}");
    let from = cluster.owner(slot);
    let to = (from + 1) % 3;
    let keys: Vec<String> = (0..250).map(|number| format!("{{tag}}{number}")).collect();
    for key in &keys {
        cluster.server(from).run(&["SET", key, "value"]);
    }
    cluster.begin_move(slot, to);
    assert_eq!(cluster.server(from).ask::<String>(&["GET", &keys[0]]), "value");
    let error = cluster.server(from).try_ask::<()>(&["SET", "{tag}new", "value"]).unwrap_err();
    assert_eq!(error.code(), Some("ASK"));
    cluster.finish_move(slot, to);
    for key in &keys {
        assert_eq!(cluster.server(to).ask::<String>(&["GET", key]), "value");
    }
    let error = cluster.server(from).try_ask::<()>(&["GET", &keys[0]]).unwrap_err();
    assert_eq!(error.code(), Some("MOVED"));
}

#[test]
fn a_replica_replaces_a_killed_primary() {
    let mut cluster = Cluster::start_with(1, "");
    let slot = cluster.slot("key");
    let primary = cluster.owner(slot);
    cluster.server(primary).run_replicated(&["SET", "key", "value"], 1);
    cluster.server_mut(primary).kill();
    cluster.await_failover(primary);
    let promoted = cluster.owner(slot);
    assert_ne!(promoted, primary);
    assert_eq!(cluster.server(promoted).ask::<String>(&["GET", "key"]), "value");
    cluster.server_mut(primary).start_again();
    cluster.wait_until_settled();
    assert_eq!(cluster.owner(slot), promoted);
}
