//! The machine without I/O: a test sets the clock and reads the frames to be sent.

use std::collections::VecDeque;

use orosync_protocol::{ClusterId, Seq};

use super::*;
use crate::queue::{encoded, message};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A machine with its clock and queue.
struct Link {
    machine: Machine,
    now: Instant,
    queue: VecDeque<EncodedMessage>,
}

impl Link {
    fn new() -> Self {
        Self::to(1)
    }

    /// With this number of endpoints, starting with the first.
    fn to(endpoints: usize) -> Self {
        Self {
            machine: Machine::new(PublisherId(7), CONNECT_TIMEOUT, Rotation::new(endpoints, 0)),
            now: Instant::now(),
            queue: VecDeque::new(),
        }
    }

    fn open() -> Self {
        let mut link = Self::new();
        link.reopen(None);
        link
    }

    /// Connects and receives Welcome.
    fn reopen(&mut self, accepted: Option<u64>) -> FrameEffect {
        assert!(matches!(self.step(), Step::Connect));
        self.machine.handle_connected(self.now);
        assert!(matches!(self.transmit(), Some(PublisherFrame::Hello { publisher: PublisherId(7) })));
        self.receive(ServerFrame::Welcome { accepted: accepted.and_then(Seq::new) }).unwrap()
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn publish(&mut self, count: usize) {
        self.queue.extend((0..count).map(|_| encoded(&message("t", "1"))));
    }

    fn transmit(&mut self) -> Option<PublisherFrame> {
        match self.transmit_any()? {
            Transmit::Hello(frame) => Some(PublisherFrame::decode(frame).unwrap()),
            Transmit::Publish(publish) => {
                let frame = publish.parts().collect::<Vec<_>>().concat();
                Some(PublisherFrame::decode(frame.into()).unwrap())
            }
            Transmit::Ping(_) => panic!("a ping"),
        }
    }

    fn transmit_any(&mut self) -> Option<Transmit<'_>> {
        self.machine.poll_transmit(self.now, &mut || self.queue.pop_front())
    }

    fn receive(&mut self, frame: ServerFrame) -> Result<FrameEffect, LinkError> {
        self.machine.handle_frame(self.now, frame)
    }

    fn lose(&mut self) -> bool {
        self.machine.handle_lost(self.now, Retry::Soon, 1.0).outage_begins
    }

    /// Lets time pass while the server pings each second. The link must not be given up.
    fn waits_for(&mut self, time: Duration) -> State {
        let until = self.now + time;
        while self.now < until {
            assert!(
                matches!(self.step(), Step::Rest(Some(due)) if due <= self.now + STALL_TIMEOUT.max(self.machine.connect_timeout))
            );
            while self.transmit_any().is_some() {}
            self.now += Duration::from_secs(1);
            self.machine.handle_server_ping(self.now);
        }
        self.machine.state()
    }

    /// Expects that the link is given up for missing acknowledgements. Returns whether an outage begins.
    fn give_up(&mut self) -> bool {
        match self.step() {
            Step::GiveUp(error @ LinkError::Unacknowledged(_)) => {
                self.machine.handle_lost(self.now, error.retry(), 1.0).outage_begins
            }
            other => panic!("{other:?}"),
        }
    }

    /// Expects a report that the sole endpoint does not acknowledge. Returns whether an outage begins.
    fn reports_outage(&mut self) -> bool {
        match self.step() {
            Step::ReportStall { error: LinkError::Unacknowledged(_), outage_begins } => outage_begins,
            other => panic!("{other:?}"),
        }
    }

    /// Expects an attempt. Returns the number of its endpoint.
    fn connects_to(&mut self) -> usize {
        assert!(matches!(self.step(), Step::Connect));
        self.machine.endpoint().0
    }

    fn step(&mut self) -> Step {
        self.machine.poll_step(self.now)
    }

    fn rests_for(&mut self) -> Duration {
        match self.step() {
            Step::Rest(Some(until)) => until - self.now,
            other => panic!("{other:?}"),
        }
    }
}

