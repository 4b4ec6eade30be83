//! Measures the memory of the history.
//!
//! Unit: bytes of the server's resident memory per stored event, less its payload, and per content tag of a page. Compared with
//! fixed goals, not with a raw limit or a peer.

use std::error::Error;
use std::io;

use clap::Parser;
use orosync_bench::load::Load;
use orosync_bench::measure::{settle, thousands};
use orosync_bench::pages::{Pages, TAGS};
use orosync_bench::peers::Peer;
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report};
use orosync_bench::wire::{SECRET, Wire, topic_name};
use orosync_tests::source::Source;

/// Events stored before the measurement, so that only events add to the memory afterwards.
const WARM_UP: usize = 1000;

/// Measures the memory of the history.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let mut selection = question.prepare()?;
    selection.peers.retain(|peer| peer.name == "orosync");
    selection.missing.clear();
    let (events, pages) = match question.extent {
        Extent::Quick => (20_000, 1000),
        Extent::Full => (100_000, 10_000),
    };
    let mut report = Report::new("history", "Memory of the history", "bytes of the server", &selection);
    // One repetition: memory does not depend on the load of the machine.
    for peer in &selection.peers {
        for (topics, bytes) in [(1, 120), (1, 1000), (1000, 120)] {
            let of = if topics == 1 { "1 topic".to_owned() } else { format!("{} topics", thousands(topics)) };
            let name = format!("each of {} events of {of}, {bytes} bytes", thousands(events));
            let mut case = Case::new(format!("{name}: beside the payload"));
            case.add(&peer.name, kept(peer, events, topics, bytes)?);
            report.at_most(case.name().to_owned(), case.median(&peer.name), 64.0).if_missed(
                "The allocator rounds up to its size classes: an event of 1,000 bytes and its head take 1,280.",
            );
            report.add(case);
        }
        let mut case = Case::new(format!("each of {TAGS} content tags of {} pages", thousands(pages)));
        let without = sessions(peer, Wire::Pages(Pages::Positions), pages)?;
        let with = sessions(peer, Wire::Pages(Pages::Tags), pages)?;
        case.add(&peer.name, (with - without) / count(TAGS));
        report.add(case);
    }
    report.finish(question.extent)?;
    Ok(())
}

/// Bytes per event, less its payload.
fn kept(peer: &Peer, events: usize, topics: usize, bytes: usize) -> io::Result<f64> {
    let peer = peer.clone().with(&peer.name, "OROSYNC_HISTORY__EVENTS", "10000000");
    let process = peer.with("orosync", "OROSYNC_HISTORY__BYTES", "4G").start()?;
    let mut source = Source::with_secret(&format!("ws://{}/", process.address()), SECRET);
    let mut publish = |count: usize| {
        for number in 0..count {
            let json = format!("{number:<width$}", width = bytes - 2);
            source.publish(&topic_name(number % topics), &json.into());
        }
        source.flush();
    };
    publish(WARM_UP.max(topics));
    settle(&process)?;
    let before = process.resident_bytes()?;
    publish(events);
    settle(&process)?;
    let grown = process.resident_bytes()?.saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let each = grown as f64 / count(events);
    Ok(each - count(bytes))
}

/// Bytes per page.
fn sessions(peer: &Peer, wire: Wire, pages: usize) -> io::Result<f64> {
    let process = peer.start()?;
    let mut load = Load::without_sessions(wire, process.address(), pages / orosync_bench::pages::GROUP)?;
    load.open_sessions(WARM_UP)?;
    settle(&process)?;
    let before = process.resident_bytes()?;
    load.open_sessions(pages)?;
    settle(&process)?;
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let grown = process.resident_bytes()?.saturating_sub(before) as f64;
    Ok(grown / count(pages))
}

#[expect(clippy::cast_precision_loss, reason = "a small count")]
fn count(number: usize) -> f64 {
    number as f64
}
