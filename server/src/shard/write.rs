//! Writing to sessions: passes a session's output to an [`Outlet`], and updates the session with the outcome.
//!
//! No I/O of its own: the outlet is a socket in the event loop, and a substitute in tests.

use std::io::{self, IoSlice};

use super::{Entry, PendingWrite, SessionKey, Shard};
use crate::session::Now;

/// The output of a session's connection.
pub trait Outlet {
    /// Writes bytes and returns the number that was accepted. After a partial write or `WouldBlock`, [`Shard::handle_writable`]
    /// reports when more is accepted.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether accepted bytes are still pending. An empty write continues to send them.
    fn has_pending(&self) -> bool;

    /// Sends the end of the stream.
    fn finish(&mut self) -> io::Result<()>;
}

impl Shard {
    /// The next session whose output or state has changed.
    pub fn next_dirty(&mut self) -> Option<SessionKey> {
        loop {
            match self.dirty.pop_front()? {
                PendingWrite::Session(key) => {
                    if let Some(entry) = self.sessions.get_mut(key) {
                        entry.is_dirty = false;
                    }
                    return Some(key);
                }
                held => self.release_after_write.push(held),
            }
        }
    }

    /// Writes a session's output, as far as its outlet accepts it, and handles that everything is written. Returns whether the
    /// session is finished and removed, so that its connection can be dropped.
    pub fn write(&mut self, key: SessionKey, outlet: &mut impl Outlet, now: Now) -> bool {
        let Some(mut entry) = self.sessions.get_mut(key) else { return true };
        entry.write(outlet);
        if entry.session.awaits_written() && entry.session.outbound().is_empty() && !outlet.has_pending() {
            self.with_events(key, now, |session, shared, events| session.handle_written(shared, events, now));
            let Some(after) = self.sessions.get_mut(key) else { return true };
            entry = after;
        }
        if entry.session.wants_fin() {
            if entry.unpublished.is_empty() && entry.session.is_finished() {
                self.remove(key);
                return true;
            }
            if !outlet.has_pending() && !entry.fin_sent {
                entry.fin_sent = true;
                // Fails only if the connection is gone already.
                let _ = outlet.finish();
            }
        }
        false
    }

    /// Handles that all sessions returned by [`Self::next_dirty`] are written: releases the events queued before them.
    pub fn handle_all_written(&mut self) {
        for held in self.release_after_write.drain(..) {
            match held {
                PendingWrite::Event(delivery) => drop(delivery),
                PendingWrite::Disconnection(disconnection) => drop(disconnection),
                PendingWrite::Barrier(receipt) => drop(receipt),
                PendingWrite::Session(_) => {}
            }
        }
    }

    /// Whether a session is to be written, or an event to be released.
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Handles that a session's outlet accepts more data again.
    pub fn handle_writable(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && entry.is_blocked
        {
            entry.is_blocked = false;
            entry.mark_dirty(key, &mut self.dirty);
        }
    }

    /// Marks a session's outlet as full until [`Self::handle_writable`].
    pub fn handle_blocked(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.is_blocked = true;
        }
    }

    /// The next output of a session. Empty while its outlet is full.
    pub fn slices(&self, key: SessionKey) -> impl Iterator<Item = IoSlice<'_>> {
        let entry = self.sessions.get(key).filter(|entry| !entry.is_blocked);
        entry.into_iter().flat_map(|entry| entry.session.slices())
    }

    /// Records the outcome of a write of [`Self::slices`] that was made ahead of [`Self::write`]. Returns whether a call of
    /// [`Self::write`] is no longer needed.
    pub fn handle_attempt(&mut self, key: SessionKey, outcome: io::Result<usize>) -> bool {
        let Some(entry) = self.sessions.get_mut(key) else { return false };
        // An incomplete write does not mark the session as blocked, because the rest is written separately.
        entry.handle_outcome(outcome, 0);
        let session = &mut entry.session;
        session.outbound().is_empty() && !session.awaits_written() && !session.is_ending()
    }
}

impl Entry {
    fn write(&mut self, outlet: &mut impl Outlet) {
        while !self.is_blocked && (!self.session.outbound().is_empty() || outlet.has_pending()) {
            let (length, outcome) = self
                .session
                .outbound()
                .with_slices(|slices| (slices.iter().map(|slice| slice.len()).sum(), outlet.write(slices)));
            self.handle_outcome(outcome, length);
        }
    }

    /// Handles the outcome of a write of `length` bytes.
    fn handle_outcome(&mut self, outcome: io::Result<usize>, length: usize) {
        match outcome {
            Ok(taken) => {
                self.is_blocked = taken < length;
                self.session.outbound().advance(taken);
            }
            Err(error) => self.handle_failure(&error),
        }
    }

    #[cold]
    fn handle_failure(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.is_blocked = true,
            io::ErrorKind::Interrupted => {}
            _ => {
                self.session.handle_error();
                // The outlet may still report pending bytes, which would make the loop in `write` endless.
                self.is_blocked = true;
            }
        }
    }
}
