//! The validated settings that the server runs with.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

pub use super::auth::AuthSettings;
use super::broker::{self, BrokerSettings};
use super::load::{ConfigError, Written, both};
pub use super::values::{AdminBind, Anonymous, SendTogether};
use super::{keys, state_directory, tls};
use crate::connection::proxies::TrustedProxies;
use crate::listen::bind::Bind;
use crate::log::LogSettings;
use crate::node::interest::ShardSet;
use crate::policy::{HistoryLimits, Policies};

/// All settings of a node.
#[derive(Debug)]
pub struct Settings {
    /// Addresses on which browsers and publishers connect.
    pub bind: Vec<Bind>,
    /// Reverse proxies whose forwarded client addresses are trusted.
    pub trusted_proxies: TrustedProxies,
    /// The address for the operator's tools.
    pub admin_bind: AdminBind,
    /// The certificate for addresses with the option `tls`. `None`: there is no such address.
    pub tls: Option<Arc<ServerConfig>>,
    /// Number of threads that serve sessions.
    pub shards: NonZeroUsize,
    /// Whether `io_uring` is used to send a message to many sessions.
    pub send_together: SendTogether,
    /// Authentication.
    pub auth: AuthSettings,
    /// The broker.
    pub broker: BrokerSettings,
    /// All bounds.
    pub limits: Limits,
    /// Bounds of the topics' histories.
    pub history: HistorySettings,
    /// The rules per topic: who may subscribe and publish, and history bounds of their own.
    pub policies: Policies,
    /// Time from SIGTERM to the drain. Connections are still accepted.
    pub drain_grace: Duration,
    /// Time limit of the drain.
    pub drain: Duration,
    /// Interval at which `oro/ping` is published. Zero: never.
    pub oro_ping: Duration,
    /// Format and filter of the log.
    pub log: LogSettings,
}

impl Settings {
    /// The settings to start a server with. In addition to [`Settings::new`], checks that the state directory is writable.
    pub fn to_serve(written: &Written) -> Result<Self, ConfigError> {
        let (settings, ()) = both(Self::new(written), state_directory::check(written))?;
        Ok(settings)
    }

    /// Validates the configuration and reads the files that it names.
    pub fn new(written: &Written) -> Result<Self, ConfigError> {
        let bind = written.read(&keys::BIND)?;
        let trusted_proxies = written.read(&keys::TRUSTED_PROXIES)?;
        let proxies = if trusted_proxies.is_empty() && bind.iter().any(|bind| bind.proxy_protocol) {
            Err(written.error(&keys::BIND.declaration, NO_TRUSTED_PROXIES))
        } else {
            Ok(())
        };
        let tls = match tls::read(written) {
            Ok(None) if bind.iter().any(|bind| bind.tls) => {
                Err(written.error(&keys::BIND.declaration, NO_CERTIFICATE))
            }
            tls => tls,
        };
        let broker_and_limits = both(broker::read(written), Limits::new(written));
        let (((), tls), (auth, (broker, limits))) =
            both(both(proxies, tls), both(AuthSettings::new(written), broker_and_limits))?;
        Ok(Self {
            bind,
            tls,
            trusted_proxies,
            admin_bind: written.read(&keys::ADMIN_BIND)?,
            shards: shards(written.read(&keys::SHARDS)?),
            send_together: written.read(&keys::IO_URING)?,
            auth,
            broker,
            limits,
            history: HistorySettings::new(written)?,
            policies: Policies::new(written.read(&keys::TOPICS)?),
            drain_grace: written.read(&keys::DRAIN_GRACE_SECONDS)?,
            drain: written.read(&keys::DRAIN_SECONDS)?,
            oro_ping: written.read(&keys::ORO_PING_SECONDS)?,
            log: LogSettings {
                format: written.read(&keys::LOG_FORMAT)?,
                filter: written.read(&keys::LOG_LEVEL)?,
            },
        })
    }
}

const NO_CERTIFICATE: &str =
    "the option tls needs a certificate. Set tls.certificate_file and tls.key_file, or remove the option";
const NO_TRUSTED_PROXIES: &str = "the option proxy_protocol needs trusted proxies, but trusted_proxies is empty. List the reverse proxies there";

