//! The broker with a Cluster whose slots move and whose primaries fail.

use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::{PublisherId, Topic};
use redis::{Connection, FromRedisValue, RedisResult};
use tempfile::TempDir;

use super::traffic::{SOON, Traffic, wait_until_subscribed};
use super::{RedisBroker, Server, Settlements, free_port, open, publish, settings_of, wait_for};
use crate::broker::contract::{self, Highest};
use crate::broker::redis::connect::{Connector, check_server};
use crate::broker::redis::keys::{Keys, Partition, SLOTS};
use crate::broker::{Broker, EventHandler};
use crate::config::broker::{RedisAddress, RedisServers};

const PRIMARIES: usize = 3;

/// Three primaries with a third of the slots each, optionally with a replica each: server 3 is the replica of server 0, and so
/// on.
struct Cluster {
    servers: Vec<Server>,
    /// The value of `broker.wait_replicas`.
    replicas: u32,
}

impl Cluster {
    fn start() -> Self {
        Self::start_with(PRIMARIES)
    }

    fn start_with_replicas() -> Self {
        let mut cluster = Self::start_with(2 * PRIMARIES);
        cluster.replicas = 1;
        for number in PRIMARIES..2 * PRIMARIES {
            let primary = cluster.id(number - PRIMARIES);
            cluster.ask::<()>(number, &["CLUSTER", "REPLICATE", &primary]).unwrap();
        }
        wait_for("the replicas are in sync", || {
            let is_linked = |number| {
                let role: Vec<redis::Value> = cluster.ask(number, &["ROLE"]).unwrap();
                role.get(3).and_then(|state| String::from_redis_value_ref(state).ok())
                    == Some("connected".to_owned())
            };
            let knows = |number| {
                let nodes: String = cluster.ask(number, &["CLUSTER", "NODES"]).unwrap();
                nodes.lines().filter(|node| node.contains("slave")).count() == PRIMARIES
            };
            ((PRIMARIES..2 * PRIMARIES).all(is_linked) && (0..2 * PRIMARIES).all(knows)).then_some(())
        });
        cluster
    }

    fn start_with(count: usize) -> Self {
        let start = |_| Self::start_server(free_port(), Arc::new(TempDir::new().unwrap()));
        let cluster = Self { servers: (0..count).map(start).collect(), replicas: 0 };
        for number in 0..PRIMARIES {
            let border = |number: usize| number * usize::from(SLOTS) / PRIMARIES;
            let (first, last) = (border(number).to_string(), (border(number + 1) - 1).to_string());
            let epoch = (number + 1).to_string();
            cluster.ask::<()>(number, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).unwrap();
            cluster.ask::<()>(number, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).unwrap();
        }
        for server in &cluster.servers[1..] {
            cluster.ask::<()>(0, &["CLUSTER", "MEET", "127.0.0.1", &server.port.to_string()]).unwrap();
        }
        wait_for("the Cluster is served", || {
            let known = format!("cluster_known_nodes:{count}");
            let is_settled = |number| {
                let info: String = cluster.ask(number, &["CLUSTER", "INFO"]).unwrap();
                info.contains("cluster_state:ok") && info.contains(&known)
            };
            (0..count).all(is_settled).then_some(())
        });
        cluster
    }

    fn start_server(port: u16, directory: Arc<TempDir>) -> Server {
        Server::start_in(directory, port, &["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"])
    }

    /// Restarts a killed server, which becomes a replica of its successor.
    fn restart(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.process.wait().unwrap();
        *server = Self::start_server(server.port, Arc::clone(&server.directory));
    }

    fn connect(&self, number: usize) -> Connection {
        let client = redis::Client::open(("127.0.0.1", self.servers[number].port)).unwrap();
        client.get_connection().unwrap()
    }

    fn ask<T: FromRedisValue>(&self, number: usize, command: &[&str]) -> RedisResult<T> {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connect(number))
    }

    fn id(&self, number: usize) -> String {
        self.ask(number, &["CLUSTER", "MYID"]).unwrap()
    }

    fn is_primary(&self, number: usize) -> bool {
        let role: Vec<redis::Value> = self.ask(number, &["ROLE"]).unwrap();
        String::from_redis_value_ref(&role[0]).unwrap() == "master"
    }

    /// A broker whose configuration names one of the servers.
    fn open(&self, events: Arc<dyn EventHandler>) -> RedisBroker {
        let seeds = vec![("127.0.0.1".to_owned(), self.servers[1].port)];
        open(RedisServers::Cluster { seeds }, self.replicas, events)
    }

    /// Moves a slot and its keys, as `redis-cli --cluster reshard` does.
    fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (slot, from_id, to_id) = (slot.to_string(), self.id(from), self.id(to));
        self.ask::<()>(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).unwrap();
        self.ask::<()>(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).unwrap();
        let port = self.servers[to].port.to_string();
        loop {
            // One key at a time, so that calls find some of their keys moved.
            let keys: Vec<String> = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "1"]).unwrap();
            let Some(key) = keys.first() else { break };
            self.ask::<String>(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).unwrap();
        }
        for number in [to, from].into_iter().chain((0..PRIMARIES).filter(|n| ![to, from].contains(n))) {
            self.ask::<()>(number, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).unwrap();
        }
    }
}

