//! The subscriptions of a shard's sessions.
//!
//! Dense arrays in both directions: a fan-out iterates over arrays, and ending a session costs as much as it has subscriptions,
//! however many sessions share its topics. Subscriptions with content tags are indexed by tag, so the cost of an event depends
//! only on the number of matching sessions. Bounds: `limits.subscriptions` per session,
//! [`MAX_TAGS`](crate::publication::tags::MAX_TAGS) tags for each. Memory is released when few topics are left.
//!
//! The subscriptions of an ended session are queued and dropped one by one, so that the end of a session with very many of
//! them does not delay others. Until then the session counts as a subscriber of those topics that receives nothing, and a
//! session that subscribes to one of them is not its first subscriber.

use std::collections::{BTreeSet, HashMap, VecDeque};

use orosync_protocol::{Position, Topic};
use slab::Slab;
use slotmap::{KeyData, SecondaryMap};

use super::SessionKey;
use super::topic_index::TopicIndex;
use crate::publication::tags::Tag;

/// Memory is released when its capacity is this many times the number of topics. The factor keeps shrinking rare.
const SPARSE: usize = 16;

/// The subscriptions of a shard's sessions.
#[derive(Debug, Default)]
pub struct Subscribers {
    index: TopicIndex,
    /// Boxed, so that growing the list moves little memory.
    topics: Slab<Box<Members>>,
    /// Maximum length of `topics` since it was last shrunk. It is shrunk again below half of that, because shrinking visits all
    /// slots.
    most_since_shrunk: usize,
    sessions: SecondaryMap<SessionKey, Vec<Membership>>,
    /// Memberships of ended sessions. Kept apart because a new session may already use their place in `sessions`.
    ended: HashMap<SessionKey, Vec<Membership>>,
    /// Keys of `ended`, in the order in which the sessions ended.
    next_to_drop: VecDeque<SessionKey>,
    /// Total number of memberships in `ended`.
    to_drop: usize,
}

/// The mode in which a session receives a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryMode {
    /// Receives no events: a recovery is pending, or must be requested.
    Awaiting,
    /// Events as in WAMP v1.
    Plain,
    /// Events with positions.
    Positioned,
    /// Events with positions, restricted to those with one of its tags or without tags.
    Tagged,
}

/// Number of variants of [`DeliveryMode`].
const MODES: usize = 4;

/// The sessions of one topic.
#[derive(Debug)]
struct Members {
    topic: Topic,
    /// By mode.
    by_mode: [List; MODES],
    /// Tags wanted by the sessions of [`DeliveryMode::Tagged`]. `None` if there are no such sessions, as for nearly all topics.
    tag_index: Option<Box<TagIndex>>,
    /// Position of the last event that was delivered or recovered.
    position: Option<Position>,
}

/// The tags that sessions want of one topic, indexed in both directions.
#[derive(Debug, Default)]
struct TagIndex {
    sessions: BTreeSet<(Tag, SessionKey)>,
    tags: HashMap<SessionKey, Box<[Tag]>>,
}

/// The sessions of one topic and mode.
#[derive(Debug, Default)]
struct List {
    sessions: Vec<SessionKey>,
    /// Index of the topic in each session's own list of memberships.
    memberships: Vec<u32>,
}

/// One topic of a session, and the index of the session in the topic's list.
#[derive(Clone, Copy, Debug)]
struct Membership {
    topic: u32,
    member: u32,
    mode: DeliveryMode,
}

/// Outcome of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The topic's first subscription in this shard.
    First,
    /// The topic already has subscriptions in this shard.
    Another,
    /// The session is already subscribed.
    Already,
    /// The session has reached its maximum number of subscriptions.
    TooMany,
}

/// The sessions that receive the events of a topic.
#[derive(Clone, Copy, Debug)]
pub struct Receivers<'a>(Option<&'a Members>);

