//! The opening handshake, without I/O: parses a request and returns an upgrade, a refusal, or the need for more bytes.
//!
//! Two peculiarities of OroPlatform's clients are handled here:
//!
//! - Its PHP client reads the 101 and WELCOME in one read, and searches for the first `[`. Both are therefore sent in one
//!   write, and no header contains a bracket.
//! - Its oldest clients send frames directly after the request head. These bytes are kept ([`Upgrade::rest`]).

pub mod answers;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::sync::Arc;

use httparse::{Request, Status};
use orosync_protocol::cluster::{self, Membership};
use orosync_protocol::ticket::{Identity, Role, TicketError};
use orosync_protocol::{OriginPattern, subprotocol};
use tungstenite::handshake::derive_accept_key;

use crate::auth::replay::FirstUse;
use crate::auth::used::TicketCheck;
use crate::auth::{AuthError, Authenticated, Authenticator, Checked, OneTime, Presented};
use crate::broker::cluster::Cluster;
use crate::config::settings::Anonymous;
use crate::connection::proxies::TrustedProxies;
use crate::connection::{Client, Peer};
use orosync_protocol::Subprotocol;

use answers::Refusal;

/// Maximum number of headers, more than any browser behind any chain of proxies sends.
const MAX_HEADERS: usize = 100;

/// The settings and state by which handshakes are decided, shared by all sessions.
#[derive(Clone, Debug)]
pub struct HandshakeContext {
    /// Authenticates tickets.
    pub authenticator: Arc<Authenticator>,
    /// The answer to a connection without a ticket.
    pub anonymous: Anonymous,
    /// Sites whose pages may connect.
    pub allowed_origins: Vec<OriginPattern>,
    /// Proxies whose forwarded client addresses are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Maximum size of the request head in bytes: `limits.handshake_bytes`.
    pub max_head_bytes: usize,
    /// The cluster, which the response announces to publishers once it is known.
    pub cluster: Arc<Cluster>,
}

/// The outcome of the bytes so far.
#[derive(Debug)]
pub enum Outcome {
    /// The request head is not complete.
    Incomplete,
    /// The handshake is accepted if its ticket was not used before, which must be checked.
    CheckTicket {
        /// The check to start.
        check: TicketCheck,
        /// The handshake that waits for the answer.
        pending: Box<PendingUpgrade>,
    },
    /// The handshake is accepted.
    Upgrade(Box<Upgrade>),
    /// The handshake is refused.
    Refused {
        /// The answer.
        refusal: Refusal,
        /// Details for the log, beyond those in the answer.
        cause: Option<Cause>,
    },
    /// A resume ticket is rejected. Browsers do not expose the status of a handshake, so a page would take an HTTP refusal for
    /// an unavailable server. The refusal is therefore a Close frame after the 101.
    NotResumed {
        /// The 101 response.
        response: Vec<u8>,
        /// The cause.
        error: AuthError,
    },
}

/// The cause of a refusal, for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Cause {
    /// The ticket was rejected.
    Ticket(AuthError),
    /// The page's site may not connect. Carries the `Origin` headers.
    Origin(String),
}

/// An accepted handshake.
#[derive(Debug)]
pub struct Upgrade {
    /// The 101 response, without WELCOME.
    pub response: Vec<u8>,
    /// The protocol of the session.
    pub protocol: Subprotocol,
    /// The result of the authentication.
    pub authenticated: Authenticated,
    /// Bytes received after the request head, which are frames already.
    pub rest: Box<[u8]>,
}

/// A handshake that is accepted unless its ticket was used before.
#[derive(Debug)]
pub struct PendingUpgrade {
    response: Vec<u8>,
    protocol: Subprotocol,
    ticket: Box<OneTime>,
    rest: Box<[u8]>,
}

impl PendingUpgrade {
    /// The outcome, given the answer whether the ticket is used for the first time.
    pub fn handle_answer(self, first_use: FirstUse, context: &HandshakeContext) -> Outcome {
        let Self { response, protocol, ticket, rest } = self;
        let is_resumed = ticket.is_resume();
        match context.authenticator.admit(*ticket, first_use) {
            Ok(authenticated) => {
                Outcome::Upgrade(Box::new(Upgrade { response, protocol, authenticated, rest }))
            }
            Err(error) => refused_with_ticket(error, is_resumed, || response),
        }
    }
}

