//! The broker's thread: the only place that speaks to Redis. What is to be said is decided by [`Outbox`] and [`Topics`].
//!
//! Bounds: [`CALLS`] calls under way; what publishers wait for is held by their credit; pushes that wait to be looked at are bounded
//! by `inbound` ([`Pushes`]). Each request ends: with its connection at the latest, which the canary replaces when nothing comes
//! back ([`super::canary`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orosync_protocol::{ClusterId, PublisherId, Seq, Topic, disconnect};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::canary::{Canary, Verdict};
use super::connect::{Connector, Place, examine, request};
use super::keys::{Keys, Partition};
use super::outbox::{CallEnd, ChainKey, Due, Outbox, Outgoing};
use super::pushes::{Push, Pushes};
use super::record::Entry;
use super::scripts::{self, Tag};
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

/// Calls that may be under way. More do not make Redis faster.
const CALLS: usize = 128;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often every topic is asked where it stands.
const SWEEP: Duration = Duration::from_secs(15);

/// How often the heads of the topics are kept for longer.
const KEEP: Duration = Duration::from_hours(1);

/// How long the head of a topic is kept that nobody publishes to or asks of.
const HEAD_KEPT: Duration = Duration::from_hours(24);

/// Between a failed call and the next try, and between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The fewest events that are kept of a topic: what a node reads that has missed a push.
const LEAST_EVENTS: usize = 100;

/// The most bytes of the entries that a read returns.
const READ_BYTES: usize = 4 << 20;

/// How much of `history.bytes` one topic may have, as a divisor: as in memory.
const SHARE: usize = 4;

/// How long WAIT waits for replicas; then what was written is sent again.
const REPLICAS_PATIENCE: Duration = Duration::from_secs(1);

/// How often trouble is told again that lasts.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// How long nothing may come back until the node is not ready.
const NOT_READY: Duration = Duration::from_secs(8);

/// Channels of one SUBSCRIBE.
const CHANNELS: usize = 500;

/// Orders, answers or pushes that are taken at once.
const BATCH: usize = 512;

/// How something ended that was asked of Redis.
enum Done {
    Connected(Box<Result<Connected, Trouble>>),
    Pushing(Result<MultiplexedConnection, Trouble>, u64),
    Called { chain: ChainKey, number: u64, end: Result<CallEnd, Trouble> },
    Read { number: u64, read: Result<Read, Trouble> },
    Swept { number: u64, differ: Result<Vec<usize>, Trouble> },
    Ticket { number: u64, used: Result<(u8, u64, Vec<u8>), Trouble> },
    Highest { publisher: PublisherId, receipt: Arc<Receipt>, highest: Result<Option<Seq>, Trouble> },
    Canary { connection: u64, time: Result<u64, Trouble> },
    Subscribed(Result<(), Trouble>),
}

/// A primary that nodes can share.
struct Connected {
    place: Place,
    about: String,
    cluster: ClusterId,
    commands: MultiplexedConnection,
    pushes: MultiplexedConnection,
    pushes_number: u64,
}

/// The connections in use.
struct Connections {
    /// Counts connections for commands.
    number: u64,
    commands: MultiplexedConnection,
    /// None: it is being replaced.
    pushes: Option<MultiplexedConnection>,
    pushes_number: u64,
    place: Place,
    canary: Canary,
}

enum Link {
    Waiting { until: Instant },
    Connecting,
    Up(Box<Connections>),
}

