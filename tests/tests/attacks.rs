//! Attacks from one machine while 200 well-behaved sessions are open: these sessions receive everything in order, none is
//! closed, and the server's memory returns to its previous level.
//!
//! Latencies with and without the attack are printed but not asserted: `cargo test --package orosync-tests --test attacks --
//! --nocapture --test-threads 1`.

use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orosync_protocol::ticket::Role;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP, frame, request};
use orosync_tests::crowd::{Crowd, Latencies};
use orosync_tests::server::{Server, ticket};
use orosync_tests::wait;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Number of well-behaved sessions.
const CROWD: u64 = 200;

/// Repetitions of each attack.
const ATTACKS: usize = 3;

/// Minimum number of events that the crowd receives during an attack.
const NUMBERS: usize = 100;

/// Time within which the server's allocator returns free memory to the system (`.cargo/config.toml`).
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// Nice value of a thread.
const LOWEST_PRIORITY: i32 = 19;

/// A pattern for the attacks that need many topics.
const CONFIGURATION: &str = "[[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"user\"\n";

/// Held by the running attack, because on a small machine concurrent attacks would compete for the same processor.
static RUNNING: Mutex<()> = Mutex::new(());

/// Runs an attack several times while the crowd receives events.
fn withstand(what: &str, attack: impl Fn(&Server) + Send) {
    // A failed attack does not affect the next one.
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    // On its own thread, because the thread's processors and priority are changed.
    thread::scope(|scope| {
        scope.spawn(|| {
            let server = start_on_other_processors();
            let crowd = Crowd::start(&server, CROWD);
            attack_repeatedly(&server, crowd, what, attack);
        });
    });
}

/// Starts a server on one half of the processors, and moves this thread and its later threads to the other half, because real
/// browsers and attackers run on other machines.
fn start_on_other_processors() -> Server {
    let all = sched_getaffinity(None).expect("a thread may read its processors");
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|processor| all.is_set(*processor)).collect();
    let (ours, its) = processors.split_at(processors.len() / 2);
    if ours.is_empty() {
        return Server::start_with(CONFIGURATION);
    }
    let list = its.iter().map(usize::to_string).collect::<Vec<String>>().join(",");
    let script = format!("exec taskset --cpu-list {list} \"$@\"");
    let server = Server::start_through(&script, Stdio::null(), CONFIGURATION);
    let mut set = CpuSet::new();
    for processor in ours {
        set.set(*processor);
    }
    sched_setaffinity(None, &set).expect("a thread may reduce its processors");
    server
}

fn attack_repeatedly(server: &Server, crowd: Crowd, what: &str, attack: impl Fn(&Server)) {
    let quiet = crowd.during(ATTACKS * NUMBERS, || ()).p99();
    let descriptors = server.descriptors();
    // The crowd and the attacker share processors. The crowd has priority.
    setpriority_process(None, LOWEST_PRIORITY).expect("a thread may lower its priority");
    let mut latencies = Latencies::default();
    let mut after = [0; ATTACKS];
    for bytes in &mut after {
        latencies.append(crowd.during(NUMBERS, || attack(server)));
        *bytes = settled_bytes(server);
    }
    let under_attack = latencies.p99();
    println!(
        "{what}: p99 {quiet} us quiet, {under_attack} us under attack ({:.1} times); memory {:?} KiB",
        ratio(under_attack, quiet),
        after.map(|bytes| bytes >> 10),
    );
    // The first attack grows the server to its maximum. The others must not grow it further.
    let (first, last) = (after[0], after[ATTACKS - 1]);
    assert!(last <= first + first / 10, "{last} bytes, after {first}");
    wait::until_true("all descriptors are closed", || server.descriptors() <= descriptors);
    crowd.finish();
}

#[expect(clippy::cast_precision_loss, reason = "microseconds, for display")]
fn ratio(this: u64, that: u64) -> f64 {
    this as f64 / that.max(1) as f64
}

