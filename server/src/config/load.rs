//! Merges the layers of the configuration, each overriding the previous one: defaults, files in their order, environment,
//! flags.
//!
//! Owns the values as they were written, with the source of each. Unknown keys and invalid values are errors that name key,
//! value and fix. All errors are reported at once.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use orosync_protocol::similar::nearest;

use super::keys::{self, Declaration, Key, VARIABLE_PREFIX};
use super::literal::shown;

/// The source of a value, in ascending order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The built-in default.
    Default,
    /// A configuration file.
    File,
    /// An environment variable.
    Environment,
    /// A command line flag.
    Flag,
}

impl Source {
    const ALL: [Self; 4] = [Self::Default, Self::File, Self::Environment, Self::Flag];

    fn label(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// The merged configuration. Each key has a valid value of its kind, and the value's source is known.
#[derive(Debug)]
pub struct Written {
    figment: Figment,
    files: Vec<(PathBuf, Dict)>,
    /// Probable mistakes that do no harm, a sentence each.
    pub warnings: Vec<String>,
}

/// Reads the configuration files and merges environment and flags into them.
pub fn load(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
    flags: impl IntoIterator<Item = (Declaration, Value)>,
) -> Result<Written, ConfigError> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut figment = Figment::from(defaults());
    let mut tables = Vec::new();
    for file in files {
        let table = read_file(file)?;
        find_unknown(&table, "", file, &mut problems);
        figment = figment.merge(Layer { source: Source::File, table: table.clone() });
        tables.push((file.clone(), table));
    }
    let variables = known_variables(environment, &mut problems, &mut warnings);
    for (key, value) in variables {
        figment = figment.merge(Layer::of(Source::Environment, &key, value));
    }
    for (key, value) in flags {
        figment = figment.merge(Layer::of(Source::Flag, &key, value));
    }
    let written = Written { figment, files: tables, warnings };
    // `limits = 5` was reported above; the keys of that table cannot be checked.
    problems.extend(keys::ALL.iter().filter_map(|key| {
        let value = written.figment.find_value(key.name).ok()?;
        (key.check)(&value).err().map(|problem| written.problem(key, &problem))
    }));
    if problems.is_empty() { Ok(written) } else { Err(ConfigError { problems }) }
}

impl Written {
    /// The defaults, without files, environment or flags.
    pub fn defaults() -> Self {
        Self { figment: Figment::from(defaults()), files: vec![], warnings: vec![] }
    }

    /// The value of a key.
    pub fn read<T>(&self, key: &Key<T>) -> Result<T, ConfigError> {
        (key.read)(&self.value(&key.declaration)).map_err(|problem| self.error(&key.declaration, &problem))
    }

    /// The source of a key's value.
    pub fn source(&self, key: &Declaration) -> Source {
        let name = self.figment.find_metadata(key.name).map(|metadata| metadata.name.clone());
        Source::ALL
            .into_iter()
            .find(|source| name.as_deref() == Some(source.label()))
            .unwrap_or(Source::Default)
    }

    /// The name of the source: the file's path, the variable's name or the flag.
    pub fn source_name(&self, key: &Declaration) -> String {
        match (self.source(key), self.file_of(key)) {
            (Source::File, Some(file)) => file.display().to_string(),
            (Source::Environment, _) => key.variable(),
            (Source::Flag, _) => key.flag(),
            (source, _) => source.label().to_owned(),
        }
    }

    /// A key's value in the notation of the file; a password in a URL is masked.
    pub fn shown(&self, key: &Declaration) -> String {
        shown(&key.public(self.value(key)))
    }

    /// Whether a part of the value is masked when it is shown.
    pub fn is_masked(&self, key: &Declaration) -> bool {
        let value = self.value(key);
        key.public(value.clone()) != value
    }

    /// An error about what a key's value refers to, for example a file.
    pub fn error(&self, key: &Declaration, problem: &str) -> ConfigError {
        ConfigError { problems: vec![self.problem(key, problem)] }
    }

    /// The error text, with the key named as in its source: key, variable or flag.
    fn problem(&self, key: &Declaration, problem: &str) -> String {
        let value = if key.is_secret() { "(not shown)".to_owned() } else { self.shown(key) };
        let name = match self.source(key) {
            Source::Default | Source::File => key.name.to_owned(),
            Source::Environment => key.variable(),
            Source::Flag => key.flag(),
        };
        let at = match (self.source(key), self.file_of(key)) {
            (Source::File, Some(file)) => format!(" (in {})", file.display()),
            _ => String::new(),
        };
        format!("{name} = {value}: {problem}{at}")
    }

    /// The file that a key's value came from.
    fn file_of(&self, key: &Declaration) -> Option<&Path> {
        let says = |table: &Dict| Value::from(table.clone()).find_ref(key.name).is_some();
        self.files.iter().rev().find(|(_, table)| says(table)).map(|(file, _)| file.as_path())
    }

