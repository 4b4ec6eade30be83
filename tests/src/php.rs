//! PHP with the extension: on the command line, and PHP-FPM.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{SECRET, artefact, wait};

/// Runs a script (without `<?php`) on the command line, with this endpoint.
pub fn run(endpoint: &str, script: &str) -> Output {
    command(endpoint).arg("-r").arg(script).output().expect("php starts")
}

/// Runs a script and returns its standard output. Asserts success and an empty standard error.
pub fn output(endpoint: &str, script: &str) -> String {
    let output = run(endpoint, script);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stdout}\n{stderr}\n{}", output.status);
    stdout.into_owned()
}

/// `php` with the extension and its settings, without php.ini.
pub fn command(endpoint: &str) -> Command {
    let mut command = Command::new("php");
    command.arg("-n").stdin(Stdio::null());
    for setting in settings(endpoint) {
        command.arg("-d").arg(setting);
    }
    command
}

/// The extension's php.ini settings.
pub fn settings(endpoint: &str) -> Vec<String> {
    let extension = artefact("OROSYNC_EXTENSION", "liborosync.so");
    vec![
        format!("extension={}", extension.display()),
        format!("orosync.endpoint=\"{endpoint}\""),
        format!("orosync.secret=\"{SECRET}\""),
        "display_errors=stderr".into(),
        "log_errors=1".into(),
    ]
}

/// A PHP-FPM in the foreground. Stopped on drop.
#[derive(Debug)]
pub struct Fpm {
    child: Child,
    directory: TempDir,
}

impl Fpm {
    /// Starts PHP-FPM with `workers` workers, this endpoint, and additional lines for the pool.
    pub fn start(endpoint: &str, workers: usize, pool: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        let error_log = format!("error_log={}", path.join("php.log").display());
        let php_ini = [settings(endpoint), vec![error_log]].concat().join("\n");
        fs::write(path.join("php.ini"), php_ini).expect("php.ini is written");
        let mut configuration = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            configuration,
            "[global]\ndaemonize = no\nerror_log = {0}/fpm.log\nprocess_control_timeout = 10s\n\
             [www]\nlisten = {0}/fpm.sock\npm = static\npm.max_children = {workers}\n{pool}\n",
            path.display()
        );
        if rustix::process::geteuid().is_root() {
            configuration.push_str("user = root\ngroup = root\n");
        }
        fs::write(path.join("fpm.conf"), configuration).expect("fpm.conf is written");
        let child = Command::new(program())
            .args(["--nodaemonize", "--allow-to-run-as-root", "-c"])
            .arg(path.join("php.ini"))
            .arg("--fpm-config")
            .arg(path.join("fpm.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("php-fpm starts");
        let fpm = Self { child, directory };
        wait::until_true("php-fpm listens", || UnixStream::connect(fpm.socket()).is_ok());
        fpm
    }

    /// Writes a script (without `<?php`) for requests.
    pub fn write(&self, name: &str, script: &str) {
        fs::write(self.directory.path().join(name), format!("<?php {script}"))
            .expect("the script is written");
    }

    /// Requests a script and returns the response body.
    pub fn get(&self, name: &str, query: &str) -> String {
        let path = self.directory.path().join(name);
        let parameters = [
            ("SCRIPT_FILENAME", path.to_str().expect("a path in UTF-8")),
            ("REQUEST_METHOD", "GET"),
            ("QUERY_STRING", query),
        ];
        let mut stream = UnixStream::connect(self.socket()).expect("php-fpm listens");
        stream.set_read_timeout(Some(wait::LIMIT)).expect("a socket option");
        stream.write_all(&fast_cgi::request(&parameters)).expect("php-fpm reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("php-fpm answers");
        let output = fast_cgi::output(&answer);
        output.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
    }

    /// Sends a signal to the master process.
    pub fn signal(&self, signal: Signal) {
        // An error means that it has already ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Stops PHP-FPM gracefully with SIGQUIT, as a service manager does. Running requests finish first.
    pub fn quit(&mut self) -> ExitStatus {
        self.signal(Signal::QUIT);
        wait::until("php-fpm ends", || self.child.try_wait().ok().flatten())
    }

    /// The master's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The PHP error log of all workers.
    pub fn php_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("php.log")).unwrap_or_default()
    }

    /// The log of the master process.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("fpm.log")).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("fpm.sock")
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        // An error means that it has already ended.
        let _ = self.child.wait();
    }
}

/// Path of PHP-FPM, which Debian names after PHP's version. A PHP compiled for a root of `make test-matrix` has precedence.
fn program() -> PathBuf {
    ["php-fpm", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4", "php-fpm8.5", "php-fpm8.6"]
        .iter()
        .flat_map(|name| {
            ["/opt/php/sbin", "/usr/sbin", "/usr/bin", "/usr/local/sbin"]
                .map(|place| Path::new(place).join(name))
        })
        .find(|path| path.exists())
        .expect("php-fpm is installed: scripts/install-deps test")
}

/// The subset of `FastCGI` 1.0 that one request to a responder needs.
mod fast_cgi {
    const BEGIN_REQUEST: u8 = 1;
    const PARAMS: u8 = 4;
    const STDIN: u8 = 5;
    const STDOUT: u8 = 6;
    const RESPONDER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

    pub(super) fn request(parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut pairs = Vec::new();
        for (name, value) in parameters {
            for text in [name, value] {
                let length = u32::try_from(text.len()).expect("a short parameter");
                pairs.extend((length | 0x8000_0000).to_be_bytes());
            }
            pairs.extend(name.as_bytes());
            pairs.extend(value.as_bytes());
        }
        [record(BEGIN_REQUEST, &RESPONDER), record(PARAMS, &pairs), record(PARAMS, &[]), record(STDIN, &[])]
            .concat()
    }

    pub(super) fn output(mut answer: &[u8]) -> String {
        let mut output = Vec::new();
        while let [_, kind, _, _, high, low, padding, _, rest @ ..] = answer {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind == STDOUT {
                output.extend_from_slice(&rest[..length]);
            }
            answer = &rest[length + usize::from(*padding)..];
        }
        String::from_utf8_lossy(&output).into_owned()
    }

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).expect("a short record").to_be_bytes();
        [&[1, kind, 0, 1, high, low, 0, 0], content].concat()
    }
}
