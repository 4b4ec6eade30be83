//! Revocations of resume tickets by disconnects.
//!
//! Each disconnect has a number, higher than those of all earlier ones, including those before a restart. A resume ticket
//! contains the number of the last disconnect before it was issued, and is rejected if a later one targets its session or its
//! identity. Numbers are used instead of times because they order simultaneous events, and because clocks may be set back.
//!
//! A revocation is kept as long as a resume ticket issued before it could be used. Bound: `max` of [`Revocations::new`]. Beyond
//! it the oldest is forgotten early, and every ticket issued before it is rejected. This costs unaffected clients a new
//! ticket from the application, but never admits a revoked one.
//!
//! With a [`Journal`], revocations survive the process. Without one, a process accepts only its own resume tickets.
//!
//! If several nodes share their disconnects, these have the same positions on all nodes ([`Timeline`](super::timeline::Timeline)). A ticket then contains
//! the position of the last disconnect, and is valid on each node that has it on its timeline. Numbers remain local to the
//! node. A new timeline continues with higher numbers, so sessions from before it are recognized by theirs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Identity, Resumption};
use orosync_protocol::{Position, SessionId};

use super::journal::{Journal, JournalError, Recorder};
pub use super::known::NotResumable;
use super::known::{Known, lock};
use super::timeline::{Disconnected, TimelineStart};

/// Tolerance for the application's clock, the same as in [`orosync_protocol::ticket::verify`].
const CLOCK_SKEW_SECONDS: u64 = 30;

/// The revocations of a node.
#[derive(Debug)]
pub struct Revocations {
    known: Arc<Mutex<Known>>,
    recorder: Option<Recorder>,
}

impl Revocations {
    /// Revocations in memory, for resume tickets with a lifetime of `ticket_seconds`. At most `max` are kept.
    pub fn new(ticket_seconds: u64, max: usize) -> Self {
        Self { known: Arc::new(Mutex::new(Known::new(ticket_seconds, max))), recorder: None }
    }

    /// Revocations with a journal in this directory, from which the existing ones are loaded. `unix_now` is Unix time in
    /// seconds.
    pub fn open(
        directory: &Path,
        ticket_seconds: u64,
        max: usize,
        unix_now: u64,
    ) -> Result<Self, JournalError> {
        let mut known = Known::new(ticket_seconds, max);
        let journal = Journal::open(directory, &mut known, unix_now)?;
        let known = Arc::new(Mutex::new(known));
        Ok(Self { recorder: Some(Recorder::start(journal, Arc::clone(&known))?), known })
    }

    /// Removes the journal of this directory. For a server without resume tickets, which would not keep it up to date.
    pub fn forget(directory: &Path) -> Result<(), JournalError> {
        Journal::remove(directory)
    }

    /// Revokes the resume tickets of `target`. `held` is dropped when the revocation is durable.
    pub fn record(&self, target: &Disconnect, held: impl Send + 'static, unix_now: u64) {
        let mut known = self.lock();
        let recorded = known.record(target, unix_now);
        if let (Some(recorder), Some(revocation)) = (&self.recorder, recorded) {
            // While holding the lock, so that the journal has the order of the numbers.
            recorder.record(revocation, Box::new(held));
        }
    }

    /// Records a shared disconnect with its position, the next one on the timeline. One that was known when the timeline
    /// began is ignored.
    pub fn record_shared(&self, target: &Disconnect, at: Position, unix_now: u64) {
        self.lock().record_shared(&Disconnected { target: target.clone(), at, unix: unix_now });
    }

    /// Begins a timeline of shared disconnects. From now on tickets are checked by their position on it, and sessions from
    /// before get no resume tickets.
    pub fn begin_timeline(&self, beginning: &TimelineStart) {
        self.lock().begin_timeline(beginning);
    }

    /// Drops `held` when all revocations recorded so far are durable.
    pub fn hold_until_recorded(&self, held: impl Send + 'static) {
        if let Some(recorder) = &self.recorder {
            recorder.hold(Box::new(held));
        }
    }

    /// The number of the last revocation, for a new session whose ticket was issued at `issued` (Unix time in seconds). `None`:
    /// the identity may have been disconnected since, so the session must not be resumed.
    pub fn last_for_new_session(&self, identity: &Identity, issued: u64) -> Option<u64> {
        let known = self.lock();
        let is_outdated = |target: Disconnect| {
            known.latest.get(&target).is_some_and(|latest| latest.unix + CLOCK_SKEW_SECONDS >= issued)
        };
        // A ticket with a lifetime longer than revocations are kept may be older than a forgotten one.
        let may_be_outdated = known.forgotten_unix > 0 && known.forgotten_unix + CLOCK_SKEW_SECONDS >= issued;
        // Usually there was no recent disconnect, and no lookup is needed.
        let is_outdated =
            may_be_outdated || (!known.latest.is_empty() && Disconnect::matching(identity).any(is_outdated));
        (!is_outdated).then_some(known.last)
    }

