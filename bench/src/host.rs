//! Description of the machine: the properties that results depend on, and how they differ from those of the published results.
//!
//! `bench/run` calls [`Host::ask`] once per run and passes the description to all programs in the variable [`VARIABLE`].

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use io_uring::IoUring;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::machine::{Cores, pin};
use crate::report::{median, quotient};

/// The environment variable that holds the description of this machine, as JSON.
pub const VARIABLE: &str = "BENCH_MACHINE";

/// Rounds of each small measurement; together they take a few milliseconds.
const ROUNDS: usize = 400;

/// System calls in one round.
const CALLS: u64 = 1000;

/// Factor by which a measured property must be larger or smaller to count as different.
const DIFFERS_FROM: f64 = 1.5;

/// The properties of a machine that results depend on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// Number of cores that this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Date of the run, UTC.
    pub date: String,
    /// The hypervisor's vendor, or `none`.
    pub hypervisor: String,
    /// `allowed` if this process may use `io_uring` as the server does, else the reason.
    pub io_uring: String,
    /// The kernel's clock source.
    pub clock: String,
    /// Cost of the cheapest system call in nanoseconds.
    pub system_call_ns: f64,
    /// Time from waking a thread on another core until it runs, in microseconds.
    pub wake_us: f64,
}

impl Host {
    /// The description from the start of the run, or a new one if there is none.
    pub fn here() -> Self {
        static HERE: OnceLock<Host> = OnceLock::new();
        let told = || serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok();
        HERE.get_or_init(|| told().unwrap_or_else(Self::ask)).clone()
    }

    /// Reads and measures all properties.
    pub fn ask() -> Self {
        let lscpu = output("lscpu", &[]);
        let of_cpu = |name: &str| {
            let line = lscpu.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        let file = |path: &str| {
            fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
        };
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            cpu: of_cpu("Model name").unwrap_or_else(|| "unknown".into()),
            cores: Cores::all().count(),
            kernel: file("/proc/sys/kernel/osrelease"),
            date: output("date", &["-u", "+%F"]).trim().to_owned(),
            hypervisor: of_cpu("Hypervisor vendor").unwrap_or_else(|| "none".into()),
            io_uring: ring().map_or_else(|error| format!("refused: {error}"), |()| "allowed".into()),
            clock: file("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            system_call_ns: rounded(system_call_ns()),
            wake_us: rounded(wake_us().unwrap_or_default()),
        }
    }

    /// Compares each property with the published results in this directory.
    pub fn beside(&self, published: &Path) -> io::Result<Vec<Property>> {
        let mut others = Vec::new();
        for entry in fs::read_dir(published)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let result: Value = serde_json::from_slice(&fs::read(path)?)?;
                others.extend(result.get("machine").cloned());
            }
        }
        Ok(properties(&serde_json::to_value(self)?, &others))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores, {}, hypervisor {}, Linux {}, io_uring {}, clock {}, a system call {:.0} ns, a wake-up {:.1} us; {}",
            self.cores,
            self.cpu,
            self.hypervisor,
            self.kernel,
            self.io_uring,
            self.clock,
            self.system_call_ns,
            self.wake_us,
            self.date,
        )
    }
}

/// One property, here and in the published results.
#[derive(Debug, PartialEq)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its value here.
    pub here: String,
    /// Its values there: several if the results come from several machines, none if they do not contain it.
    pub published: Vec<String>,
    /// The effect of the difference on the figures; `None` if there is no difference.
    pub effect: Option<&'static str>,
}

/// Key in results, name, effect of a difference.
const PROPERTIES: [(&str, &str, &str); 8] = [
    ("cpu", "processor", "All absolute figures differ; compare ratios within one run."),
    (
        "cores",
        "cores",
        "With two cores, server and load generator have one each, and FPM pages share both with everything else. With more, \
         shards have their own cores.",
    ),
    ("kernel", "kernel", "The kernel determines the cost of a send, a wake-up and io_uring."),
    (
        "hypervisor",
        "hypervisor",
        "Waking a thread on an idle core causes a VM exit, which adds to the first message of a request and to every round trip.",
    ),
    (
        "io_uring",
        "io_uring",
        "Lone events are written through io_uring, to many sessions with one system call. Without it each session costs one, and \
         the goals of 0.85 for lone events cannot be reached.",
    ),
    ("clock", "clock source", "Clock sources other than tsc and kvm-clock cost a system call per reading."),
    (
        "system_call_ns",
        "a system call, ns",
        "The cost of everything with system calls changes accordingly: lone events, handshakes, Redis.",
    ),
    ("wake_us", "a wake-up, us", "Latencies of idle servers consist of wake-ups and change accordingly."),
];

