//! The journal: the file in `auth.state_directory` that preserves revocations when the process ends or is killed.
//!
//! ```text
//! orosync-revocations 1 0f3c…9a 4294967296 0        store id, last number, last forgotten number
//! 4294967297 1764500000 {"role":"user","uid":7}     number, Unix time in seconds, target
//! ```
//!
//! Owns the file, and locks the directory while the process lives, because two servers that share it would miss each other's
//! disconnects. A [`Recorder`] appends on its own thread and batches what arrives meanwhile into one fsync, so no shard waits
//! for the disk. After that it drops what a revocation holds: the receipt that its publisher waits for. Bound: the publishers'
//! credit limits the number of waiting revocations. The file is rewritten without forgotten revocations when these are the
//! majority.
//!
//! If the file cannot be written, it is removed, which needs no disk space; all older resume tickets are then invalid for
//! every process. If it cannot be removed either, this is retried each second, and publishers wait.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use orosync_protocol::Payload;
use orosync_protocol::disconnect::Disconnect;
use rustix::fs::{FlockOperation, flock};
use tracing::{error, info, warn};

use super::known::{Known, Revocation, lock};

const FILE: &str = "revocations";
const NEW_FILE: &str = "revocations.new";

/// The beginning of the file: its type and version.
const HEAD: &str = "orosync-revocations 1";

/// The file is rewritten when it has this many lines more than twice the number of kept revocations.
const SPARE_LINES: usize = 1000;

const RETRY: Duration = Duration::from_secs(1);

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    /// The lock file, locked while the journal is open.
    locked: File,
    /// The file. `None`: the file on disk is incomplete.
    file: Option<File>,
    lines: usize,
}

