//! Permissions of all kinds of identities on all of Oro's topics, to subscribe and to publish; allowed origins.

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, WAMP};
use orosync_tests::php;
use orosync_tests::server::{Server, ticket, ticket_for_pages};

/// Who may subscribe: an anonymous session, customer 7, user 8, user 7.
const ANYONE: [bool; 4] = [true, true, true, true];
const USERS: [bool; 4] = [false, false, true, true];
const USER_7: [bool; 4] = [false, false, false, true];
const NOBODY: [bool; 4] = [false, false, false, false];

/// The topics of all versions of OroPlatform, and similar names.
const TABLE: [(&str, [bool; 4]); 26] = [
    ("oro/ping", ANYONE),
    ("oro/maintenance", ANYONE),
    ("oro/data/update", USERS),
    ("oro/message_queue_heartbeat", USERS),
    ("oro/outdated_user_page", USERS),
    ("oro/email_event/7/1", USER_7),
    ("oro/email_event/7/*", USER_7),
    ("oro/attribute_import/7/12", USER_7),
    ("oro/reminder_remind/7", USER_7),
    ("oro/imap_sync_fail/*", USERS),
    ("oro/imap_sync_fail/7", USER_7),
    ("oro/reminder/remind_user_7", USER_7),
    ("oro/email_event/user_7_org_1", USER_7),
    ("oro/attribute_import/user_7_configmodel_12", USER_7),
    ("oro/imap_sync_fail_u_7", USER_7),
    ("oro/imap_sync_fail_system", USERS),
    // Another user's topics.
    ("oro/email_event/9/1", NOBODY),
    ("oro/reminder_remind/9", NOBODY),
    // User 7, in another notation.
    ("oro/email_event/07/1", NOBODY),
    ("oro/email_event/+7/1", NOBODY),
    ("oro/email_event/7.0/1", NOBODY),
    ("oro/email_event/7/1/", NOBODY),
    ("oro/email_event/*/*", NOBODY),
    ("ORO/PING", NOBODY),
    ("oro/ping ", NOBODY),
    ("acme/undeclared", NOBODY),
];

fn identities(server: &Server) -> [Client; 4] {
    [
        Client::anonymous(server, WAMP),
        Client::with_ticket(server, WAMP, &ticket(Role::Customer, Some(7))),
        Client::user(server, WAMP, 8),
        Client::user(server, WAMP, 7),
    ]
}

