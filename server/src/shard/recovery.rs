//! The answer to `orosync/subscribe`: selects the missed events that a session receives.
//!
//! Bounds: [`MAX_EVENTS`], [`MAX_BYTES`], and the room in the session's outbound queue. Beyond them only the latest
//! events are sent, and the answer is marked as incomplete.

use bytes::Bytes;
use orosync_protocol::{SessionId, wamp};

use super::replies::Recovery;
use crate::broker::Recovered;
use crate::frame::text_frame_of;
use crate::publication::event_body::EventBody;
use crate::publication::tags::Tag;

/// Maximum number of events in an answer. A page that missed more should be reloaded.
pub const MAX_EVENTS: usize = 1000;

/// Maximum size of the events in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The answer for a session.
#[derive(Debug)]
pub struct RecoveryAnswer {
    /// The answer as a WebSocket frame.
    pub frame: Bytes,
    /// Whether the answer is complete.
    pub complete: bool,
}

/// Overhead of an event in an answer in addition to its payload: brackets, quotes, position.
const EVENT_BYTES: usize = 48;

/// Maximum size of an answer without the id of its call and its events: the message's type, the names, the topic's position.
const ANSWER_BYTES: usize = 96;

/// Builds the answer. `ids` are the session's own id and those that it has resumed; `room` is its free queue space in bytes.
pub fn answer(recovery: &Recovery, recovered: &Recovered, ids: &[SessionId], room: usize) -> RecoveryAnswer {
    let max_bytes = MAX_BYTES.min(room);
    let mut meant =
        recovered.events.iter().rev().filter(|(_, body)| {
            body.is_for(ids.iter().copied()) && is_wanted(recovery.tags.as_deref(), body)
        });
    let mut bytes = 0;
    let mut events = Vec::new();
    let mut complete = recovered.complete;
    for (position, body) in meant.by_ref() {
        let with_this = bytes + EVENT_BYTES + body.payload().as_bytes().len();
        if events.len() == MAX_EVENTS || with_this > max_bytes {
            complete = false;
            break;
        }
        bytes = with_this;
        events.push((*position, body.payload()));
    }
    let length = ANSWER_BYTES + recovery.call_id.as_bytes().len() + bytes;
    let frame = text_frame_of(length, |buffer| {
        let events = events.into_iter().rev();
        wamp::append_recovery(buffer, &recovery.call_id, recovered.position, complete, events)
    });
    RecoveryAnswer { frame, complete }
}

/// Whether an event matches the wanted tags. An event without tags matches all.
fn is_wanted(wanted: Option<&[Tag]>, body: &EventBody) -> bool {
    let Some(wanted) = wanted else { return true };
    body.tags().is_none_or(|tags| tags.iter().any(|tag| wanted.binary_search(tag).is_ok()))
}

#[cfg(test)]
mod tests {
    use orosync_protocol::{Audience, Payload, Position, SessionIds};
    use tungstenite::protocol::frame::FrameHeader;

    use super::*;

    fn body(json: &str) -> EventBody {
        EventBody::new(&Payload::check(&Bytes::from(json.to_owned())).unwrap(), Audience::default())
    }

    fn recovered(events: Vec<EventBody>) -> Recovered {
        let at = |offset| Position { offset, tag: 0xa };
        let last = events.len() as u64;
        let events = (1..).map(at).zip(events).collect();
        Recovered { position: at(last), complete: true, events }
    }

    fn answer_text(recovered: &Recovered, tags: Option<&[&str]>) -> (String, bool) {
        answer_text_with_room(recovered, tags, usize::MAX)
    }

    fn answer_text_with_room(recovered: &Recovered, tags: Option<&[&str]>, room: usize) -> (String, bool) {
        let tags = tags.map(|names| {
            let mut tags: Vec<Tag> = names.iter().map(|name| Tag::new(name)).collect();
            tags.sort_unstable();
            tags.into()
        });
        let topic = orosync_protocol::Topic::parse("t").unwrap();
        let recovery = Recovery { call_id: Payload::null(), topic, since: None, tags, is_wanted: true };
        let answer = answer(&recovery, recovered, &[SessionId(6), SessionId(7)], room);
        let mut frame = std::io::Cursor::new(&answer.frame[..]);
        FrameHeader::parse(&mut frame).unwrap().unwrap();
        let at = usize::try_from(frame.position()).unwrap();
        (String::from_utf8(answer.frame[at..].to_vec()).unwrap(), answer.complete)
    }

    #[test]
    fn events_with_other_tags_are_omitted() {
        let of = |tag| body(&format!(r#"[{{"tagname":"{tag}"}}]"#));
        let recovered = recovered(vec![of("A"), of("B"), body("17")]);
        let (text, complete) = answer_text(&recovered, Some(&["B", "C"]));
        assert_eq!(
            text,
            r#"[3,null,{"position":"3.a","complete":true,"events":[["2.a",[{"tagname":"B"}]],["3.a",17]]}]"#
        );
        assert!(complete);
        assert_eq!(answer_text(&recovered, None).0.matches("tagname").count(), 2);
        assert_eq!(answer_text(&recovered, Some(&[])).0.matches("tagname").count(), 0);
    }

    #[test]
    fn events_for_other_sessions_are_omitted() {
        let only =
            |id| Audience { eligible: SessionIds::new(vec![SessionId(id)]).unwrap(), ..Audience::default() };
        let one = Payload::check(&Bytes::from_static(b"1")).unwrap();
        let events = vec![EventBody::new(&one, only(8)), EventBody::new(&one, only(7))];
        let (text, complete) = answer_text(&recovered(events), None);
        assert_eq!(text, r#"[3,null,{"position":"2.a","complete":true,"events":[["2.a",1]]}]"#);
        assert!(complete);
    }

    #[test]
    fn beyond_the_bounds_only_the_latest_events_are_sent_and_the_answer_is_incomplete() {
        let many = |count: usize, json: &str| answer_text(&recovered(vec![body(json); count]), None);
        let (text, complete) = many(MAX_EVENTS, "1");
        assert!(complete && text.contains(r#"["1.a",1]"#));
        let (text, complete) = many(MAX_EVENTS + 1, "1");
        assert!(!complete && !text.contains(r#"["1.a",1]"#) && text.contains(r#"["2.a",1]"#));
        let large = format!("\"{}\"", "x".repeat(MAX_BYTES / 4 - EVENT_BYTES - 2));
        assert!(many(4, &large).1 && !many(5, &large).1);
        let few = recovered(vec![body("1"); 3]);
        let (text, complete) = answer_text_with_room(&few, None, 2 * (EVENT_BYTES + 1));
        assert!(!complete && !text.contains(r#"["1.a",1]"#) && text.contains(r#"["2.a",1]"#));
        assert!(!answer_text_with_room(&few, None, 0).1);
    }
}
