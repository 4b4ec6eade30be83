//! Problems with Redis, each with a sentence that says what to do.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// A problem with Redis, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The cause as a word for logs.
    pub(super) cause: &'static str,
    /// What happened, and what to do.
    pub(super) sentence: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Trouble {
    pub(super) fn new(cause: &'static str, sentence: impl Into<String>) -> Self {
        Self { cause, sentence: sentence.into() }
    }

    /// A timeout: `what` did not answer.
    pub(super) fn timeout(what: &str) -> Self {
        Self::new(
            "timeout",
            format!("{what} did not answer in time. Is it overloaded, paused, or behind a firewall?"),
        )
    }

    /// An error from a Sentinel rather than from Redis.
    pub(super) fn of_sentinel(sentinel: &impl fmt::Display, error: &RedisError) -> Self {
        let trouble = Self::from(error);
        match trouble.cause {
            "noauth" => Self::new(
                "noauth",
                format!(
                    "the Sentinel {sentinel} wants a password. Set broker.sentinel_password_file, and \
                     broker.sentinel_username for a user of its ACL"
                ),
            ),
            _ if error.kind() == ErrorKind::AuthenticationFailed => Self::new(
                "wrongpass",
                format!(
                    "the Sentinel {sentinel} knows no such user with this password. Check broker.sentinel_username and \
                     broker.sentinel_password_file"
                ),
            ),
            "connection" => {
                Self::new("connection", format!("no connection to the Sentinel {sentinel}: {error}"))
            }
            _ => trouble,
        }
    }

    /// The connection was closed.
    pub(super) fn ended() -> Self {
        Self::new("ended", "the connection to Redis was given up")
    }

    /// Accepted messages could not be pushed to the nodes.
    pub(super) fn untold(problem: &str) -> Self {
        Self::new(
            "untold",
            format!("what was accepted could not be told to the nodes, which find it out later: {problem}"),
        )
    }

    /// Keys held foreign data.
    pub(super) fn of_foreign(keys: &[String]) -> Option<Self> {
        let sentence = format!(
            "{} held something that is no history, and was deleted: what is published is kept there again. Does something else \
             write to keys that begin with broker.prefix?",
            keys.first()?
        );
        Some(Self::new("foreign", sentence))
    }

    /// An answer that this version does not understand.
    pub(super) fn unexpected(what: &str) -> Self {
        Self::new(
            "unexpected",
            format!("{what} answered something unexpected. Is it Redis 6.2 or Valkey 7.2, or newer?"),
        )
    }
}

pub(super) const NODE_OF_A_CLUSTER: &str = "this Redis is a node of a Cluster. Write redis+cluster://";

const MIGRATING: &str = "a slot of the Cluster is being moved: what is in it waits until it has. If that does not end: redis-cli --cluster fix";

/// Causes and sentences by Redis' error code.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "NOAUTH",
        "noauth",
        "Redis wants a password. Set broker.password_file, and broker.username for a user of its ACL",
    ),
    (
        "WRONGPASS",
        "wrongpass",
        "Redis knows no such user with this password. Check broker.username and broker.password_file",
    ),
    (
        "OOM",
        "oom",
        "Redis has no memory left (maxmemory): nothing is acknowledged until it has. Give it more, or keep less history (history.events, history.seconds)",
    ),
    (
        "READONLY",
        "readonly",
        "this is a replica, which takes no writes. Name the primary, or use redis+sentinel://",
    ),
    ("MISCONF", "misconf", "Redis cannot save to its disk, and so takes no writes. See its log"),
    ("LOADING", "loading", "Redis is loading its data, and takes commands soon"),
    ("MASTERDOWN", "masterdown", "this replica has lost its primary"),
    ("CLUSTERDOWN", "clusterdown", "the Cluster is down: not all slots are served"),
    (
        "NOREPLICAS",
        "noreplicas",
        "Redis has too few replicas (min-replicas-to-write), and so takes no writes",
    ),
    ("NOSCRIPT", "noscript", "Redis has forgotten the scripts (SCRIPT FLUSH): it is told them again"),
    ("BUSY", "busy", "Redis is busy with another script"),
    ("CROSSSLOT", "crossslot", "this Redis is a Cluster. Write redis+cluster://"),
    ("MOVED", "moved", NODE_OF_A_CLUSTER),
    ("ASK", "migrating", MIGRATING),
    ("TRYAGAIN", "migrating", MIGRATING),
];

impl From<&RedisError> for Trouble {
    fn from(error: &RedisError) -> Self {
        let detail = error.detail().unwrap_or_default();
        let code = error.code().unwrap_or_default();
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) || code == "NOPERM" {
            return Self::new(
                "noperm",
                format!(
                    "Redis' ACL forbids something that is needed: {detail}. docs/scale.md has the line that is enough"
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
                    "Redis' ACL forbids something that is needed: {detail}. docs/scale.md has the line that is enough"
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
        Self::new("error", format!("Redis says: {error}"))
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        Self::from(&error)
    }
}
