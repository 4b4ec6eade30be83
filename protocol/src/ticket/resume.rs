//! Resume tickets: what the server gives a session for its own next connection, so that coming back costs the application
//! nothing.
//!
//! A JWT like any ticket, with the audience [`RESUME_AUDIENCE`]: neither kind passes for the other. It carries the identity
//! and the origins of the session, and a [`Resumption`]: which session that is, how long it may go on without the
//! application, and which revocations it knows of. Only the shared secret signs it, and never for a publisher.

use serde::{Deserialize, Serialize};

use super::verify::{Verified, verified};
use super::{Claims, Identity, KeyId, MAX_TICKET_BYTES, Role, TicketError};
use crate::ids::SessionId;
use crate::origin::OriginPattern;

/// The audience (`aud`) of resume tickets.
pub const RESUME_AUDIENCE: &str = "orosync.resume";

/// How many of the sessions before it a resume ticket names.
pub const MAX_FORMER: usize = 8;

/// The longest resume ticket, in bytes: that of any session whose own ticket was taken, and what is added to that.
pub const MAX_RESUME_TICKET_BYTES: usize = MAX_TICKET_BYTES + 1024;

/// What a session hands on to the one that resumes it, beside its identity and origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The session that the ticket was given to.
    pub session: SessionId,
    /// Those that were resumed before it, the latest last, at most [`MAX_FORMER`]: whoever disconnects one of them means
    /// this one as well.
    pub former: Vec<SessionId>,
    /// When the application minted the ticket that opened the first of them, seconds since 1970.
    pub since: u64,
    /// The `until` of that ticket, seconds since 1970.
    pub until: Option<u64>,
    /// What that ticket was signed with: where this is no longer accepted, nothing is that came of it.
    pub key: KeyId,
    /// Who remembers the revocations that are numbered here: nobody else can tell whether it was revoked.
    pub node: u128,
    /// The number of the last revocation when it was minted: later ones may mean it.
    pub revocations: u64,
    /// Where on its node the session is.
    pub place: SessionPlace,
}

/// Where a session is on its node: so that nobody has to look for it among all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlace {
    /// The number of its shard.
    pub shard: usize,
    /// Its key there.
    pub key: u64,
}

/// What a good resume ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedResume {
    /// Who it is. Never a publisher.
    pub identity: Identity,
    /// Hosts whose pages may use it; none: any.
    pub origins: Vec<OriginPattern>,
    /// When it ends, seconds since 1970.
    pub expires: u64,
    /// What is resumed.
    pub resumption: Resumption,
}

