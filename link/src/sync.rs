//! Synchronization primitives of the hand-over between publisher and link thread. `tests/hand_over.rs` compiles
//! [`crate::doorbell`] again with loom's instead, and explores the interleavings.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
