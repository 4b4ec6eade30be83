//! Declarations of PHP functions that `ext-php-rs` lacks, each behind a safe function. Every SAPI exports them.

use std::env;
#[cfg(feature = "zts")]
use std::ffi::c_void;
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::ptr;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::ffi::{ext_php_rs_zend_string_release, zend_ini_entry};
use ext_php_rs::types::{ZendIterator, ZendStr, Zval};
use ext_php_rs::zend::{ClassEntry, ExecutorGlobals, ModuleEntry};

/// php.h: `LOG_WARNING` of syslog(3).
const LOG_WARNING: c_int = 4;

/// `smart_str` of `Zend/zend_smart_str_public.h`.
#[repr(C)]
struct SmartStr {
    s: *mut ZendStr,
    a: usize,
}

// The two builds differ in what the threads share, including the link.
const _: () = assert!(
    !(ext_php_rs::PHP_ZTS && cfg!(not(feature = "zts"))),
    "this PHP is built with threads (ZTS): build with --features zts"
);
const _: () = assert!(
    ext_php_rs::PHP_ZTS || cfg!(not(feature = "zts")),
    "this PHP is built without threads (NTS): build without the feature zts"
);

/// `zend_json_globals` of `ext/json/php_json.h`.
#[repr(C)]
struct JsonGlobals {
    encoder_depth: c_int,
    encode_max_depth: c_int,
    error_code: c_int,
}

#[cfg(not(feature = "zts"))]
unsafe extern "C" {
    static mut json_globals: JsonGlobals;
}

#[cfg(feature = "zts")]
unsafe extern "C" {
    /// Id of the thread-local JSON globals. Set before this module starts.
    static json_globals_id: c_int;

    /// Returns the calling thread's globals with this id. Provided by `ext-php-rs`.
    fn ext_php_rs_tsrmg_bulk(id: c_int) -> *mut c_void;
    fn virtual_cwd_activate() -> c_int;
    fn tsrm_env_lock();
    fn tsrm_env_unlock();
}

unsafe extern "C" {
    static spl_ce_RuntimeException: *mut ClassEntry;

    fn php_json_encode_ex(buffer: *mut SmartStr, value: *mut Zval, options: c_int, depth: i64) -> c_int;
    fn zend_iterator_dtor(iterator: *mut ZendIterator);
    fn zval_try_get_string_func(value: *mut Zval) -> *mut ZendStr;
    fn zend_ini_string_ex(
        name: *const c_char,
        length: usize,
        original: c_int,
        exists: *mut bool,
    ) -> *const c_char;
    fn display_ini_entries(module: *mut ModuleEntry);
    fn zend_unregister_ini_entries(module_number: c_int);
    fn php_log_err_with_severity(message: *const c_char, severity: c_int);
    fn get_active_function_name() -> *const c_char;
    fn get_active_class_name(space: *mut *const c_char) -> *const c_char;
}

/// The JSON globals of the calling thread.
fn json_globals_of_thread() -> *mut JsonGlobals {
    #[cfg(not(feature = "zts"))]
    {
        &raw mut json_globals
    }
    // SAFETY: PHP set the id before this module started, and each thread that runs PHP has these globals.
    #[cfg(feature = "zts")]
    unsafe {
        ext_php_rs_tsrmg_bulk(json_globals_id).cast()
    }
}

/// Reads an environment variable. In a PHP with threads this holds the lock under which `putenv()` changes it.
pub(crate) fn environment_variable(name: &str) -> Option<OsString> {
    #[cfg(feature = "zts")]
    let _unlocked_when_dropped = {
        struct Unlock;
        impl Drop for Unlock {
            fn drop(&mut self) {
                // SAFETY: this thread holds the lock.
                unsafe { tsrm_env_unlock() };
            }
        }
        // SAFETY: PHP created the lock at its start.
        unsafe { tsrm_env_lock() };
        Unlock
    };
    env::var_os(name)
}

/// Error of PHP's JSON encoder (`ext/json/php_json.h`, `php_json_error_code`), or an exception from the payload's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonErrorCode(pub(crate) c_int);

/// Encodes a value and passes the text, which is request memory, to `take`. The script's `json_last_error()` is unchanged.
///
/// The value's own code may run (`JsonSerializable`), and a fatal error in it jumps over the caller's frame: the caller must
/// own nothing that needs dropping and hold no borrow. The value must be an argument of the call, or held: that code may free
/// any other value.
pub(crate) fn json_encode<T>(
    value: &Zval,
    options: c_int,
    depth: u16,
    take: impl FnOnce(&[u8]) -> T,
) -> Result<T, JsonErrorCode> {
    let mut buffer = SmartStr { s: ptr::null_mut(), a: 0 };
    let globals = json_globals_of_thread();
    // SAFETY: PHP's thread, inside a function call. The encoder does not change the value (it is `zval *` because it
    // marks arrays against recursion and unmarks them). The globals are plain ints that only this thread touches.
    let (failed, code) = unsafe {
        let (saved_code, saved_depth) = ((*globals).error_code, (*globals).encode_max_depth);
        let value = ptr::from_ref(value).cast_mut();
        let returned = php_json_encode_ex(&raw mut buffer, value, options, i64::from(depth));
        let code = (*globals).error_code;
        // For INF and NAN it writes 0, sets the code and returns success.
        let failed = returned != 0 || code != 0;
        (*globals).error_code = saved_code;
        (*globals).encode_max_depth = saved_depth;
        (failed, code)
    };
    let taken = if failed || buffer.s.is_null() {
        Err(JsonErrorCode(code))
    } else {
        // SAFETY: the encoder has succeeded, so `s` is a string of request memory whose first `len` bytes are written.
        let bytes =
            unsafe { std::slice::from_raw_parts((&raw const (*buffer.s).val).cast::<u8>(), (*buffer.s).len) };
        Ok(take(bytes))
    };
    if !buffer.s.is_null() {
        // SAFETY: the encoder passed us its only reference.
        unsafe { ext_php_rs_zend_string_release(buffer.s) };
    }
    taken
}

