//! The topic of disconnects. Each node reads it from its oldest entry on and remembers the positions. With them it can tell
//! whether it knows all disconnects from before a ticket was used, whichever node issued the ticket.
//!
//! Redis keeps [`MOST_DISCONNECTS`] for an hour, or for as long as resume tickets are valid ([`limits`]). A node that was
//! disconnected for longer cannot continue its line, as after any other break. A disconnect in an unknown format, sent by a
//! newer node, may affect anybody: a new line begins there, and all browser sessions end. Only nodes can send such an entry,
//! because messages of publishers are parsed on entry, and writing to the topic directly takes Redis' password.

use std::time::Duration;

use orosync_protocol::disconnect::{self, Disconnect};
use orosync_protocol::{Position, Topic};

use super::topics::Read;
pub(super) use crate::auth::line::CLOCK_SLACK_SECONDS;
use crate::auth::line::{Beginning, Disconnected, Line};
use crate::policy::HistoryLimits;

/// Maximum number of disconnects that Redis keeps, and of positions that a node knows.
pub const MOST_DISCONNECTS: usize = 100_000;

/// Maximum size of these disconnects in bytes.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Minimum time for which they are kept, and the margin beyond the lifetime of resume tickets.
const KEPT: Duration = Duration::from_hours(1);
const SLACK: Duration = Duration::from_mins(2);

/// Whether this is the topic of disconnects.
pub(super) fn is_control(topic: &Topic) -> bool {
    topic.as_str() == disconnect::TOPIC
}

/// The bounds of the topic, given the lifetime of resume tickets.
pub(super) fn limits(resume: Duration) -> HistoryLimits {
    HistoryLimits { events: MOST_DISCONNECTS, age: KEPT.max(resume.saturating_add(SLACK)) }
}

/// The beginning of the line after a read of all entries. `unix` converts Redis' milliseconds to Unix time in seconds. `broken`
/// is the time at which a possible loss of disconnects was detected, if any.
pub(super) fn beginning(read: &Read, unix: impl Fn(u64) -> u64, broken: Option<u64>) -> Beginning {
    // Before the first entry of a topic nothing can be missing.
    let unknown_until = |base: Position, accepted| if base.offset == 0 { 0 } else { unix(accepted) };
    let mut begun: Option<Beginning> = None;
    let mut last = None;
    for entry in &read.entries {
        let Position { offset, .. } = entry.position;
        let before = Position { offset: offset.saturating_sub(1), tag: entry.before };
        let target = Disconnect::parse(&entry.payload()).ok();
        // A new line begins after a gap, and after an entry in an unknown format.
        if begun.is_none() || last != Some(before) || target.is_none() {
            let base = if target.is_some() { before } else { entry.position };
            let is_first = last.is_none() && target.is_some() && read.complete;
            let unknown_until =
                unknown_until(base, if is_first { read.certain_from } else { entry.accepted });
            begun = Some(Beginning { base, disconnected: Vec::new(), unknown_until });
        }
        last = Some(entry.position);
        if let (Some(begun), Some(target)) = (&mut begun, target) {
            let unix = unix(entry.accepted);
            begun.disconnected.push(Disconnected { target, at: entry.position, unix });
        }
    }
    // Entries that do not lead to the topic's current position are not on its line.
    let begun = begun.filter(|_| last == Some(read.position));
    let mut beginning = begun.unwrap_or_else(|| Beginning {
        base: read.position,
        disconnected: Vec::new(),
        unknown_until: unknown_until(read.position, read.certain_from),
    });
    beginning.unknown_until = beginning.unknown_until.max(broken.unwrap_or(0));
    beginning
}

/// The positions of a beginning.
pub(super) fn line(beginning: &Beginning) -> Line {
    let mut line = Line::new(beginning.base);
    beginning.disconnected.iter().for_each(|disconnected| line.push(disconnected.at.tag));
    line
}

