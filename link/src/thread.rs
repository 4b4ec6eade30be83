//! The one loop of the link thread: queue, machine and wire.
//!
//! Owns the worker, which is handed to the thread once that lives: window and queue outlive a thread that could not be started,
//! and a panic. The thread sleeps in `poll()`; while messages follow each other it naps instead, because waking it
//! costs the publisher microseconds. It never spins: PHP's time limit counts this thread's CPU time too. It never
//! interrupts a request either, but waits its turn where all cores are busy.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, bounded};
use orosync_protocol::PublisherId;
use orosync_protocol::link_frame::ServerFrame;
use orosync_protocol::ticket::{Identity, Role};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::connect::{Connected, Connector, Interruption};
use crate::doorbell::Doorbell;
use crate::error::LinkError;
use crate::machine::{Machine, Step, Transmit};
use crate::options::{Endpoint, Options};
use crate::process::{interrupt_nobody, stack_bytes, with_signals_blocked};
use crate::queue::Exit;
use crate::request::{Asked, Requests};
use crate::rotation::Rotation;
use crate::status::Record;
use crate::transport::{Incoming, Transport};

/// One nap.
const NAP: Duration = Duration::from_micros(100);

/// Naps after a message that followed another one within the time that they take: more may follow. After a lone one there
/// is none: most requests publish once, and a nap costs the machine as much as a wake that it may save.
const NAPS_IN_A_ROW: u32 = 10;

/// While somebody waits in `flush()` or `check()`, an attempt gets its share of that time, but so much at least: enough for
/// a handshake with TLS around the world.
const LEAST_SHARE: Duration = Duration::from_millis(500);

/// How long a publisher's ticket is good. It is minted for the attempt that uses it at once.
const TICKET_TTL_SECONDS: u64 = 60;

/// What the publisher and the link thread share, besides the queue and the requests.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) doorbell: Doorbell,
    pub(crate) record: Record,
    #[cfg(test)]
    pub(crate) panic_once: AtomicBool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            doorbell: Doorbell::default(),
            record: Record::new(),
            #[cfg(test)]
            panic_once: AtomicBool::new(false),
        }
    }
}

/// Starts the link thread and hands `worker` over to it; leaves it there if there is no thread to be had. All signals are blocked
/// in it.
pub(crate) fn start(worker: &mut Option<Worker>, shared: &Shared) -> Result<JoinHandle<()>, LinkError> {
    shared.doorbell.install().map_err(LinkError::NoThread)?;
    let (hand_over, handed_over) = bounded::<Worker>(1);
    let body = move || {
        interrupt_nobody();
        if let Ok(mut worker) = handed_over.recv() {
            worker.run();
        }
    };
    let builder = thread::Builder::new().name("orosync-link".to_owned()).stack_size(stack_bytes());
    let thread = with_signals_blocked(|| builder.spawn(body)).map_err(LinkError::NoThread)?;
    if let Some(worker) = worker.take() {
        // There is room for it, and the thread waits for it.
        let _ = hand_over.send(worker);
    }
    Ok(thread)
}

/// What the thread works with.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    exit: Exit,
    requests: Requests,
    /// The last probe that the server was asked.
    probe: u64,
    options: Arc<Options>,
    machine: Machine,
    connector: Connector,
    transport: Option<Transport>,
    naps_left: u32,
    /// How many messages had left the queue when it last rested, and since when.
    taken: u64,
    taken_at: Option<Instant>,
    /// The last field: it says that all others are gone.
    _end: Sender<Infallible>,
}

impl Worker {
    pub(crate) fn new(
        publisher: PublisherId,
        options: Arc<Options>,
        exit: Exit,
        requests: Requests,
        shared: Arc<Shared>,
        end: Sender<Infallible>,
    ) -> Self {
        // Each process begins with another one, so that they spread.
        let random = SysRng.try_next_u32().unwrap_or_else(|_| std::process::id());
        let rotation = Rotation::new(options.endpoints.as_slice().len(), random);
        Self {
            shared,
            exit,
            requests,
            probe: 0,
            machine: Machine::new(publisher, options.connect_timeout, rotation),
            connector: Connector::new(&options),
            options,
            transport: None,
            naps_left: 0,
            taken: 0,
            taken_at: None,
            _end: end,
        }
    }

