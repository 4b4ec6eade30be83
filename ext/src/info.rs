//! What `phpinfo()` and `php --ri orosync` show of this module. No secret: whether one is set, and where. (`phpinfo()` shows the
//! environment too, with whatever is in it.)

use std::panic::catch_unwind;

use ext_php_rs::ffi::zend_ini_entry;
use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_row, info_table_start};

use crate::settings::Settings;
use crate::{OROSYNC_VERSION, lifecycle, zend};

pub(crate) extern "C" fn show(module: *mut ModuleEntry) {
    // A panic must not reach PHP; what was printed until then stays.
    let _ = catch_unwind(|| {
        info_table_start!();
        info_table_row!("Orosync", "enabled");
        info_table_row!("Version", OROSYNC_VERSION);
        match Settings::from_ini() {
            Ok(settings) => info_table_row!("Secret", settings.secret_source()),
            Err(problem) => info_table_row!("Settings cannot work", problem.as_str()),
        }
        for (endpoint, state) in lifecycle::endpoints() {
            info_table_row!("Publisher of this process", format!("{endpoint}: {}", state.as_str()));
        }
        info_table_end!();
        zend::display_settings(module);
    });
}

/// Shows `orosync.secret` in the list of settings.
pub(crate) unsafe extern "C" fn show_secret(entry: *mut zend_ini_entry, _which: i32) {
    // SAFETY: PHP calls a displayer with the entry that it was registered for.
    let text = if unsafe { zend::is_set(entry) } { "(set, not shown)" } else { "no value" };
    // How much was taken: the rest is lost with the page.
    let _ = ext_php_rs::zend::output_write(text.as_bytes());
}
