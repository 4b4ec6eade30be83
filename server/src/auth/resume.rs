//! Resume tickets: which sessions get them, and how they are checked.
//!
//! If the server has a secret to sign with, every session that was opened with a ticket gets resume tickets, except those of
//! publishers. Limits:
//!
//! - They are issued until `auth.resume_total_seconds` after the application issued the first ticket, and until that
//!   ticket's `until`. None is valid beyond these times, or for longer than `auth.resume_seconds`.
//! - None is valid once the key of the first ticket is no longer accepted.
//! - A session can be resumed once.
//! - A disconnect revokes the session's resume tickets ([`revocations`](super::revocations)).

use std::sync::{Arc, Mutex, PoisonError};

use orosync_protocol::ticket::resume::MAX_FORMER;
use orosync_protocol::ticket::verify::Verified;
use orosync_protocol::ticket::{Identity, KeyId, Resumption, Role, SessionPlace, Signer, VerifiedResume};
use orosync_protocol::{OriginPattern, SessionId};

use super::revocations::{NotResumable, Revocations};

/// How long sessions can be resumed without the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeTimes {
    /// Lifetime of a resume ticket in seconds. 0: resume tickets are disabled.
    pub seconds: u64,
    /// How long a session can be resumed after the application issued its first ticket, in seconds.
    pub total_seconds: u64,
}

/// A resume ticket with its lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeTicket {
    /// The JWT.
    pub ticket: String,
    /// Its lifetime in seconds.
    pub seconds: u64,
}

/// The data of a session for its resume tickets, in addition to its identity. Rarely used parts are boxed to keep it small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeState {
    /// When the application issued the first ticket, as Unix time in seconds.
    since: u64,
    /// The key that signed the first ticket.
    key: KeyId,
    /// The number of the last revocation when the session began.
    revocations: u64,
    rest: Option<Box<Rest>>,
}

/// The rarely used parts of [`ResumeState`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    /// Hosts whose pages may resume the session. Empty: any. Sessions with equal lists share it.
    origins: Arc<[OriginPattern]>,
    /// Unix time in seconds from which on the session cannot be resumed.
    until: Option<u64>,
    /// The sessions that this one has resumed, the latest last.
    former: Box<[SessionId]>,
}

impl ResumeState {
    fn new(since: u64, key: KeyId, revocations: u64, rest: Rest) -> Self {
        let rest = (rest != Rest::default()).then(|| Box::new(rest));
        Self { since, key, revocations, rest }
    }

    /// The key that signed the application's ticket.
    pub(super) fn key(&self) -> KeyId {
        self.key
    }

    /// The sessions that this one has resumed, the latest last.
    pub fn former(&self) -> &[SessionId] {
        self.rest.as_ref().map_or(&[], |rest| &rest.former)
    }
}

/// Issues and checks resume tickets.
#[derive(Debug)]
pub struct ResumeTickets {
    /// Signs the tickets. `None`: the server has no secret.
    signer: Option<Signer>,
    times: ResumeTimes,
    revocations: Arc<Revocations>,
    origins: Arc<SharedOrigins>,
}

impl ResumeTickets {
    /// Resume tickets with these lifetimes, checked against these revocations. Without a signer none are issued.
    pub fn new(signer: Option<Signer>, times: ResumeTimes, revocations: Arc<Revocations>) -> Self {
        Self { signer, times, revocations, origins: Arc::default() }
    }

    /// The same with another signer.
    #[must_use]
    pub(super) fn with_signer(&self, signer: Option<Signer>) -> Self {
        Self {
            signer,
            times: self.times,
            revocations: Arc::clone(&self.revocations),
            origins: Arc::clone(&self.origins),
        }
    }

    /// Maximum lifetime of a resume ticket in seconds.
    pub(super) fn seconds(&self) -> u64 {
        self.times.seconds
    }

    /// Issues a resume ticket for the session's next connection, at `now` (Unix time in seconds). `None`: the client must
    /// request a ticket from the application.
    pub(super) fn issue(
        &self,
        identity: &Identity,
        resume_state: &ResumeState,
        session: SessionId,
        place: SessionPlace,
        now: u64,
    ) -> Option<ResumeTicket> {
        let signer = self.signer.as_ref().filter(|_| identity.role != Role::Publisher)?;
        let rest = resume_state.rest.as_deref();
        let until = rest.and_then(|rest| rest.until);
        let expires = now
            .saturating_add(self.times.seconds)
            .min(resume_state.since.saturating_add(self.times.total_seconds))
            .min(until.unwrap_or(u64::MAX));
        let seconds = expires.checked_sub(now).filter(|seconds| *seconds > 0)?;
        let former = resume_state.former();
        let sessions = former.iter().copied().chain([session]);
        let (node, revocations) =
            self.revocations.last_for_new_ticket(sessions, identity, resume_state.revocations)?;
        let resumption = Resumption {
            session,
            former: former.to_vec(),
            since: resume_state.since,
            until,
            key: resume_state.key,
            node,
            revocations,
            place,
        };
        let origins = rest.map_or(&[][..], |rest| &rest.origins);
        // An identity from a ticket fits into a ticket.
        let ticket =
            signer.issue_resume(identity, origins, &resumption, now, expires, rand::random()).ok()?;
        Some(ResumeTicket { ticket, seconds })
    }

    /// The state of a session that this ticket of the application opens, signed with this key. `None`: the session cannot be
    /// resumed.
    pub(super) fn begin(&self, verified: &Verified, key: KeyId) -> Option<ResumeState> {
        if verified.identity.role == Role::Publisher {
            return None;
        }
        let revocations = self.revocations.last_for_new_session(&verified.identity, verified.issued)?;
        let origins = self.origins.share(&verified.origins);
        Some(ResumeState::new(
            verified.issued,
            key,
            revocations,
            Rest { origins, until: verified.until, former: Box::default() },
        ))
    }

    /// The state of a session that this resume ticket opens.
    pub(super) fn resume(&self, verified: &VerifiedResume) -> Result<ResumeState, NotResumable> {
        let VerifiedResume { identity, origins, resumption, .. } = verified;
        let revocations = self.revocations.check(resumption, identity)?;
        let sessions = resumption.former.iter().copied().chain([resumption.session]);
        let forgotten = (resumption.former.len() + 1).saturating_sub(MAX_FORMER);
        let rest = Rest {
            origins: self.origins.share(origins),
            until: resumption.until,
            former: sessions.skip(forgotten).collect(),
        };
        Ok(ResumeState::new(resumption.since, resumption.key, revocations, rest))
    }

    /// An upper bound for the expiry of all resume tickets of the session issued so far, as Unix time in seconds.
    pub(super) fn latest_expiry(&self, verified: &VerifiedResume, now: u64) -> u64 {
        const IN_FLIGHT_SECONDS: u64 = 60;
        verified.expires.max(now.saturating_add(self.times.seconds)).saturating_add(IN_FLIGHT_SECONDS)
    }
}

/// The hosts of the last ticket, which are reused because tickets of an application usually have the same.
#[derive(Debug, Default)]
struct SharedOrigins(Mutex<Arc<[OriginPattern]>>);

impl SharedOrigins {
    fn share(&self, origins: &[OriginPattern]) -> Arc<[OriginPattern]> {
        if origins.is_empty() {
            return Arc::default();
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if **last != *origins {
            *last = origins.into();
        }
        Arc::clone(&last)
    }
}
