//! Runs the reverse proxies of `docs/deploy.md`: each configuration block is completed to a minimal configuration with its own
//! address and TLS.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use orosync_protocol::ticket::Role;
use orosync_tests::certificate::Certificate;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP, frame};
use orosync_tests::server::ticket;
use orosync_tests::{address, php, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::markdown::{Block, Document};
use crate::sandbox::Sandbox;

/// The browser's address: a loopback address that the server does not trust as a proxy.
const BROWSER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Headers with a forged address, as a client may send them.
const FORGED: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n";

/// The timeout in the examples, and its replacement in the test.
const TIMEOUT_SECONDS: &str = "75";
const SHORT_TIMEOUT_SECONDS: u64 = 3;

/// The language of a block, and its program.
const LANGUAGES: [(&str, Program); 4] = [
    ("nginx", Program::Nginx),
    ("apache", Program::Apache),
    ("haproxy", Program::Haproxy),
    ("caddy", Program::Caddy),
];

/// The marker of a block that contains a complete NGINX server, which `make test-deploy` runs.
const WHOLE_SERVER: &str = "server";

/// A frontend, for blocks that contain only a backend.
const HAPROXY_FRONTEND: &str = "
frontend web
    mode http
    bind :443 ssl crt /etc/haproxy/example.com.pem
    http-request set-log-level silent if { path /ws }
    use_backend orosync if { path /ws }
    default_backend application
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    Apache,
    Haproxy,
    Caddy,
}

impl Program {
    fn of(block: &Block) -> Option<Self> {
        LANGUAGES.iter().find(|(language, _)| *language == block.language).map(|(_, program)| *program)
    }

    /// A complete configuration that contains the block.
    fn configuration(self, text: &str, directory: &Path, address: SocketAddr) -> String {
        let directory = directory.display();
        match self {
            Self::Nginx => {
                let server = if text.contains("\nserver {") {
                    text.replace("listen 443 ssl;", &format!("listen {address} ssl;"))
                        .replace("/etc/ssl/example.com.pem", &format!("{directory}/certificate.pem"))
                        .replace("/etc/ssl/example.com.key", &format!("{directory}/key.pem"))
                        .replace("include snippets/orosync.conf;", "")
                        .replace("include fastcgi.conf;", "include /etc/nginx/fastcgi.conf;")
                } else {
                    format!(
                        "server {{\nlisten {address} ssl;\nssl_certificate {directory}/certificate.pem;\n\
                         ssl_certificate_key {directory}/key.pem;\n{text}}}\n"
                    )
                };
                format!(
                    "daemon off;\nuser root;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{}}\nhttp {{\n\
                     access_log {directory}/access.log;\nclient_body_temp_path {directory}/body;\n\
                     proxy_temp_path {directory}/proxy;\nfastcgi_temp_path {directory}/fastcgi;\n\
                     uwsgi_temp_path {directory}/uwsgi;\nscgi_temp_path {directory}/scgi;\n{server}}}\n"
                )
            }
            Self::Apache => {
                // Only the module that the block needs, because another one could serve the same directives.
                let module = if text.contains("\"ws://") { "proxy_wstunnel" } else { "proxy_http" };
                let mut configuration = String::new();
                for name in ["mpm_event", "authz_core", "setenvif", "socache_shmcb", "ssl", "proxy", module] {
                    // Writing into a String cannot fail.
                    let _ = writeln!(
                        configuration,
                        "LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                    );
                }
                format!(
                    "{configuration}ServerName localhost\nListen {address}\nPidFile {directory}/pid\n\
                     DefaultRuntimeDir {directory}\nDocumentRoot {directory}\nErrorLog {directory}/error.log\n\
                     Timeout {SHORT_TIMEOUT_SECONDS}\nLogFormat \"%h %r %>s\" combined\n\
                     <VirtualHost {address}>\nSSLEngine on\nSSLCertificateFile {directory}/certificate.pem\n\
                     SSLCertificateKeyFile {directory}/key.pem\n{text}</VirtualHost>\n"
                )
            }
            Self::Haproxy => {
                let frontend = if text.contains("frontend ") { "" } else { HAPROXY_FRONTEND };
                let text = format!("{frontend}{text}")
                    .replace("bind :443", &format!("bind {address}"))
                    .replace("/etc/haproxy/example.com.pem", &format!("{directory}/both.pem"));
                format!(
                    "global\n    log stdout format raw local0\ndefaults\n    log global\n    option httplog\n    \
                     timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n\
                     {text}\nbackend application\n    mode http\n    http-request return status 404\n"
                )
            }
            Self::Caddy => {
                let site = format!(
                    "https://localhost:{0}, https://{1}:{0} {{\n    bind {1}\n    tls {directory}/certificate.pem {directory}/key.pem\n    \
                     log {{\n        output file {directory}/access.log\n    }}\n",
                    address.port(),
                    address.ip()
                );
                let text = text.replace("example.com {\n", &site);
                format!(
                    "{{\n    admin off\n    auto_https disable_redirects\n    \
                     storage file_system {directory}/storage\n}}\n{text}"
                )
            }
        }
    }

    /// The command that runs the program with this configuration in the foreground, or only checks the configuration.
    fn command(self, file: &Path, directory: &Path, only_check: bool) -> Command {
        let name = match self {
            Self::Nginx => "/usr/sbin/nginx",
            Self::Apache => "/usr/sbin/apache2",
            Self::Haproxy => "/usr/sbin/haproxy",
            Self::Caddy => "/usr/bin/caddy",
        };
        let mut command = Command::new(name);
        match self {
            Self::Nginx => {
                command.args(only_check.then_some("-t")).arg("-q").arg("-e").arg(directory.join("error.log"));
                command.arg("-c").arg(file);
            }
            Self::Apache => {
                command.arg(if only_check { "-t" } else { "-DFOREGROUND" }).arg("-f").arg(file);
                command.env("APACHE_LOG_DIR", directory);
            }
            Self::Haproxy => {
                command.args(only_check.then_some("-c")).arg("-f").arg(file);
            }
            Self::Caddy => {
                command.arg(if only_check { "validate" } else { "run" });
                command.args(["--adapter", "caddyfile", "--config"]).arg(file);
                command.env("HOME", directory).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
            }
        }
        command
    }
}

/// A running reverse proxy. Killed on drop.
pub(crate) struct ReverseProxy {
    child: Child,
    address: SocketAddr,
    certificate: Certificate,
    directory: PathBuf,
}

impl ReverseProxy {
    pub(crate) fn start(program: Program, text: &str, sandbox: &Sandbox) -> Self {
        let (file, directory, address, certificate) = write(program, text, sandbox);
        let output = fs::File::create(directory.join("output")).expect("a file");
        let errors = output.try_clone().expect("a descriptor");
        let mut child = program
            .command(&file, &directory, false)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("it starts");
        wait::until_true("the reverse proxy listens", || {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "{program:?}: {}", logs(&directory));
            TcpStream::connect(address).is_ok()
        });
        Self { child, address, certificate, directory }
    }

