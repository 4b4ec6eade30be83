//! Steady traffic of real PHP processes, and checks that all of it is delivered once and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::client::{Client, Received};
use crate::php;

/// The topic of all traffic; anyone may subscribe.
pub const TOPIC: &str = "oro/ping";

/// Publishes `[publisher, 0]`, `[publisher, 1]`, ... until its standard input ends, then prints its final report as JSON.
const PUBLISHER: &str = r#"
    [$publisher, $rate] = [(int) $argv[1], (int) $argv[2]];
    stream_set_blocking(STDIN, false);
    $begun = hrtime(true);
    for ($accepted = 0; fgets(STDIN) === false && !feof(STDIN); usleep(2000)) {
        $due = intdiv((hrtime(true) - $begun) * $rate, 1_000_000_000);
        while ($accepted < $due && orosync_publish("oro/ping", [$publisher, $accepted])) { $accepted++; }
    }
    $flushed = orosync_flush(15);
    echo json_encode(["accepted" => $accepted, "flushed" => $flushed] + orosync_status()), "\n";
"#;

/// PHP processes that publish at a steady rate.
#[derive(Debug)]
pub struct Publishers(Vec<Publisher>);

#[derive(Debug)]
struct Publisher {
    child: Child,
    input: Option<ChildStdin>,
}

/// The final report of a publisher.
#[derive(Debug, Default)]
pub struct Report {
    /// Number of messages that `orosync_publish()` accepted.
    pub accepted: usize,
    /// Whether all were acknowledged.
    pub flushed: bool,
    /// Number of reconnects.
    pub reconnects: u64,
    /// Its last error.
    pub last_error: String,
    /// PHP's error log.
    pub log: String,
}

impl Publishers {
    /// Starts `count` processes that publish `rate` messages a second each, with these php.ini settings.
    pub fn start(endpoint: &str, count: usize, rate: usize, settings: &[&str]) -> Self {
        let publisher = |number: usize| {
            let mut command: Command = php::command(endpoint);
            for setting in settings {
                command.args(["-d", setting]);
            }
            let mut child = command
                .args(["-r", PUBLISHER, "--", &number.to_string(), &rate.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("php starts");
            Publisher { input: child.stdin.take(), child }
        };
        Self((0..count).map(publisher).collect())
    }

    /// Ends the processes and returns their reports.
    pub fn finish(mut self) -> Vec<Report> {
        for publisher in &mut self.0 {
            let mut input = publisher.input.take().expect("it was not finished before");
            // A process that has already ended fails below, because its report is missing.
            let _ = input.write_all(b"end\n");
        }
        let end = |publisher: &mut Publisher| {
            let mut line = String::new();
            let output = publisher.child.stdout.take().expect("it is piped");
            BufReader::new(output).read_line(&mut line).expect("php prints its report");
            let mut log = String::new();
            let errors = publisher.child.stderr.take().expect("it is piped");
            BufReader::new(errors).read_to_string(&mut log).expect("text");
            let report: serde_json::Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("php printed {line:?}"));
            Report {
                accepted: usize::try_from(report["accepted"].as_u64().expect("a number")).expect("so few"),
                flushed: report["flushed"] == true,
                reconnects: report["reconnects"].as_u64().expect("a number"),
                last_error: report["last_error"].as_str().unwrap_or_default().to_owned(),
                log,
            }
        };
        self.0.iter_mut().map(end).collect()
    }

    /// Process ids of the publishers.
    pub fn pids(&self) -> Vec<u32> {
        self.0.iter().map(|publisher| publisher.child.id()).collect()
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        for publisher in &mut self.0 {
            // Both fail only if it has already ended.
            let _ = publisher.child.kill();
            let _ = publisher.child.wait();
        }
    }
}

/// A session's events in order of arrival: publisher and number.
pub type Events = Vec<(usize, usize)>;

/// A session that receives events on its own thread until it ends.
#[derive(Debug)]
pub struct Subscriber {
    reader: JoinHandle<(Events, Received)>,
    count: Arc<AtomicUsize>,
}

impl Subscriber {
    /// Subscribes, and waits until the server has processed it.
    pub fn of(mut client: Client) -> Self {
        client.subscribe(TOPIC);
        let count = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&count);
        let reader = thread::spawn(move || {
            let mut events = Events::new();
            loop {
                match client.receive() {
                    Received::Text(text) => events.push(event(&text)),
                    end => return (events, end),
                }
                counting.store(events.len(), Ordering::Release);
            }
        });
        Self { reader, count }
    }

    /// Number of received events.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits for the end of the session. Returns all events, and the last frame or the end of the stream.
    pub fn ended(self) -> (Events, Received) {
        self.reader.join().expect("all events are from these publishers")
    }
}

/// Publisher and number of an event.
pub fn event(text: &str) -> (usize, usize) {
    let (_, _, event): (u8, String, (usize, usize)) =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    event
}

/// Asserts that the numbers of each publisher are consecutive within a session, starting with any number.
pub fn assert_contiguous(events: &Events) {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (publisher, number) in events {
        if let Some(last) = last.insert(*publisher, *number) {
            assert_eq!(*number, last + 1, "publisher {publisher}: {number} follows {last}");
        }
    }
}

/// Asserts that the numbers of each publisher increase within a session. Numbers may be missing.
pub fn assert_in_order(events: &Events) {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (publisher, number) in events {
        if let Some(last) = last.insert(*publisher, *number) {
            assert!(*number > last, "publisher {publisher}: {number} follows {last}");
        }
    }
}

/// Asserts that every accepted message was acknowledged and has arrived in at least one of the sessions.
pub fn assert_complete<'a>(sessions: impl IntoIterator<Item = &'a Events>, publishers: &[Report]) {
    assert_flushed(publishers);
    assert_accepted(sessions, publishers.iter().map(|ended| ended.accepted));
}

/// Asserts that every accepted message was acknowledged.
pub fn assert_flushed(publishers: &[Report]) {
    for (publisher, ended) in publishers.iter().enumerate() {
        assert!(ended.flushed, "publisher {publisher} has unacknowledged messages: {ended:?}");
    }
}

/// Asserts that every message has arrived in at least one of the sessions. `accepted` is the number of accepted messages of
/// each publisher.
pub fn assert_accepted<'a>(
    sessions: impl IntoIterator<Item = &'a Events>,
    accepted: impl IntoIterator<Item = usize>,
) {
    let seen: BTreeSet<(usize, usize)> = sessions.into_iter().flatten().copied().collect();
    for (publisher, accepted) in accepted.into_iter().enumerate() {
        let missing: Vec<usize> =
            (0..accepted).filter(|number| !seen.contains(&(publisher, *number))).collect();
        assert!(
            missing.is_empty(),
            "publisher {publisher}: {} of {accepted} accepted messages did not arrive, the first {:?}",
            missing.len(),
            &missing[..missing.len().min(10)]
        );
    }
}
