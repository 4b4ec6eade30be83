//! Tickets: signed tokens that carry an identity, so that the server needs neither a database nor PHP to authenticate a
//! connection.
//!
//! A ticket is a JWT with the audience [`AUDIENCE`]. [`issue`] creates tickets, and [`verify`] turns a ticket back into an
//! [`Identity`]. Both take the time as an argument. [`resume`] has the tickets that the server itself issues to resume a
//! session; they have a different audience.

pub mod issue;
pub mod resume;
pub mod role_names;
pub mod secret_file;
pub mod user_id;
pub mod verify;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pattern::TopicPattern;
use crate::topic::Topic;

pub use issue::{IssueError, Signer, Terms};
pub use resume::{Resumption, SessionPlace, VerifiedResume};
pub use role_names::RoleNames;
pub use user_id::UserId;
pub use verify::{KeyId, TicketError, Verifier};

/// The audience (`aud`) of the application's tickets.
pub const AUDIENCE: &str = "orosync";

/// The challenge (`WWW-Authenticate`; RFC 6750, 3) in the server's answer to a rejected ticket. Its realm distinguishes the
/// server's 401 from that of a proxy.
pub const CHALLENGE: &str = "Bearer realm=\"orosync\"";

/// Minimum length of a secret in bytes: HS256 requires a key at least as long as its hash (RFC 7518, 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// Maximum number of topics and patterns together in one ticket, since a ticket is part of a URL.
pub const MAX_GRANTED: usize = 50;

/// Maximum number of hosts in one ticket, for the same reason.
pub const MAX_ORIGINS: usize = 16;

/// Maximum length in bytes of a ticket that is issued or verified. Typical tickets have about 300; long user names and granted
/// topics need more. A ticket of this length fits into the default of `limits.handshake_bytes`.
pub const MAX_TICKET_BYTES: usize = 8192;

/// The role of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A back office user.
    User,
    /// A storefront customer.
    Customer,
    /// A visitor without a login.
    Anonymous,
    /// A PHP process, or another program that has the secret.
    Publisher,
}

impl Role {
    /// The value in a ticket.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Customer => "customer",
            Self::Anonymous => "anonymous",
            Self::Publisher => "publisher",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The role: back office, storefront, anonymous or publisher.
    pub role: Role,
    /// The user name (`sub`).
    pub user: Option<Box<str>>,
    /// The user's id. Ids of users and customers overlap, so it is unique only together with `role`.
    pub uid: Option<UserId>,
    /// The organization's id.
    pub org: Option<u64>,
    /// The user's roles in the application, as far as policies name them.
    pub roles: RoleNames,
    /// Topics that the application grants to the user.
    pub granted: Granted,
}

/// Topics that the application grants to a user, for the policy `granted`. At most [`MAX_GRANTED`] topics and patterns
/// together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Topics that are compared literally, so that a topic built from user input cannot act as a pattern.
    pub topics: Box<[Topic]>,
    /// Patterns whose topics are granted.
    pub patterns: Box<[TopicPattern]>,
}

impl Granted {
    /// Whether this topic is granted.
    pub fn includes(&self, topic: &str) -> bool {
        self.topics.iter().any(|granted| granted.as_str() == topic)
            || self.patterns.iter().any(|pattern| pattern.captures(topic).is_some())
    }
}

impl Identity {
    /// The identity of a connection without a ticket.
    pub fn anonymous() -> Self {
        Self {
            role: Role::Anonymous,
            user: None,
            uid: None,
            org: None,
            roles: RoleNames::default(),
            granted: Granted::default(),
        }
    }
}

/// The claims of a ticket in the JWT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<Box<str>>,
    /// The user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<UserId>,
    /// The organization's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<u64>,
    /// Roles of the user in the application ([`RoleNames`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Topics that the application grants, compared literally. Together with `patterns` at most [`MAX_GRANTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Patterns of topics that the application grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// Hosts whose pages may use it ([`OriginPattern`](crate::OriginPattern)), at most [`MAX_ORIGINS`]. Empty: any host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// The role.
    pub role: Role,
    /// Time of issue, as Unix time in seconds.
    pub iat: u64,
    /// Time of expiry, as Unix time in seconds.
    pub exp: u64,
    /// Start of validity, as Unix time in seconds. `None`: `iat`. Tickets issued here have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Unix time in seconds from which on the session cannot be resumed without a new ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The id of the ticket. A browser's ticket opens a single session.
    pub jti: String,
}

