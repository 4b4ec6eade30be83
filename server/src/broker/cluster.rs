//! The cluster that this node belongs to, which is announced to publishers. It changes if Redis loses its data and another node
//! initializes Redis first.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use orosync_protocol::ClusterId;
use orosync_protocol::cluster::Membership;

/// The cluster of a node. Unknown until the node has joined one.
#[derive(Debug, Default)]
pub struct Cluster(Mutex<Option<Joined>>);

#[derive(Clone, Copy, Debug)]
struct Joined {
    cluster: ClusterId,
    /// When the node joined, as Unix time in seconds.
    since: u64,
}

impl Cluster {
    /// The node joined this cluster at `since` (Unix time in seconds).
    pub fn new(cluster: ClusterId, since: u64) -> Self {
        Self(Mutex::new(Some(Joined { cluster, since })))
    }

    /// Notes that the node joins this cluster now.
    pub fn join(&self, cluster: ClusterId, unix_now: u64) {
        let mut joined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if joined.is_none_or(|joined| joined.cluster != cluster) {
            *joined = Some(Joined { cluster, since: unix_now });
        }
    }

    /// The membership that is announced to publishers.
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
    fn the_membership_lasts_since_the_node_joined_its_current_cluster() {
        let cluster = Cluster::default();
        assert_eq!(cluster.membership(100), None);
        let membership =
            |id, seconds| Some(Membership { cluster: ClusterId(id), running: Duration::from_secs(seconds) });
        cluster.join(ClusterId(1), 100);
        cluster.join(ClusterId(1), 130);
        assert_eq!(cluster.membership(142), membership(1, 42));
        cluster.join(ClusterId(2), 150);
        assert_eq!(cluster.membership(151), membership(2, 1), "since the last change");
    }
}