    /// Works until it is stopped. A panic costs the connection and nothing else.
    fn run(&mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            self.lose(&LinkError::Panic(panic_text(&*panic)));
        }
    }

    fn work(&mut self) {
        loop {
            let now = Instant::now();
            self.hear_requests(now);
            let worked = match self.exchange(now) {
                Ok(worked) => worked,
                Err(error) => {
                    self.lose(&error);
                    true
                }
            };
            let step = self.machine.poll_step(now);
            self.shared.record.set_state(self.machine.state());
            if worked {
                self.requests.handle_acknowledged(self.exit.acknowledged());
            }
            match step {
                Step::Connect => self.connect(),
                Step::GiveUp(error) => self.lose(&error),
                Step::Complain { error, outage_begins } => {
                    self.set_last_error(&error);
                    self.record_outage(outage_begins);
                }
                Step::Rest(until) => self.rest(now, until),
                Step::End => break,
            }
        }
        if let Some(mut transport) = self.transport.take() {
            transport.close();
        }
    }

    fn hear_requests(&mut self, now: Instant) {
        #[cfg(test)]
        assert!(!self.shared.panic_once.swap(false, Ordering::Relaxed), "a panic that a test asked for");
        let are_over = self.requests.are_over();
        match self.requests.next() {
            Some(Asked::Acknowledged(_)) => self.requests.handle_acknowledged(self.exit.acknowledged()),
            Some(Asked::Answers) => {
                self.probe += 1;
                self.machine.handle_probe(self.probe);
            }
            None => {}
        }
        if self.requests.is_awaited(now) {
            let requests = &self.requests;
            self.machine
                .handle_hurry(now, |begun, endpoints| Hurry { requests, endpoints }.latest(begun, now));
        }
        if are_over {
            self.machine.handle_stop();
        }
    }

    /// Reads all there is, writes what the kernel takes. Returns whether there was anything to do.
    fn exchange(&mut self, now: Instant) -> Result<bool, LinkError> {
        let Some(transport) = &mut self.transport else { return Ok(false) };
        let mut worked = false;
        while let Some(incoming) = transport.read()? {
            worked = true;
            match incoming {
                Incoming::Frame(frame) => {
                    let heard = self.machine.handle_frame(now, ServerFrame::decode(frame)?)?;
                    // Before who waits for the acknowledgement hears of it.
                    if let Some(mut undeliverable) = heard.undeliverable {
                        undeliverable.sentence =
                            of_endpoint(&self.options, &self.machine, undeliverable.sentence);
                        self.shared.record.add_undeliverable(undeliverable);
                    }
                    self.exit.give_back(heard.freed);
                    self.shared.record.set_nobody_acknowledges(self.machine.nobody_acknowledges());
                    if heard.welcomed {
                        self.shared.record.count_opened();
                        self.requests.handle_answered();
                    }
                }
                Incoming::Pong(payload) => {
                    if self.machine.handle_pong(now, &payload) == Some(self.probe) {
                        self.requests.handle_answered();
                    }
                }
                Incoming::Ping => self.machine.handle_server_ping(now),
                Incoming::Other => self.machine.handle_sign_of_life(now),
            }
        }
        loop {
            if !transport.is_drained() {
                if transport.flush()? {
                    self.machine.handle_written(now);
                    worked = true;
                }
                if !transport.is_drained() {
                    return Ok(worked);
                }
            }
            match self.machine.poll_transmit(now, &mut || self.exit.take()) {
                Some(Transmit::Frame(frame)) => transport.send_frame(frame)?,
                Some(Transmit::Ping(payload)) => transport.send_ping(payload)?,
                None => return Ok(worked),
            }
            worked = true;
        }
    }

    fn connect(&mut self) {
        let (index, left) = self.machine.endpoint();
        let Some(endpoint) = self.options.endpoints.get(index) else { return };
        self.shared.record.set_endpoint(index);
        self.shared.record.set_state(self.machine.state());
        let asker = Hurry { requests: &self.requests, endpoints: left };
        let attempt = ticket(&self.options)
            .and_then(|ticket| self.connector.connect(endpoint, &ticket, &self.shared.doorbell, &asker));
        match attempt {
            Ok(Some(Connected { begun, transport, membership })) => {
                self.transport = Some(transport);
                self.machine.handle_connected(begun);
                let stranger =
                    membership.and_then(|said| self.machine.handle_membership(Instant::now(), said));
                if let Some(stranger) = stranger.and_then(|stranger| self.options.endpoints.get(stranger)) {
                    self.shared.record.set_strangers(&strangers(stranger, endpoint));
                }
            }
            Ok(None) => self.machine.handle_stop(),
            Err(error) => self.lose(&error),
        }
    }

    /// Drops the connection, writes down why, and leaves the rest to the machine.
    fn lose(&mut self, error: &LinkError) {
        self.transport = None;
        self.set_last_error(error);
        let lost = self.machine.handle_lost(Instant::now(), error.retry(), random());
        self.record_outage(lost.outage_begins);
        self.shared.record.set_state(self.machine.state());
        // After the record: who is told reads that next.
        if lost.all_refuse {
            self.requests.handle_refused();
        }
    }

    fn set_last_error(&self, error: &LinkError) {
        self.shared.record.set_last_error(of_endpoint(&self.options, &self.machine, error.to_string()));
    }

    /// After its error: who reads of an outage reads that next.
    fn record_outage(&self, begins: bool) {
        self.shared.record.set_nobody_acknowledges(self.machine.nobody_acknowledges());
        if begins {
            self.shared.record.count_outage();
        }
    }

    /// Waits for bytes, messages, requests or time. Naps while messages follow each other.
    fn rest(&mut self, now: Instant, until: Option<Instant>) {
        let left = until.map(|until| until.saturating_duration_since(now));
        let sends_at_once =
            self.machine.is_open() && self.transport.as_ref().is_some_and(Transport::is_drained);
        if !sends_at_once {
            // A new message could not leave now: nobody needs to wake us for it.
            self.wait(left);
            return;
        }
        let taken = self.exit.taken();
        if taken != self.taken {
            let follows =
                self.taken_at.is_some_and(|before| now.duration_since(before) < NAPS_IN_A_ROW * NAP);
            self.naps_left = if follows || taken - self.taken > 1 { NAPS_IN_A_ROW } else { 0 };
            self.taken = taken;
            self.taken_at = Some(now);
        }
        if self.naps_left > 0 {
            self.naps_left -= 1;
            self.wait(Some(left.map_or(NAP, |left| left.min(NAP))));
            return;
        }
        self.shared.doorbell.lie_down();
        if self.exit.is_empty() {
            self.wait(left);
        }
        self.shared.doorbell.get_up();
    }

    fn wait(&mut self, time: Option<Duration>) {
        let socket = self.transport.as_ref().map(Transport::interest);
        if self.shared.doorbell.wait(socket, time)
            && let Some(transport) = &mut self.transport
        {
            transport.handle_readable();
        }
    }
}

