//! The publishers of this process: created on first use, shared by equal settings, kept from request to request until the
//! module ends.
//!
//! Bound: [`MAX_PUBLISHERS`]. A publisher belongs to the thread that runs PHP, and so does the table.
//!
//! In a PHP with threads (ZTS) each thread has its own table; the links behind its publishers belong to the process: see
//! `shared_links.rs`. The table is a Rust thread-local, not a TSRM module global: nothing in it is PHP's, and a SAPI may end a
//! thread without notifying PHP. Requests and threads may end while others publish: the links end with the module or the
//! process.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(feature = "zts"))]
use std::time::Instant;

use ext_php_rs::exception::PhpException;
use orosync_link::{Leftover, Publisher, State};
use orosync_protocol::link_frame::MessageRef;

use crate::settings::{MAX_PUBLISHERS, Settings, too_many};
#[cfg(feature = "zts")]
use crate::shared_links;
use crate::{exceptions, zend};

/// Whether the module is started. After its shutdown PHP frees its settings, which logging reads.
static IS_STARTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static PUBLISHERS: RefCell<Publishers> = const {
        RefCell::new(Publishers {
            entries: Vec::new(),
            of_ini: None,
            #[cfg(feature = "zts")]
            ends: 0,
        })
    };
}

struct Publishers {
    /// Never shortened before the module ends, so that handles stay valid.
    entries: Vec<Entry>,
    /// The publisher of php.ini's settings, once this request has used it. Everything else here belongs to its own settings.
    of_ini: Option<Handle>,
    /// [`shared_links::ends`] at the time when the entries were created.
    #[cfg(feature = "zts")]
    ends: u64,
}

/// Covers a process that ends by `exit()` without a module shutdown, such as opcache's child that preloads as another user.
impl Drop for Publishers {
    fn drop(&mut self) {
        #[cfg(feature = "zts")]
        if !shared_links::is_first_thread() {
            return;
        }
        // Nobody could handle a panic; the process ends.
        let _ = catch_unwind(AssertUnwindSafe(|| end(&mut self.entries)));
    }
}

struct Entry {
    settings: Settings,
    publisher: Publisher,
    outages_logged: u64,
    cluster_mismatch_logged: bool,
}

/// Index of a publisher of this process.
#[derive(Clone, Copy)]
pub(crate) struct Handle(usize);

impl Handle {
    /// The publisher of php.ini's settings.
    pub(crate) fn of_ini() -> Result<Self, PhpException> {
        if let Some(handle) = PUBLISHERS.with_borrow(|publishers| publishers.of_ini) {
            return Ok(handle);
        }
        let settings = Settings::from_ini().map_err(|problem| exceptions::configuration(&problem))?;
        let handle = Self::of(settings)?;
        PUBLISHERS.with_borrow_mut(|publishers| publishers.of_ini = Some(handle));
        Ok(handle)
    }

    /// The publisher of these settings: an existing one, or a new one without thread and connection.
    pub(crate) fn of(settings: Settings) -> Result<Self, PhpException> {
        PUBLISHERS
            .with_borrow_mut(|publishers| publishers.open(settings))
            .map_err(|problem| exceptions::configuration(&problem))
    }

    /// Lends the publisher. `use_it` must not run PHP code, which could re-enter here or jump over the borrow's end.
    pub(crate) fn with<T>(self, use_it: impl FnOnce(&mut Publisher) -> T) -> T {
        PUBLISHERS.with_borrow_mut(|publishers| use_it(&mut publishers.entries[self.0].publisher))
    }

    /// Accepts a message. Returns false if the queue is full.
    pub(crate) fn publish(self, message: MessageRef<'_>) -> bool {
        let (accepted, warnings) = PUBLISHERS.with_borrow_mut(|publishers| {
            let entry = &mut publishers.entries[self.0];
            (entry.publisher.publish(message).is_ok(), entry.new_warnings())
        });
        warnings.log();
        accepted
    }

