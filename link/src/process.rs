//! The process below the link: forks, signals and whose turn it is. All `unsafe` of this crate is here.
//!
//! A fork copies a publisher's memory, but not its thread. In the child the copy is dead: its locks may be held for ever,
//! its socket is the parent's. So everybody asks [`generation`] first (2 ns; `getpid()` is a system call of 160) and
//! forgets what an earlier generation made. The descriptors of such copies are closed in the child at once, by way of a
//! bounded table of atomics: while the child kept the parent's socket, the server could not see the parent's end.
#![expect(
    unsafe_code,
    reason = "pthread_atfork, pthread_sigmask and sched_setscheduler have no safe counterpart"
)]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use once_cell::sync::Lazy;

/// How many descriptors are closed in a child. A publisher has two: its socket and its doorbell. What does not fit stays
/// open in the child until it ends.
const MAX_DESCRIPTORS: usize = 128;

const NONE: i32 = -1;

static FORKS: AtomicU64 = AtomicU64::new(0);
static DESCRIPTORS: [AtomicI32; MAX_DESCRIPTORS] = [const { AtomicI32::new(NONE) }; MAX_DESCRIPTORS];

/// Whether glibc tells us about forks. It does unless it is out of memory.
static FORKS_ARE_SEEN: Lazy<bool> = Lazy::new(|| {
    // SAFETY: `in_child` is a function of this library, which is never unmapped (ext/build.rs), and does only what is
    // allowed in a child right after fork().
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) == 0 }
});

/// A number that is another one in a forked child than in its parent. The first call makes it so.
pub(crate) fn generation() -> u64 {
    if *FORKS_ARE_SEEN { FORKS.load(Ordering::Relaxed) } else { u64::from(std::process::id()) }
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    for slot in &DESCRIPTORS {
        let descriptor = slot.swap(NONE, Ordering::Relaxed);
        if descriptor != NONE {
            // SAFETY: close() is async-signal-safe. The descriptor is a copy of one that the parent's link owns, and
            // that link is never touched again in this process: its generation is over.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// Has the calling thread interrupt nobody when it is woken: it takes a core that is free, or its turn. A link thread would
/// otherwise interrupt the request that has just published, where all cores are busy.
pub(crate) fn interrupt_nobody() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, and the parameters are there until the call returns. One that is refused changes
    // nothing.
    unsafe {
        if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
        }
    }
}

/// A descriptor that a forked child does not keep. Drop it before the descriptor is closed.
#[derive(Debug)]
pub(crate) struct ClosedInChild {
    slot: Option<usize>,
}

impl ClosedInChild {
    /// Enters `descriptor` into the table.
    pub(crate) fn enter(descriptor: &impl AsFd) -> Self {
        let raw = descriptor.as_fd().as_raw_fd();
        let slot = DESCRIPTORS
            .iter()
            .position(|slot| slot.compare_exchange(NONE, raw, Ordering::Relaxed, Ordering::Relaxed).is_ok());
        Self { slot }
    }
}

impl Drop for ClosedInChild {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.and_then(|slot| DESCRIPTORS.get(slot)) {
            slot.store(NONE, Ordering::Relaxed);
        }
    }
}

/// Runs `spawn` with all signals blocked, so that the thread that it starts never gets one: it would take it away from
/// PHP, which blocks and waits for signals in its own thread. It also keeps SIGPROF, PHP's time limit, and SIGPIPE out.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    let _restored_when_dropped = SignalMask::block_all();
    spawn()
}

struct SignalMask(libc::sigset_t);

impl SignalMask {
    fn block_all() -> Self {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: sigfillset() initializes `all`; pthread_sigmask() reads it and initializes `before`. Neither can fail
        // with these arguments (EINVAL is for an unknown `how`).
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self(before.assume_init())
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set is the one that block_all() got from the same function.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// Runs `child` in a forked child and returns its exit code. It may use what is async-signal-safe, and atomics.
    fn exit_code_of_child(child: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child calls nothing but `child` and _exit(); the parent waits for it.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::_exit(child());
            }
            assert!(pid > 0, "fork() failed");
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
            assert!(libc::WIFEXITED(status), "the child was killed");
            libc::WEXITSTATUS(status)
        }
    }

    #[test]
    fn a_child_is_another_generation_and_its_parent_is_not() {
        let before = generation();
        assert_eq!(exit_code_of_child(|| i32::from(generation() == before)), 0);
        assert_eq!(generation(), before);
    }

    #[test]
    fn a_child_does_not_keep_the_parents_socket_open() {
        generation();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let entered = ClosedInChild::enter(&ours);
        let raw = ours.as_raw_fd();
        // SAFETY: fcntl(F_GETFD) only asks whether the descriptor is open.
        let is_open = || i32::from(unsafe { libc::fcntl(raw, libc::F_GETFD) } != -1);
        assert_eq!(exit_code_of_child(is_open), 0);
        assert_eq!(is_open(), 1, "the parent's own descriptor stays");
        drop(entered);
        assert_eq!(exit_code_of_child(is_open), 1, "what has left the table is not closed");
        drop(ours);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_thread_is_started_with_all_signals_blocked_and_the_starter_keeps_its_mask() {
        fn blocked(signal: i32) -> bool {
            let mut set = MaybeUninit::uninit();
            // SAFETY: a null set changes nothing; the current mask is written to `set`.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), set.as_mut_ptr());
                libc::sigismember(set.as_ptr(), signal) == 1
            }
        }
        let signals = [libc::SIGTERM, libc::SIGPROF, libc::SIGCHLD, libc::SIGPIPE];
        let thread = with_signals_blocked(|| thread::spawn(move || signals.map(blocked)));
        assert_eq!(thread.join().unwrap(), [true; 4]);
        assert_eq!(signals.map(blocked), [false; 4]);
    }
}
