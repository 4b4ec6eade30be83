//! What can change while the server runs: `[[topics]]`, `auth.allowed_origins`, secrets and the certificate, read again on
//! SIGHUP.
//!
//! No session is closed for it, and what it has subscribed to already stays. Everything else in the configuration needs
//! a restart.

use std::borrow::Cow;
use std::sync::Arc;

use orosync_protocol::OriginPattern;
use rustls::ServerConfig;
use serde::Serialize;
use tokio::sync::watch;
use tracing::{error, info};

use crate::config::{ConfigError, Settings};
use crate::node::handle::ShardHandle;
use crate::policy::Policies;
use crate::session::Shared;

/// Reads the configuration once more, from where it was read at the start.
pub type ReadAgain = Box<dyn Fn() -> Result<Settings, ConfigError>>;

/// See the module.
pub struct Rules {
    shared: Arc<Shared>,
    tls: watch::Sender<Option<Arc<ServerConfig>>>,
    read_again: ReadAgain,
    described: watch::Sender<String>,
}

impl Rules {
    /// The rules that the server was started with.
    pub fn new(
        shared: Arc<Shared>,
        tls: watch::Sender<Option<Arc<ServerConfig>>>,
        read_again: ReadAgain,
    ) -> Self {
        let described = watch::Sender::new(describe(&shared));
        Self { shared, tls, read_again, described }
    }

    /// The rules in force, as JSON: `{"topics": [{"pattern", "subscribe", "publish"}], "allowed_origins": []}`.
    pub fn described(&self) -> watch::Receiver<String> {
        self.described.subscribe()
    }

    /// Lets what the configuration says now hold in all shards. A configuration that cannot be used changes nothing.
    pub fn reload(&mut self, shards: &[ShardHandle]) {
        let settings = match (self.read_again)() {
            Ok(settings) => settings,
            Err(error) => {
                error!("SIGHUP: the configuration cannot be used, the former rules stay: {error}");
                return;
            }
        };
        let mut shared = Shared::clone(&self.shared);
        shared.policies = settings.policies;
        shared.door.authenticator =
            Arc::new(shared.door.authenticator.with_verifiers(settings.auth.verifiers));
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
        for shard in shards {
            shard.rules(Arc::clone(&self.shared));
        }
        info!(
            topics = self.shared.policies.rules().len(),
            allowed_origins = self.shared.door.allowed_origins.len(),
            "SIGHUP: topics, allowed origins, secrets and certificate were read again; anything else needs a restart"
        );
        self.described.send_replace(describe(&self.shared));
    }
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
}

fn describe(shared: &Shared) -> String {
    let description = Description {
        topics: topics(&shared.policies),
        allowed_origins: shared.door.allowed_origins.iter().map(OriginPattern::as_str).collect(),
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
        })
        .collect()
}
