//! Broker settings: memory, or the Redis servers of `broker.url` with TLS, users and passwords.
//!
//! This module opens no connection and resolves no host name. It reads the files that the settings name together with the
//! rest of the configuration, so a changed password takes effect on SIGHUP.

use std::path::{Path, PathBuf};

use super::files::read_file;
use super::load::{ConfigError, Written, both};
use super::redis_url::RedisUrl;
pub use super::redis_url::{Password, RedisAddress, RedisServers};
use super::{keys, tls};

/// The broker, which carries published messages to all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerSettings {
    /// Within this process, for a single node.
    Memory,
    /// Redis or Valkey, for any number of nodes.
    Redis(Box<RedisSettings>),
}

impl BrokerSettings {
    /// The passwords for its connections.
    pub fn passwords(&self) -> Passwords {
        match self {
            Self::Memory => Passwords::default(),
            Self::Redis(redis) => redis.passwords.clone(),
        }
    }
}

/// Redis servers, and how to connect to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// The servers' addresses.
    pub servers: RedisServers,
    /// TLS. `None`: plain TCP, or a unix socket.
    pub tls: Option<RedisTls>,
    /// The prefix of all keys and channels.
    pub prefix: String,
    /// The Redis ACL user. `None`: the default user.
    pub username: Option<String>,
    /// The file with the password. `None`: the URL holds it, or there is none.
    pub password_file: Option<PathBuf>,
    /// The ACL user of the Sentinels. `None`: the default user.
    pub sentinel_username: Option<String>,
    /// The passwords, from files or from the URL.
    pub passwords: Passwords,
    /// Number of replicas that must have a message before it is acknowledged.
    pub wait_replicas: u32,
}

/// Settings for TLS to all servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// CA certificates in PEM, at least one, that replace the system's.
    pub root_certificates: Option<Vec<u8>>,
}

/// Passwords for connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passwords {
    /// For the Redis servers.
    pub redis: Option<Password>,
    /// For their Sentinels.
    pub sentinel: Option<Password>,
}

/// Reads the keys of `[broker]`. Without a URL the other keys are ignored.
pub(super) fn read(written: &Written) -> Result<BrokerSettings, ConfigError> {
    let Some(url) = written.read(&keys::BROKER_URL)? else { return Ok(BrokerSettings::Memory) };
    let login = both(username(written, &url), password(written, &url));
    let ((tls, (username, password)), (sentinel_username, sentinel_password)) =
        both(both(tls_of(written, &url), login), sentinel_login(written, &url))?;
    if let (Some((_, key)), None) = (&username, &password) {
        let problem = "this user has no password. Name the file that holds it in broker.password_file";
        return Err(written.error(key, problem));
    }
    Ok(BrokerSettings::Redis(Box::new(RedisSettings {
        servers: url.servers,
        tls,
        prefix: written.read(&keys::BROKER_PREFIX)?,
        username: username.map(|(name, _)| name),
        password_file: written.read(&keys::BROKER_PASSWORD_FILE)?,
        sentinel_username,
        passwords: Passwords { redis: password, sentinel: sentinel_password },
        wait_replicas: written.read(&keys::BROKER_WAIT_REPLICAS)?,
    })))
}

/// The user name, and the key that it came from.
fn username(
    written: &Written,
    url: &RedisUrl,
) -> Result<Option<(String, &'static keys::Declaration)>, ConfigError> {
    const KEY: &keys::Declaration = &keys::BROKER_USERNAME.declaration;
    const URL: &keys::Declaration = &keys::BROKER_URL.declaration;
    match (&url.username, written.read(&keys::BROKER_USERNAME)?) {
        (Some(_), Some(_)) => {
            Err(written.error(KEY, "broker.url contains a user as well. Keep one of the two"))
        }
        (Some(name), None) => Ok(Some((name.clone(), URL))),
        (None, Some(name)) => Ok(Some((name, KEY))),
        (None, None) => Ok(None),
    }
}

