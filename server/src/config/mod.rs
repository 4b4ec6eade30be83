//! The configuration: a TOML file, over it the environment (`OROSYNC_...`), over it flags.
//!
//! - [`keys`]: every key, declared once
//! - [`kinds`]: how values are written
//! - [`load`]: the layers on top of each other, as written, with where each value came from
//! - [`settings`]: what the server runs with, checked
//! - `state_directory`: whether the server can use it
//! - `tls`: the certificate
//! - [`broker`]: memory, or Redis and how to connect to it
//! - `redis_url`: how `broker.url` is written
//! - [`near`]: "did you mean"

pub mod broker;
pub mod keys;
pub mod kinds;
pub mod load;
pub mod near;
pub mod redis_url;
pub mod settings;
mod state_directory;
mod tls;

pub use load::{ConfigError, Written, load};
pub use settings::{Anonymous, AuthSettings, HistorySettings, Limits, Settings};
