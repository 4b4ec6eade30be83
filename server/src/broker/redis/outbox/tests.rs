//! The outbox against a model of the script that it calls, and that model against the script.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;

use proptest::prelude::*;
use redis::{Cmd, Connection, Value};

use super::super::calls::{self, EventBody, Verbs};
use super::super::keys::Keys;
use super::super::scripts;
use super::super::tests::Server;
use super::*;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::{Settled, Waiter};

/// Publishers of a test.
const PUBLISHERS: u64 = 3;

/// Topics of a test.
const TOPICS: usize = 3;

/// Events that the script is told to keep of a topic.
const KEPT: usize = 5;

/// The partitions that publishers write to: each to one.
fn key(publisher: u64) -> ChainKey {
    ChainKey {
        publisher: PublisherId(publisher.into()),
        partition: Partition(usize::try_from(publisher % 2).unwrap()),
    }
}

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("t/{number}")).unwrap()
}

/// What a message is known by.
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

/// A topic, as the script keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelTopic {
    offset: u64,
    tag: u64,
    /// The tag before, the own one, and the offset of each entry.
    entries: VecDeque<(u64, u64, u64)>,
}

/// What Redis is to the outbox: `publish.lua`.
#[derive(Clone, Debug, Default)]
struct Model {
    highest: BTreeMap<u64, u64>,
    topics: BTreeMap<usize, ModelTopic>,
    log: Vec<Name>,
}

/// A message as the script gets it.
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

    /// One call of the script. The number is what it says.
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
            topic.entries.drain(..topic.entries.len().saturating_sub(KEPT));
        }
        let last = new.last().map_or(highest, |message| message.seq);
        self.highest.insert(publisher, last);
        (true, last)
    }
}

/// Calls the script as the worker does.
fn call(connection: &mut Connection, publisher: u64, before: Option<u64>, messages: &[Sent]) -> (bool, u64) {
    let outgoing = |message: &Sent| to_send(message, 4);
    let messages: Vec<_> = messages.iter().map(outgoing).collect();
    call_for(connection, publisher, before, &messages, 1 << 20)
}

/// With a body of so many bytes.
fn to_send(message: &Sent, bytes: usize) -> Outgoing {
    Outgoing {
        seq: Seq::new(message.seq).unwrap(),
        topic: topic(message.topic),
        tag: message.tag,
        body: vec![b'x'; bytes],
        _credit: CreditPool::new(1, 1, || {}).take(0),
    }
}

/// The same, where so many bytes are kept of a topic.
fn call_for(
    connection: &mut Connection,
    publisher: u64,
    before: Option<u64>,
    messages: &[Outgoing],
    bytes: usize,
) -> (bool, u64) {
    let due = Due {
        chain: ChainKey { publisher: PublisherId(publisher.into()), partition: Partition(0) },
        number: 0,
        before: before.and_then(Seq::new),
        messages,
    };
    let command = calls::publish_kept(&keys(), Verbs::SINGLE, &due, |_| EventBody {
        events: KEPT,
        age: Duration::from_mins(1),
        bytes,
    });
    let (is_accepted, highest): (u8, u64) = command.query(connection).unwrap();
    (is_accepted == 1, highest)
}

fn keys() -> Keys {
    Keys::single("p")
}

/// What the script has written of a topic.
fn kept(connection: &mut Connection, number: usize) -> ModelTopic {
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
fn the_model_does_what_the_script_does() {
    let server = Server::start();
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    let connection = RefCell::new(client.get_connection().unwrap());
    scripts::PUBLISH.prepare_invoke().load(&mut connection.borrow_mut()).unwrap();
    // Numbers, not all of them, near those that were accepted; and what was before them, or not.
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
            let said = call(connection, publisher, before, &messages);
            prop_assert_eq!(said, model.publish(publisher, before, &messages));
            for number in 0..TOPICS {
                let topic = model.topics.get(&number).cloned().unwrap_or_default();
                prop_assert_eq!(kept(connection, number), topic);
            }
        }
    });
}

