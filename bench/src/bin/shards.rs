//! Compares two shards with one.
//!
//! Units: deliveries per second, and microseconds of server CPU per delivery, with one shard and with two on the same cores. On
//! a machine with two cores the load generator shares them; then only the CPU time is meaningful.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use orosync_bench::host::Host;
use orosync_bench::load::Traffic;
use orosync_bench::machine::Cores;
use orosync_bench::measure::Subject;
use orosync_bench::peers::{Peer, Selection};
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};

const SUBSCRIBERS: usize = 1000;

/// Compares two shards with one.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let selection = with_shards(arguments.question.prepare()?);
    let mut cpu = Report::new("shards", "Two shards", "us of server CPU per delivery", &selection);
    let mut rate = Report::new("shards_rate", "Two shards", "deliveries per second", &selection);
    let cores = Cores::all();
    let time = match arguments.question.extent {
        Extent::Quick => Duration::from_millis(250),
        Extent::Full => Duration::from_millis(500),
    };
    let mut subjects = selection
        .peers
        .iter()
        .map(|peer| Subject::start_on(cores.for_shards(), peer, SUBSCRIBERS, 1))
        .collect::<Result<Vec<_>, _>>()?;
    for in_flight in [1, 32] {
        let name = format!("1,000 subscribers, 120 bytes, {in_flight} in flight");
        let (mut cpu_case, mut rate_case) = (Case::new(&name), Case::new(&name));
        for _ in 0..arguments.question.repetitions(5) {
            for subject in &mut subjects {
                let fan_out = subject.fan_out(Traffic { bytes: 120, in_flight }, time)?;
                cpu_case.add(&subject.name, fan_out.cpu_us);
                rate_case.add(&subject.name, fan_out.per_second);
            }
        }
        let of = |case: &Case| case.ratio("two_shards", "one_shard");
        cpu.at_most(format!("{name}: CPU of two shards / one"), of(&cpu_case), 1.1).if_missed(format!(
            "Each message wakes the second shard's thread; a wake-up takes {:.1} us here, and the two shards and the load generator \
             share {} cores.",
            Host::here().wake_us,
            cores.count()
        ));
        if cores.count() > 2 {
            rate.at_least(format!("{name}: deliveries of two shards / one"), of(&rate_case), 1.8)
                .if_missed("The load generator has one core for the deliveries of both shards.");
        }
        cpu.add(cpu_case);
        rate.add(rate_case);
    }
    cpu.finish(arguments.question.extent)?;
    rate.finish(arguments.question.extent)?;
    Ok(())
}

/// Our server with one shard and with two.
fn with_shards(selection: Selection) -> Selection {
    let with = |peer: &Peer| {
        [("one_shard", "1"), ("two_shards", "2")]
            .map(|(name, shards)| peer.clone().with(name, "OROSYNC_SHARDS", shards))
    };
    let peers = selection.peers.first().map(with).into_iter().flatten().collect();
    Selection { peers, ..selection }
}
