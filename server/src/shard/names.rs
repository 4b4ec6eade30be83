//! The names of a shard's topics, and where each stands.
//!
//! Many small maps in place of a large one: a map that grows or shrinks moves all that it holds at once, and with a hundred
//! thousand topics in one map every session of the shard would wait for milliseconds. What many topics took is given back when
//! few are left.

use std::collections::HashMap;

use orosync_protocol::Topic;

/// How many maps.
const STRIPES: usize = 256;

/// A map that could hold this many times what it does is made smaller: seldom enough to cost nothing per topic.
const SPARSE: usize = 16;

/// Spreads the ends of names, which is where they differ, over the highest bits (Knuth's multiplicative hashing).
const SPREADING: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module.
#[derive(Debug)]
pub(super) struct Names(Box<[HashMap<Topic, usize>]>);

impl Default for Names {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| HashMap::new()).collect())
    }
}

impl Names {
    /// Where this topic stands.
    pub(super) fn get(&self, topic: &Topic) -> Option<usize> {
        self.0[stripe(topic)].get(topic).copied()
    }

    /// A topic that is new stands there.
    pub(super) fn insert(&mut self, topic: Topic, at: usize) {
        self.0[stripe(&topic)].insert(topic, at);
    }

    /// A topic is gone.
    pub(super) fn remove(&mut self, topic: &Topic) {
        let names = &mut self.0[stripe(topic)];
        names.remove(topic);
        if names.len() < names.capacity() / SPARSE {
            names.shrink_to(2 * names.len());
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(HashMap::is_empty)
    }

    /// What the fullest map holds.
    #[cfg(test)]
    pub(super) fn most_together(&self) -> usize {
        self.0.iter().map(HashMap::len).max().unwrap_or_default()
    }

    /// How many names there is room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.iter().map(HashMap::capacity).sum()
    }
}

/// Which map has this topic. Whoever chooses names that share one gains nothing but a large map.
fn stripe(topic: &Topic) -> usize {
    let name = topic.as_str().as_bytes();
    let end = name.last_chunk().map_or_else(
        || name.iter().fold(0, |end, byte| end << 8 | u64::from(*byte)),
        |chunk| u64::from_be_bytes(*chunk),
    );
    #[expect(clippy::cast_possible_truncation, reason = "eight bits")]
    let highest = (end.wrapping_mul(SPREADING) >> (u64::BITS - STRIPES.ilog2())) as usize;
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_names_are_never_moved_at_once_and_leave_nothing() {
        let topic = |number: usize| Topic::parse(&format!("acme/{number}")).unwrap();
        let mut names = Names::default();
        for number in 0..100_000 {
            names.insert(topic(number), number);
        }
        assert!(names.most_together() < 1000, "{}", names.most_together());
        assert_eq!(names.get(&topic(99_999)), Some(99_999));
        assert_eq!(names.get(&Topic::parse("a").unwrap()), None);
        for number in 0..100_000 {
            names.remove(&topic(number));
        }
        assert!(names.is_empty());
        assert!(names.capacity() < 256 * SPARSE, "{}", names.capacity());
    }
}
