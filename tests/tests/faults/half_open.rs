//! A half-open link, whose packets are silently dropped, as after an unplugged cable, a firewall that lost its state, or a
//! crashed machine.

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

/// Time limit of the detection: the guaranteed 5 s, and a margin for a machine that runs other tests. Without a keep-alive it
/// would take minutes.
const DETECTION_LIMIT: Duration = Duration::from_secs(8);

#[test]
fn a_half_open_link_is_detected_whether_idle_or_busy_and_loses_nothing() {
    let _alone = alone();
    let network = match Network::new() {
        Ok(network) => network,
        Err(error) => {
            // To the process's stderr, because the test harness hides the output of tests that pass.
            let _ = writeln!(
                std::io::stderr(),
                "\nNOT TESTED: the detection of half-open links, which needs network namespaces (root, iproute2): {error}\n"
            );
            return;
        }
    };
    let server = Server::start();
    let proxy = Proxy::with_listener(network.listen_far());
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
    let (mut published, mut detected) = (0, [None, None]);
    wait::until_true("both publishers have detected it", || {
        published += 1;
        busy.publish(message(1, published).lend()).expect("there is room");
        for (publisher, detected) in [&idle, &busy].into_iter().zip(&mut detected) {
            if detected.is_none() && publisher.status().state != State::Connected {
                *detected = Some(begun.elapsed());
            }
        }
        detected.iter().all(Option::is_some)
    });
    println!("detected by the idle and the busy publisher after {detected:?}");
    assert!(detected.iter().flatten().all(|detected| *detected < DETECTION_LIMIT), "{detected:?}");
    network.pass_packets();
    idle.publish(message(0, 1).lend()).expect("there is room");
    assert!(idle.flush(wait::LIMIT) && busy.flush(wait::LIMIT));
    let all = 2 + 1 + published;
    wait::until_true("all messages have arrived", || subscriber.count() == all);
    server.signal(Signal::TERM);
    let (events, _) = subscriber.ended();
    assert_contiguous(&events);
    assert_eq!(events.len(), all);
}
