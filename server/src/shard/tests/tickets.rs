//! Handshakes with a shared store of used tickets, which answers when the test tells it to.

use std::sync::Mutex;

use orosync_protocol::SessionId;
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::Resumption;
use serde_json::Value;

use super::*;
use crate::auth::replay::FirstUse;
use crate::auth::resume::{ResumeTickets, ResumeTimes};
use crate::auth::revocations::Revocations;
use crate::auth::used::{SharedTickets, TicketUse, UseAnswer};

/// A store of used tickets that records ticket checks, and answers none by itself.
#[derive(Default)]
struct Store(Mutex<VecDeque<(TicketUse, UseAnswer)>>);

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Store")
    }
}

impl SharedTickets for Store {
    fn use_up(&self, ticket: TicketUse, answer: UseAnswer) {
        self.0.lock().unwrap().push_back((ticket, answer));
    }
}

/// A shard with a shared store of used tickets.
struct ClusteredShard {
    stage: Stage,
    store: Arc<Store>,
    revocations: Arc<Revocations>,
}

impl ClusteredShard {
    fn new() -> Self {
        let mut stage = Stage::new();
        let (store, revocations) = (Arc::new(Store::default()), Arc::new(Revocations::new(300, 100)));
        let times = ResumeTimes { seconds: 300, total_seconds: 3600 };
        let signer = Some(Signer::from_secret(SECRET).unwrap());
        let mut shared = Shared::clone(&stage.shard.shared);
        shared.handshake.authenticator = Arc::new(Authenticator::new(
            vec![Verifier::from_secret(SECRET).unwrap()],
            UsedTickets::OfAllNodes(Arc::<Store>::clone(&store)),
            Some(ResumeTickets::new(signer, times, Arc::clone(&revocations))),
        ));
        stage.shard.handle_message(ShardMessage::Rules(Arc::new(shared)), stage.now);
        Self { stage, store, revocations }
    }

    /// Opens a connection and sends a handshake, followed by `rest`.
    fn shake(&mut self, target: &str, more: &str, rest: &[u8]) -> SessionKey {
        let key = self.stage.connect();
        self.stage.send(key, &[request(target, more).as_bytes(), rest].concat());
        key
    }

    /// Sends a handshake with a ticket of this user.
    fn shake_as(&mut self, uid: u64, more: &str, rest: &[u8]) -> SessionKey {
        self.shake(&format!("/?ticket={}", ticket(uid)), more, rest)
    }

    fn shake_with_resume_ticket(&mut self, ticket: &str) -> SessionKey {
        let offer = format!("Sec-WebSocket-Protocol: orosync.1, wamp, orosync.ticket.{ticket}\r\n");
        self.shake("/", &offer, b"")
    }

    /// The oldest unanswered ticket check, with its callback.
    fn next_check(&self) -> (TicketUse, UseAnswer) {
        self.store.0.lock().unwrap().pop_front().expect("a ticket check is pending")
    }

    /// Answers the oldest ticket check.
    fn answer(&mut self, first_use: FirstUse) {
        let (_, answer) = self.next_check();
        answer(first_use);
        self.stage.handle_inbox();
    }

    /// Opens a session of this user, which has read its greeting.
    fn open(&mut self, uid: u64) -> SessionKey {
        let key = self.shake_as(uid, OROSYNC, b"");
        self.answer(FirstUse::Yes);
        assert!(self.stage.written(key).starts_with(b"HTTP/1.1 101 "));
        key
    }

    /// Calls `orosync/resume`. Returns the ticket, if one was issued.
    fn resume_ticket(&mut self, key: SessionKey) -> Option<String> {
        self.stage.say(key, r#"[2,"1","orosync/resume"]"#);
        let received: Value = serde_json::from_str(&self.stage.texts(key)[0]).unwrap();
        received[2]["ticket"].as_str().map(str::to_owned)
    }

    /// The frames after the 101.
    fn greeted(&mut self, key: SessionKey) -> Vec<(u8, Vec<u8>)> {
        let written = self.stage.written(key);
        assert!(written.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&written));
        let end = written.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        frames(&written[end..])
    }