#[test]
fn what_is_kept_of_a_topic_is_within_its_bounds_whatever_its_messages_weigh() {
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
                to_send(&Sent { seq, topic: 0, tag: seq }, *bytes)
            }).collect();
            prop_assert_eq!(call_for(connection, 1, None, &messages, BYTES), (true, seq));
            all.extend(call.iter().map(|bytes| bytes + ENTRY));
            let kept: Vec<Vec<u8>> = redis::cmd("LRANGE")
                .arg(keys().entries(&topic(0))).arg(0).arg(-1).query(connection).unwrap();
            let head: Vec<u8> = redis::cmd("GET").arg(keys().head(&topic(0))).query(connection).unwrap();
            let sizes: Vec<_> = kept.iter().map(Vec::len).collect();
            prop_assert!(all.ends_with(&sizes));
            let there: usize = sizes.iter().sum();
            prop_assert!(sizes.len() <= KEPT && (there <= BYTES || sizes.len() == 1));
            let counted = usize::try_from(u64::from_be_bytes(head[24..32].try_into().unwrap())).unwrap();
            prop_assert!(counted >= there, "{} are counted of {}", counted, there);
            // Light ones are dropped for their number alone.
            if !is_heavy && all.iter().rev().take(3 * (KEPT + 12)).all(|bytes| *bytes < 100 + ENTRY) {
                prop_assert_eq!(sizes.len(), all.len().min(KEPT));
            }
        }
    });
}

/// Tells what of a publication may be acknowledged.
#[derive(Debug)]
struct Told {
    names: Vec<Name>,
    told: Arc<Mutex<Vec<Vec<Name>>>>,
}

impl Waiter for Told {
    fn notify(&self, _: Settled) {
        self.told.lock().unwrap().push(self.names.clone());
    }
}

/// A call on the wire, and what it will have been.
#[derive(Debug)]
struct Wire {
    chain: ChainKey,
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
    /// The publisher has lost its connection to this node, and with it acknowledgements that it has not heard.
    Reconnect {
        publisher: u64,
    },
    Hear {
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
    /// The connection to Redis is lost: nobody knows what became of all that is on it.
    Lose,
    Resume {
        partition: usize,
    },
    Keep,
    FailOver,
}

fn steps(with_failovers: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..=PUBLISHERS, prop_oneof![8 => 1_u64..5, 1 => 60_u64..300])
            .prop_map(|(publisher, count)| Step::Push { publisher, count }),
        2 => (1..=PUBLISHERS).prop_map(|publisher| Step::Reconnect { publisher }),
        4 => (1..=PUBLISHERS).prop_map(|publisher| Step::Hear { publisher }),
        12 => proptest::option::of(0_usize..2).prop_map(|partition| Step::Send { partition }),
        10 => (1_usize..6).prop_map(|count| Step::Execute { count }),
        2 => Just(Step::Refuse),
        12 => (0_usize..3).prop_map(|at| Step::Answer { at }),
        1 => Just(Step::Lose),
        2 => (0_usize..2).prop_map(|partition| Step::Resume { partition }),
        2 => Just(Step::Keep),
        1 => Just(if with_failovers { Step::FailOver } else { Step::Keep }),
    ];
    proptest::collection::vec(step, 1..150)
}

/// The outbox, its publishers, and Redis.
struct Stage {
    outbox: Outbox,
    redis: Model,
    /// A replica, as it was last.
    replica: Model,
    wire: VecDeque<Wire>,
    told: Arc<Mutex<Vec<Vec<Name>>>>,
    /// Per publisher: its last number, and those that were not acknowledged as far as it knows.
    last: BTreeMap<u64, u64>,
    unacknowledged: BTreeMap<u64, BTreeSet<u64>>,
    /// What the node has acknowledged and the publisher has not heard.
    unheard: Vec<Name>,
    /// What was acknowledged.
    acknowledged: BTreeSet<Name>,
    /// What was in the log, of whatever line.
    was_in_log: BTreeSet<Name>,
    receipts: usize,
    settled: usize,
    /// How many messages were counted as accepted.
    accepted: u64,
    counts: OutboxCounts,
    /// A publisher that comes back is told nothing, and sends again all that it has not heard of.
    is_cluster: bool,
    /// No acknowledgement is on its way for long.
    hears_at_once: bool,
    now: Instant,
}

impl Stage {
    fn new(max_chains: usize) -> Self {
        Self {
            outbox: Outbox::new(max_chains),
            redis: Model::default(),
            replica: Model::default(),
            wire: VecDeque::new(),
            told: Arc::default(),
            last: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            unheard: Vec::new(),
            acknowledged: BTreeSet::new(),
            was_in_log: BTreeSet::new(),
            receipts: 0,
            settled: 0,
            accepted: 0,
            is_cluster: false,
            counts: OutboxCounts::default(),
            hears_at_once: false,
            now: Instant::now(),
        }
    }

