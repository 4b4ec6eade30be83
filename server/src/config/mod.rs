//! The configuration: TOML files, overridden by environment variables (`OROSYNC_...`), overridden by flags.
//!
//! In reading order; each module uses only those above it:
//!
//! - `values`: types of values; `literal`: the notation of a TOML value; `files`: reads the files that settings name
//! - [`redis_url`]: the parser of `broker.url`
//! - [`kinds`]: the types of values, their parsers and their ranges; [`topics`]: the rules of `[[topics]]`
//! - [`keys`]: the declarations of all keys
//! - [`mod@load`]: merges the layers; values as written, with their sources
//! - `tls`: the certificate and its key; `auth`: secrets and public key; `state_directory`: the check of `auth.state_directory`
//! - [`broker`]: the broker's settings: memory, or Redis and its connections
//! - [`settings`]: the validated settings that the server runs with

mod auth;
pub mod broker;
mod files;
pub mod keys;
pub mod kinds;
mod literal;
pub mod load;
pub mod redis_url;
pub mod settings;
mod state_directory;
mod tls;
pub mod topics;
mod values;

pub use load::{ConfigError, Written, load};
pub use settings::{Anonymous, AuthSettings, HistorySettings, Limits, Settings};
