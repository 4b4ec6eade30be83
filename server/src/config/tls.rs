//! The server's certificate: reads it, and checks that it matches its key.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::files::read_file;
use super::keys;
use super::load::{ConfigError, Written, both};

/// The only protocol offered by ALPN (RFC 7301). TLS refuses a client that offers only others, such as HTTP/2.
const APPLICATION_PROTOCOL: &[u8] = b"http/1.1";

/// Reads `tls.certificate_file` and `tls.key_file`. `None` if neither is set.
pub(super) fn read(written: &Written) -> Result<Option<Arc<ServerConfig>>, ConfigError> {
    let (certificate_key, key_key) = (&keys::TLS_CERTIFICATE_FILE, &keys::TLS_KEY_FILE);
    match (written.read(certificate_key)?, written.read(key_key)?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let (chain, key) = both(
                chain(&certificate).map_err(|problem| written.error(&certificate_key.declaration, &problem)),
                private_key(&key).map_err(|problem| written.error(&key_key.declaration, &problem)),
            )?;
            let config = config(chain, key)
                .map_err(|problem| written.error(&certificate_key.declaration, &problem))?;
            Ok(Some(Arc::new(config)))
        }
        (Some(_), None) => {
            Err(written.error(&certificate_key.declaration, "its key is missing. Set tls.key_file as well"))
        }
        (None, Some(_)) => {
            let problem = "its certificate is missing. Set tls.certificate_file as well";
            Err(written.error(&key_key.declaration, problem))
        }
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_file(file)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(_) => Err("holds no certificate in PEM. Name the file that begins with \
                               -----BEGIN CERTIFICATE-----, the server's own first"
            .to_owned()),
    }
}

/// The content of a file with trusted certificates. At least one must be readable.
pub(super) fn certificates(file: &Path) -> Result<Vec<u8>, String> {
    let pem = read_file(file)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    if certificates.is_ok_and(|certificates| !certificates.is_empty()) {
        Ok(pem)
    } else {
        Err("holds no certificate in PEM. Name the file that begins with -----BEGIN CERTIFICATE-----"
            .to_owned())
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read_file(file)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        "holds no private key in PEM. Name the file that begins with -----BEGIN PRIVATE KEY-----".to_owned()
    })
}

fn config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| {
        format!(
            "does not match tls.key_file ({error}). Name a certificate and the key that it was created for"
        )
    })?;
    config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tempfile::NamedTempFile;

    use super::super::load::load;
    use super::super::settings::Settings;

    fn file(content: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    fn pair() -> (NamedTempFile, NamedTempFile) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (file(&cert.pem()), file(&signing_key.serialize_pem()))
    }

    fn settings(certificate: &str, key: &str) -> Result<Settings, String> {
        let environment = [
            ("OROSYNC_AUTH__SECRET", "0123456789abcdef0123456789abcdef"),
            ("OROSYNC_BIND", "127.0.0.1:0 tls"),
            ("OROSYNC_TLS__CERTIFICATE_FILE", certificate),
            ("OROSYNC_TLS__KEY_FILE", key),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Settings::new(&load(&[], environment, []).unwrap()).map_err(|error| error.to_string())
    }

    fn path(file: &NamedTempFile) -> &str {
        file.path().to_str().unwrap()
    }

    #[test]
    fn a_certificate_and_its_key_are_accepted() {
        let (certificate, key) = pair();
        assert!(settings(path(&certificate), path(&key)).unwrap().tls.is_some());
    }

    #[test]
    fn unusable_certificates_and_keys_are_reported_before_the_server_starts() {
        let (certificate, key) = pair();
        let (_, other) = pair();
        let (certificate, key, other) = (path(&certificate), path(&key), path(&other));
        for (certificate, key, expected) in [
            ("", "", "the option tls needs a certificate"),
            (certificate, "", "its key is missing"),
            ("", key, "its certificate is missing"),
            (key, key, "holds no certificate in PEM"),
            (certificate, certificate, "holds no private key in PEM"),
            (certificate, other, "does not match tls.key_file"),
            ("/nonexistent/x.pem", key, "cannot be read"),
        ] {
            let error = settings(certificate, key).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
