//! A link that is cut in other ways than by the end of the server, which remembers what it has had.

use std::time::Duration;

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::proxy::{Fault, Proxy};
use orosync_tests::server::Server;
use orosync_tests::traffic::{Publishers, Subscriber, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rand::RngExt as _;
use rustix::process::Signal;

use crate::{alone, message, publisher, random};

/// Connections that fail, of four publishers together.
const FAULTS: usize = 24;

#[test]
fn links_that_are_reset_silent_or_lose_answers_deliver_everything_once_and_in_order() {
    let _alone = alone();
    let server = Server::start();
    let proxy = Proxy::to(server.address());
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let mut random = random();
    let mut failed = 0;
    proxy.fail(move || {
        failed += 1;
        match failed % 4 {
            _ if failed > FAULTS => Fault::None,
            // Behind the handshake of some 500 bytes.
            0 | 1 => Fault::Reset { after: random.random_range(500..60_000) },
            2 => Fault::LoseAnswer { after: random.random_range(200..4000) },
            _ => Fault::Mute,
        }
    });
    let publishers = Publishers::start(&proxy.endpoint(), 4, 1250, &["orosync.connect_timeout=0.3"]);
    wait::until_true("all faults have happened", || proxy.attempts().len() >= FAULTS + 4);
    let ended = publishers.finish();
    server.signal(Signal::TERM);
    let (events, end) = subscriber.ended();
    assert_eq!(end, Received::Close(1001));
    assert_contiguous(&events);
    assert_complete([&events], &ended);
    println!("{} messages, {} reconnects", events.len(), ended.iter().map(|one| one.reconnects).sum::<u64>());
}

#[test]
fn a_proxy_that_closes_idle_links_costs_no_message() {
    let server = Server::start();
    let proxy = Proxy::to(server.address());
    // Sooner than the link's keep-alive, so that it does close them.
    proxy.fail(|| Fault::CloseIdle(Duration::from_millis(200)));
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let mut publisher = publisher(&proxy.endpoint());
    for number in 0..5 {
        publisher.publish(message(0, number).lend()).expect("there is room");
        assert!(publisher.flush(wait::LIMIT));
        let reconnects = publisher.status().reconnects;
        wait::until_true("the idle link was closed", || publisher.status().reconnects > reconnects);
    }
    wait::until_true("all have come", || subscriber.count() == 5);
    server.signal(Signal::TERM);
    let (events, _) = subscriber.ended();
    assert_eq!(events, (0..5).map(|number| (0, number)).collect::<Vec<_>>());
}
