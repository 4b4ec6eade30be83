//! A session that moves from node to node, recovers from its last position, and records all received events.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orosync_protocol::ticket::Role;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tungstenite::{Error, Message, WebSocket};

use crate::recovery::{Event, event, recovery};
use crate::redis::LIMIT;
use crate::server::ticket;
use crate::traffic::{self, Events, Report};
use crate::wait;

/// A session that subscribes to topics at one node. If it loses the node, it reconnects to the next one and recovers from its
/// last position. Ends on drop.
#[derive(Debug)]
pub struct Auditor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Record>>,
    topics: usize,
}

/// The record of an auditor.
#[derive(Debug, Default)]
pub struct Record {
    /// The events of each topic, in order of arrival.
    pub topics: BTreeMap<String, Vec<Event>>,
    /// Incomplete recoveries: the topic, and the position after which events may be missing.
    pub incomplete: Vec<(String, String)>,
    /// The reason for each change of the node.
    pub moves: Vec<String>,
    /// Number of subscriptions that were refused with 503 and retried.
    pub refusals: usize,
}

#[derive(Debug, Default)]
struct Shared {
    events: AtomicUsize,
    moves: AtomicUsize,
    /// Number of confirmed subscriptions of the current session.
    subscribed: AtomicUsize,
    should_leave: AtomicBool,
    should_end: AtomicBool,
}

/// The state that the auditor's thread keeps across nodes.
struct Worker {
    nodes: VecDeque<SocketAddr>,
    /// The last position of each topic, if any.
    positions: BTreeMap<String, Option<String>>,
    record: Record,
    shared: Arc<Shared>,
}

/// A session, and its refused subscriptions that are to be retried.
struct Session {
    socket: WebSocket<TcpStream>,
    retries: VecDeque<(Instant, String)>,
    last_message: Instant,
    last_ping: Instant,
}

/// Idle timeout of a node, which is pinged once a second.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval between two pings of a silent node.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Interval at which the flags of the test are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Delay before a retry, and before connecting to the next node.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl Auditor {
    /// Subscribes to these topics at the first of these nodes, and waits for the confirmation.
    pub fn start(nodes: Vec<SocketAddr>, topics: &[&str]) -> Self {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            nodes: nodes.into(),
            positions: topics.iter().map(|topic| ((*topic).to_owned(), None)).collect(),
            record: Record::default(),
            shared: Arc::clone(&shared),
        };
        let thread = Some(thread::spawn(move || worker.run()));
        let auditor = Self { shared, thread, topics: topics.len() };
        auditor.await_subscribed();
        auditor
    }

    /// Number of received events.
    pub fn count(&self) -> usize {
        self.shared.events.load(Ordering::Acquire)
    }

    /// Number of node changes.
    pub fn moves(&self) -> usize {
        self.shared.moves.load(Ordering::Acquire)
    }

    /// Moves the auditor to the next node, without a Close frame.
    pub fn leave(&self) {
        let moves = self.moves();
        self.shared.should_leave.store(true, Ordering::Release);
        wait::until_true("the auditor has left its node", || self.moves() > moves);
    }

    /// Waits until the auditor has subscribed to all topics at its current node.
    pub fn await_subscribed(&self) {
        wait::until_within(LIMIT, "the auditor has subscribed", || {
            let subscribed = self.shared.subscribed.load(Ordering::Acquire);
            (subscribed == self.topics || self.has_failed()).then_some(())
        });
    }

    /// Waits until the auditor has received `count` events.
    pub fn await_count(&self, count: usize) {
        wait::until_within(LIMIT, "the auditor has received the events", || {
            (self.count() >= count || self.has_failed()).then_some(())
        });
    }

    /// Ends the auditor and returns its record.
    pub fn finish(mut self) -> Record {
        self.shared.should_end.store(true, Ordering::Release);
        let thread = self.thread.take().expect("it was not finished before");
        thread.join().expect("the auditor has received only what it expects")
    }

    /// Whether the auditor's thread has panicked. [`Auditor::finish`] reports the panic.
    fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.shared.should_end.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by then.
            let _ = thread.join();
        }
    }
}

impl Record {
    /// The events of a topic as the tests' publishers number them: `[publisher, number]`.
    pub fn events(&self, topic: &str) -> Events {
        let events = self.topics.get(topic).into_iter().flatten();
        let numbers = |event: &Event| {
            serde_json::from_value(event.payload.clone())
                .unwrap_or_else(|_| panic!("{topic}: {} is not [publisher, number]", event.payload))
        };
        events.map(numbers).collect()
    }

    /// Asserts that every accepted message was received once, and that each topic has the messages of a publisher in order.
    pub fn assert_complete(&self, publishers: &[Report]) {
        traffic::assert_flushed(publishers);
        self.assert_accepted(publishers.iter().map(|ended| ended.accepted));
    }

    /// Like [`Record::assert_complete`]. `accepted` is the number of accepted messages of each publisher, numbered from 0.
    pub fn assert_accepted(&self, accepted: impl IntoIterator<Item = usize>) {
        assert_eq!(self.incomplete, [], "a recovery was incomplete");
        let topics: Vec<Events> = self.topics.keys().map(|topic| self.events(topic)).collect();
        topics.iter().for_each(traffic::assert_in_order);
        traffic::assert_accepted(&topics, accepted);
    }
}

