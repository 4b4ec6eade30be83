//! Traffic through two nodes, of which nothing may be lost, come twice or change its place.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orosync_protocol::{Position, PublisherId, Topic};

use super::{RedisBroker, Settlements, publish, wait_for};
use crate::auth::line::Beginning;
use crate::broker::{Broker, EventHandler};
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// How soon delivery goes on once Redis can.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// A node that notes what comes of each topic.
#[derive(Debug, Default)]
pub(in crate::broker::redis) struct Witness {
    came: Mutex<HashMap<Topic, Vec<(u64, Position)>>>,
    /// Topics of which something may be missing, as their pages were told.
    broken: Mutex<HashSet<Topic>>,
}

impl Witness {
    pub(super) fn came(&self, topic: &Topic) -> Vec<u64> {
        let came = self.came.lock().unwrap();
        came.get(topic).map_or_else(Vec::new, |came| came.iter().map(|(number, _)| *number).collect())
    }
}

impl EventHandler for Witness {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        if let Event::Message(delivery) = event {
            let number = String::from_utf8_lossy(delivery.body.payload().as_bytes()).parse().unwrap();
            let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
            came.entry(delivery.topic).or_default().push((number, delivery.position));
        }
    }

    fn begin_line(&self, _: &Beginning) {}

    fn handle_break(&self, topic: &Topic) {
        self.broken.lock().unwrap().insert(topic.clone());
    }

    fn handle_barrier(&self, _: &Arc<Receipt>) {}
}

/// One node that publishes to topics of many partitions, and another that hears of it, until the end.
pub(super) struct Traffic {
    pub(super) publisher: Arc<RedisBroker>,
    pub(super) subscriber: RedisBroker,
    pub(super) witness: Arc<Witness>,
    pub(super) topics: Vec<Topic>,
    settlements: Arc<Settlements>,
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl Traffic {
    /// Begins on two brokers that this opens.
    pub(super) fn start(open: impl Fn(Arc<dyn EventHandler>) -> RedisBroker) -> Self {
        let witness = Arc::<Witness>::default();
        let subscriber = open(Arc::<Witness>::clone(&witness));
        let publisher = Arc::new(open(Arc::<Witness>::default()));
        let topics: Vec<_> =
            (0..100).map(|number| Topic::parse(&format!("topic/{number}")).unwrap()).collect();
        for topic in &topics {
            subscriber.subscribe(topic);
        }
        wait_until_up(&subscriber);
        wait_until_up(&publisher);
        for topic in &topics {
            wait_until_subscribed(&subscriber, topic);
        }
        let settlements = Arc::<Settlements>::default();
        let is_over = Arc::<AtomicBool>::default();
        let thread = {
            let (publisher, topics) = (Arc::clone(&publisher), topics.clone());
            let (settlements, is_over) = (Arc::clone(&settlements), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    number += 1;
                    let topic = &topics[usize::try_from(number).unwrap() % topics.len()];
                    publish(&publisher, PublisherId(7), topic, number, &settlements);
                    thread::sleep(Duration::from_micros(200));
                }
                number
            })
        };
        Self { publisher, subscriber, witness, topics, settlements, is_over, thread }
    }

    /// Waits until something more has come of each topic.
    pub(super) fn wait_for_more(&self) {
        let before: Vec<_> = self.topics.iter().map(|topic| self.witness.came(topic).len()).collect();
        for (topic, before) in self.topics.iter().zip(before) {
            wait_for("delivery goes on", || (self.witness.came(topic).len() > before).then_some(()));
        }
    }

    /// Ends it: all that was published is acknowledged and has come, each once and in order.
    pub(super) fn end(self) {
        let witness = Arc::clone(&self.witness);
        self.end_after_a_loss();
        assert_eq!(*witness.broken.lock().unwrap(), HashSet::new());
    }

    /// The same, where a replica was promoted that did not have what its primary had told the nodes already: of topics of which the
    /// pages were told so, something may have come again.
    pub(super) fn end_after_a_loss(self) {
        let start = Instant::now();
        self.is_over.store(true, Ordering::Relaxed);
        let last = self.thread.join().unwrap();
        wait_for("all is acknowledged", || (self.settlements.count() == last).then_some(()));
        let count = self.topics.len() as u64;
        for (number, topic) in (0..).zip(&self.topics) {
            let published: Vec<u64> = (1..=last).filter(|n| n % count == number).collect();
            let newest = published.last().copied();
            wait_for("all has come", || (self.witness.came(topic).last().copied() == newest).then_some(()));
            let mut came = self.witness.came(topic);
            if self.witness.broken.lock().unwrap().contains(topic) {
                let mut before = HashSet::new();
                came.retain(|number| before.insert(*number));
            } else {
                let came = self.witness.came.lock().unwrap();
                let offsets = came[topic].iter().map(|(_, at)| at.offset);
                assert!(offsets.eq(1..=published.len() as u64), "no hole");
            }
            assert_eq!(came, published);
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        wait_until_up(&self.subscriber);
        wait_until_up(&self.publisher);
    }
}

pub(super) fn wait_until_subscribed(broker: &RedisBroker, topic: &Topic) {
    wait_for("a topic is subscribed to", || {
        let (told, answer) = std::sync::mpsc::channel();
        let hand_over = Box::new(move |recovered: Result<_, _>| told.send(recovered.is_ok()).unwrap());
        broker.recover(topic, None, 1, hand_over);
        answer.recv().unwrap().then_some(())
    });
}

fn wait_until_up(broker: &RedisBroker) {
    wait_for("what is published comes back", || broker.is_up().load(Ordering::Relaxed).then_some(()));
}
