//! Records which accepted messages have arrived. Memory: one bit per message and auditor.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use orosync_tests::client::{Client, Received};
use orosync_tests::traffic::{Report, TOPIC, event};

use crate::pages::PAGES;

/// Number of publishers: the two PHP processes are 0 and 1, the pages are [`PAGES`].
const PUBLISHERS: usize = PAGES + 1;

/// Number of concurrent auditors: one for each way in which sessions end.
const COLUMNS: usize = 2;

/// The record of arrived messages.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Arrived messages by auditor, publisher and number.
    seen: [[Vec<bool>; PUBLISHERS]; COLUMNS],
    disorder: Vec<String>,
}

impl Record {
    /// Returns missing messages and order violations. `page` is the number of messages that the pages published.
    pub(crate) fn problems(&self, processes: &[Report], page: usize) -> Vec<String> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = entries.disorder.clone();
        let accepted = processes.iter().map(|ended| ended.accepted).chain([page]);
        for (publisher, accepted) in accepted.enumerate() {
            for (column, seen) in entries.seen.iter().enumerate() {
                let arrived = seen[publisher].iter().filter(|seen| **seen).count();
                println!("auditor {column}, publisher {publisher}: {arrived} of {accepted}");
                if arrived != accepted {
                    problems.push(format!(
                        "auditor {column} has received {arrived} of the {accepted} messages of publisher {publisher}"
                    ));
                }
            }
        }
        for ended in processes.iter().filter(|ended| !ended.flushed) {
            problems.push(format!("a PHP process has unacknowledged messages: {ended:?}"));
        }
        problems
    }
}

/// A session that receives everything.
#[derive(Debug)]
pub(crate) struct Auditor(JoinHandle<Received>);

impl Auditor {
    /// Subscribes, and waits until the server has processed it.
    pub(crate) fn of(mut client: Client, record: Arc<Record>, column: usize) -> Self {
        client.subscribe(TOPIC);
        Self(thread::spawn(move || {
            // The pages run in several processes, so their numbers are not in order.
            let mut last: [Option<usize>; PAGES] = [None; PAGES];
            loop {
                let (publisher, number) = match client.receive() {
                    Received::Text(text) => event(&text),
                    end => return end,
                };
                let mut entries = record.0.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(last) = last.get_mut(publisher)
                    && let Some(before) = last.replace(number)
                    && number != before + 1
                {
                    entries.disorder.push(format!("publisher {publisher}: {number} follows {before}"));
                }
                let seen = &mut entries.seen[column][publisher];
                if seen.len() <= number {
                    seen.resize(number + 1, false);
                }
                seen[number] = true;
            }
        }))
    }

    /// Waits for the end of the session. Returns the last frame or the end of the stream.
    pub(crate) fn ended(self) -> Received {
        self.0.join().expect("all events are from these publishers")
    }
}
