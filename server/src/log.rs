//! The log: one line per event, on standard error.
//!
//! A line is a fixed sentence with fields. Text from clients passes through [`clip`], and lines that clients can cause pass
//! through [`RateLimited`].

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Maximum number of characters of a client's text in a log line.
const CLIPPED_CHARACTERS: usize = 100;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text on a terminal, JSON elsewhere.
    Auto,
    /// Readable text.
    Human,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Human, Self::Json];

    /// The value in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

/// Format and filter of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The format of log lines.
    pub format: LogFormat,
    /// The minimum level, overall and per module.
    pub filter: Targets,
}

/// Starts logging for the process. Further calls have no effect.
pub fn start(settings: &LogSettings) {
    let human = match settings.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(settings.filter.clone());
    // An error means that a program that embeds the server has installed its own logger.
    let _ = if human {
        registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()
    } else {
        registry
            .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
            .try_init()
    };
}

/// A client's text for a log line, with control characters escaped and truncated to 100 characters.
pub fn clip(text: &str) -> impl fmt::Display + '_ {
    Clipped(text)
}

struct Clipped<'a>(&'a str);

impl fmt::Display for Clipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(CLIPPED_CHARACTERS).map_or(self.0.len(), |(at, _)| at);
        let (shown, hidden) = self.0.split_at(end);
        // Quotes need no escape: they have no meaning in a text line, and JSON escapes them itself.
        for part in shown.split_inclusive(['\'', '"']) {
            let text = part.trim_end_matches(['\'', '"']);
            write!(f, "{}{}", text.escape_debug(), &part[text.len()..])?;
        }
        if hidden.is_empty() { Ok(()) } else { write!(f, "... ({} bytes more)", hidden.len()) }
    }
}

/// Rate limit for one kind of log line, so that a client cannot fill the disk. Suppressed lines are counted.
///
/// Bound: `max` lines per `interval`. Usable from any number of threads; each call takes a lock for a short time.
#[derive(Debug)]
pub struct RateLimited {
    max: u32,
    interval: Duration,
    suppressed_total: Counter,
    window: Mutex<Option<Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    passed: u32,
    suppressed: u64,
}

impl RateLimited {
    /// Allows `max` lines per `interval`. Suppressed lines are also counted in `suppressed_total`.
    pub fn new(max: u32, interval: Duration, suppressed_total: Counter) -> Self {
        Self { max, interval, suppressed_total, window: Mutex::new(None) }
    }

    /// If a line may be written at `now`: the number of lines suppressed since the previous one. `None`: suppress this line.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        // A panic while the lock is held cannot leave the window inconsistent.
        let mut slot = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let window = slot.get_or_insert(Window { since: now, passed: 0, suppressed: 0 });
        if now.saturating_duration_since(window.since) >= self.interval {
            window.since = now;
            window.passed = 0;
        }
        if window.passed < self.max {
            window.passed += 1;
            Some(std::mem::take(&mut window.suppressed))
        } else {
            window.suppressed += 1;
            self.suppressed_total.inc();
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
    fn lines_beyond_the_rate_are_suppressed_and_counted() {
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
