//! Verification of tickets: signature, audience and time. The server checks whether a ticket was used before.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::issue::{ShortSecret, check_length};
use super::resume::{MAX_RESUME_TICKET_BYTES, RESUME_AUDIENCE, ResumeClaims, VerifiedResume};
use super::{AUDIENCE, Claims, Granted, Identity, MAX_GRANTED, MAX_ORIGINS, MAX_TICKET_BYTES, RoleNames};
use crate::origin::OriginPattern;
use crate::pattern::TopicPattern;
use crate::topic::Topic;

/// Tolerance for differing clocks in seconds: how far in the future a ticket may have been issued or become valid.
/// OroPlatform has the same since 4.2.
const CLOCK_SKEW_SECONDS: u64 = 30;

/// The encoded headers of nearly all tickets that are signed with a shared secret: `{"typ":"JWT","alg":"HS256"}` and
/// `{"alg":"HS256","typ":"JWT"}`.
const USUAL_HEADERS: [&str; 2] =
    ["eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"];

/// Buffer size for decoding an HS256 signature of 32 bytes. The base64 decoder writes whole groups of three bytes.
const MAC_ROOM: usize = 33;

/// Verifies tickets with one key: the shared secret, or a public key.
pub struct Verifier {
    id: KeyId,
    key: DecodingKey,
    /// HMAC keyed with the shared secret. `None` for a public key.
    mac: Option<Hmac<Sha256>>,
    validation: Validation,
    /// The validation of resume tickets. `None` for a public key, since only the shared secret signs them.
    resume_validation: Option<Validation>,
}

/// Identifies a key across processes without revealing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyId(pub u64);

impl KeyId {
    /// The first bytes of an HMAC with the key.
    fn of(key: &[u8]) -> Self {
        let key = EncodingKey::from_secret(key);
        let mac = jsonwebtoken::crypto::sign(b"orosync key id", &key, Algorithm::HS256);
        let mac = mac.expect("an HMAC accepts any key");
        Self(mac.as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes))
    }
}

/// The content of a valid ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The identity.
    pub identity: Identity,
    /// Hosts whose pages may use the ticket. Empty: any host. Only the handshake needs them.
    pub origins: Vec<OriginPattern>,
    /// The id of the ticket.
    pub jti: String,
    /// Time of issue, as Unix time in seconds.
    pub issued: u64,
    /// Time of expiry, as Unix time in seconds.
    pub expires: u64,
    /// Unix time in seconds from which on the session cannot be resumed without a new ticket.
    pub until: Option<u64>,
}

impl Verifier {
    /// A verifier for tickets signed with this shared secret (HS256).
    pub fn from_secret(secret: &[u8]) -> Result<Self, ShortSecret> {
        check_length(secret)?;
        let resume_validation = Some(validation(Algorithm::HS256, RESUME_AUDIENCE));
        let id = KeyId::of(secret);
        let mac = Hmac::new_from_slice(secret).ok();
        let verifier = Self::new(id, DecodingKey::from_secret(secret), Algorithm::HS256);
        Ok(Self { mac, resume_validation, ..verifier })
    }