    fn push(&mut self, publisher: u64, names: &[Name]) {
        // As links do, in batches.
        for names in names.chunks(50) {
            let told = Told { names: names.to_vec(), told: Arc::clone(&self.told) };
            let receipt: Arc<Receipt> = Receipt::new(told);
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
            Step::Hear { publisher } => self.hear(publisher),
            Step::Send { partition } => {
                self.send(partition);
            }
            Step::Execute { count } => (0..count).for_each(|_| self.execute(false)),
            Step::Refuse => self.execute(true),
            Step::Answer { at } => self.answer(at),
            Step::Lose => {
                for wire in std::mem::take(&mut self.wire) {
                    self.outbox.end_call(wire.chain, wire.number, CallEnd::Unknown);
                }
            }
            Step::Resume { partition } => self.outbox.resume(Partition(partition)),
            Step::Keep => self.replica = self.redis.clone(),
            Step::FailOver => self.redis = self.replica.clone(),
        }
        self.look();
    }

    fn hear(&mut self, publisher: u64) {
        for name in self.unheard.extract_if(.., |name| name.0 == publisher) {
            self.unacknowledged.entry(publisher).or_default().remove(&name.1);
        }
    }

    fn reconnect(&mut self, publisher: u64) {
        let chain = key(publisher);
        if self.is_cluster {
            self.outbox.come_back(chain.publisher, [chain.partition]);
            self.send_again(publisher);
            return;
        }
        if self.outbox.has_waiting(chain) {
            return;
        }
        // What is on its way is counted then, and answered before.
        while self.wire.iter().any(|wire| wire.chain == chain && wire.end.is_none()) {
            self.execute(false);
        }
        while let Some(at) = self.wire.iter().position(|wire| wire.chain == chain) {
            self.answer(at);
        }
        if self.outbox.has_waiting(chain) {
            return;
        }
        self.look();
        let highest = self.redis.highest(publisher);
        self.outbox.welcome(chain, Seq::new(highest), self.now);
        self.acknowledged.extend((1..=highest).map(|seq| (publisher, seq)));
        self.unacknowledged.entry(publisher).or_default().retain(|seq| *seq > highest);
        self.send_again(publisher);
    }

    fn send_again(&mut self, publisher: u64) {
        self.unheard.retain(|name| name.0 != publisher);
        let unacknowledged = self.unacknowledged.entry(publisher).or_default();
        let again: Vec<_> = unacknowledged.iter().map(|seq| (publisher, *seq)).collect();
        self.push(publisher, &again);
    }

    fn send(&mut self, partition: Option<usize>) -> bool {
        let Some(due) = self.outbox.next(|at| partition.is_none_or(|only| at.0 == only)) else {
            return false;
        };
        assert!(partition.is_none_or(|only| due.chain.partition.0 == only));
        assert!((1..=MAX_MESSAGES).contains(&due.messages.len()));
        assert!(due.messages.iter().map(|message| message.body.len()).sum::<usize>() <= MAX_BYTES);
        let messages = due.messages.iter().map(|message| Sent {
            seq: message.seq.get(),
            topic: usize::try_from(message.seq.get()).unwrap() % TOPICS,
            tag: message.tag,
        });
        let wire = Wire {
            chain: due.chain,
            number: due.number,
            before: due.before.map(Seq::get),
            messages: messages.collect(),
            end: None,
        };
        self.wire.push_back(wire);
        let chain = self.wire.back().unwrap().chain;
        let under_way = self.wire.iter().filter(|wire| wire.chain == chain).count();
        assert!(under_way <= MAX_UNDER_WAY);
        true
    }

    /// Redis comes to the next call, or refuses it.
    fn execute(&mut self, is_refused: bool) {
        let Some(wire) = self.wire.iter_mut().find(|wire| wire.end.is_none()) else { return };
        wire.end = Some(if is_refused {
            CallEnd::Unknown
        } else {
            let publisher = u64::try_from(wire.chain.publisher.0).unwrap();
            match self.redis.publish(publisher, wire.before, &wire.messages) {
                (true, _) => CallEnd::Accepted,
                (false, highest) => CallEnd::Missing { highest },
            }
        });
        self.was_in_log.extend(self.redis.log.iter().copied());
    }

    /// The answer of one of those that are executed arrives, perhaps before that of another.
    fn answer(&mut self, at: usize) {
        if let Some(end) = self.wire.get(at).and_then(|wire| wire.end) {
            let wire = self.wire.remove(at).unwrap();
            self.accepted += self.outbox.end_call(wire.chain, wire.number, end);
            // It is told once.
            self.outbox.end_call(wire.chain, wire.number, CallEnd::Unknown);
        }
    }

