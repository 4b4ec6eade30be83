//! Ports that stay reserved while their server is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A TCP port on loopback, reserved against other tests until drop, even while no server listens. The reservation is the UDP
/// port of the same number.
///
/// The port and that of the Cluster bus, [`BUS`] above it, are below the ephemeral ports.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _claim: UdpSocket,
}

/// Offset from a server's port to that of its Cluster bus.
const BUS: u16 = 10_000;

impl Port {
    /// Reserves a port that is free, with a free bus port.
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
    fn a_port_stays_reserved_while_no_server_listens() {
        let port = Port::claim();
        assert!(UdpSocket::bind(port.address()).is_err());
        let number = port.number();
        drop(port);
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).is_ok());
    }
}
