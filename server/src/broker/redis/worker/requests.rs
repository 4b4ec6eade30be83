//! Sends the requests that outbox, topics and tickets have prepared.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use orosync_protocol::Topic;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Value};

use super::{Answer, Completion, PrimaryEntry, Worker};
use crate::broker::Unavailable;
use crate::broker::redis::calls::{self, HEAD_EXPIRY, milliseconds};
use crate::broker::redis::keys::Partition;
use crate::broker::redis::outbox::FlowKey;
use crate::broker::redis::primary::{MAX_CHANNELS, Primary, PrimaryId};
use crate::broker::redis::problem::Problem;
use crate::broker::redis::read::{Excerpt, ReadSince};
use crate::broker::redis::scripts;
use crate::broker::redis::topics::Action;
use crate::process::unix_time;

impl Worker {
    /// Sends all pending requests.
    pub(super) fn send_pending(&mut self) {
        if !self.resubscribe.is_empty() {
            let partitions: Vec<_> = std::mem::take(&mut self.resubscribe).into_iter().collect();
            self.topics.handle_reconnected(&partitions);
        }
        let (mut subscribe, mut unsubscribe) = (HashSet::new(), Vec::new());
        for action in self.topics.take_actions() {
            match action {
                Action::Subscribe(topic) => {
                    subscribe.insert(topic);
                }
                Action::Unsubscribe(topic) => {
                    self.unconfirmed.remove(&topic);
                    // The subscription may not have been sent yet.
                    subscribe.remove(&topic);
                    unsubscribe.push(topic);
                }
                Action::Read { number, topic, since, limit, excerpt } => {
                    self.read(number, &topic, since, limit, excerpt);
                }
                Action::Sweep { number, topics } => self.sweep(number, &topics),
            }
        }
        self.send_for_topics(self.verbs.unsubscribe, &unsubscribe);
        self.subscribe(subscribe.into_iter().collect());
        self.call();
        self.ask_highest();
        self.use_tickets();
    }

    /// Subscribes to topics whose partition is served. Others are subscribed to once it is.
    pub(super) fn subscribe(&mut self, topics: Vec<Topic>) {
        let now = Instant::now();
        self.send_for_topics(self.verbs.subscribe, &topics);
        for topic in topics {
            let primary = self.serving(self.keys.partition(&topic));
            if primary.is_some_and(|(_, primary)| primary.pushes.is_some()) {
                self.unconfirmed.insert(topic, now);
            }
        }
    }

    /// Notes a confirmation on the current connection.
    pub(super) fn note_confirmation(&mut self, topic: &Topic, now: Instant) {
        if let Some(asked) = self.unconfirmed.remove(topic)
            && let Some(id) = self.partitions.serving(self.keys.partition(topic))
            && let Some(primary) = self.primary_mut(id)
        {
            primary.confirmations.note(asked, now);
        }
    }

    /// Requests overdue subscriptions again. A confirmation may be missing because a slot moved and the client library has
    /// attributed the error to another request.
    pub(super) fn retry_subscriptions(&mut self, now: Instant) {
        let is_overdue = |topic: &Topic, asked: Instant| {
            let primary = self.serving(self.keys.partition(topic));
            primary.is_some_and(|(_, primary)| primary.confirmations.is_overdue(asked, now))
        };
        let overdue = self.unconfirmed.iter().filter(|(topic, asked)| is_overdue(topic, **asked));
        let overdue: Vec<_> = overdue.map(|(topic, _)| topic.clone()).collect();
        if !overdue.is_empty() {
            self.subscribe(overdue);
            if self.connector.is_cluster() {
                self.schedule_lookup();
            }
        }
    }

    fn send_for_topics(&self, verb: &'static str, topics: &[Topic]) {
        let mut channels: BTreeMap<Partition, Vec<String>> = BTreeMap::new();
        for topic in topics {
            channels.entry(self.keys.partition(topic)).or_default().push(self.keys.channel(topic));
        }
        for (partition, channels) in channels {
            if let Some((id, primary)) = self.serving(partition)
                && let Some(pushes) = &primary.pushes
            {
                self.send_on_push_connection((id, partition), pushes, verb, &channels);
            }
        }
    }

    pub(super) fn send_on_push_connection(
        &self,
        (primary, partition): (PrimaryId, Partition),
        pushes: &MultiplexedConnection,
        verb: &str,
        channels: &[String],
    ) {
        for channels in channels.chunks(MAX_CHANNELS) {
            let mut command = redis::cmd(verb);
            command.arg(channels);
            let (mut connection, completions) = (pushes.clone(), self.completion_sender.clone());
            tokio::spawn(async move {
                let asked = connection.req_packed_command(&command).await.and_then(|value| {
                    value.extract_error()?;
                    Ok(())
                });
                let answer = Answer::Subscribed(asked.map_err(Problem::from));
                let _ = completions.send(Completion::Answered { primary, partition, answer });
            });
        }
    }

