//! Drives histories of topics step by step and compares them with a model that forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use orosync_protocol::{Audience, Payload, Position, Topic};
use orosync_server::broker::history::topic::{EVENT_COST, Moment, Start, TopicHistory};
use orosync_server::broker::history::{History, HistoryRules};
use orosync_server::broker::{Recovered, Since};
use orosync_server::config::settings::HistorySettings;
use orosync_server::metrics::Metrics;
use orosync_server::policy::{HistoryLimits, Policies};
use orosync_server::publication::event_body::EventBody;

/// Of a node.
const TOPICS: usize = 6;

/// Positions with which clients of a topic reconnect: the first ones, so that old ones are among them.
const REMEMBERED: usize = 32;

/// What happens to the history of one topic.
#[derive(Arbitrary, Debug)]
pub enum TopicStep {
    /// An event of this size is accepted, where the topic may cost so much.
    Append { size: u16, max_cost: u16 },
    /// Time passes.
    Wait { milliseconds: u16 },
    /// What is too old is dropped.
    DropExpired,
    /// The node needs the room of the oldest event.
    DropOldest,
    /// Somebody asks for what came behind an offset.
    AskOffset { offset: u16, most: u8 },
    /// Somebody asks for what was accepted from then on.
    AskMoment { milliseconds: u32, most: u8 },
}

/// What happens to the histories of a node.
#[derive(Arbitrary, Debug)]
pub enum NodeStep {
    /// An event is accepted.
    Append { topic: u8, size: u16 },
    /// A client reads the position of a topic, to reconnect with it later.
    Remember { topic: u8 },
    /// A client reconnects with a position of this topic, or of another one.
    Recover { topic: u8, of: u8, which: u8, most: u8 },
    /// Somebody comes with a position that nobody has given.
    Forge { topic: u8, offset: u64, tag: u64 },
    /// Other rules hold.
    Follow { events: u8, bytes: u16 },
    /// The node looks at the clock.
    DropExpired,
}

/// Drives one topic. What was accepted is numbered from 1 on, and says its number.
pub fn drive_topic(max_events: u8, max_age_ms: u16, steps: Vec<TopicStep>) {
    let (max_events, max_age) = (usize::from(max_events), Duration::from_millis(max_age_ms.into()));
    let mut history = TopicHistory::new(topic(0), max_events, max_age, 0, None);
    let mut now = Moment::ZERO;
    let mut accepted: Vec<Moment> = Vec::new();
    for step in steps {
        match step {
            TopicStep::Append { size, max_cost } => {
                accepted.push(now);
                let offset = history.append(kept(accepted.len(), size), now, max_cost.into());
                assert_eq!(offset, accepted.len() as u64, "a hole");
                assert!(history.cost() <= max_cost.into() && history.count() <= max_events);
                assert!(
                    history.oldest().is_some_and(|oldest| now - oldest <= max_age || history.count() == 0)
                );
            }
            TopicStep::Wait { milliseconds } => now += Duration::from_millis(milliseconds.into()),
            TopicStep::DropExpired => {
                history.drop_expired(now);
                assert!(
                    history.count() == 0 || history.oldest().is_some_and(|oldest| now - oldest <= max_age)
                );
            }
            TopicStep::DropOldest => {
                let is_one_there = history.count() > 0;
                assert_eq!(history.drop_oldest(), is_one_there);
            }
            TopicStep::AskOffset { offset, most } => {
                let asked: Vec<usize> = (usize::from(offset) + 1..=accepted.len()).collect();
                let is_known = usize::from(offset) <= accepted.len();
                check_answer(&history, Start::Offset(offset.into()), most, is_known.then_some(&asked));
            }
            TopicStep::AskMoment { milliseconds, most } => {
                let moment = Duration::from_millis(milliseconds.into());
                let asked: Vec<usize> = (1..=accepted.len()).filter(|n| accepted[n - 1] >= moment).collect();
                check_answer(&history, Start::Moment(moment), most, Some(&asked));
            }
        }
        let cost: usize = history.latest(Start::Offset(0), usize::MAX, TAG).events.iter().map(cost).sum();
        assert_eq!(history.cost(), cost);
    }
}

/// Of the positions.
const TAG: u64 = 7;

/// The answer is the end of what was asked for, and complete exactly if it is all of that. What was asked for may be unknown.
fn check_answer(history: &TopicHistory, from: Start, most: u8, asked: Option<&Vec<usize>>) {
    let latest = history.latest(from, most.into(), TAG);
    assert!(latest.events.len() <= most.into());
    let answered: Vec<usize> = latest
        .events
        .iter()
        .map(|(position, kept)| {
            let number = number_of(kept);
            assert_eq!(*position, Position { offset: number as u64, tag: TAG }, "another event's position");
            number
        })
        .collect();
    match asked {
        Some(asked) => {
            assert!(asked.ends_with(&answered), "{answered:?} of {asked:?}");
            assert_eq!(latest.complete, answered == *asked, "{answered:?} of {asked:?}");
        }
        None => assert!(!latest.complete, "an offset that was never given"),
    }
}