/// See the module.
pub(super) struct Worker {
    settings: Settings,
    connector: Connector,
    keys: Keys,
    rules: HistoryRules,
    outbox: Outbox,
    topics: Topics,
    /// Of disconnects.
    control: Topic,
    tickets: Tickets,
    link: Link,
    pause: Duration,
    /// Calls under way.
    calls: usize,
    /// When failed calls are tried again.
    try_again: Option<Instant>,
    /// Publishers that ask what was accepted of them, while nobody can say.
    asking: Vec<(PublisherId, Arc<Receipt>)>,
    /// What the node itself publishes.
    own: PublisherId,
    own_seq: u64,
    /// After a new connection all topics are swept once they are confirmed.
    sweeps_when_confirmed: bool,
    next_sweep: Instant,
    next_keep: Instant,
    told: Told,
    connections: u64,
    orders: UnboundedReceiver<Order>,
    done: UnboundedReceiver<Done>,
    done_sender: UnboundedSender<Done>,
    arriving: UnboundedReceiver<Push>,
    pushes: Pushes,
    told_others: super::Told,
    /// When what was published came back last.
    back: Option<Instant>,
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
            error!(cause = trouble.cause, "broker: {trouble}");
        }
    }
}

impl Worker {
    pub(super) fn new(
        settings: Settings,
        events: Arc<dyn EventHandler>,
        orders: UnboundedReceiver<Order>,
        inbound: Arc<CreditPool>,
        told_others: super::Told,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let keys = Keys::single(&settings.redis.prefix);
        let (done_sender, done) = unbounded_channel();
        let (pushes, arriving) = Pushes::new(Arc::clone(&inbound));
        let mut topics = Topics::new(events, inbound);
        let control = Topic::parse(disconnect::TOPIC).expect("a constant that the protocol's tests parse");
        topics.subscribe(&control);
        Self {
            connector: Connector::new(settings.redis.clone()),
            keys,
            rules: settings.rules.clone(),
            outbox: Outbox::new(settings.max_publishers),
            topics,
            control,
            tickets: Tickets::default(),
            link: Link::Waiting { until: now },
            pause: FIRST_PAUSE,
            calls: 0,
            try_again: None,
            asking: Vec::new(),
            own: PublisherId(rand::random()),
            own_seq: 0,
            sweeps_when_confirmed: false,
            next_sweep: now + SWEEP,
            next_keep: now + KEEP,
            told: Told::default(),
            connections: 0,
            orders,
            done,
            done_sender,
            arriving,
            pushes,
            told_others,
            back: None,
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

    fn ask_highest(&mut self, publisher: PublisherId, receipt: Arc<Receipt>) {
        let Link::Up(connections) = &self.link else { return };
        let mut command = redis::cmd("GET");
        command.arg(self.keys.number(publisher, Partition::CONTROL));
        let asking = self.with_replicas(connections.commands.clone(), command);
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            let highest = asking.await.and_then(|value| {
                let highest: Option<u64> =
                    redis::from_redis_value(value).map_err(|_| Trouble::unexpected("Redis"))?;
                Ok(highest.and_then(Seq::new))
            });
            let _ = done.send(Done::Highest { publisher, receipt, highest });
        });
    }

