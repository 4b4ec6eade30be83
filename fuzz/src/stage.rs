//! A node with one shard, driven step by step as its event loop would: reads, writes, inbox and clock in any order. The
//! invariants are checked after each step; at the end, that nothing is left.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use bytes::Bytes;
use orosync_protocol::link_frame::{Message, PublisherFrame};
use orosync_protocol::ticket::{Identity, Role};
use orosync_protocol::{Audience, Payload, PublisherId, Seq, SessionIds, Subprotocol, Topic, TopicPattern};
use orosync_server::config::{HistorySettings, Limits};
use orosync_server::connection::limits::{Capacity, ConnectionLimits};
use orosync_server::connection::{self, Peer};

use orosync_server::broker::history::HistoryRules;
use orosync_server::broker::{Recovered, Unavailable};
use orosync_server::metrics::Metrics;
use orosync_server::node::Node;
use orosync_server::node::handle::{Awaited, Inbox, ShardHandle, ShardMessage};
use orosync_server::policy::{Decision, HistoryLimits, Policies, Publish, Subscribe, TopicRule};
use orosync_server::publication::Content;
use orosync_server::publication::delivery::Delivery;
use orosync_server::publication::tags::Tag;
use orosync_server::session::{Now, SessionKey, Shared};
use orosync_server::shard::Shard;
use serde_json::json;
use tokio::sync::mpsc;

use crate::client::{Asked, Client, Expected, Subscription, Wants, Wire};
use crate::{UNIX_NOW, default_shared, signer};

/// Topics that users may subscribe to. Anyone may subscribe to the first two; browsers may also publish to the last.
const TOPICS: [&str; 5] =
    ["oro/ping", "oro/maintenance", "oro/data/update", "oro/email_event/1/1", "acme/chat"];
const CHAT: usize = 4;

const MAX_SESSIONS: usize = 8;
const MAX_BATCH: usize = 4;
const OUTBOUND_BYTES: usize = 4096;
const PUBLISHER_MESSAGES: usize = 4;

/// Tags that events name.
const TAGS: u8 = 3;

/// Maximum size of an answer, for a history of 3,000 bytes.
const LARGEST_ANSWER: usize = 4096;

/// Size of a Close frame and a pong before it, including the overhead counted for each queued frame.
const LAST_WORD: usize = 2 * (127 + 64);

/// A step of the event loop or of a peer.
#[derive(Arbitrary, Debug)]
pub enum Step {
    /// A client connects and sends nothing.
    Connect,
    /// A client connects and makes its handshake.
    Open { offer: Offer, is_anonymous: bool },
    /// A publisher connects, makes its handshake and sends Hello.
    Link { publisher: u8 },
    /// A client sends a message in one frame that arrives in pieces.
    Say { client: u8, words: Words, piece: u8 },
    /// A client sends a frame.
    Frame { client: u8, first: u8, payload: Vec<u8> },
    /// A client sends bytes.
    Bytes { client: u8, bytes: Vec<u8> },
    /// A publisher sends its messages, starting so many back.
    Send { client: u8, back: u8, messages: u8, size: u16 },
    /// The server publishes.
    Publish { topic: u8, size: u16, excluded: u8 },
    /// The kernel accepts so many more bytes for a client.
    Take { client: u8, bytes: u16 },
    /// The shard reads its inbox.
    PassOn { messages: u8 },
    /// Time passes.
    Wait { seconds: u8 },
    /// A client shuts down its half of the connection.
    End { client: u8 },
    /// A connection breaks.
    Break { client: u8 },
    /// The policies are reloaded.
    Follow { is_strict: bool },
    /// The node drains.
    Drain,
}

/// The subprotocols that a browser offers.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Offer {
    Nothing,
    Wamp,
    Orosync,
}

/// A message of a browser.
#[derive(Arbitrary, Debug)]
pub enum Words {
    Subscribe(u8),
    Unsubscribe(u8),
    Publish(u8),
    Recover { topic: u8, since: Since, tags: Option<u8> },
    Tags { topic: u8, tags: Option<u8> },
    Call,
    Ping,
    Pong,
    Close,
    Nonsense,
}

/// The `since` of a browser's recovery.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Since {
    /// No recovery.
    Nowhere,
    /// A position that the server never issued.
    Unknown,
    /// The client's last position of the topic.
    Last,
    /// A time.
    Milliseconds(i16),
}

