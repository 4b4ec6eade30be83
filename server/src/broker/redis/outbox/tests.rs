//! The outbox against a model of the script that it calls, and this model against the script.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;

use proptest::prelude::*;
use redis::{Cmd, Connection, Value};

use super::super::calls::{self, EntryLimits, Verbs};
use super::super::keys::Keys;
use super::super::scripts;
use super::super::tests::Server;
use super::*;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::{Settled, Waiter};

/// Number of publishers of a test.
const PUBLISHERS: u64 = 3;

/// Number of topics of a test.
const TOPICS: usize = 3;

/// Maximum number of events that the script stores of a topic.
const MAX_STORED: usize = 5;

/// The flow of a publisher. Each publisher uses one partition.
fn key(publisher: u64) -> FlowKey {
    FlowKey {
        publisher: PublisherId(publisher.into()),
        partition: Partition(usize::try_from(publisher % 2).unwrap()),
    }
}

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("t/{number}")).unwrap()
}

/// Identifies a message: its publisher and its number.
type Name = (u64, u64);

fn outgoing((publisher, seq): Name) -> Outgoing {
    Outgoing {
        seq: Seq::new(seq).unwrap(),
        topic: topic(usize::try_from(seq).unwrap() % TOPICS),
        tag: publisher << 32 | seq,
        body: vec![0; 10],
        _credit: CreditPool::new(1, 1, || {}).take(0),
    }
}

/// A topic in the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelTopic {
    offset: u64,
    tag: u64,
    /// The previous tag, the own tag and the offset of each entry.
    entries: VecDeque<(u64, u64, u64)>,
}

/// The model of `publish.lua`.
#[derive(Clone, Debug, Default)]
struct Model {
    highest: BTreeMap<u64, u64>,
    topics: BTreeMap<usize, ModelTopic>,
    log: Vec<Name>,
}

/// A message as an argument of the script.
#[derive(Clone, Copy, Debug)]
struct Sent {
    seq: u64,
    topic: usize,
    tag: u64,
}

impl Model {
    fn highest(&self, publisher: u64) -> u64 {
        self.highest.get(&publisher).copied().unwrap_or(0)
    }

    /// Does what a call of the script does. Returns its result: whether it accepts the messages, and the highest number.
    fn publish(&mut self, publisher: u64, before: Option<u64>, messages: &[Sent]) -> (bool, u64) {
        let highest = self.highest(publisher);
        if before.is_some_and(|before| before > highest) {
            return (false, highest);
        }
        let new: Vec<_> = messages.iter().skip_while(|message| message.seq <= highest).collect();
        for message in &new {
            let topic = self.topics.entry(message.topic).or_default();
            topic.offset += 1;
            topic.entries.push_back((topic.tag, message.tag, topic.offset));
            topic.tag = message.tag;
            self.log.push((publisher, message.seq));
        }
        for topic in self.topics.values_mut() {
            topic.entries.drain(..topic.entries.len().saturating_sub(MAX_STORED));
        }
        let last = new.last().map_or(highest, |message| message.seq);
        self.highest.insert(publisher, last);
        (true, last)
    }
}

/// Calls the script as the worker does.
fn call(connection: &mut Connection, publisher: u64, before: Option<u64>, messages: &[Sent]) -> (bool, u64) {
    let outgoing = |message: &Sent| outgoing_of(message, 4);
    let messages: Vec<_> = messages.iter().map(outgoing).collect();
    call_with_bytes(connection, publisher, before, &messages, 1 << 20)
}

/// The message, with a body of `bytes` bytes.
fn outgoing_of(message: &Sent, bytes: usize) -> Outgoing {
    Outgoing {
        seq: Seq::new(message.seq).unwrap(),
        topic: topic(message.topic),
        tag: message.tag,
        body: vec![b'x'; bytes],
        _credit: CreditPool::new(1, 1, || {}).take(0),
    }
}

