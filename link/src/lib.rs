//! The publisher's side of the backend link: accept a message in well under a microsecond, deliver it in the background.
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
//! Two ways lead to the thread. A message takes the ring (rtrb): one writer, one reader, neither lock nor wait, because every page
//! of an application publishes. A request (flush, check, the end) takes a channel (crossbeam-channel), because whoever asks waits
//! for the answer, with a time limit.
//!
//! While the thread sleeps, a publisher takes the pump for a moment and sends its message by itself: one write, no thread woken,
//! neither for it nor for its acknowledgement, for which the thread looks 50 ms later.
//!
//! That is the build for a PHP without threads (NTS), whose process has one thread that publishes. In a PHP with threads (ZTS; the
//! feature `threads`) several publish at once over the one link of their process, which a ring of one writer cannot serve: there
//! messages take a bounded channel of many writers (crossbeam-channel), which keeps each thread's order and has no lock either.
//! It is not used for both, because its writers pay for each other: a compare and exchange for the budget, and one for the place.
//!
//! In reading order:
//!
//! - [`publisher`]: what an application holds: publish, flush, check, status, shut down
//! - [`options`]: where to, with which secret, within which bounds; [`endpoints`]: the nodes of a cluster
//! - [`queue`]: the bounded queue and the counters behind "accepted = acknowledged + unacknowledged + queued"; `many`: the entrances
//!   of threads; `publisher/line.rs`: the link that they share
//! - [`arena`]: the memory of what waits, used again and again
//! - [`doorbell`]: the hand-over: who sends a message, and who wakes whom; [`bell`]: what wakes the thread; [`sync`]: locks and
//!   atomics, which a test replaces
//! - [`machine`]: the states of the link, without I/O; [`window`]: what was sent and not acknowledged; [`rotation`]: which
//!   endpoint is next; [`backoff`]: when to try again; [`neighbours`]: whether the endpoints are one cluster
//! - [`pump`]: queue, machine and wire joined, for whoever holds it
//! - [`thread`]: the one loop of the thread; [`connect`]: making a connection;
//!   [`trust`]: whom it believes over TLS; [`transport`]: an open one; [`wire`]: the only sockets
//! - [`request`]: what flush and check ask of the thread; [`status`]: a snapshot; [`shutdown`]: a bounded end
//! - [`process`]: forks and signals; all `unsafe` of this crate
//! - [`error`]: what goes wrong, in sentences
//!
//! No PHP and no async runtime: plain threads, so that `cargo test` can test all of it.

mod arena;
mod backoff;
mod bell;
mod connect;
mod doorbell;
#[cfg(feature = "echo")]
pub mod echo;
pub mod endpoints;
pub mod error;
mod machine;
#[cfg(feature = "threads")]
mod many;
mod neighbours;
pub mod options;
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

pub use endpoints::Endpoints;
pub use error::{EndpointError, QueueFull};
pub use options::{Bounds, Endpoint, Options};
#[cfg(feature = "threads")]
pub use publisher::Line;
pub use publisher::Publisher;
pub use shutdown::Leftover;
pub use status::{Refusal, State, Status};
