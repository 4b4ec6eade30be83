//! Sessions that do not read, and dead peers.

use std::time::{Duration, Instant};

use orosync_link::Publisher;
use orosync_protocol::Payload;
use orosync_protocol::link_frame::Message;
use orosync_tests::client::{Client, OROSYNC, Received, WAMP, frame};
use orosync_tests::server::Server;
use orosync_tests::traffic::{Publishers, Subscriber, TOPIC, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rustix::process::Signal;

use crate::{alone, message, parameter, publisher};

const DELIVERIES: &str = "orosync_deliveries_total";

const CLOSED_AS_TOO_SLOW: &str = r#"orosync_sessions_closed_total{reason="too_slow"}"#;

/// A message large enough that few of them fill the kernel's buffers.
fn large(number: usize) -> Message {
    let payload = format!("[{number},\"{}\"]", "x".repeat(32 << 10));
    Message { payload: Payload::from_encoder(payload.into()).expect("JSON"), ..message(0, 0) }
}

fn subscribed(server: &Server, offer: &str, uid: usize) -> Client {
    let mut client = Client::user(server, offer, uid as u64);
    client.subscribe(TOPIC);
    client
}

/// Publishes large messages one by one until `done`. After each, `receive` makes the readers receive it. Returns the time that
/// each message took.
fn publish_until(
    publisher: &mut Publisher,
    mut receive: impl FnMut(&mut Publisher, usize),
    mut done: impl FnMut() -> bool,
) -> Vec<Duration> {
    let (mut delays, end) = (Vec::new(), Instant::now() + wait::LIMIT * 6);
    while !done() {
        assert!(Instant::now() < end, "timed out after {} messages", delays.len());
        let begun = Instant::now();
        publisher.publish(large(delays.len()).lend()).expect("there is room");
        receive(publisher, delays.len());
        delays.push(begun.elapsed());
    }
    delays
}

#[test]
fn a_stalled_reader_is_closed_at_its_bound_and_delays_no_other_session() {
    let _alone = alone();
    let readers = parameter("FAULTS_READERS", 100);
    let server = Server::start();
    let mut others: Vec<Client> = (1..readers).map(|uid| subscribed(&server, OROSYNC, uid)).collect();
    let mut publisher = publisher(&server.endpoint());
    let receive = |others: &mut Vec<Client>, number: usize| {
        let expected = format!("[8,\"oro\\/ping\",[{number},\"");
        for other in others {
            assert!(other.text().starts_with(&expected), "the next message, complete and in order");
        }
    };
    let mut round = 0;
    let quiet = publish_until(
        &mut publisher,
        |_, number| receive(&mut others, number),
        || {
            // Read in both phases, so that both do the same work.
            server.metric(DELIVERIES);
            round += 1;
            round > 50
        },
    );
    // One session of each protocol. Neither reads.
    let mut stalled = [subscribed(&server, OROSYNC, readers), subscribed(&server, WAMP, readers + 1)];
    let (mut delivered, mut last) = (server.metric(DELIVERIES), 0.0);
    let delays = publish_until(
        &mut publisher,
        |_, number| receive(&mut others, number),
        || {
            let before = std::mem::replace(&mut delivered, server.metric(DELIVERIES));
            last = delivered - before;
            // True when the last message was delivered to neither of the two: they are closed.
            before > 0.0 && (last - as_metric(readers - 1)).abs() < f64::EPSILON
        },
    );
    println!(
        "{readers} readers, until the last one has the message: median {:?}, {:?} while two others stall ({} messages)",
        median(&quiet),
        median(&delays),
        delays.len()
    );
    // The frames that were queued, all complete, then 4008 or the end.
    for (client, expected) in stalled.iter_mut().zip([Received::Close(4008), Received::End]) {
        let end = loop {
            match client.receive() {
                Received::Text(_) => {}
                end => break end,
            }
        };
        assert_eq!(end, expected);
    }
    server.await_metric(CLOSED_AS_TOO_SLOW, 2.0);
    publisher.publish(large(delays.len()).lend()).expect("there is room");
    receive(&mut others, delays.len());
}

fn as_metric(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("so few"))
}