impl Journal {
    /// Opens the journal of this directory and adds its revocations that are still relevant at `unix_now` to `known`.
    pub(super) fn open(directory: &Path, known: &mut Known, unix_now: u64) -> Result<Self, JournalError> {
        let unusable = |error| JournalError::Unusable { directory: directory.to_owned(), error };
        let locked = File::open(directory).map_err(unusable)?;
        match flock(&locked, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(JournalError::InUse { directory: directory.to_owned() });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let mut journal = Self { directory: directory.to_owned(), locked, file: None, lines: 0 };
        match fs::read(journal.path()) {
            Ok(bytes) if read(&bytes, known).is_none() => {
                warn!(
                    file = %journal.path().display(),
                    "the file of revocations is damaged: all earlier resume tickets are rejected"
                );
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
        known.begin_process();
        known.forget_old(unix_now);
        journal.rewrite(known).map_err(unusable)?;
        Ok(journal)
    }

    /// Removes the journal of this directory. For a server without resume tickets, which would not keep it up to date.
    pub(super) fn remove(directory: &Path) -> Result<(), JournalError> {
        remove_file(directory)
            .map_err(|error| JournalError::Unusable { directory: directory.to_owned(), error })
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// Appends revocations. Returns when they are on disk, or when the file that would lack them has been removed.
    fn append(&mut self, revocations: &[Revocation], known: &Mutex<Known>) {
        if revocations.is_empty() {
            return;
        }
        let mut lines = String::new();
        for revocation in revocations {
            write_line(&mut lines, revocation);
        }
        if let Some(file) = &mut self.file {
            match file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()) {
                Ok(()) => {
                    self.lines += revocations.len();
                    self.compact(known);
                    return;
                }
                // The file may now end with a partial line.
                Err(error) => {
                    self.file = None;
                    error!(file = %self.path().display(), %error, "cannot write a revocation");
                }
            }
        }
        self.rewrite_or_remove(known);
    }

    fn compact(&mut self, known: &Mutex<Known>) {
        let snapshot = lock(known);
        if self.lines <= 2 * snapshot.kept.len() + SPARE_LINES {
            return;
        }
        let content = content(&snapshot);
        let kept = snapshot.kept.len();
        drop(snapshot);
        if let Err(error) = self.replace(&content, kept) {
            // The next revocation retries it.
            warn!(file = %self.path().display(), %error, "cannot rewrite the file of revocations");
        }
    }

    fn rewrite_or_remove(&mut self, known: &Mutex<Known>) {
        loop {
            let (content, kept) = {
                let snapshot = lock(known);
                (content(&snapshot), snapshot.kept.len())
            };
            let Err(error) = self.replace(&content, kept) else {
                info!(file = %self.path().display(), "the file of revocations is complete again");
                return;
            };
            match remove_file(&self.directory) {
                Ok(()) => {
                    lock(known).node = rand::random();
                    error!(
                        file = %self.path().display(), %error,
                        "cannot write revocations: earlier resume tickets are invalid now, and current ones become invalid when this process ends"
                    );
                    return;
                }
                Err(_) => thread::sleep(RETRY),
            }
        }
    }

    fn rewrite(&mut self, known: &Known) -> io::Result<()> {
        self.replace(&content(known), known.kept.len())
    }

    /// Atomically replaces the file by one with this content, which has `lines` lines.
    fn replace(&mut self, content: &str, lines: usize) -> io::Result<()> {
        self.file = None;
        let new = self.directory.join(NEW_FILE);
        // The file contains user names, so only the server's user may read it.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.path())?;
        self.locked.sync_all()?;
        self.file = Some(file);
        self.lines = lines;
        Ok(())
    }
}

fn remove_file(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(FILE)) {
        Ok(()) => File::open(directory)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn content(known: &Known) -> String {
    let mut content = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(content, "{HEAD} {:032x} {} {}", known.node, known.last, known.forgotten);
    for revocation in &known.kept {
        write_line(&mut content, revocation);
    }
    content
}

fn write_line(lines: &mut String, revocation: &Revocation) {
    // A target that was received in a message fits into a message.
    if let Ok(message) = revocation.target.message() {
        let target = String::from_utf8_lossy(message.payload.as_bytes());
        // Writing into a String cannot fail.
        let _ = writeln!(lines, "{} {} {target}", revocation.number, revocation.unix);
    }
}

/// Adds the revocations of a file. `None`: the file is invalid, and all of it is ignored. An unterminated last line is ignored,
/// because it was never acknowledged.
fn read(bytes: &[u8], known: &mut Known) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, _unfinished) = text.rsplit_once('\n')?;
    let mut lines = text.split('\n');
    let mut head = lines.next()?.strip_prefix(HEAD)?.strip_prefix(' ')?.split(' ');
    let node = u128::from_str_radix(head.next()?, 16).ok()?;
    let (mut last, forgotten) = (head.next()?.parse().ok()?, head.next()?.parse().ok()?);
    let revocations = lines.map(read_line).collect::<Option<Vec<_>>>()?;
    let mut previous = forgotten;
    for revocation in revocations {
        // A revocation that was both rewritten and appended occurs twice.
        if revocation.number > previous {
            previous = revocation.number;
            known.keep(revocation);
        }
    }
    last = previous.max(last);
    (known.node, known.last, known.forgotten) = (node, last, forgotten);
    Some(())
}

fn read_line(line: &str) -> Option<Revocation> {
    let mut parts = line.splitn(3, ' ');
    let (number, unix) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let target = Payload::check(&Bytes::copy_from_slice(parts.next()?.as_bytes())).ok()?;
    Some(Revocation { number, unix, target: Disconnect::parse(&target).ok()? })
}

/// Appends to a journal on its own thread, which ends when the recorder is dropped.
#[derive(Debug)]
pub(super) struct Recorder(mpsc::Sender<Entry>);

/// A revocation to record, and what to drop afterwards.
struct Entry {
    revocation: Option<Revocation>,
    held: Box<dyn Send>,
}

impl Recorder {
    pub(super) fn start(mut journal: Journal, known: Arc<Mutex<Known>>) -> Result<Self, JournalError> {
        let (sender, entries) = mpsc::channel::<Entry>();
        let run = move || {
            while let Ok(first) = entries.recv() {
                let (revocations, held): (Vec<_>, Vec<_>) = std::iter::once(first)
                    .chain(entries.try_iter())
                    .map(|entry| (entry.revocation, entry.held))
                    .unzip();
                let revocations: Vec<_> = revocations.into_iter().flatten().collect();
                journal.append(&revocations, &known);
                drop(held);
            }
        };
        thread::Builder::new().name("revocations".to_owned()).spawn(run).map_err(JournalError::NoThread)?;
        Ok(Self(sender))
    }

    pub(super) fn record(&self, revocation: Revocation, held: Box<dyn Send>) {
        self.send(Entry { revocation: Some(revocation), held });
    }

    pub(super) fn hold(&self, held: Box<dyn Send>) {
        self.send(Entry { revocation: None, held });
    }

    fn send(&self, entry: Entry) {
        // An error means that the thread has panicked, which is a bug: otherwise it lives as long as this sender.
        let _ = self.0.send(entry);
    }
}

/// Why the journal in `auth.state_directory` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory, or the file in it, cannot be used.
    #[error(
        "auth.state_directory: {} cannot be used: {error}. Create it and make it writable for the server's user", directory.display()
    )]
    Unusable {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Another process has locked the directory.
    #[error(
        "auth.state_directory: {} is in use by another running server. Each server needs its own directory", directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The recorder's thread could not be started.
    #[error("cannot start the thread that writes revocations: {0}")]
    NoThread(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use orosync_protocol::SessionId;
    use orosync_protocol::ticket::{Identity, KeyId, Resumption, Role, SessionPlace};

    use super::super::revocations::{NotResumable, Revocations};
    use super::*;

    const NOW: u64 = 1_000_000;

    fn user(uid: u64) -> Identity {
        Identity { role: Role::User, uid: Some(uid.into()), ..Identity::anonymous() }
    }

    fn id(uid: u64) -> Disconnect {
        Disconnect::Id { role: Role::User, uid: uid.into() }
    }

    fn try_open(directory: &Path, max: usize) -> Result<Revocations, JournalError> {
        Revocations::open(directory, 300, max, NOW)
    }

    /// Opens the revocations. A previous instance in this process may hold the lock for a moment after it was dropped.
    fn open(directory: &Path, max: usize) -> Revocations {
        loop {
            match try_open(directory, max) {
                Err(JournalError::InUse { .. }) => thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    /// Records disconnects and waits until they are on disk.
    fn record(revocations: &Revocations, target: impl IntoIterator<Item = Disconnect>) {
        for disconnect in target {
            revocations.record(&disconnect, (), NOW);
        }
        let (held, recorded) = channel::<()>();
        revocations.hold_until_recorded(held);
        assert!(recorded.recv().is_err());
    }

    /// The data of a resume ticket that is issued now.
    fn issue(revocations: &Revocations) -> Resumption {
        let session = SessionId(7);
        let (node, revocations) =
            revocations.last_for_new_ticket([session].into_iter(), &Identity::anonymous(), 0).unwrap();
        let place = SessionPlace::default();
        Resumption {
            session,
            former: Vec::new(),
            since: 0,
            until: None,
            key: KeyId(0),
            node,
            revocations,
            place,
        }
    }

    fn file(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    #[test]
    fn revocations_and_unaffected_tickets_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut revocations = open(directory.path(), 10);
        let ticket = issue(&revocations);
        let named = Disconnect::Name { role: Role::Customer, user: "anna \n\"b\" ü".to_owned() };
        record(&revocations, [id(1), named.clone(), Disconnect::Session(SessionId(8))]);
        for _ in 0..3 {
            drop(revocations);
            revocations = open(directory.path(), 10);
            assert_eq!(revocations.check(&ticket, &user(1)), Err(NotResumable::Revoked));
            let customer = Identity { role: Role::Customer, user: Some("anna \n\"b\" ü".into()), ..user(2) };
            assert_eq!(revocations.check(&ticket, &customer), Err(NotResumable::Revoked));
            let other = Resumption { session: SessionId(8), ..ticket.clone() };
            assert_eq!(revocations.check(&other, &user(2)), Err(NotResumable::Revoked));
            assert!(revocations.check(&ticket, &user(2)).is_ok());
            record(&revocations, [id(3)]);
        }
    }

    #[test]
    fn the_held_value_is_dropped_once_the_revocation_is_on_disk() {
        struct Reads(PathBuf, Sender<String>);
        impl Drop for Reads {
            fn drop(&mut self) {
                self.1.send(fs::read_to_string(&self.0).unwrap()).unwrap();
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let revocations = open(directory.path(), 10);
        let (sender, content) = channel();
        revocations.record(&id(1), Reads(file(directory.path()), sender), NOW);
        assert!(content.recv().unwrap().ends_with("1000000 {\"role\":\"user\",\"uid\":1}\n"));
        assert!(content.recv().is_err(), "once");
    }

    #[test]
    fn a_ticket_newer_than_a_lost_revocation_is_refused_after_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let revocations = open(directory.path(), 10);
        let before = fs::read(file(directory.path())).unwrap();
        record(&revocations, [id(1), id(2)]);
        let ticket = issue(&revocations);
        drop(revocations);
        // The machine lost power before these were on disk. Their publisher resends both.
        fs::write(file(directory.path()), before).unwrap();
        let revocations = open(directory.path(), 10);
        record(&revocations, [id(1), id(2)]);
        assert_eq!(revocations.check(&ticket, &user(1)), Err(NotResumable::Revoked));
    }

    #[test]
    fn a_partial_last_line_is_ignored_and_any_other_damage_invalidates_all_tickets() {
        let directory = tempfile::tempdir().unwrap();
        let revocations = open(directory.path(), 10);
        record(&revocations, [id(1)]);
        let ticket = issue(&revocations);
        drop(revocations);
        let whole = fs::read_to_string(file(directory.path())).unwrap();
        fs::write(file(directory.path()), format!("{whole}4294967298 1000000 {{\"role\":\"us")).unwrap();
        assert!(open(directory.path(), 10).check(&ticket, &user(2)).is_ok());
        for damaged in [
            String::new(),
            "\n".to_owned(),
            whole.replacen(HEAD, "orosync-revocations 2", 1),
            whole.replacen('{', "[", 1),
            format!("{whole}\0\0\0\0\n"),
        ] {
            fs::write(file(directory.path()), &damaged).unwrap();
            let refused = open(directory.path(), 10).check(&ticket, &user(2));
            assert_eq!(refused, Err(NotResumable::OtherServer), "{damaged:?}");
        }
    }

    #[test]
    fn expired_revocations_are_not_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let revocations = open(directory.path(), 10);
        let ticket = issue(&revocations);
        record(&revocations, [id(1)]);
        drop(revocations);
        drop(open(directory.path(), 10));
        assert_eq!(fs::read_to_string(file(directory.path())).unwrap().lines().count(), 2);
        loop {
            match Revocations::open(directory.path(), 300, 10, NOW + 360) {
                Err(JournalError::InUse { .. }) => thread::yield_now(),
                opened => {
                    assert_eq!(opened.unwrap().check(&ticket, &user(2)), Err(NotResumable::Revoked));
                    break;
                }
            }
        }
        assert_eq!(fs::read_to_string(file(directory.path())).unwrap().lines().count(), 1);
    }

    #[test]
    fn the_size_of_the_file_is_bounded_by_the_kept_revocations() {
        let directory = tempfile::tempdir().unwrap();
        let revocations = open(directory.path(), 10);
        let ticket = issue(&revocations);
        for _ in 0..5 {
            record(&revocations, (0..SPARE_LINES as u64).map(id));
            let lines = fs::read_to_string(file(directory.path())).unwrap().lines().count();
            assert!(lines <= 2 * SPARE_LINES + 21, "{lines} lines");
        }
        drop(revocations);
        let revocations = open(directory.path(), 10);
        assert_eq!(revocations.check(&ticket, &user(2000)), Err(NotResumable::Revoked), "the bound");
        let later = issue(&revocations);
        record(&revocations, [id(2000)]);
        assert_eq!(revocations.check(&later, &user(2000)), Err(NotResumable::Revoked));
        assert!(revocations.check(&later, &user(2001)).is_ok());
    }

    #[test]
    fn if_nothing_can_be_written_earlier_tickets_are_invalid_and_nobody_waits() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        fs::create_dir(&directory).unwrap();
        let mut known = Known::new(300, 10);
        let mut journal = Journal::open(&directory, &mut known, NOW).unwrap();
        let node = known.node;
        let known = Mutex::new(known);
        fs::remove_dir_all(&directory).unwrap();
        journal.file = None;
        let revocation = lock(&known).record(&id(1), NOW).unwrap();
        journal.append(&[revocation], &known);
        assert_ne!(lock(&known).node, node);
        // The directory is back: the next revocation also writes those recorded meanwhile.
        fs::create_dir(&directory).unwrap();
        let revocation = lock(&known).record(&id(2), NOW).unwrap();
        journal.append(&[revocation], &known);
        assert_eq!(fs::read_to_string(file(&directory)).unwrap().lines().count(), 3);
    }

    #[test]
    fn the_directory_must_exist_and_belongs_to_one_server() {
        let directory = tempfile::tempdir().unwrap();
        let _first = open(directory.path(), 10);
        let error = try_open(directory.path(), 10).unwrap_err().to_string();
        assert!(error.contains("is in use by another running server"), "{error}");
        let error = try_open(&directory.path().join("missing"), 10).unwrap_err().to_string();
        assert!(error.contains("Create it and make it writable for the server's user"), "{error}");
    }
}
