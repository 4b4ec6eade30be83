//! Delivery from a PHP call to every subscriber: no loss, no duplicates, in order.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::php::{self, Fpm};
use orosync_tests::proxy::Proxy;
use orosync_tests::server::{self, Server};
use orosync_tests::wait;
use rustix::process::Signal;

/// Receives `count` events of `oro/ping` and returns their payloads, which must be numbers.
fn numbers(client: &mut Client, count: usize) -> Vec<u64> {
    (0..count)
        .map(|_| {
            let text = client.text();
            let number = text.strip_prefix(r#"[8,"oro\/ping","#).and_then(|rest| rest.strip_suffix(']'));
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
        })
        .collect()
}

#[test]
fn messages_published_by_php_arrive_in_order() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    let script =
        r#"for ($i = 0; $i < 3000; $i++) { orosync_publish("oro/ping", $i); } var_dump(orosync_flush(10));"#;
    assert_eq!(php::output(&server.endpoint(), script), "bool(true)\n");
    assert_eq!(numbers(&mut client, 3000), (0..3000).collect::<Vec<_>>());
}

#[test]
fn a_script_that_publishes_and_ends_loses_no_message() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    for end in ["", "exit(0);", "throw new Exception('x');", "nonsense();"] {
        php::run(
            &server.endpoint(),
            &format!(r#"for ($i = 0; $i < 50; $i++) {{ orosync_publish("oro/ping", $i); }} {end}"#),
        );
        assert_eq!(numbers(&mut client, 50), (0..50).collect::<Vec<_>>(), "{end}");
    }
}

#[test]
fn a_forked_child_publishes_over_its_own_link_in_order() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    let script = r#"
        for ($i = 0; $i < 100; $i++) { orosync_publish("oro/ping", $i); }
        $pid = pcntl_fork();
        $base = $pid ? 100 : 1000;
        for ($i = 0; $i < 100; $i++) { orosync_publish("oro/ping", $base + $i); }
        if ($pid) { pcntl_waitpid($pid, $status); echo $status; }
    "#;
    assert_eq!(php::output(&server.endpoint(), script), "0");
    let received = numbers(&mut client, 300);
    let (child, parent): (Vec<u64>, Vec<u64>) = received.into_iter().partition(|number| *number >= 1000);
    assert_eq!(parent, (0..200).collect::<Vec<_>>());
    assert_eq!(child, (1000..1100).collect::<Vec<_>>());
}

