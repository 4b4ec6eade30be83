//! The broker's thread, which does all communication with Redis. [`Outbox`] and [`Topics`] decide what to send, and
//! [`Partitions`] decides where.
//!
//! It looks up the primaries (at Sentinels or Cluster nodes), connects to each ([`super::primary`]), requests admission to its
//! partitions, and then sends requests. Lost primaries and moved partitions are looked up until they are found. Meanwhile their
//! requests wait, and all others continue.
//!
//! While a slot is being moved, its primary answers ASK for keys that it no longer has, or never had. Such calls are retried
//! until the slot has moved: the scripts use several keys, and the new primary would not serve them before it has all.
//!
//! Bounds: the publishers' credit bounds pending publications, and `inbound` bounds pending pushes ([`Pushes`]).

mod primaries;
mod requests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orosync_protocol::{ClusterId, Position, PublisherId, Seq, Topic, disconnect};
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{error, warn};

use super::address::ServerAddress;
use super::calls::Verbs;
use super::command::{ALL_NODES, BrokerCommand, Numbered, Report, Settings};
use super::connect::{Connector, Topology};
use super::keys::{Keys, Partition};
use super::nodes::Description;
use super::outbox::{CallEnd, FlowKey, Outbox, Outgoing};
use super::partitions::{NOT_READY, Partitions};
use super::primary::{Connected, Primary, PrimaryId};
use super::problem::Problem;
use super::pushes::{EndedConnections, Push, Pushes};
use super::read::Read;
use super::record::Entry;
use super::tickets::Tickets;
use super::topics::Topics;
use crate::broker::history::HistoryRules;
use crate::broker::{EventHandler, Unavailable};
use crate::metrics::{Metrics, Source};
use crate::publication::credit::CreditPool;
use crate::publication::receipt::Receipt;

/// The interval of the timer.
const TICK: Duration = Duration::from_millis(100);

/// The interval of sweeps, which check the position of every topic.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// The interval at which sweeps renew the expiry of the topics' heads.
const RENEWAL_INTERVAL: Duration = Duration::from_hours(1);

/// The first delay between two lookups of the primaries.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The interval at which a persisting problem is logged.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Maximum number of commands, completions or pushes handled per iteration.
const BATCH: usize = 512;

/// The outcome of an asynchronous request.
enum Completion {
    Topology(Result<Topology, Problem>),
    Connected(PrimaryId, Box<Result<Connected, Problem>>),
    PushConnection { primary: PrimaryId, number: u64, connection: Result<MultiplexedConnection, Problem> },
    Answered { primary: PrimaryId, partition: Partition, answer: Answer },
}

/// An answer of a primary about one of its partitions.
enum Answer {
    Admitted(Result<Option<ClusterId>, Problem>),
    Called { flow: FlowKey, number: u64, end: Result<(CallEnd, Option<Problem>), Problem> },
    Read { number: u64, is_control: bool, read: Result<Read, Problem> },
    Swept { number: u64, differ: Result<Vec<usize>, Problem> },
    Ticket { number: u64, used: Result<(u8, u64, Vec<u8>), Problem> },
    TicketReverted { number: u64, ended: Result<u8, Problem> },
    Highest { publisher: PublisherId, receipt: Arc<Receipt>, highest: Result<Option<Seq>, Problem> },
    Canary(Result<(u64, Option<ClusterId>), Problem>),
    Subscribed(Result<(), Problem>),
}

/// A primary that is assigned to partitions.
struct PrimaryEntry {
    address: ServerAddress,
    /// The connections. `None`: they are being opened.
    connected: Option<Primary>,
}

/// The schedule of lookups of the primaries.
struct Lookup {
    /// The time of the next lookup. `None`: one is in progress, or none is needed.
    next: Option<Instant>,
    is_in_progress: bool,
    /// Number of lookups so far.
    attempts: usize,
    delay: Duration,
    /// The last known nodes of the Cluster.
    nodes: Vec<ServerAddress>,
}

