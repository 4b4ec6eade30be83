//! Remote procedures: what a browser may ask beyond WAMP v1's publish and subscribe.
//!
//! | procedure | arguments | result |
//! | --- | --- | --- |
//! | `orosync/ping` | none | `null`: a browser tells a page nothing of pings, so a page asks by a call whether the path still works |
//! | `orosync/session` | none | who this session is to the server: `{session, role, user, uid, org, server}` |
//!
//! OroPlatform calls none and ships none, so our names cannot collide.

use orosync_protocol::ticket::{Identity, UserId};
use orosync_protocol::wamp::{ServerMessage, payload_of};
use orosync_protocol::{Payload, SessionId};
use serde::Serialize;

use super::SERVER_IDENT;

/// Runs a procedure; the answer has the id of the call, as it was sent.
pub fn call(call_id: Payload, procedure: &str, session: SessionId, identity: &Identity) -> ServerMessage {
    match procedure {
        "orosync/ping" => ServerMessage::CallResult { call_id, result: Payload::null() },
        "orosync/session" => {
            let description = Description {
                session: session.to_string(),
                role: identity.role.as_str(),
                user: identity.user.as_deref(),
                uid: identity.uid.as_ref(),
                org: identity.org,
                server: SERVER_IDENT,
            };
            ServerMessage::CallResult { call_id, result: json(&description) }
        }
        _ => ServerMessage::CallError {
            call_id,
            description: format!("there is no procedure \"{procedure}\" here"),
            error_uri: procedure.to_owned(),
            details: Some(json(&Details { code: 404 })),
        },
    }
}

#[derive(Serialize)]
struct Description<'a> {
    session: String,
    role: &'static str,
    user: Option<&'a str>,
    uid: Option<&'a UserId>,
    org: Option<u64>,
    server: &'static str,
}

/// The details of a CALLERROR, with a code after HTTP's, as the old server gave.
#[derive(Serialize)]
pub(super) struct Details {
    pub(super) code: u16,
}

/// Our own small values as payloads.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Payload {
    // Structs of strings and numbers always serialize, and a message of a browser is below a payload's bound.
    payload_of(value).unwrap_or_else(|_| Payload::null())
}
