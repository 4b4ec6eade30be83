//! The configuration: a TOML file, over it the environment (`OROSYNC_...`), over it flags.
//!
//! [`settings`]: what the server runs with, checked.

pub mod settings;

pub use settings::{Anonymous, AuthSettings, Limits, Settings};
