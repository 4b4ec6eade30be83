//! The slot map of a Cluster, as one of its nodes reports it (`CLUSTER SLOTS`).

use redis::{FromRedisValue as _, Value};

use super::address::ServerAddress;

/// The ranges of slots, with the primary of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// The first and last slot of each range, and its primary.
    ranges: Vec<(u16, u16, ServerAddress)>,
    /// All nodes that serve slots: primaries, and replicas that may become one.
    pub(super) nodes: Vec<ServerAddress>,
}

impl SlotMap {
    /// Parses the answer of a node. A node that is reported without a host has `host`.
    ///
    /// `None`: the answer is invalid.
    pub(super) fn parse(answer: &Value, host: &str) -> Option<Self> {
        let mut map = Self::default();
        let Value::Array(ranges) = answer else { return None };
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [first, last, nodes @ ..] = range.as_slice() else { return None };
            let (first, last) = (number(first)?, number(last)?);
            for (nth, node) in nodes.iter().enumerate() {
                let address = address(node, host)?;
                if nth == 0 {
                    map.ranges.push((first, last, address.clone()));
                }
                if !map.nodes.contains(&address) {
                    map.nodes.push(address);
                }
            }
        }
        Some(map)
    }

    /// The primary of a slot. `None`: no primary serves it.
    pub(super) fn primary(&self, slot: u16) -> Option<&ServerAddress> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        Some(&range.2)
    }
}

fn number(value: &Value) -> Option<u16> {
    let Value::Int(number) = value else { return None };
    u16::try_from(*number).ok()
}

/// Parses a node. Host and port come first; an id and other names follow, depending on the version.
fn address(node: &Value, default_host: &str) -> Option<ServerAddress> {
    let Value::Array(node) = node else { return None };
    let [host, port, ..] = node.as_slice() else { return None };
    let host = Option::<String>::from_redis_value_ref(host).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    Some(ServerAddress::Tcp(host.unwrap_or_else(|| default_host.to_owned()), number(port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"07c37df".to_vec());
        Value::Array(vec![host, Value::Int(port), id, Value::Array(Vec::new())])
    }

    fn host(host: &str) -> Value {
        Value::BulkString(host.as_bytes().to_vec())
    }

    #[test]
    fn the_first_node_of_a_range_is_its_primary() {
        let ranges = vec![
            Value::Array(vec![
                Value::Int(0),
                Value::Int(8000),
                node(host("10.0.0.1"), 6379),
                node(host("10.0.0.2"), 6380),
            ]),
            Value::Array(vec![Value::Int(8002), Value::Int(16383), node(Value::Nil, 6381)]),
        ];
        let map = SlotMap::parse(&Value::Array(ranges), "seed").unwrap();
        let at = |slot| map.primary(slot).map(ToString::to_string);
        assert_eq!(at(0).as_deref(), Some("10.0.0.1:6379"));
        assert_eq!(at(8000).as_deref(), Some("10.0.0.1:6379"));
        assert_eq!(at(8001), None, "no primary serves it");
        assert_eq!(at(16_383).as_deref(), Some("seed:6381"), "a node that reports itself without an address");
        assert_eq!(map.nodes.len(), 3);
    }

    #[test]
    fn an_invalid_slot_map_is_rejected() {
        for answer in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![Value::Int(0)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(70_000), node(host("a"), 1)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(7), node(host("a"), 70_000)])]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(7), Value::Int(9)])]),
        ] {
            assert_eq!(SlotMap::parse(&answer, "seed"), None, "{answer:?}");
        }
        assert_eq!(SlotMap::parse(&Value::Array(Vec::new()), "seed"), Some(SlotMap::default()));
    }
}
