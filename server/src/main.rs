//! The program: parses the arguments, runs the command and returns its exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use orosync_server::cli::Cli;
use orosync_server::commands;

/// jemalloc returns freed memory to the system: after 100,000 topics of a thousand browsers that left, the process is as
/// small as before. With the system's allocator it keeps four times as much. Configured in `.cargo/config.toml`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("orosync-server: {line}");
            }
            failure.exit_code()
        }
    }
}