    /// Writes new warnings about this publisher's link to PHP's error log, each once.
    pub(crate) fn log_new_warnings(self) {
        PUBLISHERS.with_borrow_mut(|publishers| publishers.entries[self.0].new_warnings()).log();
    }
}

impl Publishers {
    /// Drops publishers that a thread has kept from before the module was shut down and restarted.
    #[cfg(feature = "zts")]
    fn forget_closed(&mut self) {
        let ends = shared_links::ends();
        if self.ends != ends {
            self.ends = ends;
            self.entries.clear();
        }
    }

    fn open(&mut self, settings: Settings) -> Result<Handle, String> {
        if let Some(index) = self.entries.iter().position(|entry| entry.settings == settings) {
            return Ok(Handle(index));
        }
        if self.entries.len() == MAX_PUBLISHERS {
            return Err(too_many());
        }
        #[cfg(not(feature = "zts"))]
        let publisher = Publisher::new(settings.options()?);
        #[cfg(feature = "zts")]
        let publisher = shared_links::publisher(&settings)?;
        self.entries.push(Entry { settings, publisher, outages_logged: 0, cluster_mismatch_logged: false });
        Ok(Handle(self.entries.len() - 1))
    }
}

/// Warnings about a publisher's link that are not yet in PHP's error log.
#[must_use]
struct LinkWarnings {
    outage: Option<String>,
    cluster_mismatch: Option<String>,
}

impl LinkWarnings {
    /// Call only while no publisher is lent: PHP may run its own code for a log line.
    fn log(self) {
        for line in self.cluster_mismatch.into_iter().chain(self.outage) {
            zend::log(&line);
        }
    }
}

impl Entry {
    /// Cheap if there is nothing new: called after each message.
    fn new_warnings(&mut self) -> LinkWarnings {
        LinkWarnings { outage: self.new_outage(), cluster_mismatch: self.new_cluster_mismatch() }
    }

    /// The warning that two endpoints belong to different clusters. Reported once per publisher, because the cause is in its
    /// settings, which do not change.
    fn new_cluster_mismatch(&mut self) -> Option<String> {
        let cluster_mismatch = self.publisher.cluster_mismatch().filter(|_| !self.cluster_mismatch_logged)?;
        self.cluster_mismatch_logged = true;
        #[cfg(feature = "zts")]
        if !self.publisher.is_first_to_report_cluster_mismatch() {
            return None;
        }
        Some(format!("orosync: {cluster_mismatch}"))
    }

    fn new_outage(&mut self) -> Option<String> {
        let outages = self.publisher.outages();
        // Fewer than before: this is a forked child, whose publisher starts its counters at 0.
        let is_new = outages > self.outages_logged;
        self.outages_logged = outages;
        #[cfg(feature = "zts")]
        let is_new = is_new && self.publisher.is_first_to_report_outages(outages);
        is_new.then(|| {
            let status = self.publisher.status();
            let endpoints = self.settings.endpoints();
            let are_several = endpoints.are_several();
            let why = status.last_error.as_deref().unwrap_or("unknown reason");
            if status.state == State::Connected && !status.is_stalled {
                let who = if are_several { "one of them " } else { "" };
                return format!(
                    "orosync: {endpoints} did not answer for a while, and {who}answers again: {why}"
                );
            }
            let waiting = status.queued + status.unacknowledged;
            let waits = match waiting {
                0 => String::new(),
                1 => ", 1 message waits".to_owned(),
                several => format!(", {several} messages wait"),
            };
            let do_they = match (status.state == State::Refused, are_several) {
                (_, false) if status.is_stalled => "does not acknowledge",
                (_, true) if status.is_stalled => "do not acknowledge",
                (true, false) => "refuses this PHP process",
                (true, true) => "all refuse this PHP process",
                (false, false) => "does not answer",
                (false, true) => "do not answer",
            };
            format!("orosync: {endpoints} {do_they}{waits}: {why}")
        })
    }
}

