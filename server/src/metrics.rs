//! All metrics of a node, each declared once: name, sentence, labels.
//!
//! Labels come from enums and constants of this program, and the node's own name; never from input: their number is bounded
//! by the source code. What is counted per delivery has no label and is meant to be added once per event and shard
//! (`deliveries.inc_by(n)`), because all shards share the counter's cache line.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use orosync_protocol::Subprotocol;

use crate::node::name::NodeName;
use crate::refusals::RefusedTopics;

/// Where an accepted message came from, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A publisher, over the backend link.
    Link,
    /// A browser, or another WAMP client.
    Browser,
    /// This server itself: `oro/ping`.
    Server,
}

/// All metrics of a node. Cheap to count into from any thread.
#[derive(Debug)]
pub struct Metrics {
    /// Whose they are.
    pub node: NodeName,
    /// Open sessions.
    pub sessions_open: ByProtocol<Gauge>,
    /// Sessions since the start.
    pub sessions_opened: ByProtocol<Counter>,
    /// Ended sessions: `CloseReason::label`, or how else they ended.
    pub sessions_closed: ByReason,
    /// Connections that ended before their session began: `handshake`'s answers.
    pub handshakes_refused: ByReason,
    /// Tickets that were refused: `TicketError::label`, or used before.
    pub tickets_refused: ByReason,
    /// Resume tickets that sessions were given.
    pub resume_tickets_minted: Counter,
    /// Resume tickets that opened a session.
    pub resume_tickets_used: Counter,
    /// Connections that were closed before a byte was read: over a limit.
    pub connections_refused: ByReason,
    /// Subscriptions of all open sessions.
    pub subscriptions: Gauge,
    /// Subscriptions that were refused: `policy::Denial::label`, or over the limit.
    pub subscriptions_refused: ByReason,
    /// Messages that the broker accepted.
    pub messages_accepted: BySource<Counter>,
    /// Messages that a publisher sent again and the broker already had.
    pub messages_duplicate: Counter,
    /// Messages that were refused.
    pub messages_refused: ByReason,
    /// Events appended to a session's outbound queue.
    pub deliveries: Counter,
    /// Bytes of those, as WebSocket frames.
    pub delivered_bytes: Counter,
    /// Waits of a publisher's session for credit.
    pub credit_waits: Counter,
    /// Topics that have a history.
    pub history_topics: Gauge,
    /// Events that are kept.
    pub history_events: Gauge,
    /// What they cost, as it counts against `history.bytes`.
    pub history_bytes: Gauge,
    /// Events that went before their time, for the node's bytes.
    pub history_dropped: Counter,
    /// Answers to `orosync/subscribe` that asked for what came since.
    pub recoveries: Counter,
    /// Those of them that could not say that nothing is missing.
    pub recoveries_incomplete: Counter,
    /// Answers that the broker could not say what came, and that the session is to ask again.
    pub recoveries_unavailable: Counter,
    /// Calls that were made again, because nobody knew what became of them.
    pub broker_calls_again: Counter,
    /// Messages that the broker had acknowledged, and that its servers have lost.
    pub broker_lost: Counter,
    /// Reads of topics of which something may have been missed.
    pub broker_gaps: Counter,
    /// Topics of which something was missed for good.
    pub broker_breaks: Counter,
    /// Pushes that there was no room for: their topics are read.
    pub broker_dropped: Counter,
    /// Whether messages to many are sent by `io_uring`, and why: `shard::trial::Reason::label`.
    pub io_uring: StateByReason,
    /// Log lines that a rate limit left out.
    pub log_lines_left_out: Counter,
    /// Topics that somebody was refused on: names, which no label may be.
    pub refused_topics: RefusedTopics,
    registry: Registry,
}

impl Metrics {
    /// All at zero, of a node that gets a name.
    pub fn new() -> Self {
        let node = NodeName::random();
        let mut registry = Registry::with_prefix("orosync");
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("node", "The name of this node", Info::new([("node", node.to_string())]));
        let mut declare = Declare(&mut registry);
        Self {
            node,
            sessions_open: declare.by_protocol("sessions_open", "Open sessions"),
            sessions_opened: declare.by_protocol("sessions_opened", "Sessions since the start"),
            sessions_closed: declare.by_reason("sessions_closed", "Sessions that ended"),
            handshakes_refused: declare.by_reason("handshakes_refused", "Connections without a session"),
            tickets_refused: declare.by_reason("tickets_refused", "Tickets that were refused"),
            resume_tickets_minted: declare.plain("resume_tickets_minted", "Resume tickets given to sessions"),
            resume_tickets_used: declare.plain("resume_tickets_used", "Resume tickets that opened a session"),
            connections_refused: declare.by_reason("connections_refused", "Connections closed at once"),
            subscriptions: declare.plain("subscriptions", "Subscriptions of all open sessions"),
            subscriptions_refused: declare
                .by_reason("subscriptions_refused", "Subscriptions that were refused"),
            messages_accepted: declare.by_source("messages_accepted", "Messages that the broker accepted"),
            messages_duplicate: declare.plain("messages_duplicate", "Messages sent again and dropped"),
            messages_refused: declare.by_reason("messages_refused", "Messages that were refused"),
            deliveries: declare.plain("deliveries", "Events appended to a session's outbound queue"),
            delivered_bytes: declare.plain("delivered_bytes", "Bytes of the deliveries, framed"),
            credit_waits: declare.plain("credit_waits", "Waits of a publisher for credit"),
            history_topics: declare.plain("history_topics", "Topics that have a history"),
            history_events: declare.plain("history_events", "Events that are kept"),
            history_bytes: declare.plain("history_bytes", "What they cost of history.bytes"),
            history_dropped: declare.plain("history_dropped", "Events dropped early for history.bytes"),
            recoveries: declare.plain("recoveries", "Answers to who was away"),
            recoveries_incomplete: declare
                .plain("recoveries_incomplete", "Answers that could not say that nothing is missing"),
            recoveries_unavailable: declare
                .plain("recoveries_unavailable", "Answers that the broker was away, and to ask again"),
            broker_calls_again: declare.plain("broker_calls_again", "Calls of the broker made again"),
            broker_lost: declare.plain("broker_lost", "Messages acknowledged and lost in a failover"),
            broker_gaps: declare.plain("broker_gaps", "Reads of topics with a gap"),
            broker_breaks: declare.plain("broker_breaks", "Topics of which something was missed for good"),
            broker_dropped: declare.plain("broker_dropped", "Pushes of the broker without room"),
            io_uring: StateByReason(declare.plain("io_uring", "Whether io_uring sends, and why")),
            log_lines_left_out: declare.plain("log_lines_left_out", "Log lines that a rate limit left out"),
            refused_topics: RefusedTopics::default(),
            registry,
        }
    }

