//! Topic patterns: a pattern on the first line, a topic on the second. Whether the topic matches is compared with a
//! second matcher, which tries every way to divide the topic.

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
    let names: Vec<&str> = captures(source).map(|(name, _)| name).collect();
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

/// Name and kind of each capture.
fn captures(source: &str) -> impl Iterator<Item = (&str, &str)> {
    source.split('{').skip(1).map(|rest| {
        let inside = rest.split('}').next().unwrap_or(rest);
        inside.split_once(':').unwrap_or((inside, ""))
    })
}

/// Is there a way to divide `topic` among the pieces of the pattern? The captures of the first one found, last first.
fn divides<'a>(source: &'a str, topic: &'a str, taken: &mut Vec<(&'a str, &'a str)>) -> bool {
    let Some(open) = source.find('{') else { return source == topic };
    let Some(rest) = topic.strip_prefix(&source[..open]) else { return false };
    let close = open + source[open..].find('}').expect("a checked pattern");
    let (name, kind) = captures(&source[open..=close]).next().expect("a capture");
    let fits = |text: &str| match kind {
        "int" => text.bytes().all(|c| c.is_ascii_digit()),
        "int_or_star" => text == "*" || text.bytes().all(|c| c.is_ascii_digit()),
        _ => !text.contains('/'),
    };
    (1..=rest.len()).filter(|end| rest.is_char_boundary(*end)).any(|end| {
        let found = fits(&rest[..end]) && divides(&source[close + 1..], &rest[end..], taken);
        if found {
            taken.push((name, &rest[..end]));
        }
        found
    })
}
