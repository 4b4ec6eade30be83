//! A TCP proxy between publishers and a server. It forwards bytes and injects network failures.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

/// A TCP proxy that injects network failures. Its connections are closed on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The failure that is injected into one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: the connection is forwarded unchanged.
    None,
    /// The connection is reset on both sides after this number of bytes from the publisher, even within a frame.
    Reset {
        /// Number of bytes that are forwarded first.
        after: usize,
    },
    /// The connection is reset after this number of bytes from the server: its next message is lost.
    LoseAnswer {
        /// Number of bytes that are forwarded first.
        after: usize,
    },
    /// The connection is accepted and read, but never answered.
    NoAnswer,
    /// The connection is closed after both sides have been silent for this time.
    CloseIdle(Duration),
}

#[derive(Debug)]
struct Shared {
    /// The server's address. `None` closes new connections at once.
    target: Mutex<Option<SocketAddr>>,
    faults: Mutex<Faults>,
    attempts: Mutex<Vec<Instant>>,
    open: AtomicUsize,
    ended: AtomicBool,
}

struct Faults(Box<dyn FnMut() -> Fault + Send>);

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Proxy {
    /// A proxy without a server: it closes each connection at once.
    pub fn closed() -> Self {
        Self::with_listener(TcpListener::bind("127.0.0.1:0").expect("a free port"))
    }

    /// A proxy to this server.
    pub fn to(server: SocketAddr) -> Self {
        let proxy = Self::closed();
        proxy.open(server);
        proxy
    }

    /// A proxy with this listener, without a server: it closes each connection at once.
    pub fn with_listener(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            faults: Mutex::new(Faults(Box::new(|| Fault::None))),
            attempts: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                locked(&accepting.attempts).push(Instant::now());
                let forwarding = Arc::clone(&accepting);
                thread::spawn(move || forwarding.accept(&stream));
            }
        });
        Self { address, shared }
    }

    /// The proxy's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The proxy's address as an endpoint of the link.
    pub fn endpoint(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Forwards new connections to this server from now on.
    pub fn open(&self, server: SocketAddr) {
        *locked(&self.shared.target) = Some(server);
    }

    /// Closes new connections at once from now on.
    pub fn close(&self) {
        *locked(&self.shared.target) = None;
    }

    /// Sets the function that returns the failure of each new connection.
    pub fn inject(&self, faults: impl FnMut() -> Fault + Send + 'static) {
        locked(&self.shared.faults).0 = Box::new(faults);
    }

    /// Times of all connection attempts, including those closed at once.
    pub fn attempts(&self) -> Vec<Instant> {
        locked(&self.shared.attempts).clone()
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the accepting thread. If the listener cannot be reached from here, the thread ends with the test.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(100));
    }
}

impl Shared {
    fn accept(&self, publisher: &TcpStream) {
        let fault = (locked(&self.faults).0)();
        let target = *locked(&self.target);
        let Some(target) = target else { return };
        self.open.fetch_add(1, Ordering::AcqRel);
        // Errors are expected, because the proxy breaks connections.
        let _ = self.forward(publisher, target, fault);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    fn forward(&self, publisher: &TcpStream, target: SocketAddr, fault: Fault) -> io::Result<()> {
        if fault == Fault::NoAnswer {
            let mut publisher = publisher;
            io::copy(&mut publisher, &mut io::sink())?;
            return Ok(());
        }
        let server = TcpStream::connect(target)?;
        let pair = Pair {
            publisher,
            server: &server,
            has_traffic: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
        };
        for end in [publisher, &server] {
            end.set_nodelay(true)?;
            // On a read timeout, `copy` checks whether the test has ended and whether the connection is idle.
            end.set_read_timeout(Some(match fault {
                Fault::CloseIdle(timeout) => timeout,
                _ => Duration::from_millis(200),
            }))?;
        }
        thread::scope(|scope| {
            scope.spawn(|| self.copy(&pair, publisher, &server, fault, up_limit(fault)));
            self.copy(&pair, &server, publisher, fault, down_limit(fault));
        });
        Ok(())
    }

    /// Forwards up to `limit` bytes of one side, then resets the connection.
    fn copy(&self, pair: &Pair<'_>, mut from: &TcpStream, mut to: &TcpStream, fault: Fault, limit: usize) {
        let mut buffer = vec![0; 64 << 10];
        let mut left = limit;
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => break pair.end(),
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let is_idle = matches!(fault, Fault::CloseIdle(_))
                        && !pair.has_traffic.swap(false, Ordering::AcqRel);
                    if is_idle || self.ended.load(Ordering::Acquire) {
                        break pair.end();
                    }
                    continue;
                }
                Err(_) => break pair.reset(),
            };
            pair.has_traffic.store(true, Ordering::Release);
            let forwarded = length.min(left);
            if to.write_all(&buffer[..forwarded]).is_err() {
                break pair.reset();
            }
            left -= forwarded;
            if forwarded < length {
                break pair.reset();
            }
        }
    }
}

/// The two ends of a connection.
struct Pair<'a> {
    publisher: &'a TcpStream,
    server: &'a TcpStream,
    has_traffic: AtomicBool,
    is_reset: AtomicBool,
}

impl Pair<'_> {
    /// Closes both with FIN, as a server does.
    fn end(&self) {
        if self.is_reset.load(Ordering::Acquire) {
            return;
        }
        for end in [self.publisher, self.server] {
            // An error means that it has already ended.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Closes both with RST: data in flight is lost.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        for end in [self.publisher, self.server] {
            // Fails only if it is already broken. The RST is sent with the last close; the shutdown ends the other thread's
            // read.
            let _ = sockopt::set_socket_linger(end, Some(Duration::ZERO));
            // Reading half only: a shutdown of the writing half would send buffered data and a FIN.
            let _ = end.shutdown(Shutdown::Read);
        }
    }
}

fn up_limit(fault: Fault) -> usize {
    if let Fault::Reset { after } = fault { after } else { usize::MAX }
}

fn down_limit(fault: Fault) -> usize {
    if let Fault::LoseAnswer { after } = fault { after } else { usize::MAX }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