/// Whether the server accepts this message. It answers a refusal with `[4,`.
fn is_accepted(client: &mut Client, message: &str) -> bool {
    client.send_text(message);
    client.send_text(r#"[2,"sync","orosync/session"]"#);
    let mut accepted = true;
    loop {
        let text = client.text();
        if text.starts_with(r#"[3,"sync","#) {
            return accepted;
        }
        accepted &= !text.starts_with("[4,");
    }
}

#[test]
fn each_identity_can_subscribe_only_to_the_topics_that_its_policy_allows() {
    let server = Server::start_with("[limits]\nmessage_burst = 1000\n");
    let mut identities = identities(&server);
    for (topic, expected) in TABLE {
        for (party, (client, expected)) in identities.iter_mut().zip(expected).enumerate() {
            let subscribed = is_accepted(client, &format!(r#"[5,"{topic}"]"#));
            assert_eq!(subscribed, expected, "{topic}: identity {party}");
        }
    }
}

#[test]
fn browsers_cannot_publish_to_any_oro_topic() {
    let mut server = Server::start_with("[limits]\nmessage_burst = 1000\n");
    let mut subscriber = Client::user(&server, WAMP, 7);
    for (topic, [.., user_7]) in TABLE {
        if user_7 {
            subscriber.subscribe(topic);
        }
    }
    for mut client in identities(&server) {
        for (topic, _) in TABLE {
            assert!(!is_accepted(&mut client, &format!(r#"[7,"{topic}",{{"forged":true}}]"#)), "{topic}");
        }
    }
    subscriber.sync();
    assert!(server.metric(r#"orosync_messages_accepted_total{source="browser"}"#) < 1.0);
    let line = server.await_line("publication refused");
    assert!(line.contains(r#""reason":"not_allowed""#), "{line}");
    // A publisher's message to the same topic arrives.
    let script = r#"orosync_publish("oro/email_event/7/1", 1); orosync_flush(10);"#;
    php::output(&server.endpoint(), script);
    assert_eq!(subscriber.text(), r#"[8,"oro\/email_event\/7\/1",1]"#);
}

#[test]
fn a_topic_that_users_may_publish_to_refuses_all_other_roles() {
    let server = Server::start_with(
        "[[topics]]\npattern = \"acme/chat/{uid:int}/{org}\"\nsubscribe = \"owner\"\npublish = \"user\"\n",
    );
    for (party, (mut client, (subscribes, publishes))) in identities(&server)
        .into_iter()
        .zip([(false, false), (false, false), (false, true), (true, true)])
        .enumerate()
    {
        assert_eq!(is_accepted(&mut client, r#"[5,"acme/chat/7/1"]"#), subscribes, "identity {party}");
        assert_eq!(is_accepted(&mut client, r#"[7,"acme/chat/7/1",1]"#), publishes, "identity {party}");
    }
}

/// The HTTP status of a handshake with this target and this `Origin` line.
fn status(server: &Server, target: &str, origin: &str) -> String {
    let mut client = Client::connect(server);
    let head = client.handshake(target, &format!("{WAMP}{origin}"));
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn only_pages_of_allowed_origins_and_clients_without_an_origin_can_connect() {
    let server = Server::start_with("[auth]\nallowed_origins = [\"crm.example.com\", \"*.shop.example\"]\n");
    // Browsers send scheme, host, and a port that is not the scheme's default.
    for (origin, expected) in [
        ("", "101"),
        ("Origin: https://crm.example.com\r\n", "101"),
        ("Origin: http://crm.example.com:8000\r\n", "101"),
        ("Origin: https://b2b.shop.example\r\n", "101"),
        ("Origin: https://eu.b2b.shop.example:8443\r\n", "101"),
        ("Origin: https://shop.example\r\n", "403"),
        ("Origin: https://crm.example.com.evil.example\r\n", "403"),
        ("Origin: https://evil.example/crm.example.com\r\n", "403"),
        ("Origin: https://crm.example.com@evil.example\r\n", "403"),
        ("Origin: https://evilcrm.example.com\r\n", "403"),
        // A sandboxed page, a page from a file, a page after a redirect to another site.
        ("Origin: null\r\n", "403"),
        ("Origin: file://\r\n", "403"),
        ("Origin: \r\n", "403"),
    ] {
        assert_eq!(status(&server, "/", origin), expected, "{origin:?}");
    }
    server.await_metric(r#"orosync_handshakes_refused_total{reason="origin"}"#, 8.0);
}

#[test]
fn a_ticket_for_certain_hosts_is_rejected_from_other_pages_and_stays_valid() {
    let mut server = Server::start();
    let status = |ticket: &str, origin: &str| status(&server, &format!("/?ticket={ticket}"), origin);
    let hosts = ["crm.example.com", "*.shop.example"];
    for origin in [
        "",
        "Origin: https://crm.example.com\r\n",
        "Origin: http://CRM.example.com:8000\r\n",
        "Origin: https://b2b.shop.example\r\n",
        "Origin: https://eu.b2b.shop.example:8443\r\n",
    ] {
        assert_eq!(status(&ticket_for_pages(&hosts), origin), "101", "{origin:?}");
    }
    let ticket = ticket_for_pages(&hosts);
    for origin in [
        "Origin: https://evil.example\r\n",
        "Origin: https://shop.example\r\n",
        "Origin: https://crm.example.com.evil.example\r\n",
        "Origin: https://crm.example.com\r\nOrigin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: \r\n",
    ] {
        assert_eq!(status(&ticket, origin), "403", "{origin:?}");
    }
    assert_eq!(
        status(&ticket, "Origin: https://crm.example.com\r\n"),
        "101",
        "the rejected attempts did not use the ticket"
    );
    assert_eq!(status(&ticket, "Origin: https://crm.example.com\r\n"), "401");
    // A ticket without hosts is valid for all pages.
    assert_eq!(status(&ticket_for_pages(&[]), "Origin: https://evil.example\r\n"), "101");

    server.await_metric(r#"orosync_handshakes_refused_total{reason="origin"}"#, 6.0);
    server.await_metric(r#"orosync_tickets_rejected_total{reason="origin"}"#, 6.0);
    let line = server.await_line(r#""reason":"origin""#);
    assert!(line.contains("only for pages of crm.example.com, *.shop.example, but"), "{line}");
}

#[test]
fn a_ticket_cannot_allow_an_origin_that_the_server_refuses() {
    let server = Server::start_with("[auth]\nallowed_origins = [\"*.example.com\"]\n");
    let status = |origin: &str| {
        let ticket = ticket_for_pages(&["crm.example.com", "evil.example"]);
        status(&server, &format!("/?ticket={ticket}"), origin)
    };
    assert_eq!(status("Origin: https://crm.example.com\r\n"), "101");
    assert_eq!(status("Origin: https://shop.example.com\r\n"), "403", "not in the ticket");
    assert_eq!(status("Origin: https://evil.example\r\n"), "403", "not allowed by the server");
}

#[test]
fn a_ticket_issued_by_php_is_valid_only_for_pages_of_its_origins() {
    let server = Server::start();
    let script = r#"echo orosync_ticket(["role" => "user", "origins" => ["crm.example.com"]]);"#;
    let target = format!("/?ticket={}", php::output(&server.endpoint(), script));
    assert_eq!(status(&server, &target, "Origin: https://evil.example\r\n"), "403");
    assert_eq!(status(&server, &target, "Origin: https://crm.example.com\r\n"), "101");
}

#[test]
fn same_host_allows_only_pages_of_the_requested_host() {
    let server = Server::start_with("[auth]\nallowed_origins = [\"same host\"]\n");
    let status = |host: &str, origin: &str| {
        let mut client = Client::connect(&server);
        let request = orosync_tests::client::request("/", &format!("{WAMP}{origin}"));
        client.send(request.replace("Host: localhost", &format!("Host: {host}")).as_bytes());
        client.read_head();
        client.head.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (host, origin, expected) in [
        ("crm.example.com", "Origin: https://crm.example.com\r\n", "101"),
        // The ports may differ, as behind a proxy.
        ("crm.example.com:8080", "Origin: https://crm.example.com\r\n", "101"),
        ("CRM.example.com", "Origin: https://crm.example.com:8443\r\n", "101"),
        ("[::1]:8080", "Origin: http://[::1]\r\n", "101"),
        ("crm.example.com", "", "101"),
        ("crm.example.com", "Origin: https://evil.example\r\n", "403"),
        ("crm.example.com", "Origin: https://x.crm.example.com\r\n", "403"),
        ("crm.example.com", "Origin: null\r\n", "403"),
    ] {
        assert_eq!(status(host, origin), expected, "{host} {origin:?}");
    }
}
