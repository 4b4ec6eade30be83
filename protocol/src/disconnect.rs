//! "End these sessions", as a publisher says it: a message to a topic of its own.
//!
//! So it is queued, acknowledged, sent again and dropped when it comes twice like any other, and goes wherever messages go.
//! Nobody can subscribe to the topic, and only publishers publish to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::ids::SessionId;
use crate::link_frame::Message;
use crate::payload::{Payload, PayloadError};
use crate::ticket::{Identity, Role, UserId};
use crate::topic::Topic;

/// Where it goes. No application may declare it for something else.
pub const TOPIC: &str = "orosync/disconnect";

/// Whose sessions end. Ids and names of users and customers overlap, so neither is said without a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// This one: `{"session": "0123..."}`.
    Session(SessionId),
    /// Those opened by tickets of this role and id: `{"role": "user", "uid": 7}`; the id may be a text.
    Id {
        /// Never [`Role::Publisher`].
        role: Role,
        /// The tickets' `uid`.
        uid: UserId,
    },
    /// Those opened by tickets of this role and name: `{"role": "customer", "user": "anna"}`.
    Name {
        /// Never [`Role::Publisher`].
        role: Role,
        /// The tickets' `sub`; not empty.
        user: String,
    },
}

/// As JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Json {
    Session { session: String },
    Id { role: Role, uid: UserId },
    Name { role: Role, user: String },
}

impl Disconnect {
    /// As a message of the link.
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

    /// From a message to [`TOPIC`].
    pub fn parse(payload: &Payload) -> Result<Self, NotADisconnect> {
        let of_browsers = |role| if role == Role::Publisher { Err(NotADisconnect) } else { Ok(role) };
        match serde_json::from_slice(payload.as_bytes()).map_err(|_| NotADisconnect)? {
            Json::Session { session } => session.parse().map(Self::Session).map_err(|_| NotADisconnect),
            Json::Id { role, uid } => Ok(Self::Id { role: of_browsers(role)?, uid }),
            Json::Name { user, .. } if user.is_empty() => Err(NotADisconnect),
            Json::Name { role, user } => Ok(Self::Name { role: of_browsers(role)?, user }),
        }
    }

    /// All that end the sessions of whoever has this identity, whichever they are.
    pub fn all_of(identity: &Identity) -> impl Iterator<Item = Self> {
        let role = identity.role;
        let id = identity.uid.clone().map(|uid| Self::Id { role, uid });
        let name = identity.user.clone().map(|user| Self::Name { role, user });
        id.into_iter().chain(name)
    }

    /// Whether it ends the session with this id, opened for this identity.
    pub fn means(&self, session: SessionId, identity: &Identity) -> bool {
        match self {
            Self::Session(id) => *id == session,
            Self::Id { role, uid } => *role == identity.role && Some(uid) == identity.uid.as_ref(),
            Self::Name { role, user } => *role == identity.role && Some(user) == identity.user.as_ref(),
        }
    }
}

/// Whom it means, for people. The name is as the publisher gave it.
impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "session {id}"),
            Self::Id { role, uid } => write!(f, "{role} {uid}"),
            Self::Name { role, user } => write!(f, "{role} \"{user}\""),
        }
    }
}

/// A payload that says something else.
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
    fn what_is_said_reads_back() {
        for (disconnect, json) in [
            (Disconnect::Session(SESSION), r#"{"session":"0123456789abcdef0123456789abcdef"}"#),
            (
                Disconnect::Id { role: Role::User, uid: u64::MAX.into() },
                r#"{"role":"user","uid":"18446744073709551615"}"#,
            ),
            (
                Disconnect::Id { role: Role::User, uid: UserId::Text("0188-ab".into()) },
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
    fn what_names_nobody_or_several_or_no_role_is_refused() {
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
    fn nobody_of_another_role_is_meant() {
        let identity = |role, uid: u64, user: &str| Identity {
            role,
            uid: Some(uid.into()),
            user: Some(user.to_owned()),
            ..Identity::anonymous()
        };
        let (user, customer) = (identity(Role::User, 7, "anna"), identity(Role::Customer, 7, "anna"));
        for disconnect in
            [Disconnect::Id { role: Role::Customer, uid: 7.into() }, name(Role::Customer, "anna")]
        {
            assert!(disconnect.means(SESSION, &customer), "{disconnect}");
            assert!(!disconnect.means(SESSION, &user), "{disconnect}");
            assert!(!disconnect.means(SESSION, &identity(Role::Customer, 8, "bert")), "{disconnect}");
            assert!(!disconnect.means(SESSION, &Identity::anonymous()), "{disconnect}");
        }
        let of_user: Vec<_> = Disconnect::all_of(&user).collect();
        assert_eq!(of_user, [Disconnect::Id { role: Role::User, uid: 7.into() }, name(Role::User, "anna")]);
        assert!(of_user.iter().all(|disconnect| disconnect.means(SESSION, &user)));
        assert_eq!(Disconnect::all_of(&Identity::anonymous()).count(), 0);
        assert!(Disconnect::Session(SESSION).means(SESSION, &user));
        assert!(!Disconnect::Session(SESSION).means(SessionId(7), &user));
    }
}
