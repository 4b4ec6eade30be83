//! The broker of several nodes: Redis or Valkey.
//!
//! A script in Redis accepts messages, assigns their positions, stores them and pushes them to all nodes ([`outbox`]). A node
//! delivers pushed entries in order, and reads missing ones ([`topics`]). A single thread does this ([`worker`]); shards send
//! it commands.
//!
//! Disconnects are entries of a topic that each node reads from the oldest one on ([`control`]). Another script marks tickets
//! as used ([`tickets`]), and returns the position up to which a node must have read the disconnects.
//!
//! A message is acknowledged when Redis and `broker.wait_replicas` of its replicas have it. While Redis is unavailable nothing
//! is acknowledged: publishers keep their messages, and sessions stay open.

mod address;
mod calls;
mod canary;
mod command;
mod confirmations;
mod connect;
mod control;
mod fnv1a;
mod keys;
pub mod nodes;
mod outbox;
mod partitions;
mod primary;
mod problem;
mod pushes;
mod read;
mod record;
mod rights;
mod scripts;
mod slots;
mod tickets;
mod topics;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use orosync_protocol::{PublisherId, Topic};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::cluster::Cluster;
use super::history::HistoryRules;
use super::{Broker, EventHandler, HandOver, Since};
use crate::auth::replay::FirstUse;
use crate::auth::used::{SharedTickets, TicketUse, UseAnswer};
use crate::metrics::Metrics;
use crate::publication::credit::CreditPool;
use crate::publication::receipt::Receipt;
use crate::publication::{Author, Content, Publication};
use command::{ALL_NODES, BrokerCommand, Numbered, Report};
use worker::Worker;

pub use command::Settings;
pub use control::MAX_DISCONNECTS;

/// Maximum size of pushed entries that are not written to sessions yet.
const INBOUND_BYTES: usize = 16 << 20;

/// The broker's handle, which sends commands to its thread.
#[derive(Debug)]
pub struct RedisBroker {
    commands: UnboundedSender<BrokerCommand>,
    is_up: Arc<AtomicBool>,
    cluster: Arc<Cluster>,
}

impl RedisBroker {
    /// Starts the broker's thread, which connects to Redis and retries without end.
    pub fn start(
        settings: Settings,
        events: Arc<dyn EventHandler>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (commands, inbox) = unbounded_channel();
        let is_up = Arc::new(AtomicBool::new(false));
        let inbound = CreditPool::new(usize::MAX, INBOUND_BYTES, || {});
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let cluster = Arc::<Cluster>::default();
        let report = Report { is_up: Arc::clone(&is_up), cluster: Arc::clone(&cluster) };
        thread::Builder::new().name("broker".to_owned()).spawn(move || {
            // The connections' tasks run on this runtime.
            runtime.block_on(async {
                let worker = Worker::new(settings, events, inbox, inbound, report, metrics);
                // A task is scheduled as soon as the connections' tasks wake it. The future of `block_on` would first wait for
                // a poll of the sockets.
                let _ = tokio::spawn(worker.run()).await;
            });
        })?;
        Ok(Self { commands, is_up, cluster })
    }

    /// Whether every partition pushes what this node publishes. Updated by the broker's thread.
    pub fn is_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_up)
    }

    /// The used tickets of all nodes.
    pub fn used_tickets(&self) -> Arc<dyn SharedTickets> {
        Arc::new(RedisTickets(self.commands.clone()))
    }

    fn send(&self, command: BrokerCommand) {
        // The thread runs until the process ends.
        let _ = self.commands.send(command);
    }
}

/// The used tickets of all nodes.
#[derive(Debug)]
struct RedisTickets(UnboundedSender<BrokerCommand>);

impl SharedTickets for RedisTickets {
    fn use_up(&self, ticket: TicketUse, answer: UseAnswer) {
        if let Err(refused) = self.0.send(BrokerCommand::UseTicket(ticket, answer))
            && let BrokerCommand::UseTicket(_, answer) = refused.0
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
                Content::Disconnect(target) => target.message().ok()?,
            };
            let body = record::body(&message);
            Some(Numbered {
                number: publisher.zip(item.seq),
                topic: message.topic,
                body,
                credit: item.credit,
            })
        });
        self.send(BrokerCommand::Publish { messages: messages.collect(), receipt });
    }

    fn ask_highest(&self, publisher: PublisherId, receipt: Arc<Receipt>, _: Instant) {
        self.send(BrokerCommand::AskHighest(publisher, receipt));
    }

    fn subscribe(&self, topic: &Topic) {
        self.send(BrokerCommand::Subscribe(topic.clone()));
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.send(BrokerCommand::Unsubscribe(topic.clone()));
    }

    fn recover(&self, topic: &Topic, since: Option<Since>, limit: usize, hand_over: HandOver) {
        self.send(BrokerCommand::Recover { topic: topic.clone(), since, limit, hand_over });
    }

    fn set_rules(&self, rules: HistoryRules) {
        self.send(BrokerCommand::SetRules(rules));
    }

    // The broker's thread has its own timer.
    fn handle_timeout(&self) {}

    fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster)
    }
}

#[cfg(test)]
mod tests;
