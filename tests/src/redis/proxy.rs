//! A proxy between a client and a Redis server that simulates network failures.

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

/// A proxy in front of one Redis server. Its behaviour can be changed while connections are open and applies to all of them.
/// Its connections are closed on drop.
///
/// TLS is forwarded, but its pushes cannot be distinguished from answers.
#[derive(Debug)]
pub struct RedisProxy {
    port: Port,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    swallows: AtomicBool,
    swallowed: AtomicUsize,
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

/// The two ends of a connection, and what is done with its data.
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

/// Interval at which the test's wishes are polled.
const LOOK: Duration = Duration::from_millis(20);

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
            swallows: AtomicBool::new(false),
            swallowed: AtomicUsize::new(0),
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

    /// Silently forwards nothing from now on: open and new connections accept data and stay open, whatever the other side does.
    /// These connections stay dead, even after [`RedisProxy::restore`].
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
        self.shared.swallows.store(true, Ordering::Release);
    }

    /// Number of dropped pushes.
    pub fn dropped_pushes(&self) -> usize {
        self.shared.swallowed.load(Ordering::Acquire)
    }

    /// Ends all failures: new connections and pushes are forwarded again.
    pub fn restore(&self) {
        let mut state = self.shared.state();
        (state.is_refusing, state.is_silent, state.delay) = (false, false, Duration::ZERO);
        drop(state);
        self.shared.swallows.store(false, Ordering::Release);
        self.await_listening(true);
    }

    fn await_listening(&self, is_listening: bool) {
        wait::until_true("the proxy does what it was told", || {
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

    /// Accepts connections; closes its listener while it refuses.
    fn accept(self: Arc<Self>, address: SocketAddr) {
        while !self.has_ended.load(Ordering::Acquire) {
            if self.state().is_refusing {
                thread::sleep(LOOK);
                continue;
            }
            let listener = TcpListener::bind(address).expect("nobody else takes this port");
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
            end.set_read_timeout(Some(LOOK)).expect("a socket option");
            end.set_write_timeout(Some(LOOK)).expect("a socket option");
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
                    let (sender, pieces) = sync_channel(DELAYED);
                    let (shared, connection) = (&shared, &connection);
                    scope.spawn(move || shared.read(connection, direction, &sender));
                    scope.spawn(move || connection.write(direction, &pieces));
                }
            });
            shared.state().connections.retain(|open| !Arc::ptr_eq(open, &connection));
        });
    }

    /// Reads one side until its end and passes on what the other side is to receive.
    fn read(&self, connection: &Connection, direction: Direction, pieces: &SyncSender<(Instant, Vec<u8>)>) {
        let mut from = connection.source(direction);
        let mut buffer = vec![0; 64 << 10];
        let mut frames = Frames::default();
        while !self.has_ended.load(Ordering::Acquire) {
            let read = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => &buffer[..length],
                Err(error) if is_early(&error) => continue,
                Err(_) => return connection.fail(),
            };
            let due = Instant::now() + self.state().delay;
            let piece = match direction {
                Direction::ToServer => read.to_vec(),
                Direction::ToClient => {
                    frames.add(read);
                    std::iter::from_fn(|| frames.next())
                        .filter(|frame| !self.drops(frame))
                        .flatten()
                        .collect()
                }
            };
            // The receiver is gone if the other side has closed.
            if pieces.send((due, piece)).is_err() {
                return;
            }
        }
    }

    fn drops(&self, frame: &[u8]) -> bool {
        let drops = self.swallows.load(Ordering::Acquire) && is_push(frame);
        if drops {
            self.swallowed.fetch_add(1, Ordering::AcqRel);
        }
        drops
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
    fn write(&self, direction: Direction, pieces: &Receiver<(Instant, Vec<u8>)>) {
        let to = self.target(direction);
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.write_piece(to, &piece).is_err() {
                return self.fail();
            }
        }
        if !self.is_silent() {
            // It may have already ended.
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    fn write_piece(&self, mut to: &TcpStream, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() && !self.is_silent() {
            match to.write(piece) {
                Ok(written) => piece = &piece[written..],
                Err(error) if is_early(&error) && !self.is_reset.load(Ordering::Acquire) => {}
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
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
