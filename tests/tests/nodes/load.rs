//! PHP processes that publish through all nodes, and an auditor at each node.

use std::time::Instant;

use orosync_tests::auditor::Auditor;
use orosync_tests::nodes::Nodes;
use orosync_tests::redis::Redis;
use orosync_tests::traffic::{self, Events, Publishers, Report, TOPIC};

use super::RESUME_LIMIT;

/// Number of PHP processes.
const PUBLISHERS: usize = 4;

/// Messages per second and process.
const RATE: usize = 50;

/// A number of messages that exceeds those in flight without a fault.
const MORE_THAN_IN_FLIGHT: usize = 100;

/// The publishing PHP processes and the auditors.
pub(crate) struct Load {
    publishers: Publishers,
    auditors: Vec<Auditor>,
}

impl Load {
    /// Begins, and waits until what is published arrives everywhere. Publishers know all nodes; an auditor that loses its node goes to
    /// the next.
    pub(crate) fn on(nodes: &Nodes) -> Self {
        let endpoints: Vec<String> =
            nodes.addresses().iter().map(|address| format!("ws://{address}/")).collect();
        Self::through(&endpoints.join(" "), nodes)
    }

    /// The same of publishers that know these endpoints of the nodes.
    pub(crate) fn through(endpoints: &str, nodes: &Nodes) -> Self {
        let addresses = nodes.addresses();
        let auditor = |first: usize| {
            let mut addresses = addresses.clone();
            addresses.rotate_left(first);
            Auditor::start(addresses, &[TOPIC])
        };
        let auditors = (0..addresses.len()).map(auditor).collect();
        let publishers = Publishers::start(endpoints, PUBLISHERS, RATE, &[]);
        let load = Self { publishers, auditors };
        load.await_events();
        load
    }

    /// Waits until more has arrived everywhere than was on its way.
    pub(crate) fn await_events(&self) {
        let before: Vec<usize> = self.auditors.iter().map(Auditor::count).collect();
        for (auditor, before) in self.auditors.iter().zip(before) {
            auditor.await_count(before + MORE_THAN_IN_FLIGHT);
        }
    }

    /// The same at one node alone.
    pub(crate) fn await_events_at(&self, node: usize) {
        let auditor = &self.auditors[node];
        auditor.await_count(auditor.count() + MORE_THAN_IN_FLIGHT);
    }

    /// The same, within the promised time since `able`.
    pub(crate) fn await_resumption(&self, able: Instant) {
        self.await_events();
        let took = able.elapsed();
        println!("delivery goes on after {took:?}");
        assert!(took < RESUME_LIMIT, "it took {took:?}");
    }

    /// What has arrived so far, at the session where least has.
    pub(crate) fn arrived(&self) -> usize {
        self.auditors.iter().map(Auditor::count).min().unwrap_or_default()
    }

    /// How often an auditor has left a node.
    pub(crate) fn moves(&self) -> usize {
        self.auditors.iter().map(Auditor::moves).sum()
    }

    /// Ends it: all was acknowledged, and has arrived at each auditor, once and in order. How the publishers ended.
    pub(crate) fn assert_complete(self) -> Vec<Report> {
        let ended = self.publishers.finish();
        traffic::assert_flushed(&ended);
        let accepted = accepted(&ended);
        for auditor in self.auditors {
            auditor.await_count(accepted);
            auditor.finish().assert_complete(&ended);
        }
        ended
    }

    /// The same where Redis may have forgotten something, and sessions were told so: this primary has all that was acknowledged,
    /// once and in order, but for as many messages as the nodes count as lost: how many those are.
    pub(crate) fn assert_complete_except_lost(self, nodes: &Nodes, primary: &Redis) -> f64 {
        let ended = self.publishers.finish();
        traffic::assert_flushed(&ended);
        let kept: Vec<Vec<u8>> = primary.ask(&["LRANGE", &format!("orosync:{{0}}:e:{TOPIC}"), "0", "-1"]);
        let payload = |entry: &Vec<u8>| {
            let begin =
                entry.iter().rposition(|byte| *byte == b'[').expect("it ends with [publisher, number]");
            serde_json::from_slice(&entry[begin..]).expect("[publisher, number]")
        };
        let kept: Events = kept.iter().map(payload).collect();
        traffic::assert_in_order(&kept);
        let (accepted, kept) = (accepted(&ended), kept.len());
        let lost = super::sum(nodes, self.auditors.len(), super::LOST);
        println!("{kept} of {accepted} messages are kept, {lost} counted as lost");
        assert_eq!(
            accepted.to_string(),
            (lost + f64::from(u32::try_from(kept).expect("so few"))).to_string()
        );
        lost
    }
}

fn accepted(ended: &[Report]) -> usize {
    ended.iter().map(|ended| ended.accepted).sum()
}
