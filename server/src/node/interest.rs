//! The shards that have subscribers of each topic. A shard registers with its first subscriber and unregisters with its last.
//!
//! Bound: the number of topics with subscribers, at most `limits.sessions` x `limits.subscriptions`.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::RwLock;

use orosync_protocol::Topic;

/// A set of shards, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// Maximum number of shards per node.
    pub const MAX_SHARDS: usize = u64::BITS as usize;

    /// The numbers of the shards in the set.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX_SHARDS).filter(move |shard| self.0 & (1 << shard) != 0)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The shards with subscribers, by topic. Lock striping reduces contention between subscribing shards.
#[derive(Debug)]
pub struct Interest {
    hasher: std::hash::RandomState,
    stripes: [RwLock<HashMap<Topic, ShardSet>>; STRIPES],
}

/// Number of stripes. It is high because a map that grows or shrinks moves all its entries while shards wait for its lock.
const STRIPES: usize = 256;

/// A stripe is shrunk when its capacity is this many times its length. The factor keeps shrinking rare.
const SPARSE: usize = 16;

impl Interest {
    /// A table without subscribers.
    pub fn new() -> Self {
        Self { hasher: std::hash::RandomState::new(), stripes: std::array::from_fn(|_| RwLock::default()) }
    }

    /// The shards with subscribers of `topic`.
    pub fn shards(&self, topic: &Topic) -> ShardSet {
        read(self.stripe(topic)).get(topic).copied().unwrap_or_default()
    }

    /// Registers `shard` with its first subscriber of `topic`.
    pub fn add(&self, topic: &Topic, shard: usize) {
        let mut stripe = write(self.stripe(topic));
        stripe.entry(topic.clone()).or_default().0 |= 1 << shard;
    }

    /// Unregisters `shard` after its last subscriber of `topic`.
    pub fn remove(&self, topic: &Topic, shard: usize) {
        let mut stripe = write(self.stripe(topic));
        if let Some(set) = stripe.get_mut(topic) {
            set.0 &= !(1 << shard);
            if set.is_empty() {
                stripe.remove(topic);
                if stripe.len() < stripe.capacity() / SPARSE {
                    let few = 2 * stripe.len();
                    stripe.shrink_to(few);
                }
            }
        }
    }

    fn stripe(&self, topic: &Topic) -> &RwLock<HashMap<Topic, ShardSet>> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.hasher.hash_one(topic) as usize;
        &self.stripes[hash % STRIPES]
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}

// A panic while a stripe is locked leaves a consistent map, because each change is a single operation.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_removed_with_its_last_shard() {
        let interest = Interest::new();
        let topic = Topic::parse("t").unwrap();
        assert!(interest.shards(&topic).is_empty());
        interest.add(&topic, 0);
        interest.add(&topic, 63);
        assert_eq!(interest.shards(&topic).iter().collect::<Vec<_>>(), [0, 63]);
        interest.remove(&topic, 0);
        interest.remove(&topic, 5);
        assert_eq!(interest.shards(&topic).iter().collect::<Vec<_>>(), [63]);
        interest.remove(&topic, 63);
        assert!(interest.stripes.iter().all(|stripe| read(stripe).is_empty()));
    }
}
