//! Values of configuration keys that have no type elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use crate::listen::address::Address;
use crate::listen::bind::Bind;

/// The answer to a connection without a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// A session that may use the topics open to `anyone`.
    Accept,
    /// HTTP status 401.
    Refuse,
}

impl Anonymous {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Accept, Self::Refuse];

    /// The value in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
        }
    }
}

/// The address for the operator's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminBind {
    /// 127.0.0.1 and a port derived from `bind`, so that several servers on a machine differ. If the port is taken, the server
    /// starts without an admin address.
    Auto,
    /// This address. If it is taken, the server does not start.
    At(SocketAddr),
    /// No admin address.
    Off,
}

impl AdminBind {
    /// The port if `bind` has none: the one after the default port.
    const PORT: u16 = 8081;

    /// The address of `Auto`: 127.0.0.1 and the port after the highest of `bind`. Port 0 lets the kernel choose.
    pub fn auto(bind: &[Bind]) -> SocketAddr {
        let ports = bind.iter().filter_map(|bind| match bind.address {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        });
        let port = match ports.max() {
            Some(0) => 0,
            Some(port) => port.checked_add(1).unwrap_or(Self::PORT),
            None => Self::PORT,
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }
}

/// Whether a message to many sessions is sent with a single system call (`io_uring`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTogether {
    /// If the kernel allows it and it costs less, which is measured at startup.
    Auto,
    /// If the kernel allows it.
    On,
    /// Never.
    Off,
}

impl SendTogether {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Auto, Self::On, Self::Off];

    /// The value in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_at_different_ports_have_different_admin_addresses() {
        for (bind, port) in [
            (&["0.0.0.0:8090"][..], 8091),
            (&["[::]:8443", "127.0.0.1:8080", "unix:/run/orosync/orosync.sock"], 8444),
            (&["unix:/run/orosync/orosync.sock"], 8081),
            (&["127.0.0.1:0"], 0),
            (&["127.0.0.1:65535"], 8081),
        ] {
            let bind: Vec<Bind> = bind.iter().map(|bind| bind.parse().unwrap()).collect();
            assert_eq!(AdminBind::auto(&bind), SocketAddr::from(([127, 0, 0, 1], port)));
        }
    }
}
