//! Listening sockets: accept connections, limit their number and spread them over the shards.

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

/// Connections that the kernel keeps until they are accepted: after a restart all browsers come back within seconds. The
/// kernel caps it at `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;

/// Maximum number of connections accepted before the thread yields: as many as a shard takes in an iteration.
const ACCEPTED_TOGETHER: usize = 16;

/// The pause when the kernel has no descriptor or memory for a connection: some session has to end first.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// An open listening socket.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    bind: Bind,
}

#[derive(Debug)]
enum Inner {
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

/// Gives new connections to the shards, in turn.
#[derive(Debug)]
pub struct Spread {
    shards: Vec<ShardHandle>,
    next: AtomicUsize,
    limits: Arc<ConnectionLimits>,
    trusted_proxies: TrustedProxies,
    /// For what comes before a shard has the connection: the header of the PROXY protocol.
    patience: Duration,
    /// The certificate; it changes when the configuration is read again.
    tls: CurrentTls,
    metrics: Arc<Metrics>,
    refusals_logged: RateLimited,
    failures_logged: RateLimited,
}

impl Listener {
    /// Opens a listening socket, or takes the one that was inherited.
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
                // What it accepts inherits this: else the kernel would hold back small frames (Nagle).
                SockRef::from(&listener).set_tcp_nodelay(true).map_err(failed)?;
                let address = Address::Tcp(listener.local_addr().map_err(failed)?);
                (Inner::Tcp(mio::net::TcpListener::from_std(listener)), address)
            }
            (Open::Unix(listener), file) => {
                let listener = mio::net::UnixListener::from_std(listener);
                (Inner::Unix { listener, _file: file }, bind.address.clone())
            }
        };
        Ok(Self { inner, bind: Bind { address, ..bind.clone() } })
    }

    /// Has a runtime watch it. With a single shard that should be the shard's, so that accepting needs no other thread.
    pub fn watch(self, runtime: &Handle) -> Result<Watched, ListenError> {
        let _entered = runtime.enter();
        let inner = match self.inner {
            Inner::Tcp(listener) => process::watch(listener).map(WatchedInner::Tcp),
            Inner::Unix { listener, _file: file } => {
                process::watch(listener).map(|listener| WatchedInner::Unix { listener, _file: file })
            }
        };
        match inner {
            Ok(inner) => Ok(Watched { inner, bind: self.bind }),
            Err(error) => Err(ListenError { key: "bind", address: self.bind.address, error }),
        }
    }
}

/// An open listening socket that a runtime watches.
#[derive(Debug)]
pub struct Watched {
    inner: WatchedInner,
    bind: Bind,
}

#[derive(Debug)]
enum WatchedInner {
    Tcp(AsyncFd<mio::net::TcpListener>),
    Unix { listener: AsyncFd<mio::net::UnixListener>, _file: Option<SocketFile> },
}

impl Watched {
    /// Where it listens, with the real port where 0 was asked for, and how connections are taken there.
    pub fn bind(&self) -> &Bind {
        &self.bind
    }

    /// Accepts connections until the future is dropped.
    pub async fn run(&self, spread: &Arc<Spread>) -> io::Result<()> {
        match &self.inner {
            WatchedInner::Tcp(listener) => {
                let accept = |listener: &mio::net::TcpListener| {
                    let (socket, address) = listener.accept()?;
                    Ok((Socket::Tcp(socket), Peer::Tcp(address)))
                };
                accept_all(listener, accept, spread, &self.bind).await
            }
            WatchedInner::Unix { listener, .. } => {
                let accept = |listener: &mio::net::UnixListener| {
                    let (socket, _) = listener.accept()?;
                    Ok((Socket::Unix(socket), Peer::Unix))
                };
                accept_all(listener, accept, spread, &self.bind).await
            }
        }
    }
}

/// Accepts the connections of one address until the future is dropped.
async fn accept_all<T: AsRawFd>(
    listener: &AsyncFd<T>,
    accept: impl Fn(&T) -> io::Result<(Socket, Peer)>,
    spread: &Arc<Spread>,
    bind: &Bind,
) -> io::Result<()> {
    'waiting: loop {
        let mut ready = listener.readable().await?;
        for _ in 0..ACCEPTED_TOGETHER {
            match ready.try_io(|listener| accept(listener.get_ref())) {
                Ok(Ok((socket, peer))) => spread.take(socket, peer, bind),
                Ok(Err(error)) => spread.handle_error(&error).await,
                Err(_would_block) => continue 'waiting,
            }
        }
        // Other tasks of this thread must run between batches.
        yield_now().await;
    }
}

