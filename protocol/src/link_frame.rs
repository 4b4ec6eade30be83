//! The frames of the backend link between publisher and server, version 1.
//!
//! Each frame is one binary WebSocket message. Numbers are big-endian. The subprotocol names the version
//! ([`crate::subprotocol::LINK`]); a change that an older end cannot read gets a new name.
//!
//! ```text
//! publisher                                   server
//!   Hello { publisher }            ------->
//!                                  <-------     Welcome { accepted: highest Seq accepted before }
//!   Publish { first, messages }    ------->
//!                                  <-------     Ack { accepted }             (cumulative)
//!                                  <-------     Refused { accepted, refusals } (an Ack of messages not all delivered)
//! ```
//!
//! | frame | bytes |
//! | --- | --- |
//! | Hello | `0x01`, publisher id (16) |
//! | Publish | `0x02`, Seq of the first message (8), count (4), then each message |
//! | a message | topic length (2), topic, payload length (4), payload, exclude count (2), ids (16 each), eligible count (2), ids |
//! | Welcome | `0x81`, highest accepted Seq or 0 (8) |
//! | Ack | `0x82`, highest accepted Seq (8) |
//! | Refused | `0x83`, highest accepted Seq (8), count of refused messages (8), Seq of the first (8), reason: UTF-8 to the end |

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::audience::{Audience, SessionIds, TooManySessions};
use crate::ids::{PublisherId, Seq, SessionId};
use crate::payload::{Payload, PayloadError, PayloadRef};
use crate::topic::{Topic, TopicError, TopicRef};

/// Maximum size of a link frame in bytes: a batch of up to [`BATCH_BYTES`], followed by one message of any size.
pub const MAX_FRAME_BYTES: usize = 2 << 20;

/// Size in bytes at which a publisher completes a batch.
pub const BATCH_BYTES: usize = 256 << 10;

/// Maximum number of messages in a batch.
pub const BATCH_MESSAGES: usize = 1024;

/// A message of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: Topic,
    /// The payload.
    pub payload: Payload,
    /// The recipients among the subscribers.
    pub audience: Audience,
}

impl Message {
    /// The message with borrowed parts.
    pub fn lend(&self) -> MessageRef<'_> {
        MessageRef { topic: self.topic.lend(), payload: self.payload.lend(), audience: &self.audience }
    }
}

/// A message with borrowed parts.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The payload.
    pub payload: PayloadRef<'a>,
    /// The recipients among the subscribers.
    pub audience: &'a Audience,
}

impl MessageRef<'_> {
    /// Size in a Publish frame, in bytes.
    pub fn encoded_len(&self) -> usize {
        let ids = self.audience.exclude.as_slice().len() + self.audience.eligible.as_slice().len();
        self.topic.as_str().len() + self.payload.as_bytes().len() + ids * size_of::<u128>() + 10
    }

    /// Appends the encoded message to `buffer`.
    pub fn encode(&self, buffer: &mut BytesMut) {
        let (topic, payload) = (self.topic.as_str().as_bytes(), self.payload.as_bytes());
        buffer.reserve(self.encoded_len());
        #[expect(clippy::cast_possible_truncation, reason = "a topic has at most 255 bytes, a payload 1 MiB")]
        {
            buffer.put_u16(topic.len() as u16);
            buffer.put_slice(topic);
            buffer.put_u32(payload.len() as u32);
        }
        buffer.put_slice(payload);
        put_sessions(buffer, &self.audience.exclude);
        put_sessions(buffer, &self.audience.eligible);
    }
}

fn put_sessions(buffer: &mut BytesMut, sessions: &SessionIds) {
    let sessions = sessions.as_slice();
    #[expect(clippy::cast_possible_truncation, reason = "a set has at most 1000 ids, and a sender's")]
    buffer.put_u16(sessions.len() as u16);
    for session in sessions {
        buffer.put_u128(session.0);
    }
}

/// A message encoded for a Publish frame. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedMessage(Bytes);

