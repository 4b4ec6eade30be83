//! A self-signed certificate, generated for each test.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A self-signed certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    pem: String,
    key_pem: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// The host name in the certificate.
    pub const NAME: &'static str = "localhost";

    /// Generates a certificate.
    pub fn new() -> Self {
        Self::of(vec![Self::NAME.to_owned()])
    }

    /// Generates a certificate that is also valid for this address.
    pub fn with_address(address: IpAddr) -> Self {
        Self::of(vec![Self::NAME.to_owned(), address.to_string()])
    }

    fn of(names: Vec<String>) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        Self { pem: cert.pem(), key_pem: signing_key.serialize_pem(), der: cert.der().clone() }
    }

    /// Writes the certificate and its key to a directory and returns their paths.
    pub fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
        fs::write(&certificate, &self.pem).expect("the certificate is written");
        fs::write(&key, &self.key_pem).expect("the key is written");
        (certificate, key)
    }

    /// The configuration of a TLS client that trusts this certificate only.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth())
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
