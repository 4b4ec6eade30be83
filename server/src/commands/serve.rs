//! `serve`: starts the node with all its threads and tasks, reloads it on SIGHUP and shuts it down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use orosync_protocol::Audience;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Payload, Seq, Topic};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout_at};
use tracing::{error, info, warn};

use crate::admin::{self, Phase, Readiness};
use crate::auth::resume::{ResumeTickets, ResumeTimes};
use crate::auth::revocations::Revocations;
use crate::auth::used::UsedTickets;
use crate::auth::{Authenticator, JournalError};
use crate::broker::Broker;
use crate::broker::cluster::Cluster;
use crate::broker::history::HistoryRules;
use crate::broker::redis::{self, RedisBroker};
use crate::commands::rules::{self, ReadSettings, Rules};
use crate::config::broker::{BrokerSettings, Passwords};
use crate::config::settings::{AdminBind, Settings};
use crate::connection::limits::{Capacity, ConnectionLimits};
use crate::handshake::HandshakeContext;
use crate::listen::address::Address;
use crate::listen::inherited::Inherited;
use crate::listen::{Distributor, ListenError, Listener, WatchedListener};
use crate::metrics::Metrics;
use crate::node::handle::{Inbox, ShardHandle};
use crate::node::{Node, drain};
use crate::process::{self, Request, Requests};
use crate::publication::Content;
use crate::session::Shared;
use crate::session::log_limits::LogLimits;
use crate::shard::{Shard, run, trial};
use crate::supervisor;

/// File descriptors reserved for listeners, logs and health checks.
const RESERVED_DESCRIPTORS: usize = 64;

/// File descriptors reserved per shard, for epoll sets and wake-ups.
const DESCRIPTORS_PER_SHARD: usize = 5;

/// Maximum number of log lines per kind and interval that clients can cause.
const CLIENT_LOG_LINES: u32 = 10;
const CLIENT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Minimum capacity for revocations, even if `limits.publisher_messages` is lower.
const LEAST_REVOCATIONS: usize = 10_000;

/// Time limit for the threads to end, after `drain_seconds`.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Interval of [`Node::handle_timeout`].
const NODE_TICK: Duration = Duration::from_secs(5);

/// The topic and payload that OroPlatform's pages expect.
const PING_TOPIC: &str = "oro/ping";
const PING_PAYLOAD: &[u8] = b"\"Connection keep alive\"";

/// Runs the server until SIGTERM or SIGINT. It then serves for another `drain_grace_seconds`, and ends when everything that was
/// accepted is written, or after `drain_seconds`. SIGHUP reloads the rules.
pub fn serve(settings: Settings, read_settings: ReadSettings) -> Result<(), ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
    runtime.block_on(run_node(settings, read_settings))
}

