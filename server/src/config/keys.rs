//! Every key of the configuration, declared once: name, kind, bounds, default, sentence.
//!
//! The file, the environment, flags, `check-config` and the table in the documentation all follow from here.

use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use orosync_protocol::{OriginPattern, Payload};
use tracing_subscriber::filter::Targets;

use super::kinds::{self, Kind};
use super::redis_url::{self, RedisUrl};
use super::settings::{AdminBind, Anonymous, SendTogether};
use crate::connection::proxies::TrustedProxies;
use crate::listen::bind::Bind;
use crate::log::LogFormat;
use crate::node::interest::ShardSet;
use crate::policy::TopicRule;

/// A key whose values are read as `T`.
#[derive(Clone, Copy, Debug)]
pub struct Key<T: 'static> {
    /// What is known without `T`.
    pub declaration: Declaration,
    pub(super) kind: Kind<T>,
}

/// What there is to say about a key.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// As in the file, with a dot after its table.
    pub name: &'static str,
    /// How values are written.
    pub kind: &'static str,
    /// Without a setting; as it would stand in the file.
    pub default: &'static str,
    /// What it is for.
    pub sentence: &'static str,
    /// Reads a value for its problems alone.
    pub(super) check: fn(&Value) -> Result<(), String>,
}

impl Declaration {
    /// The environment variable: `OROSYNC_AUTH__SECRET_FILE` for `auth.secret_file`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_ascii_uppercase().replace('.', "__"))
    }

    /// The flag, for those that have one: `--secret-file` for `auth.secret_file`.
    pub fn flag(&self) -> String {
        let (_, last) = self.name.rsplit_once('.').unwrap_or(("", self.name));
        format!("--{}", last.replace('_', "-"))
    }

    /// Must its value never be printed?
    pub fn is_secret(&self) -> bool {
        self.name == AUTH_SECRET.declaration.name
    }

    /// Its value, without the part that must never be printed.
    pub(super) fn public(&self, value: Value) -> Value {
        if self.name == BROKER_URL.declaration.name { redis_url::without_password(&value) } else { value }
    }
}

/// What the names of our environment variables begin with.
pub const VARIABLE_PREFIX: &str = "OROSYNC_";

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

macro_rules! keys {
    ($($constant:ident: $type:ty = $kind:expr, $name:literal, $default:literal, $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $constant: Key<$type> = Key {
                declaration: Declaration {
                    name: $name,
                    kind: $kind.label,
                    default: $default,
                    sentence: $sentence,
                    check: |value| $kind.read(value).map(drop),
                },
                kind: $kind,
            };
        )*

        /// All keys, in the order of the documentation.
        pub const ALL: &[Declaration] = &[$($constant.declaration),*];
    };
}

