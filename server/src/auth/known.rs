//! The revocations that a node knows, in memory: numbered, found by their target, forgotten in the order of their numbers.
//!
//! Pure: times enter as arguments.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Identity, MAX_TICKET_BYTES, Resumption};
use orosync_protocol::{Position, SessionId};

use super::timeline::{Disconnected, Timeline, TimelineStart};

/// How long a revocation is kept beyond the lifetime of a resume ticket, for requests in flight.
const SLACK_SECONDS: u64 = 60;

/// Number of low bits that count revocations within a process. The bits above count processes.
const COUNT_BITS: u32 = 32;

/// Locks, ignoring poison: a panic leaves at worst a revocation that rejects too much, because it is numbered first.
pub(super) fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a formerly valid resume ticket is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotResumable {
    /// The ticket was issued by another server, or by this one before a restart or before the nodes' shared data was lost.
    /// Whether it was revoked is not known.
    OtherServer,
    /// Its session or its user has been disconnected since.
    Revoked,
}

/// The known revocations.
#[derive(Debug)]
pub(super) struct Known {
    /// The random id of this store, contained in tickets.
    pub(super) node: u128,
    /// The number of the last revocation.
    pub(super) last: u64,
    /// The number of the last forgotten revocation.
    pub(super) forgotten: u64,
    /// When the latest forgotten revocation was recorded, as Unix time in seconds. 0: not known to this process.
    pub(super) forgotten_unix: u64,
    /// The timeline, if nodes share their disconnects.
    pub(super) shared: Option<Shared>,
    /// The number of the last revocation when the timeline began. Sessions from before may have missed some.
    pub(super) began: u64,
    /// The kept revocations, in the order of their numbers.
    pub(super) kept: VecDeque<Revocation>,
    /// The latest kept revocation per target.
    pub(super) latest: HashMap<Disconnect, Latest>,
    keep_seconds: u64,
    max: usize,
}

/// The timeline of shared disconnects, with its mapping to numbers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) timeline: Timeline,
    /// The number of offset 0, which may be negative: all arithmetic wraps.
    zero: u64,
}

impl Shared {
    fn number(&self, offset: u64) -> u64 {
        self.zero.wrapping_add(offset)
    }

    fn offset(&self, number: u64) -> u64 {
        number.wrapping_sub(self.zero)
    }
}

/// A revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revocation {
    pub(super) number: u64,
    /// The time of the disconnect, as Unix time in seconds.
    pub(super) unix: u64,
    pub(super) target: Disconnect,
}

/// Number and time of the latest revocation of a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub(super) number: u64,
    pub(super) unix: u64,
}

impl Known {
    pub(super) fn new(ticket_seconds: u64, max: usize) -> Self {
        Self {
            node: rand::random(),
            last: 0,
            forgotten: 0,
            forgotten_unix: 0,
            shared: None,
            began: 0,
            kept: VecDeque::new(),
            latest: HashMap::new(),
            keep_seconds: ticket_seconds.saturating_add(SLACK_SECONDS),
            max,
        }
    }

    /// Numbers and keeps a revocation. `None`: its target cannot match anybody.
    pub(super) fn record(&mut self, target: &Disconnect, unix: u64) -> Option<Revocation> {
        if matches_nobody(target) {
            return None;
        }
        self.last += 1;
        let revocation = Revocation { number: self.last, unix, target: target.clone() };
        self.keep(revocation.clone());
        self.forget_old(unix);
        Some(revocation)
    }

    /// Adds the next revocation of the timeline.
    pub(super) fn record_shared(&mut self, Disconnected { target, at, unix }: &Disconnected) {
        let Some(shared) = &mut self.shared else {
            // No timeline has begun: revokes locally, rather too much than too little.
            self.record(target, *unix);
            return;
        };
        if at.offset <= shared.timeline.last().offset {
            return;
        }
        shared.timeline.push(at.tag);
        self.last = shared.number(shared.timeline.last().offset);
        if !matches_nobody(target) {
            self.keep(Revocation { number: self.last, unix: *unix, target: target.clone() });
        }
        self.forget_old(*unix);
    }

