//! The client of one session: what it has received, and what it should have received.
//!
//! A *tame* client has sent only messages of the stage, which therefore knows its subscriptions: it must receive exactly their
//! events and the answers of its recoveries, in order. A *wild* client has sent arbitrary bytes; for it only the form of the
//! output and the order of events are checked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};

use bytes::Bytes;
use orosync_protocol::Position;
use orosync_protocol::link_frame::ServerFrame;
use orosync_protocol::ticket::Identity;
use orosync_server::session::SessionKey;
use orosync_server::shard::write::Outlet;

/// The client of one session.
#[derive(Debug)]
pub struct Client {
    /// Its session in the shard.
    pub key: SessionKey,
    /// Its identity, once it has sent a valid handshake.
    pub identity: Option<Identity>,
    /// Whether it has sent only messages of the stage.
    pub is_tame: bool,
    /// A publisher's number, which is also its [`orosync_protocol::PublisherId`].
    pub publisher: Option<u8>,
    /// Number of bytes that the kernel still accepts for it.
    pub room: usize,
    /// Sent bytes that the session has not read yet.
    pub unread: Vec<u8>,
    /// Topics that a tame client has subscribed to.
    pub subscribed: BTreeMap<usize, Subscription>,
    /// Number of subscriptions so far.
    pub subscriptions: u64,
    /// Calls of `orosync/subscribe` by a tame client that were not delivered yet.
    pub asked: VecDeque<Asked>,
    /// Queued output that it has not received.
    pub expected: VecDeque<Expected>,
    /// The position of the last answer or event, by topic.
    pub positions: BTreeMap<usize, Position>,
    /// The highest number that a publisher has sent over this connection.
    pub sent: u64,
    /// The highest number that its session has acknowledged.
    pub acknowledged: u64,
    /// Whether it has stopped sending.
    pub has_ended: bool,
    /// Whether the server has stopped sending.
    is_finished: bool,
    phase: Phase,
    received: Vec<u8>,
    /// The index among all events of the last one that a wild client received.
    last_event: usize,
}

/// A subscription of a tame client.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Among all of the client.
    pub number: u64,
    /// The events it gets.
    pub wants: Wants,
}

/// The events that a subscription gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Nothing before the answer.
    Nothing,
    /// All events, without positions.
    Plain,
    /// All events.
    Positioned,
    /// Events that name one of these tags, or none at all.
    Tagged(Vec<String>),
}

/// A call of `orosync/subscribe`.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Of the topic.
    pub topic: usize,
    /// The subscription that is converted to this one.
    pub subscription: u64,
    /// The events it gets after the answer.
    pub wants: Wants,
}

/// Output that a tame client must receive.
#[derive(Clone, Debug)]
pub enum Expected {
    /// An event, as this frame; of a subscription with positions, where it stands.
    Event(Bytes, Option<(usize, Position)>),
    /// The answer about a topic that stands there.
    Answer(usize, Position),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    /// After an HTTP response other than 101.
    Body,
    Frames,
    /// After a Close frame.
    Closed,
}

/// What stands for a client's socket, and all events that there were.
pub struct Wire<'a>(pub &'a mut Client, pub &'a [Bytes]);

impl Outlet for Wire<'_> {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self(client, events) = self;
        if client.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let lent: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = client.room.min(lent.len());
        client.room -= taken;
        client.receive(&lent[..taken], events);
        Ok(taken)
    }

    fn has_pending(&self) -> bool {
        false
    }

    fn finish(&mut self) -> io::Result<()> {
        assert!(!self.0.is_finished, "a FIN was sent twice");
        self.0.is_finished = true;
        Ok(())
    }
}

impl Client {
    /// A connection that has not sent anything.
    pub fn new(key: SessionKey) -> Self {
        Self {
            key,
            identity: None,
            is_tame: true,
            publisher: None,
            room: 0,
            unread: Vec::new(),
            subscribed: BTreeMap::new(),
            subscriptions: 0,
            asked: VecDeque::new(),
            expected: VecDeque::new(),
            positions: BTreeMap::new(),
            sent: 0,
            acknowledged: 0,
            has_ended: false,
            is_finished: false,
            phase: Phase::Head,
            received: Vec::new(),
            last_event: 0,
        }
    }

