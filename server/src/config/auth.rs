//! Settings of authentication: the secrets and the public key that verify tickets.
//!
//! Reads the files that the settings name. No output contains a secret.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orosync_protocol::OriginPattern;
use orosync_protocol::ticket::issue::ShortSecret;
use orosync_protocol::ticket::{Signer, Verifier, secret_file};

use super::files::read_file;
use super::keys;
use super::load::{ConfigError, Written, both};
use super::values::Anonymous;

/// Settings of authentication.
#[derive(Debug)]
pub struct AuthSettings {
    /// A ticket is valid if one of these accepts it. Never empty.
    pub verifiers: Vec<Verifier>,
    /// Signs tickets. `None` if there is no secret.
    pub signer: Option<Signer>,
    /// The answer to a connection without a ticket.
    pub anonymous: Anonymous,
    /// Sites whose pages may connect.
    pub allowed_origins: Vec<OriginPattern>,
    /// Lifetime of a resume ticket. Zero: no resume tickets.
    pub resume: Duration,
    /// How long a page receives resume tickets after its ticket from PHP.
    pub resume_total: Duration,
    /// The directory for revocations of resume tickets. `None`: no resume ticket is valid after a restart.
    pub state_directory: Option<PathBuf>,
}

impl AuthSettings {
    pub(super) fn new(written: &Written) -> Result<Self, ConfigError> {
        let public_key = written.read(&keys::AUTH_PUBLIC_KEY_FILE)?;
        let public_key = public_key.map(|file| public_key_of(written, &file)).transpose();
        let (secrets, public_key) = both(Secrets::read(written), public_key)?;
        let verifiers: Vec<Verifier> =
            secrets.iter().flat_map(Secrets::verifiers).chain(public_key).collect();
        if verifiers.is_empty() {
            return Err(no_secret());
        }
        Ok(Self {
            verifiers,
            signer: secrets.as_ref().map(Secrets::signer),
            anonymous: written.read(&keys::AUTH_ANONYMOUS)?,
            allowed_origins: written.read(&keys::AUTH_ALLOWED_ORIGINS)?,
            resume: written.read(&keys::AUTH_RESUME_SECONDS)?,
            resume_total: written.read(&keys::AUTH_RESUME_TOTAL_SECONDS)?,
            state_directory: written.read(&keys::AUTH_STATE_DIRECTORY)?,
        })
    }
}

/// The secrets that the server shares with PHP, each long enough. The first signs tickets; all are accepted.
#[derive(Debug)]
struct Secrets {
    first: Secret,
    others: Vec<Secret>,
}

impl Secrets {
    /// Reads the secret from the configuration, or from the file that it names. If both are set, the source with the higher
    /// precedence (flag, environment, file) decides.
    fn read(written: &Written) -> Result<Option<Self>, ConfigError> {
        let (inline, file) = (written.read(&keys::AUTH_SECRET)?, written.read(&keys::AUTH_SECRET_FILE)?);
        let (inline_key, file_key) = (&keys::AUTH_SECRET.declaration, &keys::AUTH_SECRET_FILE.declaration);
        let from_inline = |secret: String| match Secret::new(secret.as_bytes()) {
            Ok(first) => Ok(Some(Self { first, others: Vec::new() })),
            Err(short) => Err(written.error(inline_key, &short.to_string())),
        };
        let from_file = |file: PathBuf| {
            Self::from_file(&file).map(Some).map_err(|problem| written.error(file_key, &problem))
        };
        match (inline, file) {
            (None, None) => Ok(None),
            (Some(secret), None) => from_inline(secret),
            (None, Some(file)) => from_file(file),
            (Some(secret), Some(file)) => match written.source(inline_key).cmp(&written.source(file_key)) {
                Ordering::Greater => from_inline(secret),
                Ordering::Less => from_file(file),
                Ordering::Equal => {
                    Err(written.error(file_key, "auth.secret is set as well. Keep one of the two"))
                }
            },
        }
    }

