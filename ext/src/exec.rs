//! `pcntl_exec()` replaces this program without running any of PHP's shutdown hooks. This file wraps that function so that
//! accepted messages are flushed first. If the other program cannot be started, this one continues to publish.

use std::mem;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ext_php_rs::ffi::{
    ext_php_rs_compiler_globals, zend_execute_data, zend_function, zend_hash_str_find, zif_handler,
};
use ext_php_rs::types::Zval;

use crate::publishers;

const NAME: &str = "pcntl_exec";

type Handler = unsafe extern "C" fn(*mut zend_execute_data, *mut Zval);

/// PHP's own handler of the function.
static REPLACED: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Installs our handler in front of PHP's, if this PHP has the function. Only while the module starts: by then, the functions
/// of all modules are registered.
pub(crate) fn register() {
    // SAFETY: PHP's thread, while it starts: the table is there and nobody else uses it. It holds functions, and those of a
    // module have a handler.
    unsafe {
        let table = (*ext_php_rs_compiler_globals()).function_table;
        let Some(entry) = zend_hash_str_find(table, NAME.as_ptr().cast(), NAME.len()).as_ref() else {
            return;
        };
        let function = entry.value.ptr.cast::<zend_function>();
        let handler: &mut zif_handler = &mut (*function).internal_function.handler;
        if let Some(theirs) = handler.filter(|theirs| *theirs as *const () != exec as *const ()) {
            REPLACED.store(theirs as *mut (), Ordering::Release);
            *handler = Some(exec);
        }
    }
}

unsafe extern "C" fn exec(execute_data: *mut zend_execute_data, return_value: *mut Zval) {
    // Nobody could handle a panic; the other program is started in any case.
    let _ = catch_unwind(publishers::flush_all);
    // SAFETY: what was stored is a handler, and `register` stored it before PHP could call this one; its arguments are what PHP
    // has called us with.
    unsafe {
        let theirs: Handler = mem::transmute(REPLACED.load(Ordering::Acquire));
        theirs(execute_data, return_value);
    }
}
