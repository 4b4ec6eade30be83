//! Certificate verification of a publisher's TLS connections, with error messages that say what to do.
//!
//! A certificate is trusted if an authority has signed it: one of `orosync.ca_file`, or of the system if that is not set. A
//! certificate in that file is trusted itself: `openssl req -x509` creates it as a CA, which rustls rejects as a server's.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::error::LinkError;

/// TLS configuration that trusts the authorities in this file, or without one the system's. The file is read at each attempt
/// until a certificate in it is valid, so that a correction takes effect.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, LinkError> {
    let trusted = match ca_file {
        Some(file) => certificates_of(file)?,
        None => certificates_of_the_system()?,
    };
    config_of(trusted, ca_file)
}

fn config_of(
    trusted: Vec<CertificateDer<'static>>,
    ca_file: Option<&Path>,
) -> Result<ClientConfig, LinkError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier::new(trusted, ca_file.map(Path::to_owned), &provider)?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| LinkError::Tls(error.to_string()))?;
    Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The error of a TLS handshake; `None` if TLS did not cause the failure.
pub(crate) fn failure(error: &io::Error) -> Option<LinkError> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let sentence = match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))
            if other.is::<Untrusted>() =>
        {
            other.to_string()
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server at this address does not speak TLS. Write ws:// in orosync.endpoint (orosync.backend in Symfony), or \
             the port that is for TLS"
                .to_owned()
        }
        other => other.to_string(),
    };
    Some(LinkError::Tls(sentence))
}

fn certificates_of_the_system() -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(LinkError::Tls(
            "this system has no certificate authorities. Install the package ca-certificates".to_owned(),
        ));
    }
    Ok(found)
}

fn certificates_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let problem =
        |problem: &str| LinkError::Tls(format!("orosync.ca_file = \"{}\": {problem}", file.display()));
    let pem = fs::read(file).map_err(|error| {
        problem(&format!("cannot be read: {error}. Check the path, and that PHP's user may read it"))
    })?;
    // Invalid certificates are skipped, as in the system's list.
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(problem("holds no certificate in PEM. Name the file of the authority's certificate"));
    }
    Ok(found)
}

#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    /// Certificates in `ca_file`; empty without one: no server has a certificate of the system's list.
    own: Vec<CertificateDer<'static>>,
    ca_file: Option<PathBuf>,
}

impl Verifier {
    fn new(
        trusted: Vec<CertificateDer<'static>>,
        ca_file: Option<PathBuf>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, LinkError> {
        let own = if ca_file.is_some() { trusted.clone() } else { Vec::new() };
        let authorities = authorities(trusted, provider).map_err(LinkError::Tls)?;
        Ok(Self { authorities, provider: Arc::clone(provider), own, ca_file })
    }

    /// A message that explains the error; `None` if the error is clear by itself.
    fn sentence(
        &self,
        error: &rustls::Error,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<String> {
        let rustls::Error::InvalidCertificate(problem) = error else { return None };
        match problem {
            CertificateError::ExpiredContext { time, not_after } => {
                let since = span(time.as_secs().saturating_sub(not_after.as_secs()));
                Some(format!("the server's certificate expired {since} ago. Renew it"))
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                let until = span(not_before.as_secs().saturating_sub(time.as_secs()));
                Some(format!(
                    "the server's certificate becomes valid in {until}. Compare the clocks of the two machines"
                ))
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                Some(wrong_name(&expected.to_str(), presented))
            }
            // A bad signature means that only the authority's name matches, as after a self-signed certificate was renewed.
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
                Some(if self.is_self_signed(certificate, name, now) {
                    self.self_signed()
                } else {
                    self.unknown_issuer()
                })
            }
            _ => None,
        }
    }

    fn self_signed(&self) -> String {
        match &self.ca_file {
            Some(file) => format!(
                "the server's certificate is self-signed, and orosync.ca_file = \"{}\" holds another one. Name the \
                 file of the server's certificate there",
                file.display()
            ),
            None => "the server's certificate is self-signed. Name its file in orosync.ca_file".to_owned(),
        }
    }

    fn unknown_issuer(&self) -> String {
        match &self.ca_file {
            Some(file) => format!(
                "no authority in orosync.ca_file = \"{}\" has signed the server's certificate. Name the file of the \
                 authority that has signed it there, and have the server send the intermediate certificates",
                file.display()
            ),
            None => "no authority that this system trusts has signed the server's certificate. For an authority of your own, name \
                     its file in orosync.ca_file; for a public one, have the server send the intermediate certificates"
                .to_owned(),
        }
    }

    /// Whether the certificate is self-signed.
    fn is_self_signed(&self, certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        let itself = authorities(vec![certificate.clone().into_owned()], &self.provider);
        itself.is_ok_and(|itself| {
            !matches!(
                itself.verify_server_cert(certificate, &[], name, &[], now),
                Err(rustls::Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::BadSignature
                ))
            )
        })
    }
}

