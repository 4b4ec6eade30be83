//! The broker with real servers: `redis-server`, or the program that `OROSYNC_REDIS_SERVER` names.

mod cluster;
mod reads;
mod sentinels;
pub(super) mod traffic;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, ClusterId, Payload, PublisherId, Seq, Topic};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;

use super::address::ServerAddress;
use super::connect::{CONNECT_TIMEOUT, Connector};
use super::keys::Partition;
use super::{RedisBroker, Settings};
use crate::auth::replay::FirstUse;
use crate::auth::used::TicketUse;
use crate::broker::contract::{self, Highest};
use crate::broker::history::HistoryRules;
use crate::broker::{Broker, EventHandler, Since};
use crate::config::broker::{Passwords, RedisAddress, RedisServers, RedisSettings};
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::process::unix_time;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::{Receipt, Settled, Waiter};
use crate::publication::{Author, Content, Item, Publication};
use traffic::{Witness, wait_until_subscribed};

/// A server for one test, without persistence.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
    /// The files of replicas, Sentinels and Cluster nodes.
    directory: Arc<TempDir>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_at(free_port(), &[])
    }

    fn start_at(port: u16, more: &[&str]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), port, more)
    }

    fn start_in(directory: Arc<TempDir>, port: u16, more: &[&str]) -> Self {
        let without_persistence = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
        Self::launch(directory, port, &[&without_persistence, more].concat())
    }

    /// A Sentinel with this configuration file, which it rewrites.
    fn start_sentinel(configuration: &str) -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("sentinel.conf"), configuration).unwrap();
        Self::launch(Arc::new(directory), free_port(), &["sentinel.conf", "--sentinel"])
    }

    fn launch(directory: Arc<TempDir>, port: u16, arguments: &[&str]) -> Self {
        let program = std::env::var("OROSYNC_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let mut process = Command::new(program)
            .current_dir(directory.path())
            .args(arguments)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by scripts/install-deps");
        wait_for("redis-server listens", || {
            assert!(process.try_wait().unwrap().is_none(), "another process uses its port");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { process, port, directory }
    }

    fn open(&self, events: Arc<dyn EventHandler>) -> Box<dyn Broker> {
        Box::new(open(self.servers(), 0, events))
    }

    /// Its address.
    pub(super) fn servers(&self) -> RedisServers {
        let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: self.port };
        RedisServers::Single(address, 0)
    }
}

/// A free port outside the range of ephemeral ports. The port of a Cluster's bus, 10,000 above it, is free as well.
fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let ports = std::iter::repeat_with(|| rand::random_range(10_000..22_000));
    ports.take(1000).find(|port| is_free(*port) && is_free(*port + 10_000)).expect("a free port")
}

fn settings_of(servers: RedisServers, wait_replicas: u32) -> RedisSettings {
    RedisSettings {
        servers,
        tls: None,
        prefix: "orosync".to_owned(),
        username: None,
        password_file: None,
        sentinel_username: None,
        passwords: Passwords::default(),
        wait_replicas,
    }
}

/// A broker on these servers.
fn open(servers: RedisServers, wait_replicas: u32, events: Arc<dyn EventHandler>) -> RedisBroker {
    open_counted(servers, wait_replicas, events, Arc::new(Metrics::new()))
}

/// The same, with these metrics.
fn open_counted(
    servers: RedisServers,
    wait_replicas: u32,
    events: Arc<dyn EventHandler>,
    metrics: Arc<Metrics>,
) -> RedisBroker {
    RedisBroker::start(settings(servers, wait_replicas), events, metrics).unwrap()
}

/// The settings of a node on these servers.
pub(super) fn settings(servers: RedisServers, wait_replicas: u32) -> Settings {
    Settings {
        redis: settings_of(servers, wait_replicas),
        passwords: watch::Sender::new(Passwords::default()).subscribe(),
        rules: HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) },
        resume: Duration::from_mins(5),
        max_publishers: 10,
        secrets: watch::Sender::new(vec!["a secret".to_owned()]).subscribe(),
        node: format!("{:032x}", rand::random::<u128>()),
        bind: "0.0.0.0:8080".to_owned(),
        rules_hash: watch::Sender::new("0123456789abcdef".to_owned()).subscribe(),
    }
}

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Counts settled receipts.
#[derive(Debug, Default)]
struct Settlements(AtomicU64);

