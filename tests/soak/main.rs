//! A soak test: hours of a working day in minutes. `soak MINUTES [DIRECTORY]`; `make soak` builds and runs it.
//!
//! 10,000 sessions connect and disconnect. Two PHP processes and the pages of a PHP-FPM publish 2,000 messages a second. The server
//! is restarted every five minutes, alternately with SIGTERM and with SIGKILL, and PHP-FPM is reloaded each minute. Two auditors
//! record all messages. At the end no message may be lost or out of order, and neither the server nor a PHP process may have grown,
//! or leaked a descriptor or a thread.
//!
//! Writes `samples.csv` to the directory; `plot.py` draws the curves of docs/reliability.md from it. Fails with a list of
//! problems.

mod crowd;
mod pages;
mod record;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{fs, thread};

use orosync_link::{Options, Publisher};
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Audience, Payload, Topic};
use orosync_tests::SECRET;
use orosync_tests::client::{Client, OROSYNC, WAMP};
use orosync_tests::php::Fpm;
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::traffic::Publishers;
use rustix::process::Signal;

use crowd::Crowd;
use pages::Pages;
use record::{Auditor, Record};
use samples::Samples;

/// Number of sessions of the crowd.
const SESSIONS: u32 = 10_000;

/// Messages a second of each of the two PHP processes; the pages publish as many as both together.
const RATE_OF_ONE: usize = 500;

/// Time between two restarts, unless the soak is shorter than four times that.
const RESTART_EVERY: Duration = Duration::from_mins(5);

const RELOAD_EVERY: Duration = Duration::from_mins(1);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Limits for 10,000 sessions from one address that reconnect after each restart.
const CONFIGURATION: &str = "[limits]\nsessions_per_address = 20000\n";

/// The topic of the announcements, which every session of the crowd receives once a second.
pub(crate) const BROADCAST: &str = "oro/maintenance";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let minutes = arguments.next().and_then(|minutes| minutes.parse::<u64>().ok());
    let Some(minutes) = minutes.filter(|minutes| *minutes > 0) else {
        eprintln!("usage: soak MINUTES [DIRECTORY]");
        return ExitCode::from(2);
    };
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "target/soak".to_owned()));
    let problems = soak(Duration::from_mins(minutes), &directory);
    for problem in &problems {
        eprintln!("FAILED: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the soak and returns the problems.
fn soak(time: Duration, directory: &std::path::Path) -> Vec<String> {
    fs::create_dir_all(directory).expect("a directory for the samples");
    let restart_every = RESTART_EVERY.min(time / 4);
    let begun = Instant::now();
    let mut server = Server::start_with(CONFIGURATION);
    let gate = Proxy::closed();
    let crowd = Crowd::start(SESSIONS, server.address());
    let record = Arc::new(Record::default());
    let mut auditors = auditors(&server, &record);
    gate.open(server.address());
    let publishers = Publishers::start(&gate.endpoint(), 2, RATE_OF_ONE, &[]);
    let fpm = Arc::new(Fpm::start(&gate.endpoint(), 4, "pm.max_requests = 1000"));
    let pages = Pages::start(&fpm, 2 * RATE_OF_ONE);
    let mut announcer = announcer(&gate);
    let mut samples = Samples::new(directory, begun, publishers.pids(), fpm.pid());
    let (mut next_restart, mut next_reload, mut next_sample) =
        (begun + restart_every, begun + RELOAD_EVERY, begun);
    let (mut restarts, mut announcements) = (0_u32, 0);
    while begun.elapsed() < time {
        let now = Instant::now();
        if now >= next_restart && begun.elapsed() + restart_every / 2 < time {
            next_restart += restart_every;
            restarts += 1;
            samples.end_life();
            gate.close();
            server.signal(if restarts % 2 == 1 { Signal::TERM } else { Signal::KILL });
            server.wait();
            let ended: Vec<_> = auditors.into_iter().map(Auditor::ended).collect();
            server = server.start_again();
            auditors = self::auditors(&server, &record);
            gate.open(server.address());
            println!(
                "{:>5} s  restart {restarts}: the auditors' sessions ended {ended:?}",
                begun.elapsed().as_secs()
            );
        }
        if now >= next_reload {
            next_reload += RELOAD_EVERY;
            fpm.signal(Signal::USR2);
        }
        if now >= next_sample {
            next_sample += SAMPLE_EVERY;
            samples.take(&server, &crowd);
        }
        // Refused while the queue is full; such messages are not counted.
        announcements += usize::from(announcer.publish(announcement(announcements).lend()).is_ok());
        thread::sleep(Duration::from_secs(1));
    }
    samples.end_life();
    let page = pages.finish();
    let ended = publishers.finish();
    // A shorter soak has too few samples to judge growth.
    let mut problems = if time < RESTART_EVERY { Vec::new() } else { samples.problems() };
    if !announcer.flush(Duration::from_secs(15)) {
        problems.push("the announcements were not acknowledged".to_owned());
    }
    let missed = crowd.gaps.load(Ordering::Acquire);
    if missed > 0 {
        problems.push(format!("sessions of the crowd missed or repeated {missed} announcements"));
    }
    println!(
        "{} sessions of the crowd were opened, {} announcements arrived",
        crowd.opened.load(Ordering::Acquire),
        crowd.events.load(Ordering::Acquire)
    );
    crowd.end();
    server.signal(Signal::TERM);
    server.wait();
    for auditor in auditors {
        auditor.ended();
    }
    problems.extend(record.problems(&ended, page));
    println!(
        "{} messages accepted, {} restarts, {} reconnects of the two PHP processes",
        ended.iter().map(|one| one.accepted).sum::<usize>() + page,
        restarts,
        ended.iter().map(|one| one.reconnects).sum::<u64>(),
    );
    problems
}

fn auditors(server: &Server, record: &Arc<Record>) -> Vec<Auditor> {
    [OROSYNC, WAMP]
        .iter()
        .zip(0..)
        .map(|(offer, column)| Auditor::of(Client::user(server, offer, 1), Arc::clone(record), column))
        .collect()
}

fn announcer(gate: &Proxy) -> Publisher {
    let signer = Signer::from_secret(SECRET.as_bytes()).expect("long enough");
    Publisher::new(Options::new(gate.endpoint().parse().expect("an endpoint"), signer))
}

fn announcement(number: usize) -> Message {
    Message {
        topic: Topic::parse(BROADCAST).expect("a topic"),
        payload: Payload::from_encoder(number.to_string().into()).expect("JSON"),
        audience: Audience::default(),
    }
}