    fn value(&self, key: &Declaration) -> Value {
        self.figment.find_value(key.name).expect("each key has a default")
    }
}

/// One layer of values.
struct Layer {
    source: Source,
    table: Dict,
}

impl Layer {
    fn of(source: Source, key: &Declaration, value: Value) -> Self {
        Self { source, table: nest(key.name, value).into_dict().unwrap_or_default() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.label())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.table.clone()))
    }
}

fn defaults() -> Layer {
    let lines: Vec<String> = keys::ALL.iter().map(|key| format!("{} = {}", key.name, key.default)).collect();
    let table = Toml::from_str(&lines.join("\n")).expect("constants that the tests below read");
    Layer { source: Source::Default, table }
}

fn read_file(file: &Path) -> Result<Dict, ConfigError> {
    let problem = |problem: String| ConfigError { problems: vec![format!("{}: {problem}", file.display())] };
    let text = std::fs::read_to_string(file).map_err(|error| {
        problem(format!("cannot be read: {error}. Check --config and the permissions of the file"))
    })?;
    Toml::from_str(&text).map_err(|error| {
        // The line itself may hold the secret and is not quoted.
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.split('\n').count());
        problem(format!("is not valid TOML in line {line}: {}", error.message().replace('\n', ", ")))
    })
}

/// Collects errors about unknown keys.
fn find_unknown(table: &Dict, above: &str, file: &Path, problems: &mut Vec<String>) {
    for (key, value) in table {
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let below = format!("{name}.");
        let is_table = keys::ALL.iter().any(|known| known.name.starts_with(&below));
        match value {
            _ if keys::find(&name).is_some() => {}
            Value::Dict(_, table) if is_table => find_unknown(table, &name, file, problems),
            _ if is_table => {
                let place = file.display();
                problems.push(format!("{name}: is a table. Write [{name}] (in {place})"));
            }
            // The value may be the secret and is not quoted.
            _ => {
                let hint = match nearest(&name, keys::ALL.iter().map(|known| known.name)) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => "All keys: orosync-server check-config --defaults".to_owned(),
                };
                problems.push(format!("{name}: is not a key. {hint} (in {})", file.display()));
            }
        }
    }
}

