//! How long is it from the first message of a request to the browser's event?
//!
//! Each message is the time at which PHP published it; the browser, one session, reads the same clock when the event is there.
//! In turn: `orosync_publish()`, OroPlatform's own WAMP client through the same server, and the same bytes straight from PHP
//! into a socket of the reader, which is what the kernel takes without any server between.
//!
//! Requests of one FPM worker, whose connection was idle for [`IDLE`] when they publish: everybody's threads sleep. And new
//! processes, which connect first. OroPlatform's client comes from clones of its sources: `--oro DIR`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use clap::Parser;
use orosync_bench::host::Host;
use orosync_bench::machine::monotonic_ns;
use orosync_bench::peers::Peer;
use orosync_bench::question::Extent;
use orosync_bench::report::{Case, Report, median, quotient};
use orosync_tests::client::{Client, WAMP};
use orosync_tests::php::{self, Fpm};
use orosync_tests::server::{Server, ticket};

use orosync_protocol::ticket::Role;

/// Longer than the link thread naps after its work.
const IDLE: Duration = Duration::from_millis(5);

/// Where messages go.
const TOPIC: &str = "bench/times";

/// As results name it.
const ORO: &str = "oro_wamp_client";

/// How long is it from the first message of a request to the browser's event?
#[derive(Debug, Parser)]
struct Arguments {
    /// How much is asked.
    #[arg(value_enum, default_value = "full")]
    extent: Extent,
    /// Directory of clones, as `make test-oro` needs them: OroPlatform's WAMP client is measured as well.
    #[arg(long, value_name = "DIR")]
    oro: Option<String>,
}

/// A way to publish: its name in results, and what it does in PHP.
struct Way {
    name: &'static str,
    /// Loads code.
    prepare: String,
    /// Opens what the first message needs, in each request; empty where a process keeps it.
    open: String,
    /// Publishes `$time`.
    publish: String,
}

/// Who receives.
struct Readers {
    browser: Client,
    /// The end of the bare socket that PHP keeps; known once it was used.
    bare: Option<TcpStream>,
    listener: TcpListener,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (repetitions, requests, processes) = match arguments.extent {
        Extent::Quick => (2, 10, 1),
        Extent::Full => (15, 40, 3),
    };
    let policy = format!("[[topics]]\npattern = \"{TOPIC}\"\nsubscribe = \"user\"\npublish = \"user\"\n");
    let server = Server::start_with(&policy);
    let mut browser = Client::user(&server, WAMP, 1);
    browser.subscribe(TOPIC);
    browser.sync();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut readers = Readers { browser, bare: None, listener };

    let mut versions = BTreeMap::from([("orosync".to_owned(), Peer::orosync(None)?.version)]);
    let mut missing = BTreeMap::new();
    let mut ways = vec![orosync(), bare_socket(&readers)?];
    match oro_client(arguments.oro.as_deref()) {
        Ok((version, autoload)) => {
            versions.insert(ORO.to_owned(), version);
            ways.insert(1, oro(&server, &autoload));
        }
        Err(why) => {
            missing.insert(ORO.to_owned(), why);
        }
    }
    let title = "The first message of a request, until a browser has it";
    let mut report = Report::of("publish_to_browser", title, "ms", versions, missing);
    let endpoint = server.endpoint();
    let fpm = Fpm::start(&endpoint, 1, "");
    for way in &ways {
        fpm.write(&format!("{}.php", way.name), &script(way, true));
        fpm.write(&format!("{}_at_once.php", way.name), &script(way, false));
    }
    let mut open = Case::new("connection open, idle for 5 ms");
    let mut connecting = Case::new("connecting included, where the client connects in each request");
    let mut process = Case::new("a new process, connecting included");
    for _ in 0..repetitions {
        for (case, suffix) in [(&mut open, ""), (&mut connecting, "_at_once")] {
            for way in &ways {
                let mut times = Vec::with_capacity(requests);
                for _ in 0..requests {
                    thread::sleep(IDLE);
                    let script = format!("{}{suffix}.php", way.name);
                    let query = format!("ticket={}", ticket(Role::User, Some(7)));
                    times.push(readers.await_message(way, || fpm.get(&script, &query))?);
                }
                case.add(way.name, median(&times));
            }
        }
        for way in &ways {
            let mut times = Vec::with_capacity(processes);
            for _ in 0..processes {
                let script =
                    format!("$_GET['ticket'] = '{}'; {}", ticket(Role::User, Some(7)), script(way, false));
                // A new process has no socket from before.
                readers.bare = None;
                times.push(readers.await_message(way, || php::output(&endpoint, &script))?);
            }
            readers.bare = None;
            process.add(way.name, median(&times));
        }
        ways.rotate_left(1);
    }
    for (case, why) in [(&open, OPEN), (&process, NEW_PROCESS)] {
        let text = format!("{}: orosync / OroPlatform's WAMP client", case.name());
        report.at_most(text, case.ratio("orosync", ORO), 1.1).if_missed(reason(case, why));
    }
    for case in [open, connecting, process] {
        report.add(case);
    }
    report.finish(arguments.extent)?;
    Ok(())
}

