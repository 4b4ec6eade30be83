//! Tests of the Redis harness that other tests rely on.

mod auditor;
mod cluster;
mod proxy;
mod sentinel;
mod server;
