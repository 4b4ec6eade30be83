//! Process-level code of the link: forks, signals and scheduling. All `unsafe` of this crate is here.
//!
//! A fork copies a publisher's memory, but not its thread. The child's copy is unusable: its locks may be held for ever, its
//! socket is the parent's. So every access first compares [`generation`] (2 ns; the system call `getpid()` takes 160) and
//! forgets what an earlier generation created. The copied descriptors are closed in the child at once, with the help of a
//! bounded table of atomics: if the child kept the parent's socket, the server could not see the parent's end.
//!
//! glibc's resolver has locks that a fork copies in their current state: the child could never resolve a name again. So a fork
//! waits for a link thread in the resolver, and no thread enters it meanwhile. The fork waits at most [`RESOLVER_TIMEOUT`]: a
//! thread that stays longer waits for the network and holds no lock.
#![expect(
    unsafe_code,
    reason = "pthread_atfork, pthread_sigmask and sched_setscheduler have no safe counterpart"
)]

#[cfg(feature = "threads")]
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
#[cfg(feature = "threads")]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

/// Size of the table of descriptors to close in a child. A publisher has three: socket, bell and alarm. Descriptors beyond it
/// stay open in the child until it ends.
const MAX_DESCRIPTORS: usize = 128;

const NONE: i32 = -1;

/// Maximum time that a fork waits for the resolver.
const RESOLVER_TIMEOUT: Duration = Duration::from_millis(100);

/// Polling interval while waiting for the resolver, or for a fork.
const RESOLVER_NAP: Duration = Duration::from_micros(100);

/// Stack size of the link thread, the standard library's default.
const STACK_BYTES: usize = 2 << 20;

/// The largest page size on any supported system. Stack sizes are rounded up to it.
const PAGE_BYTES: usize = 64 << 10;

/// Number of threads in the resolver, and of forks in progress.
static RESOLVING: AtomicU32 = AtomicU32::new(0);
static FORKING: AtomicU32 = AtomicU32::new(0);

static FORKS: AtomicU64 = AtomicU64::new(0);
static DESCRIPTORS: [AtomicI32; MAX_DESCRIPTORS] = [const { AtomicI32::new(NONE) }; MAX_DESCRIPTORS];

/// Whether glibc calls the fork handlers. It does unless it is out of memory.
static FORKS_ARE_SEEN: Lazy<bool> = Lazy::new(|| {
    // SAFETY: functions of this library, which is never unmapped (ext/build.rs). `in_child` does only what is allowed in a
    // child right after fork().
    unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) == 0 }
});

/// The process's generation, a number that differs between a forked child and its parent. The first call installs the handlers.
pub(crate) fn generation() -> u64 {
    if *FORKS_ARE_SEEN { FORKS.load(Ordering::Relaxed) } else { u64::from(std::process::id()) }
}

/// Installs the fork handlers, which otherwise the first publisher does. Where several threads may create it, call this before
/// they exist: a fork while one of them installs the handlers would leave the child waiting for it.
pub fn watch_forks() {
    generation();
}

extern "C" fn before_fork() {
    // Before reading the other counter; `between_forks` has the other half.
    FORKING.fetch_add(1, Ordering::SeqCst);
    let begun = Instant::now();
    while RESOLVING.load(Ordering::SeqCst) > 0 && begun.elapsed() < RESOLVER_TIMEOUT {
        thread::sleep(RESOLVER_NAP);
    }
}

extern "C" fn in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// A stack size that no thread of a parent has had. glibc reuses the stack of a thread that a fork left behind if it is large
/// enough, and with it the state of its resolver: the child would send its queries through the parent's socket and receive the
/// parent's answers.
pub(crate) fn stack_bytes() -> usize {
    let forks = usize::try_from(FORKS.load(Ordering::Relaxed)).unwrap_or(0);
    STACK_BYTES + forks * PAGE_BYTES
}

