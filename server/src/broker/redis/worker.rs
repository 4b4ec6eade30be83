//! The broker's thread: the only place that speaks to Redis. What is to be said is decided by [`Outbox`] and [`Topics`]; to whom, by
//! [`Partitions`].
//!
//! It asks where the primaries are (Sentinel, a Cluster's nodes), connects to each ([`super::primary`]), has each let the node into
//! its partitions, and then sends it what is theirs. A primary that is lost, and a partition that has moved, is looked for anew,
//! without end; meanwhile what belongs there waits, and the rest goes on.
//!
//! While a slot is being moved, its primary answers ASK about keys that it has no more, or never had. Such a call is made again until
//! the slot has moved: the scripts take several keys, which the other primary would not serve before it has them all.
//!
//! Bounds: what publishers wait for is held by their credit; pushes that wait to be looked at are bounded by `inbound` ([`Pushes`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use orosync_protocol::{PublisherId, Seq, Topic, disconnect};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use super::calls::{self, HEAD_KEPT, Verbs, milliseconds};
use super::canary::{Canary, NODE_KEPT_MS, Verdict};
use super::connect::{Connector, Found, Place};
use super::keys::{Keys, Partition};
use super::outbox::{CallEnd, ChainKey, Outbox, Outgoing};
use super::partitions::{NOT_READY, Partitions};
use super::primary::{self, CHANNELS, Connected, Primary, PrimaryId};
use super::pushes::{Push, Pushes};
use super::record::Entry;
use super::scripts;
use super::tickets::Tickets;
use super::topics::{Action, Read, ReadSince, Topics};
use super::trouble::Trouble;
use super::{Order, Settings};
use crate::broker::history::HistoryRules;
use crate::broker::{EventHandler, Unavailable};
use crate::metrics::{Metrics, Source};
use crate::process::unix_time;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::Receipt;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often every topic is asked where it stands.
const SWEEP: Duration = Duration::from_secs(15);

/// How often the heads of the topics are kept for longer.
const KEEP: Duration = Duration::from_hours(1);

/// How often a Cluster is asked where its slots are, if nothing says before that they have moved.
const FIND: Duration = Duration::from_secs(30);

/// Between two times that the primaries are looked for.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a primary may take to let the node into a partition.
const ENTER: Duration = Duration::from_secs(2);

/// How long a subscription may stay unconfirmed until it is asked for again.
const CONFIRM: Duration = Duration::from_secs(2);

/// How often trouble is told again that lasts.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Orders, answers or pushes that are taken at once.
const BATCH: usize = 512;

/// How something ended that was asked of Redis.
enum Done {
    Found(Result<Found, Trouble>),
    Connected(PrimaryId, Box<Result<Connected, Trouble>>),
    Pushing { primary: PrimaryId, number: u64, pushing: Result<MultiplexedConnection, Trouble> },
    Asked { primary: PrimaryId, partition: Partition, answer: Answer },
}

/// What a primary says about something in one of its partitions.
enum Answer {
    Entered(Result<Option<String>, Trouble>),
    Called { chain: ChainKey, number: u64, end: Result<CallEnd, Trouble> },
    Read { number: u64, read: Result<Read, Trouble> },
    Swept { number: u64, differ: Result<Vec<usize>, Trouble> },
    Ticket { number: u64, used: Result<(u8, u64, Vec<u8>), Trouble> },
    Highest { publisher: PublisherId, receipt: Arc<Receipt>, highest: Result<Option<Seq>, Trouble> },
    Canary(Result<u64, Trouble>),
    Subscribed(Result<(), Trouble>),
}

/// A primary that serves partitions, or is to.
struct Member {
    place: Place,
    /// None: it is being connected to.
    up: Option<Primary>,
}

/// When the primaries are looked for.
struct Finding {
    /// None: it happens now, or is not needed.
    next: Option<Instant>,
    is_under_way: bool,
    /// How often it has happened.
    turn: usize,
    pause: Duration,
    /// The nodes of the Cluster, as they were known last.
    nodes: Vec<Place>,
}

