//! Topic patterns, with which policies select topics.
//!
//! A pattern is a topic with captures:
//!
//! - `{name}` matches one whole segment (between slashes);
//! - `{name:int}` matches digits;
//! - `{name:int_or_star}` matches digits or a literal `*`.
//!
//! The two typed captures may be part of a segment, as in the topics of OroPlatform 1.x:
//! `oro/email_event/user_{uid:int}_org_{org:int}`. A literal brace is doubled: `{{`, `}}`. A pattern matches the whole topic,
//! byte by byte, like OroSyncBundle's router.

use std::fmt;

use crate::topic::Topic;

/// A valid pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Capture { name: String, kind: Kind },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Segment,
    Int,
    IntOrStar,
}

/// The names and values of the captures of a match, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Captures<'a> {
    /// The value of the capture with this name.
    pub fn find(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(capture, _)| *capture == name).map(|(_, text)| *text)
    }
}

impl TopicPattern {
    /// Parses a pattern from a configuration or a ticket.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        if source.len() > Topic::MAX_BYTES {
            return Err(PatternError::TooLong { bytes: source.len() });
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (text, tail) = rest.split_at(at);
            literal.push_str(text);
            if let Some((brace, after)) = doubled_brace(tail) {
                literal.push(brace);
                rest = after;
                continue;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            let Some((inside, after)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) else {
                return Err(PatternError::Braces { pattern: source.to_owned() });
            };
            pieces.push(parse_capture(source, inside)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let pattern = Self { source: source.to_owned(), pieces };
        pattern.check_neighbours()?;
        Ok(pattern)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the pattern has a capture with this name.
    pub fn has_capture(&self, wanted: &str) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Capture { name, .. } if name == wanted))
    }

    /// The captured values if the whole topic matches.
    pub fn captures<'a>(&'a self, topic: &'a str) -> Option<Captures<'a>> {
        let mut rest = topic;
        let mut taken = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Piece::Capture { name, kind } => {
                    let length = kind.length(rest);
                    if length == 0 {
                        return None;
                    }
                    let (text, after) = rest.split_at(length);
                    taken.push((name.as_str(), text));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(Captures(taken))
    }

    /// Rejects a capture followed by something that the capture itself could match, so that matching needs no backtracking.
    fn check_neighbours(&self) -> Result<(), PatternError> {
        let mut before: Option<&Piece> = None;
        for (index, piece) in self.pieces.iter().enumerate() {
            let next = self.pieces.get(index + 1);
            if let Piece::Capture { name, kind } = piece {
                let ambiguous = match (kind, next) {
                    (_, None) => false,
                    (_, Some(Piece::Capture { .. })) => true,
                    (Kind::Segment, Some(Piece::Literal(text))) => !text.starts_with('/'),
                    (Kind::Int | Kind::IntOrStar, Some(Piece::Literal(text))) => {
                        text.starts_with(|c: char| c.is_ascii_digit())
                    }
                };
                let starts_inside = *kind == Kind::Segment
                    && matches!(before, Some(Piece::Literal(text)) if !text.ends_with('/'));
                if ambiguous || starts_inside {
                    return Err(PatternError::Ambiguous { pattern: self.source.clone(), name: name.clone() });
                }
                let twice = self.pieces.get(index + 1..).unwrap_or_default();
                if twice
                    .iter()
                    .any(|other| matches!(other, Piece::Capture { name: other, .. } if other == name))
                {
                    return Err(PatternError::Twice { pattern: self.source.clone(), name: name.clone() });
                }
            }
            before = Some(piece);
        }
        Ok(())
    }
}

impl Kind {
    /// Number of bytes that the capture matches at the start of `text`. 0: no match.
    fn length(self, text: &str) -> usize {
        let digits = || text.bytes().take_while(u8::is_ascii_digit).count();
        match self {
            Self::Segment => text.find('/').unwrap_or(text.len()),
            Self::IntOrStar if text.starts_with('*') => 1,
            Self::Int | Self::IntOrStar => digits(),
        }
    }
}

/// If `text` begins with a doubled brace: the brace, and the text after it.
fn doubled_brace(text: &str) -> Option<(char, &str)> {
    ['{', '}'].into_iter().find_map(|brace| Some((brace, text.strip_prefix(brace)?.strip_prefix(brace)?)))
}

