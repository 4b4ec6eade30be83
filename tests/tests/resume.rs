//! Resume tickets: each lets a session reconnect once with the same identity, without asking the application. A disconnect revokes
//! them, even if the server is killed right afterwards.

use std::fs;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use orosync_link::{Options, Publisher};
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::link_frame::Message;
use orosync_protocol::ticket::{Claims, Role};
use orosync_protocol::{Audience, Payload, SessionId, SessionIds, Topic};
use orosync_tests::client::{Client, OROSYNC, WAMP, frame};
use orosync_tests::resumption::{
    NEW_TICKET, assert_rejected, call, disconnect, offer, resume, resume_ticket, session_id, signer, user,
};
use orosync_tests::server::{Server, now, ticket};
use orosync_tests::source::Source;
use orosync_tests::{SECRET, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The key pair of RFC 8410, 10.1 and 10.3.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

/// Topics that only the user of [`claims`] may subscribe to.
const TOPICS: &str = "[[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"granted\"\n\
    [[topics]]\npattern = \"sales\"\nsubscribe = \"role:ROLE_SALES\"\n";

fn claims(uid: u64) -> Claims {
    Claims {
        aud: "orosync".to_owned(),
        sub: Some(format!("user{uid}").into()),
        uid: Some(uid.into()),
        org: Some(1),
        roles: vec!["ROLE_SALES".to_owned()],
        topics: vec!["acme/board".to_owned()],
        patterns: vec!["acme/b{id:int}".to_owned()],
        origins: Vec::new(),
        role: Role::User,
        iat: now(),
        exp: now() + 300,
        nbf: None,
        until: None,
        jti: format!("{:032x}", rand::random::<u128>()),
    }
}

fn signed(claims: &Claims) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a ticket")
}

/// Opens a session with a ticket of the application that has these claims.
fn open(server: &Server, claims: &Claims) -> Client {
    Client::with_ticket(server, OROSYNC, &signed(claims))
}