impl Settlements {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Waiter for Arc<Settlements> {
    fn notify(&self, _: Settled) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Publishes a message whose number is also its payload.
fn publish(
    broker: &RedisBroker,
    publisher: PublisherId,
    topic: &Topic,
    number: u64,
    settlements: &Arc<Settlements>,
) {
    publish_all(broker, publisher, &[(topic, number)], settlements);
}

/// Publishes several messages at once.
fn publish_all(
    broker: &RedisBroker,
    publisher: PublisherId,
    messages: &[(&Topic, u64)],
    settlements: &Arc<Settlements>,
) {
    let items = messages.iter().map(|(topic, number)| item(topic, Seq::new(*number), *number)).collect();
    let receipt: Arc<Receipt> = Receipt::new(Arc::clone(settlements));
    let author = Author::Publisher(publisher);
    broker.publish(Publication { author, items, receipt: Some(receipt) }, Instant::now());
}

fn item(topic: &Topic, seq: Option<Seq>, payload: u64) -> Item {
    let payload = Payload::from_encoder(payload.to_string().into()).unwrap();
    let message = Message { topic: topic.clone(), payload, audience: Audience::default() };
    Item { seq, content: Content::Message(message), credit: CreditPool::new(1, 1, || {}).take(1) }
}

#[test]
fn it_keeps_the_contract() {
    let server = Server::start();
    contract::test(|events| server.open(events), Highest::Known);
    contract::test_order_over_topics(|events| server.open(events));
    contract::test_nodes(|events| server.open(events), Highest::Known);
}

#[test]
fn numbers_are_stored_per_publisher_and_the_node_numbers_other_messages() {
    let server = Server::start();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    let node = open(RedisServers::Single(address, 0), 0, Arc::new(Witness::default()));
    let (topic, settlements) = (Topic::parse("t").unwrap(), Arc::<Settlements>::default());
    let items = vec![item(&topic, Seq::new(5), 5), item(&topic, None, 0)];
    let receipt: Arc<Receipt> = Receipt::new(Arc::clone(&settlements));
    let author = Author::Publisher(PublisherId(7));
    node.publish(Publication { author, items, receipt: Some(receipt) }, Instant::now());
    wait_for("both messages are acknowledged", || (settlements.count() == 1).then_some(()));
    let mut connection = redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
    let of = format!("orosync:{{0}}:p:{}", PublisherId(7));
    assert_eq!(redis::cmd("GET").arg(&of).query::<u64>(&mut connection).unwrap(), 5);
    let numbers: Vec<String> = redis::cmd("KEYS").arg("orosync:{0}:p:*").query(&mut connection).unwrap();
    let own = numbers.iter().find(|key| **key != of).unwrap();
    assert_eq!(redis::cmd("GET").arg(own).query::<u64>(&mut connection).unwrap(), 1);
}

/// A primary and a replica that can be stopped.
struct Replicated {
    primary: Server,
    replica: Server,
}

impl Replicated {
    fn start() -> Self {
        let primary = Server::start();
        let replica_of = ["--replicaof", "127.0.0.1", &primary.port.to_string()];
        let replica = Server::start_at(free_port(), &replica_of);
        let client = redis::Client::open(("127.0.0.1", primary.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        wait_for("the replica is in sync", || {
            let info: String = redis::cmd("INFO").arg("replication").query(&mut connection).unwrap();
            info.contains("state=online").then_some(())
        });
        Self { primary, replica }
    }

    /// A broker that waits for the replica.
    fn open(&self, events: &Arc<Witness>, metrics: &Arc<Metrics>) -> RedisBroker {
        let broker =
            open_counted(self.primary.servers(), 1, Arc::<Witness>::clone(events), Arc::clone(metrics));
        wait_for("the broker is up", || broker.is_up().load(Ordering::Relaxed).then_some(()));
        broker
    }

    fn signal_replica(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.replica.process), signal).unwrap();
    }
}

#[test]
fn a_message_resent_to_another_node_is_not_acknowledged_before_replicas_have_it() {
    let servers = Replicated::start();
    let nodes = [(); 2].map(|()| {
        let metrics = Arc::new(Metrics::new());
        (servers.open(&Arc::default(), &metrics), metrics, Arc::<Settlements>::default())
    });
    servers.signal_replica(Signal::STOP);
    let topic = Topic::parse("t").unwrap();
    for (broker, metrics, settlements) in &nodes {
        publish(broker, PublisherId(7), &topic, 1, settlements);
        wait_for("the call has ended", || {
            (metrics.broker_retries.get() > 0 || settlements.count() > 0).then_some(())
        });
        assert_eq!(settlements.count(), 0);
    }
    servers.signal_replica(Signal::CONT);
    for (.., settlements) in &nodes {
        wait_for("the replica has the message", || (settlements.count() == 1).then_some(()));
    }
}

#[test]
fn an_unreachable_replica_does_not_delay_reads() {
    const PUBLISHERS: u64 = 20;
    let servers = Replicated::start();
    let witness = Arc::<Witness>::default();
    let broker = servers.open(&witness, &Arc::new(Metrics::new()));
    let topic = Topic::parse("t").unwrap();
    broker.subscribe(&topic);
    wait_until_subscribed(&broker, &topic);
    servers.signal_replica(Signal::STOP);
    // Redis waits for the replica separately for each call.
    let settlements = Arc::<Settlements>::default();
    for publisher in 0..PUBLISHERS {
        publish(&broker, PublisherId(publisher.into()), &topic, 1, &settlements);
    }
    wait_for("some messages have arrived", || (witness.received(&topic).len() > 1).then_some(()));
    let (sender, answer) = std::sync::mpsc::channel();
    let hand_over = Box::new(move |recovered: Result<_, _>| sender.send(recovered.is_ok()).unwrap());
    broker.recover(&topic, Some(Since::Position(None)), 1, hand_over);
    assert!(answer.recv().unwrap());
    assert_eq!(settlements.count(), 0);
    servers.signal_replica(Signal::CONT);
    wait_for("the replica has all messages", || (settlements.count() == PUBLISHERS).then_some(()));
}

/// Uses a ticket and waits for the answer.
fn use_ticket(broker: &RedisBroker) -> FirstUse {
    let (sender, answer) = std::sync::mpsc::channel();
    let ticket = TicketUse { id: "x".to_owned(), expires: unix_time() + 60, nonce: rand::random() };
    broker.used_tickets().use_up(ticket, Box::new(move |first_use| sender.send(first_use).unwrap()));
    answer.recv().unwrap()
}

#[test]
fn a_ticket_answered_as_unavailable_can_be_used_again() {
    let servers = Replicated::start();
    let nodes = [(); 2].map(|()| servers.open(&Arc::default(), &Arc::new(Metrics::new())));
    servers.signal_replica(Signal::STOP);
    assert_eq!(use_ticket(&nodes[0]), FirstUse::Unavailable);
    servers.signal_replica(Signal::CONT);
    assert_eq!(use_ticket(&nodes[0]), FirstUse::Yes);
    assert_eq!(use_ticket(&nodes[1]), FirstUse::No);
}

#[test]
fn foreign_data_in_a_key_delays_no_publisher_and_repeats_no_message() {
    let server = Server::start();
    let witness = Arc::new(Witness::default());
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    let broker = open(RedisServers::Single(address, 0), 0, Arc::<Witness>::clone(&witness));
    let topics = ["first", "second"].map(|name| Topic::parse(name).unwrap());
    for topic in &topics {
        broker.subscribe(topic);
    }
    for topic in &topics {
        wait_until_subscribed(&broker, topic);
    }
    let mut connection = redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
    let settlements = Arc::<Settlements>::default();
    let messages = [1, 2].map(|number| (&topics[usize::try_from(number).unwrap() - 1], number));
    redis::cmd("SET").arg("orosync:{0}:e:second").arg("foreign").exec(&mut connection).unwrap();
    publish_all(&broker, PublisherId(7), &messages, &settlements);
    wait_for("the messages are acknowledged", || (settlements.count() == 1).then_some(()));
    for (topic, number) in messages {
        wait_for("the message has arrived", || (witness.received(topic) == [number]).then_some(()));
        let stored: u64 =
            redis::cmd("LLEN").arg(format!("orosync:{{0}}:e:{topic}")).query(&mut connection).unwrap();
        assert_eq!(stored, 1);
    }
    // Foreign data in the place of a head: the topic begins again at offset 1.
    redis::cmd("SET").arg("orosync:{0}:h:second").arg("foreign").exec(&mut connection).unwrap();
    publish_all(&broker, PublisherId(7), &[(&topics[0], 3), (&topics[1], 4)], &settlements);
    wait_for("the messages are acknowledged", || (settlements.count() == 2).then_some(()));
    wait_for("the message has arrived", || (witness.received(&topics[0]) == [1, 3]).then_some(()));
    wait_for("the message has arrived", || (witness.received(&topics[1]).last() == Some(&4)).then_some(()));
    // Readers are not delayed either.
    for (key, value) in [("orosync:{0}:h:third", "foreign"), ("orosync:{0}:e:third", "foreign")] {
        redis::cmd("SET").arg(key).arg(value).exec(&mut connection).unwrap();
    }
    redis::cmd("LPUSH").arg("orosync:{0}:h:fourth").arg("foreign").exec(&mut connection).unwrap();
    for (name, number) in [("third", 5), ("fourth", 6)] {
        let topic = Topic::parse(name).unwrap();
        broker.subscribe(&topic);
        wait_until_subscribed(&broker, &topic);
        publish(&broker, PublisherId(7), &topic, number, &settlements);
        wait_for("the message has arrived", || (witness.received(&topic) == [number]).then_some(()));
    }
}

#[test]
fn flushed_scripts_are_loaded_again() {
    let server = Server::start();
    let witness = Arc::new(Witness::default());
    let broker = open(server.servers(), 0, Arc::<Witness>::clone(&witness));
    let topic = Topic::parse("t").unwrap();
    broker.subscribe(&topic);
    wait_until_subscribed(&broker, &topic);
    let mut connection = redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
    let settlements = Arc::<Settlements>::default();
    let start = Instant::now();
    for number in 1..=3 {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).unwrap();
        publish(&broker, PublisherId(7), &topic, number, &settlements);
        wait_for("the messages are acknowledged", || (settlements.count() == number).then_some(()));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "sooner than after a canary timeout");
    wait_for("all messages have arrived", || (witness.received(&topic) == [1, 2, 3]).then_some(()));
}

/// Waits until the node has joined a cluster. Returns the cluster's id.
fn cluster_id(broker: &RedisBroker) -> ClusterId {
    let id = || broker.cluster().membership(unix_time()).map(|membership| membership.cluster);
    wait_for("the node has joined a cluster", id)
}

#[test]
fn running_nodes_restore_their_cluster_id_in_a_redis_that_has_lost_its_data() {
    let server = Server::start();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    let servers = RedisServers::Single(address, 0);
    let open = || open(servers.clone(), 0, Arc::new(Witness::default()));
    let node = open();
    let id = cluster_id(&node);
    wait_for("the node is ready", || node.is_up().load(Ordering::Relaxed).then_some(()));
    let mut connection = redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
    redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    let mut value_of = |name: &str| {
        wait_for("the key is written again", || {
            let key = format!("orosync:{{0}}:{name}");
            redis::cmd("GET").arg(key).query::<Option<String>>(&mut connection).unwrap()
        })
    };
    assert_eq!(value_of("id"), id.to_string());
    assert_eq!(value_of("secret"), "a secret");
    value_of("epoch");
    assert_eq!(cluster_id(&open()), id, "a node that joins now");
}

#[test]
fn a_node_joins_the_cluster_with_which_another_node_has_initialized_redis() {
    let server = Server::start();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    let node = open(RedisServers::Single(address, 0), 0, Arc::new(Witness::default()));
    let (before, other) = (cluster_id(&node), ClusterId(7));
    let mut connection = redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
    redis::cmd("SET").arg("orosync:{0}:id").arg(other.to_string()).exec(&mut connection).unwrap();
    wait_for("the node has joined the other cluster", || (cluster_id(&node) == other).then_some(()));
    assert_ne!(before, other);
}

#[tokio::test]
async fn a_server_that_accepts_connections_but_never_answers_is_a_timeout() {
    let silent = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = silent.local_addr().unwrap().port();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port };
    let connector = Connector::new(settings_of(RedisServers::Single(address, 0), 0));
    let start = Instant::now();
    let problem = connector.commands(&ServerAddress::Tcp("127.0.0.1".to_owned(), port)).await.unwrap_err();
    assert_eq!(problem.cause, "timeout");
    assert!((CONNECT_TIMEOUT..CONNECT_TIMEOUT * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
    let seeds = vec![("127.0.0.1".to_owned(), port)];
    let connector = Connector::new(settings_of(RedisServers::Cluster { seeds }, 0));
    let problem = connector.look_up(&[Partition::CONTROL], &[], 0).await.unwrap_err();
    assert!(problem.sentence.contains("the Cluster's node"), "{problem}");
}

#[test]
fn an_unanswered_connection_is_replaced() {
    let silent = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = silent.local_addr().unwrap().port();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port };
    let node = open(RedisServers::Single(address, 0), 0, Arc::new(Witness::default()));
    // The connection stays open, and no further one is accepted.
    let _held = silent.accept().unwrap();
    drop(silent);
    let _server = Server::start_at(port, &[]);
    wait_for("the node is connected", || node.is_up().load(Ordering::Relaxed).then_some(()));
}
