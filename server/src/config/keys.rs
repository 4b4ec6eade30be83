//! Every configuration key, declared once: name, type, range, default and description.
//!
//! The configuration file, environment variables, flags, `check-config` and the table in the documentation derive from this.

use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use orosync_protocol::notation::Range;
use orosync_protocol::{OriginPattern, Payload};
use tracing_subscriber::filter::Targets;

use super::kinds;
use super::redis_url::{self, RedisUrl};
use super::topics;
use super::values::{AdminBind, Anonymous, SendTogether};
use crate::connection::proxies::TrustedProxies;
use crate::listen::bind::Bind;
use crate::log::LogFormat;
use crate::node::interest::ShardSet;
use crate::policy::TopicRule;

/// A configuration key with values of type `T`.
#[derive(Clone, Copy, Debug)]
pub struct Key<T: 'static> {
    /// The parts of the key that do not depend on `T`.
    pub declaration: Declaration,
    /// Parses a value. The error is a sentence that says what to write instead.
    pub(super) read: fn(&Value) -> Result<T, String>,
}

/// Name, documentation and default of a configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// The name in the file, preceded by its table: `auth.secret_file`.
    pub name: &'static str,
    /// The default, in the notation of the file.
    pub default: &'static str,
    /// Its description in the documentation.
    pub description: &'static str,
    describe: fn() -> String,
    /// Validates a value. The error is a sentence that says what to write instead.
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

    /// The type and the range of its values, for the documentation: `size (1K to 1M)`.
    pub fn values(&self) -> String {
        (self.describe)()
    }

    /// Whether the value must never be printed.
    pub fn is_secret(&self) -> bool {
        self.name == AUTH_SECRET.declaration.name
    }

    /// The value with its secret part masked, if it has one.
    pub(super) fn public(&self, value: Value) -> Value {
        if self.name == BROKER_URL.declaration.name { redis_url::without_password(&value) } else { value }
    }
}

/// The prefix of the server's environment variables.
pub const VARIABLE_PREFIX: &str = "OROSYNC_";

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Maximum of the rates. A session with a higher one would not be limited.
const MAX_RATE: u32 = 1_000_000;

macro_rules! keys {
    ($($constant:ident: $type:ty = $kind:expr, $name:literal, $default:literal, $description:literal;)*) => {
        $(
            #[doc = $description]
            pub const $constant: Key<$type> = Key {
                declaration: Declaration {
                    name: $name,
                    default: $default,
                    description: $description,
                    describe: || $kind.describe(),
                    check: |value| $kind.read(value).map(drop),
                },
                read: |value| $kind.read(value),
            };
        )*

        /// All keys, in the order of the documentation.
        pub const ALL: &[Declaration] = &[$($constant.declaration),*];
    };
}

