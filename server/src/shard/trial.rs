//! Measures once, at startup, whether sending with `io_uring` is faster on this machine.
//!
//! The savings of one system call for many sends depend on the kernel, the processor and the hypervisor: a third of a send, a
//! twentieth, or nothing. Both methods therefore send the same data to the same loopback connections, alternately. The fastest
//! round of each method counts, because other load on the machine only makes rounds longer. `io_uring` is used if it saves more
//! than [`MARGIN_PER_MILLE`], by which such rounds differ at random. Otherwise each socket is written to separately, which is
//! fast on every kernel. Rounds are measured in elapsed time, because some kernels do not charge a long system call with all of
//! its CPU time.
//!
//! Bounds: [`TIME_LIMIT`], and `2 * SOCKETS` descriptors and two more, which are all closed at the end.

use std::io::{self, IoSlice, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use tracing::{info, warn};

use super::ring::{Send, SendRing};
use super::send::send_each;
use crate::config::settings::SendTogether;

/// Number of connections that are sent to. With more, the cost per send is the same.
const SOCKETS: usize = 32;
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const SENDS: u32 = SOCKETS as u32;

/// Maximum number of rounds. They take a few milliseconds.
const MAX_ROUNDS: usize = 32;

/// Minimum number of rounds for a result. With fewer, other load may have disturbed all of them.
const MIN_ROUNDS: usize = 8;

/// Time limit after which no round begins. It is reached only on a very busy machine.
const TIME_LIMIT: Duration = Duration::from_millis(50);

/// Minimum savings per mille. The fastest rounds differ by less than this between two startups, even on a busy machine.
const MARGIN_PER_MILLE: u32 = 5;

/// The data of each send, the size of a small event.
const FRAME: [u8; 128] = [b'x'; 128];

/// The method by which messages are sent to many sessions, and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whether one system call sends to many sessions.
    pub together: bool,
    /// The reason for the choice.
    pub reason: Reason,
}

/// The reason for a [`Choice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration determines the method.
    Configured,
    /// The kernel does not support rings, or an administrator or a container forbids them.
    Refused,
    /// The measurement determined the method.
    Measured,
    /// The measurement failed.
    Unmeasured,
}

impl Reason {
    /// The label of the reason in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Refused => "refused",
            Self::Measured => "measured",
            Self::Unmeasured => "unmeasured",
        }
    }
}

/// Chooses the method, measuring if necessary. Logs the choice, unless the configuration determines it.
pub fn choose(wanted: SendTogether) -> Choice {
    if wanted == SendTogether::Off {
        return Choice { together: false, reason: Reason::Configured };
    }
    if let Err(error) = SendRing::new() {
        const LINE: &str = "io_uring is not allowed here: each socket is written to separately";
        if wanted == SendTogether::On {
            warn!(%error, "{LINE}");
        } else {
            info!(%error, "{LINE}");
        }
        return Choice { together: false, reason: Reason::Refused };
    }
    if wanted == SendTogether::On {
        return Choice { together: true, reason: Reason::Configured };
    }
    match measure_as_a_shard().map(|rounds| Figures::of(&rounds)) {
        Ok(Some(figures)) => {
            let (together_ns, by_itself_ns) = (figures.together.as_nanos(), figures.by_itself.as_nanos());
            let together = figures.pays_off();
            if together {
                info!(
                    together_ns,
                    by_itself_ns, "io_uring is faster here: many sockets are written to with one system call"
                );
            } else {
                info!(
                    together_ns,
                    by_itself_ns, "io_uring is not faster here: each socket is written to separately"
                );
            }
            Choice { together, reason: Reason::Measured }
        }
        unknown => {
            let error = unknown.err().unwrap_or_else(|| io::Error::other("the machine is too busy"));
            info!(%error, "cannot measure whether io_uring is faster: each socket is written to separately");
            Choice { together: false, reason: Reason::Unmeasured }
        }
    }
}

/// Elapsed time of a send to each connection, by method.
#[derive(Clone, Copy, Debug)]
struct Round {
    together: Duration,
    by_itself: Duration,
}

/// Cost of one send without interference, by method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    together: Duration,
    by_itself: Duration,
}

impl Figures {
    /// Evaluates the rounds. Returns `None` if there are too few.
    fn of(rounds: &[Round]) -> Option<Self> {
        if rounds.len() < MIN_ROUNDS {
            return None;
        }
        let together = rounds.iter().map(|round| round.together).min()? / SENDS;
        let by_itself = rounds.iter().map(|round| round.by_itself).min()? / SENDS;
        Some(Self { together, by_itself })
    }