/// A handshake in progress: the bytes of the request head so far.
#[derive(Debug, Default)]
pub struct Handshake {
    head: Vec<u8>,
}

impl Handshake {
    /// Handles bytes from the client at `unix_now` (Unix time in seconds).
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        context: &HandshakeContext,
        client: &mut Client,
        unix_now: u64,
    ) -> Outcome {
        // A request nearly always arrives in one piece, which is parsed without a copy.
        if !self.head.is_empty() {
            self.head.extend_from_slice(bytes);
        }
        let head = if self.head.is_empty() { bytes } else { &self.head[..] };
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut headers) {
            Ok(Status::Complete(length)) if length <= context.max_head_bytes => {
                match decide(&request, context, client, unix_now) {
                    Ok((response, protocol, checked)) => {
                        let rest = Box::from(&head[length..]);
                        match checked {
                            Checked::Authenticated(authenticated) => Outcome::Upgrade(Box::new(Upgrade {
                                response,
                                protocol,
                                authenticated,
                                rest,
                            })),
                            Checked::Pending { check, ticket } => Outcome::CheckTicket {
                                check,
                                pending: Box::new(PendingUpgrade { response, protocol, ticket, rest }),
                            },
                        }
                    }
                    Err(outcome) => outcome,
                }
            }
            Ok(Status::Partial) if head.len() < context.max_head_bytes => {
                if self.head.is_empty() {
                    self.head.extend_from_slice(bytes);
                }
                Outcome::Incomplete
            }
            Ok(_) | Err(httparse::Error::TooManyHeaders) => refused(Refusal::HeadTooLarge),
            Err(httparse::Error::Version) if has_http_version(head) => refused(Refusal::HttpVersion),
            Err(_) => refused(Refusal::BadRequest),
        }
    }
}

/// Whether the third word of the request line begins like an HTTP version, in case it is not a supported one. A target that
/// contains a space has no version there (RFC 9112, 3). The first bytes of the word suffice, so the result does not depend on
/// how the request is split into pieces.
fn has_http_version(head: &[u8]) -> bool {
    head.split(|byte| *byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused { refusal, cause: None }
}

type HandshakeResult = Result<(Vec<u8>, Subprotocol, Checked), Outcome>;

fn decide(
    request: &Request<'_, '_>,
    context: &HandshakeContext,
    client: &mut Client,
    unix_now: u64,
) -> HandshakeResult {
    let headers = Headers(request);
    let full = |full| refused(Refusal::Full(full));
    if client.is_trusted(&context.trusted_proxies)
        && let Some(address) = headers.forwarded_address(&context.trusted_proxies)
    {
        client.set_peer(Peer::Forwarded(address)).map_err(full)?;
    }
    let key = headers.websocket_key().map_err(refused)?;
    if !headers.comes_from(&context.allowed_origins) {
        let cause = Some(Cause::Origin(headers.origins()));
        return Err(Outcome::Refused { refusal: Refusal::Origin, cause });
    }
    let (protocol, echo) = headers.protocol();
    if protocol != Subprotocol::Link {
        client.admit_browser().map_err(full)?;
    }
    let membership = context.cluster.membership(unix_now).filter(|_| protocol == Subprotocol::Link);
    let response = || switching_protocols(key.as_bytes(), echo, membership);
    let checked = identify(request, &headers, protocol, context, unix_now, response)?;
    Ok((response(), protocol, checked))
}

/// Authenticates the client, or returns the refusal to send instead of `response`, the 101.
fn identify(
    request: &Request<'_, '_>,
    headers: &Headers<'_, '_>,
    protocol: Subprotocol,
    context: &HandshakeContext,
    unix_now: u64,
    response: impl Fn() -> Vec<u8>,
) -> Result<Checked, Outcome> {
    let bearer = headers.one("authorization").and_then(|value| {
        let (scheme, ticket) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Cow::Owned(ticket.trim().to_owned()))
    });
    let comes_from = |origins: &[OriginPattern]| headers.comes_from(origins);
    let authenticate =
        |ticket: &str, presented| context.authenticator.authenticate(ticket, presented, unix_now, comes_from);
    let mut is_resumed = false;
    let checked = if let Some(ticket) = bearer {
        authenticate(&ticket, Presented::AsBearer)
    } else if let Some(offered) = headers.resume_ticket(protocol) {
        is_resumed = protocol == Subprotocol::Orosync;
        offered.and_then(|ticket| context.authenticator.authenticate_resume(&ticket, unix_now, comes_from))
    } else if let Some(ticket) = request.path.and_then(ticket_of) {
        authenticate(&ticket, Presented::InUrl)
    } else if protocol == Subprotocol::Link {
        return Err(refused(Refusal::NotAPublisher));
    } else if context.anonymous == Anonymous::Refuse {
        return Err(refused(Refusal::TicketMissing));
    } else {
        Ok(Checked::Authenticated(Authenticated::once(Identity::anonymous())))
    };
    let checked = checked.map_err(|error| refused_with_ticket(error, is_resumed, response))?;
    if protocol == Subprotocol::Link && checked.identity().role != Role::Publisher {
        return Err(refused(Refusal::NotAPublisher));
    }
    Ok(checked)
}

