//! Publishers that stay faster than the server until their queues are full.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use orosync_protocol::Topic;
use orosync_protocol::link_frame::Message;
use orosync_tests::client::{Client, OROSYNC, Received, frame};
use orosync_tests::php;
use orosync_tests::server::Server;
use orosync_tests::traffic::{Report, Subscriber, TOPIC, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rustix::process::Signal;

use crate::{alone, message, parameter, publisher};

/// Publishes without a pause and retries refused messages. Prints whether all were acknowledged, the number of refusals, the
/// number of reconnects, and the maximum growth of memory in KiB.
const FLOOD: &str = r#"
    [$publisher, $messages] = [(int) $argv[1], (int) $argv[2]];
    $resident = fn (string $name): int => (int) preg_replace('/^.*\b' . $name . ':\s+(\d+).*$/s', '$1', file_get_contents('/proc/self/status'));
    $before = $resident('VmRSS');
    for ($accepted = 0; $accepted < $messages;) {
        orosync_publish("oro/ping", [$publisher, $accepted]) ? $accepted++ : usleep(500);
    }
    $flushed = orosync_flush(15);
    echo json_encode([$flushed, orosync_status()['refused'], orosync_status()['reconnects'], $resident('VmHWM') - $before]), "\n";
"#;

/// Allowed growth of a PHP process in KiB: 1,000 messages of a few hundred bytes, the link thread's stack, and a margin.
const PHP_GROWTH_KIB: u64 = 16 << 10;

/// `limits.outbound_bytes` in MiB: the queue of a slow reader.
const OUTBOUND_MIB: u64 = 16;

#[test]
fn publishers_that_are_faster_than_the_server_are_slowed_down_and_lose_nothing() {
    const READERS: u64 = 5;
    let _alone = alone();
    let messages = parameter("FAULTS_FLOOD", 15_000);
    let server = Server::start_with(&format!(
        "[limits]\noutbound_bytes = \"{OUTBOUND_MIB}M\"\npublisher_messages = 500\n"
    ));
    let subscribers: Vec<Subscriber> =
        (1..=READERS).map(|uid| Subscriber::of(Client::user(&server, OROSYNC, uid))).collect();
    let before = server.resident_bytes();
    let flood = |publisher: usize| {
        let mut child = php::command(&server.endpoint())
            .args(["-d", "orosync.queue_messages=1000", "-r", FLOOD, "--"])
            .args([publisher.to_string(), messages.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("php starts");
        let output = child.stdout.take().expect("it is piped");
        (child, BufReader::new(output))
    };
    let floods: Vec<_> = (0..4).map(flood).collect();
    let mut ended = Vec::new();
    for (mut child, mut output) in floods {
        let mut line = String::new();
        output.read_line(&mut line).expect("php prints its report");
        let report: (bool, u64, u64, u64) =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        let (flushed, refused, reconnects, growth) = report;
        println!("{refused} refusals, {reconnects} reconnects, grew by at most {growth} KiB");
        assert!(refused > 0, "the queue was never full, so there was no overload");
        assert!(growth < PHP_GROWTH_KIB, "{growth} KiB");
        ended.push(Report { accepted: messages, flushed, reconnects, ..Report::default() });
        child.wait().expect("php ends");
    }
    let peak = peak_resident_bytes(&server);
    println!("the server grew from {} KiB to at most {} KiB", before >> 10, peak >> 10);
    assert!(peak - before < READERS * (OUTBOUND_MIB << 20) + (32 << 20), "{peak} bytes");
    server.signal(Signal::TERM);
    for subscriber in subscribers {
        let (events, end) = subscriber.ended();
        assert_eq!(end, Received::Close(1001));
        assert_contiguous(&events);
        assert_complete([&events], &ended);
    }
}

fn peak_resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero()));
    let status = status.expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.expect("a running process has had memory").parse::<u64>().expect("a number") << 10
}

#[test]
fn a_publishers_message_does_not_wait_for_earlier_messages_of_browsers() {
    const BROWSERS: usize = 200;
    const MESSAGES_PER_BROWSER: usize = 50;
    let _alone = alone();
    let server = Server::start_with(
        "shards = 1\n[[topics]]\npattern = \"oro/ping\"\nsubscribe = \"user\"\npublish = \"user\"\n",
    );
    let mut watcher = Client::user(&server, OROSYNC, 1000);
    watcher.subscribe(TOPIC);
    let mut browsers: Vec<Client> = (0..BROWSERS).map(|_| Client::user(&server, OROSYNC, 1)).collect();
    let mut publisher = publisher(&server.endpoint());
    publisher.publish(message(0, 0).lend()).expect("there is room");
    assert!(publisher.flush(wait::LIMIT), "the link is open");
    watcher.text();
    // When the server resumes, the kernel holds all messages, the publisher's last.
    server.freeze();
    for browser in &mut browsers {
        browser.send(&frame(1, format!("[7,\"{TOPIC}\",0]").as_bytes()).repeat(MESSAGES_PER_BROWSER));
    }
    publisher.publish(message(1, 1).lend()).expect("there is room");
    wait::until_true("the link has sent the message", || publisher.status().queued == 0);
    wait::let_pass(
        Duration::from_millis(200),
        "the message reaches the kernel, which cannot be observed while the server is frozen",
    );
    server.thaw();
    let all = BROWSERS * MESSAGES_PER_BROWSER;
    let before = (0..all).take_while(|_| !watcher.text().ends_with("[1,1]]")).count();
    assert!(before < all / 10, "{before} of {all} arrived before it");
}

#[test]
fn many_refused_messages_neither_break_the_link_nor_delay_accepted_ones() {
    const REFUSED: u32 = 50_000;
    let _alone = alone();
    let server = Server::start();
    let mut watcher = Client::user(&server, OROSYNC, 1);
    watcher.subscribe(TOPIC);
    // A unix socket, because its kernel buffer for data that the publisher has not read is the smallest.
    let mut publisher = publisher(&server.unix_endpoint());
    let undeclared = Message { topic: Topic::parse("acme/undeclared").expect("a topic"), ..message(0, 0) };
    for _ in 0..REFUSED {
        while publisher.publish(undeclared.lend()).is_err() {
            thread::yield_now();
        }
    }
    while publisher.publish(message(1, 1).lend()).is_err() {
        thread::yield_now();
    }
    assert!(publisher.flush(wait::LIMIT), "all messages are acknowledged");
    assert!(watcher.text().ends_with("[1,1]]"));
    let status = publisher.status();
    assert_eq!(status.reconnects, 0, "{:?}", status.last_error);
    assert_eq!(status.undeliverable, u64::from(REFUSED));
    server.await_metric(r#"orosync_messages_refused_total{reason="undeclared"}"#, f64::from(REFUSED));
}
