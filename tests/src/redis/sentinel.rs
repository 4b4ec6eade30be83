//! A primary with replicas, and the Sentinels that watch them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use redis::{RedisResult, Value};

use super::LIMIT;
use super::server::{HARNESS, REPLICATION, Redis};
use crate::wait;

/// Three servers, of which one is the primary, and three Sentinels, of which two must agree that it is down.
///
/// Servers are named by their number, which they keep whatever they become; server 0 begins as the primary.
#[derive(Debug)]
pub struct ReplicaSet {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

/// As the Sentinels know it.
const NAME: &str = "oro";

const SERVERS: usize = 3;

impl ReplicaSet {
    /// A replica set that has settled.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with more lines of `redis.conf` for each of the servers.
    pub fn start_with(configuration: &str) -> Self {
        Self::start_each_with(configuration, "")
    }

    /// One whose Sentinels want this password.
    pub fn start_with_sentinel_password(password: &str) -> Self {
        Self::start_each_with("", &format!("requirepass {password}\n"))
    }

    fn start_each_with(configuration: &str, of_sentinels: &str) -> Self {
        let servers: Vec<Redis> = (0..SERVERS).map(|_| Redis::start_with(configuration)).collect();
        let (host, port) = host_and_port(servers[0].address());
        for replica in &servers[1..] {
            replica.run(&["REPLICAOF", &host, &port]);
        }
        let mut replica_set = Self { servers, sentinels: Vec::new() };
        // The first look of a Sentinel at the primary finds the replicas that are there; the next comes after 10 s.
        replica_set.await_replicas(0);
        let sentinel = format!(
            "sentinel monitor {NAME} {host} {port} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n\
             sentinel parallel-syncs {NAME} 2\n\
             sentinel auth-user {NAME} {HARNESS}\n\
             sentinel auth-pass {NAME} {HARNESS}\n\
             {of_sentinels}"
        );
        for _ in 0..3 {
            let sentinel = Redis::start_sentinel(&sentinel);
            // A machine that stands still for 2 s would have it do nothing for 30.
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

    /// One of the servers.
    pub fn server(&self, number: usize) -> &Redis {
        &self.servers[number]
    }

    /// The same, to end it and to start it again.
    pub fn server_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.servers[number]
    }

    /// One of the Sentinels.
    pub fn sentinel(&self, number: usize) -> &Redis {
        &self.sentinels[number]
    }

    /// The same, to end it and to start it again.
    pub fn sentinel_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.sentinels[number]
    }

    /// The number of the primary, once all Sentinels that run agree about it.
    pub fn primary(&self) -> usize {
        wait::until_within(LIMIT, "all Sentinels name the same primary", || {
            let mut named = self.named();
            named.dedup();
            if let [primary] = *named { Some(primary) } else { None }
        })
    }

    /// Kills the primary: its number.
    pub fn kill_primary(&mut self) -> usize {
        let primary = self.primary();
        self.servers[primary].kill();
        primary
    }

    /// Freezes the primary, so that it is demoted while it lives: its number. After [`Redis::thaw`] it is a primary still,
    /// until a Sentinel tells it otherwise some seconds later.
    pub fn freeze_primary(&self) -> usize {
        let primary = self.primary();
        self.servers[primary].freeze();
        primary
    }

    /// Has the Sentinels promote a replica although the primary lives and answers: the number of the primary so far.
    pub fn demote_primary(&self) -> usize {
        let primary = self.primary();
        wait::until_within(LIMIT, "a failover that was asked for", || {
            // It is refused while another is at work and while no replica is good enough, and may be given up.
            let _ = self.sentinels[0].try_ask::<()>(&["SENTINEL", "FAILOVER", NAME]);
            self.named().into_iter().any(|named| named != primary).then_some(primary)
        })
    }

    /// Waits until a Sentinel names another primary than this one, which has taken the role: its number.
    pub fn await_failover(&self, from: usize) -> usize {
        wait::until_within(LIMIT, "another primary", || {
            let primary = self.named().into_iter().find(|named| *named != from)?;
            (self.servers[primary].try_info("role").ok()? == "master").then_some(primary)
        })
    }

    /// Cuts the replicas off: what the primary writes from now on, only the primary has. For the Sentinels they stay good
    /// enough to be promoted for 10 s; the primary must go, or be demoted, before.
    pub fn detach_replicas(&self) {
        let primary = self.primary();
        let primary = &self.servers[primary];
        primary.run(&["ACL", "SETUSER", REPLICATION, "off"]);
        primary.run(&["CLIENT", "KILL", "TYPE", "replica"]);
        wait::until_within(LIMIT, "no replica is attached", || {
            (primary.info("connected_slaves") == "0").then_some(())
        });
    }

    /// Takes back [`ReplicaSet::detach_replicas`] at all servers that run.
    pub fn attach_replicas(&self) {
        for server in self.servers.iter().filter(|server| server.is_started()) {
            server.run(&["ACL", "SETUSER", REPLICATION, "on"]);
        }
    }

    /// Waits until each Sentinel knows all servers and all Sentinels and sees a quorum, and all replicas that run have what
    /// the primary has.
    pub fn wait_until_settled(&self) {
        let primary = self.primary();
        self.await_replicas(primary);
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_started()) {
            wait::until_within(LIMIT, "the Sentinels know each other and the replicas", || {
                knows_all(sentinel).ok()?.then_some(())
            });
        }
    }

    /// Waits until all servers that run follow this one.
    fn await_replicas(&self, primary: usize) {
        let (_, port) = host_and_port(self.servers[primary].address());
        let mut attached = 0;
        for (number, server) in self.servers.iter().enumerate() {
            if number == primary || !server.is_started() {
                continue;
            }
            attached += 1;
            wait::until_within(LIMIT, "a replica follows the primary", || {
                // Before it is a replica it has no such fields.
                let info: String = server.try_ask(&["INFO", "replication"]).ok()?;
                let has = |line: &str| info.lines().any(|found| found == line);
                (has(&format!("master_port:{port}")) && has("master_link_status:up")).then_some(())
            });
        }
        wait::until_within(LIMIT, "the primary knows its replicas", || {
            (self.servers[primary].try_info("connected_slaves").ok()? == attached.to_string()).then_some(())
        });
    }

    /// What each of the Sentinels that run and answer takes for the primary.
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
    /// Whoever looks for the cause of a failure needs to know what the Sentinels saw.
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
    // It is an error where there is no quorum.
    let _: Value = sentinel.try_ask(&["SENTINEL", "CKQUORUM", NAME])?;
    let is = |field: &str, value: &str| known.get(field).is_some_and(|found| found == value);
    Ok(is("num-slaves", "2") && is("num-other-sentinels", "2") && is("flags", "master"))
}

fn host_and_port(address: SocketAddr) -> (String, String) {
    (address.ip().to_string(), address.port().to_string())
}
