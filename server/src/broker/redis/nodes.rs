//! The nodes that share a Redis: the description that each node stores with its canary, and the list of nodes.
//!
//! A node is listed for [`NODE_LISTED_MS`] after its last canary, and counts as present while it sends one each second.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Value, from_redis_value};
use serde::{Deserialize, Serialize};

use super::canary::{self, NODE_LISTED_MS};
use super::connect::{Connector, request};
use super::fnv1a::fnv1a;
use super::keys::{Keys, Partition};
use super::problem::Problem;
use crate::config::broker::RedisSettings;
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::process;
use orosync_protocol::Subprotocol;

/// The description of this node.
#[derive(Debug)]
pub(super) struct Description {
    host: String,
    bind: String,
    started: u64,
}

/// The fields of a description, stored as JSON. Those of other versions may differ.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    version: String,
    host: String,
    bind: String,
    started: u64,
    sessions: i64,
    publishers: i64,
    rules: String,
}

/// A listed node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The node's name, random and different after each start.
    pub name: String,
    /// The host name of its machine.
    pub host: String,
    /// The first address of its `bind`.
    pub bind: String,
    /// The server's version.
    pub version: String,
    /// When it was started, as Unix time in seconds on its own clock.
    pub started: u64,
    /// Open sessions of browsers.
    pub sessions: i64,
    /// Open sessions of publishers.
    pub publishers: i64,
    /// The hash of its rules.
    pub rules: String,
    /// Time since its last canary, in milliseconds.
    pub silent_milliseconds: u64,
    /// Whether the node counts as present.
    pub is_present: bool,
}

/// Why the nodes cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotListed(Problem);

/// A hash of the rules, by which nodes compare them: the content of `/topics`, and the default history bounds.
pub fn hash_of_rules(described: &str, history: HistorySettings) -> String {
    let HistorySettings { limits, bytes } = history;
    let all = format!("{described} {} {} {bytes}", limits.events, limits.age.as_millis());
    format!("{:016x}", fnv1a(&all))
}

/// The listed nodes, ordered by host.
pub async fn list(settings: RedisSettings) -> Result<Vec<Listed>, NotListed> {
    let prefix = settings.prefix.clone();
    let connector = Connector::new(settings);
    let keys = if connector.is_cluster() { Keys::cluster(&prefix) } else { Keys::single(&prefix) };
    ask(&connector, &keys).await.map_err(NotListed)
}

async fn ask(connector: &Connector, keys: &Keys) -> Result<Vec<Listed>, Problem> {
    let mut topology = connector.look_up(&[Partition::CONTROL], &[], 0).await?;
    let address = topology.primaries.pop().flatten().ok_or_else(|| {
        Problem::new(
            "clusterdown",
            "no primary serves the slot of the Cluster that contains the list of nodes. See redis-cli --cluster check",
        )
    })?;
    let mut connection = connector.commands(&address).await?;
    let mut command = redis::cmd("HGETALL");
    command.arg(keys.nodes(Partition::CONTROL));
    let fields: HashMap<String, String> = decode(request(&mut connection, &command).await?)?;
    let (seconds, microseconds): (u64, u64) = decode(request(&mut connection, &redis::cmd("TIME")).await?)?;
    Ok(listed(fields, seconds * 1000 + microseconds / 1000))
}

fn decode<T: redis::FromRedisValue>(value: Value) -> Result<T, Problem> {
    from_redis_value(value).map_err(|_| Problem::unexpected("Redis"))
}

/// The nodes in the fields of the hash that have not expired at `now` (Unix time in milliseconds).
fn listed(fields: HashMap<String, String>, now: u64) -> Vec<Listed> {
    let mut nodes: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, text)| {
            let (expires, fields) = text.split_once(' ')?;
            let expires: u64 = expires.parse().ok().filter(|expires| *expires >= now)?;
            let Fields { version, host, bind, started, sessions, publishers, rules } =
                serde_json::from_str(fields).unwrap_or_default();
            let silent_milliseconds = NODE_LISTED_MS.saturating_sub(expires - now);
            let is_present = Duration::from_millis(silent_milliseconds) <= canary::TIMEOUT;
            let node = Listed {
                name,
                host,
                bind,
                version,
                started,
                sessions,
                publishers,
                rules,
                silent_milliseconds,
                is_present,
            };
            Some(node)
        })
        .collect();
    nodes.sort_by(|a, b| (&a.host, &a.bind, &a.name).cmp(&(&b.host, &b.bind, &b.name)));
    nodes
}

impl Description {
    /// The description of this process, which listens on this address.
    pub(super) fn new(bind: String) -> Self {
        Self { host: process::host_name(), bind, started: process::unix_time() }
    }

    /// The current description as JSON.
    pub(super) fn text(&self, metrics: &Metrics, rules: &str) -> String {
        let open = |protocol| metrics.sessions_open.of(protocol).get();
        let fields = Fields {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.host.clone(),
            bind: self.bind.clone(),
            started: self.started,
            sessions: open(Subprotocol::Wamp) + open(Subprotocol::Orosync),
            publishers: open(Subprotocol::Link),
            rules: rules.to_owned(),
        };
        // A struct of strings and numbers always serializes.
        serde_json::to_string(&fields).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HistoryLimits;

    #[test]
    fn a_listed_node_has_the_fields_of_its_description() {
        let metrics = Metrics::new();
        metrics.sessions_open.of(Subprotocol::Wamp).set(2);
        metrics.sessions_open.of(Subprotocol::Orosync).set(3);
        metrics.sessions_open.of(Subprotocol::Link).set(7);
        let description =
            Description { host: "web1".to_owned(), bind: "0.0.0.0:8080".to_owned(), started: 1_700_000_000 };
        let text = format!("{} {}", 50_000 + NODE_LISTED_MS, description.text(&metrics, "0f"));
        let expected = Listed {
            name: "n1".to_owned(),
            host: "web1".to_owned(),
            bind: "0.0.0.0:8080".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: 1_700_000_000,
            sessions: 5,
            publishers: 7,
            rules: "0f".to_owned(),
            silent_milliseconds: 1200,
            is_present: true,
        };
        assert_eq!(listed([("n1".to_owned(), text)].into(), 51_200), [expected]);
    }

    #[test]
    fn a_silent_node_is_listed_as_absent_and_then_not_at_all() {
        let at = |silent: u64| {
            let text = format!("{} {{\"host\":\"web1\",\"more\":1}}", 1_000_000 + NODE_LISTED_MS);
            let nodes = listed([("n1".to_owned(), text)].into(), 1_000_000 + silent);
            nodes.first().map(|node| node.is_present)
        };
        assert_eq!(
            [at(0), at(3000), at(3001), at(10_000), at(10_001)],
            [Some(true), Some(true), Some(false), Some(false), None]
        );
        assert!(listed([("n1".to_owned(), "no description".to_owned())].into(), 0).is_empty());
    }

    #[test]
    fn the_hash_depends_on_the_rules_and_on_the_history_bounds() {
        let of = |described: &str, events: usize, seconds: u64, bytes: usize| {
            let limits = HistoryLimits { events, age: Duration::from_secs(seconds) };
            hash_of_rules(described, HistorySettings { limits, bytes })
        };
        let one = of("{}", 1000, 600, 1 << 26);
        assert_eq!(one, of("{}", 1000, 600, 1 << 26));
        for other in [
            of("[]", 1000, 600, 1 << 26),
            of("{}", 999, 600, 1 << 26),
            of("{}", 1000, 60, 1 << 26),
            of("{}", 1000, 600, 1),
        ] {
            assert_ne!(one, other);
        }
    }
}
