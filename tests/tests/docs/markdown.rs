//! Parser of the repository's documents: code blocks, tables, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories with documents, relative to the repository's root.
const DIRECTORIES: [&str; 7] = ["", "docs", "docs/performance", "bench", "bundle", "demo", "js"];

/// One document.
pub(crate) struct Document {
    /// Path from the root of the repository.
    pub(crate) name: String,
    text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// The document and the line, for error messages.
    pub(crate) location: String,
    /// The first word after the fence.
    pub(crate) language: String,
    /// The other words, which select the test.
    pub(crate) marker: String,
    /// The content.
    pub(crate) text: String,
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Document {
    /// All documents.
    pub(crate) fn all() -> Vec<Self> {
        DIRECTORIES
            .iter()
            .flat_map(|directory| fs::read_dir(repository().join(directory)).expect("a directory"))
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .map(|path| {
                let name = path.strip_prefix(repository()).expect("it is below the root");
                Self::named(name.to_str().expect("a name in UTF-8"))
            })
            .collect()
    }

    /// The document with this name.
    pub(crate) fn named(name: &str) -> Self {
        let text = fs::read_to_string(repository().join(name)).expect("the document exists");
        Self { name: name.to_owned(), text }
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (number, line) in (1..).zip(self.text.lines()) {
            if let Some(words) = line.strip_prefix("```") {
                if !is_open {
                    let (language, marker) = words.split_once(' ').unwrap_or((words, ""));
                    blocks.push(Block {
                        location: format!("{}:{number}", self.name),
                        language: language.to_owned(),
                        marker: marker.to_owned(),
                        text: String::new(),
                    });
                }
                is_open = !is_open;
            } else if let (true, Some(block)) = (is_open, blocks.last_mut()) {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
        assert!(!is_open, "{}: a block does not end", self.name);
        blocks
    }

    /// The text between backticks, outside blocks.
    pub(crate) fn code(&self) -> impl Iterator<Item = &str> {
        self.prose().into_iter().flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// The targets of the links.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = self.prose().join("\n");
        // Text between backticks is code.
        let prose: Vec<&str> = prose.split('`').step_by(2).collect();
        let prose = prose.join("`");
        prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
    }

    /// The anchors of the headings, as code hosts derive them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self
            .prose()
            .into_iter()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_matches(['#', ' ']));
        let anchor = |heading: &str| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
        };
        headings.map(anchor).collect()
    }

    /// The rows of the table with this header row, without the header row.
    pub(crate) fn rows(&self, head: &str) -> Vec<&str> {
        let rows: Vec<&str> = self
            .text
            .lines()
            .skip_while(|line| *line != head)
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert!(!rows.is_empty(), "{} has no table {head}", self.name);
        rows
    }

    fn prose(&self) -> Vec<&str> {
        let mut is_open = false;
        let outside = |line: &&str| {
            let is_fence = line.starts_with("```");
            is_open ^= is_fence;
            !is_open && !is_fence
        };
        self.text.lines().filter(outside).collect()
    }
}

/// Whether the text matches the pattern, in which `…` stands for any text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    false
}
