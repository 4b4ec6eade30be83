//! Connections to Redis: finds the primaries, opens connections, and checks that nodes can share the primary.

mod sentinels;

use std::future::Future;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike as _, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, Value,
};
use tokio::time::timeout;

use super::address::ServerAddress;
use super::keys::Partition;
use super::problem::Problem;
use super::slots::SlotMap;
use crate::config::broker::{Password, Passwords, RedisAddress, RedisServers, RedisSettings};

/// Time limit for opening a connection, including its handshake, and for a request while connecting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval at which the slots of a Cluster are looked up, unless an error shows earlier that they have moved.
const CLUSTER_LOOKUP_INTERVAL: Duration = Duration::from_secs(30);

/// Interval at which the Sentinels are asked for the primary. A primary that was demoted while it was isolated accepts writes
/// for a while, which are then lost.
const SENTINEL_LOOKUP_INTERVAL: Duration = Duration::from_secs(2);

/// Time limit for an answer of a Sentinel, or of a Cluster node that is asked for the slots.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of requests per connection that wait to be written.
const MAX_WAITING: usize = 4096;

/// Minimum version of Redis, which introduced `GETEX`.
const MIN_VERSION: (u32, u32) = (6, 2);

/// Minimum version of Redis Cluster, which introduced `SPUBLISH`.
const MIN_CLUSTER_VERSION: (u32, u32) = (7, 0);

/// The result of a lookup: the primaries, and the other nodes of a Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Topology {
    /// The primary of each partition. `None`: no primary serves it.
    pub(super) primaries: Vec<Option<ServerAddress>>,
    /// All nodes of a Cluster.
    pub(super) nodes: Vec<ServerAddress>,
}

/// The data of `INFO` about a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// The run id of its process.
    pub(super) run_id: String,
    /// Product and version, for the log.
    pub(super) version: String,
}

/// Opens connections with these settings.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    settings: RedisSettings,
}

impl Connector {
    pub(super) fn new(settings: RedisSettings) -> Self {
        Self { settings }
    }

    /// Replaces the passwords for new connections.
    pub(super) fn set_passwords(&mut self, passwords: Passwords) {
        self.settings.passwords = passwords;
    }

