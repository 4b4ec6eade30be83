//! Checks that code and documents use the words of the glossary, and none of those that it replaces.
//!
//! The table `| write | not |` of CONTRIBUTING.md is the list. A phrase is found in prose, in names (`turns_grey`, `turnsGrey`)
//! and across the lines of a comment. Phrases with a note in parentheses depend on their meaning and are not checked.

use std::fs;
use std::process::Command;

use super::markdown::{Document, repository};

/// The header of the table with the replaced words.
const TABLE: &str = "| write | not |";

/// The document with the table, which is not checked itself.
const GLOSSARY: &str = "CONTRIBUTING.md";

/// Suffixes of files that are data, generated, or translations.
const SKIPPED: [&str; 10] =
    [".csv", ".dict", ".json", ".lock", ".pem", ".png", ".supp", ".svg", ".tsv", ".xlf"];

/// Characters that may separate the words of a phrase: spaces, parts of names, and marks of comments.
const SEPARATORS: [char; 7] = ['_', '-', '/', '*', '#', '!', '\\'];

/// A replaced phrase.
struct Rule {
    phrase: Vec<String>,
    replacement: String,
}

/// A word of a text, and its bytes there.
struct Word<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

/// The phrases of the table.
fn rules(rows: &[&str]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [replacement, phrases] = cells.as_slice() else { panic!("{row}: not two cells") };
        for phrase in phrases.split(", ").filter(|phrase| !phrase.contains('(')) {
            let phrase = words(phrase).into_iter().map(|word| word.text.to_owned()).collect();
            rules.push(Rule { phrase, replacement: (*replacement).to_owned() });
        }
    }
    rules
}

/// The words of a text. Names are split at underscores and at capital letters.
fn words(text: &str) -> Vec<Word<'_>> {
    let bytes = text.as_bytes();
    let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let is_upper = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
    let is_lower = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
    let mut words = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        if !is_letter(start) {
            start += 1;
            continue;
        }
        let mut end = start + 1;
        while is_letter(end) {
            let is_next_word = is_upper(end) && (is_lower(end - 1) || is_lower(end + 1));
            if is_next_word {
                break;
            }
            end += 1;
        }
        words.push(Word { text: &text[start..end], start, end });
        start = end;
    }
    words
}

/// The replaced phrases in a text: the line of each, the phrase, and its replacement.
fn findings<'a>(text: &str, rules: &'a [Rule]) -> Vec<(usize, String, &'a str)> {
    let words = words(text);
    let is_joined = |pair: &[Word<'_>]| {
        let between = &text[pair[0].end..pair[1].start];
        between.chars().all(|character| character.is_whitespace() || SEPARATORS.contains(&character))
    };
    let begins = |rule: &Rule, found: &[Word<'_>]| {
        rule.phrase.len() <= found.len()
            && rule.phrase.iter().zip(found).all(|(expected, word)| word.text.eq_ignore_ascii_case(expected))
            && found[..rule.phrase.len()].windows(2).all(is_joined)
    };
    let mut findings = Vec::new();
    for (at, word) in words.iter().enumerate() {
        for rule in rules.iter().filter(|rule| begins(rule, &words[at..])) {
            let line = text[..word.start].matches('\n').count() + 1;
            findings.push((line, rule.phrase.join(" "), rule.replacement.as_str()));
        }
    }
    findings
}

/// The tracked files that are checked.
fn checked_files() -> Vec<String> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(repository()).output();
    let output = output.expect("git starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("names in UTF-8");
    let is_checked = |name: &&str| {
        !name.is_empty() && *name != GLOSSARY && !SKIPPED.iter().any(|suffix| name.ends_with(suffix))
    };
    names.split('\0').filter(is_checked).map(str::to_owned).collect()
}

#[test]
fn no_file_contains_a_word_that_the_glossary_replaces() {
    let document = Document::named(GLOSSARY);
    let rules = rules(&document.rows(TABLE));
    assert!(rules.len() > 20, "only {} phrases", rules.len());
    let files = checked_files();
    assert!(files.len() > 500, "only {} files", files.len());
    let mut problems = Vec::new();
    for file in files {
        // A tracked file may have been deleted, and a link may lead out of the repository.
        let Ok(text) = fs::read_to_string(repository().join(&file)) else { continue };
        for (line, phrase, replacement) in findings(&text, &rules) {
            problems.push(format!("{file}:{line}: \"{phrase}\". Write: {replacement}"));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn replaced_words_are_found_in_prose_and_in_names() {
    let rules =
        rules(&["| dry | turn grey, turns grey |", "| white | pale |", "| red | bright (of a colour) |"]);
    for text in [
        "it turns grey",
        "Turn grey!",
        "// a leaf that turns\n    // grey",
        "fn who_turns_grey()",
        "testALeafTurnsGrey",
        "LIMIT_TO_TURN_GREY",
        "TurnGrey::Later",
        "pale()",
        "HTTPPale",
    ] {
        assert_eq!(findings(text, &rules).len(), 1, "{text}");
    }
    for text in ["bright", "paler", "it turns. Grey", "turngrey"] {
        assert!(findings(text, &rules).is_empty(), "{text}");
    }
    assert_eq!(findings("\n\npale", &rules), [(3, "pale".to_owned(), "white")]);
}
