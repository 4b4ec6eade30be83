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
use orosync_link::{Bounds, EndpointError, Endpoints, Options};
use orosync_protocol::notation::{self, NotationError, Range};
use orosync_protocol::similar::did_you_mean_or_all;
use orosync_protocol::ticket::{Signer, secret_file};

use crate::zval::{Table, Text, key_text, type_name};
use crate::{exceptions, zend};

/// Maximum number of publishers in a process, which differ in their settings: each has a thread and a connection.
pub(crate) const MAX_PUBLISHERS: usize = 32;

/// Environment variables that the server reads too.
const SECRET_VARIABLE: &str = "OROSYNC_AUTH__SECRET";
const SECRET_FILE_VARIABLE: &str = "OROSYNC_AUTH__SECRET_FILE";

const MAX_TIMEOUT: Duration = Duration::from_mins(1);
const MILLISECOND: Duration = Duration::from_millis(1);

const MAX_MESSAGES: u64 = Bounds::MAX_MESSAGES as u64;

/// A setting whose value is parsed into `T`.
struct Setting<T: 'static> {
    declaration: Declaration,
    parse: fn(&str) -> Result<T, InvalidValue>,
}

/// Name and default of a setting.
#[derive(Clone, Copy)]
struct Declaration {
    /// The name in php.ini. Without its prefix `orosync.` it is the name of an option of `Orosync\Publisher`.
    ini_name: &'static CStr,
    default: &'static CStr,
    /// Whether `phpinfo()` masks the value.
    is_masked: bool,
}

macro_rules! settings {
    ($($constant:ident: $type:ty = $setting:expr;)*) => {
        $(const $constant: Setting<$type> = $setting;)*

        const ALL: &[Declaration] = &[$($constant.declaration),*];

        static DEFINITIONS: IniEntryDefs<{ ALL.len() + 1 }> =
            IniEntryDefs::new([$($constant.declaration.definition(),)* IniEntryDef::end()]);
    };
}

settings! {
    ENDPOINT: Endpoints = Setting::new(c"orosync.endpoint", c"ws://127.0.0.1:8080/", |text| Ok(text.parse()?));
    CA_FILE: Option<PathBuf> = Setting::new(c"orosync.ca_file", c"", |text| Ok(not_empty(text)));
    SECRET: Option<String> = Setting::new(c"orosync.secret", c"", |text| Ok(not_empty(text))).masked();
    SECRET_FILE: Option<PathBuf> = Setting::new(c"orosync.secret_file", c"", |text| Ok(not_empty(text)));
    QUEUE_MESSAGES: u64 = Setting::new(c"orosync.queue_messages", c"10000", |text| {
        Ok(Range::between(1, MAX_MESSAGES).check(notation::count(text)?, |count| count.to_string())?)
    });
    QUEUE_BYTES: u64 = Setting::new(c"orosync.queue_bytes", c"16M", |text| {
        Ok(Range::at_least(Bounds::MIN_BYTES).check(notation::size(text)?, notation::write_size)?)
    });
    CONNECT_TIMEOUT: Duration = Setting::new(c"orosync.connect_timeout", c"2.0", |text| {
        Ok(Range::between(MILLISECOND, MAX_TIMEOUT).check(notation::time(text)?, notation::write_time)?)
    });
    SHUTDOWN_TIMEOUT: Duration = Setting::new(c"orosync.shutdown_timeout", c"1.0", |text| {
        Ok(Range::between(Duration::ZERO, MAX_TIMEOUT).check(notation::time(text)?, notation::write_time)?)
    });
}

impl<T> Setting<T> {
    const fn new(
        ini_name: &'static CStr,
        default: &'static CStr,
        parse: fn(&str) -> Result<T, InvalidValue>,
    ) -> Self {
        Self { declaration: Declaration { ini_name, default, is_masked: false }, parse }
    }

    const fn masked(self) -> Self {
        Self { declaration: Declaration { is_masked: true, ..self.declaration }, ..self }
    }
}