/// Why the server could not start, or ended unexpectedly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listening socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// systemd passed a socket whose address `bind` does not contain.
    #[error(
        "bind does not name {address}, on which systemd listens for this server. Add it to bind, or remove it from the .socket unit"
    )]
    NotInBind {
        /// The address of the socket.
        address: Address,
    },
    /// The journal of revocations cannot be opened.
    #[error(transparent)]
    State(#[from] JournalError),
    /// The kernel refused a thread, a descriptor or a signal handler.
    #[error("the server cannot start: {0}")]
    Start(#[source] io::Error),
    /// A shard ended unexpectedly, which is a bug. systemd restarts the server.
    #[error("a shard ended unexpectedly; the log lines above give the reason")]
    Shard,
}

async fn run_node(settings: Settings, read_settings: ReadSettings) -> Result<(), ServeError> {
    let mut inherited = Inherited::from_environment().map_err(ServeError::Start)?;
    let mut requests = Requests::listen().map_err(ServeError::Start)?;
    let descriptors = process::raise_descriptor_limit().map_err(ServeError::Start)?;
    process::reserve_descriptors(descriptors);
    let metrics = Arc::new(Metrics::new());
    let listeners: Vec<Listener> = settings
        .bind
        .iter()
        .map(|bind| Listener::open(bind, &settings.bind, &mut inherited))
        .collect::<Result<_, _>>()?;
    if let Some(address) = inherited.unused() {
        return Err(ServeError::NotInBind { address: address.clone() });
    }
    let admin = bind_admin(&settings).await?;
    let capacity = capacity(&settings, descriptors);
    let connection_limits = ConnectionLimits::new(capacity, settings.limits.sessions_per_address);
    let (trusted_proxies, timeout) = (settings.trusted_proxies.clone(), settings.limits.handshake_timeout);
    let tls = watch::Sender::new(settings.tls.clone());
    let broker_passwords = watch::Sender::new(settings.broker.passwords());
    let secrets = watch::Sender::new(rules::secret_ids(&settings.auth.verifiers));
    let rules_hash = watch::Sender::new(rules::hash(&settings));
    let (drain_grace, drain_time, oro_ping) = (settings.drain_grace, settings.drain, settings.oro_ping);
    let sending = trial::choose(settings.send_together);
    metrics.io_uring.set(sending.together, sending.reason.label());

    let (handles, inboxes): (Vec<_>, Vec<_>) = (0..settings.shards.get()).map(|_| ShardHandle::new()).unzip();
    let history = HistoryRules { settings: settings.history, policies: settings.policies.clone() };
    let revocations = revocations(&settings)?;
    let reloaded = ReloadedSettings {
        passwords: broker_passwords.subscribe(),
        secrets: secrets.subscribe(),
        rules_hash: rules_hash.subscribe(),
    };
    let Joined { node, used_tickets, has_broker } =
        join(&settings, handles, history, revocations.clone(), reloaded, &metrics)?;
    let node = Arc::new(node);
    let cluster = node.cluster();
    let shared =
        Arc::new(shared(settings, cluster, used_tickets, Arc::clone(&has_broker), revocations, &metrics));
    let mut shards = Shards::start(inboxes, &node, &shared, sending.together)?;
    let current_tls = tls.subscribe();
    let mut rules = Rules::new(shared, tls, broker_passwords, secrets, rules_hash, read_settings);

    let readiness = Readiness::new(has_broker);
    let mut tasks = JoinSet::new();
    let runtime = shards.accepting();
    let handles = node.shards().to_vec();
    let distributor =
        Distributor::new(handles, connection_limits, trusted_proxies, timeout, current_tls, &metrics);
    for listener in listeners {
        let listener = listener.watch(&runtime)?;
        info!(address = %listener.bind(), "listening");
        tasks.spawn_on(accept_connections(listener, Arc::clone(&distributor)), &runtime);
    }
    tasks.spawn(run_node_timer(Arc::clone(&node)));
    if !oro_ping.is_zero() {
        tasks.spawn(publish_pings(Arc::clone(&node), oro_ping));
    }
    let mut operators = JoinSet::new();
    if let Some(listener) = admin {
        operators.spawn(admin::serve(listener, Arc::clone(&metrics), readiness.clone(), rules.described()));
    }
    tasks.spawn(supervisor::watch_shards(Arc::clone(&node)));
    readiness.enter(Phase::Serving);
    supervisor::ready();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        node = %metrics.node,
        shards = node.shards().len(),
        io_uring = sending.together,
        descriptors,
        max_sessions = capacity.browsers,
        for_publishers = capacity.for_publishers,
        "orosync-server is ready"
    );

    let mut request = end_requested(&mut requests, &mut shards, &mut rules, &node).await?;
    readiness.enter(Phase::Draining);
    if !drain_grace.is_zero() {
        let seconds = drain_grace.as_secs_f64();
        info!(
            signal = request.label(),
            seconds, "no longer ready, still serving until load balancers have noticed"
        );
        tokio::select! {
            again = end_requested(&mut requests, &mut shards, &mut rules, &node) => request = again?,
            () = sleep(drain_grace) => {}
        }
    }
    info!(signal = request.label(), seconds = drain_time.as_secs_f64(), "draining");
    let until = Instant::now() + drain_time;
    supervisor::stopping();
    // A shard that accepts connections may be stuck, so this wait is bounded. The end of the shards is awaited below.
    let _ = timeout_at(until, tasks.shutdown()).await;
    drain::drain(node.shards(), until.into_std()).await;
    if timeout_at(until + LAST_WAIT, shards.all_ended()).await.is_err() {
        warn!("a shard did not end in time");
    }
    info!("stopped");
    Ok(())
}

/// Waits for SIGTERM or SIGINT. Meanwhile SIGHUP reloads the rules.
async fn end_requested(
    requests: &mut Requests,
    shards: &mut Shards,
    rules: &mut Rules,
    node: &Node,
) -> Result<Request, ServeError> {
    loop {
        tokio::select! {
            request = requests.next() => match request {
                Request::HangUp => {
                    supervisor::reloading();
                    rules.reload(node);
                    supervisor::ready();
                }
                Request::Terminate | Request::Interrupt => return Ok(request),
            },
            () = shards.next_ended() => return Err(ServeError::Shard),
        }
    }
}

async fn bind_admin(settings: &Settings) -> Result<Option<TcpListener>, ServeError> {
    let address = match settings.admin_bind {
        AdminBind::Off => return Ok(None),
        AdminBind::At(address) => address,
        AdminBind::Auto => AdminBind::auto(&settings.bind),
    };
    let opened = TcpListener::bind(address).await.map_err(|error| ListenError {
        key: "admin_bind",
        address: Address::Tcp(address),
        error,
    });
    let bound = match opened {
        Err(error) if settings.admin_bind == AdminBind::Auto => {
            warn!(%error, "no health checks and no metrics");
            return Ok(None);
        }
        opened => opened?,
    };
    info!(address = %bound.local_addr().unwrap_or(address), "listening for health checks and metrics");
    Ok(Some(bound))
}

