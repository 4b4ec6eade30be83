//! Whether `io_uring` pays here: measured once, at the start.
//!
//! What one system call for many sends saves depends on the kernel, the processor and the hypervisor: a third of a send, a
//! twentieth, or nothing. So both ways send the same to the same connections over loopback, in turn. Each is judged by its
//! best round: whatever else the machine does makes a round longer, never shorter. It pays if it saves more than such rounds
//! differ by, which is [`MARGIN_PER_MILLE`]; in doubt each socket is written to by itself, which every kernel does well. By the time
//! that passes: the CPU time that a kernel charges for one long system call is not always all that it took.
//!
//! Bounds: [`TIME`], `2 * SOCKETS` descriptors and two more, all of them closed at the end.

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

/// Connections that are sent to. With so many a send costs as much as with more.
const SOCKETS: usize = 32;
#[expect(clippy::cast_possible_truncation, reason = "a small number")]
const SENDS: u32 = SOCKETS as u32;

/// Rounds: a few milliseconds.
const ROUNDS: usize = 32;

/// With fewer, none of them may have been left alone.
const LEAST_ROUNDS: usize = 8;

/// No round begins after it: on a machine so busy that a few milliseconds take so long.
const TIME: Duration = Duration::from_millis(50);

/// Best rounds that differ by less cost the same: by so much they differ from one start to the next, also on a busy machine.
const MARGIN_PER_MILLE: u32 = 5;

/// What is sent: a small event.
const FRAME: [u8; 128] = [b'x'; 128];

/// How a message to many sessions is sent, and why so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// With one system call for all.
    pub together: bool,
    /// Why.
    pub reason: Reason,
}

/// Why messages are sent as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration says so.
    Configured,
    /// The kernel, an administrator or a container allows nothing else.
    Refused,
    /// It is what costs less here.
    Measured,
    /// What costs less could not be measured.
    Unmeasured,
}

impl Reason {
    /// As metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Refused => "refused",
            Self::Measured => "measured",
            Self::Unmeasured => "unmeasured",
        }
    }
}

/// How messages are to be sent here. Says so in the log, unless the configuration forbids rings.
pub fn choose(wanted: SendTogether) -> Choice {
    if wanted == SendTogether::Off {
        return Choice { together: false, reason: Reason::Configured };
    }
    if let Err(error) = SendRing::new() {
        const LINE: &str = "io_uring is not allowed here: each socket is written to by itself";
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
            let together = figures.pay();
            if together {
                info!(together_ns, by_itself_ns, "io_uring pays here: many sockets are written to at once");
            } else {
                info!(
                    together_ns,
                    by_itself_ns, "io_uring does not pay here: each socket is written to by itself"
                );
            }
            Choice { together, reason: Reason::Measured }
        }
        unknown => {
            let error = unknown.err().unwrap_or_else(|| io::Error::other("the machine is too busy"));
            info!(%error, "whether io_uring pays could not be measured: each socket is written to by itself");
            Choice { together: false, reason: Reason::Unmeasured }
        }
    }
}

/// What a send to each connection took, in each way.
#[derive(Clone, Copy, Debug)]
struct Round {
    together: Duration,
    by_itself: Duration,
}

/// What one send costs in each way, when nothing comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    together: Duration,
    by_itself: Duration,
}

impl Figures {
    /// None: too few rounds to tell.
    fn of(rounds: &[Round]) -> Option<Self> {
        if rounds.len() < LEAST_ROUNDS {
            return None;
        }
        let together = rounds.iter().map(|round| round.together).min()? / SENDS;
        let by_itself = rounds.iter().map(|round| round.by_itself).min()? / SENDS;
        Some(Self { together, by_itself })
    }

    /// Does it save enough to send together?
    fn pay(self) -> bool {
        self.together * 1000 <= self.by_itself * (1000 - MARGIN_PER_MILLE)
    }
}

/// Measures in a thread of its own, as shards are: where a process has several, the kernel counts who uses a socket with each system
/// call, which one that has a single thread is spared.
fn measure_as_a_shard() -> io::Result<Vec<Round>> {
    let measuring = thread::Builder::new().name("trial".to_owned()).spawn(measure)?;
    measuring.join().unwrap_or_else(|_| Err(io::Error::other("a panic")))
}