fn parse_capture(pattern: &str, inside: &str) -> Result<Piece, PatternError> {
    let (name, kind) = inside.split_once(':').unwrap_or((inside, ""));
    let kind = match kind {
        "" => Kind::Segment,
        "int" => Kind::Int,
        "int_or_star" => Kind::IntOrStar,
        other => return Err(PatternError::Kind { pattern: pattern.to_owned(), kind: other.to_owned() }),
    };
    if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Err(PatternError::Name { pattern: pattern.to_owned(), name: name.to_owned() });
    }
    Ok(Piece::Capture { name: name.to_owned(), kind })
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Why a text is not a valid pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is empty.
    #[error("the pattern is empty. Write a topic, for example acme/orders/{{id:int}}")]
    Empty,
    /// The pattern is longer than a topic can be.
    #[error("the pattern is {bytes} bytes long, topics have at most {max}", max = Topic::MAX_BYTES)]
    TooLong {
        /// The length of the pattern.
        bytes: usize,
    },
    /// A brace has no counterpart.
    #[error(
        "\"{pattern}\": a brace is not closed or not opened. Captures look like {{name}} or {{name:int}}; a literal brace is doubled"
    )]
    Braces {
        /// The pattern.
        pattern: String,
    },
    /// The type of a capture does not exist.
    #[error(
        "\"{pattern}\": there is no capture type \"{kind}\". Write {{name}}, {{name:int}} or {{name:int_or_star}}"
    )]
    Kind {
        /// The pattern.
        pattern: String,
        /// The type as written.
        kind: String,
    },
    /// The name of a capture is empty, or has characters other than letters, digits and `_`.
    #[error("\"{pattern}\": \"{name}\" cannot name a capture. Use letters, digits and _")]
    Name {
        /// The pattern.
        pattern: String,
        /// The name.
        name: String,
    },
    /// Two captures have the same name.
    #[error("\"{pattern}\": the capture {{{name}}} appears twice. Give each capture its own name")]
    Twice {
        /// The pattern.
        pattern: String,
        /// The name.
        name: String,
    },
    /// The extent of a capture would be ambiguous.
    #[error(
        "\"{pattern}\": the extent of {{{name}}} is ambiguous. {{name}} must be a whole segment; what follows {{name:int}} must not begin with a digit or a capture"
    )]
    Ambiguous {
        /// The pattern.
        pattern: String,
        /// The name of the capture.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::parse(pattern).unwrap().captures(topic).is_some()
    }

    #[test]
    fn matching_covers_the_whole_topic() {
        assert!(matches("oro/ping", "oro/ping"));
        assert!(!matches("oro/ping", "oro/ping/x"));
        assert!(!matches("oro/ping", "Oro/ping"));
        assert!(!matches("oro/ping", "xoro/ping"));
    }

    #[test]
    fn a_star_is_a_literal_character() {
        let pattern = "oro/email_event/{uid:int}/{org:int_or_star}";
        assert!(matches(pattern, "oro/email_event/5/*"));
        assert!(matches(pattern, "oro/email_event/5/1"));
        assert!(!matches(pattern, "oro/email_event/*/1"));
        assert!(!matches(pattern, "oro/email_event/5/**"));
        assert!(!matches(pattern, "oro/email_event/5/"));
        assert!(!matches(pattern, "oro/email_event/5/1/2"));
        assert!(matches("oro/imap_sync_fail/*", "oro/imap_sync_fail/*"));
        assert!(!matches("oro/imap_sync_fail/*", "oro/imap_sync_fail/7"));
    }

    #[test]
    fn captures_are_found_by_name() {
        let pattern = TopicPattern::parse("oro/email_event/user_{uid:int}_org_{org:int}").unwrap();
        let captures = pattern.captures("oro/email_event/user_5_org_12").unwrap();
        assert_eq!(captures.find("uid"), Some("5"));
        assert_eq!(captures.find("org"), Some("12"));
        assert_eq!(captures.find("id"), None);
    }

    #[test]
    fn a_doubled_brace_is_a_literal_brace() {
        assert!(matches("acme/chat/{{x}}", "acme/chat/{x}"));
        assert!(!matches("acme/chat/{{x}}", "acme/chat/general"));
        assert!(!matches("acme/chat/{{x}}", "acme/chat/{{x}}"));
        assert!(matches("{{{{}}}}", "{{}}"));
        // The braces left over after the pairs form a capture.
        assert!(matches("a/{{{id:int}}}", "a/{7}"));
        assert!(!matches("a/{{{id:int}}}", "a/{x}"));
        assert!(matches("}}/{x}/{{", "}/y/{"));
        for source in ["a/{{x}", "a/{x}}", "a/{{{x", "a/}}}", "a/{{{x}}"] {
            assert!(TopicPattern::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn the_error_for_an_invalid_pattern_names_the_problem() {
        assert_eq!(TopicPattern::parse(""), Err(PatternError::Empty));
        assert!(matches!(TopicPattern::parse("a/{b"), Err(PatternError::Braces { .. })));
        assert!(matches!(TopicPattern::parse("a/b}"), Err(PatternError::Braces { .. })));
        assert!(matches!(TopicPattern::parse("a/{b:float}"), Err(PatternError::Kind { .. })));
        assert!(matches!(TopicPattern::parse("a/{}"), Err(PatternError::Name { .. })));
        assert!(matches!(TopicPattern::parse("a/{b}/{b}"), Err(PatternError::Twice { .. })));
        assert!(matches!(TopicPattern::parse("a/x{b}"), Err(PatternError::Ambiguous { .. })));
        assert!(matches!(TopicPattern::parse("a/{b}x"), Err(PatternError::Ambiguous { .. })));
        assert!(matches!(TopicPattern::parse("a/{b:int}{c:int}"), Err(PatternError::Ambiguous { .. })));
        assert!(matches!(TopicPattern::parse("a/{b:int}5"), Err(PatternError::Ambiguous { .. })));
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_without_captures_matches_only_itself(name in "[a-z/*_]{1,40}", other in "[a-z/*_]{1,40}") {
            let pattern = TopicPattern::parse(&name).unwrap();
            proptest::prop_assert!(pattern.captures(&name).is_some());
            proptest::prop_assert_eq!(pattern.captures(&other).is_some(), name == other);
        }

        #[test]
        fn a_topic_with_doubled_braces_is_a_pattern_that_matches_only_this_topic(
            topic in "[a{}/]{1,20}",
            other in "[a{}/]{1,20}",
        ) {
            let pattern = TopicPattern::parse(&topic.replace('{', "{{").replace('}', "}}")).unwrap();
            proptest::prop_assert!(pattern.captures(&topic).is_some());
            proptest::prop_assert_eq!(pattern.captures(&other).is_some(), topic == other);
        }

        #[test]
        fn arbitrary_topics_never_cause_a_panic(pattern in ".{0,40}", topic in ".{0,40}") {
            if let Ok(pattern) = TopicPattern::parse(&pattern) {
                pattern.captures(&topic);
            }
        }
    }
}
