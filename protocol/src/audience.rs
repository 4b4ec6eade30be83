//! The recipients of a message among the subscribers of its topic.

use crate::ids::SessionId;

/// The recipients of a message. `exclude` takes precedence over `eligible`; an empty `eligible` means all subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Sessions that do not receive the message.
    pub exclude: SessionIds,
    /// If not empty: the only sessions that may receive the message.
    pub eligible: SessionIds,
}

/// A set of session ids, sorted for lookup by binary search. Bound: [`SessionIds::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionIds(Vec<SessionId>);

/// A list with more than [`SessionIds::MAX`] session ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} session ids in one list, at most {max} are possible", max = SessionIds::MAX)]
pub struct TooManySessions {
    /// Number of ids in the list.
    pub count: usize,
}

impl Audience {
    /// Whether all subscribers receive the message.
    pub fn is_everybody(&self) -> bool {
        self.exclude.0.is_empty() && self.eligible.0.is_empty()
    }

    /// Whether a session receives the message. `ids` are its own id and those of the sessions that it has resumed.
    pub fn includes(&self, ids: impl IntoIterator<Item = SessionId>) -> bool {
        let mut is_eligible = self.eligible.0.is_empty();
        for id in ids {
            if self.exclude.contains(id) {
                return false;
            }
            is_eligible |= self.eligible.contains(id);
        }
        is_eligible
    }
}

impl SessionIds {
    /// Maximum number of ids in a set.
    pub const MAX: usize = 1000;

    /// A set of these ids. Duplicates are removed.
    pub fn new(mut ids: Vec<SessionId>) -> Result<Self, TooManySessions> {
        if ids.len() > Self::MAX {
            return Err(TooManySessions { count: ids.len() });
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Self(ids))
    }

    /// Adds the sender's id, even beyond the bound.
    pub fn insert(&mut self, session: SessionId) {
        if let Err(place) = self.0.binary_search(&session) {
            self.0.insert(place, session);
        }
    }

    /// Whether the set contains this session.
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.binary_search(&session).is_ok()
    }

    /// All ids in ascending order.
    pub fn as_slice(&self) -> &[SessionId] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(values: &[u128]) -> SessionIds {
        SessionIds::new(values.iter().copied().map(SessionId).collect()).unwrap()
    }

    #[test]
    fn exclude_takes_precedence_and_an_empty_eligible_list_means_everybody() {
        let (a, b) = (SessionId(1), SessionId(2));
        assert!(Audience::default().includes([a]));
        let audience = Audience { exclude: ids(&[1]), eligible: ids(&[2, 1]) };
        assert!(!audience.includes([a]) && audience.includes([b]) && !audience.includes([SessionId(3)]));
        assert!(audience.includes([SessionId(3), b]), "the session that it resumed was eligible");
        assert!(!audience.includes([a, b]), "the session that it resumed was excluded");
        // An id that no server issued stays in the list, so no session is eligible.
        let nobody = SessionIds::new(vec![SessionId::parse_or_nobody("x")]).unwrap();
        assert!(!Audience { exclude: ids(&[]), eligible: nobody }.includes([a]));
    }

    #[test]
    fn a_set_is_bounded_and_the_sender_still_fits() {
        assert_eq!(SessionIds::new(vec![SessionId(1); 1001]), Err(TooManySessions { count: 1001 }));
        let mut set = ids(&(1..=1000).collect::<Vec<u128>>());
        set.insert(SessionId(5000));
        assert!(set.contains(SessionId(5000)) && set.contains(SessionId(1)) && !set.contains(SessionId(0)));
    }
}
