//! A publisher against the server's end of the link, over real sockets: what arrives, in which order, and how often.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use orosync_link::{Bounds, Options, Publisher, QueueFull, State, Status};
use orosync_protocol::link_frame::{Refusals, ServerFrame};
use orosync_protocol::ticket::CHALLENGE;
use orosync_protocol::{CloseReason, Seq};
use tungstenite::protocol::frame::coding::CloseCode;

use support::{LIMIT, Place, all_different, message, options, options_of, wait_until};

fn assert_adds_up(status: &Status) {
    assert_eq!(status.accepted, status.acknowledged + status.unacknowledged + status.queued, "{status:?}");
}

#[test]
fn a_publisher_that_published_nothing_does_nothing() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    assert!(publisher.flush(LIMIT));
    assert_eq!(publisher.status().state, State::Idle);
    assert_eq!(publisher.shutdown(), None);
    assert_eq!(publisher.status().state, State::Closed);
}

#[test]
fn a_message_is_accepted_sent_and_acknowledged() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    assert_eq!(server.messages(1, 1), ["1"]);
    wait_until("sent", || publisher.status().unacknowledged == 1);
    assert!(!publisher.flush(Duration::ZERO));
    server.acknowledge(1);
    assert!(publisher.flush(LIMIT));
    let status = publisher.status();
    assert_eq!((status.state, status.accepted, status.acknowledged), (State::Connected, 1, 1));
    assert_eq!((status.reconnects, status.last_error), (0, None));
}

#[test]
fn what_was_published_without_a_server_arrives_in_order_when_it_appears() {
    let mut place = Place::empty();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    for number in 1..=3000 {
        publisher.publish(message(number.to_string()).lend()).unwrap();
    }
    wait_until("a failed attempt", || publisher.status().last_error.is_some());
    let status = publisher.status();
    assert_eq!((status.accepted, status.queued, status.outages), (3000, 3000, 1));
    place.listen();
    let mut server = place.welcome(0);
    let expected: Vec<_> = (1..=3000).map(|number: u32| number.to_string()).collect();
    assert_eq!(server.messages(1, 3000), expected);
    server.acknowledge(3000);
    assert!(publisher.flush(LIMIT));
}

#[test]
fn messages_sent_again_after_a_lost_acknowledgement_are_exactly_those_the_server_lacks() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    for number in 1..=5 {
        publisher.publish(message(number.to_string()).lend()).unwrap();
    }
    let mut first = place.welcome(0);
    first.messages(1, 5);
    let (id, ticket) = (first.publisher, first.ticket.clone());
    drop(first);
    // It had accepted 3 when the connection broke, and nobody was told.
    let mut second = place.welcome(3);
    assert_eq!(second.publisher, id);
    assert_ne!(second.ticket, ticket, "a ticket for each attempt");
    assert_eq!(second.messages(4, 2), ["4", "5"]);
    second.acknowledge(5);
    assert!(publisher.flush(LIMIT));
    assert_eq!(publisher.status().reconnects, 1);
}

#[test]
fn a_server_that_goes_away_is_followed_by_the_next_one() {
    let mut place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    server.messages(1, 1);
    server.acknowledge(1);
    assert!(publisher.flush(LIMIT));
    place.close();
    server.close(CloseReason::GoingAway);
    wait_until("the close", || publisher.status().state != State::Connected);
    publisher.publish(message("2").lend()).unwrap();
    wait_until("an outage", || publisher.outages() == 1);
    place.listen();
    let mut next = place.welcome(0);
    assert_eq!(next.messages(2, 1), ["2"]);
}

#[test]
fn a_refused_ticket_ends_every_wait_at_once_and_says_what_to_compare() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let challenge = format!("WWW-Authenticate: {CHALLENGE}\r\n");
            place.answer("401 Unauthorized", &challenge, "the ticket was signed with another secret\n");
        });
        assert!(!publisher.check(LIMIT));
    });
    assert!(begun.elapsed() < LIMIT);
    // Not before: the server could have answered by the time that somebody waits.
    publisher.publish(message("1").lend()).unwrap();
    let status = publisher.status();
    assert_eq!(
        status.last_error.unwrap(),
        "the server refuses this publisher (HTTP 401: the ticket was signed with another secret). Compare the secret with \
         the server's"
    );
    assert_eq!((status.accepted, status.queued), (1, 1), "it is kept");
    std::thread::scope(|scope| {
        let server = scope.spawn(|| place.welcome(0));
        assert!(publisher.check(LIMIT), "who waits does not wait for the long delay after a refusal");
        assert_eq!(server.join().unwrap().messages(1, 1), ["1"]);
    });
}

