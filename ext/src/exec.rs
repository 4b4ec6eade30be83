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
static ORIGINAL: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Installs our handler in front of PHP's, if this PHP has the function. Only while the module starts: by then, the functions
/// of all modules are registered.
pub(crate) fn register() {
    // SAFETY: PHP's thread during its start: the table exists, and no other thread uses it. Its values are functions, and a
    // module's function has a handler.
    unsafe {
        let table = (*ext_php_rs_compiler_globals()).function_table;
        let Some(entry) = zend_hash_str_find(table, NAME.as_ptr().cast(), NAME.len()).as_ref() else {
            return;
        };
        let function = entry.value.ptr.cast::<zend_function>();
        let handler: &mut zif_handler = &mut (*function).internal_function.handler;
        if let Some(original) = handler.filter(|original| *original as *const () != exec as *const ()) {
            ORIGINAL.store(original as *mut (), Ordering::Release);
            *handler = Some(exec);
        }
    }
}

unsafe extern "C" fn exec(execute_data: *mut zend_execute_data, return_value: *mut Zval) {
    // Nobody could handle a panic; the other program is started in any case.
    let _ = catch_unwind(publishers::flush_all);
    // SAFETY: `register` stored the original handler before PHP could call this one. The arguments are those that PHP passed.
    unsafe {
        let original: Handler = mem::transmute(ORIGINAL.load(Ordering::Acquire));
        original(execute_data, return_value);
    }
}
