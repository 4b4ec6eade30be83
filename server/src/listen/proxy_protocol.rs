//! The PROXY protocol, versions 1 and 2: the header in which a reverse proxy forwards the client's address (HAProxy's
//! `doc/proxy-protocol.txt`).
//!
//! Read before the connection goes to a shard, on the thread that accepts: what follows the header is untouched. Bound:
//! [`MAX_HEADER_BYTES`], and the time that the caller gives.

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};
use rustix::net::{RecvFlags, recv};
use tokio::io::unix::AsyncFd;

use crate::connection::socket::Socket;

/// Both versions need far less; the second one may carry what a TLS proxy knows of its client's certificate.
const MAX_HEADER_BYTES: usize = 4096;

/// The longest line of version 1, its end included.
const MAX_LINE_BYTES: usize = 107;

/// How headers begin: version 1, version 2.
const PREFIXES: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// Other bytes.
    #[error(
        "it does not begin with a header of the PROXY protocol. Let the reverse proxy send one, or connect to another address of bind"
    )]
    Other,
    /// It begins like one.
    #[error("its header of the PROXY protocol cannot be read: {0}")]
    Broken(String),
    /// Over [`MAX_HEADER_BYTES`].
    #[error("its header of the PROXY protocol has more than {MAX_HEADER_BYTES} bytes")]
    TooLong,
    /// The connection broke, or ended.
    #[error("it ended within its header of the PROXY protocol")]
    Ended(#[source] io::Error),
}

/// Takes the header off a connection's beginning. None: the proxy speaks for itself (a health check), or does not know.
pub(super) async fn take_header(socket: &AsyncFd<Socket>) -> Result<Option<SocketAddr>, HeaderError> {
    let mut seen = vec![0; MAX_HEADER_BYTES];
    loop {
        let mut ready = socket.readable().await.map_err(HeaderError::Ended)?;
        let peeked = ready.try_io(|socket| receive(socket, &mut seen, RecvFlags::PEEK));
        let length = match peeked {
            Ok(Ok(0)) => return Err(HeaderError::Ended(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(length)) => length,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(Err(error)) => return Err(HeaderError::Ended(error)),
            Err(_would_block) => continue,
        };
        match parse(&seen[..length])? {
            Some(Header { length, source }) => {
                receive(socket, &mut seen[..length], RecvFlags::empty()).map_err(HeaderError::Ended)?;
                return Ok(source);
            }
            None if length == MAX_HEADER_BYTES => return Err(HeaderError::TooLong),
            // What was only looked at does not count as read: wait for more.
            None => ready.clear_ready(),
        }
    }
}

fn receive(socket: &AsyncFd<Socket>, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (length, _) = recv(socket.get_ref(), buffer, flags)?;
    Ok(length)
}

#[derive(Debug, PartialEq, Eq)]
struct Header {
    length: usize,
    source: Option<SocketAddr>,
}

/// The header at the beginning of `bytes`; none if it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    if !PREFIXES.iter().any(|prefix| prefix.iter().zip(bytes).all(|(expected, byte)| expected == byte)) {
        return Err(HeaderError::Other);
    }
    // Version 1 is a line. It is read as a whole, because one that ends early looks like one with a wrong port.
    let is_line = bytes.starts_with(PREFIXES[0]);
    if is_line && !bytes.windows(2).any(|window| window == b"\r\n") {
        return if bytes.len() < MAX_LINE_BYTES { Ok(None) } else { Err(HeaderError::Other) };
    }
    let result = HeaderResult::parse(bytes);
    if result.is_incomplete() {
        return Ok(None);
    }
    match result {
        HeaderResult::V1(Ok(header)) => {
            Ok(Some(Header { length: header.header.len(), source: source_v1(&header.addresses) }))
        }
        HeaderResult::V2(Ok(header)) => {
            let source = match header.command {
                v2::Command::Local => None,
                v2::Command::Proxy => source_v2(&header.addresses),
            };
            Ok(Some(Header { length: header.len(), source }))
        }
        HeaderResult::V1(Err(error)) => Err(HeaderError::Broken(error.to_string())),
        HeaderResult::V2(Err(error)) => Err(HeaderError::Broken(error.to_string())),
    }
}

fn source_v1(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ends) => Some((ends.source_address, ends.source_port).into()),
        v1::Addresses::Tcp6(ends) => Some((ends.source_address, ends.source_port).into()),
    }
}

fn source_v2(addresses: &v2::Addresses) -> Option<SocketAddr> {
    match addresses {
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        v2::Addresses::IPv4(ends) => Some((ends.source_address, ends.source_port).into()),
        v2::Addresses::IPv6(ends) => Some((ends.source_address, ends.source_port).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Version 2, TCP over IPv4, with one TLV of four bytes behind the addresses.
    fn version_2(command: u8) -> Vec<u8> {
        let mut header = PREFIXES[1].to_vec();
        header.extend([0x20 | command, 0x11, 0, 12 + 7]);
        header.extend([203, 0, 113, 9, 10, 0, 0, 1]);
        header.extend(4711_u16.to_be_bytes());
        header.extend(8082_u16.to_be_bytes());
        header.extend([0xe0, 0, 4, 1, 2, 3, 4]);
        header
    }

    fn source(bytes: &[u8]) -> Option<String> {
        let header = parse(bytes).unwrap().unwrap();
        assert_eq!(header.length, bytes.len());
        header.source.map(|source| source.to_string())
    }

    #[test]
    fn both_versions_name_the_client() {
        assert_eq!(
            source(b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 8082\r\n").as_deref(),
            Some("203.0.113.9:4711")
        );
        assert_eq!(
            source(b"PROXY TCP6 2001:db8::9 ::1 4711 8082\r\n").as_deref(),
            Some("[2001:db8::9]:4711")
        );
        assert_eq!(source(&version_2(1)).as_deref(), Some("203.0.113.9:4711"));
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(&version_2(0)), None, "a health check of the proxy's own");
    }

    #[test]
    fn other_bytes_are_told_apart_at_once() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"PROXIES", b"\r\n\r\nX"] {
            assert!(matches!(parse(bytes), Err(HeaderError::Other)), "{bytes:?}");
        }
        for bytes in [
            &b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80820\r\n"[..],
            b"PROXY TCP4 203.0.113.900 10.0.0.1 4711 8082\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 8082\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        ] {
            assert!(matches!(parse(bytes), Err(HeaderError::Broken(_))), "{:?}", parse(bytes));
        }
    }

    proptest! {
        #[test]
        fn a_header_that_comes_in_pieces_is_waited_for(
            cut in any::<proptest::sample::Index>(), behind in proptest::collection::vec(any::<u8>(), 0..20)
        ) {
            for header in [b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 8082\r\n".to_vec(), version_2(1)] {
                let at = cut.index(header.len());
                prop_assert!(matches!(parse(&header[..at]), Ok(None)), "{:?}", &header[..at]);
                let with_more = [&header[..], &behind[..]].concat();
                prop_assert_eq!(parse(&with_more).unwrap().unwrap().length, header.len());
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            prefix in 0_usize..2, bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = parse(&[PREFIXES[prefix], &bytes[..]].concat());
        }
    }
}
