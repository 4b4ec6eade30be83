//! What the process asks of its operating system: descriptors, the time of day, and the signals that end it.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The most descriptors that room is made for at the start: half a megabyte of the kernel's memory.
const MOST_ROOM: u64 = 1 << 16;

/// Raises the soft limit of open descriptors to the hard one, and returns it. Without a limit: `u64::MAX`.
///
/// The soft limit is 1,024 on most systems, for the sake of programs that use select(2); each session needs one.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Has the kernel make room for as many descriptors as are allowed, up to some ten thousand. It doubles its table when one more
/// does not fit, and whoever opens that one then sleeps for milliseconds until no other thread looks at the old table (RCU): with a
/// crowd at the door that would be a shard, with all its sessions. Call it before there are other threads, so that nobody sleeps.
pub fn make_room_for_descriptors(allowed: u64) -> io::Result<()> {
    let highest = i32::try_from(allowed.min(MOST_ROOM)).unwrap_or(i32::MAX) - 1;
    // The table never becomes smaller.
    fcntl_dupfd_cloexec(io::stderr(), highest).map(drop)?;
    Ok(())
}

/// The time of day, in seconds since 1970. A clock before that refuses every ticket, which is right.
pub fn unix_time() -> u64 {
    since_1970().as_secs()
}

/// How long 1970 is ago.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What this machine is called.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Has tokio tell when a descriptor is readable. Needs a tokio runtime with I/O.
///
/// For owners of a descriptor that keep it until they are dropped, such as sockets and epoll sets.
#[expect(deprecated, reason = "its replacement is unsafe, in order to have just that promised")]
pub fn watch<T: AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}

/// What an operator asks of a running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM: end, in order.
    Terminate,
    /// SIGINT, Ctrl-C: the same.
    Interrupt,
    /// SIGHUP: the terminal has gone, or somebody expects that the configuration is read again.
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

/// The signals of this process. While it exists, none of them ends the process by itself.
#[derive(Debug)]
pub struct Requests {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Requests {
    /// Begins to listen. Needs a tokio runtime with I/O.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
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
    fn the_kernel_has_room_for_descriptors_before_they_are_opened() {
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        make_room_for_descriptors(allowed).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let room = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        assert!(room.trim().parse::<u64>().unwrap() >= allowed.min(MOST_ROOM), "{room}");
    }

    #[tokio::test]
    async fn a_signal_is_a_request_and_not_the_end() {
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
