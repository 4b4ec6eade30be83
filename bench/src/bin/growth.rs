//! Does the cost of a delivery grow with the number of subscribers?
//!
//! Microseconds of the server's CPU for each delivery, from 100 subscribers of a topic to 10,000. The raw limits grow as
//! well, because 10,000 sockets do not fit into the processor's caches: what a server adds is what is beyond them.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::Traffic;
use orosync_bench::measure::{Subject, thousands};
use orosync_bench::question::Question;
use orosync_bench::report::{Case, Report};

const SIZES: [usize; 3] = [100, 1000, 10_000];
const PEERS: [&str; 5] = ["orosync", "raw_write", "raw_batch", "raw_uring", "bun"];
const TIME: Duration = Duration::from_millis(400);
const LIMIT: f64 = 1.2;

/// Does the cost of a delivery grow with the number of subscribers?
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut selection = arguments.question.prepare(100_000)?;
    selection.peers.retain(|peer| PEERS.contains(&&*peer.name));
    selection.missing.retain(|name, _| PEERS.contains(&&**name));
    let mut report = Report::new("growth", "Growth", "us of server CPU per delivery, 120 bytes", &selection);
    let mut scenes = Vec::new();
    for size in SIZES {
        let subjects: Result<Vec<_>, _> =
            selection.peers.iter().map(|peer| Subject::start(peer, size, 1)).collect();
        scenes.push((size, subjects?));
    }
    for in_flight in [1, 32] {
        let mut cases =
            SIZES.map(|size| Case::new(format!("{} subscribers, {in_flight} in flight", thousands(size))));
        for _ in 0..arguments.question.repetitions(3) {
            for ((_, subjects), case) in scenes.iter_mut().zip(&mut cases) {
                for subject in subjects {
                    let fan_out = subject.fan_out(Traffic { bytes: 120, in_flight }, TIME)?;
                    case.add(&subject.name, fan_out.cpu_us);
                }
            }
        }
        let [_, middle, large] = &cases;
        for peer in selection.peers.iter().filter(|peer| peer.name == "orosync") {
            let text = format!("{in_flight} in flight: cost at 10,000 subscribers / at 1,000");
            report.at_most(text, large.ratio_to(middle, &peer.name), LIMIT);
        }
        for case in cases {
            report.add(case);
        }
    }
    report.finish()?;
    Ok(())
}
