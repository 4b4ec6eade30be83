//! The request of a publisher to end sessions: a message to the reserved topic [`TOPIC`].
//!
//! Like any message it is queued, acknowledged, resent after a failure, deduplicated and carried to all nodes. Nobody can
//! subscribe to the topic, and only publishers can publish to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::ids::SessionId;
use crate::link_frame::Message;
use crate::payload::{Payload, PayloadError};
use crate::ticket::{Identity, Role, UserId};
use crate::topic::Topic;

/// The topic of the request. Applications cannot declare it.
pub const TOPIC: &str = "orosync/disconnect";

/// The sessions to end. Ids and names of users and customers overlap, so both require a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// A single session: `{"session": "0123..."}`.
    Session(SessionId),
    /// All sessions opened with tickets of this role and user id: `{"role": "user", "uid": 7}`. The id may be a string.
    Id {
        /// Never [`Role::Publisher`].
        role: Role,
        /// The `uid` of the tickets.
        uid: UserId,
    },
    /// All sessions opened with tickets of this role and user name: `{"role": "customer", "user": "anna"}`.
    Name {
        /// Never [`Role::Publisher`].
        role: Role,
        /// The `sub` of the tickets. Not empty.
        user: String,
    },
}

/// The payload's JSON form.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Json {
    Session { session: String },
    Id { role: Role, uid: UserId },
    Name { role: Role, user: String },
}

impl Disconnect {
    /// The request as a message of the link.
    pub fn message(&self) -> Result<Message, PayloadError> {
        let json = match self.clone() {
            Self::Session(id) => Json::Session { session: id.to_string() },
            Self::Id { role, uid } => Json::Id { role, uid },
            Self::Name { role, user } => Json::Name { role, user },
        };
        let json = serde_json::to_vec(&json).expect("an enum of strings and numbers serializes");
        let topic = Topic::parse(TOPIC).expect("a constant that the test below parses");
        Ok(Message { topic, payload: Payload::from_encoder(json.into())?, audience: Audience::default() })
    }

    /// Parses the payload of a message to [`TOPIC`].
    pub fn parse(payload: &Payload) -> Result<Self, NotADisconnect> {
        let of_browsers = |role| if role == Role::Publisher { Err(NotADisconnect) } else { Ok(role) };
        match serde_json::from_slice(payload.as_bytes()).map_err(|_| NotADisconnect)? {
            Json::Session { session } => session.parse().map(Self::Session).map_err(|_| NotADisconnect),
            Json::Id { role, uid } => Ok(Self::Id { role: of_browsers(role)?, uid }),
            Json::Name { user, .. } if user.is_empty() => Err(NotADisconnect),
            Json::Name { role, user } => Ok(Self::Name { role: of_browsers(role)?, user }),
        }
    }

    /// The requests that would end a session of this identity, apart from those for a single session.
    pub fn matching(identity: &Identity) -> impl Iterator<Item = Self> {
        let role = identity.role;
        let id = identity.uid.clone().map(|uid| Self::Id { role, uid });
        let name = identity.user.clone().map(|user| Self::Name { role, user: user.into_string() });
        id.into_iter().chain(name)
    }

    /// Whether the request ends the session with this id and identity.
    pub fn targets(&self, session: SessionId, identity: &Identity) -> bool {
        match self {
            Self::Session(id) => *id == session,
            Self::Id { role, uid } => *role == identity.role && Some(uid) == identity.uid.as_ref(),
            Self::Name { role, user } => {
                *role == identity.role && Some(user.as_str()) == identity.user.as_deref()
            }
        }
    }
}

/// A description for people. The user name is as the publisher sent it, unescaped.
impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "session {id}"),
            Self::Id { role, uid } => write!(f, "{role} {uid}"),
            Self::Name { role, user } => write!(f, "{role} \"{user}\""),
        }
    }
}

