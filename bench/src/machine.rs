//! Operating system facilities: core affinity, clocks, descriptor limits.

use std::io;
use std::sync::OnceLock;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores in this process's initial affinity mask.
#[derive(Debug)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Reads the affinity mask on first use, which must be before anything is bound to a core.
    pub fn all() -> &'static Self {
        static ALL: OnceLock<Cores> = OnceLock::new();
        ALL.get_or_init(|| {
            let mask = sched_getaffinity(None).unwrap_or_default();
            Self((0..CpuSet::MAX_CPU).filter(|core| mask.is_set(*core)).collect())
        })
    }

    /// Number of cores.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The core of a server with one shard.
    pub fn server(&self) -> usize {
        self.0.first().copied().unwrap_or(0)
    }

    /// The core of the load generator: its own, if there are at least two.
    pub fn load(&self) -> usize {
        self.0.last().copied().unwrap_or(0)
    }

    /// The cores of a server with several shards: all but the load generator's, or all if that leaves fewer than two.
    pub fn for_shards(&self) -> &[usize] {
        let beside = self.0.len().saturating_sub(1);
        if beside >= 2 { &self.0[..beside] } else { &self.0 }
    }
}

/// Binds this thread, and the processes that it starts afterwards, to these cores.
pub fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the descriptor limit of this process and its children as far as possible, up to `wanted`. Returns the new limit.
/// Exceeding the hard limit needs `CAP_SYS_RESOURCE`.
pub fn raise_descriptors(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if !enough(limit.current) {
        let hard = if enough(limit.maximum) { limit.maximum } else { Some(wanted) };
        let raised = Rlimit { current: Some(wanted), maximum: hard };
        let as_far_as_allowed = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // If both fail, the current limit stays.
        let _ =
            setrlimit(Resource::Nofile, raised).or_else(|_| setrlimit(Resource::Nofile, as_far_as_allowed));
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// CPU time of another process in nanoseconds: all threads, including those that have ended.
pub fn cpu_ns(process: u32) -> io::Result<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.cast_signed()))?;
    let time = clock_gettime(clock)?;
    Ok(nanoseconds(time.tv_sec(), time.tv_nsec()))
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of PHP's `hrtime(true)`, so that both ends of a path read the same clock.
pub fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| nanoseconds(time.tv_sec(), time.tv_nsec()))
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    seconds.unsigned_abs() * 1_000_000_000 + nanoseconds.unsigned_abs()
}
