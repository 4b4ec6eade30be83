//! Real Redis for tests: one server, a primary with replicas and Sentinels, a Cluster, and a proxy before any of them.
//!
//! - [`Redis`]: one server
//! - [`ReplicaSet`]: a primary, two replicas, three Sentinels
//! - [`Cluster`]: three primaries, with or without a replica each
//! - [`RedisProxy`]: a network that fails between a client and a server
//!
//! The programs are Debian's `redis-server`, or what `OROSYNC_REDIS_SERVER` names, such as `valkey-server`. All of them
//! listen on loopback and end when they go out of scope.

mod cluster;
mod frames;
mod port;
mod proxy;
mod sentinel;
mod server;

pub use cluster::{Cluster, SLOTS};
pub use proxy::RedisProxy;
pub use sentinel::ReplicaSet;
pub use server::Redis;

use std::env;
use std::ffi::OsString;
use std::time::Duration;

/// The longest that a test waits for something that several servers have to agree on. A Sentinel whose machine stood still
/// does nothing for 30 s; so this is far beyond that.
pub const LIMIT: Duration = Duration::from_mins(2);

/// The program of all servers and Sentinels.
fn program() -> OsString {
    env::var_os("OROSYNC_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}
