//! Which of a shard's sessions receive which topics.
//!
//! Dense arrays both ways, so that a fan-out walks one array and the end of a session costs what it had subscribed to,
//! however many others share its topics. Bound: `limits.subscriptions` per session. What many topics took is given back
//! when few are left.

use std::collections::HashMap;

use orosync_protocol::Topic;
use slab::Slab;
use slotmap::SecondaryMap;

use super::SessionKey;

/// A map that could hold this many times what it does is made smaller: seldom enough to cost nothing per topic.
const SPARSE: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub struct Subscribers {
    names: HashMap<Topic, usize>,
    topics: Slab<Members>,
    sessions: SecondaryMap<SessionKey, Vec<Membership>>,
}

/// The sessions of one topic.
#[derive(Debug)]
struct Members {
    topic: Topic,
    members: Vec<Member>,
}

/// One session of a topic, and where that stands in the session's own list.
#[derive(Clone, Copy, Debug)]
struct Member {
    session: SessionKey,
    membership: usize,
}

/// One topic of a session, and where that stands in the topic's own list.
#[derive(Clone, Copy, Debug)]
struct Membership {
    topic: usize,
    member: usize,
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The first of its topic in this shard.
    First,
    /// One more.
    Another,
    /// It was there already.
    Already,
    /// The session has too many.
    TooMany,
}

impl Subscribers {
    /// Subscribes a session, which may have `max` subscriptions.
    pub fn subscribe(&mut self, key: SessionKey, topic: &Topic, max: usize) -> Subscribed {
        // One that is gone has place for none.
        let Some(entry) = self.sessions.entry(key) else { return Subscribed::TooMany };
        let memberships = entry.or_default();
        let known = self.names.get(topic).copied();
        if known.is_some_and(|known| memberships.iter().any(|membership| membership.topic == known)) {
            return Subscribed::Already;
        }
        if memberships.len() >= max {
            return Subscribed::TooMany;
        }
        let at = known.unwrap_or_else(|| {
            let at = self.topics.insert(Members { topic: topic.clone(), members: Vec::new() });
            self.names.insert(topic.clone(), at);
            at
        });
        let members = &mut self.topics[at].members;
        members.push(Member { session: key, membership: memberships.len() });
        memberships.push(Membership { topic: at, member: members.len() - 1 });
        if members.len() == 1 { Subscribed::First } else { Subscribed::Another }
    }

    /// Ends one subscription. If it was there: was it the topic's last in this shard?
    pub fn unsubscribe(&mut self, key: SessionKey, topic: &Topic) -> Option<bool> {
        let known = *self.names.get(topic)?;
        let membership = self.sessions.get(key)?.iter().position(|membership| membership.topic == known)?;
        Some(self.remove(key, membership).is_some())
    }

    /// Ends all subscriptions of a session. How many there were, and the topics that have no subscriber any more.
    pub fn remove_session(&mut self, key: SessionKey) -> (usize, Vec<Topic>) {
        let count = self.count(key);
        let without = (0..count).rev().filter_map(|membership| self.remove(key, membership)).collect();
        self.sessions.remove(key);
        (count, without)
    }

    /// How many subscriptions a session has.
    pub fn count(&self, key: SessionKey) -> usize {
        self.sessions.get(key).map_or(0, Vec::len)
    }

    /// A topic's sessions.
    pub fn of(&self, topic: &Topic) -> impl Iterator<Item = SessionKey> {
        let members = self.names.get(topic).map_or(&[][..], |at| &self.topics[*at].members);
        members.iter().map(|member| member.session)
    }

    /// Takes a subscription out of both lists. The topic, if that was its last.
    fn remove(&mut self, key: SessionKey, membership: usize) -> Option<Topic> {
        let Membership { topic, member } = self.sessions[key].swap_remove(membership);
        if let Some(moved) = self.sessions[key].get(membership) {
            self.topics[moved.topic].members[moved.member].membership = membership;
        }
        let members = &mut self.topics[topic].members;
        members.swap_remove(member);
        if let Some(moved) = members.get(member) {
            self.sessions[moved.session][moved.membership].member = member;
        }
        if !members.is_empty() {
            return None;
        }
        let Members { topic, .. } = self.topics.remove(topic);
        self.names.remove(&topic);
        if self.names.len() < self.names.capacity() / SPARSE {
            self.names.shrink_to(2 * self.names.len());
            self.topics.shrink_to_fit();
        }
        Some(topic)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use slotmap::SlotMap;

    use super::*;

    fn topic(number: usize) -> Topic {
        Topic::parse(&format!("t/{number}")).unwrap()
    }

    fn sessions<const N: usize>() -> [SessionKey; N] {
        let mut sessions = SlotMap::with_key();
        [(); N].map(|()| sessions.insert(()))
    }

    #[test]
    fn first_and_last_are_told() {
        let mut subscribers = Subscribers::default();
        let [first, second] = sessions();
        assert_eq!(subscribers.subscribe(first, &topic(1), 2), Subscribed::First);
        assert_eq!(subscribers.subscribe(first, &topic(1), 2), Subscribed::Already);
        assert_eq!(subscribers.subscribe(second, &topic(1), 2), Subscribed::Another);
        assert_eq!(subscribers.subscribe(first, &topic(2), 2), Subscribed::First);
        assert_eq!(subscribers.subscribe(first, &topic(3), 2), Subscribed::TooMany);
        assert_eq!(subscribers.unsubscribe(first, &topic(1)), Some(false));
        assert_eq!(subscribers.unsubscribe(first, &topic(1)), None);
        assert_eq!(subscribers.unsubscribe(second, &topic(1)), Some(true));
        assert_eq!(subscribers.remove_session(first), (1, vec![topic(2)]));
        assert!(subscribers.names.is_empty() && subscribers.topics.is_empty());
    }

    proptest! {
        #[test]
        fn both_directions_always_agree(steps in proptest::collection::vec((0_usize..3, 0_usize..6, 0_usize..6), 1..200)) {
            let mut subscribers = Subscribers::default();
            let keys = sessions::<6>();
            let mut model: BTreeMap<usize, BTreeSet<SessionKey>> = BTreeMap::new();
            for (action, session, number) in steps {
                let key = keys[session];
                match action {
                    0 => {
                        subscribers.subscribe(key, &topic(number), 100);
                        model.entry(number).or_default().insert(key);
                    }
                    1 => {
                        subscribers.unsubscribe(key, &topic(number));
                        model.entry(number).or_default().remove(&key);
                    }
                    _ => {
                        subscribers.remove_session(key);
                        for keys in model.values_mut() { keys.remove(&key); }
                    }
                }
                for number in 0..6 {
                    let found: BTreeSet<SessionKey> = subscribers.of(&topic(number)).collect();
                    prop_assert_eq!(&found, &model.get(&number).cloned().unwrap_or_default());
                }
            }
        }
    }
}
