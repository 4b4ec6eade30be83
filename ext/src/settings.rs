//! Settings of a publisher: from php.ini, the environment and the options of `Orosync\Publisher`.
//!
//! An invalid value never prevents PHP from starting: it becomes a `ConfigurationException` on first use, which names the
//! setting, its value and a valid one. If neither `orosync.secret` nor `orosync.secret_file` is set, the server's environment
//! variables are used, so that in development one `export` configures both.

use std::ffi::CStr;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ext_php_rs::exception::PhpException;
use ext_php_rs::ffi::zend_ini_entry;
use ext_php_rs::flags::IniEntryPermission;
use ext_php_rs::zend::{IniEntryDef, IniEntryDefs};
use orosync_link::{Bounds, Endpoints, Options};
use orosync_protocol::notation;
use orosync_protocol::similar::did_you_mean_or_all;
use orosync_protocol::ticket::{Signer, secret_file};

use crate::zval::{Table, Text, key_text, type_name};
use crate::{exceptions, zend};

/// Environment variables that the server reads too.
const SECRET_VARIABLE: &str = "OROSYNC_AUTH__SECRET";
const SECRET_FILE_VARIABLE: &str = "OROSYNC_AUTH__SECRET_FILE";

/// Maximum of the timeouts, in seconds.
const LONGEST: f64 = 60.0;

/// A setting. php.ini names have the prefix `orosync.`, the options of `Orosync\Publisher` do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Key {
    Endpoint,
    CaFile,
    Secret,
    SecretFile,
    QueueMessages,
    QueueBytes,
    ConnectTimeout,
    ShutdownTimeout,
}

const KEYS: usize = 8;

impl Key {
    const ALL: [Self; KEYS] = [
        Self::Endpoint,
        Self::CaFile,
        Self::Secret,
        Self::SecretFile,
        Self::QueueMessages,
        Self::QueueBytes,
        Self::ConnectTimeout,
        Self::ShutdownTimeout,
    ];

    /// Its name and default in php.ini.
    const fn ini(self) -> (&'static CStr, &'static CStr) {
        match self {
            Self::Endpoint => (c"orosync.endpoint", c"ws://127.0.0.1:8080/"),
            Self::CaFile => (c"orosync.ca_file", c""),
            Self::Secret => (c"orosync.secret", c""),
            Self::SecretFile => (c"orosync.secret_file", c""),
            Self::QueueMessages => (c"orosync.queue_messages", c"10000"),
            Self::QueueBytes => (c"orosync.queue_bytes", c"16M"),
            Self::ConnectTimeout => (c"orosync.connect_timeout", c"2.0"),
            Self::ShutdownTimeout => (c"orosync.shutdown_timeout", c"1.0"),
        }
    }

    fn ini_name(self) -> &'static str {
        self.ini().0.to_str().unwrap_or_default()
    }

    fn option_name(self) -> &'static str {
        self.ini_name().trim_start_matches("orosync.")
    }

    const fn definition(self) -> IniEntryDef {
        let (name, default) = self.ini();
        let mut definition = IniEntryDef::new(name, default, IniEntryPermission::System);
        if let Self::Secret = self {
            definition.displayer = Some(show_secret);
        }
        definition
    }
}

static DEFINITIONS: IniEntryDefs<{ KEYS + 1 }> = IniEntryDefs::new([
    Key::Endpoint.definition(),
    Key::CaFile.definition(),
    Key::Secret.definition(),
    Key::SecretFile.definition(),
    Key::QueueMessages.definition(),
    Key::QueueBytes.definition(),
    Key::ConnectTimeout.definition(),
    Key::ShutdownTimeout.definition(),
    IniEntryDef::end(),
]);

/// Registers the settings with PHP. Only while the module starts.
pub(crate) fn register(module_number: i32) {
    IniEntryDef::register(DEFINITIONS.as_slice(), module_number);
}

/// Displays `orosync.secret` in the list of settings without its value.
unsafe extern "C" fn show_secret(entry: *mut zend_ini_entry, _which: i32) {
    // SAFETY: PHP calls a displayer with the entry that it was registered for.
    let text = if unsafe { zend::is_set(entry) } { "(set, not shown)" } else { "no value" };
    // The return value is the number of bytes written: there is nothing to do if it is short.
    let _ = ext_php_rs::zend::output_write(text.as_bytes());
}

