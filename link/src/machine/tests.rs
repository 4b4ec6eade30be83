//! The machine, stepped by hand: the clock is an argument, and what would be sent is looked at.

use std::collections::VecDeque;

use orosync_protocol::{ClusterId, Seq};

use super::*;
use crate::queue::{encoded, message};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A machine, its clock and what waits for it.
struct Link {
    machine: Machine,
    now: Instant,
    queue: VecDeque<EncodedMessage>,
}

impl Link {
    fn new() -> Self {
        Self::to(1)
    }

    /// To so many endpoints, beginning with the first.
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

    /// Connects and is welcomed.
    fn reopen(&mut self, accepted: Option<u64>) -> Heard {
        assert!(matches!(self.step(), Step::Connect));
        self.machine.handle_connected(self.now);
        assert!(matches!(self.transmit(), Some(PublisherFrame::Hello { publisher: PublisherId(7) })));
        self.hear(ServerFrame::Welcome { accepted: accepted.and_then(Seq::new) }).unwrap()
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
            Transmit::Frame(frame) => Some(PublisherFrame::decode(frame).unwrap()),
            Transmit::Ping(_) => panic!("a ping"),
        }
    }

    fn transmit_any(&mut self) -> Option<Transmit> {
        self.machine.poll_transmit(self.now, &mut || self.queue.pop_front())
    }

    fn hear(&mut self, frame: ServerFrame) -> Result<Heard, LinkError> {
        self.machine.handle_frame(self.now, frame)
    }

    fn lose(&mut self) -> bool {
        self.machine.handle_lost(self.now, Retry::Soon, 1.0).outage_begins
    }

    /// So much time passes, in which the server asks for patience each second and the link is not given up.
    fn waits_for(&mut self, time: Duration) -> State {
        let until = self.now + time;
        while self.now < until {
            assert!(
                matches!(self.step(), Step::Rest(Some(due)) if due <= self.now + PATIENCE.max(self.machine.connect_timeout))
            );
            while self.transmit_any().is_some() {}
            self.now += Duration::from_secs(1);
            self.machine.handle_server_ping(self.now);
        }
        self.machine.state()
    }

    /// The server did not acknowledge in time. Returns whether an outage begins.
    fn give_up(&mut self) -> bool {
        match self.step() {
            Step::GiveUp(error @ LinkError::Unacknowledged(_)) => {
                self.machine.handle_lost(self.now, error.retry(), 1.0).outage_begins
            }
            other => panic!("{other:?}"),
        }
    }

    /// The only endpoint did not acknowledge in time. Returns whether an outage begins.
    fn complains(&mut self) -> bool {
        match self.step() {
            Step::Complain { error: LinkError::Unacknowledged(_), outage_begins } => outage_begins,
            other => panic!("{other:?}"),
        }
    }

    /// The number of the endpoint that must be connected to now.
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
fn nothing_is_sent_before_the_server_says_welcome() {
    let mut link = Link::new();
    link.publish(1);
    assert!(link.transmit().is_none());
    assert!(matches!(link.step(), Step::Connect));
    link.machine.handle_connected(link.now);
    assert!(matches!(link.transmit(), Some(PublisherFrame::Hello { .. })));
    assert!(link.transmit().is_none());
    assert!(link.hear(ServerFrame::Welcome { accepted: None }).unwrap().welcomed);
    assert_eq!(first_and_count(link.transmit()), (1, 1));
}

#[test]
fn a_server_that_connects_and_does_not_welcome_is_given_up() {
    let mut link = Link::new();
    link.machine.handle_connected(link.now);
    link.transmit();
    assert_eq!(link.rests_for(), CONNECT_TIMEOUT);
    link.pass(CONNECT_TIMEOUT);
    assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
}

#[test]
fn after_a_reconnect_exactly_what_the_server_does_not_have_is_sent_again() {
    let mut link = Link::open();
    link.publish(4);
    assert_eq!(first_and_count(link.transmit()), (1, 4));
    assert_eq!(link.hear(ack(1)).unwrap().freed.messages, 1);
    link.pass(GOOD_CONNECTION);
    assert!(!link.lose());
    // Message 2 had arrived: only its acknowledgement was lost.
    assert_eq!(link.reopen(Some(2)).freed.messages, 1);
    assert_eq!(first_and_count(link.transmit()), (3, 2));
}

