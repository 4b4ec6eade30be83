//! Listening sockets that a service manager has opened and keeps (`LISTEN_FDS`, `systemd.socket(5)`): while the server
//! restarts, connections wait in them.
//!
//! Each replaces the socket for the same address in `bind`. A socket whose address `bind` does not contain is reported as a
//! mistake in one of the two.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::address::Address;

/// The inherited sockets that are not in use yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(Address, Open)>);

/// An inherited socket.
#[derive(Debug)]
pub(super) enum Open {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// All that were passed to this process. Call it once, before there are other threads: it takes the variables out of the
    /// environment.
    pub fn take() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let sockets =
            (0..passed.len()).map(|index| take_one(&mut passed, index)).collect::<Result<_, _>>()?;
        Ok(Self(sockets))
    }

    /// The one that listens on this address, if there is one.
    pub(super) fn find(&mut self, wanted: &Address) -> Option<Open> {
        let at = self.0.iter().position(|(address, _)| is_same(address, wanted))?;
        Some(self.0.swap_remove(at).1)
    }

    /// A socket that no entry of `bind` uses.
    pub fn left(&self) -> Option<&Address> {
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

/// The same port of the same address; "all addresses" is one, whether written for IPv4 or IPv6: systemd's `ListenStream=8080`
/// is `[::]:8080`, which takes both.
fn is_same(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => {
            let are_all = one.ip().is_unspecified() && other.ip().is_unspecified();
            one.port() == other.port() && (one.ip() == other.ip() || are_all)
        }
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_however_all_addresses_are_written() {
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
