//! Fuzzes topic patterns: a pattern on the first line, a topic on the second. The result is compared with a second matcher that
//! tries every way to split the topic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orosync_protocol::{Topic, TopicPattern};

fuzz_target!(|input: &str| {
    let (source, topic) = input.split_once('\n').unwrap_or((input, ""));
    if let Ok(checked) = Topic::parse(topic) {
        assert_eq!(checked.as_str(), topic);
    }
    let Ok(pattern) = TopicPattern::parse(source) else { return };
    assert_eq!(pattern.as_str(), source);
    assert!(source.len() <= Topic::MAX_BYTES);
    let names = captures(source);
    // The other matcher tries everything: short topics will do.
    if topic.len() > 64 || names.len() > 6 {
        let _ = pattern.captures(topic);
        return;
    }
    let taken = pattern.captures(topic);
    let mut expected = Vec::new();
    assert_eq!(taken.is_some(), divides(source, topic, &mut expected), "{source:?} and {topic:?}");
    if let Some(taken) = taken {
        for (name, text) in &expected {
            assert_eq!(taken.find(name), Some(*text), "{source:?} and {topic:?}");
            assert!(pattern.has_capture(name));
        }
        assert_eq!(names.len(), expected.len());
    }
});

/// The names of the captures of a checked pattern.
fn captures(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        let (_, tail) = rest.split_at(at);
        rest = match doubled(tail) {
            Some((_, after)) => after,
            None => {
                let (name, _, after) = capture(tail);
                names.push(name);
                after
            }
        };
    }
    names
}

/// Name and kind of the capture that a checked pattern goes on with, and what follows it.
fn capture(source: &str) -> (&str, &str, &str) {
    let (inside, after) = source[1..].split_once('}').expect("a checked pattern");
    let (name, kind) = inside.split_once(':').unwrap_or((inside, ""));
    (name, kind, after)
}

/// The brace that is written twice here, and what follows it.
fn doubled(source: &str) -> Option<(&'static str, &str)> {
    source
        .strip_prefix("{{")
        .map(|after| ("{", after))
        .or_else(|| source.strip_prefix("}}").map(|after| ("}", after)))
}

/// Splits `topic` among the pieces of the pattern. Returns the captures of the first way found, last first.
fn divides<'a>(source: &'a str, topic: &'a str, taken: &mut Vec<(&'a str, &'a str)>) -> bool {
    let Some(at) = source.find(['{', '}']) else { return source == topic };
    let Some(rest) = topic.strip_prefix(&source[..at]) else { return false };
    if let Some((brace, after)) = doubled(&source[at..]) {
        return rest.strip_prefix(brace).is_some_and(|rest| divides(after, rest, taken));
    }
    let (name, kind, after) = capture(&source[at..]);
    let fits = |text: &str| match kind {
        "int" => text.bytes().all(|c| c.is_ascii_digit()),
        "int_or_star" => text == "*" || text.bytes().all(|c| c.is_ascii_digit()),
        _ => !text.contains('/'),
    };
    (1..=rest.len()).filter(|end| rest.is_char_boundary(*end)).any(|end| {
        let found = fits(&rest[..end]) && divides(after, &rest[end..], taken);
        if found {
            taken.push((name, &rest[..end]));
        }
        found
    })
}
