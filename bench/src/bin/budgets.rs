//! Counts the instructions of a handshake, a delivery, a message, a publishing call and a recovery.
//!
//! callgrind counts user space only, so a count hardly depends on the machine, and not at all on its load. The release build of
//! the server runs under callgrind twice, with more operations the second time; the cost of one operation is the difference of
//! the counts divided by the number of additional operations.
//! `budgets check` compares the counts with `bench/budgets.json`; `budgets renew` writes that file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use clap::{Parser, ValueEnum};
use orosync_bench::load::{Load, Traffic};
use orosync_bench::peers::Peer;
use orosync_bench::process::Process;
use orosync_bench::report::quotient;
use orosync_bench::wire::{SECRET, Tickets, Wire, topic_name};
use orosync_link::{Options, Publisher};
use orosync_protocol::Audience;
use orosync_protocol::link_frame::MessageRef;
use orosync_protocol::payload::PayloadRef;
use orosync_protocol::ticket::Signer;
use orosync_protocol::topic::TopicRef;
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::source::Source;

const TOLERANCE_PERCENT: f64 = 5.0;
const BYTES: usize = 120;
const BURST: usize = 32;
const SUBSCRIBERS: usize = 100;
/// Missed events of a session that reconnects.
const MISSED: usize = 5;
/// Settings of the measured server, as environment variables.
type Settings = [(&'static str, &'static str)];
const LONG_HISTORY: [(&str, &str); 3] = [
    ("OROSYNC_HISTORY__EVENTS", "1000000"),
    ("OROSYNC_LIMITS__MESSAGE_BURST", "1000000"),
    ("OROSYNC_LIMITS__MESSAGES_PER_SECOND", "1000000"),
];
const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// Counts the instructions of a handshake, a delivery, a message, a publishing call and a recovery.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(value_enum)]
    act: Act,
    /// Number of publishing calls in the measured run.
    #[arg(hide = true, default_value_t = 0)]
    calls: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// Compare the counts with the budgets.
    Check,
    /// Count again and write the budgets.
    Renew,
    /// Publish; the other two commands run this under callgrind.
    #[value(hide = true)]
    Publish,
}

/// Instructions per operation, by the operation's name.
type Counts = BTreeMap<String, f64>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.json");
    match arguments.act {
        Act::Publish => publish(arguments.calls),
        Act::Renew => {
            let mut text = serde_json::to_string_pretty(&count()?)?;
            text.push('\n');
            Ok(fs::write(file, text)?)
        }
        Act::Check => check(&serde_json::from_slice(&fs::read(file)?)?, &count()?),
    }
}

fn check(budgets: &Counts, counted: &Counts) -> Result<(), Box<dyn Error>> {
    let mut over = Vec::new();
    for (what, instructions) in counted {
        let budget =
            budgets.get(what).copied().ok_or_else(|| format!("budgets.json has no budget for {what}"))?;
        let percent = (instructions / budget - 1.0) * 100.0;
        println!("{what:<24} {instructions:>9.0} instructions, budget {budget:>9.0} ({percent:+.1} %)");
        if percent > TOLERANCE_PERCENT {
            over.push(what.as_str());
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more than {TOLERANCE_PERCENT} % over the budget: {}. If what it does is worth that, renew the budgets with \
         `make budgets` and say why in the commit.",
        over.join(", ")
    )
    .into())
}

fn count() -> Result<Counts, Box<dyn Error>> {
    // Each step waits for the previous one, so the server does the same work in each run.
    let mut counts = Counts::new();
    let handshakes = |load: &mut Load, count| {
        let steps = load.steps(count, Wire::subscriber);
        load.open_all(steps, 1)
    };
    counts.insert("handshake".to_owned(), of_server(0, [50, 150], 1, handshakes)?);
    let one_by_one = |load: &mut Load, count| (0..count).try_for_each(|_| load.publish_one(BYTES, || ()));
    counts.insert("delivery".to_owned(), of_server(SUBSCRIBERS, [20, 120], SUBSCRIBERS, one_by_one)?);
    counts.insert("message to one".to_owned(), of_server(1, [100, 600], 1, one_by_one)?);
    let burst = Traffic { bytes: BYTES, in_flight: BURST };
    let bursts = |load: &mut Load, count| (0..count).try_for_each(|_| load.publish_all(BURST, burst));
    counts.insert(
        "delivery in a burst".to_owned(),
        of_server(SUBSCRIBERS, [2, 22], SUBSCRIBERS * BURST, bursts)?,
    );
    // The cost must not depend on the length of the history.
    for kept in [1000, 100_000] {
        counts.insert(format!("recovery, {kept} kept"), of_recoveries(kept, [100, 3100])?);
    }
    counts.insert("publishing call".to_owned(), of_calls([2000, 6000])?);
    Ok(counts)
}

