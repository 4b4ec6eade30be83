//! The opening handshake, without I/O: bytes in; out comes an upgrade, a refusal, or "more".
//!
//! Two traps of OroPlatform's clients live here. Its PHP client reads the 101 and WELCOME in one read, and looks for the
//! first `[`: both leave in one write, and no header may hold a bracket. Its oldest clients send frames right behind the
//! request head: those bytes are kept ([`Upgrade::rest`]).

pub mod answers;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use httparse::{Request, Status};
use orosync_protocol::cluster::{self, Membership};
use orosync_protocol::ticket::{Identity, Role, TicketError};
use orosync_protocol::{OriginPattern, subprotocol};
use tungstenite::handshake::derive_accept_key;

use crate::auth::replay::FirstUse;
use crate::auth::used::Question;
use crate::auth::{AuthError, Authenticated, Authenticator, Checked, OneTime, Presented};
use crate::broker::cluster::Cluster;
use crate::config::settings::Anonymous;
use crate::connection::proxies::TrustedProxies;
use crate::connection::{Caller, Peer};
use orosync_protocol::Subprotocol;

use answers::Refusal;

/// More headers than any browser behind any chain of proxies sends.
const MAX_HEADERS: usize = 100;

/// What decides about a handshake; the same for all.
#[derive(Clone, Debug)]
pub struct Door {
    /// Tickets.
    pub authenticator: Arc<Authenticator>,
    /// Who comes without one.
    pub anonymous: Anonymous,
    /// Sites whose pages may connect.
    pub allowed_origins: Vec<OriginPattern>,
    /// Who may say whom he speaks for.
    pub trusted_proxies: TrustedProxies,
    /// `limits.handshake_bytes`.
    pub max_head_bytes: usize,
    /// What a publisher is told of this node, once it is known.
    pub cluster: Arc<Cluster>,
}

/// What came of the bytes so far.
#[derive(Debug)]
pub enum Outcome {
    /// The head is not complete.
    More,
    /// A session begins, if others say that its ticket was not used before.
    Asks {
        /// What they are asked.
        question: Question,
        /// What waits for their answer.
        candidate: Box<Candidate>,
    },
    /// A session begins.
    Upgrade(Box<Upgrade>),
    /// It does not.
    Refused {
        /// The answer.
        refusal: Refusal,
        /// For the log, where that has more to say than the answer.
        cause: Option<Cause>,
    },
    /// It does not, by a resume ticket that lets nobody in. A page is not told how a handshake was answered, and would take
    /// a refusal for a server that is away: so this one is a Close frame behind the 101.
    NotResumed {
        /// The 101.
        response: Vec<u8>,
        /// Why.
        error: AuthError,
    },
}

/// Why a handshake was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Cause {
    /// By its ticket.
    Ticket(AuthError),
    /// By the site that its page is from: the `Origin` headers.
    Origin(String),
}

/// A session begins.
#[derive(Debug)]
pub struct Upgrade {
    /// The 101, without a WELCOME.
    pub response: Vec<u8>,
    /// What is spoken from here on.
    pub protocol: Subprotocol,
    /// Who it is.
    pub who: Authenticated,
    /// What came behind the request head: frames already.
    pub rest: Bytes,
}

/// A handshake of which all is decided but whether its ticket was used before.
#[derive(Debug)]
pub struct Candidate {
    response: Vec<u8>,
    protocol: Subprotocol,
    ticket: Box<OneTime>,
    rest: Bytes,
}

impl Candidate {
    /// What comes of it, now that this is known.
    pub fn handle_answer(self, first_use: FirstUse, door: &Door) -> Outcome {
        let Self { response, protocol, ticket, rest } = self;
        let is_resumed = ticket.is_resume();
        match door.authenticator.admit(*ticket, first_use) {
            Ok(who) => Outcome::Upgrade(Box::new(Upgrade { response, protocol, who, rest })),
            Err(error) => refused_with_ticket(error, is_resumed, || response),
        }
    }
}

/// A handshake under way: the bytes of the head so far.
#[derive(Debug, Default)]
pub struct Handshake {
    head: Vec<u8>,
}

