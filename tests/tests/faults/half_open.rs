//! A half-open link, whose packets are dropped silently: an unplugged cable, a firewall that lost its state, a lost machine.

use std::io::Write as _;
use std::time::{Duration, Instant};

use orosync_link::State;
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::network::Network;
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::traffic::{Subscriber, assert_contiguous};
use orosync_tests::wait;
use rustix::process::Signal;

use crate::{alone, message, publisher};

/// The promise is 5 s; the rest is for a machine that is busy with other tests. Without a keep-alive it takes minutes.
const NOTICED: Duration = Duration::from_secs(8);

#[test]
fn a_half_open_link_is_detected_whether_idle_or_busy_and_loses_nothing() {
    let _alone = alone();
    let network = match Network::new() {
        Ok(network) => network,
        Err(why) => {
            // Past the harness, which shows the output of tests that fail only.
            let _ = writeln!(
                std::io::stderr(),
                "\nNOT TESTED: that a half-open link is noticed. It needs a network namespace, as root with iproute2: {why}\n"
            );
            return;
        }
    };
    let server = Server::start();
    let proxy = Proxy::behind(network.listen_far());
    proxy.open(server.address());
    let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
    let (mut idle, mut busy) = (publisher(&proxy.endpoint()), publisher(&proxy.endpoint()));
    network.near(|| {
        for (number, publisher) in [&mut idle, &mut busy].into_iter().enumerate() {
            publisher.publish(message(number, 0).lend()).expect("there is room");
            assert!(publisher.flush(wait::LIMIT));
        }
    });
    network.drop_packets();
    let begun = Instant::now();
    let (mut published, mut noticed) = (0, [None, None]);
    wait::until_true("both have noticed", || {
        published += 1;
        busy.publish(message(1, published).lend()).expect("there is room");
        for (publisher, noticed) in [&idle, &busy].into_iter().zip(&mut noticed) {
            if noticed.is_none() && publisher.status().state != State::Connected {
                *noticed = Some(begun.elapsed());
            }
        }
        noticed.iter().all(Option::is_some)
    });
    println!("noticed by the idle and the busy one after {noticed:?}");
    assert!(noticed.iter().flatten().all(|noticed| *noticed < NOTICED), "{noticed:?}");
    network.pass_packets();
    idle.publish(message(0, 1).lend()).expect("there is room");
    assert!(idle.flush(wait::LIMIT) && busy.flush(wait::LIMIT));
    let all = 2 + 1 + published;
    wait::until_true("all have come", || subscriber.count() == all);
    server.signal(Signal::TERM);
    let (events, _) = subscriber.ended();
    assert_contiguous(&events);
    assert_eq!(events.len(), all);
}
