//! 10,000 browsers in one thread: they connect, subscribe, receive, answer pings and disconnect. When the server ends, they
//! reconnect with jitter.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use orosync_protocol::ticket::Role;
use orosync_tests::client::{OROSYNC, WAMP, frame, request};
use orosync_tests::server::ticket;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::BROADCAST;

/// New connections per loop iteration: a few hundred a second, like the reconnecting pages of an office.
const OPENED_PER_ITERATION: usize = 10;
const ITERATION: Duration = Duration::from_millis(10);

/// Time in seconds for which a page stays open.
const OPEN_SECONDS: std::ops::Range<f64> = 10.0..300.0;

/// Delay in seconds before a browser reconnects.
const RECONNECT_SECONDS: std::ops::Range<f64> = 0.2..10.0;

/// The browsers of a soak run.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Number of sessions opened so far.
    pub(crate) opened: Arc<AtomicUsize>,
    /// Number of announcements received by all sessions.
    pub(crate) events: Arc<AtomicUsize>,
    /// Number of announcements that a session has missed or received twice.
    pub(crate) gaps: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Loop {
    server: SocketAddr,
    poll: Poll,
    browsers: HashMap<usize, Browser>,
    /// Disconnected browsers, and when they reconnect.
    disconnected: Vec<(Instant, usize)>,
    random: SmallRng,
    opened: Arc<AtomicUsize>,
    events: Arc<AtomicUsize>,
    gaps: Arc<AtomicUsize>,
}

struct Browser {
    stream: TcpStream,
    /// The bytes to send once the connection is established.
    request: Option<Vec<u8>>,
    received: Vec<u8>,
    is_open: bool,
    closes_at: Instant,
    last: Option<u64>,
}

impl Crowd {
    /// Creates so many browsers of this server and its successors.
    pub(crate) fn start(count: u32, server: SocketAddr) -> Self {
        let (opened, events, gaps, ended) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let mut crowd = Loop {
            server,
            poll: Poll::new().expect("an epoll set"),
            browsers: HashMap::new(),
            disconnected: (0..count).map(|number| (Instant::now(), number as usize)).collect(),
            random: SmallRng::seed_from_u64(1),
            opened: Arc::clone(&opened),
            events: Arc::clone(&events),
            gaps: Arc::clone(&gaps),
        };
        let stop: Arc<AtomicBool> = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                crowd.run_once();
            }
        });
        Self { opened, events, gaps, ended, thread }
    }

    /// Closes all sessions.
    pub(crate) fn end(self) {
        self.ended.store(true, Ordering::Release);
        self.thread.join().expect("the crowd does not panic");
    }
}

impl Loop {
    fn run_once(&mut self) {
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(ITERATION)).expect("the epoll set works");
        for event in &events {
            let number = event.token().0;
            if !self.serve(number) {
                self.disconnect(number);
            }
        }
        let now = Instant::now();
        let leaving: Vec<usize> = self
            .browsers
            .iter()
            .filter(|(_, browser)| browser.closes_at <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in leaving {
            self.disconnect(number);
        }
        for _ in 0..OPENED_PER_ITERATION {
            let Some(at) = self.disconnected.iter().position(|(until, _)| *until <= now) else { break };
            let (_, number) = self.disconnected.swap_remove(at);
            if self.connect(number, now).is_err() {
                self.disconnect(number);
            }
        }
    }

    fn connect(&mut self, number: usize, now: Instant) -> io::Result<()> {
        let ticket = ticket(Role::User, Some(number as u64 + 10));
        let offer = if number.is_multiple_of(2) { OROSYNC } else { WAMP };
        let mut bytes = request(&format!("/ws?ticket={ticket}"), offer).into_bytes();
        for topic in [BROADCAST.to_owned(), format!("oro/email_event/{}/1", number + 10)] {
            bytes.extend(frame(1, format!("[5,\"{topic}\"]").as_bytes()));
        }
        let mut stream = TcpStream::connect(self.server)?;
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let closes_at = now + Duration::from_secs_f64(self.random.random_range(OPEN_SECONDS));
        let browser = Browser {
            stream,
            request: Some(bytes),
            received: Vec::new(),
            is_open: false,
            closes_at,
            last: None,
        };
        self.browsers.insert(number, browser);
        Ok(())
    }

    fn disconnect(&mut self, number: usize) {
        self.browsers.remove(&number);
        let delay = Duration::from_secs_f64(self.random.random_range(RECONNECT_SECONDS));
        self.disconnected.push((Instant::now() + delay, number));
    }

    /// Handles the session's socket event. Returns whether the session is still open.
    fn serve(&mut self, number: usize) -> bool {
        let Some(browser) = self.browsers.get_mut(&number) else { return true };
        if browser.request.is_some() && browser.stream.peer_addr().is_ok() {
            let request = browser.request.take().unwrap_or_default();
            if browser.stream.write_all(&request).is_err() {
                return false;
            }
        }
        let mut buffer = [0; 16 << 10];
        loop {
            match browser.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => browser.received.extend_from_slice(&buffer[..length]),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) =>
                {
                    break;
                }
                Err(_) => return false,
            }
        }
        if !browser.is_open {
            let Some(end) = browser.received.windows(4).position(|four| four == b"\r\n\r\n") else {
                return true;
            };
            if !browser.received.starts_with(b"HTTP/1.1 101 ") {
                return false;
            }
            browser.received.drain(..end + 4);
            browser.is_open = true;
            self.opened.fetch_add(1, Ordering::AcqRel);
        }
        while let Some((opcode, text)) = browser.take_frame() {
            match opcode {
                1 => {
                    if let Some(number) = announced(&text) {
                        self.events.fetch_add(1, Ordering::AcqRel);
                        let last = browser.last.replace(number);
                        if last.is_some_and(|last| number != last + 1) {
                            self.gaps.fetch_add(1, Ordering::AcqRel);
                        }
                    }
                }
                9 if browser.stream.write_all(&frame(10, &text)).is_err() => return false,
                9 => {}
                _ => return false,
            }
        }
        true
    }
}

impl Browser {
    /// Parses a frame, which is short in this test.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.received.first()?, *self.received.get(1)?);
        let (length, start) = match second {
            126 => (usize::from(u16::from_be_bytes([*self.received.get(2)?, *self.received.get(3)?])), 4),
            short => (usize::from(short), 2),
        };
        let text = self.received.get(start..start + length)?.to_vec();
        self.received.drain(..start + length);
        if self.received.is_empty() {
            self.received = Vec::new();
        }
        Some((first & 0x0f, text))
    }
}

fn announced(text: &[u8]) -> Option<u64> {
    let (_, _, number): (u8, String, u64) = serde_json::from_slice(text).ok()?;
    Some(number)
}