/// Appends the next position to the line.
pub(super) fn go_on(line: &mut Line, next: Position) {
    line.push(next.tag);
    line.forget(next.offset.saturating_sub(MOST_DISCONNECTS as u64));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use orosync_protocol::link_frame::Message;
    use orosync_protocol::{Payload, SessionId};

    use super::super::keys::Keys;
    use super::super::record::{Entry, encode};
    use super::super::topics::{Action, ReadSince, Topics};
    use super::*;
    use crate::broker::EventHandler;
    use crate::process::unix_time;
    use crate::publication::Event;
    use crate::publication::credit::CreditPool;
    use crate::publication::receipt::Receipt;

    fn at(offset: u64) -> Position {
        Position { offset, tag: offset * 10 }
    }

    /// The disconnect of this offset, of a session of the same number.
    fn entry(offset: u64) -> Entry {
        let message = Disconnect::Session(SessionId(offset.into())).message().unwrap();
        entry_of(offset, &message)
    }

    fn entry_of(offset: u64, message: &Message) -> Entry {
        let before = at(offset - 1).tag;
        Entry::decode(&encode(before, at(offset), offset * 1000, message).into()).unwrap()
    }

    fn nonsense(offset: u64) -> Entry {
        let message = Disconnect::Session(SessionId(1)).message().unwrap();
        entry_of(offset, &Message { payload: Payload::null(), ..message })
    }

    fn read(position: Position, entries: Vec<Entry>) -> Read {
        Read { position, complete: true, is_page: false, certain_from: 500, entries }
    }

    fn beginning_of(read: &Read, broken: Option<u64>) -> (Position, Vec<u64>, u64) {
        let Beginning { base, disconnected, unknown_until } = beginning(read, |ms| 100 + ms / 1000, broken);
        for Disconnected { target, at, unix } in &disconnected {
            assert_eq!(*target, Disconnect::Session(SessionId(at.offset.into())));
            assert_eq!(*unix, 100 + at.offset);
        }
        (base, disconnected.iter().map(|known| known.at.offset).collect(), unknown_until)
    }

    #[test]
    fn it_begins_before_the_oldest_entry_that_is_kept() {
        let all = read(at(3), vec![entry(1), entry(2), entry(3)]);
        assert_eq!(beginning_of(&all, None), (at(0), vec![1, 2, 3], 0), "nothing was before");
        assert_eq!(beginning_of(&all, Some(500)), (at(0), vec![1, 2, 3], 500), "but something was missed");
        let some = read(at(3), vec![entry(2), entry(3)]);
        assert_eq!(beginning_of(&some, None), (at(1), vec![2, 3], 100));
        let cut = Read { complete: false, ..some };
        assert_eq!(beginning_of(&cut, None), (at(1), vec![2, 3], 102), "there are others before");
        assert_eq!(
            beginning_of(&read(at(3), Vec::new()), None),
            (at(3), Vec::new(), 100),
            "they have expired"
        );
        assert_eq!(beginning_of(&read(at(0), Vec::new()), None), (at(0), Vec::new(), 0));
    }

    #[test]
    fn a_hole_and_what_is_not_understood_and_what_is_of_another_line_are_where_it_begins() {
        let hole = read(at(4), vec![entry(1), entry(3), entry(4)]);
        assert_eq!(beginning_of(&hole, None), (at(2), vec![3, 4], 103));
        let not_understood = read(at(3), vec![entry(1), nonsense(2), entry(3)]);
        assert_eq!(beginning_of(&not_understood, None), (at(2), vec![3], 102));
        let at_the_end = read(at(2), vec![entry(1), nonsense(2)]);
        assert_eq!(beginning_of(&at_the_end, None), (at(2), Vec::new(), 102));
        let elsewhere = Position { offset: 7, tag: 1 };
        assert_eq!(beginning_of(&read(elsewhere, vec![entry(1)]), None), (elsewhere, Vec::new(), 100));
    }

    #[test]
    fn its_line_has_all_positions_and_goes_on() {
        let beginning = beginning(&read(at(3), vec![entry(2), entry(3)]), |_| 0, None);
        let mut line = line(&beginning);
        assert!(!line.has(at(0)) && (1..=3).all(|offset| line.has(at(offset))));
        go_on(&mut line, at(4));
        assert!(line.has(at(4)));
        let most = MOST_DISCONNECTS as u64;
        (5..=most + 2).for_each(|offset| go_on(&mut line, at(offset)));
        assert_eq!((line.base(), line.count()), (at(2), MOST_DISCONNECTS));
    }

    #[test]
    fn they_are_kept_for_longer_than_a_resume_ticket_is_good() {
        for (resume, kept) in [(0, 60), (5, 60), (59, 61), (600, 602)] {
            assert_eq!(limits(Duration::from_mins(resume)).age, Duration::from_mins(kept));
        }
    }

    /// What a node is told.
    #[derive(Debug, PartialEq)]
    enum Told {
        Line {
            base: u64,
            disconnected: Vec<u64>,
        },
        /// The same, where any session of it may be meant by what is not known.
        LineThatMayMeanAnybody {
            base: u64,
        },
        Disconnected(u64),
    }

    #[derive(Debug, Default)]
    struct Node(Mutex<Vec<Told>>);

    impl Node {
        fn take(&self) -> Vec<Told> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl EventHandler for Node {
        fn is_wanted(&self, _: &Topic) -> bool {
            false
        }

        fn handle_event(&self, event: Event) {
            if let Event::Disconnect(_, Some(at), _) = event {
                self.0.lock().unwrap().push(Told::Disconnected(at.offset));
            }
        }

        fn handle_break(&self, topic: &Topic) {
            panic!("{topic:?} begins a line anew");
        }

        fn begin_line(&self, beginning: &Beginning) {
            let base = beginning.base.offset;
            let disconnected: Vec<_> = beginning.disconnected.iter().map(|known| known.at.offset).collect();
            self.0.lock().unwrap().push(if beginning.may_affect_sessions_since(unix_time()) {
                assert!(disconnected.is_empty());
                Told::LineThatMayMeanAnybody { base }
            } else {
                Told::Line { base, disconnected }
            });
        }

        fn handle_barrier(&self, _: &Arc<Receipt>) {}
    }

    /// A node that has read these entries.
    fn started(entries: Vec<Entry>) -> (Arc<Node>, Topics, Topic) {
        let node = Arc::new(Node::default());
        let inbound = CreditPool::new(usize::MAX, usize::MAX, || {});
        let mut topics = Topics::new(Keys::single("t"), Arc::<Node>::clone(&node), inbound);
        let control = Topic::parse(disconnect::TOPIC).unwrap();
        topics.subscribe(&control);
        assert!(matches!(topics.take_actions()[..], [Action::Subscribe(_)]));
        assert!(!topics.knows(&control, None) && !topics.knows(&control, Some(at(0))));
        topics.look(&control);
        assert!(topics.take_actions().is_empty(), "not before it is subscribed to");
        topics.handle_confirmed(&control);
        let number = asked(&mut topics, ReadSince::Everything);
        let position = entries.last().map_or(at(0), |last| last.position);
        topics.handle_read(number, Ok(read(position, entries)));
        (node, topics, control)
    }

    /// The number of the read that is asked for.
    fn asked(topics: &mut Topics, from: ReadSince) -> u64 {
        match topics.take_actions()[..] {
            [Action::Read { number, since, .. }] if since == from => number,
            ref others => panic!("{others:?}"),
        }
    }

    #[test]
    fn what_is_kept_means_tickets_and_what_is_of_late_sessions_as_well() {
        let of_late = Entry::decode(
            &encode(
                at(2).tag,
                at(3),
                unix_time() * 1000,
                &Disconnect::Session(SessionId(3)).message().unwrap(),
            )
            .into(),
        );
        let (node, mut topics, control) = started(vec![entry(2), of_late.unwrap()]);
        let line = Told::Line { base: 1, disconnected: vec![2, 3] };
        assert_eq!(node.take(), [line, Told::Disconnected(3)]);
        topics.handle_push(&control, vec![entry(4)]);
        assert_eq!(node.take(), [Told::Disconnected(4)]);
        for offset in 0..6 {
            assert_eq!(topics.knows(&control, Some(at(offset))), (1..5).contains(&offset), "{offset}");
        }
        assert!(!topics.knows(&control, None));
        assert!(topics.take_actions().is_empty());
    }

    #[test]
    fn more_than_one_answer_has_is_read_page_by_page_and_means_nobody_before_all_is_there() {
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
        // What it would go on from is no longer kept: it begins anew.
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
        assert_eq!(node.take(), [Told::Line { base: 3, disconnected: vec![4, 5, 6, 7, 8] }]);
        assert!((3..=8).all(|offset| topics.knows(&control, Some(at(offset)))));
        assert!(topics.take_actions().is_empty());
    }

    #[test]
    fn where_nobody_was_disconnected_yet_that_is_known() {
        let (node, mut topics, control) = started(Vec::new());
        assert_eq!(node.take(), [Told::Line { base: 0, disconnected: Vec::new() }]);
        assert!(topics.knows(&control, None) && topics.knows(&control, Some(at(0))));
        topics.handle_push(&control, vec![entry(1)]);
        assert!(!topics.knows(&control, None), "or it was lost since");
    }

    #[test]
    fn what_a_ticket_knows_of_is_read_once_for_all_that_ask() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.look(&control);
        topics.look(&control);
        let number = asked(&mut topics, ReadSince::Position(at(1)));
        topics.handle_read(number, Ok(read(at(2), vec![entry(2)])));
        assert_eq!(node.take(), [Told::Disconnected(2)]);
        assert!(topics.knows(&control, Some(at(2))));
    }

    #[test]
    fn on_another_line_tickets_are_worthless_before_sessions_end() {
        let (node, mut topics, control) = started(vec![entry(1), entry(2)]);
        node.take();
        let fork = Position { offset: 2, tag: 21 };
        let message = Disconnect::Session(SessionId(2)).message().unwrap();
        let next = Entry::decode(&encode(at(1).tag, fork, 2000, &message).into()).unwrap();
        topics.handle_push(&control, vec![next.clone()]);
        topics.look(&control);
        for _ in ["it may be pushed yet", "it is not"] {
            let number = asked(&mut topics, ReadSince::Position(at(2)));
            assert_eq!(node.take(), []);
            let entries = vec![entry(1), next.clone()];
            topics.handle_read(number, Ok(Read { complete: false, ..read(fork, entries) }));
        }
        assert_eq!(node.take(), [Told::LineThatMayMeanAnybody { base: 2 }]);
        assert!(topics.knows(&control, Some(fork)) && !topics.knows(&control, Some(at(2))));
    }

    #[test]
    fn what_is_not_understood_may_mean_any_ticket_and_any_session() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.handle_push(&control, vec![nonsense(2), entry(3)]);
        assert_eq!(node.take(), [Told::LineThatMayMeanAnybody { base: 2 }, Told::Disconnected(3)]);
        assert!(topics.knows(&control, Some(at(3))));
    }

    #[test]
    fn who_was_away_for_longer_than_they_are_kept_is_on_another_line() {
        let (node, mut topics, control) = started(vec![entry(1)]);
        node.take();
        topics.handle_timeout(Instant::now());
        topics.look(&control);
        for _ in ["it may be pushed yet", "it is not"] {
            let number = asked(&mut topics, ReadSince::Position(at(1)));
            assert_eq!(node.take(), []);
            topics.handle_read(number, Ok(Read { complete: false, ..read(at(9), Vec::new()) }));
        }
        assert_eq!(node.take(), [Told::LineThatMayMeanAnybody { base: 9 }]);
        assert!(topics.knows(&control, Some(at(9))) && !topics.knows(&control, Some(at(1))));
    }
}
