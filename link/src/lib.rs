//! The publisher's side of the backend link: accepts a message in well under a microsecond and delivers it in the background.
//!
//! ```text
//!   the publisher's own thread              |  the link thread (one per publisher and process)
//!                                           |
//!                                           |            .----------- Pump -------------.
//!   Publisher -> Entrance -> [  ring   ] ---|----------> | Exit -> Window -> Transport  | ----> server
//!       |                                   |            |            ^         |       |
//!       |                                   |            |            `-- Ack --'       |
//!       |---- a lone message, if asleep ----|----------> '------------------------------'
//!       |---- Doorbell, if asleep ----------|
//!       |---> [ request: crossbeam ] -------|---> Requests
//!       `---- [ answer: crossbeam ] <-------|--------'
//! ```
//!
//! Messages reach the thread through a ring (rtrb) with one writer and one reader, without lock or wait, because every page of
//! an application publishes. Requests (flush, check, shutdown) use a channel (crossbeam-channel), because the requester blocks
//! until the answer or its deadline.
//!
//! While the thread sleeps, a publisher briefly takes the pump and sends its message itself: one write and no wakeup. The thread
//! reads the acknowledgement 50 ms later.
//!
//! This describes a PHP without threads (NTS), whose process has one publishing thread. In a PHP with threads (ZTS, feature
//! `threads`) several threads publish over one link, which needs many writers: there messages use a bounded channel
//! (crossbeam-channel), which keeps each thread's order and has no lock either. It is not used for both, because its writers
//! contend: a compare-exchange for the budget, and another one for the slot.
//!
//! In reading order:
//!
//! - [`publisher`]: the application's interface: publish, flush, check, status, shutdown
//! - [`options`]: endpoint, secret, bounds and timeouts; [`endpoint`]: the address of a
//!   server; [`endpoints`]: the nodes of a cluster
//! - [`queue`]: the bounded queue and the counters behind "accepted = acknowledged + unacknowledged + queued"; `many`: the same
//!   for several threads; `publisher/shared_link.rs`: the link that they share
//! - [`arena`]: reusable memory for queued messages
//! - [`doorbell`]: the hand-over: who sends a message, and who wakes whom; [`bell`]: wakeups of the thread; [`sync`]: locks and
//!   atomics, which a test replaces
//! - [`machine`]: the states of the link, without I/O; [`window`]: unacknowledged messages; [`rotation`]: failover
//!   between endpoints; [`backoff`]: retry delays; [`neighbours`]: whether the endpoints are one cluster
//! - [`pump`]: moves messages between queue, machine and wire
//! - [`thread`]: the thread's main loop; [`connect`]: opens connections; [`trust`]: verifies certificates; [`transport`]: an
//!   open connection; [`outgoing`]: the frame being written; [`wire`]: the only sockets
//! - [`request`]: requests of flush and check to the thread; [`status`]: snapshots; [`shutdown`]: shutdown with a timeout
//! - [`process`]: forks and signals; all `unsafe` of this crate
//! - [`error`]: error messages
//!
//! It uses plain threads, without PHP or an async runtime, so that `cargo test` can test all of it.

mod arena;
mod backoff;
mod bell;
mod connect;
mod doorbell;
#[cfg(feature = "echo")]
pub mod echo;
pub mod endpoint;
pub mod endpoints;
pub mod error;
mod machine;
#[cfg(feature = "threads")]
mod many;
mod neighbours;
pub mod options;
mod outgoing;
mod process;
pub mod publisher;
mod pump;
mod queue;
mod request;
mod rotation;
mod shutdown;
pub mod status;
mod sync;
mod thread;
mod transport;
mod trust;
mod window;
mod wire;

pub use endpoint::{Endpoint, EndpointError};
pub use endpoints::Endpoints;
pub use error::QueueFull;
pub use options::{Bounds, Options};
pub use process::watch_forks;
pub use publisher::Publisher;
#[cfg(feature = "threads")]
pub use publisher::SharedLink;
pub use shutdown::Leftover;
pub use status::{Refusal, State, Status};
