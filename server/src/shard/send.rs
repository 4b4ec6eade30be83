//! The end of a shard's iteration: the queued output of its sessions is passed to the kernel.
//!
//! Each dirty session is written once, with up to 64 of its queued frames. For many sessions this takes three passes: collect
//! the frames of all, send them all, then update each session with the outcome. The sends then run ahead of the readers, so
//! each reading process is woken only once. With a ring, one system call sends to hundreds of sessions.

use std::io::{self, IoSlice};

use arrayvec::ArrayVec;
use rustix::net::SendFlags;
use tracing::warn;

use super::ring::{Send, SendRing};
use super::run::{EventLoop, current_time};
use super::write::Outlet;
use super::{SessionKey, iteration};
use crate::connection::socket::Socket;
use crate::frame::MAX_SLICES;

/// Maximum number of sessions written per iteration, so that a fan-out to many does not delay acknowledgements, pings and
/// handshakes until its end.
const WRITES_PER_ITERATION: usize = 1024;

/// Maximum number of sessions written in one batch.
const SENDS_PER_BATCH: usize = SendRing::ENTRIES;

/// Minimum number of sessions for a batch. Fewer are written one after the other.
const MIN_BATCH: usize = 4;

/// Maximum number of frames in one batch: 64 KiB of slices.
const SLICES_PER_BATCH: usize = 4096;

/// A send that was made in a batch.
struct Attempt {
    key: SessionKey,
    /// Whether its socket may have data to read.
    is_readable: bool,
    /// Whether the send left nothing more to write or to update.
    is_all: bool,
}

/// The sessions that are written to in one iteration.
type Keys = ArrayVec<SessionKey, WRITES_PER_ITERATION>;

impl Outlet for Socket {
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::write(self, slices)
    }

    fn has_pending(&self) -> bool {
        Self::has_pending(self)
    }

    fn finish(&mut self) -> io::Result<()> {
        Self::finish(self)
    }
}

impl EventLoop {
    /// Writes the queued output of at most [`WRITES_PER_ITERATION`] sessions.
    pub(super) fn write_sockets(&mut self) {
        if !self.shard.has_dirty() {
            self.other_read_budget = iteration::MIN_OTHER_READ_BYTES;
            return;
        }
        let now = current_time();
        let mut keys = Keys::new();
        while !keys.is_full()
            && let Some(key) = self.shard.next_dirty()
        {
            keys.push(key);
        }
        let (mut left, mut unfinished) = (&keys[..], Keys::new());
        while left.len() >= MIN_BATCH {
            left = &left[self.send_batch(left, &mut unfinished)..];
        }
        for key in unfinished.iter().chain(left) {
            let Some(connection) = self.connections.get_mut(*key) else { continue };
            if self.shard.write(*key, &mut connection.socket, now) {
                // Closing the descriptor takes it out of the epoll set, and sends a FIN if none was sent.
                self.connections.remove(*key);
            } else if connection.is_readable && self.shard.wants_input(*key) {
                self.queue_read_if_readable(*key);
            }
        }
        self.shard.handle_all_written();
        self.other_read_budget = iteration::other_read_budget(now.instant.elapsed());
    }

