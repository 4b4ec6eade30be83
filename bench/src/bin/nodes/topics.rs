//! A node that subscribes to 100,000 topics. Measures:
//!
//! - the time until each subscription is answered
//! - the time until all topics are subscribed again after Redis has cut the connection
//! - the cost of the sweep over all topics, which finds missed events
//! - the memory per topic

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use orosync_bench::measure::{settle, thousands};
use orosync_bench::peers::Peer;
use orosync_bench::process::Process;
use orosync_bench::redis::Client as Redis;
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::{SECRET, Tickets, topic_name};
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::source::Source;

use super::Run;

/// Topics of one session.
const SUBSCRIPTIONS: usize = 10_000;

/// Unanswered calls of a session at a time.
const AT_ONCE: usize = 500;

/// Topics per call of the sweep; the same number as in the server.
const SWEPT: u64 = 500;

const BYTES: usize = 120;
/// Measuring time without a sweep; shorter than the interval between two sweeps.
const AT_REST: Duration = Duration::from_secs(3);

const STEP: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_mins(1);

pub(super) fn ask(run: &Run<'_>) -> io::Result<()> {
    let topics = if run.is_quick() { 10_000 } else { 100_000 };
    let title = "100,000 topics at a node";
    let mut times = Report::new("nodes_topics", title, "ms", &run.selection);
    let mut memory = Report::new("nodes_topics_memory", title, "bytes of each topic", &run.selection);
    let count = thousands(topics);
    let mut subscribe = Case::new(format!("{count} subscriptions, until each is answered"));
    let mut again = Case::new(format!("{count} subscriptions again, until Redis pushes all of them"));
    let mut sweep = Case::new(format!("a sweep of {count} topics"));
    let mut sweep_cpu = Case::new(format!("a sweep of {count} topics, CPU"));
    let mut rest = Case::new(format!("CPU of a second without events or a sweep, {count} topics"));
    let mut held = Case::new("subscribed to, nothing published");
    let mut kept = Case::new(format!("with one event of {BYTES} bytes"));
    for _ in 0..run.question.repetitions(3) {
        let alone = limits(run.orosync.clone()).start()?;
        let before = settled(&alone)?;
        let (_sessions, took) = sessions(&alone, topics)?;
        subscribe.add("orosync", took);
        held.add("orosync", quotient(settled(&alone)? - before, topics as u64));

        let process = run.redis.start()?;
        let mut redis = Redis::connect(process.address())?;
        let peer = limits(run.node(&process, "redis_same"));
        let node = peer.start()?;
        let (before, before_redis) = (settled(&node)?, redis.info("memory", "used_memory:")?);
        let (_others, took) = sessions(&node, topics)?;
        subscribe.add(&peer.name, took);
        held.add(&peer.name, quotient(settled(&node)? - before, topics as u64));
        let at_rest = redis.info("memory", "used_memory:")?;
        held.add("redis", quotient(at_rest - before_redis, topics as u64));

        let begun = Instant::now();
        redis.ask(&[b"CLIENT", b"KILL", b"TYPE", b"pubsub"])?;
        let wanted = topics as u64;
        until(|| Ok(pushed(&mut redis)? >= wanted))?;
        again.add(&peer.name, begun.elapsed().as_secs_f64() * 1e3);

        let swept = redis.info("commandstats", "cmdstat_mget:calls=")?;
        let (mut first, calls) = (None, wanted.div_ceil(SWEPT));
        let cpu = [process.cpu_ns()?, node.cpu_ns()?];
        until(|| {
            let now = redis.info("commandstats", "cmdstat_mget:calls=")? - swept;
            if now > 0 && first.is_none() {
                first = Some(Instant::now());
            }
            Ok(now >= calls)
        })?;
        sweep.add(&peer.name, first.unwrap_or(begun).elapsed().as_secs_f64() * 1e3);
        sweep_cpu.add("redis", quotient(process.cpu_ns()? - cpu[0], 1_000_000));
        sweep_cpu.add(&peer.name, quotient(node.cpu_ns()? - cpu[1], 1_000_000));

        let (begun, cpu) = (Instant::now(), node.cpu_ns()?);
        thread::sleep(AT_REST);
        let seconds = begun.elapsed().as_secs_f64();
        rest.add(&peer.name, quotient(node.cpu_ns()? - cpu, 1_000_000) / seconds);

        let mut source = Source::with_secret(&format!("ws://{}/", node.address()), SECRET);
        for topic in 0..topics {
            source.publish(&name(topic), &format!("{topic:<0$}", BYTES - 2).into());
        }
        source.flush();
        kept.add("redis", quotient(redis.info("memory", "used_memory:")? - before_redis, topics as u64));
    }
    for case in [subscribe, again, sweep, sweep_cpu, rest] {
        times.add(case);
    }
    times.finish(run.question.extent)?;
    memory.add(held);
    memory.add(kept);
    memory.finish(run.question.extent)
}