/// The state of the broker's thread.
pub(super) struct Worker {
    settings: Settings,
    connector: Connector,
    keys: Keys,
    /// The description of this node.
    description: Description,
    verbs: Verbs,
    rules: HistoryRules,
    outbox: Outbox,
    topics: Topics,
    /// The topic of disconnects.
    control: Topic,
    tickets: Tickets,
    lookup: Lookup,
    primaries: BTreeMap<PrimaryId, PrimaryEntry>,
    partitions: Partitions,
    /// The cluster's id. The node starts with a new one, until it learns of an existing one.
    cluster: ClusterId,
    /// Receipts of publishers that have asked for their highest accepted number.
    highest_requests: HashMap<PublisherId, Arc<Receipt>>,
    /// The publisher id for browsers' messages, which this node numbers.
    own: PublisherId,
    own_seq: u64,
    /// Partitions whose topics must be subscribed to again.
    resubscribe: HashSet<Partition>,
    /// Unconfirmed subscriptions, with the time of their request.
    unconfirmed: HashMap<Topic, Instant>,
    next_sweep: Instant,
    next_renewal: Instant,
    /// Whether the current sweep also renews the expiry of the topics' heads.
    is_renewing: bool,
    problem_log: ProblemLog,
    last_primary: u64,
    inbox: UnboundedReceiver<BrokerCommand>,
    completions: UnboundedReceiver<Completion>,
    completion_sender: UnboundedSender<Completion>,
    incoming: UnboundedReceiver<Push>,
    pushes: Pushes,
    ended: EndedConnections,
    report: Report,
    metrics: Arc<Metrics>,
}