impl EncodedMessage {
    /// Encodes a message into `buffer`, which must be empty, and splits it off. Messages share the memory of the buffer.
    pub fn new(message: MessageRef<'_>, buffer: &mut BytesMut) -> Self {
        message.encode(buffer);
        Self(buffer.split().freeze())
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of encoded bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always false: an encoded message contains at least its topic.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topic of the message.
    pub fn topic(&self) -> Result<Topic, FrameError> {
        take_topic(&mut self.0.clone())
    }
}

/// A frame from a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublisherFrame {
    /// The first frame of each connection.
    Hello {
        /// The publisher's id, the same for all connections of a process.
        publisher: PublisherId,
    },
    /// Messages with the sequence numbers `first`, `first + 1`, ...
    Publish {
        /// The number of the first message.
        first: Seq,
        /// The messages, at most [`BATCH_MESSAGES`].
        messages: Vec<Message>,
    },
}

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// The answer to Hello.
    Welcome {
        /// The highest number accepted from this publisher. `None` if the server knows of none.
        accepted: Option<Seq>,
    },
    /// The broker has accepted all messages up to and including this one.
    Ack {
        /// The highest accepted number.
        accepted: Seq,
    },
    /// An Ack of messages of which some are permanently refused. A single frame carries both, so that no refusal arrives
    /// without its acknowledgement, and its size does not depend on the number of refused messages.
    Refused {
        /// The highest accepted number.
        accepted: Seq,
        /// The refused messages.
        refusals: Refusals,
    },
}

/// The refused messages among those that a frame acknowledges. They are not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Number of refused messages.
    pub count: u64,
    /// The first refused message.
    pub first: Seq,
    /// The reason for refusing the first message, for people.
    pub reason: String,
}

mod tag {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const PUBLISH: u8 = 0x02;
    pub(super) const WELCOME: u8 = 0x81;
    pub(super) const ACK: u8 = 0x82;
    pub(super) const REFUSED: u8 = 0x83;
}

/// Length of the head of a Publish frame: kind, number of the first message, count.
pub const PUBLISH_HEAD: usize = 1 + 8 + 4;

fn publish_head(first: Seq, count: u32) -> [u8; PUBLISH_HEAD] {
    let mut head = [tag::PUBLISH; PUBLISH_HEAD];
    head[1..9].copy_from_slice(&first.get().to_be_bytes());
    head[9..].copy_from_slice(&count.to_be_bytes());
    head
}

/// Counts the messages of a Publish frame, which consists of [`Batch::head`] and the encoded messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    messages: usize,
    bytes: usize,
}

impl Batch {
    /// Whether the batch has room for another message, of any size.
    pub fn has_room(self) -> bool {
        self.frame_len() < BATCH_BYTES && self.messages < BATCH_MESSAGES
    }

    /// Counts a message.
    pub fn add(&mut self, message: &EncodedMessage) {
        self.messages += 1;
        self.bytes += message.len();
    }

    /// Number of messages counted so far.
    pub fn messages(self) -> usize {
        self.messages
    }

    /// Size of the frame in bytes.
    pub fn frame_len(self) -> usize {
        PUBLISH_HEAD + self.bytes
    }

    /// The head of the frame if its first message has this number.
    pub fn head(self, first: Seq) -> [u8; PUBLISH_HEAD] {
        #[expect(clippy::cast_possible_truncation, reason = "a batch has at most BATCH_MESSAGES")]
        publish_head(first, self.messages as u32)
    }
}

/// Builds a Publish frame message by message, in memory that is allocated once.
#[derive(Debug)]
pub struct PublishEncoder {
    frame: BytesMut,
    count: u32,
}

impl PublishEncoder {
    /// Begins a frame whose first message has this number. `bytes` is the capacity reserved for messages.
    pub fn new(first: Seq, bytes: usize) -> Self {
        let mut frame = BytesMut::with_capacity(PUBLISH_HEAD + bytes);
        frame.put_slice(&publish_head(first, 0));
        Self { frame, count: 0 }
    }

    /// Appends a message.
    pub fn push(&mut self, message: &Message) {
        message.lend().encode(&mut self.frame);
        self.count += 1;
    }

    /// The finished frame.
    pub fn finish(mut self) -> Bytes {
        if let Some(count) = self.frame.get_mut(9..PUBLISH_HEAD) {
            count.copy_from_slice(&self.count.to_be_bytes());
        }
        self.frame.freeze()
    }
}

