//! Problems with Redis, each with a sentence for the log that says what happened and what to do.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// A problem with Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The log field `cause`.
    pub(super) cause: &'static str,
    /// The log line: what happened, and what to do.
    pub(super) sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Problem {
    pub(super) fn new(cause: &'static str, sentence: impl Into<String>) -> Self {
        Self { cause, sentence: sentence.into() }
    }

    /// A timeout: `what` did not answer.
    pub(super) fn timeout(what: &str) -> Self {
        Self::new(
            "timeout",
            format!("{what} did not answer in time. It may be overloaded, paused or behind a firewall"),
        )
    }

    /// An error of a Sentinel.
    pub(super) fn of_sentinel(sentinel: &impl fmt::Display, error: &RedisError) -> Self {
        let problem = Self::from(error);
        match problem.cause {
            "noauth" => Self::new(
                "noauth",
                format!(
                    "the Sentinel {sentinel} requires a password. Set broker.sentinel_password_file, and \
                     broker.sentinel_username for a user of its ACL"
                ),
            ),
            _ if error.kind() == ErrorKind::AuthenticationFailed => Self::new(
                "wrongpass",
                format!(
                    "the Sentinel {sentinel} rejects the user name or the password. Check broker.sentinel_username and \
                     broker.sentinel_password_file"
                ),
            ),
            "connection" => {
                Self::new("connection", format!("no connection to the Sentinel {sentinel}: {error}"))
            }
            _ => problem,
        }
    }

    /// The node has closed the connection.
    pub(super) fn ended() -> Self {
        Self::new("ended", "the connection to Redis was closed")
    }

    /// Accepted messages could not be pushed to the nodes.
    pub(super) fn not_pushed(problem: &str) -> Self {
        Self::new(
            "not_pushed",
            format!("accepted messages could not be pushed to the nodes, which read them later: {problem}"),
        )
    }

    /// These keys contained foreign data. `None`: there are no keys.
    pub(super) fn foreign_keys(keys: &[String]) -> Option<Self> {
        let sentence = format!(
            "{} contained foreign data, which was deleted so that messages can be stored there. Other software writes to keys \
             that begin with broker.prefix",
            keys.first()?
        );
        Some(Self::new("foreign", sentence))
    }

    /// `what` returned an answer that this version cannot parse.
    pub(super) fn unexpected(what: &str) -> Self {
        Self::new(
            "unexpected",
            format!("{what} returned an unexpected answer. Redis 6.2, Valkey 7.2 or newer is required"),
        )
    }
}

pub(super) const NODE_OF_A_CLUSTER: &str = "this Redis is a node of a Cluster. Write redis+cluster://";

const MIGRATING: &str = "a slot of the Cluster is being moved, and its topics wait until the move is complete. If it does not complete, run redis-cli --cluster fix";

/// Redis' error codes, each with the cause and the sentence.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "NOAUTH",
        "noauth",
        "Redis requires a password. Set broker.password_file, and broker.username for a user of its ACL",
    ),
    (
        "WRONGPASS",
        "wrongpass",
        "Redis rejects the user name or the password. Check broker.username and broker.password_file",
    ),
    (
        "OOM",
        "oom",
        "Redis is out of memory (maxmemory), and nothing is acknowledged until it has memory again. Raise maxmemory, or reduce history.events and history.seconds",
    ),
    (
        "READONLY",
        "readonly",
        "this is a replica, which accepts no writes. Use the address of the primary, or redis+sentinel://",
    ),
    ("MISCONF", "misconf", "Redis cannot save to its disk, and therefore accepts no writes. See its log"),
    ("LOADING", "loading", "Redis is loading its data and does not accept commands yet"),
    ("MASTERDOWN", "masterdown", "this replica has lost its primary"),
    ("CLUSTERDOWN", "clusterdown", "the Cluster is down: not all slots are served"),
    (
        "NOREPLICAS",
        "noreplicas",
        "Redis has too few replicas (min-replicas-to-write), and therefore accepts no writes",
    ),
    ("NOSCRIPT", "noscript", "Redis has lost the scripts (SCRIPT FLUSH), which are loaded again"),
    ("BUSY", "busy", "Redis is busy with another script"),
    ("CROSSSLOT", "crossslot", "this Redis is a Cluster. Write redis+cluster://"),
    ("MOVED", "moved", NODE_OF_A_CLUSTER),
    ("ASK", "migrating", MIGRATING),
    ("TRYAGAIN", "migrating", MIGRATING),
];

impl From<&RedisError> for Problem {
    fn from(error: &RedisError) -> Self {
        let detail = error.detail().unwrap_or_default();
        let code = error.code().unwrap_or_default();
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) || code == "NOPERM" {
            return Self::new(
                "noperm",
                format!(
                    "Redis' ACL denies a required command: {detail}. docs/scale.md contains a sufficient rule"
                ),
            );
        }
        // The error of a script contains the code of the failed command in its text.
        let found = KNOWN.iter().find(|(known, ..)| *known == code).or_else(|| {
            KNOWN.iter().find(|(known, ..)| detail.split([' ', ':', '-']).any(|word| word == *known))
        });
        if let Some((_, cause, sentence)) = found {
            return Self::new(cause, *sentence);
        }
        if detail.contains("NOPERM") || detail.contains("no permissions") || detail.contains("ACL failure") {
            return Self::new(
                "noperm",
                format!(
                    "Redis' ACL denies a required command: {detail}. docs/scale.md contains a sufficient rule"
                ),
            );
        }
        if detail.contains("non local key") {
            return Self::new("migrating", MIGRATING);
        }
        if detail.contains("cluster support disabled") {
            return Self::new(
                "no_cluster",
                "this Redis is not a node of a Cluster. Write redis:// or redis+sentinel://",
            );
        }
        if error.is_timeout() {
            return Self::timeout("Redis");
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return Self::new("connection", format!("no connection to Redis: {error}"));
        }
        Self::new("error", format!("Redis returned an error: {error}"))
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        Self::from(&error)
    }
}
