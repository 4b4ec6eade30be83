//! The links of a process whose PHP has threads: a thread has publishers of its own, equal settings share a link.
//!
//! Owns the table of them, from the first use until the module ends. Bound: [`MAX_PUBLISHERS`]. Any thread may add to it and look
//! into it at any time, without a lock: a fork would copy one that another thread holds. What was in it is not given back when
//! the module ends, as somebody may be looking: a few hundred bytes, where a SAPI starts the module again.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Instant;

use orosync_link::{Leftover, Line, Publisher};

use crate::lifecycle::{MAX_PUBLISHERS, too_many};
use crate::settings::Settings;

struct Entry {
    settings: Settings,
    line: Arc<Line>,
}

/// From the first on; behind the last, null.
static ENTRIES: [AtomicPtr<Entry>; MAX_PUBLISHERS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_PUBLISHERS];

/// How often the module has ended: the publishers that a thread has kept from before are closed.
static ENDS: AtomicU64 = AtomicU64::new(0);

/// A publisher for the calling thread.
pub(crate) fn publisher(settings: &Settings) -> Result<Publisher, String> {
    for slot in &ENTRIES {
        let mut entry = entry(slot.load(Ordering::Acquire));
        if entry.is_none() {
            let line = Line::new(settings.options()?);
            let new = Box::into_raw(Box::new(Entry { settings: settings.clone(), line }));
            let free = ptr::null_mut();
            match slot.compare_exchange(free, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => entry = self::entry(new),
                Err(anothers) => {
                    // SAFETY: nobody has seen ours.
                    drop(unsafe { Box::from_raw(new) });
                    entry = self::entry(anothers);
                }
            }
        }
        if let Some(entry) = entry.filter(|entry| entry.settings == *settings) {
            return Ok(entry.line.publisher());
        }
    }
    Err(too_many())
}

/// For a look at each link of the process.
pub(crate) fn publishers() -> impl Iterator<Item = Publisher> {
    lines().map(Line::publisher)
}

/// A last flush of all links. What is left of each.
pub(crate) fn flush() -> impl Iterator<Item = Leftover> {
    let begun = Instant::now();
    lines().filter_map(move |line| line.flush_since(begun))
}

/// The end of all links. What is left of each.
pub(crate) fn end() -> impl Iterator<Item = Leftover> {
    let begun = Instant::now();
    ENDS.fetch_add(1, Ordering::AcqRel);
    ENTRIES
        .iter()
        .filter_map(|slot| entry(slot.swap(ptr::null_mut(), Ordering::AcqRel)))
        .filter_map(move |entry| entry.line.shutdown_since(begun))
}

/// How often that was.
pub(crate) fn ends() -> u64 {
    ENDS.load(Ordering::Acquire)
}

/// Does the process end with the calling thread?
pub(crate) fn is_first_thread() -> bool {
    // SAFETY: both only read what the kernel knows of the caller.
    unsafe { libc::gettid() == libc::getpid() }
}

fn lines() -> impl Iterator<Item = &'static Arc<Line>> {
    ENTRIES.iter().map_while(|slot| entry(slot.load(Ordering::Acquire))).map(|entry| &entry.line)
}

fn entry(pointer: *mut Entry) -> Option<&'static Entry> {
    // SAFETY: null, or a box that was never changed after it got into the table, and is never given back.
    unsafe { pointer.as_ref() }
}
