//! Making tickets.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::resume::{MAX_RESUME_TICKET_BYTES, ResumeClaims, Resumption};
use super::{AUDIENCE, Claims, Granted, Identity, MAX_GRANTED, MAX_TICKET_BYTES, MIN_SECRET_BYTES, Role};
use crate::OriginPattern;

/// For whose pages a ticket is, and how long its session may go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Hosts whose pages alone may use it, at most [`MAX_ORIGINS`](super::MAX_ORIGINS). None: any.
    pub origins: &'a [OriginPattern],
    /// From when on its session is not resumed without a new ticket, seconds since 1970.
    pub until: Option<u64>,
}

/// Signs tickets with the shared secret (HS256).
pub struct Signer(EncodingKey);

impl Signer {
    /// A signer with this secret, which must have at least [`MIN_SECRET_BYTES`].
    pub fn from_secret(secret: &[u8]) -> Result<Self, ShortSecret> {
        check_length(secret)?;
        Ok(Self(EncodingKey::from_secret(secret)))
    }

    /// A ticket for `identity`, from `now` (seconds since 1970) for `ttl_seconds`. `id` is random and makes it one-time.
    /// Pages of any host may use it.
    pub fn mint(
        &self,
        identity: &Identity,
        now: u64,
        ttl_seconds: u64,
        id: u128,
    ) -> Result<String, MintError> {
        self.mint_on(Terms::default(), identity, now, ttl_seconds, id)
    }

    /// The same on these terms.
    pub fn mint_on(
        &self,
        terms: Terms<'_>,
        identity: &Identity,
        now: u64,
        ttl_seconds: u64,
        id: u128,
    ) -> Result<String, MintError> {
        let claims = claims(identity, terms.origins, now, now.saturating_add(ttl_seconds), id)?;
        self.sign(&Claims { until: terms.until, ..claims }, MAX_TICKET_BYTES)
    }

    /// A resume ticket for whoever has this identity, from `now` until `expires` (seconds since 1970): for the next
    /// connection of the session that `resumption` names, on pages of these hosts alone (none: of any). Never for a
    /// publisher.
    pub fn mint_resume(
        &self,
        identity: &Identity,
        origins: &[OriginPattern],
        resumption: &Resumption,
        now: u64,
        expires: u64,
        id: u128,
    ) -> Result<String, MintError> {
        if identity.role == Role::Publisher {
            return Err(MintError::ResumesAPublisher);
        }
        let claims = claims(identity, origins, now, expires, id)?;
        self.sign(&ResumeClaims::new(claims, resumption), MAX_RESUME_TICKET_BYTES)
    }

    fn sign(&self, claims: &impl Serialize, max_bytes: usize) -> Result<String, MintError> {
        let ticket = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.0)?;
        if ticket.len() > max_bytes {
            return Err(MintError::TooLong { bytes: ticket.len(), max_bytes });
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
) -> Result<Claims, MintError> {
    let Granted { topics, patterns } = &identity.granted;
    let count = topics.len() + patterns.len();
    if count > MAX_GRANTED {
        return Err(MintError::TooManyGranted { count });
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

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// More topics and patterns than anybody takes.
    #[error("it would grant {count} topics, at most {MAX_GRANTED} are taken. Grant fewer, by patterns")]
    TooManyGranted {
        /// How many there are.
        count: usize,
    },
    /// Longer than anybody takes.
    #[error(
        "it would have {bytes} bytes, at most {max_bytes} are taken. Grant fewer topics, by patterns, name fewer \
         roles, or use a shorter user name"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        max_bytes: usize,
    },
    /// A publisher has no session that could be resumed.
    #[error("a publisher's session is not resumed: its ticket is good for each of its connections")]
    ResumesAPublisher,
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A secret that could be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has {bytes} bytes, at least {min} are needed. Make one: openssl rand -hex 32", min = MIN_SECRET_BYTES)]
pub struct ShortSecret {
    /// Its length.
    pub bytes: usize,
}

pub(super) fn check_length(secret: &[u8]) -> Result<(), ShortSecret> {
    if secret.len() < MIN_SECRET_BYTES { Err(ShortSecret { bytes: secret.len() }) } else { Ok(()) }
}
