//! The end of a publisher: a bounded flush, then the thread is joined, or let go.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use crate::endpoints::Endpoints;
use crate::options::Options;
use crate::publisher::Link;
use crate::queue::Entrance;
use crate::thread::Shared;

/// How long the thread may take to notice that it shall end, whatever the flush has used up. It takes microseconds, unless it
/// is resolving a name.
const GRACE: Duration = Duration::from_millis(50);

/// Messages that were accepted and, as far as this process knows, not delivered when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// How many.
    pub messages: u64,
    /// Where they should have gone.
    pub endpoints: Endpoints,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

pub(crate) fn shutdown(link: Link, options: &Options, begun: Instant) -> Option<Leftover> {
    let deadline = begun + options.shutdown_timeout;
    link.flush(deadline);
    let Link { entrance, shared, asker, ended, thread, .. } = link;
    asker.end();
    shared.doorbell.ring();
    let outcome = ended.recv_deadline(deadline.max(Instant::now() + GRACE));
    if let Some(thread) = thread.filter(|_| outcome == Err(RecvTimeoutError::Disconnected)) {
        // Its work is over, and it catches its own panics.
        let _ = thread.join();
    }
    // Counted after the end: an acknowledgement may have come during it.
    leftover(&entrance, &shared, options)
}

/// What was accepted and not acknowledged until now.
pub(crate) fn leftover(entrance: &Entrance, shared: &Shared, options: &Options) -> Option<Leftover> {
    let tally = entrance.counts().tally();
    let messages = tally.accepted - tally.acknowledged;
    (messages > 0).then(|| Leftover {
        messages,
        endpoints: options.endpoints.clone(),
        last_error: shared.record.last_error(),
    })
}
