//! From a ticket to an identity: signature, time, and whether it was used before.

pub mod replay;

use std::sync::{Arc, Mutex, PoisonError};

use orosync_protocol::OriginPattern;
use orosync_protocol::ticket::{Identity, Role, TicketError, Verifier};

use replay::{FirstUse, Replay};

/// Where in the request a ticket stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// `?ticket=` of the URL: a browser.
    InUrl,
    /// `Authorization: Bearer`: a publisher.
    AsBearer,
}

/// Checks tickets for all shards of a node.
#[derive(Debug)]
pub struct Authenticator {
    verifiers: Vec<Verifier>,
    /// Kept when the verifiers change.
    used: Arc<Mutex<Replay>>,
}

impl Authenticator {
    /// Accepts tickets that any of these verifiers accepts; remembers up to `remembered_tickets` used ones.
    pub fn new(verifiers: Vec<Verifier>, remembered_tickets: usize) -> Self {
        Self { verifiers, used: Arc::new(Mutex::new(Replay::new(remembered_tickets))) }
    }

    /// The same with other verifiers: what was used stays used.
    #[must_use]
    pub fn with_verifiers(&self, verifiers: Vec<Verifier>) -> Self {
        Self { verifiers, used: Arc::clone(&self.used) }
    }

    /// Who presents this ticket at `now` (seconds since 1970)? Where the ticket says from which hosts' pages it may be
    /// used, `comes_from` is asked whether it does. A ticket that is refused is not used up.
    pub fn authenticate(
        &self,
        ticket: &str,
        presented: Presented,
        now: u64,
        comes_from: impl FnOnce(&[OriginPattern]) -> bool,
    ) -> Result<Identity, AuthError> {
        let verified = self.verify(ticket, now)?;
        if !verified.origins.is_empty() && !comes_from(&verified.origins) {
            let hosts = verified.origins.iter().map(OriginPattern::as_str).collect::<Vec<_>>().join(", ");
            return Err(AuthError::ForeignPage { hosts });
        }
        if verified.identity.role == Role::Publisher {
            // Not one-time, so it must not stand where proxies and browsers keep it.
            return match presented {
                Presented::AsBearer => Ok(verified.identity),
                Presented::InUrl => Err(AuthError::PublisherInUrl),
            };
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match used.first_use(&verified.jti, verified.expires, now) {
            FirstUse::Yes => Ok(verified.identity),
            FirstUse::No => Err(AuthError::Replayed),
            FirstUse::NoRoom => Err(AuthError::MemoryFull),
        }
    }

    fn verify(
        &self,
        ticket: &str,
        now: u64,
    ) -> Result<orosync_protocol::ticket::verify::Verified, AuthError> {
        let mut refusal = TicketError::Signature;
        for verifier in &self.verifiers {
            match verifier.verify(ticket, now) {
                Ok(verified) => return Ok(verified),
                // "Another key" is what all verifiers but the right one say: anything else is more telling.
                Err(TicketError::Signature | TicketError::Algorithm) => {}
                Err(error) => refusal = error,
            }
        }
        Err(AuthError::Ticket(refusal))
    }
}

/// Why a ticket lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not a good ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// Used before.
    #[error("the ticket was used before: a page asks for a new one for each attempt")]
    Replayed,
    /// Used by a page of another host than those that it is for.
    #[error("the ticket is for pages of {hosts} alone, and came from another one")]
    ForeignPage {
        /// Whom it is for.
        hosts: String,
    },
    /// A publisher's ticket in a URL.
    #[error("a publisher's ticket does not belong into a URL: send it as Authorization: Bearer")]
    PublisherInUrl,
    /// No memory for another used ticket: `limits.remembered_tickets`.
    #[error("too many tickets at once, try again later")]
    MemoryFull,
}

impl AuthError {
    /// A label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ticket(error) => error.label(),
            Self::Replayed => "replayed",
            Self::ForeignPage { .. } => "origin",
            Self::PublisherInUrl => "publisher_in_url",
            Self::MemoryFull => "memory_full",
        }
    }
}

#[cfg(test)]
mod tests {
    use orosync_protocol::ticket::Signer;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
    const NOW: u64 = 1_000_000;

    fn authenticator() -> Authenticator {
        let verifiers = [OTHER, SECRET].map(|secret| Verifier::from_secret(secret).unwrap()).into();
        Authenticator::new(verifiers, 100)
    }

    fn ticket(role: Role) -> String {
        let identity =
            Identity { role, user: Some("anna".into()), uid: Some(7.into()), ..Identity::anonymous() };
        Signer::from_secret(SECRET).unwrap().mint(&identity, NOW, 300, 1).unwrap()
    }

    /// What becomes of the ticket if it says nothing of pages.
    fn authenticate(
        auth: &Authenticator,
        ticket: &str,
        presented: Presented,
        now: u64,
    ) -> Result<Identity, AuthError> {
        auth.authenticate(ticket, presented, now, |_| panic!("asked from where it came"))
    }

    #[test]
    fn a_browsers_ticket_opens_one_session() {
        let (auth, ticket) = (authenticator(), ticket(Role::User));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW).unwrap().uid, Some(7.into()));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW), Err(AuthError::Replayed));
    }

    #[test]
    fn a_publishers_ticket_is_good_for_reconnects_but_not_in_a_url() {
        let (auth, ticket) = (authenticator(), ticket(Role::Publisher));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW), Err(AuthError::PublisherInUrl));
        for _ in 0..2 {
            assert!(authenticate(&auth, &ticket, Presented::AsBearer, NOW).is_ok());
        }
    }

    #[test]
    fn a_ticket_for_pages_of_some_hosts_is_refused_from_others_and_stays_good() {
        let auth = authenticator();
        let hosts = ["crm.example.com", "*.shop.example"].map(|host| OriginPattern::parse(host).unwrap());
        let signer = Signer::from_secret(SECRET).unwrap();
        let ticket = signer.mint_for_pages(&Identity::anonymous(), &hosts, NOW, 300, 1).unwrap();
        let refused = auth.authenticate(&ticket, Presented::InUrl, NOW, |_| false).unwrap_err();
        assert_eq!(refused, AuthError::ForeignPage { hosts: "crm.example.com, *.shop.example".to_owned() });
        assert_eq!(refused.label(), "origin");
        assert!(auth.authenticate(&ticket, Presented::InUrl, NOW, |asked| asked == hosts).is_ok());
    }

    #[test]
    fn the_most_telling_refusal_is_given() {
        let auth = authenticator();
        let expired = authenticate(&auth, &ticket(Role::User), Presented::InUrl, NOW + 400);
        assert_eq!(expired, Err(AuthError::Ticket(TicketError::Expired { seconds: 100 })));
    }
}
