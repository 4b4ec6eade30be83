//! Listening sockets inherited from a service manager (`LISTEN_FDS`, `systemd.socket(5)`), which keeps them open while the
//! server restarts, so that connections wait instead of failing.
//!
//! Each is used for the entry of `bind` with the same address. A socket without such an entry is reported, because either
//! `bind` or the socket unit is wrong.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::address::Address;

/// Inherited sockets that no entry of `bind` uses yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(Address, Open)>);

/// An inherited socket.
#[derive(Debug)]
pub(super) enum Open {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes all sockets that were passed to this process. Removes the variables from the environment, so it must be called
    /// once, before other threads start.
    pub fn from_environment() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let sockets =
            (0..passed.len()).map(|index| take_one(&mut passed, index)).collect::<Result<_, _>>()?;
        Ok(Self(sockets))
    }

    /// Takes the socket that listens on this address, if any.
    pub(super) fn find(&mut self, wanted: &Address) -> Option<Open> {
        let at = self.0.iter().position(|(address, _)| is_same(address, wanted))?;
        Some(self.0.swap_remove(at).1)
    }

    /// The address of a socket that no entry of `bind` uses.
    pub fn unused(&self) -> Option<&Address> {
        self.0.first().map(|(address, _)| address)
    }
}

fn take_one(passed: &mut ListenFd, index: usize) -> io::Result<(Address, Open)> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    if let Ok(socket) = passed.take_tcp_listener(index) {
        let socket = socket.ok_or_else(gone)?;
        socket.set_nonblocking(true)?;
        return Ok((Address::Tcp(socket.local_addr()?), Open::Tcp(socket)));
    }
    let socket = passed.take_unix_listener(index)?.ok_or_else(gone)?;
    socket.set_nonblocking(true)?;
    let path = socket.local_addr()?.as_pathname().map(ToOwned::to_owned).ok_or_else(gone)?;
    Ok((Address::Unix(path), Open::Unix(socket)))
}

/// Whether both addresses are the same. The unspecified addresses of IPv4 and IPv6 are equal: `ListenStream=8080` of systemd is
/// `[::]:8080`, which accepts both.
fn is_same(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => {
            let are_unspecified = one.ip().is_unspecified() && other.ip().is_unspecified();
            one.port() == other.port() && (one.ip() == other.ip() || are_unspecified)
        }
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_addresses_of_ipv4_and_ipv6_are_the_same() {
        for (one, other, same) in [
            ("0.0.0.0:8080", "[::]:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "0.0.0.0:8080", false),
            ("0.0.0.0:8080", "0.0.0.0:8081", false),
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
            ("unix:/run/a.sock", "unix:/run/b.sock", false),
            ("unix:/run/a.sock", "0.0.0.0:8080", false),
        ] {
            assert_eq!(is_same(&one.parse().unwrap(), &other.parse().unwrap()), same, "{one} {other}");
        }
    }
}
