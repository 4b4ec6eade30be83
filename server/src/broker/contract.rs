//! What any broker must do: its tests call [`test`].

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload, Position, PublisherId, Seq, SessionId, Topic};

use super::{Broker, EventHandler, Recovered, Since};
use crate::publication::credit::CreditPool;
use crate::publication::kept::Kept;
use crate::publication::receipt::{Receipt, Settled, Waiter};
use crate::publication::{Author, Content, Event, Item, Publication};

/// How long a broker that does not do its work within the call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Events of a topic that the tested broker keeps.
const KEPT: usize = 1000;

/// A node that holds every event until it is told that all are written.
#[derive(Debug, Default)]
struct Node {
    /// What the events said, in the order in which one receiver and another got them.
    said: [Mutex<Vec<String>>; 2],
    events: Mutex<Vec<Event>>,
    barriers: Mutex<Vec<Arc<Receipt>>>,
}

impl EventHandler for Node {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        for receiver in &self.said {
            receiver.lock().unwrap().push(said(&event));
            thread::yield_now();
        }
        self.events.lock().unwrap().push(event);
    }

    fn handle_barrier(&self, receipt: &Arc<Receipt>) {
        self.barriers.lock().unwrap().push(Arc::clone(receipt));
    }
}

#[derive(Debug)]
struct Told(Sender<Option<Seq>>);

impl Waiter for Told {
    fn tell(&self, settled: Settled) {
        // The test may have heard enough.
        let _ = self.0.send(settled.highest);
    }
}

/// A broker, its node, and who publishes.
#[derive(Debug)]
struct Stage {
    broker: Box<dyn Broker>,
    node: Arc<Node>,
    credit: Arc<CreditPool>,
}

impl Stage {
    fn new(open: &impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>) -> Self {
        let node = Arc::new(Node::default());
        let events: Arc<dyn EventHandler> = Arc::<Node>::clone(&node);
        Self { broker: open(events), node, credit: CreditPool::new(10, 1000, || {}) }
    }

    fn item(&self, seq: Option<u64>, content: Content) -> Item {
        Item { seq: seq.and_then(Seq::new), content, credit: self.credit.take(1) }
    }

    /// Publishes the numbers from `from` to `to`, each as its own payload.
    fn publish(&self, publisher: u128, from: u64, to: u64) -> Receiver<Option<Seq>> {
        let (told, settled) = channel();
        let items = (from..=to).map(|n| self.item(Some(n), message("t", n))).collect();
        let author = Author::Publisher(PublisherId(publisher));
        let receipt: Arc<Receipt> = Receipt::new(Told(told));
        self.broker.publish(Publication { author, items, receipt: Some(receipt) }, Instant::now());
        settled
    }

    fn highest(&self, publisher: u128) -> Receiver<Option<Seq>> {
        let (told, settled) = channel();
        self.broker.ask_highest(PublisherId(publisher), Receipt::new(Told(told)), Instant::now());
        settled
    }

    /// Waits for so many events, and takes them as written. What they say.
    fn written(&self, count: usize) -> Vec<String> {
        self.events(count).iter().map(said).collect()
    }

    fn events(&self, count: usize) -> Vec<Event> {
        let start = Instant::now();
        while self.node.events.lock().unwrap().len() < count && start.elapsed() < PATIENCE {
            thread::yield_now();
        }
        let events = std::mem::take(&mut *self.node.events.lock().unwrap());
        self.node.barriers.lock().unwrap().clear();
        events
    }

    fn recover(&self, topic: &Topic, since: Option<Since>) -> Recovered {
        let handed_over = Arc::new(Mutex::new(None));
        let at = Arc::clone(&handed_over);
        let hand_over =
            Box::new(move |recovered: Result<_, _>| *at.lock().unwrap() = Some(recovered.unwrap()));
        self.broker.recover(topic, since, usize::MAX, hand_over);
        self.wait_for(|| handed_over.lock().unwrap().take())
    }

    fn wait_for<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{self:?}");
            thread::yield_now();
        }
    }
}

fn message(topic: &str, n: u64) -> Content {
    Content::Message(Message {
        topic: Topic::parse(topic).unwrap(),
        payload: Payload::from_encoder(Bytes::from(n.to_string())).unwrap(),
        audience: Audience::default(),
    })
}

/// The payload of a message, or whom a disconnect means.
fn said(event: &Event) -> String {
    match event {
        Event::Message(delivery) => said_by(&delivery.kept),
        Event::Disconnect(whom, _) => whom.to_string(),
    }
}

fn said_by(kept: &Kept) -> String {
    String::from_utf8_lossy(kept.payload().as_bytes()).into_owned()
}

fn position(event: &Event) -> Option<Position> {
    if let Event::Message(delivery) = event { Some(delivery.position) } else { None }
}

/// Tests a broker that remembers ten publishers, keeps [`KEPT`] events of each topic, and had nothing published before.
pub(super) fn test(open: impl Fn(Arc<dyn EventHandler>) -> Box<dyn Broker>) {
    what_is_sent_again_is_published_once_and_in_order(&Stage::new(&open));
    what_is_sent_again_before_it_is_written_waits_for_that(&Stage::new(&open));
    everything_published_is_an_event_in_the_order_in_which_it_came(&Stage::new(&open));
    credit_comes_back_when_events_are_written_and_duplicates_dropped(&Stage::new(&open));
    events_of_a_topic_come_one_after_the_other(&Stage::new(&open));
    offsets_have_no_hole_where_duplicates_were_dropped(&Stage::new(&open));
    a_recovery_has_what_came_before_it_and_nothing_else(&Stage::new(&open));
}

