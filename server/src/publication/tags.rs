//! Content tags: names of pieces of content in the payload of `oro/data/update`.
//!
//! A tag is stored as a 64-bit hash. On a collision, a page also receives events about the other tag; it ignores them, because
//! it compares names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// Maximum number of content tags per subscription. A page that shows more receives all events.
pub const MAX_TAGS: usize = 200;

/// A content tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(u64);

/// The hasher, shared by all shards of a node.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Tag {
    /// The tag with this name.
    pub fn new(name: &str) -> Self {
        Self(HASHER.hash_one(name))
    }
}

/// `{"username": …, "tagname": …}`. Deserialized by hand, because derived code would accept a list as well.
struct Entry {
    tagname: String,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a tagname")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut tagname = None;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "tagname" {
                        tagname = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                tagname.map(|tagname| Entry { tagname }).ok_or_else(|| A::Error::missing_field("tagname"))
            }
        }

        deserializer.deserialize_map(EntryVisitor)
    }
}

/// The forms of the payload: a list of entries; an object with entries as values, as PHP encodes a list with gaps; or either
/// of them encoded as JSON twice, as in `OroPlatform` up to 2.6.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Entries {
    List(Vec<Entry>),
    Object(HashMap<String, Entry>),
    Encoded(String),
}

/// Whether a payload may be a list of tags, by its first byte.
pub fn may_name_tags(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(b'[' | b'{' | b'"'))
}

/// The tags in a payload, sorted and without duplicates. `None` if the payload has another form or contains no tag.
pub fn tags_of(payload: &[u8]) -> Option<Box<[Tag]>> {
    if !may_name_tags(payload) {
        return None;
    }
    let entries = match serde_json::from_slice(payload).ok()? {
        Entries::Encoded(text) => serde_json::from_str(&text).ok()?,
        entries => entries,
    };
    let entries: Vec<Entry> = match entries {
        Entries::List(list) => list,
        Entries::Object(object) => object.into_values().collect(),
        Entries::Encoded(_) => return None,
    };
    if entries.is_empty() {
        return None;
    }
    let mut tags: Vec<Tag> = entries.iter().map(|entry| Tag::new(&entry.tagname)).collect();
    tags.sort_unstable();
    tags.dedup();
    Some(tags.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Box<[Tag]> {
        let mut tags: Vec<Tag> = names.iter().map(|name| Tag::new(name)).collect();
        tags.sort_unstable();
        tags.into()
    }

    #[test]
    fn tags_are_found_in_lists_objects_and_double_encoded_json() {
        for payload in [
            r#"[{"username":"ben","tagname":"A_7"},{"username":null,"tagname":"B"},{"tagname":"A_7"}]"#,
            r#"{"0":{"username":"ben","tagname":"A_7"},"2":{"tagname":"B","more":[1]}}"#,
            r#""[{\"username\":\"ben\",\"tagname\":\"A_7\"},{\"tagname\":\"B\"}]""#,
        ] {
            assert_eq!(tags_of(payload.as_bytes()), Some(tags(&["A_7", "B"])), "{payload}");
        }
    }

    #[test]
    fn other_payloads_have_no_tags() {
        for payload in [
            "null",
            "[]",
            "{}",
            "\"\"",
            "\"[]\"",
            "17",
            "[1]",
            r#"{"tagname":"A_7"}"#,
            r#"[{"tagname":"A_7"},{"username":"ben"}]"#,
            r#"[{"tagname":7}]"#,
            r#"[["A_7"]]"#,
            r#"{"errors":["A_7"]}"#,
            r#""[[\"A_7\"]]""#,
            r#""\"[{\\\"tagname\\\":\\\"A\\\"}]\"""#,
        ] {
            assert_eq!(tags_of(payload.as_bytes()), None, "{payload}");
        }
    }
}
