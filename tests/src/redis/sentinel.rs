//! A primary with replicas, and the Sentinels that monitor them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use redis::{RedisResult, Value};

use super::LIMIT;
use super::server::{HARNESS, REPLICATION, Redis};
use crate::wait;

/// Three servers, one of them the primary, and three Sentinels with a quorum of two.
///
/// Servers are identified by a number that does not change with their role. Server 0 starts as the primary.
#[derive(Debug)]
pub struct ReplicaSet {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

/// The name by which the Sentinels know the primary.
const NAME: &str = "oro";

const SERVERS: usize = 3;

impl ReplicaSet {
    /// Starts a replica set and waits until it has settled.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Like [`ReplicaSet::start`], with additional lines of `redis.conf` for each server.
    pub fn start_with(configuration: &str) -> Self {
        Self::start_each_with(configuration, "")
    }

    /// A replica set whose Sentinels require this password.
    pub fn start_with_sentinel_password(password: &str) -> Self {
        Self::start_each_with("", &format!("requirepass {password}\n"))
    }

    fn start_each_with(configuration: &str, sentinel_lines: &str) -> Self {
        let servers: Vec<Redis> = (0..SERVERS).map(|_| Redis::start_with(configuration)).collect();
        let (host, port) = host_and_port(servers[0].address());
        for replica in &servers[1..] {
            replica.run(&["REPLICAOF", &host, &port]);
        }
        let mut replica_set = Self { servers, sentinels: Vec::new() };
        // A Sentinel's first query of the primary finds the existing replicas; the next one comes after 10 s.
        replica_set.await_replicas(0);
        let sentinel = format!(
            "sentinel monitor {NAME} {host} {port} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n\
             sentinel parallel-syncs {NAME} 2\n\
             sentinel auth-user {NAME} {HARNESS}\n\
             sentinel auth-pass {NAME} {HARNESS}\n\
             {sentinel_lines}"
        );
        for _ in 0..3 {
            let sentinel = Redis::start_sentinel(&sentinel);
            // By default, a pause of the machine of 2 s disables a Sentinel for 30 s.
            sentinel.run(&["SENTINEL", "DEBUG", "tilt-trigger", "20000"]);
            replica_set.sentinels.push(sentinel);
        }
        replica_set.wait_until_settled();
        replica_set
    }

    /// The `redis+sentinel:` URL.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{NAME}", addresses.join(","))
    }

    /// The server with this number.
    pub fn server(&self, number: usize) -> &Redis {
        &self.servers[number]
    }

