//! Links that break while the server keeps running. The server knows which messages it has already received.

use std::thread;
use std::time::Duration;

use orosync_protocol::link_frame::PublisherFrame;
use orosync_protocol::ticket::Role;
use orosync_protocol::{PublisherId, Seq};
use orosync_tests::client::{Client, OROSYNC, Received, frame};
use orosync_tests::proxy::{Fault, Proxy};
use orosync_tests::server::{Server, ticket};
use orosync_tests::traffic::{Publishers, Subscriber, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rand::RngExt as _;
use rustix::process::Signal;

use crate::{alone, message, publisher, random};

/// Number of connections that fail, of all four publishers together.
const FAULTS: usize = 24;

#[test]
fn links_that_are_reset_unanswered_or_lose_acknowledgements_deliver_everything_once_and_in_order() {
    let _alone = alone();
    let server = Server::start();
    let proxy = Proxy::to(server.address());
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let mut random = random();
    let mut failed = 0;
    proxy.inject(move || {
        failed += 1;
        match failed % 4 {
            _ if failed > FAULTS => Fault::None,
            // After the handshake of about 500 bytes.
            0 | 1 => Fault::Reset { after: random.random_range(500..60_000) },
            2 => Fault::LoseAnswer { after: random.random_range(240..4000) },
            _ => Fault::NoAnswer,
        }
    });
    let publishers = Publishers::start(&proxy.endpoint(), 4, 1250, &["orosync.connect_timeout=0.3"]);
    wait::until_true("all faults were injected", || proxy.attempts().len() >= FAULTS + 4);
    let ended = publishers.finish();
    server.signal(Signal::TERM);
    let (events, end) = subscriber.ended();
    assert_eq!(end, Received::Close(1001));
    assert_contiguous(&events);
    assert_complete([&events], &ended);
    println!("{} messages, {} reconnects", events.len(), ended.iter().map(|one| one.reconnects).sum::<u64>());
}

/// The server may read bytes of an old link after it has welcomed the publisher on a new one.
#[test]
fn messages_sent_over_several_links_of_one_publisher_are_delivered_once_and_in_order() {
    const MESSAGES: usize = 100;
    let server = Server::start_with("shards = 4\n");
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let headers = format!(
        "Sec-WebSocket-Protocol: orosync.link.1\r\nAuthorization: Bearer {}\r\n",
        ticket(Role::Publisher, None)
    );
    let open_link = || {
        let mut link = Client::connect(&server);
        link.handshake("/", &headers);
        link.send(&frame(2, &PublisherFrame::Hello { publisher: PublisherId(7) }.encode()));
        assert!(!link.read_once().is_empty(), "the server sends Welcome");
        link
    };
    let messages = (0..MESSAGES).map(|number| message(0, number)).collect();
    let batch = frame(2, &PublisherFrame::Publish { first: Seq::FIRST, messages }.encode());
    let links: Vec<Client> = (0..4).map(|_| open_link()).collect();
    thread::scope(|scope| {
        for mut link in links {
            let batch = &batch;
            scope.spawn(move || {
                link.send(batch);
                assert!(!link.read_once().is_empty(), "the batch is acknowledged");
            });
        }
    });
    server.signal(Signal::TERM);
    let (events, _) = subscriber.ended();
    assert_eq!(events, (0..MESSAGES).map(|number| (0, number)).collect::<Vec<_>>());
}

#[test]
fn a_proxy_that_closes_idle_links_loses_no_message() {
    let server = Server::start();
    let proxy = Proxy::to(server.address());
    // Shorter than the link's keep-alive, so that the proxy closes idle links.
    proxy.inject(|| Fault::CloseIdle(Duration::from_millis(200)));
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let mut publisher = publisher(&proxy.endpoint());
    for number in 0..5 {
        publisher.publish(message(0, number).lend()).expect("there is room");
        assert!(publisher.flush(wait::LIMIT));
        let reconnects = publisher.status().reconnects;
        wait::until_true("the idle link was closed", || publisher.status().reconnects > reconnects);
    }
    wait::until_true("all messages have arrived", || subscriber.count() == 5);
    server.signal(Signal::TERM);
    let (events, _) = subscriber.ended();
    assert_eq!(events, (0..5).map(|number| (0, number)).collect::<Vec<_>>());
}