    fn from_file(file: &Path) -> Result<Self, String> {
        let content = read_file(file)?;
        let mut secrets = secret_file::secrets(&content);
        let first = Secret::new(secrets.next().unwrap_or_default()).map_err(|short| short.to_string())?;
        let others = (2..)
            .zip(secrets)
            .map(|(number, secret)| {
                Secret::new(secret).map_err(|short| format!("secret {number} of this file {short}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { first, others })
    }

    fn signer(&self) -> Signer {
        Signer::from_secret(&self.first.0).expect("its length was checked")
    }

    fn verifiers(&self) -> impl Iterator<Item = Verifier> {
        let secrets = std::iter::once(&self.first).chain(&self.others);
        secrets.map(|secret| Verifier::from_secret(&secret.0).expect("its length was checked"))
    }
}

/// A secret of sufficient length.
struct Secret(Vec<u8>);

impl Secret {
    fn new(bytes: &[u8]) -> Result<Self, ShortSecret> {
        Signer::from_secret(bytes).map(|_| Self(bytes.to_vec()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// The error on the first start of a server that has no secret.
fn no_secret() -> ConfigError {
    ConfigError {
        problems: vec![
            "auth.secret_file is not set: the server cannot verify tickets without a secret. Create one for the server and PHP:\n\
             \x20 openssl rand -hex 32 > /etc/orosync/secret\n\
             then name it with --secret-file /etc/orosync/secret, OROSYNC_AUTH__SECRET_FILE or [auth] secret_file."
                .to_owned(),
        ],
    }
}

fn public_key_of(written: &Written, file: &Path) -> Result<Verifier, ConfigError> {
    let key = &keys::AUTH_PUBLIC_KEY_FILE.declaration;
    let pem = read_file(file).map_err(|problem| written.error(key, &problem))?;
    Verifier::from_public_key(&pem).map_err(|error| written.error(key, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use figment::value::Value;
    use orosync_protocol::ticket::Identity;

    use super::super::load::load;
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn auth(environment: &[(&str, &str)]) -> Result<AuthSettings, ConfigError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        AuthSettings::new(&load(&[], environment, [])?)
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn the_error_for_a_missing_secret_says_how_to_create_one() {
        let error = auth(&[]).unwrap_err().to_string();
        assert!(error.contains("openssl rand -hex 32"), "{error}");
        assert!(error.contains("--secret-file"), "{error}");
    }

    #[test]
    fn the_line_break_at_the_end_of_a_secret_file_does_not_count() {
        for line_break in ["", "\n", "\r\n"] {
            let file = file(format!("{SECRET}{line_break}").as_bytes());
            let written =
                load(&[], [("OROSYNC_AUTH__SECRET_FILE".to_owned(), file.path().display().to_string())], [])
                    .unwrap();
            assert_eq!(Secrets::read(&written).unwrap().unwrap().first.0, SECRET.as_bytes());
        }
    }

    #[test]
    fn the_first_secret_of_a_file_signs_and_all_are_accepted() {
        let second = "fedcba9876543210fedcba9876543210";
        let both = file(format!("{SECRET}\n\n{second}\r\n").as_bytes());
        let both = both.path().display().to_string();
        let auth = auth(&[("OROSYNC_AUTH__SECRET_FILE", &both)]).unwrap();
        assert_eq!(auth.verifiers.len(), 2);
        let issue = |signer: &Signer| signer.issue(&Identity::anonymous(), 1_000, 300, 1).unwrap();
        let ours = issue(auth.signer.as_ref().unwrap());
        let [first, other] = &auth.verifiers[..] else { panic!("two") };
        assert!(first.verify(&ours, 1_000).is_ok() && other.verify(&ours, 1_000).is_err());
        let old = issue(&Signer::from_secret(second.as_bytes()).unwrap());
        assert!(other.verify(&old, 1_000).is_ok());
    }

    #[test]
    fn the_error_for_a_short_secret_among_several_names_its_position() {
        let file = file(format!("{SECRET}\nshort\n").as_bytes());
        let path = file.path().display().to_string();
        let error = auth(&[("OROSYNC_AUTH__SECRET_FILE", &path)]).unwrap_err().to_string();
        assert!(
            error.contains("secret 2 of this file has 5 bytes") && error.contains("openssl rand -hex 32"),
            "{error}"
        );
        assert!(!error.contains("short"), "{error}");
    }

    #[test]
    fn a_short_secret_is_refused_with_its_length_and_never_printed() {
        let file = file(b"hello world\n");
        let path = file.path().display().to_string();
        let error = auth(&[("OROSYNC_AUTH__SECRET_FILE", &path)]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "OROSYNC_AUTH__SECRET_FILE = \"{path}\": has 11 bytes, at least 32 are needed. Make one: openssl rand -hex 32"
            )
        );
        let error = auth(&[("OROSYNC_AUTH__SECRET", "hello world")]).unwrap_err().to_string();
        assert!(error.starts_with("OROSYNC_AUTH__SECRET = (not shown): has 11 bytes"), "{error}");
    }

    #[test]
    fn the_secret_of_higher_precedence_counts_and_two_from_one_source_are_refused() {
        let file = file(b"another secret of more than 32 bytes");
        let path = file.path().display().to_string();
        let both = [
            ("OROSYNC_AUTH__SECRET".to_owned(), SECRET.to_owned()),
            ("OROSYNC_AUTH__SECRET_FILE".to_owned(), path.clone()),
        ];
        let error = Secrets::read(&load(&[], both.clone(), []).unwrap()).err().unwrap().to_string();
        assert!(error.contains("Keep one of the two"), "{error}");

        let flag = [(keys::AUTH_SECRET_FILE.declaration, Value::from(path))];
        let written = load(&[], both, flag).unwrap();
        assert_eq!(
            Secrets::read(&written).unwrap().unwrap().first.0,
            b"another secret of more than 32 bytes"
        );
    }

    #[test]
    fn a_public_key_alone_verifies_and_does_not_sign() {
        // RFC 8410, 10.1.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = file(pem.as_bytes());
        let auth_with = |file: &tempfile::NamedTempFile| {
            auth(&[("OROSYNC_AUTH__PUBLIC_KEY_FILE", &file.path().display().to_string())])
        };
        let auth = auth_with(&key).unwrap();
        assert_eq!(auth.verifiers.len(), 1);
        assert!(auth.signer.is_none());
        let error = auth_with(&file(b"hello")).unwrap_err().to_string();
        assert!(error.contains("holds no public key in PEM"), "{error}");
    }
}
