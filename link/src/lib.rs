//! The publisher's side of the backend link: accept a message in well under a microsecond, deliver it in the background.
//!
//! ```text
//!   the publisher's own thread              |  the link thread (one per publisher and process)
//!                                           |
//!   Publisher -> Entrance -> [  ring   ] ---|--> Exit -> Window -> Machine -> Transport ----> server
//!       |                                   |               ^                     |
//!       |---- Doorbell (only if asleep) ----|               `---- Ack ------------'
//!       |---> [ request: crossbeam ] -------|---> Requests
//!       `---- [ answer: crossbeam ] <-------|--------'
//! ```
//!
//! Two ways lead to the thread. A message takes the ring (rtrb): one writer, one reader, neither lock nor wait, because every page
//! of an application publishes. A request (flush, check, the end) takes a channel (crossbeam-channel), because whoever asks waits
//! for the answer, with a time limit.
//!
//! In reading order:
//!
//! - [`publisher`]: what an application holds: publish, flush, check, status, shut down
//! - [`options`]: where to, with which secret, within which bounds; [`endpoints`]: the nodes of a cluster
//! - [`queue`]: the bounded queue and the counters behind "accepted = acknowledged + unacknowledged + queued"
//! - [`arena`]: the memory of what waits, used again and again
//! - [`doorbell`]: waking the link thread only if it sleeps
//! - [`machine`]: the states of the link, without I/O; [`window`]: what was sent and not acknowledged; [`rotation`]: which
//!   endpoint is next; [`backoff`]: when to try again; [`neighbours`]: whether the endpoints are one cluster
//! - [`thread`]: the one loop that joins queue, machine and wire; [`connect`]: making a connection;
//!   [`trust`]: whom it believes over TLS; [`transport`]: an open one; [`wire`]: the only sockets
//! - [`request`]: what flush and check ask of the thread; [`status`]: a snapshot; [`shutdown`]: a bounded end
//! - [`process`]: forks and signals; all `unsafe` of this crate
//! - [`error`]: what goes wrong, in sentences
//!
//! No PHP and no async runtime: plain threads, so that `cargo test` can test all of it.

mod arena;
mod backoff;
mod connect;
mod doorbell;
#[cfg(feature = "echo")]
pub mod echo;
pub mod endpoints;
pub mod error;
mod machine;
mod neighbours;
pub mod options;
mod process;
pub mod publisher;
mod queue;
mod request;
mod rotation;
mod shutdown;
pub mod status;
mod thread;
mod transport;
mod trust;
mod window;
mod wire;

pub use endpoints::Endpoints;
pub use error::{EndpointError, QueueFull};
pub use options::{Bounds, Endpoint, Options};
pub use publisher::Publisher;
pub use shutdown::Leftover;
pub use status::{Refusal, State, Status};
