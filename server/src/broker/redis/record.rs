//! The binary format of entries: events as stored and pushed by Redis.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | the tag of the topic's previous event |
//! | 8 | its own tag, random |
//! | 8 | its offset |
//! | 8 | time of acceptance on Redis' clock, as Unix time in milliseconds |
//! | 4 | number of bytes that follow |
//! | 2, 2 | number of excluded and of eligible sessions |
//! | 16 each | their ids |
//! | the rest | the payload |
//!
//! The publishing node writes the body, which is the last four fields; the script prepends the others. Numbers are big-endian.
//! Entries that are pushed together are concatenated.
//!
//! Tags chain the events of a topic. With them a node detects missed events, even if a promoted replica reuses offsets on a new
//! timeline.

use bytes::Bytes;
use orosync_protocol::link_frame::Message;
use orosync_protocol::{Audience, Payload, Position, SessionId, SessionIds};

use crate::publication::event_body::EventBody;

const HEADER: usize = 32;
const LENGTH: usize = 4;
const COUNTS: usize = 4;
const ID: usize = size_of::<u128>();

/// An event as stored and pushed by Redis.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The tag of the previous event.
    pub(super) previous_tag: u64,
    pub(super) position: Position,
    /// Time of acceptance on Redis' clock, as Unix time in milliseconds.
    pub(super) accepted: u64,
    body: Bytes,
}

/// The bytes are not an entry. Other software, or another version, has written to these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid entry of a topic")]
pub(super) struct InvalidEntry;

impl Entry {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, InvalidEntry> {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidEntry)?;
            Ok(u64::from_be_bytes(bytes))
        };
        let (previous_tag, tag, offset, accepted) = (number(0)?, number(8)?, number(16)?, number(24)?);
        if bytes.len() != length(bytes)? {
            return Err(InvalidEntry);
        }
        let body = bytes.slice(HEADER + LENGTH..);
        let entry = Self { previous_tag, position: Position { offset, tag }, accepted, body };
        // Validates the parts, so that decoding them later cannot fail.
        entry.parts().map(|_| entry)
    }

    /// Decodes concatenated entries.
    pub(super) fn decode_run(mut bytes: Bytes) -> Result<Vec<Self>, InvalidEntry> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let length = length(&bytes)?;
            entries.push(Self::decode(&bytes.split_to_checked(length)?)?);
        }
        Ok(entries)
    }

    /// The memory of the entry in bytes.
    pub(super) fn bytes(&self) -> usize {
        HEADER + LENGTH + self.body.len()
    }

    /// The payload.
    pub(super) fn payload(&self) -> Payload {
        self.parts().map_or_else(|_| Payload::null(), |(_, payload)| payload)
    }

    /// Payload and audience, in the form for delivery to sessions.
    pub(super) fn event_body(&self) -> EventBody {
        let (audience, payload) = self.parts().unwrap_or_else(|_| (Audience::default(), Payload::null()));
        EventBody::new(&payload, audience)
    }

    fn parts(&self) -> Result<(Audience, Payload), InvalidEntry> {
        let mut rest = self.body.clone();
        let counts = rest.split_to_checked(COUNTS)?;
        let count = |at: usize| usize::from(u16::from_be_bytes([counts[at], counts[at + 1]]));
        let mut ids = |count: usize| {
            let ids = rest.split_to_checked(count * ID)?;
            let ids = ids.chunks_exact(ID).filter_map(|id| id.try_into().ok());
            let mut ids: Vec<_> = ids.map(|id| SessionId(u128::from_be_bytes(id))).collect();
            // The sender's own id may be one beyond the bound.
            let sender = if ids.len() > SessionIds::MAX { ids.pop() } else { None };
            let mut ids = SessionIds::new(ids).map_err(|_| InvalidEntry)?;
            if let Some(sender) = sender {
                ids.insert(sender);
            }
            Ok(ids)
        };
        let audience = Audience { exclude: ids(count(0))?, eligible: ids(count(2))? };
        let payload = Payload::from_encoder(rest).map_err(|_| InvalidEntry)?;
        Ok((audience, payload))
    }
}

