//! The topics that this node subscribes to, and where it stands in each. Pure: it says what is to be asked of Redis, and hears the
//! answers and the pushes.
//!
//! ```text
//! first subscriber --> Subscribe --> confirmed --> Read --> stands: pushes that continue the chain of tags are delivered
//! last subscriber, 10 s ago --> Unsubscribe                 a push that does not: Read
//! ```
//!
//! A node delivers only what continues the chain: each entry names the tag of the one before it. What does not fit (a push was
//! lost, or a promoted replica has begun another line of events) is buffered, and the topic is read. What a read says is the
//! truth: entries that continue the chain are delivered as if they had been pushed; if none does, the topic is broken: sessions
//! that could recover are told to, and the node goes on along the new line.
//!
//! Of the disconnects' topic all that is kept is read at the start, without a subscriber: which positions it has had
//! ([`Topics::knows`]) says whether a ticket may be used here. Where it is broken, the node goes on along a new line, and its sessions
//! end, since any may have been meant by what was missed.
//!
//! Bounds: of what is buffered, [`MAX_EARLY_BYTES`] per topic, beyond which the topic is read again; of recoveries that wait, those
//! that the shards have under way, each for [`PATIENCE`] at most.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::{Position, Topic};
use tracing::{error, warn};

use super::control;
use super::record::Entry;
use crate::auth::line::{Beginning, Disconnected, Line};
use crate::broker::{EventHandler, HandOver, Recovered, Since, Unavailable};
use crate::process::unix_time;
use crate::publication::credit::CreditPool;
use crate::publication::delivery::Delivery;
use crate::publication::kept::Kept;
use crate::publication::{Event, Held};

/// How long a recovery may wait until it is told that nobody knows.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a topic without subscribers stays subscribed to: pages are loaded anew all the time.
const LINGER: Duration = Duration::from_secs(10);

/// What may wait of a topic for a read that says where it belongs.
const MAX_EARLY_BYTES: usize = 1 << 20;

/// What a read asks for at most that is to close a gap.
const MOST: usize = 10_000;

/// Topics of one sweep.
const SWEEP: usize = 500;

/// Something to ask of Redis.
#[derive(Debug)]
pub(super) enum Action {
    Subscribe(Topic),
    Unsubscribe(Topic),
    Read {
        number: u64,
        topic: Topic,
        since: ReadSince,
        most: usize,
    },
    /// Do these stand at these tags?
    Sweep {
        number: u64,
        topics: Vec<(Topic, u64)>,
    },
}

/// From where on a read asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadSince {
    /// It asks for nothing but where the topic stands.
    Now,
    Position(Position),
    /// All that is kept.
    Everything,
}