fn what_is_sent_again_is_published_once_and_in_order(stage: &Stage) {
    assert_eq!(stage.highest(1).recv_timeout(PATIENCE).unwrap(), None);
    let first = stage.publish(1, 1, 3);
    let mut all = stage.written(3);
    first.recv_timeout(PATIENCE).unwrap();
    let again = stage.publish(1, 2, 5);
    all.extend(stage.written(2));
    again.recv_timeout(PATIENCE).unwrap();
    assert_eq!(all, ["1", "2", "3", "4", "5"]);
    let highest = stage.highest(1);
    stage.written(0);
    assert_eq!(highest.recv_timeout(PATIENCE).unwrap(), Seq::new(5));
    assert_eq!(stage.highest(2).recv_timeout(PATIENCE).unwrap(), None, "of another publisher");
}

fn what_is_sent_again_before_it_is_written_waits_for_that(stage: &Stage) {
    let first = stage.publish(1, 1, 1);
    let (again, highest) = (stage.publish(1, 1, 1), stage.highest(1));
    if first.try_recv().is_err() {
        // A broker that settles when events are written.
        assert!(again.try_recv().is_err() && highest.try_recv().is_err());
    }
    assert_eq!(stage.written(1), ["1"]);
    for settled in [first, again] {
        settled.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(highest.recv_timeout(PATIENCE).unwrap(), Seq::new(1));
}

fn everything_published_is_an_event_in_the_order_in_which_it_came(stage: &Stage) {
    let whom = Disconnect::Session(SessionId(7));
    let one = |author, seq, content| {
        let items = vec![stage.item(seq, content)];
        stage.broker.publish(Publication { author, items, receipt: None }, Instant::now());
    };
    let publisher = Author::Publisher(PublisherId(1));
    one(publisher, Some(1), message("a", 1));
    one(publisher, Some(2), Content::Disconnect(whom.clone()));
    one(publisher, Some(3), message("b", 3));
    one(publisher, Some(2), Content::Disconnect(whom.clone()));
    assert_eq!(stage.written(3), ["1", &whom.to_string(), "3"]);
    one(Author::Browser, None, message("a", 4));
    assert_eq!(stage.written(1), ["4"]);
    one(Author::Server, None, message("a", 4));
    assert_eq!(stage.written(1), ["4"], "without a number nothing is a duplicate");
}

fn credit_comes_back_when_events_are_written_and_duplicates_dropped(stage: &Stage) {
    let settled = [stage.publish(1, 1, 5), stage.publish(1, 1, 5)];
    assert_eq!(stage.written(5).len(), 5);
    for settled in settled {
        settled.recv_timeout(PATIENCE).unwrap();
    }
    let all: Vec<_> = (0..9).map(|_| stage.credit.take(1)).collect();
    assert!(stage.credit.is_available(), "nine of ten are taken");
    drop(all);
}

fn events_of_a_topic_come_one_after_the_other(stage: &Stage) {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 2000;
    const ALL: usize = 8000;
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                // No two say the same.
                let first = publisher * EACH + 1;
                (first..first + EACH).for_each(|n| drop(stage.publish(publisher.into(), n, n)));
            });
        }
    });
    let said = stage.written(ALL);
    let [one, other] = [0, 1].map(|receiver| stage.node.said[receiver].lock().unwrap().clone());
    assert!(said.len() == ALL && one == other, "two receivers see the same order");
}

fn offsets_have_no_hole_where_duplicates_were_dropped(stage: &Stage) {
    stage.publish(1, 1, 3);
    stage.publish(1, 2, 3);
    stage.publish(1, 3, 5);
    stage.publish(2, 1, 1);
    let events = stage.events(6);
    let positions: Vec<_> = events.iter().filter_map(position).collect();
    assert!(positions.windows(2).all(|pair| pair[1] == Position { offset: pair[0].offset + 1, ..pair[0] }));
    assert_eq!(positions.len(), 6);
}

/// While others publish: all that a recovery has was handed over before it, and all that it lacks after it.
fn a_recovery_has_what_came_before_it_and_nothing_else(stage: &Stage) {
    const ALL: usize = 2000;
    let topic = Topic::parse("t").unwrap();
    let start = stage.recover(&topic, None);
    assert!(start.complete && start.events.is_empty());
    thread::scope(|scope| {
        scope.spawn(|| (1..=ALL as u64).for_each(|n| drop(stage.publish(1, n, n))));
        for _ in 0..50 {
            let handed_over = Arc::new(Mutex::new(None));
            let (node, at) = (Arc::clone(&stage.node), Arc::clone(&handed_over));
            let hand_over = Box::new(move |recovered: Result<Recovered, _>| {
                *at.lock().unwrap() = Some((recovered.unwrap(), node.said[0].lock().unwrap().len()));
            });
            let since = Since::Position(Some(start.position));
            stage.broker.recover(&topic, Some(since), ALL, hand_over);
            let (recovered, before) = stage.wait_for(|| handed_over.lock().unwrap().take());
            assert_eq!(recovered.events.len(), before.min(KEPT));
            assert_eq!(recovered.complete, before <= KEPT);
            assert_eq!(recovered.events.last().map_or(start.position, |(at, _)| *at), recovered.position);
        }
    });
    assert_eq!(stage.written(ALL).len(), ALL);
    let all = stage.recover(&topic, Some(Since::Position(Some(start.position))));
    let said: Vec<_> = all.events.iter().map(|(_, kept)| said_by(kept)).collect();
    assert!(!all.complete && said.len() == KEPT && said.last() == Some(&ALL.to_string()), "{KEPT} are kept");
    let foreign = Position { tag: start.position.tag ^ 1, ..start.position };
    assert!(!stage.recover(&topic, Some(Since::Position(Some(foreign)))).complete);
    assert!(!stage.recover(&topic, Some(Since::Position(None))).complete);
}