impl PublisherFrame {
    /// The encoded frame.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Hello { publisher } => {
                let mut frame = BytesMut::with_capacity(17);
                frame.put_u8(tag::HELLO);
                frame.put_u128(publisher.0);
                frame.freeze()
            }
            Self::Publish { first, messages } => {
                let bytes = messages.iter().map(|message| message.lend().encoded_len()).sum();
                let mut encoder = PublishEncoder::new(*first, bytes);
                for message in messages {
                    encoder.push(message);
                }
                encoder.finish()
            }
        }
    }

    /// Parses a frame. Topics are copied; payloads are slices of `frame`.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        match take_u8(&mut frame)? {
            tag::HELLO => {
                let publisher = PublisherId(frame.try_get_u128()?);
                end(&frame)?;
                Ok(Self::Hello { publisher })
            }
            tag::PUBLISH => {
                let first = Seq::new(frame.try_get_u64()?).ok_or(FrameError::SeqZero)?;
                let count = frame.try_get_u32()? as usize;
                if count > BATCH_MESSAGES {
                    return Err(FrameError::TooManyMessages { count });
                }
                let messages = (0..count).map(|_| take_message(&mut frame)).collect::<Result<_, _>>()?;
                end(&frame)?;
                Ok(Self::Publish { first, messages })
            }
            other => Err(FrameError::Kind { kind: other }),
        }
    }
}

impl ServerFrame {
    /// The encoded frame.
    pub fn encode(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(9);
        match self {
            Self::Welcome { accepted } => {
                frame.put_u8(tag::WELCOME);
                frame.put_u64(accepted.map_or(0, Seq::get));
            }
            Self::Ack { accepted } => {
                frame.put_u8(tag::ACK);
                frame.put_u64(accepted.get());
            }
            Self::Refused { accepted, refusals } => {
                frame.put_u8(tag::REFUSED);
                frame.put_u64(accepted.get());
                frame.put_u64(refusals.count);
                frame.put_u64(refusals.first.get());
                frame.put_slice(refusals.reason.as_bytes());
            }
        }
        frame.freeze()
    }

    /// Parses a frame.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        match take_u8(&mut frame)? {
            tag::WELCOME => {
                let accepted = Seq::new(frame.try_get_u64()?);
                end(&frame)?;
                Ok(Self::Welcome { accepted })
            }
            tag::ACK => {
                let accepted = Seq::new(frame.try_get_u64()?).ok_or(FrameError::SeqZero)?;
                end(&frame)?;
                Ok(Self::Ack { accepted })
            }
            tag::REFUSED => {
                let accepted = Seq::new(frame.try_get_u64()?).ok_or(FrameError::SeqZero)?;
                let count = frame.try_get_u64()?;
                let first = Seq::new(frame.try_get_u64()?).ok_or(FrameError::SeqZero)?;
                let reason = String::from_utf8_lossy(&frame).into_owned();
                Ok(Self::Refused { accepted, refusals: Refusals { count, first, reason } })
            }
            other => Err(FrameError::Kind { kind: other }),
        }
    }
}

fn take_u8(frame: &mut Bytes) -> Result<u8, FrameError> {
    Ok(frame.try_get_u8()?)
}

fn take_bytes(frame: &mut Bytes, length: usize) -> Result<Bytes, FrameError> {
    if frame.len() < length { Err(FrameError::Short) } else { Ok(frame.split_to(length)) }
}

fn take_topic(frame: &mut Bytes) -> Result<Topic, FrameError> {
    let length = frame.try_get_u16()? as usize;
    Ok(Topic::parse_bytes(&take_bytes(frame, length)?)?)
}

fn take_message(frame: &mut Bytes) -> Result<Message, FrameError> {
    let topic = take_topic(frame)?;
    let length = frame.try_get_u32()? as usize;
    let payload = Payload::check(&take_bytes(frame, length)?)?;
    let audience = Audience { exclude: take_sessions(frame)?, eligible: take_sessions(frame)? };
    Ok(Message { topic, payload, audience })
}

fn take_sessions(frame: &mut Bytes) -> Result<SessionIds, FrameError> {
    let count = frame.try_get_u16()? as usize;
    if count > SessionIds::MAX {
        return Err(TooManySessions { count }.into());
    }
    let ids = (0..count).map(|_| Ok(SessionId(frame.try_get_u128()?))).collect::<Result<_, FrameError>>()?;
    Ok(SessionIds::new(ids)?)
}

fn end(frame: &Bytes) -> Result<(), FrameError> {
    if frame.is_empty() { Ok(()) } else { Err(FrameError::Long { bytes: frame.len() }) }
}

