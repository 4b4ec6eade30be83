//! Distributions of what was measured, as a table and as JSON.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::report::quotient;

/// Durations of one way, in nanoseconds.
#[derive(Debug)]
pub struct Series {
    name: &'static str,
    histogram: Histogram<u64>,
}

impl Series {
    /// Nothing measured yet. Three significant digits, up to a minute.
    pub fn new(name: &'static str) -> Self {
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that fit");
        Self { name, histogram }
    }

    /// Adds one.
    pub fn add(&mut self, nanoseconds: u64) {
        self.histogram.saturating_record(nanoseconds);
    }

    fn at(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }
}

/// Prints all series of a question, the ratio of each of ours to the one beside it, and one line of JSON.
pub fn report(question: &str, ours: &[Series], beside: &[Series]) {
    println!("{question}\n{}\n", Machine::here());
    println!("{:<42} {:>7} {:>10} {:>10} {:>10}", "way", "n", "p50 us", "p99 us", "max us");
    let microseconds = |nanoseconds: u64| quotient(nanoseconds, 1000);
    for way in ours.iter().chain(beside) {
        println!(
            "{:<42} {:>7} {:>10.1} {:>10.1} {:>10.1}",
            way.name,
            way.histogram.len(),
            microseconds(way.at(0.5)),
            microseconds(way.at(0.99)),
            microseconds(way.histogram.max()),
        );
    }
    for (way, limit) in ours.iter().zip(beside) {
        let ratio = quotient(way.at(0.5), limit.at(0.5));
        println!("{} / {}: {ratio:.2} at the median", way.name, limit.name);
    }
    let ways: Vec<Value> = ours
        .iter()
        .chain(beside)
        .map(|way| {
            json!({
                "way": way.name, "n": way.histogram.len(), "p50_ns": way.at(0.5), "p99_ns": way.at(0.99),
                "min_ns": way.histogram.min(), "max_ns": way.histogram.max(),
            })
        })
        .collect();
    println!("{}", json!({ "question": question, "machine": Machine::here(), "ways": ways }));
}