impl AsRef<Self> for Claims {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::OriginPattern;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signer() -> Signer {
        Signer::from_secret(SECRET).unwrap()
    }

    fn verifier() -> Verifier {
        Verifier::from_secret(SECRET).unwrap()
    }

    #[test]
    fn a_ticket_that_no_server_would_accept_is_not_issued() {
        let of = |bytes: usize| {
            let identity = Identity { user: Some("x".repeat(bytes).into()), ..Identity::anonymous() };
            signer().issue(&identity, 1_000_000, 300, 1)
        };
        let around_the_name = of(0).unwrap().len();
        // Base64 encodes three bytes as four.
        let longest = of((MAX_TICKET_BYTES - around_the_name) / 4 * 3).unwrap();
        assert!(longest.len() <= MAX_TICKET_BYTES && longest.len() > MAX_TICKET_BYTES - 8);
        assert!(verifier().verify(&longest, 1_000_000).is_ok());
        let granted = |count| {
            let patterns = vec![TopicPattern::parse("a").unwrap(); count].into();
            let granted = Granted { topics: vec![Topic::parse("a").unwrap(); 25].into(), patterns };
            signer().issue(&Identity { granted, ..Identity::anonymous() }, 1_000_000, 300, 1)
        };
        assert!(verifier().verify(&granted(25).unwrap(), 1_000_000).is_ok());
        assert!(matches!(granted(26), Err(IssueError::TooManyGranted { count: 51 })));
        let error = of(9000).unwrap_err();
        assert!(matches!(error, IssueError::TooLong { bytes, .. } if bytes > 12_000), "{error}");
        assert!(error.to_string().contains(&format!("at most {MAX_TICKET_BYTES}")), "{error}");
    }

    proptest! {
        #[test]
        fn an_issued_ticket_verifies_to_the_same_identity(
            user in proptest::option::of(".{0,30}"),
            uid in proptest::option::of(prop_oneof![
                any::<u64>().prop_map(UserId::from),
                "[a-z0-9-]{1,40}".prop_map(|text| text.parse().unwrap()),
            ]),
            roles in proptest::collection::vec("[A-Z_.-]{1,20}", 0..4),
            org in proptest::option::of(0..u64::MAX),
            role in prop_oneof![Just(Role::User), Just(Role::Customer), Just(Role::Anonymous), Just(Role::Publisher)],
            id in any::<u128>(),
            topics in proptest::collection::vec("[a-z/{}]{1,20}", 0..4),
            patterns in proptest::collection::vec("[a-z/]{1,20}(\\{\\{|\\}\\}|/\\{id\\})?", 0..4),
            until in proptest::option::of(any::<u64>()),
            origins in proptest::collection::vec(r"(\*\.)?[a-z0-9_-]{1,20}(\.[a-z]{1,10})?", 0..=MAX_ORIGINS),
        ) {
            let granted = Granted {
                topics: topics.iter().map(|topic| Topic::parse(topic).unwrap()).collect(),
                patterns: patterns.iter().map(|pattern| TopicPattern::parse(pattern).unwrap()).collect(),
            };
            let roles = RoleNames::new(roles.iter().map(String::as_str)).unwrap();
            let identity = Identity { role, user: user.map(Into::into), uid, org, roles, granted };
            let origins: Vec<_> = origins.iter().map(|host| OriginPattern::parse(host).unwrap()).collect();
            let terms = Terms { origins: &origins, until };
            let ticket = signer().issue_with(terms, &identity, 1_000_000, 300, id).unwrap();
            let verified = verifier().verify(&ticket, 1_000_100).unwrap();
            prop_assert_eq!(&verified.identity, &identity);
            prop_assert_eq!(&verified.origins, &origins);
            prop_assert_eq!((verified.issued, verified.expires), (1_000_000, 1_000_300));
            prop_assert_eq!(verified.until, until);
            prop_assert_eq!(verified.jti, format!("{id:032x}"));
        }
    }

