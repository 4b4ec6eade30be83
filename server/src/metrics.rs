//! All metrics of a node, each declared once with name, help text and labels.
//!
//! Label values are constants of this program and the node's name, never input, so their number is bounded.
//! Counters of deliveries have no label and are incremented once per event and shard (`deliveries.inc_by(n)`), because all
//! shards share the counter's cache line.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use orosync_protocol::Subprotocol;

use crate::node_name::NodeName;
use crate::refusals::RefusedTopics;

/// The source of an accepted message, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A publisher, over the backend link.
    Link,
    /// A browser, or another WAMP client.
    Browser,
    /// This server itself: `oro/ping`.
    Server,
}

/// All metrics of a node. Counting is cheap from any thread.
#[derive(Debug)]
pub struct Metrics {
    /// The node that the metrics belong to.
    pub node: NodeName,
    /// Open sessions.
    pub sessions_open: ByProtocol<Gauge>,
    /// Sessions that were opened since the start.
    pub sessions_opened: ByProtocol<Counter>,
    /// Sessions that ended. The label is `CloseReason::label`, or another way in which a session ends.
    pub sessions_closed: ByReason,
    /// Connections that ended before their session began. The label is that of the answer (`handshake/answers.rs`).
    pub handshakes_refused: ByReason,
    /// Tickets that were rejected. The label is `TicketError::label`, or says that the ticket was used before.
    pub tickets_rejected: ByReason,
    /// Resume tickets that were issued to sessions.
    pub resume_tickets_issued: Counter,
    /// Resume tickets that opened a session.
    pub resume_tickets_used: Counter,
    /// Connections that exceeded a limit and were closed before a byte was read.
    pub connections_refused: ByReason,
    /// Subscriptions of all open sessions.
    pub subscriptions: Gauge,
    /// Subscriptions that were refused. The label is `policy::Denial::label`, or names the limit.
    pub subscriptions_refused: ByReason,
    /// Messages that the broker accepted.
    pub messages_accepted: BySource<Counter>,
    /// Messages that a publisher resent although the broker had accepted them.
    pub messages_duplicate: Counter,
    /// Messages that were refused.
    pub messages_refused: ByReason,
    /// Events appended to a session's outbound queue.
    pub deliveries: Counter,
    /// Bytes of the deliveries as WebSocket frames.
    pub delivered_bytes: Counter,
    /// Times that a publisher's session waited for credit.
    pub credit_waits: Counter,
    /// Topics that have a history.
    pub history_topics: Gauge,
    /// Events in all histories.
    pub history_events: Gauge,
    /// Memory of these events, as it counts towards `history.bytes`.
    pub history_bytes: Gauge,
    /// Events that were dropped early because `history.bytes` was reached.
    pub history_events_dropped: Counter,
    /// Calls of `orosync/subscribe` that asked for missed events.
    pub recoveries: Counter,
    /// Those calls whose answer could not guarantee completeness.
    pub recoveries_incomplete: Counter,
    /// Those calls that failed because the broker was unavailable; the session has to retry.
    pub recoveries_unavailable: Counter,
    /// Broker calls that were retried because their outcome was unknown.
    pub broker_retries: Counter,
    /// Messages that Redis had accepted and then lost in a failover.
    pub broker_messages_lost: Counter,
    /// Gaps: topics that were read because pushes may have been missed.
    pub broker_gaps: Counter,
    /// Breaks: gaps whose events Redis no longer has.
    pub broker_breaks: Counter,
    /// Pushes from Redis that were dropped because the node's buffer for them was full. Their topics are read instead.
    pub broker_pushes_dropped: Counter,
    /// Whether messages to many sessions are sent with `io_uring`. The label `reason` is `shard::trial::Reason::label`.
    pub io_uring: StateByReason,
    /// Log lines that a rate limit suppressed.
    pub log_lines_suppressed: Counter,
    /// Topics on which something was refused. Topic names are input and must not be labels.
    pub refused_topics: RefusedTopics,
    registry: Registry,
}

