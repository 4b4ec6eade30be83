//! One Redis server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use redis::{
    Client, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisResult,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::port::Port;
use super::{LIMIT, program};
use crate::certificate::Certificate;
use crate::{process, wait};

/// A Redis server with a temporary directory, on a free loopback port and a unix socket. Killed on drop.
///
/// The harness connects over the unix socket as an unrestricted user, so that its commands do not depend on passwords, TLS or
/// the network.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    /// Additional command line arguments.
    arguments: &'static [&'static str],
    port: Port,
    tls_port: Option<Port>,
    directory: TempDir,
}

/// The harness's user, without a password.
pub(super) const HARNESS: &str = "harness";

/// The user of replicas, which a test can disable.
pub(super) const REPLICATION: &str = "replication";

/// The configuration of all servers. The lines of a test follow it.
const SERVER: &str = "\
    enable-debug-command yes\n\
    repl-diskless-sync-delay 0\n\
    user replication on >replication +ping +psync +replconf\n\
    masteruser replication\n\
    masterauth replication\n";

/// Timeout of the harness's commands.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

impl Redis {
    /// Starts a server with the defaults.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The lines of `redis.conf` with which a kill loses nothing that Redis has answered. By default (`appendfsync everysec`) it
    /// answers up to 2 s before it writes, while the disk is busy with the last second.
    pub const DURABLE: &str = "appendonly yes\nappendfsync always\n";

    /// Like [`Redis::start`], with additional lines of `redis.conf`, such as [`Redis::DURABLE`] or those of [`Redis::user`].
    pub fn start_with(configuration: &str) -> Self {
        Self::launch(directory(), None, &[], &format!("{SERVER}{configuration}"))
    }

    /// Like [`Redis::start_with`], with an additional TLS port and this certificate.
    pub fn start_with_tls(certificate: &Certificate, configuration: &str) -> Self {
        let directory = directory();
        let (file, key) = certificate.write(directory.path());
        let tls_port = Port::claim();
        let tls = format!(
            "tls-port {}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no\n",
            tls_port.number(),
            file.display(),
            key.display()
        );
        Self::launch(directory, Some(tls_port), &[], &format!("{SERVER}{tls}{configuration}"))
    }

    /// Starts a Sentinel, which the harness treats as a server.
    pub(super) fn start_sentinel(configuration: &str) -> Self {
        Self::launch(directory(), None, &["--sentinel"], configuration)
    }