fn authorities(
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| error.to_string())
}

fn wrong_name(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!(
            "the server's certificate has no subjectAltName, the only name that counts. Issue a new one for \"{expected}\""
        );
    }
    // `DnsName("crm.example.com")`, `IpAddress(192.0.2.1)`.
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        format!("\"{}\"", inner.trim_matches('"'))
    };
    let names = presented.iter().map(bare).collect::<Vec<_>>().join(", ");
    format!(
        "the server's certificate is for {names}, not for \"{expected}\". Use one of its names in orosync.endpoint, or \
         issue a certificate for \"{expected}\""
    )
}

/// A duration in words, rounded to its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        _ => format!("{seconds} seconds"),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked =
            self.authorities.verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        let checked = match checked {
            // A CA certificate used as a server's has no error variant of its own. Its validity period was checked before.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.own.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                    .map(|()| ServerCertVerified::assertion())
            }
            checked => checked,
        };
        checked.map_err(|error| match self.sentence(&error, certificate, name, now) {
            Some(sentence) => CertificateError::Other(OtherError(Arc::new(Untrusted(sentence)))).into(),
            None => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Carries our message through rustls.
#[derive(Debug)]
struct Untrusted(String);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Untrusted {}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    /// As `openssl req -x509` creates it: a CA by its basic constraints.
    fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(
        certificate: &CertificateDer<'static>,
        trusted: &CertificateDer<'static>,
        ca_file: Option<&str>,
        name: &str,
    ) -> Result<(), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(vec![trusted.clone()], ca_file.map(PathBuf::from), &provider).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let outcome = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
        outcome.map(drop).map_err(|error| match failure(&io::Error::other(error)) {
            Some(LinkError::Tls(sentence)) => sentence,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_server_certificate_in_ca_file_is_trusted() {
        let own = self_signed(|_| {});
        assert_eq!(verify(&own, &own, Some("ca.pem"), "localhost"), Ok(()));
        let plain = self_signed(|params| params.is_ca = IsCa::NoCa);
        assert_eq!(verify(&plain, &plain, Some("ca.pem"), "localhost"), Ok(()));
    }

    #[test]
    fn a_certificate_in_ca_file_still_needs_a_matching_name_and_date() {
        let own = self_signed(|_| {});
        assert_eq!(
            verify(&own, &own, Some("ca.pem"), "crm.example.com").unwrap_err(),
            "the server's certificate is for \"localhost\", not for \"crm.example.com\". Use one of its names in \
             orosync.endpoint, or issue a certificate for \"crm.example.com\""
        );
        let expired = self_signed(|params| params.not_after = date_time_ymd(2020, 1, 1));
        let error = verify(&expired, &expired, Some("ca.pem"), "localhost").unwrap_err();
        assert!(
            error.starts_with("the server's certificate expired ") && error.ends_with(" days ago. Renew it"),
            "{error}"
        );
        let early = self_signed(|params| params.not_before = date_time_ymd(2999, 1, 1));
        let error = verify(&early, &early, Some("ca.pem"), "localhost").unwrap_err();
        assert!(error.ends_with("Compare the clocks of the two machines"), "{error}");
        let nameless = self_signed(|params| params.subject_alt_names = Vec::new());
        let error = verify(&nameless, &nameless, Some("ca.pem"), "localhost").unwrap_err();
        assert!(error.ends_with("Issue a new one for \"localhost\""), "{error}");
    }

    #[test]
    fn self_signed_certificates_and_unknown_issuers_have_different_errors() {
        let other = self_signed(|_| {});
        for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::NoCa] {
            let own = self_signed(|params| params.is_ca = is_ca);
            let error = verify(&own, &other, Some("ca.pem"), "localhost").unwrap_err();
            assert!(
                error.contains("self-signed, and orosync.ca_file = \"ca.pem\" holds another one"),
                "{error}"
            );
            let error = verify(&own, &other, None, "localhost").unwrap_err();
            assert_eq!(error, "the server's certificate is self-signed. Name its file in orosync.ca_file");
        }
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::new(authority, key);
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone();
        let error = verify(&leaf, &other, Some("ca.pem"), "localhost").unwrap_err();
        assert!(error.starts_with("no authority in orosync.ca_file = \"ca.pem\" has signed"), "{error}");
        let error = verify(&leaf, &other, None, "localhost").unwrap_err();
        assert!(error.starts_with("no authority that this system trusts has signed"), "{error}");
    }

    #[test]
    fn a_server_without_tls_has_its_own_error() {
        let error = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        let error = failure(&io::Error::other(error)).unwrap().to_string();
        assert!(
            error.starts_with("TLS: the server at this address does not speak TLS. Write ws://"),
            "{error}"
        );
        assert!(failure(&io::ErrorKind::ConnectionReset.into()).is_none());
    }
}