keys! {
    BIND: Vec<Bind> = kinds::BINDS, "bind", "['0.0.0.0:8080']",
        "Addresses on which browsers and publishers connect: an IPv4 or IPv6 address with a port, or `unix:` and a path. Options such as `tls` may follow.";
    TRUSTED_PROXIES: TrustedProxies = kinds::PROXIES, "trusted_proxies", "[]",
        "Reverse proxies whose forwarded client addresses are trusted (`X-Forwarded-For`, `X-Real-IP`, PROXY protocol): addresses, networks, or `unix:`.";
    ADMIN_BIND: AdminBind = kinds::ADMIN_BIND, "admin_bind", "'auto'",
        "The address of `/healthz`, `/livez`, `/readyz`, `/metrics`, `/topics` and `/refusals`, which only the operator's tools should reach. `auto`: 127.0.0.1 and the port after the highest of `bind` (8081), if it is free. Empty: no such address.";
    SHARDS: usize = kinds::COUNT.within(Range::between(0, ShardSet::MAX_SHARDS)), "shards", "0",
        "Number of threads that serve sessions. 0: one per core.";
    IO_URING: SendTogether = kinds::SEND_TOGETHER, "io_uring", "'auto'",
        "Whether a message to many browsers is sent with a single system call (`io_uring`), which requires Linux 6.1 or later. `auto`: if the kernel allows it and it costs less, which the server measures at startup. `on`: if the kernel allows it. `off`: never.";
    DRAIN_SECONDS: Duration = kinds::TIME.within(Range::at_least(Duration::ZERO)), "drain_seconds", "5",
        "Time limit of the graceful shutdown, in which everything that was accepted is written. It begins at SIGTERM, or at the end of `drain_grace_seconds`.";
    DRAIN_GRACE_SECONDS: Duration = kinds::TIME.within(Range::at_least(Duration::ZERO)), "drain_grace_seconds", "0",
        "How long the server still accepts and serves connections after SIGTERM, while `/readyz` answers 503 so that load balancers send no new ones. A second SIGTERM ends this period.";
    ORO_PING_SECONDS: Duration = kinds::TIME.within(Range::at_least(Duration::ZERO)), "oro_ping_seconds", "45",
        "Interval at which `oro/ping` is published while a session subscribes to it. 0: never.";

    AUTH_SECRET: Option<String> = kinds::SECRET, "auth.secret", "''",
        "The secret that the server shares with PHP, at least 32 bytes. `auth.secret_file` is safer.";
    AUTH_SECRET_FILE: Option<PathBuf> = kinds::FILE, "auth.secret_file", "''",
        "The file with the secret. It may hold several secrets, one per line: the first signs tickets, and all are accepted. Create a secret with `openssl rand -hex 32`.";
    AUTH_PUBLIC_KEY_FILE: Option<PathBuf> = kinds::FILE, "auth.public_key_file", "''",
        "A file with a public key in PEM (RSA, P-256 or Ed25519). Tickets signed with its private key are accepted as well.";
    AUTH_ANONYMOUS: Anonymous = kinds::ANONYMOUS, "auth.anonymous", "'accept'",
        "Answer to a connection without a ticket. `accept`: a session that may use the topics open to `anyone`. `refuse`: status 401.";
    AUTH_ALLOWED_ORIGINS: Vec<OriginPattern> = kinds::ORIGINS, "auth.allowed_origins", "['*']",
        "Hosts of the sites whose pages may connect: `crm.example.com`, `*.example.com`, `same host` (the host that the page connects to) or `*`.";

    AUTH_RESUME_SECONDS: Duration = kinds::TIME.within(Range::at_least(SECOND).or(Duration::ZERO)), "auth.resume_seconds", "300",
        "Lifetime of a resume ticket, with which a page reconnects without requesting a new ticket from PHP. 0: no resume tickets.";
    AUTH_RESUME_TOTAL_SECONDS: Duration = kinds::TIME.within(Range::at_least(SECOND)), "auth.resume_total_seconds", "28800",
        "How long a page receives resume tickets after its ticket from PHP. After that it must request a new ticket from PHP.";
    AUTH_STATE_DIRECTORY: Option<PathBuf> = kinds::FILE, "auth.state_directory", "''",
        "A writable directory in which the server stores revoked resume tickets across restarts. Without it, a restart invalidates all resume tickets. Not used with `broker.url`, where Redis stores them.";

    TLS_CERTIFICATE_FILE: Option<PathBuf> = kinds::FILE, "tls.certificate_file", "''",
        "The certificate chain in PEM, the server's own certificate first, for addresses of `bind` with the option `tls`. Reloaded on SIGHUP.";
    TLS_KEY_FILE: Option<PathBuf> = kinds::FILE, "tls.key_file", "''",
        "The private key of the certificate in PEM. Reloaded on SIGHUP.";

    BROKER_URL: Option<RedisUrl> = kinds::REDIS_URL, "broker.url", "''",
        "The Redis or Valkey that several nodes share: `redis://host:6379/0`; other forms are below. Empty: a single node, which keeps everything in memory.";
    BROKER_PREFIX: String = kinds::PREFIX, "broker.prefix", "'orosync'",
        "The prefix of all keys and channels in Redis. Each application needs its own.";
    BROKER_USERNAME: Option<String> = kinds::TEXT, "broker.username", "''",
        "The Redis ACL user, unless `broker.url` names it. Empty: the user `default`.";
    BROKER_PASSWORD_FILE: Option<PathBuf> = kinds::FILE, "broker.password_file", "''",
        "A file that holds only the Redis password. Reloaded on SIGHUP.";
    BROKER_SENTINEL_USERNAME: Option<String> = kinds::TEXT, "broker.sentinel_username", "''",
        "The ACL user of the Sentinels. Empty: the user `default`.";
    BROKER_SENTINEL_PASSWORD_FILE: Option<PathBuf> = kinds::FILE, "broker.sentinel_password_file", "''",
        "A file that holds only the password of the Sentinels, if they require one (`requirepass`). Reloaded on SIGHUP.";
    BROKER_CA_FILE: Option<PathBuf> = kinds::FILE, "broker.ca_file", "''",
        "A file with the CA certificates in PEM that are trusted for Redis, for URLs with TLS. Empty: the CAs that the system trusts.";
    BROKER_WAIT_REPLICAS: u32 = kinds::SMALL_COUNT.within(Range::between(0, 16)), "broker.wait_replicas", "0",
        "Number of Redis replicas that must have a message before it is acknowledged.";

    HANDSHAKE_TIMEOUT: Duration = kinds::TIME.within(Range::at_least(MILLISECOND)), "limits.handshake_seconds", "10",
        "Time limit of the handshake, from the accepted connection on.";
    HANDSHAKE_BYTES: usize = kinds::SIZE.within(Range::between(KIB, MIB)), "limits.handshake_bytes", "'16K'",
        "Maximum size of the handshake request.";
    SESSIONS: usize = kinds::COUNT.within(Range::at_least(0)), "limits.sessions", "0",
        "Maximum number of open browser sessions. 0: as many as the file descriptor limit of the process allows. Publishers have a small number of additional sessions.";
    SESSIONS_PER_ADDRESS: usize = kinds::COUNT.within(Range::at_least(1)), "limits.sessions_per_address", "10000",
        "Maximum number of open sessions per client address. Connections from this machine, from unix sockets and from `trusted_proxies` are not counted, because they come from reverse proxies.";
    MESSAGE_BYTES: usize = kinds::SIZE.within(Range::between(KIB, Payload::MAX_BYTES)), "limits.message_bytes", "'64K'",
        "Maximum size of a message from a browser.";
    OUTBOUND_BYTES: usize = kinds::SIZE.within(Range::between(64 * KIB, 1024 * MIB)), "limits.outbound_bytes", "'1M'",
        "Maximum size of a session's outbound queue. A session whose client reads too slowly is closed (4008).";
    SUBSCRIPTIONS: usize = kinds::COUNT.within(Range::between(1, MAX_RATE as usize)), "limits.subscriptions", "100",
        "Maximum number of subscriptions per session.";
    MESSAGES_PER_SECOND: u32 = kinds::SMALL_COUNT.within(Range::between(1, MAX_RATE)), "limits.messages_per_second", "50",
        "Maximum sustained rate of messages per second from one browser. A session that sends more is closed (4009).";
    MESSAGE_BURST: u32 = kinds::SMALL_COUNT.within(Range::between(1, MAX_RATE)), "limits.message_burst", "200",
        "Maximum number of messages that one browser may send in a burst; at least `limits.subscriptions`.";
    PUBLISHER_MESSAGES: usize = kinds::COUNT.within(Range::at_least(1)), "limits.publisher_messages", "10000",
        "Maximum number of publishers' messages in flight in the node. Beyond it, backpressure delays the publishers.";
    PUBLISHER_BYTES: usize = kinds::SIZE.within(Range::at_least(MIB)), "limits.publisher_bytes", "'64M'",
        "Maximum size of all publishers' messages in flight.";
    REMEMBERED_TICKETS: usize = kinds::COUNT.within(Range::at_least(1)), "limits.remembered_tickets", "1000000",
        "Maximum number of used tickets that are remembered until they expire. While the limit is reached, no ticket is accepted.";
    REMEMBERED_PUBLISHERS: usize = kinds::COUNT.within(Range::at_least(1)), "limits.remembered_publishers", "100000",
        "Number of publishers whose last message is remembered, so that resent messages are recognized and dropped.";
    PING_INTERVAL: Duration = kinds::TIME.within(Range::at_least(MILLISECOND)), "limits.ping_interval_seconds", "30",
        "Idle time after which a session is sent a ping; at least 5 s for publishers. Must be below the idle timeout of the reverse proxy.";
    PING_TIMEOUT: Duration = kinds::TIME.within(Range::at_least(MILLISECOND)), "limits.ping_timeout_seconds", "15",
        "Time limit for the answer to a ping. A session that does not answer is closed.";

    HISTORY_EVENTS: usize = topics::HISTORY_EVENTS, "history.events", "1000",
        "Number of the latest events kept per topic. A page that was disconnected receives those that it missed. 0: none, except for topics whose rule says otherwise.";
    HISTORY_SECONDS: Duration = topics::HISTORY_AGE, "history.seconds", "600",
        "How long the events of a topic are kept.";
    HISTORY_BYTES: usize = kinds::SIZE.within(Range::at_least(MIB).or(0)), "history.bytes", "'64M'",
        "Memory for the kept events of all topics. When it is full, the oldest event is dropped first. One topic uses at most a quarter. 0: no topic has a history.";

    LOG_FORMAT: LogFormat = kinds::LOG_FORMAT, "log.format", "'auto'",
        "Format of the log on standard error. `auto`: readable text on a terminal, JSON elsewhere.";
    LOG_LEVEL: Targets = kinds::LOG_LEVEL, "log.level", "'info'",
        "Minimum level of log lines: `error`, `warn`, `info`, `debug` or `trace`. Modules can have levels of their own: `info,orosync_server::session=debug`.";

    TOPICS: Vec<TopicRule> = topics::TOPICS, "topics", "[]",
        "Rules per topic pattern: who may subscribe, who may publish, and how much history is kept. The first match decides. The built-in rules for OroPlatform's topics come after these.";
}

/// The declaration of the key with this name.
pub fn find(name: &str) -> Option<&'static Declaration> {
    ALL.iter().find(|declaration| declaration.name == name)
}

#[cfg(test)]
mod tests {
    use orosync_protocol::CloseReason;
    use orosync_protocol::ticket::MIN_SECRET_BYTES;

    use super::*;

    #[test]
    fn each_key_is_named_once_and_says_what_it_is_for() {
        for (index, key) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|other| other.name != key.name), "{}", key.name);
            assert!(key.description.ends_with('.'), "{}", key.name);
            assert!(!key.description.contains('|'), "{} would break the table", key.name);
        }
    }

    #[test]
    fn a_number_in_a_sentence_is_that_of_its_constant() {
        for (key, expected) in [
            (AUTH_SECRET.declaration, format!("at least {MIN_SECRET_BYTES} bytes")),
            (OUTBOUND_BYTES.declaration, format!("({})", CloseReason::TooSlow.code())),
            (MESSAGES_PER_SECOND.declaration, format!("({})", CloseReason::TooManyMessages.code())),
        ] {
            assert!(key.description.contains(&expected), "{}", key.name);
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
