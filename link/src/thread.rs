//! The link thread's main loop: connections, requests, and when to hold the pump.
//!
//! Owns the worker, which is handed over once the thread has started: window and queue survive a failed start, and a panic. The
//! thread holds the pump except while it sleeps in `poll()`. During bursts it naps instead, because waking it costs the
//! publisher microseconds. It never spins: PHP's time limit counts this thread's CPU time too. It never preempts a request
//! either, but waits for its turn if all cores are busy.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, bounded};
use orosync_protocol::PublisherId;
use orosync_protocol::ticket::{Identity, Role};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::connect::{Connected, Connector, Interruption};
use crate::doorbell::{Doorbell, hold};
use crate::endpoint::Endpoint;
use crate::error::{LinkError, panic_text};
use crate::machine::{Machine, Step};
use crate::options::Options;
use crate::process::{never_preempt, stack_bytes, with_signals_blocked};
use crate::pump::{FOLLOWS, Pump};
use crate::queue::Exit;
use crate::request::{Condition, Requests};
use crate::rotation::Rotation;
use crate::status::Record;
use crate::sync::{Mutex, MutexGuard};
use crate::transport::Watched;

/// Length of a nap.
const NAP: Duration = Duration::from_micros(100);

/// Number of naps after a message that followed another one within [`FOLLOWS`], since more may follow. None after a lone
/// message: most requests publish once, and a nap costs the machine as much as the wakeup that it may save.
const NAPS_IN_A_ROW: u32 = 10;

/// Minimum time of an attempt while somebody waits in `flush()` or `check()`, even if its share of that time is less. Enough
/// for a TLS handshake around the world.
const MIN_SHARE: Duration = Duration::from_millis(500);

/// Lifetime of a publisher's ticket, in seconds. It is issued just before the attempt that uses it.
const TICKET_TTL_SECONDS: u64 = 60;

/// State shared by the publisher and the link thread, besides the queue and the requests.
pub(crate) struct Shared {
    pub(crate) doorbell: Doorbell,
    pub(crate) pump: Mutex<Pump>,
    pub(crate) record: Arc<Record>,
    #[cfg(test)]
    pub(crate) panic_once: AtomicBool,
}

impl Shared {
    pub(crate) fn new(publisher: PublisherId, options: &Arc<Options>, exit: Exit) -> Self {
        // Each process starts with a random endpoint, to spread the load.
        let random = SysRng.try_next_u32().unwrap_or_else(|_| std::process::id());
        let rotation = Rotation::new(options.endpoints.as_slice().len(), random);
        let machine = Machine::new(publisher, options.connect_timeout, rotation);
        let record = Arc::new(Record::new());
        Self {
            doorbell: Doorbell::new(),
            pump: Mutex::new(Pump::new(machine, exit, Arc::clone(options), Arc::clone(&record))),
            record,
            #[cfg(test)]
            panic_once: AtomicBool::new(false),
        }
    }
}

/// Starts the link thread, with all signals blocked, and hands `worker` over to it. If no thread can be started, `worker`
/// stays.
pub(crate) fn start(worker: &mut Option<Worker>, shared: &Shared) -> Result<JoinHandle<()>, LinkError> {
    shared.doorbell.install().map_err(LinkError::NoThread)?;
    let (hand_over, handed_over) = bounded::<Worker>(1);
    let body = move || {
        never_preempt();
        if let Ok(mut worker) = handed_over.recv() {
            worker.run();
        }
    };
    let builder = thread::Builder::new().name("orosync-link".to_owned()).stack_size(stack_bytes());
    let thread = with_signals_blocked(|| builder.spawn(body)).map_err(LinkError::NoThread)?;
    if let Some(worker) = worker.take() {
        // The channel has room, and the thread waits for it.
        let _ = hand_over.send(worker);
    }
    Ok(thread)
}

/// The thread's own state, besides the pump.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    requests: Requests,
    options: Arc<Options>,
    connector: Connector,
    naps_left: u32,
    /// Number of messages taken from the queue when it last rested, and since when.
    taken: u64,
    taken_at: Option<Instant>,
    /// The last field, dropped last: it signals that all others are dropped.
    _end: Sender<Infallible>,
}