#[test]
fn a_server_that_lost_its_memory_gets_all_that_is_unacknowledged() {
    let mut link = Link::open();
    link.publish(3);
    link.transmit();
    link.hear(ack(2)).unwrap();
    link.pass(GOOD_CONNECTION).lose();
    assert_eq!(link.reopen(None).freed.messages, 0);
    assert_eq!(first_and_count(link.transmit()), (3, 1));
}

#[test]
fn a_server_that_answers_pings_only_is_given_up_when_an_acknowledgement_is_overdue() {
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
    assert_eq!(link.rests_for(), Duration::from_secs(1), "counted from when the first was sent");
    link.pass(Duration::from_secs(1));
    assert!(matches!(link.step(), Step::GiveUp(LinkError::NotAcknowledged(_))), "a second one is no excuse");
}

#[test]
fn progress_keeps_a_slow_link_alive() {
    let mut link = Link::open();
    link.publish(2);
    link.transmit();
    link.pass(Duration::from_secs(4));
    link.machine.handle_written(link.now);
    link.pass(Duration::from_secs(4)).hear(ack(1)).unwrap();
    link.pass(Duration::from_secs(4));
    assert!(matches!(link.step(), Step::Rest(_)));
    link.hear(ack(2)).unwrap();
    link.pass(Duration::from_secs(8));
    assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
}

