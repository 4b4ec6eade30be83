//! Real Redis for tests: one server, a primary with replicas and Sentinels, a Cluster, and a proxy in front of any of them.
//!
//! - [`Redis`]: one server
//! - [`ReplicaSet`]: a primary, two replicas, three Sentinels
//! - [`Cluster`]: three primaries, with or without a replica each
//! - [`RedisProxy`]: injects network failures between a client and a server
//!
//! The program is Debian's `redis-server`, or the one that `OROSYNC_REDIS_SERVER` names, such as `valkey-server`. All servers
//! listen on loopback and end on drop.

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

/// Time limit for an agreement of several servers. It is far longer than the 30 s for which a Sentinel pauses after its machine
/// was suspended.
pub const LIMIT: Duration = Duration::from_mins(2);

/// The program for all servers and Sentinels.
fn program() -> OsString {
    env::var_os("OROSYNC_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}
