//! Shared code of the fuzz targets: the secret and keys, the [`stage`] that drives sessions, and the model of a [`history`].

pub mod client;
pub mod history;
pub mod stage;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use orosync_protocol::ClusterId;
use orosync_protocol::ticket::{Signer, Verifier};
use orosync_server::auth::Authenticator;
use orosync_server::auth::used::UsedTickets;
use orosync_server::broker::cluster::Cluster;
use orosync_server::commands::serve::shared;
use orosync_server::config::{Settings, load};
use orosync_server::handshake::HandshakeContext;
use orosync_server::metrics::Metrics;
use orosync_server::session::Shared;

/// The secret of all seeds.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The time of all runs, in seconds since 1970. The tickets of the seeds are valid then.
pub const UNIX_NOW: u64 = 1_000_000;

/// Public keys, without known private keys, that a server verifies tickets with in addition to its secret.
const PUBLIC_KEYS: [&str; 3] =
    [include_str!("../keys/rsa.pem"), include_str!("../keys/p256.pem"), include_str!("../keys/ed25519.pem")];

/// One key per algorithm.
pub fn verifiers() -> &'static [Verifier] {
    static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
        let public =
            PUBLIC_KEYS.iter().map(|key| Verifier::from_public_key(key.as_bytes()).expect("a public key"));
        [verifier()].into_iter().chain(public).collect()
    });
    &VERIFIERS
}

/// Issues valid tickets.
pub fn signer() -> Signer {
    Signer::from_secret(SECRET.as_bytes()).expect("long enough")
}

/// The state that sessions of a server with default configuration share, without used tickets.
pub fn default_shared(metrics: &Arc<Metrics>) -> Shared {
    static DEFAULTS: LazyLock<Shared> = LazyLock::new(|| {
        let environment = [("OROSYNC_AUTH__SECRET".to_owned(), SECRET.to_owned())];
        let written = load(&[], environment, []).expect("a configuration");
        shared(
            Settings::new(&written).expect("settings"),
            Arc::new(Cluster::new(ClusterId(1), 0)),
            UsedTickets::of_this_node(1000),
            Arc::new(AtomicBool::new(true)),
            None,
            &Arc::new(Metrics::new()),
        )
    });
    let mut shared = DEFAULTS.clone();
    shared.metrics = Arc::clone(metrics);
    shared.handshake.authenticator =
        Arc::new(Authenticator::new(vec![verifier()], UsedTickets::of_this_node(1000), None));
    shared
}

/// The handshake of such a server, with a limit that short inputs reach.
pub fn context() -> HandshakeContext {
    static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(Arc::default);
    HandshakeContext { max_head_bytes: 1024, ..default_shared(&METRICS).handshake }
}

fn verifier() -> Verifier {
    Verifier::from_secret(SECRET.as_bytes()).expect("long enough")
}
