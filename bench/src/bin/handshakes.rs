//! Measures the server's CPU time per handshake.
//!
//! Units: microseconds of server CPU time per handshake, and handshakes per second on one core, 64 at the same time. Compared
//! with a bare accept and upgrade (the raw limits) and the peers. Orosync's handshake includes verifying a ticket's signature.

use std::error::Error;
use std::io;
use std::time::Instant;

use clap::Parser;
use orosync_bench::load::{Load, OPENING_AT_ONCE};
use orosync_bench::measure::settle;
use orosync_bench::peers::{Peer, RAW_NAMES, Selection};
use orosync_bench::process::Process;
use orosync_bench::question::Question;
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::{Step, Tickets, Wire};

const HANDSHAKES: usize = 2000;

/// Measures the server's CPU time per handshake.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

/// The steps that open a session.
type How = fn(Wire, usize, &mut Tickets) -> Vec<Step>;

const CASES: [(&str, How); 2] =
    [("up to the greeting", Wire::greeting), ("with a subscription", Wire::subscriber)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut selection = arguments.question.prepare()?;
    // All raw limits accept and upgrade in the same way, so one is enough.
    selection.peers.retain(|peer| !RAW_NAMES[1..].contains(&&*peer.name));
    let mut cpu = Report::new("handshakes", "Handshakes", "us of server CPU per handshake", &selection);
    let mut rate =
        Report::new("handshake_rate", "Handshakes", "handshakes per second on one core", &selection);
    let processes = start(&selection)?;
    for (name, how) in CASES {
        let (mut cpu_case, mut rate_case) = (Case::new(name), Case::new(name));
        for _ in 0..arguments.question.repetitions(3) {
            for (peer, process) in &processes {
                let (cpu_us, per_second) = handshakes(peer, process, how)
                    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", peer.name)))?;
                cpu_case.add(&peer.name, cpu_us);
                rate_case.add(&peer.name, per_second);
            }
        }
        let text = format!("{name}: orosync / raw_write (bare accept and upgrade)");
        cpu.at_most(text, cpu_case.ratio("orosync", "raw_write"), 1.6).if_missed(
            "The raw limit accepts and answers. Orosync verifies the ticket's signature, records its use, passes the session to \
             its shard and sends the greeting; a subscription is also read, registered and answered.",
        );
        cpu.add(cpu_case);
        rate.add(rate_case);
    }
    cpu.finish(arguments.question.extent)?;
    rate.finish(arguments.question.extent)?;
    Ok(())
}

fn start(selection: &Selection) -> io::Result<Vec<(&Peer, Process)>> {
    selection.peers.iter().map(|peer| Ok((peer, peer.start()?))).collect()
}

/// CPU time of one handshake in microseconds, and handshakes per second.
fn handshakes(peer: &Peer, process: &Process, how: How) -> io::Result<(f64, f64)> {
    let mut load = Load::without_sessions(peer.wire, process.address(), 1)?;
    let steps = load.steps(HANDSHAKES, how);
    settle(process)?;
    let (began, cpu) = (Instant::now(), process.cpu_ns()?);
    load.open_all(steps, OPENING_AT_ONCE)?;
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = process.cpu_ns()? - cpu;
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let per_second = HANDSHAKES as f64 / elapsed;
    Ok((quotient(cpu, HANDSHAKES as u64) / 1e3, per_second))
}