/// Runs `resolve`, which uses the resolver, while no fork can copy its locks.
pub(crate) fn between_forks<T>(resolve: impl FnOnce() -> T) -> T {
    struct Resolving;
    impl Drop for Resolving {
        fn drop(&mut self) {
            RESOLVING.fetch_sub(1, Ordering::SeqCst);
        }
    }
    loop {
        RESOLVING.fetch_add(1, Ordering::SeqCst);
        let resolving = Resolving;
        if FORKING.load(Ordering::SeqCst) == 0 {
            let resolved = resolve();
            drop(resolving);
            return resolved;
        }
        drop(resolving);
        thread::sleep(RESOLVER_NAP);
    }
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    // The counted threads do not exist in the child.
    RESOLVING.store(0, Ordering::Relaxed);
    FORKING.store(0, Ordering::Relaxed);
    for slot in &DESCRIPTORS {
        let descriptor = slot.swap(NONE, Ordering::Relaxed);
        if descriptor != NONE {
            // SAFETY: close() is async-signal-safe. The descriptor is a copy of one that the parent's link owns, and
            // that link is never touched again in this process: its generation is over.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// Switches the calling thread to `SCHED_BATCH`, so that waking it never preempts another thread. A link thread would otherwise
/// preempt the request that has just published if all cores are busy.
pub(crate) fn never_preempt() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, and the parameters live until the call returns. If the kernel refuses the
    // call, nothing changes.
    unsafe {
        if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
        }
    }
}

/// A value shared by the threads of one process. A forked child gets a new one: a thread that does not exist there may have
/// locked the parent's, which is never used or freed in the child.
#[cfg(feature = "threads")]
#[derive(Debug)]
pub(crate) struct OfProcess<T> {
    current: AtomicPtr<(u64, T)>,
    owned: PhantomData<T>,
}

#[cfg(feature = "threads")]
impl<T: Default> OfProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { current: AtomicPtr::new(std::ptr::null_mut()), owned: PhantomData }
    }

    /// The value of this process, created on first use.
    pub(crate) fn get(&self) -> &T {
        let generation = generation();
        let mut current = self.current.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or a box that lives until `self` is dropped, and is replaced in a child alone.
            if let Some((_, value)) = unsafe { current.as_ref() }.filter(|(of, _)| *of == generation) {
                return value;
            }
            let new = Box::into_raw(Box::new((generation, T::default())));
            match self.current.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: as above.
                Ok(_) => return unsafe { &(*new).1 },
                Err(anothers) => {
                    // SAFETY: it is ours alone, nobody has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    current = anothers;
                }
            }
        }
    }
}

#[cfg(feature = "threads")]
impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        let current = *self.current.get_mut();
        // SAFETY: null or a box, which nobody borrows any more. An inherited one stays as it is.
        unsafe {
            if current.as_ref().is_some_and(|(of, _)| *of == generation()) {
                drop(Box::from_raw(current));
            }
        }
    }
}

/// A descriptor that is closed in forked children. Drop this before the descriptor itself is closed.
#[derive(Debug)]
pub(crate) struct ClosedInChild {
    slot: Option<usize>,
}

impl ClosedInChild {
    /// Adds `descriptor` to the table.
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

/// Runs `work` with all signals blocked in this thread, so that no handler runs meanwhile. A thread that `work` starts never
/// receives one: PHP blocks and waits for signals in its own thread. This also keeps out SIGPROF, PHP's time limit, and SIGPIPE.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let _restored_when_dropped = SignalMask::block_all();
    work()
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
    use std::sync::atomic::AtomicBool;
    use std::sync::{Mutex, mpsc};

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
    fn a_fork_changes_the_generation_of_the_child_only() {
        let before = generation();
        assert_eq!(exit_code_of_child(|| i32::from(generation() == before)), 0);
        assert_eq!(generation(), before);
    }

    #[cfg(feature = "threads")]
    #[test]
    fn threads_share_a_value_and_a_child_gets_a_new_one_even_while_the_lock_is_held() {
        let shared = OfProcess::<Mutex<u32>>::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| *shared.get().lock().unwrap() += 1);
            }
        });
        let held = shared.get().lock().unwrap();
        assert_eq!(*held, 4);
        // A free lock is taken without allocating, so the child waits for no other thread.
        let of_child = || i32::try_from(shared.get().try_lock().map_or(99, |value| *value)).unwrap();
        assert_eq!(exit_code_of_child(of_child), 0);
        drop(held);
        assert_eq!(*shared.get().lock().unwrap(), 4);
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
        assert_eq!(exit_code_of_child(is_open), 1, "a descriptor that is no longer in the table stays open");
        drop(ours);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_child_inherits_no_held_lock_of_the_resolver() {
        /// Stands for a lock of glibc's resolver.
        static LOCK: Mutex<()> = Mutex::new(());
        generation();
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    between_forks(|| {
                        let held = LOCK.lock().unwrap();
                        thread::sleep(RESOLVER_NAP);
                        drop(held);
                    });
                }
            });
            let is_held = || i32::from(LOCK.try_lock().is_err());
            let found: Vec<_> = (0..20).map(|_| exit_code_of_child(is_held)).collect();
            ended.store(true, Ordering::Relaxed);
            assert_eq!(found, [0; 20]);
        });
    }

    #[test]
    fn a_fork_does_not_wait_for_the_answer_of_a_nameserver() {
        generation();
        let (enter, entered) = mpsc::channel();
        let (answer, answered) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                between_forks(|| {
                    enter.send(()).unwrap();
                    // Until the sender is dropped.
                    let _ = answered.recv();
                });
            });
            entered.recv().unwrap();
            assert_eq!(exit_code_of_child(|| 0), 0);
            drop(answer);
        });
    }

    #[test]
    fn a_new_thread_blocks_all_signals_and_its_creator_keeps_its_mask() {
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
