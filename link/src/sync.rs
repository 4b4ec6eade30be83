//! What the hand-over between publisher and link thread is made of. `tests/hand_over.rs` compiles [`crate::doorbell`] once more
//! with loom's in place of these, and runs through all interleavings.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
