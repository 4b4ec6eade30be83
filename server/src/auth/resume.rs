//! Resume tickets: who gets one for its next connection, and who comes with one.
//!
//! Whoever the application has given a ticket gets one, publishers excepted, as long as the server has a secret to sign with:
//! until `auth.resume_total_seconds` after the application minted the first ticket, or until that ticket's `until`. None
//! is good for longer than `auth.resume_seconds`, nor beyond those two ends, nor when what the first ticket was signed with is
//! no longer accepted. A session is resumed once, and a disconnect ends
//! what it could be resumed with ([`revocations`](super::revocations)).

use std::sync::{Arc, Mutex, PoisonError};

use orosync_protocol::ticket::resume::MAX_FORMER;
use orosync_protocol::ticket::verify::Verified;
use orosync_protocol::ticket::{Identity, KeyId, Resumption, Role, SessionPlace, Signer, VerifiedResume};
use orosync_protocol::{OriginPattern, SessionId};

use super::revocations::{NotResumable, Revocations};

/// For how long sessions are resumed without asking the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeTimes {
    /// How long a resume ticket is good. 0: there are none.
    pub seconds: u64,
    /// How long after the application minted the first ticket its session is resumed.
    pub total_seconds: u64,
}

/// A session's ticket for its own next connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeTicket {
    /// The JWT.
    pub ticket: String,
    /// How long it is good.
    pub seconds: u64,
}

/// What a session keeps of the ticket that opened it, beside the identity. Each has one, so what only some need is apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// When the application minted the first ticket, seconds since 1970.
    since: u64,
    /// What that was signed with.
    key: KeyId,
    /// The number of the last revocation when this session began.
    revocations: u64,
    rest: Option<Box<Rest>>,
}

/// What a session keeps that was opened by a ticket with more than an identity in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    /// Hosts whose pages may resume it; none: any. Shared by sessions that have the same.
    origins: Arc<[OriginPattern]>,
    /// From when on it is not resumed, seconds since 1970.
    until: Option<u64>,
    /// The sessions before it, the latest last.
    former: Box<[SessionId]>,
}

impl Admitted {
    fn new(since: u64, key: KeyId, revocations: u64, rest: Rest) -> Self {
        let rest = (rest != Rest::default()).then(|| Box::new(rest));
        Self { since, key, revocations, rest }
    }

    /// What the ticket was signed with that the application minted.
    pub(super) fn key(&self) -> KeyId {
        self.key
    }

    /// The sessions that this one has resumed, the latest last.
    pub fn former(&self) -> &[SessionId] {
        self.rest.as_ref().map_or(&[], |rest| &rest.former)
    }
}

/// Mints resume tickets, and checks them.
#[derive(Debug)]
pub struct ResumeTickets {
    /// None: the server has no secret to sign with.
    signer: Option<Signer>,
    times: ResumeTimes,
    revocations: Arc<Revocations>,
    origins: Arc<SharedOrigins>,
}

impl ResumeTickets {
    /// Tickets of these times, as far as there is somebody to sign them, which these revocations refuse.
    pub fn new(signer: Option<Signer>, times: ResumeTimes, revocations: Arc<Revocations>) -> Self {
        Self { signer, times, revocations, origins: Arc::default() }
    }

    /// The same, signed by another.
    #[must_use]
    pub(super) fn with_signer(&self, signer: Option<Signer>) -> Self {
        Self {
            signer,
            times: self.times,
            revocations: Arc::clone(&self.revocations),
            origins: Arc::clone(&self.origins),
        }
    }

    /// How long a resume ticket is good, at most.
    pub(super) fn seconds(&self) -> u64 {
        self.times.seconds
    }

    /// A ticket for the next connection of this session, at `now` (seconds since 1970). None: its client is to ask the
    /// application.
    pub(super) fn mint(
        &self,
        identity: &Identity,
        admitted: &Admitted,
        session: SessionId,
        place: SessionPlace,
        now: u64,
    ) -> Option<ResumeTicket> {
        let signer = self.signer.as_ref().filter(|_| identity.role != Role::Publisher)?;
        let rest = admitted.rest.as_deref();
        let until = rest.and_then(|rest| rest.until);
        let expires = now
            .saturating_add(self.times.seconds)
            .min(admitted.since.saturating_add(self.times.total_seconds))
            .min(until.unwrap_or(u64::MAX));
        let seconds = expires.checked_sub(now).filter(|seconds| *seconds > 0)?;
        let former = admitted.former();
        let sessions = former.iter().copied().chain([session]);
        let (node, revocations) = self.revocations.of_new_ticket(sessions, identity, admitted.revocations)?;
        let resumption = Resumption {
            session,
            former: former.to_vec(),
            since: admitted.since,
            until,
            key: admitted.key,
            node,
            revocations,
            place,
        };
        let origins = rest.map_or(&[][..], |rest| &rest.origins);
        // What came in by a ticket fits into one.
        let ticket = signer.mint_resume(identity, origins, &resumption, now, expires, rand::random()).ok()?;
        Some(ResumeTicket { ticket, seconds })
    }

    /// What a session keeps that is opened by this ticket of the application's, signed with this key. None: it is not
    /// resumed.
    pub(super) fn admit(&self, verified: &Verified, key: KeyId) -> Option<Admitted> {
        if verified.identity.role == Role::Publisher {
            return None;
        }
        let revocations = self.revocations.of_new_session(&verified.identity, verified.minted)?;
        let origins = self.origins.share(&verified.origins);
        Some(Admitted::new(
            verified.minted,
            key,
            revocations,
            Rest { origins, until: verified.until, former: Box::default() },
        ))
    }

    /// What a session keeps that is opened by this resume ticket.
    pub(super) fn resume(&self, verified: &VerifiedResume) -> Result<Admitted, NotResumable> {
        let VerifiedResume { identity, origins, resumption, .. } = verified;
        let revocations = self.revocations.check(resumption, identity)?;
        let sessions = resumption.former.iter().copied().chain([resumption.session]);
        let forgotten = (resumption.former.len() + 1).saturating_sub(MAX_FORMER);
        let rest = Rest {
            origins: self.origins.share(origins),
            until: resumption.until,
            former: sessions.skip(forgotten).collect(),
        };
        Ok(Admitted::new(resumption.since, resumption.key, revocations, rest))
    }

    /// Until when a ticket of this session could be used, of those minted so far: none for longer than it takes to present
    /// one that is minted now.
    pub(super) fn end_of_any(&self, verified: &VerifiedResume, now: u64) -> u64 {
        const UNDER_WAY_SECONDS: u64 = 60;
        verified.expires.max(now.saturating_add(self.times.seconds)).saturating_add(UNDER_WAY_SECONDS)
    }
}

/// The hosts of the last ticket: the tickets of one application name the same.
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