/// The server's memory in bytes when only the crowd is left and the memory no longer shrinks.
fn settled_bytes(server: &Server) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, CROWD as f64);
    server.await_metric(r#"orosync_sessions_open{protocol="wamp"}"#, 0.0);
    let (mut least, mut since) = (u64::MAX, Instant::now());
    wait::until("the memory no longer shrinks", || {
        let bytes = server.resident_bytes();
        if bytes < least {
            (least, since) = (bytes, Instant::now());
        }
        (since.elapsed() > RELEASE_TIME).then_some(least)
    })
}

fn connect(server: &Server, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect(server)).collect()
}

fn users(server: &Server, count: u64) -> Vec<Client> {
    (0..count).map(|uid| Client::user(server, OROSYNC, 10_000 + uid)).collect()
}

/// Sends these bytes from `sessions` sessions. Asserts that each session is closed with this code.
fn flood(server: &Server, sessions: u64, bytes: &[u8], code: u16) {
    for mut client in users(server, sessions) {
        // The server may close the connection before everything is sent.
        let _ = client.try_send(bytes);
        let mut received = client.receive_or_reset();
        // Skips the answers that were sent before the limit was reached.
        while matches!(received, Received::Text(_) | Received::Pong) {
            received = client.receive_or_reset();
        }
        // Data that arrives after the server has closed the session may reset the connection.
        assert!(
            matches!(received, Received::Close(found) if found == code) || received == Received::End,
            "{received:?}"
        );
    }
}

#[test]
fn a_thousand_half_open_handshakes_do_not_affect_other_sessions() {
    withstand("1,000 half-open handshakes", |server| {
        let mut half_open = connect(server, 1000);
        for client in &mut half_open {
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso");
        }
        Client::user(server, WAMP, 5000).sync();
    });
}

#[test]
fn a_flood_of_handshakes_does_not_affect_other_sessions() {
    withstand("2,000 handshakes, half of them refused", |server| {
        for number in 0..2000 {
            let mut client = Client::connect(server);
            let target = if number % 2 == 0 { "/" } else { "/?ticket=nonsense" };
            client.send(request(target, WAMP).as_bytes());
            client.read_head();
        }
    });
}

#[test]
fn short_lived_connections_do_not_affect_other_sessions() {
    withstand("5,000 short-lived connections", |server| {
        for _ in 0..5000 {
            drop(TcpStream::connect(server.address()).expect("the server listens"));
        }
    });
}

