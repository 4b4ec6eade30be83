//! Secrets and tickets appear in no output, whatever fails; client data in the log is escaped, truncated and rate-limited.

use std::fs;
use std::process::Command;

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC, WAMP, frame};
use orosync_tests::server::{self, Server, ticket};
use orosync_tests::{SECRET, php, wait};
use rustix::process::Signal;

/// A second secret, as during a change of the secret.
const OLD_SECRET: &str = "an old secret of the tests, longer than 32 bytes";

/// The forms in which a secret may leak: as text, as `{:?}` of its bytes, as hexadecimal digits.
fn forms(secret: &str) -> [String; 3] {
    let bytes = secret.as_bytes();
    let (decimal, hexadecimal) = (format!("{bytes:?}"), format!("{bytes:02x?}"));
    [
        secret.to_owned(),
        decimal.trim_matches(['[', ']']).to_owned(),
        hexadecimal.replace(['[', ']', ',', ' '], ""),
    ]
}

/// Runs a command. Returns its output on stdout and stderr.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn no_output_contains_a_secret_or_a_ticket() {
    let mut server =
        Server::start_with("[log]\nlevel = \"trace\"\n[limits]\nmessage_burst = 5\nsubscriptions = 5\n");
    fs::write(server.secret_file(), format!("{SECRET}\n{OLD_SECRET}\n")).expect("the secrets are written");
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    let mut tickets: Vec<String> = (1..=4).map(|uid| ticket(Role::User, Some(uid))).collect();
    let publisher = ticket(Role::Publisher, None);
    let bearer = format!("Authorization: Bearer {publisher}\r\n");

    // Tickets that are valid, used, in an invalid request, or in the wrong place.
    let target = |ticket: &str| format!("/?ticket={ticket}");
    let mut sessions =
        [Client::with_ticket(&server, OROSYNC, &tickets[0]), Client::with_ticket(&server, WAMP, &tickets[1])];
    sessions[0].send_text(r#"[2,"1","orosync/resume"]"#);
    let answer = sessions[0].text();
    let resume_ticket = answer.split('"').find(|part| part.len() > 100).expect("a ticket").to_owned();
    let offer =
        |protocol: &str| format!("Sec-WebSocket-Protocol: {protocol}, orosync.ticket.{resume_ticket}\r\n");
    for (target, headers) in [
        (target(&tickets[0]), WAMP.to_owned()),
        (target(&publisher), WAMP.to_owned()),
        (format!("/?ticket={}&x=%00%zz", tickets[2]), "Sec-WebSocket-Version: 7\r\n".to_owned()),
        ("/".to_owned(), format!("{bearer}Sec-WebSocket-Protocol: nonsense\r\n")),
        (target(&format!("{}x", tickets[3])), WAMP.to_owned()),
        (target(&resume_ticket), WAMP.to_owned()),
        ("/".to_owned(), offer("wamp")),
        ("/".to_owned(), offer("orosync.1")),
        ("/".to_owned(), offer("orosync.1")),
    ] {
        let mut client = Client::connect(&server);
        client.handshake(&target, &headers);
        client.finish();
    }
    tickets.push(resume_ticket);
    // A session that ends with an error, and a publisher with an invalid frame.
    sessions[1].send(&frame(1, b"\xff"));
    let mut link = Client::connect(&server);
    link.handshake("/", &format!("{bearer}Sec-WebSocket-Protocol: orosync.link.1\r\n"));
    link.send(&frame(2, b"\x7fnonsense"));
    link.read_to_end();

    let mut outputs = Vec::new();
    // Commands with the secret in each possible place, and with invalid settings.
    let with_secret = |arguments: &[&str], secret: &str| {
        run(server::command()
            .args(arguments)
            .env("OROSYNC_AUTH__SECRET", secret)
            .env("OROSYNC_BIND", "nonsense"))
    };
    outputs.push(with_secret(&["check-config"], SECRET));
    outputs.push(run(server::command().arg("check-config").env("OROSYNC_AUTH__SECRET", SECRET)));
    outputs.push(run(server::command().args(["check-config", "--secret-file"]).arg(server.secret_file())));
    outputs.push(with_secret(&["serve"], &SECRET[..20]));
    for invalid in [
        format!("[auth]\nsecret = {SECRET}\n"),
        format!("[auth]\nsecret = \"{SECRET}\n"),
        format!("[auth]\nsecrte = \"{SECRET}\"\n"),
        format!("[auth]\nsecret = [\"{SECRET}\"]\n"),
        format!("auth = \"{SECRET}\"\n"),
    ] {
        let file = server.directory().join("invalid.toml");
        fs::write(&file, invalid).expect("the configuration is written");
        outputs.push(run(server::command().args(["check-config", "--config"]).arg(&file)));
    }
    let watch = ["watch", "oro/ping", "--endpoint", "ws://127.0.0.1:1/"];
    outputs.push(run(server::command().args(watch).env("OROSYNC_AUTH__SECRET", OLD_SECRET)));
    // PHP: its own information, and its messages when the server is unreachable.
    let unreachable = "ws://127.0.0.1:1/";
    let endpoint = server.endpoint();
    for (endpoint, script) in [
        (unreachable, "phpinfo();"),
        (unreachable, "orosync_publish('oro/ping', 1); var_dump(orosync_flush(0.2), orosync_status());"),
        (
            unreachable,
            "$p = new Orosync\\Publisher('ws://127.0.0.1:1/', ['secret' => ini_get('orosync.secret')]); var_dump($p); print_r($p->status()); throw new Exception('x');",
        ),
        (
            &endpoint,
            "new Orosync\\Publisher('nonsense', ['secret' => 'a secret for tests, longer than 32 bytes']);",
        ),
        (&endpoint, "orosync_publish('oro/ping', 1); orosync_flush(5); print_r(orosync_status());"),
    ] {
        outputs.push(run(php::command(endpoint).args(["-d", "zend.exception_ignore_args=0", "-r", script])));
    }
    outputs.push(run(php::command(unreachable).arg("--ri").arg("orosync")));
    outputs.push(server.admin("/metrics"));
    outputs.push(server.admin("/topics"));
    wait::until_true("the last message is logged", || {
        server.log().iter().any(|line| line.contains("cannot be read"))
    });
    outputs.push(server.log().join("\n"));

    assert!(outputs.iter().all(|output| !output.is_empty()), "every command prints something: {outputs:?}");
    let signatures =
        tickets.iter().chain([&publisher]).map(|ticket| ticket.rsplit('.').next().expect("a JWT"));
    let secrets = [SECRET, OLD_SECRET, &SECRET[..20]].into_iter().flat_map(forms);
    for planted in secrets.chain(signatures.map(str::to_owned)) {
        for output in &outputs {
            assert!(!output.contains(&planted), "{planted} is in\n{output}");
        }
    }
}

