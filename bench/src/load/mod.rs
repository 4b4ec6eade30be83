//! The load generator: subscribers and one publisher of one server, in one epoll loop with one read buffer.
//!
//! It is never the bottleneck: it parses only the heads of frames and reads a socket once per event (events are edge-triggered,
//! and a read that does not fill the buffer has emptied the socket).

mod connection;
mod frames;
mod messages;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::wire::{Counting, Step, Tickets, Wire};
use connection::Connection;
use frames::Frames;
use messages::Messages;

/// Default number of concurrent handshakes.
pub const OPENING_AT_ONCE: usize = 64;

/// Maximum sessions per loopback address: the kernel has about 28,000 ports for each.
const SESSIONS_PER_ADDRESS: usize = 20_000;

/// Silence after which the server is assumed to have lost a message.
const SILENCE: Duration = Duration::from_secs(20);

const BUFFER_BYTES: usize = 256 << 10;

const EVENTS_PER_ITERATION: usize = 4096;

/// Number of one-message connections that are kept, so that their answers have certainly arrived.
const KEPT_CONNECTIONS: usize = 128;

/// The publisher's epoll token; a session's token is its index.
const PUBLISHER: Token = Token(usize::MAX - 1);

/// A traffic pattern.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Payload size of one message.
    pub bytes: usize,
    /// Number of messages that not all subscribers have received; when one is complete, another is published.
    pub in_flight: usize,
}

/// The load generator for one server: its subscribers and its publisher.
#[derive(Debug)]
pub struct Load {
    wire: Wire,
    address: SocketAddr,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    tickets: Tickets,
    topics: usize,
    sessions: Vec<Session>,
    publisher: Option<Publisher>,
    messages: Messages,
    counting: Counting,
}

/// The opening steps of sessions that are not open yet.
#[derive(Debug)]
pub struct Steps(VecDeque<Vec<Step>>);

#[derive(Debug)]
struct Session {
    connection: Connection,
    topic: usize,
    frames: Frames,
    /// Received bytes of an incomplete delivery, where deliveries are counted by bytes.
    part: usize,
    /// Deliveries since counting started.
    received: u64,
}

#[derive(Debug)]
struct Publisher {
    connection: Connection,
    out: Vec<u8>,
    sent: usize,
    one_message_each: VecDeque<std::net::TcpStream>,
}

impl Load {
    /// Opens the sessions, spread over the topics in turn, and the publisher.
    pub fn open(wire: Wire, address: SocketAddr, sessions: usize, topics: usize) -> io::Result<Self> {
        Self::open_between(wire, address, address, sessions, topics)
    }

    /// Like [`Load::open`], with the publisher on another server than the sessions.
    pub fn open_between(
        wire: Wire,
        publisher: SocketAddr,
        address: SocketAddr,
        sessions: usize,
        topics: usize,
    ) -> io::Result<Self> {
        let mut load = Self::without_sessions(wire, address, topics)?;
        load.open_sessions(sessions)?;
        load.open_publisher(publisher)?;
        Ok(load)
    }