    fn read(&mut self, number: u64, topic: &Topic, since: ReadSince, limit: usize, excerpt: Excerpt) {
        let command = calls::read(&self.keys, topic, since, limit, excerpt);
        let partition = self.keys.partition(topic);
        let is_control = *topic == self.control;
        let read = move |read| Answer::Read { number, is_control, read: calls::parse_read(read) };
        if !self.ask(partition, command, read) {
            self.topics.handle_read(number, Err(Unavailable));
        }
    }

    /// Sends a sweep of topics in one partition.
    pub(super) fn sweep(&mut self, number: u64, topics: &[(Topic, u64)]) {
        let partition = topics.first().map_or(Partition::CONTROL, |(topic, _)| self.keys.partition(topic));
        let command = calls::sweep(&self.keys, topics, self.is_renewing.then_some(HEAD_EXPIRY));
        let swept = move |differ| Answer::Swept { number, differ: calls::parse_sweep(differ) };
        if !self.ask(partition, command, swept) {
            self.topics.handle_sweep(number, Err(Unavailable));
        }
    }

    /// Sends the due calls of the outbox.
    fn call(&mut self) {
        let has_room =
            |entry: &PrimaryEntry| entry.connected.as_ref().is_some_and(|primary| primary.writes.have_room());
        while self.primaries.values().any(has_room) {
            let has_room = |partition| {
                let entry = self.partitions.serving(partition).and_then(|id| self.primaries.get(&id));
                let primary = entry.and_then(|entry| entry.connected.as_ref());
                primary.is_some_and(|primary| primary.writes.have_room())
            };
            let Some(due) = self.outbox.next(has_room) else { return };
            let command = calls::publish(&self.keys, self.verbs, &self.rules, self.settings.resume, &due);
            let (flow, number) = (due.flow, due.number);
            self.write(flow.partition, command, move |end| Answer::Called {
                flow,
                number,
                end: calls::parse_call(end),
            });
        }
    }

    /// Requests the highest accepted numbers of publishers that have no unsent calls, so that the number includes all messages.
    fn ask_highest(&mut self) {
        let partition = Partition::CONTROL;
        if self.highest_requests.is_empty() || !self.partitions.may_call(partition) {
            return;
        }
        let is_due = |publisher| !self.outbox.has_unsent(FlowKey { publisher, partition });
        let due: Vec<_> = self.highest_requests.extract_if(|publisher, _| is_due(*publisher)).collect();
        for (publisher, receipt) in due {
            let command = calls::ask_highest(&self.keys, publisher, partition);
            self.write(partition, command, move |highest| Answer::Highest {
                publisher,
                receipt,
                highest: calls::parse_highest(highest),
            });
        }
    }

    fn use_tickets(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        self.tickets.settle(|control| self.topics.knows(&self.control, control), Instant::now());
        if !self.partitions.may_call(Partition::CONTROL) {
            return;
        }
        for due in self.tickets.take_due_reverts() {
            let mut command = scripts::call(&scripts::REVERT_TICKET, &[self.keys.ticket(&due.id)]);
            command.arg(due.nonce);
            let number = due.number;
            self.write(Partition::CONTROL, command, move |ended| Answer::TicketReverted {
                number,
                ended: calls::parse(ended),
            });
        }
        for due in self.tickets.take_due_uses(unix_time()) {
            let keys = [self.keys.ticket(&due.id), self.keys.head(&self.control)];
            let mut command = scripts::call(&scripts::TICKET, &keys);
            command.arg(due.nonce).arg(milliseconds(due.expiry));
            let number = due.number;
            self.write(Partition::CONTROL, command, move |used| Answer::Ticket {
                number,
                used: calls::parse(used),
            });
        }
    }

    /// Sends a request to a partition, whose answer is handled later. Returns false if no primary serves it.
    pub(super) fn ask(
        &self,
        partition: Partition,
        command: Cmd,
        read: impl FnOnce(Result<Value, Problem>) -> Answer + Send + 'static,
    ) -> bool {
        let Some((primary, Primary { commands, .. })) = self.serving(partition) else { return false };
        let (commands, completions) = (commands.clone(), self.completion_sender.clone());
        tokio::spawn(async move {
            let answer = read(commands.ask(command).await);
            let _ = completions.send(Completion::Answered { primary, partition, answer });
        });
        true
    }

    /// Sends a write to a partition that is served. It is answered once as many replicas have it as configured.
    fn write(
        &mut self,
        partition: Partition,
        command: Cmd,
        read: impl FnOnce(Result<Value, Problem>) -> Answer + Send + 'static,
    ) {
        let Some(id) = self.partitions.serving(partition) else { return };
        let (replicas, completions) = (self.settings.redis.wait_replicas, self.completion_sender.clone());
        let Some(primary) = self.primary_mut(id) else { return };
        let commands = primary.writes.begin(Instant::now());
        tokio::spawn(async move {
            let answer = read(commands.write(command, replicas).await);
            let _ = completions.send(Completion::Answered { primary: id, partition, answer });
        });
    }

    pub(super) fn end_write(&mut self, id: PrimaryId, now: Instant) {
        if let Some(primary) = self.primary_mut(id) {
            primary.writes.end(now);
        }
    }
}