/// The way all clients end.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every connection breaks.
    Break,
    /// All clients stop sending and reading.
    Silence,
}

/// The node, its clients, and the model of what they must receive.
pub struct Stage {
    shard: Shard,
    inbox: Inbox,
    node: Arc<Node>,
    metrics: Arc<Metrics>,
    shared: Arc<Shared>,
    connections: Arc<ConnectionLimits>,
    clients: Vec<Client>,
    /// Events taken from the inbox and not delivered yet.
    pending: VecDeque<ShardMessage>,
    /// All delivered events, in order.
    events: Vec<Bytes>,
    /// The last delivered number of each publisher; 255 is the server.
    delivered: HashMap<u8, u64>,
    /// The last number that each publisher has sent.
    sent: HashMap<u8, u64>,
    largest_frame: usize,
    now: Instant,
    tickets: u128,
    /// Whether a publisher has sent arbitrary bytes, so that any message may be published.
    has_wild_publisher: bool,
    is_draining: bool,
}

/// In events: the server itself.
const SERVER: u8 = 255;
/// In events: a browser, whose events have no numbers.
const BROWSER: u8 = 254;

impl Stage {
    /// A node without sessions.
    pub fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let mut shared = default_shared(&metrics);
        shared.limits = limits(&shared.limits);
        shared.policies = policies(false);
        let (handle, inbox) = ShardHandle::new();
        let history = history(&shared.policies);
        let node = Arc::new(Node::new(vec![handle], &shared.limits, history, None, Arc::clone(&metrics)));
        let shared = Arc::new(shared);
        let capacity = Capacity { browsers: MAX_SESSIONS, for_publishers: 0 };
        Self {
            shard: Shard::new(0, Arc::clone(&node), Arc::clone(&shared)),
            inbox,
            node,
            metrics,
            shared,
            connections: ConnectionLimits::new(capacity, MAX_SESSIONS),
            clients: Vec::new(),
            pending: VecDeque::new(),
            events: Vec::new(),
            delivered: HashMap::new(),
            sent: HashMap::new(),
            largest_frame: 0,
            now: Instant::now(),
            tickets: 0,
            has_wild_publisher: false,
            is_draining: false,
        }
    }

    /// Performs one step, and the event loop's work after it.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Connect => {
                self.connect();
            }
            Step::Open { offer, is_anonymous } => self.open(offer, is_anonymous),
            Step::Link { publisher } => self.open_link(publisher % 3),
            Step::Say { client, words, piece } => self.say(client, &words, piece),
            Step::Frame { client, first, payload } => self.send_wild(client, &masked(first, &payload)),
            Step::Bytes { client, bytes } => self.send_wild(client, &bytes),
            Step::Send { client, back, messages, size } => self.send_batch(client, back, messages, size),
            Step::Publish { topic, size, excluded } => self.publish(topic, size, excluded),
            Step::Take { client, bytes } => {
                if let Some(at) = self.find(client) {
                    let client = &mut self.clients[at];
                    client.room = client.room.saturating_add(bytes.into());
                    self.shard.handle_writable(client.key);
                }
            }
            Step::PassOn { messages } => self.pass_on(messages.into()),
            Step::Wait { seconds } => {
                self.now += Duration::from_secs(seconds.into());
                self.shard.handle_timeout(self.now);
            }
            Step::End { client } => {
                if let Some(at) = self.find(client) {
                    let client = &mut self.clients[at];
                    client.has_ended = true;
                    client.unread.clear();
                    self.shard.handle_end_of_input(client.key);
                }
            }
            Step::Break { client } => {
                if let Some(at) = self.find(client) {
                    self.break_connection(at);
                }
            }
            Step::Follow { is_strict } => self.follow(is_strict),
            Step::Drain => self.drain(),
        }
        self.settle();
        self.check();
    }

    /// Ends all sessions, and checks that nothing of them is left.
    pub fn finish(mut self, ending: Ending) {
        match ending {
            Ending::Break => {
                for at in 0..self.clients.len() {
                    self.break_connection(at);
                }
                self.settle();
            }
            Ending::Silence => {
                // The longest that a silent session can last: a handshake, a ping, its answer, two close timeouts.
                for _ in 0..75 {
                    self.now += Duration::from_secs(1);
                    self.pass_on(usize::MAX);
                    self.shard.handle_timeout(self.now);
                    self.settle();
                    self.check();
                }
            }
        }
        // What waited for credit has a publisher that is gone, and is published all the same.
        while !self.pending.is_empty() {
            self.pass_on(usize::MAX);
            self.settle();
        }
        assert!(self.clients.is_empty(), "sessions are left: {:?}", self.clients);
        assert!(self.shard.is_empty() && !self.shard.has_dirty());
        assert!(self.node.has_credit(), "credit is left");
        assert_eq!(self.metrics.subscriptions.get(), 0);
        for protocol in [Subprotocol::Wamp, Subprotocol::Orosync, Subprotocol::Link] {
            assert_eq!(self.metrics.sessions_open.of(protocol).get(), 0);
        }
        while self.shard.drop_subscriptions(1) > 0 {}
        for topic in TOPICS {
            assert!(!self.node.has_subscribers(&Topic::parse(topic).expect("a topic")));
        }
        let places: Vec<_> =
            (0..MAX_SESSIONS).filter_map(|_| self.connections.admit(Peer::Unix).ok()).collect();
        assert_eq!(places.len(), MAX_SESSIONS, "places are left");
    }

    fn break_connection(&mut self, at: usize) {
        self.shard.handle_read_error(self.clients[at].key, &io::ErrorKind::ConnectionReset.into(), self.now);
    }

    fn find(&self, client: u8) -> Option<usize> {
        usize::from(client).checked_rem(self.clients.len())
    }

    fn client_at(&mut self, key: SessionKey) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.key == key)
    }

    fn now(&self) -> Now {
        Now { instant: self.now, unix: UNIX_NOW }
    }

    fn connect(&mut self) -> Option<usize> {
        if self.is_draining {
            return None;
        }
        let count = self.connections.admit(Peer::Unix).ok()?;
        let key = self.shard.accept(connection::Client::new(Peer::Unix, count), self.now);
        assert!(self.client_at(key).is_none(), "a key that is in use");
        self.clients.push(Client::new(key));
        Some(self.clients.len() - 1)
    }

    fn open(&mut self, offer: Offer, is_anonymous: bool) {
        let Some(at) = self.connect() else { return };
        let identity = if is_anonymous {
            Identity::anonymous()
        } else {
            Identity {
                role: Role::User,
                user: Some("anna".into()),
                uid: Some(1.into()),
                ..Identity::anonymous()
            }
        };
        let target =
            if is_anonymous { "/".to_owned() } else { format!("/?ticket={}", self.ticket(&identity)) };
        let offer = match offer {
            Offer::Nothing => "",
            Offer::Wamp => "Sec-WebSocket-Protocol: wamp\r\n",
            Offer::Orosync => "Sec-WebSocket-Protocol: orosync.1, wamp\r\n",
        };
        self.shake_hands(at, identity, &request(&target, offer));
    }

    fn open_link(&mut self, publisher: u8) {
        let Some(at) = self.connect() else { return };
        let identity = Identity { role: Role::Publisher, ..Identity::anonymous() };
        let ticket = self.ticket(&identity);
        let offer = format!("Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {ticket}\r\n");
        self.shake_hands(at, identity, &request("/", &offer));
        let client = &mut self.clients[at];
        client.publisher = Some(publisher);
        let hello = PublisherFrame::Hello { publisher: PublisherId(publisher.into()) };
        client.unread.extend(masked(0x82, &hello.encode()));
        let key = client.key;
        self.read(key, usize::MAX);
    }

    fn ticket(&mut self, identity: &Identity) -> String {
        self.tickets += 1;
        signer().issue(identity, UNIX_NOW, 300, self.tickets).expect("a ticket")
    }

    /// The greeting is written at once: what comes before that is what `Connect` and `Bytes` are for.
    fn shake_hands(&mut self, at: usize, identity: Identity, request: &str) {
        let client = &mut self.clients[at];
        client.identity = Some(identity);
        client.room = 600;
        client.unread.extend_from_slice(request.as_bytes());
        let key = client.key;
        self.read(key, usize::MAX);
        self.write(key);
        assert!(self.client_at(key).is_some_and(|client| client.is_open()), "a good handshake was refused");
    }

    fn say(&mut self, client: u8, words: &Words, piece: u8) {
        let Some(at_client) = self.find(client) else { return };
        let (key, topic) = (self.clients[at_client].key, |topic: &u8| usize::from(*topic) % TOPICS.len());
        let bytes = match words {
            Words::Subscribe(at) => masked(0x81, format!("[5,\"{}\"]", TOPICS[topic(at)]).as_bytes()),
            Words::Unsubscribe(at) => masked(0x81, format!("[6,\"{}\"]", TOPICS[topic(at)]).as_bytes()),
            Words::Publish(at) => {
                let text = format!("[7,\"{}\",[{BROWSER},0],true]", TOPICS[topic(at)]);
                masked(0x81, text.as_bytes())
            }
            Words::Recover { topic: at, since, tags } => {
                let client = &self.clients[at_client];
                // Which of several calls about a topic an answer belongs to would not be known.
                if client.asked.iter().any(|asked| asked.topic == topic(at)) {
                    return;
                }
                let since = match since {
                    Since::Nowhere => None,
                    Since::Unknown => Some(json!("0.0")),
                    Since::Last => client.positions.get(&topic(at)).map(|last| json!(last.to_string())),
                    Since::Milliseconds(number) => Some(json!({ "milliseconds": number })),
                };
                let mut options = serde_json::Map::new();
                options.extend(since.map(|since| ("since".to_owned(), since)));
                options.extend(tags.map(|tags| ("tags".to_owned(), json!(tag_names(tags)))));
                let call = json!([2, "r", "orosync/subscribe", TOPICS[topic(at)], options]);
                masked(0x81, call.to_string().as_bytes())
            }
            Words::Tags { topic: at, tags } => {
                let mut call = vec![json!(2), json!("t"), json!("orosync/tags"), json!(TOPICS[topic(at)])];
                call.extend(tags.map(|tags| json!(tag_names(tags))));
                masked(0x81, json!(call).to_string().as_bytes())
            }
            Words::Call => masked(0x81, br#"[2,"1","orosync/session"]"#),
            Words::Ping => masked(0x89, b"ping"),
            Words::Pong => masked(0x8a, b""),
            Words::Close => masked(0x88, &1000_u16.to_be_bytes()),
            Words::Nonsense => masked(0x81, b"[9]"),
        };
        let client = &mut self.clients[at_client];
        let speaks_wamp = client.is_open() && client.publisher.is_none();
        // What a session has begun to read differently, or cannot read now, is not known to be read as meant.
        if !speaks_wamp || client.has_ended || !client.unread.is_empty() || !self.shard.wants_input(key) {
            return;
        }
        client.unread.extend(bytes);
        self.read(key, usize::from(piece).max(1));
        if self.has_ended(key) {
            return;
        }
        let Some(client) = self.clients.iter_mut().find(|client| client.key == key) else { return };
        match words {
            Words::Subscribe(at) => {
                let (at, identity) = (topic(at), client.identity.clone().unwrap_or_else(Identity::anonymous));
                if self.shared.policies.may_subscribe(&identity, TOPICS[at]) == Decision::Allowed {
                    subscribe(client, at, Wants::Plain, self.shared.limits.subscriptions);
                }
            }
            Words::Recover { topic: at, tags, .. } => {
                let (at, identity) = (topic(at), client.identity.clone().unwrap_or_else(Identity::anonymous));
                if self.shared.policies.may_subscribe(&identity, TOPICS[at]) == Decision::Allowed
                    && let Some(subscription) =
                        subscribe(client, at, Wants::Nothing, self.shared.limits.subscriptions)
                {
                    client.asked.push_back(Asked { topic: at, subscription, wants: wants(*tags) });
                }
            }
            Words::Tags { topic: at, tags } => {
                let at = topic(at);
                let Some(subscription) = client.subscribed.get_mut(&at) else { return };
                // What is asked already will have them, and until then it stays as it is.
                let asked = client.asked.iter_mut().find(|asked| asked.topic == at);
                if let Some(asked) = asked.filter(|asked| asked.subscription == subscription.number) {
                    asked.wants = wants(*tags);
                } else if matches!(subscription.wants, Wants::Positioned | Wants::Tagged(_)) {
                    subscription.wants = wants(*tags);
                }
            }
            Words::Unsubscribe(at) => {
                client.subscribed.remove(&topic(at));
            }
            _ => {}
        }
    }

    fn send_wild(&mut self, client: u8, bytes: &[u8]) {
        let Some(at) = self.find(client) else { return };
        let client = &mut self.clients[at];
        if client.has_ended || bytes.is_empty() {
            return;
        }
        client.is_tame = false;
        self.has_wild_publisher |= client.publisher.is_some();
        client.unread.extend_from_slice(bytes);
        let key = client.key;
        self.read(key, usize::MAX);
    }

    fn send_batch(&mut self, client: u8, back: u8, messages: u8, size: u16) {
        let Some(at) = self.find(client) else { return };
        let client = &mut self.clients[at];
        let (Some(publisher), true, false) = (client.publisher, client.is_tame, client.has_ended) else {
            return;
        };
        let sent = self.sent.entry(publisher).or_default();
        // Over one connection nothing is resent.
        let first = (*sent + 1).saturating_sub(u64::from(back % 8)).max(client.sent + 1);
        let count = 1 + usize::from(messages) % MAX_BATCH;
        let messages: Vec<Message> =
            (first..).take(count).map(|seq| numbered(publisher, seq, size)).collect();
        client.sent = first + count as u64 - 1;
        *sent = (*sent).max(client.sent);
        let frame = PublisherFrame::Publish { first: Seq::new(first).expect("from 1 on"), messages };
        client.unread.extend(masked(0x82, &frame.encode()));
        let key = client.key;
        self.read(key, usize::MAX);
    }

    fn publish(&mut self, topic: u8, size: u16, excluded: u8) {
        let last = self.sent.entry(SERVER).or_default();
        *last += 1;
        let mut message = numbered(SERVER, *last, size);
        message.topic = Topic::parse(TOPICS[usize::from(topic) % TOPICS.len()]).expect("a topic");
        // Every other time somebody is left out.
        if excluded >= 128
            && let Some(at) = self.find(excluded)
        {
            let id = self.shard.session(self.clients[at].key).and_then(|session| session.id());
            message.audience.exclude = SessionIds::new(id.into_iter().collect()).expect("one");
        }
        self.node.publish_own(Content::Message(message), None);
    }

    /// Hands over what the kernel has of a client, as far as its session reads.
    fn read(&mut self, key: SessionKey, piece: usize) {
        loop {
            let wants_input = self.shard.wants_input(key);
            let now = self.now();
            let Some(client) = self.clients.iter_mut().find(|client| client.key == key) else { return };
            if !wants_input || client.unread.is_empty() {
                return;
            }
            let piece = piece.min(client.unread.len());
            let bytes: Vec<u8> = client.unread.drain(..piece).collect();
            self.shard.handle_bytes(key, &bytes, now);
        }
    }

    /// Writes what the kernel takes.
    fn write(&mut self, key: SessionKey) {
        let now = self.now();
        let Some(client) = self.clients.iter_mut().find(|client| client.key == key) else { return };
        if self.shard.write(key, &mut Wire(client, &self.events), now) {
            self.clients.retain(|client| client.key != key);
        }
    }

    fn pass_on(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(message) = self.pending.pop_front() else { break };
            match message {
                ShardMessage::Delivery(delivery) => self.deliver(delivery),
                ShardMessage::Recovered { awaited, recovered } => self.answer(awaited, recovered),
                other => self.shard.handle_message(other, self.now),
            }
            self.collect();
        }
    }

    fn deliver(&mut self, delivery: Arc<Delivery>) {
        let Some(topic) = TOPICS.iter().position(|topic| *topic == delivery.topic.as_str()) else {
            assert!(self.has_wild_publisher, "a topic of nobody's: {:?}", delivery.topic);
            return self.shard.handle_message(ShardMessage::Delivery(delivery), self.now);
        };
        // Where browsers publish too, anything may stand.
        if topic != CHAT && !self.has_wild_publisher {
            self.note_order(&delivery);
        }
        self.events.extend([delivery.plain().clone(), delivery.positioned().clone()]);
        self.largest_frame = self.largest_frame.max(delivery.positioned().len());
        let of = |client: &Client| {
            let subscription = client.subscribed.get(&topic).filter(|_| client.is_tame)?;
            Some((client.key, expected(&subscription.wants, topic, &delivery)?))
        };
        let mut expected: Vec<(SessionKey, Expected)> = self.clients.iter().filter_map(of).collect();
        expected.retain(|(key, _)| {
            let id = self.shard.session(*key).and_then(|session| session.id());
            !self.has_ended(*key) && id.is_some_and(|id| delivery.body.is_for([id]))
        });
        self.shard.handle_message(ShardMessage::Delivery(delivery), self.now);
        for (key, expected) in expected {
            self.expect(key, expected);
        }
    }

    /// Hands over what a session has asked for. Every event of the topic that comes later stands behind it.
    fn answer(&mut self, awaited: Awaited, recovered: Result<Recovered, Unavailable>) {
        let position = recovered.as_ref().expect("a broker in memory is never away").position;
        let key = awaited.session;
        let asked = self.client_at(key).and_then(|client| client.asked.pop_front());
        let was_open = !self.has_ended(key);
        self.largest_frame = self.largest_frame.max(LARGEST_ANSWER);
        self.shard.handle_message(ShardMessage::Recovered { awaited, recovered }, self.now);
        let Some(Asked { topic, subscription, wants }) = asked else { return };
        if let Some(client) = self.client_at(key)
            && let Some(subscribed) = client.subscribed.get_mut(&topic)
            && subscribed.number == subscription
        {
            subscribed.wants = wants;
        }
        if was_open && self.client_at(key).is_some_and(|client| client.is_tame) {
            self.expect(key, Expected::Answer(topic, position));
        }
    }

    /// This must be received, unless the session was too slow a reader, and has ended instead.
    fn expect(&mut self, key: SessionKey, expected: Expected) {
        if !self.has_ended(key)
            && let Some(client) = self.client_at(key)
        {
            client.expected.push_back(expected);
        }
    }

    /// Of each source, events come once and in order.
    fn note_order(&mut self, delivery: &Delivery) {
        let (source, seq) = source_of(delivery).expect("a payload of ours");
        let last = self.delivered.insert(source, seq).unwrap_or_default();
        assert!(seq > last, "{source} published {seq} after {last}");
    }

    fn follow(&mut self, is_strict: bool) {
        let mut shared = Shared::clone(&self.shared);
        shared.policies = policies(is_strict);
        self.node.set_history(history(&shared.policies));
        self.shared = Arc::new(shared);
        self.shard.handle_message(ShardMessage::Rules(Arc::clone(&self.shared)), self.now);
    }

    fn drain(&mut self) {
        self.is_draining = true;
        // The event loop awaits the end of this; here time passes step by step.
        let (done, _) = mpsc::channel(1);
        self.shard.handle_message(ShardMessage::StopPublishing(done), self.now);
        self.collect();
        self.pass_on(usize::MAX);
        let until = self.now + Duration::from_secs(5);
        self.shard.handle_message(ShardMessage::Stop { until }, self.now);
    }

    /// One iteration of the event loop.
    fn settle(&mut self) {
        self.collect();
        if self.is_draining {
            self.shard.end_due(self.now);
        }
        let mut turns = 0;
        while let Some(key) = self.shard.next_dirty() {
            self.write(key);
            self.read(key, usize::MAX);
            turns += 1;
            assert!(turns < 1000, "the event loop never rests");
        }
        self.shard.handle_all_written();
        self.shard.drop_subscriptions(1);
        self.collect();
    }

    fn collect(&mut self) {
        self.shard.request_recoveries();
        while let Ok(message) = self.inbox.try_recv() {
            self.pending.push_back(message);
        }
    }

    fn has_ended(&mut self, key: SessionKey) -> bool {
        self.shard.session(key).is_none_or(|session| session.is_ending() || session.ended_as() != "gone")
    }

    fn check(&mut self) {
        let from_sessions = self
            .pending
            .iter()
            .filter(|message| match message {
                ShardMessage::Delivery(delivery) => {
                    source_of(delivery).is_none_or(|(source, _)| source != SERVER)
                }
                _ => false,
            })
            .count();
        assert!(from_sessions <= PUBLISHER_MESSAGES + MAX_BATCH, "{from_sessions} messages in flight");
        let bound = OUTBOUND_BYTES.max(self.largest_frame + 64) + LAST_WORD;
        for at in 0..self.clients.len() {
            let key = self.clients[at].key;
            let ended = self.has_ended(key);
            let client = &self.clients[at];
            let Some(session) = self.shard.session(key) else { panic!("a session was lost") };
            let cost = session.outbound().cost();
            assert!(cost <= bound, "{cost} bytes wait for one session");
            if cost == 0 && !ended {
                client.assert_complete();
            }
            if let Some(publisher) = client.publisher {
                let sent = self.sent.get(&publisher).copied().unwrap_or_default();
                assert!(client.acknowledged <= sent || !client.is_tame, "acknowledged and never sent");
            }
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Low enough for a few steps to reach.
fn limits(defaults: &Limits) -> Limits {
    Limits {
        handshake_timeout: Duration::from_secs(10),
        handshake_bytes: 1024,
        message_bytes: 2048,
        outbound_bytes: OUTBOUND_BYTES,
        subscriptions: 3,
        messages_per_second: 5,
        message_burst: 30,
        publisher_messages: PUBLISHER_MESSAGES,
        publisher_bytes: 8000,
        remembered_publishers: 8,
        ping_interval: Duration::from_secs(30),
        ping_timeout: Duration::from_secs(15),
        ..defaults.clone()
    }
}

fn policies(is_strict: bool) -> Policies {
    let rule = |pattern: &str, subscribe, publish| {
        let pattern = TopicPattern::parse(pattern).expect("a pattern");
        TopicRule::new(pattern, subscribe, publish).expect("a rule")
    };
    let mut rules = vec![rule(TOPICS[CHAT], Subscribe::User, Publish::User)];
    if is_strict {
        rules.insert(0, rule("oro/data/update", Subscribe::Nobody, Publish::Publisher));
    }
    Policies::new(rules)
}

/// Short enough for topics to be forgotten.
fn history(policies: &Policies) -> HistoryRules {
    let limits = HistoryLimits { events: 4, age: Duration::from_secs(600) };
    HistoryRules { settings: HistorySettings { limits, bytes: 3000 }, policies: policies.clone() }
}

/// Has a client subscribe; the number of the subscription, unless it has too many.
fn subscribe(client: &mut Client, topic: usize, wants: Wants, most: usize) -> Option<u64> {
    if !client.subscribed.contains_key(&topic) {
        if client.subscribed.len() >= most {
            return None;
        }
        client.subscriptions += 1;
        client.subscribed.insert(topic, Subscription { number: client.subscriptions, wants });
    }
    client.subscribed.get(&topic).map(|subscription| subscription.number)
}

fn wants(tags: Option<u8>) -> Wants {
    tags.map_or(Wants::Positioned, |tags| Wants::Tagged(tag_names(tags)))
}

/// A subset of all tags.
fn tag_names(tags: u8) -> Vec<String> {
    (0..TAGS).filter(|number| tags >> number & 1 == 1).map(|number| format!("t{number}")).collect()
}

/// What a subscription gets of an event, if anything.
fn expected(wants: &Wants, topic: usize, delivery: &Delivery) -> Option<Expected> {
    let positioned = || Expected::Event(delivery.positioned().clone(), Some((topic, delivery.position)));
    match wants {
        Wants::Nothing => None,
        Wants::Plain => Some(Expected::Event(delivery.plain().clone(), None)),
        Wants::Positioned => Some(positioned()),
        Wants::Tagged(names) => {
            let names: Vec<Tag> = names.iter().map(|name| Tag::new(name)).collect();
            let is_wanted =
                delivery.body.tags().is_none_or(|tags| tags.iter().any(|tag| names.contains(tag)));
            is_wanted.then(positioned)
        }
    }
}

/// Of a payload of ours: who has published it, and its number.
fn source_of(delivery: &Delivery) -> Option<(u8, u64)> {
    let text = String::from_utf8_lossy(delivery.body.payload().as_bytes());
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A publisher's message: the same whenever it is sent. Of publishers, none goes where browsers publish.
fn numbered(source: u8, seq: u64, size: u16) -> Message {
    let topic = TOPICS[usize::try_from(seq).unwrap_or_default() % CHAT];
    let filling = "x".repeat(usize::from(size % 6000));
    let json = if size % 2 == 0 {
        format!("[{source},{seq},\"{filling}\"]")
    } else {
        let tag = seq % u64::from(TAGS);
        format!("[{{\"from\":[{source},{seq}],\"tagname\":\"t{tag}\",\"filling\":\"{filling}\"}}]")
    };
    Message {
        topic: Topic::parse(topic).expect("a topic"),
        payload: Payload::from_encoder(json.into()).expect("short enough"),
        audience: Audience::default(),
    }
}

fn request(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A client's frame, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(0x80 | u8::try_from(short).expect("below 126")),
        Ok(middle) => {
            frame.push(0x80 | 126);
            frame.extend(middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}