    /// Sends to the first of these sessions in one batch, and returns their number, at least one. Sessions that need a further
    /// write or read are added to `unfinished`.
    fn send_batch(&mut self, keys: &[SessionKey], unfinished: &mut Keys) -> usize {
        let mut slices = ArrayVec::<IoSlice<'_>, SLICES_PER_BATCH>::new();
        let mut sends = ArrayVec::<Send<'_>, SENDS_PER_BATCH>::new();
        let mut attempts = ArrayVec::<Attempt, SENDS_PER_BATCH>::new();
        let mut considered = 0;
        for key in keys {
            if sends.is_full() || slices.remaining_capacity() < MAX_SLICES {
                break;
            }
            considered += 1;
            let before = slices.len();
            if let Some(connection) = self.connections.get(*key)
                && let Some(socket) = connection.socket.plain_fd()
            {
                slices.extend(self.shard.slices(*key));
                if slices.len() > before {
                    sends.push(Send { socket, slices: slices.len() - before });
                    let is_readable = connection.is_readable;
                    attempts.push(Attempt { key: *key, is_readable, is_all: false });
                    continue;
                }
            }
            unfinished.push(*key);
        }
        let mut outcomes = ArrayVec::<_, SENDS_PER_BATCH>::new();
        let completed = |number, outcome| outcomes.push((number, outcome));
        let sent = if let Some(ring) = &mut self.ring {
            ring.send_all(&sends, &slices, completed)
        } else {
            send_each(&sends, &slices, completed);
            Ok(())
        };
        drop((sends, slices));
        for (number, outcome) in outcomes {
            let attempt = &mut attempts[number];
            attempt.is_all = self.shard.handle_attempt(attempt.key, outcome);
        }
        let not_all = attempts.iter().filter(|attempt| !attempt.is_all || attempt.is_readable);
        unfinished.extend(not_all.map(|attempt| attempt.key));
        if let Err(error) = sent {
            warn!(%error, "io_uring failed: from now on each socket is written to separately");
            self.ring = None;
        }
        considered
    }
}

/// Sends all like [`SendRing::send_all`], but with one system call per send. No send waits: the sockets are nonblocking.
///
/// Makes the system calls without the C library, in which a send is a cancellation point of the thread. That costs a twentieth
/// of a send.
pub(super) fn send_each(
    sends: &[Send<'_>],
    slices: &[IoSlice<'_>],
    mut completed: impl FnMut(usize, io::Result<usize>),
) {
    let mut rest = slices;
    for (number, Send { socket, slices }) in sends.iter().enumerate() {
        let (own, others) = rest.split_at(*slices);
        rest = others;
        let outcome = match own {
            [only] => rustix::net::send(socket, only, SendFlags::NOSIGNAL),
            many => rustix::io::writev(socket, many),
        };
        completed(number, outcome.map_err(io::Error::from));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_socket_is_sent_its_slices_and_a_full_one_delays_no_other() {
        let pairs: [_; 3] = std::array::from_fn(|_| UnixStream::pair().unwrap());
        for (ours, _) in &pairs {
            ours.set_nonblocking(true).unwrap();
        }
        let much = vec![b'x'; 8 << 20];
        let slices = [&much[..], b"on", b"e", b"two"].map(IoSlice::new);
        let counts = [1, 2, 1];
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let all = pairs.iter().zip(counts);
            let sends: Vec<_> =
                all.map(|((ours, _), slices)| Send { socket: ours.as_fd(), slices }).collect();
            send_each(&sends, &slices, |number, outcome| {
                outcomes.push((number, outcome.map_err(|error| error.kind())));
            });
        }
        assert!(matches!(outcomes[0], (0, Ok(taken)) if taken < much.len()), "{outcomes:?}");
        assert_eq!(outcomes[3], (0, Err(io::ErrorKind::WouldBlock)));
        assert_eq!([outcomes[1], outcomes[4]], [(1, Ok(3)); 2]);
        assert_eq!([outcomes[2], outcomes[5]], [(2, Ok(3)); 2]);
        let mut received = [0; 6];
        (&pairs[1].1).read_exact(&mut received).unwrap();
        assert_eq!(&received, b"oneone");
    }

    #[test]
    fn a_send_to_a_closed_socket_is_an_error_and_no_signal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        for slices in [&[IoSlice::new(b"x")][..], &[IoSlice::new(b"x"), IoSlice::new(b"y")]] {
            let mut outcomes = Vec::new();
            let send = Send { socket: ours.as_fd(), slices: slices.len() };
            send_each(&[send], slices, |_, outcome| outcomes.push(outcome));
            assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    }
}
