//! A publisher with the server's end of the link, over real sockets: delivery, order, duplicates.

#![expect(clippy::unwrap_used, reason = "a test that fails says so by a panic")]

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use orosync_link::{Bounds, Options, Publisher, QueueFull, State, Status};
use orosync_protocol::link_frame::{Refusals, ServerFrame};
use orosync_protocol::{CloseReason, Seq};
use tungstenite::protocol::frame::coding::CloseCode;

use support::{LIMIT, Place, all_different, message, options, options_of, wait_until};

fn assert_adds_up(status: &Status) {
    assert_eq!(status.accepted, status.acknowledged + status.unacknowledged + status.queued, "{status:?}");
}

#[test]
fn a_publisher_without_messages_neither_connects_nor_waits() {
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
fn messages_published_without_a_server_arrive_in_order_when_it_starts() {
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
fn after_a_lost_acknowledgement_only_the_messages_missing_on_the_server_are_resent() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    for number in 1..=5 {
        publisher.publish(message(number.to_string()).lend()).unwrap();
    }
    let mut first = place.welcome(0);
    first.messages(1, 5);
    let (id, ticket) = (first.publisher, first.ticket.clone());
    drop(first);
    // The server had accepted 3 messages, but its acknowledgement was lost.
    let mut second = place.welcome(3);
    assert_eq!(second.publisher, id);
    assert_ne!(second.ticket, ticket, "each attempt has its own ticket");
    assert_eq!(second.messages(4, 2), ["4", "5"]);
    second.acknowledge(5);
    assert!(publisher.flush(LIMIT));
    assert_eq!(publisher.status().reconnects, 1);
}

#[test]
fn a_publisher_reconnects_after_a_server_has_gone_away() {
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
fn a_rejected_ticket_ends_a_check_at_once_and_the_error_says_what_to_compare() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    let begun = Instant::now();
    place.refuse_while("the ticket was signed with another secret\n", || assert!(!publisher.check(LIMIT)));
    assert!(begun.elapsed() < LIMIT);
    publisher.publish(message("1").lend()).unwrap();
    let status = publisher.status();
    assert_eq!(
        status.last_error.unwrap(),
        "the server refuses this publisher (HTTP 401: the ticket was signed with another secret). Compare the secret with \
         the server's"
    );
    assert_eq!((status.accepted, status.queued), (1, 1), "the message is kept");
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut server = place.welcome(0);
            assert_eq!(server.messages(1, 1), ["1"]);
            server.acknowledge(1);
            server.close_code()
        });
        assert!(publisher.check(LIMIT), "a waiting caller shortens the long delay after a refusal");
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn the_error_names_an_http_server_that_is_not_orosync() {
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
fn http_errors_of_a_proxy_are_retried_without_losing_messages() {
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
            server.close_code();
        });
        assert_eq!(publisher.shutdown(), None);
    });
}

#[test]
fn a_server_that_accepts_but_does_not_answer_is_given_up_after_the_connect_timeout() {
    let place = Place::listening();
    let connect_timeout = Duration::from_millis(100);
    let mut publisher = Publisher::new(Options { connect_timeout, ..options(&place.endpoint()) });
    publisher.publish(message("1").lend()).unwrap();
    let mut mute = place.accept_socket();
    mute.read_to_end(&mut Vec::new()).unwrap();
    wait_until("the error", || publisher.status().last_error.is_some());
    let error = publisher.status().last_error.unwrap();
    assert_eq!(error, "no answer within 100ms (orosync.connect_timeout)");
    // The same for a server that answers the handshake and then sends nothing.
    let mut silent = place.accept();
    silent.read_to_end();
    assert_eq!(place.welcome(0).messages(1, 1), ["1"]);
}