/// Problems that were logged, with the time. A persisting problem is logged again after [`REPEAT_AFTER`].
#[derive(Default)]
struct ProblemLog(HashMap<&'static str, Instant>);

impl ProblemLog {
    fn report(&mut self, problem: &Problem) {
        let now = Instant::now();
        let is_due = self.0.get(problem.cause).is_none_or(|last| now >= *last + REPEAT_AFTER);
        if is_due {
            self.0.insert(problem.cause, now);
            if matches!(problem.cause, "migrating" | "demoted") {
                warn!(cause = problem.cause, "broker: {problem}");
            } else {
                error!(cause = problem.cause, "broker: {problem}");
            }
        }
    }
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        events: Arc<dyn EventHandler>,
        inbox: UnboundedReceiver<BrokerCommand>,
        inbound: Arc<CreditPool>,
        report: Report,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let connector = Connector::new(settings.redis.clone());
        let (keys, verbs) = if connector.is_cluster() {
            (Keys::cluster(&settings.redis.prefix), Verbs::CLUSTER)
        } else {
            (Keys::single(&settings.redis.prefix), Verbs::SINGLE)
        };
        let (completion_sender, completions) = unbounded_channel();
        let (pushes, incoming) = Pushes::new(Arc::clone(&inbound));
        let mut topics = Topics::new(keys.clone(), events, inbound);
        let control = Topic::parse(disconnect::TOPIC).expect("a constant that the protocol's tests parse");
        topics.subscribe(&control);
        Self {
            connector,
            description: Description::new(settings.bind.clone()),
            verbs,
            rules: settings.rules.clone(),
            outbox: Outbox::new(settings.max_publishers),
            topics,
            control,
            tickets: Tickets::default(),
            lookup: Lookup {
                next: Some(now),
                is_in_progress: false,
                attempts: 0,
                delay: FIRST_DELAY,
                nodes: Vec::new(),
            },
            primaries: BTreeMap::new(),
            partitions: Partitions::new(keys.partitions().count()),
            keys,
            cluster: ClusterId(rand::random()),
            highest_requests: HashMap::new(),
            own: PublisherId(rand::random()),
            own_seq: 0,
            resubscribe: HashSet::new(),
            unconfirmed: HashMap::new(),
            next_sweep: now + SWEEP_INTERVAL,
            next_renewal: now + RENEWAL_INTERVAL,
            is_renewing: false,
            problem_log: ProblemLog::default(),
            last_primary: 0,
            inbox,
            completions,
            completion_sender,
            incoming,
            pushes,
            ended: EndedConnections::default(),
            report,
            metrics,
            settings,
        }
    }

    /// Runs until all senders of commands are dropped.
    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.iterate(&mut tick).await {}
    }

    /// Runs one iteration: waits for commands, completions and pushes, and handles them. Returns false when all senders of
    /// commands are dropped.
    async fn iterate(&mut self, tick: &mut Interval) -> bool {
        tokio::select! {
            command = self.inbox.recv() => match command {
                Some(command) => self.handle_commands(command),
                None => return false,
            },
            Some(completion) = self.completions.recv() => self.handle_completions(completion),
            Some(push) = self.incoming.recv() => self.handle_pushes(push),
            Ok(()) = self.settings.secrets.changed() => self.renew_admissions(),
            Ok(()) = self.settings.passwords.changed() => {
                let passwords = self.settings.passwords.borrow_and_update().clone();
                self.connector.set_passwords(passwords);
            }
            _ = tick.tick() => self.handle_timeout(Instant::now()),
        }
        self.send_pending();
        true
    }

    fn handle_commands(&mut self, first: BrokerCommand) {
        let now = Instant::now();
        self.handle_command(first, now);
        for _ in 1..BATCH {
            let Ok(command) = self.inbox.try_recv() else { return };
            self.handle_command(command, now);
        }
    }

    fn handle_completions(&mut self, first: Completion) {
        self.handle_completion(first);
        for _ in 1..BATCH {
            let Ok(completion) = self.completions.try_recv() else { return };
            self.handle_completion(completion);
        }
    }

    fn handle_pushes(&mut self, first: Push) {
        self.handle_push(first);
        for _ in 1..BATCH {
            let Ok(push) = self.incoming.try_recv() else { return };
            self.handle_push(push);
        }
    }

    fn handle_command(&mut self, command: BrokerCommand, now: Instant) {
        match command {
            BrokerCommand::Publish { messages, receipt } => self.publish(messages, receipt.as_ref(), now),
            // Each partition has its own number. The publisher resends all unacknowledged messages, and Redis drops duplicates.
            BrokerCommand::AskHighest(publisher, receipt) if self.connector.is_cluster() => {
                self.outbox.expect_resends(publisher, self.keys.partitions());
                receipt.set_highest(None);
            }
            // An earlier receipt belongs to a connection that the publisher has replaced.
            BrokerCommand::AskHighest(publisher, receipt) => {
                drop(self.highest_requests.insert(publisher, receipt));
            }
            BrokerCommand::Subscribe(topic) => self.topics.subscribe(&topic),
            BrokerCommand::Unsubscribe(topic) => self.topics.unsubscribe(&topic, now),
            BrokerCommand::Recover { topic, since, limit, hand_over } => {
                self.topics.recover(&topic, since, limit, hand_over, now);
            }
            BrokerCommand::SetRules(rules) => self.rules = rules,
            BrokerCommand::UseTicket(ticket, answer) => self.tickets.use_up(ticket, answer, now),
        }
    }

    fn publish(&mut self, messages: Vec<Numbered>, receipt: Option<&Arc<Receipt>>, now: Instant) {
        let mut by_flow: Vec<(FlowKey, Vec<Outgoing>)> = Vec::new();
        for Numbered { number, topic, body, credit } in messages {
            let (publisher, seq) = number.unwrap_or_else(|| {
                self.own_seq += 1;
                (self.own, Seq::FIRST.plus(self.own_seq - 1))
            });
            let flow = FlowKey { publisher, partition: self.keys.partition(&topic) };
            let outgoing = Outgoing { seq, topic, tag: rand::random(), body, _credit: credit };
            match by_flow.iter_mut().find(|(known, _)| *known == flow) {
                Some((_, outgoing_there)) => outgoing_there.push(outgoing),
                None => by_flow.push((flow, vec![outgoing])),
            }
        }
        for (flow, messages) in by_flow {
            self.outbox.push(flow, messages, receipt, now);
        }
    }

    fn handle_completion(&mut self, completion: Completion) {
        match completion {
            Completion::Topology(topology) => self.handle_topology(topology),
            Completion::Connected(primary, connected) => self.handle_connected(primary, *connected),
            Completion::PushConnection { primary, number, connection } => {
                self.handle_push_connection(primary, number, connection);
            }
            Completion::Answered { primary, partition, answer } => {
                self.handle_answer(primary, partition, answer);
            }
        }
    }

    /// Handles pending pushes before an answer. They may contain entries that the answer covers, which must not be read again
    /// or be considered lost.
    fn handle_pending_pushes(&mut self) {
        while let Ok(push) = self.incoming.try_recv() {
            self.handle_push(push);
        }
    }

    fn handle_answer(&mut self, primary: PrimaryId, partition: Partition, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Admitted(admitted) => self.handle_admission(primary, partition, admitted),
            Answer::Called { flow, number, end } => {
                // Sessions receive the event before its publisher receives the acknowledgement.
                self.handle_pending_pushes();
                self.end_write(primary, now);
                let end = match end {
                    Ok((end, problem)) => {
                        self.partitions.succeed(partition);
                        if let Some(problem) = problem {
                            self.problem_log.report(&problem);
                        }
                        end
                    }
                    Err(problem) => {
                        self.handle_failure(primary, partition, &problem);
                        CallEnd::Unknown
                    }
                };
                let source = match flow.publisher {
                    publisher if publisher == self.own => Source::Browser,
                    ALL_NODES => Source::Server,
                    _ => Source::Link,
                };
                let accepted = self.outbox.end_call(flow, number, end);
                self.metrics.messages_accepted.of(source).inc_by(accepted);
            }
            Answer::Read { number, is_control, read } => {
                self.handle_pending_pushes();
                // The topic is read again anyway.
                let read = read.map_err(|problem| {
                    self.handle_problem(primary, partition, &problem);
                    Unavailable
                });
                let position = read.as_ref().ok().map(|read| read.position);
                self.topics.handle_read(number, read);
                if is_control && position.is_some_and(|at| self.topics.knows(&self.control, Some(at))) {
                    self.tickets.handle_disconnects_read();
                    self.tickets.handle_disconnects();
                }
            }
            Answer::Swept { number, differ } => {
                self.handle_pending_pushes();
                let differ = differ.map_err(|problem| {
                    self.handle_problem(primary, partition, &problem);
                    self.partitions.schedule_sweep(partition, now);
                    Unavailable
                });
                self.topics.handle_sweep(number, differ);
            }
            Answer::Ticket { number, used } => {
                self.end_write(primary, now);
                match used {
                    Ok((is_first, offset, tag)) => {
                        // Without a tag there was no disconnect yet.
                        let tag = tag.try_into().ok().map(u64::from_be_bytes);
                        let control = tag.map(|tag| Position { offset, tag });
                        self.tickets.answer(number, is_first == 1, control);
                        if !self.topics.knows(&self.control, control) {
                            self.topics.ensure_read(&self.control);
                        }
                    }
                    Err(problem) => {
                        self.handle_failure(primary, partition, &problem);
                        self.tickets.retry(number);
                    }
                }
            }
            Answer::TicketReverted { number, ended } => {
                self.end_write(primary, now);
                match ended {
                    Ok(_) => self.tickets.finish_revert(number),
                    Err(problem) => {
                        self.handle_failure(primary, partition, &problem);
                        self.tickets.retry_revert(number);
                    }
                }
            }
            Answer::Highest { publisher, receipt, highest } => {
                self.end_write(primary, now);
                match highest {
                    Ok(highest) => {
                        self.outbox.begin_after(FlowKey { publisher, partition }, highest, now);
                        receipt.set_highest(highest);
                    }
                    Err(problem) => {
                        self.handle_failure(primary, partition, &problem);
                        self.highest_requests.entry(publisher).or_insert(receipt);
                    }
                }
            }
            Answer::Canary(answer) => self.handle_canary_reply(primary, partition, answer),
            // The error may belong to another request on that connection. It is only logged, because unconfirmed subscriptions
            // are retried.
            Answer::Subscribed(Ok(())) => {}
            Answer::Subscribed(Err(problem)) => {
                if problem.cause == "moved" {
                    self.schedule_lookup();
                } else {
                    self.problem_log.report(&problem);
                }
            }
        }
    }

    /// Handles a required request that failed, or whose outcome is unknown: it is retried.
    fn handle_failure(&mut self, primary: PrimaryId, partition: Partition, problem: &Problem) {
        self.partitions.fail(partition, Instant::now());
        self.handle_problem(primary, partition, problem);
    }

    fn handle_problem(&mut self, primary: PrimaryId, partition: Partition, problem: &Problem) {
        match problem.cause {
            // The cause was logged before.
            "ended" => return,
            "moved" if self.connector.is_cluster() => {
                if self.partitions.assigned(partition) == Some(primary) {
                    self.lose(&[partition]);
                }
                self.schedule_lookup();
                return;
            }
            "connection" | "readonly" => self.disconnect(primary),
            "migrating" | "clusterdown" => self.schedule_lookup(),
            "noscript" => {
                if let Some(primary) = self.primary_mut(primary) {
                    tokio::spawn(primary.commands.clone().load_scripts());
                }
                self.partitions.retry_now(partition, Instant::now());
            }
            _ => {}
        }
        self.problem_log.report(problem);
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Message { channel, payload, credit } => {
                if let Some(topic) = self.keys.topic(&channel) {
                    match Entry::decode_run(payload) {
                        Ok(entries) => {
                            self.topics.handle_push(&topic, entries);
                            if topic == self.control {
                                self.tickets.handle_disconnects();
                            }
                        }
                        Err(error) => {
                            let sentence = format!("a push to {channel} {error}. The topic is read instead");
                            self.problem_log.report(&Problem::new("unexpected", sentence));
                            self.topics.handle_dropped(&topic);
                        }
                    }
                } else {
                    self.handle_canary_push(&channel, &payload);
                }
                drop(credit);
            }
            Push::Dropped { channel } => {
                self.metrics.broker_pushes_dropped.inc();
                if let Some(topic) = self.keys.topic(&channel) {
                    self.topics.handle_dropped(&topic);
                }
            }
            Push::Confirmed { channel, connection } => {
                if let Some(topic) = self.keys.topic(&channel)
                    && self.is_in_use(connection, &topic)
                {
                    self.note_confirmation(&topic, Instant::now());
                    self.topics.handle_confirmed(&topic);
                }
            }
            Push::Lost { channel, connection } => {
                // Ignores closed connections, and subscriptions that were requested again since.
                if let Some(topic) = self.keys.topic(&channel)
                    && self.is_in_use(connection, &topic)
                    && self.topics.is_confirmed(&topic)
                {
                    self.lose(&[self.keys.partition(&topic)]);
                    self.schedule_lookup();
                }
            }
            Push::Ended { connection } => {
                let has_ended = |primary: &Primary| {
                    primary.push_connection_number == connection && primary.pushes.is_some()
                };
                let ended =
                    self.primaries.iter().find(|(_, entry)| entry.connected.as_ref().is_some_and(has_ended));
                match ended {
                    Some((id, _)) => self.replace_push_connection(*id),
                    None => self.ended.note(connection),
                }
            }
        }
    }

    /// Whether this is the connection on which this topic is pushed.
    fn is_in_use(&self, connection: u64, topic: &Topic) -> bool {
        let primary = self.serving(self.keys.partition(topic));
        primary.is_some_and(|(_, primary)| primary.push_connection_number == connection)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.topics.handle_timeout(now);
        if !self.lookup.is_in_progress && self.lookup.next.is_some_and(|next| now >= next) {
            self.look_up();
        }
        for id in self.primaries.keys().copied().collect::<Vec<_>>() {
            self.check_canary(id, now);
        }
        let silent = self.partitions.count_silent(now);
        if silent > 0 && self.report.is_up.swap(false, Ordering::Relaxed) {
            error!(
                partitions = silent,
                "broker: the node is not ready, because Redis has pushed no canary for {NOT_READY:?}"
            );
        }
        for partition in self.partitions.take_due_retries(now) {
            self.outbox.resume(partition);
        }
        if self.tickets.has_waiting() {
            self.topics.ensure_read(&self.control);
        }
        self.retry_subscriptions(now);
        self.sweep_due(now);
        self.update_metrics();
    }

    /// Starts due sweeps: of all partitions each [`SWEEP_INTERVAL`], and of those with a new primary.
    fn sweep_due(&mut self, now: Instant) {
        let (keys, unconfirmed) = (&self.keys, &self.unconfirmed);
        let has_unconfirmed = |partition| unconfirmed.keys().any(|topic| keys.partition(topic) == partition);
        let mut due = self.partitions.take_due_sweeps(now, has_unconfirmed);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_INTERVAL;
            // Applies to the whole sweep, which is sent in parts.
            self.is_renewing = now >= self.next_renewal;
            if self.is_renewing {
                self.next_renewal = now + RENEWAL_INTERVAL;
            }
            due = self.partitions.regular_sweep().collect();
        }
        if !due.is_empty() {
            self.topics.sweep(due);
        }
    }

    fn update_metrics(&mut self) {
        let outbox = self.outbox.take_counts();
        self.metrics.messages_duplicate.inc_by(outbox.duplicates);
        self.metrics.broker_retries.inc_by(outbox.retried);
        if outbox.lost > 0 {
            self.metrics.broker_messages_lost.inc_by(outbox.lost);
            error!(
                messages = outbox.lost,
                "Redis has lost accepted messages: the promoted replica did not have them. broker.wait_replicas and \
                 min-replicas-to-write prevent this"
            );
        }
        let topics = self.topics.take_counts();
        self.metrics.broker_gaps.inc_by(topics.gaps);
        self.metrics.broker_breaks.inc_by(topics.breaks);
        if let Some((broken, first)) = topics.broken {
            warn!(
                topics = broken,
                first = first.as_str(),
                "events of some topics are lost for this node. Sessions that can recover them reconnect"
            );
        }
    }
}

#[cfg(test)]
mod tests;
