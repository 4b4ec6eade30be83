//! The publisher that an application holds: publish, flush, check, status, shutdown.
//!
//! Owns the queue's entrance and the handle of the link thread. Both are created on first use, and again in a forked child,
//! which gets its own publisher id, queue and connection; the parent delivers what it had queued. In a PHP with threads, each
//! thread has its own publisher, and they share these: see `SharedLink`.

#[cfg(feature = "threads")]
mod shared_link;

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use orosync_protocol::PublisherId;
use orosync_protocol::link_frame::MessageRef;

use crate::endpoint::Endpoint;
use crate::error::QueueFull;
use crate::options::Options;
use crate::process;
use crate::queue::{Entrance, queue};
use crate::request::{Answer, Condition, Requester, requests};
use crate::shutdown::{self, Leftover};
use crate::status::{Refusal, State, Status};
use crate::thread::{self, Shared, Worker};

#[cfg(feature = "threads")]
pub use shared_link::SharedLink;

/// A publisher to one server or one cluster, used by one thread at a time. Messages are sent in the order of acceptance.
#[derive(Debug)]
pub struct Publisher {
    options: Arc<Options>,
    generation: u64,
    link: Option<Link>,
    closed: bool,
    #[cfg(feature = "threads")]
    shared_link: Arc<SharedLink>,
}

/// Queue, link thread and connection of this process, created for the first message.
pub(crate) struct Link {
    pub(crate) entrance: Entrance,
    pub(crate) shared: Arc<Shared>,
    pub(crate) requester: Requester,
    /// Disconnected once the worker is gone.
    pub(crate) ended: Receiver<Infallible>,
    pub(crate) thread: Option<JoinHandle<()>>,
    /// The worker, until it is handed to the thread.
    worker: Option<Worker>,
    /// Whether the thread was started. In a PHP with threads, the first link starts it for all.
    #[cfg(feature = "threads")]
    has_thread: bool,
}