    /// The store's id and the number of the last revocation, for a resume ticket that is issued now for one of these sessions,
    /// which takes revocations up to `since` into account. If nodes share them: the tag and the offset of the last one. `None`:
    /// the session is disconnected, or may be, and is about to end.
    pub fn last_for_new_ticket(
        &self,
        mut sessions: impl Iterator<Item = SessionId>,
        identity: &Identity,
        since: u64,
    ) -> Option<(u128, u64)> {
        let known = self.lock();
        let is_resumed = since >= known.began && !known.targets(&mut sessions, identity, since);
        is_resumed.then(|| known.named())
    }

    /// Checks that a resume ticket with this identity is not revoked. Returns the number of the last revocation.
    pub fn check(&self, resumption: &Resumption, identity: &Identity) -> Result<u64, NotResumable> {
        let known = self.lock();
        let since = known.number(resumption)?;
        let mut sessions = resumption.former.iter().copied().chain([resumption.session]);
        if known.targets(&mut sessions, identity, since) {
            return Err(NotResumable::Revoked);
        }
        Ok(known.last)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

#[cfg(test)]
mod tests {
    use orosync_protocol::ticket::{KeyId, MAX_TICKET_BYTES, Role, SessionPlace};

    use super::*;

    const SESSION: SessionId = SessionId(7);

    fn user(uid: u64) -> Identity {
        Identity {
            role: Role::User,
            uid: Some(uid.into()),
            user: Some(format!("user{uid}").into()),
            ..Identity::anonymous()
        }
    }

    fn id(uid: u64) -> Disconnect {
        Disconnect::Id { role: Role::User, uid: uid.into() }
    }

    /// The data of a resume ticket of this session that is issued now.
    fn issue(revocations: &Revocations, former: &[SessionId]) -> Resumption {
        let sessions = former.iter().copied().chain([SESSION]);
        let (node, revocations) =
            revocations.last_for_new_ticket(sessions, &Identity::anonymous(), u64::MAX).unwrap();
        Resumption {
            session: SESSION,
            former: former.to_vec(),
            since: 0,
            until: None,
            key: KeyId::default(),
            node,
            revocations,
            place: SessionPlace::default(),
        }
    }

    #[test]
    fn a_ticket_older_than_a_forgotten_revocation_opens_a_session_that_cannot_be_resumed() {
        let revocations = Revocations::new(300, 100);
        revocations.record(&id(7), (), 1_000);
        assert!(revocations.last_for_new_session(&user(8), 990).is_some(), "it targets another user");
        revocations.record(&id(9), (), 1_400);
        assert_eq!(
            revocations.last_for_new_session(&user(7), 990),
            None,
            "the forgotten revocation may have targeted this user"
        );
        assert!(revocations.last_for_new_session(&user(7), 1_100).is_some());
    }

    #[test]
    fn a_disconnect_revokes_the_matching_tickets_issued_before_it() {
        for target in [
            id(7),
            Disconnect::Name { role: Role::User, user: "user7".to_owned() },
            Disconnect::Session(SESSION),
            Disconnect::Session(SessionId(6)),
        ] {
            let revocations = Revocations::new(300, 10);
            let before = issue(&revocations, &[SessionId(5), SessionId(6)]);
            assert_eq!(revocations.check(&before, &user(7)), Ok(0));
            revocations.record(&target, (), 1000);
            assert_eq!(revocations.check(&before, &user(7)), Err(NotResumable::Revoked), "{target}");
            let other = Resumption { session: SessionId(8), former: Vec::new(), ..before };
            assert_eq!(revocations.check(&other, &user(8)), Ok(1), "{target}");
            // A ticket issued in the same second is valid until the next disconnect.
            let after = issue(&revocations, &[SessionId(5), SessionId(6)]);
            assert_eq!(revocations.check(&after, &user(7)), Ok(1), "{target}");
            revocations.record(&target, (), 1000);
            assert_eq!(revocations.check(&after, &user(7)), Err(NotResumable::Revoked), "{target}");
        }
    }

    #[test]
    fn a_session_about_to_be_disconnected_gets_no_resume_ticket() {
        let revocations = Revocations::new(300, 10);
        let begun = revocations.last_for_new_session(&user(7), 5000).unwrap();
        revocations.record(&id(7), (), 1000);
        let issue = |uid, since| revocations.last_for_new_ticket([SESSION].into_iter(), &user(uid), since);
        assert_eq!(issue(7, begun), None);
        assert!(issue(8, begun).is_some());
        let later = revocations.last_for_new_session(&user(7), 5000).unwrap();
        assert!(issue(7, later).is_some(), "a session that began after the disconnect");
    }

    #[test]
    fn an_ordinary_ticket_from_before_a_disconnect_opens_a_session_that_cannot_be_resumed() {
        let revocations = Revocations::new(300, 10);
        revocations.record(&id(7), (), 1000);
        assert_eq!(revocations.last_for_new_session(&user(7), 1000), None);
        assert_eq!(revocations.last_for_new_session(&user(7), 1030), None, "within the clock tolerance");
        assert_eq!(revocations.last_for_new_session(&user(7), 1031), Some(1));
        assert_eq!(revocations.last_for_new_session(&user(8), 1000), Some(1));
    }

    #[test]
    fn a_revocation_is_forgotten_when_no_earlier_ticket_is_valid_any_more() {
        let revocations = Revocations::new(300, 10);
        let before = issue(&revocations, &[]);
        revocations.record(&id(1), (), 1000);
        let between = issue(&revocations, &[]);
        revocations.record(&id(2), (), 1000 + 359);
        assert_eq!(revocations.lock().kept.len(), 2);
        assert_eq!(revocations.check(&before, &user(9)), Ok(2));
        revocations.record(&id(2), (), 1000 + 360);
        assert_eq!(revocations.lock().kept.len(), 2);
        assert_eq!(revocations.lock().latest.len(), 1);
        // The clock was wrong and is set back. The target of the forgotten revocation is not known any more.
        assert_eq!(revocations.check(&before, &user(9)), Err(NotResumable::Revoked));
        assert!(revocations.check(&between, &user(9)).is_ok());
        assert_eq!(revocations.check(&between, &user(2)), Err(NotResumable::Revoked));
    }

    #[test]
    fn beyond_the_bound_all_tickets_older_than_a_forgotten_revocation_are_refused() {
        let revocations = Revocations::new(300, 3);
        let before = issue(&revocations, &[]);
        revocations.record(&id(1), (), 1000);
        let between = issue(&revocations, &[]);
        for uid in 2..=3 {
            revocations.record(&id(uid), (), 1000);
        }
        assert_eq!(revocations.check(&before, &user(9)), Ok(3));
        revocations.record(&id(4), (), 1000);
        assert_eq!(revocations.check(&before, &user(9)), Err(NotResumable::Revoked));
        assert_eq!(revocations.check(&between, &user(9)), Ok(4));
        assert_eq!(revocations.check(&between, &user(2)), Err(NotResumable::Revoked));
        let known = revocations.lock();
        assert_eq!((known.kept.len(), known.latest.len()), (3, 3));
    }

    #[test]
    fn a_name_too_long_for_a_ticket_is_not_kept() {
        let revocations = Revocations::new(300, 10);
        let name = |bytes| Disconnect::Name { role: Role::User, user: "x".repeat(bytes) };
        revocations.record(&name(MAX_TICKET_BYTES), (), 1000);
        revocations.record(&name(MAX_TICKET_BYTES + 1), (), 1000);
        assert_eq!(revocations.lock().kept.len(), 1);
    }

    #[test]
    fn a_ticket_of_another_process_or_from_the_future_is_refused() {
        let (one, another) = (Revocations::new(300, 10), Revocations::new(300, 10));
        let ticket = issue(&one, &[]);
        assert_eq!(another.check(&ticket, &user(7)), Err(NotResumable::OtherServer));
        let future = Resumption { revocations: 1, ..ticket };
        assert_eq!(one.check(&future, &user(7)), Err(NotResumable::Revoked));
    }

    fn at(offset: u64) -> Position {
        Position { offset, tag: offset * 10 }
    }

    fn disconnected(offset: u64, uid: u64) -> Disconnected {
        Disconnected { target: id(uid), at: at(offset), unix: 1000 }
    }

    /// A node that has read the disconnects of these users, which follow the one with this offset.
    fn node(base: u64, uids: &[u64]) -> Revocations {
        let revocations = Revocations::new(300, 10);
        revocations.begin_timeline(&beginning(base, uids));
        revocations
    }

    fn beginning(base: u64, uids: &[u64]) -> TimelineStart {
        let disconnected = (base + 1..).zip(uids).map(|(offset, uid)| disconnected(offset, *uid)).collect();
        TimelineStart { base: at(base), disconnected, unknown_until: 0 }
    }

    #[test]
    fn a_ticket_is_valid_on_every_node_that_knows_its_position() {
        let one = node(0, &[1, 2]);
        let ticket = issue(&one, &[]);
        assert_eq!((ticket.node, ticket.revocations), (20, 2));
        for (base, uids) in [(0, &[1, 2][..]), (1, &[2, 7, 8]), (2, &[8]), (2, &[])] {
            let other = node(base, uids);
            let expected = if uids.contains(&7) { Err(NotResumable::Revoked) } else { Ok(()) };
            assert_eq!(other.check(&ticket, &user(7)).map(drop), expected, "{base} {uids:?}");
            assert!(other.check(&ticket, &user(9)).is_ok());
        }
        assert_eq!(
            node(3, &[]).check(&ticket, &user(9)),
            Err(NotResumable::Revoked),
            "disconnect 3 may have targeted it"
        );
        assert_eq!(
            node(0, &[1]).check(&ticket, &user(9)),
            Err(NotResumable::OtherServer),
            "disconnect 2 is not known"
        );
        one.record_shared(&id(7), at(3), 1000);
        assert_eq!(one.check(&ticket, &user(7)), Err(NotResumable::Revoked));
        assert!(one.check(&ticket, &user(8)).is_ok());
    }

    #[test]
    fn a_ticket_of_a_lost_timeline_is_refused_and_one_from_before_the_fork_is_accepted() {
        let (old, lost) = (issue(&node(0, &[1, 2]), &[]), issue(&node(0, &[1, 2, 3]), &[]));
        let promoted = node(0, &[1, 2]);
        promoted.record_shared(&id(4), Position { offset: 3, tag: 31 }, 1000);
        assert_eq!(promoted.check(&lost, &user(9)), Err(NotResumable::OtherServer));
        assert!(promoted.check(&old, &user(9)).is_ok());
        assert_eq!(promoted.check(&old, &user(4)), Err(NotResumable::Revoked));
        let own = issue(&Revocations::new(300, 10), &[]);
        assert_eq!(
            promoted.check(&own, &user(9)),
            Err(NotResumable::OtherServer),
            "a ticket of a node without a shared timeline"
        );
    }

    #[test]
    fn a_repeated_disconnect_counts_once_and_one_that_matches_nobody_takes_a_position() {
        let node = node(0, &[1, 2]);
        node.record_shared(&id(2), at(2), 1000);
        let endless = Disconnect::Name { role: Role::User, user: "x".repeat(MAX_TICKET_BYTES + 1) };
        node.record_shared(&endless, at(3), 1000);
        node.record_shared(&id(4), at(4), 1000);
        assert_eq!(node.lock().kept.len(), 3);
        assert_eq!((issue(&node, &[]).node, issue(&node, &[]).revocations), (40, 4));
    }

    #[test]
    fn earlier_sessions_get_no_ticket_after_a_new_timeline_begins() {
        let node = node(95, &[1, 2]);
        let begun = node.last_for_new_session(&user(9), 5000).unwrap();
        let issue = |since| node.last_for_new_ticket([SESSION].into_iter(), &user(9), since);
        assert_eq!(issue(begun), Some((970, 97)));
        for again in [beginning(95, &[3]), beginning(200, &[]), beginning(95, &[1, 2])] {
            let before = node.last_for_new_session(&user(9), 5000).unwrap();
            node.begin_timeline(&again);
            assert!(issue(begun).is_none() && issue(before).is_none());
            assert!(issue(node.last_for_new_session(&user(9), 5000).unwrap()).is_some());
        }
        node.begin_timeline(&TimelineStart { unknown_until: 4_990, ..beginning(95, &[]) });
        assert_eq!(node.last_for_new_session(&user(9), 5_000), None, "its user may have been disconnected");
        assert!(node.last_for_new_session(&user(9), 5_100).is_some());
    }

    #[test]
    fn shared_revocations_are_forgotten_like_local_ones() {
        let node = node(0, &[1]);
        let first = issue(&node, &[]);
        node.record_shared(&id(2), at(2), 1000 + 359);
        assert!(node.check(&first, &user(9)).is_ok());
        node.record_shared(&id(3), at(3), 1000 + 360);
        assert!(node.check(&first, &user(9)).is_ok(), "it is newer than the forgotten revocation");
        node.record_shared(&id(4), at(4), 1000 + 359 + 360);
        assert_eq!(
            node.check(&first, &user(9)),
            Err(NotResumable::Revoked),
            "revocation 2 is forgotten and may have targeted this user"
        );
        (5..=30).for_each(|offset| node.record_shared(&id(offset), at(offset), 2000));
        let known = node.lock();
        assert_eq!((known.kept.len(), known.shared.as_ref().unwrap().timeline.count()), (10, 10));
    }
}
