//! The payload and audience of an accepted message, stored for the frames of its event and for the history of its topic.
//!
//! A single allocation, shared by all holders. It is a copy, so that the message's link frame, which may be much larger, is
//! freed.

use std::fmt;

use once_cell::race::OnceBox;
use orosync_protocol::{Audience, Payload, PayloadRef, SessionId};
use triomphe::ThinArc;

use super::tags::{Tag, may_name_tags, tags_of};

/// Payload and audience of an accepted message. Clones share the allocation.
#[derive(Clone)]
pub struct EventBody(ThinArc<Head, u8>);

struct Head {
    /// The recipients. `None`, the usual case: all subscribers.
    audience: Option<Box<Audience>>,
    /// The content tags, parsed on first use.
    tags: OnceBox<Option<Box<[Tag]>>>,
}

impl EventBody {
    /// Copies the payload of a message, and takes its audience.
    pub fn new(payload: &Payload, audience: Audience) -> Self {
        let audience = (!audience.is_everybody()).then(|| Box::new(audience));
        let head = Head { audience, tags: OnceBox::new() };
        Self(ThinArc::from_header_and_slice(head, payload.as_bytes()))
    }

    /// The payload.
    pub fn payload(&self) -> PayloadRef<'_> {
        PayloadRef::of_checked(&self.0.slice)
    }

    /// Whether all subscribers receive the message.
    pub fn is_for_everybody(&self) -> bool {
        self.0.header.header.audience.is_none()
    }

    /// Whether a session receives the message. `ids` are its own id and those of the sessions that it has resumed.
    pub fn is_for(&self, ids: impl IntoIterator<Item = SessionId>) -> bool {
        self.0.header.header.audience.as_ref().is_none_or(|audience| audience.includes(ids))
    }

    /// Upper bound of its memory in bytes, apart from a fixed amount.
    pub fn cost(&self) -> usize {
        let payload = &self.0.slice;
        let ids = self
            .0
            .header
            .header
            .audience
            .as_ref()
            .map_or(0, |audience| audience.exclude.as_slice().len() + audience.eligible.as_slice().len());
        // A tag has 8 bytes, and its entry in the payload at least 16.
        let tags = if may_name_tags(payload) { payload.len() / 2 } else { 0 };
        payload.len() + tags + ids * size_of::<SessionId>()
    }

    /// The content tags in the payload. `None` if it is not a list of tags. The payload is parsed once.
    pub fn tags(&self) -> Option<&[Tag]> {
        self.0.header.header.tags.get_or_init(|| Box::new(tags_of(&self.0.slice))).as_deref()
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventBody({} bytes)", self.0.slice.len())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use orosync_protocol::SessionIds;

    use super::*;

    #[test]
    fn payload_and_audience_are_copied() {
        let payload = Payload::check(&Bytes::from_static(b"[1,2]")).unwrap();
        let body = EventBody::new(&payload, Audience::default());
        assert_eq!(body.payload().as_bytes(), b"[1,2]");
        assert!(body.is_for_everybody() && body.is_for([SessionId(1)]));
        let exclude = SessionIds::new(vec![SessionId(1)]).unwrap();
        let body = EventBody::new(&payload, Audience { exclude, ..Audience::default() });
        assert!(!body.is_for_everybody() && !body.is_for([SessionId(1)]) && body.is_for([SessionId(2)]));
    }

    #[test]
    fn the_cost_covers_payload_audience_and_tags() {
        let cost = |json: &'static str, audience| {
            EventBody::new(&Payload::check(&Bytes::from_static(json.as_bytes())).unwrap(), audience).cost()
        };
        assert_eq!(cost("1234567890", Audience::default()), 10);
        assert_eq!(cost(r#"[{"tagname":"A"}]"#, Audience::default()), 17 + 8);
        let ids = |count| SessionIds::new((1..=count).map(SessionId).collect()).unwrap();
        let audience = Audience { exclude: ids(1000), eligible: ids(10) };
        assert_eq!(cost("1234567890", audience), 10 + 16 * 1010);
    }
}
