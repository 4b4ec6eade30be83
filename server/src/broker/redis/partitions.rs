//! The partitions: which primary serves each, and what must be retried in it. No I/O.
//!
//! ```text
//! nobody --assign--> assigned --enter--> served --lose--> nobody
//! ```
//!
//! A partition without a primary waits while the others continue. Outside a Cluster there is a single partition.

use std::time::{Duration, Instant};

use super::keys::Partition;
use super::primary::PrimaryId;

/// The first retry delay after a failed call.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a sweep of a partition waits until all its subscriptions are confirmed: long enough for a subscription that is
/// requested a second time.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// How long no canary may come back before the node is not ready.
pub(super) const NOT_READY: Duration = Duration::from_secs(8);

/// All partitions of this node: one, or those of a Cluster.
#[derive(Debug)]
pub(super) struct Partitions(Vec<State>);

#[derive(Debug)]
struct State {
    server: Server,
    /// When failed calls are retried.
    try_again: Option<Instant>,
    pause: Duration,
    /// When an additional sweep of its topics is due.
    sweep: Sweep,
    /// When the canary of its primary last came back.
    back: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Nobody,
    Assigned(PrimaryId),
    Serves(PrimaryId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    No,
    /// When all subscriptions are confirmed, at the latest at this time. `None`: [`CONFIRMED_WITHIN`] after the next tick.
    WhenConfirmed(Option<Instant>),
    At(Instant),
}

impl Partitions {
    pub(super) fn new(count: usize) -> Self {
        let state = || State {
            server: Server::Nobody,
            try_again: None,
            pause: FIRST_PAUSE,
            sweep: Sweep::No,
            back: None,
        };
        Self((0..count).map(|_| state()).collect())
    }

    /// The primary that serves the partition.
    pub(super) fn server(&self, partition: Partition) -> Option<PrimaryId> {
        match self.0[partition.0].server {
            Server::Serves(primary) => Some(primary),
            Server::Nobody | Server::Assigned(_) => None,
        }
    }

    /// The primary that serves the partition, or is assigned to it.
    pub(super) fn assigned(&self, partition: Partition) -> Option<PrimaryId> {
        match self.0[partition.0].server {
            Server::Assigned(primary) | Server::Serves(primary) => Some(primary),
            Server::Nobody => None,
        }
    }

    /// The partitions that this primary serves, or is assigned to.
    pub(super) fn of(&self, primary: PrimaryId) -> impl Iterator<Item = Partition> {
        self.all().filter(move |partition| self.assigned(*partition) == Some(primary))
    }

    /// Whether all partitions are served.
    pub(super) fn are_served(&self) -> bool {
        self.all().all(|partition| self.server(partition).is_some())
    }

    /// Assigns the partition to this primary.
    pub(super) fn assign(&mut self, partition: Partition, primary: PrimaryId) {
        self.0[partition.0].server = Server::Assigned(primary);
    }

    /// Notes that this primary has admitted the node. Returns whether it serves the partition now.
    pub(super) fn enter(&mut self, partition: Partition, primary: PrimaryId) -> bool {
        let state = &mut self.0[partition.0];
        let is_assigned = state.server == Server::Assigned(primary);
        if is_assigned {
            state.server = Server::Serves(primary);
            state.try_again = None;
            state.pause = FIRST_PAUSE;
            state.sweep = Sweep::WhenConfirmed(None);
        }
        is_assigned
    }

    /// Notes that no primary serves the partition.
    pub(super) fn lose(&mut self, partition: Partition) {
        self.0[partition.0].server = Server::Nobody;
    }

