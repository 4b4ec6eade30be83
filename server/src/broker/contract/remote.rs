//! A broker for several nodes, built from a memory broker behind a queue: it works on its own thread, settles receipts on
//! acceptance, and carries only subscribed topics. It shows that the contract requires no more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Instant;

use orosync_protocol::{PublisherId, Topic};

use super::{Highest, test, test_nodes, test_order_over_topics};
use crate::auth::timeline::TimelineStart;
use crate::broker::cluster::Cluster;
use crate::broker::history::HistoryRules;
use crate::broker::memory::MemoryBroker;
use crate::broker::{Broker, EventHandler, HandOver, Since, Unavailable};
use crate::config::settings::HistorySettings;
use crate::metrics::Metrics;
use crate::policy::Policies;
use crate::publication::credit::CreditPool;
use crate::publication::delivery::Delivery;
use crate::publication::receipt::Receipt;
use crate::publication::{Event, Held, Publication};

#[test]
fn a_broker_that_works_on_another_thread_keeps_the_contract() {
    let store = Store::new();
    test(|events| store.open(&events), Highest::Known);
    test_order_over_topics(|events| store.open(&events));
    test_nodes(|events| store.open(&events), Highest::Known);
}

type Call = Box<dyn FnOnce(&MemoryBroker) + Send>;

/// The state that the brokers share.
struct Store {
    calls: Sender<Call>,
    hub: Arc<Hub>,
}

impl Store {
    fn new() -> Self {
        let hub = Arc::new(Hub::default());
        let events = Arc::<Hub>::clone(&hub);
        let (calls, called) = channel::<Call>();
        thread::spawn(move || {
            let rules =
                HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) };
            let broker = MemoryBroker::new(events, 1000, rules, Arc::new(Metrics::new()));
            for call in called {
                call(&broker);
            }
        });
        Self { calls, hub }
    }

    fn open(&self, events: &Arc<dyn EventHandler>) -> Box<dyn Broker> {
        let subscribed = Arc::new(Mutex::default());
        let member = Member { events: Arc::downgrade(events), subscribed: Arc::clone(&subscribed) };
        self.hub.0.lock().unwrap().push(member);
        Box::new(RemoteBroker { calls: self.calls.clone(), subscribed, has_begun: AtomicBool::new(false) })
    }
}

/// Number of subscriptions per topic.
type Subscribed = Arc<Mutex<HashMap<Topic, usize>>>;

/// One of the nodes, for the duration of its test.
#[derive(Debug)]
struct Member {
    events: Weak<dyn EventHandler>,
    subscribed: Subscribed,
}

/// Hands events to all nodes.
#[derive(Debug, Default)]
struct Hub(Mutex<Vec<Member>>);

impl EventHandler for Hub {
    fn is_wanted(&self, _: &Topic) -> bool {
        true
    }

    fn handle_event(&self, event: Event) {
        let held = || Held::new(CreditPool::new(1, 1, || {}).take(0), None);
        for member in &*self.0.lock().unwrap() {
            let Some(events) = member.events.upgrade() else { continue };
            match &event {
                Event::Message(Delivery { topic, body, position, .. }) => {
                    if member.subscribed.lock().unwrap().contains_key(topic) {
                        let delivery = Delivery::new(topic.clone(), body.clone(), *position, held());
                        events.handle_event(Event::Message(delivery));
                    }
                }
                Event::Disconnect(target, at, _) => {
                    events.handle_event(Event::Disconnect(target.clone(), *at, held()));
                }
            }
        }
    }

    fn handle_break(&self, _: &Topic) {}

    fn begin_timeline(&self, _: &TimelineStart) {}

    fn handle_barrier(&self, _: &Arc<Receipt>) {}
}

#[derive(Debug)]
struct RemoteBroker {
    calls: Sender<Call>,
    subscribed: Subscribed,
    /// Whether it was used. The first recovery fails, as if the broker were unavailable.
    has_begun: AtomicBool,
}

impl RemoteBroker {
    fn call(&self, call: impl FnOnce(&MemoryBroker) + Send + 'static) {
        self.calls.send(Box::new(call)).unwrap();
    }
}

impl Broker for RemoteBroker {
    fn publish(&self, publication: Publication, now: Instant) {
        self.call(move |broker| {
            let Publication { author, items, receipt } = publication;
            broker.publish(Publication { author, items, receipt: None }, now);
            drop(receipt);
        });
    }

    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, now: Instant) {
        self.call(move |broker| broker.ask_highest(publisher, receipt, now));
    }

    fn subscribe(&self, topic: &Topic) {
        let (subscribed, topic) = (Arc::clone(&self.subscribed), topic.clone());
        self.call(move |_| *subscribed.lock().unwrap().entry(topic).or_default() += 1);
    }

    fn unsubscribe(&self, topic: &Topic) {
        let (subscribed, topic) = (Arc::clone(&self.subscribed), topic.clone());
        self.call(move |_| {
            let mut subscribed = subscribed.lock().unwrap();
            let count = subscribed.get_mut(&topic).expect("a subscribed topic");
            *count -= 1;
            if *count == 0 {
                subscribed.remove(&topic);
            }
        });
    }

    fn recover(&self, topic: &Topic, since: Option<Since>, limit: usize, hand_over: HandOver) {
        let topic = topic.clone();
        let is_unavailable = !self.has_begun.swap(true, Ordering::Relaxed);
        self.call(move |broker| {
            if is_unavailable {
                hand_over(Err(Unavailable));
            } else {
                broker.recover(&topic, since, limit, hand_over);
            }
        });
    }

    fn set_rules(&self, rules: HistoryRules) {
        self.call(|broker| broker.set_rules(rules));
    }

    fn handle_timeout(&self) {
        self.call(MemoryBroker::handle_timeout);
    }

    fn cluster(&self) -> Arc<Cluster> {
        Arc::default()
    }
}
