//! Authentication: turns a ticket into an identity by checking signature, time, origin and first use.

mod journal;
mod known;
pub mod replay;
pub mod resume;
pub mod revocations;
pub mod timeline;
pub mod used;

use std::sync::PoisonError;

use orosync_protocol::ticket::verify::Verified;
use orosync_protocol::ticket::{
    Identity, KeyId, Resumption, Role, SessionPlace, Signer, TicketError, VerifiedResume, Verifier,
};
use orosync_protocol::{OriginPattern, SessionId};

pub use journal::JournalError;
use replay::FirstUse;
use resume::{ResumeState, ResumeTicket, ResumeTickets};
use revocations::NotResumable;
use used::{TicketCheck, TicketUse, UsedTickets};

/// The part of the request in which a ticket was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// `?ticket=` in the URL, as browsers send it.
    InUrl,
    /// `Authorization: Bearer`, as publishers send it.
    AsBearer,
}

/// The result of checking a valid ticket.
#[derive(Debug)]
pub enum Checked {
    /// The connection is authenticated.
    Authenticated(Authenticated),
    /// The shared store must check whether the ticket was used before. [`Authenticator::admit`] decides with its answer.
    Pending {
        /// The check to start.
        check: TicketCheck,
        /// The ticket.
        ticket: Box<OneTime>,
    },
}

impl Checked {
    /// The identity in the ticket.
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Authenticated(authenticated) => &authenticated.identity,
            Self::Pending { ticket, .. } => match &**ticket {
                OneTime::Ticket(verified, _) => &verified.identity,
                OneTime::Resume(verified) => &verified.identity,
            },
        }
    }
}

/// A valid ticket that can be used once.
#[derive(Debug, PartialEq, Eq)]
pub enum OneTime {
    /// A ticket of the application, and the key that signed it.
    Ticket(Verified, KeyId),
    /// A resume ticket of the server.
    Resume(VerifiedResume),
}

impl OneTime {
    /// Whether this is a resume ticket.
    pub fn is_resume(&self) -> bool {
        matches!(self, Self::Resume(_))
    }

    /// Takes the id that is marked as used out of the ticket.
    fn take_id(&mut self) -> String {
        match self {
            Self::Ticket(verified, _) => std::mem::take(&mut verified.jti),
            Self::Resume(verified) => format!("session {}", verified.resumption.session),
        }
    }
}

/// The result of a successful authentication.
#[derive(Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The identity.
    pub identity: Identity,
    /// The data that the session needs to be resumed. `None`: it cannot be resumed.
    pub resume_state: Option<ResumeState>,
    /// The session that this one resumes.
    pub resumes: Option<Resumes>,
}

impl Authenticated {
    /// An identity whose session cannot be resumed and does not resume another.
    pub fn once(identity: Identity) -> Self {
        Self { identity, resume_state: None, resumes: None }
    }
}

/// A session that another one resumes. It ends if it is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumes {
    /// The session's id.
    pub session: SessionId,
    /// The session's place on its node, possibly in an earlier process.
    pub place: SessionPlace,
}

/// Authenticates connections for all shards of a node.
#[derive(Debug)]
pub struct Authenticator {
    verifiers: Vec<Verifier>,
    /// The used tickets. Unaffected by a change of the verifiers.
    used: UsedTickets,
    /// Resume tickets. `None`: they are disabled.
    resume: Option<ResumeTickets>,
}

impl Authenticator {
    /// Accepts tickets that any of these verifiers accepts and that were not used before.
    pub fn new(verifiers: Vec<Verifier>, used: UsedTickets, resume: Option<ResumeTickets>) -> Self {
        Self { verifiers, used, resume }
    }

    /// The same authenticator with other keys. Used and revoked tickets are kept.
    #[must_use]
    pub fn with_keys(&self, verifiers: Vec<Verifier>, signer: Option<Signer>) -> Self {
        let resume = self.resume.as_ref().map(|resume| resume.with_signer(signer));
        Self { verifiers, used: self.used.clone(), resume }
    }

    /// Checks a ticket at `now` (Unix time in seconds). If the ticket is restricted to pages of certain hosts, `comes_from`
    /// decides whether the request comes from one of them. A rejected ticket is not marked as used.
    pub fn authenticate(
        &self,
        ticket: &str,
        presented: Presented,
        now: u64,
        comes_from: impl FnOnce(&[OriginPattern]) -> bool,
    ) -> Result<Checked, AuthError> {
        let (verified, key) = self.verify(|verifier| verifier.verify(ticket, now))?;
        check_origins(&verified.origins, comes_from)?;
        if verified.identity.role == Role::Publisher {
            // A publisher's ticket is reusable, so it must not be in a URL, which proxies and browsers store.
            return match presented {
                Presented::AsBearer => Ok(Checked::Authenticated(Authenticated::once(verified.identity))),
                Presented::InUrl => Err(AuthError::PublisherInUrl),
            };
        }
        let expires = verified.expires;
        self.use_up(OneTime::Ticket(verified, key), expires, now)
    }

