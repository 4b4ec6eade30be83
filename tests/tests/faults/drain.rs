//! A graceful shutdown (SIGTERM) under traffic.

use orosync_tests::client::{Client, OROSYNC, Received, WAMP};
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::traffic::{Events, Publishers, Subscriber, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rand::RngExt as _;
use rustix::process::Signal;

use crate::{alone, random};

/// The old server writes every message that it acknowledges. The next server gets all others, and no message goes to both.
#[test]
fn in_a_restart_under_load_either_the_old_or_the_new_server_delivers_each_message() {
    const RESTARTS: usize = 3;
    let _alone = alone();
    let mut random = random();
    let gate = Proxy::closed();
    let publishers = Publishers::start(&gate.endpoint(), 4, 1250, &[]);
    let mut publishers = Some(publishers);
    let mut ended = Vec::new();
    let (mut orosync_sessions, mut wamp_sessions): (Vec<Events>, Vec<Events>) = (Vec::new(), Vec::new());
    for restart in 0..=RESTARTS {
        let mut server = Server::start();
        let orosync = Subscriber::of(Client::user(&server, OROSYNC, 1));
        let wamp = Subscriber::of(Client::user(&server, WAMP, 2));
        gate.open(server.address());
        let moment = random.random_range(500..4000);
        wait::until_true("events arrive", || orosync.count() >= moment);
        if restart == RESTARTS {
            ended = publishers.take().expect("they are finished once").finish();
        }
        gate.close();
        server.signal(Signal::TERM);
        for (subscriber, expected, all) in [
            (orosync, Received::Close(1001), &mut orosync_sessions),
            (wamp, Received::End, &mut wamp_sessions),
        ] {
            let (events, end) = subscriber.ended();
            assert_eq!(end, expected);
            all.push(events);
        }
        assert!(server.wait().success());
    }
    for sessions in [orosync_sessions, wamp_sessions] {
        assert_complete(&sessions, &ended);
        assert_contiguous(&sessions.concat());
    }
    println!("{} accepted", ended.iter().map(|one| one.accepted).sum::<usize>());
}
