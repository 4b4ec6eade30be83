//! systemd: socket activation, notifications, and the sandbox of the unit.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use orosync_tests::client::{Client, WAMP, request};
use orosync_tests::server::{self, Server};
use orosync_tests::{php, wait};
use rustix::process::Signal;

/// Starts a command as systemd starts a socket-activated service, with the socket as descriptor 3.
const WITH_SOCKET: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";

fn activated(listener: &TcpListener, bind: &str) -> Server {
    let input = OwnedFd::from(listener.try_clone().expect("a descriptor"));
    Server::start_through(WITH_SOCKET, input, &format!("bind = [\"{bind}\"]\n"))
}

#[test]
fn a_restart_refuses_no_connection_on_a_socket_that_systemd_holds() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut first = activated(&listener, &address.to_string());
    assert_eq!(first.address(), address);
    Client::user(&first, WAMP, 1).sync();
    first.signal(Signal::TERM);
    assert!(first.wait().success());

    // No server accepts connections now. The browser and the publisher wait.
    let mut browser = Client::connect_to(address);
    browser.send(request("/", WAMP).as_bytes());
    let script = r#"orosync_publish("oro/ping", 1); var_dump(orosync_flush(20));"#;
    let publisher = php::command(&format!("ws://{address}/"))
        .args(["-d", "orosync.connect_timeout=20", "-r", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("php starts");
    let _second = activated(&listener, &address.to_string());
    browser.read_head();
    assert!(browser.head.starts_with("HTTP/1.1 101 "), "{}", browser.head);
    assert_eq!(publisher.wait_with_output().expect("it ends").stdout, b"bool(true)\n");
}

#[test]
fn the_server_exits_with_an_error_if_bind_does_not_name_the_socket_from_systemd() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let other = Server::start();
    let output = Command::new("timeout")
        .args(["20", "sh", "-c", WITH_SOCKET, "sh"])
        .arg(server::command().get_program())
        .args(["serve", "--admin-bind", "", "--bind", "127.0.0.1:0", "--secret-file"])
        .arg(other.secret_file())
        .stdin(OwnedFd::from(listener))
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&format!("bind does not name {address}")), "{stderr}");
}

#[test]
fn systemd_is_notified_of_readiness_reload_stop_and_watchdog() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(wait::LIMIT)).expect("a socket option");
    let next = || {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).expect("the server sends a notification");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let await_other_than_watchdog = || loop {
        let notification = next();
        if notification != "WATCHDOG=1\n" {
            break notification;
        }
    };
    let path = path.display().to_string();
    let script = format!("export NOTIFY_SOCKET={path} WATCHDOG_USEC=50000 WATCHDOG_PID=$$; exec \"$@\"");
    let mut server = Server::start_through(&script, Stdio::null(), "shards = 4\n");
    assert_eq!(await_other_than_watchdog(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1\n");
    }
    server.signal(Signal::HUP);
    let reloading = await_other_than_watchdog();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(await_other_than_watchdog(), "READY=1\n");
    server.signal(Signal::TERM);
    assert_eq!(await_other_than_watchdog(), "STOPPING=1\n");
    assert!(server.wait().success());
}

/// Runs `systemd-analyze` in the directory of the units. Returns success and the output. `scripts/install-deps test` installs it.
fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(["--no-pager"])
        .args(arguments)
        .current_dir(units())
        .output()
        .expect("systemd-analyze starts. Install it: scripts/install-deps test");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

fn units() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd")
}

#[test]
fn the_units_exposure_level_is_below_2() {
    let (is_ok, printed) = analyze(&["security", "--offline=true", "./orosync-server.service"]);
    assert!(is_ok, "{printed}");
    let level = printed.split("Overall exposure level for orosync-server.service: ").nth(1);
    let level: f64 = level.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a level");
    assert!(level < 2.0, "{printed}");
}

#[test]
fn the_units_agree_with_the_server_and_with_the_documents() {
    let unit = std::fs::read_to_string(units().join("orosync-server.service")).expect("the unit");
    let value = |key: &str| {
        let prefix = format!("{key}=");
        let line = unit.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("User"), "orosync");
    assert!(value("ExecReload").contains("HUP"));
    let command = value("ExecStart");
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(
        arguments,
        ["serve", "--config", "/etc/orosync/orosync.toml", "--config", "/etc/orosync/topics.toml"]
    );
    let users = std::fs::read_to_string(units().join("orosync.sysusers")).expect("the user");
    assert!(users.contains("u orosync "));
    // For a reverse proxy on the same machine, at the address in the configuration of docs/deploy.md.
    let socket = std::fs::read_to_string(units().join("orosync-server.socket")).expect("the socket");
    assert!(socket.contains("\nListenStream=127.0.0.1:8080\n"));
    let document = std::fs::read_to_string(units().join("../../docs/deploy.md")).expect("the document");
    assert!(document.contains("# /etc/orosync/orosync.toml\nbind = [\"127.0.0.1:8080\"]\n"));
}

/// Runs `make install` with this directory as DESTDIR and this prefix.
fn install(destination: &Path, prefix: &str) {
    let php = php::command("");
    let extension =
        php.get_args().find_map(|word| word.to_str()?.strip_prefix("extension=")).expect("it is loaded");
    let output = Command::new("make")
        .args(["--no-print-directory", "install", &format!("PREFIX={prefix}")])
        .arg(format!("DESTDIR={}", destination.display()))
        .arg(format!("OROSYNC_SERVER_BIN={}", server::command().get_program().display()))
        .arg(format!("OROSYNC_EXTENSION={extension}"))
        .current_dir(units().join("../.."))
        .output()
        .expect("make starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn systemd_verifies_the_units_that_make_install_writes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    install(directory.path(), "/usr");
    let installed = directory.path().join("usr/lib/systemd/system");
    let unit = installed.join("orosync-server.service");
    let text = std::fs::read_to_string(&unit).expect("the unit is installed");
    assert!(text.contains("\nExecStart=/usr/bin/orosync-server serve "), "{text}");
    // The program exists only below the test's directory.
    let program = directory.path().join("usr/bin/orosync-server").display().to_string();
    std::fs::write(&unit, text.replace("/usr/bin/orosync-server", &program)).expect("the unit is written");
    let paths = ["orosync-server.service", "orosync-server.socket"]
        .map(|name| installed.join(name).display().to_string());
    let (is_ok, printed) = analyze(&["verify", "--man=no", "--recursive-errors=no", &paths[0], &paths[1]]);
    assert!(is_ok && printed.is_empty(), "{printed}");
    assert!(directory.path().join("usr/lib/sysusers.d/orosync.conf").exists());
}

#[test]
fn the_server_runs_as_a_user_without_privileges() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, orosync_tests::SECRET).expect("the secret is written");
    let program = server::command();
    let mut without_rights = Command::new("setpriv");
    without_rights.args(["--no-new-privs"]);
    if rustix::process::geteuid().is_root() {
        without_rights.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    }
    let mut server = without_rights
        .arg(program.get_program())
        .args(["serve", "--bind", "127.0.0.1:0", "--admin-bind", "", "--secret-file"])
        .arg(&secret)
        .current_dir("/")
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv starts");
    let log = std::io::BufReader::new(server.stderr.take().expect("it is piped"));
    let ready = std::io::BufRead::lines(log).map_while(Result::ok).any(|line| line.contains("is ready"));
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    assert!(ready);
}
