//! The topics against a model of Redis: its topics, `read.lua` and `sweep.lua`, and connections that lose and repeat pushes.

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload};
use proptest::prelude::*;

use super::super::record::encode;
use super::recent::MAX_BUFFERED_BYTES;
use super::*;
use crate::auth::timeline::TimelineStart;
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// Number of topics of a test.
const TOPICS: usize = 2;

/// Maximum number of events that the model stores of a topic, and that an answer contains.
const MAX_STORED: usize = 8;
const MAX_ANSWER: usize = 5;

/// Maximum size of an answer in bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Redis' clock at the start of a test.
const START_MS: u64 = 1_000_000;

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("t/{number}")).unwrap()
}

/// An event in the model.
#[derive(Clone, Copy, Debug)]
struct Written {
    before: u64,
    position: Position,
    accepted: u64,
    is_large: bool,
}

impl Written {
    fn entry(&self, topic: Topic) -> Entry {
        let payload = if self.is_large { format!("\"{}\"", "x".repeat(300_000)) } else { "1".to_owned() };
        let payload = Payload::from_encoder(Bytes::from(payload)).unwrap();
        let message = Message { topic, payload, audience: Audience::default() };
        Entry::decode(&encode(self.before, self.position, self.accepted, &message).into()).unwrap()
    }
}

/// A topic in Redis.
#[derive(Clone, Debug, Default)]
struct ModelTopic {
    head: Option<Position>,
    /// Whether Redis is out of memory and cannot store a head.
    is_full: bool,
    stored: VecDeque<Written>,
    dropped: u64,
}

impl ModelTopic {
    /// Does what `read.lua` does.
    fn read(
        &mut self,
        since: ReadSince,
        limit: usize,
        excerpt: Excerpt,
        (epoch, new_tag): (u64, u64),
        topic: &Topic,
    ) -> Read {
        let limit = limit.min(MAX_ANSWER);
        let position =
            self.head.unwrap_or(Position { offset: 0, tag: if self.is_full { 0 } else { new_tag } });
        if !self.is_full {
            self.head = Some(position);
        }
        let length = self.stored.len();
        let (mut complete, mut wanted) = match since {
            ReadSince::Now => (true, 0),
            ReadSince::Everything => (true, length),
            ReadSince::Position(since) => {
                let behind =
                    position.offset.checked_sub(since.offset).map(|behind| usize::try_from(behind).unwrap());
                let complete = match behind {
                    Some(0) => position.tag == since.tag,
                    Some(behind) if behind <= length => self.stored[length - behind].before == since.tag,
                    _ => false,
                };
                (complete, if complete { behind.unwrap() } else { length })
            }
        };
        let is_page = wanted > limit && complete && excerpt == Excerpt::Oldest;
        let mut position = position;
        let stored = if is_page {
            complete = false;
            let page = length - wanted..length - wanted + limit;
            position = self.stored[page.end - 1].position;
            self.stored.range(page)
        } else {
            if wanted > limit {
                (complete, wanted) = (false, limit);
            }
            self.stored.range(length - wanted..)
        };
        let entries = stored.map(|written| written.entry(topic.clone())).collect();
        Read { position, complete, is_page, complete_since: epoch.max(self.dropped), entries }
    }
}

/// An observation about a node, in order.
#[derive(Debug)]
enum Item {
    Event(usize, Position),
    Break(usize),
    /// The topic has lost its last subscriber, or has got its first.
    Wanted(usize),
    Answer(Question, Result<Recovered, Unavailable>),
}

/// A recovery.
#[derive(Clone, Copy, Debug)]
struct Question {
    topic: usize,
    since: Option<Since>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Node(Mutex<Vec<Item>>);

impl EventHandler for Node {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        if let Event::Message(delivery) = event {
            self.push(Item::Event(number(&delivery.topic), delivery.position));
        }
    }

    fn handle_break(&self, topic: &Topic) {
        self.push(Item::Break(number(topic)));
    }

    fn begin_timeline(&self, _: &TimelineStart) {}

    fn handle_barrier(&self, _: &Arc<Receipt>) {}
}

fn are_confirmed(topics: &Topics) -> bool {
    topics.states.values().all(State::is_confirmed)
}

/// The offset of the topic's position, if the topic is in sync.
fn in_sync_at(topics: &Topics, topic: &Topic) -> Option<u64> {
    let state = topics.states.get(topic).filter(|state| state.subscription == Subscription::InSync)?;
    state.last.map(|at| at.position.offset)
}

impl Node {
    fn push(&self, item: Item) {
        self.0.lock().unwrap().push(item);
    }
}

fn number(topic: &Topic) -> usize {
    topic.as_str()[2..].parse().unwrap()
}

/// A push on the push connection.
#[derive(Debug)]
enum Pushed {
    Confirmed(usize),
    Entries(usize, Vec<Written>),
}

/// A request in flight, with the answer once Redis has executed it.
#[derive(Debug)]
enum Request {
    Read { number: u64, topic: usize, since: ReadSince, limit: usize, excerpt: Excerpt, answer: Option<Read> },
    Sweep { number: u64, topics: Arc<[(Topic, u64)]>, answer: Option<Vec<usize>> },
}

