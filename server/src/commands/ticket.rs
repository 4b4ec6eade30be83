//! `ticket`: issues a ticket and prints it, for tests and for debugging.

use std::io::Write;

use orosync_protocol::ticket::{Granted, Identity, Role};

use super::common::{Failure, issue, output_failed, signer};
use crate::cli::TicketArgs;
use crate::config::Settings;

/// Prints a ticket on a line of its own.
pub(super) fn ticket(
    arguments: &TicketArgs,
    settings: &Settings,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let ticket = issue(signer(settings)?, &identity(arguments), arguments.ttl)?;
    writeln!(output, "{ticket}").map_err(|error| output_failed(&error))
}

fn identity(arguments: &TicketArgs) -> Identity {
    let has_user = arguments.user.is_some() || arguments.uid.is_some();
    let role = arguments.role.unwrap_or(if has_user { Role::User } else { Role::Anonymous });
    Identity {
        role,
        user: arguments.user.clone().map(Into::into),
        uid: arguments.uid.clone(),
        org: arguments.org,
        roles: arguments.roles.clone().unwrap_or_default(),
        granted: Granted {
            topics: arguments.topic.as_slice().into(),
            patterns: arguments.pattern.as_slice().into(),
        },
    }
}
