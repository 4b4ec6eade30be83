//! `Orosync\Exception\*`, the extension's exceptions: plain PHP exceptions that applications may extend and create.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::builders::ClassBuilder;
use ext_php_rs::exception::PhpException;
use ext_php_rs::flags::ClassFlags;
use ext_php_rs::zend::{ClassEntry, ce};

use crate::zend;

/// Class entries are created again when a SAPI restarts the module; each start stores its own.
static OROSYNC: AtomicPtr<ClassEntry> = AtomicPtr::new(ptr::null_mut());
static CONFIGURATION: AtomicPtr<ClassEntry> = AtomicPtr::new(ptr::null_mut());
static ENCODING: AtomicPtr<ClassEntry> = AtomicPtr::new(ptr::null_mut());

/// Registers the three classes. Only while the module starts.
pub(crate) fn register() -> ext_php_rs::error::Result<()> {
    ClassBuilder::new("Orosync\\Exception\\OrosyncException")
        .extends((zend::runtime_exception, "\\RuntimeException"))
        .registration(|entry, _| OROSYNC.store(entry, Ordering::Release))
        .register()?;
    ClassBuilder::new("Orosync\\Exception\\ConfigurationException")
        .extends((orosync_exception, "\\Orosync\\Exception\\OrosyncException"))
        .flags(ClassFlags::Final)
        .registration(|entry, _| CONFIGURATION.store(entry, Ordering::Release))
        .register()?;
    ClassBuilder::new("Orosync\\Exception\\EncodingException")
        .extends((orosync_exception, "\\Orosync\\Exception\\OrosyncException"))
        .flags(ClassFlags::Final)
        .registration(|entry, _| ENCODING.store(entry, Ordering::Release))
        .register()
}

/// An invalid setting. `problem` names it, its value and what to change.
pub(crate) fn configuration(problem: &str) -> PhpException {
    from_active_function(problem, entry(&CONFIGURATION))
}

/// A topic, payload or ticket that cannot be encoded. `problem` gives the reason.
pub(crate) fn encoding(problem: &str) -> PhpException {
    from_active_function(problem, entry(&ENCODING))
}

/// A parameter of the wrong type.
pub(crate) fn wrong_type(problem: &str) -> PhpException {
    from_active_function(problem, ce::type_error())
}

/// Placeholder while another exception is pending: PHP reports the pending one, whatever is thrown now.
pub(crate) fn pending() -> PhpException {
    PhpException::new("an exception is pending".to_owned(), 0, entry(&OROSYNC))
}

fn from_active_function(problem: &str, class: &'static ClassEntry) -> PhpException {
    PhpException::new(format!("{}: {problem}", zend::active_function()).replace('\0', "\\0"), 0, class)
}

fn orosync_exception() -> &'static ClassEntry {
    entry(&OROSYNC)
}

fn entry(class: &AtomicPtr<ClassEntry>) -> &'static ClassEntry {
    // SAFETY: null or an entry that PHP keeps until the module ends, and nothing is thrown after that.
    unsafe { class.load(Ordering::Acquire).as_ref() }.unwrap_or_else(ce::exception)
}