#[test]
fn a_silent_link_is_pinged_and_given_up_without_an_answer() {
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
fn a_link_that_is_open_on_one_side_only_is_noticed_within_five_seconds() {
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
fn a_server_that_asks_for_patience_gets_it() {
    let mut link = Link::open();
    link.publish(1);
    link.transmit();
    link.machine.handle_probe(1);
    assert!(matches!(link.transmit_any(), Some(Transmit::Ping(_))));
    link.waits_for(PATIENCE);
    assert!(link.complains());
    link.waits_for(PATIENCE);
    assert_eq!(link.rests_for(), PING_TIMEOUT, "then it is as frozen as any other");
}

#[test]
fn the_only_endpoint_is_kept_though_it_does_not_acknowledge_and_that_is_one_outage() {
    let mut link = Link::open();
    link.publish(1);
    link.transmit();
    for outage in 1..=2 {
        assert_eq!(link.waits_for(PATIENCE), State::Connected);
        assert!(!link.machine.nobody_acknowledges());
        assert!(link.complains());
        assert!(link.machine.nobody_acknowledges());
        assert_eq!(link.waits_for(2 * PATIENCE), State::Connected, "said once");
        // Another connection does not end it.
        assert!(!link.lose());
        link.reopen(None);
        link.transmit();
        link.waits_for(2 * PATIENCE);
        assert!(link.machine.nobody_acknowledges());
        link.hear(ack(outage)).unwrap();
        assert!(!link.machine.nobody_acknowledges());
        link.publish(1);
        link.transmit();
    }
}

#[test]
fn the_only_endpoint_that_does_not_welcome_is_kept_and_that_is_one_outage() {
    for is_refused_first in [false, true] {
        let mut link = Link::new();
        if is_refused_first {
            assert!(link.lose());
        }
        assert!(matches!(link.step(), Step::Connect));
        link.machine.handle_connected(link.now);
        link.transmit();
        assert_eq!(link.waits_for(PATIENCE), State::Connecting);
        assert_eq!(link.complains(), !is_refused_first);
        assert!(link.machine.nobody_acknowledges());
        link.waits_for(2 * PATIENCE);
        link.hear(ServerFrame::Welcome { accepted: None }).unwrap();
        assert!(!link.machine.nobody_acknowledges());
    }
}

#[test]
fn a_welcome_that_takes_its_time_is_waited_for() {
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
fn a_ping_that_is_answered_keeps_the_link() {
    let mut link = Link::open();
    link.pass(KEEP_ALIVE).step();
    let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
    link.pass(Duration::from_secs(1));
    link.machine.handle_pong(link.now, &payload);
    assert_eq!(link.rests_for(), KEEP_ALIVE);
    assert!(link.transmit_any().is_none());
}

#[test]
fn a_probe_is_a_ping_that_carries_its_number() {
    let mut link = Link::open();
    link.machine.handle_probe(3);
    let Some(Transmit::Ping(payload)) = link.transmit_any() else { panic!("no ping") };
    assert_eq!(link.machine.handle_pong(link.now, &payload), Some(3));
    link.machine.handle_probe(3);
    assert!(link.transmit_any().is_none(), "asked once, pinged once");
}

#[test]
fn a_late_pong_does_not_stand_for_a_newer_probe() {
    let mut link = Link::open();
    link.machine.handle_probe(1);
    let Some(Transmit::Ping(first)) = link.transmit_any() else { panic!("no ping") };
    link.machine.handle_probe(2);
    assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
    let Some(Transmit::Ping(second)) = link.transmit_any() else { panic!("no second ping") };
    assert_eq!(link.machine.handle_pong(link.now, &first), Some(1));
    assert_eq!(link.rests_for(), PING_TIMEOUT, "the second is still unanswered");
    assert_eq!(link.machine.handle_pong(link.now, &second), Some(2));
    assert_eq!(link.rests_for(), KEEP_ALIVE);
}

#[test]
fn repeated_probes_do_not_keep_a_half_open_link() {
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
fn probes_faster_than_the_answers_do_not_lose_the_link() {
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
fn a_good_connection_that_breaks_is_tried_again_at_once_and_failures_slow_down() {
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
fn a_server_that_refuses_is_told_from_one_that_does_not_answer() {
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Late, 1.0);
    assert_eq!(link.machine.state(), State::BackingOff);
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Refused, 1.0);
    assert_eq!(link.machine.state(), State::Refused);
}

#[test]
fn a_server_that_welcomes_and_hangs_up_is_not_hammered() {
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
fn a_lost_endpoint_is_followed_by_the_next_at_once_and_there_it_stays() {
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
    assert_eq!(link.connects_to(), 0, "all others come before the one that was lost");
}

#[test]
fn what_was_not_acknowledged_is_sent_again_to_the_next_endpoint() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(3);
    assert_eq!(first_and_count(link.transmit()), (1, 3));
    link.hear(ack(1)).unwrap();
    link.lose();
    assert_eq!(link.connects_to(), 1);
    link.reopen(Some(2));
    assert_eq!(first_and_count(link.transmit()), (3, 1));
}

#[test]
fn only_a_round_of_failures_is_followed_by_a_delay() {
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
fn endpoints_that_all_welcome_and_hang_up_are_not_hammered() {
    let mut link = Link::to(2);
    for _ in 0..4 {
        link.reopen(None);
        link.lose();
    }
    assert_eq!(link.rests_for(), Duration::from_millis(50));
}

#[test]
fn of_several_endpoints_one_that_does_not_acknowledge_is_left_however_patient_it_asks_to_be() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(7));
    link.hear(ack(1)).unwrap();
    assert_eq!(link.waits_for(PATIENCE), State::Connected, "counted from the last acknowledgement");
    assert!(!link.give_up(), "the other one may acknowledge");
    assert_eq!(link.connects_to(), 1);
    link.reopen(Some(1));
    assert_eq!(first_and_count(link.transmit()), (2, 1));
    link.hear(ack(2)).unwrap();
    for _ in 0..1000 {
        link.waits_for(Duration::from_secs(1));
        assert!(matches!(link.step(), Step::Rest(_)), "nothing is unacknowledged");
    }
    assert_eq!(link.machine.endpoint(), (1, 1));
}

#[test]
fn of_several_endpoints_one_that_does_not_welcome_is_left_too() {
    for connect_timeout in [CONNECT_TIMEOUT, PATIENCE + CONNECT_TIMEOUT] {
        let mut link = Link::to(2);
        link.machine.connect_timeout = connect_timeout;
        assert_eq!(link.connects_to(), 0);
        link.machine.handle_connected(link.now);
        link.transmit();
        assert_eq!(link.waits_for(PATIENCE.max(connect_timeout)), State::Connecting);
        assert!(!link.give_up());
        assert_eq!(link.connects_to(), 1);
    }
}

#[test]
fn of_several_endpoints_one_that_falls_silent_before_its_welcome_gets_no_patience() {
    let mut link = Link::to(2);
    link.machine.handle_connected(link.now);
    link.transmit();
    link.waits_for(Duration::from_secs(3));
    link.pass(CONNECT_TIMEOUT);
    assert!(matches!(link.step(), Step::GiveUp(LinkError::NoAnswer(_))));
}

#[test]
fn where_no_endpoint_acknowledges_all_have_their_turn_slowly_and_for_ever() {
    for welcomes in [false, true] {
        let mut link = Link::to(3);
        link.publish(1);
        let mut outages = 0;
        for turn in 0..1000 {
            assert_eq!(link.connects_to(), turn % 3, "at once, for it has waited already");
            link.machine.handle_connected(link.now);
            link.transmit();
            if welcomes {
                link.hear(ServerFrame::Welcome { accepted: None }).unwrap();
                assert_eq!(first_and_count(link.transmit()), (1, 1));
            }
            link.waits_for(PATIENCE);
            outages += usize::from(link.give_up());
            assert_eq!(
                (outages, link.machine.nobody_acknowledges()),
                if turn < 2 { (0, false) } else { (1, true) }
            );
        }
        // One of them is back.
        link.reopen(None);
        link.transmit();
        link.hear(ack(1)).unwrap();
        assert!(!link.machine.nobody_acknowledges());
        link.publish(1);
        link.transmit();
        for _ in 0..2 {
            link.waits_for(PATIENCE);
            assert!(!link.give_up());
            link.reopen(None);
            link.transmit();
        }
        link.waits_for(PATIENCE);
        assert!(link.give_up(), "a second outage");
    }
}

#[test]
fn an_endpoint_that_is_not_there_makes_no_haste_with_one_that_does_not_acknowledge() {
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
        link.waits_for(PATIENCE);
        outages += usize::from(link.give_up());
    }
    assert_eq!(link.now - begun, 10 * PATIENCE);
    assert_eq!(outages, 1);
    assert!(refused <= 20, "{refused}");
}

#[test]
fn a_welcome_ends_an_outage_in_which_nobody_welcomed() {
    let mut link = Link::to(2);
    for _ in 0..2 {
        link.step();
        link.machine.handle_connected(link.now);
        link.transmit();
        link.waits_for(PATIENCE);
        link.give_up();
    }
    assert!(link.machine.nobody_acknowledges());
    link.reopen(None);
    assert!(!link.machine.nobody_acknowledges());
}

#[test]
fn a_waiting_requester_limits_the_wait_for_a_welcome() {
    let share = Duration::from_millis(500);
    let mut link = Link::to(2);
    let begun = link.now;
    link.step();
    link.machine.handle_connected(begun);
    link.transmit();
    link.machine.handle_hurry(link.now, |begun, _| Some(begun + share));
    assert_eq!(link.rests_for(), share);
    assert_eq!(link.rests_for(), CONNECT_TIMEOUT, "nobody waits any more");
    link.pass(share).machine.handle_hurry(begun + share, |begun, _| Some(begun + share));
    assert!(!link.give_up());
    assert_eq!(link.connects_to(), 1);
}

/// Somebody has waited since `asked`, and another endpoint gets half of the time, if there is one.
fn hurry(link: &mut Link, asked: Instant) {
    let latest = |begun: Instant, left| (left > 1).then(|| begun.max(asked) + Duration::from_millis(500));
    link.machine.handle_hurry(link.now, latest);
}

#[test]
fn a_waiting_requester_limits_the_patience_with_an_open_endpoint() {
    let mut link = Link::to(2);
    // The other one was not there when this one was found.
    link.lose();
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    link.publish(1);
    link.transmit();
    link.machine.handle_written(link.now);
    let asked = link.now;
    hurry(&mut link, asked);
    assert_eq!(link.rests_for(), Duration::from_millis(500));
    assert_eq!(link.rests_for(), PING_TIMEOUT + Duration::from_secs(1), "nobody waits any more");
    link.pass(Duration::from_millis(500));
    hurry(&mut link, asked);
    assert!(!link.give_up());
    assert_eq!(link.connects_to(), 0);
    link.reopen(None);
    assert_eq!(first_and_count(link.transmit()), (1, 3));
    // Both of them do not acknowledge, as in a failover: nobody runs from the one to the other.
    link.waits_for(Duration::from_secs(2));
    hurry(&mut link, asked);
    assert!(link.rests_for() > Duration::from_millis(500));
}

#[test]
fn a_waiting_requester_keeps_an_open_endpoint_that_does_not_ask_for_patience() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.publish(2);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    link.hear(ack(1)).unwrap();
    let asked = link.now;
    link.pass(Duration::from_secs(1));
    hurry(&mut link, asked);
    assert!(matches!(link.step(), Step::Rest(Some(due)) if due > link.now), "it has acknowledged since");
    link.hear(ack(2)).unwrap();
    hurry(&mut link, asked);
    link.step();
    link.publish(1);
    link.transmit();
    link.waits_for(Duration::from_secs(2));
    assert!(matches!(link.step(), Step::Rest(_)), "nobody waits any more");
}

#[test]
fn one_endpoint_that_refuses_does_not_mean_that_all_refuse() {
    let mut link = Link::to(2);
    assert!(!link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
    assert_eq!(link.machine.state(), State::Connecting);
    assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).all_refuse);
    assert_eq!(link.machine.state(), State::BackingOff);
    assert!(!link.machine.handle_lost(link.now, Retry::Soon, 1.0).outage_begins, "nothing was tried");
    link.step();
    link.machine.handle_lost(link.now, Retry::Refused, 1.0);
    assert!(link.machine.handle_lost(link.now, Retry::Refused, 1.0).all_refuse);
    assert_eq!((link.machine.state(), link.rests_for()), (State::Refused, Duration::from_secs(5)));
}

