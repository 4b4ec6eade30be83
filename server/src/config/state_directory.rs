//! The check that `auth.state_directory` is a writable directory.
//!
//! Only the start of a server runs it. Other commands may run as users without access to the directory.

use std::path::Path;

use rustix::fs::{Access, access};

use super::keys;
use super::load::{ConfigError, Written};

/// Fails if this process cannot create a file in the directory.
pub(super) fn check(written: &Written) -> Result<(), ConfigError> {
    let Some(directory) = written.read(&keys::AUTH_STATE_DIRECTORY)? else { return Ok(()) };
    problem_of(&directory)
        .map_or(Ok(()), |problem| Err(written.error(&keys::AUTH_STATE_DIRECTORY.declaration, &problem)))
}

fn problem_of(directory: &Path) -> Option<String> {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Err(error) => Some(format!(
            "cannot be used: {error}. Create it for the server's user: install -d -m 700 -o orosync {shown}"
        )),
        Ok(metadata) if !metadata.is_dir() => {
            Some("is not a directory. Write the path of a directory".to_owned())
        }
        Ok(_) => access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).err().map(|error| {
            format!("is not writable: {error}. Make the server's user its owner: chown orosync {shown}")
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
    fn a_writable_directory_is_accepted_and_none_is_required() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(problem(directory.path()), Ok(()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it is left as it was");
        assert_eq!(check(&Written::defaults()), Ok(()));
    }

    #[test]
    fn the_error_for_an_unusable_directory_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let shown = missing.display();
        assert_eq!(
            problem(&missing).unwrap_err(),
            format!(
                "OROSYNC_AUTH__STATE_DIRECTORY = \"{shown}\": cannot be used: No such file or directory (os error 2). \
                 Create it for the server's user: install -d -m 700 -o orosync {shown}"
            )
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = problem(file.path()).unwrap_err();
        assert!(error.ends_with(": is not a directory. Write the path of a directory"), "{error}");
        // Nobody can make a file there, root included.
        let error = problem(Path::new("/proc/sys")).unwrap_err();
        assert!(error.contains("\"/proc/sys\": is not writable: "), "{error}");
        assert!(error.ends_with("Make the server's user its owner: chown orosync /proc/sys"), "{error}");
    }
}
