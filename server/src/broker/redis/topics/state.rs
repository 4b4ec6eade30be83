//! The state of one topic: this node's position, and the handling of incoming entries.
//!
//! Bound: [`MAX_KEPT_BYTES`] of early entries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::{Position, Topic};
use tracing::{error, warn};

use super::clock::RedisClock;
use super::meanwhile::{Delivered, KEPT_COST, MAX_KEPT_BYTES, Meanwhile};
use super::{Read, ReadSince};
use crate::auth::line::{Beginning, Disconnected, Line};
use crate::broker::EventHandler;
use crate::broker::redis::control;
use crate::broker::redis::keys::Partition;
use crate::broker::redis::record::Entry;
use crate::process::unix_time;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::delivery::Delivery;
use crate::publication::{Event, Held};

/// A subscribed topic: its subscribers, its last delivered event, and missing events.
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
#[derive(Debug)]
pub(super) struct State {
    /// The number of this subscription. A read that was begun for an earlier subscription has a lower one, and is ignored.
    pub(super) number: u64,
    pub(super) partition: Partition,
    /// Number of shards with subscribers.
    pub(super) shards: usize,
    /// When the last shard lost its last subscriber, if none has any.
    pub(super) unwanted_since: Option<Instant>,
    /// Whether the topic is in [`super::Topics::leaving`].
    pub(super) is_leaving: bool,
    pub(super) standing: Standing,
    /// The last event that was delivered. None: no read has said yet where the topic stands.
    pub(super) at: Option<At>,
    /// The highest offset that was delivered from a read. Pushes up to there repeat it, and are ignored.
    pub(super) read_to: u64,
    /// Number of reads of this topic in flight, including recoveries.
    pub(super) reads: usize,
    /// The answers of reads with a lower number are ignored: the node has gone on to another line since.
    pub(super) valid_from: u64,
    /// Whether something may be missing, so that the topic must be read as soon as it can be.
    pub(super) is_behind: bool,
    /// Whether the topic is in [`super::partition::InPartition::behind`].
    pub(super) is_queued: bool,
    /// The last event delivered when a read did not continue from it. What lies between may have been pushed and be on its way,
    /// so only a second read that does not continue from the same event breaks the topic.
    pub(super) doubted: Option<Position>,
    /// Pushed entries that do not continue the chain. They are delivered once a read has closed the gap before them.
    pub(super) early: VecDeque<Early>,
    /// The size of these, with what each costs.
    pub(super) early_bytes: usize,
    /// What was delivered since the first of the reads under way began.
    pub(super) meanwhile: Meanwhile,
    /// Whether the last read that was to close a gap returned a page: then the read of the next page is under way, or the topic
    /// is behind.
    pub(super) is_paging: bool,
    /// For the disconnects' topic: the pages read at the start, until the last of them has come.
    pub(super) first_pages: Vec<Entry>,
    /// Recoveries that wait for the confirmation of the subscription, or for the last page, in the order of their numbers.
    pub(super) asked: VecDeque<u64>,
    /// For the disconnects' topic: all positions that this node knows.
    pub(super) line: Option<Box<Line>>,
}

/// The progress of the subscription on the current connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Redis has not confirmed it.
    Awaited,
    /// Redis has confirmed it and pushes. Earlier events may be missing.
    Confirmed,
    /// A read or a sweep has said since that nothing is missing.
    Sure,
}

/// The last event that was delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) position: Position,
    /// When Redis accepted it, by its clock: milliseconds since 1970. 0: unknown.
    pub(super) accepted: u64,
}

/// A pushed entry that did not continue the chain.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) entry: Entry,
    /// The number given last when it came. Reads with a higher number began later, so what they return includes it, if it is of
    /// the line that they read.
    pub(super) number: u64,
    _credit: Credit,
}

/// The destination of a topic's events.
pub(super) struct Sink<'a> {
    pub(super) topic: &'a Topic,
    /// Whether any session receives them.
    pub(super) is_wanted: bool,
    pub(super) events: &'a dyn EventHandler,
    /// The credit of events that are handed over.
    pub(super) inbound: &'a Arc<CreditPool>,
    /// The credit of events kept while the topic is read.
    pub(super) kept: &'a Arc<CreditPool>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        topic: &'a Topic,
        state: &State,
        events: &'a dyn EventHandler,
        inbound: &'a Arc<CreditPool>,
        kept: &'a Arc<CreditPool>,
    ) -> Self {
        Self { topic, is_wanted: state.shards > 0 && events.is_wanted(topic), events, inbound, kept }
    }
}