/// The same, with at most `bytes` bytes stored per topic.
fn call_with_bytes(
    connection: &mut Connection,
    publisher: u64,
    before: Option<u64>,
    messages: &[Outgoing],
    bytes: usize,
) -> (bool, u64) {
    let due = DueCall {
        flow: FlowKey { publisher: PublisherId(publisher.into()), partition: Partition(0) },
        number: 0,
        before: before.and_then(Seq::new),
        messages,
    };
    let command = calls::publish_limited(&keys(), Verbs::SINGLE, &due, |_| EntryLimits {
        events: MAX_STORED,
        age: Duration::from_mins(1),
        bytes,
    });
    let (is_accepted, highest): (u8, u64) = command.query(connection).unwrap();
    (is_accepted == 1, highest)
}

fn keys() -> Keys {
    Keys::single("p")
}

/// A topic as the script has written it.
fn stored_topic(connection: &mut Connection, number: usize) -> ModelTopic {
    let topic = topic(number);
    let ask = |command: &str, rest: &[&str], connection: &mut Connection| -> Value {
        let mut cmd: Cmd = redis::cmd(command);
        let key = if command == "GET" { keys().head(&topic) } else { keys().entries(&topic) };
        cmd.arg(key).arg(rest);
        cmd.query(connection).unwrap()
    };
    let number = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    let Value::BulkString(head) = ask("GET", &[], connection) else { return ModelTopic::default() };
    let entries: Vec<Vec<u8>> = redis::from_redis_value(ask("LRANGE", &["0", "-1"], connection)).unwrap();
    ModelTopic {
        offset: number(&head, 0),
        tag: number(&head, 8),
        entries: entries
            .iter()
            .map(|entry| (number(entry, 0), number(entry, 8), number(entry, 16)))
            .collect(),
    }
}

#[test]
fn the_model_equals_the_script() {
    let server = Server::start();
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let connection = RefCell::new(client.get_connection().unwrap());
    scripts::PUBLISH.prepare_invoke().load(&mut connection.borrow_mut()).unwrap();
    // Numbers near the accepted ones, with gaps, and with or without the number before them.
    let step = (1..=PUBLISHERS, 0_u64..8, proptest::collection::vec((1_u64..4, 0..TOPICS), 1..12), 0_u64..6);
    proptest!(|(steps in proptest::collection::vec(step, 1..30))| {
        let connection = &mut *connection.borrow_mut();
        redis::cmd("FLUSHDB").exec(connection).unwrap();
        let mut model = Model::default();
        for (publisher, back, messages, before) in steps {
            let mut seq = (model.highest(publisher) + 2).saturating_sub(back);
            let before = (before > 0).then(|| (seq + 2).saturating_sub(before));
            let messages: Vec<_> = messages.into_iter().map(|(more, topic)| {
                seq += more;
                Sent { seq, topic, tag: rand::random() }
            }).collect();
            let result = call(connection, publisher, before, &messages);
            prop_assert_eq!(result, model.publish(publisher, before, &messages));
            for number in 0..TOPICS {
                let topic = model.topics.get(&number).cloned().unwrap_or_default();
                prop_assert_eq!(stored_topic(connection, number), topic);
            }
        }
    });
}

#[test]
fn the_entries_of_a_topic_stay_within_their_bounds_whatever_their_sizes() {
    const BYTES: usize = 4000;
    const ENTRY: usize = 32;
    let server = Server::start();
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let connection = RefCell::new(client.get_connection().unwrap());
    scripts::PUBLISH.prepare_invoke().load(&mut connection.borrow_mut()).unwrap();
    let bytes = prop_oneof![4 => 4_usize..100, 1 => 500_usize..1500, 1 => Just(5000)];
    let calls = proptest::collection::vec(proptest::collection::vec(bytes, 1..12), 1..40);
    proptest!(|(calls in calls)| {
        let connection = &mut *connection.borrow_mut();
        redis::cmd("FLUSHDB").exec(connection).unwrap();
        let (mut seq, mut all) = (0, Vec::new());
        for call in calls {
            let is_heavy = call.iter().any(|bytes| *bytes > 100);
            let messages: Vec<_> = call.iter().map(|bytes| {
                seq += 1;
                outgoing_of(&Sent { seq, topic: 0, tag: seq }, *bytes)
            }).collect();
            prop_assert_eq!(call_with_bytes(connection, 1, None, &messages, BYTES), (true, seq));
            all.extend(call.iter().map(|bytes| bytes + ENTRY));
            let stored: Vec<Vec<u8>> = redis::cmd("LRANGE")
                .arg(keys().entries(&topic(0))).arg(0).arg(-1).query(connection).unwrap();
            let head: Vec<u8> = redis::cmd("GET").arg(keys().head(&topic(0))).query(connection).unwrap();
            let sizes: Vec<_> = stored.iter().map(Vec::len).collect();
            prop_assert!(all.ends_with(&sizes));
            let there: usize = sizes.iter().sum();
            prop_assert!(sizes.len() <= MAX_STORED && (there <= BYTES || sizes.len() == 1));
            let counted = usize::try_from(u64::from_be_bytes(head[24..32].try_into().unwrap())).unwrap();
            prop_assert!(counted >= there, "{} are counted of {}", counted, there);
            // Small entries are dropped because of their number only.
            if !is_heavy && all.iter().rev().take(3 * (MAX_STORED + 12)).all(|bytes| *bytes < 100 + ENTRY) {
                prop_assert_eq!(sizes.len(), all.len().min(MAX_STORED));
            }
        }
    });
}