    /// Notes a failure and schedules a retry.
    pub(super) fn fail(&mut self, partition: Partition, now: Instant) {
        let state = &mut self.0[partition.0];
        if state.try_again.is_none() {
            state.try_again = Some(now + state.pause);
            state.pause = (state.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Schedules a retry now.
    pub(super) fn try_now(&mut self, partition: Partition, now: Instant) {
        self.0[partition.0].try_again = Some(now);
    }

    /// Notes a success.
    pub(super) fn succeed(&mut self, partition: Partition) {
        self.0[partition.0].pause = FIRST_PAUSE;
    }

    /// Whether calls may be made: the partition is served, and no retry is scheduled.
    pub(super) fn may_ask(&self, partition: Partition) -> bool {
        self.server(partition).is_some() && self.0[partition.0].try_again.is_none()
    }

    /// Takes the partitions whose retry is due.
    pub(super) fn take_tries(&mut self, now: Instant) -> Vec<Partition> {
        let due: Vec<_> = self.all().filter(|partition| self.is_due(*partition, now)).collect();
        for partition in &due {
            self.0[partition.0].try_again = None;
        }
        due
    }

    fn is_due(&self, partition: Partition, now: Instant) -> bool {
        let try_again = self.0[partition.0].try_again;
        self.server(partition).is_some() && try_again.is_some_and(|at| now >= at)
    }

    /// Schedules a sweep of the partition for when all its subscriptions are confirmed, at the latest after
    /// [`CONFIRMED_WITHIN`].
    pub(super) fn sweep_when_confirmed(&mut self, partition: Partition) {
        self.0[partition.0].sweep = Sweep::WhenConfirmed(None);
    }

    /// The partitions to include in a regular sweep: those without a scheduled sweep of their own.
    pub(super) fn to_sweep(&self) -> impl Iterator<Item = Partition> {
        let waits = |partition: &Partition| matches!(self.0[partition.0].sweep, Sweep::WhenConfirmed(_));
        self.all().filter(move |partition| self.server(*partition).is_some() && !waits(partition))
    }

    /// Schedules another sweep, because an answer is missing.
    pub(super) fn sweep_again(&mut self, partition: Partition, now: Instant) {
        let sweep = &mut self.0[partition.0].sweep;
        if *sweep == Sweep::No {
            *sweep = Sweep::At(now + LONGEST_PAUSE);
        }
    }

    /// Takes the partitions whose scheduled sweep is due. `waits` tells whether a partition has unconfirmed subscriptions.
    pub(super) fn take_sweeps(&mut self, now: Instant, waits: impl Fn(Partition) -> bool) -> Vec<Partition> {
        for state in &mut self.0 {
            if let (Server::Serves(_), Sweep::WhenConfirmed(until @ None)) = (state.server, &mut state.sweep)
            {
                *until = Some(now + CONFIRMED_WITHIN);
            }
        }
        let is_due = |partition: &Partition| match self.0[partition.0].sweep {
            _ if self.server(*partition).is_none() => false,
            Sweep::No => false,
            Sweep::WhenConfirmed(until) => until.is_some_and(|until| now >= until) || !waits(*partition),
            Sweep::At(at) => now >= at,
        };
        let due: Vec<_> = self.all().filter(is_due).collect();
        for partition in &due {
            self.0[partition.0].sweep = Sweep::No;
        }
        due
    }

    /// Notes that the canary of this primary came back.
    pub(super) fn come_back(&mut self, primary: PrimaryId, now: Instant) {
        for state in &mut self.0 {
            if state.server == Server::Serves(primary) {
                state.back = Some(now);
            }
        }
    }

    /// Number of partitions from which no canary has come back for [`NOT_READY`].
    pub(super) fn count_silent(&self, now: Instant) -> usize {
        let is_back = |back: Instant| now.saturating_duration_since(back) <= NOT_READY;
        self.0.iter().filter(|state| !state.back.is_some_and(is_back)).count()
    }

    fn all(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.0.len()).map(Partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PrimaryId = PrimaryId(1);
    const OTHER: PrimaryId = PrimaryId(2);
    const SECOND: Duration = Duration::from_secs(1);

    fn two() -> (Partitions, Partition, Partition) {
        (Partitions::new(2), Partition(0), Partition(1))
    }

    #[test]
    fn a_partition_is_served_by_whom_it_was_assigned_to_last_and_has_let_the_node_in() {
        let (mut partitions, first, second) = two();
        partitions.assign(first, ONE);
        partitions.assign(first, OTHER);
        assert!(!partitions.enter(first, ONE), "it has moved meanwhile");
        assert_eq!((partitions.server(first), partitions.assigned(first)), (None, Some(OTHER)));
        assert!(partitions.enter(first, OTHER) && !partitions.are_served());
        partitions.assign(second, ONE);
        assert!(partitions.enter(second, ONE) && partitions.are_served());
        partitions.lose(first);
        assert_eq!((partitions.server(first), partitions.server(second)), (None, Some(ONE)));
    }

    #[test]
    fn what_fails_in_one_partition_holds_up_no_other() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        for partition in [first, second] {
            partitions.assign(partition, ONE);
            partitions.enter(partition, ONE);
        }
        partitions.fail(first, now);
        assert!(!partitions.may_ask(first) && partitions.may_ask(second));
        assert_eq!(partitions.take_tries(now), []);
        assert_eq!(partitions.take_tries(now + FIRST_PAUSE), [first]);
        partitions.fail(first, now);
        assert_eq!(partitions.take_tries(now + FIRST_PAUSE), [], "a longer pause");
        partitions.lose(first);
        assert_eq!(partitions.take_tries(now + LONGEST_PAUSE), [], "nobody to ask");
    }

    #[test]
    fn topics_are_swept_once_their_partition_is_confirmed_anew() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        partitions.assign(first, ONE);
        assert_eq!(partitions.take_sweeps(now, |_| false), []);
        partitions.enter(first, ONE);
        assert_eq!(partitions.take_sweeps(now, |partition| partition == first), []);
        assert_eq!(partitions.take_sweeps(now, |partition| partition == second), [first]);
        assert_eq!(partitions.take_sweeps(now, |_| false), []);
        partitions.sweep_again(first, now);
        assert_eq!(partitions.take_sweeps(now, |_| false), []);
        assert_eq!(partitions.take_sweeps(now + SECOND, |_| true), [first]);
    }

    #[test]
    fn a_confirmation_that_does_not_come_holds_up_the_others_for_a_while_only() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        for partition in [first, second] {
            partitions.assign(partition, ONE);
            partitions.enter(partition, ONE);
        }
        let waits = |partition| partition == first;
        assert_eq!(partitions.take_sweeps(now, waits), [second]);
        assert_eq!(partitions.take_sweeps(now + SECOND, waits), []);
        assert_eq!(partitions.to_sweep().collect::<Vec<_>>(), [second], "the first has its own soon");
        assert_eq!(partitions.take_sweeps(now + CONFIRMED_WITHIN, waits), [first]);
        assert_eq!(partitions.take_sweeps(now + CONFIRMED_WITHIN * 2, waits), []);
        assert_eq!(partitions.to_sweep().collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn a_node_is_ready_only_if_something_came_back_of_every_partition() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        partitions.assign(first, ONE);
        partitions.assign(second, OTHER);
        partitions.enter(first, ONE);
        partitions.come_back(ONE, now);
        partitions.come_back(OTHER, now);
        assert_eq!(partitions.count_silent(now), 1, "the other has not let it in");
        partitions.enter(second, OTHER);
        partitions.come_back(OTHER, now + SECOND);
        assert_eq!(partitions.count_silent(now + NOT_READY), 0);
        partitions.lose(second);
        assert_eq!(partitions.count_silent(now + NOT_READY + SECOND), 1, "it comes from {first:?} no more");
        assert_eq!(partitions.count_silent(now + NOT_READY + SECOND * 2), 2);
    }
}