    /// The code of the Close frame, which must be the only frame after the 101.
    fn close_code(&mut self, key: SessionKey) -> u16 {
        let frames = self.greeted(key);
        assert_eq!((frames.len(), frames[0].0), (1, 8));
        u16::from_be_bytes([frames[0].1[0], frames[0].1[1]])
    }

    fn refused(&mut self, key: SessionKey) -> String {
        let written = String::from_utf8(self.stage.written(key)).unwrap();
        assert!(self.stage.shard.session(key).unwrap().wants_fin());
        written
    }

    fn open_sessions(&self) -> i64 {
        self.stage.metrics.sessions_open.of(Subprotocol::Orosync).get()
    }
}

fn ticket(uid: u64) -> String {
    Signer::from_secret(SECRET).unwrap().issue(&user(uid), UNIX_NOW, 300, 1).unwrap()
}

#[test]
fn a_handshake_waits_for_its_ticket_check() {
    let mut clustered = ClusteredShard::new();
    let rest = [masked(1, br#"[5,"oro/ping"]"#), masked(1, br#"[2,"1","orosync/ping"]"#)].concat();
    let key = clustered.shake_as(7, OROSYNC, &rest);
    assert!(!clustered.stage.shard.wants_input(key), "its input stays in the kernel's buffer");
    assert!(clustered.stage.written(key).is_empty());
    assert_eq!(clustered.open_sessions(), 0);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.open_sessions(), 1);
    let greeting = clustered.greeted(key);
    assert!(greeting.len() == 1 && greeting[0].1.starts_with(b"[0,\""));
    assert!(clustered.stage.shard.wants_input(key));
    assert_eq!(clustered.stage.texts(key), [r#"[3,"1",null]"#]);
    clustered.stage.publish(message("oro/ping", "1"));
    assert_eq!(clustered.stage.texts(key), [r#"[8,"oro\/ping",1]"#]);
}

#[test]
fn publishers_and_anonymous_clients_need_no_ticket_check() {
    let mut clustered = ClusteredShard::new();
    clustered.stage.publisher(1);
    let key = clustered.shake("/", WAMP, b"");
    assert!(clustered.stage.written(key).starts_with(b"HTTP/1.1 101 "));
    let bearer = format!("Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {}\r\n", ticket(7));
    let key = clustered.shake("/", &bearer, b"");
    assert!(clustered.refused(key).starts_with("HTTP/1.1 401 "), "not a publisher's ticket");
    assert!(clustered.store.0.lock().unwrap().is_empty());
}

#[test]
fn each_use_has_its_own_nonce_and_all_resume_tickets_of_a_session_share_an_id() {
    let mut clustered = ClusteredShard::new();
    for _ in 0..2 {
        clustered.shake_as(7, OROSYNC, b"");
    }
    let (first, second) = (clustered.next_check().0, clustered.next_check().0);
    assert_eq!((&first.id, first.expires), (&second.id, UNIX_NOW + 300));
    assert_ne!(first.nonce, second.nonce);
    let open = clustered.open(8);
    let tickets = [clustered.resume_ticket(open).unwrap(), clustered.resume_ticket(open).unwrap()];
    let id = clustered.stage.shard.session(open).unwrap().id().unwrap();
    for ticket in tickets {
        clustered.shake_with_resume_ticket(&ticket);
        let used = clustered.next_check().0;
        assert_eq!(used.id, format!("session {id}"));
        assert!(used.expires >= UNIX_NOW + 300);
    }
}

#[test]
fn a_ticket_whose_check_fails_is_refused_with_the_reason() {
    let mut clustered = ClusteredShard::new();
    for (first_use, status, refusal, reason) in [
        (FirstUse::No, "401", "ticket_rejected", "replayed"),
        (FirstUse::NoRoom, "503", "busy", "memory_full"),
        (FirstUse::Unavailable, "503", "broker_unavailable", "broker_unavailable"),
    ] {
        let key = clustered.shake_as(7, OROSYNC, b"");
        clustered.answer(first_use);
        let answer = clustered.refused(key);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(answer.contains("Retry-After: "), status == "503", "{answer}");
        let metrics = &clustered.stage.metrics;
        assert_eq!(metrics.handshakes_refused.total(refusal), 1);
        assert_eq!(metrics.tickets_rejected.total(reason), 1);
    }
    assert_eq!(clustered.open_sessions(), 0);
}

#[test]
fn a_ticket_check_that_times_out_is_refused_with_503_and_a_late_answer_is_ignored() {
    let mut clustered = ClusteredShard::new();
    let key = clustered.shake_as(7, OROSYNC, b"");
    clustered.stage.now += Duration::from_secs(9);
    clustered.stage.shard.handle_timeout(clustered.stage.now);
    assert!(clustered.stage.written(key).is_empty());
    clustered.stage.now += Duration::from_secs(1);
    clustered.stage.shard.handle_timeout(clustered.stage.now);
    let answer = clustered.refused(key);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("the broker is unreachable"), "{answer}");
    clustered.answer(FirstUse::Yes);
    assert!(clustered.stage.written(key).is_empty());
    assert_eq!(clustered.stage.metrics.handshakes_refused.total("broker_unavailable"), 1);
    assert_eq!(clustered.open_sessions(), 0);
}

#[test]
fn a_ticket_check_gets_five_seconds_even_near_the_handshake_timeout() {
    let mut clustered = ClusteredShard::new();
    let key = clustered.stage.connect();
    clustered.stage.now += Duration::from_secs(9);
    let target = format!("/?ticket={}", ticket(7));
    clustered.stage.send(key, request(&target, OROSYNC).as_bytes());
    clustered.stage.now += Duration::from_secs(4);
    clustered.stage.shard.handle_timeout(clustered.stage.now);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key).len(), 1);
}

#[test]
fn the_answer_for_a_closed_connection_affects_no_other() {
    let mut clustered = ClusteredShard::new();
    let gone = clustered.shake_as(7, OROSYNC, b"");
    clustered.stage.shard.handle_end_of_input(gone);
    clustered.stage.write();
    assert!(clustered.stage.shard.session(gone).is_none());
    let other = clustered.shake_as(8, OROSYNC, b"");
    clustered.answer(FirstUse::Yes);
    assert!(clustered.stage.written(other).is_empty(), "it waits for its own ticket check");
    let broken = clustered.shake_as(9, OROSYNC, b"");
    let error = io::Error::from(io::ErrorKind::ConnectionReset);
    clustered.stage.shard.handle_read_error(broken, &error, clustered.stage.now);
    clustered.answer(FirstUse::Yes);
    clustered.answer(FirstUse::Yes);
    assert_eq!((clustered.greeted(other).len(), clustered.open_sessions()), (1, 1));
}

#[test]
fn a_drain_does_not_wait_for_ticket_checks() {
    let mut clustered = ClusteredShard::new();
    let key = clustered.shake_as(7, OROSYNC, b"");
    let (done, mut replies_sent) = mpsc::channel(1);
    clustered.stage.shard.handle_message(ShardMessage::StopPublishing(done), clustered.stage.now);
    assert!(replies_sent.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected));
    clustered.stage.stop();
    clustered.stage.write();
    assert!(clustered.stage.shard.session(key).unwrap().wants_fin());
    clustered.answer(FirstUse::Yes);
    assert!(clustered.stage.written(key).is_empty());
    clustered.stage.shard.handle_end_of_input(key);
    clustered.stage.write();
    assert!(clustered.stage.shard.is_empty());
}

#[test]
fn an_answer_in_the_first_step_of_a_drain_opens_a_session_that_is_then_closed_with_1001() {
    let mut clustered = ClusteredShard::new();
    let key = clustered.shake_as(7, OROSYNC, b"");
    let (done, _receiver) = mpsc::channel(1);
    clustered.stage.shard.handle_message(ShardMessage::StopPublishing(done), clustered.stage.now);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key).len(), 1);
    clustered.stage.stop();
    let sent = frames(&clustered.stage.written(key));
    assert_eq!((sent[0].0, &sent[0].1[..2]), (8, &1001_u16.to_be_bytes()[..]));
}

