//! The program: arguments in, an exit code out. All else is in the library.

use std::process::ExitCode;

use clap::Parser;
use orosync_server::cli::Cli;
use orosync_server::commands;

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
