//! The sandbox of the examples: a running server, and a directory that replaces the paths in the documents.
//!
//! `/etc/orosync` is a directory of the test with a secret. The addresses of the running server replace the default addresses.
//! `orosync-server` and `php` are the local builds, configured for that server.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use orosync_tests::certificate::Certificate;
use orosync_tests::server::{self, Server};
use orosync_tests::{SECRET, php};
use tempfile::TempDir;

/// Time limit of an example.
const LIMIT_SECONDS: &str = "60";

/// The server's unix socket.
const SOCKET: &str = "socket";

/// The running server and the directory of the examples.
pub(crate) struct Sandbox {
    server: Server,
    admin: String,
    directory: TempDir,
}

impl Sandbox {
    /// Starts a server, and creates the directory.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// Like [`Sandbox::new`], with additional configuration of the server.
    pub(crate) fn with(configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Server::start_with(&format!(
            "bind = [\"127.0.0.1:0\", \"unix:{}\", \"127.0.0.1:0 proxy_protocol\"]\n\
             trusted_proxies = [\"127.0.0.1\", \"unix:\"]\n{configuration}",
            directory.path().join(SOCKET).display()
        ));
        let admin = logged_admin_address(&mut server);
        for name in ["bin", "etc"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        let sandbox = Self { server, admin, directory };
        fs::write(sandbox.path("etc/secret"), SECRET).expect("the secret is written");
        fs::write(sandbox.path("etc/redis-password"), "a password").expect("a password is written");
        Certificate::new().write(&sandbox.path("etc"));
        symlink(server::command().get_program(), sandbox.path("bin/orosync-server")).expect("a link");
        sandbox.write_program("bin/php", &php::command(&sandbox.server.endpoint()));
        sandbox
    }

    /// The running server.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The running server, mutable, to read its log.
    pub(crate) fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the paths and addresses of the documents with those of this sandbox.
    pub(crate) fn translate(&self, text: &str) -> String {
        text.replace("/etc/orosync", &self.path("etc").display().to_string())
            .replace("/run/orosync/orosync.sock", &self.path(SOCKET).display().to_string())
            .replace("127.0.0.1:8080", &self.server.address().to_string())
            .replace("127.0.0.1:8081", &self.admin)
            .replace("127.0.0.1:8082", &self.server.address_with("proxy_protocol").to_string())
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("a file is written");
        self.path(name)
    }

    /// A command that runs in this sandbox.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OROSYNC_") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg(LIMIT_SECONDS)
            .arg(program)
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("OROSYNC_BIND", self.server.address().to_string())
            .env("OROSYNC_ADMIN_BIND", &self.admin)
            .env("OROSYNC_AUTH__SECRET_FILE", self.server.secret_file());
        command
    }

    /// Runs a shell script and returns its output. A failure or output on stderr is an error.
    pub(crate) fn run_shell(&self, script: &str) -> Result<String, String> {
        run(self.command("bash").args(["-euo", "pipefail", "-c"]).arg(self.translate(script)), "")
    }

    /// Runs a PHP script and returns its output. A failure, a warning or output on stderr is an error.
    pub(crate) fn run_php(&self, script: &str) -> Result<String, String> {
        let file = self.write("script.php", &as_php(script));
        run(self.command("php").arg(file), "")
    }

    fn write_program(&self, name: &str, command: &Command) {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> =
            words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))).collect();
        // The real PATH, because otherwise the program would find itself.
        let real = std::env::var("PATH").unwrap_or_default();
        let program =
            self.write(name, &format!("#!/bin/sh\nPATH='{real}' exec {} \"$@\"\n", quoted.join(" ")));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("it may be run");
    }
}

/// A script as the content of a PHP file.
pub(crate) fn as_php(script: &str) -> String {
    if script.starts_with("<?php") { script.to_owned() } else { format!("<?php\n{script}") }
}

/// Runs a command with this standard input and returns its standard output. A failure or output on standard error is an error.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that reads no input may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && stderr.is_empty() {
        Ok(stdout.into_owned())
    } else {
        Err(format!("{stdout}\n{stderr}\n{}", output.status))
    }
}

/// The harness's extension as an argument of `-d`.
pub(crate) fn extension_setting() -> String {
    let command = php::command("ws://127.0.0.1:1/");
    let setting = command.get_args().find(|word| word.to_string_lossy().starts_with("extension="));
    setting.expect("the harness loads the extension").to_string_lossy().into_owned()
}

fn logged_admin_address(server: &mut Server) -> String {
    let line = server.await_line("listening for health checks and metrics");
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    line["address"].as_str().expect("it names the address").to_owned()
}
