//! The parser of `broker.url`, and its output with the password masked.
//!
//! | URL | servers |
//! | --- | --- |
//! | `redis://[user:password@]host[:port][/db]` | one |
//! | `redis+unix:/path[?db=N]` | one on this machine, on a unix socket |
//! | `redis+sentinel://[user:password@]host[:port],.../master[?db=N]` | the primary that Sentinels monitor as `master` |
//! | `redis+cluster://[user:password@]host[:port],...` | a Redis Cluster |
//!
//! `rediss` instead of `redis` selects TLS. Bounds: [`MAX_SERVERS`] hosts of [`MAX_HOST_BYTES`] each. Errors quote no part of
//! the URL, because any part that cannot be parsed may be a misplaced password.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use figment::value::Value;
use percent_encoding::percent_decode_str;

const MAX_SERVERS: usize = 64;

/// Maximum length of a host name in DNS, in bytes (RFC 1035, 2.3.4, as text).
const MAX_HOST_BYTES: usize = 253;

/// The longest path of a unix socket (`sun_path` of Linux, without its closing zero).
const MAX_PATH_BYTES: usize = 107;

const MAX_MASTER_BYTES: usize = 128;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The replacement for a password.
const HIDDEN: &str = "***";

const SCHEMES: [&str; 7] =
    ["redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];

const NO_SCHEME: &str = "not a URL of Redis. Write redis://host:6379/0, rediss://host:6379/0 (TLS), \
     redis+unix:/run/redis/redis.sock, redis+sentinel://host:26379,host:26379/master or redis+cluster://host:6379,host:6379; \
     rediss+sentinel: and rediss+cluster: have TLS";
const NO_SLASHES: &str = "two slashes are missing before the host. Write redis://host:6379/0";
const ESCAPES: &str = "a user or password contains reserved characters. Write %2F for /, %3F for ?, %23 for #, %40 for @ \
     and %25 for %, or put the password into broker.password_file";
const LONE_NAME: &str = "the text before the @ may be a user or a password. Write user:password@, :password@, or the user \
     in broker.username";
const NO_MASTER: &str = "the primary's name is missing, or has characters other than letters, digits, ., - and _. Write it as it \
 appears in the Sentinels' sentinel monitor: redis+sentinel://host:26379,host:26379/master";
const NO_DB: &str = "the database is not a number. Write one from 0, for example redis://host:6379/0";
const NO_QUERY: &str = "only ?db=0 may follow, or another number, and only for redis+unix: and redis+sentinel:. Users and \
     passwords belong before the host, or in broker.username and broker.password_file";

/// The Redis servers and their topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisServers {
    /// A single server, with its database number.
    Single(RedisAddress, i64),
    /// A primary that Sentinels monitor.
    Sentinel {
        /// Hosts and ports of the Sentinels; at least one.
        sentinels: Vec<(String, u16)>,
        /// The name under which they monitor it.
        master: String,
        /// The primary's database number.
        db: i64,
    },
    /// A Redis Cluster.
    Cluster {
        /// Hosts and ports of some of its nodes; at least one.
        seeds: Vec<(String, u16)>,
    },
}

/// The address of a single server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAddress {
    /// A host name or an IP address without brackets, and a port.
    Tcp {
        /// Resolved for each connection.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// A password whose `Debug` output is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(not shown)")
    }
}

/// The parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) servers: RedisServers,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<Password>,
}

impl RedisUrl {
    /// Parses a URL. The error says what is wrong without quoting the URL.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').ok_or(NO_SCHEME)?;
        match scheme {
            "redis+unix" => unix(rest),
            "redis" | "rediss" => Parts::of(rest)?.single(scheme == "rediss"),
            "redis+sentinel" | "rediss+sentinel" => Parts::of(rest)?.sentinel(scheme == "rediss+sentinel"),
            "redis+cluster" | "rediss+cluster" => Parts::of(rest)?.cluster(scheme == "rediss+cluster"),
            "valkey" | "valkeys" => {
                Err("Valkey uses the URLs of Redis. Write redis:// in place of valkey://, or \
                                         rediss:// for TLS"
                    .to_owned())
            }
            "unix" => {
                Err("the scheme does not name the server. Write redis+unix: before the path".to_owned())
            }
            "rediss+unix" => Err("a unix socket has no TLS. Write redis+unix:".to_owned()),
            _ => Err(NO_SCHEME.to_owned()),
        }
    }
}

/// The value with everything that may be a password masked.
pub(super) fn without_password(value: &Value) -> Value {
    match value {
        Value::String(_, text) if text.is_empty() => value.clone(),
        Value::String(_, text) => Value::from(masked(text)),
        _ => Value::from(HIDDEN),
    }
}