    /// A load generator for a server, without connections.
    pub fn without_sessions(wire: Wire, address: SocketAddr, topics: usize) -> io::Result<Self> {
        Ok(Self {
            wire,
            address,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_ITERATION),
            buffer: vec![0; BUFFER_BYTES],
            tickets: Tickets::default(),
            topics,
            sessions: Vec::new(),
            publisher: None,
            messages: Messages::new(topics),
            counting: Counting::Frames(0),
        })
    }

    /// Number of open sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Number of deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.messages.delivered()
    }

    /// Opens more sessions, [`OPENING_AT_ONCE`] at a time.
    pub fn open_sessions(&mut self, count: usize) -> io::Result<()> {
        let steps = self.steps(count, Wire::subscriber);
        self.open_all(steps, OPENING_AT_ONCE)
    }

    /// Prepares the opening steps of so many sessions. Tickets are issued here, outside the measured time.
    pub fn steps(&mut self, count: usize, how: fn(Wire, usize, &mut Tickets) -> Vec<Step>) -> Steps {
        let all = self.sessions.len()..self.sessions.len() + count;
        Steps(all.map(|index| how(self.wire, index % self.topics, &mut self.tickets)).collect())
    }

    /// Opens these sessions, so many at a time.
    pub fn open_all(&mut self, Steps(mut waiting): Steps, at_once: usize) -> io::Result<()> {
        let mut opening = 0;
        while opening > 0 || !waiting.is_empty() {
            while opening < at_once
                && let Some(steps) = waiting.pop_front()
            {
                self.begin_session(steps)?;
                opening += 1;
            }
            self.wait()?;
            for event in &self.events {
                let Some(session) = self.sessions.get_mut(event.token().0) else { continue };
                if !session.connection.is_open() {
                    session.connection.go_on(&mut self.buffer, &mut session.frames)?;
                    opening -= usize::from(session.connection.is_open());
                }
            }
        }
        Ok(())
    }

    /// Opens these sessions one after the other, spread evenly over this time.
    pub fn open_within(&mut self, Steps(mut waiting): Steps, time: Duration) -> io::Result<()> {
        let interval = time / u32::try_from(waiting.len().max(1)).unwrap_or(u32::MAX);
        let (mut opening, mut due) = (0, Instant::now());
        while opening > 0 || !waiting.is_empty() {
            while Instant::now() >= due
                && let Some(steps) = waiting.pop_front()
            {
                self.begin_session(steps)?;
                opening += 1;
                due += interval;
            }
            let timeout =
                if waiting.is_empty() { SILENCE } else { due.saturating_duration_since(Instant::now()) };
            self.poll.poll(&mut self.events, Some(timeout)).or_else(|error| {
                if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
            })?;
            for event in &self.events {
                let Some(session) = self.sessions.get_mut(event.token().0) else { continue };
                if !session.connection.is_open() {
                    session.connection.go_on(&mut self.buffer, &mut session.frames)?;
                    opening -= usize::from(session.connection.is_open());
                }
            }
        }
        Ok(())
    }

    /// Closes all sessions.
    pub fn close_sessions(&mut self) {
        self.sessions.clear();
        self.messages = Messages::new(self.topics);
    }

    /// Publishes for this time, keeping the pattern's number of messages in flight.
    pub fn publish_until(&mut self, end: Instant, traffic: Traffic) -> io::Result<()> {
        self.counting = self.wire.counting(traffic.bytes);
        while Instant::now() < end {
            let free = traffic.in_flight.saturating_sub(self.messages.incomplete());
            if free > 0 {
                self.publish(free, traffic.bytes)?;
            }
            self.turn(&mut || ())?;
        }
        Ok(())
    }

    /// Publishes one message and waits until every subscriber has it; calls `arrived` for each.
    pub fn publish_one(&mut self, bytes: usize, mut arrived: impl FnMut()) -> io::Result<()> {
        self.counting = self.wire.counting(bytes);
        self.publish(1, bytes)?;
        while self.messages.incomplete() > 0 {
            self.turn(&mut arrived)?;
        }
        Ok(())
    }

    /// Publishes so many messages and waits until all are delivered.
    pub fn publish_all(&mut self, count: usize, traffic: Traffic) -> io::Result<()> {
        self.counting = self.wire.counting(traffic.bytes);
        let mut left = count;
        while left > 0 {
            let free = traffic.in_flight.saturating_sub(self.messages.incomplete()).min(left);
            if free > 0 {
                self.publish(free, traffic.bytes)?;
                left -= free;
            }
            self.turn(&mut || ())?;
        }
        self.drain()
    }

    /// Waits until everything published has arrived, then resets the counters.
    pub fn drain(&mut self) -> io::Result<()> {
        while self.messages.incomplete() > 0 {
            self.turn(&mut || ())?;
        }
        self.messages.begin();
        for session in &mut self.sessions {
            session.received = 0;
            session.part = 0;
        }
        Ok(())
    }

    fn begin_session(&mut self, steps: Vec<Step>) -> io::Result<()> {
        let index = self.sessions.len();
        let mut connection = Connection::begin(address_of(self.address, index), steps)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.stream, Token(index), interest)?;
        let topic = index % self.topics;
        self.messages.subscribe(topic);
        self.sessions.push(Session { connection, topic, frames: Frames::default(), part: 0, received: 0 });
        Ok(())
    }

    fn open_publisher(&mut self, address: SocketAddr) -> io::Result<()> {
        let mut connection = Connection::begin(address, self.wire.publisher(&mut self.tickets))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.stream, PUBLISHER, interest)?;
        while !connection.is_open() {
            self.wait()?;
            if self.events.iter().any(|event| event.token() == PUBLISHER) {
                connection.go_on(&mut self.buffer, &mut Frames::default())?;
            }
        }
        self.publisher =
            Some(Publisher { connection, out: Vec::new(), sent: 0, one_message_each: VecDeque::new() });
        Ok(())
    }

    fn publish(&mut self, count: usize, bytes: usize) -> io::Result<()> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let (first, topics) = self.messages.publish(count);
        if self.wire.publishes_on_new_connections() {
            for topic in topics {
                let mut request = Vec::new();
                self.wire.publish(first, std::iter::once(topic), bytes, &mut request);
                let mut stream = std::net::TcpStream::connect(self.address)?;
                stream.write_all(&request)?;
                publisher.one_message_each.push_back(stream);
                if publisher.one_message_each.len() > KEPT_CONNECTIONS {
                    publisher.one_message_each.pop_front();
                }
            }
            return Ok(());
        }
        self.wire.publish(first, topics, bytes, &mut publisher.out);
        publisher.write()
    }

    /// Waits for at least one event.
    fn wait(&mut self) -> io::Result<()> {
        loop {
            match self.poll.poll(&mut self.events, Some(SILENCE)) {
                Ok(()) if self.events.is_empty() => {
                    let outstanding = self.messages.outstanding();
                    return Err(io::Error::other(format!(
                        "nothing came for {} s; {outstanding} deliveries are missing",
                        SILENCE.as_secs()
                    )));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Waits for events and counts the deliveries.
    fn turn(&mut self, arrived: &mut impl FnMut()) -> io::Result<()> {
        self.wait()?;
        for event in &self.events {
            if let Some(session) = self.sessions.get_mut(event.token().0) {
                if event.is_readable() {
                    session.read(&mut self.buffer, self.counting, &mut self.messages, arrived)?;
                }
            } else if let Some(publisher) = &mut self.publisher {
                publisher.read(&mut self.buffer)?;
                publisher.write()?;
            }
        }
        Ok(())
    }
}

impl Session {
    fn read(
        &mut self,
        buffer: &mut [u8],
        counting: Counting,
        messages: &mut Messages,
        arrived: &mut impl FnMut(),
    ) -> io::Result<()> {
        loop {
            let length = match self.connection.stream.read(buffer) {
                Ok(0) => {
                    let received = self.received;
                    return Err(io::Error::other(format!(
                        "the server ended a session after {received} deliveries"
                    )));
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = &buffer[..length];
            let mut deliveries = 0;
            match counting {
                Counting::Frames(least) => {
                    self.frames.take(bytes, |length| deliveries += usize::from(length >= least));
                }
                Counting::FrameBytes(each) => {
                    self.frames.take(bytes, |length| self.part += length);
                    deliveries = self.part / each;
                    self.part %= each;
                }
                Counting::StreamBytes(each) => {
                    self.part += length;
                    deliveries = self.part / each;
                    self.part %= each;
                }
            }
            for _ in 0..deliveries {
                messages.arrived(self.topic, self.received).map_err(io::Error::other)?;
                self.received += 1;
                arrived();
            }
            if length < buffer.len() {
                return Ok(());
            }
        }
    }
}

impl Publisher {
    /// Writes as much as the kernel accepts; an event reports when it accepts more.
    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.connection.stream.write(&self.out[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads and discards acknowledgements and answers; deliveries are counted instead.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match self.connection.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server ended the publisher's connection")),
                Ok(length) if length < buffer.len() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn address_of(server: SocketAddr, session: usize) -> SocketAddr {
    let turn = u8::try_from(session / SESSIONS_PER_ADDRESS).unwrap_or(u8::MAX - 1);
    match server.ip() {
        IpAddr::V4(address) if address.is_loopback() && turn > 0 => {
            SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + turn), server.port()))
        }
        _ => server,
    }
}