/// Notes the messages of a publication that may be acknowledged.
#[derive(Debug)]
struct Acknowledgement {
    names: Vec<Name>,
    notified: Arc<Mutex<Vec<Vec<Name>>>>,
}

impl Waiter for Acknowledgement {
    fn notify(&self, _: Settled) {
        self.notified.lock().unwrap().push(self.names.clone());
    }
}

/// A call in flight, with its outcome once Redis has executed it.
#[derive(Debug)]
struct Wire {
    flow: FlowKey,
    number: u64,
    before: Option<u64>,
    messages: Vec<Sent>,
    end: Option<CallEnd>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push {
        publisher: u64,
        count: u64,
    },
    /// The publisher loses its connection to this node, and with it the acknowledgements in flight.
    Reconnect {
        publisher: u64,
    },
    Receive {
        publisher: u64,
    },
    Send {
        partition: Option<usize>,
    },
    Execute {
        count: usize,
    },
    Refuse,
    Answer {
        at: usize,
    },
    /// The connection to Redis is lost, and the outcome of all calls in flight is unknown.
    Lose,
    Resume {
        partition: usize,
    },
    Replicate,
    FailOver,
}

fn steps(with_failovers: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..=PUBLISHERS, prop_oneof![8 => 1_u64..5, 1 => 60_u64..300])
            .prop_map(|(publisher, count)| Step::Push { publisher, count }),
        2 => (1..=PUBLISHERS).prop_map(|publisher| Step::Reconnect { publisher }),
        4 => (1..=PUBLISHERS).prop_map(|publisher| Step::Receive { publisher }),
        12 => proptest::option::of(0_usize..2).prop_map(|partition| Step::Send { partition }),
        10 => (1_usize..6).prop_map(|count| Step::Execute { count }),
        2 => Just(Step::Refuse),
        12 => (0_usize..3).prop_map(|at| Step::Answer { at }),
        1 => Just(Step::Lose),
        2 => (0_usize..2).prop_map(|partition| Step::Resume { partition }),
        2 => Just(Step::Replicate),
        1 => Just(if with_failovers { Step::FailOver } else { Step::Replicate }),
    ];
    proptest::collection::vec(step, 1..150)
}

/// The outbox, its publishers, and Redis.
struct Stage {
    outbox: Outbox,
    redis: Model,
    /// A replica, which may lag behind.
    replica: Model,
    wire: VecDeque<Wire>,
    notified: Arc<Mutex<Vec<Vec<Name>>>>,
    /// For each publisher: its last number, and the numbers for which it has received no acknowledgement.
    last: BTreeMap<u64, u64>,
    unacknowledged: BTreeMap<u64, BTreeSet<u64>>,
    /// Messages that the node has acknowledged, but whose acknowledgement the publisher has not received.
    unreceived: Vec<Name>,
    /// All acknowledged messages.
    acknowledged: BTreeSet<Name>,
    /// All messages that were ever in the log, on any timeline.
    ever_in_log: BTreeSet<Name>,
    receipts: usize,
    settled: usize,
    /// Number of messages counted as accepted.
    accepted: u64,
    counts: OutboxCounts,
    /// Whether publishers resend all unacknowledged messages after a reconnect, instead of those after the highest number.
    is_cluster: bool,
    /// Whether publishers receive acknowledgements at once.
    receives_at_once: bool,
    now: Instant,
}

