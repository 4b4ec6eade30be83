//! How many of a topic's latest events are kept, and for how long.

use std::time::Duration;

/// The bounds of a topic's history. What crosses either of them is forgotten, the oldest event first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Events that are kept at most; 0: the topic has no history.
    pub events: usize,
    /// How long each is kept at most.
    pub age: Duration,
}

/// What a rule says of the history of its topics; the configuration's `[history]` says the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryOverride {
    /// In place of [`HistoryLimits::events`].
    pub events: Option<usize>,
    /// In place of [`HistoryLimits::age`].
    pub age: Option<Duration>,
}

impl HistoryOverride {
    /// No history, whatever the configuration says.
    pub const NONE: Self = Self { events: Some(0), age: None };

    /// The limits of a topic whose rule says this.
    pub fn over(self, default: HistoryLimits) -> HistoryLimits {
        HistoryLimits { events: self.events.unwrap_or(default.events), age: self.age.unwrap_or(default.age) }
    }
}