/// See the module.
pub(super) struct Worker {
    settings: Settings,
    connector: Connector,
    keys: Keys,
    verbs: Verbs,
    rules: HistoryRules,
    outbox: Outbox,
    topics: Topics,
    /// Of disconnects.
    control: Topic,
    tickets: Tickets,
    finding: Finding,
    members: BTreeMap<PrimaryId, Member>,
    partitions: Partitions,
    /// The id of the nodes' cluster.
    cluster: Option<String>,
    /// Publishers that ask what was accepted of them, while nobody can say.
    asking: Vec<(PublisherId, Arc<Receipt>)>,
    /// What the node itself publishes.
    own: PublisherId,
    own_seq: u64,
    /// Partitions whose topics are to be subscribed to anew.
    resubscribe: HashSet<Partition>,
    /// Subscriptions that are not confirmed, and when they were asked for.
    awaited: HashMap<Topic, Instant>,
    next_sweep: Instant,
    next_keep: Instant,
    /// Sweeps keep the heads for longer now.
    is_keeping: bool,
    told: Told,
    last_primary: u64,
    orders: UnboundedReceiver<Order>,
    done: UnboundedReceiver<Done>,
    done_sender: UnboundedSender<Done>,
    arriving: UnboundedReceiver<Push>,
    pushes: Pushes,
    /// Whether what is published comes back.
    is_up: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

/// Which trouble was told, and when: what lasts is told once in a while.
#[derive(Default)]
struct Told(HashMap<&'static str, Instant>);

impl Told {
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
        is_up: Arc<AtomicBool>,
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
        let mut topics = Topics::new(events, inbound);
        let control = Topic::parse(disconnect::TOPIC).expect("a constant that the protocol's tests parse");
        topics.subscribe(&control);
        Self {
            connector,
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
            cluster: None,
            asking: Vec::new(),
            own: PublisherId(rand::random()),
            own_seq: 0,
            resubscribe: HashSet::new(),
            awaited: HashMap::new(),
            next_sweep: now + SWEEP,
            next_keep: now + KEEP,
            is_keeping: false,
            told: Told::default(),
            last_primary: 0,
            orders,
            done,
            done_sender,
            arriving,
            pushes,
            is_up,
            metrics,
            settings,
        }
    }

    /// Until nobody gives orders any more.
    pub(super) async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.take_orders(order),
                    None => return,
                },
                Some(done) = self.done.recv() => self.take_done(done),
                Some(push) = self.arriving.recv() => self.take_pushes(push),
                Ok(()) = self.settings.password.changed() => {
                    let password = self.settings.password.borrow_and_update().clone();
                    self.connector.set_password(password);
                }
                _ = tick.tick() => self.handle_timeout(Instant::now()),
            }
            self.act();
        }
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
            Order::Publish { publisher, messages, receipt } => {
                self.publish(publisher, messages, receipt.as_ref(), now);
            }
            // Each partition knows a number of its own. The publisher sends all again that is not acknowledged, and each drops what
            // it has.
            Order::AskHighest(_, receipt) if self.connector.is_cluster() => receipt.set_highest(None),
            Order::AskHighest(publisher, receipt) => self.asking.push((publisher, receipt)),
            Order::Subscribe(topic) => self.topics.subscribe(&topic),
            Order::Unsubscribe(topic) => self.topics.unsubscribe(&topic, now),
            Order::Recover { topic, since, most, hand_over } => {
                self.topics.recover(&topic, since, most, hand_over, now);
            }
            Order::SetRules(rules) => self.rules = rules,
            Order::UseTicket(ticket, answer) => self.tickets.ask(ticket, answer, now),
        }
    }

    fn publish(
        &mut self,
        publisher: Option<PublisherId>,
        messages: Vec<super::Numbered>,
        receipt: Option<&Arc<Receipt>>,
        now: Instant,
    ) {
        let author = publisher.unwrap_or(self.own);
        let mut by_partition: Vec<(Partition, Vec<Outgoing>)> = Vec::new();
        for super::Numbered { seq, topic, body, credit } in messages {
            let seq = seq.unwrap_or_else(|| {
                self.own_seq += 1;
                Seq::FIRST.plus(self.own_seq - 1)
            });
            let partition = self.keys.partition(&topic);
            let outgoing = Outgoing { seq, topic, tag: rand::random(), body, _credit: credit };
            match by_partition.iter_mut().find(|(known, _)| *known == partition) {
                Some((_, outgoing_there)) => outgoing_there.push(outgoing),
                None => by_partition.push((partition, vec![outgoing])),
            }
        }
        for (partition, messages) in by_partition {
            self.outbox.push(ChainKey { publisher: author, partition }, messages, receipt, now);
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

    fn handle_answer(&mut self, primary: PrimaryId, partition: Partition, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Entered(entered) => self.handle_entered(primary, partition, entered),
            Answer::Called { chain, number, end } => {
                self.end_write(primary, now);
                let end = match end {
                    Ok(end) => {
                        self.partitions.succeed(partition);
                        end
                    }
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        CallEnd::Unknown
                    }
                };
                self.outbox.end_call(chain, number, end);
            }
            Answer::Read { number, read } => {
                let read = read.map_err(|trouble| {
                    self.handle_trouble(primary, partition, &trouble);
                    self.partitions.sweep_again(partition, now);
                    Unavailable
                });
                self.topics.handle_read(number, read);
            }
            Answer::Swept { number, differ } => {
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
                    Ok((is_first, control, _)) => self.tickets.answer(number, is_first == 1, control),
                    Err(trouble) => {
                        self.handle_failure(primary, partition, &trouble);
                        self.tickets.fail(number);
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
                        self.asking.push((publisher, receipt));
                    }
                }
            }
            Answer::Canary(time) => self.handle_canary(primary, partition, time),
            // It may be the error of another request on that connection: it is told, and what is not confirmed is asked for again.
            Answer::Subscribed(Ok(())) => {}
            Answer::Subscribed(Err(trouble)) => {
                if trouble.cause == "moved" {
                    self.find_soon();
                } else {
                    self.told.tell(&trouble);
                }
            }
        }
    }

    /// Something that must not be left out has failed, or nobody knows: it is done again.
    fn handle_failure(&mut self, primary: PrimaryId, partition: Partition, trouble: &Trouble) {
        self.partitions.fail(partition, Instant::now());
        self.handle_trouble(primary, partition, trouble);
    }

    fn handle_trouble(&mut self, primary: PrimaryId, partition: Partition, trouble: &Trouble) {
        match trouble.cause {
            // It was told why.
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
        self.told.tell(trouble);
    }

    /// Looks for the primaries after a pause.
    fn find_soon(&mut self) {
        let pause = self.finding.pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        let at = Instant::now() + pause;
        self.finding.next = Some(self.finding.next.map_or(at, |next| next.min(at)));
    }

    fn find(&mut self) {
        let finding = &mut self.finding;
        finding.next = None;
        finding.is_under_way = true;
        finding.turn += 1;
        if !self.partitions.are_served() {
            finding.pause = (finding.pause * 2).min(LONGEST_PAUSE);
        }
        let (connector, nodes, turn) = (self.connector.clone(), finding.nodes.clone(), finding.turn);
        let (partitions, done) = (self.keys.partitions().collect::<Vec<_>>(), self.done_sender.clone());
        tokio::spawn(async move {
            let found = connector.find(&partitions, &nodes, turn).await;
            let _ = done.send(Done::Found(found));
        });
    }

    fn handle_found(&mut self, found: Result<Found, Trouble>) {
        self.finding.is_under_way = false;
        if self.connector.is_cluster() {
            let next = Instant::now() + FIND;
            self.finding.next = Some(self.finding.next.map_or(next, |known| known.min(next)));
        }
        let Found { primaries, nodes } = match found {
            Ok(found) => found,
            Err(trouble) => {
                self.told.tell(&trouble);
                self.find_soon();
                return;
            }
        };
        self.finding.nodes = nodes;
        let missing = primaries.iter().filter(|place| place.is_none()).count();
        if missing > 0 {
            let all = primaries.len();
            self.told.tell(&Trouble::new(
                "clusterdown",
                format!(
                    "the Cluster does not serve all slots: {missing} of {all} partitions have no primary, and their \
                     topics wait. See redis-cli --cluster check"
                ),
            ));
            self.find_soon();
        }
        let mut lost = Vec::new();
        let mut entering: BTreeMap<PrimaryId, Vec<Partition>> = BTreeMap::new();
        for (partition, place) in self.keys.partitions().zip(primaries) {
            let known = self.partitions.assigned(partition);
            let is_there =
                known.and_then(|id| self.members.get(&id)).map(|member| &member.place) == place.as_ref();
            if is_there {
                continue;
            }
            if known.is_some() {
                lost.push(partition);
            }
            if let Some(place) = place {
                entering.entry(self.member(place)).or_default().push(partition);
            }
        }
        self.lose(&lost);
        for (id, partitions) in entering {
            for partition in &partitions {
                self.partitions.assign(*partition, id);
            }
            self.enter(id, &partitions);
        }
        let partitions = &self.partitions;
        self.members.retain(|id, _| partitions.of(*id).next().is_some());
    }

    /// The primary at this place, which is connected to if it is new.
    fn member(&mut self, place: Place) -> PrimaryId {
        if let Some((id, _)) = self.members.iter().find(|(_, member)| member.place == place) {
            return *id;
        }
        self.last_primary += 1;
        let id = PrimaryId(self.last_primary);
        self.members.insert(id, Member { place: place.clone(), up: None });
        let (connector, pushes, done) =
            (self.connector.clone(), self.pushes.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let connected = primary::connect(&connector, &place, &pushes).await;
            let _ = done.send(Done::Connected(id, Box::new(connected)));
        });
        id
    }

    fn handle_connected(&mut self, id: PrimaryId, connected: Result<Connected, Trouble>) {
        // It may have lost all its partitions meanwhile.
        let Some(member) = self.members.get_mut(&id) else { return };
        match connected {
            Err(trouble) => {
                self.told.tell(&trouble);
                self.disconnect(id);
            }
            Ok(connected) => {
                info!(primary = %member.place, "connected to {}", connected.about);
                member.up = Some(Primary::new(connected, Instant::now()));
                self.enter(id, &self.partitions.of(id).collect::<Vec<_>>());
            }
        }
    }

    /// Has a primary let the node into these of its partitions, once it is connected.
    fn enter(&mut self, id: PrimaryId, partitions: &[Partition]) {
        let Some(primary) = self.members.get(&id).and_then(|member| member.up.as_ref()) else { return };
        for partition in partitions.iter().copied() {
            let commands = primary.commands.clone();
            let command = calls::enter(&self.keys, partition, &primary.run_id, &self.settings.secrets);
            let done = self.done_sender.clone();
            tokio::spawn(async move {
                let entering = timeout(ENTER, commands.ask(command)).await;
                let entered = entering.unwrap_or_else(|_| Err(Trouble::timeout("Redis")));
                let answer = Answer::Entered(calls::entered(entered));
                let _ = done.send(Done::Asked { primary: id, partition, answer });
            });
        }
    }

    fn handle_entered(
        &mut self,
        id: PrimaryId,
        partition: Partition,
        entered: Result<Option<String>, Trouble>,
    ) {
        let trouble = match entered {
            Ok(Some(cluster)) => {
                if self.partitions.enter(partition, id) {
                    if partition == Partition::CONTROL && self.cluster.as_ref() != Some(&cluster) {
                        info!(cluster, "broker: this node is one of a cluster");
                        self.cluster = Some(cluster);
                    }
                    self.resubscribe.insert(partition);
                    self.outbox.resume(partition);
                    self.place_canary(id);
                    if self.partitions.are_served() {
                        self.finding.pause = FIRST_PAUSE;
                    }
                }
                return;
            }
            Ok(None) => Trouble::new(
                "secret",
                format!(
                    "other nodes use the prefix \"{}\" on this Redis with another secret. Give each application its own \
                     broker.prefix, and the nodes of one application the same secret",
                    self.settings.redis.prefix
                ),
            ),
            Err(trouble) => trouble,
        };
        self.handle_trouble(id, partition, &trouble);
        if self.partitions.assigned(partition) != Some(id) {
            return;
        }
        if matches!(trouble.cause, "migrating" | "clusterdown" | "noscript") {
            // The others of this primary are not concerned.
            self.lose(&[partition]);
            self.find_soon();
        } else {
            self.disconnect(id);
        }
    }

    /// Nobody serves these any more.
    fn lose(&mut self, lost: &[Partition]) {
        if lost.is_empty() {
            return;
        }
        let mut losers = HashSet::new();
        for partition in lost {
            losers.extend(self.partitions.assigned(*partition));
            self.partitions.lose(*partition);
            self.resubscribe.remove(partition);
        }
        let keys = &self.keys;
        self.awaited.retain(|topic, _| !lost.contains(&keys.partition(topic)));
        self.topics.handle_lost(|topic| lost.contains(&keys.partition(topic)));
        for loser in losers {
            self.place_canary(loser);
        }
    }

    /// Lets go of a primary: what is under way there ends.
    fn disconnect(&mut self, id: PrimaryId) {
        if self.members.remove(&id).is_some() {
            self.lose(&self.partitions.of(id).collect::<Vec<_>>());
            self.find_soon();
        }
    }

    /// A primary's canary is published in the first partition that it serves.
    fn place_canary(&mut self, id: PrimaryId) {
        let first = self.partitions.of(id).find(|at| self.partitions.server(*at) == Some(id));
        let Some(primary) = self.members.get_mut(&id).and_then(|member| member.up.as_mut()) else { return };
        if primary.canary_at != first {
            primary.canary_at = first;
            primary.canary = Canary::new(Instant::now());
            self.subscribe_to_canary(id);
        }
    }

    fn subscribe_to_canary(&self, id: PrimaryId) {
        let Some(primary) = self.members.get(&id).and_then(|member| member.up.as_ref()) else { return };
        if let (Some(pushes), Some(at)) = (&primary.pushes, primary.canary_at) {
            let channel = self.keys.canary(at, &self.settings.node);
            self.ask_for_pushes((id, at), pushes, self.verbs.subscribe, &[channel]);
        }
    }

    fn primary_mut(&mut self, id: PrimaryId) -> Option<&mut Primary> {
        self.members.get_mut(&id)?.up.as_mut()
    }

    /// The primary that serves this partition.
    fn server(&self, partition: Partition) -> Option<(PrimaryId, &Primary)> {
        let id = self.partitions.server(partition)?;
        Some((id, self.members.get(&id)?.up.as_ref()?))
    }

    /// Asks something of a partition, and hears the answer. False: nobody serves it.
    fn ask(
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

    /// Writes something in a partition that is served, and hears when as many replicas have it as the configuration says.
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

    fn end_write(&mut self, id: PrimaryId, now: Instant) {
        if let Some(primary) = self.primary_mut(id) {
            primary.writes.end(now);
        }
    }

    fn replace_pushes(&mut self, id: PrimaryId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(primary) = &mut member.up else { return };
        warn!(primary = %member.place, "what is published does not come back: the connection for it is replaced");
        primary.pushes = None;
        let number = self.pushes.next_number();
        let (connector, place) = (self.connector.clone(), member.place.clone());
        let (pushes, done) = (self.pushes.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let pushing = connector.pushes(&place, pushes.sender(number)).await;
            let _ = done.send(Done::Pushing { primary: id, number, pushing });
        });
    }

    fn handle_pushing(
        &mut self,
        id: PrimaryId,
        number: u64,
        pushing: Result<MultiplexedConnection, Trouble>,
    ) {
        match pushing {
            Err(trouble) => {
                self.told.tell(&trouble);
                self.disconnect(id);
            }
            Ok(pushes) => {
                let Some(primary) = self.primary_mut(id) else { return };
                primary.pushes = Some(pushes);
                primary.pushes_number = number;
                primary.canary.begin(Instant::now());
                self.subscribe_to_canary(id);
                for partition in self.partitions.of(id).collect::<Vec<_>>() {
                    self.resubscribe.insert(partition);
                    self.partitions.sweep_when_confirmed(partition);
                }
            }
        }
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Message { channel, payload, credit } => {
                if let Some(topic) = self.keys.topic(&channel) {
                    match Entry::decode_run(payload) {
                        Ok(entries) => self.topics.handle_push(&topic, entries),
                        Err(error) => warn!(channel, "what was pushed {error}"),
                    }
                } else {
                    self.come_back(&channel, &payload);
                }
                drop(credit);
            }
            Push::Dropped { channel } => {
                self.metrics.broker_dropped.inc();
                if let Some(topic) = self.keys.topic(&channel) {
                    self.topics.handle_dropped(&topic);
                }
            }
            Push::Confirmed { channel, connection } => {
                if let Some(topic) = self.keys.topic(&channel)
                    && self.is_in_use(connection, &topic)
                {
                    self.awaited.remove(&topic);
                    self.topics.handle_confirmed(&topic);
                }
            }
            Push::Lost { channel, connection } => {
                // What was given up is not confirmed; nor is what was subscribed to again since.
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
                if let Some((id, _)) = ended {
                    self.replace_pushes(*id);
                }
            }
        }
    }

    /// Whether this connection is the one on which this topic is pushed.
    fn is_in_use(&self, connection: u64, topic: &Topic) -> bool {
        let server = self.server(self.keys.partition(topic));
        server.is_some_and(|(_, primary)| primary.pushes_number == connection)
    }

    /// A canary has come back.
    fn come_back(&mut self, channel: &str, nonce: &[u8]) {
        let now = Instant::now();
        let (keys, node) = (&self.keys, &self.settings.node);
        let is_its = |primary: &Primary| primary.canary_at.is_some_and(|at| keys.canary(at, node) == channel);
        let primary = self
            .members
            .iter_mut()
            .filter_map(|(id, member)| Some((*id, member.up.as_mut()?)))
            .find(|(_, primary)| is_its(primary));
        let Some((id, primary)) = primary else { return };
        primary.canary.come_back(nonce, now);
        self.partitions.come_back(id, now);
        if self.partitions.count_silent(now) == 0 && !self.is_up.swap(true, Ordering::Relaxed) {
            info!("broker: what is published comes back");
            self.told = Told::default();
        }
    }

    fn handle_canary(&mut self, id: PrimaryId, partition: Partition, time: Result<u64, Trouble>) {
        let now = Instant::now();
        match time {
            Ok(milliseconds) => {
                let Some(primary) = self.primary_mut(id) else { return };
                primary.canary.answer(now);
                primary.clock = Some((now, milliseconds));
                self.set_clock(now);
            }
            Err(trouble) => self.handle_trouble(id, partition, &trouble),
        }
    }

    /// Of several clocks, the one that is behind counts: who asks for what came since an instant gets too much rather than too little.
    fn set_clock(&mut self, now: Instant) {
        let clocks = self.members.values().filter_map(|member| member.up.as_ref()?.clock);
        let shows = clocks.map(|(then, said)| said + milliseconds(now.saturating_duration_since(then)));
        if let Some(earliest) = shows.min() {
            self.topics.set_clock(now, earliest);
        }
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
        if silent > 0 && self.is_up.swap(false, Ordering::Relaxed) {
            error!(
                partitions = silent,
                "broker: nothing has come back of what was published for {NOT_READY:?}: not ready"
            );
        }
        for partition in self.partitions.take_tries(now) {
            self.outbox.resume(partition);
        }
        self.ask_again_for_pushes(now);
        self.sweep_due(now);
        self.count();
    }

    fn look_at_canary(&mut self, id: PrimaryId, now: Instant) {
        let Some(primary) = self.primary_mut(id) else { return };
        let Some(at) = primary.canary_at else { return };
        let verdict =
            if primary.writes.are_stuck(now) { Verdict::NoAnswer } else { primary.canary.look(now) };
        match verdict {
            Verdict::Well => {}
            Verdict::Send(nonce) => self.send_canary(at, &nonce),
            Verdict::NothingComesBack => self.replace_pushes(id),
            Verdict::NoAnswer => {
                self.told.tell(&Trouble::timeout("Redis"));
                self.disconnect(id);
            }
        }
    }

    fn send_canary(&self, at: Partition, nonce: &str) {
        let mut command = scripts::call(&scripts::CANARY, &[self.keys.nodes(at)]);
        command
            .arg(self.verbs.publish)
            .arg(self.keys.canary(at, &self.settings.node))
            .arg(nonce)
            .arg(&self.settings.node)
            .arg(super::description())
            .arg(NODE_KEPT_MS);
        self.ask(at, command, |time| Answer::Canary(calls::answer(time)));
    }

    /// Asks where topics stand: all of them each [`SWEEP`], and those of partitions that are served anew.
    fn sweep_due(&mut self, now: Instant) {
        let keys = &self.keys;
        let waiting: HashSet<_> = self.awaited.keys().map(|topic| keys.partition(topic)).collect();
        let mut due = self.partitions.take_sweeps(now, |partition| waiting.contains(&partition));
        self.is_keeping = false;
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            if now >= self.next_keep {
                self.next_keep = now + KEEP;
                self.is_keeping = true;
            }
            due = keys.partitions().filter(|at| self.partitions.server(*at).is_some()).collect();
        }
        if !due.is_empty() {
            self.topics.sweep(|topic| Some(keys.partition(topic)).filter(|at| due.contains(at)));
            self.topics.catch_up_behind();
        }
    }

    fn count(&mut self) {
        let outbox = self.outbox.take_counts();
        self.metrics.messages_accepted.of(Source::Link).inc_by(outbox.accepted);
        self.metrics.messages_duplicate.inc_by(outbox.duplicates);
        self.metrics.broker_calls_again.inc_by(outbox.again);
        if outbox.lost > 0 {
            self.metrics.broker_lost.inc_by(outbox.lost);
            error!(
                messages = outbox.lost,
                "Redis has forgotten messages that it had accepted: a replica was promoted that did not have them. \
                 broker.wait_replicas and min-replicas-to-write prevent it"
            );
        }
        let topics = self.topics.take_counts();
        self.metrics.broker_gaps.inc_by(topics.gaps);
        self.metrics.broker_breaks.inc_by(topics.breaks);
    }

    /// Does what was decided.
    fn act(&mut self) {
        if !self.resubscribe.is_empty() {
            let (keys, anew) = (&self.keys, std::mem::take(&mut self.resubscribe));
            self.topics.handle_reconnected(|topic| anew.contains(&keys.partition(topic)));
        }
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        for action in self.topics.take_actions() {
            match action {
                Action::Subscribe(topic) => subscribe.push(topic),
                Action::Unsubscribe(topic) => {
                    self.awaited.remove(&topic);
                    // It may have been taken back at once.
                    subscribe.retain(|other| *other != topic);
                    unsubscribe.push(topic);
                }
                Action::Read { number, topic, since, most } => self.read(number, &topic, since, most),
                Action::Sweep { number, topics } => self.sweep(number, &topics),
            }
        }
        self.ask_for_topics(self.verbs.unsubscribe, &unsubscribe);
        self.subscribe(subscribe);
        self.call();
        self.ask_highest();
        self.use_tickets();
    }

    /// Subscribes to topics, as far as somebody serves them: the others are subscribed to when somebody does.
    fn subscribe(&mut self, topics: Vec<Topic>) {
        let now = Instant::now();
        self.ask_for_topics(self.verbs.subscribe, &topics);
        for topic in topics {
            let server = self.server(self.keys.partition(&topic));
            if server.is_some_and(|(_, primary)| primary.pushes.is_some()) {
                self.awaited.insert(topic, now);
            }
        }
    }

    /// A confirmation may stay away, where the slot has moved and the error was taken for another's.
    fn ask_again_for_pushes(&mut self, now: Instant) {
        let is_late = |asked: &Instant| now.saturating_duration_since(*asked) > CONFIRM;
        let late = self.awaited.iter().filter(|(_, asked)| is_late(asked));
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

    fn ask_for_pushes(
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

    fn read(&mut self, number: u64, topic: &Topic, since: ReadSince, most: usize) {
        let command = calls::read(&self.keys, topic, since, most);
        let partition = self.keys.partition(topic);
        if !self.ask(partition, command, move |read| Answer::Read { number, read: calls::read_of(read) }) {
            self.topics.handle_read(number, Err(Unavailable));
        }
    }

    /// Of topics of one partition.
    fn sweep(&mut self, number: u64, topics: &[(Topic, u64)]) {
        let partition = topics.first().map_or(Partition::CONTROL, |(topic, _)| self.keys.partition(topic));
        let command = calls::sweep(&self.keys, topics, self.is_keeping.then_some(HEAD_KEPT));
        let swept = move |differ| Answer::Swept { number, differ: calls::swept(differ) };
        if !self.ask(partition, command, swept) {
            self.topics.handle_sweep(number, Err(Unavailable));
        }
    }

    /// Makes the calls that are due.
    fn call(&mut self) {
        loop {
            let has_room = |partition| {
                let server = self.partitions.server(partition).and_then(|id| self.members.get(&id));
                let primary = server.and_then(|member| member.up.as_ref());
                primary.is_some_and(|primary| primary.writes.have_room())
            };
            let Some(due) = self.outbox.next(has_room) else { return };
            let command = calls::publish(&self.keys, self.verbs, &self.rules, &due);
            let (chain, number) = (due.chain, due.number);
            self.write(chain.partition, command, move |end| Answer::Called {
                chain,
                number,
                end: calls::call_end(end),
            });
        }
    }

    /// Asks what was accepted of publishers of which nothing waits to be sent: what is on its way is counted then.
    fn ask_highest(&mut self) {
        let partition = Partition::CONTROL;
        if self.asking.is_empty() || !self.partitions.may_ask(partition) {
            return;
        }
        let is_due = |publisher| !self.outbox.has_waiting(ChainKey { publisher, partition });
        let due: Vec<_> = self.asking.extract_if(.., |(publisher, _)| is_due(*publisher)).collect();
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
        self.tickets.settle(self.topics.offset(&self.control), Instant::now());
        if !self.partitions.may_ask(Partition::CONTROL) {
            return;
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
}