fn masked(text: &str) -> String {
    if let Ok(url) = RedisUrl::parse(text) {
        // A valid URL contains no other @ than the one before its hosts.
        let hidden = url.password.and_then(|_| {
            let (before, hosts) = text.split_once('@')?;
            let (scheme, user_info) = before.split_once("//")?;
            let (user, _) = user_info.split_once(':')?;
            Some(format!("{scheme}//{user}:{HIDDEN}@{hosts}"))
        });
        return hidden.unwrap_or_else(|| text.to_owned());
    }
    match text.split_once(':') {
        Some((scheme, _)) if SCHEMES.contains(&scheme) => format!("{scheme}:{HIDDEN}"),
        _ => HIDDEN.to_owned(),
    }
}

/// The parts of a URL after the scheme and the two slashes.
struct Parts<'a> {
    username: Option<String>,
    password: Option<Password>,
    hosts: &'a str,
    /// The path, without its leading slash.
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, String> {
        let rest = rest.strip_prefix("//").ok_or(NO_SLASHES)?;
        let (before_query, query) = split_off(rest, '?');
        let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
        let (user_info, hosts) =
            authority.split_once('@').map_or((None, authority), |(info, hosts)| (Some(info), hosts));
        if hosts.contains('@') || path.contains('@') || query.is_some_and(|query| query.contains('@')) {
            return Err(ESCAPES.to_owned());
        }
        let (username, password) = match user_info {
            None => (None, None),
            Some(info) => {
                let (username, password) = info.split_once(':').ok_or(LONE_NAME)?;
                (decoded(username)?, decoded(password)?.map(Password::new))
            }
        };
        Ok(Self { username, password, hosts, path, query })
    }

    fn single(self, tls: bool) -> Result<RedisUrl, String> {
        if self.hosts.contains(',') {
            return Err(
                "redis: names one server. Write redis+sentinel: or redis+cluster: for several".to_owned()
            );
        }
        if self.query.is_some() {
            return Err(NO_QUERY.to_owned());
        }
        let (host, port) = host_and_port(self.hosts, PORT).map_err(str::to_owned)?;
        let db = if self.path.is_empty() { 0 } else { database(self.path)? };
        Ok(self.with(RedisServers::Single(RedisAddress::Tcp { host, port }, db), tls))
    }

    fn sentinel(self, tls: bool) -> Result<RedisUrl, String> {
        let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if !(1..=MAX_MASTER_BYTES).contains(&self.path.len()) || !self.path.bytes().all(known) {
            return Err(NO_MASTER.to_owned());
        }
        let servers = RedisServers::Sentinel {
            sentinels: servers(self.hosts, SENTINEL_PORT)?,
            master: self.path.to_owned(),
            db: database_of_query(self.query)?,
        };
        Ok(self.with(servers, tls))
    }

    fn cluster(self, tls: bool) -> Result<RedisUrl, String> {
        if !self.path.is_empty() || self.query.is_some() {
            return Err("a Cluster has one database. End the URL after the last host".to_owned());
        }
        let seeds = servers(self.hosts, PORT)?;
        Ok(self.with(RedisServers::Cluster { seeds }, tls))
    }

    fn with(self, servers: RedisServers, tls: bool) -> RedisUrl {
        RedisUrl { servers, tls, username: self.username, password: self.password }
    }
}

fn unix(rest: &str) -> Result<RedisUrl, String> {
    const RELATIVE: &str =
        "the path of a unix socket begins with a slash. Write redis+unix:/run/redis/redis.sock";
    let (path, query) = split_off(rest, '?');
    // `redis+unix:///path` has an empty host.
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') {
        return Err(RELATIVE.to_owned());
    }
    if path.len() > MAX_PATH_BYTES {
        let bytes = path.len();
        return Err(format!(
            "the path has {bytes} bytes, at most {MAX_PATH_BYTES} are possible for a unix socket. Choose a shorter one"
        ));
    }
    let db = database_of_query(query)?;
    let servers = RedisServers::Single(RedisAddress::Unix(PathBuf::from(path)), db);
    Ok(RedisUrl { servers, tls: false, username: None, password: None })
}

fn servers(hosts: &str, port: u16) -> Result<Vec<(String, u16)>, String> {
    let number = hosts.split(',').count();
    if number > MAX_SERVERS {
        return Err(format!(
            "names {number} servers. Write at most {MAX_SERVERS}; the server finds the others through them"
        ));
    }
    (1..)
        .zip(hosts.split(','))
        .map(|(place, text)| {
            host_and_port(text, port).map_err(|problem| format!("server {place}: {problem}"))
        })
        .collect()
}

