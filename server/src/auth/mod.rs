//! From a ticket to an identity: signature, time, and whether it was used before.

mod journal;
pub mod line;
pub mod replay;
pub mod resume;
pub mod revocations;
pub mod used;

use std::sync::PoisonError;

use orosync_protocol::ticket::verify::Verified;
use orosync_protocol::ticket::{
    Identity, KeyId, Resumption, Role, SessionPlace, Signer, TicketError, VerifiedResume, Verifier,
};
use orosync_protocol::{OriginPattern, SessionId};

pub use journal::JournalError;
use replay::FirstUse;
use resume::{Admitted, ResumeTicket, ResumeTickets};
use revocations::NotResumable;
use used::{Question, TicketUse, UsedTickets};

/// Where in the request a ticket stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// `?ticket=` of the URL: a browser.
    InUrl,
    /// `Authorization: Bearer`: a publisher.
    AsBearer,
}

/// What a good ticket leads to.
#[derive(Debug)]
pub enum Checked {
    /// Somebody may come in.
    LetIn(Authenticated),
    /// Whether it was used before is what others know: [`Authenticator::admit`] decides when they have answered.
    Unknown {
        /// What they are asked.
        question: Question,
        /// The ticket.
        ticket: Box<OneTime>,
    },
}

impl Checked {
    /// Who presents it.
    pub fn identity(&self) -> &Identity {
        match self {
            Self::LetIn(who) => &who.identity,
            Self::Unknown { ticket, .. } => match &**ticket {
                OneTime::Ticket(verified, _) => &verified.identity,
                OneTime::Resume(verified) => &verified.identity,
            },
        }
    }
}

/// A good ticket that opens one session.
#[derive(Debug, PartialEq, Eq)]
pub enum OneTime {
    /// The application's, and what it is signed with.
    Ticket(Verified, KeyId),
    /// The server's own.
    Resume(VerifiedResume),
}

impl OneTime {
    /// Whether it resumes a session.
    pub fn is_resume(&self) -> bool {
        matches!(self, Self::Resume(_))
    }

    /// What is used up. No longer part of it.
    fn take_id(&mut self) -> String {
        match self {
            Self::Ticket(verified, _) => std::mem::take(&mut verified.jti),
            Self::Resume(verified) => format!("session {}", verified.resumption.session),
        }
    }
}

/// Who presents a good ticket.
#[derive(Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub identity: Identity,
    /// What its session needs to be resumed. None: it is not resumed.
    pub admitted: Option<Admitted>,
    /// The session that it resumes.
    pub resumes: Option<Resumes>,
}

impl Authenticated {
    /// Somebody whose session is not resumed, and resumes none.
    pub fn once(identity: Identity) -> Self {
        Self { identity, admitted: None, resumes: None }
    }
}

/// The session that another one resumes, and which ends if it is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumes {
    /// Its id.
    pub session: SessionId,
    /// Where it was on its node, perhaps in an earlier process.
    pub place: SessionPlace,
}

/// Checks tickets for all shards of a node.
#[derive(Debug)]
pub struct Authenticator {
    verifiers: Vec<Verifier>,
    /// Kept when the verifiers change.
    used: UsedTickets,
    /// None: sessions are not resumed.
    resume: Option<ResumeTickets>,
}

impl Authenticator {
    /// Accepts tickets that any of these verifiers accepts, if they were not used before.
    pub fn new(verifiers: Vec<Verifier>, used: UsedTickets, resume: Option<ResumeTickets>) -> Self {
        Self { verifiers, used, resume }
    }

    /// The same with other keys: what was used stays used, what was revoked stays revoked.
    #[must_use]
    pub fn with_keys(&self, verifiers: Vec<Verifier>, signer: Option<Signer>) -> Self {
        let resume = self.resume.as_ref().map(|resume| resume.with_signer(signer));
        Self { verifiers, used: self.used.clone(), resume }
    }