fn password(written: &Written, url: &RedisUrl) -> Result<Option<Password>, ConfigError> {
    let key = &keys::BROKER_PASSWORD_FILE;
    let problem = match (&url.password, written.read(key)?) {
        (Some(_), Some(_)) => {
            "broker.url contains a password as well. Keep the file and remove the password from the URL"
                .to_owned()
        }
        (None, Some(file)) => match password_of(&file) {
            Ok(password) => return Ok(Some(password)),
            Err(problem) => problem,
        },
        (password, None) => return Ok(password.clone()),
    };
    Err(written.error(&key.declaration, &problem))
}

/// The user and the password of the Sentinels.
fn sentinel_login(
    written: &Written,
    url: &RedisUrl,
) -> Result<(Option<String>, Option<Password>), ConfigError> {
    const NO_SENTINELS: &str =
        "broker.url names no Sentinels. Write redis+sentinel: there, or remove this setting";
    const NO_PASSWORD: &str =
        "this user has no password. Name the file that holds it in broker.sentinel_password_file";
    let (user_key, file_key) = (&keys::BROKER_SENTINEL_USERNAME, &keys::BROKER_SENTINEL_PASSWORD_FILE);
    let (user, file) = (written.read(user_key)?, written.read(file_key)?);
    let has_sentinels = matches!(url.servers, RedisServers::Sentinel { .. });
    match file {
        Some(_) if !has_sentinels => Err(written.error(&file_key.declaration, NO_SENTINELS)),
        None if user.is_some() => {
            let problem = if has_sentinels { NO_PASSWORD } else { NO_SENTINELS };
            Err(written.error(&user_key.declaration, problem))
        }
        None => Ok((None, None)),
        Some(file) => {
            let password = password_of(&file);
            let password = password.map_err(|problem| written.error(&file_key.declaration, &problem))?;
            Ok((user, Some(password)))
        }
    }
}

fn password_of(file: &Path) -> Result<Password, String> {
    let content = read_file(file)?;
    let text =
        String::from_utf8(content).map_err(|_| "is not UTF-8. Write the password as text".to_owned())?;
    let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    match text {
        "" => Err("is empty. Write the password into it, on one line".to_owned()),
        text if text.contains(['\n', '\r']) => {
            Err("holds several lines. Write only the password, on one line".to_owned())
        }
        text => Ok(Password::new(text.to_owned())),
    }
}

