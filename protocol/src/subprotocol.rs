//! The WebSocket subprotocols (`Sec-WebSocket-Protocol`) of Orosync.

/// WAMP v1, as OroPlatform's JavaScript offers it.
pub const WAMP: &str = "wamp";

/// The same WAMP v1 messages, for clients that understand Orosync's close codes.
pub const OROSYNC: &str = "orosync.1";

/// The prefix of a resume ticket, which a client offers as a subprotocol in addition to [`OROSYNC`]. Browsers can set no other
/// header of the handshake, and a URL would appear in access logs. The server never selects it or echoes it.
pub const RESUME_PREFIX: &str = "orosync.ticket.";

/// The backend link, version 1.
pub const LINK: &str = "orosync.link.1";

/// The protocol of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// WAMP v1: the client offered [`WAMP`], or no known subprotocol.
    Wamp,
    /// WAMP v1 for clients that understand Orosync's close codes: [`OROSYNC`].
    Orosync,
    /// The backend link: [`LINK`].
    Link,
}