impl Stage {
    fn new(max_flows: usize) -> Self {
        Self {
            outbox: Outbox::new(max_flows),
            redis: Model::default(),
            replica: Model::default(),
            wire: VecDeque::new(),
            notified: Arc::default(),
            last: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            unreceived: Vec::new(),
            acknowledged: BTreeSet::new(),
            ever_in_log: BTreeSet::new(),
            receipts: 0,
            settled: 0,
            accepted: 0,
            is_cluster: false,
            counts: OutboxCounts::default(),
            receives_at_once: false,
            now: Instant::now(),
        }
    }

    fn push(&mut self, publisher: u64, names: &[Name]) {
        // In batches, like a link.
        for names in names.chunks(50) {
            let waiter = Acknowledgement { names: names.to_vec(), notified: Arc::clone(&self.notified) };
            let receipt: Arc<Receipt> = Receipt::new(waiter);
            let messages: Vec<_> = names.iter().copied().map(outgoing).collect();
            self.outbox.push(key(publisher), messages, Some(&receipt), self.now);
            self.receipts += 1;
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push { publisher, count } => {
                let last = self.last.entry(publisher).or_default();
                let names: Vec<_> = (*last + 1..=*last + count).map(|seq| (publisher, seq)).collect();
                *last += count;
                self.unacknowledged.entry(publisher).or_default().extend(names.iter().map(|(_, seq)| seq));
                self.push(publisher, &names);
            }
            Step::Reconnect { publisher } => self.reconnect(publisher),
            Step::Receive { publisher } => self.receive(publisher),
            Step::Send { partition } => {
                self.send(partition);
            }
            Step::Execute { count } => (0..count).for_each(|_| self.execute(false)),
            Step::Refuse => self.execute(true),
            Step::Answer { at } => self.answer(at),
            Step::Lose => {
                for wire in std::mem::take(&mut self.wire) {
                    self.outbox.end_call(wire.flow, wire.number, CallEnd::Unknown);
                }
            }
            Step::Resume { partition } => self.outbox.resume(Partition(partition)),
            Step::Replicate => self.replica = self.redis.clone(),
            Step::FailOver => self.redis = self.replica.clone(),
        }
        self.check();
    }

    fn receive(&mut self, publisher: u64) {
        for name in self.unreceived.extract_if(.., |name| name.0 == publisher) {
            self.unacknowledged.entry(publisher).or_default().remove(&name.1);
        }
    }

    fn reconnect(&mut self, publisher: u64) {
        let flow = key(publisher);
        if self.is_cluster {
            self.outbox.expect_resends(flow.publisher, [flow.partition]);
            self.resend(publisher);
            return;
        }
        if self.outbox.has_unsent(flow) {
            return;
        }
        // The highest number includes the calls in flight, which are answered earlier.
        while self.wire.iter().any(|wire| wire.flow == flow && wire.end.is_none()) {
            self.execute(false);
        }
        while let Some(at) = self.wire.iter().position(|wire| wire.flow == flow) {
            self.answer(at);
        }
        if self.outbox.has_unsent(flow) {
            return;
        }
        self.check();
        let highest = self.redis.highest(publisher);
        self.outbox.begin_after(flow, Seq::new(highest), self.now);
        self.acknowledged.extend((1..=highest).map(|seq| (publisher, seq)));
        self.unacknowledged.entry(publisher).or_default().retain(|seq| *seq > highest);
        self.resend(publisher);
    }

    fn resend(&mut self, publisher: u64) {
        self.unreceived.retain(|name| name.0 != publisher);
        let unacknowledged = self.unacknowledged.entry(publisher).or_default();
        let retried: Vec<_> = unacknowledged.iter().map(|seq| (publisher, *seq)).collect();
        self.push(publisher, &retried);
    }

