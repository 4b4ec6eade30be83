//! The outbound queue of a session: frames that wait for its socket, in order.
//!
//! Owns the frames that the kernel has not accepted. Bound: `limits.outbound_bytes`. Each frame counts [`FRAME_COST`] bytes
//! more than its length, so that many small frames are bounded as well. A frame that would exceed the bound is refused, and
//! the session closes with `CloseReason::TooSlow`. An empty queue accepts one frame of any size, so that the bound never
//! closes a session that reads. No I/O: `slices` lends the bytes, `advance` removes them.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use arrayvec::ArrayVec;
use bytes::Bytes;

use crate::frame::MAX_SLICES;

/// Memory of a waiting frame in addition to its bytes: its place in the queue, and the headers of its allocations.
const FRAME_COST: usize = 64;

/// A frame that many sessions of one shard write. `Rc` suffices because sessions never leave their thread; atomic reference
/// counts would be a third of the cost of a delivery in a burst.
pub type SharedFrame = Rc<Bytes>;

/// The outbound queue of a session.
#[derive(Debug)]
pub struct Outbound {
    /// The first frame. Usually the only one, so that most sessions need no allocation for `rest`.
    first: Option<SharedFrame>,
    /// The other frames. Empty if there is no first. Keeps its capacity during bursts, until [`Outbound::release_memory`].
    rest: VecDeque<SharedFrame>,
    /// Number of bytes of the first frame that the kernel has accepted.
    taken: usize,
    /// The cost of all frames, as it counts towards the bound.
    cost: usize,
    max_cost: usize,
}

/// The frame would exceed the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundFull;

impl Outbound {
    /// An empty queue with this bound.
    pub fn new(max_bytes: usize) -> Self {
        Self { first: None, rest: VecDeque::new(), taken: 0, cost: 0, max_cost: max_bytes }
    }

    /// Appends a frame of this session.
    pub fn push(&mut self, frame: Bytes) -> Result<(), OutboundFull> {
        self.has_room(frame.len())?;
        self.push_last(frame);
        Ok(())
    }

    /// Appends a frame shared with other sessions.
    pub fn push_shared(&mut self, frame: &SharedFrame) -> Result<(), OutboundFull> {
        self.has_room(frame.len())?;
        self.append(Rc::clone(frame));
        Ok(())
    }

    /// Appends an optional frame, unless less than half of the bound would remain for other frames. Returns whether it was
    /// appended.
    pub fn push_optional(&mut self, frame: Bytes) -> bool {
        let spare = self.is_empty() || self.cost + frame.len() + FRAME_COST <= self.max_cost / 2;
        if spare {
            self.push_last(frame);
        }
        spare
    }

    /// Appends a frame even beyond the bound: the Close frame, which is the last one; the pong before it; or the single pending
    /// answer to a publisher. Each has less than 1 KiB.
    pub fn push_last(&mut self, frame: Bytes) {
        self.append(Rc::new(frame));
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The cost of all frames, as it counts towards the bound: their bytes and [`FRAME_COST`] for each.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Number of bytes that may still be queued.
    pub fn room(&self) -> usize {
        self.max_cost.saturating_sub(self.cost + FRAME_COST)
    }

    /// The first frames, at most [`MAX_SLICES`], for one write.
    pub fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let first = self.first.iter().map(|frame| IoSlice::new(&frame[self.taken..]));
        first.chain(self.rest.iter().map(|frame| IoSlice::new(frame))).take(MAX_SLICES)
    }