fn tls_of(written: &Written, url: &RedisUrl) -> Result<Option<RedisTls>, ConfigError> {
    let key = &keys::BROKER_CA_FILE;
    let problem = match (url.tls, written.read(key)?) {
        (false, None) => return Ok(None),
        (true, None) => return Ok(Some(RedisTls { root_certificates: None })),
        (false, Some(_)) => {
            "broker.url does not use TLS. Write rediss: instead of redis: there, or remove this setting"
                .to_owned()
        }
        (true, Some(file)) => match tls::certificates(&file) {
            Ok(pem) => return Ok(Some(RedisTls { root_certificates: Some(pem) })),
            Err(problem) => problem,
        },
    };
    Err(written.error(&key.declaration, &problem))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::NamedTempFile;

    use super::super::load::load;
    use super::*;

    fn file(content: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn path(file: &NamedTempFile) -> &str {
        file.path().to_str().unwrap()
    }

    fn broker(pairs: &[(&str, &str)]) -> Result<BrokerSettings, String> {
        let variables =
            pairs.iter().map(|(key, value)| (format!("OROSYNC_BROKER__{key}"), (*value).to_owned()));
        load(&[], variables, []).and_then(|written| read(&written)).map_err(|error| error.to_string())
    }

    fn redis(pairs: &[(&str, &str)]) -> RedisSettings {
        match broker(pairs).unwrap() {
            BrokerSettings::Redis(settings) => *settings,
            BrokerSettings::Memory => panic!("{pairs:?} name a Redis"),
        }
    }

    #[test]
    fn without_a_url_there_is_no_redis_and_no_file_is_read() {
        assert_eq!(broker(&[]), Ok(BrokerSettings::Memory));
        assert_eq!(broker(&[("PASSWORD_FILE", "/missing")]), Ok(BrokerSettings::Memory));
    }

    #[test]
    fn only_the_url_is_required() {
        let settings = redis(&[("URL", "redis://crm-redis")]);
        let address = RedisAddress::Tcp { host: "crm-redis".to_owned(), port: 6379 };
        assert_eq!(
            settings,
            RedisSettings {
                servers: RedisServers::Single(address, 0),
                tls: None,
                prefix: "orosync".to_owned(),
                username: None,
                password_file: None,
                sentinel_username: None,
                passwords: Passwords::default(),
                wait_replicas: 0,
            }
        );
        assert_eq!(redis(&[("URL", "rediss://x")]).tls, Some(RedisTls { root_certificates: None }));
    }

    #[test]
    fn a_password_comes_from_the_url_or_from_a_file_without_its_line_end() {
        let settings = redis(&[("URL", "redis://orosync:a%20b@x")]);
        assert_eq!(settings.username.as_deref(), Some("orosync"));
        assert_eq!(settings.passwords.redis.as_ref().map(Password::expose), Some("a b"));
        assert!(!format!("{settings:?}").contains("a b"), "{settings:?}");
        for line_end in ["", "\n", "\r\n"] {
            let file = file(format!(" p w {line_end}").as_bytes());
            let pairs = [("URL", "redis://x"), ("USERNAME", "orosync"), ("PASSWORD_FILE", path(&file))];
            let settings = redis(&pairs);
            assert_eq!(settings.username.as_deref(), Some("orosync"));
            assert_eq!(settings.passwords.redis.as_ref().map(Password::expose), Some(" p w "));
            assert_eq!(settings.password_file.as_deref(), Some(file.path()));
        }
    }

    #[test]
    fn a_user_in_the_url_may_have_its_password_in_a_file() {
        let file = file(b"pw");
        let settings = redis(&[("URL", "redis://orosync:@x"), ("PASSWORD_FILE", path(&file))]);
        assert_eq!(settings.username.as_deref(), Some("orosync"));
        assert_eq!(settings.passwords.redis.as_ref().map(Password::expose), Some("pw"));
    }

    #[test]
    fn sentinels_have_a_login_of_their_own() {
        let (redis_password, sentinel_password) = (file(b"pw"), file(b"of the Sentinels\n"));
        let url = ("URL", "redis+sentinel://x/oro");
        let both =
            [("PASSWORD_FILE", path(&redis_password)), ("SENTINEL_PASSWORD_FILE", path(&sentinel_password))];
        let settings = redis(&[url, both[0], both[1], ("SENTINEL_USERNAME", "app")]);
        assert_eq!((settings.username, settings.sentinel_username.as_deref()), (None, Some("app")));
        let Passwords { redis: of_redis, sentinel } = &settings.passwords;
        assert_eq!(of_redis.as_ref().map(Password::expose), Some("pw"));
        assert_eq!(sentinel.as_ref().map(Password::expose), Some("of the Sentinels"));
        let alone = redis(&[url, both[1]]).passwords;
        assert!(alone.redis.is_none() && alone.sentinel.is_some(), "each for itself");
    }

    #[test]
    fn duplicate_and_missing_settings_are_reported() {
        let password = file(b"pw");
        let password = path(&password);
        for (pairs, expected) in [
            (
                &[("URL", "redis://:secret@x"), ("PASSWORD_FILE", password)][..],
                "broker.url contains a password as well. Keep the file and remove the password from the URL",
            ),
            (
                &[("URL", "redis://crm:secret@x"), ("USERNAME", "crm")],
                "OROSYNC_BROKER__USERNAME = \"crm\": broker.url contains a user as well. Keep one of the two",
            ),
            (
                &[("URL", "redis://x"), ("USERNAME", "crm")],
                "OROSYNC_BROKER__USERNAME = \"crm\": this user has no password. Name the file that holds it in \
                 broker.password_file",
            ),
            (
                &[("URL", "redis://crm:@x")],
                "OROSYNC_BROKER__URL = \"redis://crm:@x\": this user has no password",
            ),
            (
                &[("URL", "redis+sentinel://x/oro"), ("SENTINEL_USERNAME", "crm")],
                "OROSYNC_BROKER__SENTINEL_USERNAME = \"crm\": this user has no password. Name the file that holds it in \
                 broker.sentinel_password_file",
            ),
            (
                &[("URL", "redis://x"), ("SENTINEL_USERNAME", "crm")],
                "OROSYNC_BROKER__SENTINEL_USERNAME = \"crm\": broker.url names no Sentinels",
            ),
            (
                &[("URL", "redis+cluster://x"), ("SENTINEL_PASSWORD_FILE", password)],
                "broker.url names no Sentinels. Write redis+sentinel: there, or remove this setting",
            ),
            (
                &[("URL", "redis://x"), ("CA_FILE", "/missing")],
                "broker.url does not use TLS. Write rediss: instead of redis: there, or remove this setting",
            ),
        ] {
            let error = broker(pairs).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn unusable_files_are_all_reported_at_once() {
        let pairs = [
            ("URL", "rediss+sentinel://x/oro"),
            ("PASSWORD_FILE", "/missing/password"),
            ("SENTINEL_PASSWORD_FILE", "/missing/password"),
            ("CA_FILE", "/missing/ca.pem"),
        ];
        let error = broker(&pairs).unwrap_err();
        let reported: Vec<_> = error.lines().filter_map(|problem| problem.split(" = ").next()).collect();
        assert_eq!(
            reported,
            [
                "OROSYNC_BROKER__CA_FILE",
                "OROSYNC_BROKER__PASSWORD_FILE",
                "OROSYNC_BROKER__SENTINEL_PASSWORD_FILE"
            ]
        );
        for (content, expected) in [
            (&b"\n"[..], "is empty"),
            (b"one\ntwo\n", "holds several lines"),
            (b"pw\n\n", "holds several lines"),
            (b"\xff", "is not UTF-8"),
        ] {
            let file = file(content);
            let error = broker(&[("URL", "redis://x"), ("PASSWORD_FILE", path(&file))]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn trusted_certificates_are_kept_unchanged_and_at_least_one_is_required() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let pem = made.cert.pem();
        let ca = file(pem.as_bytes());
        let settings = redis(&[("URL", "rediss+cluster://x"), ("CA_FILE", path(&ca))]);
        assert_eq!(settings.tls, Some(RedisTls { root_certificates: Some(pem.into_bytes()) }));
        let none = file(b"hello");
        let error = broker(&[("URL", "rediss://x"), ("CA_FILE", path(&none))]).unwrap_err();
        assert!(error.contains("holds no certificate in PEM"), "{error}");
    }

    #[test]
    fn the_prefix_and_the_number_of_replicas_are_bounded() {
        let url = ("URL", "redis://x");
        assert_eq!(redis(&[url, ("PREFIX", "crm:live_2.0-b")]).prefix, "crm:live_2.0-b");
        assert_eq!(redis(&[url, ("WAIT_REPLICAS", "16")]).wait_replicas, 16);
        for prefix in ["", "a b", "{crm}", "ä", &"x".repeat(65)] {
            let error = broker(&[url, ("PREFIX", prefix)]).unwrap_err();
            assert!(error.contains(": not 1 to 64 letters, digits and : _ . -"), "{error}");
        }
        let error = broker(&[url, ("WAIT_REPLICAS", "17")]).unwrap_err();
        assert_eq!(error, "OROSYNC_BROKER__WAIT_REPLICAS = \"17\": out of bounds. Write 0 to 16");
    }
}
