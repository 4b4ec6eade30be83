//! Allowed origins: the notation of hosts in `auth.allowed_origins` and in tickets, and the `Origin` headers that each
//! allows.

use std::net::Ipv6Addr;

/// The pattern for the host that the page connects to, which allows the pages of the application itself.
pub const SAME_HOST: &str = "same host";

/// Maximum length of a host name in bytes (RFC 1035, 2.3.4, as text).
const MAX_HOST_BYTES: usize = 253;

/// A pattern for the hosts of pages: `*` (any host), `example.com` (this host), `*.example.com` (any subdomain of it) or
/// [`SAME_HOST`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(String);

impl OriginPattern {
    /// Parses a pattern from a configuration or a ticket. Case-insensitive.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        if host.len() > MAX_HOST_BYTES {
            return Err(OriginError::TooLong { bytes: host.len() });
        }
        if text == SAME_HOST || text == "*" || is_name(host) || is_ipv6(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let bare = bare.split(['/', ':']).next().unwrap_or(bare);
        Err(if bare != text && is_name(bare) {
            OriginError::MoreThanAHost { host: bare.to_ascii_lowercase() }
        } else {
            OriginError::NotAHost
        })
    }

    /// The pattern in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a page with this `Origin` may connect to the host `connects_to`, taken from the `Host` header. Only the host of
    /// the origin is compared, as in OroSyncBundle, whose PHP client sends the bare host.
    pub fn allows(&self, origin: &str, connects_to: Option<&str>) -> bool {
        let host = host(origin);
        match self.0.strip_prefix("*.") {
            _ if self.0 == "*" => true,
            _ if self.0 == SAME_HOST => {
                connects_to.is_some_and(|own| host.eq_ignore_ascii_case(without_port(own)))
            }
            Some(domain) => host.len().checked_sub(domain.len() + 1).is_some_and(|at| {
                at > 0
                    && host.is_char_boundary(at)
                    && host[at..].starts_with('.')
                    && host[at + 1..].eq_ignore_ascii_case(domain)
            }),
            None => host.eq_ignore_ascii_case(&self.0),
        }
    }
}

/// Why a text is not a valid [`OriginPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The text contains a scheme, a port or a path.
    #[error("only the host of an origin is compared. Write {host}")]
    MoreThanAHost {
        /// The host that the text contains.
        host: String,
    },
    /// The text is not a host.
    #[error("not a host. Write crm.example.com, *.example.com, same host or *")]
    NotAHost,
    /// The text is longer than a host name can be.
    #[error("{bytes} bytes long, host names have at most {MAX_HOST_BYTES}")]
    TooLong {
        /// The length of the text.
        bytes: usize,
    },
}

fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    host.split('.').all(is_label)
}

fn is_ipv6(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// The host of an origin such as `https://example.com:8443`, or the whole text if there is no scheme.
fn host(origin: &str) -> &str {
    let Some((_, authority)) = origin.split_once("://") else { return origin };
    without_port(authority.split('/').next().unwrap_or(authority))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        OriginPattern::parse(pattern).unwrap().allows(origin, Some("crm.example.com:8080"))
    }

    #[test]
    fn a_pattern_is_a_host() {
        for (written, read) in [
            ("CRM.example.com", "crm.example.com"),
            ("*.example.com", "*.example.com"),
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
            ("same host", "same host"),
            ("*", "*"),
        ] {
            assert_eq!(OriginPattern::parse(written).unwrap().as_str(), read);
        }
        let only = |host: &str| Err(OriginError::MoreThanAHost { host: host.to_owned() });
        assert_eq!(OriginPattern::parse("https://CRM.example.com/"), only("crm.example.com"));
        assert_eq!(OriginPattern::parse("crm.example.com:8080"), only("crm.example.com"));
        for written in
            ["crm.*.com", "*.", "*.*", "", ".", "a b", "caf\u{e9}.example", "[::1", "*.[::1]", "a\n"]
        {
            assert_eq!(OriginPattern::parse(written), Err(OriginError::NotAHost), "{written:?}");
        }
        assert!(OriginPattern::parse(&"a".repeat(MAX_HOST_BYTES)).is_ok());
        let long = "a".repeat(MAX_HOST_BYTES + 1);
        assert_eq!(OriginPattern::parse(&long), Err(OriginError::TooLong { bytes: MAX_HOST_BYTES + 1 }));
    }

    #[test]
    fn only_the_host_counts() {
        for origin in ["https://example.com", "http://example.com:8080", "example.com", "https://EXAMPLE.com"]
        {
            assert!(allows("example.com", origin), "{origin}");
            assert!(allows("*", origin), "{origin}");
        }
        for origin in
            ["https://example.org", "https://xexample.com", "https://example.com.evil.org", "null", ""]
        {
            assert!(!allows("example.com", origin), "{origin}");
        }
        assert!(allows("[::1]", "http://[::1]:80"));
        assert!(allows("127.0.0.1", "127.0.0.1"));
    }

    #[test]
    fn a_wildcard_matches_the_subdomains_of_a_host() {
        assert!(allows("*.example.com", "https://crm.example.com"));
        assert!(allows("*.example.com", "https://a.b.example.com:8443"));
        for origin in [
            "https://example.com",
            "https://crmexample.com",
            "https://.example.com",
            "https://example.com.org",
        ] {
            assert!(!allows("*.example.com", origin), "{origin}");
        }
    }

    #[test]
    fn same_host_is_the_host_that_the_page_connects_to() {
        for origin in ["https://crm.example.com", "http://CRM.example.com:81"] {
            assert!(allows(SAME_HOST, origin), "{origin}");
        }
        for origin in ["https://example.com", "https://x.crm.example.com", "null", "", "same host"] {
            assert!(!allows(SAME_HOST, origin), "{origin}");
        }
        let same_host = OriginPattern::parse(SAME_HOST).unwrap();
        assert!(!same_host.allows("https://example.com", None));
    }
}
