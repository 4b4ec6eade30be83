//! The commands to Redis, and the parsing of their answers. No I/O.

use std::time::Duration;

use orosync_protocol::{ClusterId, Position, PublisherId, Seq, Topic};
use redis::{Cmd, Value};

use super::control;
use super::keys::{Keys, Partition};
use super::outbox::{CallEnd, DueCall, NUMBER_EXPIRY};
use super::problem::Problem;
use super::read::{Excerpt, Read, ReadSince};
use super::record::Entry;
use super::scripts::{self, Tag};
use crate::broker::history::HistoryRules;

/// How long Redis keeps the head of an unused topic.
pub(super) const HEAD_EXPIRY: Duration = Duration::from_hours(24);

/// Minimum number of events that Redis keeps of a topic, so that a node can read them after it has missed pushes.
const MIN_EVENTS: usize = 100;

/// Maximum interval at which the expiry of a topic's entries is renewed, and the margin added to their age.
const RENEWAL_INTERVAL: Duration = Duration::from_mins(1);
/// The interval is at most this fraction of the age.
const RENEWALS_PER_AGE: u32 = 8;

/// Maximum size of the entries that a read returns, in bytes.
const MAX_READ_BYTES: usize = 4 << 20;

/// The maximum share of one topic in `history.bytes`, as a divisor. The same as in the memory broker.
const TOPIC_SHARE: usize = 4;

/// The commands for messages and subscriptions: sharded pub/sub in a Cluster, plain pub/sub otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verbs {
    pub(super) publish: &'static str,
    pub(super) subscribe: &'static str,
    pub(super) unsubscribe: &'static str,
}

impl Verbs {
    pub(super) const SINGLE: Self =
        Self { publish: "PUBLISH", subscribe: "SUBSCRIBE", unsubscribe: "UNSUBSCRIBE" };
    pub(super) const CLUSTER: Self =
        Self { publish: "SPUBLISH", subscribe: "SSUBSCRIBE", unsubscribe: "SUNSUBSCRIBE" };
}

/// Parses the result of a script.
pub(super) fn parse<T: redis::FromRedisValue>(value: Result<Value, Problem>) -> Result<T, Problem> {
    redis::from_redis_value(value?).map_err(|_| Problem::unexpected("a script in Redis"))
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The call of the script that admits a node to a partition.
pub(super) fn admit(
    keys: &Keys,
    partition: Partition,
    run_id: &str,
    cluster: ClusterId,
    secrets: &[String],
) -> Cmd {
    let names = [keys.epoch(partition), keys.id(partition), keys.secret(partition)];
    let mut command = scripts::call(&scripts::ADMIT, &names);
    command.arg(run_id).arg(cluster.to_string()).arg(secrets);
    command
}

/// Parses the id of the cluster. `None`: the node is not admitted, because other nodes with its prefix have another secret.
pub(super) fn parse_admission(value: Result<Value, Problem>) -> Result<Option<ClusterId>, Problem> {
    let admitted: Vec<Value> = parse(value)?;
    let id: Option<String> = admitted.get(1).and_then(|value| redis::from_redis_value_ref(value).ok());
    Ok(id.and_then(|id| id.parse().ok()))
}

/// Parses Redis' clock (Unix time in milliseconds), and the id of the cluster. `None`: Redis has lost the id.
pub(super) fn parse_canary(value: Result<Value, Problem>) -> Result<(u64, Option<ClusterId>), Problem> {
    let (time, id): (u64, String) = parse(value)?;
    Ok((time, id.parse().ok()))
}

/// Bounds of a topic's entries in Redis.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryLimits {
    /// Maximum number of entries.
    pub(super) events: usize,
    /// How long entries are kept after the latest one was accepted.
    pub(super) age: Duration,
    /// Maximum size in bytes.
    pub(super) bytes: usize,
}

