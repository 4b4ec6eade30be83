//! The server's side of the backend link: a publisher's frames, and the answers to them.

use std::fmt;

use bytes::Bytes;
use orosync_protocol::link_frame::{Message, PublisherFrame, Refusals, ServerFrame};
use orosync_protocol::{CloseReason, PublisherId, Seq};
use tracing::warn;

use super::SessionEvent;
use super::admission::Admission;
use super::outbound::{Outbound, OutboundFull};
use crate::frame::binary_frame;
use crate::publication::Content;
use crate::refusals::Action;

/// The state of a publisher's session.
#[derive(Debug, Default)]
pub struct Publisher {
    id: Option<PublisherId>,
}

/// The messages of one frame.
#[derive(Debug)]
pub struct Batch {
    /// The messages that may be published, with their sequence numbers.
    pub contents: Vec<(Seq, Content)>,
    answer: Answer,
}

/// The answer to a publisher: one frame that acknowledges any number of batches.
#[derive(Debug)]
pub struct Answer {
    /// The highest sequence number accepted and written.
    accepted: Seq,
    /// The refused messages among those.
    refusals: Option<Refusals>,
}

impl Publisher {
    /// Handles a frame.
    pub fn handle_frame(
        &mut self,
        frame: Bytes,
        admission: Admission<'_>,
        events: &mut Vec<SessionEvent>,
    ) -> Result<(), CloseReason> {
        let broken = |problem: &dyn fmt::Display| {
            if let Some(suppressed) = admission.shared.log_limits.invalid_frames.admit(admission.now) {
                warn!(peer = %admission.peer, suppressed, "invalid frame from a publisher: {problem}");
            }
            CloseReason::BadMessage
        };
        let frame = PublisherFrame::decode(frame).map_err(|error| broken(&error))?;
        match (frame, self.id) {
            (PublisherFrame::Hello { publisher }, None) => {
                self.id = Some(publisher);
                events.push(SessionEvent::Hello(publisher));
                Ok(())
            }
            (PublisherFrame::Publish { first, messages }, Some(publisher)) => {
                if let Some(batch) = authorize(first, messages, admission) {
                    events.push(SessionEvent::PublishAll(publisher, batch));
                }
                Ok(())
            }
            (PublisherFrame::Hello { .. }, Some(_)) | (PublisherFrame::Publish { .. }, None) => {
                Err(broken(&"Hello must be the first frame, and only that"))
            }
        }
    }
}

impl Batch {
    /// The answer to send once the whole batch is accepted and written.
    pub fn into_answer(self) -> Answer {
        self.answer
    }
}

impl Answer {
    /// Merges a later answer into this one.
    pub fn append(&mut self, later: Self) {
        self.accepted = later.accepted;
        if let Some(refusals) = later.refusals {
            self.add_refusals(refusals);
        }
    }

    /// Encodes the answer as a WebSocket frame.
    pub fn into_frame(self) -> Bytes {
        let accepted = self.accepted;
        let frame = match self.refusals {
            None => ServerFrame::Ack { accepted },
            Some(refusals) => ServerFrame::Refused { accepted, refusals },
        };
        binary_frame(frame.encode())
    }

    fn add_refusals(&mut self, later: Refusals) {
        match &mut self.refusals {
            Some(refusals) => refusals.count = refusals.count.saturating_add(later.count),
            None => self.refusals = Some(later),
        }
    }
}

/// Sends Welcome, with the highest sequence number that was accepted and written.
pub fn welcome(accepted: Option<Seq>, outbound: &mut Outbound) -> Result<(), OutboundFull> {
    outbound.push(binary_frame(ServerFrame::Welcome { accepted }.encode()))
}

/// Numbers the messages and separates those that the policies refuse.
fn authorize(first: Seq, messages: Vec<Message>, admission: Admission<'_>) -> Option<Batch> {
    let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
    let last = first.plus(count.checked_sub(1)?);
    let answer = Answer { accepted: last, refusals: None };
    let mut batch = Batch { contents: Vec::with_capacity(messages.len()), answer };
    for (offset, message) in (0..).zip(messages) {
        let seq = first.plus(offset);
        match admission.publish(Action::Publish, message) {
            Ok(content) => batch.contents.push((seq, content)),
            Err(refused) => {
                batch.answer.add_refusals(Refusals { count: 1, first: seq, reason: refused.sentence });
            }
        }
    }
    Some(batch)
}