impl Spread {
    /// Spreads over these shards, within these limits. `patience` is for a header of the PROXY protocol.
    pub fn new(
        shards: Vec<ShardHandle>,
        limits: Arc<ConnectionLimits>,
        trusted_proxies: TrustedProxies,
        patience: Duration,
        tls: CurrentTls,
        metrics: Arc<Metrics>,
    ) -> Self {
        let few_lines = || RateLimited::new(5, Duration::from_secs(10), metrics.log_lines_left_out.clone());
        let (refusals_logged, failures_logged) = (few_lines(), few_lines());
        Self {
            shards,
            next: AtomicUsize::new(0),
            limits,
            trusted_proxies,
            patience,
            tls,
            metrics,
            refusals_logged,
            failures_logged,
        }
    }

    fn take(self: &Arc<Self>, socket: Socket, peer: Peer, bind: &Bind) {
        let is_trusted = self.trusted_proxies.trusts(peer);
        if bind.proxy_protocol && !is_trusted {
            let why = "it is none of trusted_proxies, whose word is taken here";
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
            let spread = Arc::clone(self);
            tokio::spawn(async move { spread.read_proxy_header(socket, client, security).await });
        } else {
            self.hand_over(socket, client, security);
        }
    }

    /// Takes a connection that says first whom it is from.
    async fn read_proxy_header(&self, socket: Socket, mut client: Client, security: Security) {
        let peer = client.peer;
        let socket = match process::watch(socket) {
            Ok(socket) => socket,
            Err(error) => return self.refuse(peer, "proxy_protocol", &error),
        };
        let source = match timeout(self.patience, proxy_protocol::take_header(&socket)).await {
            Ok(Ok(source)) => source,
            Ok(Err(error)) => return self.refuse(peer, "proxy_protocol", &error),
            Err(_) => {
                let why = "its header of the PROXY protocol did not come in time";
                return self.refuse(peer, "proxy_protocol", &why);
            }
        };
        if let Some(source) = source
            && let Err(full) = client.set_peer(Peer::Tcp(source))
        {
            return self.refuse(client.peer, full.label(), &full);
        }
        self.hand_over(socket.into_inner(), client, security);
    }

    fn hand_over(&self, socket: Socket, client: Client, security: Security) {
        let socket = match (socket, security) {
            (Socket::Tcp(tcp), Security::Tls) => {
                // A server with such an address has a certificate: the configuration is checked for that.
                let Some(config) = self.tls.borrow().clone() else { return };
                match Tls::new(tcp, config) {
                    Ok(tls) => Socket::Tls(Box::new(tls)),
                    Err(error) => return self.refuse(client.peer, "tls", &error),
                }
            }
            (socket, Security::Tls | Security::Plain) => socket,
        };
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(shard) = self.shards.get(turn % self.shards.len().max(1)) {
            debug!(peer = %client.peer, "connection accepted");
            shard.accepted(Accepted { socket, client });
        }
    }

    fn refuse(&self, peer: Peer, reason: &'static str, why: &dyn fmt::Display) {
        self.metrics.connections_refused.count(reason);
        if let Some(left_out) = self.refusals_logged.admit(Instant::now()) {
            warn!(%peer, reason, left_out, "connection refused: {why}");
        }
    }

    async fn handle_error(&self, error: &io::Error) {
        // These concern one connection that was gone before it was accepted; anything else goes on until something ends.
        let is_passing =
            matches!(Errno::from_io_error(error), Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO));
        self.metrics.connections_refused.count("accept_failed");
        if let Some(left_out) = self.failures_logged.admit(Instant::now()) {
            warn!(%error, left_out, "a connection could not be accepted");
        }
        if !is_passing {
            sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}

fn bind_tcp(address: SocketAddr, all: &[Bind]) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // [::] takes IPv4 as well, unless that has a listener of its own.
        let beside_ipv4 = all.iter().any(
            |other| matches!(other.address, Address::Tcp(v4) if v4.is_ipv4() && v4.port() == address.port()),
        );
        socket.set_only_v6(beside_ipv4 && address.port() != 0)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket file that goes with its listener.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If somebody has removed it already, that is what was wanted.
        let _ = fs::remove_file(&self.0);
    }
}

fn bind_unix(path: &Path, access: &FileAccess) -> io::Result<(UnixListener, SocketFile)> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        // Left behind by a server that was killed.
        fs::remove_file(path)?;
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile(path.to_owned());
    // Before it listens: until then nobody can connect.
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
    /// The setting that asked for it.
    pub key: &'static str,
    /// Where.
    pub address: Address,
    /// Why.
    pub error: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Another program listens there: stop it, or choose another address",
        io::ErrorKind::PermissionDenied => {
            "Ports below 1024, foreign directories and foreign owners need rights: choose others"
        }
        io::ErrorKind::AddrNotAvailable => "This machine has no such address",
        io::ErrorKind::NotFound => "Create the directory first",
        _ => "Choose another address",
    }
}