impl EntryLimits {
    fn new(rules: &HistoryRules, resume: Duration, topic: &Topic) -> Self {
        if control::is_control(topic) {
            let limits = control::limits(resume);
            return Self { events: limits.events, age: limits.age, bytes: control::MAX_BYTES };
        }
        let limits = rules.policies.history(topic.as_str(), rules.settings.limits);
        Self {
            events: limits.events.max(MIN_EVENTS),
            age: limits.age,
            bytes: (rules.settings.bytes / TOPIC_SHARE).max(MAX_READ_BYTES),
        }
    }

    /// The bounds as arguments of the script.
    fn bounds(self) -> [u64; 4] {
        // Entries must not outlive their head, which describes them.
        let age = self.age.min(HEAD_EXPIRY.saturating_sub(RENEWAL_INTERVAL));
        let renewal = (age / RENEWALS_PER_AGE).min(RENEWAL_INTERVAL);
        [self.events as u64, milliseconds(age).max(1), milliseconds(renewal).max(1), self.bytes as u64]
    }
}

/// The call of the script that accepts messages.
pub(super) fn publish(
    keys: &Keys,
    verbs: Verbs,
    rules: &HistoryRules,
    resume: Duration,
    due: &DueCall<'_>,
) -> Cmd {
    publish_limited(keys, verbs, due, |topic| EntryLimits::new(rules, resume, topic))
}

/// The same call, with these bounds for each topic.
pub(super) fn publish_limited(
    keys: &Keys,
    verbs: Verbs,
    due: &DueCall<'_>,
    limits_of: impl Fn(&Topic) -> EntryLimits,
) -> Cmd {
    let mut topics: Vec<&Topic> = Vec::new();
    let (mut numbers, mut tags, mut runs) = (Vec::new(), Vec::new(), Vec::<[u16; 2]>::new());
    for message in due.messages {
        let known = topics.iter().position(|topic| **topic == message.topic);
        let topic = u16::try_from(known.unwrap_or(topics.len()) + 1).unwrap_or(u16::MAX);
        if known.is_none() {
            topics.push(&message.topic);
        }
        match runs.last_mut() {
            Some([of, count]) if *of == topic => *count += 1,
            _ => runs.push([topic, 1]),
        }
        numbers.extend(message.seq.get().to_be_bytes());
        tags.extend(message.tag.to_be_bytes());
    }
    let mut names = vec![keys.number(due.flow.publisher, due.flow.partition)];
    for topic in &topics {
        names.extend([keys.entries(topic), keys.head(topic)]);
    }
    let mut command = scripts::call(&scripts::PUBLISH, &names);
    match due.before {
        Some(seq) => command.arg(seq.get()),
        None => command.arg(""),
    };
    command.arg(due.messages.last().map_or(0, |message| message.seq.get()));
    command.arg(NUMBER_EXPIRY.as_secs()).arg(milliseconds(HEAD_EXPIRY)).arg(verbs.publish);
    let runs: Vec<u8> = runs.as_flattened().iter().flat_map(|number| number.to_be_bytes()).collect();
    let bounds = topics.iter().flat_map(|topic| limits_of(topic).bounds());
    let bounds: Vec<u8> = bounds.flat_map(u64::to_be_bytes).collect();
    command.arg(numbers).arg(tags).arg(runs).arg(bounds);
    for topic in topics {
        command.arg(keys.channel(topic));
    }
    for message in due.messages {
        command.arg(&message.body);
    }
    command
}