/// Parses a host and an optional port. The brackets of an IPv6 address are removed.
fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    const NO_HOST: &str =
        "there is no host name or IP address. Write redis.example.com:6379, 10.0.0.5:6379 or [fd00::5]:6379";
    const NO_IPV6: &str = "an IPv6 address stands in brackets. Write [fd00::5]:6379";
    const NO_PORT: &str = "the port is not a number from 1 to 65535. Write host:6379";
    let (host, port) = if let Some(text) = text.strip_prefix('[') {
        let (host, port) = text.split_once(']').ok_or(NO_IPV6)?;
        host.parse::<Ipv6Addr>().map_err(|_| NO_IPV6)?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(NO_PORT)?) };
        (host, port)
    } else {
        let (host, port) = split_off(text, ':');
        if port.is_some_and(|port| port.contains(':')) {
            return Err(NO_IPV6);
        }
        let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if !(1..=MAX_HOST_BYTES).contains(&host.len()) || !host.bytes().all(known) {
            return Err(NO_HOST);
        }
        (host, port)
    };
    let port = match port {
        None => default_port,
        Some(digits) => number(digits).filter(|port| *port > 0).ok_or(NO_PORT)?,
    };
    Ok((host.to_owned(), port))
}

fn database_of_query(query: Option<&str>) -> Result<i64, String> {
    match query {
        None => Ok(0),
        Some(query) => database(query.strip_prefix("db=").ok_or(NO_QUERY)?),
    }
}

/// A database number, up to the maximum that Redis can be configured with.
fn database(digits: &str) -> Result<i64, String> {
    number::<i32>(digits).map(i64::from).ok_or_else(|| NO_DB.to_owned())
}

/// Parses a number of digits only, without a sign.
fn number<T: FromStr>(digits: &str) -> Option<T> {
    digits.parse().ok().filter(|_| digits.bytes().all(|c| c.is_ascii_digit()))
}

/// The percent-decoded user or password. `None` if it is empty.
fn decoded(text: &str) -> Result<Option<String>, String> {
    let whole = text.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !whole || text.contains('#') {
        return Err(ESCAPES.to_owned());
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| ESCAPES)?;
    Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
}