#[derive(Clone, Copy, Debug)]
enum AskSince {
    Nothing,
    NoPosition,
    /// One of the positions that clients know.
    Known(usize),
    MillisecondsAgo(u64),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Subscribe(usize),
    Unsubscribe(usize),
    Recover(usize, AskSince, usize),
    Publish(usize, u64, bool),
    Push,
    PushOfOldConnection,
    LosePush,
    DropPush,
    ExecuteSubscriptions,
    Execute(usize),
    Answer(usize),
    Fail(usize),
    Sweep,
    Wait(u64),
    Reconnect,
    Replicate,
    FailOver,
    Fill(usize),
    Free(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topic = || 0..TOPICS;
    let since = prop_oneof![
        2 => Just(AskSince::Nothing),
        1 => Just(AskSince::NoPosition),
        6 => (0_usize..1000).prop_map(AskSince::Known),
        2 => (0_u64..3000).prop_map(AskSince::MillisecondsAgo),
    ];
    let step = prop_oneof![
        4 => topic().prop_map(Step::Subscribe),
        2 => topic().prop_map(Step::Unsubscribe),
        8 => (topic(), since, 1_usize..12).prop_map(|(topic, since, limit)| Step::Recover(topic, since, limit)),
        14 => (topic(), 1_u64..5, proptest::bool::weighted(0.02))
            .prop_map(|(topic, count, is_large)| Step::Publish(topic, count, is_large)),
        14 => Just(Step::Push),
        3 => Just(Step::PushOfOldConnection),
        2 => Just(Step::LosePush),
        1 => Just(Step::DropPush),
        8 => Just(Step::ExecuteSubscriptions),
        16 => (0_usize..2).prop_map(Step::Execute),
        16 => (0_usize..3).prop_map(Step::Answer),
        1 => (0_usize..3).prop_map(Step::Fail),
        1 => Just(Step::Sweep),
        4 => prop_oneof![10 => 1_u64..500, 2 => 4000_u64..12000].prop_map(Step::Wait),
        1 => Just(Step::Reconnect),
        2 => Just(Step::Replicate),
        1 => Just(Step::FailOver),
        1 => topic().prop_map(Step::Fill),
        2 => topic().prop_map(Step::Free),
    ];
    proptest::collection::vec(step, 1..150)
}

/// A node and its Redis.
struct Stage {
    node: Arc<Node>,
    topics: Topics,
    shards: [usize; TOPICS],
    redis: [ModelTopic; TOPICS],
    replica: [ModelTopic; TOPICS],
    epoch: u64,
    subscribed: [bool; TOPICS],
    /// All events that were ever written, by tag.
    written: HashMap<u64, Written>,
    /// Positions that clients know, by topic.
    known_positions: [Vec<Position>; TOPICS],
    last_tag: u64,
    subscriptions: VecDeque<(usize, bool)>,
    pushes: VecDeque<Pushed>,
    old_pushes: VecDeque<Pushed>,
    requests: VecDeque<Request>,
    open: Arc<Mutex<Vec<Instant>>>,
    start: Instant,
    ms: u64,
}

impl Stage {
    fn new() -> Self {
        let (node, start) = (Arc::new(Node::default()), Instant::now());
        let mut topics = Topics::new(
            Keys::single("t"),
            Arc::<Node>::clone(&node),
            CreditPool::new(usize::MAX, 1 << 24, || {}),
        );
        topics.set_clock(start, START_MS);
        Self {
            node,
            topics,
            shards: [0; TOPICS],
            redis: Default::default(),
            replica: Default::default(),
            epoch: START_MS,
            subscribed: [false; TOPICS],
            written: HashMap::new(),
            known_positions: Default::default(),
            last_tag: 0,
            subscriptions: VecDeque::new(),
            pushes: VecDeque::new(),
            old_pushes: VecDeque::new(),
            requests: VecDeque::new(),
            open: Arc::default(),
            start,
            ms: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    fn step(&mut self, step: Step) {
        self.ms += 1;
        match step {
            Step::Subscribe(at) => {
                self.shards[at] += 1;
                self.topics.subscribe(&topic(at));
                if self.shards[at] == 1 {
                    self.node.push(Item::Wanted(at));
                }
            }
            Step::Unsubscribe(at) if self.shards[at] > 0 => {
                self.shards[at] -= 1;
                self.topics.unsubscribe(&topic(at), self.now());
                if self.shards[at] == 0 {
                    self.node.push(Item::Wanted(at));
                }
            }
            Step::Recover(at, since, limit) if self.shards[at] > 0 => self.recover(at, since, limit),
            Step::Unsubscribe(_) | Step::Recover(..) => {}
            Step::Publish(at, count, is_large) => self.publish(at, count, is_large),
            Step::Push => {
                let pushed = self.pushes.pop_front();
                self.push(pushed);
            }
            Step::PushOfOldConnection => {
                let pushed = self.old_pushes.pop_front();
                self.push(pushed);
            }
            Step::LosePush | Step::DropPush => {
                if let Some(Pushed::Entries(at, _)) = self.pushes.front() {
                    if matches!(step, Step::DropPush) {
                        self.topics.handle_dropped(&topic(*at));
                    }
                    self.pushes.pop_front();
                }
            }
            Step::ExecuteSubscriptions => self.execute_subscriptions(),
            Step::Execute(at) => self.execute(at),
            Step::Answer(at) => self.answer(at, false),
            Step::Fail(at) => self.answer(at, true),
            Step::Sweep => self.topics.sweep([Partition::CONTROL]),
            Step::Wait(ms) => self.wait(ms),
            Step::Reconnect => self.reconnect(),
            Step::Replicate => self.replica = self.redis.clone(),
            Step::FailOver => {
                self.redis = self.replica.clone();
                self.epoch = START_MS + self.ms;
                self.reconnect();
            }
            Step::Fill(at) => self.redis[at].is_full = true,
            Step::Free(at) => self.redis[at].is_full = false,
        }
        self.act();
        let bytes = |state: &State| state.out_of_order_bytes.max(state.recent.bytes);
        assert!(self.topics.states.values().all(|state| bytes(state) <= MAX_BUFFERED_BYTES));
        assert!(self.behind() <= 100 && self.topics.lingering.len() <= TOPICS);
    }

    fn recover(&mut self, at: usize, since: AskSince, limit: usize) {
        let since = match since {
            AskSince::Nothing => None,
            AskSince::NoPosition => Some(Since::Position(None)),
            AskSince::Known(number) if self.known_positions[at].is_empty() => {
                Some(Since::Position(Some(Position { offset: number as u64, tag: 0 })))
            }
            AskSince::Known(number) => {
                let known_positions = &self.known_positions[at];
                // Most clients ask from one of the latest.
                let back = if number < 500 { number % 6 } else { number };
                Some(Since::Position(Some(
                    known_positions[known_positions.len() - 1 - back % known_positions.len()],
                )))
            }
            AskSince::MillisecondsAgo(ago) => {
                Some(Since::Instant(self.now().checked_sub(Duration::from_millis(ago)).unwrap()))
            }
        };
        let question = Question { topic: at, since, limit };
        let (node, open, now) = (Arc::clone(&self.node), Arc::clone(&self.open), self.now());
        open.lock().unwrap().push(now);
        let hand_over = Box::new(move |answer| {
            node.push(Item::Answer(question, answer));
            let mut open = open.lock().unwrap();
            let at = open.iter().position(|asked| *asked == now).expect("answered once");
            open.remove(at);
        });
        self.topics.recover(&topic(at), since, limit, hand_over, now);
    }

    fn publish(&mut self, at: usize, count: u64, is_large: bool) {
        let mut run = Vec::new();
        for _ in 0..count {
            let redis = &mut self.redis[at];
            let head = redis.head.unwrap_or(Position { offset: 0, tag: 0 });
            self.last_tag += 1;
            let position = Position { offset: head.offset + 1, tag: self.last_tag };
            let written = Written { before: head.tag, position, accepted: START_MS + self.ms, is_large };
            redis.head = Some(position);
            redis.stored.push_back(written);
            if redis.stored.len() > MAX_STORED {
                redis.dropped = redis.stored.pop_front().unwrap().accepted;
            }
            self.written.insert(position.tag, written);
            self.known_positions[at].push(position);
            run.push(written);
        }
        if self.subscribed[at] {
            self.pushes.push_back(Pushed::Entries(at, run));
        }
    }

    fn push(&mut self, pushed: Option<Pushed>) {
        match pushed {
            Some(Pushed::Confirmed(at)) => self.topics.handle_confirmed(&topic(at)),
            Some(Pushed::Entries(at, run)) => {
                let entries = run.iter().map(|written| written.entry(topic(at))).collect();
                self.topics.handle_push(&topic(at), entries);
            }
            None => {}
        }
    }

    fn execute_subscriptions(&mut self) {
        for (at, is_subscribed) in std::mem::take(&mut self.subscriptions) {
            self.subscribed[at] = is_subscribed;
            if is_subscribed {
                self.pushes.push_back(Pushed::Confirmed(at));
            }
        }
    }

    /// Redis executes one of the requests.
    fn execute(&mut self, at: usize) {
        let is_open = |requests: &&mut Request| match requests {
            Request::Read { answer, .. } => answer.is_none(),
            Request::Sweep { answer, .. } => answer.is_none(),
        };
        match self.requests.iter_mut().filter(is_open).nth(at) {
            Some(Request::Read { topic: at, since, limit, excerpt, answer, .. }) => {
                self.last_tag += 1;
                let redis = &mut self.redis[*at];
                let read = redis.read(*since, *limit, *excerpt, (self.epoch, self.last_tag), &topic(*at));
                *answer = Some(read);
            }
            Some(Request::Sweep { topics, answer, .. }) => {
                let differs = |(topic, tag): &(Topic, u64)| {
                    self.redis[number(topic)].head.is_none_or(|head| head.tag != *tag)
                };
                let differ = topics.iter().enumerate().filter(|(_, topic)| differs(topic));
                *answer = Some(differ.map(|(at, _)| at).collect());
            }
            None => {}
        }
    }

    /// An answer arrives, perhaps before an earlier one, or the request fails.
    fn answer(&mut self, at: usize, fails: bool) {
        let is_executed = match self.requests.get(at) {
            Some(Request::Read { answer, .. }) => answer.is_some(),
            Some(Request::Sweep { answer, .. }) => answer.is_some(),
            None => return,
        };
        if !is_executed && !fails {
            return;
        }
        match self.requests.remove(at) {
            Some(Request::Read { number, topic: at, answer, .. }) => {
                let read = answer.filter(|_| !fails).ok_or(Unavailable);
                if let Ok(read) = &read {
                    self.known_positions[at].push(read.position);
                }
                self.topics.handle_read(number, read);
            }
            Some(Request::Sweep { number, answer, .. }) => {
                self.topics.handle_sweep(number, answer.filter(|_| !fails).ok_or(Unavailable));
            }
            None => {}
        }
    }

    fn wait(&mut self, ms: u64) {
        self.ms += ms;
        let now = self.now();
        self.topics.handle_timeout(now);
        assert!(
            self.open.lock().unwrap().iter().all(|asked| now < *asked + RECOVERY_TIMEOUT),
            "a recovery has no answer in time"
        );
    }

    fn reconnect(&mut self) {
        self.subscribed = [false; TOPICS];
        self.subscriptions.clear();
        let pushes = std::mem::take(&mut self.pushes).into_iter();
        self.old_pushes.extend(pushes.filter(|pushed| matches!(pushed, Pushed::Entries(..))));
        // Answers in flight may still arrive. Requests in flight may be executed or lost.
        self.topics.handle_reconnected(&[Partition::CONTROL]);
    }

    fn act(&mut self) {
        for action in self.topics.take_actions() {
            match action {
                Action::Subscribe(topic) => self.subscriptions.push_back((number(&topic), true)),
                Action::Unsubscribe(topic) => self.subscriptions.push_back((number(&topic), false)),
                Action::Read { number: id, topic, since, limit, excerpt } => {
                    let topic = number(&topic);
                    let requests = Request::Read { number: id, topic, since, limit, excerpt, answer: None };
                    self.requests.push_back(requests);
                }
                Action::Sweep { number, topics } => {
                    self.requests.push_back(Request::Sweep { number, topics, answer: None });
                }
            }
        }
    }

    /// Runs several iterations in which nothing is lost and nothing fails.
    fn run_without_faults(&mut self) {
        for _ in 0..20 {
            self.step(Step::ExecuteSubscriptions);
            while !self.old_pushes.is_empty() {
                self.step(Step::PushOfOldConnection);
            }
            while !self.pushes.is_empty() {
                self.step(Step::Push);
            }
            for _ in 0..self.requests.len() {
                self.step(Step::Execute(0));
                self.step(Step::Answer(0));
            }
            self.step(Step::Wait(300));
        }
    }

    fn behind(&self) -> usize {
        self.topics.partitions.iter().map(|partition| partition.behind.len()).sum()
    }

    fn assert_quiet(&self) {
        assert!(self.requests.is_empty(), "reads without end: {:?}", self.requests);
        assert!(self.open.lock().unwrap().is_empty(), "every recovery is answered");
        assert!(
            are_confirmed(&self.topics) && self.topics.reads.is_empty() && self.topics.recoveries.is_empty()
        );
        assert_eq!(self.behind(), 0);
        assert!(self.topics.sweeps.is_empty());
        assert!(self.topics.partitions.iter().all(|at| at.sweeps == 0 && at.reads_in_flight == 0));
        assert!(self.topics.buffered.is_available());
        for (topic, state) in &self.topics.states {
            assert_eq!(state.last.map(|at| at.position), self.redis[number(topic)].head);
            assert!(state.out_of_order.is_empty() && state.recent.events.is_empty());
            assert_eq!(state.subscription, Subscription::InSync);
        }
    }

    /// Checks that recoveries with these limits were answered, in this order.
    fn assert_answered<const N: usize>(&self, expected: [usize; N]) {
        let items = self.node.0.lock().unwrap();
        let answered = items.iter().filter_map(|item| match item {
            Item::Answer(question, answer) => Some((question.limit, answer.is_ok())),
            _ => None,
        });
        assert_eq!(answered.collect::<Vec<_>>(), expected.map(|limit| (limit, true)));
    }

    /// Checks the observations against the contract of the broker.
    fn assert_contract(&mut self) {
        let items = std::mem::take(&mut *self.node.0.lock().unwrap());
        let mut delivered: HashMap<u64, usize> = HashMap::new();
        // For each topic, the tag of the last event that its subscribers have. `None`: unknown.
        let mut last_tags = [None; TOPICS];
        let mut is_wanted = [false; TOPICS];
        for item in items {
            match item {
                Item::Wanted(at) => {
                    last_tags[at] = None;
                    is_wanted[at] ^= true;
                }
                Item::Break(at) => last_tags[at] = None,
                Item::Event(at, position) => {
                    assert!(delivered.insert(position.tag, at).is_none(), "{position:?} was delivered twice");
                    assert!(is_wanted[at]);
                    let before = self.written[&position.tag].before;
                    // The tag before the first event does not matter.
                    let is_next = |last| last == before || (last == 0 && position.offset == 1);
                    assert!(last_tags[at].is_none_or(is_next), "a gap before {position:?}");
                    last_tags[at] = Some(position.tag);
                }
                Item::Answer(_, Err(Unavailable)) => {}
                Item::Answer(question, Ok(recovered)) => {
                    let at = question.topic;
                    if is_wanted[at] {
                        let tag = recovered.position.tag;
                        let is_continued =
                            |last| last == tag || (last == 0 && recovered.position.offset == 0);
                        assert!(last_tags[at].is_none_or(is_continued), "{question:?} {recovered:?}");
                        last_tags[at] = Some(tag);
                    }
                    self.assert_answer(question, &recovered);
                }
            }
        }
    }

    fn assert_answer(&self, question: Question, recovered: &Recovered) {
        let Recovered { position, complete, events } = recovered;
        let events: Vec<_> = events.iter().map(|(position, _)| *position).collect();
        assert!(events.len() <= question.limit);
        // The timeline, from its end backwards.
        let mut timeline: Vec<&Written> = Vec::new();
        let mut tag = position.tag;
        while let Some(written) = self.written.get(&tag) {
            timeline.push(written);
            tag = written.before;
        }
        let latest: Vec<_> =
            timeline.iter().take(events.len()).rev().map(|written| written.position).collect();
        assert_eq!(events, latest, "the latest events of the timeline, in order");
        let missed = match question.since {
            None => Some(0),
            Some(Since::Position(None)) => None,
            Some(Since::Position(Some(since))) => {
                let positions = timeline.iter().map(|written| written.position).chain(
                    // The start of the timeline.
                    [Position { tag, offset: 0 }],
                );
                positions.enumerate().find(|(_, position)| *position == since).map(|(count, _)| count)
            }
            Some(Since::Instant(instant)) => {
                let from = START_MS
                    + u64::try_from(instant.saturating_duration_since(self.start).as_millis()).unwrap();
                (instant > self.start)
                    .then(|| timeline.iter().filter(|written| written.accepted >= from).count())
            }
        };
        assert!(!*complete || missed == Some(events.len()), "{question:?} {recovered:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Pushes are lost, repeated and late, requests fail, and failovers lose events.
    #[test]
    fn events_are_delivered_once_and_in_order_with_recoveries_in_their_place(steps in steps()) {
        let mut stage = Stage::new();
        for step in steps {
            stage.step(step);
        }
        for at in 0..TOPICS {
            stage.step(Step::Free(at));
        }
        stage.run_without_faults();
        stage.step(Step::Sweep);
        stage.run_without_faults();
        stage.assert_quiet();
        stage.assert_contract();
    }
}

/// A subscribed topic whose first event was delivered.
fn subscribed() -> Stage {
    let mut stage = Stage::new();
    stage.step(Step::Subscribe(0));
    stage.step(Step::Publish(0, 1, false));
    stage.run_without_faults();
    stage
}

fn breaks(stage: &Stage) -> u64 {
    stage.topics.counts.breaks
}

#[test]
fn a_topic_whose_head_redis_could_not_store_at_first_is_not_broken() {
    for (is_read_by_others, count) in [(false, 0), (true, 2)] {
        let mut stage = Stage::new();
        stage.step(Step::Fill(0));
        stage.step(Step::Subscribe(0));
        stage.run_without_faults();
        assert_eq!(stage.topics.states[&topic(0)].last.unwrap().position, Position { offset: 0, tag: 0 });
        stage.step(Step::Free(0));
        if is_read_by_others {
            stage.redis[0].head = Some(Position { offset: 0, tag: 1_000 });
            stage.step(Step::Publish(0, count, false));
        }
        stage.run_without_faults();
        stage.step(Step::Sweep);
        stage.run_without_faults();
        stage.assert_quiet();
        assert_eq!(breaks(&stage), 0);
        let delivered =
            stage.node.0.lock().unwrap().iter().filter(|item| matches!(item, Item::Event(..))).count();
        assert_eq!(delivered as u64, count);
        stage.assert_contract();
    }
}

#[test]
fn disconnects_whose_head_redis_could_not_store_at_first_keep_their_timeline() {
    let mut stage = Stage::new();
    let control = Topic::parse(orosync_protocol::disconnect::TOPIC).unwrap();
    stage.topics.subscribe(&control);
    stage.topics.handle_confirmed(&control);
    for tag in [0, 7] {
        stage.topics.ensure_read(&control);
        let asked = reads_among(&stage.topics.take_actions());
        let position = Position { offset: 0, tag };
        stage.topics.handle_read(asked[0].0, Ok(Read { position, ..empty_read() }));
        assert!(stage.topics.knows(&control, Some(position)) && stage.topics.knows(&control, None));
    }
    assert!(stage.topics.take_actions().is_empty());
}

#[test]
fn a_buffered_entry_is_delivered_after_the_answer_that_does_not_contain_it() {
    let mut stage = Stage::new();
    stage.step(Step::Subscribe(0));
    stage.step(Step::Recover(0, AskSince::Nothing, 5));
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    stage.step(Step::Execute(0));
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::Push);
    stage.step(Step::Answer(0));
    assert!(matches!(stage.node.0.lock().unwrap()[1..], [Item::Answer(..), Item::Event(..)]));
}

#[test]
fn a_buffered_entry_of_a_lost_timeline_does_not_cause_endless_reads() {
    let mut stage = subscribed();
    stage.step(Step::Replicate);
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::LosePush);
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::Push);
    // An entry of the old timeline, while the read of the new one is in flight.
    stage.step(Step::FailOver);
    stage.step(Step::PushOfOldConnection);
    stage.run_without_faults();
    stage.assert_quiet();
}

#[test]
fn an_event_of_a_new_timeline_pushed_before_the_break_is_detected_is_read_at_once() {
    let mut stage = subscribed();
    stage.step(Step::Replicate);
    stage.step(Step::Publish(0, 2, false));
    stage.step(Step::LosePush);
    stage.step(Step::Sweep);
    stage.run_without_faults();
    assert_eq!(stage.topics.states[&topic(0)].read_to, 3);
    // The promoted replica has one of the events.
    stage.step(Step::FailOver);
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    stage.step(Step::Sweep);
    for _ in ["the sweep", "the read that suspects a break"] {
        stage.step(Step::Execute(0));
        stage.step(Step::Answer(0));
    }
    // The read that detects the break does not contain the next event.
    stage.step(Step::Execute(0));
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::Push);
    stage.step(Step::Answer(0));
    assert_eq!(breaks(&stage), 1);
    // No further sweep is needed.
    stage.step(Step::Execute(0));
    stage.step(Step::Answer(0));
    stage.assert_quiet();
    stage.assert_contract();
}

#[test]
fn broken_topics_are_counted_and_the_first_is_named() {
    let mut stage = Stage::new();
    for at in 0..TOPICS {
        stage.step(Step::Subscribe(at));
        stage.step(Step::Publish(at, 1, false));
    }
    stage.run_without_faults();
    assert_eq!(stage.topics.take_counts().broken, None);
    // Redis restarts without its data.
    stage.replica = Default::default();
    stage.step(Step::FailOver);
    stage.run_without_faults();
    stage.step(Step::Sweep);
    stage.run_without_faults();
    let TopicCounts { breaks, broken, .. } = stage.topics.take_counts();
    assert_eq!((breaks, broken), (2, Some((2, topic(0)))));
    assert_eq!(stage.topics.take_counts(), TopicCounts::default());
}

#[test]
fn a_failed_read_is_retried_after_a_pause() {
    let mut stage = Stage::new();
    stage.step(Step::Subscribe(0));
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    for _ in 0..3 {
        assert_eq!(stage.requests.len(), 1);
        stage.step(Step::Fail(0));
        assert_eq!(stage.requests.len(), 0);
        stage.step(Step::Wait(1));
        assert_eq!(stage.requests.len(), 0);
        stage.step(Step::Wait(u64::try_from(READ_PAUSE.as_millis()).unwrap()));
    }
}

#[test]
fn a_topic_that_is_behind_is_queued_once() {
    let mut stage = subscribed();
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::DropPush);
    stage.step(Step::Wait(1));
    stage.step(Step::Fail(0));
    for _ in 0..10 {
        stage.step(Step::Recover(0, AskSince::Known(1), 5));
        stage.step(Step::Execute(0));
        stage.step(Step::Answer(0));
        assert!(stage.behind() <= 1);
    }
    stage.run_without_faults();
    stage.assert_quiet();
}

