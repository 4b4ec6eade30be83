//! docs/reliability.md names a test for each promise: each of them is there.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_reliability_md_names_is_there() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(documents.join("reliability.md")).expect("the document is there");
    let mut count = 0;
    // The last cell of a row: links to files of tests, each with the names of those of its tests that are meant.
    let cells =
        text.lines().filter(|line| line.starts_with('|')).filter_map(|row| row.split('|').rev().nth(1));
    for link in cells.flat_map(|cell| cell.split("](").skip(1)) {
        let (file, names) = link.split_once(')').expect("a whole link");
        let source = fs::read_to_string(documents.join(file)).unwrap_or_else(|_| panic!("{file} is missing"));
        for name in names.split('`').skip(1).step_by(2) {
            assert!(source.contains(&format!("fn {name}()")), "{file} has no test {name}");
            count += 1;
        }
    }
    assert!(count > 15, "only {count} tests are named");
}
