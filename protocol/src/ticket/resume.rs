//! Resume tickets: the server issues them to a session for its next connection, so that a reconnect does not involve the
//! application.
//!
//! A resume ticket is a JWT like any ticket, but with the audience [`RESUME_AUDIENCE`], so that neither kind is accepted as the
//! other. It carries the identity and the origins of the session, and a [`Resumption`]: the session's id, how long it may
//! continue without the application, and the last revocation that it takes into account. It is signed with the shared secret,
//! and never issued to a publisher.

use serde::{Deserialize, Serialize};

use super::verify::{Verified, verified};
use super::{Claims, Identity, KeyId, MAX_TICKET_BYTES, Role, TicketError};
use crate::ids::SessionId;
use crate::origin::OriginPattern;

/// The audience (`aud`) of resume tickets.
pub const RESUME_AUDIENCE: &str = "orosync.resume";

/// Maximum number of previous sessions in a resume ticket.
pub const MAX_FORMER: usize = 8;

/// Maximum length of a resume ticket in bytes: the longest ticket, with room for the additional claims.
pub const MAX_RESUME_TICKET_BYTES: usize = MAX_TICKET_BYTES + 1024;

/// The data that a session passes to the one that resumes it, in addition to identity and origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The session that the ticket was issued to.
    pub session: SessionId,
    /// The sessions that were resumed before, the latest last, at most [`MAX_FORMER`]. Disconnecting one of them also ends this
    /// session.
    pub former: Vec<SessionId>,
    /// When the application issued the ticket that opened the first session, as Unix time in seconds.
    pub since: u64,
    /// The `until` of that ticket, as Unix time in seconds.
    pub until: Option<u64>,
    /// The key that signed that ticket. Once it is no longer accepted, neither are the resume tickets derived from it.
    pub key: KeyId,
    /// The store of revocations that `revocations` refers to. Only this store can tell whether the ticket was revoked.
    pub node: u128,
    /// The number of the last revocation when the ticket was issued. Only later revocations can affect it.
    pub revocations: u64,
    /// The place of the session on its node.
    pub place: SessionPlace,
}

/// The place of a session on its node, by which it is found without a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlace {
    /// The number of its shard.
    pub shard: usize,
    /// The session's key within the shard.
    pub key: u64,
}

/// The content of a valid resume ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedResume {
    /// The identity. Never that of a publisher.
    pub identity: Identity,
    /// Hosts whose pages may use the ticket. Empty: any host.
    pub origins: Vec<OriginPattern>,
    /// Time of expiry, as Unix time in seconds.
    pub expires: u64,
    /// The session that is resumed.
    pub resumption: Resumption,
}

/// The claims of a resume ticket in the JWT. A missing claim gets a default that is rejected later, or that limits the
/// session most. Missing claims do not fail here, so that a ticket of another kind is rejected for its audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeClaims {
    /// The claims of any ticket. `aud` is [`RESUME_AUDIENCE`].
    #[serde(flatten)]
    pub ticket: Claims,
    /// The value of [`Resumption::session`].
    #[serde(default)]
    pub sid: String,
    /// The value of [`Resumption::former`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
    /// The value of [`Resumption::since`].
    #[serde(default)]
    pub since: u64,
    /// The value of [`Resumption::key`].
    #[serde(default)]
    pub key: KeyId,
    /// The value of [`Resumption::node`] in 32 hexadecimal digits.
    #[serde(default)]
    pub node: String,
    /// The value of [`Resumption::revocations`].
    #[serde(default)]
    pub revocations: u64,
    /// The value of [`Resumption::place`].
    #[serde(default)]
    pub place: SessionPlace,
}

impl AsRef<Claims> for ResumeClaims {
    fn as_ref(&self) -> &Claims {
        &self.ticket
    }
}

impl ResumeClaims {
    pub(super) fn new(ticket: Claims, resumption: &Resumption) -> Self {
        Self {
            ticket: Claims { aud: RESUME_AUDIENCE.to_owned(), until: resumption.until, ..ticket },
            sid: resumption.session.to_string(),
            former: resumption.former.iter().map(SessionId::to_string).collect(),
            since: resumption.since,
            key: resumption.key,
            node: format!("{:032x}", resumption.node),
            revocations: resumption.revocations,
            place: resumption.place,
        }
    }