    /// Whether sending with one system call saves enough.
    fn pays_off(self) -> bool {
        self.together * 1000 <= self.by_itself * (1000 - MARGIN_PER_MILLE)
    }
}

/// Measures in a separate thread, under the conditions of a shard. In a process with several threads, the kernel counts the
/// users of a socket at each system call; in one with a single thread it does not.
fn measure_as_a_shard() -> io::Result<Vec<Round>> {
    let measuring = thread::Builder::new().name("trial".to_owned()).spawn(measure)?;
    measuring.join().unwrap_or_else(|_| Err(io::Error::other("the measuring thread panicked")))
}

/// Measures at most [`MAX_ROUNDS`] rounds within [`TIME_LIMIT`].
fn measure() -> io::Result<Vec<Round>> {
    let mut ring = SendRing::new()?;
    let begun = Instant::now();
    let mut connections = Connections::open()?;
    let mut rounds = Vec::with_capacity(MAX_ROUNDS);
    while rounds.len() < MAX_ROUNDS && begun.elapsed() < TIME_LIMIT {
        // The methods alternate in going first.
        rounds.push(if rounds.len() % 2 == 0 {
            let together = connections.time(Some(&mut ring))?;
            Round { together, by_itself: connections.time(None)? }
        } else {
            let by_itself = connections.time(None)?;
            Round { together: connections.time(Some(&mut ring))?, by_itself }
        });
    }
    Ok(rounds)
}

/// Loopback connections of this process with itself.
struct Connections {
    /// The receiving ends. Dropped first, with unread data, which resets the connections: none stays in `TIME_WAIT`.
    theirs: ArrayVec<TcpStream, SOCKETS>,
    ours: ArrayVec<TcpStream, SOCKETS>,
}

impl Connections {
    fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut connections = Self { theirs: ArrayVec::new(), ours: ArrayVec::new() };
        while !connections.ours.is_full() {
            connections.open_one(&listener, &address)?;
        }
        Ok(connections)
    }

    fn open_one(&mut self, listener: &TcpListener, address: &SocketAddr) -> io::Result<()> {
        let theirs = TcpStream::connect_timeout(address, TIME_LIMIT)?;
        let (ours, peer) = listener.accept()?;
        if peer != theirs.local_addr()? {
            return Err(io::Error::other("another process has connected"));
        }
        theirs.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        ours.set_nodelay(true)?;
        self.theirs.push(theirs);
        self.ours.push(ours);
        Ok(())
    }

    /// Reads earlier data, then measures the elapsed time of a send to each connection.
    fn time(&mut self, ring: Option<&mut SendRing>) -> io::Result<Duration> {
        let mut buffer = [0; 4 * FRAME.len()];
        for socket in &mut self.theirs {
            match socket.read(&mut buffer) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        let ours = self.ours.iter();
        let sends: ArrayVec<_, SOCKETS> =
            ours.map(|socket| Send { socket: socket.as_fd(), slices: 1 }).collect();
        let frames = [IoSlice::new(&FRAME); SOCKETS];
        let mut failure = None;
        let completed = |_, outcome| match outcome {
            Ok(taken) if taken == FRAME.len() => {}
            Ok(_) => failure = Some(io::Error::other("a send was incomplete")),
            Err(error) => failure = Some(error),
        };
        let begun = Instant::now();
        match ring {
            Some(ring) => ring.send_all(&sends, &frames, completed)?,
            None => send_each(&sends, &frames, completed),
        }
        let time = begun.elapsed();
        failure.map_or(Ok(time), Err)
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "a filter for system calls is installed by system calls")]
mod tests {
    use std::fs;

    use super::*;

    fn rounds(together_us: &[u64], by_itself_us: &[u64]) -> Vec<Round> {
        let both = together_us.iter().zip(by_itself_us);
        both.map(|(together, by_itself)| Round {
            together: Duration::from_micros(*together),
            by_itself: Duration::from_micros(*by_itself),
        })
        .collect()
    }

    fn pays_off(together_us: &[u64], by_itself_us: &[u64]) -> Option<bool> {
        Figures::of(&rounds(together_us, by_itself_us)).map(Figures::pays_off)
    }

    #[test]
    fn a_saving_above_the_margin_is_enough() {
        assert_eq!(pays_off(&[320; 8], &[640; 8]), Some(true));
        assert_eq!(pays_off(&[31_840; 8], &[32_000; 8]), Some(true));
        assert_eq!(pays_off(&[3200; 8], &[3200; 8]), Some(false));
        assert_eq!(pays_off(&[31_872; 8], &[32_000; 8]), Some(false));
        assert_eq!(pays_off(&[640; 8], &[320; 8]), Some(false));
    }