    /// All of them, as text in the format of `OpenMetrics`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all that is written to it");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One metric for each protocol.
#[derive(Debug)]
pub struct ByProtocol<M> {
    wamp: M,
    orosync: M,
    link: M,
}

impl<M> ByProtocol<M> {
    /// The one of this protocol.
    pub fn of(&self, protocol: Subprotocol) -> &M {
        match protocol {
            Subprotocol::Wamp => &self.wamp,
            Subprotocol::Orosync => &self.orosync,
            Subprotocol::Link => &self.link,
        }
    }
}

/// One metric for each source.
#[derive(Debug)]
pub struct BySource<M> {
    link: M,
    browser: M,
    server: M,
}

impl<M> BySource<M> {
    /// The one of this source.
    pub fn of(&self, source: Source) -> &M {
        match source {
            Source::Link => &self.link,
            Source::Browser => &self.browser,
            Source::Server => &self.server,
        }
    }
}

/// A counter for each reason.
#[derive(Clone, Debug, Default)]
pub struct ByReason(Family<ReasonLabel, Counter>);

impl ByReason {
    /// Counts one.
    pub fn count(&self, reason: &'static str) {
        self.0.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// How many so far.
    pub fn total(&self, reason: &'static str) -> u64 {
        self.0.get(&ReasonLabel { reason }).map_or(0, |counter| counter.get())
    }
}

/// Whether something is so, and the reason for it.
#[derive(Clone, Debug, Default)]
pub struct StateByReason(Family<ReasonLabel, Gauge>);

impl StateByReason {
    /// Once: it stays so.
    pub fn set(&self, is_so: bool, reason: &'static str) {
        self.0.get_or_create(&ReasonLabel { reason }).set(i64::from(is_so));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

/// Declares metrics; their values are shared with the registry.
struct Declare<'a>(&'a mut Registry);

impl Declare<'_> {
    fn plain<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn by_reason(&mut self, name: &str, help: &str) -> ByReason {
        ByReason(self.plain(name, help))
    }

    fn by_protocol<M>(&mut self, name: &str, help: &str) -> ByProtocol<M>
    where
        M: Metric + TypedMetric + Clone + Default,
    {
        let family: Family<ProtocolLabel, M> = self.plain(name, help);
        let of = |protocol| family.get_or_create_owned(&ProtocolLabel { protocol });
        ByProtocol { wamp: of("wamp"), orosync: of("orosync"), link: of("link") }
    }

    fn by_source<M>(&mut self, name: &str, help: &str) -> BySource<M>
    where
        M: Metric + TypedMetric + Clone + Default,
    {
        let family: Family<SourceLabel, M> = self.plain(name, help);
        let of = |source| family.get_or_create_owned(&SourceLabel { source });
        BySource { link: of("link"), browser: of("browser"), server: of("server") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_under_its_name() {
        let metrics = Metrics::new();
        metrics.sessions_open.of(Subprotocol::Wamp).inc();
        metrics.sessions_opened.of(Subprotocol::Link).inc();
        metrics.sessions_closed.count("going_away");
        metrics.messages_accepted.of(Source::Browser).inc_by(3);
        metrics.deliveries.inc_by(1000);
        metrics.io_uring.set(true, "measured");
        let text = metrics.encode();
        for line in [
            "orosync_build_info{version=\"0.1.0\"} 1",
            "orosync_sessions_open{protocol=\"wamp\"} 1",
            "orosync_sessions_opened_total{protocol=\"link\"} 1",
            "orosync_sessions_opened_total{protocol=\"orosync\"} 0",
            "orosync_sessions_closed_total{reason=\"going_away\"} 1",
            "orosync_messages_accepted_total{source=\"browser\"} 3",
            "orosync_messages_duplicate_total 0",
            "orosync_deliveries_total 1000",
            "orosync_io_uring{reason=\"measured\"} 1",
            "orosync_log_lines_left_out_total 0",
            &format!("orosync_node_info{{node=\"{}\"}} 1", metrics.node),
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
        }
        assert_eq!(metrics.sessions_closed.total("going_away"), 1);
        assert_eq!(metrics.sessions_closed.total("policy"), 0);
    }

    #[test]
    fn each_metric_is_declared_once_with_a_sentence() {
        let metrics = Metrics::new();
        for by_reason in [
            &metrics.sessions_closed,
            &metrics.handshakes_refused,
            &metrics.tickets_refused,
            &metrics.connections_refused,
            &metrics.subscriptions_refused,
            &metrics.messages_refused,
        ] {
            by_reason.count("policy"); // a family without members is not shown
        }
        metrics.io_uring.set(false, "refused");
        let text = metrics.encode();
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        let declared = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), declared);
        assert_eq!(declared, 32);
    }
}
