//! Latency of other sessions while a crowd acts on the same server: 1,000 sessions subscribe to 100,000 topics, they leave, or
//! 5,000 connections open and close without sending anything.
//!
//! Unit: milliseconds from a publish to each of 200 sessions that were connected before, 99th percentile. Beside each figure
//! stands one of the same server just before, idle for the same time. Only Orosync is measured: the crowd uses its protocol.

use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use orosync_bench::load::{Load, OPENING_AT_ONCE};
use orosync_bench::measure::settle;
use orosync_bench::others::p99_during;
use orosync_bench::peers::Peer;
use orosync_bench::question::Question;
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::Wire;

const OTHERS: usize = 200;
const INTERVAL: Duration = Duration::from_millis(5);
const BYTES: usize = 120;
const SESSIONS: usize = 1000;
const CONNECTIONS: usize = 5000;

/// Minimum duration of a measurement, so that the aftermath of a crowd is included.
const LEAST: Duration = Duration::from_millis(500);

/// Goal: the highest ratio of the other sessions' p99 with the crowd to that before it.
const LIMIT: f64 = 2.0;

/// Latency of other sessions while a crowd acts on the same server.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

/// An action of the crowd.
#[derive(Clone, Copy, Debug)]
enum Act {
    Subscribe,
    Leave,
    ComeAndGo,
}

const ACTS: [(Act, &str); 3] = [
    (Act::Subscribe, "100,000 topics come"),
    (Act::Leave, "100,000 topics go"),
    (Act::ComeAndGo, "5,000 connections come and go"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let mut selection = question.prepare()?;
    selection.peers.retain(|peer| peer.wire == Wire::Orosync && peer.name != "orosync_writev");
    selection.missing.clear();
    let mut report =
        Report::new("crowds", "Crowds", "ms from a publish to each of 200 others, p99", &selection);
    let mut cases = ACTS.map(|(_, name)| Case::new(name));
    for _ in 0..question.repetitions(5) {
        for peer in &selection.peers {
            for ((act, _), case) in ACTS.into_iter().zip(&mut cases) {
                let [before, during] = notice(peer, act)?;
                case.add(&quiet(&peer.name), quotient(before, 1_000_000));
                case.add(&peer.name, quotient(during, 1_000_000));
            }
        }
    }
    for case in cases {
        let text = format!("{}: p99 of others / before", case.name());
        report.at_most(text, case.ratio("orosync", "quiet"), LIMIT).if_missed(
            "Load generator, crowd and server share the processors, so each of them delays the others.",
        );
        report.add(case);
    }
    report.finish(question.extent)?;
    Ok(())
}

/// The name of the row for a server before the crowd.
fn quiet(server: &str) -> String {
    if server == "orosync" { "quiet".to_owned() } else { format!("{server}, quiet") }
}

/// Latency of the other sessions in nanoseconds, p99: before the action and during it.
fn notice(peer: &Peer, act: Act) -> io::Result<[u64; 2]> {
    let process = peer.start()?;
    let mut crowd = Load::without_sessions(peer.wire, process.address(), SESSIONS)?;
    let mut steps = Some(crowd.steps(SESSIONS, Wire::many_topics));
    if matches!(act, Act::Leave)
        && let Some(steps) = steps.take()
    {
        crowd.open_all(steps, OPENING_AT_ONCE)?;
    }
    let others = || Load::open(peer.wire, process.address(), OTHERS, 1);
    let quiet = others()?;
    settle(&process)?;
    let before = p99_during(quiet, INTERVAL, BYTES, || {
        thread::sleep(LEAST);
        Ok(())
    })?;
    let disturbed = others()?;
    settle(&process)?;
    let during = p99_during(disturbed, INTERVAL, BYTES, || {
        let begun = Instant::now();
        match act {
            Act::Subscribe => {
                if let Some(steps) = steps {
                    crowd.open_all(steps, OPENING_AT_ONCE)?;
                }
            }
            Act::Leave => crowd.close_sessions(),
            Act::ComeAndGo => {
                for _ in 0..CONNECTIONS {
                    drop(TcpStream::connect(process.address())?);
                }
            }
        }
        thread::sleep(LEAST.saturating_sub(begun.elapsed()));
        Ok(())
    })?;
    Ok([before, during])
}
