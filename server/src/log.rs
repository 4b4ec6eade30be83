//! What the server says to its operator: one line per thing that happened, on standard error.
//!
//! Fixed sentences and fields. What a client sent passes [`clip`]; what a client can cause passes [`RateLimited`].

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The most characters of a client's text in a log line.
const CLIPPED_CHARACTERS: usize = 100;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Human, Self::Json];

    /// As it stands in a configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// Which lines: a level, and levels of single modules.
    pub filter: Targets,
}

/// Starts logging, once for the process; a second call changes nothing.
pub fn start(settings: &LogSettings) {
    let human = match settings.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(settings.filter.clone());
    // An error means that a program that embeds the server logs already, in its own way.
    let _ = if human {
        registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()
    } else {
        registry
            .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
            .try_init()
    };
}

/// A client's text for a log line: control characters escaped, cut after 100 characters.
pub fn clip(text: &str) -> impl fmt::Display + '_ {
    Clipped(text)
}

struct Clipped<'a>(&'a str);

impl fmt::Display for Clipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(CLIPPED_CHARACTERS).map_or(self.0.len(), |(at, _)| at);
        let (shown, hidden) = self.0.split_at(end);
        // Quotes mean nothing in a line, and JSON has escapes of its own for them.
        for part in shown.split_inclusive(['\'', '"']) {
            let text = part.trim_end_matches(['\'', '"']);
            write!(f, "{}{}", text.escape_debug(), &part[text.len()..])?;
        }
        if hidden.is_empty() { Ok(()) } else { write!(f, "... ({} bytes more)", hidden.len()) }
    }
}

/// Lets some lines of one kind through and counts the rest, so that a client cannot fill a disk.
///
/// Bound: `max` lines per `interval`. For any number of threads; costs a lock that nobody holds for long.
#[derive(Debug)]
pub struct RateLimited {
    max: u32,
    interval: Duration,
    left_out_total: Counter,
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    passed: u32,
    left_out: u64,
}

impl RateLimited {
    /// At most `max` lines per `interval`; what is left out is counted in `left_out_total` as well.
    pub fn new(max: u32, interval: Duration, left_out_total: Counter) -> Self {
        Self { max, interval, left_out_total, window: Mutex::new(None) }
    }

    /// May one more line be written at `now`? If so: how many were left out since the last one that was.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        // A panic elsewhere cannot leave a window half changed.
        let mut slot = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let window = slot.get_or_insert(Window { since: now, passed: 0, left_out: 0 });
        if now.saturating_duration_since(window.since) >= self.interval {
            window.since = now;
            window.passed = 0;
        }
        if window.passed < self.max {
            window.passed += 1;
            Some(std::mem::take(&mut window.left_out))
        } else {
            window.left_out += 1;
            self.left_out_total.inc();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_text_cannot_forge_a_line_or_fill_one() {
        assert_eq!(clip("oro/data/update").to_string(), "oro/data/update");
        assert_eq!(clip("the application's \"x\"").to_string(), "the application's \"x\"");
        assert_eq!(clip("a\nINFO \u{1b}[2J\u{202e}b").to_string(), "a\\nINFO \\u{1b}[2J\\u{202e}b");
        assert_eq!(clip("กี e\u{301} 'กี'").to_string(), "กี e\u{301} 'กี'");
        let clipped = clip(&"ü".repeat(150)).to_string();
        assert_eq!(clipped, format!("{}... (100 bytes more)", "ü".repeat(100)));
        assert_eq!(clip(&"x".repeat(100)).to_string(), "x".repeat(100));
    }

    #[test]
    fn lines_beyond_the_rate_are_left_out_and_counted() {
        let total = Counter::default();
        let limited = RateLimited::new(2, Duration::from_secs(10), total.clone());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limited.admit(at(0)), Some(0));
        assert_eq!(limited.admit(at(1)), Some(0));
        assert_eq!(limited.admit(at(2)), None);
        assert_eq!(limited.admit(at(9)), None);
        assert_eq!(limited.admit(at(10)), Some(2));
        assert_eq!(limited.admit(at(11)), Some(0));
        assert_eq!(limited.admit(at(12)), None);
        assert_eq!(limited.admit(at(30)), Some(1));
        assert_eq!(total.get(), 3);
    }
}
