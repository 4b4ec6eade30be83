//! Reloading of the configuration on SIGHUP: `[[topics]]`, `[history]`, `auth.allowed_origins`, secrets, the certificate and
//! the broker's passwords.
//!
//! A reload closes no session and ends no subscription. All other settings need a restart.

use std::borrow::Cow;
use std::sync::Arc;

use orosync_protocol::OriginPattern;
use orosync_protocol::ticket::Verifier;
use rustls::ServerConfig;
use serde::Serialize;
use tokio::sync::watch;
use tracing::{error, info};

use crate::broker::history::HistoryRules;
use crate::broker::redis::nodes::hash_of_rules;
use crate::config::broker::{BrokerSettings, Passwords};
use crate::config::{ConfigError, Settings};
use crate::node::Node;
use crate::policy::{HistoryOverride, Policies, TopicRule};
use crate::session::Shared;

/// Reads the configuration from the files, environment and flags that were used at the start.
pub type ReadSettings = Box<dyn Fn() -> Result<Settings, ConfigError>>;

/// The rules in force, and the channels over which a reload distributes new ones.
pub struct Rules {
    shared: Arc<Shared>,
    tls: watch::Sender<Option<Arc<ServerConfig>>>,
    broker_passwords: watch::Sender<Passwords>,
    secrets: watch::Sender<Vec<String>>,
    /// The [`hash`] of the rules in force.
    hash: watch::Sender<String>,
    read_settings: ReadSettings,
    described: watch::Sender<String>,
}

impl Rules {
    /// The rules that the server was started with. The parts of the server that use the certificate, the broker's passwords,
    /// the secrets or the hash subscribe to the respective channel.
    pub fn new(
        shared: Arc<Shared>,
        tls: watch::Sender<Option<Arc<ServerConfig>>>,
        broker_passwords: watch::Sender<Passwords>,
        secrets: watch::Sender<Vec<String>>,
        hash: watch::Sender<String>,
        read_settings: ReadSettings,
    ) -> Self {
        let described = watch::Sender::new(describe(&shared.policies, &shared.handshake.allowed_origins));
        Self { shared, tls, broker_passwords, secrets, hash, read_settings, described }
    }

    /// The rules in force as JSON: `{"topics": [{"pattern", "subscribe", "publish"}], "allowed_origins": []}`. A rule that sets
    /// bounds of its history also has `"history": {"events", "seconds"}`, or one of the two.
    pub fn described(&self) -> watch::Receiver<String> {
        self.described.subscribe()
    }

    /// Reads the configuration again and applies it in all shards. An invalid configuration changes nothing.
    pub fn reload(&mut self, node: &Node) {
        let settings = match (self.read_settings)() {
            Ok(settings) => settings,
            Err(error) => {
                error!("SIGHUP: the configuration is invalid, the previous rules stay in force: {error}");
                return;
            }
        };
        self.hash.send_replace(hash(&settings));
        self.secrets.send_if_modified(|secrets| {
            let now = secret_ids(&settings.auth.verifiers);
            std::mem::replace(secrets, now.clone()) != now
        });
        let mut shared = Shared::clone(&self.shared);
        shared.policies = settings.policies;
        shared.handshake.authenticator =
            Arc::new(shared.handshake.authenticator.with_keys(settings.auth.verifiers, settings.auth.signer));
        shared.handshake.allowed_origins = settings.auth.allowed_origins;
        self.shared = Arc::new(shared);
        // The certificate is replaced only if TLS was enabled at the start and still is.
        self.tls.send_if_modified(|tls| {
            let is_used = tls.is_some() && settings.tls.is_some();
            if is_used {
                tls.clone_from(&settings.tls);
            }
            is_used
        });
        renew_passwords(&self.broker_passwords, settings.broker);
        node.set_history(HistoryRules { settings: settings.history, policies: self.shared.policies.clone() });
        for shard in node.shards() {
            shard.rules(Arc::clone(&self.shared));
        }
        info!(
            topics = self.shared.policies.rules().len(),
            allowed_origins = self.shared.handshake.allowed_origins.len(),
            "SIGHUP: topics, history, allowed origins, secrets, certificate and broker passwords were reloaded; all other settings \
             need a restart"
        );
        self.described.send_replace(describe(&self.shared.policies, &self.shared.handshake.allowed_origins));
    }
}