#[test]
fn a_server_that_does_not_read_fills_the_queue_without_blocking_the_publisher() {
    const BOUND: u64 = 4000;
    let place = Place::listening();
    let bounds = Bounds::new(4000, 64 << 20).unwrap();
    let mut publisher = Publisher::new(Options { bounds, ..options(&place.endpoint()) });
    assert!(publisher.publish(message("0").lend()).is_ok());
    let mut server = place.welcome(0);
    // Far more than a socket's buffers hold.
    let text = format!("\"{}\"", "x".repeat(8 << 10));
    while publisher.publish(message(text.clone()).lend()) == Ok(()) {
        assert_adds_up(&publisher.status());
    }
    let status = publisher.status();
    assert_eq!((status.accepted, status.acknowledged, status.refused), (BOUND, 0, 1));
    assert!(status.queued > 0, "messages that the socket did not accept stay in the queue: {status:?}");
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
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    server.messages(1, 1);
    server.acknowledge(1);
    assert!(publisher.flush(LIMIT));
    // Connected, but the server does not read.
    assert!(!publisher.check(Duration::from_millis(10)));
    std::thread::scope(|scope| {
        let answering = scope.spawn(move || server.close_code());
        assert!(publisher.check(LIMIT));
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(answering.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn a_check_connects_without_a_message() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    std::thread::scope(|scope| {
        // The server answers pings: the link may be welcomed before it has read the request, and then sends one.
        let server = scope.spawn(|| place.welcome(0).close_code());
        assert!(publisher.check(LIMIT));
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn a_message_that_the_server_does_not_deliver_is_acknowledged_and_reported() {
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
fn shutdown_waits_for_the_last_acknowledgement_and_closes_the_connection() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut server = place.welcome(0);
            server.messages(1, 1);
            server.acknowledge(1);
            server.close_code()
        });
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
    assert_eq!(publisher.publish(message("2").lend()), Err(QueueFull));
}

#[test]
fn shutdown_without_a_server_reports_the_undelivered_messages_and_the_endpoint() {
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
fn dropping_a_publisher_closes_the_connection_without_a_flush() {
    let place = Place::listening();
    let mut publisher = Publisher::new(options(&place.endpoint()));
    publisher.publish(message("1").lend()).unwrap();
    let mut server = place.welcome(0);
    server.messages(1, 1);
    drop(publisher);
    assert_eq!(server.close_code(), CloseCode::Normal);
}

#[test]
fn each_publisher_has_its_own_id() {
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
fn unacknowledged_messages_are_resent_to_the_next_endpoint() {
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
fn a_check_switches_from_an_endpoint_that_does_not_answer_before_its_own_timeout() {
    let (frozen, other) = (Place::listening(), Place::listening());
    // The first endpoint is random.
    for _ in 0..4 {
        let options = Options { connect_timeout: LIMIT, ..options_of(&[&frozen, &other]) };
        let mut publisher = Publisher::new(options);
        // Starts the attempt before the check.
        publisher.publish(message("1").lend()).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut server = other.welcome(0);
                server.messages(1, 1);
                server.acknowledge(1);
                server.close_code()
            });
            assert!(publisher.check(Duration::from_secs(2)), "{:?}", publisher.status());
            assert_eq!(publisher.shutdown(), None);
            assert_eq!(server.join().unwrap(), CloseCode::Normal);
        });
    }
}

#[test]
fn shutdown_switches_from_a_slow_endpoint_to_one_that_acknowledges() {
    /// After this time, a link that is lost is retried without delay.
    const GOOD: Duration = Duration::from_secs(1);
    let (one, mut other) = (Place::listening(), Place::empty());
    let shutdown_timeout = Duration::from_secs(4);
    let mut publisher = Publisher::new(Options { shutdown_timeout, ..options_of(&[&one, &other]) });
    publisher.publish(message("1").lend()).unwrap();
    let mut first = one.welcome(0);
    first.messages(1, 1);
    // The link sends messages only after it has read the Welcome.
    let welcomed = Instant::now();
    other.listen();
    wait_until("a lasting connection", || welcomed.elapsed() > GOOD);
    first.ping();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut second = other.welcome(0);
            assert_eq!(second.messages(1, 1), ["1"]);
            second.acknowledge(1);
            second.close_code()
        });
        assert_eq!(publisher.shutdown(), None);
        assert_eq!(server.join().unwrap(), CloseCode::Normal);
    });
}

#[test]
fn a_check_fails_at_once_if_all_endpoints_refuse_the_publisher() {
    let places = [Place::listening(), Place::listening()];
    let mut publisher = Publisher::new(options_of(&[&places[0], &places[1]]));
    let begun = Instant::now();
    places[0].refuse_while("no", || places[1].refuse_while("no", || assert!(!publisher.check(LIMIT))));
    assert!(begun.elapsed() < LIMIT / 2);
    assert_eq!(publisher.status().state, State::Refused);
}
