//! The test fixture of the contract: a broker, its node and publishers.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload, Position, PublisherId, Seq, SessionId, Topic};

use crate::auth::timeline::TimelineStart;
use crate::broker::{Broker, EventHandler, Recovered, Since, Unavailable};
use crate::publication::credit::CreditPool;
use crate::publication::event_body::EventBody;
use crate::publication::receipt::{Receipt, Settled, Waiter};
use crate::publication::{Author, Content, Event, Item, Publication};

/// Time limit for a broker to handle everything that a test publishes: thousands of messages, on a machine under load.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The polling interval.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Maximum number of events of a topic that the tested broker stores.
pub(super) const MAX_STORED: usize = 1000;

/// Maximum number of messages in flight.
pub(super) const CREDIT: usize = 10;

/// The topics of a test.
const TOPICS: [&str; 3] = ["t", "a", "b"];

/// The names of topics and publishers of one test, distinct from those of all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names(u64);

impl Names {
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    pub(super) fn topic(self, name: &str) -> Topic {
        Topic::parse(&format!("{name}/{:x}", self.0)).unwrap()
    }

    pub(super) fn publisher(self, number: u64) -> PublisherId {
        PublisherId(u128::from(self.0) << 64 | u128::from(number))
    }

    /// The target of the test's disconnects.
    pub(super) fn target(self) -> Disconnect {
        Disconnect::Session(SessionId(self.0.into()))
    }
}

/// The content of an event: the payload of a message, or the target of a disconnect.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observed {
    pub(super) what: String,
    pub(super) position: Option<Position>,
}

/// A node that holds every event until the test marks all as written.
#[derive(Debug)]
pub(super) struct Node {
    names: Names,
    /// The events, in the order in which each of two receivers got them.
    observed: [Mutex<Vec<Observed>>; 2],
    events: Mutex<Vec<Event>>,
    barriers: Mutex<Vec<Arc<Receipt>>>,
}

impl Node {
    /// The events that one of the receivers got.
    pub(super) fn observed(&self, receiver: usize) -> Vec<Observed> {
        self.observed[receiver].lock().unwrap().clone()
    }

    /// Number of events that both receivers got.
    fn count(&self) -> usize {
        self.observed[1].lock().unwrap().len()
    }
}

impl EventHandler for Node {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        let observed = match &event {
            Event::Message(delivery) => {
                Observed { what: payload_of(&delivery.body), position: Some(delivery.position) }
            }
            // An event of another test that runs concurrently.
            Event::Disconnect(target, ..) if *target != self.names.target() => return,
            Event::Disconnect(target, ..) => Observed { what: target.to_string(), position: None },
        };
        for receiver in &self.observed {
            receiver.lock().unwrap().push(observed.clone());
            thread::yield_now();
        }
        self.events.lock().unwrap().push(event);
    }

    fn handle_break(&self, _: &Topic) {}

    fn begin_timeline(&self, _: &TimelineStart) {}

    fn handle_barrier(&self, receipt: &Arc<Receipt>) {
        self.barriers.lock().unwrap().push(Arc::clone(receipt));
    }
}

/// The result of a receipt, once it is settled.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer(Arc<OnceLock<Option<Seq>>>);

impl Answer {
    pub(super) fn is_settled(&self) -> bool {
        self.0.get().is_some()
    }
}

impl Waiter for Answer {
    fn notify(&self, settled: Settled) {
        self.0.set(settled.highest).expect("a receipt notifies once");
    }
}

/// Waits until a receipt is settled, while marking all events of these nodes as written. Returns the result.
pub(super) fn settled<const N: usize>(stages: [&Stage; N], answer: &Answer) -> Option<Seq> {
    stages[0].wait_for(|| {
        stages.iter().copied().for_each(Stage::write);
        answer.0.get().copied()
    })
}

/// A broker under test, with its node.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) names: Names,
    pub(super) broker: Box<dyn Broker>,
    pub(super) node: Arc<Node>,
    pub(super) credit: Arc<CreditPool>,
    /// Number of events that the test has examined.
    examined: AtomicUsize,
}

impl Stage {
    /// A fixture that subscribes to the topics of these names.
    pub(super) fn new(open: &impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>, names: Names) -> Self {
        let node = Arc::new(Node {
            names,
            observed: Default::default(),
            events: Mutex::default(),
            barriers: Mutex::default(),
        });
        let broker = open(Arc::<Node>::clone(&node));
        let credit = CreditPool::new(CREDIT, 1000, || {});
        let stage = Self { names, broker, node, credit, examined: AtomicUsize::new(0) };
        let topics = TOPICS.map(|name| names.topic(name));
        for topic in &topics {
            stage.broker.subscribe(topic);
        }
        for topic in &topics {
            stage.recover(topic, None);
        }
        stage
    }