    /// Checks a resume ticket in the same way. Using it also uses up all other resume tickets of its session.
    pub fn authenticate_resume(
        &self,
        ticket: &str,
        now: u64,
        comes_from: impl FnOnce(&[OriginPattern]) -> bool,
    ) -> Result<Checked, AuthError> {
        let resume = self.resume.as_ref().ok_or(AuthError::OtherServer)?;
        let (verified, _) = self.verify(|verifier| verifier.verify_resume(ticket, now))?;
        check_origins(&verified.origins, comes_from)?;
        let expires = resume.latest_expiry(&verified, now);
        self.use_up(OneTime::Resume(verified), expires, now)
    }

    /// Authenticates with this ticket, given the answer whether it is used for the first time. Revocations from before the
    /// check are known by then ([`SharedTickets`](used::SharedTickets)).
    pub fn admit(&self, ticket: OneTime, first_use: FirstUse) -> Result<Authenticated, AuthError> {
        first_use_only(first_use)?;
        self.accept(ticket)
    }

    /// Issues a resume ticket for the session's next connection, at `now` (Unix time in seconds). `None`: the client must
    /// request a ticket from the application.
    pub fn issue_resume(
        &self,
        identity: &Identity,
        resume_state: &ResumeState,
        session: SessionId,
        place: SessionPlace,
        now: u64,
    ) -> Option<ResumeTicket> {
        let resume = self.resume.as_ref().filter(|_| self.accepts(resume_state.key()))?;
        resume.issue(identity, resume_state, session, place, now)
    }

    /// Maximum lifetime of resume tickets in seconds. `None`: they are disabled.
    pub fn resume_seconds(&self) -> Option<u64> {
        self.resume.as_ref().map(ResumeTickets::seconds)
    }

    fn accepts(&self, key: KeyId) -> bool {
        self.verifiers.iter().any(|verifier| verifier.id() == key)
    }

    /// On a single node, marks the ticket as used if it is otherwise accepted. With several nodes, returns the check to start.
    fn use_up(&self, mut ticket: OneTime, expires: u64, now: u64) -> Result<Checked, AuthError> {
        let id = ticket.take_id();
        match &self.used {
            UsedTickets::OfThisNode(used) => {
                let authenticated = self.accept(ticket)?;
                let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
                first_use_only(used.first_use(&id, expires, now))?;
                Ok(Checked::Authenticated(authenticated))
            }
            UsedTickets::OfAllNodes(all) => {
                let check = TicketCheck::new(TicketUse { id, expires, nonce: rand::random() }, all);
                Ok(Checked::Pending { check, ticket: Box::new(ticket) })
            }
        }
    }

    fn accept(&self, ticket: OneTime) -> Result<Authenticated, AuthError> {
        match ticket {
            OneTime::Ticket(verified, key) => {
                let resume_state = self.resume.as_ref().and_then(|resume| resume.begin(&verified, key));
                Ok(Authenticated { identity: verified.identity, resume_state, resumes: None })
            }
            OneTime::Resume(verified) => {
                let resume = self.resume.as_ref().ok_or(AuthError::OtherServer)?;
                let resume_state = resume.resume(&verified)?;
                if !self.accepts(resume_state.key()) {
                    return Err(AuthError::KeyRemoved);
                }
                let Resumption { session, place, .. } = verified.resumption;
                Ok(Authenticated {
                    identity: verified.identity,
                    resume_state: Some(resume_state),
                    resumes: Some(Resumes { session, place }),
                })
            }
        }
    }

    fn verify<T>(
        &self,
        verify: impl Fn(&Verifier) -> Result<T, TicketError>,
    ) -> Result<(T, KeyId), AuthError> {
        let mut refusal = TicketError::Signature;
        for verifier in &self.verifiers {
            match verify(verifier) {
                Ok(verified) => return Ok((verified, verifier.id())),
                // All verifiers but the right one report another key, so any other error is more specific.
                Err(TicketError::Signature | TicketError::Algorithm) => {}
                Err(error) => refusal = error,
            }
        }
        Err(AuthError::Ticket(refusal))
    }
}

fn first_use_only(first_use: FirstUse) -> Result<(), AuthError> {
    match first_use {
        FirstUse::Yes => Ok(()),
        FirstUse::No => Err(AuthError::Replayed),
        FirstUse::NoRoom => Err(AuthError::MemoryFull),
        FirstUse::Unavailable => Err(AuthError::BrokerUnavailable),
    }
}

fn check_origins(
    origins: &[OriginPattern],
    comes_from: impl FnOnce(&[OriginPattern]) -> bool,
) -> Result<(), AuthError> {
    if origins.is_empty() || comes_from(origins) {
        return Ok(());
    }
    let hosts = origins.iter().map(OriginPattern::as_str).collect::<Vec<_>>().join(", ");
    Err(AuthError::WrongOrigin { hosts })
}

