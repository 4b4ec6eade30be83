//! Apache with PHP as a module, in the MPM that `OROSYNC_APACHE_MPM` names (default: prefork).

use std::fs::{self, Permissions};
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::{address, php, wait};

/// Apache's log message after its start and after each restart.
const READY: &str = "resuming normal operations";

/// An Apache in the foreground. Stopped on drop.
#[derive(Debug)]
pub struct Apache {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Apache {
    /// Starts Apache with this endpoint and additional configuration lines.
    pub fn start(endpoint: &str, configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().display();
        let address = address::free();
        let log = format!("error_log={path}/php.log");
        fs::write(directory.path().join("php.ini"), [php::settings(endpoint), vec![log]].concat().join("\n"))
            .expect("php.ini is written");
        fs::write(directory.path().join("php.log"), "").expect("the log is created");
        // A PHP with threads (ZTS) runs in an MPM with threads.
        let mpm = mpm();
        // Debian's PHP module is named php_module in every version.
        let mut text = format!(
            "LoadModule mpm_{mpm}_module {MODULES}/mod_mpm_{mpm}.so\n\
             LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
             LoadModule php_module {}\n\
             PHPIniDir {path}\nServerName localhost\nListen {address}\nPidFile {path}/pid\n\
             DefaultRuntimeDir {path}\nDocumentRoot {path}\nErrorLog {path}/error.log\nEnableMMAP off\n\
             <FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>\n{configuration}\n",
            module().display(),
        );
        if geteuid().is_root() {
            // Children never run as root.
            text.push_str("User www-data\nGroup www-data\n");
            fs::set_permissions(&directory, Permissions::from_mode(0o755)).expect("it is ours");
            fs::set_permissions(directory.path().join("php.log"), Permissions::from_mode(0o666))
                .expect("it is ours");
        }
        let file = directory.path().join("apache.conf");
        fs::write(&file, text).expect("the configuration is written");
        let output = fs::File::create(directory.path().join("output")).expect("a file");
        let child = Command::new("/usr/sbin/apache2")
            .arg("-DFOREGROUND")
            .arg("-f")
            .arg(&file)
            // Debian's php.ini files would load more modules, which are not needed.
            .env("PHP_INI_SCAN_DIR", "")
            // Apache forwards some signals to its whole process group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("apache2 is installed: scripts/install-deps test");
        let mut apache = Self { child, address, directory };
        wait::until_true("Apache is ready", || {
            let ended = apache.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{}\n{}", apache.read("output"), apache.log());
            apache.starts() == 1
        });
        apache
    }

    /// Writes a script (without `<?php`) for requests.
    pub fn write(&self, name: &str, script: &str) {
        fs::write(self.directory.path().join(name), format!("<?php {script}"))
            .expect("the script is written");
    }

    /// The path of a file that scripts may write to.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, "").expect("the file is written");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
        path
    }

    /// Requests a script and returns the response body; `None` without a complete, successful response.
    pub fn get(&self, name: &str, query: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(wait::LIMIT)).expect("a socket option");
        write!(stream, "GET /{name}?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
        (head.starts_with("HTTP/1.1 200 ") && length.parse() == Ok(body.len())).then(|| body.to_owned())
    }

    /// Whether the MPM is prefork: each child has one thread.
    pub fn is_prefork(&self) -> bool {
        mpm() == "prefork"
    }

    /// Whether Apache accepts connections.
    pub fn listens(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
    }

    /// Sends a signal to the parent process: USR1 is a graceful restart, HUP a restart, WINCH a graceful stop, TERM a stop.
    pub fn signal(&self, signal: Signal) {
        // An error means that it has already ended.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Sends a signal that restarts Apache, and waits for the restart.
    pub fn restart(&self, signal: Signal) {
        let before = self.starts();
        self.signal(signal);
        wait::until_true("Apache has restarted", || self.starts() > before);
    }

    /// Number of starts and restarts.
    pub fn starts(&self) -> usize {
        self.log().matches(READY).count()
    }

    /// Waits for the end of Apache.
    pub fn ended(&mut self) -> ExitStatus {
        wait::until("Apache ends", || self.child.try_wait().ok().flatten())
    }

    /// The PHP error log of all children.
    pub fn php_log(&self) -> String {
        self.read("php.log")
    }

    /// Apache's error log.
    pub fn log(&self) -> String {
        self.read("error.log")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        // An error means that it has already ended.
        let _ = self.child.wait();
    }
}

const MODULES: &str = "/usr/lib/apache2/modules";

fn mpm() -> String {
    std::env::var("OROSYNC_APACHE_MPM").unwrap_or_else(|_| "prefork".into())
}

/// Path of the PHP module, which Debian names after PHP's version; `OROSYNC_APACHE_PHP` names another one.
fn module() -> PathBuf {
    if let Some(module) = std::env::var_os("OROSYNC_APACHE_PHP") {
        return module.into();
    }
    let names = ["8.2", "8.3", "8.4", "8.5", "8.6"].map(|version| format!("libphp{version}.so"));
    let mut paths = names.iter().map(|name| Path::new(MODULES).join(name));
    paths.find(|path| path.exists()).expect("Apache's PHP is installed: scripts/install-deps test")
}
