//! Handshakes that wait for a ticket check by a shared store, in a shard's event loop: over a real socket, with an answer from
//! another thread.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use orosync_protocol::ticket::{Identity, Role, Signer, Verifier};
use orosync_server::auth::Authenticator;
use orosync_server::auth::replay::FirstUse;
use orosync_server::auth::used::{SharedTickets, TicketUse, UseAnswer, UsedTickets};
use orosync_server::broker::history::HistoryRules;
use orosync_server::commands::serve::shared;
use orosync_server::config::{HistorySettings, Settings, load};
use orosync_server::connection::limits::{Capacity, ConnectionLimits};
use orosync_server::connection::socket::Socket;
use orosync_server::connection::{Accepted, Client, Peer};
use orosync_server::metrics::Metrics;
use orosync_server::node::Node;
use orosync_server::node::handle::ShardHandle;
use orosync_server::process::unix_time;
use orosync_server::shard::{Shard, run};
use tokio::runtime::Builder;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const A_WHILE: Duration = Duration::from_secs(30);
/// `[2,"1","orosync/ping"]`, masked with zeros.
const PING: &[u8] = b"\x81\x96\0\0\0\0[2,\"1\",\"orosync/ping\"]";
const PONG: &[u8] = b"\x81\x0c[3,\"1\",null]";

/// A store of used tickets that passes the callback of each ticket check to the test.
struct Others(Mutex<mpsc::Sender<UseAnswer>>);

impl fmt::Debug for Others {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Others")
    }
}

impl SharedTickets for Others {
    fn use_up(&self, _: TicketUse, answer: UseAnswer) {
        self.0.lock().unwrap().send(answer).unwrap();
    }
}

/// A running shard, and one connection to it.
struct Running {
    shard: ShardHandle,
    thread: JoinHandle<io::Result<()>>,
    questions: mpsc::Receiver<UseAnswer>,
    client: UnixStream,
    limits: Arc<ConnectionLimits>,
}

impl Running {
    fn start() -> Self {
        let metrics = Arc::new(Metrics::new());
        let secret = ("OROSYNC_AUTH__SECRET".to_owned(), SECRET.to_owned());
        let settings = Settings::new(&load(&[], [secret], []).unwrap()).unwrap();
        let (sender, questions) = mpsc::channel();
        let others = UsedTickets::OfAllNodes(Arc::new(Others(Mutex::new(sender))));
        let verifier = Verifier::from_secret(SECRET.as_bytes()).unwrap();
        let mut rules = shared(
            settings,
            Arc::default(),
            UsedTickets::of_this_node(1000),
            Arc::new(AtomicBool::new(true)),
            None,
            &metrics,
        );
        rules.handshake.authenticator = Arc::new(Authenticator::new(vec![verifier], others, None));
        let rules = Arc::new(rules);
        let (shard, inbox) = ShardHandle::new();
        let history = HistoryRules { settings: HistorySettings::default(), policies: rules.policies.clone() };
        let node = Arc::new(Node::new(vec![shard.clone()], &rules.limits, history, None, metrics));
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run::run(Shard::new(0, node, rules), inbox, false))
        });
        let (client, accepted) = UnixStream::pair().unwrap();
        client.set_read_timeout(Some(A_WHILE)).unwrap();
        accepted.set_nonblocking(true).unwrap();
        let limits = ConnectionLimits::new(Capacity { browsers: 1, for_publishers: 0 }, 1);
        let socket = Socket::Unix(mio::net::UnixStream::from_std(accepted));
        let count = limits.admit(Peer::Unix).unwrap();
        shard.accepted(Accepted { socket, client: Client::new(Peer::Unix, count) });
        Self { shard, thread, questions, client, limits }
    }

    /// Sends a handshake followed by `rest`. Returns the callback of its ticket check.
    fn shake(&mut self, rest: &[u8]) -> UseAnswer {
        let identity = Identity { role: Role::User, uid: Some(7.into()), ..Identity::anonymous() };
        let ticket =
            Signer::from_secret(SECRET.as_bytes()).unwrap().issue(&identity, unix_time(), 300, 1).unwrap();
        let request = format!(
            "GET /?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: orosync.1\r\n\r\n"
        );
        self.client.write_all(&[request.as_bytes(), rest].concat()).unwrap();
        self.questions.recv_timeout(A_WHILE).unwrap()
    }

    /// Reads until the input ends with `last`.
    fn read_until(&mut self, last: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        while !read.ends_with(last) {
            let length = self.client.read(&mut buffer).unwrap();
            assert!(length > 0, "the connection ended after {:?}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..length]);
        }
        read
    }

    fn stop(self) {
        self.shard.stop(Instant::now() + A_WHILE);
        drop(self.client);
        self.thread.join().unwrap().unwrap();
        assert!(self.limits.admit(Peer::Unix).is_ok(), "the capacity is free again");
    }
}

#[test]
fn bytes_sent_with_the_handshake_or_during_its_ticket_check_are_read_after_the_greeting() {
    let mut running = Running::start();
    let answer = running.shake(PING);
    running.client.write_all(PING).unwrap();
    thread::spawn(move || answer(FirstUse::Yes)).join().unwrap();
    let read = running.read_until(&[PONG, PONG].concat());
    assert!(read.starts_with(b"HTTP/1.1 101 "));
    running.client.write_all(PING).unwrap();
    assert_eq!(running.read_until(PONG), PONG);
    running.stop();
}

#[test]
fn a_client_refused_after_its_ticket_check_reads_the_reason() {
    let mut running = Running::start();
    let answer = running.shake(b"");
    thread::spawn(move || answer(FirstUse::Unavailable)).join().unwrap();
    let mut read = String::new();
    running.client.read_to_string(&mut read).unwrap();
    assert!(
        read.starts_with("HTTP/1.1 503 ") && read.ends_with("the broker is unreachable. Retry later.\n"),
        "{read}"
    );
    running.stop();
}

#[test]
fn a_connection_closed_during_its_ticket_check_frees_capacity_after_the_answer() {
    let mut running = Running::start();
    let answer = running.shake(b"");
    running.client.shutdown(std::net::Shutdown::Both).unwrap();
    answer(FirstUse::Yes);
    let deadline = Instant::now() + A_WHILE;
    while running.limits.admit(Peer::Unix).is_err() {
        assert!(Instant::now() < deadline, "the connection still counts");
        thread::yield_now();
    }
    running.stop();
}

#[test]
fn a_shard_stops_while_a_ticket_check_is_unanswered() {
    let mut running = Running::start();
    let _unanswered = running.shake(b"");
    running.stop();
}