impl Declaration {
    fn ini_name(self) -> &'static str {
        self.ini_name.to_str().unwrap_or_default()
    }

    fn option_name(self) -> &'static str {
        self.ini_name().trim_start_matches("orosync.")
    }

    const fn definition(self) -> IniEntryDef {
        let mut definition = IniEntryDef::new(self.ini_name, self.default, IniEntryPermission::System);
        if self.is_masked {
            definition.displayer = Some(show_secret);
        }
        definition
    }
}

fn not_empty<T: for<'a> From<&'a str>>(text: &str) -> Option<T> {
    Some(text).filter(|text| !text.is_empty()).map(T::from)
}

/// Why a value is not accepted.
enum InvalidValue {
    /// The error's text names the invalid endpoint, without its password.
    Endpoint(EndpointError),
    /// The error's text is written to follow the value.
    Number(NotationError),
}

impl From<EndpointError> for InvalidValue {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error)
    }
}

impl From<NotationError> for InvalidValue {
    fn from(error: NotationError) -> Self {
        Self::Number(error)
    }
}

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
    Text { source: String, text: String },
    File { source: String, path: PathBuf },
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
        written.set(ENDPOINT.declaration, "the endpoint", text);
        written
            .set_options(options)
            .and_then(|()| written.check())
            .map_err(|problem| exceptions::configuration(&problem))
    }

    /// Reads the secret and returns the publisher's options.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let (source, secret) = match &self.secret {
            Secret::None => {
                return Err(format!(
                    "no secret is set. Create one (openssl rand -hex 32 > /etc/orosync/secret) and name its file in \
                     {} in php.ini, or in the environment variable {SECRET_FILE_VARIABLE}. The server needs the same secret",
                    SECRET_FILE.declaration.ini_name()
                ));
            }
            Secret::Text { source, text } => (source.clone(), text.clone().into_bytes()),
            Secret::File { source, path } => {
                let named = format!("{source} = \"{}\"", path.display());
                let bytes = fs::read(path).map_err(|error| {
                    format!(
                        "{named}: cannot be read: {error}. Check the path, and that PHP's user may read it"
                    )
                })?;
                (named, secret_file::secrets(&bytes).next().unwrap_or_default().to_vec())
            }
        };
        let signer = Signer::from_secret(&secret).map_err(|error| format!("{source}: {error}"))?;
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
            Secret::Text { source, .. } if *source == environment(SECRET_VARIABLE) => format!(
                "set by {source}, which phpinfo() shows: use {SECRET_FILE_VARIABLE} or {} instead",
                SECRET_FILE.declaration.ini_name()
            ),
            Secret::Text { source, .. } => format!("set by {source}"),
            Secret::File { source, path } => format!("in {}, set by {source}", path.display()),
        }
    }
}

/// The settings as written, each with the name of its source.
struct Written(Vec<Value>);

struct Value {
    setting: Declaration,
    source: String,
    text: String,
}

impl Written {
    fn from_ini() -> Self {
        let values = ALL.iter().map(|setting| Value {
            setting: *setting,
            source: setting.ini_name().to_owned(),
            text: zend::ini_string(setting.ini_name),
        });
        Self(values.collect())
    }

    fn set(&mut self, setting: Declaration, source: &str, text: String) {
        if let Some(value) = self.0.iter_mut().find(|value| value.setting.ini_name == setting.ini_name) {
            *value = Value { setting, source: source.to_owned(), text };
        }
    }