/// The environment variables that name keys. A variable similar to a key is an error. Any other is a warning, because other
/// software may set such names: Kubernetes sets `OROSYNC_PORT` for a service named `orosync`.
fn known_variables(
    environment: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Vec<(Declaration, Value)> {
    let mut known = Vec::new();
    let mut ours: Vec<_> =
        environment.into_iter().filter(|(variable, _)| variable.starts_with(VARIABLE_PREFIX)).collect();
    ours.sort_unstable();
    for (variable, value) in ours {
        if let Some(key) = keys::ALL.iter().find(|key| key.variable() == variable) {
            known.push((*key, Value::from(value)));
            continue;
        }
        let name = variable[VARIABLE_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        if let Some(near) = nearest(&name, keys::ALL.iter().map(|known| known.name)).and_then(keys::find) {
            problems.push(format!("{variable}: is not a key. Did you mean {}?", near.variable()));
        } else {
            warnings.push(format!("the environment variable {variable} is not a key and has no effect"));
        }
    }
    known
}

/// The configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The errors, one sentence each with key, value and fix.
    pub problems: Vec<String>,
}

/// Both values, or the errors of both.
pub(super) fn both<A, B>(
    first: Result<A, ConfigError>,
    second: Result<B, ConfigError>,
) -> Result<(A, B), ConfigError> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(ConfigError { problems }), Err(more)) => {
            Err(ConfigError { problems: [problems, more.problems].concat() })
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::config::keys;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn problems(content: &str, environment: &[(&str, &str)]) -> Vec<String> {
        let file = file(content);
        let place = format!(" (in {})", file.path().display());
        let error = load(&[file.path().to_owned()], variables(environment), []).unwrap_err();
        error.problems.iter().map(|problem| problem.replace(&place, " (in FILE)")).collect()
    }

    #[test]
    fn every_default_can_be_read() {
        let written = Written::defaults();
        for key in keys::ALL {
            assert_eq!((key.check)(&written.value(key)), Ok(()), "{}", key.name);
            assert_eq!(written.source(key), Source::Default, "{}", key.name);
        }
    }

    #[test]
    fn a_later_file_overrides_an_earlier_one_and_is_named() {
        let first = file("drain_seconds = 1\noro_ping_seconds = 2\n[auth]\nanonymous = \"refuse\"\n");
        let second = file("drain_seconds = 3\n[auth]\nallowed_origins = [\"example.com\"]\n");
        let paths = [first.path().to_owned(), second.path().to_owned()];
        let written = load(&paths, [], []).unwrap();
        let value_and_source = |key| (written.shown(&key), written.source_name(&key));
        let (first, second) = (first.path().display().to_string(), second.path().display().to_string());
        assert_eq!(value_and_source(keys::DRAIN_SECONDS.declaration), ("3".to_owned(), second.clone()));
        assert_eq!(value_and_source(keys::ORO_PING_SECONDS.declaration), ("2".to_owned(), first.clone()));
        assert_eq!(value_and_source(keys::AUTH_ANONYMOUS.declaration).1, first);
        assert_eq!(value_and_source(keys::AUTH_ALLOWED_ORIGINS.declaration).1, second);
    }

    #[test]
    fn flags_override_the_environment_and_the_environment_overrides_the_file() {
        let file =
            file("drain_seconds = 1\noro_ping_seconds = 2\nadmin_bind = \"\"\n[limits]\nsubscriptions = 3\n");
        let environment =
            variables(&[("OROSYNC_ORO_PING_SECONDS", "20"), ("OROSYNC_ADMIN_BIND", "127.0.0.1:20")]);
        let flag = (keys::ADMIN_BIND.declaration, Value::from("127.0.0.1:30"));
        let written = load(&[file.path().to_owned()], environment, [flag]).unwrap();
        let value_and_source = |key| (written.shown(&key), written.source_name(&key));
        assert_eq!(value_and_source(keys::SHARDS.declaration), ("0".to_owned(), "default".to_owned()));
        assert_eq!(
            value_and_source(keys::DRAIN_SECONDS.declaration),
            ("1".to_owned(), file.path().display().to_string())
        );
        assert_eq!(value_and_source(keys::SUBSCRIPTIONS.declaration).0, "3");
        assert_eq!(written.source(&keys::SESSIONS.declaration), Source::Default);
        assert_eq!(
            value_and_source(keys::ORO_PING_SECONDS.declaration),
            ("\"20\"".to_owned(), "OROSYNC_ORO_PING_SECONDS".to_owned())
        );
        assert_eq!(
            value_and_source(keys::ADMIN_BIND.declaration),
            ("\"127.0.0.1:30\"".to_owned(), "--admin-bind".to_owned())
        );
    }

    #[test]
    fn a_secret_of_digits_in_the_environment_stays_a_text() {
        let digits = "01234567890123456789012345678901";
        let written = load(&[], variables(&[("OROSYNC_AUTH__SECRET", digits)]), []).unwrap();
        assert_eq!(written.read(&keys::AUTH_SECRET).unwrap().as_deref(), Some(digits));
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        assert_eq!(
            problems("message_bytes = 1\nport = 80\n[auth]\nsecretfile = \"x\"\n[limit]\ntopics = 1\n", &[]),
            [
                "auth.secretfile: is not a key. Did you mean auth.secret_file? (in FILE)",
                "limit: is not a key. All keys: orosync-server check-config --defaults (in FILE)",
                "message_bytes: is not a key. Did you mean limits.message_bytes? (in FILE)",
                "port: is not a key. All keys: orosync-server check-config --defaults (in FILE)",
            ]
        );
        assert_eq!(problems("limits = 5\n", &[]), ["limits: is a table. Write [limits] (in FILE)"]);
        assert_eq!(
            problems("[limits]\noutbound_bytes = \"64 kb\"\n", &[]),
            ["limits.outbound_bytes = \"64 kb\": not a size. Write 64K, 1M or a number of bytes (in FILE)"]
        );
        assert_eq!(
            problems("", &[("OROSYNC_LIMITS__MESAGE_BYTES", "1")]),
            ["OROSYNC_LIMITS__MESAGE_BYTES: is not a key. Did you mean OROSYNC_LIMITS__MESSAGE_BYTES?"]
        );
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let found = problems("prot = 1\nshards = -1\n", &[("OROSYNC_DRAIN_SECONDS", "soon")]);
        assert_eq!(
            found,
            [
                "prot: is not a key. All keys: orosync-server check-config --defaults (in FILE)",
                "shards = -1: not a whole number. Write digits, for example 1000 (in FILE)",
                "OROSYNC_DRAIN_SECONDS = \"soon\": not a time. Write seconds (5 or 0.5), 30s, 500ms, 5m or 1h",
            ]
        );
    }

    #[test]
    fn variables_of_other_software_only_cause_a_warning() {
        let environment = variables(&[("OROSYNC_PORT", "tcp://10.0.0.1:8080"), ("PATH", "/bin")]);
        let written = load(&[], environment, []).unwrap();
        assert_eq!(
            written.warnings,
            ["the environment variable OROSYNC_PORT is not a key and has no effect"]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = load(&["/nonexistent/orosync.toml".into()], [], []).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/orosync.toml: cannot be read: No such file"), "{error}");
        let found = problems("shards = 1\n[auth]\nsecret = 0123-secret\n", &[]);
        assert!(found[0].contains("is not valid TOML in line 3: "), "{found:?}");
        assert!(!found[0].contains("0123"), "{found:?}");
    }
}
