//! Well-behaved sessions that receive a steady stream of numbers while a test disturbs the server, and check that the numbers
//! are complete and in order. Latencies are measured.
//!
//! One thread publishes a number every few milliseconds, another reads all sessions. Both end with the crowd.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orosync_link::{Options, Publisher};
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::Signer;
use orosync_protocol::{Audience, Payload, Topic};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::client::{Client, OROSYNC};
use crate::server::Server;
use crate::{SECRET, wait};

/// The topic of the numbers.
const TOPIC: &str = "oro/data/update";

/// Interval between two numbers.
const INTERVAL: Duration = Duration::from_millis(5);

/// Well-behaved sessions, the thread that publishes to them, and the thread that reads them.
#[derive(Debug)]
pub struct Crowd {
    shared: Arc<Shared>,
    publisher: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    begin: Instant,
    published: AtomicUsize,
    /// The last number that all sessions have received.
    received: AtomicUsize,
    /// Latencies of all sessions since the last call of `take_latencies`, in microseconds.
    latencies: Mutex<Vec<u64>>,
    /// Missing or reordered numbers, unexpected frames, closed sessions.
    violations: Mutex<Vec<String>>,
    should_end: AtomicBool,
}

/// Latencies in microseconds.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u64>);

struct Session {
    stream: TcpStream,
    unread: Vec<u8>,
    received: usize,
}

impl Crowd {
    /// Opens this number of subscribed sessions, each of a different user, and starts to publish numbers.
    pub fn start(server: &Server, count: u64) -> Self {
        let sessions = (1..=count)
            .map(|uid| {
                let mut client = Client::user(server, OROSYNC, uid);
                client.subscribe(TOPIC);
                let stream = client.into_tcp();
                stream.set_nonblocking(true).expect("a socket option");
                Session { stream, unread: Vec::new(), received: 0 }
            })
            .collect();
        let shared = Arc::new(Shared {
            begin: Instant::now(),
            published: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
            latencies: Mutex::default(),
            violations: Mutex::default(),
            should_end: AtomicBool::new(false),
        });
        let endpoint = server.endpoint().parse().expect("an endpoint");
        let signer = Signer::from_secret(SECRET.as_bytes()).expect("long enough");
        let publisher = Publisher::new(Options::new(endpoint, signer));
        let (for_publisher, for_reader) = (Arc::clone(&shared), Arc::clone(&shared));
        Self {
            publisher: Some(thread::spawn(move || for_publisher.publish(publisher))),
            reader: Some(thread::spawn(move || for_reader.read(sessions))),
            shared,
        }
    }

    /// Runs `act` and waits until all sessions have received at least `numbers` numbers. Returns the latencies of that time.
    pub fn during(&self, numbers: usize, act: impl FnOnce()) -> Latencies {
        self.take_latencies();
        let from = self.shared.received.load(Ordering::SeqCst);
        act();
        wait::until_true("all sessions receive numbers", || {
            self.assert_no_violation();
            self.shared.received.load(Ordering::SeqCst) >= from + numbers
        });
        Latencies(self.take_latencies())
    }

    /// Asserts that all sessions are open and have received all numbers so far, in order.
    pub fn assert_no_violation(&self) {
        let violations = self.shared.violations.lock().expect("no reader has panicked");
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// Ends the crowd. Asserts that every session has received every published number.
    pub fn finish(mut self) {
        self.shared.should_end.store(true, Ordering::SeqCst);
        if let Some(publisher) = self.publisher.take() {
            publisher.join().expect("the publisher has not panicked");
        }
        let published = self.shared.published.load(Ordering::SeqCst);
        wait::until_true("all sessions have received all numbers", || {
            self.assert_no_violation();
            self.shared.received.load(Ordering::SeqCst) == published
        });
    }

    fn take_latencies(&self) -> Vec<u64> {
        std::mem::take(&mut *self.shared.latencies.lock().expect("no reader has panicked"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.should_end.store(true, Ordering::SeqCst);
        // The reader ends with the sessions; a panic of either thread has been reported by then.
        for thread in [self.publisher.take(), self.reader.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

impl Latencies {
    /// Adds the latencies of another period.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// 99th percentile in microseconds.
    pub fn p99(&mut self) -> u64 {
        self.0.sort_unstable();
        self.0.get(self.0.len() * 99 / 100).copied().unwrap_or_default()
    }
}

impl Shared {
    fn publish(&self, mut publisher: Publisher) {
        let topic = Topic::parse(TOPIC).expect("a topic");
        while !self.should_end.load(Ordering::SeqCst) {
            let number = self.published.fetch_add(1, Ordering::SeqCst);
            let json = format!("[{number},{}]", self.begin.elapsed().as_micros());
            let message = Message {
                topic: topic.clone(),
                payload: Payload::from_encoder(json.into()).expect("short enough"),
                audience: Audience::default(),
            };
            publisher.publish(message.lend()).expect("the queue has room");
            thread::sleep(INTERVAL);
        }
        assert!(publisher.flush(wait::LIMIT), "unacknowledged numbers");
    }

    fn read(&self, mut sessions: Vec<Session>) {
        let published = || self.published.load(Ordering::SeqCst);
        let slowest =
            |sessions: &[Session]| sessions.iter().map(|session| session.received).min().unwrap_or_default();
        while !(self.should_end.load(Ordering::SeqCst) && slowest(&sessions) == published()) {
            let mut watched: Vec<PollFd<'_>> =
                sessions.iter().map(|session| PollFd::new(&session.stream, PollFlags::IN)).collect();
            poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }))
                .expect("sockets can be polled");
            let ready: Vec<bool> = watched.iter().map(|watched| !watched.revents().is_empty()).collect();
            let mut latencies = Vec::new();
            for (session, _) in sessions.iter_mut().zip(ready).filter(|(_, is_ready)| *is_ready) {
                if let Err(violation) = session.read(self.begin, &mut latencies) {
                    self.violations.lock().expect("no reader has panicked").push(violation);
                    return;
                }
            }
            self.latencies.lock().expect("no reader has panicked").extend(latencies);
            self.received.store(slowest(&sessions), Ordering::SeqCst);
        }
    }
}

impl Session {
    fn read(&mut self, begin: Instant, latencies: &mut Vec<u64>) -> Result<(), String> {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err("a session of the crowd was closed".to_owned()),
            Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(format!("a session of the crowd broke: {error}")),
        }
        while let Some(frame) = self.take_frame() {
            // Pings are not answered: the test ends before the server's timeout.
            if frame.0 != 0x81 {
                if frame.0 == 0x89 {
                    continue;
                }
                return Err(format!("a frame with the first byte {:#x} was received", frame.0));
            }
            let text = String::from_utf8_lossy(&frame.1).into_owned();
            let mut numbers = text.rsplit(['[', ',', ']']).filter_map(|number| number.parse::<u64>().ok());
            let (Some(sent), Some(number)) = (numbers.next(), numbers.next()) else {
                return Err(format!("no number: {text}"));
            };
            if number != self.received as u64 {
                return Err(format!("number {number} was received instead of {}", self.received));
            }
            self.received += 1;
            latencies
                .push(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_sub(sent));
        }
        Ok(())
    }

    /// Parses a short frame; frames with numbers are short.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, length) = (*self.unread.first()?, usize::from(*self.unread.get(1)?));
        let payload = self.unread.get(2..2 + length)?.to_vec();
        self.unread.drain(..2 + length);
        Some((first, payload))
    }
}
