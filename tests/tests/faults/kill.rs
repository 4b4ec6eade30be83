//! A server that is killed, as in a crash.

use orosync_tests::client::{Client, OROSYNC, Received};
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::traffic::{Events, Publishers, Subscriber, assert_complete, assert_contiguous};
use orosync_tests::wait;
use rand::RngExt as _;
use rustix::process::Signal;

use crate::{alone, parameter, random};

#[test]
fn repeated_kills_of_the_server_lose_no_accepted_message() {
    let _alone = alone();
    let kills = parameter("FAULTS_KILLS", 20);
    let mut random = random();
    // Publishers connect only after the subscription, because messages published earlier would not be delivered.
    let gate = Proxy::closed();
    let publishers = Publishers::start(&gate.endpoint(), 4, 1250, &[]);
    let mut sessions: Vec<Events> = Vec::new();
    let mut server = Server::start();
    for kill in 0..=kills {
        let subscriber = Subscriber::of(Client::user(&server, OROSYNC, 1));
        gate.open(server.address());
        let moment = random.random_range(1..2000);
        wait::until_true("events arrive", || subscriber.count() >= moment);
        if kill == kills {
            let ended = publishers.finish();
            server.signal(Signal::TERM);
            let (events, end) = subscriber.ended();
            assert_eq!(end, Received::Close(1001));
            sessions.push(events);
            for session in &sessions {
                assert_contiguous(session);
            }
            assert_complete(&sessions, &ended);
            let (events, accepted): (usize, usize) =
                (sessions.iter().map(Vec::len).sum(), ended.iter().map(|ended| ended.accepted).sum());
            println!("{accepted} messages accepted, {events} events in {} sessions", sessions.len());
            return;
        }
        server.signal(Signal::KILL);
        server.wait();
        gate.close();
        sessions.push(subscriber.ended().0);
        server = Server::start();
    }
}