    /// A verifier for tickets signed with the private key of this public key in PEM: RSA (RS256), P-256 (ES256) or Ed25519.
    pub fn from_public_key(pem: &[u8]) -> Result<Self, NotAPublicKey> {
        let id = KeyId::of(pem);
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            Ok(Self::new(id, key, Algorithm::RS256))
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            Ok(Self::new(id, key, Algorithm::ES256))
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            Ok(Self::new(id, key, Algorithm::EdDSA))
        } else {
            Err(NotAPublicKey)
        }
    }

    /// The id of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Verifies a ticket at `now` (Unix time in seconds). A resume ticket is rejected.
    pub fn verify(&self, ticket: &str, now: u64) -> Result<Verified, TicketError> {
        let claims: Claims = self.decode(ticket, &self.validation, AUDIENCE, MAX_TICKET_BYTES)?;
        verified(claims, now)
    }

    /// Verifies a resume ticket at `now` (Unix time in seconds). Any other ticket is rejected.
    pub fn verify_resume(&self, ticket: &str, now: u64) -> Result<VerifiedResume, TicketError> {
        let validation = self.resume_validation.as_ref().ok_or(TicketError::Algorithm)?;
        let claims: ResumeClaims =
            self.decode(ticket, validation, RESUME_AUDIENCE, MAX_RESUME_TICKET_BYTES)?;
        claims.verified(now)
    }

    fn decode<T: DeserializeOwned + Clone + AsRef<Claims>>(
        &self,
        ticket: &str,
        validation: &Validation,
        audience: &'static str,
        max_bytes: usize,
    ) -> Result<T, TicketError> {
        if ticket.len() > max_bytes {
            return Err(TicketError::Malformed { problem: format!("{} bytes long", ticket.len()) });
        }
        if let Some(decoded) = self.decode_usual(ticket, audience) {
            return decoded;
        }
        let decoded = jsonwebtoken::decode::<T>(ticket, &self.key, validation)
            .map_err(|error| refusal(error, audience))?;
        // RFC 7515, 4.1.11: a ticket with a critical extension that is not understood must be rejected. None is understood here.
        if let Some(critical) = decoded.header.crit {
            let critical = critical.join(", ");
            let problem = format!("its header marks \"{critical}\" as critical, which is not supported");
            return Err(TicketError::Malformed { problem });
        }
        Ok(decoded.claims)
    }

    /// Verifies a ticket with one of the usual headers like the library, at a third of its cost, because the claims are parsed
    /// only once. Returns `None` in all other cases: the library then decides and names the problem.
    fn decode_usual<T: DeserializeOwned + AsRef<Claims>>(
        &self,
        ticket: &str,
        audience: &str,
    ) -> Option<Result<T, TicketError>> {
        let mac = self.mac.clone()?;
        let (signed, signature) = ticket.rsplit_once('.')?;
        let (header, claims) = signed.rsplit_once('.')?;
        if !USUAL_HEADERS.contains(&header) {
            return None;
        }
        let mut signature_bytes = [0; MAC_ROOM];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut signature_bytes).ok()?;
        if mac.chain_update(signed).verify_slice(&signature_bytes[..length]).is_err() {
            return Some(Err(TicketError::Signature));
        }
        let claims: T = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (claims.as_ref().aud == audience).then_some(Ok(claims))
    }

    fn new(id: KeyId, key: DecodingKey, algorithm: Algorithm) -> Self {
        Self { id, key, mac: None, validation: validation(algorithm, AUDIENCE), resume_validation: None }
    }
}

fn validation(algorithm: Algorithm, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud"]);
    validation.validate_exp = false; // `verified` checks it with its own clock argument
    validation
}

/// Validates claims at `now` (Unix time in seconds).
pub(super) fn verified(claims: Claims, now: u64) -> Result<Verified, TicketError> {
    if claims.exp <= now {
        return Err(TicketError::Expired { seconds: now - claims.exp });
    }
    let begins = claims.nbf.map_or(claims.iat, |nbf| nbf.max(claims.iat));
    if begins > now.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err(TicketError::NotYetValid { seconds: begins - now });
    }
    let roles = RoleNames::new(claims.roles.iter().map(String::as_str))
        .map_err(|error| TicketError::Malformed { problem: format!("roles: {error}") })?;
    let granted = granted(&claims.topics, &claims.patterns)?;
    let origins = origins(&claims.origins)?;
    Ok(Verified {
        identity: Identity {
            role: claims.role,
            user: claims.sub,
            uid: claims.uid,
            org: claims.org,
            roles,
            granted,
        },
        origins,
        jti: claims.jti,
        issued: claims.iat,
        expires: claims.exp,
        until: claims.until,
    })
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({:?})", self.validation.algorithms)
    }
}

fn granted(topics: &[String], patterns: &[String]) -> Result<Granted, TicketError> {
    let count = topics.len() + patterns.len();
    if count > MAX_GRANTED {
        let problem = format!("it grants {count} topics, at most {MAX_GRANTED} are possible");
        return Err(TicketError::Malformed { problem });
    }
    let topic = |name: &String| {
        Topic::parse(name)
            .map_err(|error| TicketError::Malformed { problem: format!("topics: {name:?} {error}") })
    };
    let pattern = |source: &String| {
        TopicPattern::parse(source)
            .map_err(|error| TicketError::Malformed { problem: format!("patterns: {error}") })
    };
    Ok(Granted {
        topics: topics.iter().map(topic).collect::<Result<_, _>>()?,
        patterns: patterns.iter().map(pattern).collect::<Result<_, _>>()?,
    })
}

fn origins(hosts: &[String]) -> Result<Vec<OriginPattern>, TicketError> {
    if hosts.len() > MAX_ORIGINS {
        let problem = format!("it is for pages of {} hosts, at most {MAX_ORIGINS} are possible", hosts.len());
        return Err(TicketError::Malformed { problem });
    }
    let parse = |host: &String| {
        OriginPattern::parse(host)
            .map_err(|error| TicketError::Malformed { problem: format!("origins: {host:?}: {error}") })
    };
    hosts.iter().map(parse).collect()
}

fn refusal(error: jsonwebtoken::errors::Error, audience: &'static str) -> TicketError {
    match error.into_kind() {
        ErrorKind::InvalidSignature => TicketError::Signature,
        ErrorKind::InvalidAudience => TicketError::Audience { wanted: audience },
        ErrorKind::InvalidAlgorithm => TicketError::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
            TicketError::Audience { wanted: audience }
        }
        other => TicketError::Malformed { problem: jsonwebtoken::errors::new_error(other).to_string() },
    }
}

