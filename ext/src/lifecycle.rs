//! The publishers of this process, and what happens when requests, modules and processes begin and end.
//!
//! Owns the publishers: made on first use, shared by equal settings, kept from request to request until the module ends. Bound:
//! [`MAX_PUBLISHERS`]. A publisher belongs to the thread that runs PHP, so the table does too.
//!
//! In a PHP with threads (ZTS) each of them has such a table, and what its publishers share is the process's: see `lines.rs`. The
//! table is the thread's own and no module global of TSRM's: nothing in it is PHP's, and a SAPI may end a thread without telling
//! PHP. A request, a context and a thread may end while others publish: the links end with the module, or with the program.
//!
//! PHP calls the hooks of this file across C frames, where a panic would abort the process: each catches its own. A request
//! never waits for a publisher; only the end of the module does, or of the program, bounded. That end may come in a process that
//! has started nothing (the FPM master, a forked child), and is harmless there.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(not(feature = "zts"))]
use std::time::Instant;

use ext_php_rs::exception::PhpException;
use orosync_link::{Leftover, Publisher, State};
use orosync_protocol::link_frame::MessageRef;

#[cfg(feature = "zts")]
use crate::lines;
use crate::settings::Settings;
use crate::{exceptions, exec, settings, zend};

/// The most publishers of one process: each has a thread and a connection.
pub(crate) const MAX_PUBLISHERS: usize = 32;

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
    /// Never shortened before the module ends: a handle stays good.
    entries: Vec<Entry>,
    /// The one of php.ini's settings, once this request has looked at them. All else here belongs to its own settings.
    of_ini: Option<Handle>,
    /// How often the module had ended when the entries were made.
    #[cfg(feature = "zts")]
    ends: u64,
}

/// A process that ends by `exit()` without an end of the module, as the one that opcache preloads in as another user.
impl Drop for Publishers {
    fn drop(&mut self) {
        #[cfg(feature = "zts")]
        if !lines::is_first_thread() {
            return;
        }
        // A panic has nobody to be told to; the process ends.
        let _ = catch_unwind(AssertUnwindSafe(|| end(&mut self.entries)));
    }
}

struct Entry {
    settings: Settings,
    publisher: Publisher,
    outages_logged: u64,
    strangers_logged: bool,
}

/// Names a publisher of this process.
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

    /// The publisher of these settings: an earlier one, or a new one that has no thread and no connection yet.
    pub(crate) fn of(settings: Settings) -> Result<Self, PhpException> {
        PUBLISHERS
            .with_borrow_mut(|publishers| publishers.open(settings))
            .map_err(|problem| exceptions::configuration(&problem))
    }

    /// Lends the publisher. `use_it` runs no PHP code: that could come back here, or jump over the loan's end.
    pub(crate) fn with<T>(self, use_it: impl FnOnce(&mut Publisher) -> T) -> T {
        PUBLISHERS.with_borrow_mut(|publishers| use_it(&mut publishers.entries[self.0].publisher))
    }

    /// Accepts a message, or refuses it where the queue is full.
    pub(crate) fn publish(self, message: MessageRef<'_>) -> bool {
        let (accepted, news) = PUBLISHERS.with_borrow_mut(|publishers| {
            let entry = &mut publishers.entries[self.0];
            (entry.publisher.publish(message).is_ok(), entry.news())
        });
        news.log();
        accepted
    }

    /// Writes what is new of this publisher's link into PHP's error log, once.
    pub(crate) fn log_news(self) {
        PUBLISHERS.with_borrow_mut(|publishers| publishers.entries[self.0].news()).log();
    }
}

impl Publishers {
    /// In a thread that was there before the module was ended and started again.
    #[cfg(feature = "zts")]
    fn forget_closed(&mut self) {
        let ends = lines::ends();
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
        let publisher = lines::publisher(&settings)?;
        self.entries.push(Entry { settings, publisher, outages_logged: 0, strangers_logged: false });
        Ok(Handle(self.entries.len() - 1))
    }
}

/// What is thrown where one more does not fit.
pub(crate) fn too_many() -> String {
    format!(
        "this process has {MAX_PUBLISHERS} publishers with different settings already, and keeps them. Use the same endpoint and \
         options again instead of new ones"
    )
}

/// What PHP's error log should say of a publisher's link.
#[must_use]
struct News {
    outage: Option<String>,
    strangers: Option<String>,
}

impl News {
    /// While no publisher is lent: PHP may run code of its own for a line.
    fn log(self) {
        for line in self.strangers.into_iter().chain(self.outage) {
            zend::log(&line);
        }
    }
}

impl Entry {
    /// Cheap where there is nothing new: it is asked after each message.
    fn news(&mut self) -> News {
        News { outage: self.new_outage(), strangers: self.new_strangers() }
    }

    /// Once for each publisher: what is wrong is in its settings, and stays so.
    fn new_strangers(&mut self) -> Option<String> {
        let strangers = self.publisher.strangers().filter(|_| !self.strangers_logged)?;
        self.strangers_logged = true;
        #[cfg(feature = "zts")]
        if !self.publisher.is_first_to_tell_of_strangers() {
            return None;
        }
        Some(format!("orosync: {strangers}"))
    }

