//! Services of the operating system: file descriptor limit, clock, host name and signals.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Maximum number of descriptors for which the kernel's table is grown at startup. A table of this size takes half a megabyte.
const MAX_RESERVED_DESCRIPTORS: u64 = 1 << 16;

/// Raises the soft limit of open file descriptors to the hard limit and returns it. Without a limit: `u64::MAX`.
///
/// The soft limit is 1,024 on most systems, for programs that use select(2). Each session needs a descriptor.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Makes the kernel grow the process's descriptor table to the number of allowed descriptors, at most
/// [`MAX_RESERVED_DESCRIPTORS`].
///
/// The kernel doubles the table when another descriptor does not fit. The thread that opened it then sleeps for milliseconds,
/// until no other thread uses the old table (RCU). When many clients connect at once, that thread would be a shard with all
/// its sessions. Must be called before other threads start, when nothing has to wait.
/// If it fails, the table grows when it is needed.
pub fn reserve_descriptors(allowed: u64) {
    let highest = i32::try_from(allowed.min(MAX_RESERVED_DESCRIPTORS)).unwrap_or(i32::MAX) - 1;
    // The table never shrinks.
    let _ = fcntl_dupfd_cloexec(io::stderr(), highest);
}

/// Unix time in seconds. 0 if the clock is before 1970; every ticket is then rejected.
pub fn unix_time() -> u64 {
    since_1970().as_secs()
}

/// Time since the Unix epoch. Zero if the clock is before it.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The host name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Registers a descriptor with tokio. Needs a tokio runtime with I/O.
///
/// `owner` must keep the same descriptor open until it is dropped, as sockets and epoll sets do.
#[expect(deprecated, reason = "its replacement is unsafe, and requires just this guarantee")]
pub fn watch<T: AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}

/// A signal from the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM: shut down gracefully.
    Terminate,
    /// SIGINT (Ctrl-C): shut down gracefully.
    Interrupt,
    /// SIGHUP: reload the configuration, or end because the terminal has closed.
    HangUp,
}

impl Request {
    /// The signal's name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HangUp => "SIGHUP",
        }
    }
}

/// Receives the signals of this process. While it exists, their default action (to end the process) is disabled.
#[derive(Debug)]
pub struct Requests {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Requests {
    /// Installs the signal handlers. Needs a tokio runtime with I/O.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Terminate,
            _ = self.interrupt.recv() => Request::Interrupt,
            _ = self.hang_up.recv() => Request::HangUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[test]
    fn the_descriptor_limit_is_raised_to_what_is_allowed() {
        let raised = raise_descriptor_limit().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(limit.current.unwrap_or(u64::MAX), raised);
    }

    #[test]
    fn the_descriptor_table_grows_before_descriptors_are_opened() {
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        reserve_descriptors(allowed);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let room = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(room.trim().parse::<u64>().unwrap() >= allowed.min(MAX_RESERVED_DESCRIPTORS), "{room}");
    }

    #[tokio::test]
    async fn signals_are_received_and_do_not_end_the_process() {
        let mut requests = Requests::listen().unwrap();
        for (number, request) in [
            (Number::HUP, Request::HangUp),
            (Number::TERM, Request::Terminate),
            (Number::INT, Request::Interrupt),
        ] {
            kill_process(getpid(), number).unwrap();
            assert_eq!(requests.next().await, request);
        }
    }
}