/// As many rounds as there is time for.
fn measure() -> io::Result<Vec<Round>> {
    let mut ring = SendRing::new()?;
    let begun = Instant::now();
    let mut connections = Connections::open()?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    while rounds.len() < ROUNDS && begun.elapsed() < TIME {
        // Each is the first as often as the other.
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

/// Connections of this process with itself.
struct Connections {
    /// Dropped first, with something that was not read: so no end of a connection is kept by the kernel for a minute.
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
        let theirs = TcpStream::connect_timeout(address, TIME)?;
        let (ours, peer) = listener.accept()?;
        if peer != theirs.local_addr()? {
            return Err(io::Error::other("somebody else has connected"));
        }
        theirs.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        ours.set_nodelay(true)?;
        self.theirs.push(theirs);
        self.ours.push(ours);
        Ok(())
    }

    /// How long it takes to send to each, once what was sent before is read.
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
        let answered = |_, outcome| match outcome {
            Ok(taken) if taken == FRAME.len() => {}
            Ok(_) => failure = Some(io::Error::other("a send was taken in part")),
            Err(error) => failure = Some(error),
        };
        let begun = Instant::now();
        match ring {
            Some(ring) => ring.send_all(&sends, &frames, answered)?,
            None => send_each(&sends, &frames, answered),
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

    fn pays(together_us: &[u64], by_itself_us: &[u64]) -> Option<bool> {
        Figures::of(&rounds(together_us, by_itself_us)).map(Figures::pay)
    }

    #[test]
    fn what_saves_more_than_the_margin_pays() {
        assert_eq!(pays(&[320; 8], &[640; 8]), Some(true));
        assert_eq!(pays(&[31_840; 8], &[32_000; 8]), Some(true));
        assert_eq!(pays(&[3200; 8], &[3200; 8]), Some(false));
        assert_eq!(pays(&[31_872; 8], &[32_000; 8]), Some(false));
        assert_eq!(pays(&[640; 8], &[320; 8]), Some(false));
    }

    #[test]
    fn noise_that_leaves_each_way_one_round_alone_changes_nothing() {
        let noisy = |quiet: u64, at: usize| -> Vec<u64> {
            (0..8).map(|round| if round == at { quiet } else { quiet * 3 + round as u64 * 977 }).collect()
        };
        assert_eq!(pays(&noisy(320, 0), &noisy(640, 7)), Some(true));
        assert_eq!(pays(&noisy(640, 3), &noisy(320, 4)), Some(false));
        assert_eq!(pays(&noisy(320, 2), &[640; 8]), Some(true));
        assert_eq!(pays(&[640; 8], &noisy(320, 5)), Some(false));
    }

    #[test]
    fn too_few_rounds_tell_nothing() {
        assert_eq!(pays(&[320; 7], &[640; 7]), None);
        assert_eq!(pays(&[], &[]), None);
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
    fn measuring_is_over_soon_and_says_what_it_found() {
        // Where there is no ring there is nothing to measure.
        if SendRing::new().is_err() {
            return;
        }
        let begun = Instant::now();
        let rounds = measure_as_a_shard().unwrap();
        assert!(begun.elapsed() < TIME * 20, "{:?}", begun.elapsed());
        assert!((1..=ROUNDS).contains(&rounds.len()), "{}", rounds.len());
        for Round { together, by_itself } in rounds {
            assert!(!together.is_zero() && !by_itself.is_zero());
        }
        let choice = choose(SendTogether::Auto);
        assert!(matches!(choice.reason, Reason::Measured | Reason::Unmeasured), "{choice:?}");
    }

    #[test]
    fn measuring_takes_a_bounded_number_of_descriptors_and_gives_them_back() {
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
    fn where_a_container_forbids_rings_each_socket_is_written_to_by_itself() {
        let refused = Choice { together: false, reason: Reason::Refused };
        for wanted in [SendTogether::Auto, SendTogether::On] {
            let chosen = thread::spawn(move || {
                forbid_rings();
                choose(wanted)
            });
            assert_eq!(chosen.join().unwrap(), refused);
        }
    }

    /// As container runtimes do it, for this thread alone.
    fn forbid_rings() {
        #[expect(clippy::cast_possible_truncation, reason = "numbers of system calls")]
        let io_uring_setup = libc::SYS_io_uring_setup as u32;
        let code = |code: u32| u16::try_from(code).unwrap();
        let filter = [
            // The number of the system call; if it is this one, go on with the next line, else with the one behind it.
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
        // SAFETY: the kernel copies the program, which lives until the call returns, and holds for this thread.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        assert!(installed, "{}", io::Error::last_os_error());
    }
}
