//! The output of `phpinfo()` and `php --ri orosync` for this module. It shows whether and where a secret is set.
//! (`phpinfo()` also shows the environment with all its values.)

use std::panic::catch_unwind;

use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_row, info_table_start};

use crate::settings::Settings;
use crate::{publishers, zend};

/// The extension's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) extern "C" fn show(module: *mut ModuleEntry) {
    // A panic must not reach PHP; the output so far remains.
    let _ = catch_unwind(|| {
        info_table_start!();
        info_table_row!("Orosync", "enabled");
        info_table_row!("Version", VERSION);
        match Settings::from_ini() {
            Ok(settings) => info_table_row!("Secret", settings.secret_source()),
            Err(problem) => info_table_row!("Invalid settings", problem.as_str()),
        }
        for (endpoint, state) in publishers::endpoints() {
            info_table_row!("Publisher of this process", format!("{endpoint}: {}", state.as_str()));
        }
        info_table_end!();
        zend::display_settings(module);
    });
}