impl Subscribers {
    /// Subscribes a session, which may have `max` subscriptions.
    pub fn subscribe(&mut self, key: SessionKey, topic: &Topic, max: usize) -> Subscribed {
        self.add(key, topic, DeliveryMode::Plain, max)
    }

    /// Adds a subscription that awaits the recovery of missed events. It receives nothing before [`Self::settle`]; an existing
    /// subscription is not changed.
    pub fn await_recovery(&mut self, key: SessionKey, topic: &Topic, max: usize) -> Subscribed {
        self.add(key, topic, DeliveryMode::Awaiting, max)
    }

    /// Ends a recovery: the session has the missed events up to `position` and receives later events, restricted to these tags
    /// if any are given. Does nothing if the session has unsubscribed.
    pub fn settle(&mut self, key: SessionKey, topic: &Topic, tags: Option<Box<[Tag]>>, position: Position) {
        let Some(at) = self.find(key, topic) else { return };
        self.move_to(key, at, tags);
        let topic = self.sessions[key][at].topic as usize;
        self.topics[topic].position = Some(position);
    }

    /// Ends a subscription that only waited for a failed recovery. Returns whether it was the topic's last in this shard;
    /// `None` if the subscription remains.
    pub fn cancel_recovery(&mut self, key: SessionKey, topic: &Topic) -> Option<bool> {
        let at = self.find(key, topic)?;
        let is_awaiting = self.sessions[key][at].mode == DeliveryMode::Awaiting;
        is_awaiting.then(|| self.remove(key, at).is_some())
    }

    /// Suspends the delivery of a topic of which events are missing. Returns the sessions that received it with positions; they
    /// receive no events before [`Self::settle`].
    pub fn suspend(&mut self, topic: &Topic) -> Vec<SessionKey> {
        let Some(at) = self.index.get(topic) else { return Vec::new() };
        let modes = [DeliveryMode::Positioned, DeliveryMode::Tagged]
            .map(|mode| &self.topics[at].by_mode[mode as usize]);
        let keys: Vec<_> = modes.iter().flat_map(|list| &list.sessions).copied().collect();
        for key in &keys {
            if let Some(membership) = self.find(*key, topic) {
                self.change_mode(*key, membership, DeliveryMode::Awaiting);
            }
        }
        keys
    }

    /// Replaces the tags of a subscription; `None` removes them. Returns whether the session has such a subscription with
    /// positions.
    pub fn set_tags(&mut self, key: SessionKey, topic: &Topic, tags: Option<Box<[Tag]>>) -> bool {
        let at = self.find(key, topic).filter(|at| {
            matches!(self.sessions[key][*at].mode, DeliveryMode::Positioned | DeliveryMode::Tagged)
        });
        at.map(|at| self.move_to(key, at, tags)).is_some()
    }

    /// Ends a subscription. Returns whether it was the topic's last in this shard; `None` if there was none.
    pub fn unsubscribe(&mut self, key: SessionKey, topic: &Topic) -> Option<bool> {
        let membership = self.find(key, topic)?;
        Some(self.remove(key, membership).is_some())
    }

    /// Queues the subscriptions of an ended session for [`Self::drop_next`]. Returns their number.
    pub fn queue_drops(&mut self, key: SessionKey) -> usize {
        let memberships = self.sessions.remove(key).unwrap_or_default();
        let count = memberships.len();
        if count > 0 {
            self.ended.insert(key, memberships);
            self.next_to_drop.push_back(key);
            self.to_drop += count;
        }
        count
    }

    /// Number of subscriptions of ended sessions that are still to be dropped.
    pub fn to_drop(&self) -> usize {
        self.to_drop
    }

    /// Drops one subscription of an ended session. Returns its topic if that has no other subscription left; `None` if there
    /// was nothing to drop.
    pub fn drop_next(&mut self) -> Option<Option<Topic>> {
        let key = *self.next_to_drop.front()?;
        let memberships = self.ended.get_mut(&key)?;
        let left = memberships.pop()?;
        if memberships.is_empty() {
            self.ended.remove(&key);
            self.next_to_drop.pop_front();
        }
        self.to_drop -= 1;
        self.remove_from_list(left);
        Some(self.forget_if_empty(left.topic))
    }

