//! What a question found out: a table for people, JSON for plots and documents.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::machine::Machine;
use crate::peers::Selection;
use crate::question::Extent;

/// A question and its answer.
#[derive(Debug, Serialize)]
pub struct Report {
    question: &'static str,
    title: &'static str,
    unit: &'static str,
    machine: Machine,
    versions: BTreeMap<String, String>,
    /// Peers that were not measured, and why.
    missing: BTreeMap<String, String>,
    cases: Vec<Case>,
    goals: Vec<Goal>,
}

/// One way of asking it.
#[derive(Debug, Serialize)]
pub struct Case {
    name: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    peer: String,
    repetitions: Vec<f64>,
    ratios: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct Goal {
    text: String,
    value: f64,
    limit: f64,
    reached: bool,
}

impl Case {
    /// Nothing measured yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rows: Vec::new() }
    }

    /// How it is asked.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds one repetition of a peer. Peers are measured in turn, so the n-th of each are neighbours in time.
    pub fn add(&mut self, peer: &str, value: f64) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.peer == peer) {
            row.repetitions.push(value);
        } else {
            let row = Row { peer: peer.to_owned(), repetitions: vec![value], ratios: BTreeMap::new() };
            self.rows.push(row);
        }
    }

    /// The median of the ratios of neighbouring repetitions.
    pub fn ratio(&self, peer: &str, other: &str) -> Option<f64> {
        let of = |name| self.rows.iter().find(|row| row.peer == name);
        of(peer)?.ratio(of(other)?)
    }

    /// The median of a peer's repetitions.
    pub fn median(&self, peer: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.peer == peer).map(|row| median(&row.repetitions))
    }

    /// A peer here and in another case, whose repetitions were measured in turn with these.
    pub fn ratio_to(&self, other: &Self, peer: &str) -> Option<f64> {
        let of =
            |case: &'_ Self| case.rows.iter().find(|row| row.peer == peer).map(|row| row.repetitions.clone());
        ratio(&of(self)?, &of(other)?)
    }

    /// A peer's ratio to the best of the other servers; raw limits are none.
    pub fn ratio_to_best_peer(&self, peer: &str) -> Option<f64> {
        let servers = self.rows.iter().filter(|row| crate::peers::is_script(&row.peer));
        servers.filter_map(|row| self.ratio(peer, &row.peer)).reduce(f64::max)
    }

    fn compare(&mut self) {
        let all: Vec<(String, Vec<f64>)> =
            self.rows.iter().map(|row| (row.peer.clone(), row.repetitions.clone())).collect();
        for row in &mut self.rows {
            row.ratios = all
                .iter()
                .filter(|(peer, _)| *peer != row.peer)
                .filter_map(|(peer, values)| Some((peer.clone(), ratio(&row.repetitions, values)?)))
                .collect();
        }
    }

    fn print(&self) {
        let limits: Vec<&str> = crate::peers::RAW_NAMES
            .into_iter()
            .filter(|name| self.rows.iter().any(|row| row.peer == *name))
            .collect();
        println!("\n{}", self.name);
        print!("  {:<22} {:>10} {:>10} {:>10}", "", "median", "min", "max");
        for limit in &limits {
            print!(" {:>12}", format!("x {limit}"));
        }
        println!();
        for row in &self.rows {
            let (min, max) = row.span();
            print!(
                "  {:<22} {:>10} {:>10} {:>10}",
                row.peer,
                digits(median(&row.repetitions)),
                digits(min),
                digits(max)
            );
            for limit in &limits {
                print!(
                    " {:>12}",
                    row.ratios.get(*limit).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
                );
            }
            println!();
        }
    }
}

impl Row {
    fn ratio(&self, other: &Self) -> Option<f64> {
        ratio(&self.repetitions, &other.repetitions)
    }

    fn span(&self) -> (f64, f64) {
        let values = self.repetitions.iter().copied();
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let (min, max) = self.span();
        let mut row = serializer.serialize_struct("Row", 6)?;
        row.serialize_field("peer", &self.peer)?;
        row.serialize_field("repetitions", &self.repetitions)?;
        row.serialize_field("median", &median(&self.repetitions))?;
        row.serialize_field("min", &min)?;
        row.serialize_field("max", &max)?;
        row.serialize_field("ratio_to", &self.ratios)?;
        row.end()
    }
}

impl Report {
    /// A question, measured in this unit.
    pub fn new(
        question: &'static str,
        title: &'static str,
        unit: &'static str,
        selection: &Selection,
    ) -> Self {
        let versions = selection.peers.iter().map(|peer| (peer.name.clone(), peer.version.clone())).collect();
        Self {
            question,
            title,
            unit,
            machine: Machine::here(),
            versions,
            missing: selection.missing.clone(),
            cases: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Adds a case that is complete.
    pub fn add(&mut self, mut case: Case) {
        case.compare();
        self.cases.push(case);
    }

    /// Adds a goal: the value is at most the limit. Without a value nothing is said: what it compares was not measured.
    pub fn at_most(&mut self, text: impl Into<String>, value: Option<f64>, limit: f64) {
        if let Some(value) = value {
            self.goals.push(Goal { text: text.into(), value, limit, reached: value <= limit });
        }
    }

    /// The same with a value that is at least the limit.
    pub fn at_least(&mut self, text: impl Into<String>, value: Option<f64>, limit: f64) {
        if let Some(value) = value {
            self.goals.push(Goal { text: text.into(), value, limit, reached: value >= limit });
        }
    }

    /// Prints it; a full run also writes `bench/results/<question>.json`.
    pub fn finish(self, extent: Extent) -> io::Result<()> {
        println!("\n# {}: {}", self.title, self.unit);
        println!("{}", self.machine);
        for case in &self.cases {
            case.print();
        }
        for (peer, why) in &self.missing {
            println!("\nMissing: {peer}. {why}");
        }
        println!();
        for goal in &self.goals {
            let word = if goal.reached { "reached" } else { "MISSED" };
            println!("{word:>8}  {}: {} (limit {})", goal.text, digits(goal.value), digits(goal.limit));
        }
        if extent == Extent::Quick {
            return Ok(());
        }
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&directory)?;
        let file = directory.join(self.question).with_extension("json");
        fs::write(&file, serde_json::to_vec_pretty(&self)?)
    }
}

/// A quotient of two counts.
#[expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
pub fn quotient(dividend: u64, divisor: u64) -> f64 {
    dividend as f64 / divisor.max(1) as f64
}

fn ratio(values: &[f64], others: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = values.iter().zip(others).map(|(value, other)| value / other).collect();
    (!ratios.is_empty() && ratios.iter().all(|ratio| ratio.is_finite())).then(|| median(&ratios))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => f64::NAN,
        sorted if sorted.len() % 2 == 1 => sorted[middle],
        sorted => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.3}"),
        middle if middle < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_neighbours_so_that_a_machine_that_slows_down_does_not_show() {
        let mut case = Case::new("case");
        for speed in [1.0, 2.0, 4.0] {
            case.add("a", 3.0 * speed);
            case.add("b", 2.0 * speed);
        }
        assert_eq!(case.ratio("a", "b"), Some(1.5));
        assert_eq!(case.median("a"), Some(6.0));
        assert_eq!(case.ratio("a", "c"), None);
    }
}