impl Handshake {
    /// Takes bytes from the client, at `unix_now` (seconds since 1970).
    pub fn handle_bytes(&mut self, bytes: &[u8], door: &Door, caller: &mut Caller, unix_now: u64) -> Outcome {
        // Nearly always all of it comes at once, and is read where it is.
        if !self.head.is_empty() {
            self.head.extend_from_slice(bytes);
        }
        let head = if self.head.is_empty() { bytes } else { &self.head[..] };
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut headers) {
            Ok(Status::Complete(length)) if length <= door.max_head_bytes => {
                match decide(&request, door, caller, unix_now) {
                    Ok((response, protocol, checked)) => {
                        let rest = Bytes::copy_from_slice(&head[length..]);
                        match checked {
                            Checked::LetIn(who) => {
                                Outcome::Upgrade(Box::new(Upgrade { response, protocol, who, rest }))
                            }
                            Checked::Unknown { question, ticket } => Outcome::Asks {
                                question,
                                candidate: Box::new(Candidate { response, protocol, ticket, rest }),
                            },
                        }
                    }
                    Err(outcome) => outcome,
                }
            }
            Ok(Status::Partial) if head.len() < door.max_head_bytes => {
                if self.head.is_empty() {
                    self.head.extend_from_slice(bytes);
                }
                Outcome::More
            }
            Ok(_) | Err(httparse::Error::TooManyHeaders) => refused(Refusal::HeadTooLarge),
            Err(httparse::Error::Version) if names_a_version(head) => refused(Refusal::HttpVersion),
            Err(_) => refused(Refusal::BadRequest),
        }
    }
}

/// Does the request line have its version where it belongs, if not ours? A target with a space has not (RFC 9112, 3).
/// Judged by the bytes that are enough to see that it is not ours, so that it does not matter in what pieces they come.
fn names_a_version(head: &[u8]) -> bool {
    head.split(|byte| *byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn refused(refusal: Refusal) -> Outcome {
    Outcome::Refused { refusal, cause: None }
}

type HandshakeResult = Result<(Vec<u8>, Subprotocol, Checked), Outcome>;

fn decide(request: &Request<'_, '_>, door: &Door, caller: &mut Caller, unix_now: u64) -> HandshakeResult {
    let headers = Headers(request);
    let full = |full| refused(Refusal::Full(full));
    if caller.is_trusted(&door.trusted_proxies)
        && let Some(client) = headers.client(&door.trusted_proxies)
    {
        caller.stands_for(Peer::Behind(client)).map_err(full)?;
    }
    let key = headers.websocket_key().map_err(refused)?;
    if !headers.come_from(&door.allowed_origins) {
        let cause = Some(Cause::Origin(headers.origins()));
        return Err(Outcome::Refused { refusal: Refusal::Origin, cause });
    }
    let (protocol, echo) = headers.protocol();
    if protocol != Subprotocol::Link {
        caller.admit_browser().map_err(full)?;
    }
    let membership = door.cluster.membership(unix_now).filter(|_| protocol == Subprotocol::Link);
    let response = || switching_protocols(key.as_bytes(), echo, membership);
    let checked = identify(request, &headers, protocol, door, unix_now, response)?;
    Ok((response(), protocol, checked))
}

/// Who it is; or what is answered in place of `response`, the 101.
fn identify(
    request: &Request<'_, '_>,
    headers: &Headers<'_, '_>,
    protocol: Subprotocol,
    door: &Door,
    unix_now: u64,
    response: impl Fn() -> Vec<u8>,
) -> Result<Checked, Outcome> {
    let bearer = headers.one("authorization").and_then(|value| {
        let (scheme, ticket) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Cow::Owned(ticket.trim().to_owned()))
    });
    let come_from = |origins: &[OriginPattern]| headers.come_from(origins);
    let authenticate =
        |ticket: &str, presented| door.authenticator.authenticate(ticket, presented, unix_now, come_from);
    let mut is_resumed = false;
    let checked = if let Some(ticket) = bearer {
        authenticate(&ticket, Presented::AsBearer)
    } else if let Some(offered) = headers.resume_ticket(protocol) {
        is_resumed = protocol == Subprotocol::Orosync;
        offered.and_then(|ticket| door.authenticator.authenticate_resume(&ticket, unix_now, come_from))
    } else if let Some(ticket) = request.path.and_then(ticket_of) {
        authenticate(&ticket, Presented::InUrl)
    } else if protocol == Subprotocol::Link {
        return Err(refused(Refusal::NotAPublisher));
    } else if door.anonymous == Anonymous::Refuse {
        return Err(refused(Refusal::TicketMissing));
    } else {
        Ok(Checked::LetIn(Authenticated::once(Identity::anonymous())))
    };
    let checked = checked.map_err(|error| refused_with_ticket(error, is_resumed, response))?;
    if protocol == Subprotocol::Link && checked.identity().role != Role::Publisher {
        return Err(refused(Refusal::NotAPublisher));
    }
    Ok(checked)
}

/// What is answered, in place of `response`, to a ticket that lets nobody in.
fn refused_with_ticket(error: AuthError, is_resumed: bool, response: impl FnOnce() -> Vec<u8>) -> Outcome {
    let refusal = match error {
        AuthError::MemoryFull => Refusal::Busy,
        AuthError::ForeignPage { .. } => Refusal::OriginOfTicket,
        error if is_resumed => return Outcome::NotResumed { response: response(), error },
        AuthError::BrokerUnavailable => Refusal::BrokerUnavailable,
        AuthError::Ticket(_)
        | AuthError::Replayed
        | AuthError::PublisherInUrl
        | AuthError::Revoked
        | AuthError::KeyTakenOut
        | AuthError::OtherServer => Refusal::TicketRefused,
    };
    Outcome::Refused { refusal, cause: Some(Cause::Ticket(error)) }
}

/// The ticket of a request target, in origin form (`/ws?ticket=x`) or, as OroPlatform 3.0 to 4.2 sends it, in absolute
/// form (`ws://host/ws?ticket=x`). Any path will do: the reverse proxy decides about it. An empty ticket is none.
fn ticket_of(target: &str) -> Option<Cow<'_, str>> {
    let (_, query) = target.split_once('?')?;
    let query = query.split('#').next().unwrap_or(query);
    // Counted rather than looked for: for that the compiler takes many bytes at once.
    let encoded = query.bytes().filter(|byte| matches!(byte, b'%' | b'+')).count();
    let ticket = if encoded > 0 {
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket")?.1
    } else {
        // Nothing is encoded: a ticket's own characters never are, unless by somebody who encodes everything.
        query.split('&').find_map(|pair| pair.strip_prefix("ticket="))?.into()
    };
    (!ticket.is_empty()).then_some(ticket)
}

