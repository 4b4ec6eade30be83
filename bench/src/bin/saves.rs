//! Measures the cost of a save in an office with 10,000 open pages.
//!
//! Units: microseconds of server CPU per save, and deliveries. Each page shows five records as content tags, and each record is
//! shown by five pages; a save names the record and its list. Compared with the same server where every page gets every save
//! (as with OroPlatform's JavaScript), and with servers that have a channel per tag, where a save is published to two channels.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::Traffic;
use orosync_bench::measure::{DESCRIPTORS_BESIDE, Subject, thousands};
use orosync_bench::pages::{GROUP, Pages};
use orosync_bench::peers::{Peer, Selection};
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};
use orosync_bench::wire::Wire;

const SIZES: [usize; 2] = [1000, 10_000];
const IN_FLIGHT: [usize; 2] = [1, 32];
const BYTES: usize = 160;

/// Measures the cost of a save in an office with 10,000 open pages.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

/// A server, and the number of pages that receive each save.
struct Office {
    subject: Subject,
    subscribers: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let selection = with_pages(arguments.question.prepare()?);
    let mut cpu = Report::new("saves", "A save, by content tags", "us of server CPU per save", &selection);
    let mut deliveries =
        Report::new("save_deliveries", "A save, by content tags", "deliveries per save", &selection);
    let time = match arguments.question.extent {
        Extent::Quick => Duration::from_millis(250),
        Extent::Full => Duration::from_secs(1),
    };
    let mut cases: Vec<Case> = Vec::new();
    for size in SIZES {
        let mut of_size = IN_FLIGHT.map(|in_flight| {
            let name = format!("{} pages, {in_flight} in flight", thousands(size));
            (Case::new(&name), Case::new(&name))
        });
        let mut kept = Kept::new(&selection, size)?;
        for _ in 0..arguments.question.repetitions(5) {
            for peer in &selection.peers {
                kept.with(peer, |office| {
                    for ((cpu_case, deliveries_case), in_flight) in of_size.iter_mut().zip(IN_FLIGHT) {
                        let fan_out = office.subject.fan_out(Traffic { bytes: BYTES, in_flight }, time)?;
                        #[expect(clippy::cast_precision_loss, reason = "a small count")]
                        let each = office.subscribers as f64;
                        cpu_case.add(&peer.name, fan_out.cpu_us * each);
                        deliveries_case.add(&peer.name, each);
                    }
                    Ok(())
                })?;
            }
        }
        for (cpu_case, deliveries_case) in of_size {
            let name = cpu_case.name().to_owned();
            if size == SIZES[1] {
                let to_broadcast = cpu_case.ratio("orosync", "orosync_broadcast");
                cpu.at_most(format!("{name}: by tags / to everybody"), to_broadcast, 0.1).if_missed(
                    "A save costs more than its five deliveries: history, position and acknowledgement.",
                );
                let best = cpu_case.ratio_to_best_peer("orosync");
                cpu.at_most(format!("{name}: by tags / best peer with a channel for each tag"), best, 1.0)
                    .if_missed("The others store no history and acknowledge nothing; Orosync does both for each save.");
            }
            deliveries.add(deliveries_case);
            cases.push(cpu_case);
        }
    }
    if let [small, _, large, _] = cases.as_slice() {
        let grows = large.ratio_to(small, "orosync");
        cpu.at_most("1 in flight: cost of 10,000 pages / of 1,000, by tags", grows, 1.2).if_missed(
            "Each save wakes five other pages. With 10,000 pages their sockets and sessions are no longer in the CPU caches.",
        );
    }
    for case in cases {
        cpu.add(case);
    }
    cpu.finish(arguments.question.extent)?;
    deliveries.finish(arguments.question.extent)?;
    Ok(())
}

/// The offices of all peers. They stay open if there are enough descriptors; otherwise they are opened for each round.
struct Kept {
    pages: usize,
    offices: Option<BTreeMap<String, Office>>,
}

impl Kept {
    fn new(selection: &Selection, pages: usize) -> io::Result<Self> {
        let needed = (pages + DESCRIPTORS_BESIDE) * selection.peers.len();
        let all = || selection.peers.iter().map(|peer| Ok((peer.name.clone(), open(peer, pages)?))).collect();
        let offices: Option<io::Result<_>> = (needed <= selection.descriptors).then(all);
        Ok(Self { pages, offices: offices.transpose()? })
    }

    fn with(&mut self, peer: &Peer, act: impl FnOnce(&mut Office) -> io::Result<()>) -> io::Result<()> {
        match self.offices.as_mut().and_then(|offices| offices.get_mut(&peer.name)) {
            Some(office) => act(office),
            None => act(&mut open(peer, self.pages)?),
        }
    }
}

fn open(peer: &Peer, pages: usize) -> io::Result<Office> {
    let (groups, subscribers) = match peer.wire {
        Wire::Pages(Pages::Broadcast) => (1, pages),
        _ => (pages / GROUP, GROUP),
    };
    Ok(Office { subject: Subject::start(peer, pages, groups)?, subscribers })
}

/// Our server in two modes, and the peers that can have a channel per tag.
fn with_pages(selection: Selection) -> Selection {
    let pages = |peer: &Peer| match peer.name.as_str() {
        "orosync" => vec![
            peer.clone().speaking(Wire::Pages(Pages::Tags)),
            peer.clone().speaking(Wire::Pages(Pages::Broadcast)).called("orosync_broadcast"),
        ],
        "bun" => vec![peer.clone().speaking(Wire::Pages(Pages::PlainChannels))],
        "redis" => vec![peer.clone().speaking(Wire::Pages(Pages::RedisChannels))],
        _ => Vec::new(),
    };
    let peers = selection.peers.iter().flat_map(pages).collect();
    let missing = selection.missing.into_iter().filter(|(name, _)| ["bun", "redis"].contains(&name.as_str()));
    Selection { peers, missing: missing.collect(), ..selection }
}