    fn browser(&self) -> Client {
        Client::connect_tls_from(BROWSER, self.address, &self.certificate)
    }

    /// Opens a session of a back-office user. Returns its ticket too.
    pub(crate) fn session(&self) -> (Client, String) {
        let (mut client, ticket) = (self.browser(), ticket(Role::User, Some(1)));
        let head = client.handshake(&format!("/ws?ticket={ticket}"), OROSYNC);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(client.text().starts_with("[0,"));
        (client, ticket)
    }

    /// Publishes from PHP, which trusts the certificate. Returns the output.
    fn publish(&self, topic: &str) -> String {
        let trust = format!("orosync.ca_file={}", self.directory.join("certificate.pem").display());
        let script = format!("orosync_publish('{topic}', 1); var_dump(orosync_flush(10));");
        let mut command = php::command(&format!("wss://{}/ws", self.address));
        let output = command.args(["-d", &trust, "-r", &script]).output().expect("php starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until `last` is logged, because some programs log a request after its response. Ends the program and returns its logs.
    fn logs(mut self, last: &str) -> String {
        wait::until_true(&format!("{last} is logged"), || logs(&self.directory).contains(last));
        // An error means that it has already ended.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        wait::until("it ends", || self.child.try_wait().expect("a child"));
        logs(&self.directory)
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        // With SIGTERM the program also ends its workers.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        wait::until("it ends", || self.child.try_wait().expect("a child"));
    }
}

/// All logs and the output of the program.
fn logs(directory: &Path) -> String {
    ["access.log", "error.log", "output"]
        .iter()
        .filter_map(|name| fs::read_to_string(directory.join(name)).ok())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Writes the configuration and a certificate for its own address.
fn write(program: Program, text: &str, sandbox: &Sandbox) -> (PathBuf, PathBuf, SocketAddr, Certificate) {
    let directory = sandbox.path("proxy");
    fs::create_dir_all(&directory).expect("a directory");
    let address = address::free();
    let certificate = Certificate::with_address(address.ip());
    let (chain, key) = certificate.write(&directory);
    let both = [chain, key].map(|file| fs::read_to_string(file).expect("it was written"));
    fs::write(directory.join("both.pem"), both.concat()).expect("a file is written");
    let file = directory.join("configuration");
    fs::write(&file, program.configuration(&sandbox.translate(text), &directory, address))
        .expect("a file is written");
    (file, directory, address, certificate)
}

/// Checks a block with the program.
pub(crate) fn check(block: &Block, sandbox: &Sandbox) -> Result<(), String> {
    let program = Program::of(block).expect("one of the languages");
    let (file, directory, ..) = write(program, &block.text, sandbox);
    let mut command = program.command(&file, &directory, true);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// All configuration blocks of `docs/deploy.md` that forward sessions.
fn blocks() -> Vec<(Program, Block)> {
    let blocks = Document::named("docs/deploy.md").blocks().into_iter();
    let blocks = blocks.filter(|block| block.marker != WHOLE_SERVER);
    blocks.filter_map(|block| Some((Program::of(&block)?, block))).collect()
}

#[test]
fn every_reverse_proxy_listed_as_tested_has_an_example() {
    let document = Document::named("docs/deploy.md");
    let rows = document.rows("| reverse proxy | tested with |");
    let tested = rows.iter().filter(|row| !row.contains("not tested"));
    let names: Vec<String> =
        tested.filter_map(|row| Some(row.split_once('[')?.1.split_once(']')?.0.to_lowercase())).collect();
    let languages: Vec<&str> = LANGUAGES.iter().map(|(language, _)| *language).collect();
    assert_eq!(names, languages);
    for (language, program) in LANGUAGES {
        assert!(blocks().iter().any(|(other, _)| *other == program), "{language} has no example");
    }
}

#[test]
fn each_reverse_proxy_forwards_browsers_and_publishers_with_their_addresses() {
    for (program, block) in blocks() {
        println!("{}", block.location);
        let mut sandbox = Sandbox::new();
        let proxy = ReverseProxy::start(program, &block.text, &sandbox);

        let mut refused = proxy.browser();
        let head = refused.handshake("/ws?ticket=wrong", &format!("{WAMP}{FORGED}"));
        assert!(head.starts_with("HTTP/1.1 401 "), "{}: {head}", block.location);
        let line = sandbox.server_mut().await_line("ticket rejected");
        assert!(line.contains(&format!(r#""peer":"{BROWSER}"#)), "{}: {line}", block.location);

        let (mut client, ticket) = proxy.session();
        client.subscribe("oro/ping");
        assert_eq!(proxy.publish("oro/ping"), "bool(true)\n", "{}", block.location);
        assert_eq!(client.text(), r#"[8,"oro\/ping",1]"#, "{}", block.location);
        sandbox.server().signal(Signal::TERM);
        assert_eq!(client.receive(), Received::Close(1001), "{}", block.location);

        let mut other = proxy.browser();
        other.handshake("/elsewhere", "");
        drop((refused, client, other));
        let logs = proxy.logs("/elsewhere");
        assert!(!logs.contains(&ticket), "{}: {logs}", block.location);
    }
}

#[test]
fn no_reverse_proxy_logs_an_unused_ticket_while_the_server_is_down() {
    let mut leaks = Vec::new();
    for (program, block) in blocks() {
        let mut sandbox = Sandbox::new();
        sandbox.server().signal(Signal::KILL);
        sandbox.server_mut().wait();
        let proxy = ReverseProxy::start(program, &block.text, &sandbox);

        let ticket = ticket(Role::User, Some(1));
        let mut browser = proxy.browser();
        let head = browser.handshake(&format!("/ws?ticket={ticket}"), WAMP);
        assert!(head.starts_with("HTTP/1.1 50"), "{}: {head}", block.location);

        let mut other = proxy.browser();
        other.handshake("/elsewhere", "");
        drop((browser, other));
        let logs = proxy.logs("/elsewhere");
        if logs.contains(&ticket) {
            leaks.push(format!("{}: {logs}", block.location));
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[test]
fn each_reverse_proxy_keeps_a_session_that_is_pinged_within_its_timeout() {
    let pings_every =
        |seconds: u64| format!("[limits]\nping_interval_seconds = {seconds}\nping_timeout_seconds = 1\n");
    thread::scope(|scope| {
        for (program, mut block) in blocks() {
            let has_timeout = block.text.contains(TIMEOUT_SECONDS);
            block.text = block.text.replace(TIMEOUT_SECONDS, &SHORT_TIMEOUT_SECONDS.to_string());
            scope.spawn(move || {
                let (frequent, rare) =
                    (Sandbox::with(&pings_every(1)), Sandbox::with(&pings_every(10 * SHORT_TIMEOUT_SECONDS)));
                let kept = ReverseProxy::start(program, &block.text, &frequent);
                let silent = ReverseProxy::start(program, &block.text, &rare);
                let ((mut pinged, _), (mut unpinged, _)) = (kept.session(), silent.session());
                let end = Instant::now() + Duration::from_secs(3 * SHORT_TIMEOUT_SECONDS);
                while Instant::now() < end {
                    assert_eq!(pinged.next_frame(), Received::Ping, "{}", block.location);
                    pinged.send(&frame(10, b""));
                }
                pinged.sync();
                if has_timeout {
                    assert_eq!(unpinged.receive(), Received::End, "{}: the timeout applies", block.location);
                }
            });
        }
    });
}