    fn look(&mut self) {
        for names in std::mem::take(&mut *self.told.lock().unwrap()) {
            self.settled += 1;
            for name in names {
                assert!(self.was_in_log.contains(&name), "{name:?} is acknowledged and was never accepted");
                self.acknowledged.insert(name);
                self.unheard.push(name);
            }
        }
        if self.hears_at_once {
            (1..=PUBLISHERS).for_each(|publisher| self.hear(publisher));
        }
        let mut ready = BTreeSet::new();
        for (partition, chains) in &self.outbox.ready {
            assert!(!chains.is_empty());
            for chain in chains {
                assert_eq!(chain.partition, *partition);
                assert!(ready.insert(chain.publisher.0), "a chain is ready once");
            }
        }
        for (key, chain) in &self.outbox.chains {
            assert_eq!(chain.is_ready, ready.contains(&key.publisher.0));
            assert!(chain.is_ready || !chain.may_send(), "it may send, and has no turn");
            assert_eq!(chain.is_paused, self.outbox.paused.contains(key));
            assert!(chain.sent <= MAX_UNDER_WAY);
        }
        let OutboxCounts { duplicates, again, lost } = self.outbox.take_counts();
        self.counts.duplicates += duplicates;
        self.counts.again += again;
        self.counts.lost += lost;
    }

    /// All goes well from now on, until nothing is left to do.
    fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < 100, "it comes to no end");
            for partition in 0..2 {
                self.outbox.resume(Partition(partition));
            }
            while self.send(None) {}
            self.execute_all();
            while !self.wire.is_empty() {
                self.answer(0);
            }
            self.look();
            if (1..=PUBLISHERS).all(|publisher| !self.outbox.has_waiting(key(publisher))) {
                break;
            }
        }
        assert!(self.outbox.chains.values().all(|chain| chain.calls.is_empty()));
        assert_eq!(self.settled, self.receipts, "every receipt is told");
    }

    fn execute_all(&mut self) {
        while self.wire.iter().any(|wire| wire.end.is_none()) {
            self.execute(false);
        }
    }

    /// What the log has of each publisher is in order, and each once.
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

    /// Whatever fails, and whichever chains are forgotten: all is accepted once, in order, and acknowledged.
    #[test]
    fn all_is_accepted_once_and_in_order(
        steps in steps(false),
        max_chains in 1_usize..5,
        is_cluster in proptest::bool::ANY,
    ) {
        let mut stage = Stage { is_cluster, ..Stage::new(max_chains) };
        for step in steps {
            stage.step(step);
        }
        stage.settle();
        stage.assert_log_in_order();
        let all: BTreeSet<_> =
            stage.last.iter().flat_map(|(publisher, last)| (1..=*last).map(|seq| (*publisher, seq))).collect();
        if max_chains as u64 > PUBLISHERS {
            prop_assert_eq!(stage.accepted, all.len() as u64);
        }
        prop_assert_eq!(stage.is_in_log(), all);
        prop_assert_eq!(stage.counts.lost, 0);
    }

    /// A failover loses what was acknowledged and nothing else, and how much is counted.
    #[test]
    fn a_failover_loses_only_what_was_acknowledged(steps in steps(true)) {
        let mut stage = Stage { hears_at_once: true, ..Stage::new(10) };
        for step in steps {
            stage.step(step);
        }
        stage.settle();
        // The next message shows what was lost before.
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

    /// What a publisher has not heard of and a failover has lost, it sends again.
    #[test]
    fn what_a_publisher_has_not_heard_of_is_taken_again(
        steps in steps(false),
        kept in 0_usize..150,
        is_cluster in proptest::bool::ANY,
    ) {
        let mut stage = Stage { is_cluster, ..Stage::new(10) };
        for (at, step) in steps.into_iter().enumerate() {
            // Acknowledgements stay away.
            if !matches!(step, Step::Hear { .. } | Step::Reconnect { .. }) {
                stage.step(step);
            }
            if at == kept {
                stage.step(Step::Keep);
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

/// Pushes one message of each of these publishers.
fn push_one_each(outbox: &mut Outbox, publishers: std::ops::Range<u64>, seq: u64, now: Instant) {
    for publisher in publishers {
        outbox.push(key(publisher), [outgoing((publisher, seq))], None, now);
    }
}

#[test]
fn all_that_are_ready_have_a_turn_whatever_one_of_them_has_to_send() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    outbox.push(key(1), (1..=1000).map(|seq| outgoing((1, seq))), None, now);
    push_one_each(&mut outbox, 2..6, 1, now);
    let turns: BTreeSet<_> = (0..8).map(|_| outbox.next(|_| true).unwrap().chain.publisher.0).collect();
    assert_eq!(turns.len(), 5);
}

#[test]
fn a_partition_that_may_not_send_holds_nobody_up() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    push_one_each(&mut outbox, 1..6, 1, now);
    for _ in 0..2 {
        assert_eq!(outbox.next(|partition| partition.0 == 0).unwrap().chain.partition.0, 0);
    }
    assert!(outbox.next(|partition| partition.0 == 0).is_none());
    assert_eq!(outbox.next(|_| true).unwrap().chain.partition.0, 1);
}

#[test]
fn publishers_that_only_come_are_forgotten_too() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    for publisher in 1..100 {
        outbox.welcome(key(publisher), Seq::new(5), now);
        assert!(outbox.chains.len() <= 10);
    }
}

#[test]
fn where_all_are_busy_none_is_forgotten_and_few_are_looked_at() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    push_one_each(&mut outbox, 1..1000, 1, now);
    assert_eq!(outbox.chains.len(), 999);
    while let Some(due) = outbox.next(|_| true) {
        let (chain, number) = (due.chain, due.number);
        outbox.end_call(chain, number, CallEnd::Accepted);
    }
    push_one_each(&mut outbox, 1000..1200, 1, now);
    assert!(outbox.chains.len() <= 211, "those that are idle are forgotten: {}", outbox.chains.len());
}

