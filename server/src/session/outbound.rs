//! What waits for one session's socket, in order.
//!
//! Owns the frames that the kernel has not taken. Bound: `limits.outbound_bytes`, in which each frame counts
//! [`FRAME_COST`] bytes more than it has, so that many small ones are bounded as well; the frame that would cross it is not
//! taken, and the session closes with `CloseReason::TooSlow`. An empty queue takes one frame of any size, so that the
//! bound never closes a session that reads. No I/O: `slices` lends, `advance` forgets.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use arrayvec::ArrayVec;
use bytes::Bytes;

/// The most frames that are lent for one write. The kernel takes up to 1024 (`IOV_MAX`); beyond some tens a
/// longer list saves nothing any more.
pub const MAX_SLICES: usize = 64;

/// What a waiting frame costs beside its bytes: its place in the queue, and the heads of its allocations.
const FRAME_COST: usize = 64;

/// A frame that many sessions of one shard write. Counted without atomic instructions, which would be a third of what a
/// delivery costs in a burst: sessions never leave their thread.
pub type SharedFrame = Rc<Bytes>;

/// See the module.
#[derive(Debug)]
pub struct Outbound {
    /// Stands apart, because there is seldom more: a session to which one event at a time is written needs no queue.
    first: Option<SharedFrame>,
    /// Empty if there is no first. Keeps its memory while bursts come, until [`Outbound::release_memory`].
    rest: VecDeque<SharedFrame>,
    /// Bytes of the first frame that the kernel has taken.
    taken: usize,
    /// What waits, as it counts against the bound.
    cost: usize,
    max_cost: usize,
}

/// The bound would have been crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl Outbound {
    /// An empty queue with this bound.
    pub fn new(max_bytes: usize) -> Self {
        Self { first: None, rest: VecDeque::new(), taken: 0, cost: 0, max_cost: max_bytes }
    }

    /// Appends a frame of this session's own.
    pub fn push(&mut self, frame: Bytes) -> Result<(), TooSlow> {
        self.has_room(frame.len())?;
        self.push_last(frame);
        Ok(())
    }

    /// Appends a frame that others write as well.
    pub fn push_shared(&mut self, frame: &SharedFrame) -> Result<(), TooSlow> {
        self.has_room(frame.len())?;
        self.append(Rc::clone(frame));
        Ok(())
    }

    /// Appends a frame of which the session can do without, unless it leaves less than half of the bound for the others.
    /// Returns whether it was taken.
    pub fn push_if_spare(&mut self, frame: Bytes) -> bool {
        let spare = self.is_empty() || self.cost + frame.len() + FRAME_COST <= self.max_cost / 2;
        if spare {
            self.push_last(frame);
        }
        spare
    }

    /// Appends a frame beyond the bound, if need be: the Close frame, behind which nothing comes, the pong before it, or the
    /// one answer that a publisher is owed. Each has less than 1 KiB.
    pub fn push_last(&mut self, frame: Bytes) {
        self.append(Rc::new(frame));
    }

    /// Nothing waits?
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// What waits, as it counts against the bound: bytes, and a little for each frame.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// How many bytes may still wait.
    pub fn room(&self) -> usize {
        self.max_cost.saturating_sub(self.cost + FRAME_COST)
    }

    /// The first frames, at most [`MAX_SLICES`], for one write.
    pub fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let first = self.first.iter().map(|frame| IoSlice::new(&frame[self.taken..]));
        first.chain(self.rest.iter().map(|frame| IoSlice::new(frame))).take(MAX_SLICES)
    }

    /// Lends the same for a write. Nearly always it is one frame, for which no list is made.
    pub fn lend<T>(&self, mut write: impl FnMut(&[IoSlice<'_>]) -> T) -> T {
        match &self.first {
            Some(only) if self.rest.is_empty() => write(&[IoSlice::new(&only[self.taken..])]),
            Some(_) | None => write(&self.slices().collect::<ArrayVec<_, MAX_SLICES>>()),
        }
    }

    /// The kernel has taken so many bytes.
    pub fn advance(&mut self, bytes: usize) {
        self.cost -= bytes;
        // Nearly always that was all.
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

    /// Gives back what a burst took, unless another one is under way.
    pub fn release_memory(&mut self) {
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }

    /// Forgets all frames but the rest of one that the kernel has begun to take: a Close frame may follow it.
    pub fn keep_only_what_has_begun(&mut self) {
        self.first.take_if(|_| self.taken == 0);
        self.rest = VecDeque::new();
        self.cost = self.first.as_ref().map_or(0, |frame| frame.len() - self.taken + FRAME_COST);
    }

    /// Forgets everything: the connection ends here, in the middle of a frame or not.
    pub fn clear(&mut self) {
        *self = Self::new(self.max_cost);
    }

    fn has_room(&self, bytes: usize) -> Result<(), TooSlow> {
        if self.is_empty() || self.cost + bytes + FRAME_COST <= self.max_cost { Ok(()) } else { Err(TooSlow) }
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
        let lent = outbound.lend(|slices| slices.iter().flat_map(|slice| slice.to_vec()).collect());
        assert!(outbound.slices().flat_map(|slice| slice.to_vec()).eq(Vec::clone(&lent)));
        lent
    }

    #[test]
    fn the_frame_that_would_cross_the_bound_is_not_taken() {
        let mut outbound = Outbound::new(200);
        outbound.push(frame(30)).unwrap();
        outbound.push(frame(30)).unwrap();
        assert_eq!(outbound.push(frame(1)), Err(TooSlow));
        assert_eq!(outbound.cost(), 188);
        outbound.advance(30);
        outbound.push(frame(30)).unwrap();
        outbound.push_last(frame(4));
        assert_eq!(lent(&outbound).len(), 64);
    }

    #[test]
    fn many_small_frames_are_bounded_by_what_they_really_cost() {
        let mut outbound = Outbound::new(1 << 20);
        let taken = (0..1 << 20).take_while(|_| outbound.push(frame(2)).is_ok()).count();
        assert_eq!(taken, (1 << 20) / 66);
    }

    #[test]
    fn an_empty_queue_takes_one_frame_of_any_size() {
        let mut outbound = Outbound::new(10);
        outbound.push(frame(1000)).unwrap();
        assert_eq!(outbound.push(frame(1)), Err(TooSlow));
        outbound.advance(1000);
        outbound.push(frame(1000)).unwrap();
    }

    #[test]
    fn what_can_be_done_without_leaves_half_of_the_bound() {
        let mut outbound = Outbound::new(400);
        assert!(outbound.push_if_spare(frame(30)));
        assert!(outbound.push_if_spare(frame(30)));
        assert!(!outbound.push_if_spare(frame(1)));
        assert_eq!(outbound.cost(), 188);
        outbound.push(frame(140)).unwrap();
    }

    #[test]
    fn what_has_begun_stays_whole() {
        let mut outbound = Outbound::new(1000);
        for _ in 0..3 {
            outbound.push(frame(10)).unwrap();
        }
        outbound.advance(13);
        outbound.keep_only_what_has_begun();
        assert_eq!(lent(&outbound).len(), 7);
        outbound.advance(7);
        assert_eq!(outbound.cost(), 0);
        outbound.push(frame(10)).unwrap();
        outbound.keep_only_what_has_begun();
        assert!(outbound.is_empty());
    }

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_they_came(
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
