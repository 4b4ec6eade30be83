//! "End these sessions", as a publisher says it: a message to a topic of its own.
//!
//! So it is queued, acknowledged, sent again and dropped when it comes twice like any other, and goes wherever messages go.
//! Nobody can subscribe to the topic, and only publishers publish to it.

use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::ids::SessionId;
use crate::link_frame::Message;
use crate::payload::{Payload, PayloadError};
use crate::topic::Topic;

/// Where it goes. No application may declare it for something else.
pub const TOPIC: &str = "orosync/disconnect";

/// Whose sessions end. `{"user": "anna"}` or `{"session": "0123..."}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// All of this user name's: the `sub` of the tickets that opened them.
    User(String),
    /// This one.
    Session(SessionId),
}

/// As JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Json {
    User(String),
    Session(String),
}

impl Disconnect {
    /// As a message of the link.
    pub fn message(&self) -> Result<Message, PayloadError> {
        let json = match self {
            Self::User(name) => Json::User(name.clone()),
            Self::Session(id) => Json::Session(id.to_string()),
        };
        let json = serde_json::to_vec(&json).expect("an enum of strings serializes");
        let topic = Topic::parse(TOPIC).expect("a constant that the test below parses");
        Ok(Message { topic, payload: Payload::from_encoder(json.into())?, audience: Audience::default() })
    }

    /// From a message to [`TOPIC`].
    pub fn parse(payload: &Payload) -> Result<Self, NotADisconnect> {
        match serde_json::from_slice(payload.as_bytes()).map_err(|_| NotADisconnect)? {
            Json::User(name) if name.is_empty() => Err(NotADisconnect),
            Json::User(name) => Ok(Self::User(name)),
            Json::Session(id) => id.parse().map(Self::Session).map_err(|_| NotADisconnect),
        }
    }
}

/// A payload that says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A message to \"{TOPIC}\" names a user or a session: {{\"user\": \"anna\"}}, {{\"session\": \"32 hexadecimal digits\"}}."
)]
pub struct NotADisconnect;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_said_reads_back() {
        for disconnect in [
            Disconnect::User("anna \"b\" ü".to_owned()),
            Disconnect::Session(SessionId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
        ] {
            let message = disconnect.message().unwrap();
            assert_eq!(message.topic.as_str(), TOPIC);
            assert_eq!(Disconnect::parse(&message.payload), Ok(disconnect));
        }
        let anna = Disconnect::User("anna".to_owned()).message().unwrap();
        assert_eq!(&anna.payload.as_bytes()[..], br#"{"user":"anna"}"#);
    }

    #[test]
    fn what_names_nobody_or_several_is_refused() {
        for json in [
            "null",
            "{}",
            r#""anna""#,
            r#"{"user":""}"#,
            r#"{"user":7}"#,
            r#"{"session":"7"}"#,
            r#"{"user":"anna","session":"0123456789abcdef0123456789abcdef"}"#,
            r#"{"role":"user"}"#,
        ] {
            let payload = Payload::check(&Bytes::from(json)).unwrap();
            assert_eq!(Disconnect::parse(&payload), Err(NotADisconnect), "{json}");
        }
    }
}