#[test]
fn client_data_is_logged_escaped_truncated_and_rate_limited() {
    let mut server = Server::start_with("[limits]\nmessage_burst = 1000\n");
    let mut client = Client::user(&server, WAMP, 1);
    let evil = format!("evil\\u001b[2J\\u202e\\r\\n2026 INFO forged {}", "x".repeat(2000));
    for _ in 0..50 {
        client.send_text(&format!(r#"[5,"{evil}"]"#));
        client.send_text(&format!(r#"[7,"acme/{}",1]"#, "y".repeat(150)));
    }
    client.sync();
    let evil_ticket = "eyJhbGciOiJcdTAwMWJbMkpmb3JnZWQgeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4In0.e30.x";
    for _ in 0..20 {
        Client::connect(&server).handshake(&format!("/?ticket={evil_ticket}"), WAMP);
    }
    for (kind, max) in [("subscription refused", 10), ("publication refused", 10), ("ticket rejected", 10)] {
        server.await_line(kind);
        let lines: Vec<&String> = server.log().iter().filter(|line| line.contains(kind)).collect();
        assert!(lines.len() <= max, "{kind}: {} lines", lines.len());
        for line in lines {
            assert!(line.len() < 500, "{line}");
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).expect("a line is JSON");
            for text in fields.values().filter_map(serde_json::Value::as_str) {
                assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}");
            }
        }
    }
    assert!(server.log().iter().all(|line| !line.starts_with("2026 INFO forged")));
    assert!(server.metric("orosync_log_lines_suppressed_total") >= 90.0, "suppressed lines are counted");
}

#[test]
fn the_default_ping_times_are_shorter_than_the_idle_timeouts_of_proxies() {
    let table = run(server::command().args(["check-config", "--defaults"]));
    let default = |key: &str| {
        let row = table.lines().find(|line| line.contains(&format!("`limits.{key}`"))).expect("a row");
        row.split('|')
            .nth(3)
            .and_then(|cell| cell.trim().trim_matches('`').parse::<u32>().ok())
            .expect("seconds")
    };
    // NGINX's proxy_read_timeout, the usual timeout of HAProxy, and AWS's load balancers: 60 s.
    // docs/reliability.md and docs/security.md contain both values and their sum.
    assert_eq!((default("ping_interval_seconds"), default("ping_timeout_seconds")), (30, 15));
}
