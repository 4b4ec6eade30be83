//! Pages of a back office: each shows five records as content tags and receives saves. A save names the record and its list, as
//! OroPlatform's content tags do.
//!
//! Pages form groups that show the same records, so the receivers of each message are known. What [`crate::wire`] calls the
//! number of a topic is the number of a group here. Records have four digits, `0000` to `9999`.

use orosync_protocol::link_frame::{Message, PublishEncoder};
use orosync_protocol::{Audience, Payload, Seq, Topic};

use crate::wire::{Counting, Step, Tickets, Wire, frame, page, resp, upgrade};

/// Records per page.
pub const TAGS: usize = 5;

/// Pages per group.
pub const GROUP: usize = 5;

/// The topic of all saves.
const TOPIC: &str = "oro/data/update";

/// The channel of the list that contains every record; no page here shows it.
const LIST: &str = "list";

/// The way a save reaches the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Orosync: one topic; pages subscribe with their tags.
    Tags,
    /// Orosync without tags: every page gets every save, with its position.
    Positions,
    /// Orosync: one topic; every page gets every save, as with OroPlatform's JavaScript.
    Broadcast,
    /// A channel per tag; a page subscribes by its URL, as with [`Wire::Plain`].
    PlainChannels,
    /// A Redis channel per tag.
    RedisChannels,
}

impl Pages {
    /// The steps by which a page of this group opens its session.
    pub(crate) fn subscriber(self, group: usize, tickets: &mut Tickets) -> Vec<Step> {
        match self {
            Self::Tags => {
                let tags: Vec<String> = records(group).map(|record| tag(&record)).collect();
                by_call(&serde_json::json!({ "tags": tags }), tickets)
            }
            Self::Positions => by_call(&serde_json::json!({}), tickets),
            Self::Broadcast => {
                let mut say = page(tickets);
                frame(&mut say, 1, format!(r#"[5,"{TOPIC}"]"#).as_bytes());
                frame(&mut say, 1, br#"[2,"ready","orosync/session"]"#);
                vec![Step { say, until: br#"[3,"ready","# }]
            }
            Self::PlainChannels => {
                let channels = records(group).collect::<Vec<_>>().join(",");
                vec![Step { say: upgrade(&format!("/sub/{channels}"), ""), until: b"\r\n\r\n" }]
            }
            Self::RedisChannels => {
                let channels: Vec<String> = records(group).collect();
                let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
                words.extend(channels.iter().map(String::as_bytes));
                vec![Step { say: resp(&words), until: b":5\r\n" }]
            }
        }
    }

    /// The protocol of the publisher's connection.
    pub(crate) fn publisher(self) -> Wire {
        match self {
            Self::Tags | Self::Positions | Self::Broadcast => Wire::Orosync,
            Self::PlainChannels => Wire::Plain,
            Self::RedisChannels => Wire::Redis,
        }
    }

    /// Appends saves, each of a record that its group shows.
    pub(crate) fn publish(
        self,
        first: u64,
        groups: impl Iterator<Item = usize>,
        bytes: usize,
        out: &mut Vec<u8>,
    ) {
        let saves = (first..).zip(groups).map(|(number, group)| record(group, number));
        match self {
            Self::Tags | Self::Positions | Self::Broadcast => {
                let Some(seq) = Seq::new(first + 1) else { return };
                let mut encoder = PublishEncoder::new(seq, bytes);
                for record in saves {
                    encoder.push(&Message {
                        topic: Topic::parse(TOPIC).expect("a constant"),
                        payload: Payload::from_encoder(save(&record, bytes).into()).expect("short enough"),
                        audience: Audience::default(),
                    });
                }
                frame(out, 2, &encoder.finish());
            }
            // The publisher does not know which of the two a page shows.
            Self::PlainChannels => {
                for channel in saves.flat_map(|record| [record, LIST.to_owned()]) {
                    frame(out, 1, format!("{channel:x<bytes$}").as_bytes());
                }
            }
            Self::RedisChannels => {
                for channel in saves.flat_map(|record| [record, LIST.to_owned()]) {
                    out.extend(resp(&[
                        b"PUBLISH",
                        channel.as_bytes(),
                        format!("{:x<bytes$}", "").as_bytes(),
                    ]));
                }
            }
        }
    }

    /// How deliveries of saves of this size are counted.
    pub(crate) fn counting(self, bytes: usize) -> Counting {
        match self {
            Self::RedisChannels => Wire::Redis.counting(bytes),
            _ => Counting::Frames(bytes),
        }
    }
}

/// A page that subscribes by `orosync/subscribe`.
fn by_call(options: &serde_json::Value, tickets: &mut Tickets) -> Vec<Step> {
    let mut say = page(tickets);
    let call = format!(r#"[2,"ready","orosync/subscribe","{TOPIC}",{options}]"#);
    frame(&mut say, 1, call.as_bytes());
    vec![Step { say, until: br#"[3,"ready","# }]
}

fn records(group: usize) -> impl Iterator<Item = String> {
    (0..TAGS).map(move |place| format!("{:04}", group * TAGS + place))
}

/// The record of a group that message `number` saves; the records take turns.
fn record(group: usize, number: u64) -> String {
    let place = usize::try_from(number % TAGS as u64).unwrap_or_default();
    format!("{:04}", group * TAGS + place)
}

fn tag(record: &str) -> String {
    format!("App_Entity_Contact_{record}")
}

/// OroPlatform's payload for a save, padded to this size by the user's name.
fn save(record: &str, bytes: usize) -> String {
    let of = |user: &str| {
        let entry = |tag: String| serde_json::json!({ "username": user, "tagname": tag });
        serde_json::json!([entry(tag(record)), entry("App_Entity_Contact_type_collection".to_owned())])
            .to_string()
    };
    let missing = bytes.saturating_sub(of("").len());
    of(&"x".repeat(missing / 2)) + if missing % 2 == 1 { " " } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_as_long_as_it_should_be_and_names_a_record_of_the_group() {
        for bytes in 130..140 {
            let text = save(&record(7, 3), bytes);
            assert_eq!(text.len(), bytes);
            let saved: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(saved[0]["tagname"], "App_Entity_Contact_0038");
        }
        assert!(records(7).any(|record| record == "0038"));
    }
}