fn ack(seq: u64) -> ServerFrame {
    ServerFrame::Ack { accepted: Seq::new(seq).unwrap() }
}

fn first_and_count(frame: Option<PublisherFrame>) -> (u64, usize) {
    match frame {
        Some(PublisherFrame::Publish { first, messages }) => (first.get(), messages.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_message_is_sent_before_welcome() {
    let mut link = Link::new();
    link.publish(1);
    assert!(link.transmit().is_none());
    assert!(matches!(link.step(), Step::Connect));
    link.machine.handle_connected(link.now);
    assert!(matches!(link.transmit(), Some(PublisherFrame::Hello { .. })));
    assert!(link.transmit().is_none());
    assert!(link.receive(ServerFrame::Welcome { accepted: None }).unwrap().welcomed);
    assert_eq!(first_and_count(link.transmit()), (1, 1));
}

#[test]
fn a_server_that_sends_no_welcome_is_given_up_after_the_connect_timeout() {
    let mut link = Link::new();
    link.machine.handle_connected(link.now);
    link.transmit();
    assert_eq!(link.rests_for(), CONNECT_TIMEOUT);
    link.pass(CONNECT_TIMEOUT);
    assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
}

#[test]
fn after_a_reconnect_only_the_messages_missing_on_the_server_are_resent() {
    let mut link = Link::open();
    link.publish(4);
    assert_eq!(first_and_count(link.transmit()), (1, 4));
    assert_eq!(link.receive(ack(1)).unwrap().freed.messages, 1);
    link.pass(GOOD_CONNECTION);
    assert!(!link.lose());
    // Message 2 had arrived; only its acknowledgement was lost.
    assert_eq!(link.reopen(Some(2)).freed.messages, 1);
    assert_eq!(first_and_count(link.transmit()), (3, 2));
}

#[test]
fn a_server_that_lost_its_state_gets_all_unacknowledged_messages() {
    let mut link = Link::open();
    link.publish(3);
    link.transmit();
    link.receive(ack(2)).unwrap();
    link.pass(GOOD_CONNECTION).lose();
    assert_eq!(link.reopen(None).freed.messages, 0);
    assert_eq!(first_and_count(link.transmit()), (3, 1));
}

#[test]
fn a_server_that_answers_pings_but_does_not_acknowledge_is_given_up() {
    let mut link = Link::open();
    link.pass(Duration::from_secs(2));
    link.publish(1);
    link.transmit();
    for _ in 0..4 {
        link.pass(Duration::from_secs(1));
        link.machine.handle_sign_of_life(link.now);
    }
    link.publish(1);
    link.transmit();
    assert_eq!(link.rests_for(), Duration::from_secs(1), "the deadline is that of the first message");
    link.pass(Duration::from_secs(1));
    assert!(
        matches!(link.step(), Step::GiveUp(LinkError::NotAcknowledged(_))),
        "a second message does not extend it"
    );
}

#[test]
fn a_slow_link_is_kept_while_it_makes_progress() {
    let mut link = Link::open();
    link.publish(2);
    link.transmit();
    link.pass(Duration::from_secs(4));
    link.machine.handle_written(link.now);
    link.pass(Duration::from_secs(4)).receive(ack(1)).unwrap();
    link.pass(Duration::from_secs(4));
    assert!(matches!(link.step(), Step::Rest(_)));
    link.receive(ack(2)).unwrap();
    link.pass(Duration::from_secs(8));
    assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
}

#[test]
fn an_idle_link_is_pinged_and_given_up_without_an_answer() {
    let mut link = Link::open();
    assert_eq!(link.rests_for(), KEEP_ALIVE);
    link.pass(KEEP_ALIVE);
    assert!(matches!(link.step(), Step::Rest(_)));
    assert!(matches!(link.transmit_any(), Some(Transmit::Ping(_))));
    assert_eq!(link.rests_for(), PING_TIMEOUT);
    link.pass(PING_TIMEOUT);
    assert!(matches!(link.step(), Step::GiveUp(LinkError::Silent(_))));
}

#[test]
fn a_half_open_link_is_detected_within_five_seconds() {
    for published in [0, 1] {
        let mut link = Link::open();
        link.publish(published);
        let begun = link.now;
        loop {
            while link.transmit_any().is_some() {}
            match link.step() {
                Step::Rest(Some(until)) => link.now = until,
                Step::GiveUp(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(link.now - begun, Duration::from_secs(5), "{published} messages published");
    }
}

#[test]
fn the_pings_of_a_slow_server_extend_the_deadline() {
    let mut link = Link::open();
    link.publish(1);
    link.transmit();
    link.machine.handle_probe(1);
    assert!(matches!(link.transmit_any(), Some(Transmit::Ping(_))));
    link.waits_for(STALL_TIMEOUT);
    assert!(link.reports_outage());
    link.waits_for(STALL_TIMEOUT);
    assert_eq!(link.rests_for(), PING_TIMEOUT, "without pings it counts as frozen");
}

#[test]
fn a_sole_endpoint_that_does_not_acknowledge_is_kept_and_reported_as_one_outage() {
    let mut link = Link::open();
    link.publish(1);
    link.transmit();
    for outage in 1..=2 {
        assert_eq!(link.waits_for(STALL_TIMEOUT), State::Connected);
        assert!(!link.machine.is_stalled());
        assert!(link.reports_outage());
        assert!(link.machine.is_stalled());
        assert_eq!(link.waits_for(2 * STALL_TIMEOUT), State::Connected, "reported once");
        // Another connection does not end the outage.
        assert!(!link.lose());
        link.reopen(None);
        link.transmit();
        link.waits_for(2 * STALL_TIMEOUT);
        assert!(link.machine.is_stalled());
        link.receive(ack(outage)).unwrap();
        assert!(!link.machine.is_stalled());
        link.publish(1);
        link.transmit();
    }
}

#[test]
fn a_sole_endpoint_that_sends_no_welcome_is_kept_and_reported_as_one_outage() {
    for is_refused_first in [false, true] {
        let mut link = Link::new();
        if is_refused_first {
            assert!(link.lose());
        }
        assert!(matches!(link.step(), Step::Connect));
        link.machine.handle_connected(link.now);
        link.transmit();
        assert_eq!(link.waits_for(STALL_TIMEOUT), State::Connecting);
        assert_eq!(link.reports_outage(), !is_refused_first);
        assert!(link.machine.is_stalled());
        link.waits_for(2 * STALL_TIMEOUT);
        link.receive(ServerFrame::Welcome { accepted: None }).unwrap();
        assert!(!link.machine.is_stalled());
    }
}

#[test]
fn the_pings_of_a_server_extend_the_deadline_for_its_welcome() {
    let mut link = Link::new();
    assert!(matches!(link.step(), Step::Connect));
    link.machine.handle_connected(link.now);
    link.transmit();
    for _ in 0..5 {
        link.pass(Duration::from_secs(1));
        link.machine.handle_server_ping(link.now);
    }
    assert_eq!(link.rests_for(), CONNECT_TIMEOUT);
}

#[test]
fn an_answered_ping_keeps_the_link() {
    let mut link = Link::open();
    link.pass(KEEP_ALIVE).step();
    let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
    link.pass(Duration::from_secs(1));
    link.machine.handle_pong(link.now, &payload);
    assert_eq!(link.rests_for(), KEEP_ALIVE);
    assert!(link.transmit_any().is_none());
}

#[test]
fn a_probe_sends_one_ping_that_carries_its_number() {
    let mut link = Link::open();
    link.machine.handle_probe(3);
    let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
    assert_eq!(link.machine.handle_pong(link.now, &payload), Some(3));
    link.machine.handle_probe(3);
    assert!(link.transmit_any().is_none(), "one ping per probe");
}

#[test]
fn a_late_pong_does_not_answer_a_newer_probe() {
    let mut link = Link::open();
    link.machine.handle_probe(1);
    let Some(Transmit::Ping(first)) = link.transmit_any() else { panic!("no ping") };
    link.machine.handle_probe(2);
    assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
    let Some(Transmit::Ping(second)) = link.transmit_any() else { panic!("no second ping") };
    assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
    assert_eq!(link.rests_for(), PING_TIMEOUT, "the second probe is still unanswered");
    assert_eq!(link.machine.handle_pong(link.now, &second), Some(2));
    assert_eq!(link.rests_for(), KEEP_ALIVE);
}

#[test]
fn repeated_probes_do_not_extend_the_deadline_of_a_half_open_link() {
    let mut link = Link::open();
    let begun = link.now;
    for probe in 1.. {
        link.machine.handle_probe(probe);
        while link.transmit_any().is_some() {}
        match link.step() {
            Step::Rest(_) => link.pass(Duration::from_secs(1)),
            Step::GiveUp(LinkError::Silent(_)) => break,
            other => panic!("{other:?}"),
        };
        assert!(link.now - begun <= Duration::from_secs(5));
    }
}

#[test]
fn a_link_is_kept_while_probes_are_faster_than_their_answers() {
    let mut link = Link::open();
    let mut sent = VecDeque::new();
    for probe in 1..20 {
        link.machine.handle_probe(probe);
        let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
        sent.push_back(payload);
        if sent.len() > 3 {
            link.machine.handle_pong(link.now, &sent.pop_front().unwrap());
        }
        assert!(matches!(link.step(), Step::Rest(_)), "probe {probe}");
        link.pass(PING_TIMEOUT / 4);
    }
}

#[test]
fn a_lasting_connection_is_retried_at_once_and_failures_increase_the_delay() {
    let mut link = Link::open();
    link.pass(GOOD_CONNECTION);
    link.lose();
    assert!(matches!(link.step(), Step::Connect));
    link.lose();
    assert_eq!(link.rests_for(), Duration::from_millis(50));
    link.pass(Duration::from_millis(50));
    assert!(matches!(link.step(), Step::Connect));
    link.lose();
    assert_eq!(link.rests_for(), Duration::from_millis(100));
}

#[test]
fn the_state_distinguishes_a_refusal_from_a_failed_attempt() {
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Late, 1.0);
    assert_eq!(link.machine.state(), State::BackingOff);
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Refused, 1.0);
    assert_eq!(link.machine.state(), State::Refused);
}

#[test]
fn a_connection_that_is_closed_soon_after_its_welcome_is_retried_with_backoff() {
    let mut link = Link::open();
    link.lose();
    link.reopen(None);
    link.lose();
    assert_eq!(link.rests_for(), Duration::from_millis(50));
}

#[test]
fn an_outage_is_reported_once_until_the_link_is_open_again() {
    let mut link = Link::open();
    link.pass(GOOD_CONNECTION);
    assert!(!link.lose(), "the next attempt may succeed at once");
    assert!(matches!(link.step(), Step::Connect));
    assert!(link.lose());
    link.pass(Duration::from_secs(1)).step();
    assert!(!link.lose());
    link.pass(Duration::from_secs(1));
    link.reopen(None);
    link.pass(GOOD_CONNECTION).lose();
    link.step();
    assert!(link.lose(), "a second outage");
}

#[test]
fn a_lost_link_switches_to_the_next_endpoint_at_once_and_stays_there() {
    let mut link = Link::to(3);
    assert_eq!(link.connects_to(), 0);
    assert!(!link.lose());
    assert_eq!(link.connects_to(), 1);
    link.reopen(None);
    for _ in 0..1000 {
        link.pass(Duration::from_secs(1));
        link.machine.handle_sign_of_life(link.now);
        assert!(matches!(link.step(), Step::Rest(_)));
    }
    assert!(!link.lose());
    assert_eq!(link.connects_to(), 2);
    assert!(!link.lose());
    assert_eq!(link.connects_to(), 0, "after all others");
}

#[test]
fn the_next_endpoint_gets_the_unacknowledged_messages() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(3);
    assert_eq!(first_and_count(link.transmit()), (1, 3));
    link.receive(ack(1)).unwrap();
    link.lose();
    assert_eq!(link.connects_to(), 1);
    link.reopen(Some(2));
    assert_eq!(first_and_count(link.transmit()), (3, 1));
}

#[test]
fn a_delay_follows_only_after_all_endpoints_have_failed() {
    let mut link = Link::to(2);
    for round in [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(100)] {
        let begun = link.now;
        assert_eq!(link.connects_to(), 0);
        link.lose();
        assert_eq!(link.connects_to(), 1);
        link.lose();
        while let Step::Rest(Some(until)) = link.step() {
            link.now = until;
        }
        assert_eq!(link.now - begun, round);
    }
}

#[test]
fn endpoints_that_all_close_soon_after_their_welcome_are_retried_with_backoff() {
    let mut link = Link::to(2);
    for _ in 0..4 {
        link.reopen(None);
        link.lose();
    }
    assert_eq!(link.rests_for(), Duration::from_millis(50));
}

#[test]
fn of_several_endpoints_one_that_does_not_acknowledge_is_left_despite_its_pings() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(7));
    link.receive(ack(1)).unwrap();
    assert_eq!(link.waits_for(STALL_TIMEOUT), State::Connected, "counted from the last acknowledgement");
    assert!(!link.give_up(), "the other endpoint may acknowledge");
    assert_eq!(link.connects_to(), 1);
    link.reopen(Some(1));
    assert_eq!(first_and_count(link.transmit()), (2, 1));
    link.receive(ack(2)).unwrap();
    for _ in 0..1000 {
        link.waits_for(Duration::from_secs(1));
        assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
    }
    assert_eq!(link.machine.endpoint(), (1, 1));
}

#[test]
fn of_several_endpoints_one_that_sends_no_welcome_is_left_despite_its_pings() {
    for connect_timeout in [CONNECT_TIMEOUT, STALL_TIMEOUT + CONNECT_TIMEOUT] {
        let mut link = Link::to(2);
        link.machine.connect_timeout = connect_timeout;
        assert_eq!(link.connects_to(), 0);
        link.machine.handle_connected(link.now);
        link.transmit();
        assert_eq!(link.waits_for(STALL_TIMEOUT.max(connect_timeout)), State::Connecting);
        assert!(!link.give_up());
        assert_eq!(link.connects_to(), 1);
    }
}

#[test]
fn of_several_endpoints_one_that_stops_pinging_before_its_welcome_is_given_up() {
    let mut link = Link::to(2);
    link.machine.handle_connected(link.now);
    link.transmit();
    link.waits_for(Duration::from_secs(3));
    link.pass(CONNECT_TIMEOUT);
    assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
}

#[test]
fn if_no_endpoint_acknowledges_all_are_tried_in_turn_and_one_outage_is_reported() {
    for welcomes in [false, true] {
        let mut link = Link::to(3);
        link.publish(1);
        let mut outages = 0;
        for turn in 0..1000 {
            assert_eq!(link.connects_to(), turn % 3, "at once: the delay is over already");
            link.machine.handle_connected(link.now);
            link.transmit();
            if welcomes {
                link.receive(ServerFrame::Welcome { accepted: None }).unwrap();
                assert_eq!(first_and_count(link.transmit()), (1, 1));
            }
            link.waits_for(STALL_TIMEOUT);
            outages += usize::from(link.give_up());
            assert_eq!((outages, link.machine.is_stalled()), if turn < 2 { (0, false) } else { (1, true) });
        }
        // One of them acknowledges again.
        link.reopen(None);
        link.transmit();
        link.receive(ack(1)).unwrap();
        assert!(!link.machine.is_stalled());
        link.publish(1);
        link.transmit();
        for _ in 0..2 {
            link.waits_for(STALL_TIMEOUT);
            assert!(!link.give_up());
            link.reopen(None);
            link.transmit();
        }
        link.waits_for(STALL_TIMEOUT);
        assert!(link.give_up(), "a second outage");
    }
}

#[test]
fn an_unreachable_endpoint_does_not_shorten_the_time_of_one_that_does_not_acknowledge() {
    let mut link = Link::to(2);
    let begun = link.now;
    let (mut refused, mut outages) = (0, 0);
    for _ in 0..10 {
        while link.connects_to() == 1 {
            outages += usize::from(link.lose());
            refused += 1;
        }
        link.machine.handle_connected(link.now);
        link.transmit();
        link.waits_for(STALL_TIMEOUT);
        outages += usize::from(link.give_up());
    }
    assert_eq!(link.now - begun, 10 * STALL_TIMEOUT);
    assert_eq!(outages, 1);
    assert!(refused <= 20, "{refused}");
}

#[test]
fn a_welcome_ends_an_outage_without_welcomes() {
    let mut link = Link::to(2);
    for _ in 0..2 {
        link.step();
        link.machine.handle_connected(link.now);
        link.transmit();
        link.waits_for(STALL_TIMEOUT);
        link.give_up();
    }
    assert!(link.machine.is_stalled());
    link.reopen(None);
    assert!(!link.machine.is_stalled());
}

#[test]
fn a_waiting_caller_shortens_the_deadline_for_a_welcome() {
    let share = Duration::from_millis(500);
    let mut link = Link::to(2);
    let begun = link.now;
    link.step();
    link.machine.handle_connected(begun);
    link.transmit();
    link.machine.handle_awaited(link.now, |begun, _| Some(begun + share));
    assert_eq!(link.rests_for(), share);
    assert_eq!(link.rests_for(), CONNECT_TIMEOUT, "no caller waits");
    link.pass(share).machine.handle_awaited(begun + share, |begun, _| Some(begun + share));
    assert!(!link.give_up());
    assert_eq!(link.connects_to(), 1);
}

/// A caller has waited since `since`. If there is another endpoint, it gets half of the caller's time.
fn wait_since(link: &mut Link, since: Instant) {
    let failover_deadline =
        |begun: Instant, left| (left > 1).then(|| begun.max(since) + Duration::from_millis(500));
    link.machine.handle_awaited(link.now, failover_deadline);
}

#[test]
fn a_waiting_caller_shortens_the_deadline_of_an_open_endpoint_that_pings() {
    let mut link = Link::to(2);
    // The other endpoint was unreachable before.
    link.lose();
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    link.publish(1);
    link.transmit();
    link.machine.handle_written(link.now);
    let since = link.now;
    wait_since(&mut link, since);
    assert_eq!(link.rests_for(), Duration::from_millis(500));
    assert_eq!(link.rests_for(), PING_TIMEOUT + Duration::from_secs(1), "no caller waits");
    link.pass(Duration::from_millis(500));
    wait_since(&mut link, since);
    assert!(!link.give_up());
    assert_eq!(link.connects_to(), 0);
    link.reopen(None);
    assert_eq!(first_and_count(link.transmit()), (1, 3));
    // Neither acknowledges, as in a failover: the link does not alternate between them.
    link.waits_for(Duration::from_secs(2));
    wait_since(&mut link, since);
    assert!(link.rests_for() > Duration::from_millis(500));
}

#[test]
fn a_waiting_caller_does_not_shorten_the_deadline_of_an_endpoint_that_acknowledges() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    link.receive(ack(1)).unwrap();
    let since = link.now;
    link.pass(Duration::from_secs(1));
    wait_since(&mut link, since);
    assert!(matches!(link.step(), Step::Rest(Some(due)) if due > link.now), "it has acknowledged since then");
    link.receive(ack(2)).unwrap();
    wait_since(&mut link, since);
    link.step();
    link.publish(1);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    assert!(matches!(link.step(), Step::Rest(_)), "no caller waits");
}

