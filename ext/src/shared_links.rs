//! The links of a process whose PHP has threads: each thread has its own publishers, and equal settings share a link.
//!
//! Owns the table of links, from first use until the module ends. Bound: [`MAX_PUBLISHERS`]. Any thread may read or extend it
//! at any time, without a lock: a fork could copy a lock that another thread holds. Entries are not freed when the module ends,
//! because another thread may be reading them: a few hundred bytes each time a SAPI restarts the module.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Instant;

use orosync_link::{Leftover, Publisher, SharedLink};

use crate::settings::{MAX_PUBLISHERS, Settings, too_many};

struct Entry {
    settings: Settings,
    shared_link: Arc<SharedLink>,
}

/// Filled from the first slot on; null after the last entry.
static ENTRIES: [AtomicPtr<Entry>; MAX_PUBLISHERS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_PUBLISHERS];

/// Number of times that the module has ended. Publishers that a thread has kept from before are closed.
static ENDS: AtomicU64 = AtomicU64::new(0);

/// A publisher for the calling thread.
pub(crate) fn publisher(settings: &Settings) -> Result<Publisher, String> {
    for slot in &ENTRIES {
        let mut entry = entry(slot.load(Ordering::Acquire));
        if entry.is_none() {
            let shared_link = SharedLink::new(settings.options()?);
            let new = Box::into_raw(Box::new(Entry { settings: settings.clone(), shared_link }));
            let free = ptr::null_mut();
            match slot.compare_exchange(free, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => entry = self::entry(new),
                Err(existing) => {
                    // SAFETY: no other thread has seen this pointer.
                    drop(unsafe { Box::from_raw(new) });
                    entry = self::entry(existing);
                }
            }
        }
        if let Some(entry) = entry.filter(|entry| entry.settings == *settings) {
            return Ok(entry.shared_link.publisher());
        }
    }
    Err(too_many())
}

/// A publisher for each link of the process, to read its status.
pub(crate) fn publishers() -> impl Iterator<Item = Publisher> {
    shared_links().map(SharedLink::publisher)
}

/// Flushes all links within `orosync.shutdown_timeout`. Returns the undelivered messages of each.
pub(crate) fn flush() -> impl Iterator<Item = Leftover> {
    let begun = Instant::now();
    shared_links().filter_map(move |shared_link| shared_link.flush_since(begun))
}

/// Ends all links. Returns the undelivered messages of each.
pub(crate) fn end() -> impl Iterator<Item = Leftover> {
    let begun = Instant::now();
    ENDS.fetch_add(1, Ordering::AcqRel);
    ENTRIES
        .iter()
        .filter_map(|slot| entry(slot.swap(ptr::null_mut(), Ordering::AcqRel)))
        .filter_map(move |entry| entry.shared_link.shutdown_since(begun))
}

/// Number of calls of [`end`].
pub(crate) fn ends() -> u64 {
    ENDS.load(Ordering::Acquire)
}

/// Whether the process ends with the calling thread.
pub(crate) fn is_first_thread() -> bool {
    // SAFETY: both calls only read the caller's ids from the kernel.
    unsafe { libc::gettid() == libc::getpid() }
}

fn shared_links() -> impl Iterator<Item = &'static Arc<SharedLink>> {
    ENTRIES.iter().map_while(|slot| entry(slot.load(Ordering::Acquire))).map(|entry| &entry.shared_link)
}

fn entry(pointer: *mut Entry) -> Option<&'static Entry> {
    // SAFETY: null, or a box that is neither changed nor freed after it was stored in the table.
    unsafe { pointer.as_ref() }
}