#[test]
fn a_cluster_keeps_the_contract() {
    let cluster = Cluster::start();
    contract::test(|events| Box::new(cluster.open(events)), Highest::Unknown);
    contract::test_nodes(|events| Box::new(cluster.open(events)), Highest::Unknown);
}

#[test]
fn the_server_computes_the_same_slot_for_each_partition() {
    let cluster = Cluster::start();
    let keys = Keys::cluster("orosync");
    for partition in keys.partitions() {
        let slot: u16 = cluster.ask(0, &["CLUSTER", "KEYSLOT", &keys.epoch(partition)]).unwrap();
        assert_eq!(slot, partition.slot(), "{partition:?}");
    }
}

#[test]
fn messages_arrive_once_and_in_order_while_slots_are_moved() {
    let cluster = Cluster::start();
    let traffic = Traffic::start(|events| cluster.open(events));
    traffic.wait_for_more();
    for (from, to) in [(0, 2), (2, 1)] {
        // Not the first one, where the canary would reveal the move.
        for partition in (1..20).map(Partition) {
            cluster.move_slot(partition.slot(), from, to);
        }
        let moved = Instant::now();
        traffic.wait_for_more();
        assert!(moved.elapsed() < SOON, "{:?}", moved.elapsed());
    }
    traffic.end();
}

#[test]
fn topics_subscribed_to_while_slots_are_moved_deliver_their_messages() {
    let cluster = Cluster::start();
    let traffic = Traffic::start(|events| cluster.open(events));
    let (mut late, settlements) = (Vec::new(), Arc::<Settlements>::default());
    for (from, to) in [(0, 2), (2, 1)] {
        for partition in (0..20).map(Partition) {
            let topic = Topic::parse(&format!("late/{}", late.len())).unwrap();
            traffic.subscriber.subscribe(&topic);
            late.push(topic);
            cluster.move_slot(partition.slot(), from, to);
        }
    }
    for (number, topic) in (1..).zip(&late) {
        wait_until_subscribed(&traffic.subscriber, topic);
        publish(&traffic.publisher, PublisherId(8), topic, number, &settlements);
        wait_for("the message has arrived", || (traffic.witness.received(topic) == [number]).then_some(()));
    }
    traffic.end();
}

#[test]
fn a_dead_primary_is_replaced_by_its_replica_while_the_others_continue() {
    let mut cluster = Cluster::start_with_replicas();
    let traffic = Traffic::start(|events| cluster.open(events));
    let topic_of = |partitions: std::ops::Range<usize>| {
        let keys = Keys::cluster("orosync");
        let is_there = |topic: &&Topic| partitions.contains(&keys.partition(topic).0);
        traffic.topics.iter().find(is_there).unwrap().clone()
    };
    let (dead, alive) = (topic_of(0..21), topic_of(43..64));
    traffic.wait_for_more();
    let before = traffic.witness.received(&alive).len();
    cluster.servers[0].process.kill().unwrap();
    wait_for("the others continue", || (traffic.witness.received(&alive).len() > before + 3).then_some(()));
    wait_for("the replica is promoted", || cluster.is_primary(PRIMARIES).then_some(()));
    let (promoted, before) = (Instant::now(), traffic.witness.received(&dead).len());
    cluster.restart(0);
    wait_for("delivery continues at the new primary", || {
        (traffic.witness.received(&dead).len() > before).then_some(())
    });
    assert!(promoted.elapsed() < SOON, "{:?}", promoted.elapsed());
    traffic.end_after_a_loss();
}

#[test]
fn a_running_primary_that_becomes_a_replica_is_replaced_by_the_new_one() {
    let cluster = Cluster::start_with_replicas();
    let traffic = Traffic::start(|events| cluster.open(events));
    for number in [PRIMARIES, 0] {
        wait_for("the replica is the primary", || {
            // Refused until the former primary is a replica in sync.
            let _ = cluster.ask::<()>(number, &["CLUSTER", "FAILOVER"]);
            cluster.is_primary(number).then_some(())
        });
        traffic.wait_for_more();
    }
    traffic.end();
}

#[tokio::test]
async fn the_error_for_a_server_of_the_other_kind_names_the_required_url_scheme() {
    let (single, cluster) = (Server::start(), Cluster::start());
    let at = |server: &Server| ("127.0.0.1".to_owned(), server.port);
    let seeds = RedisServers::Cluster { seeds: vec![at(&single)] };
    let problem =
        Connector::new(settings_of(seeds, 0)).look_up(&[Partition::CONTROL], &[], 0).await.unwrap_err();
    assert!(problem.sentence.contains("Write redis://"), "{problem}");
    let (host, port) = at(&cluster.servers[0]);
    let connector = Connector::new(settings_of(RedisServers::Single(RedisAddress::Tcp { host, port }, 0), 0));
    let address =
        connector.look_up(&[Partition::CONTROL], &[], 0).await.unwrap().primaries.remove(0).unwrap();
    let mut connection = connector.commands(&address).await.unwrap();
    let problem = check_server(&mut connection, connector.is_cluster()).await.unwrap_err();
    assert!(problem.sentence.contains("Write redis+cluster://"), "{problem}");
}
