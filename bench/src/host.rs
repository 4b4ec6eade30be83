//! The machine that a run takes place on: what results depend on, and how it differs from that of the published results.
//!
//! Asked once for each run: `bench/run` hands what [`Host::ask`] found to all programs, in the variable [`VARIABLE`].

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

/// Rounds of each small measurement; together they take some milliseconds.
const ROUNDS: usize = 400;

/// System calls in one round.
const CALLS: u64 = 1000;

/// A measured property differs if it is so many times as large, or as small.
const DIFFERS_FROM: f64 = 1.5;

/// What results depend on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The day of the run, UTC.
    pub date: String,
    /// What the kernel runs on: the hypervisor's vendor, or `none`.
    pub hypervisor: String,
    /// Whether this process may use `io_uring` as the server does: `allowed`, or why not.
    pub io_uring: String,
    /// The kernel's clock source.
    pub clock: String,
    /// Nanoseconds of the cheapest system call.
    pub system_call_ns: f64,
    /// Microseconds from waking a thread on another core until it runs.
    pub wake_us: f64,
}

impl Host {
    /// This machine, as the start of the run described it; asked anew where nobody did.
    pub fn here() -> Self {
        static HERE: OnceLock<Host> = OnceLock::new();
        let told = || serde_json::from_str(&std::env::var(VARIABLE).ok()?).ok();
        HERE.get_or_init(|| told().unwrap_or_else(Self::ask)).clone()
    }

    /// Looks and measures.
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

    /// Each property beside those of the published results, which are in this directory.
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

/// A property of this machine beside those of the published results.
#[derive(Debug, PartialEq)]
pub struct Property {
    /// What it is.
    pub name: &'static str,
    /// Its value here.
    pub here: String,
    /// Its values there, several if the results come from several machines; none if they do not say.
    pub published: Vec<String>,
    /// What a difference does to figures; none if there is no difference.
    pub effect: Option<&'static str>,
}

/// Key in results, name, effect of a difference.
const PROPERTIES: [(&str, &str, &str); 8] = [
    ("cpu", "processor", "All absolute figures differ; ratios of one run compare."),
    (
        "cores",
        "cores",
        "With two cores, server and load generator have one each, and pages of FPM share both with everything else. With more, \
         shards have cores of their own.",
    ),
    ("kernel", "kernel", "The cost of a send, of a wake-up and of io_uring is the kernel's."),
    (
        "hypervisor",
        "hypervisor",
        "Waking a thread on an idle core leaves the guest: the first message of a request, and every round trip, pays for it.",
    ),
    (
        "io_uring",
        "io_uring",
        "Lone events leave through io_uring, many sessions with one system call. Without it each session costs a system call, and \
         the goals of 0.85 for lone events are out of reach.",
    ),
    ("clock", "clock source", "Other clocks than tsc and kvm-clock cost a system call for each reading."),
    (
        "system_call_ns",
        "a system call, ns",
        "All that makes system calls costs that much more or less: lone events, handshakes, Redis.",
    ),
    ("wake_us", "a wake-up, us", "Latencies of idle servers consist of wake-ups: they differ as much."),
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

/// What a program prints; nothing if it is not there.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A ring as the server's.
fn ring() -> io::Result<()> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    let _ring: IoUring = builder.build(8)?;
    Ok(())
}

/// The fastest round counts: whatever interrupts one is not the call's cost.
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

/// Half the time of a round trip between two threads that sleep, each on its core.
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
