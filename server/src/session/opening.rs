//! The outcome of a session's handshake: a pending ticket check, a greeting or a refusal.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orosync_protocol::{CloseReason, SessionId};
use tracing::{debug, warn};

use super::handler::Handler;
use super::{CLOSE_TIMEOUT, Open, Session, SessionEvent, Shared, State};
use crate::auth::replay::FirstUse;
use crate::auth::{AuthError, Authenticated, Resumes};
use crate::frame::close_frame;
use crate::handshake::answers::Refusal;
use crate::handshake::{Cause, Outcome, Upgrade};
use crate::log::clip;

/// Minimum time that a handshake waits for its ticket check. Answers arrive within seconds. If the handshake ended earlier, the
/// ticket could be marked as used without a session.
const MIN_TICKET_CHECK_TIME: Duration = Duration::from_secs(5);

impl Session {
    /// Handles the answer whether the handshake's ticket is used for the first time. Returns the session that this one resumes,
    /// if any. A late answer has no effect.
    pub fn handle_ticket_used(
        &mut self,
        first_use: FirstUse,
        shared: &Shared,
        now: Instant,
    ) -> Option<SessionEvent> {
        let State::CheckingTicket { deadline, .. } = self.state else { return None };
        let in_progress = State::Handshake { handshake: Box::default(), deadline };
        let State::CheckingTicket { pending, .. } = std::mem::replace(&mut self.state, in_progress) else {
            return None;
        };
        self.handle_outcome(pending.handle_answer(first_use, &shared.handshake), deadline, shared, now)
    }

    /// Acts on the outcome of the handshake, whose time limit is `deadline`.
    pub(super) fn handle_outcome(
        &mut self,
        outcome: Outcome,
        deadline: Instant,
        shared: &Shared,
        now: Instant,
    ) -> Option<SessionEvent> {
        match outcome {
            Outcome::Incomplete => None,
            Outcome::CheckTicket { check, pending } => {
                self.state =
                    State::CheckingTicket { pending, deadline: deadline.max(now + MIN_TICKET_CHECK_TIME) };
                Some(SessionEvent::CheckTicket(check))
            }
            Outcome::Upgrade(upgrade) => self.greet(*upgrade, shared, now).map(SessionEvent::EndResumed),
            Outcome::Refused { refusal, cause } => {
                if let Some(cause) = cause {
                    self.log_cause(&cause, shared, now);
                }
                self.refuse_handshake(refusal, shared, now);
                None
            }
            Outcome::NotResumed { response, error } => {
                self.refuse_to_resume(response, error, shared, now);
                None
            }
        }
    }

    fn log_cause(&self, cause: &Cause, shared: &Shared, now: Instant) {
        let peer = &self.client.peer;
        match cause {
            Cause::Ticket(error) => {
                shared.metrics.tickets_rejected.count(error.label());
                if let Some(suppressed) = shared.log_limits.tickets.admit(now) {
                    let (reason, problem) = (error.label(), error.to_string());
                    warn!(%peer, reason, suppressed, "ticket rejected: {}", clip(&problem));
                }
            }
            Cause::Origin(origin) => {
                if let Some(suppressed) = shared.log_limits.connections.admit(now) {
                    let origin = clip(origin);
                    warn!(
                        %peer, reason = "origin", suppressed,
                        "connection refused: pages of {origin} may not connect. To allow them, add the host to auth.allowed_origins"
                    );
                }
            }
        }
    }

    /// Sends the greeting. Returns the session that this one resumes, if any.
    fn greet(&mut self, upgrade: Upgrade, shared: &Shared, now: Instant) -> Option<Resumes> {
        let Upgrade {
            mut response,
            protocol,
            authenticated: Authenticated { identity, resume_state, resumes },
            rest,
        } = upgrade;
        if resumes.is_some() {
            shared.metrics.resume_tickets_used.inc();
        }
        // 0 is reserved. A random 0 is as unlikely as two sessions with the same id.
        let id = SessionId(rand::random());
        debug!(peer = %self.client.peer, session = %id, ?protocol, role = %identity.role, "session begins");
        let (handler, socket) = Handler::open(protocol, id, &mut response, shared, now);
        let greeted = self.outbound.push(response.into());
        debug_assert!(greeted.is_ok(), "an empty queue accepts any frame");
        let open = Box::new(Open { id, since: now, protocol, identity, resume_state, socket, handler });
        self.state = State::Greeting { open, rest, deadline: now + shared.limits.handshake_timeout };
        resumes
    }

    pub(super) fn refuse_handshake(&mut self, refusal: Refusal, shared: &Shared, now: Instant) {
        shared.metrics.handshakes_refused.count(refusal.label());
        debug!(peer = %self.client.peer, reason = refusal.label(), "handshake refused");
        if let Refusal::Full(full) = refusal
            && let Some(suppressed) = shared.log_limits.connections.admit(now)
        {
            warn!(peer = %self.client.peer, reason = full.label(), suppressed, "connection refused: {full}");
        }
        let pushed = self.outbound.push(refusal.answer());
        debug_assert!(pushed.is_ok(), "an empty queue accepts any frame");
        self.finish(refusal.label(), now + CLOSE_TIMEOUT);
    }

    fn refuse_to_resume(&mut self, mut response: Vec<u8>, error: AuthError, shared: &Shared, now: Instant) {
        let (refusal, reason) = if error == AuthError::BrokerUnavailable {
            (Refusal::BrokerUnavailable, CloseReason::BrokerUnavailable)
        } else {
            (Refusal::TicketRefused, CloseReason::NewTicket)
        };
        self.log_cause(&Cause::Ticket(error), shared, now);
        if refusal == Refusal::BrokerUnavailable && !shared.has_broker.load(Ordering::Relaxed) {
            // A load balancer that sees this status tries another node, which a Close frame after a 101 would not cause.
            self.refuse_handshake(refusal, shared, now);
            return;
        }
        shared.metrics.handshakes_refused.count(refusal.label());
        response.extend_from_slice(&close_frame(reason));
        let pushed = self.outbound.push(response.into());
        debug_assert!(pushed.is_ok(), "an empty queue accepts any frame");
        self.finish(refusal.label(), now + CLOSE_TIMEOUT);
    }
}
