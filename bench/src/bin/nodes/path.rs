//! Latency and throughput from a publisher to a browser, through a node, Redis and a node.
//!
//! Compared with the same server without Redis, with Redis' own round trip (PING, and a call of the script that accepts a
//! message), and with Socket.IO and its Redis adapter, which stores and acknowledges nothing and serves its own sessions
//! without asking Redis. `same`: publisher and browser use the same node; `other`: they use two.

use std::io;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use orosync_bench::load::Traffic;
use orosync_bench::machine::monotonic_ns;
use orosync_bench::measure::Subject;
use orosync_bench::process::Process;
use orosync_bench::redis::Client;
use orosync_bench::report::{Case, Report, quotient};

use super::Run;
use super::script::Sender;

const BYTES: usize = 200;

/// Pause between two messages; all processes are idle again when the next one is published.
const PAUSE: Duration = Duration::from_millis(2);

const RATE: Traffic = Traffic { bytes: BYTES, in_flight: 1000 };

/// Limits for the two paths through Redis: the latency of one node plus two round trips of Redis, by PING and by the script.
const BOUNDS: [&str; 2] = ["raw_two_trips", "raw_two_calls"];

pub(super) fn ask(run: &Run<'_>) -> io::Result<()> {
    let redis = run.redis.start()?;
    let mut paths = Paths::start(run, &redis, 1)?;
    latency(run, &redis, &mut paths.subjects)?;
    rate(run, &mut paths.subjects)
}

/// The measured servers, and the nodes that their messages are published to where those differ.
pub(super) struct Paths {
    pub(super) subjects: Vec<Subject>,
    _publishers: Vec<Process>,
}

impl Paths {
    /// Opens so many sessions, each subscribed to one topic.
    pub(super) fn start(run: &Run<'_>, redis: &Process, sessions: usize) -> io::Result<Self> {
        let mut subjects = vec![Subject::start(&run.orosync, sessions, 1)?];
        let mut publishers = Vec::new();
        let by_redis =
            |prefix| [Some(run.node(redis, prefix)), run.socket_io(redis, prefix)].into_iter().flatten();
        for peer in by_redis("redis_same") {
            subjects.push(Subject::start(&peer, sessions, 1)?);
        }
        for peer in by_redis("redis_other") {
            let publisher = peer.start()?;
            let process = peer.start()?;
            publishers.push(publisher);
            let address = publishers.last().map_or(process.address(), Process::address);
            subjects.push(Subject::behind(&peer, process, address, sessions, 1)?);
        }
        Ok(Self { subjects, _publishers: publishers })
    }
}

fn latency(run: &Run<'_>, redis: &Process, subjects: &mut [Subject]) -> io::Result<()> {
    let title = "Latency through Redis";
    let mut report = Report::new("nodes", title, "us", &run.selection);
    let mut cases =
        ["p50", "p99"].map(|quantile| Case::new(format!("one browser, {BYTES} bytes, {quantile}")));
    let messages = if run.is_quick() { 200 } else { 500 };
    let mut client = Client::connect(redis.address())?;
    let mut sender = Sender::new(redis.address())?;
    for _ in 0..run.question.repetitions(5) {
        let (mut trips, mut calls) = (histogram()?, histogram()?);
        let mut waits = subjects.iter().map(|_| histogram()).collect::<io::Result<Vec<_>>>()?;
        for _ in 0..messages {
            thread::sleep(PAUSE);
            let asked = monotonic_ns();
            client.ask(&[b"PING"])?;
            trips.saturating_record(monotonic_ns() - asked);
            thread::sleep(PAUSE);
            let asked = monotonic_ns();
            sender.send_one()?;
            calls.saturating_record(monotonic_ns() - asked);
            for (subject, waits) in subjects.iter_mut().zip(&mut waits) {
                thread::sleep(PAUSE);
                let published = monotonic_ns();
                subject.load.publish_one(BYTES, || waits.saturating_record(monotonic_ns() - published))?;
            }
        }
        for (case, quantile) in cases.iter_mut().zip([0.5, 0.99]) {
            let at = |histogram: &Histogram<u64>| quotient(histogram.value_at_quantile(quantile), 1000);
            let trips = [at(&trips), at(&calls)];
            for (name, trip) in ["raw_ping", "raw_script"].into_iter().zip(trips) {
                case.add(name, trip);
            }
            for (subject, waits) in subjects.iter().zip(&waits) {
                case.add(&subject.name, at(waits));
                if subject.name == "orosync" {
                    for (bound, trip) in BOUNDS.into_iter().zip(trips) {
                        case.add(bound, at(waits) + 2.0 * trip);
                    }
                }
            }
        }
    }
    let [median, _] = &cases;
    for (peer, which) in [("orosync_redis_same", "the same node"), ("orosync_redis_other", "another node")] {
        for (bound, trip) in BOUNDS.into_iter().zip(["PING", "the script"]) {
            let text =
                format!("{}, {which}: through Redis / one node + 2 round trips of {trip}", median.name());
            report.at_most(text, median.ratio(peer, bound), 1.0).if_missed(
                "Redis runs a script for each message, which takes longer than PING. Nodes and Redis share a core here and \
                 wake each other.",
            );
        }
    }
    for case in cases {
        report.add(case);
    }
    report.finish(run.question.extent)
}

fn histogram() -> io::Result<Histogram<u64>> {
    // Nanoseconds with three significant digits, up to one minute.
    Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)
}

fn rate(run: &Run<'_>, subjects: &mut [Subject]) -> io::Result<()> {
    let title = "Latency through Redis";
    let mut report = Report::new("nodes_rate", title, "messages per second", &run.selection);
    let time = Duration::from_millis(if run.is_quick() { 300 } else { 1000 });
    let mut case = Case::new(format!("one browser, {BYTES} bytes, {} in flight", RATE.in_flight));
    for _ in 0..run.question.repetitions(5) {
        for subject in &mut *subjects {
            let per_second = subject.fan_out(RATE, time)?.per_second;
            case.add(&subject.name, per_second);
        }
    }
    report.add(case);
    report.finish(run.question.extent)
}
