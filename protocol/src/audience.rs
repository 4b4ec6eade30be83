//! Who of a topic's subscribers gets a message.

use crate::ids::SessionId;

/// `exclude` wins over `eligible`; an empty `eligible` means everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Sessions that are left out.
    pub exclude: SessionIds,
    /// If not empty: the only sessions that receive it.
    pub eligible: SessionIds,
}

/// A set of sessions. Sorted, because each subscriber of a message is looked up in it. Bound: [`SessionIds::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionIds(Vec<SessionId>);

/// Over [`SessionIds::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} session ids in one list, at most {max} are possible", max = SessionIds::MAX)]
pub struct TooManySessions {
    /// How many there were.
    pub count: usize,
}

impl Audience {
    /// Everybody?
    pub fn is_everybody(&self) -> bool {
        self.exclude.0.is_empty() && self.eligible.0.is_empty()
    }

    /// Whether a session belongs to it that has these ids: its own, and those of the sessions that it has resumed.
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
    /// The most ids of one set.
    pub const MAX: usize = 1000;

    /// The set of these.
    pub fn new(mut ids: Vec<SessionId>) -> Result<Self, TooManySessions> {
        if ids.len() > Self::MAX {
            return Err(TooManySessions { count: ids.len() });
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Self(ids))
    }

    /// Adds one: the sender itself, beyond the bound if need be.
    pub fn insert(&mut self, session: SessionId) {
        if let Err(place) = self.0.binary_search(&session) {
            self.0.insert(place, session);
        }
    }

    /// Is this one of them?
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.binary_search(&session).is_ok()
    }

    /// All of them, in order.
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
    fn exclude_wins_and_an_empty_eligible_list_means_everybody() {
        let (a, b) = (SessionId(1), SessionId(2));
        assert!(Audience::default().includes([a]));
        let audience = Audience { exclude: ids(&[1]), eligible: ids(&[2, 1]) };
        assert!(!audience.includes([a]) && audience.includes([b]) && !audience.includes([SessionId(3)]));
        assert!(audience.includes([SessionId(3), b]), "it was one of them before it was resumed");
        assert!(!audience.includes([a, b]), "nor does a session get later what it did not want");
        // An id that we cannot have issued keeps its meaning: nobody is eligible then.
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
