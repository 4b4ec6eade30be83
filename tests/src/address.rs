//! Addresses for programs that cannot report the port that the system assigned to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// Second octet of the first address in `127.0.0.0/8`. Each program gets the next one.
const FIRST_NETWORK: u8 = 64;
static ADDRESSES: AtomicU8 = AtomicU8::new(0);

/// A free port on a loopback address that no other program uses, so that the port stays free.
pub fn free() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, FIRST_NETWORK + ADDRESSES.fetch_add(1, Ordering::Relaxed), high, low);
    // The socket does not listen, because a child process that is starting may hold a copy of it for a moment.
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("a socket option");
    rustix::net::bind(&socket, &SocketAddr::from((own, 0))).expect("a free port");
    rustix::net::getsockname(&socket).expect("a bound socket").try_into().expect("of IPv4")
}