    /// A command whose effect is acknowledged when as many replicas have it as the configuration says.
    fn with_replicas(
        &self,
        mut connection: MultiplexedConnection,
        command: Cmd,
    ) -> impl Future<Output = Result<Value, Trouble>> + Send + 'static {
        let replicas = self.settings.redis.wait_replicas;
        async move {
            if replicas == 0 {
                return Ok(connection.req_packed_command(&command).await?);
            }
            let mut pipeline = Pipeline::new();
            pipeline.add_command(command);
            let patience = u64::try_from(REPLICAS_PATIENCE.as_millis()).unwrap_or(u64::MAX);
            pipeline.cmd("WAIT").arg(replicas).arg(patience);
            let answers = connection.req_packed_commands(&pipeline, 0, 2).await?;
            let [answer, have]: [Value; 2] = answers.try_into().map_err(|_| Trouble::unexpected("Redis"))?;
            let answer = answer.extract_error()?;
            let have: u32 =
                redis::from_redis_value(have.extract_error()?).map_err(|_| Trouble::unexpected("Redis"))?;
            if have < replicas {
                return Err(Trouble::new(
                    "replicas",
                    format!(
                        "{have} replicas have what was published, and broker.wait_replicas wants {replicas}: nothing is \
                         acknowledged until they have"
                    ),
                ));
            }
            Ok(answer)
        }
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Connected(connected) => self.handle_connected(*connected),
            Done::Pushing(pushing, number) => self.handle_pushing(pushing, number),
            Done::Called { chain, number, end } => {
                self.calls -= 1;
                let end = end.unwrap_or_else(|trouble| self.handle_trouble(&trouble));
                self.outbox.end_call(chain, number, end);
            }
            Done::Read { number, read } => {
                let read = read.map_err(|trouble| self.tell(&trouble));
                self.topics.handle_read(number, read);
            }
            Done::Swept { number, differ } => {
                let differ = differ.map_err(|trouble| self.tell(&trouble));
                self.topics.handle_sweep(number, differ);
            }
            Done::Ticket { number, used } => match used {
                Ok((is_first, control, _)) => self.tickets.answer(number, is_first == 1, control),
                Err(trouble) => {
                    self.tell(&trouble);
                    self.tickets.fail(number);
                    self.try_again_soon();
                }
            },
            Done::Highest { publisher, receipt, highest } => match highest {
                Ok(highest) => {
                    let chain = ChainKey { publisher, partition: Partition::CONTROL };
                    self.outbox.welcome(chain, highest, Instant::now());
                    receipt.set_highest(highest);
                }
                Err(trouble) => {
                    self.tell(&trouble);
                    self.asking.push((publisher, receipt));
                    self.try_again_soon();
                }
            },
            Done::Canary { connection, time } => self.handle_canary(connection, time),
            Done::Subscribed(subscribed) => {
                if let Err(trouble) = subscribed {
                    self.tell(&trouble);
                }
            }
        }
    }

    fn tell(&mut self, trouble: &Trouble) -> Unavailable {
        self.told.tell(trouble);
        if trouble.cause == "noscript" {
            self.load_scripts();
        }
        Unavailable
    }

    /// A call has failed, or nobody knows: it is made again.
    fn handle_trouble(&mut self, trouble: &Trouble) -> CallEnd {
        self.tell(trouble);
        self.try_again_soon();
        CallEnd::Unknown
    }

    fn try_again_soon(&mut self) {
        if self.try_again.is_none() {
            self.try_again = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Redis has been told to forget them.
    fn load_scripts(&mut self) {
        let Link::Up(connections) = &self.link else { return };
        let mut connection = connections.commands.clone();
        // In order with what is sent behind it.
        tokio::spawn(async move {
            for script in scripts::all() {
                let _ = script.load_async(&mut connection).await;
            }
        });
        self.try_again = Some(Instant::now());
    }

    fn handle_connected(&mut self, connected: Result<Connected, Trouble>) {
        let now = Instant::now();
        match connected {
            Err(trouble) => {
                self.told.tell(&trouble);
                self.link = Link::Waiting { until: now + self.jittered_pause() };
            }
            Ok(connected) => {
                let Connected { place, about, cluster, commands, pushes, pushes_number } = connected;
                info!(primary = %place, %cluster, "connected to {about}");
                // The first that was told stays: another one is another cluster, and publishers notice.
                let _ = self.told_others.cluster.set(cluster);
                self.told = Told::default();
                self.pause = FIRST_PAUSE;
                self.connections += 1;
                let canary = Canary::new(now);
                let canary_channel = self.keys.canary(Partition::CONTROL, &self.settings.node);
                self.subscribe_to(&pushes, &[canary_channel]);
                self.link = Link::Up(Box::new(Connections {
                    number: self.connections,
                    commands,
                    pushes: Some(pushes),
                    pushes_number,
                    place,
                    canary,
                }));
                self.topics.handle_reconnected();
                self.sweeps_when_confirmed = true;
                self.outbox.resume(Partition::CONTROL);
            }
        }
    }

    fn handle_pushing(&mut self, pushing: Result<MultiplexedConnection, Trouble>, number: u64) {
        match pushing {
            Err(trouble) => {
                self.told.tell(&trouble);
                self.disconnect();
            }
            Ok(pushes) => {
                let channel = self.keys.canary(Partition::CONTROL, &self.settings.node);
                self.subscribe_to(&pushes, &[channel]);
                let Link::Up(connections) = &mut self.link else { return };
                connections.pushes = Some(pushes);
                connections.pushes_number = number;
                connections.canary.begin(Instant::now());
                self.topics.handle_reconnected();
                self.sweeps_when_confirmed = true;
            }
        }
    }

    /// Asks what was accepted of publishers of which nothing waits to be sent: what is on its way is counted then.
    fn ask(&mut self) {
        if self.asking.is_empty() || self.try_again.is_some() || !matches!(self.link, Link::Up(_)) {
            return;
        }
        let is_due =
            |publisher| !self.outbox.has_waiting(ChainKey { publisher, partition: Partition::CONTROL });
        let due: Vec<_> = self.asking.extract_if(.., |(publisher, _)| is_due(*publisher)).collect();
        for (publisher, receipt) in due {
            self.ask_highest(publisher, receipt);
        }
    }

    fn jittered_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    /// Lets go of the connections: what is under way on them ends.
    fn disconnect(&mut self) {
        if matches!(self.link, Link::Up(_)) {
            self.link = Link::Waiting { until: Instant::now() + FIRST_PAUSE };
        }
    }

    fn connect(&mut self) {
        self.link = Link::Connecting;
        self.pushes.begin();
        let (connector, keys, settings) = (self.connector.clone(), self.keys.clone(), self.settings.clone());
        let (pushes, done) = (self.pushes.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let connected = enter(&connector, &keys, &settings, pushes).await;
            let _ = done.send(Done::Connected(Box::new(connected)));
        });
    }

    fn replace_pushes(&mut self) {
        let Link::Up(connections) = &mut self.link else { return };
        warn!(primary = %connections.place, "what is published does not come back: the connection for it is replaced");
        connections.pushes = None;
        self.pushes.begin();
        let (connector, place) = (self.connector.clone(), connections.place.clone());
        let (pushes, done) = (self.pushes.clone(), self.done_sender.clone());
        let number = pushes.number();
        tokio::spawn(async move {
            let pushing = connector.pushes(&place, pushes.sender()).await;
            let _ = done.send(Done::Pushing(pushing, number));
        });
    }

    fn handle_push(&mut self, push: Push) {
        match push {
            Push::Message { channel, payload, credit } => {
                if let Some(topic) = self.keys.topic(&channel) {
                    match Entry::decode_run(payload) {
                        Ok(entries) => self.topics.handle_push(&topic, entries),
                        Err(error) => warn!(channel, "what was pushed {error}"),
                    }
                } else if let Link::Up(connections) = &mut self.link
                    && channel == self.keys.canary(Partition::CONTROL, &self.settings.node)
                {
                    let now = Instant::now();
                    connections.canary.come_back(&payload, now);
                    self.come_back(now);
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
                let is_current =
                    matches!(&self.link, Link::Up(connections) if connections.pushes_number == connection);
                if let (true, Some(topic)) = (is_current, self.keys.topic(&channel)) {
                    self.topics.handle_confirmed(&topic);
                }
            }
            Push::Ended { connection } => {
                if let Link::Up(connections) = &self.link
                    && connections.pushes_number == connection
                    && connections.pushes.is_some()
                {
                    self.replace_pushes();
                }
            }
        }
    }

    /// The canary has come back.
    fn come_back(&mut self, now: Instant) {
        self.back = Some(now);
        if !self.told_others.is_up.swap(true, Ordering::Relaxed) {
            info!("broker: what is published comes back");
        }
    }

    fn handle_canary(&mut self, connection: u64, time: Result<u64, Trouble>) {
        let now = Instant::now();
        match time {
            Ok(milliseconds) => {
                self.topics.set_clock(now, milliseconds);
                if let Link::Up(connections) = &mut self.link
                    && connections.number == connection
                {
                    connections.canary.answer(now);
                }
            }
            Err(trouble) => {
                self.tell(&trouble);
                let is_current =
                    matches!(&self.link, Link::Up(connections) if connections.number == connection);
                if is_current && matches!(trouble.cause, "connection" | "readonly") {
                    self.disconnect();
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.topics.handle_timeout(now);
        if let Link::Waiting { until } = self.link
            && now >= until
        {
            self.connect();
        }
        if let Link::Up(connections) = &mut self.link {
            match connections.canary.look(now) {
                Verdict::Well => {}
                Verdict::Send(nonce) => self.send_canary(&nonce),
                Verdict::NothingComesBack => self.replace_pushes(),
                Verdict::NoAnswer => {
                    let trouble = Trouble::timeout("Redis");
                    self.told.tell(&trouble);
                    self.disconnect();
                }
            }
        }
        if self.back.is_some_and(|back| now.saturating_duration_since(back) > NOT_READY)
            && self.told_others.is_up.swap(false, Ordering::Relaxed)
        {
            error!("broker: nothing has come back of what was published for {NOT_READY:?}: not ready");
        }
        if self.try_again.is_some_and(|at| now >= at) && matches!(self.link, Link::Up(_)) {
            self.try_again = None;
            self.outbox.resume(Partition::CONTROL);
        }
        let is_up = matches!(self.link, Link::Up(_));
        if is_up && self.sweeps_when_confirmed && self.topics.is_confirmed() {
            self.sweeps_when_confirmed = false;
            self.next_sweep = now;
        }
        if is_up && now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.topics.sweep();
            self.topics.catch_up_behind();
        }
        self.count();
    }

    fn send_canary(&mut self, nonce: &str) {
        let Link::Up(connections) = &self.link else { return };
        let mut command = scripts::call(&scripts::CANARY, &[self.keys.nodes(Partition::CONTROL)]);
        command
            .arg("PUBLISH")
            .arg(self.keys.canary(Partition::CONTROL, &self.settings.node))
            .arg(nonce)
            .arg(&self.settings.node)
            .arg(super::description())
            .arg(super::canary::NODE_KEPT_MS);
        let (mut connection, number) = (connections.commands.clone(), connections.number);
        let done = self.done_sender.clone();
        tokio::spawn(async move {
            let time = answer::<u64>(connection.req_packed_command(&command).await);
            let _ = done.send(Done::Canary { connection: number, time });
        });
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
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        for action in self.topics.take_actions() {
            match action {
                Action::Subscribe(topic) => subscribe.push(self.keys.channel(&topic)),
                Action::Unsubscribe(topic) => {
                    let channel = self.keys.channel(&topic);
                    // It may have been taken back at once.
                    subscribe.retain(|other| *other != channel);
                    unsubscribe.push(channel);
                }
                Action::Read { number, topic, since, most } => self.read(number, &topic, since, most),
                Action::Sweep { number, topics } => self.sweep(number, &topics),
            }
        }
        if let Link::Up(connections) = &self.link
            && let Some(pushes) = connections.pushes.clone()
        {
            if !unsubscribe.is_empty() {
                self.ask_for_pushes(&pushes, "UNSUBSCRIBE", &unsubscribe);
            }
            if !subscribe.is_empty() {
                self.subscribe_to(&pushes, &subscribe);
            }
        }
        self.call();
        self.ask();
        self.use_tickets();
    }

    fn use_tickets(&mut self) {
        if self.tickets.is_empty() {
            return;
        }
        self.tickets.settle(self.topics.offset(&self.control), Instant::now());
        let Link::Up(connections) = &self.link else { return };
        if self.try_again.is_some() {
            return;
        }
        for due in self.tickets.take_due(unix_time()) {
            let keys = [self.keys.ticket(&due.id), self.keys.head(&self.control)];
            let mut command = scripts::call(&scripts::TICKET, &keys);
            command.arg(due.nonce).arg(milliseconds(due.kept));
            let using = self.with_replicas(connections.commands.clone(), command);
            let (number, done) = (due.number, self.done_sender.clone());
            tokio::spawn(async move {
                let used = using.await.and_then(|value| answer(Ok(value)));
                let _ = done.send(Done::Ticket { number, used });
            });
        }
    }

    fn subscribe_to(&self, pushes: &MultiplexedConnection, channels: &[String]) {
        self.ask_for_pushes(pushes, "SUBSCRIBE", channels);
    }

    fn ask_for_pushes(&self, pushes: &MultiplexedConnection, command: &str, channels: &[String]) {
        for channels in channels.chunks(CHANNELS) {
            let mut command = redis::cmd(command);
            command.arg(channels);
            let (mut connection, done) = (pushes.clone(), self.done_sender.clone());
            tokio::spawn(async move {
                let subscribed = connection.req_packed_command(&command).await;
                let _ = done.send(Done::Subscribed(subscribed.map(drop).map_err(Trouble::from)));
            });
        }
    }

    fn read(&mut self, number: u64, topic: &Topic, since: ReadSince, most: usize) {
        let Link::Up(connections) = &self.link else {
            self.topics.handle_read(number, Err(Unavailable));
            return;
        };
        let partition = self.keys.partition(topic);
        let keys = [self.keys.entries(topic), self.keys.head(topic), self.keys.epoch(partition)];
        let mut command = scripts::call(&scripts::READ, &keys);
        match since {
            ReadSince::Now => command.arg("").arg(""),
            ReadSince::Everything => command.arg("*").arg(""),
            ReadSince::Position(position) => command.arg(position.offset).arg(Tag(position.tag)),
        };
        let head_kept = milliseconds(HEAD_KEPT);
        command.arg(most).arg(READ_BYTES).arg(head_kept).arg(Tag(rand::random()));
        let (mut connection, done) = (connections.commands.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let answered: Result<ReadAnswer, _> = answer(connection.req_packed_command(&command).await);
            let _ = done.send(Done::Read { number, read: answered.and_then(read_of) });
        });
    }

    fn sweep(&mut self, number: u64, topics: &[(Topic, u64)]) {
        let Link::Up(connections) = &self.link else {
            self.topics.handle_sweep(number, Err(Unavailable));
            return;
        };
        let keys: Vec<_> = topics.iter().map(|(topic, _)| self.keys.head(topic)).collect();
        let mut command = scripts::call(&scripts::SWEEP, &keys);
        for (_, tag) in topics {
            command.arg(Tag(*tag));
        }
        let now = Instant::now();
        if now >= self.next_keep {
            self.next_keep = now + KEEP;
        }
        command.arg(if self.next_keep == now + KEEP {
            milliseconds(HEAD_KEPT).to_string()
        } else {
            String::new()
        });
        let (mut connection, done) = (connections.commands.clone(), self.done_sender.clone());
        tokio::spawn(async move {
            let differ: Result<Vec<usize>, _> = answer(connection.req_packed_command(&command).await);
            let differ =
                differ.map(|differ| differ.into_iter().map(|number| number.wrapping_sub(1)).collect());
            let _ = done.send(Done::Swept { number, differ });
        });
    }

    /// Makes the calls that are due.
    fn call(&mut self) {
        while self.calls < CALLS
            && let Link::Up(connections) = &self.link
            && let Some(due) = self.outbox.next(|_| true)
        {
            let command = publish_command(&self.keys, &self.rules, &due);
            let (chain, number) = (due.chain, due.number);
            let calling = self.with_replicas(connections.commands.clone(), command);
            let done = self.done_sender.clone();
            self.calls += 1;
            tokio::spawn(async move {
                let end = calling.await.and_then(call_end);
                let _ = done.send(Done::Called { chain, number, end });
            });
        }
    }
}

type ReadAnswer = (u64, Vec<u8>, u8, u64, Vec<Vec<u8>>);

fn read_of((offset, tag, complete, certain_from, entries): ReadAnswer) -> Result<Read, Trouble> {
    let unexpected = || Trouble::unexpected("a script in Redis");
    let tag = u64::from_be_bytes(tag.try_into().map_err(|_| unexpected())?);
    let entries: Result<Vec<_>, _> = entries.into_iter().map(|entry| Entry::decode(&entry.into())).collect();
    Ok(Read {
        position: orosync_protocol::Position { offset, tag },
        complete: complete == 1,
        certain_from,
        entries: entries.map_err(|_| unexpected())?,
    })
}

fn answer<T: redis::FromRedisValue>(value: RedisResult<Value>) -> Result<T, Trouble> {
    let value = value?.extract_error().map_err(|error: RedisError| Trouble::from(error))?;
    redis::from_redis_value(value).map_err(|_| Trouble::unexpected("a script in Redis"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The call of the script that accepts these messages.
fn publish_command(keys: &Keys, rules: &HistoryRules, due: &Due<'_>) -> Cmd {
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
    command
        .arg(super::outbox::NUMBER_KEPT.as_secs())
        .arg(milliseconds(HEAD_KEPT))
        .arg("PUBLISH")
        .arg(topics.len());
    for topic in topics {
        let limits = rules.policies.history(topic.as_str(), rules.settings.limits);
        let most_bytes = (rules.settings.bytes / SHARE).max(READ_BYTES);
        command
            .arg(keys.channel(topic))
            .arg(limits.events.max(LEAST_EVENTS))
            .arg(milliseconds(limits.age).max(1))
            .arg(most_bytes);
    }
    for (message, topic) in due.messages.iter().zip(numbers) {
        command.arg(topic).arg(message.seq.get()).arg(Tag(message.tag)).arg(&message.body);
    }
    command
}

fn call_end(value: Value) -> Result<CallEnd, Trouble> {
    let answer: Vec<Value> =
        redis::from_redis_value(value).map_err(|_| Trouble::unexpected("a script in Redis"))?;
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

/// Connects to the primary, and asks whether the nodes of this prefix are of the same cluster.
async fn enter(
    connector: &Connector,
    keys: &Keys,
    settings: &Settings,
    pushes: Pushes,
) -> Result<Connected, Trouble> {
    let place = connector.primary().await?;
    let mut commands = connector.commands(&place).await?;
    let about = examine(&mut commands).await?;
    for script in scripts::all() {
        script.load_async(&mut commands).await?;
    }
    let at = Partition::CONTROL;
    let mut command = scripts::call(&scripts::ENTER, &[keys.epoch(at), keys.id(at), keys.secret(at)]);
    let id = format!("{:032x}", rand::random::<u128>());
    command.arg(&about.run_id).arg(id).arg(&settings.secrets);
    let entered: Vec<Value> = answer(Ok(request(&mut commands, &command).await?))?;
    let cluster: Option<String> = entered.get(1).and_then(|value| redis::from_redis_value_ref(value).ok());
    let cluster = cluster.and_then(|id| id.parse().ok());
    let Some(cluster) = cluster else {
        return Err(Trouble::new(
            "secret",
            format!(
                "other nodes use the prefix \"{}\" on this Redis with another secret. Give each application its own \
                 broker.prefix, and the nodes of one application the same secret",
                settings.redis.prefix
            ),
        ));
    };
    let number = pushes.number();
    let pushes = connector.pushes(&place, pushes.sender()).await?;
    Ok(Connected { place, about: about.version, cluster, commands, pushes, pushes_number: number })
}
