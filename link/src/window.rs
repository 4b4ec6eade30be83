//! The window: messages sent but not acknowledged, by sequence number. They are resent after a reconnect.
//!
//! Owns each message from the moment it leaves the queue until the server has acknowledged it. Bound: the queue's, which
//! includes these messages. No I/O: `batch` lends the next frame, the caller writes it.

use std::collections::{VecDeque, vec_deque};
use std::iter;

use orosync_protocol::link_frame::{Batch, EncodedMessage, PUBLISH_HEAD};
use orosync_protocol::{Seq, Topic};

use crate::error::LinkError;
use crate::queue::Budget;

#[derive(Debug)]
pub(crate) struct Window {
    /// Number of the first message, or of the next one if the window is empty.
    first: Seq,
    messages: VecDeque<EncodedMessage>,
    /// How many of them, from the first, were sent over this connection.
    sent: usize,
}

/// A Publish frame in parts. The window keeps the messages; the transport copies and masks them in one pass.
#[derive(Debug)]
pub(crate) struct Publish<'a> {
    head: [u8; PUBLISH_HEAD],
    messages: vec_deque::Iter<'a, EncodedMessage>,
    length: usize,
}

impl Publish<'_> {
    /// Size of the frame in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The bytes of the frame.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        iter::once(&self.head[..]).chain(self.messages.clone().map(EncodedMessage::as_bytes))
    }
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { first: Seq::FIRST, messages: VecDeque::new(), sent: 0 }
    }

    /// Returns the next Publish frame: messages to resend, then new ones from `next`, up to the bounds of a batch. Sends what
    /// is available and never waits for more.
    pub(crate) fn batch(&mut self, next: &mut dyn FnMut() -> Option<EncodedMessage>) -> Option<Publish<'_>> {
        let mut batch = Batch::default();
        while batch.has_room() {
            let at = self.sent + batch.messages();
            if at == self.messages.len() {
                let Some(message) = next() else { break };
                self.messages.push_back(message);
            }
            let Some(message) = self.messages.get(at) else { break };
            batch.add(message);
        }
        if batch.messages() == 0 {
            return None;
        }
        let from = self.sent;
        self.sent += batch.messages();
        Some(Publish {
            head: batch.head(self.first.plus(from as u64)),
            messages: self.messages.range(from..self.sent),
            length: batch.frame_len(),
        })
    }

    /// Removes all messages up to `accepted`. Returns their budget.
    pub(crate) fn acknowledge(&mut self, accepted: Seq) -> Result<Budget, LinkError> {
        let known = self.first.get() - 1 + self.messages.len() as u64;
        if accepted.get() > known {
            return Err(LinkError::BeyondSent { accepted: accepted.get(), sent: known });
        }
        let mut freed = Budget::default();
        while self.first <= accepted {
            let Some(message) = self.messages.pop_front() else { break };
            freed.add(&message);
            self.first = self.first.plus(1);
            self.sent = self.sent.saturating_sub(1);
        }
        Ok(freed)
    }

    /// Starts a new connection: nothing in the window was sent over it.
    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Whether anything sent over this connection is not acknowledged.
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        self.sent > 0
    }

    /// Number of unacknowledged messages, sent or not.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The topic of the message with this number, if it is still in the window.
    pub(crate) fn topic(&self, seq: Seq) -> Option<Topic> {
        let index = seq.get().checked_sub(self.first.get())?;
        self.messages.get(usize::try_from(index).ok()?)?.topic().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use orosync_protocol::link_frame::{BATCH_BYTES, BATCH_MESSAGES, PublisherFrame};

    use super::*;
    use crate::queue::{encoded, large_message, message};

    fn seq(value: u64) -> Seq {
        Seq::new(value).unwrap()
    }

    /// The numbers of the messages in the next batch.
    fn next_batch(window: &mut Window, source: &mut VecDeque<EncodedMessage>) -> Vec<u64> {
        let Some(frame) = window.batch(&mut || source.pop_front()) else { return vec![] };
        let bytes = frame.parts().collect::<Vec<_>>().concat();
        assert_eq!(bytes.len(), frame.len());
        match PublisherFrame::decode(bytes.into()).unwrap() {
            PublisherFrame::Publish { first, messages } => {
                (0..messages.len() as u64).map(|index| first.get() + index).collect()
            }
            PublisherFrame::Hello { .. } => panic!("a batch is a Publish frame"),
        }
    }

    fn messages(count: usize) -> VecDeque<EncodedMessage> {
        (0..count).map(|_| encoded(&message("t", "1"))).collect()
    }

    #[test]
    fn all_waiting_messages_are_sent_in_one_batch() {
        let (mut window, mut source) = (Window::new(), messages(3));
        assert_eq!(next_batch(&mut window, &mut source), [1, 2, 3]);
        assert_eq!(next_batch(&mut window, &mut source), [0_u64; 0]);
        source.extend(messages(1));
        assert_eq!(next_batch(&mut window, &mut source), [4]);
    }

    #[test]
    fn a_batch_ends_at_its_bounds() {
        let (mut window, mut source) = (Window::new(), messages(BATCH_MESSAGES + 1));
        assert_eq!(next_batch(&mut window, &mut source).len(), BATCH_MESSAGES);
        assert_eq!(next_batch(&mut window, &mut source).len(), 1);

        let large = large_message(BATCH_BYTES / 2);
        let mut source: VecDeque<_> = (0..3).map(|_| encoded(&large)).collect();
        assert_eq!(next_batch(&mut Window::new(), &mut source).len(), 2);
    }

    #[test]
    fn unacknowledged_messages_are_resent_in_order_before_new_ones() {
        let (mut window, mut source) = (Window::new(), messages(5));
        next_batch(&mut window, &mut source);
        assert_eq!(window.acknowledge(seq(2)).unwrap().messages, 2);
        window.rewind();
        assert!(!window.awaits_acknowledgement());
        source.extend(messages(1));
        assert_eq!(next_batch(&mut window, &mut source), [3, 4, 5, 6]);
        assert!(window.awaits_acknowledgement());
        assert_eq!(window.acknowledge(seq(6)).unwrap().messages, 4);
        assert!(!window.awaits_acknowledgement());
    }

    #[test]
    fn an_old_acknowledgement_is_ignored_and_one_beyond_the_sent_messages_is_an_error() {
        let (mut window, mut source) = (Window::new(), messages(2));
        next_batch(&mut window, &mut source);
        window.acknowledge(seq(2)).unwrap();
        assert_eq!(window.acknowledge(seq(1)).unwrap(), Budget::default());
        assert!(matches!(window.acknowledge(seq(3)), Err(LinkError::BeyondSent { accepted: 3, sent: 2 })));
    }

    #[test]
    fn a_topic_is_found_by_its_number_until_it_is_acknowledged() {
        let mut window = Window::new();
        let mut source = VecDeque::from([encoded(&message("a", "1")), encoded(&message("b", "1"))]);
        next_batch(&mut window, &mut source);
        window.acknowledge(seq(1)).unwrap();
        assert_eq!(window.topic(seq(2)).unwrap().as_str(), "b");
        assert!(window.topic(seq(1)).is_none() && window.topic(seq(3)).is_none());
    }
}