impl Worker {
    pub(crate) fn new(
        options: Arc<Options>,
        requests: Requests,
        shared: Arc<Shared>,
        end: Sender<Infallible>,
    ) -> Self {
        Self {
            shared,
            requests,
            connector: Connector::new(&options),
            options,
            naps_left: 0,
            taken: 0,
            taken_at: None,
            _end: end,
        }
    }

    /// Runs until stopped. A panic drops the connection and nothing else.
    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(&shared.pump))) {
            let mut pump = hold(&shared.pump);
            self.lose(&mut pump, &LinkError::Panic(panic_text(&*panic)));
            shared.pump.clear_poison();
        }
    }

    fn work(&mut self, shared: &Mutex<Pump>) {
        let mut held = hold(shared);
        loop {
            let pump = &mut *held;
            let now = Instant::now();
            let are_over = self.take_requests(pump, now);
            let worked = match pump.exchange(now) {
                Ok(exchanged) => {
                    if let Some(probe) = exchanged.answered {
                        self.requests.handle_answered(probe);
                    }
                    exchanged.worked
                }
                Err(error) => {
                    self.lose(pump, &error);
                    true
                }
            };
            // After the exchange, which may have read the acknowledgements of lone messages.
            if are_over {
                pump.machine.handle_stop();
            }
            let step = pump.machine.poll_step(now);
            self.shared.record.set_state(pump.machine.state());
            if worked {
                self.requests.handle_acknowledged(pump.exit.acknowledged());
            }
            match step {
                Step::Connect => self.connect(pump),
                Step::GiveUp(error) => self.lose(pump, &error),
                Step::ReportStall { error, outage_begins } => {
                    self.set_last_error(pump, &error);
                    self.record_outage(pump, outage_begins);
                }
                Step::Rest(until) => held = self.rest(shared, held, now, until),
                Step::End => break,
            }
        }
        if let Some(mut transport) = held.transport.take() {
            transport.close();
        }
    }

    /// Takes new requests. Returns whether the link shall end.
    fn take_requests(&mut self, pump: &mut Pump, now: Instant) -> bool {
        #[cfg(test)]
        assert!(!self.shared.panic_once.swap(false, Ordering::Relaxed), "a panic that a test asked for");
        let are_over = self.requests.are_over();
        while let Some(condition) = self.requests.next() {
            match condition {
                Condition::Acknowledged(_) => self.requests.handle_acknowledged(pump.exit.acknowledged()),
                Condition::ServerAnswers => {
                    pump.probe += 1;
                    pump.machine.handle_probe(pump.probe);
                    self.requests.handle_probe(pump.probe);
                }
            }
        }
        if self.requests.is_awaited(now) {
            let requests = &self.requests;
            pump.machine.handle_awaited(now, |begun, endpoints| {
                RequestInterruption { requests, endpoints }.failover_deadline(begun, now)
            });
        }
        are_over
    }

    fn connect(&mut self, pump: &mut Pump) {
        let (index, left) = pump.machine.endpoint();
        let Some(endpoint) = self.options.endpoints.get(index) else { return };
        self.shared.record.set_endpoint(index);
        self.shared.record.set_state(pump.machine.state());
        let interruption = RequestInterruption { requests: &self.requests, endpoints: left };
        let attempt = ticket(&self.options).and_then(|ticket| {
            self.connector.connect(endpoint, &ticket, &self.shared.doorbell, &interruption)
        });
        match attempt {
            Ok(Some(Connected { begun, transport, membership })) => {
                pump.transport = Some(transport);
                pump.machine.handle_connected(begun);
                let other = membership
                    .and_then(|membership| pump.machine.handle_membership(Instant::now(), membership));
                if let Some(other) = other.and_then(|other| self.options.endpoints.get(other)) {
                    self.shared.record.set_cluster_mismatch(&cluster_mismatch(other, endpoint));
                }
            }
            Ok(None) => pump.machine.handle_stop(),
            Err(error) => self.lose(pump, &error),
        }
    }

    /// Drops the connection, records the error, and lets the machine decide what follows.
    fn lose(&mut self, pump: &mut Pump, error: &LinkError) {
        pump.disconnect();
        self.set_last_error(pump, error);
        let lost = pump.machine.handle_lost(Instant::now(), error.retry(), random());
        self.record_outage(pump, lost.outage_begins);
        self.shared.record.set_state(pump.machine.state());
        // After the error is recorded, because a notified requester reads it next.
        if lost.all_refuse {
            self.requests.handle_refused();
        }
    }

    fn set_last_error(&self, pump: &Pump, error: &LinkError) {
        self.shared.record.set_last_error(pump.of_endpoint(error.to_string()));
    }

    /// Records whether the link is stalled, and an outage if one begins. Called after the error is recorded, because whoever
    /// sees the outage reads the error next.
    fn record_outage(&self, pump: &Pump, begins: bool) {
        self.shared.record.set_stalled(pump.machine.is_stalled());
        if begins {
            self.shared.record.count_outage();
        }
    }

    /// Waits for bytes, messages, requests or a deadline. Naps during bursts. During longer waits, publishers may take the
    /// pump.
    fn rest<'a>(
        &mut self,
        shared: &'a Mutex<Pump>,
        mut held: MutexGuard<'a, Pump>,
        now: Instant,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Pump> {
        let left = until.map(|until| until.saturating_duration_since(now));
        if !held.sends_at_once() {
            // A new message could not be sent now, so publishers need not wake the thread.
            self.wait(&mut held, left);
            return held;
        }
        let taken = held.exit.taken();
        if taken != self.taken {
            let before = self.taken_at.max(held.sent_alone);
            let follows = before.is_some_and(|before| now.saturating_duration_since(before) < FOLLOWS);
            self.naps_left = if follows || taken - self.taken > 1 { NAPS_IN_A_ROW } else { 0 };
            self.taken = taken;
            self.taken_at = Some(now);
        }
        if self.naps_left > 0 {
            self.naps_left -= 1;
            self.wait(&mut held, Some(left.map_or(NAP, |left| left.min(NAP))));
            return held;
        }
        held.is_awaited = self.requests.is_awaited(now);
        let expects_nothing = held.expects_nothing();
        let watched = held.watch(expects_nothing);
        let socket = watched.as_ref().map(Watched::as_poll);
        let (mut held, is_ready) =
            self.shared.doorbell.sleep(shared, held, |pump| pump.exit.is_empty(), socket, left);
        // The queue may hold messages: nobody rang for them.
        if is_ready || expects_nothing {
            held.handle_readable();
        }
        // Messages that publishers have sent meanwhile do not count as a burst.
        self.taken = held.exit.taken();
        held
    }

    fn wait(&mut self, pump: &mut Pump, time: Option<Duration>) {
        let watched = pump.watch(false);
        if self.shared.doorbell.wait(watched.as_ref().map(Watched::as_poll), time) {
            pump.handle_readable();
        }
    }
}

