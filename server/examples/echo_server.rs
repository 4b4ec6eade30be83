//! The server with the feature `echo`, under a name of its own, so that it cannot be taken for the one that is shipped.

use std::process::ExitCode;

use clap::Parser;
use orosync_server::cli::Cli;
use orosync_server::commands;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("echo_server: {failure}");
            failure.exit_code()
        }
    }
}