/// The refusal to send instead of `response` for a rejected ticket.
fn refused_with_ticket(error: AuthError, is_resumed: bool, response: impl FnOnce() -> Vec<u8>) -> Outcome {
    let refusal = match error {
        AuthError::MemoryFull => Refusal::Busy,
        AuthError::WrongOrigin { .. } => Refusal::OriginOfTicket,
        error if is_resumed => return Outcome::NotResumed { response: response(), error },
        AuthError::BrokerUnavailable => Refusal::BrokerUnavailable,
        AuthError::Ticket(_)
        | AuthError::Replayed
        | AuthError::PublisherInUrl
        | AuthError::Revoked
        | AuthError::KeyRemoved
        | AuthError::OtherServer => Refusal::TicketRefused,
    };
    Outcome::Refused { refusal, cause: Some(Cause::Ticket(error)) }
}

/// The ticket of a request target, in origin form (`/ws?ticket=x`) or, as OroPlatform 3.0 to 4.2 sends it, in absolute
/// form (`ws://host/ws?ticket=x`). Any path will do: the reverse proxy decides about it. An empty ticket is none.
fn ticket_of(target: &str) -> Option<Cow<'_, str>> {
    let (_, query) = target.split_once('?')?;
    let query = query.split('#').next().unwrap_or(query);
    // Counting is faster than a search, because the compiler vectorizes it.
    let encoded = query.bytes().filter(|byte| matches!(byte, b'%' | b'+')).count();
    let ticket = if encoded > 0 {
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket")?.1
    } else {
        // A ticket has no characters that need percent-encoding, so nothing is decoded.
        query.split('&').find_map(|pair| pair.strip_prefix("ticket="))?.into()
    };
    (!ticket.is_empty()).then_some(ticket)
}

