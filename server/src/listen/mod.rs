//! Listening sockets: accept connections, limit their number and distribute them to the shards.

pub mod address;
pub mod bind;
pub mod inherited;
mod proxy_protocol;

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustls::ServerConfig;
use socket2::{Domain, SockAddr, SockRef, Type};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::limits::ConnectionLimits;
use crate::connection::proxies::TrustedProxies;
use crate::connection::socket::Socket;
use crate::connection::tls::Tls;
use crate::connection::{Accepted, Client, Peer};
use crate::log::RateLimited;
use crate::metrics::Metrics;
use crate::node::handle::ShardHandle;
use crate::process;

use address::Address;
use bind::{Bind, FileAccess};
use inherited::{Inherited, Open};

/// Maximum number of connections that the kernel queues until they are accepted. After a restart all browsers reconnect within
/// seconds. The kernel caps the value at `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;

/// Maximum number of connections accepted before the thread yields: as many as a shard adds per iteration.
const ACCEPTED_TOGETHER: usize = 16;

/// Pause after the kernel had no descriptor or memory for a connection. A session must end before the next attempt can succeed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// An open listening socket.
#[derive(Debug)]
pub struct Listener {
    inner: ListeningSocket,
    bind: Bind,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(mio::net::TcpListener),
    Unix { listener: mio::net::UnixListener, _file: Option<SocketFile> },
}

/// The certificate for new connections.
pub type CurrentTls = watch::Receiver<Option<Arc<ServerConfig>>>;

/// The protocol at the start of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Plain,
    Tls,
}

impl Security {
    fn of(bind: &Bind) -> Self {
        if bind.tls { Self::Tls } else { Self::Plain }
    }
}

/// Passes new connections to the shards, round robin.
#[derive(Debug)]
pub struct Distributor {
    shards: Vec<ShardHandle>,
    next: AtomicUsize,
    limits: Arc<ConnectionLimits>,
    trusted_proxies: TrustedProxies,
    /// Time limit for the PROXY protocol header, which is read before a shard receives the connection.
    header_timeout: Duration,
    /// The certificate, which a reload of the configuration may replace.
    tls: CurrentTls,
    metrics: Arc<Metrics>,
    refusals_logged: RateLimited,
    failures_logged: RateLimited,
}

impl Listener {
    /// Opens the listening socket of an entry of `bind`, or uses an inherited socket with the same address. `all` are all
    /// entries.
    pub fn open(bind: &Bind, all: &[Bind], inherited: &mut Inherited) -> Result<Self, ListenError> {
        let failed = |error| ListenError { key: "bind", address: bind.address.clone(), error };
        let opened = match (inherited.find(&bind.address), &bind.address) {
            (Some(open), _) => Ok((open, None)),
            (None, Address::Tcp(wanted)) => bind_tcp(*wanted, all).map(|open| (Open::Tcp(open), None)),
            (None, Address::Unix(path)) => {
                bind_unix(path, &bind.file).map(|(open, file)| (Open::Unix(open), Some(file)))
            }
        };
        let (inner, address) = match opened.map_err(failed)? {
            (Open::Tcp(listener), _) => {
                // Accepted connections inherit this option. Nagle's algorithm would delay small frames.
                SockRef::from(&listener).set_tcp_nodelay(true).map_err(failed)?;
                let address = Address::Tcp(listener.local_addr().map_err(failed)?);
                (ListeningSocket::Tcp(mio::net::TcpListener::from_std(listener)), address)
            }
            (Open::Unix(listener), file) => {
                let listener = mio::net::UnixListener::from_std(listener);
                (ListeningSocket::Unix { listener, _file: file }, bind.address.clone())
            }
        };
        Ok(Self { inner, bind: Bind { address, ..bind.clone() } })
    }

    /// Registers the socket with a runtime. With a single shard it should be the shard's, so that accepting needs no other
    /// thread.
    pub fn watch(self, runtime: &Handle) -> Result<WatchedListener, ListenError> {
        let _entered = runtime.enter();
        let inner = match self.inner {
            ListeningSocket::Tcp(listener) => process::watch(listener).map(WatchedSocket::Tcp),
            ListeningSocket::Unix { listener, _file: file } => {
                process::watch(listener).map(|listener| WatchedSocket::Unix { listener, _file: file })
            }
        };
        match inner {
            Ok(inner) => Ok(WatchedListener { inner, bind: self.bind }),
            Err(error) => Err(ListenError { key: "bind", address: self.bind.address, error }),
        }
    }
}