/// The payload is not a valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A message to \"{TOPIC}\" names one session, or a role (user, customer, anonymous) with an id or a name: \
     {{\"session\": \"32 hexadecimal digits\"}}, {{\"role\": \"user\", \"uid\": 7}}, {{\"role\": \"user\", \"user\": \"anna\"}}."
)]
pub struct NotADisconnect;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SESSION: SessionId = SessionId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    fn name(role: Role, user: &str) -> Disconnect {
        Disconnect::Name { role, user: user.to_owned() }
    }

    #[test]
    fn requests_parse_back() {
        for (disconnect, json) in [
            (Disconnect::Session(SESSION), r#"{"session":"0123456789abcdef0123456789abcdef"}"#),
            (
                Disconnect::Id { role: Role::User, uid: u64::MAX.into() },
                r#"{"role":"user","uid":"18446744073709551615"}"#,
            ),
            (
                Disconnect::Id { role: Role::User, uid: UserId::String("0188-ab".into()) },
                r#"{"role":"user","uid":"0188-ab"}"#,
            ),
            (name(Role::Customer, "anna \"b\" ü"), r#"{"role":"customer","user":"anna \"b\" ü"}"#),
            (name(Role::Anonymous, "anna"), r#"{"role":"anonymous","user":"anna"}"#),
        ] {
            let message = disconnect.message().unwrap();
            assert_eq!(message.topic.as_str(), TOPIC);
            assert_eq!(message.payload.as_bytes(), json);
            assert_eq!(Disconnect::parse(&message.payload), Ok(disconnect));
        }
    }

    #[test]
    fn requests_without_a_target_or_role_or_with_several_targets_are_refused() {
        for json in [
            "null",
            "{}",
            r#""anna""#,
            r#"{"user":"anna"}"#,
            r#"{"uid":7}"#,
            r#"{"role":"user"}"#,
            r#"{"role":"user","user":""}"#,
            r#"{"role":"user","user":7}"#,
            r#"{"role":"user","user":null}"#,
            r#"{"role":"user","uid":""}"#,
            r#"{"role":"user","uid":"a/b"}"#,
            r#"{"role":"user","uid":-7}"#,
            r#"{"role":"user","uid":7.0}"#,
            r#"{"role":"user","uid":7,"user":"anna"}"#,
            r#"{"role":"user","uid":7,"org":1}"#,
            r#"{"role":"admin","uid":7}"#,
            r#"{"role":"publisher","uid":7}"#,
            r#"{"role":"publisher","user":"anna"}"#,
            r#"{"role":"user","uid":7,"uid":8}"#,
            r#"{"session":"7"}"#,
            r#"{"session":"0123456789abcdef0123456789abcdef","role":"user"}"#,
            r#"{"session":"0123456789abcdef0123456789abcdef","role":"user","uid":7}"#,
        ] {
            let payload = Payload::check(&Bytes::from(json)).unwrap();
            assert_eq!(Disconnect::parse(&payload), Err(NotADisconnect), "{json}");
        }
    }

    #[test]
    fn sessions_of_another_role_are_not_ended() {
        let identity = |role, uid: u64, user: &str| Identity {
            role,
            uid: Some(uid.into()),
            user: Some(user.into()),
            ..Identity::anonymous()
        };
        let (user, customer) = (identity(Role::User, 7, "anna"), identity(Role::Customer, 7, "anna"));
        for disconnect in
            [Disconnect::Id { role: Role::Customer, uid: 7.into() }, name(Role::Customer, "anna")]
        {
            assert!(disconnect.targets(SESSION, &customer), "{disconnect}");
            assert!(!disconnect.targets(SESSION, &user), "{disconnect}");
            assert!(!disconnect.targets(SESSION, &identity(Role::Customer, 8, "bert")), "{disconnect}");
            assert!(!disconnect.targets(SESSION, &Identity::anonymous()), "{disconnect}");
        }
        let of_user: Vec<_> = Disconnect::matching(&user).collect();
        assert_eq!(of_user, [Disconnect::Id { role: Role::User, uid: 7.into() }, name(Role::User, "anna")]);
        assert!(of_user.iter().all(|disconnect| disconnect.targets(SESSION, &user)));
        assert_eq!(Disconnect::matching(&Identity::anonymous()).count(), 0);
        assert!(Disconnect::Session(SESSION).targets(SESSION, &user));
        assert!(!Disconnect::Session(SESSION).targets(SessionId(7), &user));
    }
}