    fn send(&mut self, partition: Option<usize>) -> bool {
        let Some(due) = self.outbox.next(|at| partition.is_none_or(|only| at.0 == only)) else {
            return false;
        };
        assert!(partition.is_none_or(|only| due.flow.partition.0 == only));
        assert!((1..=MAX_MESSAGES).contains(&due.messages.len()));
        assert!(due.messages.iter().map(|message| message.body.len()).sum::<usize>() <= MAX_BYTES);
        let messages = due.messages.iter().map(|message| Sent {
            seq: message.seq.get(),
            topic: usize::try_from(message.seq.get()).unwrap() % TOPICS,
            tag: message.tag,
        });
        let wire = Wire {
            flow: due.flow,
            number: due.number,
            before: due.before.map(Seq::get),
            messages: messages.collect(),
            end: None,
        };
        self.wire.push_back(wire);
        let flow = self.wire.back().unwrap().flow;
        let in_flight = self.wire.iter().filter(|wire| wire.flow == flow).count();
        assert!(in_flight <= MAX_IN_FLIGHT);
        true
    }

    /// Redis executes the next call, or refuses it.
    fn execute(&mut self, is_refused: bool) {
        let Some(wire) = self.wire.iter_mut().find(|wire| wire.end.is_none()) else { return };
        wire.end = Some(if is_refused {
            CallEnd::Unknown
        } else {
            let publisher = u64::try_from(wire.flow.publisher.0).unwrap();
            match self.redis.publish(publisher, wire.before, &wire.messages) {
                (true, _) => CallEnd::Accepted,
                (false, highest) => CallEnd::Missing { highest },
            }
        });
        self.ever_in_log.extend(self.redis.log.iter().copied());
    }

    /// The answer to an executed call arrives, perhaps before an earlier one.
    fn answer(&mut self, at: usize) {
        if let Some(end) = self.wire.get(at).and_then(|wire| wire.end) {
            let wire = self.wire.remove(at).unwrap();
            self.accepted += self.outbox.end_call(wire.flow, wire.number, end);
            // A second outcome is ignored.
            self.outbox.end_call(wire.flow, wire.number, CallEnd::Unknown);
        }
    }

    fn check(&mut self) {
        for names in std::mem::take(&mut *self.notified.lock().unwrap()) {
            self.settled += 1;
            for name in names {
                assert!(self.ever_in_log.contains(&name), "{name:?} was acknowledged but never accepted");
                self.acknowledged.insert(name);
                self.unreceived.push(name);
            }
        }
        if self.receives_at_once {
            (1..=PUBLISHERS).for_each(|publisher| self.receive(publisher));
        }
        let mut ready = BTreeSet::new();
        for (partition, flows) in &self.outbox.ready {
            assert!(!flows.is_empty());
            for flow in flows {
                assert_eq!(flow.partition, *partition);
                assert!(ready.insert(flow.publisher.0), "a flow is queued twice");
            }
        }
        for (key, flow) in &self.outbox.flows {
            assert_eq!(flow.is_ready, ready.contains(&key.publisher.0));
            assert!(flow.is_ready || !flow.may_send(), "a flow that may send is not ready");
            assert_eq!(flow.is_paused, self.outbox.paused.contains(key));
            assert!(flow.sent <= MAX_IN_FLIGHT);
        }
        let OutboxCounts { duplicates, retried, lost } = self.outbox.take_counts();
        self.counts.duplicates += duplicates;
        self.counts.retried += retried;
        self.counts.lost += lost;
    }

    /// Runs without failures until all calls are settled.
    fn settle(&mut self) {
        for iteration in 0.. {
            assert!(iteration < 100, "does not settle");
            for partition in 0..2 {
                self.outbox.resume(Partition(partition));
            }
            while self.send(None) {}
            self.execute_all();
            while !self.wire.is_empty() {
                self.answer(0);
            }
            self.check();
            if (1..=PUBLISHERS).all(|publisher| !self.outbox.has_unsent(key(publisher))) {
                break;
            }
        }
        assert!(self.outbox.flows.values().all(|flow| flow.calls.is_empty()));
        assert_eq!(self.settled, self.receipts, "every receipt is settled");
    }

    fn execute_all(&mut self) {
        while self.wire.iter().any(|wire| wire.end.is_none()) {
            self.execute(false);
        }
    }

    /// Checks that the log contains the messages of each publisher once and in order.
    fn assert_log_in_order(&self) {
        for publisher in 1..=PUBLISHERS {
            let seqs: Vec<_> =
                self.redis.log.iter().filter(|name| name.0 == publisher).map(|name| name.1).collect();
            assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
        }
    }

