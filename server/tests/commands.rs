//! The commands that need no running server: output and exit code of the real binary.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use orosync_protocol::ticket::{Granted, Identity, Role, RoleNames, Verifier};
use orosync_protocol::{Topic, TopicPattern};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A new directory with a secret file. Commands run in it without this machine's environment variables.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orosync-server"));
        command.env_clear().current_dir(self.folder.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn check_config_shows_each_value_and_its_source() {
    let place = Place::new();
    let file = place.write("orosync.toml", "drain_seconds = 7\n[limits]\nmessage_bytes = \"32K\"\n");
    let ran = Ran::from(
        place
            .command(&["check-config", "--config", "orosync.toml", "--secret-file", "secret"])
            .env("OROSYNC_LOG__LEVEL", "debug")
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = |key: &str| {
        let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        line.split_whitespace().skip(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("drain_seconds"), "7 # orosync.toml");
    assert_eq!(line("limits.message_bytes"), "\"32K\" # orosync.toml");
    assert_eq!(line("auth.secret_file"), "\"secret\" # --secret-file");
    assert_eq!(line("log.level"), "\"debug\" # OROSYNC_LOG__LEVEL");
    assert_eq!(line("shards"), "0 # default");
    assert!(ran.stdout.contains("oro/email_event/{user_id:int}/{organization_id:int_or_star}"));
    assert!(file.exists());
}

#[test]
fn the_output_of_check_config_is_a_valid_configuration() {
    let place = Place::new();
    let topics = "[[topics]]\npattern = \"acme/{uid:int}\"\nsubscribe = \"owner\"\n";
    place.write("first.toml", &format!("bind = [\"[::1]:0\", \"unix:/run/x.sock\"]\n{topics}"));
    let first = place.run(&["check-config", "--config", "first.toml", "--secret-file", "secret"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    place.write("second.toml", &first.stdout);
    let second = place.run(&["check-config", "--config", "second.toml"]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    let settings = |shown: &str| {
        let lines = shown
            .lines()
            .filter_map(|line| line.split_once("  # "))
            .map(|(setting, _)| setting.trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert!(
        settings(&first.stdout)
            .iter()
            .any(|line| line.starts_with("topics = [{ pattern = \"acme/{uid:int}\""))
    );
    assert_eq!(settings(&second.stdout), settings(&first.stdout));
}

#[test]
fn without_its_state_directory_only_the_server_does_not_start() {
    let place = Place::new();
    place.write("state.toml", "[auth]\nsecret_file = \"secret\"\nstate_directory = \"missing\"\n");
    for command in ["serve", "check-config"] {
        let ran = place.run(&[command, "--config", "state.toml"]);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.stderr);
        let problem = "orosync-server: auth.state_directory = \"missing\": cannot be used: No such file";
        assert!(ran.stderr.starts_with(problem), "{command}: {}", ran.stderr);
    }
    assert_eq!(place.run(&["ticket", "--config", "state.toml"]).code, Some(0));
    fs::create_dir(place.path("missing")).unwrap();
    assert_eq!(place.run(&["check-config", "--config", "state.toml"]).code, Some(0));
}

#[test]
fn the_error_for_an_invalid_configuration_names_key_value_and_fix() {
    let place = Place::new();
    place.write("slip.toml", "[limits]\noutbound_bytes = \"64 kb\"\n[auth]\nsecret_fle = \"secret\"\n");
    let ran = place.run(&["check-config", "--config", "slip.toml"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stdout, "");
    assert_eq!(
        ran.stderr,
        "orosync-server: auth.secret_fle: is not a key. Did you mean auth.secret_file? (in slip.toml)\n\
         orosync-server: limits.outbound_bytes = \"64 kb\": not a size. Write 64K, 1M or a number of bytes (in slip.toml)\n"
    );

    for (arguments, problem) in [
        (vec!["--config", "missing.toml"], "missing.toml: cannot be read: No such file"),
        (
            vec!["--bind", "8080"],
            "--bind = [\"8080\"]: \"8080\": not an address and a port. Write 0.0.0.0:8080",
        ),
        (vec!["--secret-file", "nowhere"], "--secret-file = \"nowhere\": cannot be read: No such file"),
        (vec!["--admin-bind", "unix:/x"], "--admin-bind = \"unix:/x\": a unix socket is not supported here"),
        (vec![], "auth.secret_file is not set"),
    ] {
        let ran = place.run(&[&["check-config"], &arguments[..]].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(
            ran.stderr.starts_with(&format!("orosync-server: {problem}")),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_server_without_a_secret_does_not_start_and_says_how_to_create_one() {
    let ran = Place::new().run(&["serve", "--bind", "127.0.0.1:0", "--admin-bind", ""]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("openssl rand -hex 32"), "{}", ran.stderr);
}

#[test]
fn the_ticket_command_issues_a_ticket_for_the_given_identity() {
    let place = Place::new();
    for (arguments, identity) in [
        (vec![], Identity::anonymous()),
        (
            vec!["--user", "admin", "--uid", "7", "--org", "1"],
            Identity {
                role: Role::User,
                user: Some("admin".into()),
                uid: Some(7.into()),
                org: Some(1),
                roles: RoleNames::default(),
                granted: Granted::default(),
            },
        ),
        (
            vec!["--topic", "acme/chat/{x}", "--pattern", "acme/{id:int}"],
            Identity {
                granted: Granted {
                    topics: [Topic::parse("acme/chat/{x}").unwrap()].into(),
                    patterns: [TopicPattern::parse("acme/{id:int}").unwrap()].into(),
                },
                ..Identity::anonymous()
            },
        ),
        (
            vec!["--uid", "7", "--role", "customer"],
            Identity { role: Role::Customer, uid: Some(7.into()), ..Identity::anonymous() },
        ),
        (
            vec!["--uid", "0188fd5c-1e4f", "--roles", "ROLE_USER,ROLE_SALES"],
            Identity {
                role: Role::User,
                uid: Some("0188fd5c-1e4f".parse().unwrap()),
                roles: RoleNames::parse("ROLE_USER,ROLE_SALES").unwrap(),
                ..Identity::anonymous()
            },
        ),
        (vec!["--role", "publisher"], Identity { role: Role::Publisher, ..Identity::anonymous() }),
    ] {
        let ran =
            place.run(&[&["ticket", "--secret-file", "secret", "--ttl", "90"], &arguments[..]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let verified =
            Verifier::from_secret(SECRET.as_bytes()).unwrap().verify(ran.stdout.trim_end(), now).unwrap();
        assert_eq!(verified.identity, identity);
        assert!(verified.expires <= now + 90);
    }
}

#[test]
fn no_two_tickets_are_equal() {
    let place = Place::new();
    let ticket = || place.run(&["ticket", "--secret-file", "secret"]).stdout;
    assert_ne!(ticket(), ticket());
}

#[test]
fn invalid_usage_exits_with_2_and_says_what_to_write() {
    let place = Place::new();
    for (arguments, hint) in [
        (vec![], "Usage:"),
        (vec!["start"], "unrecognized subcommand"),
        (vec!["ticket", "--role", "admin"], "[possible values: user, customer, anonymous, publisher]"),
        (vec!["ticket", "--ttl", "0"], "0 is not in 1.."),
        (vec!["publish", "oro/ping"], "<JSON>"),
        (vec!["publish", "", "1"], "the topic is empty"),
        (vec!["publish", "oro/ping", "{", "--secret-file", "secret"], "the payload is not JSON"),
        (
            vec!["publish", "oro/ping", "1", "--endpoint", "http://localhost/"],
            "is not an endpoint. Write ws://",
        ),
        (vec!["watch"], "<TOPIC>..."),
        (vec!["watch", "oro/ping"], "openssl rand -hex 32"),
        (vec!["nodes", "--secret-file", "secret"], "broker.url is not set"),
    ] {
        let ran = place.run(&arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_public_key_verifies_tickets_but_issues_none() {
    let place = Place::new();
    // RFC 8410, 10.1.
    place.write(
        "key.pem",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    );
    let place = &place;
    let run = |command: &[&str]| {
        Ran::from(place.command(command).env("OROSYNC_AUTH__PUBLIC_KEY_FILE", "key.pem").output().unwrap())
    };
    assert_eq!(run(&["check-config"]).code, Some(0));
    for command in [&["ticket"][..], &["publish", "oro/ping", "1"], &["watch", "oro/ping"]] {
        let ran = run(command);
        assert_eq!(ran.code, Some(2), "{command:?}");
        assert!(
            ran.stderr.contains("only a public key is configured. Set auth.secret_file"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn an_unreachable_server_is_a_failure_and_not_invalid_usage() {
    let place = Place::new();
    let ran = place.run(&[
        "watch",
        "oro/ping",
        "--endpoint",
        "unix:/nonexistent/orosync.sock",
        "--secret-file",
        "secret",
    ]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "orosync-server: unix:/nonexistent/orosync.sock: cannot connect: No such file or directory (os error 2). Is orosync-server running there?\n"
    );
}
