//! Addresses for programs that cannot say which port they were given.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// Each has an address of its own: the second number in `127.0.0.0/8`, from here on.
const FIRST_NETWORK: u8 = 64;
static ADDRESSES: AtomicU8 = AtomicU8::new(0);

/// An address that nobody else chooses ports of: one that was free stays free.
pub fn free() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, FIRST_NETWORK + ADDRESSES.fetch_add(1, Ordering::Relaxed), high, low);
    // It does not listen: a child that is just being started may keep a copy for a moment, which nobody must connect to.
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("a socket option");
    rustix::net::bind(&socket, &SocketAddr::from((own, 0))).expect("a free port");
    rustix::net::getsockname(&socket).expect("a bound socket").try_into().expect("of IPv4")
}
