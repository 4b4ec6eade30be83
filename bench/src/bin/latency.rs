//! Measures the time from a publish to the first, the median and the last of 1,000 subscribers.
//!
//! Unit: milliseconds. Each server is otherwise idle and gets ten messages a second; the servers get theirs in turn within each
//! tenth of a second. The figures include the load generator's reading, for all servers alike.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use orosync_bench::machine::monotonic_ns;
use orosync_bench::measure::Subject;
use orosync_bench::question::{Extent, Question};
use orosync_bench::report::{Case, Report, quotient};

const SUBSCRIBERS: usize = 1000;
const BYTES: usize = 120;
const INTERVAL: Duration = Duration::from_millis(100);

/// Measures the time from a publish to the first, the median and the last of 1,000 subscribers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    question: Question,
}

/// Latencies of one subscriber: the first, the median or the last.
struct Series {
    name: &'static str,
    histogram: Histogram<u64>,
}

impl Series {
    fn new(name: &'static str) -> Self {
        // Nanoseconds with three significant digits, up to one minute.
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that fit");
        Self { name, histogram }
    }

    fn statistics(&self) -> [(String, f64); 3] {
        let values = [
            ("p50", self.histogram.value_at_quantile(0.5)),
            ("p99", self.histogram.value_at_quantile(0.99)),
            ("max", self.histogram.max()),
        ];
        values.map(|(statistic, value)| (format!("{}, {statistic}", self.name), quotient(value, 1_000_000)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let question = &arguments.question;
    let selection = question.prepare()?;
    let mut report = Report::new("latency", "Latency of a fan-out to 1,000 subscribers", "ms", &selection);
    let mut subjects = selection
        .peers
        .iter()
        .map(|peer| Subject::start(peer, SUBSCRIBERS, 1))
        .collect::<Result<Vec<_>, _>>()?;
    let messages = match question.extent {
        Extent::Quick => 15,
        Extent::Full => 60,
    };
    let mut cases: Vec<Case> = Vec::new();
    for _ in 0..question.repetitions(3) {
        for (name, values) in round(&mut subjects, messages)? {
            for (case_name, value) in values {
                let known = cases.iter().position(|case| case.name() == case_name);
                let index = known.unwrap_or_else(|| {
                    cases.push(Case::new(case_name));
                    cases.len() - 1
                });
                cases[index].add(&name, value);
            }
        }
    }
    for case in cases {
        if let name @ ("last, p50" | "last, p99") = case.name() {
            let text = format!("to the {name}: orosync / best peer");
            report.at_most(text, case.ratio_to_best_peer("orosync"), 1.0).if_missed(format!(
                "The last of {SUBSCRIBERS} waits for all others. The latency depends on the cost of a lone event and on the wake-up of the idle server. {}",
                case.ratio_in_words("orosync", "raw_write")
            ));
        }
        report.add(case);
    }
    report.finish(question.extent)?;
    Ok(())
}

type Statistics = Vec<(String, f64)>;

/// Publishes so many messages to all subscribers of each server and records their latencies.
fn round(subjects: &mut [Subject], messages: usize) -> Result<Vec<(String, Statistics)>, Box<dyn Error>> {
    let mut all: Vec<[Series; 3]> =
        subjects.iter().map(|_| ["first", "median", "last"].map(Series::new)).collect();
    let mut next = Instant::now();
    for _ in 0..messages {
        for (subject, series) in subjects.iter_mut().zip(&mut all) {
            let published = monotonic_ns();
            let mut arrived = Vec::with_capacity(SUBSCRIBERS);
            subject.load.publish_one(BYTES, || arrived.push(monotonic_ns() - published))?;
            let middle = arrived.len() / 2;
            for (series, place) in series.iter_mut().zip([0, middle, arrived.len() - 1]) {
                series.histogram.saturating_record(arrived[place]);
            }
        }
        next += INTERVAL;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let statistics = |series: &[Series; 3]| series.iter().flat_map(Series::statistics).collect();
    Ok(subjects
        .iter()
        .zip(&all)
        .map(|(subject, series)| (subject.name.clone(), statistics(series)))
        .collect())
}
