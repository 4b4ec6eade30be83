//! Samples of memory, descriptors and threads of server and PHP processes every few seconds, and whether they grow.
//!
//! The server is a new process after each restart, so its growth is measured per process, after all sessions have reconnected. The
//! two PHP processes run as long as the soak test.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use orosync_tests::server::Server;

use crate::SESSIONS;
use crate::crowd::Crowd;

/// Allowed growth of memory between warm-up and end: allocators do not return all memory.
const GROWTH: f64 = 1.10;

/// Share of connected sessions that ends the warm-up. Some browsers are always disconnected.
const FULL: f64 = 0.9;

/// The samples of a soak run.
#[derive(Debug)]
pub(crate) struct Samples {
    file: File,
    begun: Instant,
    processes: Vec<u32>,
    fpm: u32,
    last: Option<(Instant, f64, f64)>,
    /// Samples of the current server process.
    life: Vec<Sample>,
    lives: Vec<Vec<Sample>>,
}

#[derive(Clone, Debug)]
struct Sample {
    sessions: f64,
    server: Usage,
    processes: Usage,
    fpm: Usage,
}

/// Sums over several processes.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    kib: f64,
    descriptors: f64,
    threads: f64,
}

impl Samples {
    pub(crate) fn new(directory: &Path, begun: Instant, processes: Vec<u32>, fpm: u32) -> Self {
        let mut file = File::create(directory.join("samples.csv")).expect("a file for the samples");
        writeln!(
            file,
            "seconds,sessions,messages,deliveries,server_kib,server_descriptors,server_threads,\
             php_kib,php_descriptors,php_threads,fpm_kib,fpm_descriptors,fpm_threads"
        )
        .expect("it is written");
        Self { file, begun, processes, fpm, last: None, life: Vec::new(), lives: Vec::new() }
    }

    pub(crate) fn take(&mut self, server: &Server, crowd: &Crowd) {
        let now = Instant::now();
        let sessions = ["wamp", "orosync"]
            .iter()
            .map(|protocol| server.metric(&format!("orosync_sessions_open{{protocol=\"{protocol}\"}}")))
            .sum();
        let accepted = server.metric(r#"orosync_messages_accepted_total{source="link"}"#);
        let delivered = server.metric("orosync_deliveries_total");
        let rate = |then: f64, count: f64, since: Instant| {
            (count - then).max(0.0) / now.duration_since(since).as_secs_f64()
        };
        let (messages, deliveries) =
            self.last.map_or((0.0, 0.0), |(since, accepted_then, delivered_then)| {
                (rate(accepted_then, accepted, since), rate(delivered_then, delivered, since))
            });
        self.last = Some((now, accepted, delivered));
        let sample = Sample {
            sessions,
            server: usage([server.pid().as_raw_nonzero().get().unsigned_abs()]),
            processes: usage(self.processes.iter().copied()),
            fpm: usage(children(self.fpm)),
        };
        let seconds = self.begun.elapsed().as_secs_f64();
        let all = [sample.server, sample.processes, sample.fpm]
            .map(|usage| format!("{},{},{}", usage.kib, usage.descriptors, usage.threads));
        writeln!(self.file, "{seconds:.1},{sessions},{messages:.0},{deliveries:.0},{}", all.join(","))
            .expect("it is written");
        println!(
            "{seconds:>7.1} s  {sessions} sessions, {messages:.0} messages/s, {deliveries:.0} deliveries/s, server {:.0} MiB, {} \
             descriptors, {} threads; opened {}",
            sample.server.kib / 1024.0,
            sample.server.descriptors,
            sample.server.threads,
            crowd.opened.load(Ordering::Acquire),
        );
        self.life.push(sample);
    }

    /// Records that the server is about to be restarted.
    pub(crate) fn end_life(&mut self) {
        self.lives.push(std::mem::take(&mut self.life));
        self.last = None;
    }

    /// Returns the values that have grown.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (life, samples) in self.lives.iter().enumerate() {
            let server: Vec<Usage> = samples
                .iter()
                .filter(|sample| sample.sessions >= FULL * f64::from(SESSIONS))
                // Descriptors of sessions vary with the sessions.
                .map(|sample| sample.server.without_sessions(sample.sessions))
                .collect();
            problems.extend(growth(&format!("the server after {life} restarts"), &server));
        }
        let all = self.lives.iter().flatten();
        let processes: Vec<Usage> = all.clone().map(|sample| sample.processes).collect();
        problems.extend(growth("the two PHP processes", &processes));
        problems.extend(growth("the workers of PHP-FPM", &all.map(|sample| sample.fpm).collect::<Vec<_>>()));
        problems
    }
}

impl Usage {
    fn without_sessions(self, sessions: f64) -> Self {
        Self { descriptors: self.descriptors - sessions, ..self }
    }
}

/// Compares the second quarter of the samples with the last. A value has grown only if its minimum in the last quarter exceeds its
/// maximum in the second; values that go up and down have not.
fn growth(who: &str, usages: &[Usage]) -> Vec<String> {
    let quarter = usages.len() / 4;
    if quarter == 0 {
        return vec![format!("{who}: too few samples")];
    }
    let (warm, end) = (&usages[quarter..2 * quarter], &usages[usages.len() - quarter..]);
    let mut problems = Vec::new();
    for (what, of, tolerance) in [
        ("KiB", (|usage: &Usage| usage.kib) as fn(&Usage) -> f64, GROWTH),
        ("descriptors", |usage| usage.descriptors, 1.0),
        ("threads", |usage| usage.threads, 1.0),
    ] {
        let before = warm.iter().map(of).fold(0.0, f64::max);
        let after = end.iter().map(of).fold(f64::MAX, f64::min);
        println!("{who}: at most {before} {what} in the second quarter, at least {after} in the last");
        if after > before * tolerance {
            problems.push(format!("{who}: {before} {what} in the second quarter, {after} in the last"));
        }
    }
    problems
}

fn usage(pids: impl IntoIterator<Item = u32>) -> Usage {
    let mut usage = Usage::default();
    for pid in pids {
        // A worker that has just ended holds nothing.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0)
        };
        usage.kib += value("RssAnon");
        usage.threads += value("Threads");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        usage.descriptors += f64::from(u32::try_from(descriptors).unwrap_or(u32::MAX));
    }
    usage
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