/// The number of shards. 0 stands for one per core available to this process, up to the maximum.
fn shards(number: usize) -> NonZeroUsize {
    const MAX: NonZeroUsize = NonZeroUsize::new(ShardSet::MAX_SHARDS).expect("more than none");
    NonZeroUsize::new(number)
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(NonZeroUsize::MIN, |shards| shards.min(MAX))
}

/// All bounds of a node.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time limit of the handshake, from the accepted connection on.
    pub handshake_timeout: Duration,
    /// Maximum size of the handshake request in bytes.
    pub handshake_bytes: usize,
    /// Maximum number of browser sessions. 0: as many as the file descriptor limit allows.
    pub sessions: usize,
    /// Maximum number of sessions per peer address. Loopback peers, unix sockets and trusted proxies are not counted.
    pub sessions_per_address: usize,
    /// Maximum size of a message from a browser in bytes.
    pub message_bytes: usize,
    /// Maximum size of a session's outbound queue in bytes.
    pub outbound_bytes: usize,
    /// Maximum number of subscriptions per session.
    pub subscriptions: usize,
    /// Maximum sustained rate of messages per second from one browser.
    pub messages_per_second: u32,
    /// Maximum number of messages in a burst from one browser.
    pub message_burst: u32,
    /// Maximum number of publishers' messages in flight in the node.
    pub publisher_messages: usize,
    /// Maximum size of these messages in bytes.
    pub publisher_bytes: usize,
    /// Maximum number of used tickets that are remembered until they expire.
    pub remembered_tickets: usize,
    /// Maximum number of publishers whose highest sequence number is remembered.
    pub remembered_publishers: usize,
    /// Idle time of a session before it is sent a ping.
    pub ping_interval: Duration,
    /// Time limit for the answer to a ping, after which the session is closed.
    pub ping_timeout: Duration,
}

impl Limits {
    fn new(written: &Written) -> Result<Self, ConfigError> {
        let limits = Self {
            handshake_timeout: written.read(&keys::HANDSHAKE_TIMEOUT)?,
            handshake_bytes: written.read(&keys::HANDSHAKE_BYTES)?,
            sessions: written.read(&keys::SESSIONS)?,
            sessions_per_address: written.read(&keys::SESSIONS_PER_ADDRESS)?,
            message_bytes: written.read(&keys::MESSAGE_BYTES)?,
            outbound_bytes: written.read(&keys::OUTBOUND_BYTES)?,
            subscriptions: written.read(&keys::SUBSCRIPTIONS)?,
            messages_per_second: written.read(&keys::MESSAGES_PER_SECOND)?,
            message_burst: written.read(&keys::MESSAGE_BURST)?,
            publisher_messages: written.read(&keys::PUBLISHER_MESSAGES)?,
            publisher_bytes: written.read(&keys::PUBLISHER_BYTES)?,
            remembered_tickets: written.read(&keys::REMEMBERED_TICKETS)?,
            remembered_publishers: written.read(&keys::REMEMBERED_PUBLISHERS)?,
            ping_interval: written.read(&keys::PING_INTERVAL)?,
            ping_timeout: written.read(&keys::PING_TIMEOUT)?,
        };
        limits.check_burst(written)?;
        Ok(limits)
    }

    /// Checks that a page that reconnects can subscribe to all its topics at once.
    fn check_burst(&self, written: &Written) -> Result<(), ConfigError> {
        if usize::try_from(self.message_burst).is_ok_and(|burst| burst < self.subscriptions) {
            let problem = format!(
                "a page that reconnects subscribes to all its topics at once, and limits.message_burst = {} would \
                 close it. Raise limits.message_burst, or lower this limit to it",
                self.message_burst
            );
            return Err(written.error(&keys::SUBSCRIPTIONS.declaration, &problem));
        }
        Ok(())
    }
}

/// The defaults of the configuration.
impl Default for Limits {
    fn default() -> Self {
        Self::new(&Written::defaults()).expect("constants that the tests below read")
    }
}

/// Bounds of the topics' histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// The bounds of each topic whose rule does not set its own.
    pub limits: HistoryLimits,
    /// Maximum memory of all topics together in bytes. 0: no events are kept.
    pub bytes: usize,
}

impl HistorySettings {
    fn new(written: &Written) -> Result<Self, ConfigError> {
        Ok(Self {
            limits: HistoryLimits {
                events: written.read(&keys::HISTORY_EVENTS)?,
                age: written.read(&keys::HISTORY_SECONDS)?,
            },
            bytes: written.read(&keys::HISTORY_BYTES)?,
        })
    }
}

