//! orosync-server: holds the browsers of an application, takes what its PHP processes publish, and writes it to all who
//! subscribed.
//!
//! ```text
//!   browsers, publishers
//!          |
//!       listen ---------> shard/run ------> shard ------> node ------> broker
//!   accepts, spreads     reads, writes     sessions     publishes     accepts, orders
//!                             |               |             |
//!                             |           handshake         +------> every shard with subscribers
//!                             |            session
//!                             +---- one thread for each core ----
//! ```
//!
//! In reading order:
//!
//! - [`handshake`], [`auth`]: who gets in; [`policy`]: who may what
//! - [`session`]: one connection from its first byte to its last, without I/O
//! - [`shard`]: the sessions of one thread and the fan-out to them; [`shard::run`] does the reads and writes
//! - [`publication`], [`broker`], [`node`]: from whoever publishes to all shards, once and in order; [`frame`]: encoded once
//! - [`listen`], [`connection`]: where connections come in, and what one is
//! - [`config`], [`commands`], [`cli`]: how it is started
//! - [`metrics`], [`refusals`], [`admin`], [`log`], [`process`], [`supervisor`]: how it is watched
//!
//! Only `shard/run.rs`, `listen`, `admin`, `supervisor`, `commands` and the journal of `auth` wait for anything.

pub mod admin;
pub mod auth;
pub mod broker;
pub mod cli;
pub mod commands;
pub mod config;
pub mod connection;
pub mod frame;
pub mod handshake;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod node;
pub mod policy;
pub mod process;
pub mod publication;
pub mod refusals;
pub mod session;
pub mod shard;
pub mod supervisor;
