//! What the bench programs share. One question per program in `src/bin`.
//!
//! - [`load`]: the load generator; [`wire`] is what it speaks, to us and to every peer; [`pages`]: the same of pages that show
//!   content
//! - [`peers`]: who is measured; [`process`]: one of them, running
//! - [`others`]: what sessions notice of what else happens
//! - [`redis`]: a client of Redis
//! - [`report`]: medians, spreads, ratios; a table and a file of JSON
//! - [`question`]: the command line; [`host`]: what this machine is; [`machine`]: cores, clocks, descriptors
//!
//! Everybody is measured in turn, in one run: machines are shared and noisy, and only ratios of one run mean anything.
//! Nothing is asserted here.

pub mod host;
pub mod load;
pub mod machine;
pub mod measure;
pub mod others;
pub mod pages;
pub mod peers;
pub mod process;
mod pusher;
pub mod question;
pub mod redis;
pub mod report;
pub mod wire;
