//! Disconnects: a publisher can end sessions by role and user, or by session id. Users who are still logged in reconnect with a new
//! ticket.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::php;
use orosync_tests::server::{self, Server, ticket};

/// The close code for "reconnect with a new ticket".
const NEW_TICKET: Received = Received::Close(4010);

/// Runs `orosync-server disconnect` against a running server.
fn disconnect(server: &Server, arguments: &[&str]) -> Output {
    server::command()
        .args(["disconnect", "--endpoint", &server.endpoint(), "--secret-file"])
        .arg(server.secret_file())
        .args(arguments)
        .output()
        .expect("it starts")
}

/// The id of this session.
fn session_id(client: &mut Client) -> String {
    client.send_text(r#"[2,"1","orosync/session"]"#);
    let answer = client.text();
    let hexadecimal = |part: &&str| part.len() == 32 && part.bytes().all(|c| c.is_ascii_hexdigit());
    answer.split('"').find(hexadecimal).expect("the session's id").to_owned()
}

#[test]
fn a_disconnect_closes_all_sessions_of_a_user_and_no_others() {
    let mut server = Server::start_with("shards = 4\n");
    let mut of_user: Vec<Client> = (0..8).map(|n| Client::user(&server, [OROSYNC, WAMP][n % 2], 7)).collect();
    let mut of_others = [
        Client::user(&server, OROSYNC, 8),
        Client::anonymous(&server, OROSYNC),
        Client::user(&server, WAMP, 77),
        Client::with_ticket(&server, OROSYNC, &ticket(Role::Customer, Some(7))),
    ];
    let done = disconnect(&server, &["--role", "user", "--uid", "7"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for (n, client) in of_user.iter_mut().enumerate() {
        // WAMP sessions get no Close frame, because Oro's JavaScript does not reconnect after one.
        assert_eq!(client.receive(), [NEW_TICKET, Received::End][n % 2]);
    }
    of_others.iter_mut().for_each(Client::sync);
    server.await_metric(r#"orosync_sessions_closed_total{reason="new_ticket"}"#, 8.0);
    let line = server.await_line("sessions ended at the request of a publisher");
    assert!(line.contains(r#""identity":"user 7""#) && line.contains(r#""sessions":8"#), "{line}");
    Client::user(&server, OROSYNC, 7).sync();
}

#[test]
fn a_disconnect_by_name_closes_only_sessions_of_that_role_and_is_logged_in_one_line() {
    let mut server = Server::start_with("shards = 4\n");
    let mut customer = Client::with_ticket(&server, OROSYNC, &ticket(Role::Customer, Some(7)));
    let mut user = Client::user(&server, OROSYNC, 7);
    assert!(disconnect(&server, &["--role", "customer", "--user", "user7"]).status.success());
    assert_eq!(customer.receive(), NEW_TICKET);
    let forged = format!("a\nb{}", "c".repeat(200));
    assert!(disconnect(&server, &["--role", "user", "--user", &forged]).status.success());
    let line = server.await_line("ccc");
    assert!(!line.contains(&"c".repeat(100)) && line.contains(r#""sessions":0"#), "{line}");
    user.sync();
    let lines = server.log().iter().filter(|line| line.contains("sessions ended at the request")).count();
    assert_eq!(lines, 2, "one line for each disconnect");
}

#[test]
fn a_disconnect_by_session_id_closes_only_that_session() {
    let server = Server::start();
    let (mut first, mut second) = (Client::user(&server, OROSYNC, 7), Client::user(&server, OROSYNC, 7));
    let id = session_id(&mut first);
    assert!(disconnect(&server, &["--session", &id]).status.success());
    assert_eq!(first.receive(), NEW_TICKET);
    second.sync();
}

#[test]
fn disconnects_of_php_take_effect_in_order_with_its_messages() {
    let server = Server::start();
    let (mut user, mut other) = (Client::user(&server, OROSYNC, 7), Client::user(&server, OROSYNC, 8));
    user.subscribe("oro/ping");
    other.subscribe("oro/ping");
    let script = r#"
        orosync_publish("oro/ping", 1);
        var_dump(orosync_flush(10), orosync_disconnect(['role' => 'user', 'uid' => 7]), orosync_flush(10));
        (new Orosync\Publisher(ini_get('orosync.endpoint')))->publish("oro/ping", 2);
        orosync_flush(10);
    "#;
    assert_eq!(php::output(&server.endpoint(), script), "bool(true)\nbool(true)\nbool(true)\n");
    assert_eq!(user.text(), r#"[8,"oro\/ping",1]"#);
    assert_eq!(user.receive(), NEW_TICKET);
    for n in 1..=2 {
        assert_eq!(other.text(), format!(r#"[8,"oro\/ping",{n}]"#));
    }
}

#[test]
fn a_disconnect_accepted_while_the_server_is_unreachable_takes_effect_later() {
    let server = Server::start();
    let mut user = Client::user(&server, OROSYNC, 7);
    server.freeze();
    let script =
        r"var_dump(orosync_disconnect(['role' => 'user', 'user' => 'user7'])); var_dump(orosync_flush(20));";
    let mut running = php::command(&server.endpoint())
        .args(["-r", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("php starts");
    let mut stdout = BufReader::new(running.stdout.take().expect("it is piped")).lines();
    let mut line = || stdout.next().and_then(Result::ok).unwrap_or_default();
    assert_eq!(line(), "bool(true)", "accepted");
    server.thaw();
    assert_eq!(line(), "bool(true)", "acknowledged");
    assert_eq!(user.receive(), NEW_TICKET);
    assert!(running.wait().expect("it ends").success());
}

#[test]
fn a_disconnect_that_identifies_no_session_is_refused_before_it_is_sent() {
    let server = Server::start();
    let id = "0f".repeat(16);
    for arguments in [
        &[][..],
        &["--user", "anna"],
        &["--uid", "7"],
        &["--role", "user"],
        &["--role", "user", "--user", ""],
        &["--role", "user", "--uid", "a/b"],
        &["--role", "publisher", "--uid", "7"],
        &["--role", "user", "--uid", "7", "--user", "anna"],
        &["--session", "7"],
        &["--session", &id, "--role", "user"],
        &["--session", &id, "--role", "user", "--uid", "7"],
    ] {
        assert_eq!(disconnect(&server, arguments).status.code(), Some(2), "{arguments:?}");
    }
    for who in [
        "[]",
        "['user' => 'anna']",
        "['role' => 'user', 'user' => '']",
        "['role' => 'user', 'uid' => '']",
        "['role' => 'user', 'uid' => 'a/b']",
        "['role' => 'user', 'uid' => 7, 'user' => 'anna']",
        "['session' => 'x']",
        "['name' => 'anna']",
    ] {
        let script = format!(
            "try {{ orosync_disconnect({who}); }} catch (Orosync\\Exception\\EncodingException $e) {{ echo 'refused'; }}"
        );
        assert_eq!(php::output(&server.endpoint(), &script), "refused", "{who}");
    }
}

#[test]
fn an_ambiguous_disconnect_is_refused_with_a_reason() {
    let server = Server::start();
    let mut user = Client::user(&server, OROSYNC, 7);
    let script = r"
        orosync_publish('orosync/disconnect', ['user' => 'user7']);
        var_dump(orosync_flush(10));
        echo orosync_status()['last_error'];
    ";
    let printed = php::output(&server.endpoint(), script);
    assert!(
        printed.starts_with("bool(true)\n") && printed.contains("names one session, or a role"),
        "{printed}"
    );
    user.sync();
}

#[test]
fn browsers_can_neither_publish_nor_subscribe_to_disconnects() {
    let server = Server::start_with(
        "[[topics]]\npattern = \"orosync/{any}\"\nsubscribe = \"anyone\"\npublish = \"user\"\n",
    );
    let mut victim = Client::user(&server, OROSYNC, 7);
    let mut attacker = Client::user(&server, WAMP, 8);
    attacker.send_text(r#"[5,"orosync/disconnect"]"#);
    assert!(attacker.text().starts_with("[4,"));
    attacker.send_text(r#"[7,"orosync/disconnect",{"role":"user","uid":7}]"#);
    assert!(attacker.text().starts_with("[4,"));
    victim.sync();
}
