//! Proxies whose forwarded client addresses are trusted.
//!
//! Only the nearest hop can be verified, because it is the peer of the socket. `X-Forwarded-For` is therefore evaluated from
//! its end, past trusted proxies, to the first address that is not trusted. Entries before it may have been forged by the
//! client.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use super::Peer;

/// The value that stands for all unix sockets, as in NGINX's `set_real_ip_from`.
const UNIX: &str = "unix:";

/// The proxies of `trusted_proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// The text is not an address, a network or `unix:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address or a network. Write 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix: for reverse proxies on unix sockets"
)]
pub struct NotAProxy;

impl TrustedProxies {
    /// Parses the texts of the configuration.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, (&'a str, NotAProxy)> {
        let mut proxies = Self::default();
        for text in texts {
            if text == UNIX {
                proxies.unix = true;
            } else {
                let network = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
                proxies.networks.push(network.map_err(|_| (text, NotAProxy))?);
            }
        }
        Ok(proxies)
    }

    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this peer is a trusted proxy.
    pub fn trusts(&self, peer: Peer) -> bool {
        match peer.address() {
            Some(address) => self.trusts_address(address),
            None => self.unix,
        }
    }

    /// The client behind a trusted proxy: the last address of `X-Forwarded-For` that is not a trusted proxy's, or the address
    /// of `X-Real-IP` if that header is missing. `None`: neither header has an address.
    pub fn client<'a>(
        &self,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
        real_ip: Option<&str>,
    ) -> Option<IpAddr> {
        let mut farthest = None;
        for hop in forwarded_for.rev() {
            let Some(address) = address_of(hop) else { break };
            farthest = Some(address);
            if !self.trusts_address(address) {
                break;
            }
        }
        farthest.or_else(|| address_of(real_ip?))
    }

    fn trusts_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Parses an address as proxies write it: plain, with a port (Azure), or in brackets (IPv6, as in RFC 7239).
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    IpAddr::from_str(bare)
        .or_else(|_| SocketAddr::from_str(text).map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::parse(["10.0.0.0/8", "192.0.2.7", "fd00::/8"]).unwrap()
    }

    fn client(forwarded_for: &str, real_ip: Option<&str>) -> Option<String> {
        let hops = forwarded_for.split(',').filter(|hop| !hop.is_empty());
        proxies().client(hops.collect::<Vec<_>>().into_iter(), real_ip).map(|address| address.to_string())
    }

    #[test]
    fn only_the_configured_networks_and_addresses_are_trusted() {
        for (peer, trusted) in [
            ("10.1.2.3:5", true),
            ("192.0.2.7:5", true),
            ("192.0.2.8:5", false),
            ("[::ffff:10.1.2.3]:5", true),
            ("[fd00::1]:5", true),
            ("[2001:db8::1]:5", false),
            ("127.0.0.1:5", false),
        ] {
            assert_eq!(proxies().trusts(Peer::Tcp(peer.parse().unwrap())), trusted, "{peer}");
        }
        assert!(!proxies().trusts(Peer::Unix));
        assert!(TrustedProxies::parse(["unix:"]).unwrap().trusts(Peer::Unix));
        assert!(TrustedProxies::default().is_empty());
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        for (header, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("6.6.6.6, 203.0.113.9", Some("203.0.113.9")),
            ("6.6.6.6, 203.0.113.9, 10.0.0.2,192.0.2.7", Some("203.0.113.9")),
            ("10.0.0.9, 10.0.0.2", Some("10.0.0.9")),
            ("203.0.113.9:4711", Some("203.0.113.9")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("::ffff:203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9, unknown", None),
            ("203.0.113.9, unknown, 10.0.0.2", Some("10.0.0.2")),
            ("", None),
        ] {
            assert_eq!(client(header, None).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn x_real_ip_is_used_without_an_address_in_x_forwarded_for() {
        assert_eq!(client("", Some("203.0.113.9")).as_deref(), Some("203.0.113.9"));
        assert_eq!(client("198.51.100.1", Some("203.0.113.9")).as_deref(), Some("198.51.100.1"));
        assert_eq!(client("", Some("nonsense")), None);
    }

    #[test]
    fn the_error_names_the_invalid_entry() {
        for text in ["localhost", "10.0.0.0/33", "10.0.0", "", "unix", "unix:/run/x"] {
            assert_eq!(TrustedProxies::parse(["10.0.0.1", text]), Err((text, NotAProxy)), "{text:?}");
        }
    }
}