#[test]
fn an_outage_begins_when_no_endpoint_answers() {
    let mut link = Link::to(2);
    link.reopen(None);
    link.pass(GOOD_CONNECTION);
    assert!(!link.lose());
    assert!(!link.lose(), "the one that was lost may be back");
    link.step();
    assert!(link.lose());
    assert!(!link.lose(), "once");
}

#[test]
fn endpoints_of_two_clusters_are_noticed() {
    let said = |cluster| Membership { cluster: ClusterId(cluster), running: Duration::from_mins(1) };
    let mut link = Link::to(2);
    link.reopen(None);
    assert_eq!(link.machine.handle_membership(link.now, said(1)), None);
    link.pass(GOOD_CONNECTION).lose();
    link.reopen(None);
    assert_eq!(link.machine.handle_membership(link.now, said(2)), Some(0));
}

#[test]
fn a_waiting_requester_shortens_the_delay_and_never_prolongs_it() {
    let mut link = Link::new();
    link.machine.handle_lost(link.now, Retry::Late, 1.0);
    assert!(link.rests_for() > HURRY);
    link.machine.handle_hurry(link.now, |_, _| None);
    assert_eq!(link.rests_for(), HURRY);
    link.pass(HURRY / 2);
    link.machine.handle_hurry(link.now, |_, _| None);
    assert_eq!(link.rests_for(), HURRY / 2);
}

