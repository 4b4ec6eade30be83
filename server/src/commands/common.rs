//! What the commands share: why one fails, the server's endpoint, and tickets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use orosync_link::Endpoint;
use orosync_protocol::ticket::{Identity, Role, Signer};

use crate::config::{ConfigError, Settings};
use crate::listen::address::Address;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An argument is invalid.
    #[error("{0}")]
    Usage(String),
    /// The command was run and failed.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The exit code. 1: failure; 2: wrong usage or configuration.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Config(_) | Self::Usage(_) => ExitCode::from(2),
        }
    }
}

/// The signer of tickets. Fails if the server has only a public key and no secret.
pub(super) fn signer(settings: &Settings) -> Result<&Signer, Failure> {
    settings.auth.signer.as_ref().ok_or_else(no_signer)
}

pub(super) fn no_signer() -> Failure {
    Failure::Usage(
        "signing tickets requires the secret, but only a public key is configured. Set auth.secret_file (--secret-file)"
            .to_owned(),
    )
}

/// The endpoint at which this machine reaches a server with these settings: the first address of `bind` that expects neither
/// a reverse proxy nor TLS, since the certificate is for another name.
pub(super) fn endpoint(settings: &Settings) -> Result<Endpoint, Failure> {
    let bind = settings.bind.iter().find(|bind| !bind.proxy_protocol && !bind.tls);
    let bind = bind.ok_or_else(|| Failure::Usage("pass the server's address with --endpoint".to_owned()))?;
    let text = match &bind.address {
        Address::Tcp(address) => format!("ws://{}/", reachable(*address)),
        Address::Unix(_) => bind.address.to_string(),
    };
    text.parse()
        .map_err(|error| Failure::Usage(format!("{error}. Pass the server's address with --endpoint")))
}

/// Replaces the unspecified address (all interfaces) by the loopback address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

/// Issues a ticket that is valid from now on.
pub(super) fn issue(signer: &Signer, identity: &Identity, ttl_seconds: u64) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    signer
        .issue(identity, now, ttl_seconds, rand::random())
        .map_err(|error| Failure::Failed(format!("no ticket could be issued: {error}")))
}

/// The identity of `publish` and `watch`, which hold the secret.
pub(super) fn publisher() -> Identity {
    Identity { role: Role::Publisher, ..Identity::anonymous() }
}

/// Writing to standard output failed.
pub(super) fn output_failed(error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write the output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn endpoint_of(bind: &str) -> String {
        let environment = [
            ("OROSYNC_BIND".to_owned(), bind.to_owned()),
            ("OROSYNC_AUTH__SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
            ("OROSYNC_TRUSTED_PROXIES".to_owned(), "10.0.0.1".to_owned()),
        ];
        endpoint(&Settings::new(&load(&[], environment, []).unwrap()).unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_default_endpoint_follows_from_bind() {
        assert_eq!(endpoint_of("0.0.0.0:8080"), "ws://127.0.0.1:8080/");
        assert_eq!(endpoint_of("[::]:8080"), "ws://[::1]:8080/");
        assert_eq!(endpoint_of("10.0.0.5:80,0.0.0.0:1"), "ws://10.0.0.5:80/");
        assert_eq!(endpoint_of("unix:/run/orosync.sock"), "unix:/run/orosync.sock");
        assert_eq!(endpoint_of("0.0.0.0:1 proxy_protocol,0.0.0.0:2"), "ws://127.0.0.1:2/");
    }
}
