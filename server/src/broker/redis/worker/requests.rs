//! Sends the requests to Redis that the other parts have decided on.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use orosync_protocol::Topic;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Value};

use super::{Answer, Done, Member, Worker};
use crate::broker::Unavailable;
use crate::broker::redis::calls::{self, HEAD_KEPT, milliseconds};
use crate::broker::redis::keys::Partition;
use crate::broker::redis::outbox::ChainKey;
use crate::broker::redis::primary::{CHANNELS, Primary, PrimaryId};
use crate::broker::redis::scripts;
use crate::broker::redis::topics::{Action, Excerpt, ReadSince};
use crate::broker::redis::trouble::Trouble;
use crate::process::unix_time;

impl Worker {
    /// Sends all pending requests.
    pub(super) fn act(&mut self) {
        if !self.resubscribe.is_empty() {
            let anew: Vec<_> = std::mem::take(&mut self.resubscribe).into_iter().collect();
            self.topics.handle_reconnected(&anew);
        }
        let (mut subscribe, mut unsubscribe) = (HashSet::new(), Vec::new());
        for action in self.topics.take_actions() {
            match action {
                Action::Subscribe(topic) => {
                    subscribe.insert(topic);
                }
                Action::Unsubscribe(topic) => {
                    self.awaited.remove(&topic);
                    // The subscription may have been cancelled at once.
                    subscribe.remove(&topic);
                    unsubscribe.push(topic);
                }
                Action::Read { number, topic, since, most, excerpt } => {
                    self.read(number, &topic, since, most, excerpt);
                }
                Action::Sweep { number, topics } => self.sweep(number, &topics),
            }
        }
        self.ask_for_topics(self.verbs.unsubscribe, &unsubscribe);
        self.subscribe(subscribe.into_iter().collect());
        self.call();
        self.ask_highest();
        self.use_tickets();
    }

    /// Subscribes to topics whose partition is served. Others are subscribed to once it is.
    pub(super) fn subscribe(&mut self, topics: Vec<Topic>) {
        let now = Instant::now();
        self.ask_for_topics(self.verbs.subscribe, &topics);
        for topic in topics {
            let server = self.server(self.keys.partition(&topic));
            if server.is_some_and(|(_, primary)| primary.pushes.is_some()) {
                self.awaited.insert(topic, now);
            }
        }
    }

    /// Notes a confirmation on the current connection.
    pub(super) fn note_confirmation(&mut self, topic: &Topic, now: Instant) {
        if let Some(asked) = self.awaited.remove(topic)
            && let Some(id) = self.partitions.server(self.keys.partition(topic))
            && let Some(primary) = self.primary_mut(id)
        {
            primary.confirmations.come(asked, now);
        }
    }

    /// Requests overdue subscriptions again. A confirmation is missing if a slot moved and the error was attributed to another
    /// request.
    pub(super) fn ask_again_for_pushes(&mut self, now: Instant) {
        let is_late = |topic: &Topic, asked: Instant| {
            let server = self.server(self.keys.partition(topic));
            server.is_some_and(|(_, primary)| primary.confirmations.is_late(asked, now))
        };
        let late = self.awaited.iter().filter(|(topic, asked)| is_late(topic, **asked));
        let late: Vec<_> = late.map(|(topic, _)| topic.clone()).collect();
        if !late.is_empty() {
            self.subscribe(late);
            if self.connector.is_cluster() {
                self.find_soon();
            }
        }
    }

    fn ask_for_topics(&self, verb: &'static str, topics: &[Topic]) {
        let mut channels: BTreeMap<Partition, Vec<String>> = BTreeMap::new();
        for topic in topics {
            channels.entry(self.keys.partition(topic)).or_default().push(self.keys.channel(topic));
        }
        for (partition, channels) in channels {
            if let Some((id, primary)) = self.server(partition)
                && let Some(pushes) = &primary.pushes
            {
                self.ask_for_pushes((id, partition), pushes, verb, &channels);
            }
        }
    }

    pub(super) fn ask_for_pushes(
        &self,
        (primary, partition): (PrimaryId, Partition),
        pushes: &MultiplexedConnection,
        verb: &str,
        channels: &[String],
    ) {
        for channels in channels.chunks(CHANNELS) {
            let mut command = redis::cmd(verb);
            command.arg(channels);
            let (mut connection, done) = (pushes.clone(), self.done_sender.clone());
            tokio::spawn(async move {
                let asked = connection.req_packed_command(&command).await.and_then(|value| {
                    value.extract_error()?;
                    Ok(())
                });
                let answer = Answer::Subscribed(asked.map_err(Trouble::from));
                let _ = done.send(Done::Asked { primary, partition, answer });
            });
        }
    }