#[test]
fn a_message_that_the_server_refuses_is_named() {
    let mut link = Link::open();
    link.publish(4);
    link.transmit();
    let refused = |accepted, count, first| ServerFrame::Refused {
        accepted: Seq::new(accepted).unwrap(),
        refusals: Refusals { count, first: Seq::new(first).unwrap(), reason: "no".into() },
    };
    let heard = link.hear(refused(1, 1, 1)).unwrap();
    assert_eq!(heard.freed.messages, 1);
    let told = heard.undeliverable.unwrap();
    assert_eq!(told.sentence, "the server does not deliver message 1 to the topic \"t\": no");
    let told = link.hear(refused(4, 2, 3)).unwrap().undeliverable.unwrap();
    assert_eq!((told.refusal.topic.as_str(), told.refusal.reason.as_str()), ("t", "no"));
    assert_eq!(told.refusal.messages.get(), 2);
    assert_eq!(
        told.sentence,
        "the server does not deliver 2 messages; the first is message 3 to the topic \"t\": no"
    );
    assert!(link.hear(refused(4, 2, 3)).unwrap().undeliverable.is_none(), "each counts once");
}

#[test]
fn frames_out_of_turn_are_errors() {
    let mut link = Link::open();
    assert!(matches!(
        link.hear(ServerFrame::Welcome { accepted: None }),
        Err(LinkError::OutOfTurn { frame: "Welcome" })
    ));
    assert!(matches!(link.hear(ack(1)), Err(LinkError::BeyondSent { accepted: 1, sent: 0 })));
    let mut link = Link::new();
    assert!(matches!(link.hear(ack(1)), Err(LinkError::OutOfTurn { frame: "Ack" })));
}

#[test]
fn after_stop_nothing_is_due_but_the_end() {
    let mut link = Link::open();
    link.publish(1);
    link.machine.handle_stop();
    assert!(link.transmit().is_none());
    assert!(matches!(link.step(), Step::End));
    assert!(!link.lose());
    assert_eq!(link.machine.state(), State::Closed);
}