    #[test]
    fn noise_does_not_matter_if_each_method_has_one_undisturbed_round() {
        let noisy = |quiet: u64, at: usize| -> Vec<u64> {
            (0..8).map(|round| if round == at { quiet } else { quiet * 3 + round as u64 * 977 }).collect()
        };
        assert_eq!(pays_off(&noisy(320, 0), &noisy(640, 7)), Some(true));
        assert_eq!(pays_off(&noisy(640, 3), &noisy(320, 4)), Some(false));
        assert_eq!(pays_off(&noisy(320, 2), &[640; 8]), Some(true));
        assert_eq!(pays_off(&[640; 8], &noisy(320, 5)), Some(false));
    }

    #[test]
    fn too_few_rounds_give_no_result() {
        assert_eq!(pays_off(&[320; 7], &[640; 7]), None);
        assert_eq!(pays_off(&[], &[]), None);
    }

    #[test]
    fn the_figures_are_of_one_send() {
        let figures = Figures::of(&rounds(&[32; 8], &[64; 8])).unwrap();
        assert_eq!(
            figures,
            Figures { together: Duration::from_micros(1), by_itself: Duration::from_micros(2) }
        );
    }

    #[test]
    fn measuring_ends_soon_with_a_result() {
        // Without rings there is nothing to measure.
        if SendRing::new().is_err() {
            return;
        }
        let begun = Instant::now();
        let rounds = measure_as_a_shard().unwrap();
        assert!(begun.elapsed() < TIME_LIMIT * 20, "{:?}", begun.elapsed());
        assert!((1..=MAX_ROUNDS).contains(&rounds.len()), "{}", rounds.len());
        for Round { together, by_itself } in rounds {
            assert!(!together.is_zero() && !by_itself.is_zero());
        }
        let choice = choose(SendTogether::Auto);
        assert!(matches!(choice.reason, Reason::Measured | Reason::Unmeasured), "{choice:?}");
    }

    #[test]
    fn measuring_opens_a_bounded_number_of_descriptors_and_closes_them() {
        let counts = thread::spawn(|| {
            // SAFETY: from here on this thread has descriptors of its own, which no other thread opens or closes.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_FILES) }, 0);
            let count = || fs::read_dir("/proc/thread-self/fd").unwrap().count();
            let before = count();
            let connections = Connections::open().unwrap();
            let open = count() - before;
            drop(connections);
            if SendRing::new().is_ok() {
                measure().unwrap();
            }
            (open, count() - before)
        });
        assert_eq!(counts.join().unwrap(), (2 * SOCKETS, 0));
    }

    #[test]
    fn the_configuration_decides_without_measuring() {
        let off = Choice { together: false, reason: Reason::Configured };
        assert_eq!(choose(SendTogether::Off), off);
        if SendRing::new().is_ok() {
            assert_eq!(choose(SendTogether::On), Choice { together: true, reason: Reason::Configured });
        }
    }

    #[test]
    fn each_socket_is_written_to_separately_where_a_container_forbids_rings() {
        let refused = Choice { together: false, reason: Reason::Refused };
        for wanted in [SendTogether::Auto, SendTogether::On] {
            let chosen = thread::spawn(move || {
                forbid_rings();
                choose(wanted)
            });
            assert_eq!(chosen.join().unwrap(), refused);
        }
    }

    /// Forbids `io_uring` for this thread, with a seccomp filter like that of container runtimes.
    fn forbid_rings() {
        #[expect(clippy::cast_possible_truncation, reason = "numbers of system calls")]
        let io_uring_setup = libc::SYS_io_uring_setup as u32;
        let code = |code: u32| u16::try_from(code).unwrap();
        let filter = [
            // Loads the number of the system call. If it is `io_uring_setup`, the next instruction refuses it; else it is
            // skipped.
            libc::sock_filter { code: code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: 0 },
            libc::sock_filter {
                code: code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
                jt: 0,
                jf: 1,
                k: io_uring_setup,
            },
            libc::sock_filter {
                code: code(libc::BPF_RET | libc::BPF_K),
                jt: 0,
                jf: 0,
                k: libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
            },
            libc::sock_filter {
                code: code(libc::BPF_RET | libc::BPF_K),
                jt: 0,
                jf: 0,
                k: libc::SECCOMP_RET_ALLOW,
            },
        ];
        let program = libc::sock_fprog {
            len: u16::try_from(filter.len()).unwrap(),
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel copies the program, which lives until the call returns. The filter applies to this thread only.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        assert!(installed, "{}", io::Error::last_os_error());
    }
}