#[test]
fn fpm_workers_publish_over_links_that_outlive_requests() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    let fpm = Fpm::start(&server.unix_endpoint(), 1, "");
    fpm.write("publish.php", r#"var_dump(orosync_publish("oro/ping", (int) $_GET["n"]));"#);
    for n in 0..50 {
        assert_eq!(fpm.get("publish.php", &format!("n={n}")), "bool(true)\n");
    }
    assert_eq!(numbers(&mut client, 50), (0..50).collect::<Vec<_>>());
    let links = server.metric(r#"orosync_sessions_opened_total{protocol="link"}"#);
    assert!((links - 1.0).abs() < f64::EPSILON, "one worker, one link: {links}");
}

#[test]
fn fpm_workers_that_are_recycled_or_reloaded_lose_no_message() {
    let server = Server::start();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    let fpm = Fpm::start(&server.endpoint(), 2, "pm.max_requests = 3");
    fpm.write(
        "publish.php",
        r#"for ($i = 0; $i < 20; $i++) { orosync_publish("oro/ping", $_GET["n"] * 20 + $i); }"#,
    );
    for n in 0..20 {
        fpm.get("publish.php", &format!("n={n}"));
        if n == 10 {
            fpm.signal(Signal::USR2);
            wait::until_true("php-fpm has reloaded", || {
                fpm.log().matches("ready to handle connections").count() == 2
            });
        }
    }
    let received: BTreeSet<u64> = numbers(&mut client, 400).into_iter().collect();
    assert_eq!(received, (0..400).collect());
}

#[test]
fn a_request_is_not_affected_by_an_unreachable_server() {
    let mut server = Server::start();
    let fpm = Fpm::start(&server.endpoint(), 1, "");
    fpm.write(
        "publish.php",
        r#"$ok = orosync_publish("oro/ping", (int) $_GET["n"]); $s = orosync_status();
           echo json_encode([$ok, $s["accepted"] === $s["acknowledged"] + $s["unacknowledged"] + $s["queued"], $s["accepted"]]);"#,
    );
    let publish = |n: u64| fpm.get("publish.php", &format!("n={n}"));
    assert_eq!(publish(0), "[true,true,1]");
    wait::until_true("it is acknowledged", || {
        server.metric(r#"orosync_messages_accepted_total{source="link"}"#) > 0.0
    });
    server.freeze();
    for n in 1..=20 {
        assert_eq!(publish(n), format!("[true,true,{}]", n + 1), "frozen");
    }
    server.signal(Signal::KILL);
    server.wait();
    let mut n = 20;
    wait::until_true("the outage is in PHP's log", || {
        n += 1;
        assert_eq!(publish(n), format!("[true,true,{}]", n + 1), "killed");
        !fpm.php_log().is_empty()
    });
    let server = server.start_again();
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    // The frozen server may have received some messages before it was killed, when nobody was subscribed. The last ones were not
    // received.
    assert_eq!(publish(n + 1), format!("[true,true,{}]", n + 2));
    while numbers(&mut client, 1) != [n + 1] {}
    let outages = fpm.php_log().lines().count();
    assert_eq!(outages, 1, "one line for one outage:\n{}", fpm.php_log());
}

#[test]
fn messages_accepted_before_the_server_started_arrive_once_and_in_order() {
    let server = Server::start();
    let later = server.directory().join("later.sock");
    let script = r#"
        for ($i = 0; $i < 200; $i++) { orosync_publish("oro/ping", $i); }
        var_dump(orosync_flush(0.05));
        fgets(STDIN);
        var_dump(orosync_flush(15));
    "#;
    let mut child = php::command(&format!("unix:{}", later.display()))
        .args(["-r", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("php starts");
    let mut answers = BufReader::new(child.stdout.take().expect("piped"));
    let mut answer = || {
        let mut line = String::new();
        answers.read_line(&mut line).expect("php answers");
        line
    };
    assert_eq!(answer(), "bool(false)\n");
    let mut client = Client::user(&server, WAMP, 1);
    client.subscribe("oro/ping");
    // From now on the publisher's endpoint exists.
    symlink(server.socket(), &later).expect("a link");
    drop(child.stdin.take());
    assert_eq!(numbers(&mut client, 200), (0..200).collect::<Vec<_>>());
    assert_eq!(answer(), "bool(true)\n");
    assert!(child.wait().expect("php ends").success());
    let accepted = server.metric(r#"orosync_messages_accepted_total{source="link"}"#);
    assert!((accepted - 200.0).abs() < f64::EPSILON, "each message once: {accepted}");
}

#[test]
fn a_thousand_browsers_each_receive_every_message() {
    let server = Server::start();
    let mut clients: Vec<Client> = (1..=1000).map(|uid| Client::user(&server, OROSYNC, uid)).collect();
    for client in &mut clients {
        client.send_text(r#"[5,"oro/ping"]"#);
    }
    for client in &mut clients {
        client.sync();
    }
    php::output(&server.endpoint(), r#"for ($i = 0; $i < 10; $i++) { orosync_publish("oro/ping", $i); }"#);
    for client in &mut clients {
        assert_eq!(numbers(client, 10), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn every_acknowledged_message_is_written_before_a_drain_ends() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = (1..=50).map(|uid| Client::user(&server, OROSYNC, uid)).collect();
    for client in &mut clients {
        client.subscribe("oro/ping");
    }
    let script =
        r#"for ($i = 0; $i < 500; $i++) { orosync_publish("oro/ping", $i); } var_dump(orosync_flush(10));"#;
    assert_eq!(php::output(&server.endpoint(), script), "bool(true)\n");
    server.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(numbers(client, 500), (0..500).collect::<Vec<_>>());
        assert_eq!(client.receive(), Received::Close(1001));
    }
    assert!(server.wait().success());
}

#[test]
fn the_publish_command_fails_for_a_refused_topic_even_if_the_server_starts_later() {
    let server = Server::start();
    let publish = |topic: &str| {
        let proxy = Proxy::closed();
        let running = server::command()
            .args(["publish", "--endpoint", &proxy.endpoint(), "--secret-file"])
            .arg(server.secret_file())
            .args([topic, "1"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        wait::until_true("the command has retried", || proxy.attempts().len() > 1);
        proxy.open(server.address());
        running.wait_with_output().expect("it ends")
    };
    assert_eq!(publish("oro/ping").status.code(), Some(0), "a server that starts later is no failure");
    let refused = publish("acme/undeclared");
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("does not deliver 1 message to the topic \"acme/undeclared\""), "{stderr}");
}
