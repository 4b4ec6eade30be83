//! The bytes of WAMP v1 sessions that OroPlatform's clients rely on.

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP, frame, request};
use orosync_tests::php;
use orosync_tests::server::{Server, ticket};
use rustix::process::Signal;

#[test]
fn the_101_response_and_welcome_arrive_in_one_read_with_nothing_after_them() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send(request("/", WAMP).as_bytes());
    let read = String::from_utf8_lossy(&client.read_once()).into_owned();
    let (head, frame) = read.split_once("\r\n\r\n").expect("the first read contains the whole head");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("\r\nSec-WebSocket-Protocol: wamp"), "{head}");
    assert!(!head.contains(['[', ']']), "OroPlatform's PHP client looks for the first bracket");
    assert!(frame.contains(r#"[0,""#) && frame.ends_with(r#"",1,"Orosync\/0.1.0"]"#), "{frame}");
    assert_eq!(frame.matches('[').count(), 1);
}

#[test]
fn each_message_has_the_same_bytes_as_from_oros_server() {
    let server = Server::start();
    let mut anna = Client::user(&server, WAMP, 7);
    anna.send_text(r#"[1,"o","oro"]"#);
    anna.subscribe("oro/email_event/7/*");
    anna.subscribe("oro/ping");
    php::output(
        &server.endpoint(),
        r#"orosync_publish("oro/email_event/7/*", ["hasNewEmail" => true]); orosync_flush();"#,
    );
    assert_eq!(anna.text(), r#"[8,"oro\/email_event\/7\/*",{"hasNewEmail":true}]"#);
    php::output(
        &server.endpoint(),
        r#"orosync_publish("oro/ping", "Connection keep alive"); orosync_flush();"#,
    );
    assert_eq!(anna.text(), r#"[8,"oro\/ping","Connection keep alive"]"#);
    // A call id is echoed as it was sent, numbers too. An unknown procedure is answered with an error, and the session stays open.
    anna.send_text(r#"[2,0.5,"no/such",[1,2]]"#);
    assert!(anna.text().starts_with(r#"[4,0.5,"no\/such","#));
    anna.send_text(r#"[5,"oro/email_event/8/1"]"#);
    let refusal = anna.text();
    assert!(refusal.starts_with(r#"[4,"oro\/email_event\/8\/1","oro\/email_event\/8\/1",""#), "{refusal}");
    anna.sync();
}

#[test]
fn a_payload_is_delivered_exactly_as_php_encoded_it() {
    let server = Server::start();
    let mut anna = Client::user(&server, WAMP, 7);
    anna.subscribe("oro/data/update");
    let script = r#"orosync_publish("oro/data/update", ["é/" => 1.0, "n" => [1, null, new stdClass], "😀" => 1e100]); orosync_flush();"#;
    php::output(&server.endpoint(), script);
    assert_eq!(anna.text(), r#"[8,"oro\/data\/update",{"é/":1,"n":[1,null,{}],"😀":1.0e+100}]"#);
}

#[test]
fn every_frame_to_a_wamp_client_is_a_json_array() {
    let server = Server::start();
    let mut client = Client::anonymous(&server, WAMP);
    for text in [
        r#"[5,"oro/data/update"]"#,
        r#"[5,"oro/ping"]"#,
        r#"[5,""]"#,
        r#"[7,"oro/maintenance",1]"#,
        r#"[7,"nowhere"]"#,
        r#"[2,"1","x"]"#,
        r#"[2,{"a":1},"orosync/session",{"b":2}]"#,
    ] {
        client.send_text(text);
    }
    client.send_text(r#"[2,"last","orosync/session"]"#);
    loop {
        let text = client.text();
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(value.is_array(), "{text}");
        if value[1] == "last" {
            break;
        }
    }
}

#[test]
fn when_the_server_stops_only_orosync_clients_get_a_close_frame() {
    let mut server = Server::start();
    let mut wamp = Client::user(&server, WAMP, 1);
    let mut none = Client::user(&server, "", 2);
    let mut orosync = Client::user(&server, OROSYNC, 3);
    server.signal(Signal::TERM);
    assert_eq!(wamp.receive(), Received::End);
    assert_eq!(none.receive(), Received::End);
    assert_eq!(orosync.receive(), Received::Close(1001));
    orosync.send(&frame(8, &1001_u16.to_be_bytes()));
    assert_eq!(orosync.receive(), Received::End);
    assert!(server.wait().success());
}

#[test]
fn a_bad_ticket_is_rejected_with_401_and_the_reason_is_logged() {
    let mut server = Server::start();
    let used = ticket(Role::User, Some(1));
    let _first = Client::with_ticket(&server, WAMP, &used);
    for (ticket, reason) in [("nonsense", "malformed"), (used.as_str(), "replayed")] {
        let mut client = Client::connect(&server);
        let head = client.handshake(&format!("/?ticket={ticket}"), WAMP);
        assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");
        server.await_line(&format!(r#""reason":"{reason}""#));
    }
    assert!(server.log().iter().all(|line| !line.contains(&used)), "no ticket is logged");
    assert!(
        (server.metric(r#"orosync_tickets_rejected_total{reason="replayed"}"#) - 1.0).abs() < f64::EPSILON
    );
}

#[test]
fn a_client_without_a_ticket_can_subscribe_to_topics_for_anyone_only() {
    let server = Server::start();
    let mut client = Client::anonymous(&server, WAMP);
    client.subscribe("oro/maintenance");
    client.send_text(r#"[5,"oro/data/update"]"#);
    assert!(client.text().starts_with(r#"[4,"oro\/data\/update""#));
    let script = r#"orosync_publish("oro/data/update", []); orosync_publish("oro/maintenance", ["isOn" => true, "userId" => null]); orosync_flush();"#;
    php::output(&server.endpoint(), script);
    assert_eq!(client.text(), r#"[8,"oro\/maintenance",{"isOn":true,"userId":null}]"#);

    let strict = Server::start_with_environment(&[("OROSYNC_AUTH__ANONYMOUS", "refuse")]);
    let mut client = Client::connect(&strict);
    assert!(client.handshake("/", WAMP).starts_with("HTTP/1.1 401 "));
}

#[test]
fn a_browser_cannot_forge_a_maintenance_notice() {
    let server = Server::start();
    let mut victim = Client::user(&server, WAMP, 1);
    victim.subscribe("oro/maintenance");
    let mut forger = Client::user(&server, WAMP, 2);
    forger.send_text(r#"[7,"oro/maintenance",{"isOn":true,"userId":null}]"#);
    assert!(forger.text().starts_with(r#"[4,"oro\/maintenance""#));
    php::output(&server.endpoint(), r#"orosync_publish("oro/maintenance", "real"); orosync_flush();"#);
    assert_eq!(victim.text(), r#"[8,"oro\/maintenance","real"]"#);
}

#[test]
fn frames_sent_together_with_the_request_are_processed() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let mut bytes = request("/", "").into_bytes();
    bytes.extend(frame(1, br#"[2,"early","orosync/session"]"#));
    client.send(&bytes);
    client.read_head();
    assert!(client.text().starts_with("[0,"));
    assert!(client.text().starts_with(r#"[3,"early","#));
}

#[test]
fn sessions_metrics_and_log_name_the_same_node() {
    let mut server = Server::start();
    let mut client = Client::anonymous(&server, WAMP);
    client.send_text(r#"[2,"1","orosync/session"]"#);
    let answer: serde_json::Value = serde_json::from_str(&client.text()).expect("JSON");
    let node = answer[2]["node"].as_str().expect("a name");
    server.await_metric(&format!(r#"orosync_node_info{{node="{node}"}}"#), 1.0);
    server.await_line(&format!(r#""node":"{node}""#));
}

#[test]
fn the_absolute_form_of_the_request_target_is_accepted() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    let target = format!("ws://{}/any/path?ticket={}", server.address(), ticket(Role::User, Some(5)));
    assert!(client.handshake(&target, WAMP).starts_with("HTTP/1.1 101 "));
    assert!(client.text().starts_with("[0,"));
    client.send_text(r#"[2,"1","orosync/session"]"#);
    assert!(client.text().contains(r#""uid":5"#));
}

#[test]
fn a_response_over_the_unix_socket_contains_no_brackets_even_for_an_ipv6_origin() {
    let server = Server::start();
    let mut client = Client::connect_unix(&server);
    let head =
        client.handshake("/", "Sec-WebSocket-Protocol: wamp\r\nOrigin: http://[::1]:8080\r\n").to_owned();
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains(['[', ']']));
    client.subscribe("oro/ping");
    php::output(&server.unix_endpoint(), r#"orosync_publish("oro/ping", 1); orosync_flush();"#);
    assert_eq!(client.text(), r#"[8,"oro\/ping",1]"#);
}

#[test]
fn plain_http_requests_are_answered_with_426_and_an_explanation() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(client.read_to_end()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(
        answer.contains("\r\nSec-WebSocket-Version: 13\r\n") && answer.contains("WebSocket connections"),
        "{answer}"
    );
}

#[test]
fn the_server_publishes_oro_ping_only_while_there_are_subscribers() {
    let server = Server::start_with_environment(&[("OROSYNC_ORO_PING_SECONDS", "0.05")]);
    let mut client = Client::anonymous(&server, WAMP);
    client.send_text(r#"[5,"oro/ping"]"#);
    assert_eq!(client.text(), r#"[8,"oro\/ping","Connection keep alive"]"#);
    client.finish();
    server.await_metric(r#"orosync_sessions_open{protocol="wamp"}"#, 0.0);
    let published = || server.metric(r#"orosync_messages_accepted_total{source="server"}"#);
    let before = published();
    // Another subscriber's first ping shows that at least one more interval has passed.
    let mut other = Client::anonymous(&server, WAMP);
    let idle = published();
    assert!((idle - before).abs() < f64::EPSILON, "nothing is published without subscribers");
    other.send_text(r#"[5,"oro/ping"]"#);
    other.text();
}

#[test]
fn sighup_does_not_end_the_server() {
    let mut server = Server::start();
    server.signal(Signal::HUP);
    server.await_line("SIGHUP");
    Client::anonymous(&server, WAMP).sync();
    assert!(server.is_running());
}

#[test]
fn sighup_reloads_topics_and_origins_without_closing_a_session() {
    let mut server = Server::start_with("[[topics]]\npattern = \"acme/old\"\nsubscribe = \"user\"\n");
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("acme/old");
    client.send_text(r#"[5,"acme/new"]"#);
    assert!(client.text().starts_with(r#"[4,"acme\/new""#));
    server.rewrite("[auth]\nallowed_origins = [\"example.com\"]\n[[topics]]\npattern = \"acme/new\"\nsubscribe = \"user\"\n");
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    client.subscribe("acme/new");
    let script = r#"orosync_publish("acme/new", 1); orosync_flush();"#;
    php::output(&server.endpoint(), script);
    assert_eq!(client.text(), r#"[8,"acme\/new",1]"#);
    let rules = server.admin("/topics");
    assert!(rules.contains(r#"{"pattern":"acme/new","subscribe":"user","publish":"publisher"}"#), "{rules}");
    assert!(!rules.contains("acme/old") && rules.contains(r#""allowed_origins":["example.com"]"#), "{rules}");
    let mut other_origin = Client::connect(&server);
    let head = other_origin.handshake("/", "Origin: https://example.org\r\n");
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    // An invalid configuration changes nothing.
    server.rewrite("[[topics]]\npattern = \"acme/{\"\nsubscribe = \"user\"\n");
    server.signal(Signal::HUP);
    server.await_line("the previous rules stay");
    client.sync();
}