    fn is_in_log(&self) -> BTreeSet<Name> {
        self.redis.log.iter().copied().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever fails and whichever flows are forgotten, all messages are accepted once, in order, and acknowledged.
    #[test]
    fn all_messages_are_accepted_once_and_in_order(
        steps in steps(false),
        max_flows in 1_usize..5,
        is_cluster in proptest::bool::ANY,
    ) {
        let mut stage = Stage { is_cluster, ..Stage::new(max_flows) };
        for step in steps {
            stage.step(step);
        }
        stage.settle();
        stage.assert_log_in_order();
        let all: BTreeSet<_> =
            stage.last.iter().flat_map(|(publisher, last)| (1..=*last).map(|seq| (*publisher, seq))).collect();
        if max_flows as u64 > PUBLISHERS {
            prop_assert_eq!(stage.accepted, all.len() as u64);
        }
        prop_assert_eq!(stage.is_in_log(), all);
        prop_assert_eq!(stage.counts.lost, 0);
    }

    /// A failover loses acknowledged messages only, and their number is counted.
    #[test]
    fn a_failover_loses_acknowledged_messages_only(steps in steps(true)) {
        let mut stage = Stage { receives_at_once: true, ..Stage::new(10) };
        for step in steps {
            stage.step(step);
        }
        stage.settle();
        // The next message reveals the losses.
        for publisher in 1..=PUBLISHERS {
            stage.step(Step::Push { publisher, count: 1 });
        }
        stage.settle();
        stage.assert_log_in_order();
        let in_log = stage.is_in_log();
        for (publisher, last) in &stage.last {
            for name in (1..=*last).map(|seq| (*publisher, seq)) {
                prop_assert!(in_log.contains(&name) || stage.acknowledged.contains(&name), "{:?}", name);
            }
        }
        let lost = stage.acknowledged.difference(&in_log).count() as u64;
        prop_assert_eq!(stage.counts.lost, lost);
    }

    /// A publisher resends messages that a failover has lost before it received their acknowledgement.
    #[test]
    fn messages_without_a_received_acknowledgement_are_accepted_again_after_a_failover(
        steps in steps(false),
        replicated_at in 0_usize..150,
        is_cluster in proptest::bool::ANY,
    ) {
        let mut stage = Stage { is_cluster, ..Stage::new(10) };
        for (at, step) in steps.into_iter().enumerate() {
            // No acknowledgement arrives.
            if !matches!(step, Step::Receive { .. } | Step::Reconnect { .. }) {
                stage.step(step);
            }
            if at == replicated_at {
                stage.step(Step::Replicate);
            }
        }
        stage.settle();
        stage.step(Step::FailOver);
        (1..=PUBLISHERS).for_each(|publisher| stage.step(Step::Reconnect { publisher }));
        stage.settle();
        stage.assert_log_in_order();
        let in_log = stage.is_in_log();
        for (publisher, last) in &stage.last {
            prop_assert!((1..=*last).all(|seq| in_log.contains(&(*publisher, seq))));
        }
    }
}

/// Pushes one message of each publisher.
fn push_one_each(outbox: &mut Outbox, publishers: std::ops::Range<u64>, seq: u64, now: Instant) {
    for publisher in publishers {
        outbox.push(key(publisher), [outgoing((publisher, seq))], None, now);
    }
}

#[test]
fn ready_flows_are_served_round_robin() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    outbox.push(key(1), (1..=1000).map(|seq| outgoing((1, seq))), None, now);
    push_one_each(&mut outbox, 2..6, 1, now);
    let served: BTreeSet<_> = (0..8).map(|_| outbox.next(|_| true).unwrap().flow.publisher.0).collect();
    assert_eq!(served.len(), 5);
}

#[test]
fn a_partition_that_may_not_send_does_not_delay_others() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    push_one_each(&mut outbox, 1..6, 1, now);
    for _ in 0..2 {
        assert_eq!(outbox.next(|partition| partition.0 == 0).unwrap().flow.partition.0, 0);
    }
    assert!(outbox.next(|partition| partition.0 == 0).is_none());
    assert_eq!(outbox.next(|_| true).unwrap().flow.partition.0, 1);
}

