//! Shutdown of a publisher: a flush with a timeout, then the thread is joined or detached.

use std::convert::Infallible;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::endpoints::Endpoints;
use crate::options::Options;
use crate::queue::Entrance;
use crate::request::Requester;
use crate::thread::Shared;

/// Extra time for the thread to end, even if the flush has used up the timeout. The thread needs microseconds, unless it is
/// resolving a name.
const GRACE: Duration = Duration::from_millis(50);

/// Messages accepted but, as far as this process knows, not delivered when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Number of messages.
    pub messages: u64,
    /// Their destination.
    pub endpoints: Endpoints,
    /// Message of the last error.
    pub last_error: Option<String>,
}

/// Tells the thread to end, and joins it. Detaches it if it has not ended by `deadline`, or [`GRACE`] from now if that is later.
pub(crate) fn end(
    shared: &Shared,
    requester: Requester,
    ended: &Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
    deadline: Instant,
) {
    requester.end();
    shared.doorbell.ring();
    let outcome = ended.recv_deadline(deadline.max(Instant::now() + GRACE));
    if let Some(thread) = thread.filter(|_| outcome == Err(RecvTimeoutError::Disconnected)) {
        // Its work is done, and it catches its own panics.
        let _ = thread.join();
    }
}

/// The messages accepted but not acknowledged so far; `None` if there are none.
pub(crate) fn leftover(entrance: &Entrance, shared: &Shared, options: &Options) -> Option<Leftover> {
    let tally = entrance.counts().tally();
    let messages = tally.accepted - tally.acknowledged;
    (messages > 0).then(|| Leftover {
        messages,
        endpoints: options.endpoints.clone(),
        last_error: shared.record.last_error(),
    })
}
