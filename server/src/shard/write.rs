//! The second half of a shard's turn: what waits for its sessions' sockets is handed to the kernel.
//!
//! A socket for which several frames wait gets them in one vectored write, 64 at a time. Sockets for which one frame waits, as
//! after a single message to many, are sent to together, with one system call, where there is a ring.

use std::io::{self, IoSlice};

use arrayvec::ArrayVec;
use tracing::warn;

use super::ring::{Send, SendRing};
use super::run::{EventLoop, current_time};
use crate::session::Now;
use crate::session::outbound::MAX_SLICES;

/// Sessions that are written before the shard looks at its inbox and sockets again, so that a fan-out to many does not
/// delay acknowledgements, pings and handshakes until its end.
const WRITES_PER_TURN: usize = SendRing::ENTRIES;

/// Below it the ring saves nothing.
const MIN_TOGETHER: usize = 4;

type Turn = ArrayVec<usize, WRITES_PER_TURN>;

impl EventLoop {
    /// Writes what waits, for so many sessions as fit into a turn.
    pub(super) fn write_sockets(&mut self) {
        if !self.shard.has_dirty() {
            return;
        }
        let now = current_time();
        let mut turn = Turn::new();
        while !turn.is_full()
            && let Some(slot) = self.shard.poll_dirty()
        {
            turn.push(slot);
        }
        if turn.len() >= MIN_TOGETHER {
            self.send_together(&turn);
        }
        for slot in turn {
            self.write(slot, now);
        }
    }

    /// Sends to those for whom one frame waits.
    fn send_together(&mut self, turn: &[usize]) {
        let Some(ring) = &mut self.ring else { return };
        let mut slots = Turn::new();
        let mut sends = ArrayVec::<_, WRITES_PER_TURN>::new();
        for slot in turn {
            if let Some(Some(connection)) = self.connections.get(*slot)
                && !connection.is_blocked
                && let Some(bytes) = self.shard.only_frame(*slot)
            {
                slots.push(*slot);
                sends.push(Send { socket: connection.socket.as_fd(), bytes });
            }
        }
        if sends.len() < MIN_TOGETHER {
            return;
        }
        let mut outcomes = ArrayVec::<_, WRITES_PER_TURN>::new();
        let sent = ring.send_all(&sends, |number, outcome| outcomes.push((number, outcome)));
        drop(sends);
        for (number, outcome) in outcomes {
            self.handle_outcome(slots[number], outcome);
        }
        if let Err(error) = sent {
            warn!(%error, "io_uring failed; from here on each socket is written to by itself");
            self.ring = None;
        }
    }

    fn handle_outcome(&mut self, slot: usize, outcome: io::Result<usize>) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let Some(session) = self.shard.session(slot) else { return };
        match outcome {
            Ok(taken) => {
                session.outbound().advance(taken);
                connection.is_blocked = !session.outbound().is_empty();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.is_blocked = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => session.handle_error(),
        }
    }

    fn write(&mut self, slot: usize, now: Now) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let Some(session) = self.shard.session(slot) else { return };
        while !connection.is_blocked && !session.outbound().is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = session.outbound().slices(&mut slices);
            let lent: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            match connection.socket.write(&slices[..filled]) {
                Ok(taken) => {
                    connection.is_blocked = taken < lent;
                    session.outbound().advance(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.is_blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => session.handle_error(),
            }
        }
        if session.outbound().is_empty() && session.awaits_written() {
            self.shard.handle_written(slot, now);
        }
        let Some(session) = self.shard.session(slot) else { return };
        if session.wants_fin() && !connection.fin_sent {
            connection.fin_sent = true;
            // A peer that is gone already needs no FIN.
            let _ = connection.socket.finish();
        }
        let wants_input = self.shard.wants_input(slot);
        if self.shard.is_gone(slot) {
            // Closing the descriptor takes it out of the epoll set.
            self.connections[slot] = None;
            self.shard.remove(slot);
        } else if connection.is_readable && !connection.is_queued && wants_input {
            connection.is_queued = true;
            self.readable.push_back(slot);
        }
    }
}
