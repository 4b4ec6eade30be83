//! The end of a publisher: a bounded flush, then the thread is joined, or let go.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::options::{Endpoint, Options};
use crate::publisher::Link;

/// How long the thread may take to notice that it shall end, whatever the flush has used up. It takes microseconds, unless it
/// is resolving a name.
const GRACE: Duration = Duration::from_millis(50);

/// Messages that were accepted and, as far as this process knows, not delivered when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// How many.
    pub messages: u64,
    /// Where they should have gone.
    pub endpoint: Endpoint,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

pub(crate) fn shutdown(mut link: Link, options: &Options, begun: Instant) -> Option<Leftover> {
    let deadline = begun + options.shutdown_timeout;
    link.flush(deadline);
    let waiting = link.shared.progress.begin();
    link.stop();
    let ended =
        waiting.until(deadline.max(Instant::now() + GRACE), || !link.shared.running.load(Ordering::Acquire));
    drop(waiting);
    if let Some(thread) = link.thread.take().filter(|_| ended) {
        // It has said that it ends, and catches its own panics.
        let _ = thread.join();
    }
    // Counted after the end: an acknowledgement may have come during it.
    leftover(&link, options)
}

/// What was accepted and not acknowledged until now.
pub(crate) fn leftover(link: &Link, options: &Options) -> Option<Leftover> {
    let tally = link.entrance.counts().tally();
    let messages = tally.accepted - tally.acknowledged;
    (messages > 0).then(|| Leftover {
        messages,
        endpoint: options.endpoint.clone(),
        last_error: link.shared.record.last_error(),
    })
}
