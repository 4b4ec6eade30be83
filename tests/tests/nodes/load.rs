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

/// More messages than are in flight without a fault.
const MORE_THAN_IN_FLIGHT: usize = 100;

/// The publishing PHP processes and the auditors.
pub(crate) struct Load {
    publishers: Publishers,
    auditors: Vec<Auditor>,
}

impl Load {
    /// Starts the load, and waits until messages arrive at all auditors. Publishers have all nodes as endpoints. An auditor that
    /// loses its node switches to the next.
    pub(crate) fn on(nodes: &Nodes) -> Self {
        let endpoints: Vec<String> =
            nodes.addresses().iter().map(|address| format!("ws://{address}/")).collect();
        Self::through(&endpoints.join(" "), nodes)
    }

    /// Like [`Load::on`], with these endpoints for the publishers.
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

    /// Waits until more messages have arrived at all auditors than were in flight.
    pub(crate) fn await_events(&self) {
        let before: Vec<usize> = self.auditors.iter().map(Auditor::count).collect();
        for (auditor, before) in self.auditors.iter().zip(before) {
            auditor.await_count(before + MORE_THAN_IN_FLIGHT);
        }
    }

    /// Like [`Load::await_events`], for the auditor that started at this node.
    pub(crate) fn await_events_at(&self, node: usize) {
        let auditor = &self.auditors[node];
        auditor.await_count(auditor.count() + MORE_THAN_IN_FLIGHT);
    }

    /// Like [`Load::await_events`]. Asserts that delivery resumes within [`RESUME_LIMIT`] of `available`, when the fault ended.
    pub(crate) fn await_resumption(&self, available: Instant) {
        self.await_events();
        let took = available.elapsed();
        println!("delivery resumed after {took:?}");
        assert!(took < RESUME_LIMIT, "it took {took:?}");
    }

    /// Number of messages that have arrived at every auditor.
    pub(crate) fn arrived(&self) -> usize {
        self.auditors.iter().map(Auditor::count).min().unwrap_or_default()
    }

    /// Number of node changes of all auditors.
    pub(crate) fn moves(&self) -> usize {
        self.auditors.iter().map(Auditor::moves).sum()
    }

    /// Ends the load. Asserts that all messages were acknowledged and have arrived at each auditor, once and in order. Returns the
    /// publishers' reports.
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

    /// Ends the load after Redis may have lost messages and the sessions were notified. Asserts that this primary has all
    /// acknowledged messages, once and in order, except as many as the nodes count as lost. Returns the number of lost messages.
    pub(crate) fn assert_complete_except_lost(self, nodes: &Nodes, primary: &Redis) -> f64 {
        let ended = self.publishers.finish();
        traffic::assert_flushed(&ended);
        let kept: Vec<Vec<u8>> = primary.ask(&["LRANGE", &format!("orosync:{{0}}:e:{TOPIC}"), "0", "-1"]);
        let payload = |entry: &Vec<u8>| {
            let begin =
                entry.iter().rposition(|byte| *byte == b'[').expect("an entry ends with [publisher, number]");
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