/// The length of the entry at the start of these bytes.
fn length(bytes: &Bytes) -> Result<usize, InvalidEntry> {
    let length = bytes.get(HEADER..HEADER + LENGTH).and_then(|length| length.try_into().ok());
    let length = u32::from_be_bytes(length.ok_or(InvalidEntry)?);
    Ok(HEADER + LENGTH + length as usize)
}

/// Encodes the body of a message.
pub(super) fn body(message: &Message) -> Vec<u8> {
    let Audience { exclude, eligible } = &message.audience;
    let sets = [exclude, eligible].map(SessionIds::as_slice);
    let ids: usize = sets.iter().map(|ids| ids.len()).sum();
    let length = COUNTS + ids * ID + message.payload.len();
    let mut body = Vec::with_capacity(LENGTH + length);
    body.extend(u32::try_from(length).unwrap_or(0).to_be_bytes());
    for ids in sets {
        body.extend(u16::try_from(ids.len()).unwrap_or(0).to_be_bytes());
    }
    for id in sets.into_iter().flatten() {
        body.extend(id.0.to_be_bytes());
    }
    body.extend_from_slice(message.payload.as_bytes());
    body
}

trait SplitChecked: Sized {
    fn split_to_checked(&mut self, at: usize) -> Result<Self, InvalidEntry>;
}

impl SplitChecked for Bytes {
    fn split_to_checked(&mut self, at: usize) -> Result<Self, InvalidEntry> {
        if at > self.len() { Err(InvalidEntry) } else { Ok(self.split_to(at)) }
    }
}

/// Encodes an entry like the script.
#[cfg(test)]
pub(super) fn encode(previous_tag: u64, position: Position, accepted: u64, message: &Message) -> Vec<u8> {
    let numbers = [previous_tag, position.tag, position.offset, accepted];
    numbers.iter().flat_map(|number| number.to_be_bytes()).chain(body(message)).collect()
}

#[cfg(test)]
mod tests {
    use orosync_protocol::Topic;

    use super::*;

    fn message(exclude: &[u128], eligible: &[u128], payload: &'static str) -> Message {
        let ids = |ids: &[u128]| SessionIds::new(ids.iter().copied().map(SessionId).collect()).unwrap();
        Message {
            topic: Topic::parse("t").unwrap(),
            payload: Payload::from_encoder(Bytes::from_static(payload.as_bytes())).unwrap(),
            audience: Audience { exclude: ids(exclude), eligible: ids(eligible) },
        }
    }

    #[test]
    fn a_decoded_entry_equals_the_encoded_one() {
        let position = Position { offset: 7, tag: u64::MAX };
        for message in [message(&[], &[], "\"all\""), message(&[1, 2], &[u128::MAX], "[1]")] {
            let bytes = encode(3, position, 1_700_000_000_000, &message);
            let entry = Entry::decode(&bytes.into()).unwrap();
            assert_eq!(
                (entry.previous_tag, entry.position, entry.accepted),
                (3, position, 1_700_000_000_000)
            );
            assert_eq!(entry.payload(), message.payload);
            assert_eq!(entry.parts().unwrap().0, message.audience);
        }
    }

    #[test]
    fn a_sender_beyond_the_bound_stays_excluded() {
        let all: Vec<u128> = (1..=1000).collect();
        let mut message = message(&all, &[], "1");
        message.audience.exclude.insert(SessionId(5000));
        let entry = Entry::decode(&encode(3, Position::UNKNOWN, 5, &message).into()).unwrap();
        assert!(entry.parts().unwrap().0 == message.audience);
    }

    #[test]
    fn a_truncated_entry_is_rejected() {
        let whole = encode(3, Position { offset: 7, tag: 9 }, 5, &message(&[1], &[2], "1"));
        for end in 0..whole.len() {
            assert!(Entry::decode(&Bytes::copy_from_slice(&whole[..end])).is_err(), "{end}");
        }
        let mut run = Vec::new();
        for _ in 0..2 {
            run.extend(&whole);
        }
        assert_eq!(Entry::decode_run(run.clone().into()).unwrap().len(), 2);
        run.pop();
        assert!(Entry::decode_run(run.into()).is_err());
    }
}
