//! The end of a shard's iteration: what waits for its sessions is handed to the kernel.
//!
//! Each dirty session is written once, with up to 64 frames of all that waits. Where there is a ring, hundreds of sessions
//! are written with one system call; else, and for what is left then, each has its own.

use std::io::{self, IoSlice};

use arrayvec::ArrayVec;
use tracing::warn;

use super::ring::{Send, SendRing};
use super::run::{EventLoop, current_time};
use super::write::Outlet;
use super::{SessionKey, turn};
use crate::connection::socket::Socket;
use crate::session::outbound::MAX_SLICES;

/// Sessions that are written before the shard looks at its inbox and sockets again, so that a fan-out to many does not
/// delay acknowledgements, pings and handshakes until its end.
const WRITES_PER_TURN: usize = SendRing::ENTRIES;

/// Below it the ring saves nothing.
const MIN_TOGETHER: usize = 4;

/// Frames that are handed over with one system call: 64 KiB of addresses.
const SLICES_TOGETHER: usize = 4096;

/// The sessions that are written to in one turn.
type Keys = ArrayVec<SessionKey, WRITES_PER_TURN>;

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
    /// Writes what waits, for so many sessions as fit into a turn.
    pub(super) fn write_sockets(&mut self) {
        if !self.shard.has_dirty() {
            self.reading_of_others = turn::LEAST_READING_OF_OTHERS;
            return;
        }
        let now = current_time();
        let mut keys = Keys::new();
        while !keys.is_full()
            && let Some(key) = self.shard.poll_dirty()
        {
            keys.push(key);
        }
        let mut left = &keys[..];
        while left.len() >= MIN_TOGETHER && self.ring.is_some() {
            left = &left[self.send_together(left)..];
        }
        for key in &keys {
            let Some(connection) = self.connections.get_mut(*key) else { continue };
            if self.shard.write(*key, &mut connection.socket, now) {
                // Closing the descriptor takes it out of the epoll set, and sends a FIN if none was sent.
                self.connections.remove(*key);
            } else if connection.is_readable && self.shard.wants_input(*key) {
                self.await_turn_if_readable(*key);
            }
        }
        self.shard.handle_all_written();
        self.reading_of_others = turn::reading_of_others(now.instant.elapsed());
    }

    /// Sends to the first of these sessions with one system call. To how many: at least one.
    fn send_together(&mut self, keys: &[SessionKey]) -> usize {
        let Some(ring) = &mut self.ring else { return keys.len() };
        let mut slices = ArrayVec::<IoSlice<'_>, SLICES_TOGETHER>::new();
        let mut sends = ArrayVec::<Send<'_>, WRITES_PER_TURN>::new();
        let mut sent_to = Keys::new();
        let mut considered = 0;
        for key in keys {
            if slices.remaining_capacity() < MAX_SLICES {
                break;
            }
            considered += 1;
            if let Some(connection) = self.connections.get(*key)
                && let Some(socket) = connection.socket.plain_fd()
            {
                let before = slices.len();
                slices.extend(self.shard.slices(*key));
                if slices.len() > before {
                    sends.push(Send { socket, slices: slices.len() - before });
                    sent_to.push(*key);
                }
            }
        }
        let mut outcomes = ArrayVec::<_, WRITES_PER_TURN>::new();
        let sent = ring.send_all(&sends, &slices, |number, outcome| outcomes.push((number, outcome)));
        drop((sends, slices));
        for (number, outcome) in outcomes {
            self.shard.handle_attempt(sent_to[number], outcome);
        }
        if let Err(error) = sent {
            warn!(%error, "io_uring failed; from here on each socket is written to by itself");
            self.ring = None;
        }
        considered
    }
}