/// The claims of a resume ticket, as they stand in the JWT. What is left out is read as what is refused, or resumed for the
/// shortest time: another kind of ticket is told by its audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeClaims {
    /// Those of any ticket; `aud` is [`RESUME_AUDIENCE`].
    #[serde(flatten)]
    pub ticket: Claims,
    /// [`Resumption::session`].
    #[serde(default)]
    pub sid: String,
    /// [`Resumption::former`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
    /// [`Resumption::since`].
    #[serde(default)]
    pub since: u64,
    /// [`Resumption::key`].
    #[serde(default)]
    pub key: KeyId,
    /// [`Resumption::node`], 32 hexadecimal digits.
    #[serde(default)]
    pub node: String,
    /// [`Resumption::revocations`].
    #[serde(default)]
    pub revocations: u64,
    /// [`Resumption::place`].
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
            return Err(malformed("a publisher's session is not resumed"));
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

    fn minted() -> String {
        signer().mint_resume(&Identity::anonymous(), &[], &resumption(), NOW, NOW + 300, 1).unwrap()
    }

    /// The claims of a good one, changed, signed again.
    fn changed(change: impl FnOnce(&mut ResumeClaims)) -> String {
        let mut claims: ResumeClaims = jsonwebtoken::dangerous::insecure_decode(minted()).unwrap().claims;
        change(&mut claims);
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    }

    proptest! {
        #[test]
        fn a_resume_ticket_says_what_it_was_minted_with(
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
                user,
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
            let ticket = signer().mint_resume(&identity, &origins, &resumption, NOW, NOW + 300, 1).unwrap();
            let verified = verifier().verify_resume(&ticket, NOW + 299).unwrap();
            prop_assert_eq!(verified, VerifiedResume { identity, origins, expires: NOW + 300, resumption });
        }
    }

    #[test]
    fn neither_kind_of_ticket_passes_for_the_other() {
        let refused = verifier().verify(&minted(), NOW).unwrap_err();
        assert_eq!((refused.label(), refused.to_string().contains("than \"orosync\"")), ("audience", true));
        let ordinary = signer().mint(&Identity::anonymous(), NOW, 300, 1).unwrap();
        let refused = verifier().verify_resume(&ordinary, NOW).unwrap_err();
        assert_eq!((refused.label(), refused.to_string().contains("\"orosync.resume\"")), ("audience", true));
        // An ordinary one with all that a resume ticket has.
        let disguised = changed(|claims| claims.ticket.aud = crate::ticket::AUDIENCE.to_owned());
        assert_eq!(verifier().verify_resume(&disguised, NOW).unwrap_err().label(), "audience");
    }

    #[test]
    fn whoever_has_another_key_than_the_secret_makes_none() {
        // RFC 8410, 10.1 and 10.3.
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let private = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = jsonwebtoken::EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        let verifier = Verifier::from_public_key(public.as_bytes()).unwrap();
        let claims: ResumeClaims = jsonwebtoken::dangerous::insecure_decode(minted()).unwrap().claims;
        let ticket = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(verifier.verify_resume(&ticket, NOW), Err(TicketError::Algorithm));
        let claims = Claims { aud: crate::ticket::AUDIENCE.to_owned(), ..claims.ticket };
        let ordinary = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert!(verifier.verify(&ordinary, NOW).is_ok(), "the key is the right one");
        assert_eq!(self::verifier().verify_resume(&ordinary, NOW), Err(TicketError::Algorithm));
    }

    #[test]
    fn a_publishers_session_is_not_resumed() {
        let publisher = Identity { role: Role::Publisher, ..Identity::anonymous() };
        let minted = signer().mint_resume(&publisher, &[], &resumption(), NOW, NOW + 300, 1);
        assert!(matches!(minted, Err(super::super::MintError::ResumesAPublisher)));
        let forged = changed(|claims| claims.ticket.role = Role::Publisher);
        assert_eq!(verifier().verify_resume(&forged, NOW).unwrap_err().label(), "malformed");
    }

    #[test]
    fn what_it_names_is_checked_and_bounded() {
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
        assert_eq!(verifier().verify_resume(&minted(), NOW + 300).unwrap_err().label(), "expired");
        assert_eq!(verifier().verify_resume(&minted(), NOW - 31).unwrap_err().label(), "not_yet_valid");
    }

    #[test]
    fn a_session_of_the_longest_ticket_can_be_resumed() {
        let of = |bytes: usize| {
            let user = Some("x".repeat(bytes));
            Identity { user, uid: Some(UserId::from(u64::MAX)), ..Identity::anonymous() }
        };
        let ordinary = |bytes| signer().mint(&of(bytes), u64::MAX - 1, 1, 1).unwrap();
        // Base64: three bytes are four.
        let longest = (MAX_TICKET_BYTES - ordinary(0).len()) / 4 * 3;
        assert!(ordinary(longest).len() > MAX_TICKET_BYTES - 8);
        let resumption = Resumption {
            former: vec![SessionId(u128::MAX); MAX_FORMER],
            since: u64::MAX,
            until: Some(u64::MAX),
            ..resumption()
        };
        let ticket = signer().mint_resume(&of(longest), &[], &resumption, u64::MAX - 1, u64::MAX, 1).unwrap();
        assert!(verifier().verify_resume(&ticket, u64::MAX - 1).is_ok());
        let error = signer().mint_resume(&of(9000), &[], &resumption, NOW, NOW + 1, 1).unwrap_err();
        assert!(error.to_string().contains("at most 9216"), "{error}");
        let long = "x".repeat(MAX_RESUME_TICKET_BYTES + 1);
        assert_eq!(verifier().verify_resume(&long, NOW).unwrap_err().label(), "malformed");
    }
}