#[test]
fn a_resumed_session_ends_after_the_ticket_check_of_its_successor() {
    let mut clustered = ClusteredShard::new();
    let old = clustered.open(7);
    let ticket = clustered.resume_ticket(old).unwrap();
    let key = clustered.shake_with_resume_ticket(&ticket);
    clustered.stage.run();
    assert!(clustered.stage.written(old).is_empty());
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key).len(), 1);
    clustered.stage.run();
    assert_eq!(frames(&clustered.stage.written(old))[0].1[..2], 4010_u16.to_be_bytes());
    assert_eq!(clustered.stage.metrics.resume_tickets_used.get(), 1);
    let again = clustered.shake_with_resume_ticket(&ticket);
    clustered.answer(FirstUse::No);
    assert_eq!(clustered.close_code(again), 4010);
}

#[test]
fn a_resume_ticket_stays_valid_while_the_broker_is_unavailable() {
    let mut clustered = ClusteredShard::new();
    let old = clustered.open(7);
    let ticket = clustered.resume_ticket(old).unwrap();
    for _ in 0..10 {
        let key = clustered.shake_with_resume_ticket(&ticket);
        clustered.answer(FirstUse::Unavailable);
        assert_eq!(clustered.close_code(key), 4011, "the page reconnects with the same ticket");
    }
    // The node is not ready, so it refuses with a status that makes a load balancer try another node.
    clustered.stage.has_broker.store(false, Ordering::Relaxed);
    let key = clustered.shake_with_resume_ticket(&ticket);
    clustered.answer(FirstUse::Unavailable);
    assert!(clustered.refused(key).starts_with("HTTP/1.1 503 "));
    assert_eq!(clustered.stage.metrics.handshakes_refused.total("broker_unavailable"), 11);
    let key = clustered.shake_with_resume_ticket(&ticket);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key)[0].0, 1);
}

