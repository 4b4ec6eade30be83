//! `orosync-server` with the feature `echo`, under its own name, so that it is never mistaken for the released server.

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
