//! A network between a client and a Redis server that fails when a test says so.

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

/// A proxy before one Redis server. What it does changes while connections are open, and holds for all of them; it ends
/// with its connections when it goes out of scope.
///
/// TLS passes, but its pushes cannot be told from answers.
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

/// The two ends of a connection, and what becomes of what is said.
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

/// Between two looks at what a test wants.
const LOOK: Duration = Duration::from_millis(20);

/// Pieces of at most 64 KiB that wait for their time in one direction.
const DELAYED: usize = 256;

impl RedisProxy {
    /// A proxy that passes everything on to this server.
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

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// As a `redis:` URL.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// How many connections are open, silent ones included.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Refuses new connections, as a machine does on which nobody listens; those that are open stay.
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

    /// Passes nothing on from now on and tells nobody: the connections that are open, and new ones, take what they are sent
    /// and stay open, whatever becomes of the other side. They are lost, even after [`RedisProxy::restore`].
    pub fn silence(&self) {
        let mut state = self.shared.state();
        state.is_silent = true;
        for connection in &state.connections {
            connection.is_silent.store(true, Ordering::Release);
        }
    }

    /// Passes each byte on so much later, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Drops what the server pushes, and passes answers on, those to subscriptions included.
    pub fn swallow_pushes(&self) {
        self.shared.swallows.store(true, Ordering::Release);
    }

    /// How many pushes were dropped so far.
    pub fn swallowed(&self) -> usize {
        self.shared.swallowed.load(Ordering::Acquire)
    }

    /// Takes all of this back: new connections are taken and pass, and so do pushes.
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

    /// Listens, and does not while it refuses.
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
        // Where the server is away, the connection ends at once.
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

    /// Reads one side until its end, and hands on what the other side is to get.
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
            // Nobody takes it where the other side has gone.
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

    /// Writes pieces when they are due. With the last of them the other side hears of the end.
    fn write(&self, direction: Direction, pieces: &Receiver<(Instant, Vec<u8>)>) {
        let to = self.target(direction);
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.write_piece(to, &piece).is_err() {
                return self.fail();
            }
        }
        if !self.is_silent() {
            // It may have ended already.
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

    /// One side is broken: so is the other, unless nobody is told.
    fn fail(&self) {
        if !self.is_silent() {
            self.reset();
        }
    }

    /// Ends both sides with RST: what is on its way is lost.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        for end in [&self.client, &self.server] {
            // Both fail only if it is broken already. The RST leaves with the last close; a shutdown of the writing half
            // would send what waits, and a FIN.
            let _ = sockopt::set_socket_linger(end, Some(Duration::ZERO));
            let _ = end.shutdown(Shutdown::Read);
        }
    }
}

/// Nothing was wrong: it took longer than to the next look.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