/// A listening socket that is registered with a runtime.
#[derive(Debug)]
pub struct WatchedListener {
    inner: WatchedSocket,
    bind: Bind,
}

#[derive(Debug)]
enum WatchedSocket {
    Tcp(AsyncFd<mio::net::TcpListener>),
    Unix { listener: AsyncFd<mio::net::UnixListener>, _file: Option<SocketFile> },
}

impl WatchedListener {
    /// The entry of `bind`, with the port that the kernel has chosen in place of port 0.
    pub fn bind(&self) -> &Bind {
        &self.bind
    }

    /// Accepts connections until the future is dropped.
    pub async fn run(&self, distributor: &Arc<Distributor>) -> io::Result<()> {
        match &self.inner {
            WatchedSocket::Tcp(listener) => {
                let accept = |listener: &mio::net::TcpListener| {
                    let (socket, address) = listener.accept()?;
                    Ok((Socket::Tcp(socket), Peer::Tcp(address)))
                };
                accept_all(listener, accept, distributor, &self.bind).await
            }
            WatchedSocket::Unix { listener, .. } => {
                let accept = |listener: &mio::net::UnixListener| {
                    let (socket, _) = listener.accept()?;
                    Ok((Socket::Unix(socket), Peer::Unix))
                };
                accept_all(listener, accept, distributor, &self.bind).await
            }
        }
    }
}

/// Accepts the connections of one address until the future is dropped.
async fn accept_all<T: AsRawFd>(
    listener: &AsyncFd<T>,
    accept: impl Fn(&T) -> io::Result<(Socket, Peer)>,
    distributor: &Arc<Distributor>,
    bind: &Bind,
) -> io::Result<()> {
    'waiting: loop {
        let mut ready = listener.readable().await?;
        for _ in 0..ACCEPTED_TOGETHER {
            match ready.try_io(|listener| accept(listener.get_ref())) {
                Ok(Ok((socket, peer))) => distributor.accept(socket, peer, bind),
                Ok(Err(error)) => distributor.handle_error(&error).await,
                Err(_would_block) => continue 'waiting,
            }
        }
        // Other tasks of this thread must run between batches.
        yield_now().await;
    }
}

impl Distributor {
    /// A distributor to these shards. `header_timeout` is the time limit for the PROXY protocol header.
    pub fn new(
        shards: Vec<ShardHandle>,
        limits: Arc<ConnectionLimits>,
        trusted_proxies: TrustedProxies,
        header_timeout: Duration,
        tls: CurrentTls,
        metrics: &Arc<Metrics>,
    ) -> Arc<Self> {
        let log_limit = || RateLimited::new(5, Duration::from_secs(10), metrics.log_lines_suppressed.clone());
        let (refusals_logged, failures_logged) = (log_limit(), log_limit());
        Arc::new(Self {
            shards,
            next: AtomicUsize::new(0),
            limits,
            trusted_proxies,
            header_timeout,
            tls,
            metrics: Arc::clone(metrics),
            refusals_logged,
            failures_logged,
        })
    }

    fn accept(self: &Arc<Self>, socket: Socket, peer: Peer, bind: &Bind) {
        let is_trusted = self.trusted_proxies.trusts(peer);
        if bind.proxy_protocol && !is_trusted {
            let why = "this address of bind accepts the PROXY protocol from trusted_proxies only";
            self.refuse(peer, "untrusted_proxy", &why);
            return;
        }
        let admitted = if is_trusted { self.limits.admit_proxy() } else { self.limits.admit(peer) };
        let client = match admitted {
            Ok(count) => Client::new(peer, count),
            Err(full) => return self.refuse(peer, full.label(), &full),
        };
        let security = Security::of(bind);
        if bind.proxy_protocol {
            let distributor = Arc::clone(self);
            tokio::spawn(async move { distributor.read_proxy_header(socket, client, security).await });
        } else {
            self.pass_to_shard(socket, client, security);
        }
    }

