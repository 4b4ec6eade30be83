//! orosync-server: a WebSocket server that delivers the messages of an application's PHP processes to the browsers that
//! subscribed to them.
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
//! - [`handshake`], [`auth`]: authentication of connections; [`policy`]: authorization of subscriptions and messages
//! - [`session`]: the protocol of one connection after its handshake, without I/O
//! - [`shard`]: the sessions of one thread and the fan-out to them; [`shard::run`] is its event loop, with all reads and writes
//! - [`publication`], [`broker`], [`node`]: delivery of each message from its publisher to all shards, once and in order
//! - [`frame`]: WebSocket frames, encoded once for all sessions
//! - [`listen`], [`connection`]: listening sockets, and the connections that they accept
//! - [`config`], [`commands`], [`cli`]: configuration and command line
//! - [`metrics`], [`refusals`], [`admin`], [`log`], [`process`], [`supervisor`]: monitoring, and the operating system
//!
//! Only `shard/run.rs`, `listen`, `admin`, `supervisor`, `commands`, the Redis broker and the journal of `auth` may block or
//! await.

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
pub mod node_name;
pub mod policy;
pub mod process;
pub mod publication;
pub mod refusals;
pub mod session;
pub mod shard;
pub mod supervisor;