fn median(delays: &[Duration]) -> Duration {
    let mut sorted = delays.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn stalled_readers_use_no_more_than_their_bounds_and_their_memory_is_released() {
    let _alone = alone();
    let readers = parameter("FAULTS_STALLED", 200);
    let server = Server::start();
    let stalled: Vec<Client> = (1..=readers).map(|uid| subscribed(&server, OROSYNC, uid)).collect();
    stalled.iter().for_each(Client::shrink_receive_buffer);
    let before = server.resident_bytes();
    let mut publisher = publisher(&server.endpoint());
    let mut peak = before;
    publish_until(
        &mut publisher,
        |publisher, _| {
            assert!(publisher.flush(wait::LIMIT), "publishers do not wait for them");
            peak = peak.max(server.resident_bytes());
        },
        || server.metric(CLOSED_AS_TOO_SLOW) >= as_metric(readers),
    );
    let bounds = (readers as u64) << 20;
    println!("{readers} stalled readers: {} KiB before, at most {} KiB", before >> 10, peak >> 10);
    assert!(peak - before < bounds, "{peak} bytes");
    drop(stalled);
    server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 0.0);
    // The allocator keeps some memory. A leak of the queues would be a hundred times as large.
    wait::until_true("the memory is released", || server.resident_bytes() < before + (16 << 20));
    println!("{} KiB after they are closed", server.resident_bytes() >> 10);
}

#[test]
fn a_dead_peer_is_closed_and_one_that_answers_pings_is_kept() {
    let _alone = alone();
    let server = Server::start_with("[limits]\nping_interval_seconds = 1\nping_timeout_seconds = 3\n");
    let mut alive = subscribed(&server, OROSYNC, 1);
    // This session never reads, so it never answers a ping.
    let _dead = subscribed(&server, WAMP, 2);
    let unresponsive = r#"orosync_sessions_closed_total{reason="unresponsive"}"#;
    let mut publisher = publisher(&server.endpoint());
    wait::until_true("the dead session is closed", || {
        // Receiving an event answers the pings before it.
        publisher.publish(message(0, 0).lend()).expect("there is room");
        alive.text();
        server.metric(unresponsive) > 0.0
    });
    alive.send(&frame(10, b""));
    alive.sync();
    server.await_metric(r#"orosync_sessions_open{protocol="orosync"}"#, 1.0);
    server.await_metric(r#"orosync_sessions_open{protocol="wamp"}"#, 0.0);
}

#[test]
fn a_suspended_server_closes_no_session_that_answers_its_pings() {
    let _alone = alone();
    let server =
        Server::start_with("shards = 4\n[limits]\nping_interval_seconds = 1\nping_timeout_seconds = 3\n");
    let mut clients: Vec<Client> = (1..=16).map(|uid| subscribed(&server, OROSYNC, uid)).collect();
    for client in &mut clients {
        assert_eq!(client.next_frame(), Received::Ping);
    }
    server.freeze();
    // Half of the clients answer while the server is frozen. The others answer afterwards, as after the migration of a whole
    // virtual machine.
    let (first, second) = clients.split_at_mut(8);
    for client in first {
        client.send(&frame(10, b""));
    }
    wait::let_pass(Duration::from_secs(4), "longer than the ping timeout");
    server.thaw();
    for client in second {
        client.send(&frame(10, b""));
    }
    for client in &mut clients {
        client.sync();
    }
}

#[test]
fn sessions_of_all_shards_receive_events_in_the_same_order() {
    let _alone = alone();
    let server = Server::start_with("shards = 4\n");
    let subscribers: Vec<Subscriber> =
        (1..=16).map(|uid| Subscriber::of(Client::user(&server, OROSYNC, uid))).collect();
    let publishers = Publishers::start(&server.endpoint(), 4, 500, &[]);
    wait::until_true("events arrive", || subscribers[0].count() >= 2000);
    let ended = publishers.finish();
    server.signal(Signal::TERM);
    let sessions: Vec<_> = subscribers.into_iter().map(|subscriber| subscriber.ended().0).collect();
    for session in &sessions {
        assert_contiguous(session);
        assert_complete([session], &ended);
        assert!(*session == sessions[0], "two sessions saw the events in a different order");
    }
}