struct Headers<'a, 'b>(&'a Request<'a, 'b>);

impl Headers<'_, '_> {
    /// RFC 6455, 4.2.1. In the order that tells a person most: first what kind of request this is at all.
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
        // 16 bytes in base64. A body is nothing that a handshake has; whoever announces one means another protocol.
        let key = self.one("sec-websocket-key").filter(|key| is_key(key)).ok_or(Refusal::BadRequest)?;
        if self.all("transfer-encoding").next().is_some()
            || self.all("content-length").any(|length| length != "0")
        {
            return Err(Refusal::BadRequest);
        }
        Ok(key)
    }

    /// What is spoken, and what the answer repeats of the offer. Whoever offers nothing we know, or nothing, gets WAMP v1.
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

    /// The resume ticket that is offered beside the subprotocol that is chosen. Any other client of ours knows none, so one
    /// that is offered beside another one, or twice, is refused rather than taken for a subprotocol that we do not know.
    fn resume_ticket(&self, chosen: Subprotocol) -> Option<Result<String, AuthError>> {
        let mut offered = None;
        for value in self.all("sec-websocket-protocol") {
            for ticket in
                value.split(',').filter_map(|name| name.trim().strip_prefix(subprotocol::RESUME_PREFIX))
            {
                let is_second = offered.replace(ticket.to_owned()).is_some();
                if is_second || chosen != Subprotocol::Orosync {
                    let problem = "a resume ticket is offered once, and beside orosync.1".to_owned();
                    return Some(Err(AuthError::Ticket(TicketError::Malformed { problem })));
                }
            }
        }
        offered.map(Ok)
    }

    /// Is this a page of an allowed site? Of several `Origin`s none may be foreign: they must not pass for none at all. No
    /// such header is no page: programs may always connect, their ticket decides.
    fn come_from(&self, allowed: &[OriginPattern]) -> bool {
        let host = self.one("host");
        self.all("origin")
            .all(|origin| allowed.iter().any(|pattern| pattern.allows(&origin, host.as_deref())))
    }

    /// The sites that the page claims to be from.
    fn origins(&self) -> String {
        self.all("origin").collect::<Vec<_>>().join(", ")
    }

    /// Whom a reverse proxy names.
    fn client(&self, trusted: &TrustedProxies) -> Option<IpAddr> {
        let lists: Vec<_> = self.all("x-forwarded-for").collect();
        let hops: Vec<_> = lists.iter().flat_map(|list| list.split(',')).collect();
        trusted.client(hops.into_iter(), self.one("x-real-ip").as_deref())
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Cow<'s, str>> {
        let named = self.0.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| {
            let value = header.value.trim_ascii();
            // Nearly always; what makes the best of anything else is three times as slow.
            str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
        })
    }

    /// The value of a header that stands there exactly once.
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
