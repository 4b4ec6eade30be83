//! `serve`: the server itself.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use orosync_protocol::Audience;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Payload, Topic};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tracing::{error, info, warn};

use crate::admin::{self, Phase, Readiness};
use crate::auth::Authenticator;
use crate::commands::rules::{ReadAgain, Rules};
use crate::config::settings::{Limits, Settings};
use crate::connection::limits::ConnectionLimits;
use crate::handshake::Door;
use crate::handshake::origin::AllowedOrigins;
use crate::listen::address::Address;
use crate::listen::{ListenError, Listener, Spread};
use crate::log::RateLimited;
use crate::metrics::{Metrics, Source};
use crate::node::handle::{Inbox, ShardHandle};
use crate::node::{Node, drain};
use crate::process::{self, Request, Requests};
use crate::session::Shared;
use crate::shard::{Shard, run};

/// Descriptors that are not for sessions: listeners, logs, epoll sets, wake-ups.
const RESERVED_DESCRIPTORS: u64 = 64;

/// Log lines of one kind that clients can cause, per interval.
const CLIENT_LINES: u32 = 10;
const CLIENT_LINES_INTERVAL: Duration = Duration::from_secs(10);

/// Beyond `drain_seconds`: for the threads to end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What OroPlatform's pages expect on `oro/ping`.
const PING_TOPIC: &str = "oro/ping";
const PING_PAYLOAD: &[u8] = b"\"Connection keep alive\"";

/// Runs the server until SIGTERM or SIGINT, then until everything accepted is written, or `drain_seconds` are over.
/// SIGHUP has the rules read again.
pub fn serve(settings: Settings, read_again: ReadAgain) -> Result<(), ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
    runtime.block_on(run_node(settings, read_again))
}

/// Why the server could not start, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listening socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The kernel refused a thread, a descriptor or a signal handler.
    #[error("the server cannot start: {0}")]
    Start(#[source] io::Error),
    /// A shard ended by itself, which is a bug. The supervisor starts the server again.
    #[error("a shard ended unexpectedly; the lines before this one say why")]
    Shard,
}

async fn run_node(settings: Settings, read_again: ReadAgain) -> Result<(), ServeError> {
    let mut requests = Requests::listen().map_err(ServeError::Start)?;
    let descriptors = process::raise_descriptor_limit().map_err(ServeError::Start)?;
    let metrics = Arc::new(Metrics::new());
    let listeners: Vec<Listener> = settings
        .bind
        .iter()
        .map(|address| Listener::bind(address, &settings.bind))
        .collect::<Result<_, _>>()?;
    let admin = bind_admin(&settings).await?;
    let max_sessions = max_sessions(&settings.limits, descriptors);
    let connection_limits = ConnectionLimits::new(max_sessions, settings.limits.sessions_per_address);
    let (drain_time, oro_ping) = (settings.drain, settings.oro_ping);

    let (handles, inboxes): (Vec<_>, Vec<_>) = (0..settings.shards.get()).map(|_| ShardHandle::new()).unzip();
    let node = Arc::new(Node::new(handles, &settings.limits, Arc::clone(&metrics)));
    let shared = Arc::new(shared(settings, &metrics));
    let mut shards = Shards::start(inboxes, &node, &shared)?;
    let mut rules = Rules::new(shared, read_again);

    let readiness = Readiness::new();
    let mut tasks = JoinSet::new();
    let spread = Arc::new(Spread::new(node.shards().to_vec(), connection_limits, Arc::clone(&metrics)));
    for listener in listeners {
        info!(address = %listener.address(), "listening");
        tasks.spawn(accept_connections(listener, Arc::clone(&spread)));
    }
    if !oro_ping.is_zero() {
        tasks.spawn(publish_pings(Arc::clone(&node), oro_ping));
    }
    let mut operators = JoinSet::new();
    if let Some(listener) = admin {
        operators.spawn(admin::serve(listener, Arc::clone(&metrics), readiness.clone(), rules.described()));
    }
    readiness.enter(Phase::Serving);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        shards = node.shards().len(),
        descriptors,
        max_sessions,
        "orosync-server is ready"
    );

    let request = loop {
        tokio::select! {
            request = requests.next() => match request {
                Request::HangUp => rules.reload(node.shards()),
                Request::Terminate | Request::Interrupt => break request,
            },
            () = shards.next_ended() => return Err(ServeError::Shard),
        }
    };
    info!(signal = request.label(), seconds = drain_time.as_secs_f64(), "draining");
    let until = Instant::now() + drain_time;
    readiness.enter(Phase::Draining);
    tasks.shutdown().await;
    drain::drain(node.shards(), until.into_std()).await;
    if timeout_at(until + LAST_WAIT, shards.all_ended()).await.is_err() {
        warn!("a shard was too busy to end in time");
    }
    info!("stopped");
    Ok(())
}

