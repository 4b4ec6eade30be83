//! The state of one topic: this node's position, and the handling of incoming entries.
//!
//! Bound: [`MAX_BUFFERED_BYTES`] of entries that are out of order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::{Position, Topic};
use tracing::{error, warn};

use super::clock::RedisClock;
use super::recent::{Delivered, EVENT_OVERHEAD, MAX_BUFFERED_BYTES, RecentEvents};
use crate::auth::timeline::{Disconnected, Timeline, TimelineStart};
use crate::broker::EventHandler;
use crate::broker::redis::control;
use crate::broker::redis::keys::Partition;
use crate::broker::redis::read::{Read, ReadSince};
use crate::broker::redis::record::Entry;
use crate::process::unix_time;
use crate::publication::credit::{Credit, CreditPool};
use crate::publication::delivery::Delivery;
use crate::publication::{Event, Held};

/// A subscribed topic: its subscribers, its last delivered event, and buffered entries.
#[expect(clippy::struct_excessive_bools, reason = "independent of each other")]
#[derive(Debug)]
pub(super) struct State {
    /// The number of this subscription. A read for an earlier subscription has a lower number and is ignored.
    pub(super) number: u64,
    pub(super) partition: Partition,
    /// Number of shards with subscribers.
    pub(super) shards: usize,
    /// When the last shard has unsubscribed. `None`: there are shards with subscribers.
    pub(super) unused_since: Option<Instant>,
    /// Whether the topic is in [`super::Topics::lingering`].
    pub(super) is_lingering: bool,
    pub(super) subscription: Subscription,
    /// The last delivered event. `None`: the position is unknown until the first read.
    pub(super) last: Option<LastDelivered>,
    /// The highest offset that was delivered from a read. Pushes up to this offset are duplicates and ignored.
    pub(super) read_to: u64,
    /// Number of reads of this topic in flight, including recoveries.
    pub(super) reads: usize,
    /// Reads with a lower number are ignored, because they began before the node changed the timeline.
    pub(super) reads_valid_from: u64,
    /// Whether events may be missing, so that the topic must be read as soon as possible.
    pub(super) is_behind: bool,
    /// Whether the topic is in [`super::partition::PartitionState::behind`].
    pub(super) is_queued: bool,
    /// The last delivered event, if a read did not continue from it. The events in between may be in pending pushes, so only a
    /// second read that does not continue from the same event breaks the topic.
    pub(super) suspected_break: Option<Position>,
    /// Pushed entries that do not continue the chain. They are delivered when a read has closed the gap before them.
    pub(super) out_of_order: VecDeque<OutOfOrder>,
    /// The size of these entries, including [`EVENT_OVERHEAD`] each.
    pub(super) out_of_order_bytes: usize,
    /// The events delivered since the first of the reads in flight began.
    pub(super) recent: RecentEvents,
    /// Whether the last read to close a gap has returned a page. The read of the next page is then in flight, or the topic is
    /// behind.
    pub(super) is_paging: bool,
    /// For the topic of disconnects: the pages read at the start, until the last page has arrived.
    pub(super) initial_pages: Vec<Entry>,
    /// Recoveries that wait for the confirmation of the subscription, or for the last page, in the order of their numbers.
    pub(super) waiting_recoveries: VecDeque<u64>,
    /// For the topic of disconnects: all positions that this node knows.
    pub(super) timeline: Option<Box<Timeline>>,
}

/// The progress of the subscription on the current connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscription {
    /// Redis has not confirmed it.
    Requested,
    /// Redis has confirmed it and pushes events. Earlier events may be missing.
    Confirmed,
    /// A read or a sweep has shown since then that no event is missing.
    InSync,
}

/// The last event that was delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastDelivered {
    pub(super) position: Position,
    /// Time of acceptance on Redis' clock, as Unix time in milliseconds. 0: unknown.
    pub(super) accepted: u64,
}

/// A pushed entry that did not continue the chain.
#[derive(Debug)]
pub(super) struct OutOfOrder {
    pub(super) entry: Entry,
    /// The last assigned number when it arrived. Reads with a higher number began later, so they contain the entry if it is on
    /// their timeline.
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
    /// The credit of events buffered while the topic is read.
    pub(super) buffered: &'a Arc<CreditPool>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        topic: &'a Topic,
        state: &State,
        events: &'a dyn EventHandler,
        inbound: &'a Arc<CreditPool>,
        buffered: &'a Arc<CreditPool>,
    ) -> Self {
        Self { topic, is_wanted: state.shards > 0 && events.is_wanted(topic), events, inbound, buffered }
    }
}

impl State {
    pub(super) fn new(number: u64, partition: Partition) -> Self {
        Self {
            number,
            partition,
            shards: 0,
            unused_since: None,
            is_lingering: false,
            subscription: Subscription::Requested,
            last: None,
            read_to: 0,
            reads: 0,
            reads_valid_from: number,
            is_behind: false,
            is_queued: false,
            suspected_break: None,
            out_of_order: VecDeque::new(),
            out_of_order_bytes: 0,
            recent: RecentEvents::default(),
            is_paging: false,
            initial_pages: Vec::new(),
            waiting_recoveries: VecDeque::new(),
            timeline: None,
        }
    }

