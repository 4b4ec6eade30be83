//! Number of allocations per event: the same for a thousand sessions as for one, so a delivery allocates nothing. The test
//! takes the place of the shard's event loop, and discards the written bytes.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use allocation_counter::measure;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, ClusterId, Payload, Topic};
use orosync_server::auth::used::UsedTickets;
use orosync_server::broker::cluster::Cluster;
use orosync_server::broker::history::HistoryRules;
use orosync_server::commands::serve::shared;
use orosync_server::config::{HistorySettings, Settings, load};
use orosync_server::connection::limits::{Capacity, ConnectionLimits};
use orosync_server::connection::{Client, Peer};
use orosync_server::metrics::Metrics;
use orosync_server::node::Node;
use orosync_server::node::handle::{Inbox, ShardHandle};
use orosync_server::publication::Content;
use orosync_server::session::Now;
use orosync_server::shard::Shard;
use orosync_server::shard::write::Outlet;

const TOPIC: &str = "oro/ping";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// `[5,"oro/ping"]`, masked with zeros.
const SUBSCRIBE: &[u8] = b"\x81\x8e\0\0\0\0[5,\"oro/ping\"]";

/// A shard whose sessions have all subscribed to one topic.
struct Stage {
    shard: Shard,
    inbox: Inbox,
    node: Arc<Node>,
    now: Now,
}

impl Stage {
    fn with_subscribers(count: usize) -> Self {
        let metrics = Arc::new(Metrics::new());
        let secret = ("OROSYNC_AUTH__SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
        let settings = Settings::new(&load(&[], [secret], []).unwrap()).unwrap();
        let cluster = Arc::new(Cluster::new(ClusterId(1), 0));
        let rules = Arc::new(shared(
            settings,
            cluster,
            UsedTickets::of_this_node(1000),
            Arc::new(AtomicBool::new(true)),
            None,
            &metrics,
        ));
        let (handle, inbox) = ShardHandle::new();
        let history = HistoryRules { settings: HistorySettings::default(), policies: rules.policies.clone() };
        let node = Arc::new(Node::new(vec![handle], &rules.limits, history, None, metrics));
        let shard = Shard::new(0, Arc::clone(&node), rules);
        let mut stage = Self { shard, inbox, node, now: Now { instant: Instant::now(), unix: 1_000_000 } };
        let limits = ConnectionLimits::new(Capacity { browsers: count, for_publishers: 0 }, count);
        for _ in 0..count {
            let client = Client::new(Peer::Unix, limits.admit(Peer::Unix).unwrap());
            let key = stage.shard.accept(client, stage.now.instant);
            stage.shard.handle_bytes(key, REQUEST, stage.now);
            stage.write();
            stage.shard.handle_bytes(key, SUBSCRIBE, stage.now);
        }
        stage.write();
        stage
    }

    /// Publishes these messages together and writes them to all sessions. Returns the number of bytes written.
    fn fan_out(&mut self, messages: Vec<Message>) -> usize {
        for message in messages {
            self.node.publish_own(Content::Message(message), None);
        }
        while let Ok(message) = self.inbox.try_recv() {
            self.shard.handle_message(message, self.now.instant);
        }
        self.write()
    }

    fn write(&mut self) -> usize {
        let mut sink = Sink(0);
        while let Some(key) = self.shard.next_dirty() {
            self.shard.write(key, &mut sink, self.now);
        }
        self.shard.handle_all_written();
        sink.0
    }
}

/// An outlet that accepts all bytes and counts them.
struct Sink(usize);

impl Outlet for Sink {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = slices.iter().map(|slice| slice.len()).sum();
        self.0 += taken;
        Ok(taken)
    }

    fn has_pending(&self) -> bool {
        false
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Number of allocations for a burst of messages, after two bursts of the same size.
fn allocations(subscribers: usize, messages: usize) -> u64 {
    let mut stage = Stage::with_subscribers(subscribers);
    let payload = Payload::from_encoder("\"x\"".into()).unwrap();
    let message = Message { topic: Topic::parse(TOPIC).unwrap(), payload, audience: Audience::default() };
    let batch = || vec![message.clone(); messages];
    // The first burst grows the queues. From the second one on, released memory is reused.
    stage.fan_out(batch());
    stage.fan_out(batch());
    let batch = batch();
    let mut written = 0;
    let taken = measure(|| written = stage.fan_out(batch)).count_total;
    assert_eq!(written % (subscribers * messages), 0);
    assert!(written > subscribers * messages, "all sessions are written to");
    taken
}

#[test]
fn a_delivery_allocates_nothing() {
    assert_eq!(allocations(1000, 1), allocations(1, 1));
}

#[test]
fn a_delivery_in_a_burst_allocates_nothing() {
    assert_eq!(allocations(1000, 32), allocations(1, 32));
}

#[test]
fn an_event_allocates_at_most_seven_times() {
    let one = allocations(1000, 1);
    assert!(one <= 7, "{one} allocations");
}