    #[test]
    fn a_ticket_is_valid_for_its_lifetime() {
        let ticket = signer().issue(&Identity::anonymous(), 1_000_000, 300, 1).unwrap();
        assert!(verifier().verify(&ticket, 1_000_000).is_ok());
        // A clock that is behind by up to 30 s is common and harmless (OroPlatform allows the same since 4.2).
        assert!(verifier().verify(&ticket, 1_000_000 - 30).is_ok());
        assert_eq!(verifier().verify(&ticket, 1_000_000 - 31), Err(TicketError::NotYetValid { seconds: 31 }));
        assert!(verifier().verify(&ticket, 1_000_299).is_ok());
        assert_eq!(verifier().verify(&ticket, 1_000_300), Err(TicketError::Expired { seconds: 0 }));
    }

    #[test]
    fn a_ticket_of_another_program_may_become_valid_after_it_was_issued() {
        let ticket = |nbf| {
            let claims = serde_json::json!({
                "aud": AUDIENCE, "role": "user", "iat": 1_000_000, "exp": 1_000_300, "nbf": nbf, "jti": "1",
            });
            let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
            jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
        };
        let late = ticket(1_000_200);
        assert_eq!(verifier().verify(&late, 1_000_100), Err(TicketError::NotYetValid { seconds: 100 }));
        assert!(verifier().verify(&late, 1_000_170).is_ok());
        assert!(verifier().verify(&ticket(1), 1_000_000).is_ok());
        assert!(verifier().verify(&ticket(u64::MAX), 1_000_000).is_err());
    }

