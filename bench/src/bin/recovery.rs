//! Latency of other sessions, and the server's cost, when 10,000 sessions reconnect within five seconds after a restart and
//! each recovers 20 events.
//!
//! Units: milliseconds from a publish to each of 100 sessions that were connected before, 99th percentile, and microseconds of
//! server CPU per reconnecting session. Three cases: no reconnects, reconnects that only subscribe, reconnects that recover.
//! No other server is measured: none has a history that 10,000 sessions can query over their connection.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use orosync_bench::load::Load;
use orosync_bench::measure::{settle, thousands};
use orosync_bench::others::p99_during;
use orosync_bench::peers::Peer;
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::{RETURNING_TOPIC, SECRET, Step, Tickets, Wire};
use orosync_tests::source::Source;

const OTHERS: usize = 100;
const INTERVAL: Duration = Duration::from_millis(20);
const EVENTS: usize = 20;
const BYTES: usize = 120;

/// Latency of other sessions when 10,000 sessions reconnect at once.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
    /// Measure one case only: number of sessions that reconnect.
    #[arg(long)]
    sessions: Option<usize>,
    /// Seconds within which they reconnect.
    #[arg(long)]
    seconds: Option<u64>,
}

/// The steps by which a session reconnects.
type How = fn(Wire, usize, &mut Tickets) -> Vec<Step>;

/// Latency of the other sessions, and cost of the server.
struct Cost {
    /// Latency in nanoseconds, 99th percentile.
    p99: u64,
    /// CPU time of the server, in nanoseconds.
    cpu: u64,
    /// Duration in nanoseconds.
    elapsed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let mut selection = question.prepare()?;
    selection.peers.retain(|peer| peer.wire == Wire::Orosync);
    selection.missing.clear();
    let (sessions, seconds) = match question.extent {
        Extent::Quick => (1000, 1),
        Extent::Full => (10_000, 5),
    };
    let sessions = arguments.sessions.unwrap_or(sessions);
    let time = Duration::from_secs(arguments.seconds.unwrap_or(seconds));
    let title = "Reconnects after a restart";
    let mut latency =
        Report::new("recovery", title, "ms from a publish to each of 100 others, p99", &selection);
    let mut cpu = Report::new("recovery_cpu", title, "us of server CPU for each that comes", &selection);
    let count = thousands(sessions);
    let mut quiet = Case::new("nobody comes");
    let mut waits =
        ["subscribe", "recover 20 events"].map(|what| Case::new(format!("{count} reconnect and {what}")));
    let mut costs = ["subscribe", "recover 20 events"].map(Case::new);
    for _ in 0..question.repetitions(5) {
        for peer in &selection.peers {
            let without_calls = reconnect(peer, None, sessions, time)?;
            quiet.add(&peer.name, quotient(without_calls.p99, 1_000_000));
            for (index, how) in [subscribe as How, Wire::returning as How].into_iter().enumerate() {
                let with_calls = reconnect(peer, Some(how), sessions, time)?;
                waits[index].add(&peer.name, quotient(with_calls.p99, 1_000_000));
                let others =
                    quotient(without_calls.cpu, without_calls.elapsed) * quotient(with_calls.elapsed, 1);
                let cpu = quotient(with_calls.cpu, 1) - others;
                costs[index].add(&peer.name, cpu / quotient(sessions as u64, 1) / 1e3);
            }
        }
    }
    let [_, recover] = &waits;
    latency.at_most(
        "p99 of others: while they recover / while nobody comes",
        recover.ratio_to(&quiet, "orosync"),
        2.0,
    )
    .if_missed("The load generator opens the sessions and reads the others' events on one core; the latency includes its own work.");
    let [plain, recover] = &costs;
    cpu.at_most("CPU: recover 20 events / subscribe", recover.ratio_to(plain, "orosync"), 1.5)
        .if_missed("20 events are copied into one answer for each session.");
    latency.add(quiet);
    for (wait, cost) in waits.into_iter().zip(costs) {
        latency.add(wait);
        cpu.add(cost);
    }
    latency.finish(question.extent)?;
    cpu.finish(question.extent)?;
    Ok(())
}

/// Reconnects without recovery, to a topic without events.
fn subscribe(wire: Wire, _: usize, tickets: &mut Tickets) -> Vec<Step> {
    wire.subscriber(1, tickets)
}

fn reconnect(peer: &Peer, how: Option<How>, sessions: usize, time: Duration) -> io::Result<Cost> {
    let process = peer.start()?;
    let mut source = Source::with_secret(&format!("ws://{}/", process.address()), SECRET);
    source.publish_all(RETURNING_TOPIC, (0..EVENTS).map(|number| format!("{number:<0$}", BYTES - 2)));
    let others = Load::open(peer.wire, process.address(), OTHERS, 1)?;
    let mut crowd = Load::without_sessions(peer.wire, process.address(), 1)?;
    let steps = how.map(|how| crowd.steps(sessions, how));
    settle(&process)?;
    let (begun, before) = (Instant::now(), process.cpu_ns()?);
    let p99 = p99_during(others, INTERVAL, BYTES, || {
        let Some(steps) = steps else {
            thread::sleep(time);
            return Ok(());
        };
        crowd.open_within(steps, time)
    })?;
    #[expect(clippy::cast_possible_truncation, reason = "seconds, in nanoseconds")]
    let elapsed = begun.elapsed().as_nanos() as u64;
    Ok(Cost { p99, cpu: process.cpu_ns()? - before, elapsed })
}
