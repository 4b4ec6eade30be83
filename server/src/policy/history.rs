//! Bounds of a topic's history: number of events and age.

use std::time::Duration;

/// The bounds of a topic's history. Beyond either of them the oldest events are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Maximum number of events. 0: the topic has no history.
    pub events: usize,
    /// Maximum age of an event.
    pub age: Duration,
}

/// Bounds set by a rule for its topics. `None` values are taken from `[history]` in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryOverride {
    /// Replaces [`HistoryLimits::events`].
    pub events: Option<usize>,
    /// Replaces [`HistoryLimits::age`].
    pub age: Option<Duration>,
}

impl HistoryOverride {
    /// No history, regardless of the configuration.
    pub const NONE: Self = Self { events: Some(0), age: None };

    /// The effective bounds, with `default` for those that are not set.
    pub fn over(self, default: HistoryLimits) -> HistoryLimits {
        HistoryLimits { events: self.events.unwrap_or(default.events), age: self.age.unwrap_or(default.age) }
    }
}