/// The endpoint in use or being tried; all of them before one is chosen.
pub(crate) fn endpoint_of(publisher: &Publisher) -> String {
    let all = || publisher.options().endpoints.to_string();
    publisher.endpoint().map_or_else(all, ToString::to_string)
}

/// Endpoint and state of each publisher of this process.
#[cfg(feature = "zts")]
pub(crate) fn endpoints() -> Vec<(String, State)> {
    shared_links::publishers().map(|publisher| (endpoint_of(&publisher), publisher.status().state)).collect()
}

/// Endpoint and state of each publisher of this process.
#[cfg(not(feature = "zts"))]
pub(crate) fn endpoints() -> Vec<(String, State)> {
    PUBLISHERS.with_borrow(|publishers| {
        publishers
            .entries
            .iter()
            .map(|entry| (endpoint_of(&entry.publisher), entry.publisher.status().state))
            .collect()
    })
}

/// Records that the module is started, or that it was shut down. A SAPI may start it several times.
pub(crate) fn set_started(is_started: bool) {
    IS_STARTED.store(is_started, Ordering::Relaxed);
}

/// Prepares for a request, which may have other settings than the last one.
pub(crate) fn begin_request() {
    PUBLISHERS.with_borrow_mut(|publishers| {
        publishers.of_ini = None;
        #[cfg(feature = "zts")]
        publishers.forget_closed();
    });
}

/// Writes new warnings about the links of all publishers to PHP's error log.
pub(crate) fn log_all_new_warnings() {
    let warnings = PUBLISHERS.with_borrow_mut(|publishers| {
        publishers.entries.iter_mut().map(Entry::new_warnings).collect::<Vec<_>>()
    });
    warnings.into_iter().for_each(LinkWarnings::log);
}

/// Ends all publishers. Flushes them first, within `orosync.shutdown_timeout`.
pub(crate) fn end_all() {
    let mut entries = PUBLISHERS.with_borrow_mut(|publishers| {
        publishers.of_ini = None;
        std::mem::take(&mut publishers.entries)
    });
    end(&mut entries);
}

/// Flushes all publishers, within `orosync.shutdown_timeout`. They may publish afterwards.
pub(crate) fn flush_all() {
    #[cfg(feature = "zts")]
    let log = shared_links::flush().map(|leftover| undelivered(&leftover)).collect::<Vec<_>>();
    #[cfg(not(feature = "zts"))]
    let log = PUBLISHERS.with_borrow_mut(|publishers| {
        let begun = Instant::now();
        let flush = |entry: &mut Entry| entry.publisher.flush_since(begun);
        publishers
            .entries
            .iter_mut()
            .filter_map(flush)
            .map(|leftover| undelivered(&leftover))
            .collect::<Vec<_>>()
    });
    for line in log {
        zend::log(&line);
    }
}

#[cfg(not(feature = "zts"))]
fn end(entries: &mut [Entry]) {
    let begun = Instant::now();
    for entry in entries {
        if let Some(leftover) = entry.publisher.shutdown_since(begun) {
            report(&leftover);
        }
    }
}

/// Ends the links of the whole process: this is the last thread that publishes.
#[cfg(feature = "zts")]
fn end(_of_thread: &mut [Entry]) {
    for leftover in shared_links::end() {
        report(&leftover);
    }
}

/// Logs undelivered messages at the end of the process.
fn report(leftover: &Leftover) {
    if IS_STARTED.load(Ordering::Relaxed) {
        zend::log(&undelivered(leftover));
    }
}

fn undelivered(leftover: &Leftover) -> String {
    let Leftover { messages, endpoints, last_error } = leftover;
    let noun = if *messages == 1 { "message was" } else { "messages were" };
    let why = last_error.as_deref().unwrap_or("no acknowledgement within orosync.shutdown_timeout");
    format!("orosync: {messages} {noun} left undelivered to {endpoints} at the end of the process: {why}")
}