    /// The topics that a session receives with positions, and the position up to which it has all the events that it wants.
    pub fn positions(&self, key: SessionKey) -> impl Iterator<Item = (&Topic, Position)> {
        let memberships = self.sessions.get(key).map_or(&[][..], Vec::as_slice);
        memberships
            .iter()
            .filter(|membership| matches!(membership.mode, DeliveryMode::Positioned | DeliveryMode::Tagged))
            .filter_map(|membership| {
                let members = &self.topics[membership.topic as usize];
                Some((&members.topic, members.position?))
            })
    }

    /// Records the position of a new event of a topic. Returns the sessions that receive it.
    pub fn of(&mut self, topic: &Topic, position: Position) -> Receivers<'_> {
        let members = self.index.get(topic).map(|at| &mut *self.topics[at]);
        Receivers(members.map(|members| {
            members.position = Some(position);
            &*members
        }))
    }

    /// The index of this topic in the session's memberships.
    fn find(&self, key: SessionKey, topic: &Topic) -> Option<usize> {
        let known = self.index.get(topic)?;
        self.sessions.get(key)?.iter().position(|membership| membership.topic as usize == known)
    }

    fn add(&mut self, key: SessionKey, topic: &Topic, mode: DeliveryMode, max: usize) -> Subscribed {
        if self.find(key, topic).is_some() {
            return Subscribed::Already;
        }
        // A session that has ended cannot subscribe.
        let Some(entry) = self.sessions.entry(key) else { return Subscribed::TooMany };
        let memberships = entry.or_default();
        if memberships.len() >= max {
            return Subscribed::TooMany;
        }
        let at = self.index.get(topic).unwrap_or_else(|| {
            let at = self.topics.insert(Box::new(Members::new(topic.clone())));
            self.most_since_shrunk = self.most_since_shrunk.max(self.topics.len());
            self.index.insert(topic.clone(), at);
            at
        });
        let members = &mut self.topics[at];
        let member = members.by_mode[mode as usize].push(key, narrow(memberships.len()));
        memberships.push(Membership { topic: narrow(at), member, mode });
        if members.is_single() { Subscribed::First } else { Subscribed::Another }
    }

    /// Moves a subscription to [`DeliveryMode::Tagged`] with these tags, or to [`DeliveryMode::Positioned`] without tags.
    fn move_to(&mut self, key: SessionKey, at: usize, tags: Option<Box<[Tag]>>) {
        self.change_mode(
            key,
            at,
            if tags.is_some() { DeliveryMode::Tagged } else { DeliveryMode::Positioned },
        );
        if let Some(tags) = tags {
            let topic = self.sessions[key][at].topic as usize;
            self.topics[topic].tag_index.get_or_insert_default().insert(key, tags);
        }
    }

    fn change_mode(&mut self, key: SessionKey, at: usize, mode: DeliveryMode) {
        let membership = self.sessions[key][at];
        self.remove_from_list(membership);
        let list = &mut self.topics[membership.topic as usize].by_mode[mode as usize];
        let member = list.push(key, narrow(at));
        self.sessions[key][at] = Membership { topic: membership.topic, member, mode };
    }

    /// Removes a subscription from the topic's list.
    fn remove_from_list(&mut self, Membership { topic, member, mode }: Membership) {
        let members = &mut self.topics[topic as usize];
        let list = &mut members.by_mode[mode as usize];
        let session = list.swap_remove(member);
        if let Some((moved, membership)) = list.get(member)
            && let Some(memberships) = self.sessions.get_mut(moved).or_else(|| self.ended.get_mut(&moved))
        {
            memberships[membership as usize].member = member;
        }
        if mode == DeliveryMode::Tagged
            && let Some(index) = &mut members.tag_index
        {
            index.remove(session);
            if index.tags.is_empty() {
                members.tag_index = None;
            }
        }
    }

    /// Removes a subscription from both lists. Returns the topic if that was its last subscription.
    fn remove(&mut self, key: SessionKey, membership: usize) -> Option<Topic> {
        let left = self.sessions[key][membership];
        self.remove_from_list(left);
        self.sessions[key].swap_remove(membership);
        if let Some(moved) = self.sessions[key].get(membership) {
            let list = &mut self.topics[moved.topic as usize].by_mode[moved.mode as usize];
            list.memberships[moved.member as usize] = narrow(membership);
        }
        self.forget_if_empty(left.topic)
    }

    /// Removes a topic without subscribers and returns it.
    fn forget_if_empty(&mut self, topic: u32) -> Option<Topic> {
        if !self.topics[topic as usize].is_empty() {
            return None;
        }
        let Members { topic, .. } = *self.topics.remove(topic as usize);
        self.index.remove(&topic);
        let len = self.topics.len();
        if len < self.topics.capacity() / SPARSE && len < self.most_since_shrunk / 2 {
            self.topics.shrink_to_fit();
            self.most_since_shrunk = len;
        }
        Some(topic)
    }
}

