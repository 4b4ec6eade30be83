//! The command line: its commands, their arguments, and the flags that all of them share.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand};
use figment::value::Value;
use orosync_link::Endpoints;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Role, RoleNames, UserId};
use orosync_protocol::{SessionId, Topic, TopicPattern};

use crate::config::keys::{self, Declaration};

/// The text at the end of `--help`.
const EXPLANATION: &str = "\
Settings come from files (--config), from the environment (OROSYNC_BIND, OROSYNC_AUTH__SECRET_FILE, ...) and, for the
most common ones, from flags. A flag overrides the environment, and the environment overrides the files.
`orosync-server check-config` lists all settings. Exit codes: 0 success, 1 failure, 2 wrong usage or configuration.";

/// The help of `--endpoint`, shared by `publish`, `disconnect` and `watch`.
const ENDPOINT_HELP: &str = "The server: ws://host:port/, wss://host/ or unix:/path/to/socket. Several nodes of a cluster: \
    separated by commas [default: the first address of bind]";

/// WebSocket server for live notifications: delivers the messages that a PHP application publishes to the browsers that
/// subscribed to them.
#[derive(Debug, Parser)]
#[command(name = "orosync-server", version, after_help = EXPLANATION)]
pub struct Cli {
    /// The flags that all commands share.
    #[command(flatten)]
    pub flags: Flags,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that all commands share.
#[derive(Debug, Args)]
pub struct Flags {
    /// Configuration file in TOML; can be repeated, later files override earlier ones
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Address to listen on, for example 0.0.0.0:8080, or unix: and a path; can be repeated
    #[arg(long, global = true, value_name = "ADDRESS")]
    bind: Vec<String>,
    /// Address for health checks and metrics; empty: none
    #[arg(long, global = true, value_name = "ADDRESS")]
    admin_bind: Option<String>,
    /// File with the secret that the server shares with PHP
    #[arg(long, global = true, value_name = "FILE")]
    secret_file: Option<String>,
}

impl Flags {
    /// The configuration keys that were given as flags, with their values.
    pub fn settings(&self) -> Vec<(Declaration, Value)> {
        let bind = (!self.bind.is_empty()).then(|| (keys::BIND.declaration, Value::from(self.bind.clone())));
        let text =
            |key: Declaration, value: &Option<String>| value.clone().map(|value| (key, Value::from(value)));
        bind.into_iter()
            .chain(text(keys::ADMIN_BIND.declaration, &self.admin_bind))
            .chain(text(keys::AUTH_SECRET_FILE.declaration, &self.secret_file))
            .collect()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve,
    /// Check the configuration and print every key with its value and the value's source
    CheckConfig {
        /// Print the table of all keys and their defaults in Markdown instead
        #[arg(long)]
        defaults: bool,
    },
    /// Issue a ticket and print it
    Ticket(TicketArgs),
    /// Publish messages and wait until the server has acknowledged them
    Publish(PublishArgs),
    /// End all sessions of a user, or one session; users who are still logged in reconnect with a new ticket
    Disconnect(DisconnectArgs),
    /// Subscribe to topics and print each event as a line `TOPIC<TAB>JSON`
    Watch(WatchArgs),
    /// List the nodes that share the broker; exit code 1 if one is silent, or if their versions or rules differ
    Nodes(NodesArgs),
}

/// Arguments of `nodes`.
#[derive(Debug, Args)]
pub struct NodesArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ticket`: the identity that the ticket carries, and its lifetime.
#[derive(Debug, Args)]
pub struct TicketArgs {
    /// The user's name
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The user's id, a number or a string such as a UUID
    #[arg(long, value_name = "ID")]
    pub uid: Option<UserId>,
    /// The organization's id
    #[arg(long, value_name = "ID")]
    pub org: Option<u64>,
    /// The role: back office user, storefront customer, anonymous visitor or publisher [default: user with --user or --uid,
    /// else anonymous]
    #[arg(long, value_parser = roles())]
    pub role: Option<Role>,
    /// The user's roles in the application, separated by commas
    #[arg(long, value_name = "ROLES", value_parser = RoleNames::parse)]
    pub roles: Option<RoleNames>,
    /// A topic that the ticket grants, for example acme/project/7; can be repeated
    #[arg(long, value_name = "TOPIC", value_parser = topic)]
    pub topic: Vec<Topic>,
    /// A pattern of topics that the ticket grants, for example acme/orders/{id:int}; can be repeated
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub pattern: Vec<TopicPattern>,
    /// Lifetime in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub ttl: u64,
}

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The server.
    #[arg(long, value_name = "URL", help = ENDPOINT_HELP)]
    pub endpoint: Option<Endpoints>,
    /// The topic
    #[arg(value_parser = topic)]
    pub topic: Topic,
    /// The payload: one JSON value, or - to read one from each line of standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    pub payload: String,
}

/// Arguments of `disconnect`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("named").required(true), group = ArgGroup::new("user_named"))]
pub struct DisconnectArgs {
    /// The server.
    #[arg(long, value_name = "URL", help = ENDPOINT_HELP)]
    pub endpoint: Option<Endpoints>,
    /// The role that the sessions' tickets carry; required with --uid and --user
    #[arg(long, value_parser = roles_of_browsers(), requires = "user_named")]
    pub role: Option<Role>,
    /// All sessions of the user with this id
    #[arg(long, value_name = "ID", requires = "role", group = "user_named", group = "named")]
    pub uid: Option<UserId>,
    /// All sessions of the user with this name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    #[arg(requires = "role", group = "user_named", group = "named")]
    pub user: Option<String>,
    /// The session with this id: 32 hexadecimal digits
    #[arg(long, value_name = "ID", group = "named", conflicts_with = "role")]
    pub session: Option<SessionId>,
}

impl DisconnectArgs {
    /// The sessions to end, or `None` if the arguments do not name any.
    pub fn who(&self) -> Option<Disconnect> {
        match (self.session, self.role, &self.uid, &self.user) {
            (Some(id), None, None, None) => Some(Disconnect::Session(id)),
            (None, Some(role), Some(uid), None) => Some(Disconnect::Id { role, uid: uid.clone() }),
            (None, Some(role), None, Some(user)) => Some(Disconnect::Name { role, user: user.clone() }),
            _ => None,
        }
    }
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The server.
    #[arg(long, value_name = "URL", help = ENDPOINT_HELP)]
    pub endpoint: Option<Endpoints>,
    /// The topics
    #[arg(required = true, value_name = "TOPIC", value_parser = topic)]
    pub topics: Vec<Topic>,
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::parse(text).map_err(|error| format!("the topic {error}"))
}

fn pattern(text: &str) -> Result<TopicPattern, String> {
    TopicPattern::parse(text).map_err(|error| error.to_string())
}

fn roles() -> impl TypedValueParser<Value = Role> {
    among(&[Role::User, Role::Customer, Role::Anonymous, Role::Publisher])
}

fn roles_of_browsers() -> impl TypedValueParser<Value = Role> {
    among(&[Role::User, Role::Customer, Role::Anonymous])
}

fn among(roles: &'static [Role]) -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(roles.iter().map(|role| role.as_str()))
        .try_map(|word| roles.iter().copied().find(|role| role.as_str() == word).ok_or("not a role"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_declared_consistently() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_or_after_the_command() {
        for arguments in [
            ["orosync-server", "--bind", "[::]:1", "serve", "--bind", "[::]:2"],
            ["orosync-server", "serve", "--bind", "[::]:1", "--bind", "[::]:2"],
        ] {
            let settings = Cli::parse_from(arguments).flags.settings();
            assert_eq!(settings.len(), 1);
            assert_eq!(settings[0].0.name, "bind");
        }
        let settings = Cli::parse_from(["orosync-server", "serve", "--admin-bind", "", "--secret-file", "x"])
            .flags
            .settings();
        assert_eq!(
            settings.iter().map(|(key, _)| key.flag()).collect::<Vec<_>>(),
            ["--admin-bind", "--secret-file"]
        );
    }

    #[test]
    fn a_payload_may_begin_with_a_minus() {
        for payload in ["-1", "-"] {
            let cli = Cli::parse_from(["orosync-server", "publish", "acme/x", payload]);
            assert!(
                matches!(cli.command, Command::Publish(PublishArgs { payload: found, .. }) if found == payload)
            );
        }
    }
}
