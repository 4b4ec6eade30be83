//! The hooks that PHP runs when the module and requests begin and end.
//!
//! PHP calls them from C, where a panic would abort the process: each hook catches its own. A request never waits for a
//! publisher; only the end of the module or of the process does, with a time limit. That end may also come in a process that
//! has started nothing (the FPM master, a forked child), and does nothing there.

use std::panic::catch_unwind;

use crate::{exceptions, exec, publishers, settings, zend};

/// MINIT. In FPM it runs once, in the master: it must not start a thread or a connection.
pub(crate) extern "C" fn startup(_type: i32, module_number: i32) -> i32 {
    let started = catch_unwind(|| {
        // The default hook would print to PHP's standard error. Panics are reported as exceptions or in last_error.
        std::panic::set_hook(Box::new(|_| {}));
        orosync_link::watch_forks();
        publishers::set_started(true);
        settings::register(module_number);
        exec::register();
        exceptions::register().is_ok()
    });
    if let Ok(true) = started { 0 } else { -1 }
}

/// RINIT: the beginning of a request, which may have other settings than the last one (`PHP_ADMIN_VALUE`). The last request may
/// have published after our RSHUTDOWN: a session handler does.
pub(crate) unsafe extern "C" fn request_startup(_type: i32, _module_number: i32) -> i32 {
    if catch_unwind(publishers::begin_request).is_ok() { 0 } else { -1 }
}

/// RSHUTDOWN: the end of a request. Does not wait.
pub(crate) unsafe extern "C" fn request_shutdown(_type: i32, _module_number: i32) -> i32 {
    // Nobody could handle a panic; the request is over.
    let _ = catch_unwind(publishers::log_all_new_warnings);
    0
}

/// MSHUTDOWN: the end of the process, or of a master that only started it. Flushes within `orosync.shutdown_timeout`.
pub(crate) unsafe extern "C" fn shutdown(_type: i32, module_number: i32) -> i32 {
    // As above: PHP ends in any case.
    let _ = catch_unwind(|| {
        publishers::end_all();
        zend::unregister_settings(module_number);
    });
    publishers::set_started(false);
    0
}