/// Why bytes are not a valid link frame. The two ends have different versions, or one is faulty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first byte is unknown to this version.
    #[error("unknown frame kind 0x{kind:02X}")]
    Kind {
        /// The first byte.
        kind: u8,
    },
    /// The frame is truncated.
    #[error("the frame ends too early")]
    Short,
    /// The frame is followed by extra bytes.
    #[error("{bytes} bytes after the end of the frame")]
    Long {
        /// Number of extra bytes.
        bytes: usize,
    },
    /// The sequence number is 0. Sequence numbers begin at 1.
    #[error("sequence number 0")]
    SeqZero,
    /// The frame announces more than [`BATCH_MESSAGES`] messages.
    #[error("{count} messages in one frame, at most {BATCH_MESSAGES} are possible")]
    TooManyMessages {
        /// The announced number of messages.
        count: usize,
    },
    /// A list of sessions exceeds its bound.
    #[error(transparent)]
    Sessions(#[from] TooManySessions),
    /// The topic is invalid.
    #[error("the topic {0}")]
    Topic(#[from] TopicError),
    /// The payload is invalid.
    #[error("the payload {0}")]
    Payload(#[from] PayloadError),
}

impl From<bytes::TryGetError> for FrameError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Short
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn session_ids() -> impl Strategy<Value = SessionIds> {
        vec(any::<u128>().prop_map(SessionId), 0..4).prop_map(|ids| SessionIds::new(ids).unwrap())
    }

    fn message() -> impl Strategy<Value = Message> {
        ("[a-z/*{}ü]{1,40}", ".{0,60}", session_ids(), session_ids()).prop_map(
            |(topic, text, exclude, eligible)| Message {
                topic: Topic::parse(&topic).unwrap(),
                payload: Payload::from_encoder(serde_json::to_vec(&text).unwrap().into()).unwrap(),
                audience: Audience { exclude, eligible },
            },
        )
    }

    fn seq() -> impl Strategy<Value = Seq> {
        (1..=u64::MAX).prop_map(|value| Seq::new(value).unwrap())
    }

    proptest! {
        #[test]
        fn publisher_frames_parse_back(first in seq(), messages in vec(message(), 0..5), id in any::<u128>()) {
            let hello = PublisherFrame::Hello { publisher: PublisherId(id) };
            prop_assert_eq!(PublisherFrame::decode(hello.encode()), Ok(hello));
            let publish = PublisherFrame::Publish { first, messages };
            prop_assert_eq!(PublisherFrame::decode(publish.encode()), Ok(publish));
        }

        #[test]
        fn a_message_encoded_in_advance_yields_the_same_frame(first in seq(), messages in vec(message(), 1..5)) {
            let mut buffer = BytesMut::new();
            let (mut batch, mut parts) = (Batch::default(), Vec::new());
            for message in &messages {
                let encoded = EncodedMessage::new(message.lend(), &mut buffer);
                prop_assert_eq!(encoded.len(), message.lend().encoded_len());
                prop_assert_eq!(encoded.topic(), Ok(message.topic.clone()));
                batch.add(&encoded);
                parts.extend_from_slice(encoded.as_bytes());
            }
            let frame = [&batch.head(first)[..], &parts].concat();
            prop_assert_eq!(frame.len(), batch.frame_len());
            prop_assert_eq!(frame, PublisherFrame::Publish { first, messages }.encode());
        }

        #[test]
        fn server_frames_parse_back(seq in seq(), count in any::<u64>(), reason in ".{0,40}") {
            for frame in [
                ServerFrame::Welcome { accepted: None },
                ServerFrame::Welcome { accepted: Some(seq) },
                ServerFrame::Ack { accepted: seq },
                ServerFrame::Refused { accepted: seq, refusals: Refusals { count, first: seq, reason } },
            ] {
                prop_assert_eq!(ServerFrame::decode(frame.encode()), Ok(frame));
            }
        }

        #[test]
        fn a_truncated_frame_is_refused(messages in vec(message(), 1..4), at in any::<proptest::sample::Index>()) {
            let whole = PublisherFrame::Publish { first: Seq::FIRST, messages }.encode();
            let cut = whole.slice(..at.index(whole.len()));
            prop_assert!(PublisherFrame::decode(cut).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_cause_a_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = PublisherFrame::decode(Bytes::from(bytes.clone()));
            let _ = ServerFrame::decode(Bytes::from(bytes));
        }
    }
}