/// The maximum numbers of sessions: for browsers as configured, but at most as many as file descriptors allow; for publishers
/// an eighth of the descriptors, at most 256, since there are far fewer of them.
fn capacity(settings: &Settings, descriptors: u64) -> Capacity {
    const MAX_FOR_PUBLISHERS: usize = 256;
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let own = RESERVED_DESCRIPTORS + DESCRIPTORS_PER_SHARD * settings.shards.get();
    let possible = descriptors.saturating_sub(own);
    let for_publishers = (possible / 8).min(MAX_FOR_PUBLISHERS);
    let possible = possible - for_publishers;
    let browsers = match settings.limits.sessions {
        0 => possible,
        wanted if wanted > possible => {
            warn!(
                wanted,
                possible,
                "limits.sessions is higher than the file descriptor limit allows. Raise the limit of open files"
            );
            possible
        }
        wanted => wanted,
    };
    Capacity { browsers, for_publishers }
}

/// The revocations of resume tickets. `None` if resume tickets are disabled. With Redis, only Redis stores them.
fn revocations(settings: &Settings) -> Result<Option<Arc<Revocations>>, JournalError> {
    let (seconds, directory) = (settings.auth.resume.as_secs(), settings.auth.state_directory.as_deref());
    // At least as many disconnects as may be in flight, so that none is forgotten before its sessions have ended.
    let max = settings.limits.publisher_messages.max(LEAST_REVOCATIONS);
    let is_shared = matches!(settings.broker, BrokerSettings::Redis(_));
    let revocations = match directory {
        Some(directory) if seconds > 0 && !is_shared => {
            Revocations::open(directory, seconds, max, process::unix_time())?
        }
        _ => {
            // An existing journal would become outdated.
            directory.map_or(Ok(()), Revocations::forget)?;
            if seconds == 0 {
                return Ok(None);
            }
            Revocations::new(seconds, if is_shared { max.max(redis::MAX_DISCONNECTS) } else { max })
        }
    };
    Ok(Some(Arc::new(revocations)))
}

/// A node with the state that it shares with other nodes.
struct Joined {
    node: Node,
    used_tickets: UsedTickets,
    /// Whether the broker works. Set by the broker.
    has_broker: Arc<AtomicBool>,
}

/// Settings of the broker that SIGHUP may change.
struct ReloadedSettings {
    passwords: watch::Receiver<Passwords>,
    secrets: watch::Receiver<Vec<String>>,
    rules_hash: watch::Receiver<String>,
}

/// Creates a single node with the memory broker, or a node that joins the others on its Redis.
fn join(
    settings: &Settings,
    shards: Vec<ShardHandle>,
    rules: HistoryRules,
    revocations: Option<Arc<Revocations>>,
    reloaded: ReloadedSettings,
    metrics: &Arc<Metrics>,
) -> Result<Joined, ServeError> {
    let limits = &settings.limits;
    let metrics = Arc::clone(metrics);
    let redis = match &settings.broker {
        BrokerSettings::Redis(redis) => (**redis).clone(),
        BrokerSettings::Memory => {
            return Ok(Joined {
                node: Node::new(shards, limits, rules, revocations, metrics),
                used_tickets: UsedTickets::of_this_node(limits.remembered_tickets),
                has_broker: Arc::new(AtomicBool::new(true)),
            });
        }
    };
    let broker = redis::Settings {
        redis,
        passwords: reloaded.passwords,
        rules,
        resume: settings.auth.resume,
        max_publishers: limits.remembered_publishers,
        secrets: reloaded.secrets,
        node: metrics.node.to_string(),
        bind: settings.bind.first().map(|bind| bind.address.to_string()).unwrap_or_default(),
        rules_hash: reloaded.rules_hash,
    };
    let mut shared = None;
    let open = |events| {
        let broker = RedisBroker::start(broker, events, metrics)?;
        shared = Some((broker.used_tickets(), broker.is_up()));
        Ok(Box::new(broker) as Box<dyn Broker>)
    };
    let node = Node::with_broker(shards, limits, revocations, open).map_err(ServeError::Start)?;
    let (used_tickets, has_broker) = shared.expect("with_broker calls open");
    Ok(Joined { node, used_tickets: UsedTickets::OfAllNodes(used_tickets), has_broker })
}