impl Metrics {
    /// All metrics at zero, for a node with a new random name.
    pub fn new() -> Self {
        let node = NodeName::random();
        let mut registry = Registry::with_prefix("orosync");
        registry.register(
            "build",
            "Version of the server",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("node", "Name of this node", Info::new([("node", node.to_string())]));
        let mut declare = Declare(&mut registry);
        Self {
            node,
            sessions_open: declare.by_protocol("sessions_open", "Open sessions"),
            sessions_opened: declare.by_protocol("sessions_opened", "Sessions opened since the start"),
            sessions_closed: declare.by_reason("sessions_closed", "Sessions that ended"),
            handshakes_refused: declare
                .by_reason("handshakes_refused", "Connections that ended before a session began"),
            tickets_rejected: declare.by_reason("tickets_rejected", "Rejected tickets"),
            resume_tickets_issued: declare
                .plain("resume_tickets_issued", "Resume tickets issued to sessions"),
            resume_tickets_used: declare.plain("resume_tickets_used", "Resume tickets that opened a session"),
            connections_refused: declare
                .by_reason("connections_refused", "Connections closed at once because of a limit"),
            subscriptions: declare.plain("subscriptions", "Subscriptions of all open sessions"),
            subscriptions_refused: declare.by_reason("subscriptions_refused", "Refused subscriptions"),
            messages_accepted: declare.by_source("messages_accepted", "Messages accepted by the broker"),
            messages_duplicate: declare
                .plain("messages_duplicate", "Duplicate messages from publishers, dropped"),
            messages_refused: declare.by_reason("messages_refused", "Refused messages"),
            deliveries: declare.plain("deliveries", "Events appended to a session's outbound queue"),
            delivered_bytes: declare.plain("delivered_bytes", "Bytes of the deliveries as WebSocket frames"),
            credit_waits: declare.plain("credit_waits", "Times that a publisher waited for credit"),
            history_topics: declare.plain("history_topics", "Topics that have a history"),
            history_events: declare.plain("history_events", "Events in all histories"),
            history_bytes: declare
                .plain("history_bytes", "Memory of all histories, limited by history.bytes"),
            history_events_dropped: declare
                .plain("history_events_dropped", "Events dropped early because history.bytes was reached"),
            recoveries: declare.plain("recoveries", "Requests for missed events"),
            recoveries_incomplete: declare
                .plain("recoveries_incomplete", "Requests for missed events whose answer may be incomplete"),
            recoveries_unavailable: declare.plain(
                "recoveries_unavailable",
                "Requests for missed events that failed because the broker was unavailable",
            ),
            broker_retries: declare
                .plain("broker_retries", "Broker calls retried because their outcome was unknown"),
            broker_messages_lost: declare
                .plain("broker_messages_lost", "Acknowledged messages lost in a Redis failover"),
            broker_gaps: declare.plain("broker_gaps", "Topics read because pushes may have been missed"),
            broker_breaks: declare.plain("broker_breaks", "Gaps whose events Redis no longer has"),
            broker_pushes_dropped: declare
                .plain("broker_pushes_dropped", "Pushes from Redis dropped because the buffer was full"),
            io_uring: StateByReason(declare.plain(
                "io_uring",
                "Whether messages to many sessions are sent with io_uring (1 or 0), by reason of the choice",
            )),
            log_lines_suppressed: declare
                .plain("log_lines_suppressed", "Log lines suppressed by a rate limit"),
            refused_topics: RefusedTopics::default(),
            registry,
        }
    }

    /// All metrics as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
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
    /// The metric of this protocol.
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
    /// The metric of this source.
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
    /// Increments the counter of this reason.
    pub fn count(&self, reason: &'static str) {
        self.0.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// The current value of the counter of this reason.
    pub fn total(&self, reason: &'static str) -> u64 {
        self.0.get(&ReasonLabel { reason }).map_or(0, |counter| counter.get())
    }
}

/// A gauge of 1 or 0 with the reason as its label.
#[derive(Clone, Debug, Default)]
pub struct StateByReason(Family<ReasonLabel, Gauge>);

impl StateByReason {
    /// Sets the state. Must be called only once, because an earlier reason would remain as a second series.
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

/// Registers metrics. The registry shares their values.
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
    fn counted_values_are_encoded_under_their_names() {
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
            "orosync_log_lines_suppressed_total 0",
            &format!("orosync_node_info{{node=\"{}\"}} 1", metrics.node),
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
        }
        assert_eq!(metrics.sessions_closed.total("going_away"), 1);
        assert_eq!(metrics.sessions_closed.total("policy"), 0);
    }

    #[test]
    fn each_metric_is_declared_once_with_a_help_text() {
        let metrics = Metrics::new();
        for by_reason in [
            &metrics.sessions_closed,
            &metrics.handshakes_refused,
            &metrics.tickets_rejected,
            &metrics.connections_refused,
            &metrics.subscriptions_refused,
            &metrics.messages_refused,
        ] {
            by_reason.count("policy"); // a family without members is not encoded
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
