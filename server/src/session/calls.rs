//! Remote procedures for browsers, in addition to WAMP v1's publish and subscribe.
//!
//! | procedure | arguments | result |
//! | --- | --- | --- |
//! | `orosync/ping` | none | `null`; lets a page test the connection, since browsers do not expose WebSocket pings |
//! | `orosync/resume` | none | a ticket for this session's next connection: `{ticket, seconds, positions}` |
//! | `orosync/session` | none | the session's identity, and the server: `{session, role, user, uid, org, server, node}` |
//! | `orosync/subscribe` | topic, `{since, tags}` | the missed events: `{position, complete, events}` |
//! | `orosync/tags` | topic, tags | `null`; restricts the subscription to events with one of these tags |
//!
//! The session itself answers `ping` and `session`; its shard answers the others ([`Request`]). `OroPlatform` calls and ships
//! no procedures, so these names cannot collide.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use orosync_protocol::ticket::{Identity, UserId};
use orosync_protocol::wamp::{self, ServerMessage, payload_of};
use orosync_protocol::{Payload, Position, SessionId, Topic};
use serde::{Deserialize, Serialize};

use super::SERVER_IDENT;
use super::admission::{Admission, Refused};
use crate::auth::resume::ResumeTicket;
use crate::broker::{Since, Unavailable};
use crate::frame::text_frame;
use crate::publication::tags::{MAX_TAGS, Tag};

/// A call that the session's shard executes and answers.
#[derive(Debug)]
pub enum Request {
    /// `orosync/subscribe`.
    Subscribe {
        /// The topic, which the session may subscribe to.
        topic: Topic,
        /// Start of the missed events. `None`: none are requested.
        since: Option<Since>,
        /// If given, only events with one of these tags are delivered. Sorted, without duplicates.
        tags: Option<Box<[Tag]>>,
    },
    /// `orosync/resume`.
    Resume,
    /// `orosync/tags`.
    Tags {
        /// The topic of the subscription.
        topic: Topic,
        /// The new tags, as in `Subscribe`.
        tags: Option<Box<[Tag]>>,
    },
}

/// The outcome of a call.
#[derive(Debug)]
pub enum CallOutcome {
    /// The call's result.
    Result(Payload),
    /// The shard executes the call and answers it.
    Forwarded(Request),
}

/// The session that calls.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    /// The session's id.
    pub session: SessionId,
    /// The time at which the session's 101 response was ready to be sent.
    pub since: Instant,
    /// The session's permissions.
    pub admission: Admission<'a>,
}

/// Calls a procedure. `expand` expands CURIEs in topics among the arguments.
pub fn call(
    procedure: &str,
    arguments: &[Payload],
    context: CallContext<'_>,
    expand: impl Fn(String) -> String,
) -> Result<CallOutcome, Refused> {
    let arguments = Arguments { procedure, arguments };
    match procedure {
        "orosync/ping" => Ok(CallOutcome::Result(Payload::null())),
        "orosync/resume" => Ok(CallOutcome::Forwarded(Request::Resume)),
        "orosync/session" => Ok(CallOutcome::Result(json(&Description::new(context)))),
        SUBSCRIBE => {
            let topic = context.admission.subscribe(&expand(arguments.required(0, "a topic")?))?;
            let options: Option<Options> = arguments.read(1, "an object with since and tags")?;
            let Options { since, tags } = options.unwrap_or_default();
            let since = since.map(|since| arguments.since(since, context.since)).transpose()?;
            let tags = tags.map(|tags| arguments.tags(&tags)).transpose()?;
            Ok(CallOutcome::Forwarded(Request::Subscribe { topic, since, tags }))
        }
        "orosync/tags" => {
            let name = expand(arguments.required(0, "a topic")?);
            let topic =
                Topic::parse(&name).map_err(|error| arguments.invalid(&format!("the topic {error}")))?;
            let tags: Option<Vec<String>> = arguments.read(1, TAGS)?;
            let tags = tags.map(|tags| arguments.tags(&tags)).transpose()?;
            Ok(CallOutcome::Forwarded(Request::Tags { topic, tags }))
        }
        _ => Err(Refused {
            topic: procedure.to_owned(),
            sentence: format!("unknown procedure \"{procedure}\""),
            code: 404,
        }),
    }
}

/// Encodes the result of a call as a frame.
pub fn result(call_id: Payload, result: Payload) -> Bytes {
    text_frame(wamp::encode_server(&ServerMessage::CallResult { call_id, result }))
}

/// Encodes the refusal of a call as a frame.
pub fn refusal(call_id: Payload, refused: &Refused) -> Bytes {
    let error = ServerMessage::CallError {
        call_id,
        error_uri: truncated(&refused.topic).to_owned(),
        description: refused.sentence.clone(),
        details: Some(json(&Details { code: refused.code })),
    };
    text_frame(wamp::encode_server(&error))
}

/// Maximum number of positions in an answer. By default a session may subscribe to fewer topics.
const MAX_POSITIONS: usize = 1000;

/// Retry interval in seconds for a page that got no ticket because the server issues none.
const RETRY_SECONDS: u64 = 300;

/// The answer to `orosync/resume`: a ticket, and the current positions of the topics that the session receives with positions.
/// Without a ticket the page requests one from the application for its next connection. `max_seconds` is the maximum
/// lifetime of resume tickets.
pub fn resumption<'a>(
    ticket: Option<ResumeTicket>,
    max_seconds: Option<u64>,
    positions: impl Iterator<Item = (&'a Topic, Position)>,
) -> Payload {
    let seconds = match &ticket {
        Some(ticket) => ticket.seconds,
        None => max_seconds.unwrap_or(RETRY_SECONDS),
    };
    let positions = positions
        .take(MAX_POSITIONS)
        .map(|(topic, position)| (topic.as_str(), position.to_string()))
        .collect();
    json(&ResumeAnswer { ticket: ticket.map(|ticket| ticket.ticket), seconds, positions })
}