    fn launch(
        directory: TempDir,
        tls_port: Option<Port>,
        arguments: &'static [&'static str],
        configuration: &str,
    ) -> Self {
        let (path, port) = (directory.path(), Port::claim());
        let place = format!(
            "bind 127.0.0.1\nport {}\ndir {}\nunixsocket {}\nlogfile redis.log\nuser {HARNESS} on nopass ~* &* +@all\n",
            port.number(),
            path.display(),
            socket(path).display()
        );
        fs::write(path.join("redis.conf"), format!("{place}{configuration}\n"))
            .expect("the configuration is written");
        let mut server = Self { child: None, arguments, port, tls_port, directory };
        server.start_again();
        server
    }

    /// A configuration line for a user with this password and exactly these rules, such as `~oro:* &oro:* +ping`.
    pub fn user(name: &str, password: &str, rules: &str) -> String {
        format!("user {name} on >{password} {rules}\n")
    }

    /// Restarts an ended server on the same port and in the same directory, with the configuration in that directory, which
    /// Sentinels and `CONFIG REWRITE` change. Waits until it has loaded its data.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        let child = Command::new(program())
            .arg(self.directory().join("redis.conf"))
            .args(self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program().display()));
        self.child = Some(child);
        wait::until_within(LIMIT, "Redis answers", || {
            assert!(self.is_running(), "Redis has ended:\n{}", self.log());
            self.try_ask::<String>(&["PING"]).ok()
        });
    }

    /// Stops the server with SIGTERM, as the system does. It saves its data.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert!(self.wait().success(), "Redis exited with an error:\n{}", self.log());
    }

    /// Ends the server with SIGKILL. Data is kept with [`Redis::DURABLE`] only.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Stops all threads of the server until [`Redis::thaw`]. It does not answer, and its connections stay open.
    pub fn freeze(&self) {
        process::freeze(self.pid());
    }

    /// Continues all threads after [`Redis::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process is running. A frozen process is running.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether the test has started the server and not stopped it.
    pub(super) fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// If the server was stopped.
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    /// The address of the port without TLS.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The `redis:` URL of the port without TLS.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The `rediss:` URL of the TLS port, with the host name in the certificate.
    ///
    /// # Panics
    ///
    /// If the server was started without a certificate.
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.as_ref().expect("started with a certificate");
        format!("rediss://{}:{}", Certificate::NAME, port.number())
    }

    /// The `redis+unix:` URL of the unix socket.
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The path of the unix socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.directory())
    }

    /// The server's directory, where a test may put its own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("redis.log")).unwrap_or_default()
    }

    /// Runs a command as an unrestricted user.
    ///
    /// # Panics
    ///
    /// Like [`Redis::ask`].
    pub fn run(&self, command: &[&str]) {
        let () = self.ask(command);
    }

    /// Runs a command and returns its answer.
    ///
    /// # Panics
    ///
    /// If the server refuses it or does not answer.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).unwrap_or_else(|error| {
            let begin: String = command.join(" ").chars().take(100).collect();
            panic!("{begin}: {error}")
        })
    }

    /// Runs a command that the server may refuse or not answer.
    pub fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        query(&mut self.connect()?, command)
    }

    /// Runs a write command and waits until `replicas` replicas have the write.
    ///
    /// # Panics
    ///
    /// If the server refuses it, or a replica does not get it.
    pub fn run_replicated(&self, command: &[&str], replicas: usize) {
        let has = |replicas: usize| {
            // WAIT covers the writes of its own connection.
            let mut connection = self.connect()?;
            let () = query(&mut connection, command)?;
            let milliseconds = COMMAND_TIMEOUT.as_millis() / 2;
            query::<usize>(&mut connection, &["WAIT", &replicas.to_string(), &milliseconds.to_string()])
        };
        let found = has(replicas).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(found >= replicas, "{command:?}: {found} of {replicas} replicas have it");
    }

    /// A connection of the harness's user.
    fn connect(&self) -> RedisResult<Connection> {
        let user = RedisConnectionInfo::default().set_username(HARNESS).set_password(HARNESS);
        let place = ConnectionAddr::Unix(self.socket()).into_connection_info()?;
        let client = Client::open(place.set_redis_settings(user))?;
        let connection = client.get_connection_with_timeout(COMMAND_TIMEOUT)?;
        connection.set_read_timeout(Some(COMMAND_TIMEOUT))?;
        Ok(connection)
    }

    /// A field of the default sections of `INFO`.
    ///
    /// # Panics
    ///
    /// If there is no such field.
    pub fn info(&self, field: &str) -> String {
        self.try_info(field).unwrap_or_else(|error| panic!("{field}: {error}"))
    }

    /// Like [`Redis::info`], for a server that may disconnect its clients, as a demoted primary does.
    pub fn try_info(&self, field: &str) -> RedisResult<String> {
        let info: String = self.try_ask(&["INFO"])?;
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.unwrap_or_else(|| panic!("INFO has no {field}:\n{info}")).to_owned())
    }

    /// Changes a setting of the running server.
    pub fn set(&self, setting: &str, value: &str) {
        self.run(&["CONFIG", "SET", setting, value]);
    }

    /// Closes all connections with a subscription and returns their number.
    pub fn kill_subscribers(&self) -> usize {
        self.ask(&["CLIENT", "KILL", "TYPE", "pubsub"])
    }

    /// Flushes the script cache.
    pub fn flush_scripts(&self) {
        self.run(&["SCRIPT", "FLUSH"]);
    }

    /// Pauses all commands for this time, including those of the harness.
    pub fn pause_clients(&self, time: Duration) {
        self.run(&["CLIENT", "PAUSE", &time.as_millis().to_string()]);
    }

    /// Limits memory to the current usage plus `more` bytes. Commands that need more are refused.
    pub fn limit_memory(&self, more: u64) {
        let used: u64 = self.info("used_memory").parse().expect("a number");
        self.set("maxmemory", &(used + more).to_string());
    }

    fn signal(&self, signal: Signal) {
        // An error means that it has already ended.
        let _ = kill_process(self.pid(), signal);
    }

    fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        wait::until_within(LIMIT, "Redis ends", || child.try_wait().ok().flatten())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only if it has already ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn query<T: FromRedisValue>(connection: &mut Connection, command: &[&str]) -> RedisResult<T> {
    let (name, arguments) = command.split_first().expect("a command has a name");
    redis::cmd(name).arg(arguments).query(connection)
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}