/// Why a ticket is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The ticket is invalid.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The ticket was used before.
    #[error("the ticket was used before: each ticket opens one session")]
    Replayed,
    /// The request comes from a page of a host that the ticket does not allow.
    #[error("the ticket is only for pages of {hosts}, but a page of another host has sent it")]
    WrongOrigin {
        /// The allowed hosts.
        hosts: String,
    },
    /// A publisher's ticket was sent in a URL.
    #[error("a publisher's ticket must not be sent in a URL: send it as Authorization: Bearer")]
    PublisherInUrl,
    /// The session or the user of the resume ticket has been disconnected since.
    #[error(
        "the resume ticket is invalid since its session or its user was disconnected: request a new ticket"
    )]
    Revoked,
    /// The session of the resume ticket began with a ticket whose key is no longer accepted.
    #[error("the session began with a ticket whose secret is no longer accepted: request a new ticket")]
    KeyRemoved,
    /// The resume ticket was issued by another server, or by this one before a restart without a state directory, or before
    /// Redis lost its data. Whether it was revoked is not known.
    #[error(
        "the resume ticket is from another server, from before a restart without auth.state_directory, or from before Redis \
         lost the nodes' shared data: request a new ticket"
    )]
    OtherServer,
    /// `limits.remembered_tickets` used tickets are remembered already.
    #[error("too many used tickets are remembered (limits.remembered_tickets): retry later")]
    MemoryFull,
    /// Whether the ticket was used before cannot be determined at the moment.
    #[error(
        "the broker is unavailable or did not answer in time, so first use of the ticket cannot be verified"
    )]
    BrokerUnavailable,
}

impl From<NotResumable> for AuthError {
    fn from(reason: NotResumable) -> Self {
        match reason {
            NotResumable::Revoked => Self::Revoked,
            NotResumable::OtherServer => Self::OtherServer,
        }
    }
}

impl AuthError {
    /// The label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ticket(error) => error.label(),
            Self::KeyRemoved => TicketError::Signature.label(),
            Self::Replayed => "replayed",
            Self::WrongOrigin { .. } => "origin",
            Self::PublisherInUrl => "publisher_in_url",
            Self::Revoked => "revoked",
            Self::OtherServer => "other_server",
            Self::MemoryFull => "memory_full",
            Self::BrokerUnavailable => "broker_unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use orosync_protocol::ticket::Terms;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
    const NOW: u64 = 1_000_000;

    fn authenticator() -> Authenticator {
        let verifiers = [OTHER, SECRET].map(|secret| Verifier::from_secret(secret).unwrap()).into();
        Authenticator::new(verifiers, UsedTickets::of_this_node(100), None)
    }

    fn ticket(role: Role) -> String {
        let identity =
            Identity { role, user: Some("anna".into()), uid: Some(7.into()), ..Identity::anonymous() };
        Signer::from_secret(SECRET).unwrap().issue(&identity, NOW, 300, 1).unwrap()
    }

    /// Authenticates with a ticket without restrictions on pages.
    fn authenticate(
        auth: &Authenticator,
        ticket: &str,
        presented: Presented,
        now: u64,
    ) -> Result<Identity, AuthError> {
        let checked = auth.authenticate(ticket, presented, now, |_| panic!("the origin was checked"))?;
        Ok(checked.identity().clone())
    }

    #[test]
    fn a_browsers_ticket_opens_one_session() {
        let (auth, ticket) = (authenticator(), ticket(Role::User));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW).unwrap().uid, Some(7.into()));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW), Err(AuthError::Replayed));
    }

    #[test]
    fn a_publishers_ticket_is_reusable_but_refused_in_a_url() {
        let (auth, ticket) = (authenticator(), ticket(Role::Publisher));
        assert_eq!(authenticate(&auth, &ticket, Presented::InUrl, NOW), Err(AuthError::PublisherInUrl));
        for _ in 0..2 {
            assert!(authenticate(&auth, &ticket, Presented::AsBearer, NOW).is_ok());
        }
    }

    #[test]
    fn a_ticket_for_pages_of_some_hosts_is_refused_from_others_without_being_used() {
        let auth = authenticator();
        let hosts = ["crm.example.com", "*.shop.example"].map(|host| OriginPattern::parse(host).unwrap());
        let signer = Signer::from_secret(SECRET).unwrap();
        let ticket = signer
            .issue_with(Terms { origins: &hosts, until: None }, &Identity::anonymous(), NOW, 300, 1)
            .unwrap();
        let refused = auth.authenticate(&ticket, Presented::InUrl, NOW, |_| false).unwrap_err();
        assert_eq!(refused, AuthError::WrongOrigin { hosts: "crm.example.com, *.shop.example".to_owned() });
        assert_eq!(refused.label(), "origin");
        assert!(auth.authenticate(&ticket, Presented::InUrl, NOW, |asked| asked == hosts).is_ok());
    }

    #[test]
    fn the_most_specific_error_is_reported() {
        let auth = authenticator();
        let expired = authenticate(&auth, &ticket(Role::User), Presented::InUrl, NOW + 400);
        assert_eq!(expired, Err(AuthError::Ticket(TicketError::Expired { seconds: 100 })));
    }
}