/// A procedure name from a client, truncated for an answer to the longest name of an existing procedure.
pub fn truncated(name: &str) -> &str {
    name.get(..name.floor_char_boundary(Topic::MAX_BYTES)).unwrap_or_default()
}

/// The refusal of `orosync/tags` for a topic that the session has not subscribed to with `orosync/subscribe`.
pub fn not_recovering(topic: &Topic) -> Refused {
    let sentence = format!("there is no subscription to \"{}\" by orosync/subscribe", topic.as_str());
    Refused { topic: topic.as_str().to_owned(), sentence, code: 404 }
}

/// The refusal of `orosync/subscribe` while the broker is unavailable. It names the procedure, because the topic is valid.
pub fn unavailable() -> Refused {
    Refused { topic: SUBSCRIBE.to_owned(), sentence: Unavailable.to_string(), code: 503 }
}

const SUBSCRIBE: &str = "orosync/subscribe";

const TAGS: &str = "a list of content tags";

/// The options of `orosync/subscribe`.
#[derive(Default, Deserialize)]
struct Options {
    since: Option<SinceArgument>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SinceArgument {
    /// A position issued by the server.
    Position(String),
    /// Milliseconds before the 101 response; a negative number means after it.
    Milliseconds { milliseconds: f64 },
}

/// The arguments of a call.
struct Arguments<'a> {
    procedure: &'a str,
    arguments: &'a [Payload],
}

impl Arguments<'_> {
    /// The required argument at this index.
    fn required(&self, at: usize, what: &str) -> Result<String, Refused> {
        self.read(at, what)?.ok_or_else(|| self.invalid(&format!("{what} is missing")))
    }

    /// The optional argument at this index.
    fn read<'de, T: Deserialize<'de>>(&'de self, at: usize, what: &str) -> Result<Option<T>, Refused> {
        let Some(argument) = self.arguments.get(at) else { return Ok(None) };
        serde_json::from_slice(argument.as_bytes())
            .map_err(|_| self.invalid(&format!("argument {} is not {what}", at + 1)))
    }

    fn since(&self, since: SinceArgument, opened: Instant) -> Result<Since, Refused> {
        match since {
            SinceArgument::Position(position) => Ok(Since::Position(position.parse().ok())),
            SinceArgument::Milliseconds { milliseconds } => {
                let since =
                    Duration::try_from_secs_f64(milliseconds.abs() / 1000.0).ok().and_then(|length| {
                        if milliseconds < 0.0 {
                            opened.checked_add(length)
                        } else {
                            opened.checked_sub(length)
                        }
                    });
                let since = since
                    .ok_or_else(|| self.invalid(&format!("{milliseconds} milliseconds are too many")))?;
                Ok(Since::Instant(since))
            }
        }
    }

    fn tags(&self, names: &[String]) -> Result<Box<[Tag]>, Refused> {
        if names.len() > MAX_TAGS {
            return Err(self.invalid(&format!(
                "{} tags, at most {MAX_TAGS} are possible. Without tags all events are delivered",
                names.len()
            )));
        }
        let mut tags: Vec<Tag> = names.iter().map(|name| Tag::new(name)).collect();
        tags.sort_unstable();
        tags.dedup();
        Ok(tags.into())
    }

    fn invalid(&self, problem: &str) -> Refused {
        let procedure = self.procedure;
        Refused { topic: procedure.to_owned(), sentence: format!("{procedure}: {problem}"), code: 400 }
    }
}

#[derive(Serialize)]
struct ResumeAnswer<'a> {
    ticket: Option<String>,
    seconds: u64,
    /// Positions by topic.
    positions: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Description<'a> {
    session: String,
    role: &'static str,
    user: Option<&'a str>,
    uid: Option<&'a UserId>,
    org: Option<u64>,
    server: &'static str,
    node: &'a str,
}

impl<'a> Description<'a> {
    fn new(context: CallContext<'a>) -> Self {
        let identity: &Identity = context.admission.identity;
        Self {
            session: context.session.to_string(),
            role: identity.role.as_str(),
            user: identity.user.as_deref(),
            uid: identity.uid.as_ref(),
            org: identity.org,
            server: SERVER_IDENT,
            node: context.admission.shared.metrics.node.as_str(),
        }
    }
}

/// The details of a CALLERROR, with a code modeled on HTTP status codes like those of the old PHP server.
#[derive(Serialize)]
struct Details {
    code: u16,
}

/// Encodes a small value of the server as a payload.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Payload {
    // A struct of strings and numbers always serializes, and a browser's message is below the bound of a payload.
    payload_of(value).unwrap_or_else(|_| Payload::null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_answer_contains_as_many_positions_as_fit() {
        let name = |number: usize| Topic::parse(&format!("{number:0>255}")).unwrap();
        let topics: Vec<Topic> = (0..2 * MAX_POSITIONS).map(name).collect();
        let position = Position { offset: u64::MAX, tag: u64::MAX };
        let answer = resumption(None, None, topics.iter().map(|topic| (topic, position)));
        let answer: serde_json::Value = serde_json::from_slice(answer.as_bytes()).unwrap();
        assert_eq!(answer["positions"].as_object().unwrap().len(), MAX_POSITIONS);
        assert_eq!((&answer["ticket"], &answer["seconds"]), (&serde_json::Value::Null, &300.into()));
    }
}