/// The text before the first separator, and the text after it.
fn split_off(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, db: i64) -> RedisServers {
        RedisServers::Single(RedisAddress::Tcp { host: host.to_owned(), port }, db)
    }

    fn read(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    fn hosts(hosts: &[(&str, u16)]) -> Vec<(String, u16)> {
        hosts.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect()
    }

    #[test]
    fn one_server_has_a_host_a_port_and_a_database() {
        for (text, expected, has_tls) in [
            ("redis://localhost", tcp("localhost", 6379, 0), false),
            ("redis://localhost/", tcp("localhost", 6379, 0), false),
            ("redis://10.0.0.5:7000/15", tcp("10.0.0.5", 7000, 15), false),
            ("redis://[::1]", tcp("::1", 6379, 0), false),
            ("rediss://[fd00::5]:7000/2", tcp("fd00::5", 7000, 2), true),
        ] {
            let url = read(text);
            assert_eq!((url.servers, url.tls), (expected, has_tls), "{text}");
            assert_eq!((url.username, url.password), (None, None), "{text}");
        }
    }

    #[test]
    fn a_unix_socket_is_a_path() {
        for (text, path, db) in [
            ("redis+unix:/run/redis/redis.sock", "/run/redis/redis.sock", 0),
            ("redis+unix:/run/redis@1/x.sock?db=3", "/run/redis@1/x.sock", 3),
            ("redis+unix:///run/x.sock", "/run/x.sock", 0),
        ] {
            let url = read(text);
            assert_eq!(url.servers, RedisServers::Single(RedisAddress::Unix(path.into()), db), "{text}");
        }
    }

    #[test]
    fn sentinels_know_the_primary_by_name() {
        let url = read("redis+sentinel://s1,[::1]:26380,s3:5/my-master.1?db=4");
        let sentinels = hosts(&[("s1", 26379), ("::1", 26380), ("s3", 5)]);
        let master = "my-master.1".to_owned();
        assert_eq!(url.servers, RedisServers::Sentinel { sentinels, master, db: 4 });
        assert!(!url.tls);
        assert!(read("rediss+sentinel://s1/m").tls);
    }

    #[test]
    fn a_cluster_is_found_by_some_of_its_nodes() {
        let url = read("redis+cluster://a,b:7000");
        assert_eq!(url.servers, RedisServers::Cluster { seeds: hosts(&[("a", 6379), ("b", 7000)]) });
        assert!(!url.tls);
        assert!(read("rediss+cluster://a/").tls);
    }

    #[test]
    fn users_and_passwords_are_decoded() {
        for (text, username, password) in [
            ("redis://crm:secret@x", Some("crm"), Some("secret")),
            ("redis://:secret@x/1", None, Some("secret")),
            ("redis://crm:@x", Some("crm"), None),
            ("rediss+cluster://c%40m:p%2Fw%25:%C3%A4@x,y", Some("c@m"), Some("p/w%:ä")),
            ("redis+sentinel://:a+b@x/m", None, Some("a+b")),
        ] {
            let url = read(text);
            assert_eq!(url.username.as_deref(), username, "{text}");
            assert_eq!(url.password.as_ref().map(Password::expose), password, "{text}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_url_says_what_to_write() {
        let too_many = format!("redis+cluster://{}", vec!["x"; 65].join(","));
        let long_path = format!("redis+unix:/{}", "x".repeat(107));
        for (text, expected) in [
            ("localhost", "not a URL of Redis. Write redis://"),
            ("localhost:6379", "not a URL of Redis. Write redis://"),
            ("tcp://localhost:6379", "rediss+sentinel: and rediss+cluster: have TLS"),
            ("valkey://localhost", "Write redis:// in place of valkey://"),
            ("unix:/run/x.sock", "Write redis+unix: before the path"),
            ("rediss+unix:/run/x.sock", "a unix socket has no TLS"),
            ("redis:localhost", "two slashes are missing"),
            ("redis://", "there is no host name"),
            ("redis://:6379", "there is no host name"),
            ("redis://ho st", "there is no host name"),
            ("redis://x:port", "the port is not a number"),
            ("redis://x:0", "the port is not a number"),
            ("redis://x:+1", "the port is not a number"),
            ("redis://x:70000", "the port is not a number"),
            ("redis://[::1]6379", "the port is not a number"),
            ("redis://::1:6379", "an IPv6 address stands in brackets"),
            ("redis://[x]:1", "an IPv6 address stands in brackets"),
            ("redis://x/db0", "the database is not a number"),
            ("redis://x/-1", "the database is not a number"),
            ("redis://x/2147483648", "the database is not a number"),
            ("redis://x,y", "Write redis+sentinel: or redis+cluster: for several"),
            ("redis://x?auth=secret", "only ?db=0 may follow"),
            ("redis://x?db=1", "only ?db=0 may follow"),
            ("redis+unix:/x?pass=secret", "only ?db=0 may follow"),
            ("redis+unix:run/x", "begins with a slash"),
            ("redis+unix://:secret@/run/x", "begins with a slash"),
            (&long_path, "the path has 108 bytes"),
            ("redis+sentinel://x", "the primary's name is missing"),
            ("redis+sentinel://x/my master", "the primary's name is missing"),
            ("redis+sentinel://x,,y/m", "server 2: there is no host name"),
            ("redis+cluster://x,y:port", "server 2: the port is not a number"),
            ("redis+cluster://x/1", "a Cluster has one database"),
            (&too_many, "names 65 servers. Write at most 64"),
            ("redis://secret@x", "may be a user or a password"),
            ("redis://:sec/ret@x", "Write %2F for /"),
            ("redis://:sec?ret@x", "Write %2F for /"),
            ("redis://:sec@ret@x", "Write %2F for /"),
            ("redis://:sec#ret@x", "Write %2F for /"),
            ("redis://:100%ecret@x", "Write %2F for /"),
            ("redis://:%ff@x", "Write %2F for /"),
        ] {
            let problem = RedisUrl::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("secret"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("", ""),
            ("redis://x:1/2", "redis://x:1/2"),
            ("redis+unix:/run/redis@1/x.sock", "redis+unix:/run/redis@1/x.sock"),
            ("redis://crm:secret@x:1/2", "redis://crm:***@x:1/2"),
            ("rediss://:secret@x", "rediss://:***@x"),
            ("redis://crm:@x", "redis://crm:@x"),
            ("redis+cluster://crm:se:cret@x,y", "redis+cluster://crm:***@x,y"),
        ] {
            let masked = without_password(&Value::from(text));
            assert_eq!(masked.as_str(), Some(shown), "{text}");
            assert_eq!(without_password(&masked), masked, "{text}");
        }
    }

    #[test]
    fn an_invalid_url_is_masked_entirely() {
        for (text, shown) in [
            ("secret@x", "***"),
            ("redis:secret@x", "redis:***"),
            ("redis://secret@x", "redis:***"),
            ("redis://:secret", "redis:***"),
            ("redis://crm:sec/ret@x", "redis:***"),
            ("redis://x?auth=secret", "redis:***"),
            ("tcp://x?auth=secret", "***"),
        ] {
            assert_eq!(without_password(&Value::from(text)).as_str(), Some(shown), "{text}");
        }
        let list = Value::from(vec!["redis://:secret@x"]);
        assert_eq!(without_password(&list).as_str(), Some("***"));
    }
}
