//! Maps the names of a shard's topics to their indices in its list of topics.
//!
//! Uses many small maps instead of a large one. A map that grows or shrinks moves all its entries at once: with 100,000 topics
//! in one map, all sessions of the shard would be delayed by milliseconds. Memory is released when few topics are left.

use std::collections::HashMap;

use orosync_protocol::Topic;

/// Number of maps.
const STRIPES: usize = 256;

/// A map is shrunk when its capacity is this many times its length. The factor keeps shrinking rare.
const SPARSE: usize = 16;

/// Multiplier that spreads what differs over the highest bits (Knuth's multiplicative hashing).
const HASH_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The index of each topic, by name.
#[derive(Debug)]
pub(super) struct TopicIndex(Box<[HashMap<Topic, usize>]>);

impl Default for TopicIndex {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| HashMap::new()).collect())
    }
}

impl TopicIndex {
    /// The index of this topic.
    pub(super) fn get(&self, topic: &Topic) -> Option<usize> {
        self.0[stripe(topic)].get(topic).copied()
    }

    /// Adds a new topic with its index.
    pub(super) fn insert(&mut self, topic: Topic, at: usize) {
        self.0[stripe(&topic)].insert(topic, at);
    }

    /// Removes a topic.
    pub(super) fn remove(&mut self, topic: &Topic) {
        let map = &mut self.0[stripe(topic)];
        map.remove(topic);
        if map.len() < map.capacity() / SPARSE {
            map.shrink_to(2 * map.len());
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(HashMap::is_empty)
    }

    /// Number of entries of the largest map.
    #[cfg(test)]
    pub(super) fn largest(&self) -> usize {
        self.0.iter().map(HashMap::len).max().unwrap_or_default()
    }

    /// Total capacity of the maps.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.iter().map(HashMap::capacity).sum()
    }
}

/// The number of the map that holds this topic. Names that are chosen to collide only make one map large.
fn stripe(topic: &Topic) -> usize {
    let (chunks, rest) = topic.as_str().as_bytes().as_chunks();
    let mix = |hash: u64, part: u64| (hash.rotate_left(5) ^ part).wrapping_mul(HASH_MULTIPLIER);
    let hash = chunks.iter().fold(0, |hash, chunk| mix(hash, u64::from_be_bytes(*chunk)));
    let hash = mix(hash, rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte)));
    #[expect(clippy::cast_possible_truncation, reason = "eight bits")]
    let highest = (hash >> (u64::BITS - STRIPES.ilog2())) as usize;
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_names_are_spread_over_the_maps_and_their_memory_is_released() {
        for end in ["", "/status", "/notifications"] {
            let topic = |number: usize| Topic::parse(&format!("acme/order/{number}{end}")).unwrap();
            let mut index = TopicIndex::default();
            for number in 0..100_000 {
                index.insert(topic(number), number);
            }
            assert!(index.largest() < 1000, "{end}: {}", index.largest());
            assert_eq!(index.get(&topic(99_999)), Some(99_999));
            assert_eq!(index.get(&Topic::parse("a").unwrap()), None);
            for number in 0..100_000 {
                index.remove(&topic(number));
            }
            assert!(index.is_empty());
            assert!(index.capacity() < 256 * SPARSE, "{end}: {}", index.capacity());
        }
    }
}