/// Who ends an attempt early: the publisher that ends; and one that waits, where another endpoint may answer in time.
struct Hurry<'a> {
    requests: &'a Requests,
    /// That have not failed in this round, the one that is tried included.
    endpoints: usize,
}

impl Interruption for Hurry<'_> {
    fn is_stopped(&self) -> bool {
        self.requests.are_over()
    }

    fn latest(&self, begun: Instant, now: Instant) -> Option<Instant> {
        let (asked, deadline) = self.requests.time(now).filter(|_| self.endpoints > 1)?;
        let begun = begun.max(asked);
        let left = deadline.saturating_duration_since(begun);
        let share = left / u32::try_from(self.endpoints).unwrap_or(u32::MAX);
        Some(begun + share.max(LEAST_SHARE))
    }
}

/// A sentence about the endpoint whose turn it is; of several it says which.
fn of_endpoint(options: &Options, machine: &Machine, sentence: String) -> String {
    match options.endpoints.get(machine.endpoint().0) {
        Some(endpoint) if options.endpoints.are_several() => format!("{endpoint}: {sentence}"),
        _ => sentence,
    }
}

fn strangers(one: &Endpoint, other: &Endpoint) -> String {
    format!(
        "{one} and {other} are no nodes of one cluster: browsers of the one do not get what the other takes. Have both use the \
         same broker, or name one of them only"
    )
}

/// A ticket for one attempt.
fn ticket(options: &Options) -> Result<String, LinkError> {
    let failed = |problem: String| LinkError::Ticket(problem);
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| failed(error.to_string()))?.as_secs();
    let id = random_id().map_err(|error| failed(error.to_string()))?;
    let publisher = Identity { role: Role::Publisher, ..Identity::anonymous() };
    options.signer.mint(&publisher, now, TICKET_TTL_SECONDS, id).map_err(|error| failed(error.to_string()))
}

/// 128 bits from the kernel: never the same in a parent and its forked child, as a generator's in memory would be.
pub(crate) fn random_id() -> Result<u128, rand::rngs::SysError> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

/// In 0..1, for jitter. Without randomness: the middle.
fn random() -> f64 {
    SysRng.try_next_u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text").to_owned()
}
