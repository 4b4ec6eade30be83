//! The topic of disconnects. Each node reads it from its oldest entry on and remembers the positions. With them it
//! decides whether it knows all disconnects accepted before a ticket was used, whichever node issued the ticket.
//!
//! Redis stores [`MAX_DISCONNECTS`] for an hour, or for as long as resume tickets are valid ([`limits`]). A node that was
//! disconnected for longer cannot continue its timeline, as after any other break. A disconnect in an unknown format, sent by a
//! newer node, may affect any session: a new timeline begins after it, and all browser sessions end. Only nodes can send such
//! an entry, because messages of publishers are parsed on entry, and writing to the topic directly takes Redis' password.

use std::time::Duration;

use orosync_protocol::disconnect::{self, Disconnect};
use orosync_protocol::{Position, Topic};

use super::read::Read;
pub(super) use crate::auth::timeline::CLOCK_SLACK_SECONDS;
use crate::auth::timeline::{Disconnected, Timeline, TimelineStart};
use crate::policy::HistoryLimits;

/// Maximum number of disconnects that Redis keeps, and of positions that a node knows.
pub const MAX_DISCONNECTS: usize = 100_000;

/// Maximum size of these disconnects in bytes.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Minimum time for which they are stored, and the margin beyond the lifetime of resume tickets.
const MIN_AGE: Duration = Duration::from_hours(1);
const SLACK: Duration = Duration::from_mins(2);

/// Whether this is the topic of disconnects.
pub(super) fn is_control(topic: &Topic) -> bool {
    topic.as_str() == disconnect::TOPIC
}

/// The bounds of the topic, given the lifetime of resume tickets.
pub(super) fn limits(resume: Duration) -> HistoryLimits {
    HistoryLimits { events: MAX_DISCONNECTS, age: MIN_AGE.max(resume.saturating_add(SLACK)) }
}

/// The start of the timeline after a read of all entries. `unix` converts Redis' milliseconds to Unix time in seconds. `broken`
/// is the time at which a possible loss of disconnects was detected, if any.
pub(super) fn timeline_start(read: &Read, unix: impl Fn(u64) -> u64, broken: Option<u64>) -> TimelineStart {
    // Before the first entry of a topic nothing can be missing.
    let unknown_until = |base: Position, accepted| if base.offset == 0 { 0 } else { unix(accepted) };
    let mut start: Option<TimelineStart> = None;
    let mut last = None;
    for entry in &read.entries {
        let Position { offset, .. } = entry.position;
        let before = Position { offset: offset.saturating_sub(1), tag: entry.previous_tag };
        let target = Disconnect::parse(&entry.payload()).ok();
        // A new timeline begins after a gap, and after an entry in an unknown format.
        if start.is_none() || last != Some(before) || target.is_none() {
            let base = if target.is_some() { before } else { entry.position };
            let is_first = last.is_none() && target.is_some() && read.complete;
            let unknown_until =
                unknown_until(base, if is_first { read.complete_since } else { entry.accepted });
            start = Some(TimelineStart { base, disconnected: Vec::new(), unknown_until });
        }
        last = Some(entry.position);
        if let (Some(start), Some(target)) = (&mut start, target) {
            let unix = unix(entry.accepted);
            start.disconnected.push(Disconnected { target, at: entry.position, unix });
        }
    }
    // Entries that do not lead to the topic's current position are not on its timeline.
    let start = start.filter(|_| last == Some(read.position));
    let mut start = start.unwrap_or_else(|| TimelineStart {
        base: read.position,
        disconnected: Vec::new(),
        unknown_until: unknown_until(read.position, read.complete_since),
    });
    start.unknown_until = start.unknown_until.max(broken.unwrap_or(0));
    start
}

/// The positions of a timeline.
pub(super) fn timeline(start: &TimelineStart) -> Timeline {
    let mut timeline = Timeline::new(start.base);
    start.disconnected.iter().for_each(|disconnected| timeline.push(disconnected.at.tag));
    timeline
}

