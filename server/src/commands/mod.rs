//! The commands. Each is a function that takes its arguments and returns success or a [`Failure`] with an exit code.

mod check_config;
mod common;
mod nodes;
mod publish;
pub mod rules;
pub mod serve;
mod ticket;
mod watch;

use std::io;

pub use common::Failure;

use crate::cli::{Cli, Command, Flags};
use crate::config::{ConfigError, Settings, Written, load};
use crate::log;

/// Runs the command that the command line names.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve => {
            let written = read_config(&cli.flags)?;
            let settings = Settings::to_serve(&written)?;
            log::start(&settings.log);
            for warning in &written.warnings {
                tracing::warn!("{warning}");
            }
            let flags = cli.flags;
            let read_settings = Box::new(move || Settings::new(&read_config(&flags)?));
            serve::serve(settings, read_settings).map_err(|error| Failure::Failed(error.to_string()))
        }
        Command::CheckConfig { defaults: true } => check_config::show_defaults(&mut io::stdout()),
        Command::CheckConfig { defaults: false } => {
            check_config::check(&read_config(&cli.flags)?, &mut io::stdout())
        }
        Command::Ticket(arguments) => ticket::ticket(&arguments, &settings(&cli.flags)?, &mut io::stdout()),
        Command::Publish(arguments) => publish::publish(arguments, settings(&cli.flags)?),
        Command::Disconnect(arguments) => publish::disconnect(arguments, settings(&cli.flags)?),
        Command::Nodes(arguments) => nodes::nodes(&arguments, settings(&cli.flags)?, &mut io::stdout()),
        Command::Watch(arguments) => watch::watch(arguments, &settings(&cli.flags)?),
    }
}

fn settings(flags: &Flags) -> Result<Settings, Failure> {
    Ok(Settings::new(&read_config(flags)?)?)
}

fn read_config(flags: &Flags) -> Result<Written, ConfigError> {
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    load(&flags.config, environment, flags.settings())
}