async fn bind_admin(settings: &Settings) -> Result<Option<TcpListener>, ServeError> {
    let Some(address) = settings.admin_bind else { return Ok(None) };
    let bound = TcpListener::bind(address).await.map_err(|error| ListenError {
        key: "admin_bind",
        address: Address::Tcp(address),
        error,
    })?;
    info!(address = %bound.local_addr().unwrap_or(address), "listening for health checks and metrics");
    Ok(Some(bound))
}

/// As configured, but not more than there are descriptors for.
fn max_sessions(limits: &Limits, descriptors: u64) -> usize {
    let possible = usize::try_from(descriptors.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(usize::MAX);
    match limits.sessions {
        0 => possible,
        wanted if wanted > possible => {
            warn!(
                wanted,
                possible, "limits.sessions: more than descriptors allow; raise the limit of open files"
            );
            possible
        }
        wanted => wanted,
    }
}

/// What all sessions of a node with these settings share.
pub fn shared(settings: Settings, metrics: &Arc<Metrics>) -> Shared {
    let limited = || {
        let left_out = metrics.log_lines_left_out.clone();
        Arc::new(RateLimited::new(CLIENT_LINES, CLIENT_LINES_INTERVAL, left_out))
    };
    Shared {
        door: Door {
            authenticator: Arc::new(Authenticator::new(
                settings.auth.verifiers,
                settings.limits.remembered_tickets,
            )),
            anonymous: settings.auth.anonymous,
            allowed_origins: AllowedOrigins::new(settings.auth.allowed_origins),
            max_head_bytes: settings.limits.handshake_bytes,
        },
        policies: settings.policies,
        limits: settings.limits,
        metrics: Arc::clone(metrics),
        handshakes_logged: limited(),
        refusals_logged: limited(),
    }
}

async fn accept_connections(listener: Listener, spread: Arc<Spread>) {
    if let Err(error) = listener.run(&spread).await {
        error!(address = %listener.address(), %error, "no longer listening");
    }
}

/// Publishes `oro/ping` while somebody has subscribed to it: pages of OroPlatform do, to keep proxies from closing.
async fn publish_pings(node: Arc<Node>, every: Duration) {
    let (Ok(topic), Ok(payload)) =
        (Topic::parse(PING_TOPIC), Payload::from_encoder(Bytes::from_static(PING_PAYLOAD)))
    else {
        return;
    };
    let mut tick = interval_at(Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if node.has_subscribers(&topic) {
            let message =
                Message { topic: topic.clone(), payload: payload.clone(), audience: Audience::default() };
            node.publish(message, Source::Server);
        }
    }
}

/// The shards' threads.
struct Shards {
    count: usize,
    ended: mpsc::UnboundedReceiver<()>,
}

/// Tells when a shard's thread ends, in whatever way.
struct TellsTheEnd(mpsc::UnboundedSender<()>);

impl Drop for TellsTheEnd {
    fn drop(&mut self) {
        // An error means that the process ends already.
        let _ = self.0.send(());
    }
}

impl Shards {
    fn start(inboxes: Vec<Inbox>, node: &Arc<Node>, shared: &Arc<Shared>) -> Result<Self, ServeError> {
        let (sender, ended) = mpsc::unbounded_channel();
        let count = inboxes.len();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let owned = Shard::new(number, Arc::clone(node), Arc::clone(shared));
            let tells = TellsTheEnd(sender.clone());
            thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(move || run_shard(number, owned, inbox, &tells))
                .map_err(ServeError::Start)?;
        }
        Ok(Self { count, ended })
    }

    async fn next_ended(&mut self) {
        self.ended.recv().await;
    }

    async fn all_ended(&mut self) {
        for _ in 0..self.count {
            self.ended.recv().await;
        }
    }
}

fn run_shard(number: usize, shard: Shard, inbox: Inbox, _tells: &TellsTheEnd) {
    let ran = Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(run::run(shard, inbox)));
    if let Err(error) = ran {
        error!(shard = number, %error, "the event loop failed");
    }
}
