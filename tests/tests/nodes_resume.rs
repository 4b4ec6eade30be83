//! Several nodes on one Redis: a session can be resumed on any of them, and a disconnect applies to all of them. A node that may have
//! missed a disconnect closes its sessions.

use orosync_protocol::disconnect::{self, Disconnect};
use orosync_protocol::{Audience, SessionId, SessionIds};
use orosync_tests::client::{Client, OROSYNC, Received, request};
use orosync_tests::nodes::{Nodes, broker};
use orosync_tests::redis::{Redis, RedisProxy};
use orosync_tests::resumption::{
    NEW_TICKET, assert_rejected, disconnect, offer, resume, resume_ticket, session_id, user,
};
use orosync_tests::server::{Server, need_descriptors};
use orosync_tests::source::Source;
use serde_json::{Value, json};

const TOPIC: &str = "oro/data/update";

/// The close code for "reconnect and recover".
const INCOMPLETE: Received = Received::Close(4012);

/// The Redis keys of a topic: its entries and its head.
fn keys(topic: &str) -> [String; 2] {
    ["e", "h"].map(|kind| format!("orosync:{{0}}:{kind}:{topic}"))
}

/// Copies the Redis data of a topic, as if a replica were detached.
fn copy_as_stale_replica(redis: &Redis, topic: &str) {
    for key in keys(topic) {
        redis.run(&["COPY", &key, &format!("{key}:stale"), "REPLACE"]);
    }
}

/// Replaces the Redis data of a topic by the copy, as if the stale replica were promoted.
fn promote(redis: &Redis, topic: &str) {
    for key in keys(topic) {
        redis.run(&["COPY", &format!("{key}:stale"), &key, "REPLACE"]);
    }
}

fn publish(node: &Server, payload: u64) {
    Source::to(&node.endpoint()).publish_all(TOPIC, [payload]);
}

#[test]
fn a_resume_ticket_is_valid_once_on_any_node() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis.url(), "");
    let mut session = Client::user(nodes.node(0), OROSYNC, 7);
    let first = session_id(&mut session);
    let mut ticket = resume_ticket(&mut session);
    drop(session);
    for number in [1, 0, 0, 1] {
        let mut resumed = resume(nodes.node(number), &ticket);
        let next = resume_ticket(&mut resumed);
        (0..2).for_each(|number| assert_rejected(nodes.node(number), &ticket, "replayed"));
        ticket = next;
    }
    // A message for the first session is delivered to the last one that resumed it, whichever node it is published at.
    let mut last = resume(nodes.node(1), &ticket);
    last.subscribe(TOPIC);
    last.sync();
    let only = SessionIds::new(vec![SessionId::parse_or_nobody(&first)]).expect("one");
    let mut source = Source::to(&nodes.node(0).endpoint());
    source.publish_to(TOPIC, &json!("not for it"), Audience { exclude: only.clone(), ..Audience::default() });
    source.publish_to(TOPIC, &json!("for it"), Audience { eligible: only, ..Audience::default() });
    source.flush();
    assert_eq!(last.text(), r#"[8,"oro\/data\/update","for it"]"#);
}

#[test]
fn a_disconnect_applies_to_all_nodes_including_those_that_start_later() {
    let redis = Redis::start();
    let mut nodes = Nodes::start(2, &redis.url(), "");
    let mut other = Client::user(nodes.node(0), OROSYNC, 8);
    let others = [(); 2].map(|()| resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, 8)));
    let mut sessions = [0, 1].map(|number| Client::user(nodes.node(number), OROSYNC, 7));
    let tickets = sessions.each_mut().map(resume_ticket);
    disconnect(nodes.node(0), &user(7));
    for ticket in &tickets {
        assert_rejected(nodes.node(1), ticket, "revoked");
    }
    for session in &mut sessions {
        assert_eq!(session.receive(), NEW_TICKET);
    }
    let more = [(); 2].map(|()| resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, 9)));
    disconnect(nodes.node(0), &user(9));
    nodes.kill(1);
    disconnect(nodes.node(0), &Disconnect::Session(SessionId::parse_or_nobody(&session_id(&mut other))));
    assert_eq!(other.receive(), NEW_TICKET);
    nodes.start_again(1);
    for (ticket, node) in more.iter().zip([0, 1]) {
        assert_rejected(nodes.node(node), ticket, "revoked");
    }
    for (ticket, node) in others.iter().zip([1, 0]) {
        let next = resume_ticket(&mut resume(nodes.node(node), ticket));
        resume(nodes.node(1 - node), &next).sync();
    }
}