#[test]
fn the_state_is_refused_only_if_all_endpoints_refuse() {
    let mut link = Link::to(2);
    assert!(!link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
    assert_eq!(link.machine.state(), State::Connecting);
    assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).all_refuse);
    assert_eq!(link.machine.state(), State::BackingOff);
    assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).outage_begins, "no attempt was made");
    link.step();
    link.machine.handle_lost(link.now, Retry::Refused, 1.0);
    assert!(link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
    assert_eq!((link.machine.state(), link.rests_for()), (State::Refused, Duration::from_secs(5)));
}

#[test]
fn an_outage_begins_after_all_endpoints_have_failed() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.pass(GOOD_CONNECTION);
    assert!(!link.lose());
    assert!(!link.lose(), "the lost endpoint may be reachable again");
    link.step();
    assert!(link.lose());
    assert!(!link.lose(), "reported once");
}

#[test]
fn endpoints_of_two_clusters_are_reported() {
    let membership = |cluster| Membership { cluster: ClusterId(cluster), running: Duration::from_mins(1) };
    let mut link = Link::to(2);
    link.reopen(None);
    assert_eq!(link.machine.handle_membership(link.now, membership(1)), None);
    link.pass(GOOD_CONNECTION).lose();
    link.reopen(None);
    assert_eq!(link.machine.handle_membership(link.now, membership(2)), Some(0));
}

