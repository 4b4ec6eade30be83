//! What does one delivery cost the server?
//!
//! Microseconds of the server's CPU time for each delivery, and deliveries per second of one core, beside the raw limits
//! and the peers. With one message in flight a server cannot save anything; with 32 it can write what waits at once.

use std::error::Error;
use std::io;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::Traffic;
use orosync_bench::measure::{Subject, thousands};
use orosync_bench::peers::Selection;
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};

/// What does one delivery cost the server?
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
    /// Ask only this: so many sessions.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Spread over so many topics.
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 120)]
    bytes: usize,
    /// Messages in flight; asks this one case.
    #[arg(long)]
    in_flight: Option<usize>,
    /// Seconds of one measurement.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Sessions, topics, and the traffic that they get in turn.
type Scene = (usize, usize, Vec<Traffic>);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let scenes = scenes(&arguments);
    let most = scenes.iter().map(|(sessions, ..)| *sessions).max().unwrap_or_default();
    let selection = question.prepare(descriptors(most))?;
    let mut cpu = Report::new("fan_out", "Fan-out", "us of server CPU per delivery", &selection);
    let mut rate = Report::new("fan_out_rate", "Fan-out", "deliveries per second on one core", &selection);
    for (sessions, topics, traffics) in scenes {
        let time = arguments.seconds.unwrap_or(if sessions > 1000 { 0.6 } else { 0.4 });
        let time = Duration::from_secs_f64(time);
        let mut subjects = start(&selection, sessions, topics)?;
        for traffic in traffics {
            let name = name(sessions, topics, traffic);
            let (mut cpu_case, mut rate_case) = (Case::new(&name), Case::new(&name));
            for _ in 0..question.repetitions(3) {
                for subject in &mut subjects {
                    let fan_out = subject.fan_out(traffic, time)?;
                    cpu_case.add(&subject.name, fan_out.cpu_us);
                    rate_case.add(&subject.name, fan_out.per_second);
                }
            }
            goals(&mut cpu, &cpu_case, &name, traffic);
            cpu.add(cpu_case);
            rate.add(rate_case);
        }
    }
    cpu.finish()?;
    rate.finish()?;
    Ok(())
}

/// All sessions of all peers stay open: a descriptor each, here and in one server.
fn descriptors(sessions: usize) -> u64 {
    (sessions as u64 + 100) * 16
}

fn scenes(arguments: &Arguments) -> Vec<Scene> {
    let traffic = |bytes, in_flight| Traffic { bytes, in_flight };
    if let Some(in_flight) = arguments.in_flight {
        let traffic = vec![traffic(arguments.bytes, in_flight)];
        return vec![(arguments.subscribers, arguments.topics, traffic)];
    }
    let small = vec![traffic(120, 1), traffic(120, 32)];
    let all = vec![traffic(120, 1), traffic(120, 32), traffic(1000, 1), traffic(1000, 32)];
    match arguments.question.extent {
        Extent::Quick => vec![(1000, 1, small)],
        Extent::Full => vec![(1000, 1, all.clone()), (10_000, 1, all), (10_000, 1000, small)],
    }
}

fn start(selection: &Selection, sessions: usize, topics: usize) -> io::Result<Vec<Subject>> {
    selection.peers.iter().map(|peer| Subject::start(peer, sessions, topics)).collect()
}

fn name(sessions: usize, topics: usize, Traffic { bytes, in_flight }: Traffic) -> String {
    let sessions = thousands(sessions);
    match topics {
        1 => format!("{sessions} subscribers, {bytes} bytes, {in_flight} in flight"),
        _ => format!(
            "{sessions} subscribers of {} topics, {bytes} bytes, {in_flight} in flight",
            thousands(topics)
        ),
    }
}

fn goals(report: &mut Report, case: &Case, name: &str, traffic: Traffic) {
    let limits: &[(&str, f64)] = if traffic.in_flight == 1 {
        &[("raw_write", 0.85)]
    } else {
        &[("raw_batch", 1.15), ("bun", 1.0), ("socketify", 1.0)]
    };
    for (other, limit) in limits {
        report.at_most(format!("{name}: orosync / {other}"), case.ratio("orosync", other), *limit);
    }
}
