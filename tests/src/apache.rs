//! Apache with PHP as its module, in the prefork MPM, or another one that `OROSYNC_APACHE_MPM` names.

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

/// What Apache says once it serves, at the start and after each restart.
const SERVES: &str = "resuming normal operations";

/// An Apache of its own, in the foreground. Stopped when it goes out of scope.
#[derive(Debug)]
pub struct Apache {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Apache {
    /// Children that publish to `endpoint`, with more lines of configuration.
    pub fn start(endpoint: &str, configuration: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().display();
        let address = address::free();
        let log = format!("error_log={path}/php.log");
        fs::write(directory.path().join("php.ini"), [php::settings(endpoint), vec![log]].concat().join("\n"))
            .expect("php.ini is written");
        fs::write(directory.path().join("php.log"), "").expect("the log is there");
        // A PHP with threads runs in the one that has threads.
        let mpm = mpm();
        // Debian's PHP is called php_module in every version.
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
            // Its children never are root.
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
            // What Debian would load besides: nothing of it is needed.
            .env("PHP_INI_SCAN_DIR", "")
            // Some of the signals it sends on to all of its process group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("apache2 is installed: scripts/install-deps test");
        let mut apache = Self { child, address, directory };
        wait::until_true("Apache serves", || {
            let ended = apache.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{}\n{}", apache.read("output"), apache.log());
            apache.starts() == 1
        });
        apache
    }

    /// Writes a script (without `<?php`) that requests can name.
    pub fn write(&self, name: &str, script: &str) {
        fs::write(self.directory.path().join(name), format!("<?php {script}"))
            .expect("the script is written");
    }

    /// A file of scripts, which may write to it.
    pub fn file(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, "").expect("the file is written");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
        path
    }

    /// Requests a script; the body of its answer. `None` if there was no whole answer of success.
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

    /// Is each of its children one thread?
    pub fn is_prefork(&self) -> bool {
        mpm() == "prefork"
    }

    /// Does it take requests?
    pub fn listens(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
    }

    /// Sends a signal to the parent: USR1 is a graceful restart, HUP a restart, WINCH a graceful stop, TERM a stop.
    pub fn signal(&self, signal: Signal) {
        // An error means that it has ended already.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// The same for a signal that restarts it; waits until it has.
    pub fn restart(&self, signal: Signal) {
        let so_far = self.starts();
        self.signal(signal);
        wait::until_true("Apache has started anew", || self.starts() > so_far);
    }

    /// How often it has started.
    pub fn starts(&self) -> usize {
        self.log().matches(SERVES).count()
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        wait::until("Apache ends", || self.child.try_wait().ok().flatten())
    }

    /// What PHP has logged, in all children.
    pub fn php_log(&self) -> String {
        self.read("php.log")
    }

    /// What Apache has logged.
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
        // An error means that it has ended already.
        let _ = self.child.wait();
    }
}

const MODULES: &str = "/usr/lib/apache2/modules";

fn mpm() -> String {
    std::env::var("OROSYNC_APACHE_MPM").unwrap_or_else(|_| "prefork".into())
}

/// Debian names it after PHP's version. `OROSYNC_APACHE_PHP` names another one.
fn module() -> PathBuf {
    if let Some(module) = std::env::var_os("OROSYNC_APACHE_PHP") {
        return module.into();
    }
    let names = ["8.2", "8.3", "8.4", "8.5", "8.6"].map(|version| format!("libphp{version}.so"));
    let mut paths = names.iter().map(|name| Path::new(MODULES).join(name));
    paths.find(|path| path.exists()).expect("Apache's PHP is installed: scripts/install-deps test")
}