    /// Whether the servers are a Cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.settings.servers, RedisServers::Cluster { .. })
    }

    /// Interval of lookups during normal operation. `None`: a single server needs none.
    pub(super) fn lookup_interval(&self) -> Option<Duration> {
        match self.settings.servers {
            RedisServers::Single(..) => None,
            RedisServers::Sentinel { .. } => Some(SENTINEL_LOOKUP_INTERVAL),
            RedisServers::Cluster { .. } => Some(CLUSTER_LOOKUP_INTERVAL),
        }
    }

    /// Whether writes are acknowledged only after replicas have them.
    pub(super) fn waits_for_replicas(&self) -> bool {
        self.settings.wait_replicas > 0
    }

    /// Looks up the primaries of these partitions. All Sentinels are asked concurrently ([`sentinels`]). In a Cluster, the
    /// known `nodes` and those of the configuration are asked one after the other. Each `attempt` starts with another node,
    /// because a node may have outdated information.
    pub(super) async fn look_up(
        &self,
        partitions: &[Partition],
        nodes: &[ServerAddress],
        attempt: usize,
    ) -> Result<Topology, Problem> {
        let address = match &self.settings.servers {
            RedisServers::Single(RedisAddress::Tcp { host, port }, _) => {
                ServerAddress::Tcp(host.clone(), *port)
            }
            RedisServers::Single(RedisAddress::Unix(path), _) => ServerAddress::Unix(path.clone()),
            RedisServers::Sentinel { sentinels, master, .. } => self.ask_sentinels(sentinels, master).await?,
            RedisServers::Cluster { seeds } => {
                let seeds = seeds.iter().map(|(host, port)| ServerAddress::Tcp(host.clone(), *port));
                let mut addresses = nodes.to_vec();
                addresses.extend(seeds.filter(|seed| !nodes.contains(seed)));
                let first = attempt % addresses.len().max(1);
                addresses.rotate_left(first);
                let map = self.ask_cluster(&addresses).await?;
                let of = |partition: &Partition| map.primary(partition.slot()).cloned();
                return Ok(Topology { primaries: partitions.iter().map(of).collect(), nodes: map.nodes });
            }
        };
        Ok(Topology { primaries: vec![Some(address); partitions.len()], nodes: Vec::new() })
    }

    /// Opens a connection for commands.
    pub(super) async fn commands(&self, address: &ServerAddress) -> Result<MultiplexedConnection, Problem> {
        self.open(address, AsyncConnectionConfig::new()).await
    }

    /// Opens a connection for subscriptions only, whose pushes go to the given sender.
    pub(super) async fn pushes(
        &self,
        address: &ServerAddress,
        pushes: impl AsyncPushSender,
    ) -> Result<MultiplexedConnection, Problem> {
        self.open(address, AsyncConnectionConfig::new().set_push_sender(pushes)).await
    }

    async fn open(
        &self,
        address: &ServerAddress,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Problem> {
        let client = self.client(address, self.login())?;
        let config = config
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(MAX_WAITING);
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        within(CONNECT_TIMEOUT, "Redis", opening).await
    }

    fn login(&self) -> RedisConnectionInfo {
        let redis = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.db());
        as_user(redis, self.settings.username.as_ref(), self.settings.passwords.redis.as_ref())
    }

    fn client(&self, address: &ServerAddress, redis: RedisConnectionInfo) -> Result<Client, Problem> {
        let address = match (address, &self.settings.tls) {
            (ServerAddress::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (ServerAddress::Tcp(host, port), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (ServerAddress::Tcp(host, port), Some(_)) => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
        };
        // Several calls are in flight at once, and each is written at once.
        let tcp = TcpSettings::default().set_nodelay(true);
        // Redis 7.0 has no CLIENT SETINFO, and newer versions would require an additional ACL rule for it.
        let redis = redis.set_skip_set_lib_name();
        let info = address.into_connection_info()?.set_redis_settings(redis).set_tcp_settings(tcp);
        let client = match &self.settings.tls {
            None => Client::open(info),
            Some(tls) => Client::build_with_tls(
                info,
                TlsCertificates { client_tls: None, root_cert: tls.root_certificates.clone() },
            ),
        };
        Ok(client?)
    }

    fn db(&self) -> i64 {
        match &self.settings.servers {
            RedisServers::Single(_, db) | RedisServers::Sentinel { db, .. } => *db,
            RedisServers::Cluster { .. } => 0,
        }
    }

    async fn ask_cluster(&self, addresses: &[ServerAddress]) -> Result<SlotMap, Problem> {
        let mut problem = None;
        for address in addresses {
            match timeout(LOOKUP_TIMEOUT, self.ask_cluster_node(address)).await {
                Ok(Ok(map)) => return Ok(map),
                Ok(Err(error)) => problem = Some(error),
                Err(_) => problem = Some(Problem::timeout(&format!("the Cluster's node {address}"))),
            }
        }
        Err(problem.unwrap_or_else(|| Problem::unexpected("the Cluster")))
    }

    async fn ask_cluster_node(&self, address: &ServerAddress) -> Result<SlotMap, Problem> {
        let mut connection = self.commands(address).await?;
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let answer = request(&mut connection, &command).await?;
        let host = match address {
            ServerAddress::Tcp(host, _) => host.as_str(),
            ServerAddress::Unix(_) => "",
        };
        SlotMap::parse(&answer, host).ok_or_else(|| Problem::unexpected("the Cluster"))
    }
}

/// Adds a user and a password.
fn as_user(
    mut login: RedisConnectionInfo,
    username: Option<&String>,
    password: Option<&Password>,
) -> RedisConnectionInfo {
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    login
}

/// Checks version, role and eviction policy of a server, which decide whether nodes can share it.
pub(super) async fn check_server(
    connection: &mut MultiplexedConnection,
    is_cluster: bool,
) -> Result<About, Problem> {
    let info = request(connection, &redis::cmd("INFO")).await?;
    let text: String = redis::from_redis_value(info).map_err(|_| Problem::unexpected("Redis"))?;
    check_info(&text, is_cluster)
}

/// The same check, based on the output of INFO.
fn check_info(info: &str, is_cluster: bool) -> Result<About, Problem> {
    let field =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let version = field("redis_version").unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let parsed = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let shown = match field("valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    if parsed < MIN_VERSION {
        return Err(Problem::new(
            "version",
            format!("this is {shown}, but Redis 6.2, Valkey 7.2 or newer is required"),
        ));
    }
    if is_cluster && parsed < MIN_CLUSTER_VERSION {
        return Err(Problem::new(
            "version",
            format!("this is {shown}, but all nodes of a Cluster must be Redis 7.0, Valkey 7.2 or newer"),
        ));
    }
    let has_slots = field("cluster_enabled").is_some_and(|enabled| enabled == "1");
    if has_slots && !is_cluster {
        return Err(Problem::new("moved", super::problem::NODE_OF_A_CLUSTER));
    }
    if is_cluster && field("role").is_some_and(|role| role != "master") {
        return Err(Problem::new(
            "demoted",
            "a primary of the Cluster has become a replica. The new primary is being looked up",
        ));
    }
    if field("role").is_some_and(|role| role != "master") {
        return Err(Problem::new(
            "readonly",
            "this is a replica, which accepts no writes. Use the address of the primary, or redis+sentinel://",
        ));
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && field("maxmemory").is_some_and(|bytes| bytes != "0") {
        return Err(Problem::new(
            "evicts",
            format!(
                "this Redis evicts keys when its memory is full (maxmemory-policy {policy}), and with them the record of used \
                 tickets. Set maxmemory-policy noeviction, or use another Redis"
            ),
        ));
    }
    let run_id = field("run_id").unwrap_or_default().to_owned();
    Ok(About { run_id, version: shown })
}

/// Sends a command and waits for its answer, with a time limit.
pub(super) async fn request(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, Problem> {
    let answer = within(CONNECT_TIMEOUT, "Redis", connection.req_packed_command(command)).await?;
    Ok(answer.extract_error()?)
}

async fn within<T>(
    limit: Duration,
    what: &str,
    request: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Problem> {
    match timeout(limit, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::timeout(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n";

    #[test]
    fn a_redis_that_evicts_keys_or_is_too_old_or_a_replica_is_refused() {
        assert_eq!(
            check_info(GOOD, false).unwrap(),
            About { run_id: "abc".into(), version: "Redis 7.0.15".into() }
        );
        let causes = [
            ("maxmemory:0", "maxmemory:1000000", "evicts"),
            ("role:master", "role:slave", "readonly"),
            ("redis_version:7.0.15", "redis_version:6.0.16", "version"),
            ("redis_version:7.0.15", "no_version:1", "version"),
        ];
        for (from, to, cause) in causes {
            assert_eq!(check_info(&GOOD.replace(from, to), false).unwrap_err().cause, cause);
        }
        let valkey = GOOD.replace("run_id", "valkey_version:8.1.1\r\nrun_id");
        assert_eq!(check_info(&valkey, false).unwrap().version, "Valkey 8.1.1");
    }

    #[test]
    fn a_node_of_a_cluster_must_be_version_7_and_requires_the_url_of_a_cluster() {
        let node = format!("{GOOD}# Cluster\r\ncluster_enabled:1\r\n");
        assert!(check_info(&node, true).is_ok());
        let problem = check_info(&node, false).unwrap_err();
        assert!(problem.sentence.contains("redis+cluster://"), "{problem}");
        for (from, to, cause) in [
            ("redis_version:7.0.15", "redis_version:6.2.14", "version"),
            ("role:master", "role:slave", "demoted"),
        ] {
            assert_eq!(check_info(&node.replace(from, to), true).unwrap_err().cause, cause);
        }
    }
}