    fn read(&mut self, number: u64, topic: &Topic, since: ReadSince, most: usize, excerpt: Excerpt) {
        let command = calls::read(&self.keys, topic, since, most, excerpt);
        let partition = self.keys.partition(topic);
        let is_control = *topic == self.control;
        let read = move |read| Answer::Read { number, is_control, read: calls::read_of(read) };
        if !self.ask(partition, command, read) {
            self.topics.handle_read(number, Err(Unavailable));
        }
    }

    /// Sends a sweep of topics in one partition.
    pub(super) fn sweep(&mut self, number: u64, topics: &[(Topic, u64)]) {
        let partition = topics.first().map_or(Partition::CONTROL, |(topic, _)| self.keys.partition(topic));
        let command = calls::sweep(&self.keys, topics, self.is_keeping.then_some(HEAD_KEPT));
        let swept = move |differ| Answer::Swept { number, differ: calls::swept(differ) };
        if !self.ask(partition, command, swept) {
            self.topics.handle_sweep(number, Err(Unavailable));
        }
    }

    /// Sends the due calls of the outbox.
    fn call(&mut self) {
        let has_room = |member: &Member| member.up.as_ref().is_some_and(|up| up.writes.have_room());
        while self.members.values().any(has_room) {
            let has_room = |partition| {
                let server = self.partitions.server(partition).and_then(|id| self.members.get(&id));
                let primary = server.and_then(|member| member.up.as_ref());
                primary.is_some_and(|primary| primary.writes.have_room())
            };
            let Some(due) = self.outbox.next(has_room) else { return };
            let command = calls::publish(&self.keys, self.verbs, &self.rules, self.settings.resume, &due);
            let (chain, number) = (due.chain, due.number);
            self.write(chain.partition, command, move |end| Answer::Called {
                chain,
                number,
                end: calls::call_end(end),
            });
        }
    }

    /// Requests the highest accepted numbers of publishers without waiting calls, so that calls in flight are included.
    fn ask_highest(&mut self) {
        let partition = Partition::CONTROL;
        if self.asking.is_empty() || !self.partitions.may_ask(partition) {
            return;
        }
        let is_due = |publisher| !self.outbox.has_waiting(ChainKey { publisher, partition });
        let due: Vec<_> = self.asking.extract_if(|publisher, _| is_due(*publisher)).collect();
        for (publisher, receipt) in due {
            let command = calls::ask_highest(&self.keys, publisher, partition);
            self.write(partition, command, move |highest| Answer::Highest {
                publisher,
                receipt,
                highest: calls::highest(highest),
            });
        }
    }

    fn use_tickets(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        self.tickets.settle(|control| self.topics.knows(&self.control, control), Instant::now());
        if !self.partitions.may_ask(Partition::CONTROL) {
            return;
        }
        for due in self.tickets.take_back_due() {
            let mut command = scripts::call(&scripts::TICKET_BACK, &[self.keys.ticket(&due.id)]);
            command.arg(due.nonce);
            let number = due.number;
            self.write(Partition::CONTROL, command, move |ended| Answer::TicketBack {
                number,
                ended: calls::answer(ended),
            });
        }
        for due in self.tickets.take_due(unix_time()) {
            let keys = [self.keys.ticket(&due.id), self.keys.head(&self.control)];
            let mut command = scripts::call(&scripts::TICKET, &keys);
            command.arg(due.nonce).arg(milliseconds(due.kept));
            let number = due.number;
            self.write(Partition::CONTROL, command, move |used| Answer::Ticket {
                number,
                used: calls::answer(used),
            });
        }
    }

    /// Sends a request to a partition, whose answer is handled later. Returns false if no primary serves it.
    pub(super) fn ask(
        &self,
        partition: Partition,
        command: Cmd,
        read: impl FnOnce(Result<Value, Trouble>) -> Answer + Send + 'static,
    ) -> bool {
        let Some((primary, Primary { commands, .. })) = self.server(partition) else { return false };
        let (commands, done) = (commands.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let answer = read(commands.ask(command).await);
            let _ = done.send(Done::Asked { primary, partition, answer });
        });
        true
    }

    /// Sends a write to a partition that is served. It is answered once as many replicas have it as configured.
    fn write(
        &mut self,
        partition: Partition,
        command: Cmd,
        read: impl FnOnce(Result<Value, Trouble>) -> Answer + Send + 'static,
    ) {
        let Some(id) = self.partitions.server(partition) else { return };
        let (replicas, done) = (self.settings.redis.wait_replicas, self.done_sender.clone());
        let Some(primary) = self.primary_mut(id) else { return };
        let commands = primary.writes.begin(Instant::now());
        tokio::spawn(async move {
            let answer = read(commands.write(command, replicas).await);
            let _ = done.send(Done::Asked { primary: id, partition, answer });
        });
    }

    pub(super) fn end_write(&mut self, id: PrimaryId, now: Instant) {
        if let Some(primary) = self.primary_mut(id) {
            primary.writes.end(now);
        }
    }
}