#[test]
fn a_node_that_missed_the_push_of_a_disconnect_still_rejects_revoked_tickets() {
    let redis = Redis::start();
    let proxy = RedisProxy::to(redis.address());
    let nodes = Nodes::start_each([broker(&redis.url()), broker(&proxy.url())]);
    let mut session = Client::user(nodes.node(1), OROSYNC, 7);
    let tickets = [(); 3].map(|()| resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, 7)));
    let others = resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, 8));
    resume(nodes.node(1), &tickets[0]).sync();
    proxy.drop_pushes();
    disconnect(nodes.node(0), &user(7));
    for ticket in &tickets[1..] {
        assert_rejected(nodes.node(1), ticket, "revoked");
    }
    assert_eq!(session.receive(), NEW_TICKET);
    resume(nodes.node(1), &others).sync();
    assert!(proxy.dropped_pushes() > 0);
}

#[test]
fn disconnects_survive_lost_connections_and_a_restart_of_redis_and_close_no_other_session() {
    let mut redis = Redis::start_with(Redis::DURABLE);
    let nodes = Nodes::start(2, &redis.url(), "");
    let mut bystanders = [0, 1].map(|number| Client::user(nodes.node(number), OROSYNC, 1000));
    let ticket_of_closed = |uid| resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, uid));
    let good = [ticket_of_closed(1000), ticket_of_closed(1000)];
    for uid in 0..10 {
        let ticket = ticket_of_closed(uid);
        redis.kill_subscribers();
        disconnect(nodes.node(0), &user(uid));
        assert_rejected(nodes.node(1), &ticket, "revoked");
    }
    let [first, second] = [ticket_of_closed(10), ticket_of_closed(11)];
    disconnect(nodes.node(0), &user(10));
    redis.stop();
    redis.start_again();
    disconnect(nodes.node(1), &user(11));
    (0..2).for_each(|number| nodes.await_ready(number));
    for (number, ticket) in [first, second].iter().enumerate() {
        assert_rejected(nodes.node(number), ticket, "revoked");
    }
    for (number, ticket) in good.iter().enumerate() {
        resume(nodes.node(number), ticket).sync();
    }
    bystanders.iter_mut().for_each(Client::sync);
}

#[test]
fn when_redis_loses_the_disconnects_sessions_close_and_need_new_tickets() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis.url(), "");
    disconnect(nodes.node(0), &user(9));
    let mut sessions: Vec<_> = (0..20).map(|uid| Client::user(nodes.node(uid % 2), OROSYNC, 7)).collect();
    let ticket = resume_ticket(&mut sessions[0]);
    let of_closed = resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, 7));
    for key in keys(disconnect::TOPIC) {
        redis.run(&["DEL", &key]);
    }
    for session in &mut sessions {
        assert_eq!(session.receive(), NEW_TICKET);
    }
    for (number, ticket) in [ticket, of_closed].iter().enumerate() {
        assert_rejected(nodes.node(number), ticket, "other_server");
    }
    let mut session = Client::user(nodes.node(0), OROSYNC, 7);
    session.sync();
    disconnect(nodes.node(1), &user(7));
    assert_eq!(session.receive(), NEW_TICKET);
}