/// What a read says.
#[derive(Debug)]
pub(super) struct Read {
    /// Of the topic's last entry.
    pub(super) position: Position,
    /// Whether the entries are all that came since.
    pub(super) complete: bool,
    /// From when on, by Redis' clock (milliseconds), nothing is missing in what is kept.
    pub(super) certain_from: u64,
    /// The oldest first.
    pub(super) entries: Vec<Entry>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicCounts {
    /// Reads that closed a gap, or found that there was none.
    pub(super) gaps: u64,
    /// Topics that no read could continue.
    pub(super) breaks: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Topics {
    states: HashMap<Topic, State>,
    reads: HashMap<u64, (u64, Purpose)>,
    sweeps: HashMap<u64, Vec<Topic>>,
    /// Of subscriptions, reads and sweeps.
    last_number: u64,
    events: Arc<dyn EventHandler>,
    /// What is handed over and not written yet.
    inbound: Arc<CreditPool>,
    clock: RedisClock,
    actions: Vec<Action>,
    counts: TopicCounts,
    /// When this node began, seconds since 1970.
    begun: u64,
}

/// Redis' time, by ours.
#[derive(Clone, Copy, Debug, Default)]
struct RedisClock(Option<(Instant, u64)>);

impl RedisClock {
    /// Milliseconds since 1970 by Redis' clock. None: nobody knows yet, or it is before 1970.
    fn milliseconds(self, at: Instant) -> Option<u64> {
        let (then, milliseconds) = self.0?;
        let length = |length: Duration| u64::try_from(length.as_millis()).ok();
        match at.checked_duration_since(then) {
            Some(later) => milliseconds.checked_add(length(later)?),
            None => milliseconds.checked_sub(length(then.saturating_duration_since(at))?),
        }
    }

    /// Seconds since 1970 by our clock, of milliseconds since 1970 by Redis' clock: that clock is ours until it was heard.
    fn unix(self, milliseconds: u64) -> u64 {
        let passed = self.milliseconds(Instant::now()).map(|now| now.saturating_sub(milliseconds) / 1000);
        passed.map_or(milliseconds / 1000, |passed| unix_time().saturating_sub(passed))
    }
}

#[derive(Debug)]
struct State {
    /// Of this subscription: a read that was begun for an earlier one says nothing of it.
    number: u64,
    /// Shards with subscribers.
    shards: usize,
    /// Since when there is none.
    unwanted_since: Option<Instant>,
    /// Redis pushes to the connection in use.
    is_confirmed: bool,
    /// What was delivered last.
    at: Option<At>,
    /// Up to here entries were delivered that a read had, and whose pushes may still come.
    read_to: u64,
    reads: usize,
    /// It is to be read again: something came that did not fit.
    is_behind: bool,
    /// What came before it is known where it belongs.
    early: VecDeque<Entry>,
    early_bytes: usize,
    /// What was delivered while something is read, for those whose read did not have it.
    meanwhile: Vec<(Position, Kept, u64)>,
    /// Where it stood when the first of those reads began.
    meanwhile_from: Option<Position>,
    asked: VecDeque<Asked>,
    /// Of the disconnects: the positions that are known.
    line: Option<Box<Line>>,
}

#[derive(Clone, Copy, Debug)]
struct At {
    position: Position,
    accepted: u64,
}

struct Asked {
    since: Option<Since>,
    most: usize,
    hand_over: HandOver,
    until: Instant,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asked({:?})", self.since)
    }
}

#[derive(Debug)]
enum Purpose {
    /// To know where the topic stands.
    CatchUp(Topic),
    Recovery(Topic, Asked),
}

impl State {
    fn new(number: u64) -> Self {
        Self {
            number,
            shards: 0,
            unwanted_since: None,
            is_confirmed: false,
            at: None,
            read_to: 0,
            reads: 0,
            is_behind: false,
            early: VecDeque::new(),
            early_bytes: 0,
            meanwhile: Vec::new(),
            meanwhile_from: None,
            asked: VecDeque::new(),
            line: None,
        }
    }

    fn push_early(&mut self, entry: Entry) {
        if self.early_bytes + entry.bytes() > MAX_EARLY_BYTES {
            self.is_behind = true;
            return;
        }
        self.early_bytes += entry.bytes();
        self.early.push_back(entry);
    }

    fn take_early(&mut self) -> VecDeque<Entry> {
        self.early_bytes = 0;
        std::mem::take(&mut self.early)
    }

    /// Whether the topic stood here at some time since the first read that is under way began.
    fn has_stood_at(&self, position: Position) -> bool {
        self.at.is_some_and(|at| at.position == position)
            || self.meanwhile_from == Some(position)
            || self.meanwhile.iter().any(|(at, ..)| *at == position)
    }
}

impl Topics {
    /// None yet. Events go to `events`, each with credit of `inbound`.
    pub(super) fn new(events: Arc<dyn EventHandler>, inbound: Arc<CreditPool>) -> Self {
        Self {
            states: HashMap::new(),
            reads: HashMap::new(),
            sweeps: HashMap::new(),
            last_number: 0,
            events,
            inbound,
            clock: RedisClock::default(),
            actions: Vec::new(),
            counts: TopicCounts::default(),
            begun: unix_time(),
        }
    }

    /// What is to be asked of Redis now.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What was counted since the last time.
    pub(super) fn take_counts(&mut self) -> TopicCounts {
        std::mem::take(&mut self.counts)
    }

    /// Whether all disconnects up to this position are known. None: when there was none yet.
    pub(super) fn knows(&self, control: &Topic, position: Option<Position>) -> bool {
        let line = self.states.get(control).and_then(|state| state.line.as_deref());
        line.is_some_and(|line| match position {
            Some(position) => line.has(position),
            None => line.last().offset == 0,
        })
    }

