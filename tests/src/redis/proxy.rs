//! A proxy between a client and a Redis server that injects network failures.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use super::frames::{Frames, is_push};
use super::port::Port;
use crate::wait;

/// A proxy in front of one Redis server. Changes of its behaviour apply to open and new connections. Its connections are closed
/// on drop.
///
/// With TLS, pushes cannot be distinguished from answers and are forwarded.
#[derive(Debug)]
pub struct RedisProxy {
    port: Port,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    drops_pushes: AtomicBool,
    dropped_pushes: AtomicUsize,
    is_listening: AtomicBool,
    has_ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    is_refusing: bool,
    is_silent: bool,
    delay: Duration,
    connections: Vec<Arc<Connection>>,
}

/// The two ends of a connection, and its failures.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    is_silent: AtomicBool,
    is_reset: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

/// Interval at which the state set by the test is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Maximum number of delayed chunks (up to 64 KiB each) per direction.
const DELAYED: usize = 256;

impl RedisProxy {
    /// A proxy that forwards everything to this server.
    pub fn to(target: SocketAddr) -> Self {
        let port = Port::claim();
        let state =
            State { is_refusing: false, is_silent: false, delay: Duration::ZERO, connections: Vec::new() };
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(state),
            drops_pushes: AtomicBool::new(false),
            dropped_pushes: AtomicUsize::new(0),
            is_listening: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        });
        let (accepting, address) = (Arc::clone(&shared), port.address());
        thread::spawn(move || accepting.accept(address));
        let proxy = Self { port, shared };
        proxy.await_listening(true);
        proxy
    }

    /// The proxy's address.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The proxy's `redis:` URL.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Number of open connections, silent ones included.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Refuses new connections, like a port without a listener; open connections stay.
    pub fn refuse(&self) {
        self.shared.state().is_refusing = true;
        self.await_listening(false);
    }

    /// Resets all connections.
    pub fn cut(&self) {
        for connection in &self.shared.state().connections {
            connection.reset();
        }
    }

    /// Silently forwards nothing from now on. Open and new connections accept data and stay open, even if the other side closes.
    /// They stay dead after [`RedisProxy::restore`].
    pub fn silence(&self) {
        let mut state = self.shared.state();
        state.is_silent = true;
        for connection in &state.connections {
            connection.is_silent.store(true, Ordering::Release);
        }
    }

    /// Delays all bytes by this time, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Drops the server's pushes and forwards answers, including confirmations of subscriptions.
    pub fn drop_pushes(&self) {
        self.shared.drops_pushes.store(true, Ordering::Release);
    }

    /// Number of dropped pushes.
    pub fn dropped_pushes(&self) -> usize {
        self.shared.dropped_pushes.load(Ordering::Acquire)
    }

    /// Ends all failures. New connections and pushes are forwarded again.
    pub fn restore(&self) {
        let mut state = self.shared.state();
        (state.is_refusing, state.is_silent, state.delay) = (false, false, Duration::ZERO);
        drop(state);
        self.shared.drops_pushes.store(false, Ordering::Release);
        self.await_listening(true);
    }

    fn await_listening(&self, is_listening: bool) {
        wait::until_true("the proxy starts or stops listening", || {
            self.shared.is_listening.load(Ordering::Acquire) == is_listening
        });
    }
}

