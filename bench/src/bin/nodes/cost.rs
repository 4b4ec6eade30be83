//! CPU cost of a delivery on a node with Redis. It should equal the cost without Redis, because messages from Redis and from
//! publishers take the same path. Also the cost of messages that no session of the node subscribes to. It should be zero,
//! because Redis does not push them to the node.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use orosync_bench::load::{Load, Traffic};
use orosync_bench::measure::{Subject, settle};
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::Tickets;
use orosync_tests::client::{Client, OROSYNC};

use super::Run;
use super::path::Paths;

const SUBSCRIBERS: usize = 1000;
const BYTES: usize = 120;

/// Messages for other nodes: this batch size and interval make 10,000 a second.
const BURST: usize = 100;
const INTERVAL: Duration = Duration::from_millis(10);

pub(super) fn ask(run: &Run<'_>) -> io::Result<()> {
    let title = "Cost of a delivery at a node";
    let mut report = Report::new("nodes_cpu", title, "us of a node's CPU", &run.selection);
    deliveries(run, &mut report)?;
    others(run, &mut report)?;
    report.finish(run.question.extent)
}

fn deliveries(run: &Run<'_>, report: &mut Report) -> io::Result<()> {
    let redis = run.redis.start()?;
    let mut paths = Paths::start(run, &redis, SUBSCRIBERS)?;
    let time = Duration::from_millis(if run.is_quick() { 250 } else { 500 });
    for (name, burst) in [("one by one", 1), ("in bursts of 32", 32)] {
        let mut case = Case::new(format!("each delivery, 1,000 subscribers, {BYTES} bytes, {name}"));
        for _ in 0..run.question.repetitions(5) {
            for subject in &mut paths.subjects {
                let cost = bursts(subject, burst, time)?;
                case.add(&subject.name, cost);
            }
        }
        for (peer, which) in [("orosync_redis_same", "publisher's"), ("orosync_redis_other", "another")] {
            let text = format!("{}: {which} node on Redis / one node", case.name());
            report.at_most(text, case.ratio(peer, "orosync"), 1.1)
                .if_missed("A node reads each message from Redis and parses it before delivery; with few deliveries this cost is shared by few.");
        }
        report.add(case);
    }
    Ok(())
}

/// Microseconds of CPU per delivery. Each burst waits for the previous one, so that all servers can batch the same number of
/// messages in one write.
fn bursts(subject: &mut Subject, burst: usize, time: Duration) -> io::Result<f64> {
    let traffic = Traffic { bytes: BYTES, in_flight: burst };
    subject.load.publish_all(burst, traffic)?;
    let (end, cpu, delivered) = (Instant::now() + time, subject.process.cpu_ns()?, subject.load.delivered());
    while Instant::now() < end {
        subject.load.publish_all(burst, traffic)?;
    }
    let delivered = subject.load.delivered() - delivered;
    Ok(quotient(subject.process.cpu_ns()? - cpu, delivered) / 1e3)
}

fn others(run: &Run<'_>, report: &mut Report) -> io::Result<()> {
    let redis = run.redis.start()?;
    let peer = run.node(&redis, "redis_other");
    let (busy, idle) = (peer.start()?, peer.start()?);
    let mut load = Load::open(peer.wire, busy.address(), 1, 1)?;
    let mut client = Client::connect_to(idle.address());
    client.handshake(&format!("/?ticket={}", Tickets::default().user()), OROSYNC);
    client.subscribe("bench/another");
    settle(&idle)?;
    let time = Duration::from_secs(if run.is_quick() { 2 } else { 10 });
    let mut quiet = Case::new("an idle node, each second");
    let mut each =
        Case::new("each message of a topic that nobody at the node subscribes to, 10,000 a second");
    for _ in 0..run.question.repetitions(3) {
        let before = idle.cpu_ns()?;
        thread::sleep(time);
        let nothing = idle.cpu_ns()? - before;
        let (before, mut sent, begun) = (idle.cpu_ns()?, 0, Instant::now());
        let mut next = begun;
        while begun.elapsed() < time {
            load.publish_all(BURST, Traffic { bytes: BYTES, in_flight: BURST })?;
            sent += BURST as u64;
            next += INTERVAL;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        // A late batch extends the measured time.
        let share = begun.elapsed().div_duration_f64(time);
        let meanwhile = idle.cpu_ns()? - before;
        quiet.add(&peer.name, quotient(nothing, 1000) / time.as_secs_f64());
        each.add(
            &peer.name,
            (quotient(meanwhile, 1) - quotient(nothing, 1) * share) / quotient(sent, 1) / 1e3,
        );
    }
    report.at_most(each.name().to_owned(), each.median(&peer.name), 0.05).if_missed(
        "It is the difference of two small figures and includes the work of other processes on this core.",
    );
    report.add(quiet);
    report.add(each);
    Ok(())
}
