//! What is asked of Redis: the commands, and how their answers are read. Pure.

use std::time::Duration;

use orosync_protocol::{ClusterId, Position, PublisherId, Seq, Topic};
use redis::{Cmd, Value};
use tracing::warn;

use super::control;
use super::keys::{Keys, Partition};
use super::outbox::{CallEnd, Due, NUMBER_KEPT};
use super::record::Entry;
use super::scripts::{self, Tag};
use super::topics::{Read, ReadSince};
use super::trouble::Trouble;
use crate::broker::history::HistoryRules;

/// How long the head of a topic is kept that nobody publishes to or asks of.
pub(super) const HEAD_KEPT: Duration = Duration::from_hours(24);

/// The fewest events that are kept of a topic: what a node reads that has missed a push.
const LEAST_EVENTS: usize = 100;

/// The most bytes of the entries that a read returns.
const READ_BYTES: usize = 4 << 20;

/// How much of `history.bytes` one topic may have, as a divisor: as in memory.
const SHARE: usize = 4;

/// How messages and subscriptions are called: in a Cluster they stay with the primary of their slot.
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

/// Reads what a script returns.
pub(super) fn answer<T: redis::FromRedisValue>(value: Result<Value, Trouble>) -> Result<T, Trouble> {
    redis::from_redis_value(value?).map_err(|_| Trouble::unexpected("a script in Redis"))
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The call of the script that lets a node into a partition, unless the nodes of its prefix have another secret.
pub(super) fn enter(keys: &Keys, partition: Partition, run_id: &str, secrets: &[String]) -> Cmd {
    let names = [keys.epoch(partition), keys.id(partition), keys.secret(partition)];
    let mut command = scripts::call(&scripts::ENTER, &names);
    let id = format!("{:032x}", rand::random::<u128>());
    command.arg(run_id).arg(id).arg(secrets);
    command
}

/// The cluster's id. None: other nodes have another secret.
pub(super) fn entered(value: Result<Value, Trouble>) -> Result<Option<ClusterId>, Trouble> {
    let entered: Vec<Value> = answer(value)?;
    let id: Option<String> = entered.get(1).and_then(|value| redis::from_redis_value_ref(value).ok());
    Ok(id.and_then(|id| id.parse().ok()))
}

/// The call of the script that accepts these messages.
pub(super) fn publish(
    keys: &Keys,
    verbs: Verbs,
    rules: &HistoryRules,
    resume: Duration,
    due: &Due<'_>,
) -> Cmd {
    let mut topics: Vec<&Topic> = Vec::new();
    let mut numbers = Vec::with_capacity(due.messages.len());
    for message in due.messages {
        let known = topics.iter().position(|topic| **topic == message.topic);
        numbers.push(known.unwrap_or(topics.len()) + 1);
        if known.is_none() {
            topics.push(&message.topic);
        }
    }
    let mut names = vec![keys.number(due.chain.publisher, due.chain.partition)];
    for topic in &topics {
        names.extend([keys.entries(topic), keys.head(topic)]);
    }
    let mut command = scripts::call(&scripts::PUBLISH, &names);
    match due.before {
        Some(seq) => command.arg(seq.get()),
        None => command.arg(""),
    };
    command.arg(NUMBER_KEPT.as_secs()).arg(milliseconds(HEAD_KEPT)).arg(verbs.publish).arg(topics.len());
    for topic in topics {
        let (limits, most_bytes) = if control::is_control(topic) {
            (control::limits(resume), control::MOST_BYTES)
        } else {
            let most_bytes = (rules.settings.bytes / SHARE).max(READ_BYTES);
            (rules.policies.history(topic.as_str(), rules.settings.limits), most_bytes)
        };
        // No entry outlives the head that says what it is.
        let age = limits.age.min(HEAD_KEPT);
        command
            .arg(keys.channel(topic))
            .arg(limits.events.max(LEAST_EVENTS))
            .arg(milliseconds(age).max(1))
            .arg(most_bytes);
    }
    for (message, topic) in due.messages.iter().zip(numbers) {
        command.arg(topic).arg(message.seq.get()).arg(Tag(message.tag)).arg(&message.body);
    }
    command
}

/// How such a call ended.
pub(super) fn call_end(value: Result<Value, Trouble>) -> Result<CallEnd, Trouble> {
    let answer: Vec<Value> = answer(value)?;
    let number = |at: usize| answer.get(at).and_then(|value| redis::from_redis_value_ref::<u64>(value).ok());
    match (number(0), number(1)) {
        (Some(1), Some(_)) => {
            if let Some(problem) = answer.get(2) {
                warn!(?problem, "what was accepted could not be told to the nodes, which find it out later");
            }
            Ok(CallEnd::Accepted)
        }
        (Some(0), Some(highest)) => Ok(CallEnd::Missing { highest }),
        _ => Err(Trouble::unexpected("a script in Redis")),
    }
}

/// What was accepted of a publisher.
pub(super) fn ask_highest(keys: &Keys, publisher: PublisherId, partition: Partition) -> Cmd {
    // It is kept for as long as if something were accepted: what is not there later is lost.
    let mut command = redis::cmd("GETEX");
    command.arg(keys.number(publisher, partition)).arg("EX").arg(NUMBER_KEPT.as_secs());
    command
}

/// The number that this says.
pub(super) fn highest(value: Result<Value, Trouble>) -> Result<Option<Seq>, Trouble> {
    let highest: Option<u64> = answer(value)?;
    Ok(highest.and_then(Seq::new))
}

/// Where a topic stands, and what came.
pub(super) fn read(keys: &Keys, topic: &Topic, since: ReadSince, most: usize) -> Cmd {
    let names = [keys.entries(topic), keys.head(topic), keys.epoch(keys.partition(topic))];
    let mut command = scripts::call(&scripts::READ, &names);
    match since {
        ReadSince::Now => command.arg("").arg(""),
        ReadSince::Everything => command.arg("*").arg(""),
        ReadSince::Position(position) => command.arg(position.offset).arg(Tag(position.tag)),
    };
    command.arg(most).arg(READ_BYTES).arg(milliseconds(HEAD_KEPT)).arg(Tag(rand::random()));
    command
}

/// What such a read says.
pub(super) fn read_of(value: Result<Value, Trouble>) -> Result<Read, Trouble> {
    type Answer = (u64, Vec<u8>, u8, u64, Vec<Vec<u8>>);
    let unexpected = || Trouble::unexpected("a script in Redis");
    let (offset, tag, complete, certain_from, entries): Answer = answer(value)?;
    let tag = u64::from_be_bytes(tag.try_into().map_err(|_| unexpected())?);
    let entries: Result<Vec<_>, _> = entries.into_iter().map(|entry| Entry::decode(&entry.into())).collect();
    Ok(Read {
        position: Position { offset, tag },
        complete: complete == 1,
        certain_from,
        entries: entries.map_err(|_| unexpected())?,
    })
}

/// Do these topics of one partition stand at these tags? Their heads are kept for so long from now on.
pub(super) fn sweep(keys: &Keys, topics: &[(Topic, u64)], kept: Option<Duration>) -> Cmd {
    let heads: Vec<_> = topics.iter().map(|(topic, _)| keys.head(topic)).collect();
    let mut command = scripts::call(&scripts::SWEEP, &heads);
    for (_, tag) in topics {
        command.arg(Tag(*tag));
    }
    match kept {
        Some(kept) => command.arg(milliseconds(kept)),
        None => command.arg(""),
    };
    command
}

/// Which of them (from 0) do not.
pub(super) fn swept(value: Result<Value, Trouble>) -> Result<Vec<usize>, Trouble> {
    let differ: Vec<usize> = answer(value)?;
    Ok(differ.into_iter().map(|number| number.wrapping_sub(1)).collect())
}