#[test]
fn clients_that_send_one_byte_at_a_time_are_served_and_do_not_affect_others() {
    withstand("100 sessions, one byte at a time", |server| {
        let mut slow = connect(server, 100);
        for byte in request("/", WAMP).bytes() {
            for client in &mut slow {
                client.send(&[byte]);
            }
        }
        for byte in frame(1, br#"[2,"1","orosync/session"]"#) {
            for client in &mut slow {
                client.send(&[byte]);
            }
        }
        for client in &mut slow {
            client.read_head();
            assert!(client.text().starts_with("[0,"));
            assert!(client.text().starts_with(r#"[3,"1","#));
        }
    });
}

#[test]
fn frames_with_64_bit_lengths_are_refused_before_their_payload_arrives() {
    withstand("100 frames of 2^62 bytes", |server| {
        let mut huge = b"\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        huge.extend([b'x'; 1000]);
        flood(server, 100, &huge, 1009);
    });
}

#[test]
fn a_flood_of_fragments_is_closed_with_4009() {
    withstand("50 floods of fragments", |server| {
        let mut fragments = b"\x01\x80\0\0\0\0".to_vec();
        fragments.extend(b"\x00\x81\0\0\0\0x".repeat(20_000));
        flood(server, 50, &fragments, 4009);
    });
}

#[test]
fn a_flood_of_pings_is_closed_with_4009() {
    withstand("50 floods of pings", |server| {
        flood(server, 50, &frame(9, &[b'x'; 125]).repeat(2000), 4009);
    });
}

#[test]
fn a_flood_of_messages_is_closed_with_4009() {
    withstand("50 floods of messages", |server| {
        flood(server, 50, &frame(1, br#"[7,"oro/ping",1]"#).repeat(5000), 4009);
    });
}

#[test]
fn a_flood_of_subscriptions_is_refused_and_then_closed_with_4009() {
    withstand("20 floods of subscriptions", |server| {
        let text = |number| frame(1, format!(r#"[5,"acme/{number}"]"#).as_bytes());
        flood(server, 20, &(0..5000).flat_map(text).collect::<Vec<u8>>(), 4009);
    });
}

#[test]
fn a_hundred_thousand_topics_are_served_and_their_memory_is_released() {
    // Each round uses different topics, because a leak per topic would not show with the same ones.
    let round = AtomicUsize::new(0);
    withstand("100,000 topics", |server| {
        let round = round.fetch_add(1, Ordering::Relaxed);
        let mut clients = users(server, 1000);
        for (number, client) in clients.iter_mut().enumerate() {
            let text = |topic| frame(1, format!(r#"[5,"acme/{round}-{number}-{topic}"]"#).as_bytes());
            client.send(&(0..100).flat_map(text).collect::<Vec<u8>>());
        }
        for client in &mut clients {
            client.sync();
        }
        server.await_metric("orosync_subscriptions", 100_200.0);
        drop(clients);
        server.await_metric("orosync_subscriptions", 200.0);
    });
}

#[test]
fn topic_names_of_64_kib_are_refused_with_a_short_answer() {
    withstand("2,000 topic names of 64 KiB", |server| {
        let long = format!(r#"[5,"{}"]"#, "x/".repeat(32_000));
        for mut client in users(server, 20) {
            for _ in 0..100 {
                client.send_text(&long);
                let answer = client.text();
                assert!(answer.starts_with("[4,") && answer.len() < 2000, "{} bytes", answer.len());
            }
        }
    });
}

#[test]
fn deeply_nested_json_is_closed_with_1007() {
    let (lists, objects) = (20_000, 10_000);
    let deep_list = format!(r#"[7,"oro/ping",{}{}]"#, "[".repeat(lists), "]".repeat(lists));
    let deep_object = format!(r#"[7,"oro/ping",{}1{}]"#, r#"{"":"#.repeat(objects), "}".repeat(objects));
    withstand("100 messages of deeply nested JSON", |server| {
        flood(server, 50, &frame(1, deep_list.as_bytes()), 1007);
        flood(server, 50, &frame(1, deep_object.as_bytes()), 1007);
    });
}

#[test]
fn frames_marked_as_compressed_are_closed_with_1002() {
    withstand("100 messages marked as compressed", |server| {
        // RSV1, which permessage-deflate sets on compressed messages.
        let mut message = frame(1, &[0xaa; 5000]);
        message[0] |= 0b0100_0000;
        flood(server, 100, &message, 1002);
    });
}

/// Not an attack: 500 pages behind one address reconnect in the second after a restart.
#[test]
fn five_hundred_pages_that_reconnect_at_once_with_twenty_subscriptions_each_are_served() {
    let server = Server::start();
    let mut old = users(&server, 500);
    let server = server.restart();
    for client in &mut old {
        assert_eq!(client.receive_or_reset(), Received::End);
    }
    let mut pages = connect(&server, 500);
    for (page, uid) in pages.iter_mut().zip(1..) {
        let ticket = ticket(Role::User, Some(uid));
        page.send(request(&format!("/?ticket={ticket}"), OROSYNC).as_bytes());
    }
    for (page, uid) in pages.iter_mut().zip(1..) {
        page.read_head();
        assert!(page.head.starts_with("HTTP/1.1 101 "), "{}", page.head);
        assert!(page.text().starts_with("[0,"));
        let text = |number: u64| frame(1, format!(r#"[5,"oro/email_event/{uid}/{number}"]"#).as_bytes());
        page.send(&(1..=20).flat_map(text).collect::<Vec<u8>>());
    }
    for page in &mut pages {
        page.send_text(r#"[2,"1","orosync/session"]"#);
        assert!(page.text().starts_with(r#"[3,"1","#), "all its subscriptions were accepted");
    }
    server.await_metric("orosync_subscriptions", 10_000.0);
    assert!(server.metric(r#"orosync_sessions_closed_total{reason="too_many_messages"}"#) < 1.0);
}