fn properties(here: &Value, others: &[Value]) -> Vec<Property> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let differs = |here: &Value, there: &Value| match (here.as_f64(), there.as_f64()) {
        (Some(here), Some(there)) if !here.fract().eq(&0.0) || !there.fract().eq(&0.0) => {
            !(1.0 / DIFFERS_FROM..=DIFFERS_FROM).contains(&(here / there))
        }
        _ => here != there,
    };
    let property = |(key, name, effect): (&str, &'static str, &'static str)| {
        let value = &here[key];
        let there: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        let differs = !there.is_empty() && there.iter().all(|there| differs(value, there));
        let published: BTreeSet<String> = there.into_iter().map(text).collect();
        Property {
            name,
            here: text(value),
            published: published.into_iter().collect(),
            effect: differs.then_some(effect),
        }
    };
    PROPERTIES.into_iter().map(property).collect()
}

/// The output of a program; empty if it is not installed.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Creates a ring with the server's flags.
fn ring() -> io::Result<()> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    let _ring: IoUring = builder.build(8)?;
    Ok(())
}

/// Time of the fastest round, because interruptions are not part of the call's cost.
fn system_call_ns() -> f64 {
    let round = || {
        let began = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(rustix::process::getppid());
        }
        #[expect(clippy::cast_possible_truncation, reason = "microseconds, in nanoseconds")]
        let elapsed = began.elapsed().as_nanos() as u64;
        quotient(elapsed, CALLS)
    };
    (0..ROUNDS / 10).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// Half the round-trip time between two sleeping threads, each on its own core.
fn wake_us() -> io::Result<f64> {
    let (mut question, mut ask) = io::pipe()?;
    let (mut reply, mut answer) = io::pipe()?;
    thread::scope(|scope| {
        scope.spawn(move || -> io::Result<()> {
            pin(&[Cores::all().server()])?;
            let mut byte = [0];
            while question.read(&mut byte)? > 0 {
                answer.write_all(&byte)?;
            }
            Ok(())
        });
        let asking = scope.spawn(move || -> io::Result<f64> {
            pin(&[Cores::all().load()])?;
            let mut trips = Vec::with_capacity(ROUNDS);
            for _ in 0..ROUNDS {
                let began = Instant::now();
                ask.write_all(&[1])?;
                reply.read_exact(&mut [0])?;
                trips.push(began.elapsed().as_secs_f64() * 1e6 / 2.0);
            }
            Ok(median(&trips))
        });
        asking.join().map_err(|_| io::Error::other("the measuring thread has ended"))?
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of<'a>(found: &'a [Property], name: &str) -> &'a Property {
        found.iter().find(|property| property.name == name).expect("a property of that name")
    }

    #[test]
    fn what_differs_from_all_published_machines_has_an_effect() {
        let here = json!({ "cpu": "A", "cores": 4, "io_uring": "refused: no", "wake_us": 4.5, "system_call_ns": 90.5 });
        let others = [
            json!({ "cpu": "A", "cores": 2, "io_uring": "allowed", "wake_us": 1.5, "system_call_ns": 100.5 }),
            json!({ "cpu": "B", "cores": 2, "wake_us": 1.4, "system_call_ns": 99.5 }),
        ];
        let found = properties(&here, &others);
        assert_eq!(of(&found, "processor").effect, None, "one of them is alike");
        assert_eq!(of(&found, "processor").published, ["A", "B"]);
        assert!(of(&found, "cores").effect.is_some());
        assert!(of(&found, "io_uring").effect.is_some());
        assert!(of(&found, "a wake-up, us").effect.is_some(), "three times as long");
        assert_eq!(of(&found, "a system call, ns").effect, None, "a tenth is noise");
        assert_eq!(of(&found, "kernel").effect, None, "nobody says which");
    }

    #[test]
    fn this_machine_can_be_told_to_other_programs() {
        let asked = Host::ask();
        assert!(asked.cores > 0 && asked.system_call_ns > 1.0 && asked.wake_us > 0.0, "{asked}");
        let told = serde_json::to_string(&asked).expect("figures and texts");
        assert_eq!(serde_json::from_str::<Host>(&told).expect("what was just written"), asked);
    }
}
