//! Fuzzes the configuration: a file, then a line of three dashes, then environment variables, one per line. Accepted values are
//! within their bounds and can be read back from the output of `check-config`; no output contains the secret.

#![no_main]

use std::ffi::c_int;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs};

use libfuzzer_sys::fuzz_target;
use orosync_server::config::{Settings, Written, keys, load};
use tempfile::TempDir;

/// No input has it.
const SECRET: &str = "0123456789abcdef-NEVER-SHOW-THIS";

/// In memory, where there is such a file system.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { env::temp_dir() };
    tempfile::tempdir_in(directory).expect("a temporary directory")
});

fuzz_target!(|input: &str| {
    let (file, variables) = input.split_once("\n---\n").unwrap_or((input, ""));
    let secret = (keys::AUTH_SECRET.declaration.variable(), SECRET.to_owned());
    let variables = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .filter(|(name, _)| *name != secret.0)
        .chain([secret.clone()]);
    let problems = match load(&[write("orosync.toml", file)], variables, []) {
        Ok(written) => {
            reads_back(&written);
            check_settings(&written)
        }
        Err(error) => error.problems,
    };
    for problem in problems {
        assert!(!problem.is_empty() && !problem.contains(SECRET), "{problem}");
    }
});

fn write(name: &str, text: &str) -> PathBuf {
    let path = DIRECTORY.path().join(name);
    fs::write(&path, text).expect("a file is written");
    path
}

/// What is shown is a configuration with the same values.
fn reads_back(written: &Written) {
    let shown: Vec<_> =
        keys::ALL.iter().filter(|key| !key.is_secret()).map(|key| (key, written.shown(key))).collect();
    let lines: Vec<String> = shown.iter().map(|(key, value)| format!("{} = {value}", key.name)).collect();
    let again = match load(&[write("shown.toml", &lines.join("\n"))], [], []) {
        Ok(again) => again,
        Err(error) => panic!("{:?} of {lines:#?}", error.problems),
    };
    for (key, value) in shown {
        assert!(!value.contains(SECRET));
        assert_eq!(again.shown(key), value, "{}", key.name);
        assert!(!written.source_name(key).is_empty());
    }
}

/// What is wrong with what the values stand for. Not for a configuration that names files: a fuzzer's may be devices.
fn check_settings(written: &Written) -> Vec<String> {
    let files = [
        &keys::AUTH_SECRET_FILE,
        &keys::AUTH_PUBLIC_KEY_FILE,
        &keys::BROKER_PASSWORD_FILE,
        &keys::BROKER_CA_FILE,
    ];
    if files.iter().any(|key| written.read(key).ok().flatten().is_some()) {
        return vec![];
    }
    let settings = match Settings::new(written) {
        Ok(settings) => settings,
        Err(error) => return error.problems,
    };
    let limits = &settings.limits;
    assert!(settings.shards.get() <= 64);
    assert!((1 << 10..=1 << 20).contains(&limits.message_bytes));
    assert!((1 << 10..=1 << 20).contains(&limits.handshake_bytes));
    assert!((64 << 10..=1 << 30).contains(&limits.outbound_bytes));
    assert!(limits.subscriptions > 0 && limits.publisher_messages > 0 && limits.remembered_tickets > 0);
    for time in [limits.handshake_timeout, limits.ping_interval, limits.ping_timeout] {
        assert!(!time.is_zero() && time.as_secs() < 400 * 86_400);
    }
    let (history, auth) = (&settings.history, &settings.auth);
    assert!(!history.limits.age.is_zero() && (history.bytes == 0 || history.bytes >= 1 << 20));
    assert!(auth.resume.is_zero() || auth.resume.as_secs() > 0);
    assert!(auth.resume_total.as_secs() > 0);
    vec![]
}

/// Stands before libc's: a fuzzer's host names are not to be sent to anybody's name server.
#[unsafe(no_mangle)]
pub extern "C" fn getaddrinfo(_node: usize, _service: usize, _hints: usize, _found: usize) -> c_int {
    const EAI_NONAME: c_int = -2;
    EAI_NONAME
}
