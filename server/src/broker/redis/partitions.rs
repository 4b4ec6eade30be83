//! The partitions: which primary serves each, and what must be retried in it. No I/O.
//!
//! ```text
//! unassigned --assign--> assigned --admit--> served --lose--> unassigned
//! ```
//!
//! A partition without a primary waits while the others continue. Outside a Cluster there is a single partition.

use std::time::{Duration, Instant};

use super::keys::Partition;
use super::primary::PrimaryId;

/// The first delay before a failed call is retried. It doubles up to [`MAX_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Time for which a sweep of a partition waits until all its subscriptions are confirmed. Long enough for a subscription that
/// must be requested twice.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(3);

/// Time without a canary from a partition after which the node is not ready.
pub(super) const NOT_READY: Duration = Duration::from_secs(8);

/// All partitions of this node: one, or those of a Cluster.
#[derive(Debug)]
pub(super) struct Partitions(Vec<State>);

#[derive(Debug)]
struct State {
    assignment: Assignment,
    /// When failed calls are retried. `None`: none has failed.
    retry_at: Option<Instant>,
    delay: Duration,
    /// When an additional sweep of its topics is due.
    sweep: Sweep,
    /// When its primary last pushed a canary.
    last_canary: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assignment {
    Unassigned,
    Assigned(PrimaryId),
    Serving(PrimaryId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    NotScheduled,
    /// When all subscriptions are confirmed, at the latest at this time. `None`: [`CONFIRMATION_TIMEOUT`] after the next tick.
    WhenConfirmed(Option<Instant>),
    At(Instant),
}

impl Partitions {
    pub(super) fn new(count: usize) -> Self {
        let state = || State {
            assignment: Assignment::Unassigned,
            retry_at: None,
            delay: FIRST_DELAY,
            sweep: Sweep::NotScheduled,
            last_canary: None,
        };
        Self((0..count).map(|_| state()).collect())
    }

    /// The primary that serves the partition.
    pub(super) fn serving(&self, partition: Partition) -> Option<PrimaryId> {
        match self.0[partition.0].assignment {
            Assignment::Serving(primary) => Some(primary),
            Assignment::Unassigned | Assignment::Assigned(_) => None,
        }
    }

    /// The primary that serves the partition, or is assigned to it.
    pub(super) fn assigned(&self, partition: Partition) -> Option<PrimaryId> {
        match self.0[partition.0].assignment {
            Assignment::Assigned(primary) | Assignment::Serving(primary) => Some(primary),
            Assignment::Unassigned => None,
        }
    }

    /// The partitions that this primary serves, or is assigned to.
    pub(super) fn of(&self, primary: PrimaryId) -> impl Iterator<Item = Partition> {
        self.all().filter(move |partition| self.assigned(*partition) == Some(primary))
    }

    /// Whether all partitions are served.
    pub(super) fn are_served(&self) -> bool {
        self.all().all(|partition| self.serving(partition).is_some())
    }

    /// Assigns the partition to this primary.
    pub(super) fn assign(&mut self, partition: Partition, primary: PrimaryId) {
        self.0[partition.0].assignment = Assignment::Assigned(primary);
    }

    /// Notes that this primary has admitted the node. Returns whether it serves the partition now.
    pub(super) fn admit(&mut self, partition: Partition, primary: PrimaryId) -> bool {
        let state = &mut self.0[partition.0];
        let is_assigned = state.assignment == Assignment::Assigned(primary);
        if is_assigned {
            state.assignment = Assignment::Serving(primary);
            state.retry_at = None;
            state.delay = FIRST_DELAY;
            state.sweep = Sweep::WhenConfirmed(None);
        }
        is_assigned
    }

    /// Notes that no primary serves the partition.
    pub(super) fn lose(&mut self, partition: Partition) {
        self.0[partition.0].assignment = Assignment::Unassigned;
    }

    /// Notes a failure and schedules a retry.
    pub(super) fn fail(&mut self, partition: Partition, now: Instant) {
        let state = &mut self.0[partition.0];
        if state.retry_at.is_none() {
            state.retry_at = Some(now + state.delay);
            state.delay = (state.delay * 2).min(MAX_DELAY);
        }
    }

    /// Schedules a retry now.
    pub(super) fn retry_now(&mut self, partition: Partition, now: Instant) {
        self.0[partition.0].retry_at = Some(now);
    }

    /// Notes a success.
    pub(super) fn succeed(&mut self, partition: Partition) {
        self.0[partition.0].delay = FIRST_DELAY;
    }

    /// Whether calls may be made: the partition is served, and no retry is scheduled.
    pub(super) fn may_call(&self, partition: Partition) -> bool {
        self.serving(partition).is_some() && self.0[partition.0].retry_at.is_none()
    }

    /// Takes the partitions whose retry is due.
    pub(super) fn take_due_retries(&mut self, now: Instant) -> Vec<Partition> {
        let due: Vec<_> = self.all().filter(|partition| self.is_due(*partition, now)).collect();
        for partition in &due {
            self.0[partition.0].retry_at = None;
        }
        due
    }

    fn is_due(&self, partition: Partition, now: Instant) -> bool {
        let retry_at = self.0[partition.0].retry_at;
        self.serving(partition).is_some() && retry_at.is_some_and(|at| now >= at)
    }

    /// Schedules a sweep of the partition for when all its subscriptions are confirmed, at the latest after
    /// [`CONFIRMATION_TIMEOUT`].
    pub(super) fn sweep_when_confirmed(&mut self, partition: Partition) {
        self.0[partition.0].sweep = Sweep::WhenConfirmed(None);
    }

    /// The partitions that a regular sweep includes: those that are served and do not wait for confirmations.
    pub(super) fn regular_sweep(&self) -> impl Iterator<Item = Partition> {
        let waits = |partition: &Partition| matches!(self.0[partition.0].sweep, Sweep::WhenConfirmed(_));
        self.all().filter(move |partition| self.serving(*partition).is_some() && !waits(partition))
    }

    /// Schedules another sweep, because one has failed.
    pub(super) fn schedule_sweep(&mut self, partition: Partition, now: Instant) {
        let sweep = &mut self.0[partition.0].sweep;
        if *sweep == Sweep::NotScheduled {
            *sweep = Sweep::At(now + MAX_DELAY);
        }
    }

    /// Takes the partitions whose scheduled sweep is due. `has_unconfirmed`: whether a partition has unconfirmed subscriptions.
    pub(super) fn take_due_sweeps(
        &mut self,
        now: Instant,
        has_unconfirmed: impl Fn(Partition) -> bool,
    ) -> Vec<Partition> {
        for state in &mut self.0 {
            if let (Assignment::Serving(_), Sweep::WhenConfirmed(until @ None)) =
                (state.assignment, &mut state.sweep)
            {
                *until = Some(now + CONFIRMATION_TIMEOUT);
            }
        }
        let is_due = |partition: &Partition| match self.0[partition.0].sweep {
            _ if self.serving(*partition).is_none() => false,
            Sweep::NotScheduled => false,
            Sweep::WhenConfirmed(until) => {
                until.is_some_and(|until| now >= until) || !has_unconfirmed(*partition)
            }
            Sweep::At(at) => now >= at,
        };
        let due: Vec<_> = self.all().filter(is_due).collect();
        for partition in &due {
            self.0[partition.0].sweep = Sweep::NotScheduled;
        }
        due
    }

    /// Notes that this primary has pushed a canary.
    pub(super) fn note_canary(&mut self, primary: PrimaryId, now: Instant) {
        for state in &mut self.0 {
            if state.assignment == Assignment::Serving(primary) {
                state.last_canary = Some(now);
            }
        }
    }

    /// Number of partitions without a canary for [`NOT_READY`].
    pub(super) fn count_silent(&self, now: Instant) -> usize {
        let is_recent = |last_canary: Instant| now.saturating_duration_since(last_canary) <= NOT_READY;
        self.0.iter().filter(|state| !state.last_canary.is_some_and(is_recent)).count()
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
    fn a_partition_is_served_by_the_last_assigned_primary_after_its_admission() {
        let (mut partitions, first, second) = two();
        partitions.assign(first, ONE);
        partitions.assign(first, OTHER);
        assert!(!partitions.admit(first, ONE), "assigned to another primary meanwhile");
        assert_eq!((partitions.serving(first), partitions.assigned(first)), (None, Some(OTHER)));
        assert!(partitions.admit(first, OTHER) && !partitions.are_served());
        partitions.assign(second, ONE);
        assert!(partitions.admit(second, ONE) && partitions.are_served());
        partitions.lose(first);
        assert_eq!((partitions.serving(first), partitions.serving(second)), (None, Some(ONE)));
    }

    #[test]
    fn a_failure_in_one_partition_does_not_delay_others() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        for partition in [first, second] {
            partitions.assign(partition, ONE);
            partitions.admit(partition, ONE);
        }
        partitions.fail(first, now);
        assert!(!partitions.may_call(first) && partitions.may_call(second));
        assert_eq!(partitions.take_due_retries(now), []);
        assert_eq!(partitions.take_due_retries(now + FIRST_DELAY), [first]);
        partitions.fail(first, now);
        assert_eq!(partitions.take_due_retries(now + FIRST_DELAY), [], "a longer delay");
        partitions.lose(first);
        assert_eq!(partitions.take_due_retries(now + MAX_DELAY), [], "no primary serves it");
    }

    #[test]
    fn a_partition_is_swept_once_its_subscriptions_are_confirmed_again() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        partitions.assign(first, ONE);
        assert_eq!(partitions.take_due_sweeps(now, |_| false), []);
        partitions.admit(first, ONE);
        assert_eq!(partitions.take_due_sweeps(now, |partition| partition == first), []);
        assert_eq!(partitions.take_due_sweeps(now, |partition| partition == second), [first]);
        assert_eq!(partitions.take_due_sweeps(now, |_| false), []);
        partitions.schedule_sweep(first, now);
        assert_eq!(partitions.take_due_sweeps(now, |_| false), []);
        assert_eq!(partitions.take_due_sweeps(now + SECOND, |_| true), [first]);
    }

    #[test]
    fn a_missing_confirmation_delays_the_sweep_for_a_bounded_time() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        for partition in [first, second] {
            partitions.assign(partition, ONE);
            partitions.admit(partition, ONE);
        }
        let waits = |partition| partition == first;
        assert_eq!(partitions.take_due_sweeps(now, waits), [second]);
        assert_eq!(partitions.take_due_sweeps(now + SECOND, waits), []);
        assert_eq!(partitions.regular_sweep().collect::<Vec<_>>(), [second], "the first is swept separately");
        assert_eq!(partitions.take_due_sweeps(now + CONFIRMATION_TIMEOUT, waits), [first]);
        assert_eq!(partitions.take_due_sweeps(now + CONFIRMATION_TIMEOUT * 2, waits), []);
        assert_eq!(partitions.regular_sweep().collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn a_node_is_ready_only_if_every_partition_has_pushed_a_canary() {
        let (mut partitions, first, second) = two();
        let now = Instant::now();
        partitions.assign(first, ONE);
        partitions.assign(second, OTHER);
        partitions.admit(first, ONE);
        partitions.note_canary(ONE, now);
        partitions.note_canary(OTHER, now);
        assert_eq!(partitions.count_silent(now), 1, "the other has not admitted the node");
        partitions.admit(second, OTHER);
        partitions.note_canary(OTHER, now + SECOND);
        assert_eq!(partitions.count_silent(now + NOT_READY), 0);
        partitions.lose(second);
        assert_eq!(
            partitions.count_silent(now + NOT_READY + SECOND),
            1,
            "the last canary of {first:?} is too old"
        );
        assert_eq!(partitions.count_silent(now + NOT_READY + SECOND * 2), 2);
    }
}
