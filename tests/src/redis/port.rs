//! Ports that stay free while their server is away.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A TCP port of loopback that no other test takes until this goes out of scope, even while nobody listens there: each
/// claims the UDP port of the same number.
///
/// It is below the ports that connections get, and so is the Cluster bus's, which is [`BUS`] above it.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _claim: UdpSocket,
}

/// From a server's port to the one of its Cluster bus.
const BUS: u16 = 10_000;

impl Port {
    /// One where nobody listens, on the bus's port neither.
    pub(super) fn claim() -> Self {
        let is_free = |number: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        let claim = || {
            let number = rand::random_range(10_000..22_000);
            let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            (is_free(number) && is_free(number + BUS)).then_some(Self { number, _claim: claim })
        };
        std::iter::repeat_with(claim).take(1000).flatten().next().expect("one of 1,000 ports is free")
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_nobody_elses_while_nobody_listens_there() {
        let port = Port::claim();
        assert!(UdpSocket::bind(port.address()).is_err());
        let number = port.number();
        drop(port);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).is_ok());
    }
}
