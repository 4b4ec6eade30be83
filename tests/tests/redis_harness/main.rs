//! Tests of the Redis harness.

mod auditor;
mod cluster;
mod proxy;
mod sentinel;
mod server;
