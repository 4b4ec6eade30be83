//! What can change while the server runs: `[[topics]]`, `[history]`, `auth.allowed_origins`, secrets, the certificate and the
//! broker's passwords, read again on SIGHUP.
//!
//! No session is closed for it, and what it has subscribed to already stays. Everything else in the configuration needs
//! a restart.

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

/// Reads the configuration once more, from where it was read at the start.
pub type ReadAgain = Box<dyn Fn() -> Result<Settings, ConfigError>>;

/// See the module.
pub struct Rules {
    shared: Arc<Shared>,
    tls: watch::Sender<Option<Arc<ServerConfig>>>,
    broker_passwords: watch::Sender<Passwords>,
    secrets: watch::Sender<Vec<String>>,
    /// Of the rules in force: [`hash`].
    hash: watch::Sender<String>,
    read_again: ReadAgain,
    described: watch::Sender<String>,
}

impl Rules {
    /// The rules that the server was started with. Who holds a certificate, the broker's passwords or the hash subscribes to it.
    pub fn new(
        shared: Arc<Shared>,
        tls: watch::Sender<Option<Arc<ServerConfig>>>,
        broker_passwords: watch::Sender<Passwords>,
        secrets: watch::Sender<Vec<String>>,
        hash: watch::Sender<String>,
        read_again: ReadAgain,
    ) -> Self {
        let described = watch::Sender::new(describe(&shared.policies, &shared.door.allowed_origins));
        Self { shared, tls, broker_passwords, secrets, hash, read_again, described }
    }

    /// The rules in force, as JSON: `{"topics": [{"pattern", "subscribe", "publish"}], "allowed_origins": []}`. A rule that
    /// says something of its history has `"history": {"events", "seconds"}`, or one of the two, as well.
    pub fn described(&self) -> watch::Receiver<String> {
        self.described.subscribe()
    }

    /// Lets what the configuration says now hold in all shards. A configuration that cannot be used changes nothing.
    pub fn reload(&mut self, node: &Node) {
        let settings = match (self.read_again)() {
            Ok(settings) => settings,
            Err(error) => {
                error!("SIGHUP: the configuration cannot be used, the former rules stay: {error}");
                return;
            }
        };
        self.hash.send_replace(hash(&settings));
        self.secrets.send_if_modified(|secrets| {
            let now = ids_of_secrets(&settings.auth.verifiers);
            std::mem::replace(secrets, now.clone()) != now
        });
        let mut shared = Shared::clone(&self.shared);
        shared.policies = settings.policies;
        shared.door.authenticator =
            Arc::new(shared.door.authenticator.with_keys(settings.auth.verifiers, settings.auth.signer));
        shared.door.allowed_origins = settings.auth.allowed_origins;
        self.shared = Arc::new(shared);
        // A server without an address for TLS has no use for a certificate, nor one with it none.
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
            allowed_origins = self.shared.door.allowed_origins.len(),
            "SIGHUP: topics, history, allowed origins, secrets, certificate and the broker's passwords were read again; anything else \
             needs a restart"
        );
        self.described.send_replace(describe(&self.shared.policies, &self.shared.door.allowed_origins));
    }
}

/// By which nodes find out whether they have the same rules.
pub fn hash(settings: &Settings) -> String {
    hash_of_rules(&describe(&settings.policies, &settings.auth.allowed_origins), settings.history)
}

/// Tells whoever connects to the broker of passwords that have changed. Another broker needs a restart.
fn renew_passwords(current: &watch::Sender<Passwords>, read: BrokerSettings) {
    let BrokerSettings::Redis(redis) = read else { return };
    current.send_if_modified(|passwords| {
        let has_changed = *passwords != redis.passwords;
        *passwords = redis.passwords;
        has_changed
    });
}

/// By which nodes find out whether they have the same secrets: of all that are accepted, the one that signs first.
pub fn ids_of_secrets(verifiers: &[Verifier]) -> Vec<String> {
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
    /// What a rule says; nothing, where the configuration's `[history]` holds.
    fn of(rule: &TopicRule) -> Option<Self> {
        let HistoryOverride { events, age } = rule.history();
        let says_something = events.is_some() || age.is_some();
        says_something.then(|| Self { events, seconds: age.map(|age| age.as_secs_f64()) })
    }
}

fn describe(policies: &Policies, allowed_origins: &[OriginPattern]) -> String {
    let description = Description {
        topics: topics(policies),
        allowed_origins: allowed_origins.iter().map(OriginPattern::as_str).collect(),
    };
    // Structs of strings always serialize.
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
    fn only_a_password_that_has_changed_is_told() {
        let broker = |url: &str| {
            let environment = [("OROSYNC_BROKER__URL", url), ("OROSYNC_AUTH__SECRET", &"x".repeat(32))];
            let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Settings::new(&load(&[], environment, []).unwrap()).unwrap().broker
        };
        let current = watch::Sender::new(broker("redis://:old@x").passwords());
        let mut told = current.subscribe();
        for same in ["redis://:old@x", ""] {
            renew_passwords(&current, broker(same));
            assert!(!told.has_changed().unwrap(), "{same}");
        }
        renew_passwords(&current, broker("redis://:new@x"));
        assert!(told.has_changed().unwrap());
        assert_eq!(told.borrow_and_update().redis.as_ref().map(Password::expose), Some("new"));
        renew_passwords(&current, broker("redis://x"));
        assert_eq!(*told.borrow_and_update(), Passwords::default());
    }

    #[test]
    fn a_rule_says_of_its_history_what_it_was_told() {
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