/// Server instructions per unit, from a run with `steps[0]` steps and one with `steps[1]`. Each step consists of `units` units.
fn of_server(
    sessions: usize,
    steps: [usize; 2],
    units: usize,
    act: impl Fn(&mut Load, usize) -> io::Result<()>,
) -> io::Result<f64> {
    let [less, more] = steps.map(|count| {
        let process = start(&[])?;
        let mut load = Load::open(Wire::Orosync, process.address(), sessions, 1)?;
        act(&mut load, count)?;
        drop(load);
        collected(&process.end()?)
    });
    Ok(quotient(more? - less?, ((steps[1] - steps[0]) * units) as u64))
}

/// Server instructions for the answer to a session that missed the last five of `kept` stored events.
fn of_recoveries(kept: usize, calls: [usize; 2]) -> io::Result<f64> {
    let [less, more] = calls.map(|count| {
        let process = start(&LONG_HISTORY)?;
        let mut source = Source::with_secret(&format!("ws://{}/", process.address()), SECRET);
        let topic = topic_name(0);
        let payload = |number: usize| serde_json::json!(format!("{number:<0$}", BYTES - 2));
        source.publish_all(&topic, (MISSED..kept).map(payload));
        let mut page = Client::connect_to(process.address());
        page.handshake(&format!("/?ticket={}", Tickets::default().user()), OROSYNC);
        page.text();
        let position = page.recover(&topic, &serde_json::json!({})).position;
        page.send_text(&serde_json::json!([6, topic]).to_string());
        page.assert_no_message();
        source.publish_all(&topic, (0..MISSED).map(payload));
        for _ in 0..count {
            let events = page.recover_since(&topic, &position).events.len();
            if events != MISSED {
                return Err(io::Error::other(format!("{events} events came")));
            }
        }
        drop(page);
        collected(&process.end()?)
    });
    Ok(quotient(more? - less?, (calls[1] - calls[0]) as u64))
}

/// Starts the server under callgrind.
fn start(settings: &Settings) -> io::Result<Process> {
    let peer = Peer::orosync(None)?.under(&CALLGRIND);
    let with = |peer: Peer, (variable, value): &(&'static str, &str)| peer.with("orosync", variable, value);
    // callgrind does not support io_uring. The code around the system calls is the same without it.
    settings.iter().fold(peer.with("orosync", "OROSYNC_IO_URING", "off"), with).start()
}

/// Instructions of a publishing call, measured in a separate process.
fn of_calls(calls: [usize; 2]) -> io::Result<f64> {
    let [less, more] = calls.map(|count| {
        let output = Command::new(CALLGRIND[0])
            .args(&CALLGRIND[1..])
            .arg(std::env::current_exe()?)
            .args(["publish", &count.to_string()])
            .output()?;
        collected(&String::from_utf8_lossy(&output.stderr))
    });
    Ok(quotient(more? - less?, (calls[1] - calls[0]) as u64))
}

/// The instruction count in callgrind's output.
fn collected(log: &str) -> io::Result<u64> {
    let line = log.lines().find_map(|line| line.split_once("Collected : "));
    line.and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("callgrind has counted nothing: {}", log.trim())))
}

/// Publishes to an address without a server. This measures the call only, because the link thread waits before it retries.
fn publish(calls: usize) -> Result<(), Box<dyn Error>> {
    let signer = Signer::from_secret(SECRET.as_bytes())?;
    let mut publisher = Publisher::new(Options::new("unix:/nonexistent/orosync.sock".parse()?, signer));
    let (topic, audience) = (topic_name(0), Audience::default());
    let json = format!("\"{:x<1$}\"", "", BYTES - 2);
    for _ in 0..calls {
        let message = MessageRef {
            topic: TopicRef::parse(&topic)?,
            payload: PayloadRef::from_encoder(json.as_bytes())?,
            audience: &audience,
        };
        publisher.publish(message).map_err(|_| "the queue is full")?;
    }
    Ok(())
}
