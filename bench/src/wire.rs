//! The protocols of the measured servers: opening a session, publishing a message, recognizing a delivery.
//!
//! Topics are numbers, and a message is text that begins with the number of its topic.

use orosync_protocol::link_frame::{Message, PublishEncoder, PublisherFrame};
use orosync_protocol::ticket::{Granted, Identity, Role, RoleNames, Signer};
use orosync_protocol::{Audience, Payload, PublisherId, Seq, Topic};

use crate::pages::Pages;

/// The secret of all servers that the benchmarks start.
pub const SECRET: &str = "a secret for benchmarks, longer than 32 bytes";

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Orosync: WAMP v1 with a verified ticket; messages are published over the backend link.
    Orosync,
    /// `/sub/NNNN` subscribes, text on `/pub` is published: the raw limits, and libraries with a server program of ours.
    Plain,
    /// WAMP v1 in both directions; the topic is the number.
    Wamp,
    /// Engine.IO 4 and Socket.IO 5 over WebSocket; `?topic=NNNN` joins a room.
    SocketIo,
    /// Subscribers as `Plain`; messages are HTTP requests to `/pub/NNNN` on a persistent connection.
    HttpPost,
    /// The protocol of NATS in WebSocket frames.
    Nats,
    /// RESP over TCP.
    Redis,
    /// Pusher's protocol; messages are signed HTTP requests, each on a new connection.
    Pusher,
    /// Pages that show content and receive saves.
    Pages(Pages),
}

/// One step of opening a session: bytes to send and bytes to wait for.
#[derive(Clone, Debug)]
pub struct Step {
    /// Bytes to send.
    pub say: Vec<u8>,
    /// The step is done when these bytes have arrived.
    pub until: &'static [u8],
}

/// The way deliveries are counted.
#[derive(Clone, Copy, Debug)]
pub enum Counting {
    /// Text or binary frames with at least this many bytes.
    Frames(usize),
    /// Payload bytes in frames, so many per delivery; messages may share a frame.
    FrameBytes(usize),
    /// Bytes of the stream, so many per delivery.
    StreamBytes(usize),
}

/// Issues tickets, one per session.
#[derive(Debug)]
pub struct Tickets {
    signer: Signer,
    now: u64,
    next: u128,
}

impl Default for Tickets {
    fn default() -> Self {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        Self {
            signer: Signer::from_secret(SECRET.as_bytes()).expect("long enough"),
            now,
            next: rand::random(),
        }
    }
}

impl Tickets {
    fn issue(&mut self, identity: &Identity) -> String {
        self.next = self.next.wrapping_add(1);
        self.signer.issue(identity, self.now, 3600, self.next).expect("claims that can be signed")
    }

    /// A ticket for a back-office user.
    pub fn user(&mut self) -> String {
        let uid = u64::try_from(self.next % 1_000_000).unwrap_or_default();
        self.issue(&Identity {
            role: Role::User,
            user: Some(format!("user{uid}").into()),
            uid: Some(uid.into()),
            org: Some(1),
            roles: RoleNames::default(),
            granted: Granted::default(),
        })
    }

    /// A ticket for a publisher.
    pub fn publisher(&mut self) -> String {
        self.issue(&Identity { role: Role::Publisher, ..Identity::anonymous() })
    }
}

impl Wire {
    /// Steps to open a session without a subscription; with one for servers other than Orosync.
    pub fn greeting(self, topic: usize, tickets: &mut Tickets) -> Vec<Step> {
        match self {
            Self::Orosync => {
                vec![Step { say: page(tickets), until: b"[0,\"" }]
            }
            other => other.subscriber(topic, tickets),
        }
    }

