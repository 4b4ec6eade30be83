//! Pending replies of a session, in the order of its requests: acknowledgements for a publisher, answers to calls for a
//! browser.
//!
//! Owns the replies until their events have been written, or until the broker has answered. Bound: [`MAX_WAITING`]; at the
//! bound the session's socket is not read.

use std::collections::VecDeque;

use bytes::Bytes;
use orosync_protocol::{Payload, Topic};

use crate::broker::Since;
use crate::publication::receipt::Settled;
use crate::publication::tags::Tag;
use crate::session::publisher::Batch;

/// Maximum number of pending replies, above which the session's socket is not read. For a publisher each is for a batch: credit
/// bounds batches with deliverable messages, and this bounds all others. For a browser each is for a call.
pub const MAX_WAITING: usize = 4096;

/// The pending replies of a session.
#[derive(Debug, Default)]
pub struct Replies(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    number: u64,
    settled: Option<Settled>,
    reply: Reply,
}

/// A reply.
#[derive(Debug)]
pub enum Reply {
    /// The Welcome frame for a publisher: the highest sequence number that was accepted and written over earlier connections.
    Welcome,
    /// The acknowledgement of a batch that is accepted and written.
    Acknowledged(Batch),
    /// The answer to a call, as a frame.
    Answer(Bytes),
    /// The answer to `orosync/subscribe`, for which the broker must provide the missed events.
    Recovery(Box<Recovery>),
    /// The answer to `orosync/resume`: the call's id, and its Unix time in seconds. It is built when it is sent, because its
    /// positions must include all events that were sent before it.
    Resumption(Payload, u64),
}

/// A pending call of `orosync/subscribe`.
#[derive(Debug)]
pub struct Recovery {
    /// The id of the call.
    pub call_id: Payload,
    /// The topic.
    pub topic: Topic,
    /// Start of the missed events. `None`: none are requested.
    pub since: Option<Since>,
    /// If given, only events with one of these tags are delivered.
    pub tags: Option<Box<[Tag]>>,
    /// False once the session has unsubscribed.
    pub is_wanted: bool,
}

impl Replies {
    /// Appends a reply that waits for the receipt with this number, which is higher than all before.
    pub fn push(&mut self, number: u64, reply: Reply) {
        self.0.push_back(Waiting { number, settled: None, reply });
    }

    /// Handles that the receipt with this number is settled.
    pub fn settle(&mut self, number: u64, settled: Settled) {
        if let Ok(at) = self.0.binary_search_by_key(&number, |waiting| waiting.number) {
            self.0[at].settled = Some(settled);
        }
    }

    /// The recovery with this number, if it still waits for the broker.
    pub fn recovery(&mut self, number: u64) -> Option<&mut Recovery> {
        let at = self.0.binary_search_by_key(&number, |waiting| waiting.number).ok()?;
        if let Reply::Recovery(recovery) = &mut self.0[at].reply { Some(recovery) } else { None }
    }

    /// The recoveries of this topic that still wait for the broker, the latest first.
    pub fn recoveries_of(&mut self, topic: &Topic) -> impl Iterator<Item = &mut Recovery> {
        self.0.iter_mut().rev().filter_map(move |waiting| match &mut waiting.reply {
            Reply::Recovery(recovery) if recovery.topic == *topic => Some(&mut **recovery),
            _ => None,
        })
    }

    /// Replaces the recovery with this number by its answer.
    pub fn answer(&mut self, number: u64, frame: Bytes) {
        if let Ok(at) = self.0.binary_search_by_key(&number, |waiting| waiting.number) {
            self.0[at].reply = Reply::Answer(frame);
            self.0[at].settled = Some(Settled { highest: None });
        }
    }

    /// Takes the next reply if it is settled. Replies are sent in order, because an acknowledgement covers all messages before
    /// it.
    pub fn pop_settled(&mut self) -> Option<(Reply, Settled)> {
        let settled = self.0.front()?.settled?;
        self.0.pop_front().map(|waiting| (waiting.reply, settled))
    }

    /// Number of pending replies.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Number of pending replies to a publisher.
    pub fn to_publishers(&self) -> usize {
        let is_to_publisher =
            |waiting: &&Waiting| matches!(waiting.reply, Reply::Welcome | Reply::Acknowledged(_));
        self.0.iter().filter(is_to_publisher).count()
    }

    /// Whether no reply is pending.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bound is reached.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use orosync_protocol::Seq;

    use super::*;

    fn next(replies: &mut Replies) -> Option<u64> {
        replies.pop_settled().map(|(_, settled)| settled.highest.unwrap().get())
    }

    #[test]
    fn replies_are_sent_in_order_regardless_of_which_is_settled_first() {
        let mut replies = Replies::default();
        for number in [3, 5, 8] {
            replies.push(number, Reply::Welcome);
        }
        let settle = |replies: &mut Replies, number| {
            replies.settle(number, Settled { highest: Seq::new(number) });
        };
        settle(&mut replies, 5);
        settle(&mut replies, 4);
        assert_eq!(next(&mut replies), None, "an earlier reply is not settled");
        settle(&mut replies, 3);
        assert_eq!((next(&mut replies), next(&mut replies), next(&mut replies)), (Some(3), Some(5), None));
        assert_eq!(replies.len(), 1);
    }
}
