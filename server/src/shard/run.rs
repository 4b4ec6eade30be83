//! A shard's event loop: the only place where sessions' sockets are read and written.
//!
//! Each iteration takes of what is there, from the inbox and from the sockets, as much as [`iteration`] says, and then writes each
//! dirty session once ([`super::send`]). Nothing is spawned or woken per delivery. The sockets hang in an epoll set of the
//! shard's own, whose descriptor tokio watches: a socket costs the kernel's entry and nothing else.

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
const TICK: Duration = Duration::from_secs(1);

/// Iterations in a row that begin with a message of the inbox. Then the other tasks of this thread run, such as the one that
/// accepts connections, and timers: a busy inbox never has the loop wait, which is when they would run.
const MAX_ITERATIONS_WITHOUT_YIELD: u32 = 8;

/// Whose sockets are read: two queues.
const PUBLISHERS: usize = 0;
const OTHERS: usize = 1;

/// Runs a shard until it is told to stop and its sessions have ended, or their time is over.
///
/// `send_together`: a message to many sessions is sent with one system call for all.
pub async fn run(shard: Shard, mut inbox: Inbox, send_together: bool) -> io::Result<()> {
    let mut sockets = watch(Poll::new()?)?;
    let ring = if send_together { Some(SendRing::new()?) } else { None };
    let mut events = Events::with_capacity(iteration::EVENTS);
    let mut event_loop = EventLoop::new(shard, sockets.get_ref().registry().try_clone()?, ring);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut iterations_without_yield = 0;
    loop {
        let has_work = event_loop.has_work();
        let next_end = event_loop.next_end();
        let mut is_tick = false;
        let first = tokio::select! {
            message = inbox.recv() => message,
            ready = sockets.readable_mut() => {
                // Before the events are taken: what happens after them makes it ready again.
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
    /// Where the kernel allows it.
    pub(super) ring: Option<SendRing>,
    /// Sessions that may have more to read than they got their iteration for: of publishers, and of all others.
    readable: [VecDeque<SessionKey>; 2],
    /// What is read of others than publishers in this iteration.
    pub(super) other_read_budget: usize,
    /// When timeouts were last handled.
    ticked: Instant,
    buffer: Box<[u8]>,
    /// There may be more events of the kernel than were taken.
    has_more_events: bool,
    /// When the next session is ended, of those that are to end.
    next_end: Option<Instant>,
}

/// A socket, and what is known of the kernel's side of it. Events are edge-triggered: they are told once.
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// There may be something to read.
    pub(super) is_readable: bool,
    /// It stands in `readable`.
    is_queued: bool,
    /// The peer's FIN is behind what can be read.
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
            error!(%peer, %error, "a new connection could not be watched, and is dropped");
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

    /// Has a session's socket read in one of the next turns, if there may be something.
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
        if since > 2 * TICK {
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

    /// Reads a session's socket, for about so much. What it cost.
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
            // TLS answers while it reads; what the kernel does not take waits for writability.
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
                    // A short read has emptied the kernel's buffer, unless the peer's FIN is still behind it.
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

/// What the kernel is told of a session.
fn token(key: SessionKey) -> Token {
    const { assert!(size_of::<usize>() >= size_of::<u64>(), "a session's key does not fit into a token") };
    #[expect(clippy::cast_possible_truncation, reason = "it fits")]
    Token(key.data().as_ffi() as usize)
}

/// Of which session the kernel tells.
fn key(token: Token) -> SessionKey {
    KeyData::from_ffi(token.0 as u64).into()
}

pub(super) fn current_time() -> Now {
    Now { instant: Instant::now(), unix: unix_time() }
}
