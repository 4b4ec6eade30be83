//! A running `orosync-server`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use orosync_protocol::OriginPattern;
use orosync_protocol::ticket::{Granted, Identity, Role, RoleNames, Signer, Terms, UserId};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::{SECRET, artefact, process, wait};

/// File name of the configuration that a test adds.
const OWN_CONFIGURATION: &str = "own.toml";

/// A running `orosync-server`. Killed on drop.
#[derive(Debug)]
pub struct Server {
    child: Child,
    directory: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
    log: Receiver<String>,
    lines: Vec<String>,
}

impl Server {
    /// Starts a server on a free loopback port and a unix socket, with `oro_ping_seconds = 0` and the defaults otherwise.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Like [`Server::start`], with additional configuration (TOML).
    pub fn start_with(configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::launch(directory, "127.0.0.1:0", configuration, &[])
    }

    /// Like [`Server::start`], with these `OROSYNC_` variables.
    pub fn start_with_environment(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::launch(directory, "127.0.0.1:0", "", environment)
    }

    /// Replaces the configuration given to [`Server::start_with`].
    pub fn rewrite(&self, configuration: &str) {
        fs::write(self.directory.path().join(OWN_CONFIGURATION), configuration)
            .expect("the configuration is written");
    }

    /// Kills the server and starts another one on the same port and unix socket.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.signal(Signal::KILL);
        self.wait();
        self.start_again()
    }

    /// Starts another server on the port and unix socket of this one, which has ended.
    #[must_use]
    pub fn start_again(mut self) -> Self {
        let address = self.address.to_string();
        let configuration = fs::read_to_string(self.directory.path().join(OWN_CONFIGURATION))
            .expect("it was written at the start");
        let directory =
            std::mem::replace(&mut self.directory, tempfile::tempdir().expect("a temporary directory"));
        drop(self);
        Self::launch(directory, &address, &configuration, &[])
    }

    /// Like [`Server::start_with`], with this limit of open descriptors.
    pub fn start_with_descriptors(descriptors: u64, configuration: &str) -> Self {
        let script = format!("ulimit -n {descriptors} && exec \"$@\"");
        Self::start_through(&script, Stdio::null(), configuration)
    }

    /// Like [`Server::start_with`], started by a shell script that gets the command as `"$@"`, with this standard input.
    pub fn start_through(script: &str, input: impl Into<Stdio>, configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg("sh").arg(command().get_program()).stdin(input);
        without_settings(&mut shell);
        Self::launch_as(shell, directory, "127.0.0.1:0", configuration, &[])
    }

    fn launch(directory: TempDir, bind: &str, configuration: &str, environment: &[(&str, &str)]) -> Self {
        Self::launch_as(command(), directory, bind, configuration, environment)
    }

    fn launch_as(
        mut program: Command,
        directory: TempDir,
        bind: &str,
        configuration: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let secret = directory.path().join("secret");
        fs::write(&secret, format!("{SECRET}\n")).expect("the secret is written");
        let base = directory.path().join("orosync.toml");
        let (socket, secret) = (directory.path().join("socket"), secret.display());
        let toml = format!(
            "oro_ping_seconds = 0\nbind = [\"{bind}\", \"unix:{}\"]\nadmin_bind = \"127.0.0.1:0\"\n[auth]\nsecret_file = \"{secret}\"\n",
            socket.display()
        );
        fs::write(&base, toml).expect("the configuration is written");
        let own = directory.path().join(OWN_CONFIGURATION);
        fs::write(&own, configuration).expect("the configuration is written");
        let mut child = program
            .arg("serve")
            .arg("--config")
            .arg(&base)
            .arg("--config")
            .arg(&own)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("orosync-server starts");
        let (sender, log) = channel();
        let stderr = child.stderr.take().expect("its log is piped");
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, directory, address: unknown, admin: unknown, log, lines: Vec::new() };
        server.await_line("orosync-server is ready");
        server.address = server.logged_address("listening");
        server.admin = server.logged_address("listening for health checks and metrics");
        server
    }

    /// The address for browsers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listening address whose entry in `bind` ends with these words.
    pub fn address_with(&self, words: &str) -> SocketAddr {
        let mut lines = self.listening("listening").into_iter();
        let found = lines.find_map(|address| address.strip_suffix(words)?.trim_end().parse().ok());
        found.unwrap_or_else(|| panic!("no address with {words}"))
    }

    /// Path of its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// The link endpoint over TCP.
    pub fn endpoint(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// The link endpoint over the unix socket.
    pub fn unix_endpoint(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// The path of the secret's file.
    pub fn secret_file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    /// A directory for the test's own files, removed with the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // An error means that it has already ended.
        let _ = kill_process(self.pid(), signal);
    }

    /// Stops all threads of the process until [`Server::thaw`].
    pub fn freeze(&self) {
        process::freeze(self.pid());
    }

    /// Continues all threads after [`Server::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the server ends", || self.child.try_wait().ok().flatten())
    }

    /// Whether the server is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).unwrap_or_default();
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.expect("a running process has memory") * 1024
    }

    /// Number of open descriptors.
    pub fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero()));
        open.expect("it runs").count()
    }

    /// Waits for a log line with this text.
    pub fn await_line(&mut self, text: &str) -> String {
        wait::until(&format!("a log line with {text:?}"), || {
            self.lines.extend(self.log.try_iter());
            self.lines.iter().find(|line| line.contains(text)).cloned()
        })
    }

    /// All log lines so far.
    pub fn log(&mut self) -> &[String] {
        self.lines.extend(self.log.try_iter());
        &self.lines
    }

    /// The value of a metric, or 0 if the metric is not reported.
    pub fn metric(&self, name_and_labels: &str) -> f64 {
        let text = http_get(self.admin, "/metrics");
        text.lines()
            .find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or(0.0)
    }

    /// Waits until a metric has this value. It may change shortly after a client sees the effect.
    pub fn await_metric(&self, name_and_labels: &str, value: f64) {
        wait::until_true(&format!("{name_and_labels} is {value}"), || {
            (self.metric(name_and_labels) - value).abs() < f64::EPSILON
        });
    }

    /// Requests a path from the admin port. Returns the whole response.
    pub fn admin(&self, path: &str) -> String {
        http_get(self.admin, path)
    }

    fn logged_address(&self, message: &str) -> SocketAddr {
        let addresses = self.listening(message);
        let first = addresses.iter().find_map(|address| address.split(' ').next()?.parse().ok());
        first.expect("the server logs its addresses")
    }

    fn listening(&self, message: &str) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|line| line["message"] == message)
            .filter_map(|line| Some(line["address"].as_str()?.to_owned()))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        // Both fail only if it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `orosync-server` without arguments and without the `OROSYNC_` variables of this environment.