/// Appends the next position to the timeline.
pub(super) fn append(timeline: &mut Timeline, next: Position) {
    timeline.push(next.tag);
    timeline.forget(next.offset.saturating_sub(MAX_DISCONNECTS as u64));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use orosync_protocol::link_frame::Message;
    use orosync_protocol::{Payload, SessionId};

    use super::super::keys::Keys;
    use super::super::read::ReadSince;
    use super::super::record::{Entry, encode};
    use super::super::topics::{Action, Topics};
    use super::*;
    use crate::broker::EventHandler;
    use crate::process::unix_time;
    use crate::publication::Event;
    use crate::publication::credit::CreditPool;
    use crate::publication::receipt::Receipt;

    fn at(offset: u64) -> Position {
        Position { offset, tag: offset * 10 }
    }

    /// The disconnect with this offset, of the session with the same number.
    fn entry(offset: u64) -> Entry {
        let message = Disconnect::Session(SessionId(offset.into())).message().unwrap();
        entry_of(offset, &message)
    }

    fn entry_of(offset: u64, message: &Message) -> Entry {
        let before = at(offset - 1).tag;
        Entry::decode(&encode(before, at(offset), offset * 1000, message).into()).unwrap()
    }

    fn invalid(offset: u64) -> Entry {
        let message = Disconnect::Session(SessionId(1)).message().unwrap();
        entry_of(offset, &Message { payload: Payload::null(), ..message })
    }

    fn read(position: Position, entries: Vec<Entry>) -> Read {
        Read { position, complete: true, is_page: false, complete_since: 500, entries }
    }

    fn start_of(read: &Read, broken: Option<u64>) -> (Position, Vec<u64>, u64) {
        let TimelineStart { base, disconnected, unknown_until } =
            timeline_start(read, |ms| 100 + ms / 1000, broken);
        for Disconnected { target, at, unix } in &disconnected {
            assert_eq!(*target, Disconnect::Session(SessionId(at.offset.into())));
            assert_eq!(*unix, 100 + at.offset);
        }
        (base, disconnected.iter().map(|known| known.at.offset).collect(), unknown_until)
    }

    #[test]
    fn the_timeline_begins_before_the_oldest_stored_entry() {
        let all = read(at(3), vec![entry(1), entry(2), entry(3)]);
        assert_eq!(start_of(&all, None), (at(0), vec![1, 2, 3], 0), "complete from the first disconnect on");
        assert_eq!(start_of(&all, Some(500)), (at(0), vec![1, 2, 3], 500), "with a possible loss");
        let some = read(at(3), vec![entry(2), entry(3)]);
        assert_eq!(start_of(&some, None), (at(1), vec![2, 3], 100));
        let cut = Read { complete: false, ..some };
        assert_eq!(start_of(&cut, None), (at(1), vec![2, 3], 102), "earlier ones exist");
        assert_eq!(start_of(&read(at(3), Vec::new()), None), (at(3), Vec::new(), 100), "all have expired");
        assert_eq!(start_of(&read(at(0), Vec::new()), None), (at(0), Vec::new(), 0));
    }

    #[test]
    fn the_timeline_begins_after_a_gap_an_unknown_format_or_entries_of_another_timeline() {
        let gap = read(at(4), vec![entry(1), entry(3), entry(4)]);
        assert_eq!(start_of(&gap, None), (at(2), vec![3, 4], 103));
        let unknown_format = read(at(3), vec![entry(1), invalid(2), entry(3)]);
        assert_eq!(start_of(&unknown_format, None), (at(2), vec![3], 102));
        let at_the_end = read(at(2), vec![entry(1), invalid(2)]);
        assert_eq!(start_of(&at_the_end, None), (at(2), Vec::new(), 102));
        let elsewhere = Position { offset: 7, tag: 1 };
        assert_eq!(start_of(&read(elsewhere, vec![entry(1)]), None), (elsewhere, Vec::new(), 100));
    }

    #[test]
    fn the_timeline_contains_all_positions_and_is_bounded() {
        let start = timeline_start(&read(at(3), vec![entry(2), entry(3)]), |_| 0, None);
        let mut timeline = timeline(&start);
        assert!(!timeline.has(at(0)) && (1..=3).all(|offset| timeline.has(at(offset))));
        append(&mut timeline, at(4));
        assert!(timeline.has(at(4)));
        let most = MAX_DISCONNECTS as u64;
        (5..=most + 2).for_each(|offset| append(&mut timeline, at(offset)));
        assert_eq!((timeline.base(), timeline.count()), (at(2), MAX_DISCONNECTS));
    }

    #[test]
    fn disconnects_are_stored_for_longer_than_resume_tickets_are_valid() {
        for (resume, age) in [(0, 60), (5, 60), (59, 61), (600, 602)] {
            assert_eq!(limits(Duration::from_mins(resume)).age, Duration::from_mins(age));
        }
    }

    /// A call of the node's event handler.
    #[derive(Debug, PartialEq)]
    enum Notification {
        Timeline {
            base: u64,
            disconnected: Vec<u64>,
        },
        /// A timeline whose unknown disconnects may affect any session.
        UnknownDisconnects {
            base: u64,
        },
        Disconnected(u64),
    }

    #[derive(Debug, Default)]
    struct Node(Mutex<Vec<Notification>>);

    impl Node {
        fn take(&self) -> Vec<Notification> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl EventHandler for Node {
        fn is_wanted(&self, _: &Topic) -> bool {
            false
        }

        fn handle_event(&self, event: Event) {
            if let Event::Disconnect(_, Some(at), _) = event {
                self.0.lock().unwrap().push(Notification::Disconnected(at.offset));
            }
        }

        fn handle_break(&self, topic: &Topic) {
            panic!("a break of {topic:?}");
        }

        fn begin_timeline(&self, start: &TimelineStart) {
            let base = start.base.offset;
            let disconnected: Vec<_> = start.disconnected.iter().map(|known| known.at.offset).collect();
            self.0.lock().unwrap().push(if start.may_affect_sessions_since(unix_time()) {
                assert!(disconnected.is_empty());
                Notification::UnknownDisconnects { base }
            } else {
                Notification::Timeline { base, disconnected }
            });
        }

        fn handle_barrier(&self, _: &Arc<Receipt>) {}
    }

    /// The topics of a node that has read these entries.
    fn started(entries: Vec<Entry>) -> (Arc<Node>, Topics, Topic) {
        let node = Arc::new(Node::default());
        let inbound = CreditPool::new(usize::MAX, usize::MAX, || {});
        let mut topics = Topics::new(Keys::single("t"), Arc::<Node>::clone(&node), inbound);
        let control = Topic::parse(disconnect::TOPIC).unwrap();
        topics.subscribe(&control);
        assert!(matches!(topics.take_actions()[..], [Action::Subscribe(_)]));
        assert!(!topics.knows(&control, None) && !topics.knows(&control, Some(at(0))));
        topics.ensure_read(&control);
        assert!(topics.take_actions().is_empty(), "not before the subscription is confirmed");
        topics.handle_confirmed(&control);
        let number = asked(&mut topics, ReadSince::Everything);
        let position = entries.last().map_or(at(0), |last| last.position);
        topics.handle_read(number, Ok(read(position, entries)));
        (node, topics, control)
    }

    /// The number of the requested read.
    fn asked(topics: &mut Topics, from: ReadSince) -> u64 {
        match topics.take_actions()[..] {
            [Action::Read { number, since, .. }] if since == from => number,
            ref others => panic!("{others:?}"),
        }
    }

    #[test]
    fn stored_disconnects_affect_tickets_and_recent_ones_sessions_as_well() {
        let recent = Entry::decode(
            &encode(
                at(2).tag,
                at(3),
                unix_time() * 1000,
                &Disconnect::Session(SessionId(3)).message().unwrap(),
            )
            .into(),
        );
        let (node, mut topics, control) = started(vec![entry(2), recent.unwrap()]);
        let timeline = Notification::Timeline { base: 1, disconnected: vec![2, 3] };
        assert_eq!(node.take(), [timeline, Notification::Disconnected(3)]);
        topics.handle_push(&control, vec![entry(4)]);
        assert_eq!(node.take(), [Notification::Disconnected(4)]);
        for offset in 0..6 {
            assert_eq!(topics.knows(&control, Some(at(offset))), (1..5).contains(&offset), "{offset}");
        }
        assert!(!topics.knows(&control, None));
        assert!(topics.take_actions().is_empty());
    }

    #[test]
    fn many_disconnects_are_read_page_by_page_and_take_effect_together() {
        let node = Arc::new(Node::default());
        let inbound = CreditPool::new(usize::MAX, usize::MAX, || {});
        let mut topics = Topics::new(Keys::single("t"), Arc::<Node>::clone(&node), inbound);
        let control = Topic::parse(disconnect::TOPIC).unwrap();
        topics.subscribe(&control);
        topics.take_actions();
        topics.handle_confirmed(&control);
        let page = |entries: Vec<Entry>| {
            let position = entries.last().unwrap().position;
            Ok(Read { complete: false, is_page: true, ..read(position, entries) })
        };
        let number = asked(&mut topics, ReadSince::Everything);
        topics.handle_read(number, page(vec![entry(1), entry(2)]));
        // Redis no longer stores the end of the page, so the read starts again.
        let number = asked(&mut topics, ReadSince::Position(at(2)));
        topics.handle_read(number, Ok(Read { complete: false, ..read(at(5), vec![entry(4), entry(5)]) }));
        let number = asked(&mut topics, ReadSince::Everything);
        topics.handle_read(number, page(vec![entry(4), entry(5)]));
        topics.handle_push(&control, vec![entry(8)]);
        let number = asked(&mut topics, ReadSince::Position(at(5)));
        topics.handle_read(number, page(vec![entry(6)]));
        let number = asked(&mut topics, ReadSince::Position(at(6)));
        assert!(!topics.knows(&control, Some(at(6))));
        assert_eq!(node.take(), []);
        topics.handle_read(number, Ok(read(at(8), vec![entry(7), entry(8)])));
        assert_eq!(node.take(), [Notification::Timeline { base: 3, disconnected: vec![4, 5, 6, 7, 8] }]);
        assert!((3..=8).all(|offset| topics.knows(&control, Some(at(offset)))));
        assert!(topics.take_actions().is_empty());
    }

    #[test]
    fn the_state_without_any_disconnect_is_known() {
        let (node, mut topics, control) = started(Vec::new());
        assert_eq!(node.take(), [Notification::Timeline { base: 0, disconnected: Vec::new() }]);
        assert!(topics.knows(&control, None) && topics.knows(&control, Some(at(0))));
        topics.handle_push(&control, vec![entry(1)]);
        assert!(!topics.knows(&control, None), "it would have been lost since");
    }

    #[test]
    fn required_disconnects_are_read_once_for_all_uses() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.ensure_read(&control);
        topics.ensure_read(&control);
        let number = asked(&mut topics, ReadSince::Position(at(1)));
        topics.handle_read(number, Ok(read(at(2), vec![entry(2)])));
        assert_eq!(node.take(), [Notification::Disconnected(2)]);
        assert!(topics.knows(&control, Some(at(2))));
    }

    #[test]
    fn a_new_timeline_invalidates_tickets_before_sessions_end() {
        let (node, mut topics, control) = started(vec![entry(1), entry(2)]);
        node.take();
        let fork = Position { offset: 2, tag: 21 };
        let message = Disconnect::Session(SessionId(2)).message().unwrap();
        let next = Entry::decode(&encode(at(1).tag, fork, 2000, &message).into()).unwrap();
        topics.handle_push(&control, vec![next.clone()]);
        topics.ensure_read(&control);
        for _ in ["the push may be pending", "it is not"] {
            let number = asked(&mut topics, ReadSince::Position(at(2)));
            assert_eq!(node.take(), []);
            let entries = vec![entry(1), next.clone()];
            topics.handle_read(number, Ok(Read { complete: false, ..read(fork, entries) }));
        }
        assert_eq!(node.take(), [Notification::UnknownDisconnects { base: 2 }]);
        assert!(topics.knows(&control, Some(fork)) && !topics.knows(&control, Some(at(2))));
    }

    #[test]
    fn a_disconnect_in_an_unknown_format_may_affect_any_ticket_and_session() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.handle_push(&control, vec![invalid(2), entry(3)]);
        assert_eq!(
            node.take(),
            [Notification::UnknownDisconnects { base: 2 }, Notification::Disconnected(3)]
        );
        assert!(topics.knows(&control, Some(at(3))));
    }

    #[test]
    fn a_node_disconnected_for_longer_than_disconnects_are_stored_begins_a_new_timeline() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.handle_timeout(Instant::now());
        topics.ensure_read(&control);
        for _ in ["the push may be pending", "it is not"] {
            let number = asked(&mut topics, ReadSince::Position(at(1)));
            assert_eq!(node.take(), []);
            topics.handle_read(number, Ok(Read { complete: false, ..read(at(9), Vec::new()) }));
        }
        assert_eq!(node.take(), [Notification::UnknownDisconnects { base: 9 }]);
        assert!(topics.knows(&control, Some(at(9))) && !topics.knows(&control, Some(at(1))));
    }
}
