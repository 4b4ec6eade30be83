//! What is spoken on Orosync's wires, as pure data: no I/O, no clock, no randomness (both come as arguments).
//!
//! In reading order:
//!
//! - [`topic`]: a checked topic name; [`pattern`]: which topics a policy speaks of, with captures such as `{uid:int}`
//! - [`origin`]: which sites' pages may connect
//! - [`payload`]: one JSON value as bytes, checked once at the door and never parsed again
//! - [`position`]: where an event stands in the history of its topic
//! - [`ids`]: publishers, sequence numbers, sessions, clusters; [`audience`]: who of a topic's subscribers gets a message
//! - [`subprotocol`]: what a session may speak
//! - [`close`]: the one table of close reasons, with what a client should do after each
//! - [`wamp`]: WAMP v1, what browsers (and Oro's own PHP client) speak
//! - [`link_frame`]: the backend link, what publishers speak; [`cluster`]: what a node tells them of itself before
//! - [`disconnect`]: a publisher has sessions ended
//! - [`ticket`]: who somebody is, as a signed token

pub mod audience;
pub mod close;
pub mod cluster;
pub mod disconnect;
pub mod ids;
pub mod link_frame;
pub mod origin;
pub mod pattern;
pub mod payload;
pub mod position;
pub mod subprotocol;
pub mod ticket;
pub mod topic;
pub mod wamp;

pub use audience::{Audience, SessionIds};
pub use close::CloseReason;
pub use ids::{ClusterId, PublisherId, Seq, SessionId};
pub use origin::OriginPattern;
pub use pattern::TopicPattern;
pub use payload::{Payload, PayloadRef};
pub use position::Position;
pub use subprotocol::Subprotocol;
pub use topic::Topic;
