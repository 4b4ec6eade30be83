//! A running server process: started on its core, ended on drop.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::machine::{Cores, cpu_ns, pin};

/// Maximum time until a server accepts connections.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Maximum time until it has ended.
const END_LIMIT: Duration = Duration::from_secs(3);

/// A running server process. Ended on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    directory: TempDir,
    address: SocketAddr,
}

impl Process {
    /// Starts the command that `command` returns for a free port and a new directory, on these cores, and waits until it
    /// accepts connections.
    pub fn start(
        cores: &[usize],
        command: impl FnOnce(u16, &TempDir) -> io::Result<Command>,
    ) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let program = command(address.port(), &directory)?;
        // The child ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program.get_program()).args(program.get_args());
        command.env_clear().envs(environment(&program));
        let log = File::create(directory.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        pin(cores)?;
        let child = command.spawn();
        pin(&[Cores::all().load()])?;
        let child = child.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.get_program().display()))
        })?;
        let mut process = Self { child, directory, address };
        process.await_listener()?;
        Ok(process)
    }

    /// Its listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time so far, in nanoseconds.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        self.ids().map(cpu_ns).sum()
    }

    /// Resident memory that is not file-backed, in bytes.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let of = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let kilobytes = |name| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0)
            };
            Ok((kilobytes("RssAnon:") + kilobytes("RssShmem:")) * 1024)
        };
        self.ids().map(of).sum()
    }

    /// Ends the server with SIGTERM, as a service manager does, and returns its log.
    pub fn end(mut self) -> io::Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let end = Instant::now() + START_LIMIT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                return Err(io::Error::other(format!(
                    "the server does not end; its log: {}",
                    self.log().trim()
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self.log())
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn await_listener(&mut self) -> io::Result<()> {
        let end = Instant::now() + START_LIMIT;
        loop {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                let how = ended.map_or_else(|| "does not listen".to_owned(), |status| status.to_string());
                return Err(io::Error::other(format!("the server {how}; its log: {}", self.log().trim())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The ids of the process and its children.
    fn ids(&self) -> impl Iterator<Item = u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        std::iter::once(id).chain(children)
    }
}

/// This process's environment with the command's changes. Variables of Orosync are left out: only the command sets them.
fn environment(command: &Command) -> impl Iterator<Item = (OsString, OsString)> {
    let inherited = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("OROSYNC_"));
    let own = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    inherited.chain(own.collect::<Vec<_>>())
}

impl Drop for Process {
    fn drop(&mut self) {
        // These fail only if it has already ended.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + END_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
