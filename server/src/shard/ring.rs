//! Sends to many sockets with one system call, by `io_uring` (Linux 6.1 or later).
//!
//! A fan-out to a thousand sessions is a thousand sends of a few microseconds each, a fifth of which is the system call's own
//! cost. Owns the shard's ring of [`SendRing::ENTRIES`] entries. No send waits, so every submitted send is complete when
//! [`SendRing::send_all`] returns, and callers see a plain function.

#![expect(
    unsafe_code,
    reason = "the kernel reads memory by address; the comment at the only use says why it is valid"
)]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

/// The shard's `io_uring`, used for sends only.
pub struct SendRing {
    ring: IoUring,
    /// Message headers of sends with several slices. Kept between calls to reuse their memory.
    messages: Vec<libc::msghdr>,
}

/// Bytes for one socket.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// The destination.
    pub socket: BorrowedFd<'a>,
    /// Number of slices of this send, at least one. Sends take their slices in order from a common list.
    pub slices: usize,
}

impl SendRing {
    /// Maximum number of sends per call. With 512, a fan-out to 1,000 sessions costs a tenth more.
    pub const ENTRIES: usize = 1024;

    /// Creates a ring for the calling thread. Fails if the kernel is too old, or if an administrator or a container forbids it.
    pub fn new() -> io::Result<Self> {
        let entries = u32::try_from(Self::ENTRIES).unwrap_or(u32::MAX);
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(entries)?;
        Ok(Self { ring, messages: Vec::with_capacity(Self::ENTRIES) })
    }

    /// Sends all, at most [`Self::ENTRIES`]. Calls `completed` with the index and outcome of each send: the number of bytes
    /// that the kernel accepted, or the error. If it returns an error, the ring must not be used again.
    pub fn send_all(
        &mut self,
        sends: &[Send<'_>],
        slices: &[IoSlice<'_>],
        mut completed: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let Self { ring, messages } = self;
        messages.clear();
        let mut rest = slices;
        for (number, send) in sends.iter().enumerate() {
            let (own, others) = rest.split_at(send.slices);
            rest = others;
            if messages.len() == messages.capacity() {
                return Err(io::Error::other("more sends than the ring has entries"));
            }
            let entry = entry(send.socket, own, messages).user_data(number as u64);
            // SAFETY: the entry points into `slices`, which is borrowed until this function returns, and into `messages`, which
            // does not grow. The kernel does not read them later: with MSG_DONTWAIT each send is executed during its submission
            // (REQ_F_NOWAIT), and the loop below waits until all have completed.
            unsafe { ring.submission().push(&entry) }
                .map_err(|_| io::Error::other("the ring has no room"))?;
        }
        let mut missing = sends.len();
        while missing > 0 {
            match ring.submit_and_wait(missing) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(_) | Err(_) => {}
            }
            for completion in ring.completion() {
                missing -= 1;
                let outcome = usize::try_from(completion.result())
                    .map_err(|_| io::Error::from_raw_os_error(-completion.result()));
                completed(usize::try_from(completion.user_data()).unwrap_or(usize::MAX), outcome);
            }
        }
        Ok(())
    }
}

/// The ring entry of one send. A single slice needs no message header.
fn entry(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>], messages: &mut Vec<libc::msghdr>) -> Entry {
    const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let socket = types::Fd(socket.as_raw_fd());
    if let [only] = slices {
        let length = u32::try_from(only.len()).unwrap_or(u32::MAX);
        return opcode::Send::new(socket, only.as_ptr(), length).flags(FLAGS).build();
    }
    messages.push(libc::msghdr {
        msg_name: ptr::null_mut(),
        msg_namelen: 0,
        // IoSlice is iovec, by its documentation; the kernel only reads it.
        msg_iov: slices.as_ptr().cast::<libc::iovec>().cast_mut(),
        msg_iovlen: slices.len(),
        msg_control: ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    });
    let message = messages.last().map_or(ptr::null(), ptr::from_ref);
    opcode::SendMsg::new(socket, message).flags(FLAGS.cast_unsigned()).build()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::iter;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_socket_gets_its_bytes_in_order_and_each_send_its_outcome() {
        // Without rings there is nothing to test: the server then writes to each socket separately.
        let Ok(mut ring) = SendRing::new() else { return };
        let pairs: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap()).collect();
        let texts: Vec<String> = (0..pairs.len()).map(|number| format!("for {number}")).collect();
        // One slice, two slices, three slices, one slice...
        let slices: Vec<_> = texts
            .iter()
            .enumerate()
            .flat_map(|(number, text)| iter::repeat_n(IoSlice::new(text.as_bytes()), number % 3 + 1))
            .collect();
        let sends: Vec<_> = (pairs.iter().enumerate())
            .map(|(number, (ours, _))| Send { socket: ours.as_fd(), slices: number % 3 + 1 })
            .collect();
        for _ in 0..3 {
            let mut taken = vec![0; sends.len()];
            ring.send_all(&sends, &slices, |number, outcome| taken[number] = outcome.unwrap()).unwrap();
            for (number, (_, theirs)) in pairs.iter().enumerate() {
                let expected = texts[number].repeat(number % 3 + 1);
                assert_eq!(taken[number], expected.len());
                let mut received = vec![0; expected.len()];
                (&*theirs).read_exact(&mut received).unwrap();
                assert_eq!(received, expected.as_bytes());
            }
        }
    }

    #[test]
    fn a_full_socket_accepts_a_part_and_delays_no_other() {
        let Ok(mut ring) = SendRing::new() else { return };
        let (full, _reader) = UnixStream::pair().unwrap();
        let (free, mut reader) = UnixStream::pair().unwrap();
        let much = vec![b'x'; 8 << 20];
        let slices = [&much, &much, &b"through"[..]].map(IoSlice::new);
        let sends = [Send { socket: full.as_fd(), slices: 2 }, Send { socket: free.as_fd(), slices: 1 }];
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            ring.send_all(&sends, &slices, |number, outcome| {
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
        let Ok(mut ring) = SendRing::new() else { return };
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut outcomes = Vec::new();
        let send = Send { socket: ours.as_fd(), slices: 1 };
        ring.send_all(&[send], &[IoSlice::new(b"x")], |_, outcome| outcomes.push(outcome)).unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