    /// Who presents this ticket at `now` (seconds since 1970)? Where the ticket says from which hosts' pages it may be
    /// used, `comes_from` is asked whether it does. A ticket that is refused is not used up.
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
            // Not one-time, so it must not stand where proxies and browsers keep it.
            return match presented {
                Presented::AsBearer => Ok(Checked::LetIn(Authenticated::once(verified.identity))),
                Presented::InUrl => Err(AuthError::PublisherInUrl),
            };
        }
        let expires = verified.expires;
        self.use_up(OneTime::Ticket(verified, key), expires, now)
    }

    /// The same of a resume ticket. It is used up with all others of its session.
    pub fn authenticate_resume(
        &self,
        ticket: &str,
        now: u64,
        comes_from: impl FnOnce(&[OriginPattern]) -> bool,
    ) -> Result<Checked, AuthError> {
        let resume = self.resume.as_ref().ok_or(AuthError::OtherServer)?;
        let (verified, _) = self.verify(|verifier| verifier.verify_resume(ticket, now))?;
        check_origins(&verified.origins, comes_from)?;
        let expires = resume.end_of_any(&verified, now);
        self.use_up(OneTime::Resume(verified), expires, now)
    }

    /// Who may come in with this ticket, now that others have told whether it is used for the first time. What was revoked
    /// before they were asked is known by now ([`SharedTickets`](used::SharedTickets)).
    pub fn admit(&self, ticket: OneTime, first_use: FirstUse) -> Result<Authenticated, AuthError> {
        first_use_only(first_use)?;
        self.let_in(ticket)
    }

    /// A ticket for the next connection of this session, at `now` (seconds since 1970). None: its client is to ask the
    /// application.
    pub fn mint_resume(
        &self,
        identity: &Identity,
        admitted: &Admitted,
        session: SessionId,
        place: SessionPlace,
        now: u64,
    ) -> Option<ResumeTicket> {
        let resume = self.resume.as_ref().filter(|_| self.accepts(admitted.key()))?;
        resume.mint(identity, admitted, session, place, now)
    }

    /// How long a resume ticket is good, at most. None: there are none.
    pub fn resume_seconds(&self) -> Option<u64> {
        self.resume.as_ref().map(ResumeTickets::seconds)
    }

    fn accepts(&self, key: KeyId) -> bool {
        self.verifiers.iter().any(|verifier| verifier.id() == key)
    }

    /// Uses it up where this node is the only one, unless it lets nobody in.
    fn use_up(&self, mut ticket: OneTime, expires: u64, now: u64) -> Result<Checked, AuthError> {
        let id = ticket.take_id();
        match &self.used {
            UsedTickets::OfThisNode(used) => {
                let who = self.let_in(ticket)?;
                let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
                first_use_only(used.first_use(&id, expires, now))?;
                Ok(Checked::LetIn(who))
            }
            UsedTickets::OfAllNodes(all) => {
                let question = Question::new(TicketUse { id, expires, nonce: rand::random() }, all);
                Ok(Checked::Unknown { question, ticket: Box::new(ticket) })
            }
        }
    }

    fn let_in(&self, ticket: OneTime) -> Result<Authenticated, AuthError> {
        match ticket {
            OneTime::Ticket(verified, key) => {
                let admitted = self.resume.as_ref().and_then(|resume| resume.admit(&verified, key));
                Ok(Authenticated { identity: verified.identity, admitted, resumes: None })
            }
            OneTime::Resume(verified) => {
                let resume = self.resume.as_ref().ok_or(AuthError::OtherServer)?;
                let admitted = resume.resume(&verified)?;
                if !self.accepts(admitted.key()) {
                    return Err(AuthError::KeyTakenOut);
                }
                let Resumption { session, place, .. } = verified.resumption;
                Ok(Authenticated {
                    identity: verified.identity,
                    admitted: Some(admitted),
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
                // "Another key" is what all verifiers but the right one say: anything else is more telling.
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
    Err(AuthError::ForeignPage { hosts })
}

/// Why a ticket lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not a good ticket.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// Used before.
    #[error("the ticket was used before: each opens one session")]
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
    /// A resume ticket whose session or user was disconnected since.
    #[error(
        "the resume ticket is worthless since its session or its user was disconnected: a page asks for a ticket"
    )]
    Revoked,
    /// A resume ticket of a session that began with a ticket whose key is no longer accepted.
    #[error("the session began with a ticket whose secret is no longer accepted: a page asks for a ticket")]
    KeyTakenOut,
    /// A resume ticket of another server, or of this one before a restart that forgets, or before Redis lost what it knew:
    /// which ones were revoked is not known here.
    #[error(
        "the resume ticket is another server's, or from before a restart without auth.state_directory, or from before Redis \
         lost what the nodes share: a page asks for a ticket"
    )]
    OtherServer,
    /// No memory for another used ticket: `limits.remembered_tickets`.
    #[error("too many tickets at once, try again later")]
    MemoryFull,
    /// Nobody knows at the moment whether it was used before.
    #[error(
        "the broker is away, or did not answer in time, so nobody knows whether the ticket was used before"
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
    /// A label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ticket(error) => error.label(),
            Self::KeyTakenOut => TicketError::Signature.label(),
            Self::Replayed => "replayed",
            Self::ForeignPage { .. } => "origin",
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
        Signer::from_secret(SECRET).unwrap().mint(&identity, NOW, 300, 1).unwrap()
    }

    /// What becomes of the ticket if it says nothing of pages.
    fn authenticate(
        auth: &Authenticator,
        ticket: &str,
        presented: Presented,
        now: u64,
    ) -> Result<Identity, AuthError> {
        let checked = auth.authenticate(ticket, presented, now, |_| panic!("asked from where it came"))?;
        Ok(checked.identity().clone())
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
        let ticket = signer
            .mint_on(Terms { origins: &hosts, until: None }, &Identity::anonymous(), NOW, 300, 1)
            .unwrap();
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