impl<'a> Receivers<'a> {
    /// Sessions that receive it as in WAMP v1.
    pub fn plain(self) -> &'a [SessionKey] {
        self.in_mode(DeliveryMode::Plain)
    }

    /// Sessions that receive it with its position, whatever its tags.
    pub fn positioned(self) -> &'a [SessionKey] {
        self.in_mode(DeliveryMode::Positioned)
    }

    /// Whether any session wants only certain tags.
    pub fn has_tagged(self) -> bool {
        self.0.is_some_and(|members| members.tag_index.is_some())
    }

    /// Sessions that want only certain tags, whichever.
    pub fn tagged(self) -> &'a [SessionKey] {
        self.in_mode(DeliveryMode::Tagged)
    }

    /// Sessions that want this tag.
    pub fn tagged_with(self, tag: Tag) -> impl Iterator<Item = SessionKey> + use<'a> {
        let index = self.0.and_then(|members| members.tag_index.as_ref());
        let lowest = SessionKey::from(KeyData::from_ffi(0));
        index.into_iter().flat_map(move |index| {
            let all = index.sessions.range((tag, lowest)..);
            all.take_while(move |(other, _)| *other == tag).map(|(_, session)| *session)
        })
    }

    fn in_mode(self, mode: DeliveryMode) -> &'a [SessionKey] {
        self.0.map_or(&[], |members| &members.by_mode[mode as usize].sessions)
    }
}

impl Members {
    fn new(topic: Topic) -> Self {
        Self { topic, by_mode: std::array::from_fn(|_| List::default()), tag_index: None, position: None }
    }

    fn is_empty(&self) -> bool {
        self.by_mode.iter().all(|list| list.sessions.is_empty())
    }

    fn is_single(&self) -> bool {
        self.by_mode.iter().map(|list| list.sessions.len()).sum::<usize>() == 1
    }
}

impl List {
    /// Adds a session and returns its index.
    fn push(&mut self, session: SessionKey, membership: u32) -> u32 {
        self.sessions.push(session);
        self.memberships.push(membership);
        narrow(self.sessions.len() - 1)
    }

    fn get(&self, at: u32) -> Option<(SessionKey, u32)> {
        Some((*self.sessions.get(at as usize)?, self.memberships[at as usize]))
    }

    /// Removes an element; the last one takes its place.
    fn swap_remove(&mut self, at: u32) -> SessionKey {
        self.memberships.swap_remove(at as usize);
        self.sessions.swap_remove(at as usize)
    }
}

impl TagIndex {
    fn insert(&mut self, key: SessionKey, tags: Box<[Tag]>) {
        self.sessions.extend(tags.iter().map(|tag| (*tag, key)));
        self.tags.insert(key, tags);
    }

