//! Harness of the end-to-end tests: starts the real programs on free ports and stops them on drop.
//!
//! - [`address`]: free addresses for other programs
//! - [`apache`]: Apache with PHP as its module
//! - [`auditor`]: a session that moves from node to node and records received events
//! - [`certificate`]: a certificate for TLS
//! - [`client`]: a WAMP v1 client for byte-exact tests
//! - [`crowd`]: well-behaved sessions that check delivery while a test disturbs the server
//! - [`network`]: network namespaces that drop packets
//! - [`nodes`]: several servers on one Redis
//! - [`php`]: PHP on the command line, and PHP-FPM
//! - [`proxy`]: a proxy that simulates network failures
//! - [`recovery`]: calls of a session about a topic's history
//! - [`redis`]: real Redis: one server, Sentinels, a Cluster, and a proxy that simulates network failures
//! - [`resumption`]: sessions that reconnect with resume tickets
//! - [`server`]: a running `orosync-server`
//! - [`source`]: a publisher in the test's own process
//! - [`traffic`]: steady traffic of PHP processes, and checks of its delivery
//! - [`wait`]: waits for conditions with a time limit

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

/// Path of a release artefact: from the environment variable (which `make` sets), or in `target/release`.
fn artefact(variable: &str, file: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release").join(file),
        PathBuf::from,
    );
    assert!(path.exists(), "{} is not built. First run: make build", path.display());
    path
}
