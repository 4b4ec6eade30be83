//! Detects endpoints that are not nodes of one cluster, from what each reported about its cluster and when. No I/O; the caller
//! passes in the time.
//!
//! Different cluster ids alone prove nothing: the node behind an endpoint may have restarted, which gives a node without a
//! cluster a new id, and two endpoints may lead to the same node. But two nodes that ran at the same time with different ids
//! belong to different clusters.

use std::time::{Duration, Instant};

use orosync_protocol::ClusterId;
use orosync_protocol::cluster::Membership;

/// Resolution of a node's reported uptime.
const INACCURACY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Neighbours {
    /// Last report of each endpoint.
    seen: Vec<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    cluster: ClusterId,
    /// When the node was last known to run.
    alive: Instant,
}

impl Neighbours {
    pub(crate) fn new(endpoints: usize) -> Self {
        Self { seen: vec![None; endpoints] }
    }

    /// Records a node's report. Returns another endpoint whose node was in another cluster while this one was running.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        endpoint: usize,
        membership: Membership,
    ) -> Option<usize> {
        let began = now.checked_sub(membership.running).map(|began| began + INACCURACY);
        let is_of_another_cluster = |seen: &Seen| {
            // The uptime exceeds this machine's clock, so the node was running all the time.
            seen.cluster != membership.cluster && began.is_none_or(|began| began < seen.alive)
        };
        let other =
            self.seen.iter().enumerate().position(|(other, seen)| {
                other != endpoint && seen.as_ref().is_some_and(is_of_another_cluster)
            });
        if let Some(seen) = self.seen.get_mut(endpoint) {
            *seen = Some(Seen { cluster: membership.cluster, alive: now });
        }
        other
    }

    /// The connection to an endpoint was lost; something was last received from it at `last_received`.
    pub(crate) fn handle_lost(&mut self, endpoint: usize, last_received: Instant) {
        if let Some(Some(seen)) = self.seen.get_mut(endpoint) {
            seen.alive = last_received;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time in the test's hour.
    fn minute(minute: u32) -> Instant {
        use std::sync::LazyLock;
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        *BEGIN + minute * Duration::from_mins(1)
    }

    fn since(minutes: u64, cluster: u128) -> Membership {
        Membership { cluster: ClusterId(cluster), running: Duration::from_mins(minutes) }
    }

    #[test]
    fn nodes_that_ran_at_the_same_time_with_different_cluster_ids_mismatch() {
        let mut neighbours = Neighbours::new(3);
        assert_eq!(neighbours.handle_answer(minute(0), 1, since(0, 7)), None);
        neighbours.handle_lost(1, minute(5));
        assert_eq!(neighbours.handle_answer(minute(6), 0, since(3, 8)), Some(1));
    }

    #[test]
    fn a_node_with_a_longer_uptime_than_this_machine_is_compared() {
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(0, 7));
        assert_eq!(neighbours.handle_answer(minute(1), 1, since(u64::from(u32::MAX), 8)), Some(0));
    }

    #[test]
    fn nodes_of_one_cluster_do_not_mismatch() {
        let mut neighbours = Neighbours::new(2);
        for time in 0..4 {
            assert_eq!(neighbours.handle_answer(minute(time), time as usize % 2, since(60, 7)), None);
        }
    }

    #[test]
    fn a_restarted_node_does_not_mismatch_itself() {
        let mut neighbours = Neighbours::new(1);
        assert_eq!(neighbours.handle_answer(minute(0), 0, since(60, 7)), None);
        assert_eq!(neighbours.handle_answer(minute(9), 0, since(1, 8)), None);
        // Two endpoints of one node.
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(60, 7));
        neighbours.handle_lost(0, minute(5));
        assert_eq!(
            neighbours.handle_answer(minute(6), 1, since(1, 8)),
            None,
            "it started after the other had ended"
        );
        assert_eq!(neighbours.handle_answer(minute(7), 0, since(2, 8)), None);
    }

    #[test]
    fn the_membership_of_an_endpoint_is_replaced_after_its_restart() {
        let mut neighbours = Neighbours::new(2);
        neighbours.handle_answer(minute(0), 0, since(60, 7));
        neighbours.handle_lost(0, minute(1));
        assert_eq!(neighbours.handle_answer(minute(2), 1, since(0, 8)), None);
        neighbours.handle_lost(1, minute(3));
        assert_eq!(neighbours.handle_answer(minute(4), 0, since(2, 8)), None, "it has joined cluster 8");
        neighbours.handle_lost(0, minute(5));
        assert_eq!(neighbours.handle_answer(minute(6), 1, since(4, 8)), None);
    }
}