#[test]
fn another_http_server_is_recognised() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    place.answer("404 Not Found", "", "<html>\n");
    wait_until("the error", || publisher.status().last_error.is_some());
    let error = publisher.status().last_error.unwrap();
    assert!(error.starts_with("this is not an orosync-server, or a proxy"), "{error}");
    assert!(error.contains("(HTTP 404: <html>)"), "{error}");
}

#[test]
fn errors_of_a_proxy_without_its_server_end_no_wait_and_lose_nothing() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for status in ["301 Moved Permanently", "400 Bad Request", "401 Unauthorized", "403 Forbidden"] {
                place.answer(status, "WWW-Authenticate: Basic realm=\"proxy\"\r\n", "");
            }
            place.answer("404 Not Found", "", "");
            let mut server = place.welcome(0);
            assert_eq!(server.messages(1, 1), ["1"]);
            server.acknowledge(1);
            server.goodbye();
        });
        assert_eq!(publisher.shutdown(), None);
    });
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up() {
    let place = Place::listening();
    let connect_timeout = Duration::from_millis(100);
    let mut publisher = Publisher::new(Options { connect_timeout, ..options(&place.endpoint()) });
    publisher.publish(message("1").lend()).unwrap();
    let mut mute = place.accept_socket();
    mute.read_to_end(&mut Vec::new()).unwrap();
    wait_until("the error", || publisher.status().last_error.is_some());
    let error = publisher.status().last_error.unwrap();
    assert_eq!(error, "no answer within 100ms (orosync.connect_timeout)");
    // One that shakes hands and then falls silent is none better.
    let mut silent = place.accept();
    silent.gone();
    assert_eq!(place.welcome(0).messages(1, 1), ["1"]);
}

#[test]
fn a_server_that_does_not_read_costs_the_queue_and_never_the_publisher() {
    const BOUND: u64 = 4000;
    let place = Place::listening();
    let bounds = Bounds::new(4000, 64 << 20).unwrap();
    let mut publisher = Publisher::new(Options { bounds, ..options(&place.endpoint()) });
    assert!(publisher.publish(message("0").lend()).is_ok());
    let mut server = place.welcome(0);
    // Far more than a socket's buffers: the link thread cannot write it.
    let text = format!("\"{}\"", "x".repeat(8 << 10));
    while publisher.publish(message(text.clone()).lend()) == Ok(()) {
        assert_adds_up(&publisher.status());
    }
    let status = publisher.status();
    assert_eq!((status.accepted, status.acknowledged, status.refused), (BOUND, 0, 1));
    assert!(status.queued > 0, "what the socket did not take stays in the queue: {status:?}");
    server.messages(1, usize::try_from(BOUND).unwrap());
    for accepted in [1000, BOUND] {
        server.acknowledge(accepted);
        wait_until("the acknowledgement", || {
            let status = publisher.status();
            assert_adds_up(&status);
            status.acknowledged == accepted
        });
    }
    assert_eq!(publisher.publish(message("1").lend()), Ok(()));
}

#[test]
fn a_check_is_a_round_trip_to_the_server() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    std::thread::scope(|scope| {
        let server = scope.spawn(|| place.welcome(0));
        assert!(publisher.check(LIMIT));
        let mut server = server.join().unwrap();
        // Connected, but nobody reads: no check succeeds.
        assert!(!publisher.check(Duration::from_millis(10)));
        let answering = scope.spawn(move || server.goodbye());
        assert!(publisher.check(LIMIT));
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(answering.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn a_message_that_the_server_will_not_deliver_is_acknowledged_and_named() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    server.messages(1, 1);
    let reason = "nobody may publish there".to_owned();
    let refusals = Refusals { count: 1, first: Seq::FIRST, reason };
    server.send(&ServerFrame::Refused { accepted: Seq::FIRST, refusals });
    assert!(publisher.flush(LIMIT));
    let status = publisher.status();
    let sentence = "the server does not deliver message 1 to the topic \"t\": nobody may publish there";
    assert_eq!(status.last_error.as_deref(), Some(sentence));
    assert_eq!(status.undeliverable, 1);
    let refusals: Vec<String> = publisher.refusals().iter().map(ToString::to_string).collect();
    assert_eq!(
        refusals,
        ["the server does not deliver 1 message to the topic \"t\": nobody may publish there"]
    );
}

#[test]
fn shutdown_waits_for_the_last_acknowledgement_and_says_goodbye() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut server = place.welcome(0);
            server.messages(1, 1);
            server.acknowledge(1);
            server.goodbye()
        });
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
    assert_eq!(publisher.publish(message("2").lend()), Err(QueueFull));
}

