//! One link of a process, shared by the publishers of its threads.
//!
//! In a PHP with threads, each thread has its own [`Publisher`] with its own entrance; queue, link thread and connection belong
//! to the process. A thread that ends drops only its entrance. The link ends with [`SharedLink::shutdown_since`], or with the
//! last reference to it: then all threads' messages are refused, and the accepted ones are flushed within the timeout.
//!
//! Owns the first link, from which the others are derived. A publisher locks once, when it joins, and never afterwards.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Link, Publisher};
use crate::error::QueueFull;
use crate::options::Options;
use crate::process::{self, OfProcess};
use crate::shutdown::Leftover;

/// State shared by the publishers of one process.
#[derive(Debug)]
pub struct SharedLink {
    options: Arc<Options>,
    stage: OfProcess<Mutex<Stage>>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Open(Box<Link>),
    Closed,
}

impl SharedLink {
    /// Creates a shared link without starting a thread or a connection.
    pub fn new(options: Options) -> Arc<Self> {
        Arc::new(Self { options: Arc::new(options), stage: OfProcess::new() })
    }

    /// Creates a publisher for another thread.
    pub fn publisher(self: &Arc<Self>) -> Publisher {
        Publisher {
            options: Arc::clone(&self.options),
            generation: process::generation(),
            link: None,
            closed: false,
            shared_link: Arc::clone(self),
        }
    }

    /// Ends the link for all threads, as [`Publisher::shutdown_since`] does.
    pub fn shutdown_since(&self, begun: Instant) -> Option<Leftover> {
        // The lock is released before the wait: publishing in other threads is refused at once meanwhile.
        let before = mem::replace(&mut *self.stage(), Stage::Closed);
        let Stage::Open(link) = before else { return None };
        link.entrance.close();
        link.shutdown(&self.options, begun)
    }

    /// Flushes for all threads, as [`Publisher::flush_since`] does.
    pub fn flush_since(self: &Arc<Self>, begun: Instant) -> Option<Leftover> {
        self.publisher().flush_since(begun)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `link` an entrance, and starts the thread if it can be started.
    fn join(&self, link: &mut Option<Link>) -> Result<(), QueueFull> {
        let mut stage = self.stage();
        if let Stage::Idle = *stage {
            *stage = Stage::Open(Box::new(Link::new(&self.options).ok_or(QueueFull)?));
        }
        let Stage::Open(first) = &mut *stage else { return Err(QueueFull) };
        first.start_thread();
        let has_thread = first.worker.is_none();
        link.get_or_insert_with(|| first.another()).has_thread = has_thread;
        Ok(())
    }
}

impl Drop for SharedLink {
    fn drop(&mut self) {
        if let Stage::Open(link) = mem::take(&mut *self.stage()) {
            link.stop();
        }
    }
}

impl Publisher {
    /// Creates a publisher without thread or connection, the first one of its own [`SharedLink`].
    pub fn new(options: Options) -> Self {
        SharedLink::new(options).publisher()
    }

    /// Whether no other thread of this process has reported this number of outages. True only for the first caller.
    pub fn is_first_to_report_outages(&self, outages: u64) -> bool {
        self.look(|link| link.shared.record.is_first_to_report_outages(outages)).unwrap_or(false)
    }

    /// Whether no other thread has reported [`Publisher::cluster_mismatch`]. True only for the first caller.
    pub fn is_first_to_report_cluster_mismatch(&self) -> bool {
        self.look(|link| link.shared.record.is_first_to_report_cluster_mismatch()).unwrap_or(false)
    }

    /// [`Publisher::shutdown`] for one of several publishers that end together: the timeout counts from `begun`, so that their
    /// waits do not add up. Ends the link for all threads.
    pub fn shutdown_since(&mut self, begun: Instant) -> Option<Leftover> {
        self.forget_inherited();
        self.closed = true;
        let leftover = self.shared_link.shutdown_since(begun);
        self.link = None;
        leftover
    }

    /// Whether this process has a link.
    pub(super) fn has_link(&mut self) -> bool {
        self.forget_inherited();
        self.link.is_some() || matches!(*self.shared_link.stage(), Stage::Open(_))
    }

    /// Reads the link of this process, whichever thread has created it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Link) -> T) -> Option<T> {
        if let Some(link) = self.link.as_ref().filter(|_| self.generation == process::generation()) {
            return Some(look(link));
        }
        match &*self.shared_link.stage() {
            Stage::Open(link) => Some(look(link)),
            Stage::Idle | Stage::Closed => None,
        }
    }

