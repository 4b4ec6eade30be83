//! The broker's thread, which does all communication with Redis. [`Outbox`] and [`Topics`] decide what to send, and
//! [`Partitions`] decides where.
//!
//! It looks up the primaries (from Sentinels or Cluster nodes), connects to each ([`super::primary`]), has each admit the node
//! to its partitions, and then sends requests. Lost primaries and moved partitions are looked up again without end. Meanwhile
//! their requests wait, and all others continue.
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

use super::calls::Verbs;
use super::connect::{Connector, Found, Place};
use super::keys::{Keys, Partition};
use super::nodes::Description;
use super::outbox::{CallEnd, ChainKey, Outbox, Outgoing};
use super::partitions::{NOT_READY, Partitions};
use super::primary::{Connected, Primary, PrimaryId};
use super::pushes::{Ended, Push, Pushes};
use super::record::Entry;
use super::tickets::Tickets;
use super::topics::{Read, Topics};
use super::trouble::Trouble;
use super::{Order, Settings};
use crate::broker::history::HistoryRules;
use crate::broker::{EventHandler, Unavailable};
use crate::metrics::{Metrics, Source};
use crate::publication::credit::CreditPool;
use crate::publication::receipt::Receipt;

/// The interval of the timer.
const TICK: Duration = Duration::from_millis(100);

/// The interval of sweeps, which check the position of every topic.
const SWEEP: Duration = Duration::from_secs(15);

/// The interval at which the expiry of the topics' heads is renewed.
const KEEP: Duration = Duration::from_hours(1);

/// The first delay between two lookups of the primaries.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The interval at which a persisting problem is logged again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Maximum number of orders, answers or pushes handled per iteration.
const BATCH: usize = 512;

/// The outcome of an asynchronous request.
enum Done {
    Found(Result<Found, Trouble>),
    Connected(PrimaryId, Box<Result<Connected, Trouble>>),
    Pushing { primary: PrimaryId, number: u64, pushing: Result<MultiplexedConnection, Trouble> },
    Asked { primary: PrimaryId, partition: Partition, answer: Answer },
}

/// An answer of a primary about one of its partitions.
enum Answer {
    Entered(Result<Option<ClusterId>, Trouble>),
    Called { chain: ChainKey, number: u64, end: Result<(CallEnd, Option<Trouble>), Trouble> },
    Read { number: u64, is_control: bool, read: Result<Read, Trouble> },
    Swept { number: u64, differ: Result<Vec<usize>, Trouble> },
    Ticket { number: u64, used: Result<(u8, u64, Vec<u8>), Trouble> },
    TicketBack { number: u64, ended: Result<u8, Trouble> },
    Highest { publisher: PublisherId, receipt: Arc<Receipt>, highest: Result<Option<Seq>, Trouble> },
    Canary(Result<(u64, Option<ClusterId>), Trouble>),
    Subscribed(Result<(), Trouble>),
}

/// A primary that serves partitions, or is assigned to some.
struct Member {
    place: Place,
    /// The connected primary. `None`: the connection is being opened.
    up: Option<Primary>,
}

/// The schedule of lookups of the primaries.
struct Finding {
    /// The time of the next lookup. `None`: one is in progress, or none is needed.
    next: Option<Instant>,
    is_under_way: bool,
    /// Number of lookups so far.
    turn: usize,
    pause: Duration,
    /// The last known nodes of the Cluster.
    nodes: Vec<Place>,
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
    finding: Finding,
    members: BTreeMap<PrimaryId, Member>,
    partitions: Partitions,
    /// The cluster's id. The node starts with a new one, until it learns of an existing one.
    cluster: ClusterId,
    /// Pending requests of publishers for their highest accepted number.
    asking: HashMap<PublisherId, Arc<Receipt>>,
    /// The publisher id for messages of this node itself.
    own: PublisherId,
    own_seq: u64,
    /// Partitions whose topics must be subscribed to again.
    resubscribe: HashSet<Partition>,
    /// Unconfirmed subscriptions, with the time of their request.
    awaited: HashMap<Topic, Instant>,
    next_sweep: Instant,
    next_keep: Instant,
    /// Whether the current sweep also renews the expiry of the heads.
    is_keeping: bool,
    complaints: Complaints,
    last_primary: u64,
    orders: UnboundedReceiver<Order>,
    done: UnboundedReceiver<Done>,
    done_sender: UnboundedSender<Done>,
    arriving: UnboundedReceiver<Push>,
    pushes: Pushes,
    ended: Ended,
    report: super::Report,
    metrics: Arc<Metrics>,
}

