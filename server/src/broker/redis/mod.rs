//! The broker of several nodes: Redis or Valkey.
//!
//! What is published is accepted by a script there, which numbers it, keeps it and pushes it to all nodes ([`outbox`]); a node
//! delivers what is pushed, as far as nothing is missing before it, and reads what is ([`topics`]). All of it happens on one
//! thread ([`worker`]); a shard only gives it orders.
//!
//! Disconnects are a topic that each node reads from the oldest that is kept ([`control`]), and tickets are used up by a script
//! ([`tickets`]), which says up to where a node must have read them.
//!
//! Acknowledged means: Redis has it, and `broker.wait_replicas` of its replicas. While Redis is away nothing is acknowledged;
//! publishers keep what they have, and sessions stay open.

mod calls;
mod canary;
mod confirmations;
mod connect;
mod control;
mod fnv1a;
mod keys;
pub mod nodes;
mod outbox;
mod partitions;
mod primary;
mod pushes;
mod record;
mod rights;
mod scripts;
mod slots;
mod tickets;
mod topics;
mod trouble;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use orosync_protocol::{PublisherId, Seq, Topic};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::cluster::Cluster;
use super::history::HistoryRules;
use super::{Broker, EventHandler, HandOver, Since};
use crate::auth::replay::FirstUse;
use crate::auth::used::{SharedTickets, TicketUse, UseAnswer};
use crate::config::broker::{Passwords, RedisSettings};
use crate::metrics::Metrics;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Content, Publication};
use worker::Worker;

pub use control::MOST_DISCONNECTS;

/// What may be pushed and not written yet.
const INBOUND_BYTES: usize = 16 << 20;

/// The publisher of what the nodes publish themselves, and number alike.
const ALL_NODES: PublisherId = PublisherId(0);

/// What the broker is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Redis is, and how to get in.
    pub redis: RedisSettings,
    /// The passwords, as the configuration has them now.
    pub passwords: watch::Receiver<Passwords>,
    /// How much history is kept.
    pub rules: HistoryRules,
    /// How long a resume ticket is good.
    pub resume: Duration,
    /// Publishers that are remembered.
    pub max_publishers: usize,
    /// The ids of the secrets that this node accepts, the one that it signs with first.
    pub secrets: watch::Receiver<Vec<String>>,
    /// This node's name. No two have the same.
    pub node: String,
    /// Where it listens, as it is told to whoever asks for the nodes.
    pub bind: String,
    /// The hash of the rules that it has now: [`nodes::hash_of_rules`].
    pub rules_hash: watch::Receiver<String>,
}

/// Something for the broker's thread to do.
enum Order {
    Publish { messages: Vec<Numbered>, receipt: Option<Arc<Receipt>> },
    AskHighest(PublisherId, Arc<Receipt>),
    Subscribe(Topic),
    Unsubscribe(Topic),
    Recover { topic: Topic, since: Option<Since>, most: usize, hand_over: HandOver },
    SetRules(HistoryRules),
    UseTicket(TicketUse, UseAnswer),
}

/// A message of a publication, as it will be kept.
#[derive(Debug)]
struct Numbered {
    /// Its publisher's number. None: the node itself numbers it.
    number: Option<(PublisherId, Seq)>,
    topic: Topic,
    body: Vec<u8>,
    credit: Credit,
}

/// What the broker's thread tells others.
#[derive(Debug)]
struct Report {
    /// Whether what is published comes back.
    is_up: Arc<AtomicBool>,
    cluster: Arc<Cluster>,
}

/// Gives orders to the broker's thread, which carries them out.
#[derive(Debug)]
pub struct RedisBroker {
    orders: UnboundedSender<Order>,
    is_up: Arc<AtomicBool>,
    cluster: Arc<Cluster>,
}

impl RedisBroker {
    /// Starts the broker's thread, which connects by itself and goes on trying.
    pub fn start(
        settings: Settings,
        events: Arc<dyn EventHandler>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (orders, taken) = unbounded_channel();
        let is_up = Arc::new(AtomicBool::new(false));
        let inbound = CreditPool::new(usize::MAX, INBOUND_BYTES, || {});
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let cluster = Arc::<Cluster>::default();
        let report = Report { is_up: Arc::clone(&is_up), cluster: Arc::clone(&cluster) };
        thread::Builder::new().name("broker".to_owned()).spawn(move || {
            // The connections' tasks are of this runtime.
            runtime.block_on(async {
                let worker = Worker::new(settings, events, taken, inbound, report, metrics);
                // As a task it goes on as soon as theirs have something for it; what is blocked on waits for a look at the sockets.
                let _ = tokio::spawn(worker.run()).await;
            });
        })?;
        Ok(Self { orders, is_up, cluster })
    }

    /// Whether what is published comes back.
    pub fn is_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_up)
    }

    /// Which tickets were used, on all nodes.
    pub fn used_tickets(&self) -> Arc<dyn SharedTickets> {
        Arc::new(RedisTickets(self.orders.clone()))
    }

    fn give(&self, order: Order) {
        // Its thread ends with the process.
        let _ = self.orders.send(order);
    }
}

/// The tickets of all nodes.
#[derive(Debug)]
struct RedisTickets(UnboundedSender<Order>);

impl SharedTickets for RedisTickets {
    fn use_up(&self, ticket: TicketUse, answer: UseAnswer) {
        if let Err(refused) = self.0.send(Order::UseTicket(ticket, answer))
            && let Order::UseTicket(_, answer) = refused.0
        {
            answer(FirstUse::Unavailable);
        }
    }
}

impl Broker for RedisBroker {
    fn publish(&self, publication: Publication, _: Instant) {
        let Publication { author, items, receipt } = publication;
        let publisher = match author {
            Author::Publisher(publisher) => Some(publisher),
            Author::Server => Some(ALL_NODES),
            Author::Browser => None,
        };
        let messages = items.into_iter().filter_map(|item| {
            let message = match item.content {
                Content::Message(message) => message,
                Content::Disconnect(whom) => whom.message().ok()?,
            };
            let body = record::body(&message);
            Some(Numbered {
                number: publisher.zip(item.seq),
                topic: message.topic,
                body,
                credit: item.credit,
            })
        });
        self.give(Order::Publish { messages: messages.collect(), receipt });
    }

    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, _: Instant) {
        self.give(Order::AskHighest(publisher, receipt));
    }

    fn subscribe(&self, topic: &Topic) {
        self.give(Order::Subscribe(topic.clone()));
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.give(Order::Unsubscribe(topic.clone()));
    }

    fn recover(&self, topic: &Topic, since: Option<Since>, most: usize, hand_over: HandOver) {
        self.give(Order::Recover { topic: topic.clone(), since, most, hand_over });
    }

    fn set_rules(&self, rules: HistoryRules) {
        self.give(Order::SetRules(rules));
    }

    // Its thread has a clock of its own.
    fn handle_timeout(&self) {}

    fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster)
    }
}

#[cfg(test)]
mod tests;
