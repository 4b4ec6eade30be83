//! How many connections there may be: in all, and from one address.
//!
//! Loopback and unix peers are not counted by address: they are reverse proxies, behind which everybody is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Peer;

/// See the module.
#[derive(Debug)]
pub struct ConnectionLimits {
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
    max_per_address: usize,
}

/// One open connection. Dropped: counted no more.
#[derive(Debug)]
pub struct ConnectionCount {
    limits: Arc<ConnectionLimits>,
    address: Option<IpAddr>,
}

/// Why one more is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// In all.
    #[error("there are as many connections as limits.sessions or the descriptors of this process allow")]
    InAll,
    /// From this address.
    #[error("there are as many connections from this address as limits.sessions_per_address allows")]
    FromThisAddress,
}

impl Full {
    /// A label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::InAll => "too_many_sessions",
            Self::FromThisAddress => "too_many_from_address",
        }
    }
}

impl ConnectionLimits {
    /// At most `max` in all and `max_per_address` from one address.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), by_address: Mutex::default(), max, max_per_address })
    }

    /// Counts one more, if there is room.
    pub fn admit(self: &Arc<Self>, peer: Peer) -> Result<ConnectionCount, Full> {
        let counted = match peer {
            Peer::Tcp(address) => counted_as(address.ip()),
            Peer::Unix => None,
        };
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::InAll);
        }
        if let Some(address) = counted {
            let mut by_address = self.by_address();
            let from_here = by_address.entry(address).or_default();
            if *from_here >= self.max_per_address {
                self.open.fetch_sub(1, Ordering::Relaxed);
                return Err(Full::FromThisAddress);
            }
            *from_here += 1;
        }
        Ok(ConnectionCount { limits: Arc::clone(self), address: counted })
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address that a peer counts for; none for a peer on this machine. Of IPv6 the network of 64 bits, because that is
/// what one customer has.
fn counted_as(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            let mut by_address = self.limits.by_address();
            if let Some(from_here) = by_address.get_mut(&address) {
                *from_here -= 1;
                if *from_here == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    #[test]
    fn both_limits_hold_and_room_comes_back() {
        let limits = ConnectionLimits::new(3, 2);
        let first = limits.admit(tcp("192.0.2.1:1")).unwrap();
        let _second = limits.admit(tcp("192.0.2.1:2")).unwrap();
        assert_eq!(limits.admit(tcp("192.0.2.1:3")).unwrap_err(), Full::FromThisAddress);
        let _third = limits.admit(tcp("192.0.2.2:1")).unwrap();
        assert_eq!(limits.admit(tcp("192.0.2.3:1")).unwrap_err(), Full::InAll);
        drop(first);
        let _fourth = limits.admit(tcp("192.0.2.1:4")).unwrap();
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let limits = ConnectionLimits::new(100, 1);
        let _first = limits.admit(tcp("[2001:db8::1]:1")).unwrap();
        assert_eq!(limits.admit(tcp("[2001:db8::2]:1")).unwrap_err(), Full::FromThisAddress);
        assert!(limits.admit(tcp("[2001:db8:0:1::1]:1")).is_ok());
    }

    #[test]
    fn a_reverse_proxy_on_this_machine_has_no_limit_of_its_own() {
        let limits = ConnectionLimits::new(100, 1);
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let _first = limits.admit(tcp(peer)).unwrap();
            assert!(limits.admit(tcp(peer)).is_ok(), "{peer}");
        }
        let _first = limits.admit(Peer::Unix).unwrap();
        assert!(limits.admit(Peer::Unix).is_ok());
    }
}
