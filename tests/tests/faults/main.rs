//! What is cut, killed, lost, closed, frozen or too slow between a publisher and its subscribers: docs/reliability.md says
//! what is promised, and names the tests of this folder that show it.

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

/// Held by tests that need the machine for themselves: side by side they would only wait for each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of the issue that would take too long each time: the default, or what the environment says.
fn amount(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |amount| amount.parse().expect("a number"))
}

/// Processor time of all threads of a process so far, in nanoseconds.
fn processor_time(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of = |task: fs::DirEntry| -> u64 {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).expect("it runs");
        schedstat.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
    };
    tasks.map(|task| of(task.expect("it runs"))).sum()
}

/// A generator whose seed a failure shows.
fn random() -> SmallRng {
    let seed = rand::random();
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

/// A publisher of this process.
fn publisher(endpoint: &str) -> Publisher {
    let signer = Signer::from_secret(SECRET.as_bytes()).expect("long enough");
    Publisher::new(Options::new(endpoint.parse().expect("an endpoint"), signer))
}

/// As PHP's publishers number theirs.
fn message(publisher: usize, number: usize) -> Message {
    Message {
        topic: Topic::parse(TOPIC).expect("a topic"),
        payload: Payload::from_encoder(format!("[{publisher},{number}]").into()).expect("JSON"),
        audience: Audience::default(),
    }
}