#[test]
fn publishers_without_messages_are_forgotten_too() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    for publisher in 1..100 {
        outbox.begin_after(key(publisher), Seq::new(5), now);
        assert!(outbox.flows.len() <= 10);
    }
}

#[test]
fn busy_flows_are_not_forgotten_and_rarely_searched() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    push_one_each(&mut outbox, 1..1000, 1, now);
    assert_eq!(outbox.flows.len(), 999);
    while let Some(due) = outbox.next(|_| true) {
        let (flow, number) = (due.flow, due.number);
        outbox.end_call(flow, number, CallEnd::Accepted);
    }
    push_one_each(&mut outbox, 1000..1200, 1, now);
    assert!(outbox.flows.len() <= 211, "idle flows are forgotten: {}", outbox.flows.len());
}

#[test]
fn an_expired_number_does_not_count_as_a_loss() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    outbox.begin_after(key(1), Seq::new(5), now);
    outbox.begin_after(key(1), None, now + NUMBER_EXPIRY);
    assert_eq!(outbox.take_counts().lost, 0);
    outbox.push(key(1), [outgoing((1, 6))], None, now + NUMBER_EXPIRY);
    assert_eq!(outbox.next(|_| true).unwrap().before, None);
    outbox.begin_after(key(2), Seq::new(5), now);
    outbox.begin_after(key(2), Seq::new(3), now);
    assert_eq!(outbox.take_counts().lost, 2, "a failover");
}

/// Pushes these messages of publisher 1 and lets Redis accept them. Returns the number counted as accepted.
fn accept(outbox: &mut Outbox, seqs: &[u64], now: Instant) -> u64 {
    outbox.push(key(1), seqs.iter().map(|seq| outgoing((1, *seq))), None, now);
    let mut accepted = 0;
    while let Some(due) = outbox.next(|_| true) {
        let (flow, number) = (due.flow, due.number);
        accepted += outbox.end_call(flow, number, CallEnd::Accepted);
    }
    accepted
}

#[test]
fn messages_in_other_partitions_do_not_count_as_lost() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    for call in [&[1, 40][..], &[100], &[300, 500]] {
        accept(&mut outbox, call, now);
    }
    outbox.push(key(1), [outgoing((1, 900))], None, now);
    let number = outbox.next(|_| true).unwrap().number;
    outbox.end_call(key(1), number, CallEnd::Missing { highest: 40 });
    assert_eq!(outbox.take_counts().lost, 3);
    assert_eq!(outbox.next(|_| true).unwrap().before, Seq::new(40));
}

#[test]
fn messages_resent_to_a_cluster_are_sent_to_redis_and_counted_once() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    assert_eq!(accept(&mut outbox, &[1], now) + accept(&mut outbox, &[2, 3], now), 3);
    outbox.expect_resends(key(1).publisher, [key(1).partition]);
    outbox.push(key(1), [outgoing((1, 3)), outgoing((1, 4))], None, now);
    let due = outbox.next(|_| true).unwrap();
    let (seqs, number) =
        (due.messages.iter().map(|message| message.seq.get()).collect::<Vec<_>>(), due.number);
    assert_eq!((due.before, seqs), (Seq::new(1), vec![3, 4]));
    // Messages that are resent a second time are in flight already.
    outbox.expect_resends(key(1).publisher, [key(1).partition]);
    outbox.push(key(1), [outgoing((1, 3)), outgoing((1, 4))], None, now);
    assert_eq!(outbox.end_call(key(1), number, CallEnd::Accepted), 1);
    assert!(outbox.next(|_| true).is_none());
    assert_eq!(outbox.take_counts(), OutboxCounts { duplicates: 3, retried: 0, lost: 0 });
}

#[test]
fn settled_calls_beyond_the_bound_are_counted_as_one() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    let count = 3 * MAX_SETTLED as u64;
    for seq in 1..=count {
        accept(&mut outbox, &[seq], now);
    }
    assert_eq!(outbox.flows[&key(1)].settled.len(), MAX_SETTLED);
    for highest in [10, 5] {
        outbox.begin_after(key(1), Seq::new(highest), now);
    }
    assert_eq!(outbox.take_counts().lost, count - 5, "at most the difference of the numbers");
}