/// The state that all sessions of a node share. Without `revocations`, resume tickets are disabled.
pub fn shared(
    settings: Settings,
    cluster: Arc<Cluster>,
    used_tickets: UsedTickets,
    has_broker: Arc<AtomicBool>,
    revocations: Option<Arc<Revocations>>,
    metrics: &Arc<Metrics>,
) -> Shared {
    let auth = settings.auth;
    let times = ResumeTimes { seconds: auth.resume.as_secs(), total_seconds: auth.resume_total.as_secs() };
    let resume = revocations.map(|revocations| ResumeTickets::new(auth.signer, times, revocations));
    Shared {
        handshake: HandshakeContext {
            authenticator: Arc::new(Authenticator::new(auth.verifiers, used_tickets, resume)),
            anonymous: auth.anonymous,
            allowed_origins: auth.allowed_origins,
            trusted_proxies: settings.trusted_proxies,
            max_head_bytes: settings.limits.handshake_bytes,
            cluster,
        },
        policies: settings.policies,
        limits: settings.limits,
        metrics: Arc::clone(metrics),
        log_limits: Arc::new(LogLimits::new(CLIENT_LOG_LINES, CLIENT_LOG_INTERVAL, metrics)),
        has_broker,
    }
}

async fn accept_connections(listener: WatchedListener, distributor: Arc<Distributor>) {
    if let Err(error) = listener.run(&distributor).await {
        error!(address = %listener.bind().address, %error, "stopped listening after an error");
    }
}

/// Calls [`Node::handle_timeout`] periodically, so that the node drops expired state.
async fn run_node_timer(node: Arc<Node>) {
    let mut tick = interval_at(Instant::now() + NODE_TICK, NODE_TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        node.handle_timeout();
    }
}

/// Publishes `oro/ping` while it has subscribers. OroPlatform's pages subscribe to it so that proxies keep idle connections
/// open.
async fn publish_pings(node: Arc<Node>, every: Duration) {
    let (Ok(topic), Ok(payload)) =
        (Topic::parse(PING_TOPIC), Payload::from_encoder(Bytes::from_static(PING_PAYLOAD)))
    else {
        return;
    };
    loop {
        // All nodes of a cluster number their pings by the time at which they are due. The broker drops duplicates, so each
        // ping is delivered once, and a changed interval cannot reuse an earlier number.
        let (now, length) = (milliseconds(process::since_1970()), milliseconds(every).max(1));
        let due = (now / length + 1) * length;
        sleep(Duration::from_millis(due - now)).await;
        if node.has_subscribers(&topic) {
            let message =
                Message { topic: topic.clone(), payload: payload.clone(), audience: Audience::default() };
            node.publish_own(Content::Message(message), Seq::new(due));
        }
    }
}

/// The duration in milliseconds; saturates at `u64::MAX`.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The shards' threads.
struct Shards {
    runtimes: Vec<Handle>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// Reports the end of a shard's thread on drop, also after a panic.
struct EndNotifier(mpsc::UnboundedSender<()>);

impl Drop for EndNotifier {
    fn drop(&mut self) {
        // An error means that the process is already ending.
        let _ = self.0.send(());
    }
}

impl Shards {
    fn start(
        inboxes: Vec<Inbox>,
        node: &Arc<Node>,
        shared: &Arc<Shared>,
        send_together: bool,
    ) -> Result<Self, ServeError> {
        let (sender, ended) = mpsc::unbounded_channel();
        let mut runtimes = Vec::with_capacity(inboxes.len());
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let (node, shared) = (Arc::clone(node), Arc::clone(shared));
            let notifier = EndNotifier(sender.clone());
            let runtime = Builder::new_current_thread().enable_all().build().map_err(ServeError::Start)?;
            runtimes.push(runtime.handle().clone());
            thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(move || {
                    // Created in its thread, which its sessions never leave.
                    let made = Shard::new(number, node, shared);
                    run_shard(number, &runtime, run::run(made, inbox, send_together), &notifier);
                })
                .map_err(ServeError::Start)?;
        }
        Ok(Self { runtimes, ended })
    }

    /// The runtime that accepts connections. A single shard accepts them itself, which saves a second thread and its wake-ups.
    /// With several shards it is the main thread's, because a shard would accept for all others.
    fn accepting(&self) -> Handle {
        match &self.runtimes[..] {
            [only] => only.clone(),
            _ => Handle::current(),
        }
    }

    async fn next_ended(&mut self) {
        self.ended.recv().await;
    }

    async fn all_ended(&mut self) {
        for _ in &self.runtimes {
            self.ended.recv().await;
        }
    }
}

fn run_shard(
    number: usize,
    runtime: &Runtime,
    shard: impl Future<Output = io::Result<()>>,
    _notifier: &EndNotifier,
) {
    if let Err(error) = runtime.block_on(shard) {
        error!(shard = number, %error, "the event loop failed");
    }
}