keys! {
    BIND: Vec<Bind> = kinds::BINDS, "bind", "['0.0.0.0:8080']",
        "Where browsers and publishers connect: addresses of IPv4 or IPv6 with a port, or `unix:` and a path; words such as `tls` may follow.";
    TRUSTED_PROXIES: TrustedProxies = kinds::PROXIES, "trusted_proxies", "[]",
        "Reverse proxies that are believed when they say whom they speak for (`X-Forwarded-For`, `X-Real-IP`, PROXY protocol): addresses, networks, or `unix:`.";
    ADMIN_BIND: AdminBind = kinds::ADMIN_BIND, "admin_bind", "'auto'",
        "Where `/healthz`, `/livez`, `/readyz`, `/metrics`, `/topics` and `/refusals` are served, for the operator's tools alone. `auto`: 127.0.0.1 and the port after the highest of `bind` (8081), if it is free. Empty: nowhere.";
    SHARDS: usize = kinds::COUNT.within(|count| *count <= ShardSet::MAX_SHARDS, "0 to 64"), "shards", "0",
        "Threads that hold sessions. 0: one for each core.";
    IO_URING: SendTogether = kinds::SEND_TOGETHER, "io_uring", "'auto'",
        "Whether a message to many browsers is sent with one system call for all, which takes Linux 6.1. `auto`: where the kernel allows it and it costs less, which the server measures when it starts. `on`: where the kernel allows it. `off`: never.";
    DRAIN_SECONDS: Duration = kinds::TIME, "drain_seconds", "5",
        "The longest time between SIGTERM, or the end of `drain_grace_seconds`, and the end of the process, in which all that was accepted is written.";
    DRAIN_GRACE_SECONDS: Duration = kinds::TIME, "drain_grace_seconds", "0",
        "How long after SIGTERM connections are still taken and served, while `/readyz` says 503 so that load balancers send no more. A second SIGTERM ends this time.";
    ORO_PING_SECONDS: Duration = kinds::TIME, "oro_ping_seconds", "45",
        "How often `oro/ping` is published while a session subscribes to it. 0: never.";

    AUTH_SECRET: Option<String> = kinds::SECRET, "auth.secret", "''",
        "The secret shared with PHP, at least 32 bytes. A file is safer: see `auth.secret_file`.";
    AUTH_SECRET_FILE: Option<PathBuf> = kinds::FILE, "auth.secret_file", "''",
        "The file that holds the secret, or several, one a line: the first signs, all are accepted. Make one with `openssl rand -hex 32`.";
    AUTH_PUBLIC_KEY_FILE: Option<PathBuf> = kinds::FILE, "auth.public_key_file", "''",
        "A public key in PEM (RSA, P-256 or Ed25519): tickets that its private half signed are accepted as well.";
    AUTH_ANONYMOUS: Anonymous = kinds::ANONYMOUS, "auth.anonymous", "'accept'",
        "What a connection without a ticket gets: a session for the topics that `anyone` may have, or an answer 401.";
    AUTH_ALLOWED_ORIGINS: Vec<OriginPattern> = kinds::ORIGINS, "auth.allowed_origins", "['*']",
        "Hosts of the sites whose pages may connect: `crm.example.com`, `*.example.com`, `same host` (the one that is connected to) or `*`.";

    AUTH_RESUME_SECONDS: Duration = kinds::TIME.within(|time| time.is_zero() || *time >= SECOND, "0, or 1 or more"), "auth.resume_seconds", "300",
        "How long a resume ticket is good: with one, a page comes back without asking PHP for a ticket. 0: there are none.";
    AUTH_RESUME_TOTAL_SECONDS: Duration = kinds::TIME.within(|time| *time >= SECOND, "1 or more"), "auth.resume_total_seconds", "28800",
        "How long after PHP's ticket a page gets resume tickets; then it asks PHP again.";
    AUTH_STATE_DIRECTORY: Option<PathBuf> = kinds::FILE, "auth.state_directory", "''",
        "A directory that the server may write to, for what must survive it: which resume tickets are no longer good. Without it, none is good after a restart. Not used with `broker.url`: Redis knows.";

    TLS_CERTIFICATE_FILE: Option<PathBuf> = kinds::FILE, "tls.certificate_file", "''",
        "The certificate in PEM, the server's own first, for addresses of `bind` with the word `tls`. Read again on SIGHUP.";
    TLS_KEY_FILE: Option<PathBuf> = kinds::FILE, "tls.key_file", "''",
        "Its private key in PEM.";

    BROKER_URL: Option<RedisUrl> = kinds::REDIS_URL, "broker.url", "''",
        "Redis or Valkey, for more than one node: `redis://host:6379/0`, and see below. Empty: one node, which keeps all in its memory.";
    BROKER_PREFIX: String = kinds::PREFIX, "broker.prefix", "'orosync'",
        "What the names of all keys and channels in Redis begin with; one for each application.";
    BROKER_USERNAME: Option<String> = kinds::TEXT, "broker.username", "''",
        "The user of Redis' ACL, if it does not stand in `broker.url`. Empty: its user `default`.";
    BROKER_PASSWORD_FILE: Option<PathBuf> = kinds::FILE, "broker.password_file", "''",
        "The file that holds Redis' password alone. Read again on SIGHUP.";
    BROKER_SENTINEL_USERNAME: Option<String> = kinds::TEXT, "broker.sentinel_username", "''",
        "The user of the Sentinels' own ACL. Empty: their user `default`.";
    BROKER_SENTINEL_PASSWORD_FILE: Option<PathBuf> = kinds::FILE, "broker.sentinel_password_file", "''",
        "The file that holds the Sentinels' own password alone, if they want one (`requirepass`). Read again on SIGHUP.";
    BROKER_CA_FILE: Option<PathBuf> = kinds::FILE, "broker.ca_file", "''",
        "Certificates in PEM, one of which must have signed Redis' certificate, for URLs with TLS. Empty: those that the system trusts.";
    BROKER_WAIT_REPLICAS: u32 = kinds::REPLICAS, "broker.wait_replicas", "0",
        "How many replicas of Redis must have a message before it is acknowledged, up to 16.";

    HANDSHAKE_TIMEOUT: Duration = kinds::TIME.within(|time| *time >= MILLISECOND, "0.001 or more"), "limits.handshake_seconds", "10",
        "The longest time from a connection to the end of its handshake.";
    HANDSHAKE_BYTES: usize = kinds::SIZE.within(|bytes| (KIB..=MIB).contains(bytes), "1K to 1M"), "limits.handshake_bytes", "'16K'",
        "The largest request of a handshake.";
    SESSIONS: usize = kinds::COUNT, "limits.sessions", "0",
        "Open sessions of browsers. 0: as many as the process may have descriptors. Publishers have a few places more.";
    SESSIONS_PER_ADDRESS: usize = kinds::COUNT.within(|count| *count >= 1, "1 or more"), "limits.sessions_per_address", "10000",
        "Open sessions per address of a client. Those from this machine, unix sockets and `trusted_proxies` are not counted: they are reverse proxies.";
    MESSAGE_BYTES: usize = kinds::SIZE.within(|bytes| (KIB..=Payload::MAX_BYTES).contains(bytes), "1K to 1M"), "limits.message_bytes", "'64K'",
        "The largest message from a browser, at most 1M.";
    OUTBOUND_BYTES: usize = kinds::SIZE.within(|bytes| (64 * KIB..=1024 * MIB).contains(bytes), "64K to 1G"), "limits.outbound_bytes", "'1M'",
        "What may wait for one session's socket; a reader that is slower is closed (4008).";
    SUBSCRIPTIONS: usize = kinds::COUNT.within(|count| *count >= 1, "1 or more"), "limits.subscriptions", "100",
        "Subscriptions per session.";
    MESSAGES_PER_SECOND: u32 = kinds::RATE, "limits.messages_per_second", "50",
        "Messages per second from one browser in the long run; one that sends more is closed (4009).";
    MESSAGE_BURST: u32 = kinds::RATE, "limits.message_burst", "200",
        "Messages that one browser may send at once; not below `limits.subscriptions`.";
    PUBLISHER_MESSAGES: usize = kinds::COUNT.within(|count| *count >= 1, "1 or more"), "limits.publisher_messages", "10000",
        "Messages of publishers on their way through the node; while there are more, publishers wait.";
    PUBLISHER_BYTES: usize = kinds::SIZE.within(|bytes| *bytes >= MIB, "1M or more"), "limits.publisher_bytes", "'64M'",
        "Bytes of those messages.";
    REMEMBERED_TICKETS: usize = kinds::COUNT.within(|count| *count >= 1, "1 or more"), "limits.remembered_tickets", "1000000",
        "Used tickets that are remembered until they expire; while there are more, no ticket is accepted.";
    REMEMBERED_PUBLISHERS: usize = kinds::COUNT.within(|count| *count >= 1, "1 or more"), "limits.remembered_publishers", "100000",
        "Publishers whose last message is remembered, so that what they send again is dropped.";
    PING_INTERVAL: Duration = kinds::TIME.within(|time| *time >= MILLISECOND, "0.001 or more"), "limits.ping_interval_seconds", "30",
        "How long a session may be silent until it gets a ping. Keep it below the reverse proxy's timeout.";
    PING_TIMEOUT: Duration = kinds::TIME.within(|time| *time >= MILLISECOND, "0.001 or more"), "limits.ping_timeout_seconds", "15",
        "How long a session may take to answer a ping.";

    HISTORY_EVENTS: usize = kinds::COUNT, "history.events", "1000",
        "Latest events that are kept of each topic, so that a page that was away learns what it missed. 0: none, except for topics whose rule says otherwise.";
    HISTORY_SECONDS: Duration = kinds::HISTORY_AGE, "history.seconds", "600",
        "How long they are kept.";
    HISTORY_BYTES: usize = kinds::SIZE.within(|bytes| *bytes == 0 || *bytes >= MIB, "0, or 1M or more"), "history.bytes", "'64M'",
        "Memory of all kept events: beyond it the oldest event is dropped first, and no topic has more than a quarter. 0: no topic has a history.";

    LOG_FORMAT: LogFormat = kinds::LOG_FORMAT, "log.format", "'auto'",
        "How log lines are written on standard error. `auto`: for people on a terminal, JSON elsewhere.";
    LOG_LEVEL: Targets = kinds::LOG_LEVEL, "log.level", "'info'",
        "Which lines: `error`, `warn`, `info`, `debug`, `trace`; also `info,orosync_server::session=debug`.";

    TOPICS: Vec<TopicRule> = kinds::TOPICS, "topics", "[]",
        "Who may subscribe and publish, and what history is kept, by topic; OroPlatform's topics are built in, behind these.";
}

/// The key with this name.
pub fn find(name: &str) -> Option<&'static Declaration> {
    ALL.iter().find(|declaration| declaration.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_named_once_and_says_what_it_is_for() {
        for (index, key) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|other| other.name != key.name), "{}", key.name);
            assert!(key.sentence.ends_with('.'), "{}", key.name);
            assert!(!key.sentence.contains('|'), "{} would break the table", key.name);
        }
    }

    #[test]
    fn variables_and_flags_follow_from_the_name() {
        let key = AUTH_SECRET_FILE.declaration;
        assert_eq!(key.variable(), "OROSYNC_AUTH__SECRET_FILE");
        assert_eq!(key.flag(), "--secret-file");
        assert_eq!(ADMIN_BIND.declaration.flag(), "--admin-bind");
    }
}