    pub(super) fn message(&self, topic: &str, n: u64) -> Content {
        Content::Message(Message {
            topic: self.names.topic(topic),
            payload: Payload::from_encoder(Bytes::from(n.to_string())).unwrap(),
            audience: Audience::default(),
        })
    }

    pub(super) fn item(&self, seq: Option<u64>, content: Content) -> Item {
        Item { seq: seq.and_then(Seq::new), content, credit: self.credit.take(1) }
    }

    /// Publishes the numbers from `from` to `to`, each as its own payload.
    pub(super) fn publish(&self, publisher: u64, from: u64, to: u64) -> Answer {
        self.publish_more(publisher, from..=to, 0)
    }

    /// Publishes these numbers, each with itself plus `more` as its payload.
    pub(super) fn publish_more(&self, publisher: u64, numbers: RangeInclusive<u64>, more: u64) -> Answer {
        let answer = Answer::default();
        let items = numbers.map(|n| self.item(Some(n), self.message("t", n + more))).collect();
        let author = Author::Publisher(self.names.publisher(publisher));
        let receipt: Arc<Receipt> = Receipt::new(answer.clone());
        self.broker.publish(Publication { author, items, receipt: Some(receipt) }, Instant::now());
        answer
    }

    pub(super) fn highest(&self, publisher: u64) -> Answer {
        let answer = Answer::default();
        let receipt = Receipt::new(answer.clone());
        self.broker.ask_highest(self.names.publisher(publisher), receipt, Instant::now());
        answer
    }

    /// Waits for `count` events. Returns the events not examined before, without marking them as written.
    pub(super) fn received(&self, count: usize) -> Vec<Observed> {
        let before = self.examined.load(Ordering::Relaxed);
        self.wait_for(|| (self.node.count() >= before + count).then_some(()));
        let mut all = self.node.observed(1);
        self.examined.store(all.len(), Ordering::Relaxed);
        all.split_off(before)
    }

    /// Waits for `count` events and marks all as written. Returns their contents.
    pub(super) fn written(&self, count: usize) -> Vec<String> {
        let observed = self.received(count).into_iter().map(|observed| observed.what).collect();
        self.write();
        observed
    }

    /// Marks all received events as written.
    fn write(&self) {
        let events = std::mem::take(&mut *self.node.events.lock().unwrap());
        drop(events);
        self.node.barriers.lock().unwrap().clear();
    }

    /// Checks that no further event was published.
    pub(super) fn assert_nothing_more(&self) {
        // The answer to a recovery arrives after all accepted events.
        for name in TOPICS {
            self.recover(&self.names.topic(name), None);
        }
        assert_eq!(self.received(0), []);
    }

    /// Retries a recovery until there is an answer.
    pub(super) fn recover(&self, topic: &Topic, since: Option<Since>) -> Recovered {
        self.wait_for(|| self.ask(topic, since, usize::MAX).0.ok())
    }

    /// Requests a recovery. Returns the answer, and the number of events that one receiver had got by then.
    pub(super) fn ask(
        &self,
        topic: &Topic,
        since: Option<Since>,
        limit: usize,
    ) -> (Result<Recovered, Unavailable>, usize) {
        let handed_over = Arc::new(Mutex::new(None));
        let (node, at) = (Arc::clone(&self.node), Arc::clone(&handed_over));
        let hand_over = move |recovered| {
            *at.lock().unwrap() = Some((recovered, node.observed[0].lock().unwrap().len()));
        };
        self.broker.recover(topic, since, limit, Box::new(hand_over));
        self.wait_for(|| handed_over.lock().unwrap().take())
    }

    /// Waits until at most half as many of the `published` events are in flight as a topic keeps. On a busy machine Redis may
    /// be silent for so long that its connections are replaced. Stored events can then be read again; more would be a break.
    pub(super) fn keep_pace(&self, published: u64) {
        let published = usize::try_from(published).unwrap();
        self.wait_for(|| (published <= self.node.count() + MAX_STORED / 2).then_some(()));
    }

    pub(super) fn wait_for<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(start.elapsed() < TIMEOUT, "{self:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The payloads of messages published by [`Stage::publish`].
pub(super) fn numbers(numbers: RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

/// The payload as text.
pub(super) fn payload_of(body: &EventBody) -> String {
    String::from_utf8_lossy(body.payload().as_bytes()).into_owned()
}
