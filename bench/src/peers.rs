//! The measured servers: this one, the raw limits, and the peers that `bench/peers/peer` installs and starts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::machine::Cores;
use crate::process::Process;
use crate::wire::{SECRET, Wire};

/// A measured server.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in the results.
    pub name: String,
    /// Its protocol.
    pub wire: Wire,
    /// Its version.
    pub version: String,
    program: Program,
}

#[derive(Clone, Debug)]
enum Program {
    Orosync { before: Vec<String>, binary: PathBuf, environment: Vec<(&'static str, String)> },
    Raw(&'static str),
    Script { name: &'static str, environment: Vec<(&'static str, String)> },
}

/// The raw limits: name, and mode of the program `raw`.
const RAW: [(&str, &str); 3] = [("raw_write", "write"), ("raw_batch", "batch"), ("raw_uring", "uring")];

/// The names of the raw limits.
pub const RAW_NAMES: [&str; 3] = [RAW[0].0, RAW[1].0, RAW[2].0];

/// The peers that `bench/peers/peer` supports.
const SCRIPTS: [(&str, Wire); 9] = [
    ("bun", Wire::Plain),
    ("socketify", Wire::Plain),
    ("redis", Wire::Redis),
    ("nchan", Wire::HttpPost),
    ("ws", Wire::Plain),
    ("socket_io", Wire::SocketIo),
    ("nats", Wire::Nats),
    ("ratchet", Wire::Wamp),
    ("sockudo", Wire::Pusher),
];

/// Peers whose servers share messages through Redis; compared with nodes only.
const SOCKET_IO_REDIS: (&str, Wire) = ("socket_io_redis", Wire::SocketIo);

/// The names of all peers.
pub fn names() -> impl Iterator<Item = &'static str> {
    RAW_NAMES.into_iter().chain(SCRIPTS.map(|(name, _)| name))
}

/// Whether this is one of the other servers, not Orosync or a raw limit.
pub fn is_script(name: &str) -> bool {
    SCRIPTS.iter().any(|(script, _)| *script == name)
}

impl Peer {
    /// Orosync, named `orosync`, or as the argument says: `NAME=PATH` or `PATH`.
    pub fn orosync(argument: Option<&str>) -> io::Result<Self> {
        let (name, binary) = match argument.map(|argument| argument.split_once('=').unwrap_or(("", argument)))
        {
            None => ("orosync".to_owned(), default_binary()?),
            Some(("", path)) => (path.to_owned(), PathBuf::from(path)),
            Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
        };
        let version = Command::new(&binary).arg("--version").output().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}. First run: make build", binary.display()))
        })?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let program = Program::Orosync { before: Vec::new(), binary, environment: Vec::new() };
        Ok(Self { name, wire: Wire::Orosync, version, program })
    }

    /// This server under another name.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// This server with another protocol.
    #[must_use]
    pub fn speaking(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// This server with a changed setting, under another name.
    #[must_use]
    pub fn with(mut self, name: &str, variable: &'static str, value: &str) -> Self {
        self = self.called(name);
        match &mut self.program {
            Program::Orosync { environment, .. } | Program::Script { environment, .. } => {
                environment.push((variable, value.to_owned()));
            }
            Program::Raw(_) => {}
        }
        self
    }

    /// This server as an argument of another program, which executes it.
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        if let Program::Orosync { before, .. } = &mut self.program {
            *before = command.iter().map(|word| (*word).to_owned()).collect();
        }
        self
    }

    /// A raw limit or a peer.
    ///
    /// # Errors
    ///
    /// If it cannot be started here; the error says why.
    pub fn named(name: &str) -> Result<Self, String> {
        if let Some((name, mode)) = RAW.into_iter().find(|(raw, _)| *raw == name) {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            return Ok(Self {
                name: name.to_owned(),
                wire: Wire::Plain,
                version,
                program: Program::Raw(mode),
            });
        }
        let (script, wire) = SCRIPTS
            .into_iter()
            .chain([SOCKET_IO_REDIS])
            .find(|(script, _)| *script == name)
            .ok_or_else(|| format!("there is no peer {name:?}"))?;
        let version = Command::new(script_path())
            .args(["version", script])
            .output()
            .map_err(|error| format!("{}: {error}", script_path().display()))?;
        if !version.status.success() {
            return Err(String::from_utf8_lossy(&version.stderr).trim().to_owned());
        }
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        Ok(Self {
            name: name.to_owned(),
            wire,
            version,
            program: Program::Script { name: script, environment: Vec::new() },
        })
    }

    /// Starts this server on the server's core.
    pub fn start(&self) -> io::Result<Process> {
        self.start_on(&[Cores::all().server()])
    }

    /// Starts this server on these cores.
    pub fn start_on(&self, cores: &[usize]) -> io::Result<Process> {
        let process = Process::start(cores, |port, directory| match &self.program {
            Program::Orosync { before, binary, environment } => {
                let mut command = orosync(before, binary, port, directory)?;
                command.envs(environment.iter().map(|(name, value)| (*name, value)));
                Ok(command)
            }
            Program::Raw(mode) => {
                let mut command = Command::new(beside_this("raw")?);
                command.args([*mode, &port.to_string()]);
                Ok(command)
            }
            Program::Script { name, environment } => {
                let mut command = Command::new(script_path());
                command.args(["start", name, &port.to_string()]).arg(directory.path());
                command.envs(environment.iter().map(|(name, value)| (*name, value)));
                Ok(command)
            }
        });
        process.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name)))
    }
}

/// The available peers, and why the others are missing.
#[derive(Debug)]
pub struct Selection {
    /// The peers, in measuring order.
    pub peers: Vec<Peer>,
    /// The reason why a peer is missing, by its name.
    pub missing: BTreeMap<String, String>,
    /// Descriptor limit of this process and of each server.
    pub descriptors: usize,
}

fn orosync(before: &[String], binary: &Path, port: u16, directory: &TempDir) -> io::Result<Command> {
    let (secret, configuration) = (directory.path().join("secret"), directory.path().join("orosync.toml"));
    fs::write(&secret, SECRET)?;
    fs::write(
        &configuration,
        format!(
            "bind = [\"0.0.0.0:{port}\"]\nadmin_bind = \"\"\nshards = 1\n\
             [auth]\nsecret_file = \"{}\"\n\
             [limits]\nping_interval_seconds = 600\n\
             [[topics]]\npattern = \"bench/{{topic}}\"\nsubscribe = \"user\"\npublish = \"publisher\"\n",
            secret.display()
        ),
    )?;
    let mut words = before.iter().map(OsStr::new).chain([binary.as_os_str()]);
    let mut command = Command::new(words.next().unwrap_or(binary.as_os_str()));
    command.args(words).arg("serve").arg("--config").arg(configuration);
    Ok(command)
}

fn script_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/peer")
}

fn default_binary() -> io::Result<PathBuf> {
    std::env::var_os("OROSYNC_SERVER_BIN")
        .map_or_else(|| beside_this("orosync-server"), |path| Ok(path.into()))
}

fn beside_this(program: &str) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(program);
    if path.exists() {
        return Ok(path);
    }
    let message = format!(
        "{} is not built. First run: cargo build --release -p orosync-server -p orosync-bench",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}
