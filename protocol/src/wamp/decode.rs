//! Parsing of WAMP v1 messages. Accepts and refuses the same messages as Ratchet, the old PHP server: it accepts a type
//! written as `"5"` or `5.0`, and an object with the keys 0 to n-1 in order instead of a list. Payloads are slices of the
//! parsed text.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{ClientMessage, ServerMessage};
use crate::audience::{Audience, SessionIds, TooManySessions};
use crate::ids::SessionId;
use crate::payload::Payload;

/// Maximum nesting, the default of PHP's `json_decode`.
const MAX_DEPTH: usize = 512;

/// Parses a message from a client.
pub fn decode_client(text: &Bytes) -> Result<ClientMessage, WampError> {
    let message = Elements::parse(text)?;
    match message.message_type()? {
        1 => {
            Ok(ClientMessage::Prefix { prefix: message.string(1, "prefix")?, uri: message.string(2, "uri")? })
        }
        2 => Ok(ClientMessage::Call {
            call_id: message.payload(1).ok_or(WampError::Missing { what: "call id" })?,
            procedure: message.string(2, "procedure")?,
            arguments: message.arguments(),
        }),
        5 => Ok(ClientMessage::Subscribe { topic: message.string(1, "topic")? }),
        6 => Ok(ClientMessage::Unsubscribe { topic: message.string(1, "topic")? }),
        7 => message.publish(),
        other => Err(WampError::Type { found: other.to_string() }),
    }
}

/// Parses a message from a server.
pub fn decode_server(text: &Bytes) -> Result<ServerMessage, WampError> {
    let message = Elements::parse(text)?;
    let payload = |at, what| message.payload(at).ok_or(WampError::Missing { what });
    match message.message_type()? {
        0 => Ok(ServerMessage::Welcome {
            session: message.string(1, "session id")?,
            ident: message.string(3, "ident")?,
        }),
        1 => {
            Ok(ServerMessage::Prefix { prefix: message.string(1, "prefix")?, uri: message.string(2, "uri")? })
        }
        3 => Ok(ServerMessage::CallResult { call_id: payload(1, "call id")?, result: payload(2, "result")? }),
        4 => Ok(ServerMessage::CallError {
            call_id: payload(1, "call id")?,
            error_uri: message.string(2, "error uri")?,
            description: message.string(3, "description")?,
            details: message.payload(4),
        }),
        8 => Ok(ServerMessage::Event { topic: message.string(1, "topic")?, payload: payload(2, "event")? }),
        other => Err(WampError::Type { found: other.to_string() }),
    }
}

/// Why a text is not a valid message. The server closes a session that sends one ([`crate::CloseReason::BadMessage`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WampError {
    /// The text is not JSON.
    #[error("not JSON: {problem}")]
    NotJson {
        /// The parser's error.
        problem: String,
    },
    /// The text is nested more deeply than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The text is neither a list nor an object with the keys 0 to n-1.
    #[error("not a list")]
    NotAList,
    /// The receiving side does not accept this message type.
    #[error("message type {found} is not accepted by this side")]
    Type {
        /// The type as written.
        found: String,
    },
    /// An element is missing.
    #[error("the {what} is missing")]
    Missing {
        /// The name of the element.
        what: &'static str,
    },
    /// An element is not a string.
    #[error("the {what} is not a string")]
    NotAString {
        /// The name of the element.
        what: &'static str,
    },
    /// The fifth element of PUBLISH is not a list. In the PHP server this was fatal.
    #[error("the list of eligible sessions is not a list")]
    Eligible,
    /// A list of sessions exceeds its bound.
    #[error(transparent)]
    Sessions(#[from] TooManySessions),
}

/// The unparsed elements of a message, and the text that they are slices of.
struct Elements<'a> {
    text: &'a Bytes,
    elements: List<'a>,
}

impl<'a> Elements<'a> {
    fn parse(text: &'a Bytes) -> Result<Self, WampError> {
        check_depth(text)?;
        if !matches!(text.trim_ascii_start().first(), Some(b'[' | b'{')) {
            return Err(WampError::NotAList);
        }
        let elements: List<'a> = serde_json::from_slice(text)
            .map_err(|error| WampError::NotJson { problem: error.to_string() })?;
        if elements.is_list { Ok(Self { text, elements }) } else { Err(WampError::NotAList) }
    }

