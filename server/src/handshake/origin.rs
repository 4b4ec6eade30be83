//! Which sites' pages may connect.

/// Stands for the host that the page connects to: pages of the application itself.
pub const SAME_HOST: &str = "same host";

/// Hosts that a page may come from.
#[derive(Clone, Debug)]
pub struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    /// From the configuration: `*` (any), `example.com` (this host), `*.example.com` (any host below it), [`SAME_HOST`].
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// The patterns, as they were configured.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// May a client with this `Origin` connect to `host`, as its `Host` says? Only the host counts, as in OroSyncBundle: its PHP client sends the bare
    /// host. No header at all is no page: programs may always connect, their ticket decides.
    pub fn allows(&self, origin: Option<&str>, connects_to: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let host = host(origin);
        self.0.iter().any(|pattern| match pattern.strip_prefix("*.") {
            _ if pattern == "*" => true,
            _ if pattern == SAME_HOST => {
                connects_to.is_some_and(|own| host.eq_ignore_ascii_case(without_port(own)))
            }
            Some(domain) => host.len().checked_sub(domain.len() + 1).is_some_and(|at| {
                at > 0
                    && host.is_char_boundary(at)
                    && host[at..].starts_with('.')
                    && host[at + 1..].eq_ignore_ascii_case(domain)
            }),
            None => host.eq_ignore_ascii_case(pattern),
        })
    }
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
        AllowedOrigins::new(vec![pattern.to_owned()]).allows(Some(origin), Some("crm.example.com:8080"))
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
    fn a_wildcard_stands_for_hosts_below_a_domain() {
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
    fn the_same_host_is_the_one_that_is_connected_to() {
        for origin in ["https://crm.example.com", "http://CRM.example.com:81"] {
            assert!(allows(SAME_HOST, origin), "{origin}");
        }
        for origin in ["https://example.com", "https://x.crm.example.com", "null", "", "same host"] {
            assert!(!allows(SAME_HOST, origin), "{origin}");
        }
        assert!(!AllowedOrigins::new(vec![SAME_HOST.into()]).allows(Some("https://example.com"), None));
    }

    #[test]
    fn a_program_without_an_origin_may_connect() {
        assert!(AllowedOrigins::new(vec![]).allows(None, None));
        assert!(!AllowedOrigins::new(vec![]).allows(Some("https://example.com"), None));
    }
}