impl State {
    pub(super) fn new(number: u64, partition: Partition) -> Self {
        Self {
            number,
            partition,
            shards: 0,
            unwanted_since: None,
            is_leaving: false,
            standing: Standing::Awaited,
            at: None,
            read_to: 0,
            reads: 0,
            valid_from: number,
            is_behind: false,
            is_queued: false,
            doubted: None,
            early: VecDeque::new(),
            early_bytes: 0,
            meanwhile: Meanwhile::default(),
            is_paging: false,
            first_pages: Vec::new(),
            asked: VecDeque::new(),
            line: None,
        }
    }

    /// Keeps an entry that does not continue the chain. False: there was no room for it.
    pub(super) fn push_early(&mut self, entry: Entry, number: u64, pool: &Arc<CreditPool>) -> bool {
        let bytes = entry.bytes() + KEPT_COST;
        if self.early_bytes + bytes > MAX_KEPT_BYTES || !pool.is_available() {
            return false;
        }
        self.early_bytes += bytes;
        self.early.push_back(Early { entry, number, _credit: pool.take(bytes) });
        true
    }

    pub(super) fn take_early(&mut self) -> VecDeque<Early> {
        self.early_bytes = 0;
        std::mem::take(&mut self.early)
    }

    /// Whether the subscription is confirmed and no read is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_confirmed() && self.reads == 0
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.standing != Standing::Awaited
    }

    /// Adds a recovery to those that wait, before those that were asked for later.
    pub(super) fn wait(&mut self, asked: u64) {
        let place = self.asked.partition_point(|other| *other < asked);
        self.asked.insert(place, asked);
    }

    /// Where a read must begin to return what this node has missed.
    pub(super) fn missing_since(&self, topic: &Topic) -> ReadSince {
        let first_pages = self.first_pages.last().map(|last| last.position);
        match self.at.map(|at| at.position).or(first_pages) {
            Some(position) => ReadSince::Position(position),
            None if control::is_control(topic) => ReadSince::Everything,
            None => ReadSince::Now,
        }
    }

    /// Notes that Redis has said that nothing is missing.
    pub(super) fn be_sure(&mut self) {
        if self.is_confirmed() {
            self.standing = Standing::Sure;
        }
    }

    /// Whether the event at this position was the last delivered at some time since the first of the reads under way began.
    pub(super) fn has_stood_at(&self, position: Position) -> bool {
        self.at.is_some_and(|at| at.position == position) || self.meanwhile.index(position).is_some()
    }

    /// The events delivered after this position.
    pub(super) fn later(&self, position: Position) -> impl Iterator<Item = &Delivered> {
        let count = self.meanwhile.events.len();
        let is_now = self.at.is_some_and(|at| at.position == position);
        let index = if is_now { count } else { self.meanwhile.index(position).unwrap_or(count) };
        self.meanwhile.events.range(index..)
    }

    /// Hands an entry over, as the last delivered from now on.
    pub(super) fn deliver(&mut self, entry: &Entry, sink: &Sink<'_>) {
        self.at = Some(At { position: entry.position, accepted: entry.accepted });
        let is_kept = self.reads > 0;
        let body = (sink.is_wanted || is_kept).then(|| entry.event_body());
        if control::is_control(sink.topic) {
            self.disconnect(entry, sink);
        } else if let (true, Some(body)) = (sink.is_wanted, &body) {
            let held = Held::new(sink.inbound.take(entry.bytes()), None);
            let delivery = Delivery::new(sink.topic.clone(), body.clone(), entry.position, held);
            sink.events.handle_event(Event::Message(delivery));
        }
        if let (true, Some(body)) = (is_kept, body) {
            self.meanwhile.push(entry, body, sink.kept);
        }
    }

    /// Hands a disconnect over.
    fn disconnect(&mut self, entry: &Entry, sink: &Sink<'_>) {
        if let Some(line) = &mut self.line {
            control::go_on(line, entry.position);
        }
        match Disconnect::parse(&entry.payload()) {
            Ok(target) => {
                let held = Held::new(sink.inbound.take(0), None);
                sink.events.handle_event(Event::Disconnect(target, Some(entry.position), held));
            }
            Err(error) => {
                warn!(
                    %error,
                    "another node has asked for a disconnect that this one does not understand: it takes no resume ticket from \
                     before it"
                );
                let (base, unknown_until) = (entry.position, unix_time());
                sink.events.begin_line(&Beginning { base, disconnected: Vec::new(), unknown_until });
            }
        }
    }

    /// Delivers what came early, as far as it continues the chain. What came before the read of this number began, and was not
    /// in it, is dropped: it is of another line, or the next page has it.
    pub(super) fn deliver_early(&mut self, number: u64, sink: &Sink<'_>) {
        for early in self.take_early() {
            let Some(at) = self.at else { return };
            if continues(&at, &early.entry) {
                self.deliver(&early.entry, sink);
            } else if early.number >= number && early.entry.position.offset > at.position.offset {
                self.early_bytes += early.entry.bytes() + KEPT_COST;
                self.early.push_back(early);
            }
        }
    }

    /// A topic that Redis had no memory for stands at offset 0 without a tag, until something is written of it. Takes over the
    /// tag that it has got since: before it there was nothing that could be missed.
    pub(super) fn find_beginning(&mut self, read: &Read, sink: &Sink<'_>) {
        let is_without_tag = |at: &&mut At| at.position == Position { offset: 0, tag: 0 };
        let Some(at) = self.at.as_mut().filter(is_without_tag) else { return };
        let base = match read.entries.first() {
            _ if read.position.offset == 0 => read.position,
            Some(first) if first.position.offset == 1 => Position { offset: 0, tag: first.before },
            _ => return,
        };
        if base == at.position {
            return;
        }
        at.position = base;
        self.meanwhile = Meanwhile::begin(Some(base));
        if control::is_control(sink.topic) {
            let beginning = Beginning { base, disconnected: Vec::new(), unknown_until: 0 };
            self.line = Some(Box::new(control::line(&beginning)));
            sink.events.begin_line(&beginning);
        }
    }

    /// The topic is broken: tells its sessions, and goes on along the line of this read with what was accepted later than the
    /// last event delivered.
    pub(super) fn begin_line(
        &mut self,
        number: u64,
        at: At,
        read: &Read,
        clock: RedisClock,
        sink: &Sink<'_>,
    ) {
        if control::is_control(sink.topic) {
            error!("a disconnect may have been missed");
            let beginning = control::beginning(read, |ms| clock.unix(ms), Some(unix_time()));
            self.line = Some(Box::new(control::line(&beginning)));
            // No ticket from before is good any more, whichever disconnects this node knew that the line has lost.
            let (base, unknown_until) = (read.position, beginning.unknown_until);
            sink.events.begin_line(&Beginning { base, disconnected: Vec::new(), unknown_until });
            self.stand(number, at, read);
            self.meanwhile = Meanwhile::begin(Some(read.position));
            return;
        }
        sink.events.handle_break(sink.topic);
        let is_old =
            |entry: &Entry| (entry.accepted, entry.position.offset) <= (at.accepted, at.position.offset);
        let new = &read.entries[read.entries.iter().take_while(|entry| is_old(entry)).count()..];
        let from = new.first().map_or(read.position, |first| Position {
            tag: first.before,
            offset: first.position.offset.saturating_sub(1),
        });
        self.meanwhile = Meanwhile::begin(Some(from));
        for entry in new {
            self.deliver(entry, sink);
        }
        self.stand(number, at, read);
    }

    /// Takes the last entry of this read as the last delivered.
    fn stand(&mut self, number: u64, at: At, read: &Read) {
        let accepted = read.entries.last().map_or(at.accepted, |last| last.accepted);
        self.at = Some(At { position: read.position, accepted });
        self.read_to = read.position.offset;
        self.valid_from = number;
    }

    /// Adds a page to those read at the start. True: it was the last, and `read` has the entries of all pages now.
    pub(super) fn add_to_first_pages(&mut self, since: ReadSince, read: &mut Read) -> bool {
        let mut pages = std::mem::take(&mut self.first_pages);
        if let Some(last) = pages.last() {
            let goes_on = (read.complete || read.is_page) && since == ReadSince::Position(last.position);
            if !goes_on {
                // What it would go on from is not there any more. It is read anew.
                self.is_paging = false;
                self.is_behind = true;
                return false;
            }
            pages.append(&mut read.entries);
            read.entries = pages;
        }
        if read.is_page {
            self.first_pages = std::mem::take(&mut read.entries);
            self.is_paging = true;
            self.is_behind = true;
        }
        !read.is_page
    }

    /// Begins the line of the disconnects with all that is kept of them.
    pub(super) fn begin_control(&mut self, read: &Read, clock: RedisClock, begun: u64, sink: &Sink<'_>) {
        let beginning = control::beginning(read, |ms| clock.unix(ms), None);
        self.line = Some(Box::new(control::line(&beginning)));
        sink.events.begin_line(&beginning);
        // The last of them may mean sessions without a ticket, which were let in meanwhile.
        let of_late =
            |known: &&Disconnected| known.unix.saturating_add(control::CLOCK_SLACK_SECONDS) >= begun;
        for Disconnected { target, at, .. } in beginning.disconnected.iter().filter(of_late) {
            let held = Held::new(sink.inbound.take(0), None);
            sink.events.handle_event(Event::Disconnect(target.clone(), Some(*at), held));
        }
    }
}

/// Whether this entry is the next one behind that event.
pub(super) fn continues(at: &At, entry: &Entry) -> bool {
    entry.before == at.position.tag && entry.position.offset == at.position.offset + 1
}
