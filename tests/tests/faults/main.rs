//! Faults between a publisher and its subscribers: connections that break, processes that are killed or frozen, slow readers.
//! docs/reliability.md states the guarantees and names these tests.

mod cut;
mod drain;
mod half_open;
mod kill;
mod overload;
mod pages;
mod processes;
mod readers;
mod stampede;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orosync_link::{Options, Publisher};
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Audience, Payload, Topic};
use orosync_tests::SECRET;
use orosync_tests::traffic::TOPIC;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

/// A lock for tests that need the whole machine, so that they do not run concurrently.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A parameter of a test from the environment, or its default, which keeps the test short.
fn parameter(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

/// CPU time of all threads of a process so far, in nanoseconds.
fn processor_time(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of = |task: fs::DirEntry| -> u64 {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).expect("it runs");
        schedstat.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
    };
    tasks.map(|task| of(task.expect("it runs"))).sum()
}

/// A random generator that prints its seed on failure.
fn random() -> SmallRng {
    let seed = rand::random();
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

/// A publisher in this process.
fn publisher(endpoint: &str) -> Publisher {
    let signer = Signer::from_secret(SECRET.as_bytes()).expect("long enough");
    Publisher::new(Options::new(endpoint.parse().expect("an endpoint"), signer))
}

/// A payload numbered like those of PHP's publishers.
fn message(publisher: usize, number: usize) -> Message {
    Message {
        topic: Topic::parse(TOPIC).expect("a topic"),
        payload: Payload::from_encoder(format!("[{publisher},{number}]").into()).expect("JSON"),
        audience: Audience::default(),
    }
}