    /// The server with this number, mutable, to stop and restart it.
    pub fn server_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.servers[number]
    }

    /// The Sentinel with this number.
    pub fn sentinel(&self, number: usize) -> &Redis {
        &self.sentinels[number]
    }

    /// The Sentinel with this number, mutable, to stop and restart it.
    pub fn sentinel_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.sentinels[number]
    }

    /// The number of the primary, once all running Sentinels agree.
    pub fn primary(&self) -> usize {
        wait::until_within(LIMIT, "all Sentinels name the same primary", || {
            let mut named = self.named();
            named.dedup();
            if let [primary] = *named { Some(primary) } else { None }
        })
    }

    /// Kills the primary and returns its number.
    pub fn kill_primary(&mut self) -> usize {
        let primary = self.primary();
        self.servers[primary].kill();
        primary
    }

    /// Freezes the primary, so that it is demoted while alive, and returns its number. After [`Redis::thaw`] it still acts as a
    /// primary until a Sentinel demotes it some seconds later.
    pub fn freeze_primary(&self) -> usize {
        let primary = self.primary();
        self.servers[primary].freeze();
        primary
    }

    /// Makes the Sentinels promote a replica while the primary is alive. Returns the number of the old primary.
    pub fn demote_primary(&self) -> usize {
        let primary = self.primary();
        wait::until_within(LIMIT, "the requested failover has happened", || {
            // The command is refused during another failover and without a suitable replica, and the failover may be aborted.
            let _ = self.sentinels[0].try_ask::<()>(&["SENTINEL", "FAILOVER", NAME]);
            self.named().into_iter().any(|named| named != primary).then_some(primary)
        })
    }

    /// Waits until a Sentinel names another primary that has taken the role, and returns its number.
    pub fn await_failover(&self, from: usize) -> usize {
        wait::until_within(LIMIT, "another server is the primary", || {
            let primary = self.named().into_iter().find(|named| *named != from)?;
            (self.servers[primary].try_info("role").ok()? == "master").then_some(primary)
        })
    }

    /// Detaches the replicas from the primary, so that they do not get its later writes. The Sentinels consider them suitable for
    /// promotion for 10 s: stop or demote the primary within that time.
    pub fn detach_replicas(&self) {
        let primary = self.primary();
        let primary = &self.servers[primary];
        primary.run(&["ACL", "SETUSER", REPLICATION, "off"]);
        primary.run(&["CLIENT", "KILL", "TYPE", "replica"]);
        wait::until_within(LIMIT, "no replica is attached", || {
            (primary.info("connected_slaves") == "0").then_some(())
        });
    }

    /// Undoes [`ReplicaSet::detach_replicas`] at all running servers.
    pub fn attach_replicas(&self) {
        for server in self.servers.iter().filter(|server| server.is_started()) {
            server.run(&["ACL", "SETUSER", REPLICATION, "on"]);
        }
    }

    /// Waits until each Sentinel knows all servers and Sentinels and has a quorum, and all running replicas are in sync.
    pub fn wait_until_settled(&self) {
        let primary = self.primary();
        self.await_replicas(primary);
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_started()) {
            wait::until_within(LIMIT, "the Sentinels know each other and the replicas", || {
                knows_all(sentinel).ok()?.then_some(())
            });
        }
    }

    /// Waits until all running servers are replicas of this one.
    fn await_replicas(&self, primary: usize) {
        let (_, port) = host_and_port(self.servers[primary].address());
        let mut attached = 0;
        for (number, server) in self.servers.iter().enumerate() {
            if number == primary || !server.is_started() {
                continue;
            }
            attached += 1;
            wait::until_within(LIMIT, "a replica is in sync with the primary", || {
                // Only replicas have these fields.
                let info: String = server.try_ask(&["INFO", "replication"]).ok()?;
                let has = |line: &str| info.lines().any(|found| found == line);
                (has(&format!("master_port:{port}")) && has("master_link_status:up")).then_some(())
            });
        }
        wait::until_within(LIMIT, "the primary knows its replicas", || {
            (self.servers[primary].try_info("connected_slaves").ok()? == attached.to_string()).then_some(())
        });
    }

    /// The primary according to each running Sentinel that answers.
    fn named(&self) -> Vec<usize> {
        let servers = &self.servers;
        let named = |sentinel: &Redis| {
            let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
            let (_, port): (String, u16) = sentinel.try_ask(&command).ok()?;
            servers.iter().position(|server| server.address().port() == port)
        };
        self.sentinels.iter().filter(|sentinel| sentinel.is_started()).filter_map(named).collect()
    }
}

impl Drop for ReplicaSet {
    /// Prints the Sentinels' logs when a test fails.
    fn drop(&mut self) {
        if thread::panicking() {
            for sentinel in &self.sentinels {
                println!("Sentinel {}:\n{}", sentinel.address(), sentinel.log());
            }
        }
    }
}

fn knows_all(sentinel: &Redis) -> RedisResult<bool> {
    let known: BTreeMap<String, String> = sentinel.try_ask(&["SENTINEL", "MASTER", NAME])?;
    // The command fails without a quorum.
    let _: Value = sentinel.try_ask(&["SENTINEL", "CKQUORUM", NAME])?;
    let is = |field: &str, value: &str| known.get(field).is_some_and(|found| found == value);
    Ok(is("num-slaves", "2") && is("num-other-sentinels", "2") && is("flags", "master"))
}

fn host_and_port(address: SocketAddr) -> (String, String) {
    (address.ip().to_string(), address.port().to_string())
}
