//! Content tags: which pieces of content an event speaks of, as the payload of `oro/data/update` names them.
//!
//! A tag is kept as 64 bits of its hash. Two tags of the same hash would cost a page that shows one of them an event that
//! speaks of the other, which it passes over: it compares names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// The most content tags of one subscription: a page that shows more takes all events.
pub const MAX_TAGS: usize = 200;

/// A content tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(u64);

/// The same for all shards of a node.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Tag {
    /// That of this name.
    pub fn new(name: &str) -> Self {
        Self(HASHER.hash_one(name))
    }
}

/// `{"username": …, "tagname": …}`: an object, where serde would take a list as well.
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

/// A list of entries; an object with such values, which is what PHP makes of a list with gaps; or, as up to `OroPlatform` 2.6,
/// either of them encoded as JSON once more.
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

/// The tags that a payload names, each once and in order; none if it is anything else, or names none.
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
    fn lists_objects_and_what_is_encoded_twice_name_tags() {
        for payload in [
            r#"[{"username":"ben","tagname":"A_7"},{"username":null,"tagname":"B"},{"tagname":"A_7"}]"#,
            r#"{"0":{"username":"ben","tagname":"A_7"},"2":{"tagname":"B","more":[1]}}"#,
            r#""[{\"username\":\"ben\",\"tagname\":\"A_7\"},{\"tagname\":\"B\"}]""#,
        ] {
            assert_eq!(tags_of(payload.as_bytes()), Some(tags(&["A_7", "B"])), "{payload}");
        }
    }

    #[test]
    fn anything_else_names_none() {
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
