//! Whether endpoints that stand for one cluster are one: what each of them said of its cluster last, and how long ago. No I/O
//! and no clock of its own.
//!
//! Different ids alone prove nothing: the node behind an endpoint may have been started anew, which gives a node without
//! a cluster another id, and two endpoints may be two ways to the same node. But two nodes that ran at the same time and had
//! different ids are two clusters.

use std::time::{Duration, Instant};

use orosync_protocol::ClusterId;
use orosync_protocol::cluster::Membership;

/// A node says in whole seconds for how long it has run.
const INACCURACY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Neighbours {
    /// Of each endpoint.
    seen: Vec<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    cluster: ClusterId,
    /// Until then at least it ran.
    alive: Instant,
}

impl Neighbours {
    pub(crate) fn new(endpoints: usize) -> Self {
        Self { seen: vec![None; endpoints] }
    }

    /// What an endpoint says of its node. Returns another endpoint whose node was in another cluster while this one ran.
    pub(crate) fn handle_answer(&mut self, now: Instant, endpoint: usize, said: Membership) -> Option<usize> {
        let began = now.checked_sub(said.running).map(|began| began + INACCURACY);
        let is_stranger = |seen: &Seen| {
            // Longer than this machine's clock: longer than anything that we have seen.
            seen.cluster != said.cluster && began.is_none_or(|began| began < seen.alive)
        };
        let stranger = self
            .seen
            .iter()
            .enumerate()
            .position(|(other, seen)| other != endpoint && seen.as_ref().is_some_and(is_stranger));
        if let Some(seen) = self.seen.get_mut(endpoint) {
            *seen = Some(Seen { cluster: said.cluster, alive: now });
        }
        stranger
    }

    /// The connection to an endpoint is lost, from which something came last then.
    pub(crate) fn handle_lost(&mut self, endpoint: usize, heard: Instant) {
        if let Some(Some(seen)) = self.seen.get_mut(endpoint) {
            seen.alive = heard;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hour, minute by minute.
    fn minute(minute: u32) -> Instant {
        use std::sync::LazyLock;
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        *BEGIN + minute * Duration::from_mins(1)
    }

    fn since(minutes: u64, cluster: u128) -> Membership {
        Membership { cluster: ClusterId(cluster), running: Duration::from_mins(minutes) }
    }

    #[test]
    fn two_nodes_that_ran_at_the_same_time_with_different_ids_are_two_clusters() {
        let mut neighbours = Neighbours::new(3);
        assert_eq!(neighbours.handle_answer(minute(0), 1, since(0, 7)), None);
        neighbours.handle_lost(1, minute(5));
        assert_eq!(neighbours.handle_answer(minute(6), 0, since(3, 8)), Some(1));
    }

    #[test]
    fn a_node_that_runs_for_longer_than_this_machine_is_compared_too() {
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(0, 7));
        assert_eq!(neighbours.handle_answer(minute(1), 1, since(u64::from(u32::MAX), 8)), Some(0));
    }

    #[test]
    fn nodes_of_one_cluster_are_no_strangers() {
        let mut neighbours = Neighbours::new(2);
        for time in 0..4 {
            assert_eq!(neighbours.handle_answer(minute(time), time as usize % 2, since(60, 7)), None);
        }
    }

    #[test]
    fn a_node_that_was_started_anew_is_no_stranger_to_itself() {
        let mut neighbours = Neighbours::new(1);
        assert_eq!(neighbours.handle_answer(minute(0), 0, since(60, 7)), None);
        assert_eq!(neighbours.handle_answer(minute(9), 0, since(1, 8)), None);
        // Two ways to one node.
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(60, 7));
        neighbours.handle_lost(0, minute(5));
        assert_eq!(
            neighbours.handle_answer(minute(6), 1, since(1, 8)),
            None,
            "it began when the other was gone"
        );
        assert_eq!(neighbours.handle_answer(minute(7), 0, since(2, 8)), None);
    }

    #[test]
    fn what_an_endpoint_said_before_its_restart_is_forgotten() {
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(60, 7));
        neighbours.handle_lost(0, minute(1));
        assert_eq!(neighbours.handle_answer(minute(2), 1, since(0, 8)), None);
        neighbours.handle_lost(1, minute(3));
        assert_eq!(neighbours.handle_answer(minute(4), 0, since(2, 8)), None, "it has joined the other one");
        neighbours.handle_lost(0, minute(5));
        assert_eq!(neighbours.handle_answer(minute(6), 1, since(4, 8)), None);
    }
}