impl Publisher {
    /// Creates a publisher without starting a thread or a connection.
    #[cfg(not(feature = "threads"))]
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options), generation: process::generation(), link: None, closed: false }
    }

    /// Endpoints, secret and bounds.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Accepts a message for delivery. Takes no lock and does no I/O while the link thread is awake. If it sleeps, this thread
    /// tries one non-blocking write, or wakes it.
    pub fn publish(&mut self, message: MessageRef<'_>) -> Result<(), QueueFull> {
        let link = self.link()?;
        link.entrance.try_push(message)?;
        if link.shared.doorbell.is_asleep() {
            link.send_or_wake();
        }
        Ok(())
    }

    /// Waits until the server has acknowledged everything that this process has accepted. Returns false on timeout, or at once
    /// if the server refuses this publisher.
    pub fn flush(&mut self, timeout: Duration) -> bool {
        if !self.has_link() {
            return true;
        }
        self.link().is_ok_and(|link| link.flush(Instant::now() + timeout))
    }

    /// Flushes before another program replaces this one: at most `shutdown_timeout` from `begun`. Returns the undelivered
    /// messages, if any. The publisher continues to work if that program cannot be started.
    pub fn flush_since(&mut self, begun: Instant) -> Option<Leftover> {
        if !self.has_link() {
            return None;
        }
        let deadline = begun + self.options.shutdown_timeout;
        if let Ok(link) = self.link() {
            link.flush(deadline);
        }
        self.link.as_ref().and_then(|link| shutdown::leftover(&link.entrance, &link.shared, &self.options))
    }

    /// Checks over an open or new connection that the server answers and accepts this publisher. Returns false on timeout, or
    /// at once if the server refuses it.
    pub fn check(&mut self, timeout: Duration) -> bool {
        self.link().is_ok_and(|link| link.check(Instant::now() + timeout))
    }

    /// Returns a snapshot of state and counters. No I/O.
    pub fn status(&self) -> Status {
        self.look(Link::status).unwrap_or_else(|| {
            let state = if self.closed { State::Closed } else { State::Idle };
            Status { state, ..Status::idle() }
        })
    }

    /// The endpoint in use or being tried; `None` before the first message and after shutdown.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        let index = self.look(|link| link.shared.record.endpoint())?;
        self.options.endpoints.get(index)
    }

    /// A warning that two of the endpoints are not nodes of one cluster, once that is known. Cheap enough to call after each
    /// message.
    pub fn cluster_mismatch(&self) -> Option<&str> {
        let link = self.link.as_ref().filter(|_| self.generation == process::generation())?;
        link.shared.record.cluster_mismatch()
    }

    /// The latest refusals by topic, at most [`MAX_REFUSALS`](crate::status::MAX_REFUSALS), latest last. No I/O.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.look(|link| link.shared.record.refusals()).unwrap_or_default()
    }

    /// The number of outages as in [`Publisher::status`], but cheap enough to call after each message.
    pub fn outages(&self) -> u64 {
        let link = self.link.as_ref().filter(|_| self.generation == process::generation());
        link.map_or(0, |link| link.shared.record.outages())
    }

    /// Ends the link: flushes for at most `shutdown_timeout`, then joins the thread, or detaches it if it cannot end now.
    /// Returns the undelivered messages, if any. Does nothing if nothing was published, and in a forked child. Afterwards every
    /// message is refused.
    pub fn shutdown(&mut self) -> Option<Leftover> {
        self.shutdown_since(Instant::now())
    }

    /// [`Publisher::shutdown`] for one of several publishers that end together: the timeout counts from `begun`, so that their
    /// waits do not add up.
    #[cfg(not(feature = "threads"))]
    pub fn shutdown_since(&mut self, begun: Instant) -> Option<Leftover> {
        self.forget_inherited();
        self.closed = true;
        let link = self.link.take()?;
        link.shutdown(&self.options, begun)
    }

    /// Whether this process has a link.
    #[cfg(not(feature = "threads"))]
    fn has_link(&mut self) -> bool {
        self.forget_inherited();
        self.link.is_some()
    }

    /// Reads the link of this process, if it has one.
    #[cfg(not(feature = "threads"))]
    fn look<T>(&self, look: impl FnOnce(&Link) -> T) -> Option<T> {
        self.link.as_ref().filter(|_| self.generation == process::generation()).map(look)
    }

    /// The link of this process, with a running thread.
    #[cfg(not(feature = "threads"))]
    fn link(&mut self) -> Result<&mut Link, QueueFull> {
        self.forget_inherited();
        if self.closed {
            return Err(QueueFull);
        }
        if self.link.is_none() {
            self.link = Some(Link::new(&self.options).ok_or(QueueFull)?);
        }
        let link = self.link.as_mut().ok_or(QueueFull)?;
        link.start_thread();
        Ok(link)
    }

    /// Forgets a link inherited by a fork. It must not even be dropped: its locks may be held by a thread that does not exist
    /// in the child.
    fn forget_inherited(&mut self) {
        let generation = process::generation();
        if self.generation != generation {
            self.generation = generation;
            mem::forget(self.link.take());
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.forget_inherited();
        // If threads share the link, their `SharedLink` ends it when the last of them drops its reference.
        #[cfg(not(feature = "threads"))]
        if let Some(link) = self.link.take() {
            link.stop();
        }
    }
}

impl Link {
    fn new(options: &Arc<Options>) -> Option<Self> {
        let publisher = PublisherId(thread::random_id().ok()?);
        let (entrance, exit) = queue(options.bounds);
        let (requester, requests) = requests();
        let (end, ended) = bounded(0);
        let shared = Arc::new(Shared::new(publisher, options, exit));
        let worker = Worker::new(Arc::clone(options), requests, Arc::clone(&shared), end);
        Some(Self {
            entrance,
            shared,
            requester,
            ended,
            thread: None,
            worker: Some(worker),
            #[cfg(feature = "threads")]
            has_thread: false,
        })
    }