/// Problems that were logged, with the time. A persisting problem is logged again after [`TELL_AGAIN`].
#[derive(Default)]
struct Complaints(HashMap<&'static str, Instant>);

impl Complaints {
    fn tell(&mut self, trouble: &Trouble) {
        let now = Instant::now();
        let is_due = self.0.get(trouble.cause).is_none_or(|last| now >= *last + TELL_AGAIN);
        if is_due {
            self.0.insert(trouble.cause, now);
            if matches!(trouble.cause, "migrating" | "demoted") {
                warn!(cause = trouble.cause, "broker: {trouble}");
            } else {
                error!(cause = trouble.cause, "broker: {trouble}");
            }
        }
    }
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        events: Arc<dyn EventHandler>,
        orders: UnboundedReceiver<Order>,
        inbound: Arc<CreditPool>,
        report: super::Report,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let connector = Connector::new(settings.redis.clone());
        let (keys, verbs) = if connector.is_cluster() {
            (Keys::cluster(&settings.redis.prefix), Verbs::CLUSTER)
        } else {
            (Keys::single(&settings.redis.prefix), Verbs::SINGLE)
        };
        let (done_sender, done) = unbounded_channel();
        let (pushes, arriving) = Pushes::new(Arc::clone(&inbound));
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
            finding: Finding {
                next: Some(now),
                is_under_way: false,
                turn: 0,
                pause: FIRST_PAUSE,
                nodes: Vec::new(),
            },
            members: BTreeMap::new(),
            partitions: Partitions::new(keys.partitions().count()),
            keys,
            cluster: ClusterId(rand::random()),
            asking: HashMap::new(),
            own: PublisherId(rand::random()),
            own_seq: 0,
            resubscribe: HashSet::new(),
            awaited: HashMap::new(),
            next_sweep: now + SWEEP,
            next_keep: now + KEEP,
            is_keeping: false,
            complaints: Complaints::default(),
            last_primary: 0,
            orders,
            done,
            done_sender,
            arriving,
            pushes,
            ended: Ended::default(),
            report,
            metrics,
            settings,
        }
    }

    /// Runs until all senders of orders are dropped.
    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.turn(&mut tick).await {}
    }

    /// Runs one iteration: waits for events and handles them. Returns false when all senders of orders are dropped.
    async fn turn(&mut self, tick: &mut Interval) -> bool {
        tokio::select! {
            order = self.orders.recv() => match order {
                Some(order) => self.take_orders(order),
                None => return false,
            },
            Some(done) = self.done.recv() => self.take_done(done),
            Some(push) = self.arriving.recv() => self.take_pushes(push),
            Ok(()) = self.settings.secrets.changed() => self.enter_again(),
            Ok(()) = self.settings.passwords.changed() => {
                let passwords = self.settings.passwords.borrow_and_update().clone();
                self.connector.set_passwords(passwords);
            }
            _ = tick.tick() => self.handle_timeout(Instant::now()),
        }
        self.act();
        true
    }

    fn take_orders(&mut self, first: Order) {
        let now = Instant::now();
        self.handle_order(first, now);
        for _ in 1..BATCH {
            let Ok(order) = self.orders.try_recv() else { return };
            self.handle_order(order, now);
        }
    }

    fn take_done(&mut self, first: Done) {
        self.handle_done(first);
        for _ in 1..BATCH {
            let Ok(done) = self.done.try_recv() else { return };
            self.handle_done(done);
        }
    }

    fn take_pushes(&mut self, first: Push) {
        self.handle_push(first);
        for _ in 1..BATCH {
            let Ok(push) = self.arriving.try_recv() else { return };
            self.handle_push(push);
        }
    }

    fn handle_order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Publish { messages, receipt } => self.publish(messages, receipt.as_ref(), now),
            // Each partition has its own number. The publisher sends all unacknowledged messages again, and Redis drops
            // duplicates.
            Order::AskHighest(publisher, receipt) if self.connector.is_cluster() => {
                self.outbox.come_back(publisher, self.keys.partitions());
                receipt.set_highest(None);
            }
            // If the publisher has reconnected meanwhile, nobody waits for the earlier answer.
            Order::AskHighest(publisher, receipt) => drop(self.asking.insert(publisher, receipt)),
            Order::Subscribe(topic) => self.topics.subscribe(&topic),
            Order::Unsubscribe(topic) => self.topics.unsubscribe(&topic, now),
            Order::Recover { topic, since, most, hand_over } => {
                self.topics.recover(&topic, since, most, hand_over, now);
            }
            Order::SetRules(rules) => self.rules = rules,
            Order::UseTicket(ticket, answer) => self.tickets.ask(ticket, answer, now),
        }
    }

    fn publish(&mut self, messages: Vec<super::Numbered>, receipt: Option<&Arc<Receipt>>, now: Instant) {
        let mut by_chain: Vec<(ChainKey, Vec<Outgoing>)> = Vec::new();
        for super::Numbered { number, topic, body, credit } in messages {
            let (publisher, seq) = number.unwrap_or_else(|| {
                self.own_seq += 1;
                (self.own, Seq::FIRST.plus(self.own_seq - 1))
            });
            let chain = ChainKey { publisher, partition: self.keys.partition(&topic) };
            let outgoing = Outgoing { seq, topic, tag: rand::random(), body, _credit: credit };
            match by_chain.iter_mut().find(|(known, _)| *known == chain) {
                Some((_, outgoing_there)) => outgoing_there.push(outgoing),
                None => by_chain.push((chain, vec![outgoing])),
            }
        }
        for (chain, messages) in by_chain {
            self.outbox.push(chain, messages, receipt, now);
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Found(found) => self.handle_found(found),
            Done::Connected(primary, connected) => self.handle_connected(primary, *connected),
            Done::Pushing { primary, number, pushing } => self.handle_pushing(primary, number, pushing),
            Done::Asked { primary, partition, answer } => self.handle_answer(primary, partition, answer),
        }
    }

    /// Handles pending pushes before an answer. Entries that the answer covers may have arrived on the push connection already,
    /// and must not be read again or be considered lost.
    fn take_pushes_first(&mut self) {
        while let Ok(push) = self.arriving.try_recv() {
            self.handle_push(push);
        }
    }

    fn handle_answer(&mut self, primary: PrimaryId, partition: Partition, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Entered(entered) => self.handle_entered(primary, partition, entered),
            Answer::Called { chain, number, end } => {
                // Sessions receive the event before its publisher receives the acknowledgement.
                self.take_pushes_first();
                self.end_write(primary, now);
                let end = match end {
                    Ok((end, trouble)) => {
                        self.partitions.succeed(partition);
                        if let Some(trouble) = trouble {
                            self.complaints.tell(&trouble);
                        }
                        end
                    }
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        CallEnd::Unknown
                    }
                };
                let source = match chain.publisher {
                    publisher if publisher == self.own => Source::Browser,
                    super::ALL_NODES => Source::Server,
                    _ => Source::Link,
                };
                let accepted = self.outbox.end_call(chain, number, end);
                self.metrics.messages_accepted.of(source).inc_by(accepted);
            }
            Answer::Read { number, is_control, read } => {
                self.take_pushes_first();
                // The topic is read again anyway.
                let read = read.map_err(|trouble| {
                    self.handle_trouble(primary, partition, &trouble);
                    Unavailable
                });
                let stands = read.as_ref().ok().map(|read| read.position);
                self.topics.handle_read(number, read);
                if is_control && stands.is_some_and(|at| self.topics.knows(&self.control, Some(at))) {
                    self.tickets.open();
                    self.tickets.handle_line();
                }
            }
            Answer::Swept { number, differ } => {
                self.take_pushes_first();
                let differ = differ.map_err(|trouble| {
                    self.handle_trouble(primary, partition, &trouble);
                    self.partitions.sweep_again(partition, now);
                    Unavailable
                });
                self.topics.handle_sweep(number, differ);
            }
            Answer::Ticket { number, used } => {
                self.end_write(primary, now);
                match used {
                    Ok((is_first, offset, tag)) => {
                        // Without a tag: nobody was disconnected yet.
                        let tag = tag.try_into().ok().map(u64::from_be_bytes);
                        let control = tag.map(|tag| Position { offset, tag });
                        self.tickets.answer(number, is_first == 1, control);
                        if !self.topics.knows(&self.control, control) {
                            self.topics.look(&self.control);
                        }
                    }
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        self.tickets.fail(number);
                    }
                }
            }
            Answer::TicketBack { number, ended } => {
                self.end_write(primary, now);
                match ended {
                    Ok(_) => self.tickets.end_back(number),
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        self.tickets.fail_back(number);
                    }
                }
            }
            Answer::Highest { publisher, receipt, highest } => {
                self.end_write(primary, now);
                match highest {
                    Ok(highest) => {
                        self.outbox.welcome(ChainKey { publisher, partition }, highest, now);
                        receipt.set_highest(highest);
                    }
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        self.asking.entry(publisher).or_insert(receipt);
                    }
                }
            }
            Answer::Canary(answer) => self.handle_canary(primary, partition, answer),
            // The error may belong to another request on that connection. It is logged; unconfirmed subscriptions are requested
            // again.
            Answer::Subscribed(Ok(())) => {}
            Answer::Subscribed(Err(trouble)) => {
                if trouble.cause == "moved" {
                    self.find_soon();
                } else {
                    self.complaints.tell(&trouble);
                }
            }
        }
    }

    /// Handles a required request that failed, or whose outcome is unknown: it is retried.
    fn handle_failure(&mut self, primary: PrimaryId, partition: Partition, trouble: &Trouble) {
        self.partitions.fail(partition, Instant::now());
        self.handle_trouble(primary, partition, trouble);
    }

    fn handle_trouble(&mut self, primary: PrimaryId, partition: Partition, trouble: &Trouble) {
        match trouble.cause {
            // The cause was logged before.
            "ended" => return,
            "moved" if self.connector.is_cluster() => {
                if self.partitions.assigned(partition) == Some(primary) {
                    self.lose(&[partition]);
                }
                self.find_soon();
                return;
            }
            "connection" | "readonly" => self.disconnect(primary),
            "migrating" | "clusterdown" => self.find_soon(),
            "noscript" => {
                if let Some(primary) = self.primary_mut(primary) {
                    tokio::spawn(primary.commands.clone().load_scripts());
                }
                self.partitions.try_now(partition, Instant::now());
            }
            _ => {}
        }
        self.complaints.tell(trouble);
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Message { channel, payload, credit } => {
                if let Some(topic) = self.keys.topic(&channel) {
                    match Entry::decode_run(payload) {
                        Ok(entries) => {
                            self.topics.handle_push(&topic, entries);
                            if topic == self.control {
                                self.tickets.handle_line();
                            }
                        }
                        Err(error) => {
                            let sentence = format!("what was pushed to {channel} {error}: the topic is read");
                            self.complaints.tell(&Trouble::new("unexpected", sentence));
                            self.topics.handle_dropped(&topic);
                        }
                    }
                } else {
                    self.come_back(&channel, &payload);
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
                // Ignores confirmations on closed connections, and of subscriptions that were requested again since.
                if let Some(topic) = self.keys.topic(&channel)
                    && self.is_in_use(connection, &topic)
                    && self.topics.is_confirmed(&topic)
                {
                    self.lose(&[self.keys.partition(&topic)]);
                    self.find_soon();
                }
            }
            Push::Ended { connection } => {
                let is_its =
                    |primary: &Primary| primary.pushes_number == connection && primary.pushes.is_some();
                let ended = self.members.iter().find(|(_, member)| member.up.as_ref().is_some_and(is_its));
                match ended {
                    Some((id, _)) => self.replace_pushes(*id),
                    None => self.ended.note(connection),
                }
            }
        }
    }

    /// Whether this is the connection on which this topic is pushed.
    fn is_in_use(&self, connection: u64, topic: &Topic) -> bool {
        let server = self.server(self.keys.partition(topic));
        server.is_some_and(|(_, primary)| primary.pushes_number == connection)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.topics.handle_timeout(now);
        if !self.finding.is_under_way && self.finding.next.is_some_and(|next| now >= next) {
            self.find();
        }
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            self.look_at_canary(id, now);
        }
        let silent = self.partitions.count_silent(now);
        if silent > 0 && self.report.is_up.swap(false, Ordering::Relaxed) {
            error!(
                partitions = silent,
                "broker: nothing has come back of what was published for {NOT_READY:?}: not ready"
            );
        }
        for partition in self.partitions.take_tries(now) {
            self.outbox.resume(partition);
        }
        if self.tickets.wait_for_line() {
            self.topics.look(&self.control);
        }
        self.ask_again_for_pushes(now);
        self.sweep_due(now);
        self.count();
    }

    /// Starts due sweeps: of all topics each [`SWEEP`], and of partitions with a new primary.
    fn sweep_due(&mut self, now: Instant) {
        let (keys, awaited) = (&self.keys, &self.awaited);
        let waits = |partition| awaited.keys().any(|topic| keys.partition(topic) == partition);
        let mut due = self.partitions.take_sweeps(now, waits);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            // Holds until the next sweep begins, because a sweep is sent in parts.
            self.is_keeping = now >= self.next_keep;
            if self.is_keeping {
                self.next_keep = now + KEEP;
            }
            due = self.partitions.to_sweep().collect();
        }
        if !due.is_empty() {
            self.topics.sweep(due);
        }
    }

    fn count(&mut self) {
        let outbox = self.outbox.take_counts();
        self.metrics.messages_duplicate.inc_by(outbox.duplicates);
        self.metrics.broker_retries.inc_by(outbox.again);
        if outbox.lost > 0 {
            self.metrics.broker_messages_lost.inc_by(outbox.lost);
            error!(
                messages = outbox.lost,
                "Redis has forgotten messages that it had accepted: a replica was promoted that did not have them. \
                 broker.wait_replicas and min-replicas-to-write prevent it"
            );
        }
        let topics = self.topics.take_counts();
        self.metrics.broker_gaps.inc_by(topics.gaps);
        self.metrics.broker_breaks.inc_by(topics.breaks);
        if let Some((broken, first)) = topics.broken {
            warn!(
                topics = broken,
                first = first.as_str(),
                "what came of some topics is not all known: pages that show them ask again"
            );
        }
    }
}

#[cfg(test)]
mod tests;
