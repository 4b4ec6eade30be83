//! Shared code of the benchmarks. Each program in `src/bin` answers one question.
//!
//! - [`load`]: the load generator; [`wire`]: the protocols that it speaks with each peer; [`pages`]: the same for pages that show
//!   content
//! - [`peers`]: the measured servers; [`process`]: a running one
//! - [`others`]: latency of sessions while something else happens on their server
//! - [`redis`]: a Redis client
//! - [`report`]: medians, spreads, ratios; a table and a JSON file
//! - [`question`]: the command line; [`host`]: the description of this machine; [`machine`]: cores, clocks, descriptors
//!
//! All peers are measured in turn within one run: machines are shared and noisy, so only ratios within a run are meaningful.
//! The benchmarks assert nothing.

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
