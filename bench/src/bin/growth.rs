//! Measures how the cost of a delivery grows with the number of subscribers.
//!
//! Unit: microseconds of server CPU per delivery, for 100 to 10,000 subscribers of a topic. The raw limits grow too, because
//! 10,000 sockets do not fit into the CPU caches; only growth beyond theirs is caused by the server.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::Traffic;
use orosync_bench::measure::{Turns, thousands};
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};

const SIZES: [usize; 3] = [100, 1000, 10_000];
const IN_FLIGHT: [usize; 2] = [1, 32];
const QUICK_PEERS: [&str; 2] = ["orosync", "raw_write"];
const PEERS: [&str; 6] = ["orosync", "orosync_writev", "raw_write", "raw_batch", "raw_uring", "bun"];
const LIMIT: f64 = 1.2;

/// Measures how the cost of a delivery grows with the number of subscribers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut selection = arguments.question.prepare()?;
    let peers = match arguments.question.extent {
        Extent::Quick => &QUICK_PEERS[..],
        Extent::Full => &PEERS[..],
    };
    selection.peers.retain(|peer| peers.contains(&&*peer.name));
    selection.missing.retain(|name, _| peers.contains(&&**name));
    let mut report = Report::new(
        "growth",
        "Cost of a delivery by the number of subscribers",
        "us of server CPU per delivery, 120 bytes",
        &selection,
    );
    let mut turns =
        SIZES.map(|size| Turns::new(&selection, size, 1)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let traffics = IN_FLIGHT.map(|in_flight| Traffic { bytes: 120, in_flight });
    let mut cases = IN_FLIGHT.map(|in_flight| {
        SIZES.map(|size| Case::new(format!("{} subscribers, {in_flight} in flight", thousands(size))))
    });
    let time = match arguments.question.extent {
        Extent::Quick => Duration::from_millis(150),
        Extent::Full => Duration::from_millis(400),
    };
    for _ in 0..arguments.question.repetitions(3) {
        for (size, turns) in turns.iter_mut().enumerate() {
            turns.take(&traffics, time, |traffic, peer, fan_out| {
                cases[traffic][size].add(peer, fan_out.cpu_us);
            })?;
        }
    }
    for (cases, in_flight) in cases.into_iter().zip(IN_FLIGHT) {
        let [_, middle, large] = &cases;
        let text = format!("{in_flight} in flight: cost at 10,000 subscribers / at 1,000");
        let raw = if in_flight == 1 { "raw_write" } else { "raw_batch" };
        let kernel = large.ratio_to(middle, raw).map_or_else(String::new, |ratio| {
            format!(" The kernel's cost grows too: {raw}, which has no sessions, grows by {ratio:.2} x.")
        });
        report
            .at_most(text, large.ratio_to(middle, "orosync"), LIMIT)
            .if_missed(format!("10,000 sockets and their sessions do not fit into the CPU caches.{kernel}"));
        for case in cases {
            report.add(case);
        }
    }
    report.finish(arguments.question.extent)?;
    Ok(())
}
