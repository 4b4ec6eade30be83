//! Checks statements of the documents about the code: the locations of `unsafe`, the close codes, no sleeps in tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use orosync_protocol::CloseReason;

use super::markdown::{Document, repository};

/// Paths and contents of the Rust files below a directory of the repository.
pub(crate) fn sources(directory: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(repository().join(&directory)).expect("the directory exists") {
            let entry = entry.expect("an entry");
            let path = directory.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(entry.path()).expect("UTF-8");
                found.push((path.display().to_string(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{directory}");
    found
}

#[test]
fn unsafe_code_is_only_where_contributing_says() {
    let document = Document::named("CONTRIBUTING.md");
    let (_, rest) = document.text().split_once("`unsafe` is in ").expect("the document has the sentence");
    let (sentence, _) = rest.split_once(" alone").expect("the sentence has its end");
    let named: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
    let is_unsafe = |text: &str| {
        ["unsafe {", "unsafe fn ", "unsafe impl ", "unsafe extern "].iter().any(|word| text.contains(word))
    };
    let crates = ["protocol/src", "link/src", "server/src", "ext/src"];
    let files = crates.into_iter().flat_map(sources).filter(|(_, text)| is_unsafe(text));
    let location = |(file, _): (String, String)| match named.iter().find(|named| file.starts_with(**named)) {
        Some(named) => (*named).to_owned(),
        None => file,
    };
    let found: BTreeSet<String> = files.map(location).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
}

#[test]
fn the_documented_close_codes_are_those_of_the_server() {
    let document = Document::named("docs/protocol.md");
    let rows = document.rows("| code | label | text | reconnect? |");
    let expected: Vec<String> = CloseReason::ALL
        .into_iter()
        .map(|reason| {
            let reconnect = if reason.should_reconnect() { "yes, with backoff" } else { "no" };
            format!("| {} | `{}` | {} | {reconnect} |", reason.code(), reason.label(), reason.text())
        })
        .collect();
    assert_eq!(rows, expected);

    let server: String = sources("server/src")
        .into_iter()
        .filter(|(file, _)| !Path::new(file).ends_with("tests.rs"))
        .map(|(_, text)| text)
        .collect();
    for reason in CloseReason::ALL {
        assert!(server.contains(&format!("CloseReason::{reason:?}")), "the server never sends {reason:?}");
    }
}

#[test]
fn tests_do_not_sleep_except_in_the_listed_files() {
    // The first two implement waiting. The others sleep for a pace: a load, messages one by one, a page that reconnects, a slow network.
    let allowed = [
        "tests/src/wait.rs",
        "link/tests/support/mod.rs",
        "tests/src/crowd.rs",
        "link/tests/wakes.rs",
        "tests/src/auditor.rs",
        "tests/src/redis/proxy.rs",
    ];
    let directories = ["tests/src", "tests/tests", "link/tests", "server/tests"];
    let sleeps = format!("thread::{}(", "sleep");
    let found: Vec<String> = directories
        .into_iter()
        .flat_map(sources)
        .filter(|(file, text)| text.contains(&sleeps) && !allowed.contains(&file.as_str()))
        .map(|(file, _)| file)
        .collect();
    assert!(found.is_empty(), "{found:?}");
}
