//! A Redis Cluster.

use redis::{RedisResult, Value, from_redis_value};

use super::LIMIT;
use super::server::{HARNESS, Redis};
use crate::wait;

/// Number of slots of a Cluster.
pub const SLOTS: u16 = 16_384;

/// A Cluster of three primaries, each with a third of the slots and the same number of replicas.
///
/// Servers are identified by a number that does not change with their role: 0, 1 and 2 start as primaries, 3, 4 and 5 as their
/// replicas.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Redis>,
}

const PRIMARIES: usize = 3;

/// Maximum number of keys moved with one command.
const KEYS_PER_MOVE: &str = "100";

/// A range of slots, and the port of their primary.
struct Range {
    first: u16,
    last: u16,
    port: u16,
}

impl Cluster {
    /// A Cluster without replicas.
    pub fn start() -> Self {
        Self::start_with(0, "")
    }

    /// A Cluster with `replicas` replicas per primary and additional lines of `redis.conf` for each server.
    pub fn start_with(replicas: usize, configuration: &str) -> Self {
        let configuration = format!("cluster-enabled yes\ncluster-node-timeout 1000\n{configuration}");
        let number_of_servers = PRIMARIES * (1 + replicas);
        let servers = (0..number_of_servers).map(|_| Redis::start_with(&configuration)).collect();
        let cluster = Self { servers };
        cluster.form();
        cluster
    }

    /// The `redis+cluster:` URL of the first three servers.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.servers[..PRIMARIES].iter().map(|server| server.address().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The server with this number.
    pub fn server(&self, number: usize) -> &Redis {
        &self.servers[number]
    }

    /// The server with this number, mutable, to stop and restart it.
    pub fn server_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.servers[number]
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.running().next().expect("a server runs").ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// The number of this slot's primary, once all running servers agree.
    pub fn owner(&self, slot: u16) -> usize {
        wait::until_within(LIMIT, "the servers agree about a slot", || {
            let mut owners = self
                .running()
                .map(|server| ranges(server).ok()?.iter().find_map(|range| range.owner_of(slot)));
            let first = owners.next()??;
            owners.all(|owner| owner == Some(first)).then(|| self.at_port(first))
        })
    }

    /// Moves a slot and its keys to another primary.
    pub fn move_slot(&self, slot: u16, to: usize) {
        self.begin_move(slot, to);
        self.finish_move(slot, to);
    }

    /// Starts to move a slot: its primary answers ASK for keys that it does not have.
    pub fn begin_move(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        assert_ne!(from, to, "slot {slot} is there already");
        let slot = slot.to_string();
        let (from, to) = (&self.servers[from], &self.servers[to]);
        to.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// Finishes the move: moves the keys of the slot, then the slot itself.
    pub fn finish_move(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        let name = slot.to_string();
        let id = id(&self.servers[to]);
        let (source, target) = (&self.servers[from], &self.servers[to]);
        let command = ["CLUSTER", "SETSLOT", &name, "NODE", &id];
        wait::until_within(LIMIT, "a slot has moved", || {
            move_keys(source, target, &name);
            target.run(&command);
            // The server refuses the command while it has keys of the slot.
            source.try_ask::<()>(&command).ok()
        });
        assert_eq!(self.owner(slot), to);
    }

    /// Waits until a replica has taken over all slots of this server and the whole Cluster is available.
    pub fn await_failover(&self, from: usize) {
        let port = self.servers[from].address().port();
        wait::until_within(LIMIT, "a replica was promoted", || {
            self.running()
                .all(|server| {
                    let served =
                        ranges(server).is_ok_and(|ranges| ranges.iter().all(|range| range.port != port));
                    served && state(server, "cluster_state").is_ok_and(|state| state == "ok")
                })
                .then_some(())
        });
    }

    /// Waits until all running servers know all servers, all slots are available, and replicas are in sync.
    pub fn wait_until_settled(&self) {
        let known = self.servers.len().to_string();
        for server in self.running() {
            wait::until_within(LIMIT, "the Cluster has settled", || {
                is_settled(server, &known).ok()?.then_some(())
            });
        }
    }

    fn form(&self) {
        for (number, server) in self.servers[..PRIMARIES].iter().enumerate() {
            let of = |number: usize| number * usize::from(SLOTS) / PRIMARIES;
            let (first, last) = (of(number).to_string(), (of(number + 1) - 1).to_string());
            server.run(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            server.run(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for server in &self.servers[1..] {
            let address = server.address();
            let (host, port) = (address.ip().to_string(), address.port().to_string());
            self.servers[0].run(&["CLUSTER", "MEET", &host, &port]);
        }
        self.wait_until_settled();
        for (number, replica) in self.servers.iter().enumerate().skip(PRIMARIES) {
            replica.run(&["CLUSTER", "REPLICATE", &id(&self.servers[number % PRIMARIES])]);
        }
        self.wait_until_settled();
        let replicas = self.servers.len() / PRIMARIES - 1;
        for primary in &self.servers[..PRIMARIES] {
            wait::until_within(LIMIT, "the replicas are attached", || {
                (primary.info("connected_slaves") == replicas.to_string()).then_some(())
            });
        }
    }

    /// The servers that were not stopped.
    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.servers.iter().filter(|server| server.is_started())
    }

    fn at_port(&self, port: u16) -> usize {
        let at = self.servers.iter().position(|server| server.address().port() == port);
        at.expect("one of these servers")
    }
}

impl Range {
    fn owner_of(&self, slot: u16) -> Option<u16> {
        (self.first..=self.last).contains(&slot).then_some(self.port)
    }
}

fn id(server: &Redis) -> String {
    server.ask(&["CLUSTER", "MYID"])
}

fn is_settled(server: &Redis, known: &str) -> RedisResult<bool> {
    let replication: String = server.try_ask(&["INFO", "replication"])?;
    Ok(state(server, "cluster_state")? == "ok"
        && state(server, "cluster_known_nodes")? == known
        && state(server, "cluster_slots_ok")? == SLOTS.to_string()
        && !replication.contains("master_link_status:down"))
}

/// A field of `CLUSTER INFO`.
fn state(server: &Redis, field: &str) -> RedisResult<String> {
    let info: String = server.try_ask(&["CLUSTER", "INFO"])?;
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value.unwrap_or_else(|| panic!("CLUSTER INFO has no {field}:\n{info}")).to_owned())
}

/// The slot ranges and their primaries, as this server sees them.
fn ranges(server: &Redis) -> RedisResult<Vec<Range>> {
    let slots: Vec<Vec<Value>> = server.try_ask(&["CLUSTER", "SLOTS"])?;
    let range = |slots: Vec<Value>| {
        let mut slots = slots.into_iter();
        let mut next = || slots.next().unwrap_or(Value::Nil);
        let (first, last) = (from_redis_value(next())?, from_redis_value(next())?);
        let primary: Vec<Value> = from_redis_value(next())?;
        let port = from_redis_value(primary.into_iter().nth(1).unwrap_or(Value::Nil))?;
        Ok(Range { first, last, port })
    };
    slots.into_iter().map(range).collect()
}

fn move_keys(from: &Redis, to: &Redis, slot: &str) {
    let (host, port) = (to.address().ip().to_string(), to.address().port().to_string());
    loop {
        let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", slot, KEYS_PER_MOVE]);
        if keys.is_empty() {
            return;
        }
        let mut command = vec!["MIGRATE", &host, &port, "", "0", "5000", "AUTH2", HARNESS, HARNESS, "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        from.run(&command);
    }
}