    pub(super) fn begin_timeline(
        &mut self,
        TimelineStart { base, disconnected, unknown_until }: &TimelineStart,
    ) {
        self.last += 1;
        self.began = self.last;
        self.shared =
            Some(Shared { timeline: Timeline::new(*base), zero: self.last.wrapping_sub(base.offset) });
        self.forgotten_unix = self.forgotten_unix.max(*unknown_until);
        for disconnected in disconnected {
            self.record_shared(disconnected);
        }
    }

    /// The last revocation in the form that tickets contain.
    pub(super) fn named(&self) -> (u128, u64) {
        self.shared.as_ref().map_or((self.node, self.last), |shared| {
            let Position { offset, tag } = shared.timeline.last();
            (u128::from(tag), offset)
        })
    }

    /// The number of the revocation that a ticket contains.
    pub(super) fn number(&self, ticket: &Resumption) -> Result<u64, NotResumable> {
        let offset = ticket.revocations;
        let Some(shared) = &self.shared else {
            if ticket.node != self.node {
                return Err(NotResumable::OtherServer);
            }
            let is_known = (self.forgotten..=self.last).contains(&offset);
            return if is_known { Ok(offset) } else { Err(NotResumable::Revoked) };
        };
        if offset < shared.timeline.base().offset {
            return Err(NotResumable::Revoked);
        }
        let tag = u64::try_from(ticket.node).map_err(|_| NotResumable::OtherServer)?;
        let is_known = shared.timeline.has(Position { offset, tag });
        if is_known { Ok(shared.number(offset)) } else { Err(NotResumable::OtherServer) }
    }

    /// Adds a revocation whose number is higher than all before.
    pub(super) fn keep(&mut self, revocation: Revocation) {
        let Revocation { number, unix, .. } = revocation;
        self.latest.insert(revocation.target.clone(), Latest { number, unix });
        self.kept.push_back(revocation);
    }

    /// Forgets revocations that can no longer affect a valid ticket, and the oldest beyond the bound.
    pub(super) fn forget_old(&mut self, unix_now: u64) {
        while let Some(oldest) = self.kept.front()
            && (self.kept.len() > self.max || oldest.unix.saturating_add(self.keep_seconds) <= unix_now)
        {
            let Some(Revocation { number, target, unix }) = self.kept.pop_front() else { return };
            self.forgotten = number;
            self.forgotten_unix = self.forgotten_unix.max(unix);
            if self.latest.get(&target).is_some_and(|latest| latest.number == number) {
                self.latest.remove(&target);
            }
        }
        let Some(shared) = &mut self.shared else { return };
        // The timeline also contains disconnects whose target cannot match anybody.
        let beyond = shared.timeline.count().saturating_sub(self.max) as u64;
        let forgotten = self.forgotten.max(self.began);
        shared
            .timeline
            .forget(shared.offset(forgotten).max(shared.timeline.base().offset.saturating_add(beyond)));
    }

    /// Begins the numbers of a new process, higher than any that an earlier one may have assigned without recording it.
    pub(super) fn begin_process(&mut self) {
        self.last = ((self.last >> COUNT_BITS) + 1) << COUNT_BITS;
    }

    /// Whether a revocation after `since` targets one of these sessions or this identity.
    pub(super) fn targets(
        &self,
        sessions: &mut dyn Iterator<Item = SessionId>,
        identity: &Identity,
        since: u64,
    ) -> bool {
        let is_later = |target| self.latest.get(&target).is_some_and(|latest| latest.number > since);
        !self.latest.is_empty()
            && sessions.map(Disconnect::Session).chain(Disconnect::matching(identity)).any(is_later)
    }
}

/// Whether the target is too long to occur in a ticket.
fn matches_nobody(target: &Disconnect) -> bool {
    matches!(target, Disconnect::Name { user, .. } if user.len() > MAX_TICKET_BYTES)
}