    /// Passes the same buffers to `write`. Avoids the list if there is a single frame, which is the usual case.
    pub fn with_slices<T>(&self, mut write: impl FnMut(&[IoSlice<'_>]) -> T) -> T {
        match &self.first {
            Some(only) if self.rest.is_empty() => write(&[IoSlice::new(&only[self.taken..])]),
            Some(_) | None => write(&self.slices().collect::<ArrayVec<_, MAX_SLICES>>()),
        }
    }

    /// Removes bytes that the kernel has accepted.
    pub fn advance(&mut self, bytes: usize) {
        self.cost -= bytes;
        // Usually that was everything.
        let frames = usize::from(self.first.is_some()) + self.rest.len();
        if self.cost == frames * FRAME_COST {
            self.first = None;
            self.rest.clear();
            (self.taken, self.cost) = (0, 0);
            return;
        }
        self.taken += bytes;
        while let Some(first) = &self.first
            && let Some(left) = self.taken.checked_sub(first.len())
        {
            self.taken = left;
            self.cost -= FRAME_COST;
            self.first = self.rest.pop_front();
        }
    }

    /// Releases the memory of a burst, unless frames are waiting.
    pub fn release_memory(&mut self) {
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }

    /// Drops all frames except one that has been written in part, so that a Close frame may follow.
    pub fn keep_only_partial_frame(&mut self) {
        self.first.take_if(|_| self.taken == 0);
        self.rest = VecDeque::new();
        self.cost = self.first.as_ref().map_or(0, |frame| frame.len() - self.taken + FRAME_COST);
    }

    /// Drops everything, including a frame that has been written in part. The connection must end.
    pub fn clear(&mut self) {
        *self = Self::new(self.max_cost);
    }

    fn has_room(&self, bytes: usize) -> Result<(), OutboundFull> {
        if self.is_empty() || self.cost + bytes + FRAME_COST <= self.max_cost {
            Ok(())
        } else {
            Err(OutboundFull)
        }
    }

    fn append(&mut self, frame: SharedFrame) {
        self.cost += frame.len() + FRAME_COST;
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize) -> Bytes {
        vec![b'x'; length].into()
    }

    fn lent(outbound: &Outbound) -> Vec<u8> {
        let lent = outbound.with_slices(|slices| slices.iter().flat_map(|slice| slice.to_vec()).collect());
        assert!(outbound.slices().flat_map(|slice| slice.to_vec()).eq(Vec::clone(&lent)));
        lent
    }

    #[test]
    fn a_frame_that_would_exceed_the_bound_is_refused() {
        let mut outbound = Outbound::new(200);
        outbound.push(frame(30)).unwrap();
        outbound.push(frame(30)).unwrap();
        assert_eq!(outbound.push(frame(1)), Err(OutboundFull));
        assert_eq!(outbound.cost(), 188);
        outbound.advance(30);
        outbound.push(frame(30)).unwrap();
        outbound.push_last(frame(4));
        assert_eq!(lent(&outbound).len(), 64);
    }

    #[test]
    fn many_small_frames_are_bounded_by_their_memory() {
        let mut outbound = Outbound::new(1 << 20);
        let taken = (0..1 << 20).take_while(|_| outbound.push(frame(2)).is_ok()).count();
        assert_eq!(taken, (1 << 20) / 66);
    }

    #[test]
    fn an_empty_queue_accepts_one_frame_of_any_size() {
        let mut outbound = Outbound::new(10);
        outbound.push(frame(1000)).unwrap();
        assert_eq!(outbound.push(frame(1)), Err(OutboundFull));
        outbound.advance(1000);
        outbound.push(frame(1000)).unwrap();
    }

    #[test]
    fn optional_frames_leave_half_of_the_bound() {
        let mut outbound = Outbound::new(400);
        assert!(outbound.push_optional(frame(30)));
        assert!(outbound.push_optional(frame(30)));
        assert!(!outbound.push_optional(frame(1)));
        assert_eq!(outbound.cost(), 188);
        outbound.push(frame(140)).unwrap();
    }

    #[test]
    fn a_partly_written_frame_is_kept() {
        let mut outbound = Outbound::new(1000);
        for _ in 0..3 {
            outbound.push(frame(10)).unwrap();
        }
        outbound.advance(13);
        outbound.keep_only_partial_frame();
        assert_eq!(lent(&outbound).len(), 7);
        outbound.advance(7);
        assert_eq!(outbound.cost(), 0);
        outbound.push(frame(10)).unwrap();
        outbound.keep_only_partial_frame();
        assert!(outbound.is_empty());
    }

    proptest! {
        #[test]
        fn bytes_are_written_in_the_order_of_their_frames(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 1..100),
            steps in proptest::collection::vec(1_usize..60, 1..200),
        ) {
            let mut outbound = Outbound::new(usize::MAX);
            for frame in &frames {
                outbound.push(frame.clone().into()).unwrap();
            }
            let mut left = Vec::new();
            for step in steps {
                let lent = lent(&outbound);
                let taken = step.min(lent.len());
                left.extend_from_slice(&lent[..taken]);
                outbound.advance(taken);
            }
            let all = frames.concat();
            prop_assert_eq!(&left[..], &all[..left.len()]);
            prop_assert_eq!(lent(&outbound).len().min(1), (all.len() - left.len()).min(1));
            prop_assert_eq!(outbound.is_empty(), outbound.cost() == 0);
        }
    }
}
