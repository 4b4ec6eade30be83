//! Many sends with one system call, where the kernel allows it: `io_uring`, since Linux 6.1.
//!
//! A fan-out to a thousand sessions is a thousand sends of a few microseconds each, and entering the kernel is a fifth of
//! it. Owns the shard's ring, of [`SendRing::ENTRIES`] entries. Each send is one that never waits, so all that was submitted has
//! been answered when [`SendRing::send_all`] returns: callers see a plain function.

#![expect(
    unsafe_code,
    reason = "the kernel is given addresses; why they are good stands beside the one place"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};
use rustix::net::SendFlags;
use tracing::info;

/// See the module.
pub struct SendRing {
    ring: IoUring,
}

/// Bytes for one socket.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// Where to.
    pub socket: BorrowedFd<'a>,
    /// What. The kernel may take less.
    pub bytes: &'a [u8],
}

impl SendRing {
    /// The most sends of one call.
    pub const ENTRIES: usize = 512;

    /// May there be rings here? If not, says in the log why.
    pub fn are_allowed() -> bool {
        Self::new()
            .inspect_err(
                |error| info!(%error, "io_uring is not allowed here: each socket is written to by itself"),
            )
            .is_ok()
    }

    /// A ring for this thread alone. Fails where the kernel is older, or an administrator or a container forbids it.
    pub fn new() -> io::Result<Self> {
        let entries = u32::try_from(Self::ENTRIES).unwrap_or(u32::MAX);
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries)?;
        Ok(Self { ring })
    }

    /// Sends all, at most [`Self::ENTRIES`], and hands the outcome of each to `answered`, with its number: how many bytes the
    /// kernel took, or why none. After an error the ring is of no use any more.
    pub fn send_all(
        &mut self,
        sends: &[Send<'_>],
        mut answered: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        for (number, send) in sends.iter().enumerate() {
            let length = u32::try_from(send.bytes.len()).unwrap_or(u32::MAX);
            let entry = opcode::Send::new(types::Fd(send.socket.as_raw_fd()), send.bytes.as_ptr(), length)
                .flags(flags)
                .build()
                .user_data(number as u64);
            // SAFETY: the bytes are borrowed until this function returns, and the kernel reads them no later: with MSG_DONTWAIT
            // it does a send while it is submitted, never afterwards (REQ_F_NOWAIT), and below we stay until it has
            // answered each.
            unsafe { self.ring.submission().push(&entry) }
                .map_err(|_| io::Error::other("the ring has no room"))?;
        }
        let mut missing = sends.len();
        while missing > 0 {
            match self.ring.submit_and_wait(missing) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(_) | Err(_) => {}
            }
            for answer in self.ring.completion() {
                missing -= 1;
                let outcome = usize::try_from(answer.result())
                    .map_err(|_| io::Error::from_raw_os_error(-answer.result()));
                answered(usize::try_from(answer.user_data()).unwrap_or(usize::MAX), outcome);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_socket_gets_its_bytes_and_each_send_its_answer() {
        // Where there is none there is nothing to test: the server then writes in the other way.
        let Ok(mut ring) = SendRing::new() else { return };
        let pairs: Vec<_> = (0..SendRing::ENTRIES).map(|_| UnixStream::pair().unwrap()).collect();
        let texts: Vec<String> = (0..pairs.len()).map(|number| format!("for {number}")).collect();
        let sends: Vec<_> = pairs
            .iter()
            .zip(&texts)
            .map(|((ours, _), text)| Send { socket: ours.as_fd(), bytes: text.as_bytes() })
            .collect();
        for _ in 0..3 {
            let mut taken = vec![0; sends.len()];
            ring.send_all(&sends, |number, outcome| taken[number] = outcome.unwrap()).unwrap();
            for ((text, taken), (_, theirs)) in texts.iter().zip(taken).zip(&pairs) {
                assert_eq!(taken, text.len());
                let mut received = vec![0; text.len()];
                (&*theirs).read_exact(&mut received).unwrap();
                assert_eq!(received, text.as_bytes());
            }
        }
    }

    #[test]
    fn a_full_socket_takes_a_part_and_then_nothing_and_holds_up_no_other() {
        // Where there is none there is nothing to test: the server then writes in the other way.
        let Ok(mut ring) = SendRing::new() else { return };
        let (full, _reader) = UnixStream::pair().unwrap();
        let (free, mut reader) = UnixStream::pair().unwrap();
        let much = vec![b'x'; 16 << 20];
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let sends = [
                Send { socket: full.as_fd(), bytes: &much },
                Send { socket: free.as_fd(), bytes: b"through" },
            ];
            ring.send_all(&sends, |number, outcome| {
                outcomes.push((number, outcome.map_err(|error| error.kind())));
            })
            .unwrap();
        }
        assert!(matches!(outcomes[0], (0, Ok(taken)) if taken < much.len()), "{outcomes:?}");
        assert_eq!(outcomes[2], (0, Err(io::ErrorKind::WouldBlock)));
        assert_eq!([&outcomes[1], &outcomes[3]], [&(1, Ok(7)); 2]);
        let mut received = [0; 14];
        reader.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"throughthrough");
    }

    #[test]
    fn a_socket_without_a_reader_is_an_error_and_no_signal() {
        // Where there is none there is nothing to test: the server then writes in the other way.
        let Ok(mut ring) = SendRing::new() else { return };
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut outcomes = Vec::new();
        ring.send_all(&[Send { socket: ours.as_fd(), bytes: b"x" }], |_, outcome| outcomes.push(outcome))
            .unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
