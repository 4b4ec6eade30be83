//! Measures the server's CPU time per delivery.
//!
//! Units: microseconds of server CPU time per delivery, and deliveries per second on one core; compared with the raw limits and
//! the peers. With one message in flight a server cannot batch; with 32 it can write all waiting messages at once.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::Traffic;
use orosync_bench::measure::{Turns, thousands};
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};

/// Measures the server's CPU time per delivery.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
    /// Measure one case only: number of sessions.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Number of topics that the sessions are spread over.
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Payload size in bytes.
    #[arg(long, default_value_t = 120)]
    bytes: usize,
    /// Messages in flight; if set, measures this case only.
    #[arg(long)]
    in_flight: Option<usize>,
    /// Duration of one measurement in seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Number of sessions, number of topics, and the traffic patterns that are measured in turn.
type Scene = (usize, usize, Vec<Traffic>);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let selection = question.prepare()?;
    let mut cpu = Report::new("fan_out", "Fan-out", "us of server CPU per delivery", &selection);
    let mut rate = Report::new("fan_out_rate", "Fan-out", "deliveries per second on one core", &selection);
    for (sessions, topics, traffics) in scenes(&arguments) {
        let seconds = match question.extent {
            Extent::Quick => 0.2,
            Extent::Full => 0.4,
        };
        let time = Duration::from_secs_f64(arguments.seconds.unwrap_or(seconds));
        let names: Vec<String> = traffics.iter().map(|traffic| name(sessions, topics, *traffic)).collect();
        let mut cpu_cases: Vec<Case> = names.iter().map(Case::new).collect();
        let mut rate_cases: Vec<Case> = names.iter().map(Case::new).collect();
        let mut turns = Turns::new(&selection, sessions, topics)?;
        for _ in 0..question.repetitions(if sessions > 1000 { 2 } else { 3 }) {
            turns.take(&traffics, time, |traffic, peer, fan_out| {
                cpu_cases[traffic].add(peer, fan_out.cpu_us);
                rate_cases[traffic].add(peer, fan_out.per_second);
            })?;
        }
        for ((case, name), traffic) in cpu_cases.into_iter().zip(&names).zip(traffics) {
            goals(&mut cpu, &case, name, sessions, traffic);
            cpu.add(case);
        }
        for case in rate_cases {
            rate.add(case);
        }
    }
    cpu.finish(question.extent)?;
    rate.finish(question.extent)?;
    Ok(())
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

fn goals(report: &mut Report, case: &Case, name: &str, sessions: usize, traffic: Traffic) {
    let limits: &[(&str, f64)] = if traffic.in_flight == 1 {
        &[("raw_write", 0.85)]
    } else {
        &[("raw_batch", 1.15), ("bun", 1.0), ("socketify", 1.0)]
    };
    for (other, limit) in limits {
        let text = format!("{name}: orosync / {other}");
        report.at_most(text, case.ratio("orosync", other), *limit).if_missed(reason(case, sessions, traffic));
    }
}

/// Why a goal of this case is missed: with one message in flight the kernel, beyond 1,000 sessions the CPU caches.
fn reason(case: &Case, sessions: usize, traffic: Traffic) -> String {
    let mut reason = match case.ratio("raw_uring", "raw_write") {
        Some(ratio) if traffic.in_flight == 1 && ratio > 0.9 => {
            format!("io_uring does not pay here: raw_uring takes {ratio:.2} x raw_write. Without io_uring each session costs one send.")
        }
        Some(ratio) if traffic.in_flight == 1 => {
            format!("io_uring pays here: raw_uring takes {ratio:.2} x raw_write. The rest is the server's own work: queues, limits, order.")
        }
        _ => "In addition to the kernel's work, Orosync maintains a queue, limits and subscriptions for each session.".to_owned(),
    };
    if sessions > 1000 {
        reason.push_str(
            " So many sockets and sessions do not fit into the CPU caches and are read from memory.",
        );
    }
    reason
}
