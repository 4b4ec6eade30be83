//! The results of `read.lua`, with a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload, Position, PublisherId, Seq, Topic};
use redis::{Cmd, Connection};

use super::traffic::wait_until_subscribed;
use super::{Server, open, wait_for};
use crate::auth::timeline::TimelineStart;
use crate::broker::history::HistoryRules;
use crate::broker::redis::calls::{self, Verbs};
use crate::broker::redis::keys::{Keys, Partition};
use crate::broker::redis::outbox::{DueCall, FlowKey, Outgoing};
use crate::broker::redis::read::{Excerpt, Read, ReadSince};
use crate::broker::redis::{record, scripts};
use crate::broker::{Broker, EventHandler};
use crate::config::broker::{RedisAddress, RedisServers};
use crate::config::settings::HistorySettings;
use crate::policy::{HistoryLimits, Policies};
use crate::publication::Event;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::Receipt;

/// A topic on a server.
struct Stored {
    server: Server,
    connection: Connection,
    keys: Keys,
    rules: HistoryRules,
    topic: Topic,
    last: u64,
}

impl Stored {
    fn new() -> Self {
        let server = Server::start();
        let mut connection =
            redis::Client::open(("127.0.0.1", server.port)).unwrap().get_connection().unwrap();
        for script in scripts::all() {
            script.prepare_invoke().load(&mut connection).unwrap();
        }
        let limits = HistoryLimits { events: 100_000, ..HistorySettings::default().limits };
        let settings = HistorySettings { limits, ..HistorySettings::default() };
        let rules = HistoryRules { settings, policies: Policies::new(Vec::new()) };
        let topic = Topic::parse("t").unwrap();
        Self { server, connection, keys: Keys::single("orosync"), rules, topic, last: 0 }
    }

    fn ask(&mut self, command: &Cmd) -> redis::Value {
        command.query(&mut self.connection).unwrap()
    }

    /// Publishes `count` messages of `bytes` bytes. Their tags equal their offsets.
    fn publish(&mut self, count: u64, bytes: usize) {
        for command in self.publishing(count, bytes) {
            self.ask(&command);
        }
    }

    /// The commands that publish these messages.
    fn publishing(&mut self, count: u64, bytes: usize) -> Vec<Cmd> {
        let messages: Vec<_> = (self.last + 1..=self.last + count)
            .map(|number| {
                let payload = format!("\"{}\"", "x".repeat(bytes - 2));
                let payload = Payload::from_encoder(payload.into()).unwrap();
                let message = Message { topic: self.topic.clone(), payload, audience: Audience::default() };
                Outgoing {
                    seq: Seq::new(number).unwrap(),
                    topic: self.topic.clone(),
                    tag: number,
                    body: record::body(&message),
                    _credit: CreditPool::new(1, 1, || {}).take(1),
                }
            })
            .collect();
        self.last += count;
        let flow = FlowKey { publisher: PublisherId(7), partition: Partition::CONTROL };
        // Lua's `unpack` is limited to a few thousand values.
        let calls = messages.chunks(1000).map(|messages| {
            let due = DueCall { flow, number: 0, before: None, messages };
            calls::publish(&self.keys, Verbs::SINGLE, &self.rules, Duration::from_mins(5), &due)
        });
        calls.collect()
    }

    fn read(&mut self, since: ReadSince, most: usize, excerpt: Excerpt) -> Read {
        let command = calls::read(&self.keys, &self.topic, since, most, excerpt);
        calls::parse_read(Ok(self.ask(&command))).unwrap()
    }

