//! The interface of the broker's thread: its settings, the commands that it receives, and the state that it reports.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use orosync_protocol::{PublisherId, Seq, Topic};
use tokio::sync::watch;

use crate::auth::used::{TicketUse, UseAnswer};
use crate::broker::cluster::Cluster;
use crate::broker::history::HistoryRules;
use crate::broker::{HandOver, Since};
use crate::config::broker::{Passwords, RedisSettings};
use crate::publication::credit::Credit;
use crate::publication::receipt::Receipt;

/// The publisher id for messages that all nodes publish with the same numbers.
pub(super) const ALL_NODES: PublisherId = PublisherId(0);

/// The settings of the broker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Redis servers, and how to connect to them.
    pub redis: RedisSettings,
    /// The current passwords.
    pub passwords: watch::Receiver<Passwords>,
    /// The bounds of the histories.
    pub rules: HistoryRules,
    /// Lifetime of a resume ticket.
    pub resume: Duration,
    /// Maximum number of remembered publishers.
    pub max_publishers: usize,
    /// The ids of the secrets that this node accepts, the signing one first.
    pub secrets: watch::Receiver<Vec<String>>,
    /// This node's unique name.
    pub node: String,
    /// The address that the list of nodes shows for this node.
    pub bind: String,
    /// The hash of the current rules: [`super::nodes::hash_of_rules`].
    pub rules_hash: watch::Receiver<String>,
}

/// A message to the broker's thread.
pub(super) enum BrokerCommand {
    Publish { messages: Vec<Numbered>, receipt: Option<Arc<Receipt>> },
    AskHighest(PublisherId, Arc<Receipt>),
    Subscribe(Topic),
    Unsubscribe(Topic),
    Recover { topic: Topic, since: Option<Since>, limit: usize, hand_over: HandOver },
    SetRules(HistoryRules),
    UseTicket(TicketUse, UseAnswer),
}

/// A message of a publication, in the form in which it is stored.
#[derive(Debug)]
pub(super) struct Numbered {
    /// The publisher and its sequence number. `None`: the node numbers the message.
    pub(super) number: Option<(PublisherId, Seq)>,
    pub(super) topic: Topic,
    pub(super) body: Vec<u8>,
    pub(super) credit: Credit,
}

/// The state that the broker's thread reports.
#[derive(Debug)]
pub(super) struct Report {
    /// Whether every partition pushes what this node publishes, as its canaries show.
    pub(super) is_up: Arc<AtomicBool>,
    pub(super) cluster: Arc<Cluster>,
}
