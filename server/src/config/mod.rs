//! The configuration: TOML files, overridden by environment variables (`OROSYNC_...`), overridden by flags.
//!
//! - [`keys`]: the declarations of all keys
//! - [`kinds`]: the types of values and their notation
//! - [`load`]: merges the layers; values as written, with their sources
//! - [`settings`]: the validated settings that the server runs with
//! - `state_directory`: the check of `auth.state_directory`
//! - `tls`: the certificate and its key
//! - [`broker`]: the broker's settings: memory, or Redis and its connections
//! - `redis_url`: the parser of `broker.url`

pub mod broker;
pub mod keys;
pub mod kinds;
pub mod load;
pub mod redis_url;
pub mod settings;
mod state_directory;
mod tls;

pub use load::{ConfigError, Written, load};
pub use settings::{Anonymous, AuthSettings, HistorySettings, Limits, Settings};
