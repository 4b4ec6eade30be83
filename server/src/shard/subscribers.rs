//! Which of a shard's sessions receive which topics.
//!
//! Dense arrays both ways, so that a fan-out walks one array and the end of a session costs what it had subscribed to,
//! however many others share its topics. Bound: `limits.subscriptions` per session. What many topics took is given back
//! when few are left.

use std::collections::HashMap;

use orosync_protocol::Topic;
use slab::Slab;

/// A map that could hold this many times what it does is made smaller: seldom enough to cost nothing per topic.
const SPARSE: usize = 16;

/// See the module. Sessions are named by their slot in the shard.
#[derive(Debug, Default)]
pub struct Subscribers {
    names: HashMap<Topic, usize>,
    topics: Slab<Members>,
    sessions: Vec<Vec<Membership>>,
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
    slot: usize,
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
    pub fn subscribe(&mut self, slot: usize, topic: &Topic, max: usize) -> Subscribed {
        if self.sessions.len() <= slot {
            self.sessions.resize_with(slot + 1, Vec::new);
        }
        let known = self.names.get(topic).copied();
        let memberships = &mut self.sessions[slot];
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
        members.push(Member { slot, membership: memberships.len() });
        memberships.push(Membership { topic: at, member: members.len() - 1 });
        if members.len() == 1 { Subscribed::First } else { Subscribed::Another }
    }

    /// Ends one subscription. If it was there: was it the topic's last in this shard?
    pub fn unsubscribe(&mut self, slot: usize, topic: &Topic) -> Option<bool> {
        let known = *self.names.get(topic)?;
        let membership = self.sessions.get(slot)?.iter().position(|membership| membership.topic == known)?;
        Some(self.remove(slot, membership).is_some())
    }

    /// Ends all subscriptions of a session. How many there were, and the topics that have no subscriber any more.
    pub fn remove_session(&mut self, slot: usize) -> (usize, Vec<Topic>) {
        let count = self.count(slot);
        let without = (0..count).rev().filter_map(|membership| self.remove(slot, membership)).collect();
        if let Some(memberships) = self.sessions.get_mut(slot) {
            *memberships = Vec::new();
        }
        (count, without)
    }

    /// How many subscriptions a session has.
    pub fn count(&self, slot: usize) -> usize {
        self.sessions.get(slot).map_or(0, Vec::len)
    }

    /// The slots of a topic's sessions.
    pub fn of(&self, topic: &Topic) -> impl Iterator<Item = usize> {
        let members = self.names.get(topic).map_or(&[][..], |at| &self.topics[*at].members);
        members.iter().map(|member| member.slot)
    }

    /// Takes a subscription out of both lists. The topic, if that was its last.
    fn remove(&mut self, slot: usize, membership: usize) -> Option<Topic> {
        let Membership { topic, member } = self.sessions[slot].swap_remove(membership);
        if let Some(moved) = self.sessions[slot].get(membership) {
            self.topics[moved.topic].members[moved.member].membership = membership;
        }
        let members = &mut self.topics[topic].members;
        members.swap_remove(member);
        if let Some(moved) = members.get(member) {
            self.sessions[moved.slot][moved.membership].member = member;
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

    use super::*;

    fn topic(number: usize) -> Topic {
        Topic::parse(&format!("t/{number}")).unwrap()
    }

    #[test]
    fn first_and_last_are_told() {
        let mut subscribers = Subscribers::default();
        assert_eq!(subscribers.subscribe(0, &topic(1), 2), Subscribed::First);
        assert_eq!(subscribers.subscribe(0, &topic(1), 2), Subscribed::Already);
        assert_eq!(subscribers.subscribe(5, &topic(1), 2), Subscribed::Another);
        assert_eq!(subscribers.subscribe(0, &topic(2), 2), Subscribed::First);
        assert_eq!(subscribers.subscribe(0, &topic(3), 2), Subscribed::TooMany);
        assert_eq!(subscribers.unsubscribe(0, &topic(1)), Some(false));
        assert_eq!(subscribers.unsubscribe(0, &topic(1)), None);
        assert_eq!(subscribers.unsubscribe(5, &topic(1)), Some(true));
        assert_eq!(subscribers.remove_session(0), (1, vec![topic(2)]));
        assert!(subscribers.names.is_empty() && subscribers.topics.is_empty());
    }

    proptest! {
        #[test]
        fn both_directions_always_agree(steps in proptest::collection::vec((0_usize..3, 0_usize..6, 0_usize..6), 1..200)) {
            let mut subscribers = Subscribers::default();
            let mut model: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (action, slot, number) in steps {
                match action {
                    0 => {
                        subscribers.subscribe(slot, &topic(number), 100);
                        model.entry(number).or_default().insert(slot);
                    }
                    1 => {
                        subscribers.unsubscribe(slot, &topic(number));
                        model.entry(number).or_default().remove(&slot);
                    }
                    _ => {
                        subscribers.remove_session(slot);
                        for slots in model.values_mut() { slots.remove(&slot); }
                    }
                }
                for number in 0..6 {
                    let found: BTreeSet<usize> = subscribers.of(&topic(number)).collect();
                    prop_assert_eq!(&found, &model.get(&number).cloned().unwrap_or_default());
                }
            }
        }
    }
}