    /// Steps to open a session that reconnects and recovers all events of [`RETURNING_TOPIC`], because a restarted server does not
    /// know the position that it sends. Orosync only.
    pub fn returning(self, _: usize, tickets: &mut Tickets) -> Vec<Step> {
        let mut say = page(tickets);
        let call =
            format!(r#"[2,"ready","orosync/subscribe","{RETURNING_TOPIC}",{{"since":"17.9f3ac2d1"}}]"#);
        frame(&mut say, 1, call.as_bytes());
        vec![Step { say, until: br#"[3,"ready","# }]
    }

    /// Steps to open a session that subscribes to [`TOPICS_OF_ONE`] topics of its own. Orosync only.
    pub fn many_topics(self, session: usize, tickets: &mut Tickets) -> Vec<Step> {
        let mut say = page(tickets);
        for number in 0..TOPICS_OF_ONE {
            frame(&mut say, 1, format!("[5,\"bench/of-{session}-{number}\"]").as_bytes());
        }
        frame(&mut say, 1, br#"[2,"ready","orosync/session"]"#);
        vec![Step { say, until: br#"[3,"ready","# }]
    }

    /// Steps to open a session that subscribes to a topic.
    pub fn subscriber(self, topic: usize, tickets: &mut Tickets) -> Vec<Step> {
        const HEAD_END: &[u8] = b"\r\n\r\n";
        match self {
            Self::Orosync => {
                let mut say = page(tickets);
                frame(&mut say, 1, format!("[5,\"{}\"]", topic_name(topic)).as_bytes());
                frame(&mut say, 1, br#"[2,"ready","orosync/session"]"#);
                vec![Step { say, until: br#"[3,"ready","# }]
            }
            Self::Plain | Self::HttpPost => {
                vec![Step { say: upgrade(&format!("/sub/{topic:04}"), ""), until: HEAD_END }]
            }
            Self::Wamp => {
                let mut subscribe = Vec::new();
                frame(&mut subscribe, 1, format!("[5,\"{topic:04}\"]").as_bytes());
                frame(&mut subscribe, 1, br#"[2,"ready","ready"]"#);
                let say = upgrade("/", "Sec-WebSocket-Protocol: wamp\r\n");
                vec![Step { say, until: b"[0,\"" }, Step { say: subscribe, until: br#"[3,"ready","# }]
            }
            Self::SocketIo => {
                let say = upgrade(&format!("/socket.io/?EIO=4&transport=websocket&topic={topic:04}"), "");
                let mut connect = Vec::new();
                frame(&mut connect, 1, b"40");
                vec![Step { say, until: b"}" }, Step { say: connect, until: b"\"}" }]
            }
            Self::Nats => {
                let mut subscribe = Vec::new();
                let text = format!("CONNECT {{\"verbose\":false}}\r\nSUB {topic:04} 1\r\nPING\r\n");
                frame(&mut subscribe, 2, text.as_bytes());
                vec![Step { say: upgrade("/", ""), until: b"}" }, Step { say: subscribe, until: b"PONG\r\n" }]
            }
            Self::Redis => {
                vec![Step { say: resp(&[b"SUBSCRIBE", format!("{topic:04}").as_bytes()]), until: b":1\r\n" }]
            }
            Self::Pusher => {
                let mut subscribe = Vec::new();
                let text = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{topic:04}"}}}}"#);
                frame(&mut subscribe, 1, text.as_bytes());
                let say = upgrade("/app/bench-key?protocol=7&client=bench&version=1", "");
                vec![
                    Step { say, until: b"connection_established" },
                    Step { say: subscribe, until: b"subscription_succeeded" },
                ]
            }
            Self::Pages(pages) => pages.subscriber(topic, tickets),
        }
    }

    /// Steps to open the publisher's connection.
    pub fn publisher(self, tickets: &mut Tickets) -> Vec<Step> {
        const HEAD_END: &[u8] = b"\r\n\r\n";
        match self {
            Self::Orosync => {
                let authorization = format!(
                    "Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {}\r\n",
                    tickets.publisher()
                );
                let mut hello = Vec::new();
                let publisher = PublisherId(rand::random());
                frame(&mut hello, 2, &PublisherFrame::Hello { publisher }.encode());
                // A Welcome is one binary frame of nine bytes whose first byte is 0x81.
                vec![
                    Step { say: upgrade("/", &authorization), until: HEAD_END },
                    Step { say: hello, until: &[0x82, 9, 0x81] },
                ]
            }
            Self::Plain => vec![Step { say: upgrade("/pub", ""), until: HEAD_END }],
            // A room without messages.
            Self::Wamp | Self::SocketIo | Self::Nats => self.subscriber(NO_TOPIC, tickets),
            Self::Redis => vec![Step { say: resp(&[b"PING"]), until: b"+PONG\r\n" }],
            Self::HttpPost | Self::Pusher => Vec::new(),
            Self::Pages(pages) => pages.publisher().publisher(tickets),
        }
    }

    /// Appends to `out` the bytes that publish messages `first`, `first + 1`, ..., each to the next topic of the iterator.
    pub fn publish(self, first: u64, topics: impl Iterator<Item = usize>, bytes: usize, out: &mut Vec<u8>) {
        if let Self::Pages(pages) = self {
            return pages.publish(first, topics, bytes, out);
        }
        if self == Self::Orosync {
            let Some(seq) = Seq::new(first + 1) else { return };
            let mut encoder = PublishEncoder::new(seq, bytes);
            for topic in topics {
                encoder.push(&Message {
                    topic: Topic::parse(&topic_name(topic)).expect("a constant and digits"),
                    payload: Payload::from_encoder(format!("\"{}\"", text(topic, bytes - 2)).into())
                        .expect("a short string"),
                    audience: Audience::default(),
                });
            }
            frame(out, 2, &encoder.finish());
            return;
        }
        for topic in topics {
            let text = text(topic, bytes);
            match self {
                Self::Orosync | Self::Pages(_) | Self::Plain => frame(out, 1, text.as_bytes()),
                Self::Wamp => frame(out, 1, format!("[7,\"{topic:04}\",\"{text}\"]").as_bytes()),
                Self::SocketIo => frame(out, 1, format!("42[\"pub\",\"{topic:04}\",\"{text}\"]").as_bytes()),
                Self::HttpPost => out.extend(
                    format!(
                        "POST /pub/{topic:04} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                         Content-Length: {bytes}\r\n\r\n{text}"
                    )
                    .as_bytes(),
                ),
                Self::Nats => frame(out, 2, format!("PUB {topic:04} {bytes}\r\n{text}\r\n").as_bytes()),
                Self::Redis => {
                    out.extend(resp(&[b"PUBLISH", format!("{topic:04}").as_bytes(), text.as_bytes()]));
                }
                Self::Pusher => out.extend(crate::pusher::request(topic, &text)),
            }
        }
    }

    /// Whether each message needs a new connection.
    pub fn publishes_on_new_connections(self) -> bool {
        self == Self::Pusher
    }

    /// The way deliveries of messages of this size are counted.
    pub fn counting(self, bytes: usize) -> Counting {
        match self {
            Self::Nats => Counting::FrameBytes(format!("MSG 0000 1 {bytes}\r\n\r\n").len() + bytes),
            Self::Redis => Counting::StreamBytes(resp(&[b"message", b"0000", &vec![0; bytes]]).len()),
            Self::Pages(pages) => pages.counting(bytes),
            _ => Counting::Frames(bytes),
        }
    }

    /// Whether the stream begins with the head of an HTTP response.
    pub fn has_head(self) -> bool {
        !matches!(self, Self::Redis | Self::Pages(Pages::RedisChannels))
    }
}

/// The topic that publishers join as sessions; nothing is published to it.
const NO_TOPIC: usize = 9999;

/// Topics of a session with many subscriptions; equals `limits.subscriptions`.
pub const TOPICS_OF_ONE: usize = 100;

/// The topic of reconnecting sessions; no numbered topic has this name.
pub const RETURNING_TOPIC: &str = "bench/returning";

/// The name of a numbered topic in Orosync.
pub fn topic_name(number: usize) -> String {
    format!("bench/{number:04}")
}

fn text(topic: usize, bytes: usize) -> String {
    format!("{topic:04}{:x<1$}", "", bytes.saturating_sub(4))
}

/// The handshake of a page with a new ticket.
pub(crate) fn page(tickets: &mut Tickets) -> Vec<u8> {
    let target = format!("/ws?ticket={}", tickets.user());
    upgrade(&target, "Sec-WebSocket-Protocol: orosync.1, wamp\r\n")
}

/// A WebSocket upgrade request.
pub(crate) fn upgrade(target: &str, more_headers: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more_headers}\r\n"
    )
    .into_bytes()
}

/// Appends a client frame, masked with zeros.
pub(crate) fn frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.extend(orosync_tests::client::frame(opcode, payload));
}

/// Encodes a RESP array of bulk strings.
pub fn resp(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(format!("${}\r\n", word.len()).into_bytes());
        out.extend(*word);
        out.extend(b"\r\n");
    }
    out
}
