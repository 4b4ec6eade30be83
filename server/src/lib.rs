//! Orosync server.

pub mod config;
pub mod log;
pub mod metrics;
pub mod policy;

/// Where sessions come in.
pub mod listen {
    pub mod address;
}
