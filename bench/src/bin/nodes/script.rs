//! Redis' CPU time per message: with the script that accepts messages, by the number of messages per call, and with a plain
//! PUBLISH, by the number of commands sent before their answers are read.
//!
//! Unit: microseconds of Redis' CPU. The inverse is the throughput of one Redis core.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use orosync_bench::redis::{Client, Reply};
use orosync_bench::report::{Case, Report, quotient};
use orosync_bench::wire::resp;

use super::Run;

/// The script that nodes call.
const SCRIPT: &str = include_str!("../../../../server/src/broker/redis/scripts/publish.lua");

const BYTES: usize = 200;

/// A body begins with the number of bytes that follow.
const LENGTH: usize = size_of::<u32>();

/// A way to send messages.
#[derive(Clone, Copy)]
enum Way {
    /// So many PUBLISH commands are pipelined before their answers are read.
    Publish(usize),
    /// Number of messages per script call, with [`PIPELINED_CALLS`] calls pipelined.
    Script(usize),
}

/// The measured ways. Batches of PUBLISH: one, as for a client that waits for each answer; as many as our calls have; and the size
/// with the best throughput of Redis.
const WAYS: [Way; 7] = [
    Way::Publish(1),
    Way::Publish(32),
    Way::Publish(2048),
    Way::Script(1),
    Way::Script(8),
    Way::Script(32),
    Way::Script(64),
];

/// Calls that a node has in flight for one publisher.
const PIPELINED_CALLS: usize = 4;

impl Way {
    fn name(self) -> String {
        match self {
            Self::Publish(messages) => format!("raw_publish_{messages}"),
            Self::Script(messages) => format!("orosync_script_{messages}"),
        }
    }
}

/// History per topic, as in the default configuration.
const KEPT_EVENTS: usize = 1000;

/// The same as script arguments: events, milliseconds, milliseconds after which the expiry is renewed, bytes.
const KEPT: [u64; 4] = [KEPT_EVENTS as u64, 600_000, 60_000, 16 << 20];

pub(super) fn ask(run: &Run<'_>) -> io::Result<()> {
    let title = "Cost of a message in Redis";
    let mut report = Report::new("nodes_script", title, "us of Redis' CPU per message", &run.selection);
    let time = Duration::from_millis(if run.is_quick() { 150 } else { 500 });
    let redis = run.redis.start()?;
    let mut client = Sender::new(redis.address())?;
    for (listeners, heard) in [(0, "nobody listens"), (2, "two listen")] {
        for topics in [1, 32] {
            let of = if topics == 1 { "one topic".to_owned() } else { format!("{topics} topics") };
            let mut case = Case::new(format!("{BYTES} bytes, {of}, {heard}"));
            for _ in 0..listeners {
                listen(redis.address(), topics)?;
            }
            client.fill(topics)?;
            for _ in 0..run.question.repetitions(5) {
                for way in WAYS {
                    let (end, cpu, mut sent) = (Instant::now() + time, redis.cpu_ns()?, 0);
                    while Instant::now() < end {
                        sent += client.send(way, topics)?;
                    }
                    case.add(&way.name(), quotient(redis.cpu_ns()? - cpu, sent) / 1e3);
                }
            }
            let name = case.name().to_owned();
            let throughput = |of: Way| case.ratio(&of.name(), &Way::Script(32).name());
            for at_once in [32, 2048] {
                let text = format!("{name}: throughput of 32 a call / of PUBLISH, {at_once} at once");
                report.at_least(text, throughput(Way::Publish(at_once)), 0.3).if_missed(if topics == 1 {
                    "A script in Redis detects duplicates and numbers, stores and pushes each message. PUBLISH only pushes."
                } else {
                    "Each topic is a separate stream in Redis: messages of different topics share the call, but not the commands that \
                     number, store and push them. PUBLISH neither numbers nor stores."
                });
            }
            let text = format!("{name}: throughput of 32 a call / of 1 a call");
            report
                .at_least(text, throughput(Way::Script(1)), 1.7)
                .if_missed("When the commands per topic take most of a call, batching saves little.");
            report.add(case);
        }
    }
    report.finish(run.question.extent)
}

fn channel(topic: usize) -> String {
    format!("script:{{0}}:c:bench/{topic:04}")
}

/// A subscriber to these topics that reads as fast as it can.
fn listen(redis: SocketAddr, topics: usize) -> io::Result<()> {
    let mut client = Client::connect(redis)?;
    let channels: Vec<String> = (0..topics).map(channel).collect();
    let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
    words.extend(channels.iter().map(String::as_bytes));
    client.ask(&words)?;
    thread::spawn(|| client.discard());
    Ok(())
}

