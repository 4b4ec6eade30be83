//! Traffic through two nodes. No message may be lost, duplicated or reordered.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orosync_protocol::{Position, PublisherId, Topic};

use super::{RedisBroker, Settlements, publish, wait_for};
use crate::auth::timeline::TimelineStart;
use crate::broker::{Broker, EventHandler};
use crate::publication::Event;
use crate::publication::receipt::Receipt;

/// Time limit within which delivery must continue once Redis can serve it.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// A node that notes the messages of each topic.
#[derive(Debug, Default)]
pub(in crate::broker::redis) struct Witness {
    received: Mutex<HashMap<Topic, Vec<(u64, Position)>>>,
    /// Topics with a break.
    broken: Mutex<HashSet<Topic>>,
}

impl Witness {
    pub(super) fn received(&self, topic: &Topic) -> Vec<u64> {
        let received = self.received.lock().unwrap();
        received
            .get(topic)
            .map_or_else(Vec::new, |received| received.iter().map(|(number, _)| *number).collect())
    }
}

impl EventHandler for Witness {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        if let Event::Message(delivery) = event {
            let number = String::from_utf8_lossy(delivery.body.payload().as_bytes()).parse().unwrap();
            let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            received.entry(delivery.topic).or_default().push((number, delivery.position));
        }
    }

    fn begin_timeline(&self, _: &TimelineStart) {}

    fn handle_break(&self, topic: &Topic) {
        self.broken.lock().unwrap().insert(topic.clone());
    }

    fn handle_barrier(&self, _: &Arc<Receipt>) {}
}

/// A node that publishes to topics in many partitions until it is stopped, and another that subscribes to them.
pub(super) struct Traffic {
    pub(super) publisher: Arc<RedisBroker>,
    pub(super) subscriber: RedisBroker,
    pub(super) witness: Arc<Witness>,
    pub(super) topics: Vec<Topic>,
    settlements: Arc<Settlements>,
    is_stopped: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl Traffic {
    /// Starts with two brokers that `open` returns.
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
        let is_stopped = Arc::<AtomicBool>::default();
        let thread = {
            let (publisher, topics) = (Arc::clone(&publisher), topics.clone());
            let (settlements, is_stopped) = (Arc::clone(&settlements), Arc::clone(&is_stopped));
            thread::spawn(move || {
                let mut number = 0;
                while !is_stopped.load(Ordering::Relaxed) {
                    number += 1;
                    let topic = &topics[usize::try_from(number).unwrap() % topics.len()];
                    publish(&publisher, PublisherId(7), topic, number, &settlements);
                    thread::sleep(Duration::from_micros(200));
                }
                number
            })
        };
        Self { publisher, subscriber, witness, topics, settlements, is_stopped, thread }
    }

    /// Waits until each topic has received another message.
    pub(super) fn wait_for_more(&self) {
        let before: Vec<_> = self.topics.iter().map(|topic| self.witness.received(topic).len()).collect();
        for (topic, before) in self.topics.iter().zip(before) {
            wait_for("delivery continues", || (self.witness.received(topic).len() > before).then_some(()));
        }
    }

    /// Stops and checks that all messages are acknowledged and have arrived once and in order.
    pub(super) fn end(self) {
        let witness = Arc::clone(&self.witness);
        self.end_after_a_loss();
        assert_eq!(*witness.broken.lock().unwrap(), HashSet::new());
    }

    /// The same after the promotion of a replica that lacked messages which its primary had already pushed. Topics with a break
    /// may contain duplicates.
    pub(super) fn end_after_a_loss(self) {
        let start = Instant::now();
        self.is_stopped.store(true, Ordering::Relaxed);
        let last = self.thread.join().unwrap();
        wait_for("all messages are acknowledged", || (self.settlements.count() == last).then_some(()));
        let count = self.topics.len() as u64;
        for (number, topic) in (0..).zip(&self.topics) {
            let published: Vec<u64> = (1..=last).filter(|n| n % count == number).collect();
            let newest = published.last().copied();
            wait_for("all messages have arrived", || {
                (self.witness.received(topic).last().copied() == newest).then_some(())
            });
            let mut received = self.witness.received(topic);
            if self.witness.broken.lock().unwrap().contains(topic) {
                let mut before = HashSet::new();
                received.retain(|number| before.insert(*number));
            } else {
                let received = self.witness.received.lock().unwrap();
                let offsets = received[topic].iter().map(|(_, at)| at.offset);
                assert!(offsets.eq(1..=published.len() as u64), "no gap");
            }
            assert_eq!(received, published);
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        wait_until_up(&self.subscriber);
        wait_until_up(&self.publisher);
    }
}

pub(super) fn wait_until_subscribed(broker: &RedisBroker, topic: &Topic) {
    wait_for("the topic is subscribed to", || {
        let (sender, answer) = std::sync::mpsc::channel();
        let hand_over = Box::new(move |recovered: Result<_, _>| sender.send(recovered.is_ok()).unwrap());
        broker.recover(topic, None, 1, hand_over);
        answer.recv().unwrap().then_some(())
    });
}

fn wait_until_up(broker: &RedisBroker) {
    wait_for("the node is ready", || broker.is_up().load(Ordering::Relaxed).then_some(()));
}