struct Headers<'a, 'b>(&'a Request<'a, 'b>);

impl Headers<'_, '_> {
    /// Validates the headers of RFC 6455, 4.2.1, in the order of the most helpful error: the kind of request first.
    fn websocket_key(&self) -> Result<Cow<'_, str>, Refusal> {
        if self.0.version != Some(1) {
            return Err(Refusal::HttpVersion);
        }
        if self.0.method != Some("GET") {
            return Err(Refusal::Method);
        }
        if self.all("host").count() != 1 {
            return Err(Refusal::BadRequest);
        }
        if !self.has_token("upgrade", "websocket") || !self.has_token("connection", "upgrade") {
            return Err(Refusal::NotWebSocket);
        }
        if self.one("sec-websocket-version").as_deref() != Some("13") {
            return Err(Refusal::WebSocketVersion);
        }
        // The key is 16 bytes in base64. A handshake has no body; a request that announces one is for another protocol.
        let key = self.one("sec-websocket-key").filter(|key| is_key(key)).ok_or(Refusal::BadRequest)?;
        if self.all("transfer-encoding").next().is_some()
            || self.all("content-length").any(|length| length != "0")
        {
            return Err(Refusal::BadRequest);
        }
        Ok(key)
    }

    /// The protocol, and the subprotocol that the answer selects. A client that offers no known subprotocol gets WAMP v1.
    fn protocol(&self) -> (Subprotocol, Option<&'static str>) {
        let offers = |wanted: &str| self.has_token("sec-websocket-protocol", wanted);
        if offers(subprotocol::LINK) {
            (Subprotocol::Link, Some(subprotocol::LINK))
        } else if offers(subprotocol::OROSYNC) {
            (Subprotocol::Orosync, Some(subprotocol::OROSYNC))
        } else if offers(subprotocol::WAMP) {
            (Subprotocol::Wamp, Some(subprotocol::WAMP))
        } else {
            (Subprotocol::Wamp, None)
        }
    }

    /// The resume ticket, offered in addition to the subprotocol `orosync.1`. One that is offered with another subprotocol, or
    /// twice, is refused rather than ignored as an unknown subprotocol.
    fn resume_ticket(&self, chosen: Subprotocol) -> Option<Result<String, AuthError>> {
        let mut offered = None;
        for value in self.all("sec-websocket-protocol") {
            for ticket in
                value.split(',').filter_map(|name| name.trim().strip_prefix(subprotocol::RESUME_PREFIX))
            {
                let is_second = offered.replace(ticket.to_owned()).is_some();
                if is_second || chosen != Subprotocol::Orosync {
                    let problem = "a resume ticket must be offered once, together with orosync.1".to_owned();
                    return Some(Err(AuthError::Ticket(TicketError::Malformed { problem })));
                }
            }
        }
        offered.map(Ok)
    }

    /// Whether the request comes from a page of an allowed site. With several `Origin` headers, each must be allowed. A request
    /// without the header does not come from a page: programs may always connect, and their ticket decides.
    fn comes_from(&self, allowed: &[OriginPattern]) -> bool {
        let host = self.one("host");
        self.all("origin")
            .all(|origin| allowed.iter().any(|pattern| pattern.allows(&origin, host.as_deref())))
    }

    /// The values of the `Origin` headers.
    fn origins(&self) -> String {
        self.all("origin").collect::<Vec<_>>().join(", ")
    }

    /// The client's address as forwarded by a trusted proxy.
    fn forwarded_address(&self, trusted: &TrustedProxies) -> Option<IpAddr> {
        let lists: Vec<_> = self.all("x-forwarded-for").collect();
        let hops: Vec<_> = lists.iter().flat_map(|list| list.split(',')).collect();
        trusted.client(hops.into_iter(), self.one("x-real-ip").as_deref())
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Cow<'s, str>> {
        let named = self.0.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| {
            let value = header.value.trim_ascii();
            // Valid UTF-8 is the usual case; the lossy conversion is three times as slow.
            str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
        })
    }

    /// The value of a header that occurs exactly once.
    fn one<'s>(&'s self, name: &'s str) -> Option<Cow<'s, str>> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    fn has_token(&self, name: &str, wanted: &str) -> bool {
        self.all(name).any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
    }
}

fn is_key(key: &str) -> bool {
    let is_base64 = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
    key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(is_base64)
}

fn switching_protocols(key: &[u8], protocol: Option<&str>, membership: Option<Membership>) -> Vec<u8> {
    let mut response = String::with_capacity(256);
    response.push_str("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    response.push_str("Sec-WebSocket-Accept: ");
    response.push_str(&derive_accept_key(key));
    if let Some(protocol) = protocol {
        response.push_str("\r\nSec-WebSocket-Protocol: ");
        response.push_str(protocol);
    }
    if let Some(membership) = membership {
        // Writing into a String cannot fail.
        let _ = write!(response, "\r\n{}: {membership}", cluster::HEADER);
    }
    response.push_str("\r\n\r\n");
    response.into_bytes()
}

#[cfg(test)]
mod tests;