#[test]
fn a_number_that_redis_no_longer_keeps_is_no_loss() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    outbox.welcome(key(1), Seq::new(5), now);
    outbox.welcome(key(1), None, now + NUMBER_KEPT);
    assert_eq!(outbox.take_counts().lost, 0);
    outbox.push(key(1), [outgoing((1, 6))], None, now + NUMBER_KEPT);
    assert_eq!(outbox.next(|_| true).unwrap().before, None);
    outbox.welcome(key(2), Seq::new(5), now);
    outbox.welcome(key(2), Seq::new(3), now);
    assert_eq!(outbox.take_counts().lost, 2, "a failover");
}

/// Pushes these messages of publisher 1, and has Redis accept them: how many are counted.
fn accept(outbox: &mut Outbox, seqs: &[u64], now: Instant) -> u64 {
    outbox.push(key(1), seqs.iter().map(|seq| outgoing((1, *seq))), None, now);
    let mut accepted = 0;
    while let Some(due) = outbox.next(|_| true) {
        let (chain, number) = (due.chain, due.number);
        accepted += outbox.end_call(chain, number, CallEnd::Accepted);
    }
    accepted
}

#[test]
fn a_failover_loses_no_messages_that_are_in_other_partitions() {
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
fn what_a_publisher_sends_again_to_a_cluster_is_sent_to_redis_and_counted_once() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    assert_eq!(accept(&mut outbox, &[1], now) + accept(&mut outbox, &[2, 3], now), 3);
    outbox.come_back(key(1).publisher, [key(1).partition]);
    outbox.push(key(1), [outgoing((1, 3)), outgoing((1, 4))], None, now);
    let due = outbox.next(|_| true).unwrap();
    let (seqs, number) =
        (due.messages.iter().map(|message| message.seq.get()).collect::<Vec<_>>(), due.number);
    assert_eq!((due.before, seqs), (Seq::new(1), vec![3, 4]));
    // What is sent again a second time is on its way.
    outbox.come_back(key(1).publisher, [key(1).partition]);
    outbox.push(key(1), [outgoing((1, 3)), outgoing((1, 4))], None, now);
    assert_eq!(outbox.end_call(key(1), number, CallEnd::Accepted), 1);
    assert!(outbox.next(|_| true).is_none());
    assert_eq!(outbox.take_counts(), OutboxCounts { duplicates: 3, again: 0, lost: 0 });
}

#[test]
fn settled_calls_beyond_the_bound_are_counted_as_one() {
    let (mut outbox, now) = (Outbox::new(10), Instant::now());
    let count = 3 * MAX_SETTLED as u64;
    for seq in 1..=count {
        accept(&mut outbox, &[seq], now);
    }
    assert_eq!(outbox.chains[&key(1)].settled.len(), MAX_SETTLED);
    for highest in [10, 5] {
        outbox.welcome(key(1), Seq::new(highest), now);
    }
    assert_eq!(outbox.take_counts().lost, count - 5, "no more than there are numbers");
}
