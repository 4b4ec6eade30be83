//! The results of a benchmark: a table for people, JSON for charts and documents.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::host::Host;
use crate::peers::Selection;
use crate::question::Extent;

/// The reason of a missed goal that has none.
const UNEXPLAINED: &str = "No known reason. `make profile` shows where the server's time goes.";

/// The cases and goals of one benchmark.
#[derive(Debug, Serialize)]
pub struct Report {
    question: &'static str,
    title: &'static str,
    unit: &'static str,
    machine: Host,
    versions: BTreeMap<String, String>,
    /// Peers that were not measured, with the reason.
    missing: BTreeMap<String, String>,
    cases: Vec<Case>,
    goals: Vec<Goal>,
}

/// One case: the values of all peers under the same conditions.
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
    /// Why the goal is missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A newly added goal; `None` if the values that it compares were not measured.
#[derive(Debug)]
pub struct Stated<'a>(Option<&'a mut Goal>);

impl Stated<'_> {
    /// Sets the reason if the goal is missed.
    pub fn if_missed(self, reason: impl Into<String>) {
        if let Some(goal) = self.0.filter(|goal| !goal.reached) {
            goal.reason = Some(reason.into());
        }
    }
}

impl Case {
    /// A case without values.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rows: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds one repetition of a peer. Peers are measured in turn, so the n-th repetitions of all peers are close in time.
    pub fn add(&mut self, peer: &str, value: f64) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.peer == peer) {
            row.repetitions.push(value);
        } else {
            let row = Row { peer: peer.to_owned(), repetitions: vec![value], ratios: BTreeMap::new() };
            self.rows.push(row);
        }
    }

    /// Median of the ratios of corresponding repetitions.
    pub fn ratio(&self, peer: &str, other: &str) -> Option<f64> {
        let of = |name| self.rows.iter().find(|row| row.peer == name);
        of(peer)?.ratio(of(other)?)
    }

    /// Median of a peer's repetitions.
    pub fn median(&self, peer: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.peer == peer).map(|row| median(&row.repetitions))
    }

    /// Ratio of a peer here to the same peer in another case, whose repetitions were measured in turn with these.
    pub fn ratio_to(&self, other: &Self, peer: &str) -> Option<f64> {
        let of =
            |case: &'_ Self| case.rows.iter().find(|row| row.peer == peer).map(|row| row.repetitions.clone());
        ratio(&of(self)?, &of(other)?)
    }

    /// The ratio of two peers as a sentence; empty if one of them was not measured.
    pub fn ratio_in_words(&self, peer: &str, other: &str) -> String {
        self.ratio(peer, other)
            .map_or_else(String::new, |ratio| format!("{peer} takes {ratio:.2} x {other} here. "))
    }

    /// A peer's ratio to the best of the other servers, without the raw limits.
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
    /// A report in this unit.
    pub fn new(
        question: &'static str,
        title: &'static str,
        unit: &'static str,
        selection: &Selection,
    ) -> Self {
        let versions = selection.peers.iter().map(|peer| (peer.name.clone(), peer.version.clone())).collect();
        Self::of(question, title, unit, versions, selection.missing.clone())
    }

    /// A report about the program's own peers: their versions by name, and why others are missing.
    pub fn of(
        question: &'static str,
        title: &'static str,
        unit: &'static str,
        versions: BTreeMap<String, String>,
        missing: BTreeMap<String, String>,
    ) -> Self {
        let machine = Host::here();
        Self { question, title, unit, machine, versions, missing, cases: Vec::new(), goals: Vec::new() }
    }

    /// Adds a complete case.
    pub fn add(&mut self, mut case: Case) {
        case.compare();
        self.cases.push(case);
    }

    /// Adds the goal that the value is at most the limit. Without a value no goal is added.
    pub fn at_most(&mut self, text: impl Into<String>, value: Option<f64>, limit: f64) -> Stated<'_> {
        self.state(text.into(), value, limit, |value| value <= limit)
    }

    /// Adds the goal that the value is at least the limit. Without a value no goal is added.
    pub fn at_least(&mut self, text: impl Into<String>, value: Option<f64>, limit: f64) -> Stated<'_> {
        self.state(text.into(), value, limit, |value| value >= limit)
    }

    fn state(
        &mut self,
        text: String,
        value: Option<f64>,
        limit: f64,
        is_reached: impl FnOnce(f64) -> bool,
    ) -> Stated<'_> {
        let goal = value.map(|value| Goal { text, value, limit, reached: is_reached(value), reason: None });
        let is_stated = goal.is_some();
        self.goals.extend(goal);
        Stated(self.goals.last_mut().filter(|_| is_stated))
    }

    /// Prints the report; a full run also writes `bench/results/<id>.json`.
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
            if !goal.reached {
                println!("          {}", goal.reason.as_deref().unwrap_or(UNEXPLAINED));
            }
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

/// Median: the middle value, or the mean of the two middle ones.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => f64::NAN,
        sorted if sorted.len() % 2 == 1 => sorted[middle],
        sorted => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A number with three significant digits.
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
    fn a_goal_that_is_missed_keeps_its_reason_and_one_that_is_reached_needs_none() {
        let mut report = Report::of("question", "Title", "us", BTreeMap::new(), BTreeMap::new());
        report.at_most("short", Some(2.0), 1.0).if_missed("it is long");
        report.at_most("long", Some(2.0), 3.0).if_missed("it is short");
        report.at_least("not measured", None, 3.0).if_missed("nobody knows");
        let json = serde_json::to_value(&report.goals).expect("texts and figures");
        let reasons: Vec<_> = json.as_array().expect("goals").iter().map(|goal| goal.get("reason")).collect();
        assert_eq!(reasons, [Some(&"it is long".into()), None]);
    }

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