    /// Starts the thread if it is not running: on first use, and after a failed start. Accepted messages wait for it.
    fn start_thread(&mut self) {
        if self.worker.is_none() {
            return;
        }
        match thread::start(&mut self.worker, &self.shared) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => self.shared.record.set_last_error(error.to_string()),
        }
    }

    /// Called while the link thread sleeps: sends the message just accepted, or wakes the thread.
    #[cold]
    fn send_or_wake(&self) {
        let shared = &self.shared;
        // Apache ends its children within a signal handler: there the link thread must be able to take the pump.
        process::with_signals_blocked(|| {
            shared.doorbell.send_or_wake(&shared.pump, |pump| pump.send_alone(Instant::now()));
        });
    }

    fn status(&self) -> Status {
        let tally = self.entrance.counts().tally();
        let record = &self.shared.record;
        Status {
            state: record.state(),
            queued: tally.queued,
            unacknowledged: tally.unacknowledged,
            accepted: tally.accepted,
            acknowledged: tally.acknowledged,
            refused: tally.refused,
            reconnects: record.reconnects(),
            outages: record.outages(),
            is_stalled: record.is_stalled(),
            undeliverable: record.undeliverable(),
            last_error: record.last_error(),
        }
    }

    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        let accepted = self.entrance.accepted();
        let is_done = || self.entrance.counts().acknowledged() >= accepted;
        is_done() || {
            self.request(Condition::Acknowledged(accepted), deadline);
            is_done()
        }
    }

    fn check(&self, deadline: Instant) -> bool {
        self.request(Condition::ServerAnswers, deadline) == Some(Answer::Yes)
    }

    fn request(&self, condition: Condition, deadline: Instant) -> Option<Answer> {
        self.requester.request(condition, deadline, || self.shared.doorbell.ring())
    }

    /// Flushes until `shutdown_timeout` from `begun` is over, then ends the thread. Returns the undelivered messages, if any.
    fn shutdown(self, options: &Options, begun: Instant) -> Option<Leftover> {
        let deadline = begun + options.shutdown_timeout;
        self.flush(deadline);
        let Self { entrance, shared, requester, ended, thread, .. } = self;
        shutdown::end(&shared, requester, &ended, thread, deadline);
        // Counted last: acknowledgements may have arrived meanwhile.
        shutdown::leftover(&entrance, &shared, options)
    }

    /// Tells the thread to end, without waiting for it.
    fn stop(self) {
        let Self { requester, shared, .. } = self;
        drop(requester);
        shared.doorbell.ring();
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("tally", &self.entrance.counts().tally()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::Ordering;

    use crossbeam_channel::RecvTimeoutError;
    use orosync_protocol::ticket::Signer;

    use super::*;
    use crate::queue::message;

    fn until(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "not in time");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_panic_of_the_link_thread_loses_the_connection_but_no_message() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let signer = Signer::from_secret(&[b's'; 32]).unwrap();
        let mut publisher = Publisher::new(Options {
            shutdown_timeout: Duration::ZERO,
            ..Options::new(Endpoint::Unix { path: path.clone() }.into(), signer)
        });
        publisher.publish(message("t", "1").lend()).unwrap();
        let shared = Arc::clone(&publisher.link.as_ref().unwrap().shared);
        shared.panic_once.store(true, Ordering::Relaxed);
        shared.doorbell.ring();
        until(|| !shared.panic_once.load(Ordering::Relaxed));
        assert_eq!(publisher.status().queued, 1);
        // The link still tries to deliver.
        let listener = UnixListener::bind(path).unwrap();
        listener.accept().unwrap();
        assert_eq!(publisher.shutdown().unwrap().messages, 1);
    }

    #[test]
    fn the_link_thread_runs_under_sched_batch() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::from_secret(&[b's'; 32]).unwrap();
        let endpoint = Endpoint::Unix { path: directory.path().join("nobody") };
        let mut publisher = Publisher::new(Options::new(endpoint.into(), signer));
        publisher.publish(message("t", "1").lend()).unwrap();
        // proc(5): the policy is the 39th field after the name.
        let is_batch = |stat: &str| {
            let (_, behind) = stat.rsplit_once(')').unwrap();
            stat.contains("(orosync-link)")
                && behind.split_whitespace().nth(38) == Some(&libc::SCHED_BATCH.to_string())
        };
        until(|| {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            tasks
                .flatten()
                .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
                .any(|stat| is_batch(&stat))
        });
    }

    #[test]
    fn the_link_thread_has_a_name_and_ends_with_its_publisher() {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::from_secret(&[b's'; 32]).unwrap();
        let endpoint = Endpoint::Unix { path: directory.path().join("nobody") };
        let mut publisher = Publisher::new(Options::new(endpoint.into(), signer));
        publisher.publish(message("t", "1").lend()).unwrap();
        let link = publisher.link.as_ref().unwrap();
        // In a PHP with threads, the first link of the `SharedLink` has the thread.
        #[cfg(not(feature = "threads"))]
        assert_eq!(link.thread.as_ref().unwrap().thread().name(), Some("orosync-link"));
        let ended = link.ended.clone();
        drop(publisher);
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected));
    }
}