/// A hash of the rules, by which nodes compare their rules.
pub fn hash(settings: &Settings) -> String {
    hash_of_rules(&describe(&settings.policies, &settings.auth.allowed_origins), settings.history)
}

/// Passes changed passwords to the broker's connections. A change of the broker itself needs a restart.
fn renew_passwords(current: &watch::Sender<Passwords>, read: BrokerSettings) {
    let BrokerSettings::Redis(redis) = read else { return };
    current.send_if_modified(|passwords| {
        let has_changed = *passwords != redis.passwords;
        *passwords = redis.passwords;
        has_changed
    });
}

/// The key ids of all accepted secrets, the signing one first, by which nodes compare their secrets.
pub fn secret_ids(verifiers: &[Verifier]) -> Vec<String> {
    verifiers.iter().map(|verifier| format!("{:016x}", verifier.id().0)).collect()
}

#[derive(Serialize)]
struct Description<'a> {
    topics: Vec<Rule<'a>>,
    allowed_origins: Vec<&'a str>,
}

#[derive(Serialize)]
struct Rule<'a> {
    pattern: &'a str,
    subscribe: Cow<'static, str>,
    publish: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<History>,
}

#[derive(Serialize)]
struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl History {
    /// The bounds that a rule sets. `None` if it sets none and `[history]` applies.
    fn of(rule: &TopicRule) -> Option<Self> {
        let HistoryOverride { events, age } = rule.history();
        let has_bounds = events.is_some() || age.is_some();
        has_bounds.then(|| Self { events, seconds: age.map(|age| age.as_secs_f64()) })
    }
}

fn describe(policies: &Policies, allowed_origins: &[OriginPattern]) -> String {
    let description = Description {
        topics: topics(policies),
        allowed_origins: allowed_origins.iter().map(OriginPattern::as_str).collect(),
    };
    // A struct of strings always serializes.
    serde_json::to_string(&description).unwrap_or_default()
}

fn topics(policies: &Policies) -> Vec<Rule<'_>> {
    policies
        .rules()
        .iter()
        .map(|rule| Rule {
            pattern: rule.pattern().as_str(),
            subscribe: rule.subscribe().label(),
            publish: rule.publish().label(),
            history: History::of(rule),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orosync_protocol::TopicPattern;

    use super::*;
    use crate::config::broker::Password;
    use crate::config::load;
    use crate::policy::{Publish, Subscribe};

    #[test]
    fn only_changed_passwords_are_passed_on() {
        let broker = |url: &str| {
            let environment = [("OROSYNC_BROKER__URL", url), ("OROSYNC_AUTH__SECRET", &"x".repeat(32))];
            let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Settings::new(&load(&[], environment, []).unwrap()).unwrap().broker
        };
        let current = watch::Sender::new(broker("redis://:old@x").passwords());
        let mut receiver = current.subscribe();
        for same in ["redis://:old@x", ""] {
            renew_passwords(&current, broker(same));
            assert!(!receiver.has_changed().unwrap(), "{same}");
        }
        renew_passwords(&current, broker("redis://:new@x"));
        assert!(receiver.has_changed().unwrap());
        assert_eq!(receiver.borrow_and_update().redis.as_ref().map(Password::expose), Some("new"));
        renew_passwords(&current, broker("redis://x"));
        assert_eq!(*receiver.borrow_and_update(), Passwords::default());
    }

    #[test]
    fn a_rule_is_described_with_the_history_bounds_that_it_sets() {
        let age = Some(Duration::from_millis(500));
        for (history, expected) in [
            (HistoryOverride::default(), ""),
            (HistoryOverride::NONE, r#","history":{"events":0}"#),
            (HistoryOverride { events: None, age }, r#","history":{"seconds":0.5}"#),
            (HistoryOverride { events: Some(5), age }, r#","history":{"events":5,"seconds":0.5}"#),
        ] {
            let pattern = TopicPattern::parse("acme/chat").unwrap();
            let rule = TopicRule::new(pattern, Subscribe::User, Publish::Publisher).unwrap();
            let policies = Policies::new(vec![rule.with_history(history)]);
            let described = serde_json::to_string(&topics(&policies)[1]).unwrap();
            let expected =
                format!(r#"{{"pattern":"acme/chat","subscribe":"user","publish":"publisher"{expected}}}"#);
            assert_eq!(described, expected);
        }
    }
}
