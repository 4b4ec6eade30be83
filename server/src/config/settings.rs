//! What the server runs with: every value checked, ready to be used.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use orosync_protocol::ticket::{Signer, Verifier};

use crate::listen::address::Address;
use crate::log::LogSettings;
use crate::policy::Policies;

/// All settings of a node.
#[derive(Debug)]
pub struct Settings {
    /// Where browsers and publishers connect.
    pub bind: Vec<Address>,
    /// Where the operator's tools connect; none: nowhere.
    pub admin_bind: Option<SocketAddr>,
    /// Threads that hold sessions.
    pub shards: NonZeroUsize,
    /// Who is who.
    pub auth: AuthSettings,
    /// All bounds.
    pub limits: Limits,
    /// Who may subscribe and publish.
    pub policies: Policies,
    /// The longest time between SIGTERM and the end.
    pub drain: Duration,
    /// How often `oro/ping` is published; zero: never.
    pub oro_ping: Duration,
    /// What is logged, and how.
    pub log: LogSettings,
}

/// Who is who.
#[derive(Debug)]
pub struct AuthSettings {
    /// A ticket that one of these accepts is good. Never empty.
    pub verifiers: Vec<Verifier>,
    /// Makes tickets, if there is a secret.
    pub signer: Option<Signer>,
    /// What a connection without a ticket gets.
    pub anonymous: Anonymous,
    /// Hosts of `Origin` that browsers may come from: `*`, `example.com` or `*.example.com`, in lower case.
    pub allowed_origins: Vec<String>,
}

/// What a connection without a ticket gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// A session, for the topics that anyone may have.
    Accept,
    /// An HTTP answer 401.
    Refuse,
}

/// All bounds of a node.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Bytes of the handshake's request.
    pub handshake_bytes: usize,
    /// Sessions; 0: as many as the process may have descriptors.
    pub sessions: usize,
    /// Sessions per address of a peer. Loopback and unix peers are not counted: they are reverse proxies.
    pub sessions_per_address: usize,
    /// Bytes of one message from a browser.
    pub message_bytes: usize,
    /// Bytes that wait for one session's socket.
    pub outbound_bytes: usize,
    /// Subscriptions per session.
    pub subscriptions: usize,
    /// Messages per second from one browser, in the long run.
    pub messages_per_second: u32,
    /// Messages at once from one browser.
    pub message_burst: u32,
    /// Messages of publishers in flight, per node.
    pub publisher_messages: usize,
    /// Bytes of those.
    pub publisher_bytes: usize,
    /// Used tickets that are remembered until they expire.
    pub remembered_tickets: usize,
    /// Publishers whose highest sequence number is remembered.
    pub remembered_publishers: usize,
    /// Topics with a position in their history, per node.
    pub topics: usize,
    /// From the last word of a session to a ping.
    pub ping_interval: Duration,
    /// From a ping to the end of a session that does not answer.
    pub ping_timeout: Duration,
}
