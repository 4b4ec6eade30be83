//! Measures the time from the first message of a request to the browser's event.
//!
//! Each message contains the time of its publishing call in PHP; the browser (one session) reads the same clock when the event
//! arrives. Measured in turn: `orosync_publish()`, OroPlatform's own WAMP client through the same server, and the same bytes
//! written by PHP to a socket of the reader, which is the kernel's time without a server.
//!
//! Two cases: requests of one FPM worker whose connection was idle for [`IDLE`], so all threads on the way sleep; and new
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

/// Idle time before a publish; longer than the link thread's nap after its work.
const IDLE: Duration = Duration::from_millis(5);

/// The topic of all messages.
const TOPIC: &str = "bench/times";

/// Its name in the results.
const ORO: &str = "oro_wamp_client";

/// Measures the time from the first message of a request to the browser's event.
#[derive(Debug, Parser)]
struct Arguments {
    /// Extent of the run.
    #[arg(value_enum, default_value = "full")]
    extent: Extent,
    /// Directory of clones, as for `make test-oro`; if set, OroPlatform's WAMP client is measured too.
    #[arg(long, value_name = "DIR")]
    oro: Option<String>,
}

/// A way to publish: its name in the results, and its PHP code.
struct Way {
    name: &'static str,
    /// PHP code that loads the client.
    prepare: String,
    /// PHP code that connects in each request; empty where the process keeps its connection.
    open: String,
    /// PHP code that publishes `$time`.
    publish: String,
}

/// The receiver.
struct Readers {
    browser: Client,
    /// The accepted end of PHP's persistent bare socket; set on its first use.
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
                // A new process has no persistent socket yet.
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

/// Why Orosync may take longer when both clients have an open connection.
const OPEN: &str = "If the link thread sends, it must be woken first.";

/// Why Orosync may take longer when both clients have to connect.
const NEW_PROCESS: &str = "The process starts its link thread, which publishes only after the server's Welcome has reported what was \
                           accepted before; the script itself does not wait for it.";

fn reason(case: &Case, why: &str) -> String {
    let of = |peer| case.median(peer).unwrap_or_default();
    let (bare, oro, wake) = (of("bare_socket"), of(ORO), Host::here().wake_us);
    format!(
        "{why} A bare socket takes {bare:.3} ms here, the WAMP client {oro:.3} ms, a wake-up {wake:.1} us."
    )
}

impl Readers {
    /// Milliseconds from the time in the message to its arrival.
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
    /// Digits in a message before those of the time: an event begins with `[8,`.
    fn digits_before(&self) -> usize {
        usize::from(self.name != "bare_socket")
    }
}

/// PHP code that connects and publishes. It reads the clock first, or, with an open connection, after the idle time.
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

/// OroPlatform's `WebsocketClient` service with a ticket from the test. The request continues for a while after publishing,
/// because closing its connection would flush the data that Nagle's algorithm holds back.
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

/// The version of OroPlatform's client in these clones, and the file that creates one; or why it is not measured.
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