    /// Something is known of this topic that was not pushed yet: reads it, unless that is under way.
    pub(super) fn look(&mut self, topic: &Topic) {
        if self.states.get(topic).is_some_and(|state| state.at.is_some() && state.reads == 0) {
            self.catch_up(topic);
        }
    }

    /// Redis' clock says this at this time.
    pub(super) fn set_clock(&mut self, at: Instant, milliseconds: u64) {
        self.clock = RedisClock(Some((at, milliseconds)));
    }

    /// A shard has its first subscriber.
    pub(super) fn subscribe(&mut self, topic: &Topic) {
        let state = self.states.entry(topic.clone()).or_insert_with(|| {
            self.actions.push(Action::Subscribe(topic.clone()));
            self.last_number += 1;
            State::new(self.last_number)
        });
        state.shards += 1;
        state.unwanted_since = None;
    }

    /// A shard has lost its last one.
    pub(super) fn unsubscribe(&mut self, topic: &Topic, now: Instant) {
        if let Some(state) = self.states.get_mut(topic) {
            state.shards = state.shards.saturating_sub(1);
            if state.shards == 0 {
                state.unwanted_since = Some(now);
            }
        }
    }

    /// Somebody asks what came, and gets an answer within [`PATIENCE`].
    pub(super) fn recover(
        &mut self,
        topic: &Topic,
        since: Option<Since>,
        most: usize,
        hand_over: HandOver,
        now: Instant,
    ) {
        let asked = Asked { since, most, hand_over, until: now + PATIENCE };
        match self.states.get_mut(topic) {
            Some(state) if !state.is_confirmed => state.asked.push_back(asked),
            Some(State { at: Some(at), .. }) if since.is_none() => {
                let position = at.position;
                (asked.hand_over)(Ok(Recovered { position, complete: true, events: Vec::new() }));
            }
            // Without a subscription, for a session that has gone meanwhile: it is answered all the same.
            Some(_) | None => self.read_for(topic, asked),
        }
    }

    /// Redis pushes this topic from now on.
    pub(super) fn handle_confirmed(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        state.is_confirmed = true;
        let asked = std::mem::take(&mut state.asked);
        let is_new = state.at.is_none();
        if is_new && asked.is_empty() {
            self.catch_up(topic);
        }
        for asked in asked {
            self.read_for(topic, asked);
        }
    }

    /// Redis pushes these topics no more. Who asks for what came of them waits.
    pub(super) fn handle_lost(&mut self, is_lost: impl Fn(&Topic) -> bool) {
        for (topic, state) in &mut self.states {
            if is_lost(topic) {
                state.is_confirmed = false;
            }
        }
    }

    /// The connection that pushes these topics is another one: they are to be subscribed to anew.
    pub(super) fn handle_reconnected(&mut self, is_there: impl Fn(&Topic) -> bool) {
        for (topic, state) in &mut self.states {
            if is_there(topic) {
                state.is_confirmed = false;
                self.actions.push(Action::Subscribe(topic.clone()));
            }
        }
    }

    /// Whether Redis pushes this topic, as far as is known.
    pub(super) fn is_confirmed(&self, topic: &Topic) -> bool {
        self.states.get(topic).is_some_and(|state| state.is_confirmed)
    }

    /// Entries of a topic were pushed, in order.
    pub(super) fn handle_push(&mut self, topic: &Topic, entries: Vec<Entry>) {
        let Some(state) = self.states.get_mut(topic) else { return };
        let Some(mut at) = state.at else {
            for entry in entries {
                state.push_early(entry);
            }
            return;
        };
        let is_wanted = state.shards > 0 && self.events.is_wanted(topic);
        let mut is_out_of_order = false;
        for entry in entries {
            if continues(&at, &entry) {
                at = deliver(topic, state, &entry, is_wanted, &*self.events, &self.inbound);
            } else if entry.position.offset > state.read_to && entry.position != at.position {
                is_out_of_order = true;
                state.push_early(entry);
            }
        }
        if is_out_of_order {
            if state.reads > 0 {
                state.is_behind = true;
            } else {
                self.counts.gaps += 1;
                self.catch_up(topic);
            }
        }
    }

