//! The disconnects' topic, which each node reads from its oldest entry on, and whose positions it remembers: by them it knows
//! whether it has heard of all disconnects before a ticket was used, and on whichever node that ticket was minted.
//!
//! Kept in Redis: [`MOST_DISCONNECTS`], for an hour or for as long as resume tickets are good ([`limits`]). A node that was away for
//! longer finds that its line does not go on, as after any other break.

use std::time::Duration;

use orosync_protocol::disconnect::{self, Disconnect};
use orosync_protocol::{Position, Topic};

use super::topics::Read;
use crate::auth::line::{Beginning, Disconnected, Line};
use crate::policy::HistoryLimits;

/// The most disconnects that are kept, and whose positions a node knows.
pub const MOST_DISCONNECTS: usize = 100_000;

/// The most bytes of them.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// How long they are kept at least, and how much longer than a resume ticket is good.
const KEPT: Duration = Duration::from_hours(1);
const SLACK: Duration = Duration::from_mins(2);

/// How long before this node began a disconnect may have been accepted that means one of its sessions: clocks differ.
pub(super) const CLOCK_SLACK_SECONDS: u64 = 5;

/// Whether this is the topic of the disconnects.
pub(super) fn is_control(topic: &Topic) -> bool {
    topic.as_str() == disconnect::TOPIC
}

/// How many are kept, and for how long, where resume tickets are good for so long.
pub(super) fn limits(resume: Duration) -> HistoryLimits {
    HistoryLimits { events: MOST_DISCONNECTS, age: KEPT.max(resume.saturating_add(SLACK)) }
}

/// From where on a read of all that is kept knows the disconnects. `unix`: seconds since 1970, of Redis' milliseconds. `broken`: when it
/// was found, if it was, that some may have been missed.
pub(super) fn beginning(read: &Read, unix: impl Fn(u64) -> u64, broken: Option<u64>) -> Beginning {
    // Of those before the first of a topic none is unknown.
    let unknown_until = |base: Position, accepted| if base.offset == 0 { 0 } else { unix(accepted) };
    let mut begun: Option<Beginning> = None;
    let mut last = None;
    for entry in &read.entries {
        let Position { offset, .. } = entry.position;
        let before = Position { offset: offset.saturating_sub(1), tag: entry.before };
        let whom = Disconnect::parse(&entry.payload()).ok();
        // Anew behind a hole, and behind what is not understood.
        if begun.is_none() || last != Some(before) || whom.is_none() {
            let base = if whom.is_some() { before } else { entry.position };
            let is_first = last.is_none() && whom.is_some() && read.complete;
            let unknown_until =
                unknown_until(base, if is_first { read.certain_from } else { entry.accepted });
            begun = Some(Beginning { base, disconnected: Vec::new(), unknown_until });
        }
        last = Some(entry.position);
        if let (Some(begun), Some(whom)) = (&mut begun, whom) {
            let unix = unix(entry.accepted);
            begun.disconnected.push(Disconnected { whom, at: entry.position, unix });
        }
    }
    // What does not lead to where the topic stands is not of its line.
    let begun = begun.filter(|_| last == Some(read.position));
    let mut beginning = begun.unwrap_or_else(|| Beginning {
        base: read.position,
        disconnected: Vec::new(),
        unknown_until: unknown_until(read.position, read.certain_from),
    });
    beginning.unknown_until = beginning.unknown_until.max(broken.unwrap_or(0));
    beginning
}

/// The positions of such a beginning.
pub(super) fn line(beginning: &Beginning) -> Line {
    let mut line = Line::new(beginning.base);
    beginning.disconnected.iter().for_each(|disconnected| line.push(disconnected.at.tag));
    line
}

/// Goes on to the next one.
pub(super) fn go_on(line: &mut Line, next: Position) {
    line.push(next.tag);
    line.forget(next.offset.saturating_sub(MOST_DISCONNECTS as u64));
}

#[cfg(test)]
mod tests {
    use orosync_protocol::Payload;
    use orosync_protocol::SessionId;
    use orosync_protocol::link_frame::Message;

    use super::super::record::{Entry, encode};
    use super::*;

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
        Read { position, complete: true, certain_from: 500, entries }
    }

    fn beginning_of(read: &Read, broken: Option<u64>) -> (Position, Vec<u64>, u64) {
        let Beginning { base, disconnected, unknown_until } = beginning(read, |ms| 100 + ms / 1000, broken);
        for Disconnected { whom, at, unix } in &disconnected {
            assert_eq!(*whom, Disconnect::Session(SessionId(at.offset.into())));
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
        assert_eq!((line.base(), line.len()), (at(2), MOST_DISCONNECTS));
    }

    #[test]
    fn they_are_kept_for_longer_than_a_resume_ticket_is_good() {
        for (resume, kept) in [(0, 60), (5, 60), (59, 61), (600, 602)] {
            assert_eq!(limits(Duration::from_mins(resume)).age, Duration::from_mins(kept));
        }
    }
}