    fn raw(&self, at: usize) -> Option<&'a RawValue> {
        self.elements.values.get(at).copied()
    }

    fn message_type(&self) -> Result<u8, WampError> {
        let raw = self.raw(0).ok_or(WampError::Missing { what: "message type" })?;
        loose_number(raw).ok_or_else(|| WampError::Type { found: raw.get().chars().take(20).collect() })
    }

    fn string(&self, at: usize, what: &'static str) -> Result<String, WampError> {
        let raw = self.raw(at).ok_or(WampError::Missing { what })?;
        serde_json::from_str(raw.get()).map_err(|_| WampError::NotAString { what })
    }

    fn payload(&self, at: usize) -> Option<Payload> {
        self.raw(at).and_then(|raw| self.slice(raw))
    }

    fn slice(&self, raw: &RawValue) -> Option<Payload> {
        Payload::from_encoder(self.text.slice_ref(raw.get().as_bytes())).ok()
    }

    fn arguments(&self) -> Vec<Payload> {
        let written = self.elements.values.get(3..).unwrap_or_default();
        let unwrapped = match written {
            [only] if only.get().starts_with('[') => serde_json::from_str::<Vec<&RawValue>>(only.get()).ok(),
            _ => None,
        };
        unwrapped.as_deref().unwrap_or(written).iter().filter_map(|raw| self.slice(raw)).collect()
    }

    fn publish(&self) -> Result<ClientMessage, WampError> {
        let mut exclude_me = false;
        let mut audience = Audience::default();
        if let Some(raw) = self.raw(3) {
            match session_list(raw)? {
                Some(sessions) => audience.exclude = sessions,
                None => exclude_me = is_truthy(raw),
            }
        }
        if let Some(raw) = self.raw(4) {
            audience.eligible = session_list(raw)?.ok_or(WampError::Eligible)?;
        }
        Ok(ClientMessage::Publish {
            topic: self.string(1, "topic")?,
            payload: self.payload(2).unwrap_or_else(Payload::null),
            exclude_me,
            audience,
        })
    }
}

/// A list, or an object that PHP decodes as one.
struct List<'a> {
    values: Vec<&'a RawValue>,
    /// False for an object with keys other than 0 to n-1 in order.
    is_list: bool,
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(List { values, is_list: true })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values: Vec<&'de RawValue> = Vec::new();
                let mut is_list = true;
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    match key.as_index() {
                        // For duplicate keys PHP keeps the position of the first and the value of the last.
                        Some(at) if at < values.len() => values[at] = value,
                        index => {
                            is_list &= index == Some(values.len());
                            values.push(value);
                        }
                    }
                }
                Ok(List { values, is_list })
            }
        }

        deserializer.deserialize_any(ListVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Key<'_> {
    /// The integer to which PHP converts a key in canonical decimal form.
    fn as_index(&self) -> Option<usize> {
        let index: usize = self.0.parse().ok()?;
        (index.to_string() == self.0).then_some(index)
    }
}

/// The small integer that is equal by PHP's `==`: 5 for `5`, `5.0` and `"5"`, 1 for `true`.
fn loose_number(raw: &RawValue) -> Option<u8> {
    let number = match raw.get().as_bytes().first()? {
        b't' => 1.0,
        b'"' => serde_json::from_str::<Cow<'_, str>>(raw.get()).ok()?.trim().parse::<f64>().ok()?,
        _ => raw.get().parse::<f64>().ok()?,
    };
    #[expect(
        clippy::float_cmp,
        reason = "small integers are exact in f64, and PHP compares them exactly too"
    )]
    (0..=u8::MAX).find(|small| f64::from(*small) == number)
}

/// PHP's cast to boolean, except for lists and objects.
fn is_truthy(raw: &RawValue) -> bool {
    match raw.get() {
        "null" | "false" | "\"\"" | "\"0\"" => false,
        number => number.parse::<f64>() != Ok(0.0),
    }
}

/// The session ids in a list, or in an object, which PHP decodes as one. `None` if it is neither.
fn session_list(raw: &RawValue) -> Result<Option<SessionIds>, WampError> {
    if !raw.get().starts_with(['[', '{']) {
        return Ok(None);
    }
    let list: List<'_> =
        serde_json::from_str(raw.get()).map_err(|error| WampError::NotJson { problem: error.to_string() })?;
    let id = |raw: &&RawValue| {
        serde_json::from_str::<Cow<'_, str>>(raw.get())
            .map_or(SessionId::NOBODY, |id| SessionId::parse_or_nobody(&id))
    };
    Ok(Some(SessionIds::new(list.values.iter().map(id).collect())?))
}

