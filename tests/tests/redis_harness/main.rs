//! The harness' own promises about real Redis: what other tests build on.

mod auditor;
mod cluster;
mod proxy;
mod sentinel;
mod server;
