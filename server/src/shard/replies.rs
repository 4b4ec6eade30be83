//! What a publisher's session is told once it is true, in the order in which it asked.
//!
//! Owns the replies that wait until the events they speak of have been written. Bound: [`MAX_WAITING`]; at the bound the
//! session's socket is not read.

use std::collections::VecDeque;

use orosync_protocol::Seq;

use crate::session::publisher::Batch;

/// Batches of one session that may wait for their acknowledgement before it is read again. Each is at least a message, and
/// credit bounds those; this bounds batches of which nothing is delivered.
pub const MAX_WAITING: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub struct Replies(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    number: u64,
    is_settled: bool,
    reply: Reply,
}

/// What is said.
#[derive(Debug)]
pub enum Reply {
    /// So much was accepted over earlier connections, and is written.
    Welcome(Option<Seq>),
    /// This batch is accepted, and written.
    Acknowledged(Batch),
}

impl Replies {
    /// A reply that waits for the receipt of this number, higher than any before.
    pub fn push(&mut self, number: u64, reply: Reply) {
        self.0.push_back(Waiting { number, is_settled: false, reply });
    }

    /// This receipt is settled.
    pub fn settle(&mut self, number: u64) {
        if let Ok(at) = self.0.binary_search_by_key(&number, |waiting| waiting.number) {
            self.0[at].is_settled = true;
        }
    }

    /// The next reply, if it is true now: each waits for those before it, because an acknowledgement speaks for them too.
    pub fn pop_settled(&mut self) -> Option<Reply> {
        let is_settled = self.0.front()?.is_settled;
        if is_settled { self.0.pop_front().map(|waiting| waiting.reply) } else { None }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// May no more wait?
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_WAITING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(number: u64) -> Reply {
        Reply::Welcome(Seq::new(number))
    }

    fn next(replies: &mut Replies) -> Option<u64> {
        replies.pop_settled().map(|reply| match reply {
            Reply::Welcome(accepted) => accepted.unwrap().get(),
            Reply::Acknowledged(_) => panic!("no batch was pushed"),
        })
    }

    #[test]
    fn replies_come_in_order_whatever_is_settled_first() {
        let mut replies = Replies::default();
        for number in [3, 5, 8] {
            replies.push(number, welcome(number));
        }
        replies.settle(5);
        replies.settle(4);
        assert_eq!(next(&mut replies), None, "the one before it is not settled");
        replies.settle(3);
        assert_eq!((next(&mut replies), next(&mut replies), next(&mut replies)), (Some(3), Some(5), None));
        assert_eq!(replies.len(), 1);
    }
}