/// Checks the nesting. `serde_json` skips raw values without recursion, so deep nesting would be harmless, but the PHP server
/// refused it.
fn check_depth(text: &[u8]) -> Result<(), WampError> {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(WampError::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<ClientMessage, WampError> {
        decode_client(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn subscribe(topic: &str) -> ClientMessage {
        ClientMessage::Subscribe { topic: topic.to_owned() }
    }

    #[test]
    fn messages_that_ratchet_accepted_are_accepted() {
        for text in ["[5,\"t\"]", "[\"5\",\"t\"]", "[5.0,\"t\"]", " [5 , \"t\", 1]\n", r#"{"0":5,"1":"t"}"#] {
            assert_eq!(decode(text), Ok(subscribe("t")), "{text}");
        }
        assert_eq!(
            decode(r#"{"0":6,"1":"t","0":5}"#),
            Ok(subscribe("t")),
            "the last value of duplicate keys counts"
        );
        assert_eq!(
            decode(r#"[true,"p","http://e/x"]"#),
            Ok(ClientMessage::Prefix { prefix: "p".into(), uri: "http://e/x".into() })
        );
        assert_eq!(decode(r#"[5,"oro\/ping\u00e9"]"#), Ok(subscribe("oro/pingé")));
    }

    #[test]
    fn messages_that_ratchet_refused_are_refused() {
        for text in [
            "",
            "x",
            "null",
            "5",
            "\"t\"",
            "{}",
            "[]",
            r#"{"1":5,"0":"t"}"#,
            r#"{"0":5,"2":"t"}"#,
            r#"{"00":5,"1":"t"}"#,
            r#"[0,"t"]"#,
            r#"[3,"t"]"#,
            r#"[4,"t"]"#,
            r#"[8,"t",1]"#,
            r#"[9,"t"]"#,
            r#"[null,"t"]"#,
            r#"[[5],"t"]"#,
            r#"["5x","t"]"#,
            r#"[5.5,"t"]"#,
            r#"[-5,"t"]"#,
            "[5]",
            "[5,null]",
            "[5,7]",
            r#"[5,["t"]]"#,
            "[2]",
            "[2,1]",
            r#"[7,"t",1,[],null]"#,
            r#"[7,"t",1,[],true]"#,
            r#"[5,"t"] x"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
        let deep = |depth: usize| format!("[7,\"t\",{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(&deep(511)).is_ok());
        assert_eq!(decode(&deep(512)), Err(WampError::TooDeep));
    }

    #[test]
    fn call_arguments_may_be_wrapped_in_a_list() {
        let arguments = |text| match decode(text) {
            Ok(ClientMessage::Call { arguments, .. }) => arguments
                .iter()
                .map(|a| String::from_utf8_lossy(a.as_bytes()).into_owned())
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(arguments("[2,1,\"p\",[1,2]]"), ["1", "2"]);
        assert_eq!(arguments("[2,1,\"p\",1,2]"), ["1", "2"]);
        assert_eq!(arguments("[2,1,\"p\",[1],2]"), ["[1]", "2"]);
        assert_eq!(arguments(r#"[2,1,"p",{"a":1}]"#), [r#"{"a":1}"#]);
        assert!(arguments("[2,1,\"p\"]").is_empty());
    }

    #[test]
    fn the_fourth_element_of_publish_is_a_list_or_a_boolean() {
        let a = "0123456789abcdef0123456789abcdef";
        let parts = |text: &str| match decode(text) {
            Ok(ClientMessage::Publish { exclude_me, audience, payload, .. }) => {
                (exclude_me, audience, payload)
            }
            other => panic!("{other:?}"),
        };
        for falsy in ["false", "0", "0.0", "null", "\"\"", "\"0\""] {
            assert!(!parts(&format!("[7,\"t\",1,{falsy}]")).0, "{falsy}");
        }
        for truthy in ["true", "1", "\"x\"", "-1.5"] {
            assert!(parts(&format!("[7,\"t\",1,{truthy}]")).0, "{truthy}");
        }
        let (_, audience, _) = parts(&format!("[7,\"t\",1,[\"{a}\"],[\"{a}\",5]]"));
        assert_eq!(audience.exclude.as_slice(), [a.parse().unwrap()]);
        assert_eq!(audience.eligible.as_slice(), [SessionId::NOBODY, a.parse().unwrap()]);
        let (_, audience, _) = parts(&format!("[7,\"t\",1,{{\"x\":\"{a}\"}}]"));
        assert_eq!(audience.exclude.as_slice(), [a.parse().unwrap()], "PHP decodes an object as a list");
        assert_eq!(parts("[7,\"t\"]").2, Payload::null());
    }
}
