//! Reads the files that settings name.

use std::path::Path;

/// The content of a file. The error follows the path and says what to do.
pub(super) fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| {
        format!("cannot be read: {error}. Check the path, and that the server's user has read permission")
    })
}