/// Drives the histories of a node.
pub fn drive_node(bytes: u16, events: u8, steps: Vec<NodeStep>) {
    let metrics = Arc::new(Metrics::new());
    let history = History::new(rules(events, bytes), Arc::clone(&metrics));
    let mut bytes = bytes;
    let mut published: [Vec<Position>; TOPICS] = Default::default();
    let mut remembered: [Vec<(Position, usize)>; TOPICS] = Default::default();
    for step in steps {
        match step {
            NodeStep::Append { topic: of, size } => {
                let of = usize::from(of) % TOPICS;
                let mut position = None;
                let event = kept(published[of].len() + 1, size % 2000);
                history.append(&topic(of), event, |at| position = Some(at));
                published[of].push(position.expect("it is handed over at once"));
            }
            NodeStep::Remember { topic: of } => {
                let of = usize::from(of) % TOPICS;
                let found = recover(&history, of, None, usize::MAX);
                assert!(found.complete && found.events.is_empty(), "nothing was asked");
                if remembered[of].len() < REMEMBERED {
                    remembered[of].push((found.position, published[of].len()));
                }
            }
            NodeStep::Recover { topic: at, of, which, most } => {
                let (at, of) = (usize::from(at) % TOPICS, usize::from(of) % TOPICS);
                let Some(index) = usize::from(which).checked_rem(remembered[of].len()) else { continue };
                let (position, had) = remembered[of][index];
                let found = recover(&history, at, Some(position), most.into());
                assert!(found.events.len() <= most.into());
                let missed = if at == of { &published[of][had..] } else { &published[at][..] };
                let answered: Vec<Position> = found.events.iter().map(|(position, _)| *position).collect();
                let numbers: Vec<usize> = found.events.iter().map(|(_, kept)| number_of(kept)).collect();
                assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
                assert!(numbers.last().is_none_or(|last| *last == published[at].len()), "{numbers:?}");
                if found.complete {
                    assert_eq!(at, of, "a position of another topic is not known");
                    assert_eq!(answered, missed, "complete, and it is not");
                }
                assert!(answered.last().is_none_or(|last| *last == found.position));
            }
            NodeStep::Forge { topic: at, offset, tag } => {
                let at = usize::from(at) % TOPICS;
                let forged = Position { offset, tag };
                let given = published.iter().flatten().chain(remembered.iter().flatten().map(|(at, _)| at));
                if !given.into_iter().any(|known| known.tag == tag) {
                    assert!(!recover(&history, at, Some(forged), usize::MAX).complete);
                }
            }
            NodeStep::Follow { events, bytes: more } => {
                bytes = more;
                history.set_rules(rules(events, bytes));
            }
            NodeStep::DropExpired => history.drop_expired(),
        }
        let count = metrics.history_bytes.get();
        assert!(count >= 0 && count <= i64::from(bytes), "{count} of {bytes} bytes");
        assert!(metrics.history_events.get() * (EVENT_COST as i64) <= count);
    }
}

fn recover(history: &History, of: usize, since: Option<Position>, most: usize) -> Recovered {
    let since = since.map(|position| Since::Position(Some(position)));
    let mut recovered = None;
    history.recover(&topic(of), since, most, |found| recovered = Some(found));
    recovered.expect("it is handed over at once")
}

fn rules(events: u8, bytes: u16) -> HistoryRules {
    let limits = HistoryLimits { events: events.into(), age: Duration::from_secs(3600) };
    let settings = HistorySettings { limits, bytes: bytes.into() };
    HistoryRules { settings, policies: Policies::new(Vec::new()) }
}

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("t/{number}")).expect("a topic")
}

fn kept(number: usize, size: u16) -> EventBody {
    let json = format!("[{number},\"{}\"]", "x".repeat(size.into()));
    EventBody::new(&Payload::from_encoder(json.into()).expect("short enough"), Audience::default())
}

fn number_of(kept: &EventBody) -> usize {
    let text = std::str::from_utf8(kept.payload().as_bytes()).expect("JSON");
    text[1..].split(',').next().and_then(|number| number.parse().ok()).expect("a payload of ours")
}

fn cost((_, kept): &(Position, EventBody)) -> usize {
    kept.cost() + EVENT_COST
}
