//! What end-to-end tests need: the real programs, started on free ports and stopped when they go out of scope.
//!
//! - [`address`]: addresses that nobody else uses
//! - [`apache`]: Apache with PHP as its module
//! - [`auditor`]: a session that moves from node to node, and the books about what it has seen
//! - [`certificate`]: a certificate for TLS
//! - [`client`]: a WAMP v1 client that sees every byte
//! - [`crowd`]: sessions that behave well while something else happens
//! - [`network`]: network namespaces that drop packets
//! - [`nodes`]: several servers on one Redis
//! - [`php`]: PHP on the command line, and PHP-FPM
//! - [`proxy`]: a proxy that fails as networks do
//! - [`recovery`]: what a session asks about a topic's history
//! - [`redis`]: real Redis: one server, with Sentinels, a Cluster, and a network that fails
//! - [`resumption`]: sessions that come back by the server's own tickets
//! - [`server`]: a running `orosync-server`
//! - [`source`]: a publisher of the test's own process
//! - [`traffic`]: steady traffic of PHP processes, and the books about it
//! - [`wait`]: conditions instead of sleeps

pub mod address;
pub mod apache;
pub mod auditor;
pub mod certificate;
pub mod client;
pub mod crowd;
pub mod network;
pub mod nodes;
pub mod php;
mod process;
pub mod proxy;
pub mod recovery;
pub mod redis;
pub mod resumption;
pub mod server;
pub mod source;
pub mod traffic;
pub mod wait;

use std::path::{Path, PathBuf};

/// The secret of all tests.
pub const SECRET: &str = "a secret for tests, longer than 32 bytes";

/// A release artefact: named by the environment variable (`make` sets it), or in `target/release`.
fn artefact(variable: &str, file: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release").join(file),
        PathBuf::from,
    );
    assert!(path.exists(), "{} is not built. First run: make build", path.display());
    path
}