/// Validated settings, except the secret, which is read when a publisher is created.
#[derive(Clone, PartialEq)]
pub(crate) struct Settings {
    endpoints: Endpoints,
    ca_file: Option<PathBuf>,
    secret: Secret,
    bounds: Bounds,
    connect_timeout: Duration,
    shutdown_timeout: Duration,
}

#[derive(Clone, PartialEq)]
enum Secret {
    None,
    Text { written_in: String, text: String },
    File { written_in: String, path: PathBuf },
}

impl Settings {
    /// The settings of php.ini.
    pub(crate) fn from_ini() -> Result<Self, String> {
        Written::from_ini().check()
    }

    /// The arguments of `Orosync\Publisher`'s constructor, completed from php.ini.
    pub(crate) fn from_options(endpoint: Text<'_>, options: Table<'_>) -> Result<Self, PhpException> {
        // Before anything else is owned: PHP code runs here and may jump over this frame.
        let text = endpoint.convert("endpoint")?;
        let text = String::from_utf8_lossy(text.as_bytes()).into_owned();
        let mut written = Written::from_ini();
        written.set(Key::Endpoint, "the endpoint", text);
        written
            .set_options(options)
            .and_then(|()| written.check())
            .map_err(|problem| exceptions::configuration(&problem))
    }

    /// Reads the secret and returns the publisher's options.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let (written_in, secret) = match &self.secret {
            Secret::None => {
                return Err(format!(
                    "no secret is set. Create one (openssl rand -hex 32 > /etc/orosync/secret) and name its file in \
                     {} in php.ini, or in the environment variable {SECRET_FILE_VARIABLE}. The server needs the same secret",
                    Key::SecretFile.ini_name()
                ));
            }
            Secret::Text { written_in, text } => (written_in.clone(), text.clone().into_bytes()),
            Secret::File { written_in, path } => {
                let named = format!("{written_in} = \"{}\"", path.display());
                let bytes = fs::read(path).map_err(|error| {
                    format!(
                        "{named}: cannot be read: {error}. Check the path, and that PHP's user may read it"
                    )
                })?;
                (named, secret_file::secrets(&bytes).next().unwrap_or_default().to_vec())
            }
        };
        let signer = Signer::from_secret(&secret).map_err(|error| format!("{written_in}: {error}"))?;
        Ok(Options {
            endpoints: self.endpoints.clone(),
            ca_file: self.ca_file.clone(),
            signer,
            bounds: self.bounds,
            connect_timeout: self.connect_timeout,
            shutdown_timeout: self.shutdown_timeout,
        })
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where the secret comes from, for `phpinfo()`, which itself shows the environment.
    pub(crate) fn secret_source(&self) -> String {
        match &self.secret {
            Secret::None => "none".to_owned(),
            Secret::Text { written_in, .. } if *written_in == environment(SECRET_VARIABLE) => format!(
                "set by {written_in}, which phpinfo() shows: use {SECRET_FILE_VARIABLE} or {} instead",
                Key::SecretFile.ini_name()
            ),
            Secret::Text { written_in, .. } => format!("set by {written_in}"),
            Secret::File { written_in, path } => format!("in {}, set by {written_in}", path.display()),
        }
    }
}

/// The settings as written, each with the name of its source.
struct Written([Value; KEYS]);

struct Value {
    written_in: String,
    text: String,
}

impl Written {
    fn from_ini() -> Self {
        Self(
            Key::ALL.map(|key| Value {
                written_in: key.ini_name().to_owned(),
                text: zend::ini_string(key.ini().0),
            }),
        )
    }

    fn set(&mut self, key: Key, written_in: &str, text: String) {
        if let Some(value) = self.0.get_mut(key as usize) {
            *value = Value { written_in: written_in.to_owned(), text };
        }
    }

