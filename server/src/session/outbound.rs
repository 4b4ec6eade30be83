//! What waits for one session's socket, in order.
//!
//! Owns the frames that the kernel has not taken. Bound: `limits.outbound_bytes`, in which each frame counts
//! [`FRAME_COST`] bytes more than it has, so that many small ones are bounded as well; the frame that would cross it is not
//! taken, and the session closes with `CloseReason::TooSlow`. An empty queue takes one frame of any size, so that the
//! bound never closes a session that reads. No I/O: `slices` lends, `advance` forgets.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// The most frames that are lent for one vectored write. The kernel takes up to 1024 (`IOV_MAX`); beyond some tens a
/// longer list saves nothing any more.
pub const MAX_SLICES: usize = 64;

/// What a waiting frame costs beside its bytes: its place in the queue, and the head of an allocation of its own.
const FRAME_COST: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Outbound {
    /// Stands apart, because there is seldom more: a session to which one event at a time is written needs no queue.
    first: Option<Bytes>,
    /// Empty if there is no first. Keeps its memory while bursts come, until [`Outbound::release_memory`].
    rest: VecDeque<Bytes>,
    /// Has the kernel taken a part of the first frame?
    front_is_cut: bool,
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
        Self { first: None, rest: VecDeque::new(), front_is_cut: false, cost: 0, max_cost: max_bytes }
    }

    /// Appends a frame.
    pub fn push(&mut self, frame: Bytes) -> Result<(), TooSlow> {
        if !self.is_empty() && self.cost + frame.len() + FRAME_COST > self.max_cost {
            return Err(TooSlow);
        }
        self.push_last(frame);
        Ok(())
    }

    /// Appends a frame beyond the bound, if need be: the Close frame, at most 127 bytes, behind which nothing comes.
    pub fn push_last(&mut self, frame: Bytes) {
        self.cost += frame.len() + FRAME_COST;
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
        }
    }

    /// Nothing waits?
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The one frame that waits, if it is only one.
    pub fn only(&self) -> Option<&[u8]> {
        self.first.as_deref().filter(|_| self.rest.is_empty())
    }

    /// What waits, as it counts against the bound: bytes, and a little for each frame.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// The first frames, for one vectored write. How many of `slices` were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut filled = 0;
        for (slice, frame) in slices.iter_mut().zip(self.first.iter().chain(&self.rest)) {
            *slice = IoSlice::new(frame);
            filled += 1;
        }
        filled
    }

    /// The kernel has taken so many bytes.
    pub fn advance(&mut self, mut taken: usize) {
        while let Some(first) = &mut self.first {
            if taken < first.len() {
                first.advance(taken);
                self.cost -= taken;
                self.front_is_cut |= taken > 0;
                return;
            }
            taken -= first.len();
            self.cost -= first.len() + FRAME_COST;
            self.first = self.rest.pop_front();
            self.front_is_cut = false;
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
        if !self.front_is_cut {
            self.first = None;
        }
        self.rest = VecDeque::new();
        self.cost = self.first.as_ref().map_or(0, |frame| frame.len() + FRAME_COST);
    }

    /// Forgets everything: the connection ends here, in the middle of a frame or not.
    pub fn clear(&mut self) {
        self.first = None;
        self.rest = VecDeque::new();
        self.front_is_cut = false;
        self.cost = 0;
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
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = outbound.slices(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
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