    /// The link of this process, with a running thread.
    pub(super) fn link(&mut self) -> Result<&mut Link, QueueFull> {
        self.forget_inherited();
        if self.closed {
            return Err(QueueFull);
        }
        if self.link.as_ref().is_none_or(|link| !link.has_thread) {
            self.shared_link.join(&mut self.link)?;
        }
        self.link.as_mut().ok_or(QueueFull)
    }
}

impl Link {
    /// A link for another thread, with its own entrance.
    fn another(&self) -> Self {
        Self {
            entrance: self.entrance.another(),
            shared: Arc::clone(&self.shared),
            requester: self.requester.clone(),
            ended: self.ended.clone(),
            thread: None,
            worker: None,
            has_thread: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use orosync_protocol::ticket::Signer;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::queue::message;
    use crate::status::State;

    /// A shared link to an endpoint where nothing listens.
    fn shared_link(directory: &tempfile::TempDir) -> Arc<SharedLink> {
        let signer = Signer::from_secret(&[b's'; 32]).unwrap();
        let endpoint = Endpoint::Unix { path: directory.path().join("nobody") };
        SharedLink::new(Options { shutdown_timeout: Duration::ZERO, ..Options::new(endpoint.into(), signer) })
    }

    #[test]
    fn threads_share_a_link_that_keeps_the_messages_of_ended_threads() {
        let directory = tempfile::tempdir().unwrap();
        let shared_link = shared_link(&directory);
        assert_eq!(shared_link.publisher().status().state, State::Idle);
        thread::scope(|scope| {
            for _ in 0..4 {
                let mut publisher = shared_link.publisher();
                scope.spawn(move || publisher.publish(message("t", "1").lend()).unwrap());
            }
        });
        let mut publisher = shared_link.publisher();
        assert_eq!(publisher.status().accepted, 4, "in a thread that has published nothing");
        assert!(!publisher.flush(Duration::ZERO), "a flush includes the messages of other threads");
        publisher.publish(message("t", "1").lend()).unwrap();
        assert_eq!(shared_link.shutdown_since(Instant::now()).unwrap().messages, 5);
    }

    #[test]
    fn a_shutdown_counts_all_accepted_messages_and_no_more_are_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let shared_link = shared_link(&directory);
        let accepted = AtomicU64::new(0);
        let leftover = thread::scope(|scope| {
            for _ in 0..4 {
                let (mut publisher, accepted) = (shared_link.publisher(), &accepted);
                scope.spawn(move || {
                    while publisher.publish(message("t", "1").lend()).is_ok() {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while accepted.load(Ordering::Relaxed) < 100 {
                thread::yield_now();
            }
            shared_link.shutdown_since(Instant::now()).unwrap()
        });
        assert_eq!(leftover.messages, accepted.into_inner());
        assert!(shared_link.publisher().publish(message("t", "1").lend()).is_err());
        assert_eq!(shared_link.shutdown_since(Instant::now()), None);
    }

    #[test]
    fn the_link_ends_with_its_last_publisher() {
        let directory = tempfile::tempdir().unwrap();
        let shared_link = shared_link(&directory);
        let mut publisher = shared_link.publisher();
        publisher.publish(message("t", "1").lend()).unwrap();
        let ended = publisher.link.as_ref().unwrap().ended.clone();
        drop(shared_link);
        publisher.publish(message("t", "1").lend()).unwrap();
        drop(publisher);
        let outcome = ended.recv_timeout(Duration::from_secs(20));
        assert_eq!(outcome, Err(crossbeam_channel::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn an_outage_is_reported_by_one_thread_only() {
        let directory = tempfile::tempdir().unwrap();
        let shared_link = shared_link(&directory);
        let mut publisher = shared_link.publisher();
        publisher.publish(message("t", "1").lend()).unwrap();
        assert!(publisher.is_first_to_report_outages(1));
        assert!(!shared_link.publisher().is_first_to_report_outages(1));
        assert!(shared_link.publisher().is_first_to_report_outages(2));
        assert!(!publisher.is_first_to_report_outages(1), "a lower number was reported already");
        assert!(publisher.is_first_to_report_cluster_mismatch());
        assert!(!shared_link.publisher().is_first_to_report_cluster_mismatch());
    }
}
