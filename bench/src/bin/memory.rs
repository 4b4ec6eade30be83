//! Measures the memory of an idle session.
//!
//! Unit: bytes of the server's own memory per session with an identity and one subscription: the growth from 100 sessions to
//! 10,000 or 50,000 more, divided by their number; measured again after each session has received 100 events. Also bytes of the
//! kernel's slab, which includes both ends of each connection, because both are on this machine.

use std::error::Error;
use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use clap::Parser;
use orosync_bench::load::{Load, Traffic};
use orosync_bench::measure::{settle, thousands};
use orosync_bench::peers::{Peer, RAW_NAMES};
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report, quotient};

/// Sessions opened before the measurement, so that tables and allocator buffers are not counted.
const WARM_UP: usize = 100;

const SESSIONS: usize = 10_000;

/// Measured only for servers that accept so many connections with their defaults.
const MANY_SESSIONS: usize = 50_000;
const TAKE_MANY: [&str; 2] = ["orosync", "raw_write"];

const EVENTS: usize = 100;
/// Time for the allocators to return memory.
const AFTERWARDS: Duration = Duration::from_secs(5);
const TRAFFIC: Traffic = Traffic { bytes: 120, in_flight: 32 };

/// Measures the memory of an idle session.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

/// Bytes per session.
struct Cost {
    idle: f64,
    kernel: f64,
    after_events: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut selection = arguments.question.prepare()?;
    // All raw limits keep sessions in the same way, so one is enough.
    selection.peers.retain(|peer| !RAW_NAMES[1..].contains(&&*peer.name));
    let may_have_many = selection.descriptors > MANY_SESSIONS + WARM_UP + 50;
    if !may_have_many && arguments.question.extent == Extent::Full {
        let why = format!("{} descriptors are allowed. First run: ulimit -n 60000", selection.descriptors);
        selection.missing.insert(format!("{} sessions", thousands(MANY_SESSIONS)), why);
    }
    let mut own =
        Report::new("memory", "Memory of idle sessions", "bytes of the server for each", &selection);
    let mut kernel = Report::new(
        "kernel_memory",
        "Memory of idle sessions",
        "bytes of the kernel for each, both ends",
        &selection,
    );
    let counts: &[usize] = match arguments.question.extent {
        Extent::Full if may_have_many => &[SESSIONS, MANY_SESSIONS],
        Extent::Quick | Extent::Full => &[SESSIONS],
    };
    for count in counts {
        let name = format!("{} sessions", thousands(*count));
        let (mut idle, mut slab) = (Case::new(&name), Case::new(&name));
        let mut later = Case::new(format!("{name}, after {EVENTS} events each"));
        // One repetition: memory does not depend on the load of the machine.
        for peer in &selection.peers {
            if *count == MANY_SESSIONS && !TAKE_MANY.contains(&&*peer.name) {
                continue;
            }
            let cost = cost(peer, *count)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", peer.name)))?;
            idle.add(&peer.name, cost.idle);
            later.add(&peer.name, cost.after_events);
            slab.add(&peer.name, cost.kernel);
        }
        own.at_most(format!("{name}: bytes for each"), idle.median("orosync"), 1000.0).if_missed(
            "Memory that the allocator reserves for growth is included; its share per session falls with the number of sessions.",
        );
        let returned = later.ratio_to(&idle, "orosync");
        own.at_most(format!("{name}: after {EVENTS} events / before"), returned, 1.2).if_missed(
            "The allocator had not returned the memory of the sessions' queues when it was measured.",
        );
        own.add(idle);
        own.add(later);
        kernel.add(slab);
    }
    own.finish(arguments.question.extent)?;
    kernel.finish(arguments.question.extent)?;
    Ok(())
}

fn cost(peer: &Peer, sessions: usize) -> io::Result<Cost> {
    let process = peer.start()?;
    let mut load = Load::open(peer.wire, process.address(), WARM_UP, 1)?;
    load.publish_all(EVENTS, TRAFFIC)?;
    settle(&process)?;
    let (before, slab_before) = (process.resident_bytes()?, slab_bytes()?);
    load.open_sessions(sessions)?;
    settle(&process)?;
    let (idle, slab) = (process.resident_bytes()?, slab_bytes()?);
    load.publish_all(EVENTS, TRAFFIC)?;
    settle(&process)?;
    thread::sleep(AFTERWARDS);
    let after = process.resident_bytes()?;
    let each = |bytes: u64, before: u64| quotient(bytes.saturating_sub(before), sessions as u64);
    Ok(Cost { idle: each(idle, before), kernel: each(slab, slab_before), after_events: each(after, before) })
}

fn slab_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.unwrap_or(0) * 1024)
}