    #[test]
    fn a_ticket_with_a_critical_header_parameter_is_refused() {
        let identity = signer().issue(&Identity::anonymous(), 1_000_000, 300, 1).unwrap();
        let claims: Claims = jsonwebtoken::dangerous::insecure_decode(&identity).unwrap().claims;
        let header =
            jsonwebtoken::Header { crit: Some(vec!["b64".to_owned()]), ..jsonwebtoken::Header::default() };
        let ticket =
            jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(SECRET)).unwrap();
        let problem = "its header marks \"b64\" as critical, which is not supported".to_owned();
        assert_eq!(verifier().verify(&ticket, 1_000_000), Err(TicketError::Malformed { problem }));
    }

    #[test]
    fn a_ticket_not_signed_with_the_secret_is_refused() {
        let other = Signer::from_secret(b"another secret of more than 32 bytes").unwrap();
        let ticket = other.issue(&Identity::anonymous(), 1_000_000, 300, 1).unwrap();
        assert_eq!(verifier().verify(&ticket, 1_000_000), Err(TicketError::Signature));
        // {"alg":"none"} is never accepted.
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", ticket.split('.').nth(1).unwrap());
        assert!(matches!(verifier().verify(&unsigned, 1_000_000), Err(TicketError::Malformed { .. })));
        assert!(matches!(verifier().verify("x", 1_000_000), Err(TicketError::Malformed { .. })));
        assert!(matches!(verifier().verify("", 1_000_000), Err(TicketError::Malformed { .. })));
    }

    /// Verifies a user's ticket with these additional claims, signed with the secret.
    fn verify(more: &serde_json::Value) -> Result<verify::Verified, TicketError> {
        let mut claims = serde_json::json!({
            "aud": AUDIENCE, "role": "user", "iat": 1, "exp": 2_000_000, "jti": "1",
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        let ticket = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        verifier().verify(&ticket, 1_000_000)
    }

    #[test]
    fn granted_topics_and_patterns_are_parsed_and_bounded() {
        let verify = |topics: &[&str], patterns: &[&str]| {
            verify(&serde_json::json!({ "topics": topics, "patterns": patterns }))
        };
        let granted = verify(&["acme/chat/{x}"], &["acme/{id:int}"]).unwrap().identity.granted;
        assert!(granted.includes("acme/chat/{x}") && granted.includes("acme/7"));
        assert!(!granted.includes("acme/chat/general") && !granted.includes("acme/{id:int}"));
        assert!(verify(&["acme/{"], &[]).is_ok(), "any topic is one");
        for (topics, patterns, problem) in [
            (&[][..], &["acme/{"][..], "patterns: \"acme/{\": a brace is not closed"),
            (&[""], &[], "topics: \"\" is empty"),
            (&["acme/\n"], &[], "topics: \"acme/\\n\" has the control character U+000A at position 5"),
        ] {
            let error = verify(topics, patterns).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        assert!(verify(&["a"; 25], &["a"; 25]).is_ok());
        for (topics, patterns) in [(51, 0), (0, 51), (25, 26)] {
            let error = verify(&vec!["a"; topics], &vec!["a"; patterns]).unwrap_err().to_string();
            assert!(error.contains("it grants 51 topics, at most 50 are possible"), "{error}");
        }
    }

    #[test]
    fn role_names_are_parsed_and_bounded() {
        let verify = |roles: &[&str]| verify(&serde_json::json!({ "roles": roles }));
        assert_eq!(verify(&[]).unwrap().identity.roles, RoleNames::default());
        let read = verify(&["ROLE_USER", "ROLE_SALES"]).unwrap().identity.roles;
        assert_eq!(read.iter().collect::<Vec<_>>(), ["ROLE_USER", "ROLE_SALES"]);
        assert!(verify(&["R"; RoleNames::MAX]).is_ok());
        for (roles, problem) in [
            (&["R"; RoleNames::MAX + 1][..], "roles: more than 32 roles"),
            (&["A,B"], "roles: \"A,B\" is not a valid role name. Write letters, digits"),
        ] {
            let error = verify(roles).unwrap_err();
            assert_eq!(error.label(), "malformed");
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn a_users_id_is_a_number_or_a_bounded_string() {
        let verify = |uid: serde_json::Value| verify(&serde_json::json!({ "uid": uid }));
        let uuid = "0188fd5c-1e4f-7c2b-9d3a-7f1e2d3c4b5a";
        for (uid, read) in [
            (serde_json::json!(7), UserId::Integer(7)),
            (serde_json::json!("7"), UserId::Integer(7)),
            (serde_json::json!(uuid), UserId::String(uuid.into())),
        ] {
            assert_eq!(verify(uid).unwrap().identity.uid, Some(read));
        }
        let long = "x".repeat(UserId::MAX_BYTES + 1);
        for uid in [serde_json::json!(-1), serde_json::json!(7.5), "a/b".into(), "".into(), long.into()] {
            let error = verify(uid).unwrap_err();
            assert_eq!(error.label(), "malformed", "{error}");
        }
    }

    #[test]
    fn origins_are_parsed_as_hosts_and_bounded() {
        let verify = |origins: &[&str]| verify(&serde_json::json!({ "origins": origins }));
        assert!(verify(&[]).unwrap().origins.is_empty());
        let read = verify(&["CRM.example.com", "*.example.com"]).unwrap().origins;
        assert_eq!(
            read,
            ["crm.example.com", "*.example.com"].map(|host| OriginPattern::parse(host).unwrap())
        );
        let refused = verify(&["crm.example.com", "https://crm.example.com"]).unwrap_err();
        let problem = "origins: \"https://crm.example.com\": only the host of an origin is compared. Write crm.example.com";
        assert_eq!(refused, TicketError::Malformed { problem: problem.to_owned() });
        assert!(matches!(verify(&[""]), Err(TicketError::Malformed { .. })));
        assert!(matches!(verify(&["a".repeat(254).as_str()]), Err(TicketError::Malformed { .. })));
        assert!(verify(&["a"; MAX_ORIGINS]).is_ok());
        assert!(matches!(verify(&["a"; MAX_ORIGINS + 1]), Err(TicketError::Malformed { .. })));
    }

    #[test]
    fn the_id_of_a_key_is_stable_and_distinct() {
        // Resume tickets carry it across processes.
        assert_eq!(verifier().id(), KeyId(5_798_765_193_614_026_820));
        assert_ne!(Verifier::from_secret(b"fedcba9876543210fedcba9876543210").unwrap().id(), verifier().id());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Signer::from_secret(b"short").is_err());
        assert!(Verifier::from_secret(b"short").is_err());
    }
}