    /// Something was pushed that there was no room for.
    pub(super) fn handle_dropped(&mut self, topic: &Topic) {
        if let Some(state) = self.states.get_mut(topic) {
            state.is_behind = true;
        }
    }

    /// Reads the topics that are behind, as long as there is room for what comes.
    pub(super) fn catch_up_behind(&mut self) {
        if !self.inbound.is_available() {
            return;
        }
        let behind = |state: &State| state.is_behind && state.is_confirmed && state.reads == 0;
        let behind = self.states.iter().filter(|(_, state)| behind(state));
        let topics: Vec<_> = behind.map(|(topic, _)| topic.clone()).take(SWEEP).collect();
        for topic in topics {
            self.counts.gaps += 1;
            self.catch_up(&topic);
        }
    }

    /// Asks of all topics for which `place` is known whether they stand where this node takes them to stand. Those of one place are
    /// asked for together.
    pub(super) fn sweep<Place: Eq + Hash>(&mut self, place: impl Fn(&Topic) -> Option<Place>) {
        let mut known: HashMap<Place, Vec<(Topic, u64)>> = HashMap::new();
        for (topic, state) in &self.states {
            if state.is_confirmed
                && state.reads == 0
                && let Some(place) = place(topic)
            {
                let tag = state.at.map_or(0, |at| at.position.tag);
                known.entry(place).or_default().push((topic.clone(), tag));
            }
        }
        for topics in known.values().flat_map(|topics| topics.chunks(SWEEP)) {
            self.last_number += 1;
            self.sweeps.insert(self.last_number, topics.iter().map(|(topic, _)| topic.clone()).collect());
            self.actions.push(Action::Sweep { number: self.last_number, topics: topics.to_vec() });
        }
    }

    /// Which topics of a sweep (from 0) stand elsewhere. Err: nobody knows.
    pub(super) fn handle_sweep(&mut self, number: u64, differ: Result<Vec<usize>, Unavailable>) {
        let Some(topics) = self.sweeps.remove(&number) else { return };
        for topic in differ.unwrap_or_default().into_iter().filter_map(|at| topics.get(at)) {
            if self.states.get(topic).is_some_and(|state| state.reads == 0) {
                self.catch_up(topic);
            }
        }
    }

    /// What a read says. Err: nobody knows.
    pub(super) fn handle_read(&mut self, number: u64, read: Result<Read, Unavailable>) {
        let Some((subscription, purpose)) = self.reads.remove(&number) else { return };
        let (topic, asked) = match purpose {
            Purpose::CatchUp(topic) => (topic, None),
            Purpose::Recovery(topic, asked) => (topic, Some(asked)),
        };
        let state = self.states.get_mut(&topic).filter(|state| state.number == subscription);
        let Some(state) = state else {
            // Its subscribers are gone.
            if let Some(asked) = asked {
                let answer = read.map(|read| recovered(&read, asked.since, self.clock, &[]));
                (asked.hand_over)(answer);
            }
            return;
        };
        state.reads -= 1;
        match read {
            Err(Unavailable) => {
                state.is_behind = true;
                if let Some(asked) = asked {
                    (asked.hand_over)(Err(Unavailable));
                }
            }
            Ok(read) => self.settle_read(&topic, &read, asked),
        }
        if let Some(state) = self.states.get_mut(&topic)
            && state.reads == 0
        {
            state.meanwhile = Vec::new();
            state.meanwhile_from = None;
            if state.is_behind && state.is_confirmed && self.inbound.is_available() {
                self.catch_up(&topic);
            }
        }
    }

    /// Looks at the clock.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let unwanted: Vec<_> = self
            .states
            .iter()
            .filter(|(_, state)| state.unwanted_since.is_some_and(|since| now >= since + LINGER))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in unwanted {
            if let Some(state) = self.states.remove(&topic) {
                state.asked.into_iter().for_each(|asked| (asked.hand_over)(Err(Unavailable)));
            }
            self.actions.push(Action::Unsubscribe(topic));
        }
        for state in self.states.values_mut() {
            while state.asked.front().is_some_and(|asked| now >= asked.until)
                && let Some(asked) = state.asked.pop_front()
            {
                (asked.hand_over)(Err(Unavailable));
            }
        }
        let is_late =
            |purpose: &Purpose| matches!(purpose, Purpose::Recovery(_, asked) if now >= asked.until);
        let late: Vec<_> =
            self.reads.iter().filter(|(_, (_, read))| is_late(read)).map(|(number, _)| *number).collect();
        for number in late {
            self.handle_read(number, Err(Unavailable));
        }
    }