/// Converts a value to a string as PHP does, with a reference of our own. `None` if the conversion threw. Runs `__toString`.
pub(crate) fn to_string(value: &Zval) -> Option<ZBox<ZendStr>> {
    // SAFETY: the function reads the value and returns a string with a reference of ours, or null.
    unsafe {
        let string = zval_try_get_string_func(ptr::from_ref(value).cast_mut());
        (!string.is_null()).then(|| ZBox::from_raw(string))
    }
}

/// The current value of an iterator, valid until PHP code runs again. `None` at the end or after an exception.
pub(crate) fn current(iterator: &mut ZendIterator) -> Option<&Zval> {
    // SAFETY: the function table outlives its iterator, and this function is mandatory. It returns null or a value that the
    // iterator owns and only PHP code changes.
    let value = unsafe { (*iterator.funcs).get_current_data.and_then(|read| read(iterator).as_ref()) };
    value.filter(|_| !ExecutorGlobals::has_exception())
}

/// Releases an iterator and its reference to the object that it traverses.
///
/// # Safety
///
/// The iterator came from the `get_iterator` of a class, and is not used afterwards.
pub(crate) unsafe fn release_iterator(iterator: &mut ZendIterator) {
    // SAFETY: guaranteed by the caller. The reference, which came with the iterator, is the only one.
    unsafe { zend_iterator_dtor(iterator) };
}

/// The value of a php.ini setting; empty if it does not exist.
pub(crate) fn ini_string(name: &CStr) -> String {
    // SAFETY: the name is a C string of the given length. The returned string lives until the setting is changed, which only
    // this thread does.
    unsafe {
        let value = zend_ini_string_ex(name.as_ptr(), name.count_bytes(), 0, ptr::null_mut());
        if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
    }
}

/// Prints the part of `phpinfo()` that lists the settings.
pub(crate) fn display_settings(module: *mut ModuleEntry) {
    // SAFETY: called by the info hook with the module that PHP gave it.
    unsafe { display_ini_entries(module) };
}

/// Unregisters the settings of a module that shuts down.
pub(crate) fn unregister_settings(module_number: c_int) {
    // SAFETY: called by the shutdown hook with the number that PHP gave it.
    unsafe { zend_unregister_ini_entries(module_number) };
}

/// Whether this setting has a value.
///
/// # Safety
///
/// `entry` is a valid entry, as PHP passes it to a displayer.
pub(crate) unsafe fn is_set(entry: *const zend_ini_entry) -> bool {
    // SAFETY: guaranteed by the caller. `value` is null or a string.
    unsafe {
        let value = (*entry).value;
        !value.is_null() && (*value).len > 0
    }
}

/// Writes a line to PHP's error log, unless `log_errors` is off.
pub(crate) fn log(line: &str) {
    if matches!(ini_string(c"log_errors").as_str(), "" | "0") {
        return;
    }
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: PHP's thread. Between requests it has no working directory, which a relative log path needs. If it has one, the
    // call has no effect.
    #[cfg(feature = "zts")]
    unsafe {
        virtual_cwd_activate();
    }
    // SAFETY: PHP's thread; the function copies the line.
    unsafe { php_log_err_with_severity(line.as_ptr(), LOG_WARNING) };
}

/// The running PHP function, as error messages name it: `orosync_publish()` or `Orosync\Publisher::publish()`.
pub(crate) fn active_function() -> String {
    // SAFETY: the functions return null or strings that live as long as the running function; `space` is "" or "::".
    unsafe {
        let mut space = c"".as_ptr();
        let class = get_active_class_name(&raw mut space);
        let function = get_active_function_name();
        let text = |pointer: *const c_char| {
            if pointer.is_null() {
                String::new()
            } else {
                CStr::from_ptr(pointer).to_string_lossy().into_owned()
            }
        };
        format!("{}{}{}()", text(class), text(space), text(function))
    }
}

/// `\RuntimeException`.
pub(crate) fn runtime_exception() -> &'static ClassEntry {
    // SAFETY: SPL registers it before any module of ours starts, and it lives as long as PHP.
    unsafe { spl_ce_RuntimeException.as_ref() }.expect("SPL is always there")
}
