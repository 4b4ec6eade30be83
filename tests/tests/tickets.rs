//! Invalid tickets are rejected with an HTTP status; the reason is counted and logged, but not sent.

use std::fs;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use jsonwebtoken::{EncodingKey, Header, encode};
use orosync_protocol::ticket::{Claims, Identity, Role, Signer};
use orosync_tests::client::{Client, OROSYNC, WAMP};
use orosync_tests::server::{self, Server, now, ticket};
use orosync_tests::{SECRET, php, wait};
use rustix::process::Signal;

/// The public key of RFC 8410, 10.1.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn claims() -> Claims {
    Claims {
        aud: "orosync".to_owned(),
        sub: Some("user7".into()),
        uid: Some(7.into()),
        org: Some(1),
        roles: Vec::new(),
        topics: Vec::new(),
        patterns: Vec::new(),
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

/// A ticket of the table's user, signed with this secret.
fn issued_with(secret: &str) -> String {
    let identity = Identity { role: Role::User, user: Some("user7".into()), ..Identity::anonymous() };
    let signer = Signer::from_secret(secret.as_bytes()).expect("long enough");
    signer.issue(&identity, now(), 300, rand::random()).expect("a ticket")
}

fn status(server: &Server, target: &str, headers: &str) -> String {
    let mut client = Client::connect(server);
    client.handshake(target, headers).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn each_invalid_ticket_is_rejected_counted_and_logged_with_its_reason() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = directory.path().join("key.pem");
    fs::write(&key, PUBLIC_KEY).expect("the key is written");
    let configuration = format!("[auth]\npublic_key_file = \"{}\"\n", key.display());
    let valid = signed(&claims());
    let (head_and_claims, signature) = valid.rsplit_once('.').expect("a JWT");
    let body = head_and_claims.split('.').nth(1).expect("a JWT");
    let used = signed(&claims());

    let table = [
        ("expired", "expired", signed(&Claims { iat: now() - 400, exp: now() - 100, ..claims() })),
        ("ends now", "expired", signed(&Claims { exp: now(), ..claims() })),
        (
            "from the future",
            "not_yet_valid",
            signed(&Claims { iat: now() + 3600, exp: now() + 4000, ..claims() }),
        ),
        ("begins later", "not_yet_valid", signed(&Claims { nbf: Some(now() + 200), ..claims() })),
        ("with a critical header", "malformed", {
            let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::default() };
            encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).expect("a JWT")
        }),
        ("another audience", "audience", signed(&Claims { aud: "billing".to_owned(), ..claims() })),
        ("another key", "signature", issued_with("another secret of more than 32 bytes")),
        // {"alg":"none"}, without a signature and with the signature of a valid ticket.
        ("no algorithm", "malformed", format!("eyJhbGciOiJub25lIn0.{body}.")),
        ("no algorithm, signed", "malformed", format!("eyJhbGciOiJub25lIn0.{body}.{signature}")),
        ("the public key as secret", "signature", issued_with(PUBLIC_KEY)),
        ("changed claims", "signature", {
            let other = signed(&Claims { uid: Some(1.into()), ..claims() });
            let other_body = other.split('.').nth(1).expect("a JWT").to_owned();
            valid.replace(body, &other_body)
        }),
        (
            "a publisher's, in the URL",
            "publisher_in_url",
            signed(&Claims { role: Role::Publisher, ..claims() }),
        ),
        ("used before", "replayed", used.clone()),
        ("oversized", "malformed", format!("{head_and_claims}.{}", "A".repeat(9000))),
        ("not base64", "malformed", "a!b.c!d.e!f".to_owned()),
        ("not a JWT", "malformed", "nonsense".to_owned()),
        ("without an expiry", "malformed", {
            let mut json = serde_json::to_value(claims()).expect("claims");
            json.as_object_mut().expect("an object").remove("exp");
            encode(&Header::default(), &json, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a JWT")
        }),
    ];
    // A server logs at most ten rejected tickets in ten seconds.
    for some in table.chunks(8) {
        let mut server = Server::start_with(&configuration);
        assert!(status(&server, &format!("/?ticket={used}"), WAMP).contains(" 101 "));
        for (name, reason, ticket) in some {
            let metric = format!("orosync_tickets_rejected_total{{reason=\"{reason}\"}}");
            let before = server.metric(&metric);
            let line = status(&server, &format!("/?ticket={ticket}"), WAMP);
            assert_eq!(line, "HTTP/1.1 401 Unauthorized", "{name}");
            server.await_metric(&metric, before + 1.0);
            server.await_line(&format!(r#""reason":"{reason}""#));
            let is_shown = server.log().iter().any(|line| line.contains(ticket));
            assert!(!is_shown, "{name}: a ticket is in the log");
        }
        let fresh = signed(&claims());
        assert!(
            status(&server, &format!("/?ticket={fresh}"), WAMP).contains(" 101 "),
            "a valid ticket is accepted"
        );
    }
}

#[test]
fn a_ticket_used_on_all_shards_at_once_opens_one_session() {
    let server = Server::start_with("shards = 8\n");
    let address = server.address();
    for _ in 0..20 {
        let (ticket, start) = (ticket(Role::User, Some(7)), Barrier::new(8));
        let opened = thread::scope(|scope| {
            let attempts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = Client::connect_to(address);
                        start.wait();
                        client.handshake(&format!("/?ticket={ticket}"), WAMP).starts_with("HTTP/1.1 101 ")
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().expect("no panic")).filter(|ok| *ok).count()
        });
        assert_eq!(opened, 1);
    }
}

/// Used tickets are recorded in memory only.
#[test]
fn after_a_restart_a_used_ticket_opens_one_more_session() {
    let server = Server::start();
    let ticket = ticket(Role::User, Some(7));
    let target = format!("/?ticket={ticket}");
    assert!(status(&server, &target, WAMP).contains(" 101 "));
    assert!(status(&server, &target, WAMP).contains(" 401 "));
    let server = server.restart();
    assert!(status(&server, &target, WAMP).contains(" 101 "));
    assert!(status(&server, &target, WAMP).contains(" 401 "));
}

#[test]
fn changing_the_secret_closes_no_session_and_rejects_no_ticket() {
    const NEW: &str = "the new secret of the tests, longer than 32 bytes";
    let mut server = Server::start();
    let file = server.secret_file();
    let mut session = Client::user(&server, OROSYNC, 1);
    session.subscribe("oro/ping");
    let accepted = |server: &Server, secret: &str| {
        status(server, &format!("/?ticket={}", issued_with(secret)), WAMP).contains(" 101 ")
    };
    assert!(accepted(&server, SECRET) && !accepted(&server, NEW));

    fs::write(&file, format!("{NEW}\n{SECRET}\n")).expect("the secrets are written");
    server.signal(Signal::HUP);
    server.await_line("were reloaded");
    assert!(accepted(&server, SECRET) && accepted(&server, NEW));
    // PHP reads the same file and signs with its first secret.
    let mut publish = php::command(&server.endpoint());
    publish.args(["-d", "orosync.secret=", "-d", &format!("orosync.secret_file={}", file.display())]);
    let script =
        r#"echo orosync_ticket(), "\n"; orosync_publish("oro/ping", 1); var_dump(orosync_flush(10));"#;
    let printed = publish.args(["-r", script]).output().expect("php starts").stdout;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let (by_php, flushed) = printed.split_once('\n').expect("two lines");
    assert_eq!(flushed, "bool(true)\n");

    fs::write(&file, format!("{NEW}\n")).expect("the secret is written");
    server.signal(Signal::HUP);
    wait::until_true("the old secret is no longer accepted", || !accepted(&server, SECRET));
    assert!(accepted(&server, NEW));
    assert!(status(&server, &format!("/?ticket={by_php}"), WAMP).contains(" 101 "));
    assert_eq!(session.text(), r#"[8,"oro\/ping",1]"#, "the session stayed open");
}

#[test]
fn a_short_secret_is_refused_with_the_command_that_generates_one() {
    let server = Server::start();
    let file = server.directory().join("short");
    fs::write(&file, "hunter2\n").expect("a file is written");
    // A server that accepts the secret would run until the timeout.
    let output = Command::new("timeout")
        .arg("20")
        .arg(server::command().get_program())
        .args(["serve", "--admin-bind", "", "--bind", "127.0.0.1:0", "--secret-file"])
        .arg(&file)
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("has 7 bytes") && stderr.contains("openssl rand -hex 32"), "{stderr}");
    let script = r#"try { orosync_publish("oro/ping", 1); } catch (Exception $e) { echo $e->getMessage(); }"#;
    let mut php = php::command(&server.endpoint());
    let printed =
        php.args(["-d", "orosync.secret=hunter2", "-r", script]).output().expect("php starts").stdout;
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains("openssl rand -hex 32") && !printed.contains("hunter2"), "{printed}");
}
