//! A shard's event loop: the only place where sessions' sockets are read and written.
//!
//! Each iteration handles messages from the inbox and reads from the sockets, within the limits of [`iteration`], and then
//! writes each dirty session once ([`super::send`]). Nothing is spawned or woken per delivery. The sockets are in the shard's
//! own epoll set, whose descriptor is registered with tokio, so a socket needs no memory beyond the kernel's entry.

use std::collections::VecDeque;
use std::io;
use std::iter;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Registry, Token};
use slotmap::{Key, KeyData, SecondaryMap};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::error;

use super::iteration;
use super::ring::SendRing;
use super::{SessionKey, Shard};
use crate::connection::Accepted;
use crate::connection::socket::Socket;
use crate::node::handle::Inbox;
use crate::process::{unix_time, watch};
use crate::session::Now;

/// The interval of timeouts.
const TIMEOUT_INTERVAL: Duration = Duration::from_secs(1);

/// Number of consecutive iterations that begin with a message from the inbox, after which the loop yields. While the inbox is
/// never empty, the loop does not wait, and timers and other tasks of this thread (such as accepting connections) would not
/// run.
const MAX_ITERATIONS_WITHOUT_YIELD: u32 = 8;

/// Indices of [`EventLoop::readable`]: the sockets of publishers, and those of all other sessions.
const PUBLISHERS: usize = 0;
const OTHERS: usize = 1;

/// Runs a shard until it is stopped and its sessions have ended, or the deadline of the drain has passed.
///
/// `send_together`: whether one system call sends a message to many sessions.
pub async fn run(shard: Shard, mut inbox: Inbox, send_together: bool) -> io::Result<()> {
    let mut sockets = watch(Poll::new()?)?;
    let ring = if send_together { Some(SendRing::new()?) } else { None };
    let mut events = Events::with_capacity(iteration::EVENTS);
    let mut event_loop = EventLoop::new(shard, sockets.get_ref().registry().try_clone()?, ring);
    let mut tick = interval(TIMEOUT_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut iterations_without_yield = 0;
    loop {
        let has_work = event_loop.has_work();
        let next_end = event_loop.next_end();
        let mut is_tick = false;
        let first = tokio::select! {
            message = inbox.recv() => message,
            ready = sockets.readable_mut() => {
                // Must be cleared before the events are read, so that later events set it again.
                ready?.clear_ready();
                None
            }
            _ = tick.tick() => {
                is_tick = true;
                None
            }
            () = yield_now(), if has_work => None,
            () = sleep_until(next_end.unwrap_or_else(Instant::now).into()), if next_end.is_some() => None,
        };
        iterations_without_yield = if first.is_some() { iterations_without_yield + 1 } else { 0 };
        let more = iter::from_fn(|| inbox.try_recv().ok());
        let now = Instant::now();
        for message in first.into_iter().chain(more).take(iteration::MESSAGES) {
            event_loop.shard.handle_message(message, now);
        }
        event_loop.accept_some(now);
        event_loop.end_due(now);
        event_loop.take_events(sockets.get_mut(), &mut events)?;
        event_loop.read_sockets();
        event_loop.shard.request_recoveries();
        if is_tick {
            event_loop.handle_timeout(Instant::now());
        }
        event_loop.write_sockets();
        if let Some(until) = event_loop.shard.stop_until()
            && (event_loop.shard.is_empty() || Instant::now() >= until)
        {
            return Ok(());
        }
        if iterations_without_yield == MAX_ITERATIONS_WITHOUT_YIELD {
            iterations_without_yield = 0;
            yield_now().await;
        }
    }
}

pub(super) struct EventLoop {
    pub(super) shard: Shard,
    registry: Registry,
    pub(super) connections: SecondaryMap<SessionKey, Connection>,
    /// `None`: each socket is written to separately.
    pub(super) ring: Option<SendRing>,
    /// Queues of sessions whose sockets may be readable, at [`PUBLISHERS`] and [`OTHERS`].
    readable: [VecDeque<SessionKey>; 2],
    /// Bytes to read from all other sessions in this iteration.
    pub(super) other_read_budget: usize,
    /// When timeouts were last handled.
    ticked: Instant,
    buffer: Box<[u8]>,
    /// Whether the kernel may have further events.
    has_more_events: bool,
    /// When the next session is due to end, if any is scheduled.
    next_end: Option<Instant>,
}

/// A socket with its readiness. Events are edge-triggered, so readiness must be kept between them.
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// Whether the socket may have data to read.
    pub(super) is_readable: bool,
    /// Whether it is in a queue of [`EventLoop::readable`].
    is_queued: bool,
    /// Whether the peer has sent its FIN, which follows the unread data.
    input_ends: bool,
}

impl EventLoop {
    fn new(shard: Shard, registry: Registry, ring: Option<SendRing>) -> Self {
        Self {
            shard,
            registry,
            ring,
            connections: SecondaryMap::new(),
            readable: Default::default(),
            other_read_budget: iteration::MIN_OTHER_READ_BYTES,
            ticked: Instant::now(),
            buffer: vec![0; iteration::PUBLISHER_READ_BYTES].into(),
            has_more_events: false,
            next_end: None,
        }
    }

    fn has_work(&self) -> bool {
        self.has_more_events
            || self.shard.has_arrived()
            || self.readable.iter().any(|queue| !queue.is_empty())
            || self.shard.has_dirty()
            || self.shard.has_recoveries()
            || self.shard.subscriptions_to_drop() > 0
    }

