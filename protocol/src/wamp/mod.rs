//! WAMP v1, the protocol of browsers and of Oro's own PHP client. All nine messages in both directions.
//!
//! | id | name | direction | form |
//! | --- | --- | --- | --- |
//! | 0 | WELCOME | server to client | `[0, sessionId, 1, serverIdent]` |
//! | 1 | PREFIX | both | `[1, prefix, uri]` |
//! | 2 | CALL | client to server | `[2, callId, procUri, arg...]` |
//! | 3 | CALLRESULT | server to client | `[3, callId, result]` |
//! | 4 | CALLERROR | server to client | `[4, callId, errorUri, description]`, and `details` as a fifth element |
//! | 5, 6 | SUBSCRIBE, UNSUBSCRIBE | client to server | `[5, topic]`, `[6, topic]` |
//! | 7 | PUBLISH | client to server | `[7, topic, event]`, then `excludeMe` or `exclude[]`, then `eligible[]` |
//! | 8 | EVENT | server to client | `[8, topic, event]` |
//!
//! [`decode`] accepts and refuses the same messages as Ratchet. [`encode`] writes JSON like PHP (`/` as `\/`, non-ASCII as
//! `\uXXXX`), except for payloads, which are copied verbatim. [`prefix`] holds a session's CURIE prefixes.

pub mod decode;
pub mod encode;
pub mod prefix;

use crate::audience::Audience;
use crate::payload::Payload;

pub use decode::{WampError, decode_client, decode_server};
pub use encode::{append_event, append_recovery, encode_client, encode_server, payload_of};
pub use prefix::PrefixTable;

/// A message from a client. Topics and procedures are as sent: CURIEs are not expanded, and only the message's form is
/// validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// Declares `prefix:x` as an abbreviation of `uri#x`.
    Prefix {
        /// The prefix.
        prefix: String,
        /// The URI that the prefix abbreviates.
        uri: String,
    },
    /// Calls a procedure.
    Call {
        /// The id of the call: one JSON value, returned verbatim in the answer.
        call_id: Payload,
        /// The procedure.
        procedure: String,
        /// The arguments. A single list is unwrapped: `[2,id,uri,[1,2]]` equals `[2,id,uri,1,2]`.
        arguments: Vec<Payload>,
    },
    /// Subscribes to the events of a topic.
    Subscribe {
        /// The topic.
        topic: String,
    },
    /// Unsubscribes from a topic.
    Unsubscribe {
        /// The topic.
        topic: String,
    },
    /// Publishes to a topic.
    Publish {
        /// The topic.
        topic: String,
        /// The payload; `null` if the client sent none.
        payload: Payload,
        /// Whether the sender is excluded from the recipients.
        exclude_me: bool,
        /// The recipients among the subscribers.
        audience: Audience,
    },
}

/// A message from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// The first message of a session.
    Welcome {
        /// The session's id, a string that is opaque to clients.
        session: String,
        /// Product and version.
        ident: String,
    },
    /// Declares a prefix, like a client's.
    Prefix {
        /// The prefix.
        prefix: String,
        /// The URI that the prefix abbreviates.
        uri: String,
    },
    /// The result of a call.
    CallResult {
        /// The id that the call had.
        call_id: Payload,
        /// The result.
        result: Payload,
    },
    /// The error of a call, subscription or publication. For the latter two, `call_id` and `error_uri` are the topic.
    CallError {
        /// The id that the call had.
        call_id: Payload,
        /// The procedure or topic.
        error_uri: String,
        /// The reason, for people.
        description: String,
        /// Details for programs.
        details: Option<Payload>,
    },
    /// An event of a topic that the client subscribed to.
    Event {
        /// The topic, exactly as in the subscription.
        topic: String,
        /// The payload as published.
        payload: Payload,
    },
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::audience::SessionIds;
    use crate::ids::SessionId;

    fn payload() -> impl Strategy<Value = Payload> {
        prop_oneof![
            ".{0,30}".prop_map(|text| serde_json::to_vec(&text).unwrap()),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            Just(br#"{"a":[1.0,{"b":null}],"":"\/"}"#.to_vec()),
        ]
        .prop_map(|json| Payload::from_encoder(json.into()).unwrap())
    }

    fn audience() -> impl Strategy<Value = Audience> {
        let ids = || vec(any::<u128>().prop_map(SessionId), 0..3);
        let set = |ids| SessionIds::new(ids).unwrap();
        (ids(), ids())
            .prop_map(move |(exclude, eligible)| Audience { exclude: set(exclude), eligible: set(eligible) })
    }

    fn client_message() -> impl Strategy<Value = ClientMessage> {
        // A single list argument is unwrapped, so only calls without that ambiguity parse back unchanged.
        let arguments = prop_oneof![Just(vec![]), vec(payload(), 2..4)];
        prop_oneof![
            (".{0,10}", ".{0,10}").prop_map(|(prefix, uri)| ClientMessage::Prefix { prefix, uri }),
            (payload(), ".{0,10}", arguments).prop_map(|(call_id, procedure, arguments)| {
                ClientMessage::Call { call_id, procedure, arguments }
            }),
            ".{0,20}".prop_map(|topic| ClientMessage::Subscribe { topic }),
            ".{0,20}".prop_map(|topic| ClientMessage::Unsubscribe { topic }),
            (".{0,20}", payload(), audience()).prop_map(|(topic, payload, audience)| {
                ClientMessage::Publish { topic, payload, exclude_me: false, audience }
            }),
            (".{0,20}", payload()).prop_map(|(topic, payload)| ClientMessage::Publish {
                topic,
                payload,
                exclude_me: true,
                audience: Audience::default()
            }),
        ]
    }

    fn server_message() -> impl Strategy<Value = ServerMessage> {
        prop_oneof![
            ("[0-9a-f]{32}", ".{0,20}")
                .prop_map(|(session, ident)| ServerMessage::Welcome { session, ident }),
            (".{0,10}", ".{0,10}").prop_map(|(prefix, uri)| ServerMessage::Prefix { prefix, uri }),
            (payload(), payload())
                .prop_map(|(call_id, result)| ServerMessage::CallResult { call_id, result }),
            (payload(), ".{0,20}", ".{0,20}", proptest::option::of(payload())).prop_map(
                |(call_id, error_uri, description, details)| ServerMessage::CallError {
                    call_id,
                    error_uri,
                    description,
                    details
                }
            ),
            (".{0,20}", payload()).prop_map(|(topic, payload)| ServerMessage::Event { topic, payload }),
        ]
    }

    proptest! {
        #[test]
        fn client_messages_parse_back(message in client_message()) {
            prop_assert_eq!(decode_client(&encode_client(&message)), Ok(message));
        }

        #[test]
        fn server_messages_parse_back(message in server_message()) {
            prop_assert_eq!(decode_server(&encode_server(&message)), Ok(message));
        }

        #[test]
        fn encoded_messages_are_ascii_json_except_for_payloads(topic in ".{0,20}") {
            let json = encode_client(&ClientMessage::Subscribe { topic });
            prop_assert!(json.is_ascii());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }

        #[test]
        fn arbitrary_text_never_causes_a_panic(text in ".{0,60}", bytes in vec(any::<u8>(), 0..60)) {
            let _ = decode_client(&Bytes::from(text.clone()));
            let _ = decode_server(&Bytes::from(text));
            let _ = decode_client(&Bytes::from(bytes));
        }
    }
}