#[test]
fn resume_tickets_are_rejected_if_a_promoted_replica_may_lack_disconnects() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis.url(), "");
    disconnect(nodes.node(0), &user(1));
    let mut session = Client::user(nodes.node(0), OROSYNC, 7);
    let [before, revoked] = [7, 3].map(|uid| resume_ticket(&mut Client::user(nodes.node(0), OROSYNC, uid)));
    copy_as_stale_replica(&redis, disconnect::TOPIC);
    disconnect(nodes.node(0), &user(2));
    let lost = [0, 1].map(|number| resume_ticket(&mut Client::user(nodes.node(number), OROSYNC, 8)));
    promote(&redis, disconnect::TOPIC);
    disconnect(nodes.node(1), &user(3));
    assert_eq!(session.receive(), NEW_TICKET);
    for (number, lost) in lost.iter().enumerate() {
        assert_rejected(nodes.node(number), lost, "other_server");
    }
    assert_rejected(nodes.node(0), &revoked, "revoked");
    // Other tickets from before the failover are rejected too, because the promoted replica may lack their disconnects.
    assert_rejected(nodes.node(1), &before, "revoked");
}

#[test]
fn a_session_that_may_have_missed_events_resumes_with_an_incomplete_recovery() {
    let redis = Redis::start();
    let nodes = Nodes::start(2, &redis.url(), "");
    let mut plain = Client::user(nodes.node(1), OROSYNC, 7);
    plain.subscribe(TOPIC);
    plain.sync();
    publish(nodes.node(0), 1);
    let mut recovering = Client::user(nodes.node(1), OROSYNC, 7);
    recovering.recover(TOPIC, &json!({}));
    copy_as_stale_replica(&redis, TOPIC);
    publish(nodes.node(0), 2);
    let last = recovering.event(TOPIC);
    let ticket = resume_ticket(&mut recovering);
    promote(&redis, TOPIC);
    publish(nodes.node(0), 3);
    assert_eq!(recovering.receive(), INCOMPLETE, "a Close frame, because the event would hide the gap");
    let mut resumed = resume(nodes.node(0), &ticket);
    let recovered = resumed.recover_since(TOPIC, &last.position);
    assert!(!recovered.complete && recovered.payloads().contains(&json!(3)), "{recovered:?}");
    let received = [1, 2, 3].map(|_| serde_json::from_str::<Value>(&plain.text()).expect("JSON")[2].clone());
    assert_eq!(received, [json!(1), json!(2), json!(3)]);
    plain.sync();
}

#[test]
fn pages_of_a_killed_node_resume_on_the_other_nodes_without_new_tickets() {
    const PAGES: u32 = 5000;
    const OTHERS: [usize; 2] = [1, 2];
    need_descriptors(u64::from(PAGES) + 100);
    let redis = Redis::start();
    let mut nodes = Nodes::start(3, &redis.url(), "");
    let pages: Vec<_> = (0..PAGES)
        .map(|uid| {
            let mut page = Client::user(nodes.node(0), OROSYNC, uid.into());
            let position = page.recover(TOPIC, &json!({})).position;
            (resume_ticket(&mut page), position, page)
        })
        .collect();
    nodes.kill(0);
    publish(nodes.node(1), 1);
    // All pages send their requests before the first response is read.
    let connecting: Vec<_> = pages
        .into_iter()
        .zip(OTHERS.into_iter().cycle())
        .map(|((ticket, position, _), node)| {
            let mut page = Client::connect(nodes.node(node));
            page.send(request("/", &offer(&ticket)).as_bytes());
            (page, position)
        })
        .collect();
    let mut resumed: Vec<_> = connecting
        .into_iter()
        .map(|(mut page, position)| {
            page.read_head();
            assert!(page.text().starts_with("[0,\""), "{}", page.head);
            let recovered = page.recover_since(TOPIC, &position);
            assert!(recovered.complete && recovered.payloads() == [json!(1)], "{recovered:?}");
            page
        })
        .collect();
    let each = f64::from(PAGES) / 2.0;
    // Each session was opened with the page's resume ticket, and no ticket was rejected.
    for node in OTHERS.map(|number| nodes.node(number)) {
        node.await_metric("orosync_sessions_opened_total{protocol=\"orosync\"}", each);
        node.await_metric("orosync_resume_tickets_used_total", each);
    }
    publish(nodes.node(1), 2);
    for page in &mut resumed {
        assert_eq!(page.event(TOPIC).payload, json!(2));
    }
}
