//! The names of keys and channels in Redis. All names of a cluster of nodes begin with its prefix, which nothing else may use.
//!
//! | key or channel | content |
//! | --- | --- |
//! | `P:{N}:e:TOPIC` | list: the topic's entries ([`super::record`]) |
//! | `P:{N}:h:TOPIC` | string: its head, written by `scripts/publish.lua`: the topic's position and the size of its entries |
//! | `P:{N}:p:PUBLISHER` | string: the highest number accepted from a publisher in this partition |
//! | `P:{N}:c:TOPIC` | channel: its entries, pushed when they are accepted |
//! | `P:{N}:t:TICKET` | string: the nonce of the ticket's only use |
//! | `P:{N}:epoch` | string: the time since which this Redis process has lost nothing, and its run id |
//! | `P:{N}:id`, `P:{N}:secret` | strings: the id of the cluster, and the id of its secret |
//! | `P:{N}:nodes` | hash: the nodes, with their descriptions |
//! | `P:{N}:n:NODE` | channel: the canaries of a node |
//! | `P:{N}:trial:KIND` | keys for the permission check of a node ([`super::rights`]) |
//!
//! `{N}` is the partition's hash tag, so that all keys of one script call are in the same slot of a Redis Cluster.

use orosync_protocol::{PublisherId, Topic, disconnect};

use super::fnv1a::fnv1a;

/// Builds the names for a prefix and a number of partitions.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    hash_tags: Vec<String>,
}

/// The hash tags of a Cluster's partitions: number n is in slot [`Partition::slot`] of n. Changing the table would move topics.
#[rustfmt::skip]
const HASH_TAGS: [&str; 64] = [
    "53t", "j3j", "if5", "kec", "574", "74b", "akm", "6bk", "96a", "frw", "0ip", "oin", "d1i", "38o", "0m0", "xw",
    "he6", "box", "40w", "c9q", "hav", "7ah", "447", "67a", "1js", "fcu", "0xr", "m5", "1n3", "3me", "e2j", "iu",
    "712", "52d", "cmk", "4dm", "75r", "h5l", "02bb", "ice", "3y7", "1za", "2k6", "8ax", "wu7", "931", "yg", "8e8",
    "7d8", "5gn", "621", "41g", "jc0", "qkn", "66q", "i6o", "3h5", "1kc", "2z4", "0yb", "3lu", "des", "he", "802",
];

/// Number of slots of a Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The number of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition(pub(super) usize);

impl Partition {
    /// The partition of tickets, disconnects and nodes.
    pub(super) const CONTROL: Self = Self(0);

    /// The partition's slot in a Cluster: the middle of its share, because slots are usually assigned in large ranges.
    pub(super) fn slot(self) -> u16 {
        const SHARE: usize = SLOTS as usize / HASH_TAGS.len();
        u16::try_from(self.0 * SHARE + SHARE / 2).unwrap_or(SLOTS)
    }
}

impl Keys {
    /// Names with this prefix on a single primary, which has one partition.
    pub(super) fn single(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), hash_tags: vec!["0".to_owned()] }
    }

    /// Names with this prefix in a Cluster.
    pub(super) fn cluster(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), hash_tags: HASH_TAGS.map(str::to_owned).to_vec() }
    }

    /// All partitions.
    pub(super) fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.hash_tags.len()).map(Partition)
    }

    /// The partition of a topic.
    pub(super) fn partition(&self, topic: &Topic) -> Partition {
        if topic.as_str() == disconnect::TOPIC {
            return Partition::CONTROL;
        }
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let index = fnv1a(topic.as_str()) as usize;
        Partition(index % self.hash_tags.len())
    }

    pub(super) fn entries(&self, topic: &Topic) -> String {
        self.of_topic(topic, 'e')
    }

    pub(super) fn head(&self, topic: &Topic) -> String {
        self.of_topic(topic, 'h')
    }

    pub(super) fn channel(&self, topic: &Topic) -> String {
        self.of_topic(topic, 'c')
    }

    /// The topic that a channel belongs to.
    pub(super) fn topic(&self, channel: &str) -> Option<Topic> {
        let (_, name) = channel.strip_prefix(&self.prefix)?.strip_prefix(":{")?.split_once("}:c:")?;
        Topic::parse(name).ok()
    }

    pub(super) fn number(&self, publisher: PublisherId, partition: Partition) -> String {
        self.name(partition, &format!("p:{publisher}"))
    }

    pub(super) fn ticket(&self, id: &str) -> String {
        self.name(Partition::CONTROL, &format!("t:{id}"))
    }

    pub(super) fn epoch(&self, partition: Partition) -> String {
        self.name(partition, "epoch")
    }

    pub(super) fn id(&self, partition: Partition) -> String {
        self.name(partition, "id")
    }

    pub(super) fn secret(&self, partition: Partition) -> String {
        self.name(partition, "secret")
    }

    pub(super) fn nodes(&self, partition: Partition) -> String {
        self.name(partition, "nodes")
    }

    pub(super) fn canary(&self, partition: Partition, node: &str) -> String {
        self.name(partition, &format!("n:{node}"))
    }

    /// The key for a permission check at the start.
    pub(super) fn trial(&self, partition: Partition, kind: &str) -> String {
        self.name(partition, &format!("trial:{kind}"))
    }

    /// The pattern of all names.
    pub(super) fn all(&self) -> String {
        format!("{}:*", self.prefix)
    }

    fn of_topic(&self, topic: &Topic, kind: char) -> String {
        self.name(self.partition(topic), &format!("{kind}:{}", topic.as_str()))
    }

    fn name(&self, partition: Partition, rest: &str) -> String {
        format!("{}:{{{}}}:{rest}", self.prefix, self.hash_tags[partition.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_contains_its_topic_whatever_the_topic_contains() {
        for keys in [Keys::single("acme:crm"), Keys::cluster("acme:crm")] {
            for name in ["oro/data/update", "a}:c:b", "{x}", "ä ö"] {
                let topic = Topic::parse(name).unwrap();
                assert_eq!(keys.topic(&keys.channel(&topic)), Some(topic));
            }
        }
        let keys = Keys::single("acme:crm");
        assert_eq!(keys.channel(&Topic::parse("t").unwrap()), "acme:crm:{0}:c:t");
        assert_eq!(keys.topic(&keys.canary(Partition::CONTROL, "x")), None);
        assert_eq!(keys.topic("other:{0}:c:t"), None);
    }

    #[test]
    fn the_partitions_of_a_cluster_are_spread_evenly_over_its_slots() {
        let keys = Keys::cluster("p");
        let slots: Vec<_> = keys.partitions().map(Partition::slot).collect();
        assert_eq!((slots.len(), slots[0], slots[63]), (64, 128, SLOTS - 128));
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 256));
        let topic = |number: usize| Topic::parse(&format!("oro/data/update.{number}")).unwrap();
        let used: std::collections::HashSet<_> =
            (0..1000).map(|number| keys.partition(&topic(number))).collect();
        assert_eq!(used.len(), 64);
    }
}
