//! Orosync's wire protocols as pure data: no I/O, no clock, no randomness (time and random values are arguments).
//!
//! In reading order:
//!
//! - [`topic`]: validated topic names; [`pattern`]: topic patterns of policies, with captures such as `{uid:int}`
//! - [`origin`]: the sites whose pages may connect
//! - [`payload`]: one JSON value as bytes, validated once on entry and never parsed again
//! - [`position`]: the position of an event in the history of its topic
//! - [`ids`]: publishers, sequence numbers, sessions, clusters; [`audience`]: the recipients of a message
//! - [`subprotocol`]: the WebSocket subprotocols
//! - [`close`]: close reasons, with what a client should do after each
//! - [`wamp`]: WAMP v1, the protocol of browsers and of Oro's own PHP client
//! - [`link_frame`]: the backend link, the protocol of publishers; [`cluster`]: the cluster id in its handshake
//! - [`disconnect`]: the request of a publisher to end sessions
//! - [`ticket`]: signed tokens that carry an identity
//! - [`notation`], [`similar`]: how settings are written, and suggestions for misspelled names; the server and the extension
//!   share them

pub mod audience;
pub mod close;
pub mod cluster;
pub mod disconnect;
pub mod ids;
pub mod link_frame;
pub mod notation;
pub mod origin;
pub mod pattern;
pub mod payload;
pub mod position;
pub mod similar;
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