    fn accept_some(&mut self, now: Instant) {
        for _ in 0..iteration::CONNECTIONS {
            let Some(accepted) = self.shard.next_arrived() else { return };
            self.accept(accepted, now);
        }
    }

    fn accept(&mut self, accepted: Accepted, now: Instant) {
        let Accepted { mut socket, client } = accepted;
        let peer = client.peer;
        let key = self.shard.accept(client, now);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = socket.register(&self.registry, token(key), interest) {
            error!(%peer, %error, "cannot register a new connection for events: it is closed");
            self.shard.remove(key);
            return;
        }
        let connection = Connection { socket, is_readable: false, is_queued: false, input_ends: false };
        self.connections.insert(key, connection);
    }

    fn end_due(&mut self, now: Instant) {
        self.next_end = self.shard.end_due(now);
    }

    /// When the next session is due to end, or else the deadline of the drain.
    fn next_end(&self) -> Option<Instant> {
        self.next_end.or(self.shard.stop_until())
    }

    fn take_events(&mut self, sockets: &mut Poll, events: &mut Events) -> io::Result<()> {
        sockets.poll(events, Some(Duration::ZERO))?;
        let mut count = 0;
        for event in &*events {
            count += 1;
            let key = key(event.token());
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if event.is_writable() {
                self.shard.handle_writable(key);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                connection.is_readable = true;
                connection.input_ends |= event.is_read_closed() || event.is_error();
                self.queue_read_if_readable(key);
            }
        }
        self.has_more_events = count == iteration::EVENTS;
        Ok(())
    }

    /// Queues a session's socket to be read, if it may have data.
    pub(super) fn queue_read_if_readable(&mut self, key: SessionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.is_readable && !connection.is_queued {
            connection.is_queued = true;
            let is_publisher = self.shard.session(key).is_some_and(|session| session.is_publisher());
            self.readable[if is_publisher { PUBLISHERS } else { OTHERS }].push_back(key);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let since = now.saturating_duration_since(std::mem::replace(&mut self.ticked, now));
        if since > 2 * TIMEOUT_INTERVAL {
            // This process was suspended, so its clients are not to blame for the silence.
            return;
        }
        for key in self.readable.iter().flatten() {
            self.shard.handle_unread(*key, now);
        }
        self.shard.handle_timeout(now);
    }

    fn read_sockets(&mut self) {
        self.read_some(PUBLISHERS, iteration::PUBLISHER_READ_BYTES);
        let to_drop =
            iteration::drops_per_iteration(self.shard.subscriptions_to_drop(), self.other_read_budget);
        let dropped = self.shard.drop_subscriptions(to_drop);
        self.read_some(OTHERS, self.other_read_budget - dropped * iteration::DROP_COST);
    }

    fn read_some(&mut self, queue: usize, most: usize) {
        if self.readable[queue].is_empty() || most < iteration::DROP_COST {
            return;
        }
        let now = current_time();
        let mut cost = 0;
        for _ in 0..self.readable[queue].len() {
            let Some(key) = self.readable[queue].pop_front() else { return };
            cost += self.read(key, most, now);
            if cost >= most {
                return;
            }
        }
    }

    /// Reads a session's socket until `most` is spent. Returns the cost in bytes.
    fn read(&mut self, key: SessionKey, most: usize, now: Now) -> usize {
        let mut cost = 0;
        let Some(connection) = self.connections.get_mut(key) else { return cost };
        connection.is_queued = false;
        while cost < most {
            if !connection.is_readable || !self.shard.wants_input(key) {
                return cost;
            }
            cost += iteration::read_cost(connection.socket.is_in_tls_handshake());
            let read = connection.socket.read(&mut self.buffer[..most]);
            // Reading TLS may produce output. If the kernel does not accept all of it, the session waits for writability.
            if connection.socket.has_pending() {
                self.shard.handle_blocked(key);
            }
            match read {
                Ok(0) => {
                    connection.is_readable = false;
                    cost += iteration::END_COST;
                    self.shard.handle_end_of_input(key);
                }
                Ok(length) => {
                    cost += length;
                    // A short read has emptied the kernel's buffer, unless the peer's FIN follows.
                    connection.is_readable =
                        length == most || connection.input_ends || connection.socket.reads_in_pieces();
                    self.shard.handle_bytes(key, &self.buffer[..length], now);
                    if self.shard.wants_acknowledgement(key) {
                        connection.socket.acknowledge_now();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.is_readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
                Err(error) => {
                    connection.is_readable = false;
                    cost += iteration::END_COST;
                    self.shard.handle_read_error(key, &error, now.instant);
                }
            }
        }
        self.queue_read_if_readable(key);
        cost
    }
}

/// The token of a session in the epoll set.
fn token(key: SessionKey) -> Token {
    const { assert!(size_of::<usize>() >= size_of::<u64>(), "a session's key does not fit into a token") };
    #[expect(clippy::cast_possible_truncation, reason = "it fits")]
    Token(key.data().as_ffi() as usize)
}

/// The session of a token.
fn key(token: Token) -> SessionKey {
    KeyData::from_ffi(token.0 as u64).into()
}

pub(super) fn current_time() -> Now {
    Now { instant: Instant::now(), unix: unix_time() }
}
