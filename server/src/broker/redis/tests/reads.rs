//! What the script that reads says of topics, on a real server.

use std::time::Duration;

use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload, Position, PublisherId, Seq, Topic};
use redis::{Cmd, Connection};

use super::Server;
use crate::broker::history::HistoryRules;
use crate::broker::redis::calls::{self, Verbs};
use crate::broker::redis::keys::{Keys, Partition};
use crate::broker::redis::outbox::{ChainKey, Due, Outgoing};
use crate::broker::redis::topics::{Excerpt, Read, ReadSince};
use crate::broker::redis::{record, scripts};
use crate::config::settings::HistorySettings;
use crate::policy::{HistoryLimits, Policies};
use crate::publication::credit::CreditPool;

/// A topic on a server.
struct Stored {
    _server: Server,
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
        Self { _server: server, connection, keys: Keys::single("orosync"), rules, topic, last: 0 }
    }

    fn ask(&mut self, command: &Cmd) -> redis::Value {
        command.query(&mut self.connection).unwrap()
    }

    /// Publishes so many messages of so many bytes. Their tags are their offsets.
    fn publish(&mut self, count: u64, bytes: usize) {
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
        let chain = ChainKey { publisher: PublisherId(7), partition: Partition::CONTROL };
        for messages in messages.chunks(1000) {
            // Lua passes on a few thousand values at once, and no more.
            let due = Due { chain, number: 0, before: None, messages };
            let command =
                calls::publish(&self.keys, Verbs::SINGLE, &self.rules, Duration::from_mins(5), &due);
            self.ask(&command);
        }
    }

    fn read(&mut self, since: ReadSince, most: usize, excerpt: Excerpt) -> Read {
        let command = calls::read(&self.keys, &self.topic, since, most, excerpt);
        calls::read_of(Ok(self.ask(&command))).unwrap()
    }

    /// The offsets that each page has, from there on.
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
fn a_gap_is_read_page_by_page_and_a_recovery_gets_the_latest() {
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
    // Of another line: what can be said are the latest.
    let fork = ReadSince::Position(Position { offset: 10, tag: 11 });
    let read = topic.read(fork, 1000, Excerpt::Oldest);
    assert!(!read.complete && !read.is_page);
    assert_eq!((read.position.offset, read.entries[0].position.offset), (2500, 1501));
}

#[test]
fn a_page_has_as_many_bytes_as_fit() {
    let mut topic = Stored::new();
    topic.publish(6, 1_000_000);
    assert_eq!(topic.pages(ReadSince::Everything, 1000), [(1, 4), (5, 6)]);
    let latest = topic.read(at(1), 1000, Excerpt::Latest);
    assert_eq!((latest.complete, latest.entries[0].position.offset), (false, 3));
}

#[test]
fn a_topic_that_redis_has_no_memory_for_stands_where_its_first_message_begins() {
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
    // What comes when there is some goes on from there.
    topic.ask(&limit("0"));
    topic.publish(2, 10);
    let read = topic.read(ReadSince::Position(nothing), 10, Excerpt::Oldest);
    assert!(read.complete);
    let chain: Vec<_> = read.entries.iter().map(|entry| (entry.before, entry.position.tag)).collect();
    assert_eq!(chain, [(0, 1), (1, 2)]);
}