/// The peer with limits that allow a session [`SUBSCRIPTIONS`].
fn limits(peer: Peer) -> Peer {
    let name = peer.name.clone();
    let limits = [
        "OROSYNC_LIMITS__SUBSCRIPTIONS",
        "OROSYNC_LIMITS__MESSAGE_BURST",
        "OROSYNC_LIMITS__MESSAGES_PER_SECOND",
    ];
    limits.into_iter().fold(peer, |peer, limit| peer.with(&name, limit, "1000000"))
}

/// The name of a topic whose number has more than four digits.
fn name(topic: usize) -> String {
    format!("{}{:05}", topic_name(0), topic)
}

/// Opens sessions that subscribe to these topics. Returns them, and the milliseconds until each subscription was answered.
fn sessions(node: &Process, topics: usize) -> io::Result<(Vec<Client>, f64)> {
    let mut tickets = Tickets::default();
    let mut sessions: Vec<Client> = Vec::new();
    for _ in 0..topics.div_ceil(SUBSCRIPTIONS) {
        let mut client = Client::connect_to(node.address());
        client.handshake(&format!("/?ticket={}", tickets.user()), OROSYNC);
        client.text();
        sessions.push(client);
    }
    let begun = Instant::now();
    let all: Vec<usize> = (0..topics).collect();
    for (index, topics) in all.chunks(AT_ONCE).enumerate() {
        let session = &mut sessions[index * AT_ONCE / SUBSCRIPTIONS];
        let mut calls = Vec::new();
        for topic in topics {
            let call = format!(r#"[2,"{topic}","orosync/subscribe","{}",{{}}]"#, name(*topic));
            calls.extend(orosync_tests::client::frame(1, call.as_bytes()));
        }
        session.send(&calls);
        for _ in topics {
            let answer = session.text();
            if !answer.starts_with("[3,") {
                return Err(io::Error::other(format!("a subscription was answered with {answer}")));
            }
        }
    }
    Ok((sessions, begun.elapsed().as_secs_f64() * 1e3))
}

/// Resident bytes, once the process is idle.
fn settled(process: &Process) -> io::Result<u64> {
    settle(process)?;
    process.resident_bytes()
}

/// The highest number of channels that one connection of Redis subscribes to.
fn pushed(redis: &mut Redis) -> io::Result<u64> {
    let list = redis.ask_text(&[b"CLIENT", b"LIST", b"TYPE", b"pubsub"])?;
    let channels = list.split_whitespace().filter_map(|word| word.strip_prefix("sub=")?.parse().ok());
    Ok(channels.max().unwrap_or(0))
}

fn until(mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let end = Instant::now() + LIMIT;
    while !is_so()? {
        if Instant::now() > end {
            return Err(io::Error::other(format!("not within {} s", LIMIT.as_secs())));
        }
        thread::sleep(STEP);
    }
    Ok(())
}