/// The HTTP status of a handshake with this target and these headers.
fn status(server: &Server, target: &str, headers: &str) -> String {
    let head = Client::connect(server).handshake(target, headers).to_owned();
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_resumed_session_keeps_its_identity_roles_and_grants() {
    let server = Server::start_with(TOPICS);
    let mut first = open(&server, &claims(7));
    let who = call(&mut first, "orosync/session");
    let answer = call(&mut first, "orosync/resume");
    assert_eq!((&answer["seconds"], &answer["positions"]), (&json!(300), &json!({})));
    drop(first);

    let mut second = resume(&server, answer["ticket"].as_str().expect("a ticket"));
    let chosen: Vec<_> =
        second.head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: ")).collect();
    assert_eq!(chosen, ["orosync.1"], "the response does not repeat the ticket");
    assert!(!second.head.contains("orosync.ticket"), "{}", second.head);
    // Resume the resumed session.
    let ticket = resume_ticket(&mut second);
    let mut third = resume(&server, &ticket);
    let mut now = call(&mut third, "orosync/session");
    assert_ne!(now["session"], who["session"]);
    now["session"] = who["session"].clone();
    assert_eq!(now, who);
    for (topic, is_granted) in
        [("acme/board", true), ("acme/b7", true), ("sales", true), ("acme/other", false)]
    {
        third.send_text(&json!([5, topic]).to_string());
        third.send_text(r#"[2,"2","orosync/ping"]"#);
        let refused = third.text().starts_with("[4,");
        assert_eq!(refused, !is_granted, "{topic}");
        if refused {
            third.text();
        }
    }
    server.await_metric("orosync_resume_tickets_issued_total", 2.0);
    server.await_metric("orosync_resume_tickets_used_total", 2.0);
}

#[test]
fn a_renewal_returns_the_topics_positions_before_later_calls_are_answered() {
    let server = Server::start();
    let mut session = Client::user(&server, OROSYNC, 7);
    session.subscribe("oro/data/update");
    session.send_text(r#"[2,"s","orosync/subscribe","oro/ping"]"#);
    session.text();
    let options = Options::new(server.endpoint().parse().expect("an endpoint"), signer());
    let mut publisher = Publisher::new(options);
    let payload = Payload::from_encoder(Bytes::from_static(b"17")).expect("a payload");
    let topic = Topic::parse("oro/ping").expect("a topic");
    let message = Message { topic, payload, audience: Audience::default() };
    publisher.publish(message.lend()).expect("the queue has room");
    let event: Value = serde_json::from_str(&session.text()).expect("JSON");
    assert_eq!(event[2], 17);
    session
        .send(&[frame(1, br#"[2,"1","orosync/resume"]"#), frame(1, br#"[2,"2","orosync/ping"]"#)].concat());
    let answer: Value = serde_json::from_str(&session.text()).expect("JSON");
    assert_eq!((&answer[1], &answer[2]["positions"]), (&json!("1"), &json!({ "oro/ping": event[3] })));
    assert_eq!(session.text(), r#"[3,"2",null]"#);
}

#[test]
fn a_session_can_be_resumed_once_with_any_of_its_tickets() {
    let server = Server::start_with("shards = 4\n");
    let mut session = Client::user(&server, OROSYNC, 7);
    let (first, second) = (resume_ticket(&mut session), resume_ticket(&mut session));
    assert_ne!(first, second);
    let mut resumed = resume(&server, &first);
    assert_rejected(&server, &first, "replayed");
    assert_rejected(&server, &second, "replayed");
    let next = resume_ticket(&mut resumed);
    resume(&server, &next).sync();
}

#[test]
fn messages_for_a_session_are_delivered_to_the_session_that_resumed_it() {
    let server = Server::start();
    let mut session = Client::user(&server, OROSYNC, 7);
    let (id, ticket) = (SessionId::parse_or_nobody(&session_id(&mut session)), resume_ticket(&mut session));
    let mut resumed = resume(&server, &ticket);
    resumed.subscribe("oro/data/update");
    resumed.sync();
    let only = SessionIds::new(vec![id]).expect("one");
    let mut source = Source::to(&server.endpoint());
    let mut publish = |payload, audience| source.publish_to("oro/data/update", &json!(payload), audience);
    publish("not for it", Audience { exclude: only.clone(), ..Audience::default() });
    publish("for it", Audience { eligible: only, ..Audience::default() });
    source.flush();
    assert_eq!(resumed.text(), r#"[8,"oro\/data\/update","for it"]"#);
}

#[test]
fn tickets_and_resume_tickets_are_accepted_only_in_their_own_place() {
    let server = Server::start();
    let resume_ticket = resume_ticket(&mut Client::user(&server, OROSYNC, 7));
    let ordinary = ticket(Role::User, Some(7));
    assert_rejected(&server, &ordinary, "audience");
    let bearer = format!("{OROSYNC}Authorization: Bearer {resume_ticket}\r\n");
    let without_ours = format!("Sec-WebSocket-Protocol: wamp, orosync.ticket.{resume_ticket}\r\n");
    let link =
        format!("Sec-WebSocket-Protocol: orosync.link.1, orosync.1, orosync.ticket.{resume_ticket}\r\n");
    let twice = format!("{}{}", offer(&resume_ticket), offer(&resume_ticket));
    for (reason, answer, target, headers) in [
        ("audience", "401", format!("/?ticket={resume_ticket}"), OROSYNC.to_owned()),
        ("audience", "401", "/".to_owned(), bearer),
        ("malformed", "401", "/".to_owned(), without_ours),
        ("malformed", "401", "/".to_owned(), link),
        // With the subprotocol orosync.1 the rejection is a Close frame after a 101.
        ("malformed", "101", "/".to_owned(), twice),
        ("malformed", "101", format!("/?ticket={ordinary}"), offer("")),
    ] {
        let metric = format!("orosync_tickets_rejected_total{{reason=\"{reason}\"}}");
        let before = server.metric(&metric);
        assert_eq!(status(&server, &target, &headers), answer, "{target} {headers}");
        server.await_metric(&metric, before + 1.0);
    }
    assert_eq!(status(&server, &format!("/?ticket={ordinary}"), WAMP), "101");
    // None of these attempts has used the resume ticket. It takes precedence over a ticket in the URL.
    let target = format!("/?ticket={}", ticket(Role::User, Some(8)));
    let mut client = Client::connect(&server);
    assert!(client.handshake(&target, &offer(&resume_ticket)).starts_with("HTTP/1.1 101 "));
    client.text();
    assert_eq!(call(&mut client, "orosync/session")["uid"], 7);
}

#[test]
fn pages_of_hosts_that_the_first_ticket_does_not_name_cannot_resume() {
    let server = Server::start();
    let hosts = vec!["crm.example.com".to_owned(), "*.shop.example".to_owned()];
    let mut ticket = resume_ticket(&mut open(&server, &Claims { origins: hosts, ..claims(7) }));
    for host in ["crm.example.com", "a.shop.example"] {
        let foreign = format!("{}Origin: https://evil.example\r\n", offer(&ticket));
        assert_eq!(status(&server, "/", &foreign), "403");
        let own = format!("{}Origin: https://{host}\r\n", offer(&ticket));
        ticket = resume_ticket(&mut Client::anonymous(&server, &own));
    }
}

#[test]
fn a_session_that_is_still_open_when_it_is_resumed_is_closed_and_logged() {
    const LINE: &str = "it was still open when another session resumed it";
    let mut server = Server::start_with("shards = 4\n");
    let mut ticket = {
        let mut closed = Client::user(&server, OROSYNC, 7);
        let ticket = resume_ticket(&mut closed);
        drop(closed);
        server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 0.0);
        ticket
    };
    let mut bystander = Client::user(&server, OROSYNC, 7);
    for _ in 0..8 {
        let mut open = resume(&server, &ticket);
        let id = session_id(&mut open);
        ticket = resume_ticket(&mut open);
        let mut next = resume(&server, &ticket);
        assert_eq!(open.receive(), NEW_TICKET);
        let line = server.await_line(&id);
        assert!(line.contains(LINE), "{line}");
        ticket = resume_ticket(&mut next);
        drop((open, next));
        server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 1.0);
    }
    bystander.sync();
    assert_eq!(
        server.log().iter().filter(|line| line.contains(LINE)).count(),
        8,
        "one line for each open session"
    );
}

#[test]
fn a_disconnect_revokes_the_matching_resume_tickets_at_once() {
    let server = Server::start_with("shards = 4\n");
    let mut other = Client::user(&server, OROSYNC, 8);
    let others = resume_ticket(&mut other);
    // A disconnect by name or id applies to all sessions of the user, open or not.
    for (uid, whom) in [(6, Disconnect::Name { role: Role::User, user: "user6".to_owned() }), (7, user(7))] {
        let mut open = Client::user(&server, OROSYNC, uid);
        let of_closed = resume_ticket(&mut Client::user(&server, OROSYNC, uid));
        let of_open = resume_ticket(&mut open);
        disconnect(&server, &whom);
        assert_eq!(open.receive(), NEW_TICKET);
        assert_rejected(&server, &of_open, "revoked");
        assert_rejected(&server, &of_closed, "revoked");
    }
    // A disconnect by session id applies to the session that resumed it.
    let mut first = Client::user(&server, OROSYNC, 9);
    let id = session_id(&mut first).parse().expect("an id");
    let before = resume_ticket(&mut first);
    let mut second = resume(&server, &before);
    let ticket = resume_ticket(&mut second);
    disconnect(&server, &Disconnect::Session(id));
    assert_eq!(second.receive(), NEW_TICKET, "the resumed session is closed");
    assert_rejected(&server, &ticket, "revoked");
    resume(&server, &others).sync();
}

#[test]
fn a_ticket_issued_before_a_disconnect_opens_one_session_that_cannot_be_resumed() {
    let server = Server::start();
    let before = ticket(Role::User, Some(7));
    disconnect(&server, &user(7));
    let mut session = Client::with_ticket(&server, OROSYNC, &before);
    assert_eq!(call(&mut session, "orosync/resume")["ticket"], Value::Null);
    let mut other = Client::user(&server, OROSYNC, 8);
    assert!(call(&mut other, "orosync/resume")["ticket"].is_string());
}

#[test]
fn with_a_state_directory_a_disconnect_survives_a_kill_of_the_server() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_with(&format!("[auth]\nstate_directory = {:?}\n", directory.path()));
    let revoked = resume_ticket(&mut Client::user(&server, OROSYNC, 7));
    let good = resume_ticket(&mut Client::user(&server, OROSYNC, 8));
    disconnect(&server, &user(7));
    let server = server.restart();
    assert_rejected(&server, &revoked, "revoked");
    let mut resumed = resume(&server, &good);
    let next = resume_ticket(&mut resumed);
    let server = server.restart().restart();
    assert_rejected(&server, &revoked, "revoked");
    resume(&server, &next).sync();
}

#[test]
fn without_a_state_directory_no_resume_ticket_survives_a_restart() {
    let server = Server::start();
    let ticket = resume_ticket(&mut Client::user(&server, OROSYNC, 7));
    let server = server.restart();
    assert_rejected(&server, &ticket, "other_server");
}

#[test]
fn two_servers_cannot_share_a_state_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = format!("[auth]\nstate_directory = {:?}\n", directory.path());
    let server = Server::start_with(&configuration);
    let output = std::process::Command::new("timeout")
        .arg("20")
        .arg(orosync_tests::server::command().get_program())
        .args(["serve", "--admin-bind", "", "--bind", "127.0.0.1:0", "--secret-file"])
        .arg(server.secret_file())
        .env("OROSYNC_AUTH__STATE_DIRECTORY", directory.path())
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("is in use by another running server"), "{stderr}");
}

#[test]
fn resume_tickets_expire_with_the_total_time_and_the_first_tickets_until() {
    const TOTAL: u64 = 28_800;
    let server = Server::start();
    let seconds = |client: &mut Client| {
        let answer = call(client, "orosync/resume");
        (answer["seconds"].as_u64().expect("a number"), answer["ticket"].as_str().map(str::to_owned))
    };
    for limited in [
        Claims { iat: now() - TOTAL + 100, ..claims(7) },
        Claims { until: Some(now() + 100), ..claims(7) },
        Claims { iat: now() - TOTAL + 100, until: Some(now() + 200), ..claims(7) },
    ] {
        let (first, ticket) = seconds(&mut open(&server, &limited));
        assert!((1..=100).contains(&first), "{first}");
        // The same limit applies to the resumed session.
        let (second, _) = seconds(&mut resume(&server, &ticket.expect("a ticket")));
        assert!((1..=first).contains(&second), "{second}");
    }
    for expired in [
        Claims { iat: now() - TOTAL, ..claims(7) },
        Claims { until: Some(now()), ..claims(7) },
        Claims { until: Some(0), ..claims(7) },
    ] {
        assert_eq!(seconds(&mut open(&server, &expired)), (300, None), "the interval of the next request");
    }
    let until = now() + 2;
    let (_, ticket) = seconds(&mut open(&server, &Claims { until: Some(until), ..claims(7) }));
    wait::until_true("the time limit has passed", || now() >= until);
    assert_rejected(&server, &ticket.expect("a ticket"), "expired");
}

#[test]
fn anonymous_sessions_and_publishers_get_no_resume_ticket() {
    let server = Server::start();
    let no_ticket = json!({ "ticket": null, "seconds": 300, "positions": {} });
    assert_eq!(call(&mut Client::anonymous(&server, OROSYNC), "orosync/resume"), no_ticket);
    let publisher = ticket(Role::Publisher, None);
    let mut publisher =
        Client::anonymous(&server, &format!("{OROSYNC}Authorization: Bearer {publisher}\r\n"));
    assert_eq!(call(&mut publisher, "orosync/session")["role"], "publisher");
    assert_eq!(call(&mut publisher, "orosync/resume"), no_ticket);
}

#[test]
fn a_server_without_a_secret_issues_no_resume_tickets() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = directory.path().join("key.pem");
    fs::write(&key, PUBLIC_KEY).expect("the key is written");
    let server = Server::start_with(&format!("[auth]\nsecret_file = \"\"\npublic_key_file = {key:?}\n"));
    let key = EncodingKey::from_ed_pem(PRIVATE_KEY.as_bytes()).expect("a key");
    let ticket = encode(&Header::new(Algorithm::EdDSA), &claims(7), &key).expect("a ticket");
    let mut session = Client::with_ticket(&server, OROSYNC, &ticket);
    assert_eq!(call(&mut session, "orosync/session")["uid"], 7);
    assert_eq!(call(&mut session, "orosync/resume")["ticket"], Value::Null);
}

#[test]
fn resume_tickets_can_be_disabled() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = format!("[auth]\nstate_directory = {:?}\n", directory.path());
    let server = Server::start_with(&state);
    let ticket = resume_ticket(&mut Client::user(&server, OROSYNC, 7));
    let off = format!("{state}resume_seconds = 0\n");
    server.rewrite(&off);
    let server = server.restart();
    assert_rejected(&server, &ticket, "other_server");
    let mut session = Client::user(&server, OROSYNC, 7);
    let no_ticket = json!({ "ticket": null, "seconds": 300, "positions": {} });
    assert_eq!(call(&mut session, "orosync/resume"), no_ticket);
    // While resume tickets were disabled the server recorded no disconnects, so older tickets stay invalid.
    server.rewrite(&state);
    let server = server.restart();
    assert_rejected(&server, &ticket, "other_server");
}

#[test]
fn sessions_opened_with_a_removed_secret_cannot_be_resumed() {
    const NEW: &str = "the new secret of the tests, longer than 32 bytes";
    let mut server = Server::start();
    let mut session = Client::user(&server, OROSYNC, 7);
    let by_old = resume_ticket(&mut session);
    fs::write(server.secret_file(), format!("{NEW}\n{SECRET}\n")).expect("the secrets are written");
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    let mut resumed = resume(&server, &by_old);
    let by_new = resume_ticket(&mut resumed);
    let signed = encode(&Header::default(), &claims(8), &EncodingKey::from_secret(NEW.as_bytes()));
    let mut with_new = Client::with_ticket(&server, OROSYNC, &signed.expect("a ticket"));

    fs::write(server.secret_file(), format!("{NEW}\n")).expect("the secret is written");
    server.signal(Signal::HUP);
    wait::until_true("the old secret is no longer accepted", || {
        status(&server, &format!("/?ticket={}", ticket(Role::User, Some(9))), WAMP) == "401"
    });
    assert_rejected(&server, &by_new, "signature");
    assert_eq!(
        call(&mut resumed, "orosync/resume")["ticket"],
        Value::Null,
        "the session stays open but cannot be resumed"
    );
    resume(&server, &resume_ticket(&mut with_new)).sync();
}

#[test]
fn the_resume_ticket_of_the_longest_ticket_fits_into_a_request() {
    let server = Server::start();
    let name = |bytes| Claims { sub: Some("x".repeat(bytes).into()), ..claims(7) };
    // Base64 encodes three bytes as four.
    let longest = name((8192 - signed(&name(0)).len()) / 4 * 3);
    let ticket = resume_ticket(&mut open(&server, &longest));
    assert!(ticket.len() > 8192, "{}", ticket.len());
    let mut resumed = resume(&server, &ticket);
    assert_eq!(call(&mut resumed, "orosync/session")["user"], *longest.sub.expect("a name"));
}
