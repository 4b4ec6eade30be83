//! Sends through `io_uring`: one request per subscriber, [`REQUESTS`] of them in one system call.
#![expect(unsafe_code, reason = "requests of io_uring carry addresses, for whose life their maker answers")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use mio::net::TcpStream;

use super::{MAX_SLICES, Message};

/// Requests per submission.
const REQUESTS: u32 = 1024;

/// A ring, and the memory that its requests point to.
pub(super) struct Ring {
    requests: IoUring,
    messages: Vec<Message>,
    slices: Vec<libc::iovec>,
}

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        let requests = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(REQUESTS)?;
        Ok(Self { requests, messages: Vec::new(), slices: Vec::new() })
    }

    /// Sends messages to sockets, to each as one request.
    pub(super) fn send<'a>(
        &mut self,
        sockets: &(impl Iterator<Item = &'a TcpStream> + Clone),
        messages: Vec<Message>,
    ) -> io::Result<()> {
        self.messages = messages;
        let slice = |message: &Message| libc::iovec {
            iov_base: message.frame.as_ptr().cast_mut().cast(),
            iov_len: message.frame.len(),
        };
        self.slices = self.messages.iter().map(slice).collect();
        for chunk in 0..self.slices.len().div_ceil(MAX_SLICES) {
            for socket in sockets.clone() {
                let request = self.request(socket.as_raw_fd(), chunk);
                // SAFETY: the request points into `self.messages` and `self.slices`, which stay until the next call.
                // By then the kernel has done with it: a request for a non-blocking socket is carried out, or
                // has failed, when `submit` returns, which this function ends with.
                while unsafe { self.requests.submission().push(&request) }.is_err() {
                    self.submit()?;
                }
            }
        }
        self.submit()
    }

    fn request(&self, socket: RawFd, chunk: usize) -> Entry {
        let slices = self.slices.chunks(MAX_SLICES).nth(chunk).unwrap_or_default();
        let entry = if let [slice] = slices {
            #[expect(clippy::cast_possible_truncation, reason = "messages are read from a buffer of 64 KiB")]
            let length = slice.iov_len as u32;
            // A short send counts as a failure only with MSG_WAITALL.
            opcode::Send::new(Fd(socket), slice.iov_base.cast(), length)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build()
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "at most MAX_SLICES")]
            let count = slices.len() as u32;
            opcode::Writev::new(Fd(socket), slices.as_ptr(), count).build()
        };
        entry.flags(Flags::SKIP_SUCCESS)
    }

    /// Submits the pushed requests. The ring reports failures only.
    fn submit(&mut self) -> io::Result<()> {
        self.requests.submit()?;
        match self.requests.completion().next() {
            None => Ok(()),
            Some(failure) if failure.result() < 0 => Err(io::Error::from_raw_os_error(-failure.result())),
            Some(_) => Err(io::Error::other("a reader is too slow, and there is no queue here")),
        }
    }
}