#[test]
fn a_waiting_caller_shortens_the_delay_and_never_extends_it() {
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Late, 1.0);
    assert!(link.rests_for() > MAX_AWAITED_DELAY);
    link.machine.handle_awaited(link.now, |_, _| None);
    assert_eq!(link.rests_for(), MAX_AWAITED_DELAY);
    link.pass(MAX_AWAITED_DELAY / 2);
    link.machine.handle_awaited(link.now, |_, _| None);
    assert_eq!(link.rests_for(), MAX_AWAITED_DELAY / 2);
}

#[test]
fn a_refused_message_is_reported_with_its_number_and_topic() {
    let mut link = Link::open();
    link.publish(4);
    link.transmit();
    let refused = |accepted, count, first| ServerFrame::Refused {
        accepted: Seq::new(accepted).unwrap(),
        refusals: Refusals { count, first: Seq::new(first).unwrap(), reason: "no".into() },
    };
    let effect = link.receive(refused(1, 1, 1)).unwrap();
    assert_eq!(effect.freed.messages, 1);
    let undeliverable = effect.undeliverable.unwrap();
    assert_eq!(undeliverable.sentence, "the server does not deliver message 1 to the topic \"t\": no");
    let undeliverable = link.receive(refused(4, 2, 3)).unwrap().undeliverable.unwrap();
    assert_eq!((undeliverable.refusal.topic.as_str(), undeliverable.refusal.reason.as_str()), ("t", "no"));
    assert_eq!(undeliverable.refusal.messages.get(), 2);
    assert_eq!(
        undeliverable.sentence,
        "the server does not deliver 2 messages; the first is message 3 to the topic \"t\": no"
    );
    assert!(link.receive(refused(4, 2, 3)).unwrap().undeliverable.is_none(), "each message is reported once");
}

#[test]
fn unexpected_frames_are_errors() {
    let mut link = Link::open();
    assert!(matches!(
        link.receive(ServerFrame::Welcome { accepted: None }),
        Err(LinkError::UnexpectedFrame { frame: "Welcome" })
    ));
    assert!(matches!(link.receive(ack(1)), Err(LinkError::BeyondSent { accepted: 1, sent: 0 })));
    let mut link = Link::new();
    assert!(matches!(link.receive(ack(1)), Err(LinkError::UnexpectedFrame { frame: "Ack" })));
}

#[test]
fn after_a_stop_no_message_is_sent_and_the_link_ends() {
    let mut link = Link::open();
    link.publish(1);
    link.machine.handle_stop();
    assert!(link.transmit().is_none());
    assert!(matches!(link.step(), Step::End));
    assert!(!link.lose());
    assert_eq!(link.machine.state(), State::Closed);
}
