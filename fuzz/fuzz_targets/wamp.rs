//! Fuzzes WAMP v1 messages of both directions: parsed messages are JSON and equal after writing and reading again.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use orosync_protocol::wamp::{
    ClientMessage, PrefixTable, decode_client, decode_server, encode_client, encode_server,
};
use orosync_protocol::{Payload, SessionIds, Topic};

fuzz_target!(|input: &[u8]| {
    let text = Bytes::copy_from_slice(input);
    if let Ok(message) = decode_client(&text) {
        Payload::check(&text).expect("a message is JSON");
        check(&message);
        if !has_one_list_for_arguments(&message) {
            assert_eq!(decode_client(&encode_client(&message)).as_ref(), Ok(&message));
        }
        expand(message);
    }
    if let Ok(message) = decode_server(&text) {
        Payload::check(&text).expect("a message is JSON");
        assert_eq!(decode_server(&encode_server(&message)).as_ref(), Ok(&message));
    }
});

fn check(message: &ClientMessage) {
    match message {
        ClientMessage::Publish { payload, audience, .. } => {
            Payload::check(payload.as_bytes()).expect("a payload is JSON");
            for sessions in [&audience.exclude, &audience.eligible] {
                assert!(sessions.as_slice().len() <= SessionIds::MAX && sessions.as_slice().is_sorted());
            }
        }
        ClientMessage::Call { call_id, arguments, .. } => {
            for value in arguments.iter().chain([call_id]) {
                Payload::check(value.as_bytes()).expect("an argument is JSON");
            }
        }
        ClientMessage::Prefix { .. }
        | ClientMessage::Subscribe { .. }
        | ClientMessage::Unsubscribe { .. } => {}
    }
}

/// A single list is unwrapped when it is read: it would be unwrapped once more.
fn has_one_list_for_arguments(message: &ClientMessage) -> bool {
    matches!(message, ClientMessage::Call { arguments, .. }
        if matches!(arguments.as_slice(), [only] if only.as_bytes().starts_with(b"[")))
}

/// A prefix is taken if it is short, and then makes of a name one that is not longer than its parts.
fn expand(message: ClientMessage) {
    let ClientMessage::Prefix { prefix, uri } = message else { return };
    let mut prefixes = PrefixTable::default();
    let written = format!("{prefix}:rest");
    let (bytes, longest) = (written.len() + uri.len(), prefix.len().max(uri.len()));
    assert_eq!(prefixes.declare(prefix, uri).is_ok(), longest <= Topic::MAX_BYTES);
    assert!(prefixes.expand(written).len() <= bytes);
}