    fn set_options(&mut self, options: Table<'_>) -> Result<(), String> {
        let known: Vec<&str> =
            Key::ALL.iter().filter(|key| **key != Key::Endpoint).map(|key| key.option_name()).collect();
        let mut secret_is_ours = false;
        for (name, value) in options.iter() {
            let name = key_text(&name);
            let key = Key::ALL.into_iter().find(|key| *key != Key::Endpoint && key.option_name() == name);
            let Some(key) = key else {
                return Err(format!(
                    "the option \"{name}\" is unknown{}",
                    did_you_mean_or_all(&name, &known)
                ));
            };
            if value.is_null() {
                continue;
            }
            let text = (value.is_string() || value.is_long() || value.is_double())
                .then(|| zend::to_string(value))
                .flatten()
                .map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
                .ok_or_else(|| {
                    format!("the option \"{name}\" must be a string or a number, {} given", type_name(value))
                })?;
            if matches!(key, Key::Secret | Key::SecretFile) && !secret_is_ours {
                // A secret from php.ini would conflict with the one given here.
                secret_is_ours = true;
                self.set(Key::Secret, "", String::new());
                self.set(Key::SecretFile, "", String::new());
            }
            self.set(key, &format!("the option \"{name}\""), text);
        }
        Ok(())
    }

    fn value(&self, key: Key) -> &Value {
        &self.0[key as usize]
    }

    fn check(&self) -> Result<Settings, String> {
        let endpoints = self.value(Key::Endpoint);
        Ok(Settings {
            endpoints: endpoints
                .text
                .parse()
                .map_err(|error| format!("{}: {error}", endpoints.written_in))?,
            ca_file: Some(&self.value(Key::CaFile).text).filter(|file| !file.is_empty()).map(PathBuf::from),
            secret: self.secret()?,
            bounds: self.bounds()?,
            connect_timeout: self.value(Key::ConnectTimeout).seconds(0.001)?,
            shutdown_timeout: self.value(Key::ShutdownTimeout).seconds(0.0)?,
        })
    }

    fn secret(&self) -> Result<Secret, String> {
        let (text, file) = (self.value(Key::Secret), self.value(Key::SecretFile));
        match (text.text.is_empty(), file.text.is_empty()) {
            (false, false) => {
                Err(format!("{} and {} are both set. Keep one of the two", text.written_in, file.written_in))
            }
            (false, true) => {
                Ok(Secret::Text { written_in: text.written_in.clone(), text: text.text.clone() })
            }
            (true, false) => {
                Ok(Secret::File { written_in: file.written_in.clone(), path: PathBuf::from(&file.text) })
            }
            (true, true) => Ok(secret_of_environment()),
        }
    }

    fn bounds(&self) -> Result<Bounds, String> {
        let (messages, bytes) = (self.value(Key::QueueMessages), self.value(Key::QueueBytes));
        let count = messages
            .text
            .trim()
            .parse()
            .ok()
            .filter(|count| (1..=Bounds::MAX_MESSAGES).contains(count))
            .ok_or_else(|| messages.problem(&format!("not a number from 1 to {}", Bounds::MAX_MESSAGES)))?;
        let size = notation::size(&bytes.text).map_err(|error| bytes.problem(&error.to_string()))?;
        Bounds::new(count, size).ok_or_else(|| {
            bytes.problem(&format!(
                "too small for a message of the maximum size. Write at least {}M",
                Bounds::MIN_BYTES >> 20
            ))
        })
    }
}

impl Value {
    fn problem(&self, problem: &str) -> String {
        format!("{} = \"{}\": {problem}", self.written_in, self.text)
    }

    fn seconds(&self, least: f64) -> Result<Duration, String> {
        let seconds =
            self.text.trim().parse::<f64>().ok().filter(|seconds| (least..=LONGEST).contains(seconds));
        seconds
            .map(Duration::from_secs_f64)
            .ok_or_else(|| self.problem(&format!("not a number of seconds from {least} to {LONGEST}")))
    }
}

fn environment(variable: &str) -> String {
    format!("the environment variable {variable}")
}

fn secret_of_environment() -> Secret {
    let variable = |name: &str| zend::environment_variable(name).filter(|value| !value.is_empty());
    // The file first: `phpinfo()` shows the environment, and a path reveals no secret.
    if let Some(path) = variable(SECRET_FILE_VARIABLE) {
        Secret::File { written_in: environment(SECRET_FILE_VARIABLE), path: PathBuf::from(path) }
    } else if let Some(text) = variable(SECRET_VARIABLE) {
        let text = text.to_string_lossy().into_owned();
        Secret::Text { written_in: environment(SECRET_VARIABLE), text }
    } else {
        Secret::None
    }
}