pub fn command() -> Command {
    let mut command = Command::new(artefact("OROSYNC_SERVER_BIN", "orosync-server"));
    without_settings(&mut command);
    command.stdin(Stdio::null());
    command
}

fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OROSYNC_") {
            command.env_remove(name);
        }
    }
}

/// A ticket for this role; the user name is derived from `uid`.
pub fn ticket(role: Role, uid: Option<u64>) -> String {
    let identity = Identity {
        role,
        user: uid.map(|uid| format!("user{uid}").into()),
        uid: uid.map(UserId::from),
        org: Some(1),
        roles: RoleNames::default(),
        granted: Granted::default(),
    };
    signer().issue(&identity, now(), 300, rand::random()).expect("a ticket")
}

/// An anonymous ticket that is valid for pages of these hosts only.
pub fn ticket_for_pages(hosts: &[&str]) -> String {
    let origins: Vec<_> = hosts.iter().map(|host| OriginPattern::parse(host).expect("a host")).collect();
    let terms = Terms { origins: &origins, until: None };
    let issued = signer().issue_with(terms, &Identity::anonymous(), now(), 300, rand::random());
    issued.expect("a ticket")
}

fn signer() -> Signer {
    Signer::from_secret(SECRET.as_bytes()).expect("long enough")
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Raises this process's soft limit of open descriptors, for tests with thousands of clients.
///
/// # Panics
///
/// If the hard limit is lower than `needed`.
pub fn need_descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "this test needs {needed} descriptors. Raise the hard limit: ulimit -Hn {needed}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
}

fn http_get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("the admin port answers");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("the admin port reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the admin port answers");
    answer
}