#[test]
fn a_dropped_push_is_read_at_once_when_there_is_room() {
    let mut stage = subscribed();
    stage.step(Step::Publish(0, 3, false));
    stage.step(Step::DropPush);
    stage.step(Step::Wait(100));
    stage.step(Step::Execute(0));
    stage.step(Step::Answer(0));
    stage.assert_quiet();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn an_outdated_read_does_not_reset_a_topic() {
    let mut stage = subscribed();
    stage.step(Step::Replicate);
    stage.step(Step::Publish(0, 2, false));
    stage.step(Step::LosePush);
    stage.step(Step::Sweep);
    stage.step(Step::Execute(0));
    stage.step(Step::Answer(0));
    stage.step(Step::Execute(0));
    // The read is in flight while a replica without these events is promoted.
    stage.step(Step::FailOver);
    stage.step(Step::Publish(0, 1, false));
    let old = stage.requests.pop_front().unwrap();
    stage.run_without_faults();
    stage.requests.push_back(old);
    stage.step(Step::Sweep);
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn events_buffered_during_a_read_are_bounded_and_cause_no_break() {
    let mut stage = subscribed();
    stage.step(Step::Recover(0, AskSince::Known(1), 100));
    stage.step(Step::Execute(0));
    for _ in 0..6 {
        stage.step(Step::Publish(0, 1, true));
        stage.step(Step::Push);
    }
    assert!(stage.topics.states[&topic(0)].recent.is_truncated);
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn a_read_overtaken_by_too_many_events_causes_no_break() {
    let mut stage = subscribed();
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::Sweep);
    for _ in 0..2 {
        stage.step(Step::Execute(0));
        stage.step(Step::Push);
        if stage.requests.len() == 1 && matches!(stage.requests[0], Request::Sweep { .. }) {
            // The push has arrived before the answer, so the topic is not in sync.
            stage.topics.states.get_mut(&topic(0)).unwrap().subscription = Subscription::Confirmed;
            stage.step(Step::Answer(0));
        }
    }
    for _ in 0..6 {
        stage.step(Step::Publish(0, 1, true));
        stage.step(Step::Push);
    }
    assert!(stage.topics.states[&topic(0)].recent.is_truncated);
    stage.run_without_faults();
    stage.assert_quiet();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn a_read_that_arrives_before_the_pushes_causes_no_break() {
    let mut stage = subscribed();
    // More events than Redis stores, all in pending pushes.
    for _ in 0..MAX_STORED + 2 {
        stage.step(Step::Publish(0, 1, false));
    }
    for _ in ["the sweep", "the read that it requests"] {
        stage.step(Step::Sweep);
        stage.step(Step::Execute(0));
        stage.step(Step::Answer(0));
    }
    while !stage.pushes.is_empty() {
        stage.step(Step::Push);
    }
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(breaks(&stage), 0);
}

/// A topic that has missed all stored events. The first page was read, and the second is requested.
fn paging() -> Stage {
    let mut stage = subscribed();
    for _ in 0..MAX_STORED / 4 {
        stage.step(Step::Publish(0, 4, false));
        stage.step(Step::LosePush);
    }
    for _ in ["the sweep", "the read that it requests"] {
        stage.step(Step::Sweep);
        stage.step(Step::Execute(0));
        stage.step(Step::Answer(0));
    }
    stage.requests.retain(|requests| matches!(requests, Request::Read { .. }));
    assert_eq!(stage.requests.len(), 1, "one page at a time");
    assert_eq!(stage.topics.states[&topic(0)].last.unwrap().position.offset, 1 + MAX_ANSWER as u64);
    stage
}

#[test]
fn a_gap_larger_than_an_answer_is_read_page_by_page_without_a_break() {
    let mut stage = paging();
    // Meanwhile a session requests a recovery, an entry is pushed out of order, and the next page is lost.
    stage.step(Step::Recover(0, AskSince::Known(3), 12));
    assert_eq!(stage.requests.len(), 1, "the recovery waits for the last page");
    stage.step(Step::Publish(0, 2, false));
    stage.step(Step::Push);
    stage.step(Step::Fail(0));
    stage.run_without_faults();
    stage.step(Step::Sweep);
    stage.run_without_faults();
    stage.assert_quiet();
    let delivered =
        stage.node.0.lock().unwrap().iter().filter(|item| matches!(item, Item::Event(..))).count();
    assert_eq!(delivered, MAX_STORED + 2);
    stage.assert_contract();
    assert_eq!(stage.topics.counts, TopicCounts { gaps: 1, breaks: 0, broken: None });
}

#[test]
fn a_recovery_read_before_a_page_does_not_end_paging() {
    let mut stage = subscribed();
    stage.step(Step::Reconnect);
    stage.step(Step::Publish(0, 2, false));
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    stage.topics.handle_dropped(&topic(0));
    stage.step(Step::Wait(1));
    stage.step(Step::Recover(0, AskSince::Known(1), 5));
    stage.step(Step::Execute(1));
    stage.step(Step::Publish(0, 6, false));
    stage.step(Step::LosePush);
    stage.step(Step::Execute(0));
    stage.step(Step::Answer(0));
    assert!(stage.topics.states[&topic(0)].is_paging);
    stage.step(Step::Answer(0));
    stage.assert_answered([5]);
    let State { is_paging, subscription, .. } = &stage.topics.states[&topic(0)];
    assert!(*is_paging && *subscription == Subscription::Confirmed, "another page follows");
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(stage.topics.counts.gaps, 1);
}

#[test]
fn recoveries_that_wait_for_the_last_page_are_answered_in_order_across_a_reconnect() {
    let mut stage = paging();
    stage.step(Step::Recover(0, AskSince::Known(3), 1));
    stage.step(Step::Reconnect);
    stage.step(Step::Recover(0, AskSince::Nothing, 2));
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    stage.step(Step::Recover(0, AskSince::Known(0), 3));
    stage.run_without_faults();
    stage.assert_answered([1, 2, 3]);
    stage.assert_contract();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn a_timeline_that_ends_between_two_pages_breaks_the_topic_once() {
    let mut stage = paging();
    // The replica has fewer events than the first page.
    let replica = &mut stage.replica[0];
    *replica = stage.redis[0].clone();
    replica.stored.truncate(2);
    replica.head = replica.stored.back().map(|last| last.position);
    stage.step(Step::Recover(0, AskSince::Known(3), 12));
    stage.step(Step::FailOver);
    stage.step(Step::Publish(0, 2, false));
    stage.run_without_faults();
    stage.step(Step::Sweep);
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(breaks(&stage), 1);
}

#[test]
fn late_pushes_may_overtake_a_page() {
    let mut stage = subscribed();
    for _ in 0..MAX_STORED / 2 {
        stage.step(Step::Publish(0, 2, false));
    }
    let late = std::mem::take(&mut stage.pushes);
    for _ in ["the sweep", "the read that it requests"] {
        stage.step(Step::Sweep);
        stage.step(Step::Execute(0));
        stage.requests.truncate(1);
        if matches!(stage.requests[0], Request::Sweep { .. }) {
            stage.step(Step::Answer(0));
        }
    }
    stage.pushes = late;
    // The page ends within the second push.
    for _ in 0..3 {
        stage.step(Step::Push);
    }
    stage.run_without_faults();
    stage.step(Step::Sweep);
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
    assert_eq!(breaks(&stage), 0);
}

#[test]
fn recoveries_of_a_topic_are_answered_in_order_although_one_is_read_again() {
    let mut stage = subscribed();
    stage.step(Step::Publish(0, 2, false));
    let foreign = Since::Position(Some(Position { offset: 0, tag: u64::MAX }));
    for (limit, since) in [(1, foreign), (5, Since::Position(Some(stage.known_positions[0][0])))] {
        let node = Arc::clone(&stage.node);
        let question = Question { topic: 0, since: Some(since), limit };
        let hand_over = Box::new(move |answer| node.push(Item::Answer(question, answer)));
        stage.topics.recover(&topic(0), Some(since), limit, hand_over, stage.now());
    }
    stage.act();
    // Redis has executed the reads, and earlier pushes are late.
    let late = std::mem::take(&mut stage.pushes);
    stage.run_without_faults();
    stage.pushes = late;
    stage.run_without_faults();
    let answers = stage.node.0.lock().unwrap();
    let answers: Vec<_> = answers
        .iter()
        .filter_map(|item| {
            if let Item::Answer(question, answer) = item { Some((question.limit, answer)) } else { None }
        })
        .collect();
    let counts: Vec<_> =
        answers.iter().map(|(limit, answer)| (*limit, answer.as_ref().unwrap().events.len())).collect();
    assert_eq!(counts, [(1, 1), (5, 2)]);
}

#[test]
fn recoveries_are_answered_in_order_although_one_was_in_flight_when_the_connection_was_lost() {
    let mut stage = subscribed();
    stage.step(Step::Recover(0, AskSince::Known(0), 1));
    stage.topics.handle_lost(&[Partition::CONTROL]);
    stage.step(Step::Recover(0, AskSince::Known(0), 2));
    stage.reconnect();
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_answered([1, 2]);
}

#[test]
fn a_topic_is_in_sync_after_a_reconnect_only_after_a_sweep() {
    let mut stage = subscribed();
    assert_eq!(in_sync_at(&stage.topics, &topic(0)), Some(1));
    stage.step(Step::Reconnect);
    stage.run_without_faults();
    assert!(are_confirmed(&stage.topics));
    assert_eq!(in_sync_at(&stage.topics, &topic(0)), None);
    stage.step(Step::Sweep);
    stage.run_without_faults();
    assert_eq!(in_sync_at(&stage.topics, &topic(0)), Some(1));
}

#[test]
fn a_topic_confirmed_after_the_sweep_is_read() {
    let mut stage = subscribed();
    stage.step(Step::Subscribe(1));
    stage.run_without_faults();
    stage.step(Step::Reconnect);
    stage.subscriptions.retain(|(at, _)| *at != 0);
    stage.step(Step::ExecuteSubscriptions);
    stage.step(Step::Push);
    // Redis does not push it.
    stage.step(Step::Publish(0, 1, false));
    stage.step(Step::Sweep);
    stage.step(Step::Execute(0));
    stage.step(Step::Answer(0));
    stage.subscriptions.push_back((0, true));
    stage.run_without_faults();
    assert_eq!(stage.topics.states[&topic(0)].last.map(|at| at.position), stage.redis[0].head);
    stage.step(Step::Sweep);
    stage.run_without_faults();
    stage.assert_quiet();
    stage.assert_contract();
}

#[test]
fn concurrent_reads_and_sweeps_are_bounded() {
    let mut topics =
        Topics::new(Keys::single("t"), Arc::new(Node::default()), CreditPool::new(1, 1 << 20, || {}));
    let names: Vec<_> = (0..20_000).map(topic).collect();
    for topic in &names {
        topics.subscribe(topic);
        topics.handle_confirmed(topic);
    }
    let (mut reads, mut sweeps) = (0, 0);
    while let actions = topics.take_actions()
        && !actions.is_empty()
    {
        let numbers: Vec<_> = actions
            .iter()
            .filter_map(|action| if let Action::Read { number, .. } = action { Some(*number) } else { None })
            .collect();
        assert!(numbers.len() * MAX_ANSWER_BYTES <= 64 << 20, "the size of all answers");
        reads += numbers.len();
        for number in numbers {
            let position = Position { offset: 0, tag: 7 };
            topics.handle_read(
                number,
                Ok(Read { position, complete: true, is_page: false, complete_since: 0, entries: vec![] }),
            );
        }
    }
    assert_eq!(reads, names.len());
    topics.sweep([Partition::CONTROL]);
    while let actions = topics.take_actions()
        && !actions.is_empty()
    {
        assert!(actions.len() <= MAX_SWEEPS);
        for action in actions {
            let Action::Sweep { number, topics: some } = action else { panic!("{action:?}") };
            sweeps += some.len();
            topics.handle_sweep(number, Ok(vec![]));
        }
    }
    assert_eq!(sweeps, names.len());
}

#[test]
fn a_sweep_ends_although_its_remaining_topics_are_gone() {
    let (mut topics, names) = read_once(Keys::single("t"), MAX_SWEEPS * SWEEP + 2000);
    topics.sweep([Partition::CONTROL]);
    let sweeps = sweeps_among(&topics.take_actions());
    let now = Instant::now();
    for topic in &names {
        topics.unsubscribe(topic, now);
    }
    topics.handle_timeout(now + LINGER);
    // Topics that are gone are dropped.
    topics.subscribe(&topic(0));
    let SweepRing { topics: left, to_sweep, .. } = &topics.partitions[0].sweep_ring;
    assert!(left.len() == 1 && *to_sweep <= 1, "{to_sweep} of {}", left.len());
    topics.unsubscribe(&topic(0), now);
    topics.handle_timeout(now + LINGER);
    for (number, _) in sweeps {
        topics.handle_sweep(number, Ok(vec![]));
    }
    assert_eq!(topics.partitions[0].sweep_ring.to_sweep, 0);
}

/// The topics of a node on a Cluster, all confirmed and read.
fn read_on_a_cluster(count: usize) -> (Topics, Keys, Vec<Topic>) {
    let keys = Keys::cluster("t");
    let (topics, names) = read_once(keys.clone(), count);
    (topics, keys, names)
}

/// `count` topics, all confirmed and read.
fn read_once(keys: Keys, count: usize) -> (Topics, Vec<Topic>) {
    let inbound = CreditPool::new(usize::MAX, 1 << 24, || {});
    let mut topics = Topics::new(keys, Arc::new(Node::default()), inbound);
    let names: Vec<_> = (0..count).map(topic).collect();
    for topic in &names {
        topics.subscribe(topic);
        topics.handle_confirmed(topic);
    }
    while let actions = topics.take_actions()
        && !actions.is_empty()
    {
        for (number, _) in reads_among(&actions) {
            topics.handle_read(number, Ok(empty_read()));
        }
    }
    (topics, names)
}

fn reads_among(actions: &[Action]) -> Vec<(u64, Topic)> {
    let read = |action: &Action| match action {
        Action::Read { number, topic, .. } => Some((*number, topic.clone())),
        _ => None,
    };
    actions.iter().filter_map(read).collect()
}

fn sweeps_among(actions: &[Action]) -> Vec<(u64, Topic)> {
    let sweep = |action: &Action| match action {
        Action::Sweep { number, topics } => Some((*number, topics[0].0.clone())),
        _ => None,
    };
    actions.iter().filter_map(sweep).collect()
}

/// The read of a topic without events.
fn empty_read() -> Read {
    let position = Position { offset: 0, tag: 7 };
    Read { position, complete: true, is_page: false, complete_since: 0, entries: vec![] }
}

#[test]
fn a_failed_sweep_does_not_delay_other_partitions() {
    let (mut topics, keys, _) = read_on_a_cluster(1000);
    topics.sweep(keys.partitions());
    let mut swept = HashSet::new();
    while let asked = sweeps_among(&topics.take_actions())
        && !asked.is_empty()
    {
        for (number, topic) in asked {
            swept.insert(keys.partition(&topic));
            topics.handle_sweep(number, Err(Unavailable));
        }
    }
    assert_eq!(swept.len(), 64);
}

#[test]
fn a_lost_connection_affects_only_the_topics_of_its_partitions() {
    let (mut topics, keys, names) = read_on_a_cluster(1000);
    topics.handle_lost(&[Partition(5)]);
    for topic in &names {
        assert_eq!(topics.is_confirmed(topic), keys.partition(topic) != Partition(5));
    }
    topics.handle_reconnected(&[Partition(5), Partition(6)]);
    let is_affected = |topic: &Topic| [Partition(5), Partition(6)].contains(&keys.partition(topic));
    let subscribed: HashSet<_> = topics
        .take_actions()
        .into_iter()
        .map(|action| match action {
            Action::Subscribe(topic) => topic,
            _ => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(subscribed, names.iter().filter(|topic| is_affected(topic)).cloned().collect());
    assert!(names.iter().all(|topic| topics.is_confirmed(topic) != is_affected(topic)));
}

#[test]
fn failed_and_slow_reads_in_one_partition_do_not_delay_others() {
    let (mut topics, keys, names) = read_on_a_cluster(2000);
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        names.iter().partition(|topic| keys.partition(topic) == Partition(5));
    for topic in &here {
        topics.handle_dropped(topic);
    }
    topics.read_topics_behind();
    let hanging = reads_among(&topics.take_actions());
    assert!(hanging.len() == 1 && here.len() > 1, "{} of {}", hanging.len(), here.len());
    for topic in &elsewhere[..2] {
        topics.handle_dropped(topic);
        topics.read_topics_behind();
        assert!(matches!(&reads_among(&topics.take_actions())[..], [(_, read)] if read == *topic));
        // The next read, while the failed partition pauses.
        topics.handle_read(hanging[0].0, Err(Unavailable));
        topics.handle_timeout(Instant::now());
    }
}

#[test]
fn partitions_are_read_round_robin_with_a_bounded_number_of_reads() {
    let (mut topics, keys, names) = read_on_a_cluster(5000);
    for topic in &names {
        topics.handle_dropped(topic);
    }
    topics.read_topics_behind();
    let asked = reads_among(&topics.take_actions());
    assert_eq!(asked.len(), 64);
    let partitions: HashSet<_> = asked.iter().map(|(_, topic)| keys.partition(topic)).collect();
    assert_eq!(partitions.len(), 64);
}
