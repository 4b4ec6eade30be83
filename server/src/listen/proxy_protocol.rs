//! The PROXY protocol, versions 1 and 2: the header in which a reverse proxy forwards the client's address (HAProxy's
//! `doc/proxy-protocol.txt`).
//!
//! The header is read on the accepting thread, before the connection is passed to a shard. Bytes after the header stay in the
//! socket. Bounds: [`MAX_HEADER_BYTES`], and the caller's time limit.

use std::io;
use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};
use rustix::net::{RecvFlags, recv};
use tokio::io::unix::AsyncFd;

use crate::connection::socket::Socket;

/// Maximum size of a header in bytes. Both versions need far less, but version 2 may contain data of the client's certificate.
const MAX_HEADER_BYTES: usize = 4096;

/// Maximum length of a version 1 header in bytes, including its line break.
const MAX_LINE_BYTES: usize = 107;

/// The first bytes of a header: version 1, version 2.
const PREFIXES: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// Why no header could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The connection begins with something else.
    #[error(
        "the connection does not begin with a PROXY protocol header. Configure the reverse proxy to send it, or to connect to an \
         address of bind without proxy_protocol"
    )]
    Missing,
    /// The header is invalid.
    #[error("the PROXY protocol header is invalid: {0}")]
    Invalid(String),
    /// The header exceeds [`MAX_HEADER_BYTES`].
    #[error("the PROXY protocol header has more than {MAX_HEADER_BYTES} bytes")]
    TooLong,
    /// The connection failed or ended before the end of the header.
    #[error("the connection ended before the end of its PROXY protocol header")]
    Ended(#[source] io::Error),
}

/// Reads the header, and returns the client's address. `None`: the proxy forwards no client (a health check), or does not know
/// its address.
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
            // The peeked bytes are still readable, so readiness must be cleared to wait for more.
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

/// Parses the header at the beginning of `bytes`. `None`: it is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    if !PREFIXES.iter().any(|prefix| prefix.iter().zip(bytes).all(|(expected, byte)| expected == byte)) {
        return Err(HeaderError::Missing);
    }
    // A version 1 header is parsed once its line is complete, because a truncated line looks like one with an invalid port.
    let is_line = bytes.starts_with(PREFIXES[0]);
    if is_line && !bytes.windows(2).any(|window| window == b"\r\n") {
        return if bytes.len() < MAX_LINE_BYTES { Ok(None) } else { Err(HeaderError::Missing) };
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
        HeaderResult::V1(Err(error)) => Err(HeaderError::Invalid(error.to_string())),
        HeaderResult::V2(Err(error)) => Err(HeaderError::Invalid(error.to_string())),
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

    /// A version 2 header for TCP over IPv4, with one TLV of four bytes after the addresses.
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
    fn both_versions_forward_the_clients_address() {
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
        assert_eq!(source(&version_2(0)), None, "a health check by the proxy itself");
    }

    #[test]
    fn other_bytes_and_invalid_headers_are_refused_without_waiting() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01", b"PROXIES", b"\r\n\r\nX"] {
            assert!(matches!(parse(bytes), Err(HeaderError::Missing)), "{bytes:?}");
        }
        for bytes in [
            &b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80820\r\n"[..],
            b"PROXY TCP4 203.0.113.900 10.0.0.1 4711 8082\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 8082\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        ] {
            assert!(matches!(parse(bytes), Err(HeaderError::Invalid(_))), "{:?}", parse(bytes));
        }
    }

    proptest! {
        #[test]
        fn an_incomplete_header_waits_for_more_bytes(
            cut in any::<proptest::sample::Index>(), rest in proptest::collection::vec(any::<u8>(), 0..20)
        ) {
            for header in [b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 8082\r\n".to_vec(), version_2(1)] {
                let at = cut.index(header.len());
                prop_assert!(matches!(parse(&header[..at]), Ok(None)), "{:?}", &header[..at]);
                let with_more = [&header[..], &rest[..]].concat();
                prop_assert_eq!(parse(&with_more).unwrap().unwrap().length, header.len());
            }
        }

        #[test]
        fn arbitrary_bytes_never_cause_a_panic(
            prefix in 0_usize..2, bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = parse(&[PREFIXES[prefix], &bytes[..]].concat());
        }
    }
}