/// Why Orosync may take longer where both have a connection.
const OPEN: &str = "Where the link thread sends, it has to be woken first.";

/// The same where both have to connect.
const NEW_PROCESS: &str = "The process starts its link thread, and that publishes only after the server's Welcome has told it what was \
                           accepted before; the script itself does not wait for it.";

fn reason(case: &Case, why: &str) -> String {
    let of = |peer| case.median(peer).unwrap_or_default();
    let (bare, oro, wake) = (of("bare_socket"), of(ORO), Host::here().wake_us);
    format!(
        "{why} A bare socket takes {bare:.3} ms here, the WAMP client {oro:.3} ms, a wake-up {wake:.1} us."
    )
}

impl Readers {
    /// Milliseconds from the time that the message names to its arrival.
    fn await_message(
        &mut self,
        way: &Way,
        publish: impl FnOnce() -> String + Send,
    ) -> Result<f64, Box<dyn Error>> {
        let (text, arrived) = thread::scope(|scope| {
            let publishing = scope.spawn(publish);
            let arrived = match way.name {
                "bare_socket" => self.bare_message(),
                _ => Ok((self.browser.text(), monotonic_ns())),
            };
            let printed = publishing.join().map_err(|_| io::Error::other("PHP did not end well"))?;
            if printed.is_empty() {
                arrived
            } else {
                Err(io::Error::other(format!("{}: {printed}", way.name)))
            }
        })?;
        let published: u64 = text
            .chars()
            .filter(char::is_ascii_digit)
            .skip(way.digits_before())
            .collect::<String>()
            .parse()?;
        Ok(quotient(arrived - published, 1000) / 1e3)
    }

    fn bare_message(&mut self) -> io::Result<(String, u64)> {
        if self.bare.is_none() {
            self.bare = Some(self.listener.accept()?.0);
        }
        let mut text = [0; 20];
        let bare = self.bare.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        bare.read_exact(&mut text)?;
        Ok((String::from_utf8_lossy(&text).into_owned(), monotonic_ns()))
    }
}

impl Way {
    /// Digits of a message before those of the time: an event begins with `[8,`.
    fn digits_before(&self) -> usize {
        usize::from(self.name != "bare_socket")
    }
}

/// Opens and publishes. The time is taken before, or after the open connection was idle.
fn script(way: &Way, is_idle: bool) -> String {
    let Way { prepare, open, publish, .. } = way;
    let take_time = "$time = hrtime(true);";
    if is_idle {
        format!("{prepare} {open} usleep({}); {take_time} {publish}", IDLE.as_micros())
    } else {
        format!("{prepare} {take_time} {open} {publish}")
    }
}

fn orosync() -> Way {
    let publish = format!("orosync_publish('{TOPIC}', $time);");
    Way { name: "orosync", prepare: String::new(), open: String::new(), publish }
}

fn bare_socket(readers: &Readers) -> io::Result<Way> {
    let port = readers.listener.local_addr()?.port();
    Ok(Way {
        name: "bare_socket",
        prepare: String::new(),
        open: format!("$socket = pfsockopen('127.0.0.1', {port});"),
        publish: "fwrite($socket, sprintf('%020d', $time));".into(),
    })
}

/// OroPlatform's `WebsocketClient`, its service, with a ticket from the test. The request goes on for a while: the end of its
/// connection would push out what Nagle's algorithm holds back.
fn oro(server: &Server, autoload: &str) -> Way {
    let address = server.address();
    Way {
        name: ORO,
        prepare: format!(
            "$client = (require '{autoload}')('{}', {}, $_GET['ticket']);",
            address.ip(),
            address.port()
        ),
        open: "$client->connect();".into(),
        publish: format!("$client->publish('{TOPIC}', $time); usleep(2000);"),
    }
}

/// The version of OroPlatform's client in these clones, and the file that makes one; or why it is not measured.
fn oro_client(clones: Option<&str>) -> Result<(String, String), String> {
    let clones = clones.filter(|clones| !clones.is_empty()).ok_or(
        "it comes from clones of OroPlatform and Gos' client, as tests/oro/README.md describes them: make bench ORO=DIR",
    )?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/oro");
    let found = Command::new(&program).arg(clones).output();
    let found = found.map_err(|error| format!("{}: {error}", program.display()))?;
    if !found.status.success() {
        return Err(String::from_utf8_lossy(&found.stderr).trim().to_owned());
    }
    let printed = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    printed
        .split_once('\n')
        .map(|(version, autoload)| (version.to_owned(), autoload.to_owned()))
        .ok_or_else(|| format!("{} printed {printed:?}", program.display()))
}
