//! Checks that the tests named for each guarantee in docs/reliability.md and docs/security.md exist.

use std::fs;

use super::markdown::repository;

/// Headers of the column with tests, which identify the tables of guarantees.
const HEADS: [&str; 2] = [" shown by ", " test "];

/// The last cells of all rows. A cell has links to test files, each followed by the names of its tests, or a target of `make`,
/// which `every_make_target_in_the_documents_exists` checks.
fn cells(text: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut in_guarantees = false;
    for line in text.lines() {
        let Some(last) = line.strip_suffix('|').and_then(|row| row.rsplit('|').next()) else {
            in_guarantees = false;
            continue;
        };
        if HEADS.contains(&last) {
            in_guarantees = true;
        } else if in_guarantees && last != " --- " {
            cells.push(last.trim());
        }
    }
    cells
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    for name in ["docs/reliability.md", "docs/security.md"] {
        let text = fs::read_to_string(repository().join(name)).expect("the document is there");
        let cells = cells(&text);
        assert!(cells.len() > 15, "{name}: only {} guarantees", cells.len());
        for cell in cells.into_iter().filter(|cell| !cell.starts_with("`make ")) {
            let mut links = cell.split("](").skip(1).peekable();
            assert!(links.peek().is_some(), "{name}: no test: {cell}");
            for link in links {
                let (file, tests) = link.split_once(')').expect("a whole link");
                let path = repository().join("docs").join(file);
                let source = fs::read_to_string(path).unwrap_or_else(|_| panic!("{name}: {file} is missing"));
                let mut tests = tests.split('`').skip(1).step_by(2).peekable();
                // A .phpt file is one test.
                assert!(
                    tests.peek().is_some() || file.contains("/phpt/"),
                    "{name}: {file}: no test is named"
                );
                for test in tests {
                    let forms = [
                        format!("fn {test}()"),
                        format!("it('{test}',"),
                        format!("describe('{test}',"),
                        format!("function {test}()"),
                    ];
                    assert!(
                        forms.iter().any(|form| source.contains(form)),
                        "{name}: {file} has no test {test}"
                    );
                }
            }
        }
    }
}