    pub(super) fn verified(self, now: u64) -> Result<VerifiedResume, TicketError> {
        let malformed = |problem: &str| TicketError::Malformed { problem: problem.to_owned() };
        let id = |text: &String| text.parse().map_err(|error| malformed(&format!("{text:?} is {error}")));
        let Verified { identity, origins, expires, until, .. } = verified(self.ticket, now)?;
        if identity.role == Role::Publisher {
            return Err(malformed("a publisher's session cannot be resumed"));
        }
        if self.former.len() > MAX_FORMER {
            let count = self.former.len();
            return Err(malformed(&format!(
                "it names {count} former sessions, at most {MAX_FORMER} are possible"
            )));
        }
        let SessionId(node) = id(&self.node)?;
        let resumption = Resumption {
            session: id(&self.sid)?,
            former: self.former.iter().map(id).collect::<Result<_, _>>()?,
            since: self.since,
            until,
            key: self.key,
            node,
            revocations: self.revocations,
            place: self.place,
        };
        Ok(VerifiedResume { identity, origins, expires, resumption })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ticket::{Granted, RoleNames, Signer, UserId, Verifier};
    use crate::{Topic, TopicPattern};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_000_000;

    fn signer() -> Signer {
        Signer::from_secret(SECRET).unwrap()
    }

    fn verifier() -> Verifier {
        Verifier::from_secret(SECRET).unwrap()
    }

    fn resumption() -> Resumption {
        Resumption {
            session: SessionId(7),
            former: vec![SessionId(5), SessionId(6)],
            since: NOW - 1000,
            until: Some(NOW + 1000),
            key: KeyId(u64::MAX),
            node: 9,
            revocations: u64::MAX,
            place: SessionPlace { shard: 63, key: u64::MAX },
        }
    }

    fn issued() -> String {
        signer().issue_resume(&Identity::anonymous(), &[], &resumption(), NOW, NOW + 300, 1).unwrap()
    }

    /// A resume ticket with changed claims, signed with the secret.
    fn changed(change: impl FnOnce(&mut ResumeClaims)) -> String {
        let mut claims: ResumeClaims = jsonwebtoken::dangerous::insecure_decode(issued()).unwrap().claims;
        change(&mut claims);
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    }

    proptest! {
        #[test]
        fn a_resume_ticket_verifies_to_what_it_was_issued_with(
            user in proptest::option::of(".{0,30}"),
            uid in proptest::option::of(any::<u64>().prop_map(UserId::from)),
            org in proptest::option::of(any::<u64>()),
            role in prop_oneof![Just(Role::User), Just(Role::Customer), Just(Role::Anonymous)],
            former in proptest::collection::vec(any::<u128>().prop_map(SessionId), 0..=MAX_FORMER),
            (session, node, since, revocations) in any::<(u128, u128, u64, u64)>(),
            (shard, slot, key) in any::<(usize, u64, u64)>(),
            until in proptest::option::of(any::<u64>()),
        ) {
            let identity = Identity {
                role,
                user: user.map(Into::into),
                uid,
                org,
                roles: RoleNames::new(["ROLE_SALES"]).unwrap(),
                granted: Granted {
                    topics: Box::new([Topic::parse("acme/{7}").unwrap()]),
                    patterns: Box::new([TopicPattern::parse("acme/{id:int}").unwrap()]),
                },
            };
            let origins = vec![OriginPattern::parse("*.example.com").unwrap()];
            let place = SessionPlace { shard, key: slot };
            let resumption =
                Resumption { session: SessionId(session), former, since, until, key: KeyId(key), node, revocations, place };
            let ticket = signer().issue_resume(&identity, &origins, &resumption, NOW, NOW + 300, 1).unwrap();
            let verified = verifier().verify_resume(&ticket, NOW + 299).unwrap();
            prop_assert_eq!(verified, VerifiedResume { identity, origins, expires: NOW + 300, resumption });
        }
    }

    #[test]
    fn neither_kind_of_ticket_is_accepted_as_the_other() {
        let refused = verifier().verify(&issued(), NOW).unwrap_err();
        assert_eq!((refused.label(), refused.to_string().contains("than \"orosync\"")), ("audience", true));
        let ordinary = signer().issue(&Identity::anonymous(), NOW, 300, 1).unwrap();
        let refused = verifier().verify_resume(&ordinary, NOW).unwrap_err();
        assert_eq!((refused.label(), refused.to_string().contains("\"orosync.resume\"")), ("audience", true));
        // An ordinary ticket with all claims of a resume ticket.
        let disguised = changed(|claims| claims.ticket.aud = crate::ticket::AUDIENCE.to_owned());
        assert_eq!(verifier().verify_resume(&disguised, NOW).unwrap_err().label(), "audience");
    }

    #[test]
    fn only_the_secret_signs_resume_tickets() {
        // RFC 8410, 10.1 and 10.3.
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let private = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = jsonwebtoken::EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        let verifier = Verifier::from_public_key(public.as_bytes()).unwrap();
        let claims: ResumeClaims = jsonwebtoken::dangerous::insecure_decode(issued()).unwrap().claims;
        let ticket = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(verifier.verify_resume(&ticket, NOW), Err(TicketError::Algorithm));
        let claims = Claims { aud: crate::ticket::AUDIENCE.to_owned(), ..claims.ticket };
        let ordinary = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert!(verifier.verify(&ordinary, NOW).is_ok(), "the key is the right one");
        assert_eq!(self::verifier().verify_resume(&ordinary, NOW), Err(TicketError::Algorithm));
    }

    #[test]
    fn a_publishers_session_cannot_be_resumed() {
        let publisher = Identity { role: Role::Publisher, ..Identity::anonymous() };
        let issued = signer().issue_resume(&publisher, &[], &resumption(), NOW, NOW + 300, 1);
        assert!(matches!(issued, Err(super::super::IssueError::ResumesAPublisher)));
        let forged = changed(|claims| claims.ticket.role = Role::Publisher);
        assert_eq!(verifier().verify_resume(&forged, NOW).unwrap_err().label(), "malformed");
    }

    #[test]
    fn resume_claims_are_validated_and_bounded() {
        let refused =
            |change: &dyn Fn(&mut ResumeClaims)| verifier().verify_resume(&changed(change), NOW).unwrap_err();
        assert_eq!(refused(&|claims| claims.sid = "7".to_owned()).label(), "malformed");
        assert_eq!(refused(&|claims| claims.node = "g".repeat(32)).label(), "malformed");
        assert_eq!(refused(&|claims| claims.former = vec![String::new()]).label(), "malformed");
        let one = SessionId(1).to_string();
        assert!(
            verifier().verify_resume(&changed(|c| c.former = vec![one.clone(); MAX_FORMER]), NOW).is_ok()
        );
        let error = refused(&|claims| claims.former = vec![one.clone(); MAX_FORMER + 1]).to_string();
        assert!(error.contains("it names 9 former sessions, at most 8 are possible"), "{error}");
        assert_eq!(refused(&|claims| claims.ticket.roles = vec!["A,B".to_owned()]).label(), "malformed");
        assert_eq!(verifier().verify_resume(&issued(), NOW + 300).unwrap_err().label(), "expired");
        assert_eq!(verifier().verify_resume(&issued(), NOW - 31).unwrap_err().label(), "not_yet_valid");
    }

    #[test]
    fn a_session_of_the_longest_ticket_can_be_resumed() {
        let of = |bytes: usize| {
            let user = Some("x".repeat(bytes).into());
            Identity { user, uid: Some(UserId::from(u64::MAX)), ..Identity::anonymous() }
        };
        let ordinary = |bytes| signer().issue(&of(bytes), u64::MAX - 1, 1, 1).unwrap();
        // Base64 encodes three bytes as four.
        let longest = (MAX_TICKET_BYTES - ordinary(0).len()) / 4 * 3;
        assert!(ordinary(longest).len() > MAX_TICKET_BYTES - 8);
        let resumption = Resumption {
            former: vec![SessionId(u128::MAX); MAX_FORMER],
            since: u64::MAX,
            until: Some(u64::MAX),
            ..resumption()
        };
        let ticket =
            signer().issue_resume(&of(longest), &[], &resumption, u64::MAX - 1, u64::MAX, 1).unwrap();
        assert!(verifier().verify_resume(&ticket, u64::MAX - 1).is_ok());
        let error = signer().issue_resume(&of(9000), &[], &resumption, NOW, NOW + 1, 1).unwrap_err();
        assert!(error.to_string().contains("at most 9216"), "{error}");
        let long = "x".repeat(MAX_RESUME_TICKET_BYTES + 1);
        assert_eq!(verifier().verify_resume(&long, NOW).unwrap_err().label(), "malformed");
    }
}