impl Drop for RedisProxy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Release);
        self.cut();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts connections. The listener is closed while the proxy refuses connections.
    fn accept(self: Arc<Self>, address: SocketAddr) {
        while !self.has_ended.load(Ordering::Acquire) {
            if self.state().is_refusing {
                thread::sleep(POLL_INTERVAL);
                continue;
            }
            let listener = TcpListener::bind(address).expect("the port is reserved");
            listener.set_nonblocking(true).expect("a socket option");
            self.is_listening.store(true, Ordering::Release);
            while !self.has_ended.load(Ordering::Acquire) && !self.state().is_refusing {
                match listener.accept() {
                    Ok((client, _)) => self.connect(client),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
            drop(listener);
            self.is_listening.store(false, Ordering::Release);
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        // If the server is down, the connection ends at once.
        let Ok(server) = TcpStream::connect(self.target) else { return };
        for end in [&client, &server] {
            end.set_nonblocking(false).expect("a socket option");
            end.set_nodelay(true).expect("a socket option");
            end.set_read_timeout(Some(POLL_INTERVAL)).expect("a socket option");
            end.set_write_timeout(Some(POLL_INTERVAL)).expect("a socket option");
        }
        let connection = {
            let mut state = self.state();
            let is_silent = AtomicBool::new(state.is_silent);
            let is_reset = AtomicBool::new(false);
            let connection = Arc::new(Connection { client, server, is_silent, is_reset });
            state.connections.push(Arc::clone(&connection));
            connection
        };
        let shared = Arc::clone(self);
        thread::spawn(move || {
            thread::scope(|scope| {
                for direction in [Direction::ToServer, Direction::ToClient] {
                    let (sender, chunks) = sync_channel(DELAYED);
                    let (shared, connection) = (&shared, &connection);
                    scope.spawn(move || shared.read(connection, direction, &sender));
                    scope.spawn(move || connection.write(direction, &chunks));
                }
            });
            shared.state().connections.retain(|open| !Arc::ptr_eq(open, &connection));
        });
    }

    /// Reads one side until its end and hands the chunks for the other side to [`Connection::write`].
    fn read(&self, connection: &Connection, direction: Direction, chunks: &SyncSender<(Instant, Vec<u8>)>) {
        let mut from = connection.source(direction);
        let mut buffer = vec![0; 64 << 10];
        let mut frames = Frames::default();
        while !self.has_ended.load(Ordering::Acquire) {
            let read = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => &buffer[..length],
                Err(error) if is_timeout(&error) => continue,
                Err(_) => return connection.fail(),
            };
            let due = Instant::now() + self.state().delay;
            let chunk = match direction {
                Direction::ToServer => read.to_vec(),
                Direction::ToClient => {
                    frames.add(read);
                    std::iter::from_fn(|| frames.next())
                        .filter(|frame| !self.should_drop(frame))
                        .flatten()
                        .collect()
                }
            };
            // The receiver is gone if the other side has closed.
            if chunks.send((due, chunk)).is_err() {
                return;
            }
        }
    }

    fn should_drop(&self, frame: &[u8]) -> bool {
        let should_drop = self.drops_pushes.load(Ordering::Acquire) && is_push(frame);
        if should_drop {
            self.dropped_pushes.fetch_add(1, Ordering::AcqRel);
        }
        should_drop
    }
}

impl Connection {
    fn source(&self, direction: Direction) -> &TcpStream {
        if direction == Direction::ToServer { &self.client } else { &self.server }
    }

    fn target(&self, direction: Direction) -> &TcpStream {
        if direction == Direction::ToServer { &self.server } else { &self.client }
    }

    /// Writes chunks when they are due, then closes the other side.
    fn write(&self, direction: Direction, chunks: &Receiver<(Instant, Vec<u8>)>) {
        let to = self.target(direction);
        for (due, chunk) in chunks {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.write_chunk(to, &chunk).is_err() {
                return self.fail();
            }
        }
        if !self.is_silent() {
            // An error means that it has already ended.
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    fn write_chunk(&self, mut to: &TcpStream, mut chunk: &[u8]) -> io::Result<()> {
        while !chunk.is_empty() && !self.is_silent() {
            match to.write(chunk) {
                Ok(written) => chunk = &chunk[written..],
                Err(error) if is_timeout(&error) && !self.is_reset.load(Ordering::Acquire) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Acquire)
    }

    /// Breaks the other side after one has broken, unless the proxy is silent.
    fn fail(&self) {
        if !self.is_silent() {
            self.reset();
        }
    }

    /// Closes both sides with RST: data in flight is lost.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        for end in [&self.client, &self.server] {
            // Both fail only if it is already broken. The RST is sent with the last close; a shutdown of the writing half would
            // send buffered data and a FIN.
            let _ = sockopt::set_socket_linger(end, Some(Duration::ZERO));
            let _ = end.shutdown(Shutdown::Read);
        }
    }
}

/// Whether the error is only a polling timeout.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
