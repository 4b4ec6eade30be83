//! Connections to Redis: where the primary is, and whether it is one that nodes can share.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, TlsCertificates, Value,
};
use tokio::time::timeout;

use super::trouble::Trouble;
use crate::config::broker::{Password, RedisAddress, RedisServers, RedisSettings};

/// How long a connection may take, the greeting included.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long a Sentinel may take.
const SENTINEL_PATIENCE: Duration = Duration::from_secs(1);

/// Requests of a connection that may wait to be written.
const WAITING: usize = 4096;

/// The first version that has what the scripts use (`LPOP` with a count).
const OLDEST: (u32, u32) = (6, 2);

/// Where a primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(String, u16),
    Unix(std::path::PathBuf),
}

/// What a primary says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Of this process of it.
    pub(super) run_id: String,
    /// For the log.
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

    /// From now on connections are opened with this one.
    pub(super) fn set_password(&mut self, password: Option<Password>) {
        self.settings.password = password;
    }

    /// Where the primary is now. Of Sentinels, the first that answers is believed.
    pub(super) async fn primary(&self) -> Result<Place, Trouble> {
        match &self.settings.servers {
            RedisServers::Single(RedisAddress::Tcp { host, port }, _) => Ok(Place::Tcp(host.clone(), *port)),
            RedisServers::Single(RedisAddress::Unix(path), _) => Ok(Place::Unix(path.clone())),
            RedisServers::Sentinel { sentinels, master, .. } => self.ask_sentinels(sentinels, master).await,
            RedisServers::Cluster { .. } => {
                Err(Trouble::new("cluster", "redis+cluster:// is not possible yet"))
            }
        }
    }

    /// A connection for commands.
    pub(super) async fn commands(&self, place: &Place) -> Result<MultiplexedConnection, Trouble> {
        self.open(place, AsyncConnectionConfig::new()).await
    }

    /// A connection for subscriptions alone, whose pushes go there.
    pub(super) async fn pushes(
        &self,
        place: &Place,
        pushes: impl AsyncPushSender,
    ) -> Result<MultiplexedConnection, Trouble> {
        self.open(place, AsyncConnectionConfig::new().set_push_sender(pushes)).await
    }

    async fn open(
        &self,
        place: &Place,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Trouble> {
        let mut redis = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.db());
        if let Some(username) = &self.settings.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.settings.password {
            redis = redis.set_password(password.expose());
        }
        let client = self.client(place, redis)?;
        let config =
            config.set_response_timeout(None).set_connection_timeout(None).set_pipeline_buffer_size(WAITING);
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        in_time(PATIENCE, "Redis", opening).await
    }

    fn client(&self, place: &Place, redis: RedisConnectionInfo) -> Result<Client, Trouble> {
        let address = match (place, &self.settings.tls) {
            (Place::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
            (Place::Tcp(host, port), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Place::Tcp(host, port), Some(_)) => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
        };
        // Redis 7.0 does not know what it would say, and a newer one would ask for a right more.
        let redis = redis.set_skip_set_lib_name();
        let info = address.into_connection_info()?.set_redis_settings(redis);
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

    async fn ask_sentinels(&self, sentinels: &[(String, u16)], master: &str) -> Result<Place, Trouble> {
        let mut trouble = None;
        for (host, port) in sentinels {
            let asking = self.ask_sentinel(host, *port, master);
            match timeout(SENTINEL_PATIENCE, asking).await {
                Ok(Ok(place)) => return Ok(place),
                Ok(Err(error)) => trouble = Some(error),
                Err(_) => trouble = Some(Trouble::timeout(&format!("the Sentinel {host}:{port}"))),
            }
        }
        Err(trouble.unwrap_or_else(|| Trouble::unexpected("Sentinel")))
    }

    async fn ask_sentinel(&self, host: &str, port: u16, master: &str) -> Result<Place, Trouble> {
        let client = self.client(&Place::Tcp(host.to_owned(), port), RedisConnectionInfo::default())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let address: Option<(String, u16)> = command.query_async(&mut connection).await?;
        let (host, port) = address.ok_or_else(|| {
            Trouble::new(
                "unknown_master",
                format!(
                    "the Sentinels know no primary that is called \"{master}\". Check the end of broker.url"
                ),
            )
        })?;
        Ok(Place::Tcp(host, port))
    }
}

/// Whether nodes can share this primary.
pub(super) async fn examine(connection: &mut MultiplexedConnection) -> Result<About, Trouble> {
    let info = request(connection, &redis::cmd("INFO")).await?;
    let text: String = redis::from_redis_value(info).map_err(|_| Trouble::unexpected("Redis"))?;
    examine_info(&text)
}

/// The same by what INFO says.
fn examine_info(info: &str) -> Result<About, Trouble> {
    let field =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let version = field("redis_version").unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let parsed = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let shown = match field("valkey_version") {
        Some(valkey) => format!("Valkey {valkey}"),
        None => format!("Redis {version}"),
    };
    if parsed < OLDEST {
        return Err(Trouble::new(
            "version",
            format!("this is {shown}: Redis 6.2 or Valkey 7.2 are needed at least"),
        ));
    }
    if field("role").is_some_and(|role| role != "master") {
        return Err(Trouble::new(
            "readonly",
            "this is a replica, which takes no writes. Name the primary, or use redis+sentinel://",
        ));
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && field("maxmemory").is_some_and(|bytes| bytes != "0") {
        return Err(Trouble::new(
            "evicts",
            format!(
                "this Redis drops keys when its memory is full (maxmemory-policy {policy}), and with them which tickets were \
                 used. Set maxmemory-policy noeviction, or use another Redis"
            ),
        ));
    }
    let run_id = field("run_id").unwrap_or_default().to_owned();
    Ok(About { run_id, version: shown })
}

/// One command, and its answer within a time.
pub(super) async fn request(connection: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, Trouble> {
    let answer = in_time(PATIENCE, "Redis", connection.req_packed_command(command)).await?;
    Ok(answer.extract_error()?)
}

async fn in_time<T>(
    patience: Duration,
    what: &str,
    request: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, Trouble> {
    match timeout(patience, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::timeout(what)),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.parse::<IpAddr>().is_ok_and(|host| host.is_ipv6()) => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n";

    #[test]
    fn a_redis_that_evicts_or_is_old_or_a_replica_is_refused() {
        assert_eq!(
            examine_info(GOOD).unwrap(),
            About { run_id: "abc".into(), version: "Redis 7.0.15".into() }
        );
        let causes = [
            ("maxmemory:0", "maxmemory:1000000", "evicts"),
            ("role:master", "role:slave", "readonly"),
            ("redis_version:7.0.15", "redis_version:6.0.16", "version"),
            ("redis_version:7.0.15", "no_version:1", "version"),
        ];
        for (from, to, cause) in causes {
            assert_eq!(examine_info(&GOOD.replace(from, to)).unwrap_err().cause, cause);
        }
        let valkey = GOOD.replace("run_id", "valkey_version:8.1.1\r\nrun_id");
        assert_eq!(examine_info(&valkey).unwrap().version, "Valkey 8.1.1");
    }
}
