//! The second half of a shard's turn: what waits for its sessions' sockets is handed to the kernel.
//!
//! Each dirty session is written once, with up to 64 frames of all that waits. Where there is a ring, hundreds of sessions
//! are written with one system call; else, and for what is left then, each has its own.

use std::io::{self, IoSlice};

use arrayvec::ArrayVec;
use tracing::warn;

use super::ring::{Send, SendRing};
use super::run::{EventLoop, current_time};
use super::{SessionKey, turn};
use crate::session::Now;
use crate::session::outbound::MAX_SLICES;

/// Sessions that are written before the shard looks at its inbox and sockets again, so that a fan-out to many does not
/// delay acknowledgements, pings and handshakes until its end.
const WRITES_PER_TURN: usize = SendRing::ENTRIES;

/// Below it the ring saves nothing.
const MIN_TOGETHER: usize = 4;

/// Frames that are handed over with one system call: 64 KiB of addresses.
const SLICES_TOGETHER: usize = 4096;

type Turn = ArrayVec<SessionKey, WRITES_PER_TURN>;

impl EventLoop {
    /// Writes what waits, for so many sessions as fit into a turn.
    pub(super) fn write_sockets(&mut self) {
        if !self.shard.has_dirty() {
            self.reading_of_others = turn::LEAST_READING_OF_OTHERS;
            return;
        }
        let now = current_time();
        let mut turn = Turn::new();
        while !turn.is_full()
            && let Some(key) = self.shard.poll_dirty()
        {
            turn.push(key);
        }
        let mut left = &turn[..];
        while left.len() >= MIN_TOGETHER && self.ring.is_some() {
            left = &left[self.send_together(left)..];
        }
        for key in &turn {
            self.write(*key, now);
        }
        self.shard.handle_all_written();
        self.reading_of_others = turn::reading_of_others(now.instant.elapsed());
    }

    /// Sends to the first of these sessions with one system call. To how many: at least one.
    fn send_together(&mut self, keys: &[SessionKey]) -> usize {
        let Some(ring) = &mut self.ring else { return keys.len() };
        let mut slices = ArrayVec::<IoSlice<'_>, SLICES_TOGETHER>::new();
        let mut sends = ArrayVec::<Send<'_>, WRITES_PER_TURN>::new();
        let mut numbers = ArrayVec::<usize, WRITES_PER_TURN>::new();
        let mut considered = 0;
        for (number, key) in keys.iter().enumerate() {
            if slices.remaining_capacity() < MAX_SLICES {
                break;
            }
            considered += 1;
            if let Some(connection) = self.connections.get(*key)
                && !connection.is_blocked
                && let Some(socket) = connection.socket.plain_fd()
            {
                let before = slices.len();
                slices.extend(self.shard.slices(*key));
                if slices.len() > before {
                    sends.push(Send { socket, slices: slices.len() - before });
                    numbers.push(number);
                }
            }
        }
        let mut outcomes = ArrayVec::<_, WRITES_PER_TURN>::new();
        let sent = ring.send_all(&sends, &slices, |number, outcome| outcomes.push((number, outcome)));
        drop((sends, slices));
        for (number, outcome) in outcomes {
            self.handle_outcome(keys[numbers[number]], outcome);
        }
        if let Err(error) = sent {
            warn!(%error, "io_uring failed; from here on each socket is written to by itself");
            self.ring = None;
        }
        considered
    }

    fn handle_outcome(&mut self, key: SessionKey, outcome: io::Result<usize>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(session) = self.shard.session(key) else { return };
        match outcome {
            // What is left is tried again by itself.
            Ok(taken) => session.outbound().advance(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.is_blocked = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => session.handle_error(),
        }
    }

    fn write(&mut self, key: SessionKey, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(session) = self.shard.session(key) else { return };
        while !connection.is_blocked && (!session.outbound().is_empty() || connection.socket.has_pending()) {
            let (lent, written) = session.outbound().lend(|slices| {
                (slices.iter().map(|slice| slice.len()).sum::<usize>(), connection.socket.write(slices))
            });
            match written {
                Ok(taken) => {
                    connection.is_blocked = taken < lent;
                    session.outbound().advance(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.is_blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    session.handle_error();
                    // What TLS has encrypted stays with it: nothing else would end this.
                    connection.is_blocked = true;
                }
            }
        }
        let is_written = session.outbound().is_empty() && !connection.socket.has_pending();
        if is_written && session.awaits_written() {
            self.shard.handle_written(key, now);
        }
        if self.shard.is_gone(key) {
            // Closing the descriptor takes it out of the epoll set, and sends a FIN if none was sent.
            self.connections.remove(key);
            self.shard.remove(key);
            return;
        }
        let Some(session) = self.shard.session(key) else { return };
        if session.wants_fin() && !connection.socket.has_pending() && !connection.fin_sent {
            connection.fin_sent = true;
            // A peer that is gone already needs no FIN.
            let _ = connection.socket.finish();
        }
        if connection.is_readable && self.shard.wants_input(key) {
            self.await_turn_if_readable(key);
        }
    }
}