    /// Buffers an entry that does not continue the chain. Returns false if there is no room for it.
    pub(super) fn buffer_out_of_order(&mut self, entry: Entry, number: u64, pool: &Arc<CreditPool>) -> bool {
        let bytes = entry.bytes() + EVENT_OVERHEAD;
        if self.out_of_order_bytes + bytes > MAX_BUFFERED_BYTES || !pool.is_available() {
            return false;
        }
        self.out_of_order_bytes += bytes;
        self.out_of_order.push_back(OutOfOrder { entry, number, _credit: pool.take(bytes) });
        true
    }

    pub(super) fn take_out_of_order(&mut self) -> VecDeque<OutOfOrder> {
        self.out_of_order_bytes = 0;
        std::mem::take(&mut self.out_of_order)
    }

    /// Whether the subscription is confirmed and no read is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.is_confirmed() && self.reads == 0
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.subscription != Subscription::Requested
    }

    /// Adds a recovery to those that wait, in the order of their numbers.
    pub(super) fn queue_recovery(&mut self, number: u64) {
        let index = self.waiting_recoveries.partition_point(|other| *other < number);
        self.waiting_recoveries.insert(index, number);
    }

    /// The start of a read that returns all events that this node has missed.
    pub(super) fn missing_since(&self, topic: &Topic) -> ReadSince {
        let initial_pages = self.initial_pages.last().map(|last| last.position);
        match self.last.map(|last| last.position).or(initial_pages) {
            Some(position) => ReadSince::Position(position),
            None if control::is_control(topic) => ReadSince::Everything,
            None => ReadSince::Now,
        }
    }

    /// Notes that no event is missing.
    pub(super) fn mark_in_sync(&mut self) {
        if self.is_confirmed() {
            self.subscription = Subscription::InSync;
        }
    }

    /// Whether this was the topic's position at some time since the first of the reads in flight began.
    pub(super) fn was_at(&self, position: Position) -> bool {
        self.last.is_some_and(|last| last.position == position) || self.recent.index(position).is_some()
    }

    /// The events delivered after this position.
    pub(super) fn later(&self, position: Position) -> impl Iterator<Item = &Delivered> {
        let count = self.recent.events.len();
        let is_now = self.last.is_some_and(|last| last.position == position);
        let index = if is_now { count } else { self.recent.index(position).unwrap_or(count) };
        self.recent.events.range(index..)
    }

    /// Delivers an entry, which becomes the last delivered one.
    pub(super) fn deliver(&mut self, entry: &Entry, sink: &Sink<'_>) {
        self.last = Some(LastDelivered { position: entry.position, accepted: entry.accepted });
        let is_buffered = self.reads > 0;
        let body = (sink.is_wanted || is_buffered).then(|| entry.event_body());
        if control::is_control(sink.topic) {
            self.disconnect(entry, sink);
        } else if let (true, Some(body)) = (sink.is_wanted, &body) {
            let held = Held::new(sink.inbound.take(entry.bytes()), None);
            let delivery = Delivery::new(sink.topic.clone(), body.clone(), entry.position, held);
            sink.events.handle_event(Event::Message(delivery));
        }
        if let (true, Some(body)) = (is_buffered, body) {
            self.recent.push(entry, body, sink.buffered);
        }
    }

    /// Delivers a disconnect.
    fn disconnect(&mut self, entry: &Entry, sink: &Sink<'_>) {
        if let Some(timeline) = &mut self.timeline {
            control::append(timeline, entry.position);
        }
        match Disconnect::parse(&entry.payload()) {
            Ok(target) => {
                let held = Held::new(sink.inbound.take(0), None);
                sink.events.handle_event(Event::Disconnect(target, Some(entry.position), held));
            }
            Err(error) => {
                warn!(
                    %error,
                    "another node has requested a disconnect in an unknown format. Earlier resume tickets are no longer valid"
                );
                let (base, unknown_until) = (entry.position, unix_time());
                sink.events.begin_timeline(&TimelineStart { base, disconnected: Vec::new(), unknown_until });
            }
        }
    }

    /// Delivers buffered entries that continue the chain. Others that arrived before the read with this number began are dropped:
    /// they are on another timeline, or in the next page.
    pub(super) fn deliver_out_of_order(&mut self, number: u64, sink: &Sink<'_>) {
        for buffered in self.take_out_of_order() {
            let Some(last) = self.last else { return };
            if continues(&last, &buffered.entry) {
                self.deliver(&buffered.entry, sink);
            } else if buffered.number >= number && buffered.entry.position.offset > last.position.offset {
                self.out_of_order_bytes += buffered.entry.bytes() + EVENT_OVERHEAD;
                self.out_of_order.push_back(buffered);
            }
        }
    }

    /// Adopts the initial tag of a topic, if it was unknown. While Redis is out of memory it cannot store a new topic's head, and
    /// the topic is at offset 0 without a tag. No event can be missing before offset 0, whatever its tag.
    pub(super) fn adopt_initial_tag(&mut self, read: &Read, sink: &Sink<'_>) {
        let is_without_tag = |last: &&mut LastDelivered| last.position == Position { offset: 0, tag: 0 };
        let Some(last) = self.last.as_mut().filter(is_without_tag) else { return };
        let base = match read.entries.first() {
            _ if read.position.offset == 0 => read.position,
            Some(first) if first.position.offset == 1 => Position { offset: 0, tag: first.previous_tag },
            _ => return,
        };
        if base == last.position {
            return;
        }
        last.position = base;
        self.recent = RecentEvents::begin(Some(base));
        if control::is_control(sink.topic) {
            let start = TimelineStart { base, disconnected: Vec::new(), unknown_until: 0 };
            self.timeline = Some(Box::new(control::timeline(&start)));
            sink.events.begin_timeline(&start);
        }
    }

    /// Handles a break: notifies the topic's sessions, and continues on the timeline of this read with the entries that were
    /// accepted after the last delivered event.
    pub(super) fn begin_timeline(
        &mut self,
        number: u64,
        last: LastDelivered,
        read: &Read,
        clock: RedisClock,
        sink: &Sink<'_>,
    ) {
        if control::is_control(sink.topic) {
            error!("a disconnect may have been missed");
            let start = control::timeline_start(read, |ms| clock.unix(ms), Some(unix_time()));
            self.timeline = Some(Box::new(control::timeline(&start)));
            // Invalidates all earlier tickets, because the new timeline may lack disconnects that this node knew.
            let (base, unknown_until) = (read.position, start.unknown_until);
            sink.events.begin_timeline(&TimelineStart { base, disconnected: Vec::new(), unknown_until });
            self.set_last(number, last, read);
            self.recent = RecentEvents::begin(Some(read.position));
            return;
        }
        sink.events.handle_break(sink.topic);
        let is_old =
            |entry: &Entry| (entry.accepted, entry.position.offset) <= (last.accepted, last.position.offset);
        let new = &read.entries[read.entries.iter().take_while(|entry| is_old(entry)).count()..];
        let from = new.first().map_or(read.position, |first| Position {
            tag: first.previous_tag,
            offset: first.position.offset.saturating_sub(1),
        });
        self.recent = RecentEvents::begin(Some(from));
        for entry in new {
            self.deliver(entry, sink);
        }
        self.set_last(number, last, read);
    }

    /// Sets the last delivered event to the last entry of this read.
    fn set_last(&mut self, number: u64, last: LastDelivered, read: &Read) {
        let accepted = read.entries.last().map_or(last.accepted, |entry| entry.accepted);
        self.last = Some(LastDelivered { position: read.position, accepted });
        self.read_to = read.position.offset;
        self.reads_valid_from = number;
    }

    /// Adds a page to those read at the start. Returns whether it was the last; `read` then has the entries of all pages.
    pub(super) fn add_to_initial_pages(&mut self, since: ReadSince, read: &mut Read) -> bool {
        let mut pages = std::mem::take(&mut self.initial_pages);
        if let Some(last) = pages.last() {
            let continues = (read.complete || read.is_page) && since == ReadSince::Position(last.position);
            if !continues {
                // Redis no longer has the end of the previous page. The topic is read from the start.
                self.is_paging = false;
                self.is_behind = true;
                return false;
            }
            pages.append(&mut read.entries);
            read.entries = pages;
        }
        if read.is_page {
            self.initial_pages = std::mem::take(&mut read.entries);
            self.is_paging = true;
            self.is_behind = true;
        }
        !read.is_page
    }

    /// Begins the timeline of disconnects with all stored ones.
    pub(super) fn begin_disconnects(
        &mut self,
        read: &Read,
        clock: RedisClock,
        started: u64,
        sink: &Sink<'_>,
    ) {
        let start = control::timeline_start(read, |ms| clock.unix(ms), None);
        self.timeline = Some(Box::new(control::timeline(&start)));
        sink.events.begin_timeline(&start);
        // The latest may affect sessions without a ticket that were opened during the read.
        let is_recent =
            |known: &&Disconnected| known.unix.saturating_add(control::CLOCK_SLACK_SECONDS) >= started;
        for Disconnected { target, at, .. } in start.disconnected.iter().filter(is_recent) {
            let held = Held::new(sink.inbound.take(0), None);
            sink.events.handle_event(Event::Disconnect(target.clone(), Some(*at), held));
        }
    }
}

/// Whether this entry is the next one after the last delivered event.
pub(super) fn continues(last: &LastDelivered, entry: &Entry) -> bool {
    entry.previous_tag == last.position.tag && entry.position.offset == last.position.offset + 1
}