#[test]
fn shutdown_without_a_server_says_how_many_messages_were_left_and_where() {
    let place = Place::empty();
    let shutdown_timeout = Duration::from_millis(50);
    let mut publisher = Publisher::new(Options { shutdown_timeout, ..options(&place.endpoint()) });
    for _ in 0..3 {
        publisher.publish(message("1").lend()).unwrap();
    }
    let leftover = publisher.shutdown().unwrap();
    assert_eq!((leftover.messages, leftover.endpoints), (3, place.endpoint().into()));
    assert!(leftover.last_error.unwrap().contains("Is orosync-server running there?"));
}

#[test]
fn a_dropped_publisher_ends_its_thread_without_a_wait() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    server.messages(1, 1);
    drop(publisher);
    assert_eq!(server.goodbye(), CloseCode::Normal);
}

#[test]
fn publishers_have_ids_of_their_own() {
    let place = Place::listening();
    let ids: Vec<_> = (0..4)
        .map(|_| {
            let mut publisher = Publisher::new(options(&place.endpoint()));
            publisher.publish(message("1").lend()).unwrap();
            place.welcome(0).publisher
        })
        .collect();
    assert!(all_different(&ids));
}

#[test]
fn what_one_endpoint_did_not_acknowledge_goes_to_the_next() {
    let (mut one, mut other) = (Place::listening(), Place::empty());
    let mut publisher = Publisher::new(options_of(&[&one, &other]));
    assert_eq!(publisher.endpoint(), None);
    for number in 1..=3 {
        publisher.publish(message(number.to_string()).lend()).unwrap();
    }
    let mut first = one.welcome(0);
    first.messages(1, 3);
    first.acknowledge(1);
    wait_until("the acknowledgement", || publisher.status().acknowledged == 1);
    assert_eq!(publisher.endpoint(), Some(&one.endpoint()));
    other.listen();
    one.close();
    let id = first.publisher;
    first.close(CloseReason::GoingAway);
    let mut second = other.welcome(2);
    assert_eq!(second.publisher, id);
    assert_eq!(second.messages(3, 1), ["3"]);
    second.acknowledge(3);
    assert!(publisher.flush(LIMIT));
    assert_eq!(publisher.endpoint(), Some(&other.endpoint()));
    let status = publisher.status();
    assert_eq!((status.acknowledged, status.reconnects, status.outages), (3, 1, 0));
    let error = status.last_error.unwrap();
    assert!(error.starts_with(&format!("{}: ", one.endpoint())), "{error}");
}

#[test]
fn an_endpoint_that_never_answers_leaves_a_requester_time_for_the_others() {
    let (frozen, other) = (Place::listening(), Place::listening());
    // Some of them begin with the one, some with the other.
    for _ in 0..4 {
        let options = Options { connect_timeout: LIMIT, ..options_of(&[&frozen, &other]) };
        let mut publisher = Publisher::new(options);
        // The attempt is under way when somebody asks.
        publisher.publish(message("1").lend()).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(|| other.welcome(0));
            assert!(publisher.check(Duration::from_secs(1)), "{:?}", publisher.status());
            drop(server.join().unwrap());
        });
    }
}

#[test]
fn the_last_flush_leaves_an_endpoint_that_asks_for_patience_for_one_that_acknowledges() {
    /// So long a connection must have been open to be a good one.
    const GOOD: Duration = Duration::from_secs(1);
    let (one, mut other) = (Place::listening(), Place::empty());
    let shutdown_timeout = Duration::from_secs(2);
    let mut publisher = Publisher::new(Options { shutdown_timeout, ..options_of(&[&one, &other]) });
    publisher.publish(message("1").lend()).unwrap();
    let mut first = one.welcome(0);
    let welcomed = Instant::now();
    first.messages(1, 1);
    other.listen();
    wait_until("a good connection", || welcomed.elapsed() > GOOD);
    first.ask_for_patience();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut second = other.welcome(0);
            assert_eq!(second.messages(1, 1), ["1"]);
            second.acknowledge(1);
            second.goodbye()
        });
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn waits_end_at_once_only_if_all_endpoints_refuse() {
    let places = [Place::listening(), Place::listening()];
    let mut publisher = Publisher::new(options_of(&[&places[0], &places[1]]));
    let challenge = format!("WWW-Authenticate: {CHALLENGE}\r\n");
    std::thread::scope(|scope| {
        for place in &places {
            scope.spawn(|| place.answer("401 Unauthorized", &challenge, "no"));
        }
        let begun = Instant::now();
        assert!(!publisher.check(LIMIT));
        assert!(begun.elapsed() < LIMIT / 2);
    });
    assert_eq!(publisher.status().state, State::Refused);
}