impl Worker {
    fn run(mut self) -> Record {
        while let Err(reason) = self.run_at(self.nodes[0]) {
            self.record.moves.push(format!("{}: {reason}", self.nodes[0]));
            self.shared.subscribed.store(0, Ordering::Release);
            self.shared.moves.fetch_add(1, Ordering::AcqRel);
            self.nodes.rotate_left(1);
            thread::sleep(RETRY_DELAY);
        }
        self.record
    }

    /// Runs a session at a node until the auditor ends. The error is the reason for leaving the node.
    fn run_at(&mut self, node: SocketAddr) -> Result<(), Error> {
        if self.should_end() {
            return Ok(());
        }
        let mut session = Session::open(node)?;
        for (topic, position) in &self.positions {
            session.subscribe(topic, position.as_deref())?;
        }
        while !self.should_end() {
            if self.shared.should_leave.swap(false, Ordering::AcqRel) {
                return Err(leaving("the test moved the auditor"));
            }
            if let Some(text) = session.read()? {
                self.handle(&mut session, &text);
            }
            session.ping_if_idle()?;
            if let Some(topic) = session.due_retry() {
                session.subscribe(&topic, self.positions[&topic].as_deref())?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, session: &mut Session, text: &str) {
        let message: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        match message.as_slice() {
            [kind, ..] if *kind == 0 => {}
            [kind, id, _] if *kind == 3 && *id == "" => {}
            [kind, Value::String(topic), answer] if *kind == 3 => self.recover(topic, answer),
            [kind, Value::String(topic), .., details] if *kind == 4 && details["code"] == 503 => {
                self.record.refusals += 1;
                session.retries.push_back((Instant::now() + RETRY_DELAY, topic.clone()));
            }
            [kind, Value::String(topic), ..] if *kind == 8 => self.add(topic, event(topic, text)),
            _ => panic!("unexpected message: {text}"),
        }
    }

    fn recover(&mut self, topic: &str, answer: &Value) {
        let recovered = recovery(answer);
        let before = self.positions.insert(topic.to_owned(), Some(recovered.position.clone())).flatten();
        if let Some(before) = before {
            if !recovered.complete {
                self.record.incomplete.push((topic.to_owned(), before));
            }
            recovered.events.into_iter().for_each(|event| self.add(topic, event));
            self.positions.insert(topic.to_owned(), Some(recovered.position));
        }
        self.shared.subscribed.fetch_add(1, Ordering::AcqRel);
    }

    fn add(&mut self, topic: &str, event: Event) {
        self.positions.insert(topic.to_owned(), Some(event.position.clone()));
        self.record.topics.entry(topic.to_owned()).or_default().push(event);
        self.shared.events.fetch_add(1, Ordering::AcqRel);
    }

    fn should_end(&self) -> bool {
        self.shared.should_end.load(Ordering::Acquire)
    }
}

impl Session {
    fn open(node: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect_timeout(&node, IDLE_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
        let ticket = ticket(Role::User, Some(1));
        let mut request = format!("ws://{node}/ws?ticket={ticket}").into_client_request()?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("orosync.1, wamp"));
        let (socket, _) =
            tungstenite::client(request, stream).map_err(|error| leaving(&error.to_string()))?;
        socket.get_ref().set_read_timeout(Some(POLL_INTERVAL))?;
        let now = Instant::now();
        Ok(Self { socket, retries: VecDeque::new(), last_message: now, last_ping: now })
    }

    fn subscribe(&mut self, topic: &str, since: Option<&str>) -> Result<(), Error> {
        let options = since.map_or(json!({}), |position| json!({ "since": position }));
        self.send(&json!([2, topic, "orosync/subscribe", topic, options]))
    }

    /// The next message, if one arrives within [`POLL_INTERVAL`].
    fn read(&mut self) -> Result<Option<String>, Error> {
        match self.socket.read() {
            Ok(message) => {
                self.last_message = Instant::now();
                Ok(if let Message::Text(text) = message { Some(text.to_string()) } else { None })
            }
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A refused topic that is due for a retry.
    fn due_retry(&mut self) -> Option<String> {
        let now = Instant::now();
        let is_due = self.retries.front().is_some_and(|(due, _)| *due <= now);
        is_due.then(|| self.retries.pop_front()).flatten().map(|(_, topic)| topic)
    }

    /// Pings a silent node. Returns an error after [`IDLE_TIMEOUT`].
    fn ping_if_idle(&mut self) -> Result<(), Error> {
        if self.last_message.elapsed() > IDLE_TIMEOUT {
            return Err(leaving("the node does not answer"));
        }
        if self.last_message.elapsed() > PING_INTERVAL && self.last_ping.elapsed() > PING_INTERVAL {
            self.last_ping = Instant::now();
            self.send(&json!([2, "", "orosync/ping"]))?;
        }
        Ok(())
    }

    fn send(&mut self, message: &Value) -> Result<(), Error> {
        self.socket.send(Message::text(message.to_string()))
    }
}

fn leaving(reason: &str) -> Error {
    Error::Io(io::Error::other(reason.to_owned()))
}
