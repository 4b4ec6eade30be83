//! Issuing tickets: claims and signature.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::resume::{MAX_RESUME_TICKET_BYTES, ResumeClaims, Resumption};
use super::{AUDIENCE, Claims, Granted, Identity, MAX_GRANTED, MAX_TICKET_BYTES, MIN_SECRET_BYTES, Role};
use crate::OriginPattern;

/// Restrictions of a ticket: the sites that may use it, and how long its session may be resumed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// The hosts whose pages may use the ticket, at most [`MAX_ORIGINS`](super::MAX_ORIGINS). Empty: any host.
    pub origins: &'a [OriginPattern],
    /// Unix time in seconds from which on the session cannot be resumed without a new ticket.
    pub until: Option<u64>,
}

/// Signs tickets with the shared secret (HS256).
pub struct Signer(EncodingKey);

impl Signer {
    /// A signer with this secret. Fails if it is shorter than [`MIN_SECRET_BYTES`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, ShortSecret> {
        check_length(secret)?;
        Ok(Self(EncodingKey::from_secret(secret)))
    }

    /// Issues a ticket for `identity`, valid from `now` (Unix time in seconds) for `ttl_seconds`. `id` must be random: the
    /// server accepts each id once. Pages of any host may use the ticket.
    pub fn issue(
        &self,
        identity: &Identity,
        now: u64,
        ttl_seconds: u64,
        id: u128,
    ) -> Result<String, IssueError> {
        self.issue_with(Terms::default(), identity, now, ttl_seconds, id)
    }

    /// Issues a ticket with these restrictions.
    pub fn issue_with(
        &self,
        terms: Terms<'_>,
        identity: &Identity,
        now: u64,
        ttl_seconds: u64,
        id: u128,
    ) -> Result<String, IssueError> {
        let claims = claims(identity, terms.origins, now, now.saturating_add(ttl_seconds), id)?;
        self.sign(&Claims { until: terms.until, ..claims }, MAX_TICKET_BYTES)
    }

    /// Issues a resume ticket, valid from `now` until `expires` (Unix times in seconds): for the next connection of the session
    /// that `resumption` describes, on pages of these hosts (empty: any). Fails for a publisher.
    pub fn issue_resume(
        &self,
        identity: &Identity,
        origins: &[OriginPattern],
        resumption: &Resumption,
        now: u64,
        expires: u64,
        id: u128,
    ) -> Result<String, IssueError> {
        if identity.role == Role::Publisher {
            return Err(IssueError::ResumesAPublisher);
        }
        let claims = claims(identity, origins, now, expires, id)?;
        self.sign(&ResumeClaims::new(claims, resumption), MAX_RESUME_TICKET_BYTES)
    }

    fn sign(&self, claims: &impl Serialize, max_bytes: usize) -> Result<String, IssueError> {
        let ticket = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.0)?;
        if ticket.len() > max_bytes {
            return Err(IssueError::TooLong { bytes: ticket.len(), max_bytes });
        }
        Ok(ticket)
    }
}

fn claims(
    identity: &Identity,
    origins: &[OriginPattern],
    now: u64,
    expires: u64,
    id: u128,
) -> Result<Claims, IssueError> {
    let Granted { topics, patterns } = &identity.granted;
    let count = topics.len() + patterns.len();
    if count > MAX_GRANTED {
        return Err(IssueError::TooManyGranted { count });
    }
    Ok(Claims {
        aud: AUDIENCE.to_owned(),
        sub: identity.user.clone(),
        uid: identity.uid.clone(),
        org: identity.org,
        roles: identity.roles.iter().map(str::to_owned).collect(),
        topics: topics.iter().map(|topic| topic.as_str().to_owned()).collect(),
        patterns: patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        origins: origins.iter().map(|host| host.as_str().to_owned()).collect(),
        role: identity.role,
        iat: now,
        exp: expires,
        nbf: None,
        until: None,
        jti: format!("{id:032x}"),
    })
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(secret)")
    }
}

/// Why a ticket could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The ticket would grant more topics and patterns than a server accepts.
    #[error(
        "it would grant {count} topics and patterns, but servers accept at most {MAX_GRANTED}. Grant fewer topics, or patterns instead of topics"
    )]
    TooManyGranted {
        /// Number of topics and patterns.
        count: usize,
    },
    /// The ticket would be longer than a server accepts.
    #[error(
        "it would have {bytes} bytes, but servers accept at most {max_bytes}. Grant fewer topics, or patterns instead of topics, \
         name fewer roles, or use a shorter user name"
    )]
    TooLong {
        /// The length of the ticket.
        bytes: usize,
        /// The maximum length.
        max_bytes: usize,
    },
    /// Sessions of publishers cannot be resumed.
    #[error("a publisher's session cannot be resumed: its ticket is valid for all its connections")]
    ResumesAPublisher,
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// The secret is too short to be safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has {bytes} bytes, at least {min} are needed. Make one: openssl rand -hex 32", min = MIN_SECRET_BYTES)]
pub struct ShortSecret {
    /// The length of the secret.
    pub bytes: usize,
}

pub(super) fn check_length(secret: &[u8]) -> Result<(), ShortSecret> {
    if secret.len() < MIN_SECRET_BYTES { Err(ShortSecret { bytes: secret.len() }) } else { Ok(()) }
}