    /// Has a topic read, to know what comes behind what was delivered.
    fn catch_up(&mut self, topic: &Topic) {
        let Some(state) = self.states.get_mut(topic) else { return };
        state.is_behind = false;
        let first = if control::is_control(topic) { ReadSince::Everything } else { ReadSince::Now };
        let since = state.at.map_or(first, |at| ReadSince::Position(at.position));
        self.read(topic, Purpose::CatchUp(topic.clone()), since, MOST);
    }

    fn read_for(&mut self, topic: &Topic, asked: Asked) {
        let most = asked.most.min(MOST);
        let since = match asked.since {
            None | Some(Since::Position(None)) => ReadSince::Now,
            Some(Since::Position(Some(position))) => ReadSince::Position(position),
            Some(Since::Instant(_)) => ReadSince::Everything,
        };
        self.read(topic, Purpose::Recovery(topic.clone(), asked), since, most);
    }

    fn read(&mut self, topic: &Topic, purpose: Purpose, since: ReadSince, most: usize) {
        let mut subscription = 0;
        if let Some(state) = self.states.get_mut(topic) {
            if state.reads == 0 {
                state.meanwhile_from = state.at.map(|at| at.position);
            }
            state.reads += 1;
            subscription = state.number;
        }
        self.last_number += 1;
        self.reads.insert(self.last_number, (subscription, purpose));
        self.actions.push(Action::Read { number: self.last_number, topic: topic.clone(), since, most });
    }

    fn settle_read(&mut self, topic: &Topic, read: &Read, asked: Option<Asked>) {
        let Some(state) = self.states.get_mut(topic) else { return };
        let is_wanted = state.shards > 0 && self.events.is_wanted(topic);
        match state.at {
            None => {
                let accepted = read.entries.last().map_or(0, |last| last.accepted);
                state.at = Some(At { position: read.position, accepted });
                state.meanwhile_from = Some(read.position);
                if control::is_control(topic) {
                    let beginning = control::beginning(read, |ms| self.clock.unix(ms), None);
                    state.line = Some(Box::new(control::line(&beginning)));
                    self.events.begin_line(&beginning);
                    // The last of them may mean sessions without a ticket, which were let in meanwhile.
                    let of_late = |known: &&Disconnected| {
                        known.unix.saturating_add(control::CLOCK_SLACK_SECONDS) >= self.begun
                    };
                    for Disconnected { whom, at, .. } in beginning.disconnected.iter().filter(of_late) {
                        let held = Held::new(self.inbound.take(0), None);
                        self.events.handle_event(Event::Disconnect(whom.clone(), Some(*at), held));
                    }
                }
            }
            // Nothing new, or pushes were faster.
            Some(_) if state.has_stood_at(read.position) => {}
            Some(at) => {
                let next = read.entries.iter().position(|entry| continues(&at, entry));
                match next {
                    Some(next) => {
                        for entry in &read.entries[next..] {
                            deliver(topic, state, entry, is_wanted, &*self.events, &self.inbound);
                        }
                        state.read_to = read.position.offset;
                    }
                    None if asked.is_some() => {
                        // It asked from elsewhere. First it must be known what this node has missed.
                        if let Some(asked) = asked {
                            self.catch_up(topic);
                            self.read_for(topic, asked);
                        }
                        return;
                    }
                    None => {
                        self.counts.breaks += 1;
                        if control::is_control(topic) {
                            error!(
                                "a disconnect may have been missed: all sessions of browsers end, and come back with a new ticket"
                            );
                            let beginning =
                                control::beginning(read, |ms| self.clock.unix(ms), Some(unix_time()));
                            state.line = Some(Box::new(control::line(&beginning)));
                            // First: from now on no session from before gets a resume ticket.
                            self.events.begin_line(&beginning);
                            self.events.handle_break(topic);
                        } else {
                            warn!(
                                topic = topic.as_str(),
                                "what came of this topic is not all known: pages that show it ask again"
                            );
                            self.events.handle_break(topic);
                            let is_new = |entry: &&Entry| {
                                entry.accepted > at.accepted
                                    || entry.accepted == at.accepted
                                        && entry.position.offset > at.position.offset
                            };
                            for entry in read.entries.iter().filter(is_new) {
                                deliver(topic, state, entry, is_wanted, &*self.events, &self.inbound);
                            }
                        }
                        let accepted = read.entries.last().map_or(at.accepted, |last| last.accepted);
                        state.at = Some(At { position: read.position, accepted });
                        state.read_to = 0;
                        state.meanwhile.clear();
                        state.meanwhile_from = Some(read.position);
                    }
                }
            }
        }
        // What came meanwhile, as far as it goes on from here.
        for entry in state.take_early() {
            let Some(at) = state.at else { return };
            if continues(&at, &entry) {
                deliver(topic, state, &entry, is_wanted, &*self.events, &self.inbound);
            } else if entry.position.offset > at.position.offset {
                state.is_behind = true;
                state.push_early(entry);
            }
        }
        if let Some(asked) = asked {
            let behind = state.meanwhile.iter().position(|(at, ..)| *at == read.position);
            let later = match behind {
                Some(behind) => &state.meanwhile[behind + 1..],
                None if state.meanwhile_from == Some(read.position) => &state.meanwhile[..],
                None => &[],
            };
            let answer = recovered(read, asked.since, self.clock, later);
            (asked.hand_over)(Ok(answer));
        }
    }
}

