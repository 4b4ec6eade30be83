//! Encoding of WAMP v1 messages, with the same bytes as PHP's `json_encode`. Payloads are copied verbatim.

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::{ClientMessage, ServerMessage};
use crate::audience::SessionIds;
use crate::ids::SessionId;
use crate::payload::{Payload, PayloadError, PayloadRef};
use crate::position::Position;
use crate::topic::Topic;

/// Initial capacity of the buffer of a message other than EVENT. Most messages fit, so the buffer seldom grows.
const USUAL_BYTES: usize = 128;

/// Appends an EVENT to a buffer, which already holds room for the frame header. `position` is added for the sessions that
/// subscribed with positions. An event is encoded once for all sessions of a topic.
pub fn append_event(
    buffer: Vec<u8>,
    topic: &Topic,
    payload: PayloadRef<'_>,
    position: Option<Position>,
) -> Vec<u8> {
    let event = JsonArray::behind(buffer, 8).string(topic.as_str()).raw_bytes(payload.as_bytes());
    match position {
        None => event.close(),
        Some(position) => event.position(position).close(),
    }
}

/// Appends the CALLRESULT of `orosync/subscribe` to a buffer, which already holds room for the frame header: the topic's current
/// position, whether the requested events are complete, and the events, the oldest first.
pub fn append_recovery<'a>(
    buffer: Vec<u8>,
    call_id: &Payload,
    position: Position,
    complete: bool,
    events: impl Iterator<Item = (Position, PayloadRef<'a>)>,
) -> Vec<u8> {
    let mut json = JsonArray::behind(buffer, 3).raw(call_id);
    json.text(format_args!(r#",{{"position":"{position}","complete":{complete},"events":["#));
    for (number, (position, payload)) in events.enumerate() {
        json.text(format_args!(r#"{}["{position}","#, if number == 0 { "" } else { "," }));
        json.0.extend_from_slice(payload.as_bytes());
        json.0.push(b']');
    }
    json.0.extend_from_slice(b"]}");
    json.close()
}

/// Encodes a message of the server as JSON.
pub fn encode_server(message: &ServerMessage) -> Bytes {
    match message {
        ServerMessage::Welcome { session, ident } => {
            JsonArray::new(0).string(session).value(&1).string(ident).finish()
        }
        ServerMessage::Prefix { prefix, uri } => JsonArray::new(1).string(prefix).string(uri).finish(),
        ServerMessage::CallResult { call_id, result } => JsonArray::new(3).raw(call_id).raw(result).finish(),
        ServerMessage::CallError { call_id, error_uri, description, details } => {
            let error = JsonArray::new(4).raw(call_id).string(error_uri).string(description);
            details.iter().fold(error, JsonArray::raw).finish()
        }
        ServerMessage::Event { topic, payload } => JsonArray::new(8).string(topic).raw(payload).finish(),
    }
}

/// Encodes a message of a client as JSON.
pub fn encode_client(message: &ClientMessage) -> Bytes {
    match message {
        ClientMessage::Prefix { prefix, uri } => JsonArray::new(1).string(prefix).string(uri).finish(),
        ClientMessage::Call { call_id, procedure, arguments } => {
            let call = JsonArray::new(2).raw(call_id).string(procedure);
            arguments.iter().fold(call, JsonArray::raw).finish()
        }
        ClientMessage::Subscribe { topic } => JsonArray::new(5).string(topic).finish(),
        ClientMessage::Unsubscribe { topic } => JsonArray::new(6).string(topic).finish(),
        ClientMessage::Publish { topic, payload, exclude_me, audience } => {
            let publish = JsonArray::new(7).string(topic).raw(payload);
            let publish = match (exclude_me, audience.is_everybody()) {
                (false, true) => return publish.finish(),
                (true, _) => publish.value(&true),
                (false, false) => publish.value(&ids(&audience.exclude)),
            };
            if audience.eligible.as_slice().is_empty() {
                publish.finish()
            } else {
                publish.value(&ids(&audience.eligible)).finish()
            }
        }
    }
}

/// Encodes a value as a payload, in the format of PHP's `json_encode`.
///
/// # Errors
///
/// If the JSON is too large for a payload, or the value cannot be serialized.
pub fn payload_of(value: &(impl Serialize + ?Sized)) -> Result<Payload, PayloadError> {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    value
        .serialize(&mut Serializer::with_formatter(&mut json, AsPhp))
        .map_err(|error| PayloadError::NotJson { problem: error.to_string() })?;
    Payload::from_encoder(json.into())
}

fn ids(sessions: &SessionIds) -> Vec<String> {
    sessions.as_slice().iter().map(SessionId::to_string).collect()
}

/// Builder of a JSON array. All commas and brackets are written here.
struct JsonArray(Vec<u8>);

impl JsonArray {
    fn new(message_type: u8) -> Self {
        Self::behind(Vec::with_capacity(USUAL_BYTES), message_type)
    }

    fn behind(mut buffer: Vec<u8>, message_type: u8) -> Self {
        buffer.extend([b'[', b'0' + message_type]);
        Self(buffer)
    }

    fn raw(self, payload: &Payload) -> Self {
        self.raw_bytes(payload.as_bytes())
    }

    fn raw_bytes(mut self, json: &[u8]) -> Self {
        self.0.push(b',');
        self.0.extend_from_slice(json);
        self
    }

    fn position(mut self, position: Position) -> Self {
        self.text(format_args!(r#","{position}""#));
        self
    }

    /// Appends text as it is.
    fn text(&mut self, text: fmt::Arguments<'_>) {
        let written = self.0.write_fmt(text);
        debug_assert!(written.is_ok(), "writing into memory does not fail");
    }

    fn string(self, text: &str) -> Self {
        self.value(text)
    }

    fn value<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.0.push(b',');
        let written = value.serialize(&mut Serializer::with_formatter(&mut self.0, AsPhp));
        debug_assert!(written.is_ok(), "numbers, strings and lists of them always serialize into memory");
        self
    }

    fn finish(self) -> Bytes {
        self.close().into()
    }

    fn close(mut self) -> Vec<u8> {
        self.0.push(b']');
        self.0
    }
}

/// The escapes of PHP's `json_encode` without flags: `/` as `\/`, non-ASCII as `\uXXXX`. `serde_json` escapes the rest itself.
struct AsPhp;

impl Formatter for AsPhp {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.bytes().position(|byte| byte == b'/' || !byte.is_ascii()) {
            let (as_it_is, from) = rest.split_at(at);
            writer.write_all(as_it_is.as_bytes())?;
            let mut characters = from.chars();
            match characters.next() {
                Some('/') => writer.write_all(b"\\/")?,
                Some(other) => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                None => {}
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(json: &'static str) -> Payload {
        Payload::check(&Bytes::from_static(json.as_bytes())).unwrap()
    }

    #[test]
    fn messages_are_encoded_like_in_php() {
        let welcome = ServerMessage::Welcome {
            session: "17923349366b06233d3a0be253797055".into(),
            ident: "Ratchet/0.4.4".into(),
        };
        assert_eq!(
            encode_server(&welcome),
            &br#"[0,"17923349366b06233d3a0be253797055",1,"Ratchet\/0.4.4"]"#[..]
        );
        let topic = Topic::parse("a/\u{fc}\u{1f600}\"").unwrap();
        assert_eq!(event(&topic, "null", None), r#"[8,"a\/\u00fc\ud83d\ude00\"",null]"#);
    }

    #[test]
    fn a_payload_is_copied_verbatim() {
        let topic = Topic::parse("t").unwrap();
        let json = r#"{"b":1.0,"a":{},"b":12345678901234567890}"#;
        assert_eq!(event(&topic, json, None), format!(r#"[8,"t",{json}]"#));
        let position = Some(Position { offset: 17, tag: 0xab });
        assert_eq!(event(&topic, json, position), format!(r#"[8,"t",{json},"17.ab"]"#));
    }

    #[test]
    fn a_recovery_contains_its_events_with_their_positions() {
        let at = |offset| Position { offset, tag: 0xab };
        let recovery = |events: &[(Position, &'static str)], complete| {
            let events = events
                .iter()
                .map(|(position, json)| (*position, PayloadRef::from_encoder(json.as_bytes()).unwrap()));
            append_recovery(Vec::new(), &payload("\"id\""), at(17), complete, events)
        };
        assert_eq!(recovery(&[], true), &br#"[3,"id",{"position":"17.ab","complete":true,"events":[]}]"#[..]);
        assert_eq!(
            recovery(&[(at(16), "[1]"), (at(17), "null")], false),
            &br#"[3,"id",{"position":"17.ab","complete":false,"events":[["16.ab",[1]],["17.ab",null]]}]"#[..]
        );
    }

    fn event(topic: &Topic, json: &str, position: Option<Position>) -> String {
        let payload = PayloadRef::from_encoder(json.as_bytes()).unwrap();
        String::from_utf8(append_event(Vec::new(), topic, payload, position)).unwrap()
    }
}