/// Why a ticket is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The text is not a JWT, or lacks claims of a ticket.
    #[error("the ticket cannot be read: {problem}")]
    Malformed {
        /// The problem.
        problem: String,
    },
    /// The ticket was signed with another key.
    #[error("the ticket was signed with another secret: compare the application's secret with the server's")]
    Signature,
    /// The ticket was signed with an algorithm other than the key's.
    #[error("the ticket was signed with an algorithm other than that of the server's key")]
    Algorithm,
    /// The JWT is for another audience.
    #[error("the ticket is a JWT for an audience other than \"{wanted}\"")]
    Audience {
        /// The expected audience.
        wanted: &'static str,
    },
    /// The ticket has expired.
    #[error("the ticket expired {seconds} s ago: request a new one")]
    Expired {
        /// Seconds since the expiry.
        seconds: u64,
    },
    /// The ticket is not valid yet.
    #[error("the ticket is not valid for another {seconds} s: compare the clocks of the two machines")]
    NotYetValid {
        /// Seconds until it is valid.
        seconds: u64,
    },
}

impl TicketError {
    /// The label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Audience { .. } => "audience",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
        }
    }
}

/// The file holds no supported public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holds no public key in PEM (RSA, P-256 or Ed25519)")]
pub struct NotAPublicKey;

#[cfg(test)]
mod tests {
    use jsonwebtoken::Header;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde_json::json;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signed(header: &str, claims: &str) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let key = EncodingKey::from_secret(SECRET);
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{signed}.{signature}")
    }

    fn claims() -> serde_json::Value {
        json!({ "aud": AUDIENCE, "role": "user", "sub": "anna", "iat": 1, "exp": 2, "jti": "1" })
    }

    /// Whether the fast path decides. If it does, asserts that the library decides alike.
    fn is_decided_alike(ticket: &str) -> bool {
        let verifier = Verifier::from_secret(SECRET).unwrap();
        let by_library = jsonwebtoken::decode::<Claims>(ticket, &verifier.key, &verifier.validation);
        match verifier.decode_usual::<Claims>(ticket, AUDIENCE) {
            None => return false,
            Some(Ok(claims)) => assert_eq!(claims, by_library.unwrap().claims, "{ticket}"),
            Some(Err(error)) => assert_eq!(error, refusal(by_library.unwrap_err(), AUDIENCE), "{ticket}"),
        }
        true
    }

    #[test]
    fn tickets_with_a_usual_header_take_the_fast_path() {
        let ours = jsonwebtoken::encode(&Header::default(), &claims(), &EncodingKey::from_secret(SECRET));
        assert!(is_decided_alike(&ours.unwrap()));
        for header in [r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256","typ":"JWT"}"#] {
            assert!(is_decided_alike(&signed(header, &claims().to_string())), "{header}");
        }
        let other = signed(r#"{"typ":"JWT","alg":"HS256","crit":["b64"]}"#, &claims().to_string());
        assert!(!is_decided_alike(&other));
    }

    #[test]
    fn invalid_claims_are_left_to_the_library() {
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = claims();
            claims[name] = value;
            claims.to_string()
        };
        for claims in [
            with("aud", json!("another")),
            with("aud", json!([AUDIENCE])),
            with("exp", json!(2.5)),
            with("exp", json!(null)),
            with("role", json!("nobody")),
            claims().to_string().replace(r#""aud""#, r#""not_aud""#),
            claims().to_string().replace('{', r#"{"aud":"orosync","#),
            "[]".to_owned(),
            String::new(),
        ] {
            let ticket = signed(r#"{"typ":"JWT","alg":"HS256"}"#, &claims);
            let verifier = Verifier::from_secret(SECRET).unwrap();
            assert!(verifier.decode_usual::<Claims>(&ticket, AUDIENCE).is_none(), "{claims}");
            assert!(verifier.verify(&ticket, 1).is_err(), "{claims}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_decides_like_the_library_on_tickets_with_changes_anywhere(
            changes in proptest::collection::vec((any::<Index>(), "[A-Za-z0-9_.=+-]"), 1..3),
            length in any::<Index>(),
        ) {
            let whole = signed(r#"{"typ":"JWT","alg":"HS256"}"#, &claims().to_string());
            let mut changed = whole.clone();
            for (at, character) in changes {
                let at = at.index(whole.len());
                changed.replace_range(at..=at, &character);
            }
            is_decided_alike(&changed);
            is_decided_alike(&whole[..length.index(whole.len())]);
        }
    }
}