    /// Whether it has received the 101 and no Close frame.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Frames
    }

    /// Receives the session's output. `events` are all events so far.
    pub fn receive(&mut self, bytes: &[u8], events: &[Bytes]) {
        self.received.extend_from_slice(bytes);
        if self.phase == Phase::Head {
            let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            let head: Vec<u8> = self.received.drain(..end + 4).collect();
            self.phase = if head.starts_with(b"HTTP/1.1 101 ") { Phase::Frames } else { Phase::Body };
        }
        if self.phase == Phase::Body {
            self.received.clear();
        }
        while let Some(frame) = self.take_frame() {
            assert!(self.phase == Phase::Frames, "a frame behind the Close frame");
            self.handle_frame(&frame, events);
        }
    }

    /// Checks that an open session without pending output has received everything it should.
    pub fn assert_complete(&self) {
        assert!(!self.is_tame || self.expected.is_empty(), "events are missing: {:?}", self.expected);
        assert!(self.received.is_empty(), "a frame is cut: {:?}", self.received);
    }

    fn handle_frame(&mut self, frame: &Bytes, events: &[Bytes]) {
        let payload = frame.slice(header_bytes(frame)..);
        match frame[0] {
            // Text.
            0x81 => {
                let text = std::str::from_utf8(&payload).expect("text is UTF-8");
                assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(), "{text}");
                if text.starts_with("[8,") {
                    self.handle_event(frame, events);
                } else if self.is_tame && text.starts_with(r#"[3,"r","#) {
                    self.handle_answer(text);
                }
            }
            // Binary: the link.
            0x82 => match ServerFrame::decode(payload).expect("a link frame") {
                ServerFrame::Ack { accepted } | ServerFrame::Refused { accepted, .. } => {
                    assert!(accepted.get() > self.acknowledged || !self.is_tame, "acknowledged once more");
                    self.acknowledged = accepted.get();
                }
                ServerFrame::Welcome { .. } => {}
            },
            0x88 => {
                assert!(payload.len() >= 2 && payload.len() <= 125 || payload.is_empty() && !self.is_tame);
                self.phase = Phase::Closed;
            }
            // Ping, pong.
            0x89 | 0x8a => assert!(payload.len() <= 125),
            other => panic!("a server sends no frame that begins with {other:#x}"),
        }
    }

    fn handle_event(&mut self, frame: &Bytes, events: &[Bytes]) {
        if self.is_tame {
            match self.expected.pop_front() {
                Some(Expected::Event(expected, at)) => {
                    assert_eq!(expected, *frame, "an event out of turn");
                    if let Some((topic, position)) = at {
                        let last = self.positions.insert(topic, position);
                        assert!(last.is_none_or(|last| last.offset < position.offset), "an event twice");
                    }
                }
                other => panic!("an event came in place of {other:?}"),
            }
        } else {
            let later = events.iter().skip(self.last_event).position(|event| event == frame);
            self.last_event += later.expect("an event that there was, after the last one") + 1;
        }
    }

    fn handle_answer(&mut self, text: &str) {
        let Some(Expected::Answer(topic, position)) = self.expected.pop_front() else {
            panic!("an answer out of turn: {text}");
        };
        let (_, _, answer): (u8, &str, Answer<'_>) = serde_json::from_str(text).expect("an answer");
        assert_eq!(answer.position, position.to_string());
        let offsets = answer.events.iter().map(|(at, _)| at.parse::<Position>().expect("a position").offset);
        let offsets: Vec<u64> = offsets.collect();
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "{offsets:?}");
        assert!(offsets.last().is_none_or(|last| *last <= position.offset), "more than was handed over");
        let last = self.positions.insert(topic, position);
        assert!(last.is_none_or(|last| last.offset <= position.offset), "the topic went back");
    }

    fn take_frame(&mut self) -> Option<Bytes> {
        let header = self.received.get(..2).and_then(|_| {
            let length = header_bytes(&self.received);
            (self.received.len() >= length).then_some(length)
        })?;
        let payload = match self.received[1] {
            126 => usize::from(u16::from_be_bytes([self.received[2], self.received[3]])),
            127 => panic!("no frame here is that long"),
            short => usize::from(short),
        };
        assert!(self.received[1] & 0x80 == 0, "a server does not mask");
        (self.received.len() >= header + payload)
            .then(|| self.received.drain(..header + payload).collect::<Vec<u8>>().into())
    }
}

/// The answer of `orosync/subscribe`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<'a> {
    position: &'a str,
    #[serde(rename = "complete")]
    _complete: bool,
    #[serde(borrow)]
    events: Vec<(&'a str, &'a serde_json::value::RawValue)>,
}

fn header_bytes(frame: &[u8]) -> usize {
    match frame[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}
