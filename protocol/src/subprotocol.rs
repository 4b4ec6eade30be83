//! The WebSocket subprotocols (`Sec-WebSocket-Protocol`) of this product, each name written once.

/// WAMP v1, as OroPlatform's JavaScript offers it.
pub const WAMP: &str = "wamp";

/// The same WAMP v1 messages, from a client that understands our close codes.
pub const OROSYNC: &str = "orosync.1";

/// What a resume ticket is offered behind, beside [`OROSYNC`]: browsers can send a header of their own in no other way, and
/// a URL stands in access logs. Never chosen, never repeated.
pub const RESUME_PREFIX: &str = "orosync.ticket.";

/// The backend link, version 1.
pub const LINK: &str = "orosync.link.1";

/// What a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// WAMP v1: [`WAMP`], or nothing that we know was offered.
    Wamp,
    /// The same messages, from a client that understands our close codes: [`OROSYNC`].
    Orosync,
    /// The backend link: [`LINK`].
    Link,
}
