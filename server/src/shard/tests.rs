//! Sessions of one shard, stepped by hand: no socket, no sleep, the clock is an argument.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orosync_protocol::link_frame::{BATCH_MESSAGES, Message, PublisherFrame, Refusals, ServerFrame};
use orosync_protocol::ticket::{Granted, Identity, Role, Signer, Verifier};
use orosync_protocol::{
    Audience, ClusterId, OriginPattern, Payload, PublisherId, Seq, SessionIds, Subprotocol, Topic,
    TopicPattern,
};

use super::write::Outlet;
use super::*;
use crate::auth::Authenticator;
use crate::auth::used::UsedTickets;
use crate::broker::cluster::Cluster;
use crate::broker::history::HistoryRules;
use crate::config::settings::{Anonymous, HistorySettings, Limits};
use crate::connection::limits::{Capacity, ConnectionLimits};
use crate::connection::proxies::TrustedProxies;
use crate::connection::{Client, Peer};
use crate::handshake::HandshakeContext;
use crate::metrics::{Metrics, Source};
use crate::node::handle::{Inbox, ShardHandle, ShardMessage};
use crate::policy::{Policies, Publish, Subscribe, TopicRule};
use crate::publication::Content;
use crate::session::log_limits::LogLimits;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const UNIX_NOW: u64 = 1_000_000;

/// An outlet in place of a socket.
#[derive(Default)]
struct Outbox {
    is_read: bool,
    bytes: Vec<u8>,
}

impl Outlet for Outbox {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.is_read {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = self.bytes.len();
        for slice in slices {
            self.bytes.extend_from_slice(slice);
        }
        Ok(self.bytes.len() - before)
    }