    fn new_outage(&mut self) -> Option<String> {
        let outages = self.publisher.outages();
        // Fewer than before: this is a forked child, whose publisher counts anew.
        let is_new = outages > self.outages_logged;
        self.outages_logged = outages;
        #[cfg(feature = "zts")]
        let is_new = is_new && self.publisher.is_first_to_tell_of_outages(outages);
        is_new.then(|| {
            let status = self.publisher.status();
            let endpoints = self.settings.endpoints();
            let are_several = endpoints.are_several();
            let why = status.last_error.as_deref().unwrap_or("not known why");
            if status.state == State::Connected && !status.nobody_acknowledges {
                let does = if are_several { "one of them does" } else { "does" };
                return format!("orosync: {endpoints} did not answer for a while, and {does} again: {why}");
            }
            let waiting = status.queued + status.unacknowledged;
            let for_whom = if are_several { "" } else { " for it" };
            let waits = match waiting {
                0 => String::new(),
                1 => format!(", 1 message waits{for_whom}"),
                several => format!(", {several} messages wait{for_whom}"),
            };
            let do_they = match (status.state == State::Refused, are_several) {
                (_, false) if status.nobody_acknowledges => "does not acknowledge",
                (_, true) if status.nobody_acknowledges => "do not acknowledge",
                (true, false) => "refuses this PHP",
                (true, true) => "all refuse this PHP",
                (false, false) => "does not answer",
                (false, true) => "do not answer",
            };
            format!("orosync: {endpoints} {do_they}{waits}: {why}")
        })
    }
}

/// The endpoint that is tried, or in use; before that is decided, all of them.
pub(crate) fn endpoint_of(publisher: &Publisher) -> String {
    let all = || publisher.options().endpoints.to_string();
    publisher.endpoint().map_or_else(all, ToString::to_string)
}

/// Where this process publishes to, and how that is going.
#[cfg(feature = "zts")]
pub(crate) fn endpoints() -> Vec<(String, State)> {
    lines::publishers().map(|publisher| (endpoint_of(&publisher), publisher.status().state)).collect()
}

/// Where this process publishes to, and how that is going.
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

/// MINIT. In FPM it runs once, in the master: no thread and no connection may begin here.
pub(crate) extern "C" fn startup(_type: i32, module_number: i32) -> i32 {
    let started = catch_unwind(|| {
        // The default hook prints into PHP's standard error; what panics is reported by an exception or by last_error.
        std::panic::set_hook(Box::new(|_| {}));
        settings::register(module_number);
        exec::register();
        exceptions::register().is_ok()
    });
    if let Ok(true) = started { 0 } else { -1 }
}

/// RINIT: the beginning of a request, which may have other settings than the last one (`PHP_ADMIN_VALUE`). The last one may have
/// published after our part of its end: a session handler does.
pub(crate) unsafe extern "C" fn request_startup(_type: i32, _module_number: i32) -> i32 {
    let begun = catch_unwind(|| {
        PUBLISHERS.with_borrow_mut(|publishers| {
            publishers.of_ini = None;
            #[cfg(feature = "zts")]
            publishers.forget_closed();
        });
    });
    if begun.is_ok() { 0 } else { -1 }
}

/// RSHUTDOWN: the end of a request. It waits for nothing.
pub(crate) unsafe extern "C" fn request_shutdown(_type: i32, _module_number: i32) -> i32 {
    // A panic here has nobody to be told to; the request is over.
    let _ = catch_unwind(|| {
        let news = PUBLISHERS
            .with_borrow_mut(|publishers| publishers.entries.iter_mut().map(Entry::news).collect::<Vec<_>>());
        news.into_iter().for_each(News::log);
    });
    0
}

/// MSHUTDOWN: the end of the process, or of a master that only started it. Flushes, bounded.
pub(crate) unsafe extern "C" fn shutdown(_type: i32, module_number: i32) -> i32 {
    // As above: PHP ends, whatever happens.
    let _ = catch_unwind(|| {
        let mut publishers = PUBLISHERS.with_borrow_mut(|publishers| {
            publishers.of_ini = None;
            std::mem::take(&mut publishers.entries)
        });
        end(&mut publishers);
        zend::unregister_settings(module_number);
    });
    0
}

#[cfg(not(feature = "zts"))]
fn end(entries: &mut [Entry]) {
    let begun = Instant::now();
    for entry in entries {
        if let Some(leftover) = entry.publisher.shutdown_since(begun) {
            zend::log(&left(&leftover));
        }
    }
}

/// Of the process, not of the thread alone: it is the last one that publishes.
#[cfg(feature = "zts")]
fn end(_of_thread: &mut [Entry]) {
    for leftover in lines::end() {
        zend::log(&left(&leftover));
    }
}

/// `pcntl_exec()`: another program takes the place of this one, whose module never ends. Flushes as that would; if the other one
/// cannot be started, this one goes on.
pub(crate) fn before_exec() {
    // As above: the program ends.
    let _ = catch_unwind(|| {
        #[cfg(feature = "zts")]
        let log = lines::flush().map(|leftover| left(&leftover)).collect::<Vec<_>>();
        #[cfg(not(feature = "zts"))]
        let log = PUBLISHERS.with_borrow_mut(|publishers| {
            let begun = Instant::now();
            let flush = |entry: &mut Entry| entry.publisher.flush_since(begun);
            publishers
                .entries
                .iter_mut()
                .filter_map(flush)
                .map(|leftover| left(&leftover))
                .collect::<Vec<_>>()
        });
        for line in log {
            zend::log(&line);
        }
    });
}

fn left(leftover: &Leftover) -> String {
    let Leftover { messages, endpoints, last_error } = leftover;
    let noun = if *messages == 1 { "message was" } else { "messages were" };
    let why = last_error.as_deref().unwrap_or("no acknowledgement within orosync.shutdown_timeout");
    format!("orosync: {messages} {noun} left undelivered to {endpoints} at the end of the process: {why}")
}