    fn remove(&mut self, key: SessionKey) {
        for tag in self.tags.remove(&key).unwrap_or_default() {
            self.sessions.remove(&(tag, key));
        }
    }
}

/// Converts an index of a list of sessions or topics. There are fewer than 2^32 of each.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("there are fewer")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
    fn the_first_and_the_last_subscription_of_a_topic_are_reported() {
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
        assert_eq!(subscribers.queue_drops(first), 1);
        assert_eq!(subscribers.drop_next(), Some(Some(topic(2))));
        assert_eq!((subscribers.drop_next(), subscribers.to_drop()), (None, 0));
        assert!(subscribers.index.is_empty() && subscribers.topics.is_empty());
    }

    #[test]
    fn subscribing_to_a_topic_with_pending_drops_keeps_it_and_is_not_its_first_subscription() {
        let mut subscribers = Subscribers::default();
        let mut places = SlotMap::with_key();
        let former = places.insert(());
        for number in 0..3 {
            subscribers.subscribe(former, &topic(number), 3);
        }
        assert_eq!(subscribers.queue_drops(former), 3);
        places.remove(former);
        let other = places.insert(());
        assert_eq!(subscribers.subscribe(other, &topic(1), 3), Subscribed::Another);
        let dropped: Vec<_> = std::iter::from_fn(|| subscribers.drop_next()).collect();
        assert_eq!(dropped, [Some(topic(2)), None, Some(topic(0))]);
        assert_eq!(subscribers.of(&topic(1), Position::UNKNOWN).plain(), [other]);
        assert_eq!(subscribers.unsubscribe(other, &topic(1)), Some(true));
    }

    #[test]
    fn the_list_of_topics_is_shrunk_once_for_each_halving() {
        const TOPICS: usize = 64 * SPARSE;
        let mut subscribers = Subscribers::default();
        let [session] = sessions::<1>();
        for number in 0..TOPICS {
            subscribers.subscribe(session, &topic(number), TOPICS);
        }
        // The last places stay in use, so the list keeps its size.
        let last = TOPICS - 2 * SPARSE;
        for number in 0..last {
            subscribers.unsubscribe(session, &topic(number));
        }
        let capacity = subscribers.topics.capacity();
        assert!(capacity >= TOPICS);
        subscribers.unsubscribe(session, &topic(TOPICS - 1));
        assert_eq!(subscribers.topics.capacity(), capacity, "one topic less is no reason to walk the list");
        for number in last..TOPICS - 1 {
            subscribers.unsubscribe(session, &topic(number));
        }
        assert!(subscribers.topics.capacity() < capacity);
    }

    /// How a session of the model receives a topic.
    #[derive(Clone, Debug, PartialEq)]
    enum Model {
        Awaiting,
        Plain,
        Positioned,
        Tagged(BTreeSet<u8>),
    }

    fn set(sessions: &[SessionKey]) -> BTreeSet<SessionKey> {
        sessions.iter().copied().collect()
    }

    fn tag(name: u8) -> Tag {
        Tag::new(&name.to_string())
    }

    proptest! {
        #[test]
        fn both_directions_always_agree(
            steps in proptest::collection::vec(
                (0_usize..9, 0_usize..6, 0_usize..6, proptest::collection::btree_set(0_u8..4, 0..3)),
                1..200,
            ),
        ) {
            let mut subscribers = Subscribers::default();
            let mut places = SlotMap::<SessionKey, ()>::with_key();
            let mut keys = [(); 6].map(|()| places.insert(()));
            // Topics of those that have ended, in the order in which they are dropped.
            let mut ended: VecDeque<usize> = VecDeque::new();
            let mut model: BTreeMap<(usize, SessionKey), Model> = BTreeMap::new();
            for (action, session, number, names) in steps {
                let key = keys[session];
                let at = (number, key);
                let tags = || Some(names.iter().copied().map(tag).collect());
                match action {
                    0 => {
                        subscribers.subscribe(key, &topic(number), 100);
                        model.entry(at).or_insert(Model::Plain);
                    }
                    1 => {
                        subscribers.unsubscribe(key, &topic(number));
                        model.remove(&at);
                    }
                    2 => {
                        subscribers.await_recovery(key, &topic(number), 100);
                        model.entry(at).or_insert(Model::Awaiting);
                    }
                    3 => {
                        let tags = if names.is_empty() { None } else { tags() };
                        let is_tagged = tags.is_some();
                        subscribers.settle(key, &topic(number), tags, Position::UNKNOWN);
                        if let Some(mode) = model.get_mut(&at) {
                            *mode = if is_tagged { Model::Tagged(names) } else { Model::Positioned };
                        }
                    }
                    4 => {
                        let known = matches!(model.get(&at), Some(Model::Positioned | Model::Tagged(_)));
                        prop_assert_eq!(subscribers.set_tags(key, &topic(number), tags()), known);
                        if known {
                            model.insert(at, Model::Tagged(names));
                        }
                    }
                    5 => {
                        let was_awaiting = model.get(&at) == Some(&Model::Awaiting);
                        prop_assert_eq!(subscribers.cancel_recovery(key, &topic(number)).is_some(), was_awaiting);
                        if was_awaiting {
                            model.remove(&at);
                        }
                    }
                    6 => {
                        let mut suspended = subscribers.suspend(&topic(number));
                        suspended.retain(|key| places.contains_key(*key));
                        let with_positions = model.iter_mut().filter(|((of, _), mode)| {
                            *of == number && matches!(mode, Model::Positioned | Model::Tagged(_))
                        });
                        let mut expected = BTreeSet::new();
                        for ((_, key), mode) in with_positions {
                            *mode = Model::Awaiting;
                            expected.insert(*key);
                        }
                        prop_assert_eq!(set(&suspended), expected);
                    }
                    7 => {
                        let topics = model.keys().filter(|(_, other)| *other == key).count();
                        prop_assert_eq!(subscribers.queue_drops(key), topics);
                        ended.extend(std::iter::repeat_n(session, topics));
                        model.retain(|(_, other), _| *other != key);
                        // The next one has its place.
                        places.remove(key);
                        keys[session] = places.insert(());
                    }
                    _ => {
                        prop_assert_eq!(subscribers.drop_next().is_some(), ended.pop_front().is_some());
                    }
                }
                prop_assert_eq!(subscribers.to_drop(), ended.len());
                for number in 0..6 {
                    let with = |is: &dyn Fn(&Model) -> bool| -> BTreeSet<SessionKey> {
                        let all = model.iter().filter(|((of, _), mode)| *of == number && is(mode));
                        all.map(|((_, key), _)| *key).collect()
                    };
                    let set = |keys: &[SessionKey]| -> BTreeSet<SessionKey> {
                        keys.iter().filter(|key| places.contains_key(**key)).copied().collect()
                    };
                    let receivers = subscribers.of(&topic(number), Position::UNKNOWN);
                    prop_assert_eq!(set(receivers.plain()), with(&|mode| *mode == Model::Plain));
                    prop_assert_eq!(
                        set(receivers.positioned()),
                        with(&|mode| *mode == Model::Positioned)
                    );
                    let tagged = with(&|mode| matches!(mode, Model::Tagged(_)));
                    prop_assert!(receivers.has_tagged() || tagged.is_empty());
                    prop_assert_eq!(set(receivers.tagged()), tagged);
                    for name in 0..4 {
                        let wanted = with(&|mode| matches!(mode, Model::Tagged(names) if names.contains(&name)));
                        let with_tag: Vec<_> = receivers.tagged_with(tag(name)).collect();
                        prop_assert_eq!(set(&with_tag), wanted);
                    }
                }
            }
            for key in keys {
                subscribers.queue_drops(key);
            }
            while subscribers.drop_next().is_some() {}
            prop_assert!(subscribers.index.is_empty() && subscribers.topics.is_empty());
        }
    }
}