    /// The first and last offset of each page, from `since` on.
    fn pages(&mut self, mut since: ReadSince, most: usize) -> Vec<(u64, u64)> {
        let mut pages = Vec::new();
        loop {
            let read = self.read(since, most, Excerpt::Oldest);
            assert_eq!(read.is_page, !read.complete);
            let offsets: Vec<_> = read.entries.iter().map(|entry| entry.position.offset).collect();
            assert!(offsets.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            pages.push((offsets[0], *offsets.last().unwrap()));
            assert_eq!(Some(read.position), read.entries.last().map(|last| last.position));
            if read.complete {
                return pages;
            }
            since = ReadSince::Position(read.position);
        }
    }
}

fn at(offset: u64) -> ReadSince {
    ReadSince::Position(Position { offset, tag: offset })
}

#[test]
fn a_gap_is_read_page_by_page_and_a_recovery_returns_the_latest_events() {
    let mut topic = Stored::new();
    topic.publish(2500, 10);
    assert_eq!(topic.pages(at(10), 1000), [(11, 1010), (1011, 2010), (2011, 2500)]);
    assert_eq!(topic.pages(at(500), 1000), [(501, 1500), (1501, 2500)], "the last page is full");
    assert_eq!(topic.pages(ReadSince::Everything, 2000), [(1, 2000), (2001, 2500)]);
    for since in [at(10), ReadSince::Everything] {
        let latest = topic.read(since, 1000, Excerpt::Latest);
        assert!(!latest.complete && !latest.is_page);
        assert_eq!((latest.position.offset, latest.entries[0].position.offset), (2500, 1501));
    }
    // A position on another timeline: the latest entries are returned.
    let fork = ReadSince::Position(Position { offset: 10, tag: 11 });
    let read = topic.read(fork, 1000, Excerpt::Oldest);
    assert!(!read.complete && !read.is_page);
    assert_eq!((read.position.offset, read.entries[0].position.offset), (2500, 1501));
}

#[test]
fn a_page_contains_as_many_entries_as_fit_its_size() {
    let mut topic = Stored::new();
    topic.publish(6, 1_000_000);
    assert_eq!(topic.pages(ReadSince::Everything, 1000), [(1, 4), (5, 6)]);
    let latest = topic.read(at(1), 1000, Excerpt::Latest);
    assert_eq!((latest.complete, latest.entries[0].position.offset), (false, 3));
}

#[test]
fn without_memory_a_topic_has_the_position_before_its_first_message() {
    let mut topic = Stored::new();
    let limit = |bytes: &str| redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).to_owned();
    topic.ask(&limit("1"));
    let refused = redis::cmd("SET").arg("a").arg("b").exec(&mut topic.connection).unwrap_err();
    assert_eq!(refused.code(), Some("OOM"));
    let nothing = Position { offset: 0, tag: 0 };
    for excerpt in [Excerpt::Latest, Excerpt::Oldest] {
        let read = topic.read(ReadSince::Now, 1, excerpt);
        assert_eq!((read.position, read.complete, read.entries.len()), (nothing, true, 0));
    }
    // Later messages continue from this position.
    topic.ask(&limit("0"));
    topic.publish(2, 10);
    let read = topic.read(ReadSince::Position(nothing), 10, Excerpt::Oldest);
    assert!(read.complete);
    let chain: Vec<_> = read.entries.iter().map(|entry| (entry.previous_tag, entry.position.tag)).collect();
    assert_eq!(chain, [(0, 1), (1, 2)]);
}

/// A node that counts events, which must arrive in order, and breaks.
#[derive(Debug, Default)]
struct Count {
    received: AtomicU64,
    breaks: AtomicU64,
}

impl EventHandler for Count {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        if let Event::Message(delivery) = event {
            let before = self.received.fetch_add(1, Ordering::Relaxed);
            assert_eq!(delivery.position.offset, before + 1);
        }
    }

    fn handle_break(&self, _: &Topic) {
        self.breaks.fetch_add(1, Ordering::Relaxed);
    }

    fn begin_timeline(&self, _: &TimelineStart) {}

    fn handle_barrier(&self, _: &Arc<Receipt>) {}
}

#[test]
fn a_node_closes_a_gap_larger_than_one_answer_without_a_break() {
    let mut stored = Stored::new();
    let count = Arc::<Count>::default();
    let address = RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: stored.server.port };
    let broker = open(RedisServers::Single(address, 0), 0, Arc::<Count>::clone(&count));
    broker.subscribe(&stored.topic);
    wait_until_subscribed(&broker, &stored.topic);
    stored.publish(1, 10);
    wait_for("the message is pushed", || (count.received.load(Ordering::Relaxed) == 1).then_some(()));
    // In one transaction, so that the node reconnects after all messages were published.
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub");
    for command in stored.publishing(12_000, 10) {
        pipe.add_command(command);
    }
    pipe.exec(&mut stored.connection).unwrap();
    wait_for("all messages have arrived", || {
        (count.received.load(Ordering::Relaxed) == 12_001).then_some(())
    });
    assert_eq!(count.breaks.load(Ordering::Relaxed), 0);
}
