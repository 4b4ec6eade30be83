//! The cluster that this node is one of, for whoever tells publishers. It changes where Redis has lost its data and another node began
//! anew there first.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use orosync_protocol::ClusterId;
use orosync_protocol::cluster::Membership;

/// The cluster of a node, once it is known.
#[derive(Debug, Default)]
pub struct Cluster(Mutex<Option<Joined>>);

#[derive(Clone, Copy, Debug)]
struct Joined {
    cluster: ClusterId,
    /// Seconds since 1970.
    since: u64,
}

impl Cluster {
    /// The node has been one of this since then, in seconds since 1970.
    pub fn new(cluster: ClusterId, since: u64) -> Self {
        Self(Mutex::new(Some(Joined { cluster, since })))
    }

    /// The node is one of this cluster from now on.
    pub fn join(&self, cluster: ClusterId, unix_now: u64) {
        let mut joined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if joined.is_none_or(|joined| joined.cluster != cluster) {
            *joined = Some(Joined { cluster, since: unix_now });
        }
    }

    /// What a publisher is told.
    pub fn membership(&self, unix_now: u64) -> Option<Membership> {
        let joined = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        joined.map(|Joined { cluster, since }| Membership {
            cluster,
            running: Duration::from_secs(unix_now.saturating_sub(since)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_one_of_its_cluster_for_as_long_as_it_has_been_in_that() {
        let cluster = Cluster::default();
        assert_eq!(cluster.membership(100), None);
        let said =
            |id, seconds| Some(Membership { cluster: ClusterId(id), running: Duration::from_secs(seconds) });
        cluster.join(ClusterId(1), 100);
        cluster.join(ClusterId(1), 130);
        assert_eq!(cluster.membership(142), said(1, 42));
        cluster.join(ClusterId(2), 150);
        assert_eq!(cluster.membership(151), said(2, 1), "nobody has seen it with another one since");
    }
}