    /// Accepts a connection that begins with a PROXY protocol header.
    async fn read_proxy_header(&self, socket: Socket, mut client: Client, security: Security) {
        let peer = client.peer;
        let socket = match process::watch(socket) {
            Ok(socket) => socket,
            Err(error) => return self.refuse(peer, "proxy_protocol", &error),
        };
        let source = match timeout(self.header_timeout, proxy_protocol::take_header(&socket)).await {
            Ok(Ok(source)) => source,
            Ok(Err(error)) => return self.refuse(peer, "proxy_protocol", &error),
            Err(_) => {
                let why = "the PROXY protocol header did not arrive in time";
                return self.refuse(peer, "proxy_protocol", &why);
            }
        };
        if let Some(source) = source
            && let Err(full) = client.set_peer(Peer::Tcp(source))
        {
            return self.refuse(client.peer, full.label(), &full);
        }
        self.pass_to_shard(socket.into_inner(), client, security);
    }

    fn pass_to_shard(&self, socket: Socket, client: Client, security: Security) {
        let socket = match (socket, security) {
            (Socket::Tcp(tcp), Security::Tls) => {
                // The configuration guarantees a certificate for addresses with TLS.
                let Some(config) = self.tls.borrow().clone() else { return };
                match Tls::new(tcp, config) {
                    Ok(tls) => Socket::Tls(Box::new(tls)),
                    Err(error) => return self.refuse(client.peer, "tls", &error),
                }
            }
            (socket, Security::Tls | Security::Plain) => socket,
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(shard) = self.shards.get(number % self.shards.len().max(1)) {
            debug!(peer = %client.peer, "connection accepted");
            shard.accepted(Accepted { socket, client });
        }
    }

    fn refuse(&self, peer: Peer, reason: &'static str, why: &dyn fmt::Display) {
        self.metrics.connections_refused.count(reason);
        if let Some(suppressed) = self.refusals_logged.admit(Instant::now()) {
            warn!(%peer, reason, suppressed, "connection refused: {why}");
        }
    }

    async fn handle_error(&self, error: &io::Error) {
        // These errors concern a single connection. All others last until descriptors or memory are released.
        let is_transient =
            matches!(Errno::from_io_error(error), Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO));
        self.metrics.connections_refused.count("accept_failed");
        if let Some(suppressed) = self.failures_logged.admit(Instant::now()) {
            warn!(%error, suppressed, "cannot accept a connection");
        }
        if !is_transient {
            sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}

fn bind_tcp(address: SocketAddr, all: &[Bind]) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] also accepts IPv4, unless IPv4 has a listener of its own.
        let has_ipv4_listener = all.iter().any(
            |other| matches!(other.address, Address::Tcp(v4) if v4.is_ipv4() && v4.port() == address.port()),
        );
        socket.set_only_v6(has_ipv4_listener && address.port() != 0)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The file of a unix socket. Removed when its listener is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The file may have been removed already.
        let _ = fs::remove_file(&self.0);
    }
}

fn bind_unix(path: &Path, access: &FileAccess) -> io::Result<(UnixListener, SocketFile)> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        // A killed server has left it behind.
        fs::remove_file(path)?;
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile(path.to_owned());
    // Set before `listen`, because nobody can connect until then.
    let (user, group) = (access.user.as_ref(), access.group.as_ref());
    if user.is_some() || group.is_some() {
        chown(path, user.map(|user| user.id), group.map(|group| group.id))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))?;
    socket.listen(BACKLOG)?;
    Ok((socket.into(), file))
}

/// A listening socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {address}: {error}. {}", advice(.error))]
pub struct ListenError {
    /// The configuration key of the address.
    pub key: &'static str,
    /// The address.
    pub address: Address,
    /// The cause.
    pub error: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Another program uses this address: stop it, or choose another address",
        io::ErrorKind::PermissionDenied => {
            "The server's user lacks the permission for this port (below 1024), directory or owner: choose another"
        }
        io::ErrorKind::AddrNotAvailable => "No network interface of this machine has this address",
        io::ErrorKind::NotFound => "Create the directory first",
        _ => "Choose another address",
    }
}