    fn set_options(&mut self, options: Table<'_>) -> Result<(), String> {
        let is_option = |setting: &&Declaration| setting.ini_name != ENDPOINT.declaration.ini_name;
        let mut has_secret = false;
        for (name, value) in options.iter() {
            let name = key_text(&name);
            let known = || ALL.iter().filter(is_option);
            let Some(setting) = known().find(|setting| setting.option_name() == name) else {
                let known: Vec<&str> = known().map(|setting| setting.option_name()).collect();
                return Err(format!(
                    "the option \"{name}\" is unknown{}",
                    did_you_mean_or_all(&name, &known)
                ));
            };
            if value.is_null() {
                continue;
            }
            // PHP writes small floats with an exponent, which no setting has.
            let text = value
                .double()
                .map(|number| number.to_string())
                .or_else(|| {
                    let text =
                        (value.is_string() || value.is_long()).then(|| zend::to_string(value)).flatten()?;
                    Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
                })
                .ok_or_else(|| {
                    format!("the option \"{name}\" must be a string or a number, {} given", type_name(value))
                })?;
            let secrets = [SECRET.declaration, SECRET_FILE.declaration];
            if secrets.iter().any(|secret| secret.ini_name == setting.ini_name) && !has_secret {
                // A secret from php.ini would conflict with the one given here.
                has_secret = true;
                for secret in secrets {
                    self.set(secret, "", String::new());
                }
            }
            self.set(*setting, &format!("the option \"{name}\""), text);
        }
        Ok(())
    }

    fn value<T>(&self, setting: &Setting<T>) -> &Value {
        let name = setting.declaration.ini_name;
        self.0.iter().find(|value| value.setting.ini_name == name).expect("each setting has a value")
    }

    fn read<T>(&self, setting: &Setting<T>) -> Result<T, String> {
        let Value { source, text, .. } = self.value(setting);
        (setting.parse)(text).map_err(|error| match error {
            InvalidValue::Endpoint(error) => format!("{source}: {error}"),
            InvalidValue::Number(error) => format!("{source} = \"{text}\": {error}"),
        })
    }

    fn check(&self) -> Result<Settings, String> {
        Ok(Settings {
            endpoints: self.read(&ENDPOINT)?,
            ca_file: self.read(&CA_FILE)?,
            secret: self.secret()?,
            bounds: self.bounds()?,
            connect_timeout: self.read(&CONNECT_TIMEOUT)?,
            shutdown_timeout: self.read(&SHUTDOWN_TIMEOUT)?,
        })
    }

    fn secret(&self) -> Result<Secret, String> {
        let source = |value: &Value| value.source.clone();
        let (text_source, file_source) = (source(self.value(&SECRET)), source(self.value(&SECRET_FILE)));
        match (self.read(&SECRET)?, self.read(&SECRET_FILE)?) {
            (Some(_), Some(_)) => {
                Err(format!("{text_source} and {file_source} are both set. Keep one of the two"))
            }
            (Some(text), None) => Ok(Secret::Text { source: text_source, text }),
            (None, Some(path)) => Ok(Secret::File { source: file_source, path }),
            (None, None) => Ok(secret_of_environment()),
        }
    }

    fn bounds(&self) -> Result<Bounds, String> {
        let (messages, bytes) = (self.read(&QUEUE_MESSAGES)?, self.read(&QUEUE_BYTES)?);
        let bounds = usize::try_from(messages).ok().and_then(|messages| Bounds::new(messages, bytes));
        Ok(bounds.expect("the ranges of the two settings are those of the bounds"))
    }
}

/// The error for a publisher beyond [`MAX_PUBLISHERS`].
pub(crate) fn too_many() -> String {
    format!(
        "this process already has {MAX_PUBLISHERS} publishers with different settings, which is the maximum. Use the same \
         endpoint and options again"
    )
}

fn environment(variable: &str) -> String {
    format!("the environment variable {variable}")
}

fn secret_of_environment() -> Secret {
    let variable = |name: &str| zend::environment_variable(name).filter(|value| !value.is_empty());
    // The file first: `phpinfo()` shows the environment, and a path reveals no secret.
    if let Some(path) = variable(SECRET_FILE_VARIABLE) {
        Secret::File { source: environment(SECRET_FILE_VARIABLE), path: PathBuf::from(path) }
    } else if let Some(text) = variable(SECRET_VARIABLE) {
        let text = text.to_string_lossy().into_owned();
        Secret::Text { source: environment(SECRET_VARIABLE), text }
    } else {
        Secret::None
    }
}