/// A client that calls Redis as a node does.
pub(super) struct Sender {
    client: Client,
    hash: String,
    seq: u64,
    /// Messages sent so far; they go to the topics in turn.
    published: usize,
    body: Vec<u8>,
}

impl Sender {
    pub(super) fn new(redis: SocketAddr) -> io::Result<Self> {
        let mut client = Client::connect(redis)?;
        let hash = client.ask_text(&[b"SCRIPT", b"LOAD", SCRIPT.as_bytes()])?;
        let mut body = u32::try_from(BYTES).unwrap_or(0).to_be_bytes().to_vec();
        body.resize(LENGTH + BYTES, b'x');
        Ok(Self { client, hash, seq: 0, published: 0, body })
    }

    /// Fills the histories of these topics, so that from then on each message evicts one.
    fn fill(&mut self, topics: usize) -> io::Result<()> {
        let mut left = (topics * KEPT_EVENTS) as u64;
        while left > 0 {
            left = left.saturating_sub(self.send(Way::Script(64), topics)?);
        }
        Ok(())
    }

    /// Makes a call with one message and reads its answer.
    pub(super) fn send_one(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        self.call(1, 1, &mut out);
        self.client.send(&out)?;
        self.client.reply().map(drop)
    }

    /// Sends messages in this way and reads the answers. Returns the number of messages.
    fn send(&mut self, way: Way, topics: usize) -> io::Result<u64> {
        let mut out = Vec::new();
        let (commands, messages) = match way {
            Way::Publish(count) => {
                for message in 0..count {
                    let channel = channel((self.published + message) % topics);
                    out.extend(resp(&[b"PUBLISH", channel.as_bytes(), &self.body[LENGTH..]]));
                }
                self.published += count;
                (count, count)
            }
            Way::Script(messages) => {
                for _ in 0..PIPELINED_CALLS {
                    self.call(messages, topics, &mut out);
                }
                (PIPELINED_CALLS, PIPELINED_CALLS * messages)
            }
        };
        self.client.send(&out)?;
        for _ in 0..commands {
            match (self.client.reply()?, way) {
                (Reply::Number(_), Way::Publish(_)) => {}
                (Reply::Array(words), Way::Script(_))
                    if words.first() == Some(&Reply::Number(1)) && words.len() == 2 => {}
                (other, _) => return Err(io::Error::other(format!("Redis answered {other:?}"))),
            }
        }
        Ok(messages as u64)
    }

    /// Appends a call with so many messages, which go to the topics in turn.
    fn call(&mut self, messages: usize, topics: usize, out: &mut Vec<u8>) {
        let before = self.published;
        self.published += messages;
        let of_message = |message: usize| (before + message) % topics;
        let named: Vec<usize> = (0..messages.min(topics)).map(of_message).collect();
        let text = |number: u64| number.to_string().into_bytes();
        let count = |number: usize| number.to_string().into_bytes();
        let mut words = vec![b"EVALSHA".to_vec(), self.hash.clone().into_bytes(), count(1 + 2 * named.len())];
        words.push(b"script:{0}:p:00000000000000000000000000000000".to_vec());
        for topic in &named {
            words.extend(["e", "h"].map(|kind| format!("script:{{0}}:{kind}:bench/{topic:04}").into_bytes()));
        }
        words.extend([text(self.seq), text(self.seq + messages as u64)]);
        words.extend([b"86400".to_vec(), b"86400000".to_vec(), b"PUBLISH".to_vec()]);
        let (mut numbers, mut tags, mut runs) = (Vec::new(), Vec::new(), Vec::<[u16; 2]>::new());
        for message in 0..messages {
            self.seq += 1;
            numbers.extend(self.seq.to_be_bytes());
            tags.extend(self.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            let topic = named.iter().position(|topic| *topic == of_message(message)).unwrap_or(0) + 1;
            let topic = u16::try_from(topic).unwrap_or(u16::MAX);
            match runs.last_mut() {
                Some([of, count]) if *of == topic => *count += 1,
                _ => runs.push([topic, 1]),
            }
        }
        let runs = runs.as_flattened().iter().flat_map(|number| number.to_be_bytes());
        let bounds = KEPT.iter().flat_map(|bound| bound.to_be_bytes());
        let bounds = named.iter().flat_map(|_| bounds.clone());
        words.extend([numbers, tags, runs.collect(), bounds.collect()]);
        words.extend(named.iter().map(|topic| channel(*topic).into_bytes()));
        words.extend((0..messages).map(|_| self.body.clone()));
        out.extend(resp(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    }
}