/// The defaults of the configuration.
impl Default for HistorySettings {
    fn default() -> Self {
        Self::new(&Written::defaults()).expect("constants that the tests below read")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use orosync_protocol::OriginPattern;

    use super::super::load::load;
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn settings(environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::to_serve(&load(&[], environment, [])?)
    }

    fn problem(environment: &[(&str, &str)]) -> String {
        let with_secret = [&[("OROSYNC_AUTH__SECRET", SECRET)], environment].concat();
        settings(&with_secret).unwrap_err().to_string()
    }

    #[test]
    fn the_message_burst_allows_all_subscriptions_at_once() {
        assert_eq!(
            problem(&[("OROSYNC_LIMITS__SUBSCRIPTIONS", "500")]),
            "OROSYNC_LIMITS__SUBSCRIPTIONS = \"500\": a page that reconnects subscribes to all its topics at once, and \
             limits.message_burst = 200 would close it. Raise limits.message_burst, or lower this limit to it"
        );
        assert!(problem(&[("OROSYNC_LIMITS__MESSAGE_BURST", "99")]).contains("limits.subscriptions = 100: "));
        let both = [("OROSYNC_LIMITS__SUBSCRIPTIONS", "500"), ("OROSYNC_LIMITS__MESSAGE_BURST", "500")];
        let with_secret = [&[("OROSYNC_AUTH__SECRET", SECRET)], &both[..]].concat();
        assert_eq!(settings(&with_secret).unwrap().limits.subscriptions, 500);
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let bounds = problem(&[
            ("OROSYNC_SHARDS", "65"),
            ("OROSYNC_LIMITS__SUBSCRIPTIONS", "0"),
            ("OROSYNC_LIMITS__PING_TIMEOUT_SECONDS", "0"),
            ("OROSYNC_DRAIN_SECONDS", "soon"),
        ]);
        assert_eq!(
            bounds.lines().collect::<Vec<_>>(),
            [
                "OROSYNC_SHARDS = \"65\": out of bounds. Write 0 to 64",
                "OROSYNC_DRAIN_SECONDS = \"soon\": not a time. Write seconds (5 or 0.5), 30s, 500ms, 5m or 1h",
                "OROSYNC_LIMITS__SUBSCRIPTIONS = \"0\": out of bounds. Write 1 to 1000000",
                "OROSYNC_LIMITS__PING_TIMEOUT_SECONDS = \"0\": out of bounds. Write 0.001 or more",
            ]
        );
        let together = settings(&[
            ("OROSYNC_BIND", "127.0.0.1:0 proxy_protocol"),
            ("OROSYNC_TLS__CERTIFICATE_FILE", "/missing/certificate"),
            ("OROSYNC_TLS__KEY_FILE", "/missing/key"),
            ("OROSYNC_AUTH__SECRET", "short"),
            ("OROSYNC_AUTH__PUBLIC_KEY_FILE", "/missing/public-key"),
            ("OROSYNC_AUTH__STATE_DIRECTORY", "/missing/state"),
            ("OROSYNC_BROKER__URL", "redis://localhost"),
            ("OROSYNC_BROKER__PASSWORD_FILE", "/missing/password"),
            ("OROSYNC_LIMITS__MESSAGE_BURST", "1"),
        ])
        .unwrap_err();
        let reported: Vec<_> =
            together.problems.iter().filter_map(|problem| problem.split(" = ").next()).collect();
        assert_eq!(
            reported,
            [
                "OROSYNC_BIND",
                "OROSYNC_TLS__CERTIFICATE_FILE",
                "OROSYNC_TLS__KEY_FILE",
                "OROSYNC_AUTH__SECRET",
                "OROSYNC_AUTH__PUBLIC_KEY_FILE",
                "OROSYNC_BROKER__PASSWORD_FILE",
                "limits.subscriptions",
                "OROSYNC_AUTH__STATE_DIRECTORY",
            ]
        );
    }

    #[test]
    fn only_a_secret_is_required() {
        let settings = settings(&[("OROSYNC_AUTH__SECRET", SECRET)]).unwrap();
        assert_eq!(settings.bind, vec!["0.0.0.0:8080".parse().unwrap()]);
        assert_eq!(settings.admin_bind, AdminBind::Auto);
        assert_eq!(AdminBind::auto(&settings.bind), "127.0.0.1:8081".parse().unwrap());
        assert_eq!(settings.auth.anonymous, Anonymous::Accept);
        assert_eq!(settings.auth.allowed_origins, [OriginPattern::parse("*").unwrap()]);
        assert!(settings.auth.signer.is_some());
        assert_eq!(settings.auth.resume, Duration::from_mins(5));
        assert_eq!(settings.auth.resume_total, Duration::from_hours(8));
        assert_eq!(settings.auth.state_directory, None);
        assert_eq!(settings.broker, BrokerSettings::Memory);
        assert_eq!((settings.drain_grace, settings.drain), (Duration::ZERO, Duration::from_secs(5)));
        assert_eq!(settings.oro_ping, Duration::from_secs(45));
        assert_eq!(settings.limits.outbound_bytes, 1 << 20);
        let limits = HistoryLimits { events: 1000, age: Duration::from_mins(10) };
        assert_eq!((settings.history.limits, settings.history.bytes), (limits, 64 << 20));
    }

    #[test]
    fn only_a_server_needs_its_state_directory() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [
            variable("OROSYNC_AUTH__SECRET", SECRET),
            variable("OROSYNC_AUTH__STATE_DIRECTORY", "/missing/state"),
            variable("OROSYNC_AUTH__RESUME_SECONDS", "0"),
        ];
        let written = load(&[], environment, []).unwrap();
        let auth = Settings::new(&written).unwrap().auth;
        assert_eq!(auth.state_directory.as_deref(), Some(Path::new("/missing/state")));
        assert_eq!(auth.resume, Duration::ZERO);
        let error = Settings::to_serve(&written).unwrap_err().to_string();
        assert!(error.starts_with("OROSYNC_AUTH__STATE_DIRECTORY = \"/missing/state\": "), "{error}");
    }