#[test]
fn a_resume_ticket_revoked_during_its_check_is_refused() {
    let mut clustered = ClusteredShard::new();
    let old = clustered.open(7);
    let ticket = clustered.resume_ticket(old).unwrap();
    let key = clustered.shake_with_resume_ticket(&ticket);
    clustered.revocations.record(&Disconnect::Id { role: Role::User, uid: 7.into() }, (), UNIX_NOW);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.close_code(key), 4010);
    assert_eq!(clustered.stage.metrics.tickets_rejected.total("revoked"), 1);
}

#[test]
fn a_ticket_that_refers_to_a_later_disconnect_is_accepted_once_this_node_knows_it() {
    let mut clustered = ClusteredShard::new();
    let session = SessionId(9);
    let (node, last) =
        clustered.revocations.last_for_new_ticket([session].into_iter(), &user(7), u64::MAX).unwrap();
    let verifier = Verifier::from_secret(SECRET).unwrap();
    let resumption = Resumption {
        session,
        former: Vec::new(),
        since: UNIX_NOW,
        until: None,
        key: verifier.id(),
        node,
        revocations: last + 1,
        place: SessionPlace::default(),
    };
    let signer = Signer::from_secret(SECRET).unwrap();
    let ticket = signer.issue_resume(&user(7), &[], &resumption, UNIX_NOW, UNIX_NOW + 300, 1).unwrap();
    let key = clustered.shake_with_resume_ticket(&ticket);
    clustered.revocations.record(&Disconnect::Id { role: Role::User, uid: 8.into() }, (), UNIX_NOW);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key)[0].0, 1);
}

#[test]
fn a_user_disconnected_during_the_ticket_check_gets_a_session_that_cannot_be_resumed() {
    let mut clustered = ClusteredShard::new();
    let key = clustered.shake_as(7, OROSYNC, b"");
    clustered.revocations.record(&Disconnect::Id { role: Role::User, uid: 7.into() }, (), UNIX_NOW);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.greeted(key).len(), 1);
    assert_eq!(clustered.resume_ticket(key), None);
}

#[test]
fn a_resume_ticket_whose_key_was_removed_during_its_check_is_refused() {
    let mut clustered = ClusteredShard::new();
    let old = clustered.open(7);
    let ticket = clustered.resume_ticket(old).unwrap();
    let key = clustered.shake_with_resume_ticket(&ticket);
    let mut shared = Shared::clone(&clustered.stage.shard.shared);
    let other = Verifier::from_secret(b"fedcba9876543210fedcba9876543210").unwrap();
    shared.handshake.authenticator = Arc::new(shared.handshake.authenticator.with_keys(vec![other], None));
    clustered.stage.shard.handle_message(ShardMessage::Rules(Arc::new(shared)), clustered.stage.now);
    clustered.answer(FirstUse::Yes);
    assert_eq!(clustered.close_code(key), 4010);
}