    fn has_pending(&self) -> bool {
        false
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The default history settings.
fn history() -> HistoryRules {
    HistoryRules { settings: HistorySettings::default(), policies: Policies::new(Vec::new()) }
}

/// A node with one shard, and its inbox.
struct Stage {
    shard: Shard,
    inbox: Inbox,
    node: Arc<Node>,
    metrics: Arc<Metrics>,
    has_broker: Arc<AtomicBool>,
    connections: Arc<ConnectionLimits>,
    now: Instant,
    tickets: u128,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = default_limits();
        change(&mut limits);
        let metrics = Arc::new(Metrics::new());
        let has_broker = Arc::new(AtomicBool::new(true));
        let (handle, inbox) = ShardHandle::new();
        let node = Arc::new(Node::new(vec![handle], &limits, history(), None, Arc::clone(&metrics)));
        let shared = Shared {
            handshake: HandshakeContext {
                authenticator: Arc::new(Authenticator::new(
                    vec![Verifier::from_secret(SECRET).unwrap()],
                    UsedTickets::of_this_node(1000),
                    None,
                )),
                anonymous: Anonymous::Accept,
                allowed_origins: vec![OriginPattern::parse("*").unwrap()],
                trusted_proxies: TrustedProxies::default(),
                max_head_bytes: limits.handshake_bytes,
                cluster: Arc::new(Cluster::new(ClusterId(1), UNIX_NOW)),
            },
            policies: Policies::new(Vec::new()),
            limits,
            metrics: Arc::clone(&metrics),
            log_limits: Arc::new(LogLimits::new(10, Duration::from_secs(10), &metrics)),
            has_broker: Arc::clone(&has_broker),
        };
        let connections = ConnectionLimits::new(Capacity { browsers: 1000, for_publishers: 0 }, 1000);
        Self {
            shard: Shard::new(0, Arc::clone(&node), Arc::new(shared)),
            inbox,
            node,
            metrics,
            has_broker,
            connections,
            now: Instant::now(),
            tickets: 0,
        }
    }

    fn now(&self) -> Now {
        Now { instant: self.now, unix: UNIX_NOW }
    }

    fn connect(&mut self) -> SessionKey {
        let count = self.connections.admit(Peer::Unix).unwrap();
        self.shard.accept(Client::new(Peer::Unix, count), self.now)
    }

    fn send(&mut self, key: SessionKey, bytes: &[u8]) {
        let now = self.now();
        self.shard.handle_bytes(key, bytes, now);
    }

    fn say(&mut self, key: SessionKey, text: &str) {
        self.send(key, &masked(1, text.as_bytes()));
    }

    /// Runs the event loop's steps until nothing is left: handles the inbox, writes, and drops the subscriptions of ended
    /// sessions.
    fn run(&mut self) {
        while self.handle_inbox() {
            self.write();
        }
        self.shard.drop_subscriptions(usize::MAX);
    }

    /// Writes to clients that read nothing, so that all output remains for [`Self::written`].
    fn write(&mut self) {
        while let Some(key) = self.shard.next_dirty() {
            self.shard.write(key, &mut Outbox::default(), self.now());
        }
        self.shard.handle_all_written();
    }

    /// Handles the inbox without writing. Returns whether it had messages.
    fn handle_inbox(&mut self) -> bool {
        let mut worked = false;
        self.shard.request_recoveries();
        while let Ok(message) = self.inbox.try_recv() {
            worked = true;
            self.shard.handle_message(message, self.now);
        }
        worked
    }

    fn publish(&self, message: Message) {
        self.node.publish_own(Content::Message(message), None);
    }

    /// Output of one write to a client that reads everything.
    fn written(&mut self, key: SessionKey) -> Vec<u8> {
        let mut outbox = Outbox { is_read: true, ..Outbox::default() };
        self.shard.handle_writable(key);
        self.shard.write(key, &mut outbox, self.now());
        outbox.bytes
    }

    /// The texts of the frames that are queued for this session.
    fn texts(&mut self, key: SessionKey) -> Vec<String> {
        self.run();
        frames(&self.written(key))
            .into_iter()
            .map(|(_, payload)| String::from_utf8(payload).unwrap())
            .collect()
    }

    /// Opens a session of this user, which has read its greeting.
    fn browser(&mut self, offer: &str, identity: &Identity) -> SessionKey {
        let key = self.connect();
        self.tickets += 1;
        let ticket =
            Signer::from_secret(SECRET).unwrap().issue(identity, UNIX_NOW, 300, self.tickets).unwrap();
        self.send(key, request(&format!("/?ticket={ticket}"), offer).as_bytes());
        assert!(self.written(key).starts_with(b"HTTP/1.1 101 "));
        key
    }

    fn publisher(&mut self, id: u128) -> SessionKey {
        let key = self.connect();
        let identity = Identity { role: Role::Publisher, ..Identity::anonymous() };
        let ticket = Signer::from_secret(SECRET).unwrap().issue(&identity, UNIX_NOW, 300, 0).unwrap();
        let offer = format!("Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {ticket}\r\n");
        self.send(key, request("/", &offer).as_bytes());
        assert!(self.written(key).starts_with(b"HTTP/1.1 101 "));
        self.link(key, &PublisherFrame::Hello { publisher: PublisherId(id) });
        key
    }

    /// Opens a session of a publisher that uses WAMP.
    fn wamp_publisher(&mut self) -> SessionKey {
        let key = self.connect();
        let identity = Identity { role: Role::Publisher, ..Identity::anonymous() };
        let ticket = Signer::from_secret(SECRET).unwrap().issue(&identity, UNIX_NOW, 300, 1).unwrap();
        self.send(key, request("/", &format!("{WAMP}Authorization: Bearer {ticket}\r\n")).as_bytes());
        assert!(self.written(key).starts_with(b"HTTP/1.1 101 "));
        key
    }

    fn link(&mut self, key: SessionKey, frame: &PublisherFrame) {
        self.send(key, &masked(2, &frame.encode()));
    }

    /// Replaces the rules.
    fn set_rules(&mut self, rules: Vec<TopicRule>) {
        let mut shared = Shared::clone(&self.shard.shared);
        shared.policies = Policies::new(rules);
        self.shard.handle_message(ShardMessage::Rules(Arc::new(shared)), self.now);
    }

    /// Drains, and ends all sessions at once.
    fn stop(&mut self) {
        let until = self.now + Duration::from_secs(20);
        self.shard.handle_message(ShardMessage::Stop { until }, self.now);
        self.shard.end_due(until);
    }

    /// The frames that a publisher receives once everything has been written.
    fn link_frames(&mut self, key: SessionKey) -> Vec<ServerFrame> {
        self.run();
        self.link_frames_now(key)
    }

    fn link_frames_now(&mut self, key: SessionKey) -> Vec<ServerFrame> {
        // Answers that wait behind earlier output leave with the next write.
        let written: Vec<u8> =
            std::iter::from_fn(|| Some(self.written(key)).filter(|bytes| !bytes.is_empty()))
                .flatten()
                .collect();
        frames(&written)
            .into_iter()
            .map(|(_, payload)| ServerFrame::decode(payload.into()).unwrap())
            .collect()
    }
}

fn default_limits() -> Limits {
    Limits {
        handshake_timeout: Duration::from_secs(10),
        handshake_bytes: 16 << 10,
        sessions: 0,
        sessions_per_address: 100,
        message_bytes: 64 << 10,
        outbound_bytes: 1 << 20,
        subscriptions: 20,
        messages_per_second: 50,
        message_burst: 200,
        publisher_messages: 1000,
        publisher_bytes: 1 << 20,
        remembered_tickets: 1000,
        remembered_publishers: 1000,
        ping_interval: Duration::from_secs(30),
        ping_timeout: Duration::from_secs(15),
    }
}

/// The acknowledged sequence number and the refusals of each frame.
fn refused<const N: usize>(frames: Vec<ServerFrame>) -> [(u64, Refusals); N] {
    let refusals = frames.into_iter().map(|frame| match frame {
        ServerFrame::Refused { accepted, refusals } => (accepted.get(), refusals),
        other => panic!("{other:?}"),
    });
    refusals.collect::<Vec<_>>().try_into().unwrap()
}

fn ack(seq: u64) -> ServerFrame {
    ServerFrame::Ack { accepted: Seq::new(seq).unwrap() }
}

const WAMP: &str = "Sec-WebSocket-Protocol: wamp\r\n";
const OROSYNC: &str = "Sec-WebSocket-Protocol: orosync.1, wamp\r\n";

fn user(uid: u64) -> Identity {
    Identity {
        role: Role::User,
        user: Some(format!("user{uid}").into()),
        uid: Some(uid.into()),
        ..Identity::anonymous()
    }
}

fn request(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A client's frame, masked with zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        Ok(middle) => {
            frame.push(0x80 + 126);
            frame.extend(middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 + 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Opcode and payload of each server frame. The bytes must consist of complete frames.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (usize::try_from(u64::from_be_bytes(rest[..8].try_into().unwrap())).unwrap(), &rest[8..]),
            short => (usize::from(*short), rest),
        };
        frames.push((first & 0x0f, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    frames
}

fn message(topic: &str, json: &str) -> Message {
    Message {
        topic: Topic::parse(topic).unwrap(),
        payload: Payload::check(&json.to_owned().into()).unwrap(),
        audience: Audience::default(),
    }
}

fn batch(first: u64, messages: Vec<Message>) -> PublisherFrame {
    PublisherFrame::Publish { first: Seq::new(first).unwrap(), messages }
}

#[test]
fn the_101_and_welcome_are_sent_in_one_write_and_nothing_else_with_them() {
    let mut stage = Stage::new();
    let key = stage.connect();
    // OroPlatform's oldest clients send messages in the same packet as the request.
    let mut bytes = request("/", WAMP).into_bytes();
    bytes.extend(masked(1, br#"[5,"oro/ping"]"#));
    bytes.extend(masked(1, br#"[2,"1","orosync/session"]"#));
    stage.send(key, &bytes);
    assert!(!stage.shard.wants_input(key), "nothing is read before the greeting is written");
    let first = stage.written(key);
    let end = first.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(!first[..end].contains(&b'[') && !first[..end].contains(&b']'));
    let greeting = frames(&first[end..]);
    assert_eq!(greeting.len(), 1);
    assert!(greeting[0].1.starts_with(b"[0,\""));
    let second = stage.texts(key);
    assert!(second[0].starts_with(r#"[3,"1",{"session":"#), "{second:?}");
    stage.publish(message("oro/ping", "1"));
    assert_eq!(stage.texts(key), [r#"[8,"oro\/ping",1]"#]);
}

#[test]
fn an_event_reaches_its_subscribers_and_no_other_session() {
    let mut stage = Stage::new();
    let (a, b, c) =
        (stage.browser(WAMP, &user(1)), stage.browser(OROSYNC, &user(2)), stage.browser("", &user(3)));
    for key in [a, b] {
        stage.say(key, r#"[5,"oro/data/update"]"#);
        stage.say(key, r#"[5,"oro/data/update"]"#);
    }
    stage.publish(message("oro/data/update", r#"[{"username":"x","tagname":"y"}]"#));
    let event = r#"[8,"oro\/data\/update",[{"username":"x","tagname":"y"}]]"#;
    assert_eq!(stage.texts(a), [event]);
    assert_eq!(stage.texts(b), [event]);
    assert!(stage.texts(c).is_empty());
    stage.say(b, r#"[6,"oro/data/update"]"#);
    stage.publish(message("oro/data/update", "2"));
    assert_eq!(stage.texts(a).len(), 1);
    assert!(stage.texts(b).is_empty(), "no delivery after unsubscribe");
}

#[test]
fn a_send_ahead_of_the_write_returns_whether_the_write_is_still_needed() {
    let mut stage = Stage::new();
    let key = stage.browser(OROSYNC, &user(1));
    stage.say(key, r#"[5,"oro/ping"]"#);
    stage.run();
    stage.publish(message("oro/ping", "1"));
    stage.handle_inbox();
    let waiting = |stage: &Stage| stage.shard.slices(key).map(|slice| slice.len()).sum::<usize>();
    let length = waiting(&stage);
    assert!(length > 5);
    assert!(!stage.shard.handle_attempt(key, Ok(5)), "a part is still queued");
    assert_eq!(waiting(&stage), length - 5);
    assert!(stage.shard.handle_attempt(key, Ok(length - 5)), "everything is written");

    // A new session changes its state after its greeting is written. An ending session sends its FIN after its last frame.
    let begins = stage.connect();
    stage.send(begins, request("/", WAMP).as_bytes());
    let greeting = stage.shard.slices(begins).map(|slice| slice.len()).sum();
    assert!(!stage.shard.handle_attempt(begins, Ok(greeting)));
    stage.say(key, "not a message");
    assert!(!stage.shard.handle_attempt(key, Ok(waiting(&stage))));
    let broken = stage.browser(OROSYNC, &user(2));
    assert!(!stage.shard.handle_attempt(broken, Err(io::ErrorKind::BrokenPipe.into())));
    stage.shard.remove(broken);
    assert!(!stage.shard.handle_attempt(broken, Ok(1)), "the session is removed");
}

#[test]
fn exclude_and_eligible_select_sessions() {
    let mut stage = Stage::new();
    let keys = [0, 1, 2].map(|uid| stage.browser(WAMP, &user(uid)));
    let ids = keys.map(|key| stage.shard.session(key).unwrap().id().unwrap());
    for key in keys {
        stage.say(key, r#"[5,"oro/ping"]"#);
    }
    let mut publish = |exclude: &[usize], eligible: &[usize]| {
        let ids = |which: &[usize]| SessionIds::new(which.iter().map(|at| ids[*at]).collect()).unwrap();
        let audience = Audience { exclude: ids(exclude), eligible: ids(eligible) };
        stage.publish(Message { audience, ..message("oro/ping", "1") });
        keys.map(|key| stage.texts(key).len())
    };
    assert_eq!(publish(&[1], &[]), [1, 0, 1]);
    assert_eq!(publish(&[], &[2]), [0, 0, 1]);
    assert_eq!(publish(&[2], &[1, 2]), [0, 1, 0]);
}

#[test]
fn a_request_refused_by_a_policy_is_answered_and_never_closes_the_session() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &Identity::anonymous());
    for (text, topic) in [
        (r#"[5,"oro/data/update"]"#, r"oro\/data\/update"),
        (r#"[5,"no/such/topic"]"#, r"no\/such\/topic"),
        (r#"[7,"oro/maintenance",{"isOn":true}]"#, r"oro\/maintenance"),
    ] {
        stage.say(key, text);
        let received = stage.texts(key);
        assert_eq!(received.len(), 1, "{text}");
        assert!(received[0].starts_with(&format!(r#"[4,"{topic}","{topic}",""#)), "{received:?}");
    }
    stage.say(key, r#"[5,"oro/maintenance"]"#);
    stage.publish(message("oro/maintenance", "1"));
    assert_eq!(stage.texts(key), [r#"[8,"oro\/maintenance",1]"#]);
    assert_eq!(stage.metrics.subscriptions_refused.total("undeclared"), 1);
    assert_eq!(stage.metrics.subscriptions_refused.total("not_allowed"), 1);
}

#[test]
fn an_invalid_message_closes_the_session_with_1007() {
    for text in ["x", "{}", "[8,\"t\",1]", "[5,7]", r#"[7,"t",1,[],true]"#] {
        let mut stage = Stage::new();
        let key = stage.browser(WAMP, &user(1));
        stage.say(key, text);
        let sent = frames(&stage.written(key));
        assert_eq!(sent[0].0, 8, "{text}");
        assert_eq!(sent[0].1[..2], 1007_u16.to_be_bytes(), "{text}");
        stage.send(key, &masked(8, &1007_u16.to_be_bytes()));
        assert!(stage.shard.session(key).unwrap().wants_fin());
    }
}

#[test]
fn a_wamp_session_that_should_reconnect_ends_without_a_close_frame() {
    let mut stage = Stage::new();
    let (wamp, none, orosync) =
        (stage.browser(WAMP, &user(1)), stage.browser("", &user(2)), stage.browser(OROSYNC, &user(3)));
    stage.stop();
    for key in [wamp, none] {
        assert!(stage.written(key).is_empty());
        assert!(stage.shard.session(key).unwrap().wants_fin());
    }
    let sent = frames(&stage.written(orosync));
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &1001_u16.to_be_bytes()[..]));
    assert!(!stage.shard.session(orosync).unwrap().wants_fin(), "its Close frame is awaited");
    stage.now += Duration::from_secs(3);
    stage.shard.handle_timeout(stage.now);
    assert!(stage.shard.session(orosync).unwrap().is_finished(), "and awaited for two seconds only");
}

#[test]
fn a_publisher_gets_the_fin_right_after_its_close_frame() {
    let mut stage = Stage::new();
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    stage.stop();
    let sent = frames(&stage.written(publisher));
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &1001_u16.to_be_bytes()[..]));
    assert!(stage.shard.session(publisher).unwrap().wants_fin());
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    assert!(
        stage.written(publisher).is_empty(),
        "a publisher resends unacknowledged messages to the next server"
    );
    stage.shard.handle_end_of_input(publisher);
    stage.written(publisher);
    assert!(stage.shard.session(publisher).is_none());
}

#[test]
fn a_disconnect_ends_sessions_with_4010_after_their_queued_events() {
    let mut stage = Stage::new();
    let (wamp, none, orosync) =
        (stage.browser(WAMP, &user(7)), stage.browser("", &user(7)), stage.browser(OROSYNC, &user(7)));
    for key in [wamp, none, orosync] {
        stage.say(key, r#"[5,"oro/ping"]"#);
    }
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    let ended = message("orosync/disconnect", r#"{"role":"user","uid":7}"#);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1"), ended]));
    assert_eq!(stage.link_frames(publisher), [ack(2)]);
    for key in [wamp, none] {
        assert_eq!(frames(&stage.written(key)), [(1, br#"[8,"oro\/ping",1]"#.to_vec())]);
        assert!(stage.shard.session(key).unwrap().wants_fin(), "without a Close frame");
    }
    let sent = frames(&stage.written(orosync));
    assert_eq!(sent[0].1, br#"[8,"oro\/ping",1]"#);
    assert_eq!((sent[1].0, &sent[1].1[..2]), (8, &4010_u16.to_be_bytes()[..]));
    assert_eq!(stage.shard.session(wamp).unwrap().ended_as(), "new_ticket");
}

#[test]
fn a_disconnect_ends_no_session_of_another_role_and_no_publisher() {
    let mut stage = Stage::new();
    let customer = |uid| Identity { role: Role::Customer, ..user(uid) };
    let (target, same_id, same_name) = (
        stage.browser(OROSYNC, &customer(7)),
        stage.browser(OROSYNC, &user(7)),
        stage.browser(OROSYNC, &Identity { uid: Some(8.into()), ..user(7) }),
    );
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    for (seq, target) in [(1, r#"{"role":"customer","uid":7}"#), (2, r#"{"role":"customer","user":"user7"}"#)]
    {
        stage.link(publisher, &batch(seq, vec![message("orosync/disconnect", target)]));
        assert_eq!(stage.link_frames(publisher), [ack(seq)]);
    }
    let mut is_open = |key: SessionKey| stage.shard.session(key).unwrap().outbound().is_empty();
    assert_eq!([target, same_id, same_name].map(&mut is_open), [false, true, true]);
}

#[test]
fn a_disconnect_of_a_user_name_without_a_role_is_refused() {
    let mut stage = Stage::new();
    let key = stage.browser(OROSYNC, &user(7));
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    stage.link(publisher, &batch(1, vec![message("orosync/disconnect", r#"{"user":"user7"}"#)]));
    let [(_, refusals)] = refused(stage.link_frames(publisher));
    assert!(refusals.reason.contains("\"role\""), "{refusals:?}");
    assert!(stage.shard.session(key).unwrap().outbound().is_empty());
    assert_eq!(stage.metrics.messages_refused.total("not_a_disconnect"), 1);
}

#[test]
fn a_wamp_publisher_can_disconnect_sessions() {
    let mut stage = Stage::new();
    let key = stage.browser(OROSYNC, &user(7));
    let publisher = stage.wamp_publisher();
    stage.say(publisher, r#"[7,"orosync/disconnect",{"user":"user7"}]"#);
    assert!(stage.texts(publisher)[0].contains("\\\"role\\\""), "the refusal names what is missing");
    assert_eq!(stage.metrics.messages_refused.total("not_a_disconnect"), 1);
    stage.run();
    assert_eq!(stage.written(key), b"");
    stage.say(publisher, r#"[7,"orosync/disconnect",{"role":"user","uid":7}]"#);
    stage.run();
    let sent = frames(&stage.written(key));
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &4010_u16.to_be_bytes()[..]));
}

#[test]
fn an_invalid_topic_is_refused_and_not_listed_for_the_operator() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.say(key, r#"[5,"acme/\u001b]0;x\nOK"]"#);
    stage.say(key, r#"[5,"acme/x"]"#);
    assert_eq!(stage.texts(key).len(), 2);
    assert_eq!(stage.metrics.subscriptions_refused.total("not_a_topic"), 1);
    let described = stage.metrics.refused_topics.describe(stage.now);
    assert_eq!(described.matches("\"topic\"").count(), 1, "{described}");
}

#[test]
fn a_drain_ends_sessions_one_after_the_other() {
    let mut stage = Stage::new();
    let keys: Vec<SessionKey> = (0..10).map(|uid| stage.browser(OROSYNC, &user(uid))).collect();
    let until = stage.now + Duration::from_millis(100);
    stage.shard.handle_message(ShardMessage::Stop { until }, stage.now);
    let (begun, mut ended) = (stage.now, 0);
    while let Some(next) = stage.shard.end_due(stage.now) {
        ended += 1;
        let closed = keys.iter().filter(|key| stage.shard.session(**key).unwrap().outbound().cost() > 0);
        assert_eq!(closed.count(), ended);
        stage.now = next;
    }
    assert_eq!(
        (ended, stage.now - begun),
        (9, Duration::from_millis(72)),
        "the rest of the time is reserved for writing"
    );
    for key in keys {
        assert_eq!(frames(&stage.written(key))[0].1[..2], 1001_u16.to_be_bytes());
    }
}

#[test]
fn the_memory_of_a_burst_to_many_sessions_is_released() {
    let mut stage = Stage::new();
    let keys: Vec<SessionKey> = (0..500).map(|uid| stage.browser(OROSYNC, &user(uid))).collect();
    for key in &keys {
        stage.say(*key, r#"[2,"1","orosync/session"]"#);
    }
    for key in keys {
        stage.written(key);
    }
    stage.write();
    assert!(stage.shard.dirty.capacity() >= 500);
    stage.shard.handle_timeout(stage.now);
    assert_eq!(stage.shard.dirty.capacity(), 0);
}

#[test]
fn accepted_events_are_written_before_a_session_ends() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.say(key, r#"[5,"oro/ping"]"#);
    stage.publish(message("oro/ping", "1"));
    stage.run();
    stage.stop();
    assert!(!stage.shard.session(key).unwrap().wants_fin());
    assert_eq!(frames(&stage.written(key)).len(), 1);
    assert!(stage.shard.session(key).unwrap().wants_fin());
}

#[test]
fn a_slow_reader_is_bounded_and_delays_no_other_session() {
    let mut stage = Stage::with(|limits| limits.outbound_bytes = 1000);
    let (slow, quick) = (stage.browser(OROSYNC, &user(1)), stage.browser(WAMP, &user(2)));
    for key in [slow, quick] {
        stage.say(key, r#"[5,"oro/ping"]"#);
    }
    for n in 0..100 {
        stage.publish(message("oro/ping", &format!("\"{n:0>100}\"")));
        assert_eq!(stage.texts(quick).len(), 1);
        assert!(stage.shard.session(slow).unwrap().outbound().cost() <= 1000);
    }
    let sent = frames(&stage.written(slow));
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &4008_u16.to_be_bytes()[..]));
    assert_eq!(stage.shard.session(slow).unwrap().ended_as(), "too_slow");
}

#[test]
fn too_many_messages_close_the_session_with_4009() {
    let mut stage = Stage::with(|limits| limits.message_burst = 10);
    let key = stage.browser(OROSYNC, &user(1));
    for n in 0..10 {
        stage.say(key, &format!(r#"[5,"oro/email_event/1/{n}"]"#));
    }
    assert!(stage.written(key).is_empty(), "a burst within the limit is accepted");
    stage.say(key, r#"[5,"oro/ping"]"#);
    let sent = frames(&stage.written(key));
    assert_eq!(sent[0].1[..2], 4009_u16.to_be_bytes());
}

#[test]
fn each_subscription_beyond_the_limit_is_refused() {
    let mut stage = Stage::with(|limits| limits.subscriptions = 2);
    let key = stage.browser(WAMP, &user(1));
    for n in 0..4 {
        stage.say(key, &format!(r#"[5,"oro/email_event/1/{n}"]"#));
    }
    assert_eq!(stage.texts(key).len(), 2);
    assert_eq!(stage.metrics.subscriptions_refused.total("too_many"), 2);
    assert_eq!(stage.metrics.subscriptions.get(), 2);
}

#[test]
fn a_publisher_is_acknowledged_and_resent_messages_are_delivered_once() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let first = stage.publisher(7);
    assert_eq!(stage.link_frames(first), [ServerFrame::Welcome { accepted: None }]);
    stage.link(first, &batch(1, vec![message("oro/ping", "1"), message("oro/ping", "2")]));
    assert_eq!(stage.link_frames(first), [ack(2)]);
    // The acknowledgement is lost. The publisher reconnects and resends message 2.
    stage.shard.handle_read_error(first, &io::ErrorKind::ConnectionReset.into(), stage.now);
    let second = stage.publisher(7);
    assert_eq!(stage.link_frames(second), [ServerFrame::Welcome { accepted: Seq::new(2) }]);
    stage.link(second, &batch(2, vec![message("oro/ping", "2"), message("oro/ping", "3")]));
    assert_eq!(stage.link_frames(second), [ack(3)]);
    assert_eq!(stage.texts(reader), ["1", "2", "3"].map(|n| format!(r#"[8,"oro\/ping",{n}]"#)));
    assert_eq!(stage.metrics.messages_duplicate.get(), 1);
}

#[test]
fn a_publisher_is_notified_of_a_message_to_an_undeclared_topic() {
    let mut stage = Stage::new();
    let key = stage.publisher(7);
    stage.link_frames(key);
    stage.link(key, &batch(1, vec![message("no/such/topic", "1"), message("oro/ping", "2")]));
    let [(accepted, refusals)] = refused(stage.link_frames(key));
    assert_eq!((accepted, refusals.count, refusals.first.get()), (2, 1, 1));
    assert!(refusals.reason.contains("no/such/topic"), "{refusals:?}");
}

#[test]
fn any_number_of_refusals_leaves_a_publishers_link_open() {
    let mut stage = Stage::with(|limits| limits.outbound_bytes = 64 << 10);
    let key = stage.publisher(7);
    stage.link_frames(key);
    let batches = 100;
    let in_one = BATCH_MESSAGES as u64;
    for n in 0..batches {
        // The publisher reads nothing meanwhile.
        stage.link(key, &batch(n * in_one + 1, vec![message(&"x".repeat(255), "1"); BATCH_MESSAGES]));
        assert!(stage.shard.session(key).unwrap().outbound().cost() < 1024);
    }
    let [(of_first, first), (of_rest, rest)] = refused(stage.link_frames(key));
    assert_eq!((of_first, first.count, first.first.get()), (in_one, in_one, 1));
    assert_eq!((of_rest, rest.count), (batches * in_one, (batches - 1) * in_one));
    assert_eq!(rest.first.get(), in_one + 1);
    stage.link(key, &batch(batches * in_one + 1, vec![message("oro/ping", "1")]));
    assert_eq!(stage.link_frames(key), [ack(batches * in_one + 1)]);
}

#[test]
fn pending_acknowledgements_are_sent_before_a_publishers_close_frame() {
    let mut stage = Stage::new();
    let key = stage.publisher(7);
    stage.link_frames(key);
    for seq in 1..=3 {
        stage.link(key, &batch(seq, vec![message("oro/ping", "1")]));
    }
    let (done, _) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    let sent = frames(&stage.written(key));
    let received: Vec<_> =
        sent[..2].iter().map(|(_, payload)| ServerFrame::decode(payload.clone().into())).collect();
    assert_eq!(received, [Ok(ack(1)), Ok(ack(3))]);
    assert_eq!((sent[2].0, &sent[2].1[..2]), (8, &1001_u16.to_be_bytes()[..]));
}

#[test]
fn any_number_of_refusals_leaves_a_pages_session_and_events_intact() {
    let mut stage = Stage::with(|limits| limits.outbound_bytes = 64 << 10);
    let key = stage.browser(OROSYNC, &user(1));
    stage.say(key, r#"[5,"oro/ping"]"#);
    let topic = "x".repeat(255);
    for text in [format!(r#"[5,"{topic}"]"#), format!(r#"[7,"{topic}",1]"#)] {
        for _ in 0..90 {
            stage.say(key, &text);
        }
    }
    stage.publish(message("oro/ping", &format!("\"{:0>20000}\"", 1)));
    let texts = stage.texts(key);
    assert!(texts.len() > 10 && texts.len() < 100, "{}", texts.len());
    assert!(texts.last().unwrap().starts_with("[8,"), "the event is not displaced");
    assert_eq!(stage.metrics.subscriptions_refused.total("undeclared"), 90);
}

#[test]
fn without_credit_a_publisher_is_not_read_until_credit_is_returned() {
    let mut stage = Stage::with(|limits| limits.publisher_messages = 1);
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link_frames(publisher);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    stage.link(publisher, &batch(2, vec![message("oro/ping", "2")]));
    assert!(stage.link_frames_now(publisher).is_empty(), "message 1 is still in the inbox");
    assert!(!stage.shard.wants_input(publisher));
    assert_eq!(stage.metrics.credit_waits.get(), 1);
    assert_eq!(stage.link_frames(publisher), [1, 2].map(ack));
    assert!(stage.shard.wants_input(publisher));
    assert_eq!(stage.texts(reader).len(), 2);
}

#[test]
fn a_draining_shard_accepts_and_acknowledges_no_messages() {
    let mut stage = Stage::new();
    let key = stage.publisher(7);
    stage.link_frames(key);
    let (done, _) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    stage.link(key, &batch(1, vec![message("oro/ping", "1")]));
    let sent = frames(&stage.written(key));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &1001_u16.to_be_bytes()[..]));
    assert_eq!(stage.metrics.messages_accepted.of(Source::Link).get(), 0);
}

#[test]
fn a_silent_peer_is_pinged_and_then_dropped() {
    let mut stage = Stage::new();
    let (silent, alive) = (stage.browser(WAMP, &user(1)), stage.browser(WAMP, &user(2)));
    stage.now += Duration::from_secs(31);
    stage.shard.handle_timeout(stage.now);
    for key in [silent, alive] {
        assert_eq!(stage.written(key), b"\x89\x00");
    }
    stage.send(alive, &masked(10, b""));
    stage.now += Duration::from_secs(16);
    stage.shard.handle_timeout(stage.now);
    assert!(stage.shard.session(silent).unwrap().is_finished());
    assert_eq!(stage.shard.session(silent).unwrap().ended_as(), "unresponsive");
    assert!(!stage.shard.session(alive).unwrap().is_finished());
}

#[test]
fn a_pong_counts_even_if_the_next_timeout_check_is_late() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    for _ in 0..3 {
        stage.now += Duration::from_secs(31);
        stage.shard.handle_timeout(stage.now);
        assert_eq!(stage.written(key), b"\x89\x00", "silent since its pong, it is pinged again");
        stage.send(key, &masked(10, b""));
    }
}

#[test]
fn a_pong_counts_even_if_it_was_not_read_yet() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.now += Duration::from_secs(31);
    stage.shard.handle_timeout(stage.now);
    stage.now += Duration::from_secs(16);
    stage.shard.handle_unread(key, stage.now);
    stage.shard.handle_timeout(stage.now);
    assert!(!stage.shard.session(key).unwrap().is_finished());
}

#[test]
fn a_silent_publisher_is_pinged_after_five_seconds_at_the_earliest() {
    let mut stage = Stage::with(|limits| limits.ping_interval = Duration::from_secs(1));
    let (publisher, browser) = (stage.publisher(1), stage.browser(WAMP, &user(1)));
    stage.link_frames(publisher);
    for (seconds, is_pinged) in [(4, false), (2, true)] {
        stage.now += Duration::from_secs(seconds);
        stage.shard.handle_timeout(stage.now);
        assert_eq!(stage.written(publisher) == b"\x89\x00", is_pinged);
    }
    assert_eq!(stage.written(browser), b"\x89\x00");
}

#[test]
fn an_incomplete_handshake_times_out() {
    let mut stage = Stage::new();
    let key = stage.connect();
    stage.send(key, b"GET / HTTP/1.1\r\n");
    stage.now += Duration::from_secs(11);
    stage.shard.handle_timeout(stage.now);
    assert!(stage.written(key).starts_with(b"HTTP/1.1 408 "));
    assert!(stage.shard.session(key).unwrap().wants_fin());
}

#[test]
fn a_handshake_that_arrived_in_time_but_was_not_read_is_accepted() {
    let mut stage = Stage::new();
    let key = stage.connect();
    stage.now += Duration::from_secs(11);
    stage.shard.handle_unread(key, stage.now);
    stage.shard.handle_timeout(stage.now);
    stage.send(key, request("/", WAMP).as_bytes());
    assert!(stage.written(key).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn late_input_of_an_ended_session_affects_no_other() {
    let mut stage = Stage::new();
    let gone = stage.browser(WAMP, &user(1));
    stage.shard.handle_end_of_input(gone);
    stage.write();
    let other = stage.browser(WAMP, &user(2));
    stage.say(gone, r#"[5,"oro/ping"]"#);
    stage.shard.handle_end_of_input(gone);
    stage.write();
    stage.publish(message("oro/ping", "1"));
    assert!(stage.texts(other).is_empty(), "it has not subscribed");
    stage.say(other, r#"[5,"oro/maintenance"]"#);
    stage.publish(message("oro/maintenance", "2"));
    assert_eq!(stage.texts(other).len(), 1, "it is still open");
}

#[test]
fn an_ended_session_leaves_nothing_behind() {
    let mut stage = Stage::new();
    for round in 0..3 {
        let keys: Vec<SessionKey> = (0..10).map(|uid| stage.browser(WAMP, &user(uid))).collect();
        for key in &keys {
            stage.say(*key, r#"[5,"oro/ping"]"#);
            stage.say(*key, r#"[5,"oro/data/update"]"#);
        }
        assert_eq!(stage.metrics.subscriptions.get(), 20, "round {round}");
        assert_eq!(stage.metrics.sessions_open.of(Subprotocol::Wamp).get(), 10);
        for key in keys {
            stage.shard.handle_end_of_input(key);
        }
        stage.write();
        assert!(stage.shard.is_empty() && !stage.shard.has_dirty());
        assert_eq!(stage.metrics.subscriptions.get(), 0);
        assert_eq!(stage.metrics.sessions_open.of(Subprotocol::Wamp).get(), 0);
        assert_eq!(stage.shard.drop_subscriptions(100), 20);
        assert!(!stage.node.has_subscribers(&Topic::parse("oro/ping").unwrap()));
    }
}

#[test]
fn subscriptions_of_an_ended_session_are_dropped_in_pieces_while_others_subscribe() {
    let mut stage = Stage::with(|limits| {
        limits.subscriptions = 1000;
        limits.message_burst = 1000;
    });
    let (former, other) = (stage.browser(OROSYNC, &user(1)), stage.browser(OROSYNC, &user(1)));
    let topic = |number: usize| format!("oro/email_event/1/{number}");
    for number in 0..1000 {
        stage.say(former, &format!(r#"[5,"{}"]"#, topic(number)));
    }
    let wanted = |stage: &Stage| {
        let is_wanted = |number: &usize| stage.node.has_subscribers(&Topic::parse(&topic(*number)).unwrap());
        (0..1000).filter(is_wanted).count()
    };
    assert_eq!((stage.metrics.subscriptions.get(), wanted(&stage)), (1000, 1000));
    stage.shard.handle_end_of_input(former);
    stage.write();
    assert_eq!(stage.metrics.subscriptions.get(), 0, "only subscriptions of open sessions are counted");
    assert_eq!((stage.shard.subscriptions_to_drop(), wanted(&stage)), (1000, 1000));
    assert_eq!(stage.shard.drop_subscriptions(32), 32);
    assert_eq!((stage.shard.subscriptions_to_drop(), wanted(&stage)), (968, 968));
    stage.say(other, &format!(r#"[5,"{}"]"#, topic(0)));
    while stage.shard.drop_subscriptions(32) > 0 {}
    assert_eq!((stage.metrics.subscriptions.get(), wanted(&stage)), (1, 1));
    stage.publish(message(&topic(0), "1"));
    assert_eq!(stage.texts(other).len(), 1);
}

#[test]
fn a_busy_inbox_does_not_starve_the_other_tasks_of_the_thread() {
    const ITERATIONS: usize = 200;
    let stage = Stage::new();
    let shard = &stage.node.shards()[0];
    let (alive, _receiver) = tokio::sync::mpsc::channel(1);
    for _ in 0..ITERATIONS * iteration::MESSAGES {
        shard.check_alive(alive.clone());
    }
    shard.stop(Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = runtime.spawn(async move {
        let mut iterations = 0;
        while alive.strong_count() > 1 {
            iterations += 1;
            tokio::task::yield_now().await;
        }
        iterations
    });
    runtime.block_on(run::run(stage.shard, stage.inbox, false)).unwrap();
    let iterations = runtime.block_on(other).unwrap();
    assert!(iterations >= ITERATIONS / 10, "{iterations}");
}

#[test]
fn messages_that_a_publisher_sent_right_before_its_close_are_published() {
    let close = masked(8, &1000_u16.to_be_bytes());
    let nonsense = masked(2, b"nonsense");
    for end in [close, nonsense] {
        let mut stage = Stage::new();
        let reader = stage.browser(WAMP, &user(1));
        stage.say(reader, r#"[5,"oro/ping"]"#);
        let publisher = stage.publisher(7);
        stage.link_frames(publisher);
        let publish = batch(1, vec![message("oro/ping", "1")]).encode();
        stage.send(publisher, &[masked(2, &publish), end].concat());
        assert_eq!(stage.texts(reader), [r#"[8,"oro\/ping",1]"#]);
    }
}

#[test]
fn messages_waiting_for_credit_are_published_even_if_their_publisher_is_gone() {
    let mut stage = Stage::with(|limits| limits.publisher_messages = 1);
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    stage.link(publisher, &batch(2, vec![message("oro/ping", "2")]));
    stage.shard.handle_read_error(publisher, &io::ErrorKind::ConnectionReset.into(), stage.now);
    assert!(stage.shard.session(publisher).is_some());
    assert_eq!(stage.texts(reader).len(), 2);
    stage.write();
    assert!(stage.shard.session(publisher).is_none());
}

#[test]
fn a_publisher_that_waits_for_credit_is_pinged_and_not_dropped() {
    let mut stage = Stage::with(|limits| limits.publisher_messages = 1);
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    stage.link(publisher, &batch(2, vec![message("oro/ping", "2")]));
    stage.link_frames_now(publisher);
    for _ in 0..3 {
        stage.now += Duration::from_secs(31);
        stage.send(reader, &masked(10, b""));
        stage.shard.handle_timeout(stage.now);
        assert_eq!(stage.written(publisher), b"\x89\x00", "the ping tells it that the server is alive");
    }
    assert_eq!(stage.link_frames(publisher), [1, 2].map(ack));
}

#[test]
fn a_close_frame_is_sent_whatever_bytes_follow_the_invalid_message() {
    for more in [masked(3, b""), b"\x81\x02hi".to_vec(), masked(1, &vec![b'x'; 70_000]), masked(1, b"{}")] {
        let mut stage = Stage::new();
        let key = stage.browser(WAMP, &user(1));
        stage.send(key, &[masked(1, b"not json"), more].concat());
        let sent = frames(&stage.written(key));
        assert_eq!((sent.len(), sent[0].0, &sent[0].1[..2]), (1, 8, &1007_u16.to_be_bytes()[..]));
    }
}

#[test]
fn a_protocol_violation_gets_a_close_frame_directly_followed_by_the_fin() {
    // The second is an invalid Close frame, after which the peer regards the session as closed.
    for (broken, code) in [(masked(3, b""), 1002), (masked(8, b"\x03"), 1002), (masked(1, b"\xff"), 1007)] {
        let mut stage = Stage::new();
        let key = stage.browser(OROSYNC, &user(1));
        stage.send(key, &broken);
        assert_eq!(frames(&stage.written(key))[0].1[..2], u16::to_be_bytes(code));
        assert!(stage.shard.session(key).unwrap().wants_fin());
    }
}

#[test]
fn a_close_frame_fits_into_a_full_queue() {
    let mut stage = Stage::with(|limits| limits.outbound_bytes = 1000);
    let key = stage.browser(OROSYNC, &user(1));
    stage.say(key, r#"[5,"oro/ping"]"#);
    stage.publish(message("oro/ping", &format!("\"{:x<890}\"", "")));
    stage.run();
    stage.stop();
    let sent = frames(&stage.written(key));
    assert_eq!(sent.iter().map(|(opcode, _)| *opcode).collect::<Vec<_>>(), [1, 8]);
}

#[test]
fn remaining_output_is_written_until_the_drain_deadline_before_the_close_timeout_begins() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.say(key, r#"[5,"oro/ping"]"#);
    stage.publish(message("oro/ping", "1"));
    stage.run();
    stage.stop();
    stage.now += Duration::from_secs(19);
    stage.shard.handle_timeout(stage.now);
    assert_eq!(frames(&stage.written(key)).len(), 1, "a slow reader still gets the event");
    assert!(stage.shard.session(key).is_some());
    stage.now += CLOSE_TIMEOUT;
    stage.shard.handle_timeout(stage.now);
    stage.write();
    assert!(stage.shard.session(key).is_none());
}

#[test]
fn fragments_are_charged_to_the_rate_limit_like_messages() {
    let mut stage = Stage::with(|limits| limits.message_burst = 10);
    let key = stage.browser(OROSYNC, &user(1));
    let first = [0x01, 0x80, 0, 0, 0, 0];
    let more = [0x00, 0x80, 0, 0, 0, 0].repeat(20);
    stage.send(key, &first);
    assert!(stage.written(key).is_empty());
    stage.send(key, &more);
    assert_eq!(frames(&stage.written(key))[0].1[..2], 4009_u16.to_be_bytes());
}

#[test]
fn answers_contain_only_the_beginning_of_long_names() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    let long = "\u{e9}".repeat(30_000);
    for text in [
        format!("[5,\"{long}\"]"),
        format!("[7,\"{long}\",1]"),
        format!("[2,\"1\",\"{long}\"]"),
        format!("[1,\"{long}\",\"x\"]"),
        format!("[1,\"x\",\"{long}\"]"),
    ] {
        stage.say(key, &text);
        let received = stage.texts(key);
        assert!(received.len() == 1 && received[0].len() < 5000, "{} bytes", received[0].len());
    }
}

#[test]
fn a_ticket_grants_topics_under_the_policy_granted() {
    let mut stage = Stage::new();
    let rule = |pattern: &str| {
        let pattern = TopicPattern::parse(pattern).unwrap();
        TopicRule::new(pattern, Subscribe::Granted, Publish::Publisher).unwrap()
    };
    stage.set_rules(vec![rule("acme/orders/{id:int}")]);
    let granted = Granted { topics: [Topic::parse("acme/orders/7").unwrap()].into(), ..Granted::default() };
    let key = stage.browser(WAMP, &Identity { granted, ..user(1) });
    stage.say(key, r#"[5,"acme/orders/8"]"#);
    assert!(stage.texts(key)[0].starts_with(r#"[4,"acme\/orders\/8""#));
    stage.say(key, r#"[5,"acme/orders/7"]"#);
    stage.publish(message("acme/orders/7", "1"));
    assert_eq!(stage.texts(key), [r#"[8,"acme\/orders\/7",1]"#]);
}

#[test]
fn changed_rules_apply_to_new_subscriptions_and_close_no_session() {
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.say(key, r#"[5,"acme/news"]"#);
    assert!(stage.texts(key)[0].starts_with("[4,"));
    let pattern = TopicPattern::parse("acme/news").unwrap();
    stage.set_rules(vec![TopicRule::new(pattern, Subscribe::User, Publish::Publisher).unwrap()]);
    stage.say(key, r#"[5,"acme/news"]"#);
    stage.set_rules(Vec::new());
    stage.publish(message("acme/news", "1"));
    assert_eq!(stage.texts(key), [r#"[8,"acme\/news",1]"#], "existing subscriptions are kept");
}

#[test]
fn an_acknowledgement_waits_until_the_event_is_written() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link_frames(publisher);
    stage.write();
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    stage.handle_inbox();
    assert!(stage.link_frames_now(publisher).is_empty(), "the event waits in the reader's queue");
    assert!(!stage.shard.session(reader).unwrap().outbound().is_empty());
    // The event loop takes both sessions, writes them, and then reports that all are written.
    assert_eq!([stage.shard.next_dirty(), stage.shard.next_dirty()], [Some(publisher), Some(reader)]);
    stage.handle_inbox();
    assert!(stage.link_frames_now(publisher).is_empty(), "the reader's output is not written yet");
    stage.write();
    stage.handle_inbox();
    assert_eq!(stage.link_frames_now(publisher), [ack(1)]);
}

#[test]
fn a_disconnect_is_acknowledged_after_the_close_frames_are_written() {
    let mut stage = Stage::new();
    let ended = stage.browser(OROSYNC, &user(7));
    let publisher = stage.publisher(1);
    stage.link_frames(publisher);
    stage.link(publisher, &batch(1, vec![message("orosync/disconnect", r#"{"role":"user","uid":7}"#)]));
    stage.handle_inbox();
    stage.handle_inbox();
    assert!(!stage.shard.session(ended).unwrap().outbound().is_empty(), "its Close frame");
    assert!(stage.link_frames_now(publisher).is_empty());
    stage.write();
    stage.handle_inbox();
    assert_eq!(stage.link_frames_now(publisher), [ack(1)]);
}

#[test]
fn welcome_waits_until_accepted_messages_are_written() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let first = stage.publisher(7);
    stage.link_frames(first);
    stage.link(first, &batch(1, vec![message("oro/ping", "1")]));
    stage.shard.handle_read_error(first, &io::ErrorKind::ConnectionReset.into(), stage.now);
    let second = stage.publisher(7);
    assert!(stage.link_frames_now(second).is_empty(), "message 1 is accepted, and still in the inbox");
    assert_eq!(stage.link_frames(second), [ServerFrame::Welcome { accepted: Seq::new(1) }]);
}

#[test]
fn a_resent_message_is_acknowledged_after_the_original_is_written() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let (first, second) = (stage.publisher(7), stage.publisher(7));
    stage.link_frames(first);
    stage.link_frames(second);
    stage.link(first, &batch(1, vec![message("oro/ping", "1")]));
    stage.link(second, &batch(1, vec![message("oro/ping", "1")]));
    assert!(stage.link_frames_now(second).is_empty(), "message 1 is still in the inbox");
    assert_eq!(stage.link_frames(second), [ack(1)]);
    assert_eq!(stage.texts(reader).len(), 1);
}

#[test]
fn a_drain_acknowledges_accepted_messages_and_notifies_when_all_are() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link_frames(publisher);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    let (done, mut replies_sent) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    stage.link(publisher, &batch(2, vec![message("oro/ping", "2")]));
    assert_eq!(
        replies_sent.try_recv(),
        Err(mpsc::error::TryRecvError::Empty),
        "message 1 is not acknowledged yet"
    );
    stage.run();
    assert_eq!(replies_sent.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    let received = frames(&stage.written(publisher));
    assert_eq!(received.iter().map(|(opcode, _)| *opcode).collect::<Vec<_>>(), [2, 8]);
    assert_eq!(ServerFrame::decode(received[0].1.clone().into()).unwrap(), ack(1));
    assert_eq!(received[1].1[..2], 1001_u16.to_be_bytes());
    assert_eq!(stage.texts(reader).len(), 1, "the publisher resends message 2 to the next server");
}

#[test]
fn a_drain_does_not_wait_for_a_publisher_that_is_gone() {
    let mut stage = Stage::new();
    let reader = stage.browser(WAMP, &user(1));
    stage.say(reader, r#"[5,"oro/ping"]"#);
    let publisher = stage.publisher(7);
    stage.link_frames(publisher);
    stage.link(publisher, &batch(1, vec![message("oro/ping", "1")]));
    let (done, mut replies_sent) = mpsc::channel(1);
    stage.shard.handle_message(ShardMessage::StopPublishing(done), stage.now);
    stage.shard.handle_read_error(publisher, &io::ErrorKind::ConnectionReset.into(), stage.now);
    stage.write();
    assert_eq!(replies_sent.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
    assert_eq!(stage.texts(reader).len(), 1);
}

#[test]
fn a_failed_write_is_not_retried() {
    /// Like TLS after a reset: accepted bytes stay pending forever.
    struct Broken;
    impl Outlet for Broken {
        fn write(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn has_pending(&self) -> bool {
            true
        }
        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut stage = Stage::new();
    let key = stage.browser(WAMP, &user(1));
    stage.say(key, r#"[2,"1","orosync/session"]"#);
    assert_eq!(stage.shard.next_dirty(), Some(key));
    assert!(stage.shard.write(key, &mut Broken, stage.now()), "the session is finished");
    assert!(stage.shard.is_empty());
}

mod recovery;
mod tickets;
