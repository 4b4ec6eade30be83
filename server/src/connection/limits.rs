//! Limits on the number of connections, in total and per address.
//!
//! Loopback and unix peers are not counted by address, because they are reverse proxies of many clients. The proxies of
//! `trusted_proxies` are not counted either: the clients that they forward are.
//!
//! Part of the capacity is reserved for publishers, so that browsers cannot lock them out. Only the handshake shows whether a
//! connection is a publisher's, so a connection is admitted first and may be refused then.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Peer;

/// Counts connections against the limits. Shared by all listeners and shards.
#[derive(Debug)]
pub struct ConnectionLimits {
    open: AtomicUsize,
    browsers: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    capacity: Capacity,
    max_per_address: usize,
}

/// Maximum numbers of concurrent connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections of any kind.
    pub browsers: usize,
    /// Additional connections for publishers only.
    pub for_publishers: usize,
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub struct ConnectionCount {
    limits: Arc<ConnectionLimits>,
    address: Option<IpAddr>,
    is_browser: bool,
}

/// The limit that a connection exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The total number of connections.
    #[error(
        "the maximum number of connections is reached (limits.sessions, or the process's file descriptor limit)"
    )]
    Total,
    /// The number of connections from this address.
    #[error("the maximum number of connections from this address is reached (limits.sessions_per_address)")]
    PerAddress,
}

impl Full {
    /// A label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Total => "too_many_sessions",
            Self::PerAddress => "too_many_from_address",
        }
    }
}

impl ConnectionLimits {
    /// Allows `capacity` connections in total, and `max_per_address` from one address.
    pub fn new(capacity: Capacity, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            browsers: AtomicUsize::new(0),
            by_address: Mutex::default(),
            capacity,
            max_per_address,
        })
    }

    /// Counts a connection, unless it exceeds a limit.
    pub fn admit(self: &Arc<Self>, peer: Peer) -> Result<ConnectionCount, Full> {
        let mut count = self.admit_proxy()?;
        count.move_to(peer)?;
        Ok(count)
    }

    /// Counts a connection of a reverse proxy, not by its address.
    pub fn admit_proxy(self: &Arc<Self>) -> Result<ConnectionCount, Full> {
        if !try_take(&self.open, self.capacity.browsers + self.capacity.for_publishers) {
            return Err(Full::Total);
        }
        Ok(ConnectionCount { limits: Arc::clone(self), address: None, is_browser: false })
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn try_take(taken: &AtomicUsize, capacity: usize) -> bool {
    let is_within = taken.fetch_add(1, Ordering::Relaxed) < capacity;
    if !is_within {
        taken.fetch_sub(1, Ordering::Relaxed);
    }
    is_within
}

/// The address by which a peer is counted: for IPv6 its /64 network, which is what a single customer has. `None`: a peer on
/// this machine.
fn counted_address(peer: Peer) -> Option<IpAddr> {
    match peer.address()? {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl ConnectionCount {
    /// Counts the connection for this peer's address instead of its previous one. On failure it counts for no address.
    pub fn move_to(&mut self, peer: Peer) -> Result<(), Full> {
        self.leave_address();
        let Some(address) = counted_address(peer) else { return Ok(()) };
        let mut by_address = self.limits.by_address();
        let from_here = by_address.entry(address).or_default();
        if *from_here >= self.limits.max_per_address {
            return Err(Full::PerAddress);
        }
        *from_here += 1;
        drop(by_address);
        self.address = Some(address);
        Ok(())
    }

    /// Counts the connection as a browser, unless only capacity for publishers is left.
    pub fn admit_browser(&mut self) -> Result<(), Full> {
        self.is_browser = self.is_browser || try_take(&self.limits.browsers, self.limits.capacity.browsers);
        if self.is_browser { Ok(()) } else { Err(Full::Total) }
    }

    fn leave_address(&mut self) {
        let Some(address) = self.address.take() else { return };
        let mut by_address = self.limits.by_address();
        if let Some(from_here) = by_address.get_mut(&address) {
            *from_here -= 1;
            if *from_here == 0 {
                by_address.remove(&address);
            }
        }
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.leave_address();
        if self.is_browser {
            self.limits.browsers.fetch_sub(1, Ordering::Relaxed);
        }
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Capacity = Capacity { browsers: 100, for_publishers: 0 };

    fn tcp(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    #[test]
    fn both_limits_apply_and_closed_connections_free_capacity() {
        let limits = ConnectionLimits::new(Capacity { browsers: 3, for_publishers: 0 }, 2);
        let first = limits.admit(tcp("192.0.2.1:1")).unwrap();
        let _second = limits.admit(tcp("192.0.2.1:2")).unwrap();
        assert_eq!(limits.admit(tcp("192.0.2.1:3")).unwrap_err(), Full::PerAddress);
        let _third = limits.admit(tcp("192.0.2.2:1")).unwrap();
        assert_eq!(limits.admit(tcp("192.0.2.3:1")).unwrap_err(), Full::Total);
        drop(first);
        let _fourth = limits.admit(tcp("192.0.2.1:4")).unwrap();
    }

    #[test]
    fn browsers_leave_the_reserved_capacity_to_publishers() {
        let limits = ConnectionLimits::new(Capacity { browsers: 2, for_publishers: 1 }, 100);
        let mut browsers: Vec<_> = (0..3).map(|_| limits.admit(Peer::Unix).unwrap()).collect();
        assert_eq!(limits.admit(Peer::Unix).unwrap_err(), Full::Total);
        assert_eq!(browsers[0].admit_browser(), Ok(()));
        assert_eq!(browsers[1].admit_browser(), Ok(()));
        assert_eq!(browsers[2].admit_browser(), Err(Full::Total));
        browsers.pop();
        let mut publisher = limits.admit(Peer::Unix).unwrap();
        browsers.pop();
        assert_eq!(publisher.admit_browser(), Ok(()), "capacity freed by a browser that has left");
    }

    #[test]
    fn clients_behind_a_proxy_are_counted_by_their_own_address() {
        let limits = ConnectionLimits::new(PLENTY, 1);
        let mut behind: Vec<_> = (0..3).map(|_| limits.admit_proxy().unwrap()).collect();
        assert_eq!(behind[0].move_to(Peer::Forwarded("203.0.113.9".parse().unwrap())), Ok(()));
        assert_eq!(behind[1].move_to(Peer::Forwarded("203.0.113.9".parse().unwrap())), Err(Full::PerAddress));
        assert_eq!(behind[2].move_to(tcp("203.0.113.10:1")), Ok(()));
        assert_eq!(behind[2].move_to(tcp("203.0.113.11:1")), Ok(()));
        assert!(limits.admit(tcp("203.0.113.10:2")).is_ok(), "its connection has moved to another address");
        behind.clear();
        assert!(limits.admit(tcp("203.0.113.9:1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limits = ConnectionLimits::new(PLENTY, 1);
        let _first = limits.admit(tcp("[2001:db8::1]:1")).unwrap();
        assert_eq!(limits.admit(tcp("[2001:db8::2]:1")).unwrap_err(), Full::PerAddress);
        assert!(limits.admit(tcp("[2001:db8:0:1::1]:1")).is_ok());
    }

    #[test]
    fn local_reverse_proxies_are_not_limited_by_address() {
        let limits = ConnectionLimits::new(PLENTY, 1);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let _first = limits.admit(tcp(peer)).unwrap();
            assert!(limits.admit(tcp(peer)).is_ok(), "{peer}");
        }
        let _first = limits.admit(Peer::Unix).unwrap();
        assert!(limits.admit(Peer::Unix).is_ok());
    }
}
