//! Repeated measurements of servers under load, in turn.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Load, Traffic};
use crate::machine::Cores;
use crate::peers::{Peer, Selection};
use crate::process::Process;
use crate::report::quotient;

/// Warm-up before each measurement.
const WARM_UP: Duration = Duration::from_millis(100);

/// Time over which a server is checked for being idle.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// Maximum wait for an idle server; some are never quite idle.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);

/// Descriptors that a server and its load need in addition to one per session.
pub const DESCRIPTORS_BESIDE: usize = 20;

/// A server with open sessions.
#[derive(Debug)]
pub struct Subject {
    /// Its name in the results.
    pub name: String,
    /// Its sessions. They must end before the server, because a draining server waits for them.
    pub load: Load,
    /// Its process.
    pub process: Process,
}

/// The cost of a fan-out.
#[derive(Clone, Copy, Debug)]
pub struct FanOut {
    /// Microseconds of server CPU per delivery.
    pub cpu_us: f64,
    /// Deliveries per second of wall time.
    pub per_second: f64,
}

impl Subject {
    /// Starts a peer on the server's core and opens its sessions.
    pub fn start(peer: &Peer, sessions: usize, topics: usize) -> io::Result<Self> {
        Self::start_on(&[Cores::all().server()], peer, sessions, topics)
    }

    /// Like the method above, on these cores.
    pub fn start_on(cores: &[usize], peer: &Peer, sessions: usize, topics: usize) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", peer.name));
        let process = peer.start_on(cores)?;
        let load = Load::open(peer.wire, process.address(), sessions, topics).map_err(named)?;
        Ok(Self { name: peer.name.clone(), load, process })
    }

    /// Opens the sessions on a running server whose messages are published to another one.
    pub fn behind(
        peer: &Peer,
        process: Process,
        publisher: SocketAddr,
        sessions: usize,
        topics: usize,
    ) -> io::Result<Self> {
        let load = Load::open_between(peer.wire, publisher, process.address(), sessions, topics);
        let load = load.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", peer.name)))?;
        Ok(Self { name: peer.name.clone(), load, process })
    }

    /// Publishes for this time, waits for the last delivery, and returns the cost.
    pub fn fan_out(&mut self, traffic: Traffic, time: Duration) -> io::Result<FanOut> {
        self.publish(traffic, time)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.name)))
    }

    fn publish(&mut self, traffic: Traffic, time: Duration) -> io::Result<FanOut> {
        self.load.publish_until(Instant::now() + WARM_UP, traffic)?;
        // Nothing is in flight at either end of the measured time, because a server may work for long before the first delivery
        // of a burst arrives.
        self.load.drain()?;
        let (began, cpu, delivered) = (Instant::now(), self.process.cpu_ns()?, self.load.delivered());
        self.load.publish_until(began + time, traffic)?;
        self.load.drain()?;
        let (elapsed, cpu) = (began.elapsed(), self.process.cpu_ns()? - cpu);
        let delivered = self.load.delivered() - delivered;
        #[expect(clippy::cast_possible_truncation, reason = "seconds, in nanoseconds")]
        let elapsed = elapsed.as_nanos() as u64;
        Ok(FanOut { cpu_us: quotient(cpu, delivered) / 1e3, per_second: quotient(delivered, elapsed) * 1e9 })
    }
}

/// Measures peers in turn. Sessions stay open if there are enough descriptors; otherwise they are opened for each round.
#[derive(Debug)]
pub struct Turns<'a> {
    selection: &'a Selection,
    sessions: usize,
    topics: usize,
    /// The open stage of each peer, if stages stay open.
    kept: Option<Vec<Subject>>,
}

impl<'a> Turns<'a> {
    /// Measurements with so many sessions per peer.
    pub fn new(selection: &'a Selection, sessions: usize, topics: usize) -> io::Result<Self> {
        let needed = (sessions + DESCRIPTORS_BESIDE) * selection.peers.len();
        let start = || selection.peers.iter().map(|peer| Subject::start(peer, sessions, topics)).collect();
        let kept = (needed <= selection.descriptors).then(start).transpose()?;
        Ok(Self { selection, sessions, topics, kept })
    }

    /// Measures every peer with each traffic pattern. Calls `found` with the pattern's index, the peer's name and the cost.
    pub fn take(
        &mut self,
        traffics: &[Traffic],
        time: Duration,
        mut found: impl FnMut(usize, &str, FanOut),
    ) -> io::Result<()> {
        if let Some(subjects) = &mut self.kept {
            for (index, traffic) in traffics.iter().enumerate() {
                for subject in &mut *subjects {
                    let fan_out = subject.fan_out(*traffic, time)?;
                    found(index, &subject.name, fan_out);
                }
            }
            return Ok(());
        }
        for peer in &self.selection.peers {
            let mut subject = Subject::start(peer, self.sessions, self.topics)?;
            for (index, traffic) in traffics.iter().enumerate() {
                found(index, &peer.name, subject.fan_out(*traffic, time)?);
            }
        }
        Ok(())
    }
}

/// A count with commas between thousands.
pub fn thousands(count: usize) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}

/// Waits until a server is idle, so that closing the sessions of one round does not count for the next.
pub fn settle(process: &Process) -> io::Result<()> {
    let end = Instant::now() + SETTLE_LIMIT;
    loop {
        let before = process.cpu_ns()?;
        thread::sleep(SETTLE_STEP);
        let used = Duration::from_nanos(process.cpu_ns()? - before);
        if used < SETTLE_STEP / 50 || Instant::now() > end {
            return Ok(());
        }
    }
}