/// Parses the outcome of a publish call. The problem, if any, must be logged; the messages are accepted nevertheless.
pub(super) fn parse_call(value: Result<Value, Problem>) -> Result<(CallEnd, Option<Problem>), Problem> {
    let answer: Vec<Value> = parse(value)?;
    let number = |at: usize| answer.get(at).and_then(|value| redis::from_redis_value_ref::<u64>(value).ok());
    match (number(0), number(1)) {
        (Some(1), Some(_)) => {
            let text = |value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
            let foreign: Vec<String> = match answer.get(3) {
                Some(Value::Array(keys)) => keys.iter().map(text).collect(),
                _ => Vec::new(),
            };
            let problem = answer.get(2).map(text).filter(|problem| !problem.is_empty());
            Ok((
                CallEnd::Accepted,
                Problem::foreign_keys(&foreign).or(problem.as_deref().map(Problem::not_pushed)),
            ))
        }
        (Some(0), Some(highest)) => Ok((CallEnd::Missing { highest }, None)),
        _ => Err(Problem::unexpected("a script in Redis")),
    }
}

/// The command that returns the highest accepted number of a publisher.
pub(super) fn ask_highest(keys: &Keys, publisher: PublisherId, partition: Partition) -> Cmd {
    // Renews the expiry like an accepted message, so that a number that is missing later was lost.
    let mut command = redis::cmd("GETEX");
    command.arg(keys.number(publisher, partition)).arg("EX").arg(NUMBER_EXPIRY.as_secs());
    command
}

/// Parses the highest accepted number.
pub(super) fn parse_highest(value: Result<Value, Problem>) -> Result<Option<Seq>, Problem> {
    let highest: Option<u64> = parse(value)?;
    Ok(highest.and_then(Seq::new))
}

/// The call of the script that reads a topic's position and entries.
pub(super) fn read(keys: &Keys, topic: &Topic, since: ReadSince, limit: usize, excerpt: Excerpt) -> Cmd {
    let names = [keys.entries(topic), keys.head(topic), keys.epoch(keys.partition(topic))];
    let mut command = scripts::call(&scripts::READ, &names);
    match since {
        ReadSince::Now => command.arg("").arg(""),
        ReadSince::Everything => command.arg("*").arg(""),
        ReadSince::Position(position) => command.arg(position.offset).arg(Tag(position.tag)),
    };
    command.arg(limit).arg(MAX_READ_BYTES).arg(milliseconds(HEAD_EXPIRY)).arg(Tag(rand::random()));
    command.arg(match excerpt {
        Excerpt::Latest => "latest",
        Excerpt::Oldest => "oldest",
    });
    command
}

/// Parses the result of a read.
pub(super) fn parse_read(value: Result<Value, Problem>) -> Result<Read, Problem> {
    type Answer = (u64, Vec<u8>, u8, u64, Vec<Vec<u8>>);
    let unexpected = || Problem::unexpected("a script in Redis");
    let (offset, tag, complete, complete_since, entries): Answer = parse(value)?;
    let tag = u64::from_be_bytes(tag.try_into().map_err(|_| unexpected())?);
    let entries: Result<Vec<_>, _> = entries.into_iter().map(|entry| Entry::decode(&entry.into())).collect();
    Ok(Read {
        position: Position { offset, tag },
        complete: complete == 1,
        is_page: complete == 2,
        complete_since,
        entries: entries.map_err(|_| unexpected())?,
    })
}

/// The call of the script that compares the tags of topics in one partition. With `expiry`, it renews that of their heads.
pub(super) fn sweep(keys: &Keys, topics: &[(Topic, u64)], expiry: Option<Duration>) -> Cmd {
    let heads: Vec<_> = topics.iter().map(|(topic, _)| keys.head(topic)).collect();
    let mut command = scripts::call(&scripts::SWEEP, &heads);
    for (_, tag) in topics {
        command.arg(Tag(*tag));
    }
    match expiry {
        Some(expiry) => command.arg(milliseconds(expiry)),
        None => command.arg(""),
    };
    command
}

/// Parses the indexes (from 0) of the topics whose tags differ.
pub(super) fn parse_sweep(value: Result<Value, Problem>) -> Result<Vec<usize>, Problem> {
    let differ: Vec<usize> = parse(value)?;
    Ok(differ.into_iter().map(|number| number.wrapping_sub(1)).collect())
}