/// Whether an entry is the next one.
fn continues(at: &At, entry: &Entry) -> bool {
    entry.before == at.position.tag && entry.position.offset == at.position.offset + 1
}

/// Hands an entry over, and stands at it.
fn deliver(
    topic: &Topic,
    state: &mut State,
    entry: &Entry,
    is_wanted: bool,
    events: &dyn EventHandler,
    inbound: &Arc<CreditPool>,
) -> At {
    let at = At { position: entry.position, accepted: entry.accepted };
    state.at = Some(at);
    let kept = (is_wanted || state.reads > 0).then(|| entry.kept());
    if control::is_control(topic) {
        if let Some(line) = &mut state.line {
            control::go_on(line, entry.position);
        }
        match Disconnect::parse(&entry.payload()) {
            Ok(whom) => {
                let held = Held::new(inbound.take(0), None);
                events.handle_event(Event::Disconnect(whom, Some(entry.position), held));
            }
            Err(error) => {
                warn!(
                    %error,
                    "another node has asked for a disconnect that this one does not understand: it takes no resume ticket from \
                     before it"
                );
                let (base, unknown_until) = (entry.position, unix_time());
                events.begin_line(&Beginning { base, disconnected: Vec::new(), unknown_until });
            }
        }
    } else if let (true, Some(kept)) = (is_wanted, &kept) {
        let held = Held::new(inbound.take(entry.bytes()), None);
        events.handle_event(Event::Message(Delivery::new(topic.clone(), kept.clone(), entry.position, held)));
    }
    if let (true, Some(kept)) = (state.reads > 0, kept) {
        state.meanwhile.push((entry.position, kept, entry.accepted));
    }
    at
}

/// What somebody is told who asked from there, by a read and by what came behind it.
fn recovered(
    read: &Read,
    since: Option<Since>,
    clock: RedisClock,
    later: &[(Position, Kept, u64)],
) -> Recovered {
    let position = later.last().map_or(read.position, |(at, ..)| *at);
    let Some(since) = since else {
        return Recovered { position, complete: true, events: Vec::new() };
    };
    let (from, complete) = match since {
        Since::Position(position) => (0, read.complete && position.is_some()),
        Since::Instant(instant) => match clock.milliseconds(instant) {
            Some(from) => (from, read.complete && from > read.certain_from),
            None => (0, false),
        },
    };
    let read = read.entries.iter().map(|entry| (entry.position, entry.kept(), entry.accepted));
    let events = read.chain(later.iter().cloned()).filter(|(.., accepted)| *accepted >= from);
    Recovered { position, complete, events: events.map(|(at, kept, _)| (at, kept)).collect() }
}