    #[test]
    fn history_can_be_switched_off() {
        let history =
            |variable| settings(&[("OROSYNC_AUTH__SECRET", SECRET), (variable, "0")]).unwrap().history;
        assert_eq!(history("OROSYNC_HISTORY__EVENTS").limits.events, 0);
        assert_eq!(history("OROSYNC_HISTORY__BYTES").bytes, 0);
    }

    #[test]
    fn the_error_for_a_value_out_of_bounds_names_the_bounds() {
        for (variable, value, expected) in [
            ("OROSYNC_LIMITS__MESSAGE_BYTES", "2M", "out of bounds. Write 1K to 1M"),
            ("OROSYNC_LIMITS__OUTBOUND_BYTES", "1K", "out of bounds. Write 64K to 1G"),
            ("OROSYNC_LIMITS__PING_INTERVAL_SECONDS", "0", "out of bounds. Write 0.001 or more"),
            ("OROSYNC_LIMITS__SUBSCRIPTIONS", "0", "out of bounds. Write 1 to 1000000"),
            ("OROSYNC_AUTH__RESUME_SECONDS", "0.5", "out of bounds. Write 0, or 1 or more"),
            ("OROSYNC_AUTH__RESUME_TOTAL_SECONDS", "0", "out of bounds. Write 1 or more"),
            ("OROSYNC_HISTORY__SECONDS", "0", "out of bounds. Write 0.001 or more"),
            ("OROSYNC_HISTORY__BYTES", "1023K", "out of bounds. Write 0, or 1M or more"),
            (
                "OROSYNC_BIND",
                "0.0.0.0:8082 proxy_protocol",
                "the option proxy_protocol needs trusted proxies, but trusted_proxies is empty. List the reverse proxies there",
            ),
            (
                "OROSYNC_TRUSTED_PROXIES",
                "10.0.0.0/33",
                "not an address or a network. Write 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix: for reverse proxies on unix sockets",
            ),
            ("OROSYNC_SHARDS", "65", "out of bounds. Write 0 to 64"),
        ] {
            assert_eq!(problem(&[(variable, value)]), format!("{variable} = \"{value}\": {expected}"));
        }
    }

    #[test]
    fn an_admin_address_can_be_switched_off() {
        let settings = settings(&[("OROSYNC_AUTH__SECRET", SECRET), ("OROSYNC_ADMIN_BIND", "")]).unwrap();
        assert_eq!(settings.admin_bind, AdminBind::Off);
    }
}
