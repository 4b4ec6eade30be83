//! Signals to the processes that tests start.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Stops all threads of a process with SIGSTOP and returns when they have stopped. SIGCONT continues them.
pub(crate) fn freeze(pid: Pid) {
    // An error means that it has already ended.
    let _ = kill_process(pid, Signal::STOP);
    // Threads stop some time after the signal is sent.
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    wait::until_true("all threads are stopped", || {
        fs::read_dir(&tasks).expect("it runs").all(|task| {
            let stat = fs::read_to_string(task.expect("it can be listed").path().join("stat"));
            stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
        })
    });
}