/// Ends an attempt early: on shutdown, or when a waiting requester needs the remaining time for another endpoint.
struct RequestInterruption<'a> {
    requests: &'a Requests,
    /// Number of endpoints that have not failed in this round, including the current one.
    endpoints: usize,
}

impl Interruption for RequestInterruption<'_> {
    fn is_stopped(&self) -> bool {
        self.requests.are_over()
    }

    fn failover_deadline(&self, begun: Instant, now: Instant) -> Option<Instant> {
        let (requested, deadline) = self.requests.time(now).filter(|_| self.endpoints > 1)?;
        let begun = begun.max(requested);
        let left = deadline.saturating_duration_since(begun);
        let share = left / u32::try_from(self.endpoints).unwrap_or(u32::MAX);
        Some(begun + share.max(MIN_SHARE))
    }
}

fn cluster_mismatch(one: &Endpoint, other: &Endpoint) -> String {
    format!(
        "{one} and {other} are not nodes of one cluster: messages published to one do not reach browsers of the other. Give both the \
         same broker, or list only one of them"
    )
}

/// Issues a ticket for one attempt.
fn ticket(options: &Options) -> Result<String, LinkError> {
    let failed = |problem: String| LinkError::Ticket(problem);
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| failed(error.to_string()))?.as_secs();
    let id = random_id().map_err(|error| failed(error.to_string()))?;
    let publisher = Identity { role: Role::Publisher, ..Identity::anonymous() };
    options.signer.issue(&publisher, now, TICKET_TTL_SECONDS, id).map_err(|error| failed(error.to_string()))
}

/// 128 random bits from the kernel: an in-memory generator could repeat in a forked child.
pub(crate) fn random_id() -> Result<u128, rand::rngs::SysError> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

/// A random number in 0..1 for jitter; 0.5 if the kernel provides none.
fn random() -> f64 {
    SysRng.try_next_u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
