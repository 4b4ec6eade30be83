//! Whether the server can use `auth.state_directory`.
//!
//! Asked where a server is to start, and by no other command: those may run as users who have no business there.

use std::path::Path;

use rustix::fs::{Access, access};

use super::keys;
use super::load::{ConfigError, Written};

/// Refuses a directory in which this process could not keep a file.
pub(super) fn check(written: &Written) -> Result<(), ConfigError> {
    let Some(directory) = written.read(&keys::AUTH_STATE_DIRECTORY)? else { return Ok(()) };
    problem_of(&directory)
        .map_or(Ok(()), |problem| Err(written.error(&keys::AUTH_STATE_DIRECTORY.declaration, &problem)))
}

fn problem_of(directory: &Path) -> Option<String> {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Err(error) => Some(format!(
            "cannot be used: {error}. Make it for the server's user: install -d -m 700 -o orosync {shown}"
        )),
        Ok(metadata) if !metadata.is_dir() => Some("is not a directory. Name one".to_owned()),
        Ok(_) => access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err().map(|error| {
            format!("cannot be written to: {error}. Give it to the server's user: chown orosync {shown}")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::load;
    use super::*;

    fn problem(directory: &Path) -> Result<(), String> {
        let variable = ("OROSYNC_AUTH__STATE_DIRECTORY".to_owned(), directory.display().to_string());
        check(&load(&[], [variable], []).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_that_can_be_written_to_is_taken_and_none_need_be_named() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(problem(directory.path()), Ok(()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it is left as it was");
        assert_eq!(check(&Written::defaults()), Ok(()));
    }

    #[test]
    fn a_directory_that_cannot_be_used_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let shown = missing.display();
        assert_eq!(
            problem(&missing).unwrap_err(),
            format!(
                "OROSYNC_AUTH__STATE_DIRECTORY = \"{shown}\": cannot be used: No such file or directory (os error 2). \
                 Make it for the server's user: install -d -m 700 -o orosync {shown}"
            )
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = problem(file.path()).unwrap_err();
        assert!(error.ends_with(": is not a directory. Name one"), "{error}");
        // Nobody can make a file there, root included.
        let error = problem(Path::new("/proc/sys")).unwrap_err();
        assert!(error.contains("\"/proc/sys\": cannot be written to: "), "{error}");
        assert!(error.ends_with("Give it to the server's user: chown orosync /proc/sys"), "{error}");
    }
}
